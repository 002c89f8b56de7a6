//! The plan: what is owed for a finding, given what is new about it. A pure function; nothing that it does not name is done.
#[cfg(test)]
mod tests;

use super::{
    config::{Config, Destination, Seen},
    playbook::{self, Playbook},
    rails::{self, Counts},
    remediation,
    runbook::Catalogue,
};
use crate::values::{
    action::{Action, Mode, Notify, NotifyMode, Publish, notify_key},
    entry::{Card, Entry, State, Tally, Waiting},
    finding::Finding,
    remediation::Remediation,
    severity::Severity,
    tree::Node,
    verdict::{Claim, Novelty},
};
use findings_formatters::view::Kind;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A card's count and last-seen are edited at most this often.
pub const EDIT_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// `detail-type` of our own event: people were told.
pub const FINDING_TOLD: &str = "Finding Told";
/// `detail-type` of our own event: the problem is over.
pub const FINDING_RESOLVED: &str = "Finding Resolved";
/// `detail-type` of our own event about a step in a remediation's life; some are of interest to nobody else.
pub fn remediation_event(what: &str) -> Option<&'static str> {
    Some(match what {
        "started" => "Remediation Started",
        "succeeded" => "Remediation Succeeded",
        "failed" => "Remediation Failed",
        "verified" => "Remediation Verified",
        "unverified" => "Remediation Unverified",
        "undone" => "Remediation Undone",
        "undo-failed" => "Remediation Undo Failed",
        _ => return None,
    })
}

/// Everything a plan is made from.
pub struct Facts<'a> {
    /// The user's configuration.
    pub config: &'a Config,
    /// What is known of runbooks.
    pub catalogue: &'a Catalogue,
    /// The playbook that claims the finding.
    pub playbook: &'a Playbook,
    /// The finding.
    pub finding: &'a Finding,
    /// The verdict.
    pub claim: &'a Claim,
    /// What is new about it.
    pub novelty: Novelty,
    /// The event.
    pub tree: &'a Node<'a>,
    /// The clock.
    pub now: Timestamp,
}

/// The sliding counts that a plan reads and moves on, by key.
pub type Tallies = BTreeMap<String, Tally>;

impl Facts<'_> {
    /// Where the finding goes.
    pub fn destinations(&self) -> Vec<Destination> {
        let seen = Seen {
            severity: self.claim.severity,
            reporter: &self.finding.reporter,
            account: &self.finding.account,
            known: self.config.account(&self.finding.account),
            playbook: &self.playbook.name,
            tags: &self.claim.about.tags,
            tree: self.tree,
        };
        self.config.destinations(&seen, self.now)
    }

    /// The tallies that [`plan`] will ask for, so that they can be read first.
    pub fn tallies(&self) -> Vec<String> {
        if !opens(self.novelty) {
            return Vec::new();
        }
        let storms = self.destinations().into_iter().filter(|d| d.until.is_none()).map(|d| self.storm_key(&d.channel));
        let owner = self.claim.owner(self.finding);
        // What only says what it would do needs no counts.
        let in_earnest = rails::mode(self.config, &self.playbook.name, owner, &self.claim.about) >= Mode::Approve;
        let runbooks = self.playbook.remediate.iter().filter(|_| in_earnest);
        let counts = runbooks.flat_map(|r| self.counts(&r.runbook));
        storms.chain(counts).collect()
    }

    /// The tallies that limit a runbook when it is planned. (The others can change until it starts, and are read then.)
    fn counts(&self, runbook: &str) -> [String; 2] {
        let owner = self.claim.owner(self.finding);
        [rails::starts_key(runbook, owner), rails::touched_key(owner, &self.claim.about)]
    }

    fn storm_key(&self, destination: &str) -> String {
        storm_key(&self.playbook.name, &self.finding.account, destination)
    }
}

/// The tally of a storm.
pub fn storm_key(playbook: &str, account: &str, destination: &str) -> String {
    format!("storm/{playbook}/{account}/{destination}")
}

/// `new` and `reopened` open an episode: a card of its own, and remediation.
fn opens(novelty: Novelty) -> bool {
    matches!(novelty, Novelty::New | Novelty::Reopened)
}

