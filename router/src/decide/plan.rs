//! The plan: what is owed for a finding, given what is new about it. A pure function; nothing that it does not name is done.
#[cfg(test)]
mod tests;

use super::{
    config::{Config, Seen},
    playbook::Playbook,
    rails,
};
use crate::values::{
    action::{Action, Notify, NotifyMode, Remediate},
    entry::{Card, Entry, Offer, State, Tally},
    finding::Finding,
    severity::Severity,
    tree::Node,
    verdict::{Claim, Novelty},
};
use findings_formatters::view::Kind;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A card's count and last-seen are edited at most this often.
pub const EDIT_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Everything a plan is made from.
pub struct Facts<'a> {
    /// The user's configuration.
    pub config: &'a Config,
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

impl<'a> Facts<'a> {
    /// Where the finding goes.
    pub fn destinations(&self) -> Vec<&'a str> {
        self.config.destinations(&Seen {
            severity: self.claim.severity,
            reporter: &self.finding.reporter,
            account: &self.finding.account,
            known: self.config.account(&self.finding.account),
            playbook: &self.playbook.name,
            tree: self.tree,
        })
    }

    /// The tallies that [`plan`] will ask for, so that they can be read first.
    pub fn tallies(&self) -> Vec<String> {
        if !opens(self.novelty) {
            return Vec::new();
        }
        let storms = self.destinations().into_iter().map(|d| self.storm_key(d));
        let starts =
            self.playbook.remediate.iter().map(|r| rails::tally_key(&r.runbook, self.claim.owner(self.finding)));
        storms.chain(starts).collect()
    }

    fn storm_key(&self, destination: &str) -> String {
        format!("storm/{}/{}/{destination}", self.playbook.name, self.finding.account)
    }
}

/// `new` and `reopened` open an episode: a card of its own, and remediation.
fn opens(novelty: Novelty) -> bool {
    matches!(novelty, Novelty::New | Novelty::Reopened)
}

/// What is owed. The entry is the one after [`super::novelty::advance`]; its offers are filled in.
pub fn plan(facts: &Facts<'_>, entry: &mut Entry, tallies: &mut Tallies) -> Vec<Action> {
    let mut actions = Vec::new();
    for destination in audience(facts, entry) {
        notify(facts, entry, tallies, &destination, &mut actions);
    }
    // Where a retry comes after the problem is over, nothing is left to mend.
    if opens(facts.novelty) && entry.state == State::Open {
        let case = rails::Case {
            config: facts.config,
            playbook: facts.playbook,
            finding: facts.finding,
            claim: facts.claim,
            tree: facts.tree,
            episode: entry.episode,
            told: !facts.destinations().is_empty(),
            now: facts.now,
        };
        let passed: Vec<Remediate> = facts
            .playbook
            .remediate
            .iter()
            .filter_map(|r| {
                let key = rails::tally_key(&r.runbook, facts.claim.owner(facts.finding));
                rails::pass(&case, r, tallies.entry(key.clone()).or_insert_with(|| Tally::new(key)))
            })
            .collect();
        entry.offers = passed.iter().map(offer).collect();
        actions.extend(passed.into_iter().map(Action::Remediate));
    }
    actions
}

/// Who hears of it: wherever a card is, it is kept true, even where routes (or the severity) have changed since.
fn audience(facts: &Facts<'_>, entry: &Entry) -> Vec<String> {
    let opened = opens(facts.novelty);
    let tells = opened || matches!(facts.novelty, Novelty::Escalated | Novelty::Reminder);
    let routed = if tells { facts.destinations() } else { Vec::new() };
    let mut all: Vec<String> = routed.into_iter().map(str::to_owned).collect();
    for card in entry.cards.iter().filter(|_| !opened) {
        if !all.contains(&card.destination) {
            all.push(card.destination.clone());
        }
    }
    all
}

fn notify(facts: &Facts<'_>, entry: &Entry, tallies: &mut Tallies, destination: &str, actions: &mut Vec<Action>) {
    let card = entry.cards.iter().find(|c| c.destination == destination);
    let mut owe = |mode, kind, target: Option<&Card>| {
        let target = target.map(|c| c.message.clone());
        let storm = matches!(kind, Kind::Storm | Kind::StormLine).then(|| facts.storm_key(destination));
        actions.push(Action::Notify(Notify { destination: destination.to_owned(), mode, kind, storm, target }));
    };
    let own = card.filter(|c| !c.storm);
    match facts.novelty {
        // Tried again after a failure, and a later occurrence has posted the card meanwhile.
        Novelty::New | Novelty::Reopened if own.is_some() => {}
        Novelty::New | Novelty::Reopened => {
            let key = facts.storm_key(destination);
            let tally = tallies.entry(key.clone()).or_insert_with(|| Tally::new(key));
            match storm(tally, facts, entry) {
                Storm::Card => owe(NotifyMode::Post, Kind::Card, None),
                Storm::First => {
                    owe(NotifyMode::Post, Kind::Storm, None);
                    owe(NotifyMode::Thread, Kind::StormLine, None);
                }
                Storm::Line(message) => {
                    let thread = Card { destination: destination.to_owned(), message, link: None, storm: true };
                    owe(NotifyMode::Update, Kind::Storm, Some(&thread));
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
            let tried = entry.owed.iter().any(|o| o.is_of(facts.finding));
            let due = tried || edited.is_none_or(|at| facts.now.duration_since(at) >= EDIT_EVERY);
            if due && own.is_some() {
                owe(NotifyMode::Update, Kind::Card, own);
            }
        }
        Novelty::Stale | Novelty::BelowThreshold => {}
    }
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
        tally.card = None;
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

fn offer(r: &Remediate) -> Offer {
    Offer {
        runbook: r.runbook.clone(),
        effect: r.effect.as_str().to_owned(),
        mode: r.mode.as_str().to_owned(),
        parameters: r.parameters.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect(),
        stopped: r.stopped.as_ref().map(|s| s.reason.clone()),
        undo: r.undo,
    }
}
