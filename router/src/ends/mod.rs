//! The ends in the world: each makes one port real.
pub mod ledger;
pub mod slack;
