//! Tests from outside: what a user of the built binary can rely on.
