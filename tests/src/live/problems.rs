//! Problems by number, told again and again: what tests of many consumers and of crashes put into a queue.
use super::{
    aws::Aws,
    slack::{self, Message, Slack},
};
use crate::harness::changed;
use serde_json::json;
use std::collections::BTreeMap;

/// A numbered mining instance as GuardDuty tells it; `revision` is so many minutes after the first word. It is critical, so
/// that each has a card of its own.
pub(crate) fn event(problem: usize, revision: usize) -> String {
    let at = format!("2026-03-23T12:{revision:02}:00Z");
    let id = format!("{problem:032x}");
    changed(
        "guardduty-crypto-mining/01-first-seen.json",
        &[
            ("/id", json!(format!("{problem:08x}-0000-4000-8000-{revision:012}"))),
            ("/time", json!(at)),
            ("/detail/id", json!(id)),
            ("/detail/arn", json!(format!("arn:aws:guardduty:ap-northeast-1:111122223333:detector/d/finding/{id}"))),
            ("/detail/updatedAt", json!(at)),
            ("/detail/resource/instanceDetails/instanceId", json!(instance(problem))),
        ],
    )
}

pub(crate) fn instance(problem: usize) -> String {
    format!("i-{problem:017x}")
}

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below a limit.
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        // Knuth's MMIX; the high bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.roll(at + 1));
        }
    }
}

/// The environment of a product process that meets these.
pub(crate) fn env(slack: &Slack, aws: &Aws, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let api = slack.api_url();
    let ours = [("SLACK_BOT_TOKEN", slack::TOKEN), ("SLACK_API_URL", &api), ("SLACK_PACE_MS", "0")];
    let ours = ours.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    aws.env().into_iter().chain(ours).collect()
}

/// How many cards each problem has.
pub(crate) fn cards(messages: &[Message], problems: usize) -> BTreeMap<usize, usize> {
    let posts: Vec<String> =
        messages.iter().filter(|m| m.thread_ts.is_none()).map(|m| format!("{} {:?}", m.text, m.blocks)).collect();
    (0..problems).map(|p| (p, posts.iter().filter(|post| post.contains(&instance(p))).count())).collect()
}

/// Fails unless every problem has one card, and `doubled` of them at most a second one.
#[track_caller]
pub(crate) fn assert_one_card_each(messages: &[Message], problems: usize, doubled: usize) {
    let cards = cards(messages, problems);
    let lost: Vec<_> = cards.iter().filter(|(_, n)| **n == 0).map(|(p, _)| p).collect();
    let twice: Vec<_> = cards.iter().filter(|(_, n)| **n > 1).collect();
    assert!(lost.is_empty(), "{} of {problems} problems have no card: {lost:?}", lost.len());
    assert!(twice.len() <= doubled && twice.iter().all(|(_, n)| **n == 2), "more than one card: {twice:?}");
}
