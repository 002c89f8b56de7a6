//! Digests and put-off edits: what comes when nobody sends a message.
use super::*;
use crate::{
    act::world::{Fault, World, handle, now_or_never, router},
    decide::policy::{Policy, UserFiles},
    testing::{at, config, guardduty},
    values::action::Disposition,
};

/// Low ones go to the digest of half past nine in Tokyo; at night everything below critical waits for seven.
const CONFIG: &str = "
time-zone = 'Asia/Tokyo'
[digest]
at = '09:30'
[quiet-hours]
from = '22:00'
to = '07:00'
severity = 'critical'
[[route]]
severity = 'high'
to = 'slack:#security'
[[route]]
to = 'digest:#security'
";

/// The tests' day begins at nine in Tokyo.
const HOUR: i64 = 3_600;

fn policy() -> Policy {
    Policy::load(config(CONFIG), &UserFiles::default()).unwrap()
}

fn event(n: u32, second: i64, severity: &str, archived: bool) -> String {
    guardduty("Test:EC2/Unknown", n, second, severity, archived)
}

fn deliver(policy: &Policy, world: &World, text: &str, now: i64) {
    let handled = now_or_never(handle(policy, (world, world, world), text, at(now))).unwrap();
    assert_eq!(handled[0].disposition(), Disposition::Ack, "{handled:?}");
}

fn tick(policy: &Policy, world: &World, now: i64) -> Ticked {
    now_or_never(router(policy, (world, world, world)).tick(at(now))).expect("no crash").unwrap()
}

#[test]
fn what_can_wait_is_told_once_a_day() {
    let (policy, world) = (policy(), World::default());
    deliver(&policy, &world, &event(1, 0, "2", false), 0);
    deliver(&policy, &world, &event(2, 10, "5", false), 10);
    deliver(&policy, &world, &event(3, 20, "2", false), 20);
    deliver(&policy, &world, &event(3, 30, "2", true), 30);
    assert_eq!((world.sent(), tick(&policy, &world, HOUR / 2 - 1)), (vec![], Ticked::default()), "not before its time");
    assert_eq!(tick(&policy, &world, HOUR / 2), Ticked { digests: 1, ..Ticked::default() });
    assert_eq!(world.sent(), ["post #security Digest"]);
    let text = world.channel.lock().unwrap()[0].text.clone();
    let places: Vec<_> = ["Something 2", "Something 1", "~Something 3~"].map(|t| text.find(t)).to_vec();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "the worst first, what is over last: {text}");
    assert_eq!(tick(&policy, &world, HOUR), Ticked::default(), "and once");
    deliver(&policy, &world, &event(1, HOUR, "2", false), HOUR);
    assert_eq!(tick(&policy, &world, 25 * HOUR), Ticked::default(), "the same again is no news");
}

#[test]
fn what_gets_worse_has_a_card_and_is_in_no_digest() {
    let (policy, world) = (policy(), World::default());
    deliver(&policy, &world, &event(1, 0, "2", false), 0);
    deliver(&policy, &world, &event(1, 10, "8", false), 10);
    assert_eq!(world.sent(), ["post #security Card"]);
    assert_eq!(tick(&policy, &world, HOUR), Ticked::default());
}

#[test]
fn quiet_hours_hold_back_what_is_not_bad_enough() {
    let (policy, world) = (policy(), World::default());
    let night = 14 * HOUR;
    deliver(&policy, &world, &event(1, night, "8", false), night);
    assert_eq!(world.sent(), [""; 0], "eleven at night");
    deliver(&policy, &world, &event(2, night, "9.5", false), night);
    assert_eq!(world.sent(), ["post #security Card"], "critical is told at any hour");
    assert_eq!(tick(&policy, &world, 22 * HOUR - 1).digests, 0);
    assert_eq!(tick(&policy, &world, 22 * HOUR).digests, 1, "seven in the morning");
    assert!(world.channel.lock().unwrap()[1].text.contains("Something 1"));
}

#[test]
fn a_card_shows_in_the_end_what_is_known() {
    let (policy, world) = (policy(), World::default());
    for second in [0, 10, 20] {
        deliver(&policy, &world, &event(1, second, "8", false), second);
    }
    assert_eq!(world.sent(), ["post #security Card"], "a minute must pass between two edits");
    assert_eq!(tick(&policy, &world, 59), Ticked::default());
    assert_eq!(tick(&policy, &world, 60), Ticked { edits: 1, ..Ticked::default() });
    assert!(world.channel.lock().unwrap()[0].text.contains("3 times"), "{:?}", world.channel.lock().unwrap()[0]);
    assert_eq!(tick(&policy, &world, 600), Ticked::default());
}

#[test]
fn a_storms_card_shows_in_the_end_how_many_there_were() {
    let (policy, world) = (policy(), World::default());
    for n in 0..9 {
        deliver(&policy, &world, &event(n, i64::from(n), "8", false), i64::from(n));
    }
    let storms = |world: &World| {
        world
            .channel
            .lock()
            .unwrap()
            .iter()
            .filter(|m| m.what.ends_with(" Storm"))
            .map(|m| m.text.clone())
            .collect::<Vec<_>>()
    };
    assert!(storms(&world)[0].contains("4 findings"), "{:?}", storms(&world));
    assert_eq!(tick(&policy, &world, 120), Ticked { edits: 1, ..Ticked::default() }, "one edit for all of its lines");
    assert!(storms(&world)[0].contains("9 findings"), "{:?}", storms(&world));
    assert_eq!(tick(&policy, &world, 240), Ticked::default());
}

#[test]
fn a_digest_survives_every_fault() {
    for fault in [
        Fault::Later,
        Fault::Lost,
        Fault::Failed,
        Fault::Trouble,
        Fault::TroubleAfter,
        Fault::Conflict,
        Fault::Crash,
        Fault::CrashAfter,
    ] {
        for n in 1..40 {
            let (policy, mut world) = (policy(), World::default());
            for n in 0..3 {
                deliver(&policy, &world, &event(n, 0, "2", false), 0);
            }
            *world.calls.lock().unwrap() = 0;
            world.fault = Some((n, fault));
            for minute in 0..8 {
                let _ = now_or_never(router(&policy, (&world, &world, &world)).tick(at(HOUR + minute * 60)));
            }
            assert_eq!(world.sent(), ["post #security Digest"], "{fault:?} at call {n}");
            if world.fell.lock().unwrap().is_none() {
                break;
            }
        }
    }
}
