//! Whichever ledger the configuration names.
use super::{DynamoDb, Embedded};
use crate::{
    act::ports::{Ledger, Put, Trouble},
    values::entry::{Entry, Tally},
};
use jiff::Timestamp;

/// A durable ledger.
pub enum Store {
    /// One file.
    Embedded(Embedded),
    /// A table.
    DynamoDb(DynamoDb),
}

macro_rules! of_either {
    ($self:ident, $ledger:ident => $call:expr) => {
        match $self {
            Store::Embedded($ledger) => $call.await,
            Store::DynamoDb($ledger) => $call.await,
        }
    };
}

impl Ledger for Store {
    async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
        of_either!(self, l => l.entry(fingerprint))
    }

    async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
        of_either!(self, l => l.put_entry(entry))
    }

    async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
        of_either!(self, l => l.tally(key))
    }

    async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
        of_either!(self, l => l.put_tally(tally))
    }

    async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        of_either!(self, l => l.find(name))
    }

    async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        of_either!(self, l => l.recent(since, until, limit))
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        of_either!(self, l => l.due(now, limit))
    }

    async fn forget(&self, before: Timestamp) -> Result<usize, Trouble> {
        of_either!(self, l => l.forget(before))
    }
}
