//! The ledger's memory: what we know about a problem, what we told, and what we did about it.
//!
//! Everything in an entry has a named limit: an attacker who floods us with events cannot make it grow.
use super::{
    finding::{Actor, Finding, Resource, Status},
    remediation::{News, Remediation},
    severity::Severity,
    verdict::Novelty,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The schema of what is stored; a newer one is refused.
pub const SCHEMA: u32 = 1;
/// Reports kept per entry (one per reporter and finding id).
pub const REPORTS_MAX: usize = 32;
/// Reports known by a digest only, per entry.
pub const SET_ASIDE_MAX: usize = 1_000;
/// Actors kept per entry.
pub const ACTORS_MAX: usize = 16;
/// Ids of acts kept per reporter, to know the same one again.
pub const SEEN_MAX: usize = 48;
/// Lines of history kept per entry.
pub const HISTORY_MAX: usize = 50;
/// Occurrences kept while counting towards a threshold.
pub const WINDOW_MAX: usize = 1_000;
/// Occurrences kept that still owe something.
pub const OWED_MAX: usize = 32;
/// Items kept per tally.
pub const TALLY_MAX: usize = 1_000;

/// Where a problem stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There, and told.
    Open,
    /// Over, or never told (episode 0).
    Closed,
}

/// What we know about one problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The schema it was written with.
    pub schema: u32,
    /// Grows by one with every write; 0 before the first.
    pub version: u64,
    /// Which problem.
    pub fingerprint: String,
    /// The account that has it.
    pub account: String,
    /// The Region; none for global resources.
    pub region: Option<String>,
    /// What it is about.
    pub resource: Resource,
    /// The kind of problem.
    pub weakness: String,
    /// The episode; 0 before the first.
    pub episode: u32,
    /// Where it stands.
    pub state: State,
    /// When the last episode ended.
    pub closed_at: Option<Timestamp>,
    /// The worst severity told in this episode.
    pub severity: Severity,
    /// First and last seen in this episode.
    pub first_seen: Timestamp,
    /// See `first_seen`.
    pub last_seen: Timestamp,
    /// When people were last told (a post or a reply, not an edit), or it was tried.
    pub told_at: Option<Timestamp>,
    /// When the card was last edited.
    pub edited_at: Option<Timestamp>,
    /// When the card has to be edited, because it does not yet show what we know.
    pub edit_due: Option<Timestamp>,
    /// The digests that have yet to name it.
    pub waiting: Vec<Waiting>,
    /// What each reporter says.
    pub reports: Vec<Report>,
    /// Reports that were still active when they had to make room, each by a digest: they must still be said to be over.
    #[serde(default)]
    pub set_aside: BTreeSet<String>,
    /// There were more than are kept: nobody can say that all is over.
    pub overflow: bool,
    /// Everybody who did it in this episode, by id.
    pub actors: Vec<String>,
    /// The names of their sessions.
    #[serde(default)]
    pub sessions: Vec<String>,
    /// There were more than are kept.
    #[serde(default)]
    pub crowded: bool,
    /// Occurrences while counting.
    pub window: Vec<Timestamp>,
    /// The messages of this episode, by destination.
    pub cards: Vec<Card>,
    /// The messages of the episode before.
    pub previous: Vec<Card>,
    /// What the card says about the finding itself.
    pub shown: Option<Shown>,
    /// The runbooks that answer it, and how far they got.
    #[serde(default)]
    pub remediations: Vec<Remediation>,
    /// What the channels have yet to hear of them.
    #[serde(default)]
    pub news: Vec<News>,
    /// Somebody takes care of it: no reminders.
    #[serde(default)]
    pub hush: Option<Hush>,
    /// What occurrences of this episode still owe, after failures.
    pub owed: Vec<Owed>,
    /// What came, what was decided, and why.
    pub history: Vec<History>,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// What else it is found by from the next write on: see [`Card::name`].
    #[serde(skip)]
    pub names: Vec<String>,
}

impl Entry {
    /// When something has to be done about it that no event will ask for.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|w| w.until).chain(self.edit_due).chain(self.remedy_due()).min()
    }

    /// When something has to be done about its remediations, or told of them.
    pub fn remedy_due(&self) -> Option<Timestamp> {
        let remediations = self.remediations.iter().filter_map(|r| r.claimed.max(r.due));
        remediations.chain(self.news.iter().map(|n| n.due)).min()
    }
}

/// Somebody takes care of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hush {
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until then; until the episode ends, where nothing is said.
    pub until: Option<Timestamp>,
}

impl Hush {
    /// Whether nobody is to be reminded now.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A problem that a channel hears of in its next digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The channel.
    pub destination: String,
    /// When its next digest is due.
    pub until: Timestamp,
}

/// What one reporter says about one finding id. All acts of a reporter share one report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Who.
    pub reporter: String,
    /// The reporter's finding id; empty for acts.
    pub id: String,
    /// The newest revision seen.
    pub revision: Timestamp,
    /// When the event that said so was sent.
    pub sent: Timestamp,
    /// What it says.
    pub status: Status,
    /// Whether it can ever say *resolved*.
    pub can_resolve: bool,
    /// How often, in this episode.
    pub count: u64,
    /// The finding's page in the console.
    pub link: Option<String>,
    /// The newest acts' ids.
    pub seen: Vec<String>,
}

