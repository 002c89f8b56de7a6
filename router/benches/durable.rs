//! What it costs to remember durably: decisions a second with the embedded ledger, and the time of one alone. A decision is
//! one read and one compare-and-set of an entry as the router writes it. The disk decides: figures are of one machine.
#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures time and prints"
)]

use findings_router::{
    act::ports::{Ledger, Put},
    decide::{
        carrier::{self, Opened},
        config::Config,
        novelty::{Timing, advance},
        policy::{Examined, Policy, UserFiles},
    },
    ends::ledger::Embedded,
    values::{
        entry::{Card, Entry, History},
        verdict::Verdict,
    },
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Instant};

const GUARDDUTY: &str = include_str!("../../fixtures/guardduty-attack-sequence/01-compromised-credentials.json");
/// Decisions at the same time, as many messages as the daemon handles at once.
const TASKS: usize = 64;
/// Decisions of each task in a round.
const DECISIONS: usize = 200;
/// Rounds; the median is printed.
const ROUNDS: usize = 9;
/// Problems that the ledger knows before.
const KNOWN: usize = 20_000;
/// What the design asks for, a second.
const TARGET: f64 = 5_000.0;

/// An open problem that was told, with a past.
fn entry(fingerprint: &str, now: Timestamp) -> Entry {
    let policy = Policy::load(Config::default(), &UserFiles::default()).map_err(|p| p[0].to_string()).unwrap();
    let Opened::Event(mut envelope) = carrier::open(GUARDDUTY, policy.fields()) else { panic!("an event") };
    let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, now) else { panic!("with findings") };
    let one = findings.next(&envelope).unwrap();
    let Verdict::Claimed(claim) = &one.verdict else { panic!("that are claimed") };
    let playbook = &policy.playbooks[claim.playbook];
    let timing = Timing { quiet: playbook.quiet, memory: playbook.memory, threshold: None };
    let (novelty, mut entry) = advance(None, &one.finding, claim, timing, now);
    let line = |n: u64| History {
        at: now,
        times: n,
        event: "5f0b8f5e-5c3a-4a53-9a35-0f4b1b0f4c11".to_owned(),
        reporter: one.finding.reporter.clone(),
        novelty,
        severity: claim.severity,
        done: vec!["notify slack:#security post Card: done".to_owned()],
    };
    entry.history = (0..8).map(line).collect();
    entry.cards = vec![Card {
        destination: "slack:#security".to_owned(),
        message: "C0123456789:1700000000.000100".to_owned(),
        link: Some("https://example.slack.com/archives/C0123456789/p1700000000000100".to_owned()),
        storm: false,
        mentions: Vec::new(),
    }];
    fingerprint.clone_into(&mut entry.fingerprint);
    entry.updated_at = now;
    entry
}

/// Like a fingerprint: neighbours are far from each other.
fn name(n: usize) -> String {
    format!("{:032x}", (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

async fn decide(ledger: &Embedded, fingerprint: &str, now: Timestamp) {
    let known = ledger.entry(fingerprint).await.unwrap().unwrap();
    let next = Entry { updated_at: now, last_seen: now, ..known };
    assert_eq!(ledger.put_entry(&next).await, Ok(Put::Written));
}

/// So many tasks, each with decisions on problems of its own; the seconds that it took.
async fn round(ledger: &Arc<Embedded>, tasks: usize, decisions: usize, now: Timestamp) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let ledger = Arc::clone(ledger);
            tokio::spawn(async move {
                for n in 0..decisions {
                    // Problems of its own, spread over the file.
                    let known = task + TASKS * (n * 7 % (KNOWN / TASKS));
                    let at = now + SignedDuration::from_nanos(i64::try_from(n).unwrap());
                    decide(&ledger, &name(known), at).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("ledger.redb");
    let ledger = Arc::new(Embedded::open(&path).unwrap());
    let now: Timestamp = "2026-03-21T01:00:00Z".parse().unwrap();
    let one = entry("", now);
    println!("entries of {} bytes, {KNOWN} known before", serde_json::to_vec(&one).unwrap().len());
    let writes: Vec<_> = (0..KNOWN)
        .map(|n| {
            let (ledger, entry) = (Arc::clone(&ledger), Entry { fingerprint: name(n), ..one.clone() });
            tokio::spawn(async move { assert_eq!(ledger.put_entry(&entry).await, Ok(Put::Written)) })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }

    let (mut many, mut alone) = (Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        let now = now + SignedDuration::from_secs(i64::try_from(n).unwrap() + 1);
        many.push(round(&ledger, TASKS, DECISIONS, now).await);
        alone.push(round(&ledger, 1, DECISIONS, now).await);
    }
    let (all, each) = ((TASKS * DECISIONS) as f64, DECISIONS as f64);
    let rate = all / median(many);
    println!("median of {ROUNDS} rounds\n");
    println!("{rate:>9.0} durable decisions a second, {TASKS} at a time (target: at least {TARGET})");
    println!("{:>9.2} ms for one alone", median(alone) / each * 1_000.0);
    println!("{:>9.1} MB file", std::fs::metadata(&path).unwrap().len() as f64 / 1e6);
}
