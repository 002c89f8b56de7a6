//! From an event to a plan, by pure functions: no clock, no environment, no file, no socket.
pub mod identity;
