//! Break it at every step: whatever fails, after redelivery nothing is lost and nothing is remediated twice.
use super::*;
use crate::{
    act::{
        memory::MemoryLedger,
        ports::Delivery,
        world::{self, Fault, World, handle, now_or_never},
    },
    decide::policy::{PolicyFile, UserFiles},
    testing::{at, guardduty},
    values::{
        action::{Later, Notify},
        entry::Tally,
        finding::Status,
    },
};
use findings_formatters::Message;
use std::sync::Mutex;

const CONTAIN: &str = "
summary = 'A test'
weakness = 'test'
[when]
source = ['aws.guardduty']
detail.type = ['Test:EC2/Mining']
[tell]
title = 'It mines'
why = 'Bad'
next = ['Stop it']
[[remediate]]
runbook = 'Contain'
effect = 'harmless'
with.InstanceId = { from = 'resource.id', pattern = '^i-[0-9a-f]+$' }
";
const CONFIG: &str = "
[accounts.\"111122223333\"]
environment = 'production'
[[route]]
to = ['slack:#security', 'slack:#soc']
[remediation]
mode = 'automatic'
accounts = ['111122223333']
";

pub(in crate::act) fn policy() -> Policy {
    policy_of(CONFIG)
}

pub(in crate::act) fn policy_of(config: &str) -> Policy {
    let file = PolicyFile { name: "mining".to_owned(), path: "mining.toml".to_owned(), text: CONTAIN.to_owned() };
    let documents = vec![crate::testing::document("Contain", &["InstanceId"])];
    let user = UserFiles { playbooks: vec![file], runbooks: documents, ..UserFiles::default() };
    Policy::load(crate::testing::config(config), &user).unwrap()
}

/// GuardDuty's word on an instance, so many seconds into the day.
fn event(instance: u32, second: i64, severity: &str, archived: bool) -> String {
    guardduty("Test:EC2/Mining", instance, second, severity, archived)
}

fn deliver(policy: &Policy, world: &World, text: &str, now: i64) -> Told {
    one(handle(policy, (world, world, world), text, at(now)))
}

fn one(handled: impl Future<Output = Vec<Handled>>) -> Told {
    first(handled).findings.remove(0)
}

fn first(handled: impl Future<Output = Vec<Handled>>) -> Handled {
    now_or_never(handled).expect("it did not crash").remove(0)
}

fn drain(policy: &Policy, world: &World, story: &[(i64, String)]) -> Vec<Told> {
    world::drain(policy, world, story).into_iter().flatten().flat_map(|handled| handled.findings).collect()
}

/// Everything that a problem can go through, two channels and a runbook.
pub(in crate::act) fn story() -> Vec<(i64, String)> {
    vec![
        (0, event(1, 0, "5", false)),
        (100, event(1, 100, "5", false)),
        (200, event(1, 200, "8", false)),
        (90_000, event(1, 90_000, "8", false)),
        (91_000, event(1, 91_000, "8", true)),
        (92_000, event(1, 92_000, "8", true)),
        (99_000, event(1, 99_000, "8", false)),
    ]
}

/// Five instances at once: three cards, then a storm.
fn storm() -> Vec<(i64, String)> {
    (0..5).map(|i| (i64::from(i) * 10, event(i, i64::from(i) * 10, "5", false))).collect()
}

#[test]
fn the_story_without_a_fault() {
    let (policy, world) = (policy(), World::default());
    let told = drain(&policy, &world, &story());
    let novelties: Vec<_> = told.iter().map(|t| t.novelty.unwrap().as_str()).collect();
    assert_eq!(novelties, ["new", "duplicate", "escalated", "reminder", "resolved", "duplicate", "reopened"]);
    insta::assert_snapshot!(world.sent().join("\n"), @r"
    post #security Card
    post #soc Card
    update #security Card
    update #soc Card
    update #security Card
    broadcast #security Escalated
    update #soc Card
    broadcast #soc Escalated
    broadcast #security Reminder
    broadcast #soc Reminder
    update #security Card
    thread #security Resolved
    update #soc Card
    thread #soc Resolved
    update #security Card
    update #soc Card
    post #security Card
    post #soc Card
    ");
    assert_eq!(world.executions(), 2, "once per opening");
}

#[test]
fn what_fails_for_good_is_named_and_does_not_keep_the_rest_from_being_done() {
    let policy = policy();
    let story = [(0, event(1, 0, "5", false))];
    let calm = World::default();
    drain(&policy, &calm, &story);
    let mut fallen = Vec::new();
    for n in 1..=*calm.calls.lock().unwrap() {
        let world = World::breaking(n, Fault::Failed);
        let told = drain(&policy, &world, &story);
        let Some(port) = *world.fell.lock().unwrap() else { continue };
        // What becomes of the runbook is told with the remediation's own life.
        if told[0].error.is_none() {
            continue;
        }
        fallen.push(port);
        assert_eq!((told.len(), told[0].disposition), (1, Disposition::Ack), "{port}: acknowledged");
        assert_eq!(told[0].error, Some(format!("{port} says no")));
        let done = world.sent().len() + world.executions();
        assert_eq!(done, 2, "{port}: the other two are done");
        let entry = told[0].entries.1.as_ref().unwrap();
        assert!(entry.owed.is_empty(), "{port}: nothing is owed");
        assert!(entry.history[0].done.iter().any(|l| l.ends_with(": failed, slack says no")));
    }
    assert_eq!(fallen, ["slack", "slack"]);
}

#[test]
fn the_second_try_performs_only_what_is_still_owed() {
    let policy = policy();
    // The calls of a first event: entry read, four tallies read and counted, entry claimed, then two posts, each recorded.
    let rows = [
        ("The first channel.", 11, vec!["post #soc Card", "post #security Card"], 1),
        ("The second channel.", 13, vec!["post #security Card", "post #soc Card"], 1),
    ];
    for (sentence, n, sent, starts) in rows {
        let world = World::breaking(n, Fault::Later);
        let told = drain(&policy, &world, &[(0, event(1, 0, "5", false))]);
        assert_eq!(world.sent(), sent, "{sentence}");
        assert_eq!(world.started.lock().unwrap().len(), starts, "{sentence}");
        assert_eq!(told.len(), 2, "{sentence}");
        assert_eq!(told[1].actions.len(), 1, "{sentence} {:?}", told[1].actions);
        assert_eq!(told[1].novelty, Some(Novelty::New), "{sentence}");
        assert!(told[1].entries.1.as_ref().unwrap().owed.is_empty(), "{sentence}");
    }
}

#[test]
fn what_is_owed_survives_another_occurrence_in_between() {
    let policy = policy();
    let (first, second) = (event(1, 0, "5", false), event(1, 10, "5", false));
    let calls = 40;
    for n in 1..=calls {
        let world = World::breaking(n, Fault::Later);
        let one = deliver(&policy, &world, &first, 0);
        deliver(&policy, &world, &second, 10);
        let again = deliver(&policy, &world, &first, 30);
        assert_eq!(again.disposition, Disposition::Ack);
        let Some(port) = *world.fell.lock().unwrap() else { continue };
        // What concerns the runbook is due in the ledger, not with the message.
        assert_eq!(matches!(one.disposition, Disposition::Retry(_)), port == "slack" && n < 15, "{port} ({n})");
        let posts: Vec<_> = world.sent().into_iter().filter(|s| s.starts_with("post")).collect();
        assert_eq!(posts.len(), 2, "{port} ({n}): one card for each channel: {:?}", world.sent());
        assert_eq!(world.executions(), 1, "{port} ({n}): the runbook is started");
    }
}

#[test]
fn what_is_over_is_not_remediated_any_more() {
    let policy = policy();
    let world = (1..99).map(|n| World::breaking(n, Fault::Later)).find(|world| {
        deliver(&policy, world, &event(1, 0, "5", false), 0);
        *world.fell.lock().unwrap() == Some("ssm start")
    });
    let world = world.unwrap();
    let over = deliver(&policy, &world, &event(1, 10, "5", true), 10);
    assert_eq!(over.novelty, Some(Novelty::Resolved));
    let again = deliver(&policy, &world, &event(1, 0, "5", false), 30);
    assert_eq!((again.disposition, world.executions()), (Disposition::Ack, 0));
}

#[test]
fn somebody_who_always_writes_first_makes_it_retry() {
    struct Busy(MemoryLedger);
    impl Ledger for Busy {
        async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
            self.0.entry(fingerprint).await
        }
        async fn put_entry(&self, _: &Entry) -> Result<Put, Trouble> {
            Ok(Put::Conflict)
        }
        async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
            self.0.tally(key).await
        }
        async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
            self.0.put_tally(tally).await
        }
        async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
            self.0.find(name).await
        }
        async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
            self.0.recent(since, until, limit).await
        }
        async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
            self.0.due(now, limit).await
        }
        async fn forget(&self, before: Timestamp) -> Result<usize, Trouble> {
            self.0.forget(before).await
        }
    }
    let (policy, world) = (policy(), World::default());
    let ledger = Busy(MemoryLedger::default());
    let told = first(handle(&policy, (ledger, &world, &world), &event(1, 0, "5", false), at(0)));
    assert_eq!(told.disposition(), Disposition::Retry(RETRY_AFTER));
    assert_eq!(told.findings[0].error.as_deref(), Some("ledger: changed by somebody else 40 times in a row"));
    assert_eq!((world.executions(), world.sent().len()), (0, 0), "whoever loses the race has done nothing");
}

