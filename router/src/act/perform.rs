//! Performs a plan: one action after the other, each recorded before the next, so that a crash can double one at most.
#[cfg(test)]
mod tests;

use super::{
    ports::{Delivery, Ledger, Messenger, Publisher, Put, Remediator, Trouble},
    router::{CONFLICTS_MAX, Performed, Router},
};
use crate::{
    decide::{
        ocsf,
        plan::{EDIT_EVERY, Tallies},
        show,
    },
    values::{
        action::{Action, Later, Notify, NotifyMode, Outcome, Posted},
        entry::{Card, Entry, History, OWED_MAX, Owed, push_bounded},
        finding::Finding,
        text::digest,
        verdict::{Claim, Novelty},
    },
};
use findings_formatters::{Message, view::Kind};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The same failure is told in the operations channel at most this often.
const COMPLAIN_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// What no channel takes is tried again after this long.
const MEND_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What a plan's actions are performed for.
pub(super) struct Story<'a> {
    pub(super) novelty: Novelty,
    pub(super) finding: &'a Finding,
    pub(super) now: Timestamp,
}

/// A plan being performed, and what it changes.
pub(super) struct Telling<'a> {
    pub(super) entry: Entry,
    pub(super) tallies: Tallies,
    /// What this occurrence owes.
    pub(super) owed: Owed,
    /// What a person should mend.
    pub(super) mistakes: Vec<String>,
    pub(super) story: Story<'a>,
}

