//! The command line: what operators type, and how its inputs are read.
pub mod input;
