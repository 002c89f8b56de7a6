//! Tests from outside: what a user of the built binary can rely on. Each file is one promise of the command line.
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests make files and look at them")]
mod check_aws;
mod contract;
mod drill;
mod exit_codes;
mod findings;
mod harness;
mod import;
mod json;
mod layout;
mod live;
mod log_files;
mod mangled;
mod own_policy;
mod patterns;
mod rails;
mod recipe;
mod refusals;
mod routes;
mod transcripts;
mod when_and_whom;
