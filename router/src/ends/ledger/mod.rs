//! The durable ledgers: one file for one daemon, a DynamoDB table for Lambda and for several consumers.
mod dynamodb;
mod embedded;
mod store;

pub use dynamodb::DynamoDb;
pub use embedded::Embedded;
pub use store::Store;