/// What is owed. The entry is the one after [`super::novelty::advance`]; its offers are filled in.
pub fn plan(facts: &Facts<'_>, entry: &mut Entry, tallies: &mut Tallies) -> Vec<Action> {
    let mut actions = Vec::new();
    for destination in audience(facts, entry) {
        match destination.until {
            Some(until) => wait(entry, Waiting { destination: destination.channel, until }, &mut actions),
            None => notify(facts, entry, tallies, &destination, &mut actions),
        }
    }
    // Where a retry comes after the problem is over, nothing is left to mend.
    if opens(facts.novelty) && entry.state == State::Open {
        let case = rails::Case {
            config: facts.config,
            catalogue: facts.catalogue,
            playbook: facts.playbook,
            finding: facts.finding,
            claim: facts.claim,
            tree: facts.tree,
            episode: entry.episode,
            told: !facts.destinations().is_empty(),
            now: facts.now,
        };
        let mut passed: Vec<Remediation> =
            facts.playbook.remediate.iter().filter_map(|r| pass(&case, facts, r, tallies)).collect();
        // What is for a user, or a node, says nothing where the finding names none.
        passed.retain(|r| r.stopped.as_ref().is_none_or(|s| s.rail != rails::ABSENT));
        remediation::plan(entry, passed.clone());
        actions.extend(passed.into_iter().map(|r| Action::Remediate(Box::new(r))));
    }
    match facts.novelty {
        Novelty::Resolved => remediation::resolved(entry, facts.now),
        Novelty::Reminder | Novelty::Escalated => remediation::offer_again(facts.config, entry, facts.now),
        _ => {}
    }
    let detail_type = match facts.novelty {
        _ if actions.is_empty() => None,
        Novelty::New | Novelty::Reopened | Novelty::Escalated | Novelty::Reminder => Some(FINDING_TOLD),
        Novelty::Resolved => Some(FINDING_RESOLVED),
        Novelty::Duplicate | Novelty::Stale | Novelty::BelowThreshold => None,
    };
    let bus = facts.config.live.bus.clone();
    actions.extend(bus.zip(detail_type).map(|(bus, detail_type)| Action::Publish(Publish { bus, detail_type })));
    actions
}

/// One remediation through the rails, with what was counted of it before.
fn pass(
    case: &rails::Case<'_>,
    facts: &Facts<'_>,
    remediate: &playbook::Remediate,
    tallies: &mut Tallies,
) -> Option<Remediation> {
    let [starts, touched] = facts.counts(&remediate.runbook);
    // (What only says what it would do was not read, and counts nothing.)
    let in_earnest = tallies.contains_key(&starts);
    let mut read = |key: &str| tallies.remove(key).unwrap_or_else(|| Tally::new(key));
    let blank = Tally::new("");
    let mut counts = Counts {
        starts: read(&starts),
        touched: read(&touched),
        failures: blank.clone(),
        running: blank.clone(),
        halt: blank,
    };
    let passed = rails::pass(case, remediate, &mut counts);
    if in_earnest {
        tallies.extend([(starts, counts.starts), (touched, counts.touched)]);
    }
    passed
}

/// A channel that hears of it in its digest: noted with the entry, so that the digest finds it.
fn wait(entry: &mut Entry, waiting: Waiting, actions: &mut Vec<Action>) {
    let told = entry.cards.iter().any(|c| c.destination == waiting.destination);
    if !told && entry.waiting.iter().all(|w| w.destination != waiting.destination) {
        entry.waiting.push(waiting.clone());
        actions.push(Action::Digest(waiting));
    }
}

/// A card that does not show this occurrence yet is edited when that is due again; one that is edited now is not.
pub fn mark_for_edit(facts: &Facts<'_>, entry: &mut Entry, actions: &[Action]) {
    let lines = actions.iter().any(|a| matches!(a, Action::Notify(n) if n.kind == Kind::StormLine));
    let storms = actions.iter().any(|a| matches!(a, Action::Notify(n) if n.kind == Kind::Storm));
    if lines && !storms {
        entry.edit_due = Some(facts.now + EDIT_EVERY);
    }
    let edits = |a: &Action| matches!(a, Action::Notify(n) if n.mode == NotifyMode::Update && n.kind == Kind::Card);
    if actions.iter().any(edits) {
        entry.edit_due = None;
    }
    let own = entry.cards.iter().any(|c| !c.storm);
    if facts.novelty == Novelty::Duplicate && own && actions.is_empty() {
        let edited = entry.edited_at.or(entry.told_at).unwrap_or(facts.now);
        entry.edit_due.get_or_insert(edited + EDIT_EVERY);
    }
}

/// Who hears of it: wherever a card is, it is kept true, even where routes (or the severity) have changed since.
fn audience(facts: &Facts<'_>, entry: &Entry) -> Vec<Destination> {
    let opened = opens(facts.novelty);
    let tells = opened || matches!(facts.novelty, Novelty::Escalated | Novelty::Reminder);
    let mut all = if tells { facts.destinations() } else { Vec::new() };
    for card in entry.cards.iter().filter(|_| !opened) {
        match all.iter_mut().find(|d| d.channel == card.destination) {
            // What the channel has seen is not kept from it.
            Some(known) => known.until = None,
            None => all.push(Destination { channel: card.destination.clone(), ..Destination::default() }),
        }
    }
    all
}

