//! From an event to a plan, by pure functions: no clock, no environment, no file, no socket.
pub mod adjust;
pub mod carrier;
pub mod config;
#[cfg(test)]
pub(crate) mod corpus;
pub mod grants;
pub mod identity;
pub mod novelty;
pub mod ocsf;
pub mod pattern;
pub mod plan;
pub mod playbook;
pub mod policy;
pub mod rails;
pub mod remediation;
pub mod rules;
pub mod runbook;
pub mod show;
pub mod sigma;
pub mod source;
pub mod written;
