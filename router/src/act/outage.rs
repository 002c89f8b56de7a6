//! Slack is down for ten minutes under a storm of 2,000 findings, in virtual time: none is lost, none has two cards, and
//! nobody calls before `Retry-After` has passed.
use super::{
    ports::{Delivery, Messenger},
    world::{Sent, World, handle, now_or_never},
};
use crate::{
    decide::policy::{Policy, UserFiles},
    testing::{at, config, guardduty},
    values::{
        action::{Disposition, Later, Notify, NotifyMode, Outcome},
        entry::State,
    },
};
use findings_formatters::Message;
use jiff::{SignedDuration, Timestamp};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Mutex,
};

const FINDINGS: u32 = 2_000;
const OUTAGE: SignedDuration = SignedDuration::from_mins(10);
/// What Slack asks for, and what the client leaves between two messages.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(30);
const PACE: SignedDuration = SignedDuration::from_secs(1);
/// Messages that the daemon handles at the same time.
const CONCURRENCY: usize = 32;
/// How long the client lets a message wait for its turn.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// Slack's client, as it keeps turns and `Retry-After`, and a Slack that is down at first.
struct Outage<'w> {
    world: &'w World,
    now: Mutex<Timestamp>,
    lanes: Mutex<BTreeMap<String, Lane>>,
    /// How long the batch at hand took, as one of it waited for its turn.
    took: Mutex<SignedDuration>,
}

#[derive(Clone, Copy, Default)]
struct Lane {
    calls: u32,
    next: Timestamp,
    /// Slack's word, kept apart from the client's.
    closed_until: Timestamp,
}

fn later(after: SignedDuration, why: &str, unsure: bool) -> Outcome {
    Outcome::Later(Later { after, why: why.to_owned(), unsure })
}

impl Outage<'_> {
    /// What becomes of a call: whether it takes effect, and the answer where that is not Slack's word on it.
    fn call(&self, lane: &str, now: Timestamp) -> (bool, Option<Outcome>) {
        let mut lanes = self.lanes.lock().unwrap();
        let lane = lanes.entry(lane.to_owned()).or_default();
        let turn = lane.next.max(now);
        if turn.duration_since(now) > PATIENCE {
            return (false, Some(later(turn.duration_since(now), "its turn is far off", false)));
        }
        lane.next = turn + PACE;
        lane.calls += 1;
        let mut took = self.took.lock().unwrap();
        *took = turn.duration_since(now).max(*took);
        if turn.duration_since(at(0)) >= OUTAGE {
            return (true, None);
        }
        assert!(turn >= lane.closed_until, "called {turn}, closed until {}", lane.closed_until);
        // Slack says wait, breaks down, does it and loses the answer, or does nothing and says nothing.
        match lane.calls % 4 {
            0 => {
                (lane.next, lane.closed_until) = (turn + RETRY_AFTER, turn + RETRY_AFTER);
                (false, Some(later(RETRY_AFTER, "429", false)))
            }
            1 => (false, Some(later(SignedDuration::from_secs(10), "500", true))),
            2 => (true, Some(later(SignedDuration::from_secs(10), "timed out", true))),
            _ => (false, Some(later(SignedDuration::from_secs(10), "timed out", true))),
        }
    }
}

impl Messenger for &Outage<'_> {
    async fn send(&self, notify: &Notify, message: &Message, delivery: Delivery<'_>) -> Outcome {
        let now = *self.now.lock().unwrap();
        let lane = if notify.mode == NotifyMode::Update { "edits" } else { &notify.destination };
        let (effect, answer) = self.call(lane, now);
        let outcome = if effect { Some(self.world.send(notify, message, delivery).await) } else { None };
        answer.or(outcome).unwrap_or(Outcome::Nothing)
    }
}