impl<L: Ledger, M: Messenger, R: Remediator, P: Publisher> Router<'_, L, M, R, P> {
    /// Performs a plan in its order. What fails does not keep the rest from being done.
    pub(super) async fn perform(
        &self,
        actions: Vec<Action>,
        telling: &mut Telling<'_>,
        claimed: bool,
    ) -> Result<Vec<Performed>, Trouble> {
        let mut posted: BTreeMap<String, Outcome> = BTreeMap::new();
        let mut performed = Vec::with_capacity(actions.len());
        let mut actions = actions.into_iter().peekable();
        while let Some(action) = actions.next() {
            let (message, outcome) = match &action {
                Action::Digest(_) => (None, Outcome::Done(None)),
                // It stands in the entry; what is approved is started when the problem has been told.
                Action::Remediate(_) => (None, Outcome::Nothing),
                Action::Publish(p) => {
                    let story = &telling.story;
                    let detail = ocsf::finding(&self.policy.config, &telling.entry, story.novelty, story.now);
                    (None, self.publisher.publish(p, &detail, story.now).await)
                }
                Action::Notify(notify) => {
                    let (message, outcome) = self.notify(notify, &action.key(), &posted, telling).await;
                    if notify.mode == NotifyMode::Post {
                        posted.insert(notify.destination.clone(), outcome.clone());
                    }
                    (Some(message), outcome)
                }
            };
            telling.note(&action.key(), &outcome);
            let progress = matches!(outcome, Outcome::Done(_)) && matches!(action, Action::Notify(_));
            if claimed && progress && actions.peek().is_some() {
                let finding = telling.story.finding;
                telling.entry.owed.retain(|o| !o.is_of(finding));
                push_bounded(&mut telling.entry.owed, telling.owed.clone(), OWED_MAX);
                self.settle(&mut telling.entry, finding, false).await?;
                telling.entry.version += 1;
            }
            performed.push(Performed { action, message, outcome });
        }
        telling.owe_if_nobody_was_told(&mut performed);
        Ok(performed)
    }

    async fn notify(
        &self,
        notify: &Notify,
        key: &str,
        posted: &BTreeMap<String, Outcome>,
        telling: &mut Telling<'_>,
    ) -> (Message, Outcome) {
        let mut notify = notify.clone();
        let first = posted.get(&notify.destination);
        if notify.target.is_none() && notify.mode != NotifyMode::Post {
            notify.target = first.and_then(Outcome::message);
        }
        let message = self.render(&notify, telling);
        // A reply to a message that could not be posted shares its fate: it is not lost, and never floods.
        if let Some(failed) = first.filter(|f| notify.target.is_none() && !matches!(f, Outcome::Done(_))) {
            return (message, failed.clone());
        }
        let mut unsure = telling.owed.unsure.iter().any(|k| k == key);
        let mut key = delivery_key(&telling.entry, telling.story.finding, key);
        let mut since = telling.owed.begun.unwrap_or(telling.story.now);
        if let (Kind::Storm, Some(storm)) = (notify.kind, notify.storm.as_ref().and_then(|s| telling.tallies.get(s))) {
            // One card for all of a storm: somebody else may have posted it, and not be done yet.
            since = storm.since.unwrap_or(since);
            key = digest([storm.key.as_str(), &since.to_string()]);
            unsure |= notify.mode == NotifyMode::Post;
        }
        let mut outcome = self.messenger.send(&notify, &message, Delivery { key: &key, unsure, since }).await;
        telling.note_sent(&notify, &outcome);
        // A finding that cannot go where it should is told to those who can mend that.
        let operations = self.policy.config.operations.as_ref().filter(|o| **o != notify.destination);
        if let (Outcome::Failed(why), NotifyMode::Post, Some(operations)) = (&outcome, notify.mode, operations) {
            let instead = Notify { destination: operations.clone(), ..notify };
            let key = format!("{key}-instead");
            let second = self.messenger.send(&instead, &message, Delivery { key: &key, unsure, since }).await;
            telling.note_sent(&instead, &second);
            outcome = match second {
                Outcome::Done(_) => Outcome::Failed(format!("{why} (told in {operations} instead)")),
                Outcome::Later(later) => Outcome::Later(later),
                Outcome::Nothing | Outcome::Failed(_) => outcome,
            };
        }
        (message, outcome)
    }

    /// A template's mistake must not lose the finding: its title goes out as plain text, and the mistake is told.
    fn render(&self, notify: &Notify, telling: &mut Telling<'_>) -> Message {
        let Telling { entry, tallies, owed, story, mistakes } = telling;
        let tally = notify.storm.as_ref().and_then(|key| tallies.get(key));
        let view = show::view(&self.policy.config, entry, notify, story.novelty, owed.was, tally);
        self.formatter.slack(&view).unwrap_or_else(|error| {
            mistakes.push(error.to_string());
            Message::plain(&view)
        })
    }

    /// Writes what became of a plan that was claimed. What somebody else wrote meanwhile is kept: only what we did is put
    /// into it.
    pub(super) async fn settle(&self, ours: &mut Entry, finding: &Finding, last: bool) -> Result<(), Trouble> {
        for _ in 0..CONFLICTS_MAX {
            if self.ledger.put_entry(ours).await? == Put::Written {
                return Ok(());
            }
            let Some(mut entry) = self.ledger.entry(&ours.fingerprint).await? else { break };
            entry.owed.retain(|o| !o.is_of(finding));
            entry.owed.extend(ours.owed.iter().filter(|o| o.is_of(finding)).cloned());
            if let Some(line) = ours.history.last().filter(|_| last) {
                History::push(&mut entry.history, line.clone());
            }
            if entry.episode == ours.episode {
                // Whoever wrote meanwhile changed what a card should show.
                entry.edit_due = entry.edit_due.or(Some(ours.updated_at + EDIT_EVERY));
                entry.cards.retain(|theirs| ours.cards.iter().all(|c| c.destination != theirs.destination));
                entry.cards.append(&mut ours.cards);
                entry.told_at = entry.told_at.max(ours.told_at);
                entry.edited_at = entry.edited_at.max(ours.edited_at);
            }
            entry.names.append(&mut ours.names);
            *ours = entry;
        }
        Err(Trouble(format!("changed by somebody else {CONFLICTS_MAX} times in a row")))
    }

    /// Tells in the operations channel what failed for good, once a day each; every finding keeps its own record of it.
    pub(super) async fn complain(&self, performed: &[Performed], mistakes: &[String], entry: &Entry, now: Timestamp) {
        let Some(operations) = &self.policy.config.operations else { return };
        let failed = performed.iter().filter_map(|p| match &p.outcome {
            Outcome::Failed(why) => Some((p.action.subject(), why.as_str())),
            _ => None,
        });
        let playbook = entry.shown.as_ref().map_or("", |s| s.playbook.as_str());
        let failed = failed.chain(mistakes.iter().map(|why| (playbook, why.as_str())));
        for (what, why) in failed {
            let key = format!("complaint/{}", digest([what, why]));
            let Ok(mut tally) = self.ledger.tally(&key).await else { continue };
            tally.items.retain(|(at, _)| now.duration_since(*at) < COMPLAIN_EVERY);
            if !tally.items.is_empty() {
                continue;
            }
            tally.add(now, &entry.fingerprint);
            if !matches!(self.ledger.put_tally(&tally).await, Ok(Put::Written)) {
                continue;
            }
            let view = show::note(&self.policy.config, what, why);
            let Ok(message) = self.formatter.slack(&view) else { continue };
            let notify = Notify {
                destination: operations.clone(),
                mode: NotifyMode::Post,
                kind: Kind::Note,
                storm: None,
                target: None,
                mentions: Vec::new(),
            };
            let key = format!("{key}/{now}");
            // What cannot be told here either is in the log, as the failure itself is.
            let _ = self.messenger.send(&notify, &message, Delivery { key: &key, unsure: false, since: now }).await;
        }
    }
}

