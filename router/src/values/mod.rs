//! Plain values that flow through the router: no behaviour beyond reading themselves.
pub mod finding;
pub mod severity;
pub mod time;
pub mod tree;
