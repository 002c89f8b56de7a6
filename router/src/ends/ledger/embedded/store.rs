//! The file: its tables, how it is opened, and opened again after a disk that failed.
use crate::{act::ports::Trouble, values::entry::SCHEMA};
use redb::{
    Builder, ConcurrencyMode, Database, Error, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TableDefinition,
    TableHandle,
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

/// Version, when it was last written, when it is due, JSON; instants in nanoseconds.
pub(super) type EntryRow = (u64, i128, Option<i128>, &'static [u8]);
/// An instant, and what it is about.
pub(super) type IndexKey = (i128, &'static str);

pub(super) const ENTRIES: TableDefinition<'_, &str, EntryRow> = TableDefinition::new("entries");
/// When entries were last written.
pub(super) const TIMES: TableDefinition<'_, IndexKey, ()> = TableDefinition::new("times");
/// When entries are due; those that are not are not here.
pub(super) const DUE: TableDefinition<'_, IndexKey, ()> = TableDefinition::new("due");
/// The fingerprint that a name stands for.
pub(super) const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
/// Fingerprint and name, to forget the names of an entry with it.
pub(super) const NAMED: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("named");
/// Version, newest item, JSON.
pub(super) const TALLIES: TableDefinition<'_, &str, (u64, i128, &[u8])> = TableDefinition::new("tallies");
/// The newest items of tallies.
pub(super) const TALLY_TIMES: TableDefinition<'_, IndexKey, ()> = TableDefinition::new("tally-times");
/// What wrote the file.
const META: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
const SCHEMA_KEY: &str = "schema";

/// The file's pages that are kept in memory: enough for what a busy day talks about.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the file, however that is done: tests open it on a disk that fails.
pub(super) type Opener = Box<dyn Fn() -> Result<Handle, redb::DatabaseError> + Send + Sync>;

/// The open file.
pub(super) enum Handle {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// The file and its place; closed while it is broken, with the reason.
pub(super) struct Store {
    path: PathBuf,
    opener: Opener,
    handle: RwLock<Result<Handle, Trouble>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Others may read beside the writer, and a crash is repaired without walking the file (see `writer`).
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter).set_cache_size(CACHE_BYTES);
    builder
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let is_new = !path.exists();
        let owned = path.to_owned();
        let store = Self::opened(path, Box::new(move || builder().create(&owned).map(Handle::Write)))?;
        if is_new {
            keep_in_folder(path).map_err(|e| refusal(path, &Error::Io(e)))?;
        }
        Ok(store)
    }

    pub(super) fn open_to_read(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            return Err(format!("the ledger {} is not there: it is made when `serve` first runs", path.display()));
        }
        let owned = path.to_owned();
        let opener: Opener = Box::new(move || match builder().open_read_only(&owned) {
            // A crash left it to be repaired, which takes a writer; nobody else is one.
            Err(redb::DatabaseError::RepairAborted) => {
                drop(builder().open(&owned)?);
                builder().open_read_only(&owned).map(Handle::Read)
            }
            opened => opened.map(Handle::Read),
        });
        Self::opened(path, opener)
    }

    /// Opens it, and makes sure that it is a ledger that we understand.
    pub(super) fn opened(path: &Path, opener: Opener) -> Result<Self, String> {
        let handle = opener().map_err(|e| refusal(path, &e.into()))?;
        let schema = match &handle {
            Handle::Write(file) => made(file),
            Handle::Read(file) => file.begin_read().map_err(Error::from).and_then(|file| schema(&file)),
        };
        match schema.map_err(|e| refusal(path, &e))? {
            Some(SCHEMA) => Ok(Self { path: path.to_owned(), opener, handle: RwLock::new(Ok(handle)) }),
            Some(other) => Err(format!(
                "{}: the ledger has schema {other}, and this router knows schema {SCHEMA}: update the router",
                path.display()
            )),
            None => Err(not_a_ledger(path)),
        }
    }

    /// What went wrong, with the place.
    pub(super) fn trouble(&self, what: &str) -> Trouble {
        Trouble(format!("the ledger {} {what}", self.path.display()))
    }

    /// Reads as of now.
    pub(super) fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, Error>) -> Result<T, Trouble> {
        self.with(|handle| {
            let file = match handle {
                Handle::Write(file) => file.begin_read()?,
                Handle::Read(file) => file.begin_read()?,
            };
            read(&file)
        })
    }

    /// Writes; nobody but the thread does.
    pub(super) fn write<T>(&self, write: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Trouble> {
        self.with(|handle| match handle {
            Handle::Write(file) => write(file),
            Handle::Read(_) => Err(Error::Unsupported),
        })
    }

    /// Uses the file. What failed on the disk makes it useless until it is opened again, so that is done at once, or else
    /// by whoever comes next.
    fn with<T>(&self, act: impl FnOnce(&Handle) -> Result<T, Error>) -> Result<T, Trouble> {
        let is_closed = self.handle.read().unwrap_or_else(PoisonError::into_inner).is_err();
        if is_closed {
            self.open_again();
        }
        let result = match &*self.handle.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(handle) => act(handle),
            Err(why) => return Err(why.clone()),
        };
        result.map_err(|error| {
            if matches!(error, Error::Io(_) | Error::PreviousIo | Error::DatabaseClosed | Error::LockPoisoned(_)) {
                self.open_again();
            }
            Trouble(refusal(&self.path, &error))
        })
    }

    fn open_again(&self) {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the old one holds the lock.
        *handle = Err(self.trouble("is being opened again"));
        *handle = (self.opener)().map_err(|e| Trouble(refusal(&self.path, &e.into())));
    }
}

