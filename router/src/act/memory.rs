//! The in-memory twins of the ports: replay and tests use them, and nothing leaves the machine.
use super::ports::{Delivery, Ledger, Messenger, Miss, Publisher, Put, Remediator, Trouble};
use crate::{
    decide::remediation::{Said, Seen, Sight},
    values::{
        action::{Notify, NotifyMode, Outcome, Posted, Publish},
        entry::{Entry, Tally},
        remediation::Job,
    },
};
use findings_formatters::Message;
use jiff::Timestamp;
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
    names: Mutex<HashMap<String, String>>,
}

/// A panic elsewhere cannot have left a map half written: every write below is one insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clone for MemoryLedger {
    fn clone(&self) -> Self {
        Self {
            entries: lock(&self.entries).clone().into(),
            tallies: lock(&self.tallies).clone().into(),
            names: lock(&self.names).clone().into(),
        }
    }
}

impl MemoryLedger {
    fn sorted<K: Ord>(&self, limit: usize, key: impl Fn(&Entry) -> Option<K>) -> Vec<Entry> {
        let entries = lock(&self.entries);
        let mut found: Vec<(K, &Entry)> = entries.values().filter_map(|e| Some((key(e)?, e))).collect();
        found.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.fingerprint.cmp(&y.fingerprint)));
        found.into_iter().take(limit).map(|(_, e)| e.clone()).collect()
    }
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
        let named = entry.names.iter().map(|name| (name.clone(), entry.fingerprint.clone()));
        lock(&self.names).extend(named);
        let stored = Entry { version: entry.version + 1, names: Vec::new(), ..entry.clone() };
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

    async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        Ok(lock(&self.names).get(name).cloned())
    }

    async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        let within = |e: &Entry| (since..until).contains(&e.updated_at);
        Ok(self.sorted(limit, |e| within(e).then_some(std::cmp::Reverse(e.updated_at))))
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        Ok(self.sorted(limit, |e| e.due_at().filter(|at| *at <= now)))
    }

    async fn forget(&self, before: Timestamp) -> Result<usize, Trouble> {
        let (mut entries, mut tallies) = (lock(&self.entries), lock(&self.tallies));
        let there = entries.len();
        entries.retain(|_, e| e.updated_at >= before);
        lock(&self.names).retain(|_, fingerprint| entries.contains_key(fingerprint));
        tallies.retain(|_, t| t.items.last().is_some_and(|(at, _)| *at >= before));
        Ok(there - entries.len())
    }
}

/// A messenger that names messages and keeps none of them.
#[derive(Debug, Default)]
pub struct MemoryMessenger {
    sent: AtomicU64,
}

impl Messenger for MemoryMessenger {
    async fn send(&self, notify: &Notify, _: &Message, _: Delivery<'_>) -> Outcome {
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
    async fn start(&self, _: &Job, client_token: &str, _: &str) -> Result<Option<String>, Miss> {
        // An execution's id is a UUID too: recorded status events can name it.
        Ok(Some(client_token.to_owned()))
    }

    async fn find(&self, _: &Job, _: &str) -> Result<Option<String>, Miss> {
        Ok(None)
    }

    /// It believes what an event says: there is nobody else to ask.
    async fn look(&self, _: &Job, _: &str, said: Option<&Said>) -> Result<Sight, Miss> {
        let status = said.map_or("InProgress", |s| s.status.as_str());
        Ok(Sight { status: status.to_owned(), state: Seen::of(status), ..Sight::default() })
    }

    async fn stop(&self, _: &Job, _: &str) -> Result<(), Miss> {
        Ok(())
    }

    async fn calendars(&self, _: &Job, names: &[String], _: Timestamp) -> Result<(), String> {
        Err(format!("the change calendar {} cannot be read here", names.join(", ")))
    }
}

/// A publisher that tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryPublisher;

impl Publisher for MemoryPublisher {
    async fn publish(&self, _: &Publish, _: &serde_json::Value, _: Timestamp) -> Outcome {
        Outcome::Done(None)
    }
}
