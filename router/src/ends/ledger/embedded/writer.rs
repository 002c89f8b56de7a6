//! The thread that writes: many jobs, one transaction.
use super::store::{DUE, ENTRIES, EntryRow, IndexKey, NAMED, NAMES, Store, TALLIES, TALLY_TIMES, TIMES};
use crate::act::ports::{Put, Trouble};
use redb::{Database, Error, ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

/// Jobs of one transaction: what comes after waits no longer than these take.
const JOBS_MAX: usize = 256;
/// Entries, and tallies, that one job forgets, so that writes do not wait for all.
const FORGET_MAX: usize = 500;

/// What is compared, set and indexed.
pub(super) struct Write {
    pub(super) key: String,
    /// The one that was read.
    pub(super) version: u64,
    pub(super) at: i128,
    /// Of the next version.
    pub(super) json: Vec<u8>,
}

/// What else an entry is found by.
pub(super) struct Indexed {
    pub(super) due: Option<i128>,
    pub(super) names: Vec<String>,
}

/// How much was forgotten.
pub(super) struct Forgotten {
    pub(super) entries: usize,
    /// Ask again.
    pub(super) more: bool,
}

type Answer<T> = oneshot::Sender<Result<T, Trouble>>;

/// One thing to write, and whom to tell what became of it.
pub(super) enum Job {
    Entry(Write, Indexed, Answer<Put>),
    Tally(Write, Answer<Put>),
    Forget(i128, Answer<Forgotten>),
}

/// What became of a job, if the transaction is committed.
enum Done {
    Put(Put),
    Forgotten(Forgotten),
}

/// Writes until nobody can hand in jobs any more.
pub(super) fn run(store: &Store, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(JOBS_MAX);
    while waiting.blocking_recv_many(&mut jobs, JOBS_MAX) > 0 {
        match store.write(|file| commit(file, &jobs)) {
            Ok(done) => jobs.drain(..).zip(done).for_each(|(job, done)| answer(job, Ok(done))),
            Err(trouble) => jobs.drain(..).for_each(|job| answer(job, Err(trouble.clone()))),
        }
    }
}

/// Who no longer listens is not told.
fn answer(job: Job, done: Result<Done, Trouble>) {
    match (job, done) {
        (Job::Entry(.., answer) | Job::Tally(_, answer), Ok(Done::Put(put))) => _ = answer.send(Ok(put)),
        (Job::Forget(_, answer), Ok(Done::Forgotten(forgotten))) => _ = answer.send(Ok(forgotten)),
        (Job::Entry(.., answer) | Job::Tally(_, answer), Err(trouble)) => _ = answer.send(Err(trouble)),
        (Job::Forget(_, answer), Err(trouble)) => _ = answer.send(Err(trouble)),
        // Each job has its own kind of end.
        (Job::Entry(..) | Job::Tally(..), Ok(Done::Forgotten(_))) | (Job::Forget(..), Ok(Done::Put(_))) => {}
    }
}

/// All of them or none; each sees those before it.
fn commit(file: &Database, jobs: &[Job]) -> Result<Vec<Done>, Error> {
    let mut transaction = file.begin_write()?;
    // A crash is then repaired at once, however large the file is. It costs a little of each commit; that one of these takes
    // two trips to the disk is so anyway where others may read.
    transaction.set_quick_repair(true);
    let done = {
        let mut tables = Tables::open(&transaction)?;
        jobs.iter().map(|job| tables.apply(job)).collect::<Result<Vec<Done>, Error>>()?
    };
    if done.iter().all(|done| matches!(done, Done::Put(Put::Conflict))) {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(done)
}

struct Tables<'t> {
    entries: Table<'t, &'static str, EntryRow>,
    times: Table<'t, IndexKey, ()>,
    due: Table<'t, IndexKey, ()>,
    names: Table<'t, &'static str, &'static str>,
    named: Table<'t, (&'static str, &'static str), ()>,
    tallies: Table<'t, &'static str, (u64, i128, &'static [u8])>,
    tally_times: Table<'t, IndexKey, ()>,
}

impl<'t> Tables<'t> {
    fn open(file: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            entries: file.open_table(ENTRIES)?,
            times: file.open_table(TIMES)?,
            due: file.open_table(DUE)?,
            names: file.open_table(NAMES)?,
            named: file.open_table(NAMED)?,
            tallies: file.open_table(TALLIES)?,
            tally_times: file.open_table(TALLY_TIMES)?,
        })
    }

    fn apply(&mut self, job: &Job) -> Result<Done, Error> {
        match job {
            Job::Entry(write, indexed, _) => self.put_entry(write, indexed).map(Done::Put),
            Job::Tally(write, _) => self.put_tally(write).map(Done::Put),
            Job::Forget(before, _) => self.forget(*before).map(Done::Forgotten),
        }
    }

    fn put_entry(&mut self, write: &Write, indexed: &Indexed) -> Result<Put, Error> {
        let key = write.key.as_str();
        let old = self.entries.get(key)?.map(|row| {
            let (version, at, due, _) = row.value();
            (version, at, due)
        });
        if old.map_or(0, |(version, ..)| version) != write.version {
            return Ok(Put::Conflict);
        }
        let (old_at, old_due) = old.map_or((None, None), |(_, at, due)| (Some(at), due));
        moved(&mut self.times, key, old_at, Some(write.at))?;
        moved(&mut self.due, key, old_due, indexed.due)?;
        for name in indexed.names.iter().map(String::as_str) {
            let before = self.names.insert(name, key)?.map(|row| row.value().to_owned());
            if let Some(before) = before.filter(|before| before != key) {
                self.named.remove((before.as_str(), name))?;
            }
            self.named.insert((key, name), ())?;
        }
        self.entries.insert(key, (write.version + 1, write.at, indexed.due, write.json.as_slice()))?;
        Ok(Put::Written)
    }

    fn put_tally(&mut self, write: &Write) -> Result<Put, Error> {
        let key = write.key.as_str();
        let old = self.tallies.get(key)?.map(|row| (row.value().0, row.value().1));
        if old.map_or(0, |(version, _)| version) != write.version {
            return Ok(Put::Conflict);
        }
        moved(&mut self.tally_times, key, old.map(|(_, at)| at), Some(write.at))?;
        self.tallies.insert(key, (write.version + 1, write.at, write.json.as_slice()))?;
        Ok(Put::Written)
    }

    fn forget(&mut self, before: i128) -> Result<Forgotten, Error> {
        let entries = oldest(&self.times, before)?;
        for (at, key) in &entries {
            self.times.remove((*at, key.as_str()))?;
            let due = self.entries.remove(key.as_str())?.and_then(|row| row.value().2);
            moved(&mut self.due, key, due, None)?;
            self.forget_names(key)?;
        }
        let tallies = oldest(&self.tally_times, before)?;
        for (at, key) in &tallies {
            self.tally_times.remove((*at, key.as_str()))?;
            self.tallies.remove(key.as_str())?;
        }
        Ok(Forgotten { entries: entries.len(), more: entries.len().max(tallies.len()) == FORGET_MAX })
    }

    fn forget_names(&mut self, key: &str) -> Result<(), Error> {
        let mut names = Vec::new();
        for row in self.named.range((key, "")..)? {
            let (row, _) = row?;
            match row.value() {
                (of, name) if of == key => names.push(name.to_owned()),
                _ => break,
            }
        }
        for name in &names {
            self.named.remove((key, name.as_str()))?;
            self.names.remove(name.as_str())?;
        }
        Ok(())
    }
}

/// Moves a row of an index.
fn moved(index: &mut Table<'_, IndexKey, ()>, key: &str, from: Option<i128>, to: Option<i128>) -> Result<(), Error> {
    if from != to {
        if let Some(at) = from {
            index.remove((at, key))?;
        }
        if let Some(at) = to {
            index.insert((at, key), ())?;
        }
    }
    Ok(())
}

/// What an index has from before, as many as are forgotten at once.
fn oldest(index: &Table<'_, IndexKey, ()>, before: i128) -> Result<Vec<(i128, String)>, Error> {
    let rows = index.range(..(before, ""))?.take(FORGET_MAX);
    rows.map(|row| row.map(|(key, _)| (key.value().0, key.value().1.to_owned())).map_err(Error::from)).collect()
}
