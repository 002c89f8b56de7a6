//! A process that writes is killed: what it was told is durable is there, and nothing is half there.
use super::*;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Problems that the process writes, each again and again.
const PROBLEMS: usize = 8;
/// Names the ledger to the process of a test.
const PATH: &str = "FINDINGS_ROUTER_TEST_LEDGER";

/// This program again, as the process of a test: the same test, which is given a path.
pub(super) fn process(mut command: Command, test: &str, path: &Path) -> Child {
    let test = format!("ends::ledger::embedded::tests::{test}");
    command.args(["--exact", &test, "--nocapture", "--quiet"]).env(PATH, path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

pub(super) fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// The ledger of the process that a test started; none in the test itself.
#[expect(clippy::disallowed_methods, reason = "a test and its process")]
pub(super) fn path_given() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

/// What the process says of each write that it was told is durable.
#[expect(clippy::print_stdout, reason = "the parent listens")]
pub(super) fn say(fingerprint: &str, version: u64) {
    println!("\nwritten {fingerprint} {version}");
}

/// The newest version of each problem that was said to be durable.
pub(super) fn said(lines: impl BufRead) -> BTreeMap<String, u64> {
    let mut newest = BTreeMap::new();
    for line in lines.lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        if let (Some("written"), Some(of), Some(Ok(version))) =
            (words.next(), words.next(), words.next().map(str::parse))
        {
            newest.insert(of.to_owned(), version);
        }
    }
    newest
}

/// The next version of a problem: found by a name and a time of its own.
pub(super) fn version(problem: usize, version: u64) -> Entry {
    let seconds = i64::try_from(version).unwrap();
    Entry { version, names: vec![format!("{problem}:{}", version + 1)], ..sample(&problem.to_string(), at(seconds)) }
}

/// Everything that was said is there, and every look-up agrees with the entries.
pub(super) async fn is_whole(ledger: &Embedded, said: &BTreeMap<String, u64>) {
    let listed = ledger.recent(at(-1), at(100_000_000), usize::MAX).await.unwrap();
    assert!(said.len() <= listed.len());
    for (fingerprint, said) in said {
        let stored = ledger.entry(fingerprint).await.unwrap().unwrap_or_else(|| panic!("{fingerprint} was lost"));
        assert!(
            stored.version >= *said,
            "{fingerprint}: version {said} was said to be durable, {} is there",
            stored.version
        );
        assert_eq!(listed.iter().filter(|e| **e == stored).count(), 1, "{fingerprint} is listed as it is, once");
        for version in 1..=stored.version + 1 {
            let name = format!("{fingerprint}:{version}");
            let named = (version <= stored.version).then(|| fingerprint.clone());
            assert_eq!(ledger.find(&name).await, Ok(named), "{name}: names come with the write, and only with it");
        }
    }
}

/// What the process does until it is killed.
async fn write_for_ever(path: &Path) {
    let ledger = Arc::new(Embedded::open(path).unwrap());
    let tasks: Vec<_> = (0..PROBLEMS)
        .map(|problem| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                let known = ledger.entry(&problem.to_string()).await.unwrap().map_or(0, |e| e.version);
                for n in known.. {
                    assert_eq!(ledger.put_entry(&version(problem, n)).await, Ok(Put::Written));
                    say(&problem.to_string(), n + 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_nothing_is_lost() {
    if let Some(path) = path_given() {
        return write_for_ever(&path).await;
    }
    let (_folder, path) = place();
    let mut all = BTreeMap::new();
    for round in 0..6_u64 {
        let mut child = process(Command::new(this_program()), "crash::killed_at_any_moment_nothing_is_lost", &path);
        let output = BufReader::new(child.stdout.take().unwrap());
        let listener = std::thread::spawn(move || said(output));
        std::thread::sleep(Duration::from_millis(150 + 37 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        all.extend(listener.join().unwrap());
        if round % 2 == 0 {
            // Whoever only reads repairs it first.
            is_whole(&Embedded::open_to_read(&path).unwrap(), &all).await;
        }
        is_whole(&Embedded::open(&path).unwrap(), &all).await;
    }
    assert!(all.values().sum::<u64>() > 50, "the process wrote: {all:?}");
}
