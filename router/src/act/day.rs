//! A day of CloudTrail on which nothing is wrong, but for a few things: 100,000 records through the router, of which only what is
//! really dangerous makes a card above low. What a record is, is data: `day/`.
use super::world::{World, handle, now_or_never};
use crate::{
    decide::policy::{Policy, UserFiles},
    testing::{Dice, config},
    values::{
        action::{Action, NotifyMode, Outcome},
        severity::Severity,
        verdict::Verdict,
    },
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

const RECORDS: usize = 100_000;
const SECONDS: u64 = 86_400;
const DAY: &str = "2026-06-15";

#[derive(Deserialize)]
struct Call<'a> {
    says: &'a str,
    per_day: u64,
    #[serde(borrow)]
    event: &'a RawValue,
}

#[derive(Deserialize)]
struct Danger<'a> {
    says: &'a str,
    #[serde(borrow)]
    event: &'a RawValue,
}

fn uuid(dice: &mut Dice) -> String {
    let hex = format!("{:016x}{:016x}", dice.number(), dice.number());
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A record of a call at a second of the day.
fn record(call: &Call<'_>, second: u64, number: usize, dice: &mut Dice) -> String {
    let at = format!("{DAY}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60);
    let hex = format!("{:016x}{:016x}", dice.number(), dice.number());
    let text = call.event.get().replace("{n}", &number.to_string()).replace("{hex8}", &hex[..8]);
    let text = text.replace("{hex17}", &hex[8..25]).replace("2026-06-15T00:00:00Z", &at);
    let mut pieces = text.split("{uuid}");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        _ = write!(out, "{}{piece}", uuid(dice));
    }
    out
}

/// The day in order of time; the dangerous records with what makes them so.
fn day() -> Vec<(u64, String, Option<&'static str>)> {
    let (mut dice, mut number, mut records) = (Dice(0x0dd0_5eed), 0, Vec::with_capacity(RECORDS));
    for line in include_str!("day/calls.jsonl").lines() {
        let call: Call<'_> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        // Evenly over the day, each call with a shift and a jitter of its own.
        let (step, shift) = (SECONDS / call.per_day + 1, dice.number() % SECONDS);
        for i in 0..call.per_day {
            let second = (i * SECONDS / call.per_day + shift + dice.number() % step) % SECONDS;
            number += 1;
            records.push((second, record(&call, second, number, &mut dice), None));
        }
        assert!(!call.says.is_empty());
    }
    assert_eq!(records.len(), RECORDS);
    for line in include_str!("day/dangerous.jsonl").lines() {
        let danger: Danger<'static> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let event: Value = serde_json::from_str(danger.event.get()).unwrap();
        let at: Timestamp = event["time"].as_str().unwrap().parse().unwrap();
        let second = at.as_second() - format!("{DAY}T00:00:00Z").parse::<Timestamp>().unwrap().as_second();
        records.push((second.unsigned_abs(), danger.event.get().to_owned(), Some(danger.says)));
    }
    records.sort_by_key(|(second, ..)| *second);
    records
}

#[test]
fn an_ordinary_day_gives_no_card_above_low_but_for_what_is_dangerous() {
    let policy = Policy::load(config(""), &UserFiles::default()).unwrap();
    let world = World::default();
    let start: Timestamp = format!("{DAY}T00:00:00Z").parse().unwrap();
    let (mut told, mut low, mut false_alarms) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    let (mut claimed, day) = (0, day());
    for (second, text, danger) in &day {
        let now = start + jiff::SignedDuration::from_secs(i64::try_from(*second).unwrap());
        let handled = now_or_never(handle(&policy, (&world, &world, &world), text, now)).expect("it did not crash");
        for one in handled.iter().flat_map(|h| &h.findings) {
            let Verdict::Claimed(claim) = &one.verdict else { continue };
            claimed += 1;
            let post = |a: &Action| matches!(a, Action::Notify(n) if n.mode != NotifyMode::Update);
            let carded = one.actions.iter().any(|a| post(&a.action) && matches!(a.outcome, Outcome::Done(_)));
            match (carded, claim.severity > Severity::Low, danger) {
                (true, true, Some(says)) => told.push(format!("{} {}: {says}", claim.severity, one.playbook)),
                (true, true, None) => _ = false_alarms.insert(format!("{} {}: {text}", claim.severity, one.playbook)),
                (true, false, _) => *low.entry(one.playbook.clone()).or_insert(0) += 1,
                (false, ..) => {}
            }
        }
    }
    assert!(false_alarms.is_empty(), "{} false alarms: {false_alarms:#?}", false_alarms.len());
    let dangers = day.iter().filter(|(_, _, danger)| danger.is_some()).count();
    assert_eq!(told.len(), dangers, "each danger is one card: {told:#?}");
    let low: Vec<String> = low.iter().map(|(playbook, cards)| format!("{cards} × {playbook}")).collect();
    insta::assert_snapshot!(format!(
        "{} records, {claimed} that a playbook claims\n\nabove low:\n{}\n\nlow or less:\n{}",
        day.len(),
        told.join("\n"),
        low.join("\n")
    ));
}
