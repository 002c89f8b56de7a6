//! The world as the tests play it: Slack, AWS, the Lambda runtime API, and the programs that meet them. All on loopback.
#![allow(dead_code, reason = "the parts are tools; each test takes those that it needs")]
mod ledgers;
pub(crate) mod aws;
pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod lambda;
pub(crate) mod parity;
pub(crate) mod process;
pub(crate) mod slack;