/// Every tenth is critical, and has a card of its own; the others are a storm.
fn finding(n: u32, revision: u32) -> String {
    let severity = if n.is_multiple_of(10) { "9.5" } else { "8" };
    guardduty("Backdoor:EC2/Spambot", n, i64::from(n) / 10 + i64::from(revision), severity, false)
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures of the README come from here")]
fn nothing_is_lost_or_doubled_while_slack_is_down() {
    let policy = Policy::load(config(""), &UserFiles::default()).unwrap();
    let world = World::default();
    let outage = Outage { world: &world, now: Mutex::new(at(0)), lanes: Mutex::default(), took: Mutex::default() };
    // When, a number to keep ties apart, the body, and how often it was received.
    let mut queue: BinaryHeap<Reverse<(Timestamp, usize, String, u32)>> = BinaryHeap::new();
    for n in 0..FINDINGS {
        for revision in 0..2 {
            let order = queue.len();
            queue.push(Reverse((at(i64::from(n) / 10 + i64::from(revision)), order, finding(n, revision), 0)));
        }
    }
    let (mut clock, mut receives_max, mut deliveries) = (at(0), 0, 0);
    while let Some(Reverse((first, ..))) = queue.peek() {
        clock = clock.max(*first);
        // What the daemon has in hand at a time: the rest is not received yet.
        let visible = std::iter::from_fn(|| {
            let due = queue.peek().is_some_and(|Reverse((due, ..))| *due <= clock);
            if due { queue.pop() } else { None }
        });
        for Reverse((_, order, body, receives)) in visible.take(CONCURRENCY).collect::<Vec<_>>() {
            deliveries += 1;
            assert!(deliveries < 200_000, "{} messages are never done", queue.len());
            *outage.now.lock().unwrap() = clock;
            let handled = now_or_never(handle(&policy, (&world, &outage, &world), &body, clock)).expect("no crash");
            let receives = receives + 1;
            receives_max = receives_max.max(receives);
            match handled[0].disposition() {
                Disposition::Ack => {}
                Disposition::Retry(after) => {
                    // As the daemon leaves a message.
                    let doubled = SignedDuration::from_secs(5) * 2_i32.pow(receives.min(9) - 1);
                    let due = clock + after.max(doubled.min(SignedDuration::from_mins(15)));
                    queue.push(Reverse((due, order, body, receives)));
                }
                Disposition::Reject => panic!("{handled:?}"),
            }
        }
        clock += std::mem::take(&mut *outage.took.lock().unwrap());
    }
    let sent = world.channel.lock().unwrap();
    let mut titles = BTreeMap::<u32, usize>::new();
    for message in sent.iter().filter(|m| !m.what.contains("Storm") || m.what.contains("StormLine")) {
        let Some(at) = message.text.find("i-00000000") else { continue };
        *titles.entry(u32::from_str_radix(&message.text[at + 2..at + 19], 16).unwrap()).or_default() += 1;
    }
    for n in 0..FINDINGS {
        let about = |m: &&Sent| m.text.contains(&format!("i-{n:017x}"));
        let said = || sent.iter().filter(about).map(|m| m.what.as_str()).collect::<Vec<_>>();
        assert_eq!(titles.get(&n), Some(&1), "finding {n} is told once, in a card or a line: {:?}", said());
    }
    let storms = sent.iter().filter(|m| m.what == "post #security Storm").count();
    let cards = sent.iter().filter(|m| m.what == "post #security Card").count();
    drop(sent);
    let entries = now_or_never(super::ports::Ledger::recent(&world.ledger, Timestamp::MIN, Timestamp::MAX, 10_000));
    let entries = entries.unwrap().unwrap();
    assert_eq!(entries.len(), FINDINGS as usize);
    assert!(entries.iter().all(|e| e.state == State::Open && e.owed.is_empty()), "nothing is owed");
    eprintln!(
        "{deliveries} deliveries, one {receives_max} times at most; {cards} cards, {storms} storm cards; over {:#}",
        clock.duration_since(at(0))
    );
    assert!(receives_max <= 50, "one message was received {receives_max} times: it would be with the dead letters");
}
