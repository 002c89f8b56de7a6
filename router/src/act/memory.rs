//! The in-memory twins of the ports: replay and tests use them, and nothing leaves the machine.
use super::ports::{Ledger, Messenger, Put, Remediator, Trouble};
use crate::values::{
    action::{Notify, NotifyMode, Outcome, Posted, Remediate},
    entry::{Entry, Tally},
};
use findings_formatters::Message;
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A ledger that forgets when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    entries: Mutex<HashMap<String, Entry>>,
    tallies: Mutex<HashMap<String, Tally>>,
}

/// A panic elsewhere cannot have left a map half written: every write below is one insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger for MemoryLedger {
    async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
        Ok(lock(&self.entries).get(fingerprint).cloned())
    }

    async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
        let mut entries = lock(&self.entries);
        if entries.get(&entry.fingerprint).map_or(0, |e| e.version) != entry.version {
            return Ok(Put::Conflict);
        }
        let stored = Entry { version: entry.version + 1, ..entry.clone() };
        entries.insert(entry.fingerprint.clone(), stored);
        Ok(Put::Written)
    }

    async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
        Ok(lock(&self.tallies).get(key).cloned().unwrap_or_else(|| Tally::new(key)))
    }

    async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
        let mut tallies = lock(&self.tallies);
        if tallies.get(&tally.key).map_or(0, |t| t.version) != tally.version {
            return Ok(Put::Conflict);
        }
        tallies.insert(tally.key.clone(), Tally { version: tally.version + 1, ..tally.clone() });
        Ok(Put::Written)
    }
}

/// A messenger that names messages and keeps none of them.
#[derive(Debug, Default)]
pub struct MemoryMessenger {
    sent: AtomicU64,
}

impl Messenger for MemoryMessenger {
    async fn send(&self, notify: &Notify, _: &Message) -> Outcome {
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let channel = notify.destination.trim_start_matches("slack:").trim_start_matches('#');
        Outcome::Done((notify.mode == NotifyMode::Post).then(|| Posted {
            id: format!("{channel}:{number}"),
            link: Some(format!("https://example.slack.com/archives/{channel}/p{number:016}")),
        }))
    }
}

/// A remediator that starts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryRemediator;

impl Remediator for MemoryRemediator {
    async fn start(&self, _: &Remediate) -> Outcome {
        Outcome::Done(None)
    }
}