impl Telling<'_> {
    /// Notes what is done, and what may be. (That this attempt did nothing says nothing about those before.)
    fn note(&mut self, key: &str, outcome: &Outcome) {
        let known = self.owed.unsure.iter().any(|k| k == key);
        match outcome {
            Outcome::Later(later) if later.unsure && !known => self.owed.unsure.push(key.to_owned()),
            Outcome::Later(_) => {}
            Outcome::Done(_) | Outcome::Nothing | Outcome::Failed(_) => {
                self.owed.unsure.retain(|k| k != key);
                self.owed.done.push(key.to_owned());
            }
        }
    }

    /// A finding that could not be posted anywhere (a wrong token, a channel that is gone) must not be forgotten when the
    /// message is: it comes again until somebody has mended that, or it is with the dead letters.
    fn owe_if_nobody_was_told(&mut self, performed: &mut [Performed]) {
        let posts = |p: &Performed| matches!(&p.action, Action::Notify(n) if n.mode == NotifyMode::Post);
        if !self.entry.cards.is_empty() || !self.entry.waiting.is_empty() {
            return;
        }
        for one in performed.iter_mut().filter(|p| posts(p)) {
            if let Outcome::Failed(why) = &one.outcome {
                let key = one.action.key();
                self.owed.done.retain(|k| *k != key);
                one.outcome = Outcome::Later(Later { after: MEND_AFTER, why: why.clone(), unsure: false });
            }
        }
    }

    /// Remembers where the problem was told, so that its card can be kept true.
    fn note_sent(&mut self, notify: &Notify, outcome: &Outcome) {
        let (entry, now) = (&mut self.entry, self.story.now);
        let Outcome::Done(made) = outcome else {
            if let (Outcome::Later(later), NotifyMode::Update, Novelty::Duplicate) =
                (outcome, notify.mode, self.story.novelty)
            {
                entry.edit_due = Some(now + later.after);
            }
            return;
        };
        note_card(entry, notify, made.as_ref(), now);
        let tally = notify.storm.as_ref().filter(|_| notify.kind == Kind::Storm).and_then(|s| self.tallies.get_mut(s));
        if let Some(tally) = tally {
            tally.edited = Some(now);
            tally.card = made.as_ref().map(|m| m.id.clone()).or(tally.card.take());
        }
    }

    /// Writes down what came, what was decided and what was done; and what is still owed.
    pub(super) fn record(&mut self, event: &str, claim: &Claim, performed: &[Performed]) {
        let story = &self.story;
        let line = History {
            at: story.now,
            times: 1,
            event: event.to_owned(),
            reporter: story.finding.reporter.clone(),
            novelty: story.novelty,
            severity: claim.severity,
            done: performed.iter().map(told).collect(),
        };
        History::push(&mut self.entry.history, line);
        self.entry.owed.retain(|o| !o.is_of(story.finding));
        let later = performed.iter().any(|p| matches!(p.outcome, Outcome::Later(_)));
        if later && story.novelty != Novelty::Duplicate {
            push_bounded(&mut self.entry.owed, Owed { claimed: None, ..self.owed.clone() }, OWED_MAX);
        }
    }
}

/// Remembers a message that was sent or edited.
pub(super) fn note_card(entry: &mut Entry, notify: &Notify, made: Option<&Posted>, now: Timestamp) {
    let edit = notify.mode == NotifyMode::Update;
    if edit && notify.kind == Kind::Card {
        entry.edited_at = Some(now);
    }
    let (message, link) = match (notify.kind, made) {
        // A line's card is the thread that it stands in.
        (Kind::StormLine, _) => (notify.target.clone(), None),
        // An edit that made a message took the place of one that could not be edited any more.
        (_, Some(made)) if edit || notify.mode == NotifyMode::Post => (Some(made.id.clone()), made.link.clone()),
        // A reply is a message too, but no card.
        _ => return,
    };
    let Some(message) = message else { return };
    let storm = matches!(notify.kind, Kind::Storm | Kind::StormLine);
    if !storm {
        entry.names.push(Card::name(&message));
        entry.waiting.retain(|w| w.destination != notify.destination);
    }
    let mentions = notify.mentions.clone();
    let card = Card { destination: notify.destination.clone(), message, link, storm, mentions };
    entry.cards.retain(|c| c.destination != card.destination);
    entry.cards.push(card);
}

fn told(performed: &Performed) -> String {
    let key = performed.action.key();
    match &performed.outcome {
        Outcome::Done(_) => format!("{key}: done"),
        Outcome::Nothing => format!("{key}: nothing to do"),
        Outcome::Later(later) => format!("{key}: later, {}", later.why),
        Outcome::Failed(why) => format!("{key}: failed, {why}"),
    }
}

/// The same for every attempt at one message of one occurrence.
fn delivery_key(entry: &Entry, finding: &Finding, action: &str) -> String {
    let episode = entry.episode.to_string();
    let revision = finding.revision.to_string();
    digest([&entry.fingerprint, episode.as_str(), action, &finding.reporter, &finding.id, &revision])
}
