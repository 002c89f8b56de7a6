//! Performs what plans name, through ports: the ledger, the messenger and the remediator.
pub mod memory;
pub mod ports;
pub mod router;
