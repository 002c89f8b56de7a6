//! The findings router: recorded or live AWS events in, Slack cards and remediation plans out.
//!
//! `values` are plain data; `decide` is pure functions of (policy, event, entry, now); `act` performs what a plan
//! names through ports; `cli` is the command line. Nothing in `values` or `decide` reads a clock, the environment, a file
//! or a socket.
pub mod act;
pub mod cli;
pub mod decide;
#[cfg(feature = "live")]
pub mod ends;
#[cfg(test)]
mod testing;
pub mod values;

/// The version: that of the package, or what whoever built it called it (`FINDINGS_ROUTER_VERSION` at build time, as
/// `infra/package` sets it).
pub const VERSION: &str = match option_env!("FINDINGS_ROUTER_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
