//! The world as the tests play it: Slack, AWS, the Lambda runtime API, and the programs that meet them. All on loopback.
#![allow(dead_code, reason = "the parts are tools; each test takes those that it needs")]
pub(crate) mod aws;
mod consumers;
mod crashes;
pub(crate) mod daemon;
mod daemon_http;
pub(crate) mod http;
pub(crate) mod lambda;
mod ledgers;
mod parity;
pub(crate) mod problems;
pub(crate) mod process;
mod remediation;
pub(crate) mod slack;
pub(crate) mod ssm;
mod trouble;
