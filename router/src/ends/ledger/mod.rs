//! The durable ledgers: one file for one daemon, a DynamoDB table for several consumers.
mod embedded;

pub use embedded::Embedded;
