//! Disks that fail: what is written fails with the reason, nothing is half written, and it goes on when the disk does.
use super::{
    crash::{is_whole, path_given, process, said, say, this_program, version},
    *,
};
use crate::ends::ledger::embedded::store::{Handle, Store, builder};
use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, BufReader},
    ops::Bound,
    process::Command,
    sync::atomic::{AtomicI64, Ordering::SeqCst},
};

/// A disk with room for so many more writes.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    room: Arc<AtomicI64>,
}

impl Disk {
    fn take(&self) -> io::Result<()> {
        if self.room.fetch_sub(1, SeqCst) > 0 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.take()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.take()?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take()?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }
    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

const PLENTY: i64 = i64::MAX / 2;

fn on_disk(path: &Path, room: &Arc<AtomicI64>) -> Embedded {
    let (owned, room) = (path.to_owned(), Arc::clone(room));
    let open = move || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&owned)?;
        let disk = Disk { file: FileBackend::new(file)?, room: Arc::clone(&room) };
        builder().create_with_backend(disk).map(Handle::Write)
    };
    Embedded::start(Store::opened(path, Box::new(open)).unwrap()).unwrap()
}

/// The disk fills up after each possible number of writes of a commit in turn.
#[tokio::test]
async fn a_disk_that_fills_up_at_any_write_is_waited_for() {
    let (_folder, path) = place();
    let room = Arc::new(AtomicI64::new(PLENTY));
    let ledger = on_disk(&path, &room);
    let (mut durable, mut failures) = (0, 0);
    for left in 0..40 {
        room.store(left, SeqCst);
        match ledger.put_entry(&version(0, durable)).await {
            Ok(put) => {
                assert_eq!(put, Put::Written, "nobody else writes");
                durable += 1;
            }
            Err(Trouble(why)) => {
                failures += 1;
                assert!(why.contains("no room to grow") && why.contains("make room"), "{why}");
                // Still full: the same again, or what is there.
                if let Err(Trouble(why)) = ledger.entry("0").await {
                    assert!(why.contains("make room"), "{why}");
                }
            }
        }
        room.store(PLENTY, SeqCst);
        let stored = ledger.entry("0").await.expect("it goes on by itself").map_or(0, |e| e.version);
        // What became of a write that failed is not known; but it is whole.
        assert!(stored == durable || stored == durable + 1, "{stored} after {durable}");
        durable = stored;
        is_whole(&ledger, &BTreeMap::from([("0".to_owned(), stored)]).into_iter().filter(|(_, v)| *v > 0).collect())
            .await;
    }
    assert!(failures > 5 && durable > 5, "{failures} failures, {durable} writes");
    drop(ledger);
    let ledger = Embedded::open(&path).unwrap();
    is_whole(&ledger, &BTreeMap::from([("0".to_owned(), durable)])).await;
}

/// What the process does whose file may not grow.
async fn write_until_full(path: &Path) {
    let ledger = Embedded::open(path).unwrap();
    let mut written = BTreeMap::new();
    for problem in 0.. {
        match ledger.put_entry(&version(problem, 0)).await {
            Ok(put) => {
                assert_eq!(put, Put::Written);
                written.insert(problem.to_string(), 1);
                say(&problem.to_string(), 1);
            }
            Err(Trouble(why)) => {
                assert!(why.contains("make room"), "{why}");
                break;
            }
        }
    }
    is_whole(&ledger, &written).await;
    say("read-when-full", 1);
}

/// What the operating system itself refuses: a file that may not grow.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_grow_is_read_all_the_same() {
    if let Some(path) = path_given() {
        return write_until_full(&path).await;
    }
    let (_folder, path) = place();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""]).arg(this_program());
    let mut child = process(limited, "disk::a_file_that_may_not_grow_is_read_all_the_same", &path);
    let mut said = said(BufReader::new(child.stdout.take().unwrap()));
    assert!(child.wait().unwrap().success(), "{said:?}");
    assert_eq!(said.remove("read-when-full"), Some(1), "it was read while it could not be written");
    assert!(said.len() > 20, "{said:?}");
    let ledger = Embedded::open(&path).unwrap();
    is_whole(&ledger, &said).await;
    assert_eq!(ledger.put_entry(&version(1_000_000, 0)).await, Ok(Put::Written), "there is room again");
}
