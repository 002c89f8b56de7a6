//! What comes in: real shapes, from the fixtures, as compact as EventBridge sends them.
use crate::world::{Wrong, named};
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    fs,
    path::Path,
};

/// Problems that the daemon knows.
pub(crate) const PROBLEMS: usize = 1_000;
/// Of ten messages, so many are CloudTrail records that nobody needs to hear about.
const IGNORED_OF_TEN: usize = 6;

/// Bodies by number, always the same.
pub(crate) struct Events {
    /// A GuardDuty finding, cut where its numbers go.
    finding: Vec<String>,
    ignored: Vec<String>,
}

impl Events {
    /// Reads the fixtures; in JSON's quotes, they can be put into a batch.
    pub(crate) fn load(quoted: bool) -> Result<Self, Wrong> {
        let fixtures = named("BENCH_ROOT")?.join("fixtures");
        let read = |path: &Path| -> Result<Value, Wrong> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
        let text =
            |value: &Value| if quoted { Value::String(value.to_string()).to_string() } else { value.to_string() };
        let mut paths: Vec<_> = fs::read_dir(fixtures.join("cloudtrail-ordinary"))?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        let ignored = paths.iter().map(|path| read(path).map(|v| text(&v))).collect::<Result<_, _>>()?;
        let mut finding = read(&fixtures.join("guardduty-crypto-mining/01-first-seen.json"))?;
        // Each problem is an instance, told by a finding of its own; each time it is told, the finding is revised.
        let marked = [
            ("/id", "<p8>-0000-4000-8000-<r12>"),
            ("/detail/id", "<p32>"),
            ("/detail/arn", "arn:aws:guardduty:ap-northeast-1:111122223333:detector/d/finding/<p32>"),
            ("/detail/updatedAt", "2026-03-21T<time>.000Z"),
            ("/detail/resource/instanceDetails/instanceId", "i-<p17>"),
        ];
        for (pointer, mark) in marked {
            *finding.pointer_mut(pointer).ok_or_else(|| format!("the fixture has no {pointer}"))? = json!(mark);
        }
        let finding = text(&finding).split(['<', '>']).map(str::to_owned).collect();
        Ok(Self { finding, ignored })
    }

    /// A problem, for the nth time. Revisions are a second apart.
    pub(crate) fn finding(&self, problem: usize, revision: usize) -> String {
        let mut body = String::with_capacity(4_096);
        // Writing to a string does not fail.
        let mut put = |what: fmt::Arguments<'_>| body.write_fmt(what).unwrap_or_default();
        for part in &self.finding {
            match part.as_str() {
                "p8" => put(format_args!("{problem:08x}")),
                "p17" => put(format_args!("{problem:017x}")),
                "p32" => put(format_args!("{problem:032x}")),
                "r12" => put(format_args!("{revision:012}")),
                "time" => {
                    let (h, m, s) = (revision / 3_600, revision / 60 % 60, revision % 60);
                    put(format_args!("{:02}:{m:02}:{s:02}", 3 + h));
                }
                text => put(format_args!("{text}")),
            }
        }
        body
    }

    /// The nth message of a busy day on which so many problems are known.
    pub(crate) fn mixed(&self, n: usize, problems: usize) -> String {
        let (tens, place) = (n / 10, n % 10);
        if place < IGNORED_OF_TEN {
            return self.ignored[(tens * IGNORED_OF_TEN + place) % self.ignored.len()].clone();
        }
        self.duplicate(tens * (10 - IGNORED_OF_TEN) + place - IGNORED_OF_TEN, problems)
    }

    /// The nth duplicate of so many problems, which take turns.
    pub(crate) fn duplicate(&self, n: usize, problems: usize) -> String {
        self.finding(n % problems, 1 + n / problems)
    }

    /// A batch for SQS, of quoted bodies.
    pub(crate) fn batch(queue: &str, bodies: impl Iterator<Item = String>) -> String {
        let entries: Vec<String> =
            bodies.enumerate().map(|(i, body)| format!(r#"{{"Id":"{i}","MessageBody":{body}}}"#)).collect();
        format!(r#"{{"QueueUrl":"{queue}","Entries":[{}]}}"#, entries.join(","))
    }
}
