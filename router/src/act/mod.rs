//! Performs what plans name, through ports: the ledger, the messenger, the remediator and the publisher.
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod day;
pub mod intake;
pub mod memory;
#[cfg(test)]
mod outage;
mod perform;
pub mod ports;
pub mod remedy;
pub mod router;
pub mod tick;
#[cfg(test)]
pub(crate) mod world;
