//! The ends in the world: each makes one port real, and `connect` puts them together.
pub mod clicks;
pub mod connect;
pub mod health;
pub mod http;
pub mod intake;
pub mod lambda;
pub mod ledger;
pub mod publisher;
pub mod remediator;
pub mod secrets;
pub mod signature;
pub mod slack;
pub mod socket;
pub mod sqs;
pub mod telemetry;
pub mod ticker;
