//! The crash table: for every story and every n, the n-th call of a port goes wrong, before or after it took effect. The
//! message comes again, and what is left in the end is what an undisturbed run leaves.
use super::{
    router::tests,
    world::{Fault, Sent, World, drain, now_or_never, router},
};
use crate::{
    decide::{
        corpus,
        policy::{Policy, UserFiles},
    },
    testing::{at, config},
    values::{action::Disposition, entry::Entry},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const FAULTS: [Fault; 7] =
    [Fault::Later, Fault::Lost, Fault::Conflict, Fault::Trouble, Fault::TroubleAfter, Fault::Crash, Fault::CrashAfter];

/// Two channels, a bus, and everything started that may be; a window that no redelivery reaches out of.
const CONFIG: &str = "
[accounts.\"111122223333\"]
environment = 'production'
[accounts.\"444455556666\"]
environment = 'production'
[[route]]
to = ['slack:#security', 'slack:#soc']
[storm]
window = '1000d'
[publish]
bus = 'security'
[remediation]
mode = 'automatic'
accounts = ['111122223333', '444455556666']
effects = { production = 'destructive' }
environments = { production = 'automatic' }
";

/// Long after everything.
fn end_of_time() -> Timestamp {
    at(0) + SignedDuration::from_hours(24 * 3_650)
}

/// What is left when all that is due is done.
#[derive(Debug, PartialEq)]
struct End {
    /// Every message with what it says in the end, sorted: `post #security Card`.
    channel: Vec<(String, String)>,
    executions: usize,
    entries: Vec<String>,
}

fn end(policy: &Policy, world: &World) -> End {
    let quiet = World {
        ledger: world.ledger.clone(),
        channel: std::mem::take(&mut *world.channel.lock().unwrap()).into(),
        started: std::mem::take(&mut *world.started.lock().unwrap()).into(),
        ..World::default()
    };
    for day in 0..6 {
        let now = end_of_time() + SignedDuration::from_hours(48 * day);
        let ticked = now_or_never(router(policy, (&quiet, &quiet, &quiet)).tick(now)).unwrap();
        assert_eq!(ticked.unwrap().errors, [""; 0]);
    }
    let mut channel: Vec<_> =
        quiet.channel.lock().unwrap().iter().map(|m| (m.what.clone(), without_latest(&of_problem(m)))).collect();
    channel.sort();
    let entries =
        now_or_never(crate::act::ports::Ledger::recent(&quiet.ledger, Timestamp::MIN, Timestamp::MAX, 10_000));
    let mut entries: Vec<String> = entries.unwrap().unwrap().iter().map(known).collect();
    entries.sort();
    End { channel, executions: quiet.executions(), entries }
}

/// How lines begin that tell of a remediation.
const MARKS: [&str; 7] = ["🔧", "⛔", "🚫", "❌", "⚠", "✅ Applied", "✅ Undone"];

/// What a text says of the problem: how far a remediation had got when it was resolved is not the same after a fault.
fn of_problem(message: &Sent) -> String {
    let text = &message.text;
    if message.what.ends_with(" Remediation") {
        return text.clone();
    }
    let (title, blocks) = text.split_once('\n').unwrap_or((text, "[]"));
    let mut blocks: serde_json::Value = serde_json::from_str(blocks).unwrap();
    for block in blocks.as_array_mut().unwrap() {
        if let Some(serde_json::Value::String(text)) = block.pointer_mut("/text/text") {
            *text = text.lines().filter(|l| !MARKS.iter().any(|m| l.starts_with(m))).collect::<Vec<_>>().join("\n");
        }
    }
    blocks.as_array_mut().unwrap().retain(|b| b.pointer("/text/text").is_none_or(|t| t != ""));
    format!("{title}\n{blocks}")
}

/// Which finding a storm's card names as the latest depends on what came again last.
fn without_latest(text: &str) -> String {
    let Some((before, after)) = text.split_once("Latest (") else { return text.to_owned() };
    format!("{before}{}", after.split_once('"').map_or("", |(_, rest)| rest))
}

/// What an entry says, without when and in which order it was told.
fn known(entry: &Entry) -> String {
    assert!(entry.owed.is_empty(), "{} still owes {:?}", entry.fingerprint, entry.owed);
    let busy = entry.remediations.iter().find(|r| r.progress.is_busy() || r.claimed.is_some());
    assert!(busy.is_none() && entry.news.is_empty(), "{} is not done: {busy:?} {:?}", entry.fingerprint, entry.news);
    let mut cards: Vec<_> = entry.cards.iter().map(|c| (&c.destination, c.storm)).collect();
    cards.sort();
    let Entry { fingerprint, episode, state, severity, reports, actors, waiting, .. } = entry;
    format!("{fingerprint} {episode} {state:?} {severity} {cards:?} {reports:?} {actors:?} {waiting:?}")
}

/// How many messages are there beside those of the undisturbed run; fails where one is missing.
fn doubled(got: &[(String, String)], expected: &[(String, String)], what: &str) -> usize {
    // Which steps a reply told depends on how far a remediation had got; none is told twice.
    let (steps, mut rest): (Vec<_>, Vec<_>) = got.iter().partition(|m| m.0.ends_with(" Remediation"));
    let twice = steps.iter().enumerate().filter(|(at, step)| steps[..*at].contains(step)).count();
    for one in expected.iter().filter(|m| !m.0.ends_with(" Remediation")) {
        let at = rest.iter().position(|r| *r == one);
        assert!(at.is_some(), "{what}: lost or not kept true:\n{one:#?}\nleft over: {rest:#?}");
        rest.remove(at.unwrap());
    }
    rest.len() + twice
}

/// Every fault at every call of one story.
fn table(policy: &Policy, name: &str, story: &[(i64, String)]) -> usize {
    let calm = World::default();
    drain(policy, &calm, story);
    let calls: Range<usize> = 1..*calm.calls.lock().unwrap() + 1;
    let expected = end(policy, &calm);
    let mut fallen = 0;
    for n in calls {
        for fault in FAULTS {
            // Whoever can look whether a message is there doubles none; whoever cannot, one at most.
            let unsure = !matches!(fault, Fault::Later | Fault::Conflict);
            for blind in [false, true].into_iter().filter(|blind| unsure || !blind) {
                let world = World { blind, ..World::breaking(n, fault) };
                let told = drain(policy, &world, story);
                let Some(port) = *world.fell.lock().unwrap() else { break };
                fallen += 1;
                let what = format!("{name}: {fault:?} at call {n} ({port}){}", if blind { ", blind" } else { "" });
                let got = end(policy, &world);
                let more = doubled(&got.channel, &expected.channel, &what);
                assert!(more <= usize::from(blind), "{what}: {more} doubled: {:#?}", world.sent());
                // What was resolved before it began is withdrawn.
                assert!(got.executions <= expected.executions, "{what}: remediated once per opening");
                assert_eq!(got.entries, expected.entries, "{what}");
                let rejected = told.iter().flatten().any(|h| h.disposition() == Disposition::Reject);
                let calmly = name.contains("broken");
                assert!(!rejected || calmly, "{what}: rejected");
            }
        }
    }
    fallen
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures of the README come from here")]
fn every_fixture_survives_every_fault_at_every_call() {
    let policy = Policy::load(config(CONFIG), &UserFiles::default()).unwrap();
    let mut stories: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    // Those of `types-…` are one event each, and what becomes of one in the other stories is the same for them.
    let stories_only = |(path, _): &(String, String)| !path.starts_with("types-");
    for (path, text) in corpus::events(&policy).into_iter().filter(stories_only) {
        let folder = path.split('/').next().unwrap_or_default().to_owned();
        let time = serde_json::from_str::<serde_json::Value>(&text).unwrap()["time"].as_str().map(str::to_owned);
        let seconds = time.and_then(|t| t.parse::<Timestamp>().ok()).map_or(0, |t| t.as_second() - at(0).as_second());
        stories.entry(folder).or_default().push((seconds, text));
    }
    let fallen = in_parallel(&stories.into_iter().collect::<Vec<_>>(), |(name, story)| table(&policy, name, story));
    eprintln!("{fallen} faults");
    assert!(fallen > 10_000, "{fallen} faults");
}

#[test]
fn a_whole_life_survives_every_fault_at_every_call() {
    let fallen = table(&tests::policy(), "life", &tests::story());
    assert!(fallen > 400, "{fallen} faults");
}

/// The sum over all, on every core.
fn in_parallel<T: Sync>(all: &[T], each: impl Fn(&T) -> usize + Sync) -> usize {
    let next = AtomicUsize::new(0);
    let work = || std::iter::from_fn(|| all.get(next.fetch_add(1, Ordering::Relaxed))).map(&each).sum::<usize>();
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum()
    })
}
