//! The command line, and the daemon behind `serve`.
fn main() {}
