//! Remediations carried out in a world of which anything may go wrong: once, whoever asks however often, and whoever dies.
use super::*;
use crate::{
    act::{
        router::tests::{policy, policy_of},
        world::{Fault, World, handle, now_or_never, router},
    },
    decide::{policy::Policy, remediation::Refusal},
    testing::{Dice, at, guardduty},
    values::entry::State,
};
use std::collections::BTreeSet;

const APPROVE: &str = "
[accounts.\"111122223333\"]
environment = 'production'
[[route]]
to = ['slack:#security']
[publish]
bus = 'security'
[remediation]
mode = 'approve'
accounts = ['111122223333']
cooldown = '1m'
budget = { starts = 1000 }
breaker = { failures = 100 }
[remediation.approval]
approvers.'*' = ['U0ALICE']
";

fn event(instance: u32, second: i64, archived: bool) -> String {
    guardduty("Test:EC2/Mining", instance, second, "5", archived)
}

fn deliver(policy: &Policy, world: &World, text: &str, now: i64) {
    now_or_never(handle(policy, (world, world, world), text, at(now)));
}

fn tick(policy: &Policy, world: &World, now: i64) {
    let _ = now_or_never(router(policy, (world, world, world)).tick(at(now)));
}

fn entries(world: &World) -> Vec<Entry> {
    now_or_never(world.ledger.recent(Timestamp::MIN, Timestamp::MAX, 1_000)).unwrap().unwrap()
}

fn only(world: &World) -> Remediation {
    entries(world)[0].remediations[0].clone()
}

fn ask_as(policy: &Policy, world: &World, who: &str, what: Ask, now: i64) -> Option<Result<(), Refusal>> {
    let remediation = only(world);
    let person = Person { id: who.to_owned(), groups: Ok(Vec::new()) };
    let plan = remediation.plan();
    let asked = router(policy, (world, world, world));
    let asked = now_or_never(asked.ask(&remediation.id, Some(&plan), (what, &person), at(now)))?.ok()?;
    Some(match asked {
        Asked::Done(_) => Ok(()),
        Asked::Refused(refusal) => Err(refusal),
    })
}

#[test]
fn a_remediation_from_the_button_to_the_source() {
    let (policy, world) = (policy_of(APPROVE), World::default());
    deliver(&policy, &world, &event(1, 0, false), 0);
    tick(&policy, &world, 60);
    assert_eq!(
        (world.all(), world.executions()),
        (vec!["post #security Card".to_owned()], 0),
        "nothing without consent"
    );
    ask_as(&policy, &world, "U0ALICE", Ask::Approve, 100).unwrap().unwrap();
    for second in [100, 120, 140] {
        tick(&policy, &world, second);
    }
    assert_eq!(only(&world).progress, Progress::Verified, "the document's own last step looked");
    deliver(&policy, &world, &event(1, 300, true), 300);
    tick(&policy, &world, 400);
    insta::assert_snapshot!(world.all().join("\n"), @r"
    post #security Card
    thread #security Remediation
    start Contain in 111122223333/eu-west-1
    thread #security Remediation
    update #security Card
    thread #security Remediation
    thread #security Remediation
    update #security Card
    update #security Card
    thread #security Resolved
    ");
    let published = world.published.lock().unwrap().clone();
    assert_eq!(
        published,
        ["Finding Told", "Remediation Started", "Remediation Succeeded", "Remediation Verified", "Finding Resolved"]
    );
    assert_eq!(world.executions(), 1);
}

#[test]
fn each_rail_of_the_ledger_holds_across_processes() {
    type Before = fn(&World);
    let rows: [(&str, &str, Before, &str); 4] = [
        ("The emergency brake.", "", |w| count(w, HALT_KEY, &["alice"]), "kill-switch"),
        ("The breaker.", "", |w| count(w, "failures/Contain", &["a", "b", "c"]), "breaker"),
        ("What runs.", "concurrent = 1\n", |w| count(w, RUNNING, &["a"]), "concurrent"),
        ("A closed calendar.", "calendars = ['closed']\n", |_| {}, "calendars"),
    ];
    for (sentence, config, before, rail) in rows {
        for mode in ["automatic", "approve"] {
            let config =
                APPROVE.replace("breaker = { failures = 100 }\n", config).replace("'approve'", &format!("'{mode}'"));
            let (policy, world) = (policy_of(&config), World::default());
            before(&world);
            deliver(&policy, &world, &event(1, 0, false), 0);
            if mode == "approve" {
                ask_as(&policy, &world, "U0ALICE", Ask::Approve, 10).unwrap().unwrap();
                tick(&policy, &world, 10);
            }
            let stopped = only(&world);
            assert_eq!(stopped.stopped.map(|s| s.rail).as_deref(), Some(rail), "{sentence} {mode}");
            assert_eq!((world.executions(), stopped.progress), (0, Progress::Proposed), "{sentence} {mode}");
            tick(&policy, &world, 20);
            assert!(world.all().iter().any(|l| l == "broadcast #security Remediation"), "{sentence} it is told");
        }
    }
}

const HALT_KEY: &str = rails::HALT;

fn count(world: &World, key: &str, names: &[&str]) {
    let mut tally = Tally::new(key);
    for name in names {
        tally.add(at(-10), name);
    }
    now_or_never(world.ledger.put_tally(&tally)).unwrap().unwrap();
}

#[test]
fn what_cannot_be_started_now_is_tried_for_an_hour_and_then_told() {
    struct Case {
        sentence: &'static str,
        fault: Fault,
        progress: Progress,
    }
    let cases = [
        Case { sentence: "For good.", fault: Fault::Failed, progress: Progress::Failed },
        Case { sentence: "For now.", fault: Fault::Later, progress: Progress::Verified },
        Case { sentence: "The answer is lost.", fault: Fault::Lost, progress: Progress::Verified },
    ];
    for Case { sentence, fault, progress } in cases {
        let policy = policy();
        let world = (1..99).map(|n| World::breaking(n, fault)).find(|world| {
            deliver(&policy, world, &event(1, 0, false), 0);
            *world.fell.lock().unwrap() == Some("ssm start")
        });
        let world = world.unwrap();
        (0..10).for_each(|n| tick(&policy, &world, 60 * n));
        assert_eq!(
            (only(&world).progress, world.executions() > 0),
            (progress, progress == Progress::Verified),
            "{sentence}"
        );
    }
}

#[test]
fn a_brake_that_is_pulled_after_a_start_was_begun_does_not_hide_the_execution() {
    let policy = policy();
    // SSM took the start, and the process died before it could be written down.
    let world = (1..99).map(|n| World::breaking(n, Fault::CrashAfter)).find(|world| {
        deliver(&policy, world, &event(1, 0, false), 0);
        *world.fell.lock().unwrap() == Some("ssm start")
    });
    let world = world.unwrap();
    count(&world, rails::HALT, &["alice"]);
    tick(&policy, &world, 300);
    assert_eq!((world.executions(), only(&world).progress), (1, Progress::Started), "it runs, and is followed");
}

#[test]
fn an_execution_that_is_stopped_by_hand_has_failed() {
    let (policy, world) = (policy(), World::default());
    *world.ends.lock().unwrap() = Some("InProgress");
    deliver(&policy, &world, &event(1, 0, false), 0);
    tick(&policy, &world, 20);
    assert_eq!(only(&world).progress, Progress::Started);
    // Only those who may approve may stop.
    assert!(ask_as(&policy, &world, "U0ALICE", Ask::Stop, 30).unwrap().is_err());
    let approving = policy_of(APPROVE);
    ask_as(&approving, &world, "U0ALICE", Ask::Stop, 30).unwrap().unwrap();
    tick(&approving, &world, 40);
    let stopped = only(&world);
    assert_eq!((stopped.progress, stopped.turns.last().unwrap().why.as_deref()), (Progress::Failed, Some("Cancelled")));
}

#[test]
fn status_events_that_come_late_twice_or_never_make_no_difference() {
    for events in [vec![], vec![30], vec![30, 31], vec![500], vec![30, 500, 501]] {
        let (policy, world) = (policy(), World::default());
        deliver(&policy, &world, &event(1, 0, false), 0);
        let execution = only(&world).run.unwrap().execution.unwrap();
        for second in 0..700 {
            if events.contains(&second) {
                let said = Said { execution: execution.clone(), status: "Success".to_owned() };
                let router = router(&policy, (&world, &world, &world));
                assert!(now_or_never(router.follow(&said, at(second))).unwrap().unwrap().is_some());
            }
            if second % 100 == 99 {
                tick(&policy, &world, second);
            }
        }
        assert_eq!((only(&world).progress, world.executions()), (Progress::Verified, 1), "{events:?}");
        let told = world.all().iter().filter(|l| *l == "thread #security Remediation").count();
        assert_eq!(told, 3, "started, succeeded, verified: each once {events:?}");
    }
    let (policy, world) = (policy(), World::default());
    let said = Said { execution: "somebody-elses".to_owned(), status: "Success".to_owned() };
    assert_eq!(now_or_never(router(&policy, (&world, &world, &world)).follow(&said, at(0))).unwrap(), Ok(None));
}

/// Ten problems, two processes, every kind of fault, and people who click whatever there is; 100,000 steps. No attempt is
/// ever two executions, nothing runs without consent, and in the end nothing is left hanging.
#[test]
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a failure is repeated by its seed")]
fn whatever_happens_no_attempt_is_two_executions() {
    let seed = std::env::var("FINDINGS_ROUTER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_122);
    eprintln!("FINDINGS_ROUTER_SEED={seed}");
    let mut dice = Dice(seed);
    let policy = policy_of(APPROVE);
    let mut world = World::default();
    let faults = [
        Fault::Later,
        Fault::Lost,
        Fault::Conflict,
        Fault::Trouble,
        Fault::TroubleAfter,
        Fault::Crash,
        Fault::CrashAfter,
    ];
    let (mut second, mut consents, mut met) = (0, BTreeSet::new(), BTreeSet::new());
    for step in 0..100_000 {
        second += i64::try_from(dice.roll(20)).unwrap_or_default();
        // One call in this step may go wrong.
        *world.calls.lock().unwrap() = 0;
        world.fault = (dice.roll(3) == 0).then(|| (1 + dice.roll(40), faults[dice.roll(faults.len())]));
        let instance = u32::try_from(dice.roll(10)).unwrap_or_default();
        match dice.roll(10) {
            0..=2 => deliver(&policy, &world, &event(instance, second, dice.roll(3) == 0), second),
            // The same again, as queues do.
            3 => deliver(&policy, &world, &event(instance, second - 60, dice.roll(3) == 0), second),
            4..=5 => click(&policy, &world, &mut dice, second, &mut consents),
            6 => {
                let statuses = ["Success", "Failed", "InProgress", "Cancelled", "TimedOut"];
                *world.ends.lock().unwrap() = Some(statuses[dice.roll(statuses.len())]);
            }
            _ => tick(&policy, &world, second),
        }
        if step % 1_000 == 999 {
            met.extend(entries(&world).iter().flat_map(|e| e.remediations.iter().map(|r| r.progress.as_str())));
        }
    }
    // Time passes, and nothing goes wrong any more.
    world.fault = None;
    *world.ends.lock().unwrap() = Some("Success");
    for day in 1..10 {
        tick(&policy, &world, second + 86_400 * day);
    }
    let started = world.started.lock().unwrap().clone();
    let distinct: BTreeSet<_> = started.iter().collect();
    assert_eq!(distinct.len(), started.len(), "a token is one execution");
    assert!(started.iter().all(|token| consents.contains(token)), "nothing ran without consent");
    assert!(started.len() > 500, "{} executions", started.len());
    for entry in entries(&world) {
        let busy = entry.remediations.iter().find(|r| r.progress.is_busy());
        assert!(busy.is_none() && entry.news.is_empty(), "{busy:?} {:?}", entry.news);
        assert!(entry.owed.iter().all(|o| o.claimed.is_none()) || entry.state == State::Closed);
    }
    let running = now_or_never(world.ledger.tally(RUNNING)).unwrap().unwrap();
    assert_eq!(running.items.len(), 0, "what ended is not counted as running: {:?}", running.items);
    for progress in ["proposed", "started", "failed", "verified", "denied", "withdrawn"] {
        assert!(met.contains(progress), "{progress} was never met: {met:?}");
    }
}

/// Somebody clicks something on some card; what they may is done. Notes the tokens that their consent is for.
fn click(policy: &Policy, world: &World, dice: &mut Dice, second: i64, consents: &mut BTreeSet<String>) {
    let all = entries(world);
    let offered: Vec<_> = all.iter().flat_map(|e| e.remediations.iter().map(move |r| (e, r))).collect();
    if offered.is_empty() {
        return;
    }
    let (entry, remediation) = offered[dice.roll(offered.len())];
    let what = [Ask::Approve, Ask::Approve, Ask::Approve, Ask::Deny, Ask::Stop, Ask::Undo][dice.roll(6)];
    let id = if dice.roll(5) == 0 { "U0EVE" } else { "U0ALICE" };
    let person = Person { id: id.to_owned(), groups: Ok(Vec::new()) };
    let plan = remediation.plan();
    let asked = router(policy, (world, world, world));
    let asked = now_or_never(asked.ask(&remediation.id, Some(&plan), (what, &person), at(second)));
    // Whatever was answered, what the ledger holds counts.
    let _ = asked;
    let now = now_or_never(world.ledger.entry(&entry.fingerprint)).unwrap().unwrap().unwrap();
    for r in now.remediations.iter().filter(|r| matches!(r.progress, Progress::Approved | Progress::Undoing)) {
        assert!(r.approvals.iter().all(|a| a.by == "U0ALICE") && !r.approvals.is_empty(), "{r:?}");
        consents.insert(remediation::token(&now, r));
    }
}