#[test]
fn an_event_is_as_well_off_as_its_worst_finding() {
    let rows = [
        (vec![], Disposition::Ack),
        (vec![Disposition::Ack, Disposition::Retry(RETRY_AFTER)], Disposition::Retry(RETRY_AFTER)),
        (
            vec![Disposition::Retry(SignedDuration::from_secs(60)), Disposition::Retry(RETRY_AFTER), Disposition::Ack],
            Disposition::Retry(SignedDuration::from_secs(60)),
        ),
    ];
    let (policy, world) = (policy(), World::default());
    for (dispositions, expected) in rows {
        let findings = dispositions
            .into_iter()
            .map(|disposition| Told { disposition, ..deliver(&policy, &world, &event(1, 0, "5", false), 0) })
            .collect();
        assert_eq!(Handled { findings, ..Handled::default() }.disposition(), expected);
    }
}

#[test]
fn a_storm_is_told_on_one_card() {
    let (policy, world) = (policy(), World::default());
    drain(&policy, &world, &storm());
    let here: Vec<_> = world.sent().into_iter().filter(|s| s.contains("#soc")).collect();
    insta::assert_snapshot!(here.join("\n"), @r"
    post #soc Card
    post #soc Card
    post #soc Card
    post #soc Storm
    thread #soc StormLine
    thread #soc StormLine
    ");
}

#[test]
fn the_longest_wait_counts() {
    struct Busy;
    impl Messenger for Busy {
        async fn send(&self, notify: &Notify, _: &Message, _: Delivery<'_>) -> Outcome {
            let wait = if notify.destination.ends_with("soc") { 10 } else { 60 };
            Outcome::Later(Later { after: SignedDuration::from_secs(wait), why: "429".to_owned(), unsure: false })
        }
    }
    let (policy, world) = (policy(), World::default());
    let handled = first(handle(&policy, (&world, Busy, &world), &event(1, 0, "5", false), at(0)));
    assert_eq!(handled.disposition(), Disposition::Retry(SignedDuration::from_secs(60)));
}

#[test]
fn only_what_is_automatic_and_passed_every_rail_is_started() {
    let rows = [
        ("Automatic.", CONFIG.to_owned(), 1),
        ("Behind a button.", CONFIG.replace("automatic", "approve"), 0),
        ("Only proposed.", CONFIG.replace("automatic", "propose"), 0),
        ("Automatic, and a rail stops it.", format!("{CONFIG}kill-switch = true\n"), 0),
        ("Automatic, and it is a dry run.", format!("{CONFIG}dry-run = true\n"), 0),
    ];
    for (sentence, config, starts) in rows {
        let (policy, world) = (policy_of(&config), World::default());
        let told = deliver(&policy, &world, &event(1, 0, "5", false), 0);
        assert_eq!((world.executions(), told.disposition, told.error), (starts, Disposition::Ack, None), "{sentence}");
    }
}

#[test]
fn what_escalates_out_of_a_storm_has_a_card_of_its_own_from_then_on() {
    let (policy, world) = (policy(), World::default());
    let (critical, still) = (event(4, 100, "9.5", false), event(4, 90_000, "9.5", false));
    let told = drain(&policy, &world, &[storm(), vec![(100, critical), (90_000, still)]].concat());
    let here: Vec<_> = world.sent().into_iter().filter(|s| s.contains("#soc")).skip(6).collect();
    assert_eq!(here, ["post #soc Card", "broadcast #soc Reminder"]);
    let cards = &told.last().unwrap().entries.1.as_ref().unwrap().cards;
    assert!(cards.len() == 2 && cards.iter().all(|c| !c.storm), "{cards:?}");
}

/// While the first card is being posted, another consumer takes the next occurrence.
struct Meanwhile<'w> {
    world: &'w World,
    policy: &'w Policy,
    next: Mutex<Option<String>>,
    told: &'w Mutex<Option<Handled>>,
}

