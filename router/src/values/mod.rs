//! Plain values that flow through the router: no behaviour beyond reading themselves.
pub mod action;
pub mod entry;
pub mod finding;
pub mod remediation;
mod scan;
pub mod severity;
pub mod text;
pub mod time;
pub mod tree;
pub mod verdict;