/// A message about the problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Where it is.
    pub destination: String,
    /// Its name there, as the messenger gave it.
    pub message: String,
    /// Its address, for people.
    pub link: Option<String>,
    /// It is the thread of a storm card, not a card of its own.
    pub storm: bool,
    /// Whom it calls.
    pub mentions: Vec<String>,
}

impl Card {
    /// What the ledger finds the problem by, given a message.
    pub fn name(message: &str) -> String {
        format!("message/{message}")
    }
}

/// What a card says about the finding itself, kept so that an edit does not need the event again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The playbook that claims it, by name.
    pub playbook: String,
    /// Other playbooks that claim it too, by name.
    pub also: Vec<String>,
    /// What happened.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub next: Vec<String>,
    /// The reporter's type of finding.
    pub finding_type: String,
    /// Who did it.
    pub actor: Option<Actor>,
    /// How many more resources the finding names.
    pub more_resources: usize,
    /// The signals of an attack sequence.
    pub signals: Vec<String>,
    /// `sample`, `drill` or `replay`.
    pub exercise: Option<String>,
}

/// What an occurrence still owes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// Which occurrence: the reporter …
    pub reporter: String,
    /// … its finding id …
    pub id: String,
    /// … its revision …
    pub revision: Timestamp,
    /// … and what it said: a finding closed by hand keeps its revision.
    pub status: Status,
    /// What was new about it.
    pub novelty: Novelty,
    /// The severity before, where it escalated.
    pub was: Option<Severity>,
    /// The actions of its plan that are done, by key.
    pub done: Vec<String>,
    /// Those that may be done all the same.
    pub unsure: Vec<String>,
    /// When the first of them was tried first.
    pub begun: Option<Timestamp>,
    /// Somebody is at it, and nothing is known yet of what became of it.
    pub claimed: Option<Claimed>,
}

/// Who performs a plan, has it for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// When it was begun.
    pub since: Timestamp,
    /// After that, whoever had it is taken for dead.
    pub until: Timestamp,
}

impl Owed {
    /// What an occurrence owes: nothing of it is done.
    pub fn of(finding: &Finding, novelty: Novelty) -> Self {
        Self {
            reporter: finding.reporter.clone(),
            id: finding.id.clone(),
            revision: finding.revision,
            status: finding.status,
            novelty,
            was: None,
            done: Vec::new(),
            unsure: Vec::new(),
            begun: None,
            claimed: None,
        }
    }

    /// Whether it is this occurrence that owes it.
    pub fn is_of(&self, finding: &Finding) -> bool {
        self.reporter == finding.reporter
            && self.id == finding.id
            && self.revision == finding.revision
            && self.status == finding.status
    }
}

/// One line of an entry's history; the same decision again and again is one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When it was decided, the last time.
    pub at: Timestamp,
    /// How often in a row.
    pub times: u64,
    /// The `EventBridge` event's id.
    pub event: String,
    /// Who reported.
    pub reporter: String,
    /// What was new about it.
    pub novelty: Novelty,
    /// How bad it was.
    pub severity: Severity,
    /// What was done, and what became of it.
    pub done: Vec<String>,
}

/// A sliding count with names: the findings of a storm, the starts of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What is counted.
    pub key: String,
    /// Grows by one with every write; 0 before the first.
    pub version: u64,
    /// When, and of whom, oldest first.
    pub items: Vec<(Timestamp, String)>,
    /// The storm's card.
    pub card: Option<String>,
    /// When the storm's card was last posted or edited.
    pub edited: Option<Timestamp>,
    /// When the first of a row was counted; a new row begins when all are forgotten.
    pub since: Option<Timestamp>,
}

impl Tally {
    /// An empty one.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), version: 0, items: Vec::new(), card: None, edited: None, since: None }
    }

    /// Adds one, forgetting the oldest beyond the limit.
    pub fn add(&mut self, at: Timestamp, name: &str) {
        if self.items.is_empty() {
            self.since = Some(at);
        }
        push_bounded(&mut self.items, (at, name.to_owned()), TALLY_MAX);
    }
}

impl History {
    /// Appends a line, or counts it with the last one where that says the same.
    pub fn push(list: &mut Vec<Self>, line: Self) {
        match list.last_mut() {
            Some(newest) if newest.done.is_empty() && newest.says(&line) => {
                *newest = Self { times: newest.times.saturating_add(line.times), ..line };
            }
            _ => push_bounded(list, line, HISTORY_MAX),
        }
    }

    fn says(&self, other: &Self) -> bool {
        (&self.reporter, self.novelty, self.severity, &self.done)
            == (&other.reporter, other.novelty, other.severity, &other.done)
    }
}

/// Appends, forgetting the oldest beyond a limit.
pub fn push_bounded<T>(list: &mut Vec<T>, item: T, max: usize) {
    if list.len() >= max {
        list.drain(..=list.len() - max);
    }
    list.push(item);
}