impl Messenger for Meanwhile<'_> {
    async fn send(&self, notify: &Notify, message: &Message, delivery: Delivery<'_>) -> Outcome {
        let next = self.next.lock().unwrap().take();
        if let Some(text) = next {
            let world = self.world;
            let told = Box::pin(handle(self.policy, (world, world, world), &text, at(10))).await;
            *self.told.lock().unwrap() = told.into_iter().next();
        }
        self.world.send(notify, message, delivery).await
    }
}

/// The first occurrence, and what became of the next, which came while the first was told.
fn meanwhile(policy: &Policy, world: &World, next: &str) -> (Handled, Handled) {
    let told = Mutex::new(None);
    let messenger = Meanwhile { world, policy, next: Mutex::new(Some(next.to_owned())), told: &told };
    let first = first(handle(policy, (world, messenger, world), &event(1, 0, "5", false), at(0)));
    (first, told.into_inner().unwrap().unwrap())
}

#[test]
fn what_another_consumer_writes_meanwhile_is_kept() {
    let (policy, world) = (policy(), World::default());
    let (told, next) = meanwhile(&policy, &world, &event(1, 10, "5", false));
    assert_eq!(next.findings[0].novelty, Some(Novelty::Duplicate), "the first is already known");
    assert_eq!(told.disposition(), Disposition::Ack);
    assert_eq!(world.sent(), ["post #security Card", "post #soc Card"]);
    let entry = told.findings[0].entries.1.as_ref().unwrap();
    assert_eq!((entry.reports[0].revision, entry.reports[0].count), (at(10), 2), "the other's occurrence is counted");
    assert_eq!((entry.cards.len(), entry.history.len(), entry.owed.len()), (2, 2, 0), "and our cards are known");
}

