//! The embedded ledger: one crash-safe file, written by one process and read by any number beside it.
//!
//! One thread writes. It takes everything that waits into one transaction, so that what costs time, making it durable, is
//! paid once for many decisions. Reads go straight to the file's cache: they wait for no write.
mod store;
#[cfg(test)]
mod tests;
mod writer;

use crate::{
    act::ports::{Ledger, Put, Trouble},
    values::entry::{Entry, Tally},
};
use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable};
use std::{path::Path, sync::Arc, thread::JoinHandle};
use store::{DUE, ENTRIES, NAMES, Store, TALLIES, TIMES};
use tokio::sync::{mpsc, oneshot};
use writer::{Forgotten, Indexed, Job, Write};

/// Writes that wait for the thread; more wait for a place.
const WAITING_MAX: usize = 1_024;

/// The ledger in one file. When it is dropped, what was handed in is written and the file is closed.
#[derive(Debug)]
pub struct Embedded {
    store: Arc<Store>,
    /// None where it was opened to read.
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl Embedded {
    /// Opens the file, or makes it. One process at a time; the error says what to do.
    pub fn open(path: &Path) -> Result<Self, String> {
        Self::start(Store::open(path)?)
    }

    /// Opens the file to read it, beside the process that writes it. Writes fail.
    pub fn open_to_read(path: &Path) -> Result<Self, String> {
        Ok(Self { store: Arc::new(Store::open_to_read(path)?), writer: None })
    }

    fn start(store: Store) -> Result<Self, String> {
        let store = Arc::new(store);
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn({
            let store = Arc::clone(&store);
            move || writer::run(&store, waiting)
        });
        let thread = thread.map_err(|e| format!("the ledger's thread could not be started: {e}"))?;
        Ok(Self { store, writer: Some(Writer { jobs, thread }) })
    }

    /// Hands a job to the thread and waits for what became of it.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, Trouble>>) -> Job) -> Result<T, Trouble> {
        let Some(writer) = &self.writer else { return Err(self.store.trouble("is opened to read, not to write")) };
        let gone = || self.store.trouble("is not written any more: restart the router");
        let (answer, answered) = oneshot::channel();
        writer.jobs.send(job(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    fn json<T: serde::Serialize>(&self, what: &str, value: &T) -> Result<Vec<u8>, Trouble> {
        serde_json::to_vec(value).map_err(|e| self.store.trouble(&format!("cannot hold {what}: {e}")))
    }

    fn parsed<T: serde::de::DeserializeOwned>(&self, what: &str, json: &[u8]) -> Result<T, Trouble> {
        serde_json::from_slice(json)
            .map_err(|e| self.store.trouble(&format!("holds {what}, which cannot be read: {e}")))
    }

    /// The entries with these fingerprints, as one transaction sees them.
    fn entries(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<Vec<Vec<u8>>, redb::Error>,
    ) -> Result<Vec<Entry>, Trouble> {
        let found = self.store.read(read)?;
        found.iter().map(|json| self.parsed("an entry", json)).collect()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(Writer { jobs, thread }) = self.writer.take() {
            drop(jobs);
            // A thread that panicked said so itself.
            _ = thread.join();
        }
    }
}

impl Ledger for Embedded {
    async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
        let json = self.store.read(|file| {
            let row = file.open_table(ENTRIES)?.get(fingerprint)?;
            Ok(row.map(|row| row.value().3.to_vec()))
        })?;
        json.map(|json| self.parsed(fingerprint, &json)).transpose()
    }

    async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
        // Numbered here, so that the thread does not turn JSON.
        let stored = Entry { version: entry.version + 1, names: Vec::new(), ..entry.clone() };
        let write = Write {
            key: entry.fingerprint.clone(),
            version: entry.version,
            at: entry.updated_at.as_nanosecond(),
            json: self.json(&entry.fingerprint, &stored)?,
        };
        let indexed = Indexed { due: entry.due_at().map(Timestamp::as_nanosecond), names: entry.names.clone() };
        self.ask(|answer| Job::Entry(write, indexed, answer)).await
    }

    async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
        let json = self.store.read(|file| {
            let row = file.open_table(TALLIES)?.get(key)?;
            Ok(row.map(|row| row.value().2.to_vec()))
        })?;
        json.map_or_else(|| Ok(Tally::new(key)), |json| self.parsed(key, &json))
    }

    async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
        let stored = Tally { version: tally.version + 1, ..tally.clone() };
        let write = Write {
            key: tally.key.clone(),
            version: tally.version,
            at: tally.items.last().map_or(i128::MIN, |(at, _)| at.as_nanosecond()),
            json: self.json(&tally.key, &stored)?,
        };
        self.ask(|answer| Job::Tally(write, answer)).await
    }

    async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        self.store.read(|file| Ok(file.open_table(NAMES)?.get(name)?.map(|row| row.value().to_owned())))
    }

    async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        if since >= until {
            return Ok(Vec::new());
        }
        self.entries(|file| {
            let (times, entries) = (file.open_table(TIMES)?, file.open_table(ENTRIES)?);
            let within = times.range((since.as_nanosecond(), "")..(until.as_nanosecond(), ""))?;
            within.rev().take(limit).filter_map(|row| listed(&entries, row)).collect()
        })
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        self.entries(|file| {
            let (due, entries) = (file.open_table(DUE)?, file.open_table(ENTRIES)?);
            let come = due.range(..(now.as_nanosecond() + 1, ""))?;
            come.take(limit).filter_map(|row| listed(&entries, row)).collect()
        })
    }

    async fn forget(&self, before: Timestamp) -> Result<usize, Trouble> {
        let mut forgotten = 0;
        loop {
            let Forgotten { entries, more } = self.ask(|answer| Job::Forget(before.as_nanosecond(), answer)).await?;
            forgotten += entries;
            if !more {
                return Ok(forgotten);
            }
        }
    }
}

/// The JSON of the entry that a row of an index names.
fn listed(
    entries: &impl ReadableTable<&'static str, store::EntryRow>,
    row: Result<(redb::AccessGuard<'_, store::IndexKey>, redb::AccessGuard<'_, ()>), redb::StorageError>,
) -> Option<Result<Vec<u8>, redb::Error>> {
    let json = row.and_then(|(key, _)| Ok(entries.get(key.value().1)?.map(|row| row.value().3.to_vec())));
    json.map_err(redb::Error::from).transpose()
}