fn notify(facts: &Facts<'_>, entry: &Entry, tallies: &mut Tallies, to: &Destination, actions: &mut Vec<Action>) {
    let destination = &to.channel;
    let card = entry.cards.iter().find(|c| c.destination == *destination);
    let mut owe = |mode, kind, target: Option<&Card>| {
        let storm = matches!(kind, Kind::Storm | Kind::StormLine).then(|| facts.storm_key(destination));
        // A new card calls people; an edit keeps whom it called.
        let mentions = match (mode, target) {
            (NotifyMode::Update, Some(card)) => card.mentions.clone(),
            (NotifyMode::Post, _) => to.mentions.clone(),
            _ => Vec::new(),
        };
        let target = target.map(|c| c.message.clone());
        actions.push(Action::Notify(Notify { destination: destination.clone(), mode, kind, storm, target, mentions }));
    };
    let own = card.filter(|c| !c.storm);
    match facts.novelty {
        // Tried again after a failure, and a later occurrence has posted the card meanwhile.
        Novelty::New | Novelty::Reopened if own.is_some() => {}
        // It may be in the channel already: a storm that began meanwhile must not tell it again as a line.
        Novelty::New | Novelty::Reopened if may_be_posted(facts, entry, destination) => {
            owe(NotifyMode::Post, Kind::Card, None);
        }
        Novelty::New | Novelty::Reopened => {
            let key = facts.storm_key(destination);
            let tally = tallies.entry(key.clone()).or_insert_with(|| Tally::new(key));
            // Tried again after a failure, and the storm's card was posted by then.
            if tally.card.is_none() {
                tally.card = card.map(|c| c.message.clone());
            }
            match storm(tally, facts, entry) {
                Storm::Card => owe(NotifyMode::Post, Kind::Card, None),
                Storm::First => {
                    owe(NotifyMode::Post, Kind::Storm, None);
                    owe(NotifyMode::Thread, Kind::StormLine, None);
                }
                Storm::Line(message) => {
                    let thread = Card {
                        destination: destination.clone(),
                        message,
                        link: None,
                        storm: true,
                        mentions: Vec::new(),
                    };
                    // Its count is edited at most so often; what comes in between is shown when that is due.
                    let due = tally.edited.is_none_or(|at| facts.now.duration_since(at) >= EDIT_EVERY);
                    if due {
                        owe(NotifyMode::Update, Kind::Storm, Some(&thread));
                    }
                    owe(NotifyMode::Thread, Kind::StormLine, Some(&thread));
                }
            }
        }
        // Told in a storm's thread so far, or never here (a route or a failure): from now on it has a card of its own.
        Novelty::Escalated if own.is_none() => owe(NotifyMode::Post, Kind::Card, None),
        Novelty::Escalated => {
            owe(NotifyMode::Update, Kind::Card, own);
            owe(NotifyMode::Broadcast, Kind::Escalated, own);
        }
        Novelty::Reminder if card.is_none() => owe(NotifyMode::Post, Kind::Card, None),
        Novelty::Reminder if own.is_none() => owe(NotifyMode::Thread, Kind::Reminder, card),
        Novelty::Reminder => owe(NotifyMode::Broadcast, Kind::Reminder, own),
        Novelty::Resolved => {
            if own.is_some() {
                owe(NotifyMode::Update, Kind::Card, own);
            }
            if card.is_some() {
                owe(NotifyMode::Thread, Kind::Resolved, card);
            }
        }
        Novelty::Duplicate => {
            let edited = entry.edited_at.or(entry.told_at);
            let due = edited.is_none_or(|at| facts.now.duration_since(at) >= EDIT_EVERY);
            if due && own.is_some() {
                owe(NotifyMode::Update, Kind::Card, own);
            }
        }
        Novelty::Stale | Novelty::BelowThreshold => {}
    }
}

/// Whether a card's post was tried, and nobody knows what became of it.
fn may_be_posted(facts: &Facts<'_>, entry: &Entry, destination: &str) -> bool {
    let key = notify_key(destination, NotifyMode::Post, Kind::Card);
    entry.owed.iter().any(|o| o.is_of(facts.finding) && o.unsure.contains(&key))
}

enum Storm {
    /// A card of its own.
    Card,
    /// The first line of a storm: the storm's card has to be posted.
    First,
    /// A line in the thread of this message.
    Line(String),
}

/// Slides the window and says whether the finding still gets a card of its own. Critical findings always do.
fn storm(tally: &mut Tally, facts: &Facts<'_>, entry: &Entry) -> Storm {
    let (claim, limits, now) = (facts.claim, facts.config.storm, facts.now);
    if claim.severity == Severity::Critical {
        return Storm::Card;
    }
    tally.items.retain(|(at, _)| now.duration_since(*at) < limits.window);
    if tally.items.is_empty() {
        (tally.card, tally.edited) = (None, None);
    }
    // One finding counts once, and once more each time it comes back: a flapping one is a storm of its own.
    let name = format!("{}/{}", claim.fingerprint, entry.episode);
    if tally.items.iter().all(|(_, known)| *known != name) {
        tally.add(now, &name);
    }
    match &tally.card {
        Some(card) => Storm::Line(card.clone()),
        None if tally.items.len() <= limits.cards as usize => Storm::Card,
        None => Storm::First,
    }
}