#[test]
fn what_comes_while_the_card_is_posted_waits_for_it() {
    let policy = policy();
    for (severity, over) in [("5", true), ("8", false)] {
        let world = World::default();
        let next = event(1, 10, severity, over);
        let (told, waits) = meanwhile(&policy, &world, &next);
        assert_eq!((told.disposition(), waits.disposition()), (Disposition::Ack, Disposition::Retry(RETRY_AFTER)));
        assert_eq!(world.sent(), ["post #security Card", "post #soc Card"], "no card beside the first");
        let again = deliver(&policy, &world, &next, 20);
        let cards = again.entries.1.iter().flat_map(|e| &e.cards).map(|c| c.message.as_str());
        assert_eq!(cards.collect::<Vec<_>>(), ["1", "2"], "a reply is no card");
        assert_eq!(again.disposition, Disposition::Ack);
        assert!(world.sent().iter().any(|s| s == "update #soc Card"), "{:?}", world.sent());
    }
}

#[test]
fn what_is_lost_to_another_consumer_is_decided_again() {
    /// Between reading and writing, another consumer takes an occurrence of the same problem.
    struct Raced<'w> {
        world: &'w World,
        policy: &'w Policy,
        first: Mutex<Option<String>>,
    }
    impl Ledger for Raced<'_> {
        async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
            let read = self.world.ledger.entry(fingerprint).await;
            let first = self.first.lock().unwrap().take();
            if let Some(text) = first {
                let world = self.world;
                Box::pin(handle(self.policy, (world, world, world), &text, at(20))).await;
            }
            read
        }
        async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
            self.world.ledger.put_entry(entry).await
        }
        async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
            self.world.ledger.tally(key).await
        }
        async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
            self.world.ledger.put_tally(tally).await
        }
        async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
            self.world.ledger.find(name).await
        }
        async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
            self.world.ledger.recent(since, until, limit).await
        }
        async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
            self.world.ledger.due(now, limit).await
        }
        async fn forget(&self, before: Timestamp) -> Result<usize, Trouble> {
            self.world.ledger.forget(before).await
        }
    }
    let (policy, world) = (policy(), World::default());
    // Two findings on one instance; no edit is due yet, so nothing is owed for the second one's end.
    let second = |seconds, over| event(7, seconds, "8", over).replace("arn:7", "arn:8");
    deliver(&policy, &world, &event(7, 0, "8", false), 0);
    deliver(&policy, &world, &second(10, false), 10);
    let ledger = Raced { world: &world, policy: &policy, first: Mutex::new(Some(event(7, 20, "8", false))) };
    let told = first(handle(&policy, (ledger, &world, &world), &second(20, true), at(20)));
    assert_eq!(told.disposition(), Disposition::Ack);
    let entry = told.findings[0].entries.1.as_ref().unwrap();
    let said: Vec<_> = entry.reports.iter().map(|r| (r.revision, r.status)).collect();
    assert_eq!(said, [(at(20), Status::Active), (at(20), Status::Resolved)], "what both said is known");
    let last = deliver(&policy, &world, &event(7, 200, "8", true), 200);
    assert_eq!(last.novelty, Some(Novelty::Resolved));
}
