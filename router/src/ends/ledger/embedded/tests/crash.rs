//! A process that writes is killed: what it was told is durable is there, and nothing is half there.
use super::*;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Problems that the process writes, each again and again.
const PROBLEMS: usize = 8;

/// This program again, as a process that does what one ignored test says, with the path on its input.
pub(super) fn process(mut command: Command, test: &str, path: &Path) -> Child {
    let test = format!("ends::ledger::embedded::tests::{test}");
    command.args(["--exact", &test, "--ignored", "--nocapture", "--quiet"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(path.to_str().unwrap().as_bytes()).unwrap();
    child
}

pub(super) fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// The path on the input; none when somebody runs the ignored tests by hand.
pub(super) fn path_given() -> Option<PathBuf> {
    let mut path = String::new();
    std::io::stdin().read_line(&mut path).ok()?;
    (!path.is_empty()).then(|| path.into())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that is killed"]
async fn writer() {
    let Some(path) = path_given() else { return };
    let ledger = Arc::new(Embedded::open(&path).unwrap());
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

#[tokio::test]
async fn killed_at_any_moment_nothing_is_lost() {
    let (_folder, path) = place();
    let mut all = BTreeMap::new();
    for round in 0..6_u64 {
        let mut child = process(Command::new(this_program()), "crash::writer", &path);
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