/// The schema, written first where the file is new; none where it is not a ledger.
fn made(file: &Database) -> Result<Option<u32>, Error> {
    let known = file.begin_read()?;
    if let Some(schema) = schema(&known)? {
        return Ok(Some(schema));
    }
    if known.list_tables()?.any(|table| table.name() != META.name()) {
        return Ok(None);
    }
    let tables = file.begin_write()?;
    tables.open_table(META)?.insert(SCHEMA_KEY, SCHEMA)?;
    for index in [TIMES, DUE, TALLY_TIMES] {
        tables.open_table(index)?;
    }
    tables.open_table(ENTRIES)?;
    tables.open_table(NAMES)?;
    tables.open_table(NAMED)?;
    tables.open_table(TALLIES)?;
    tables.commit()?;
    Ok(Some(SCHEMA))
}

fn schema(file: &ReadTransaction) -> Result<Option<u32>, Error> {
    match file.open_table(META) {
        Ok(meta) => Ok(meta.get(SCHEMA_KEY)?.map(|row| row.value())),
        Err(redb::TableError::TableDoesNotExist(_) | redb::TableError::TableTypeMismatch { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A new file is there after a crash only when its folder says so durably.
fn keep_in_folder(path: &Path) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "an end that keeps a file")]
    let open = std::fs::File::open;
    if cfg!(unix) { open(folder(path))?.sync_all() } else { Ok(()) }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn not_a_ledger(path: &Path) -> String {
    format!(
        "{} is not a ledger: [ledger] file = … must name a ledger's file, or one that is not there yet",
        path.display()
    )
}

/// What is wrong with the file, and what to do.
fn refusal(path: &Path, error: &Error) -> String {
    let path_shown = path.display();
    match error {
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => format!(
            "{path_shown} is in use by another process (is another `serve` running?); several consumers need a DynamoDB \
             ledger: [ledger] table = …"
        ),
        Error::TableTypeMismatch { .. } | Error::TableDoesNotExist(_) => not_a_ledger(path),
        Error::UpgradeRequired(_) => format!("{path_shown} was written by another version of the router: {error}"),
        Error::Corrupted(_) => format!(
            "the ledger {path_shown} is damaged ({error}): put a copy of it back, or move it away to begin anew; what was \
             told before is then told again"
        ),
        Error::Io(e) => match e.kind() {
            io::ErrorKind::NotFound => {
                format!(
                    "{}: there is no such folder for the ledger; make it, or change [ledger] file",
                    folder(path).display()
                )
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!(
                    "the ledger {path_shown} cannot be written by this user ({e}): change its owner, or [ledger] file"
                )
            }
            io::ErrorKind::IsADirectory => {
                format!(
                    "{path_shown} is a folder: [ledger] file = … must name the file in it, such as findings-router.ledger"
                )
            }
            io::ErrorKind::InvalidData => not_a_ledger(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                format!(
                    "the ledger {path_shown} has no room to grow ({e}): make room, and the router goes on by itself"
                )
            }
            _ => format!("the ledger {path_shown} cannot be used: {e}"),
        },
        _ => format!("the ledger {path_shown} cannot be used: {error}"),
    }
}
