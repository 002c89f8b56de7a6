//! The whole story of one event, told once: daemon, Lambda and command line differ only in their ends.
//!
//! carrier → event → findings → verdict → (ledger entry) → novelty → plan → outcomes → disposition. The ledger is read
//! first; what is owed is written before it is done, and what became of it after. A crash in between repeats a message,
//! and never loses one; of two consumers that race, one has done nothing.
#[cfg(test)]
mod tests;

use super::ports::{Ledger, Messenger, Put, Remediator, Trouble};
use crate::{
    decide::{
        carrier::Envelope,
        novelty::{Timing, advance},
        plan::{Facts, Tallies, plan},
        policy::{Examined, Judged, Policy},
        show,
    },
    values::{
        action::{Action, Disposition, Mode, Notify, NotifyMode, Outcome, Posted, Remediate},
        entry::{Card, Entry, HISTORY_MAX, History, OWED_MAX, Owed, Tally, push_bounded},
        finding::Finding,
        verdict::{Claim, Novelty, Verdict},
    },
};
use findings_formatters::{Formatter, Message, Texts, view::Kind};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Read and decide again at most so often when somebody else wrote in between.
const CONFLICTS_MAX: usize = 5;
/// How long to leave a message that could not be recorded.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// What another consumer began to tell so recently may still be on its way.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);

/// The policy and the ends.
pub struct Router<'p, L, M, R> {
    /// What decides.
    pub policy: &'p Policy,
    /// What renders cards.
    pub formatter: &'p Formatter,
    /// What renders playbooks' texts.
    pub texts: &'p Texts,
    /// What is known.
    pub ledger: L,
    /// Who tells.
    pub messenger: M,
    /// Who starts runbooks.
    pub remediator: R,
}

/// What became of an event.
#[derive(Debug, Default)]
pub struct Handled {
    /// The source that reads it, by name.
    pub source: Option<String>,
    /// Why it cannot be taken.
    pub refused: Option<String>,
    /// Why it holds no finding.
    pub ignored: Option<String>,
    /// Its findings, in the event's order.
    pub findings: Vec<Told>,
}

/// What became of a finding.
#[derive(Debug)]
pub struct Told {
    /// The finding.
    pub finding: Finding,
    /// What the policy made of it.
    pub verdict: Verdict,
    /// The playbook that claims it, by name; empty where none does.
    pub playbook: String,
    /// Other playbooks that claim it too, by name.
    pub also: Vec<String>,
    /// What is new about it; none where it is not claimed.
    pub novelty: Option<Novelty>,
    /// The plan, and what became of it.
    pub actions: Vec<Performed>,
    /// The entry as it was before, and as it was recorded.
    pub entries: (Option<Entry>, Option<Entry>),
    /// What becomes of the message.
    pub disposition: Disposition,
    /// What a person should mend: a text that does not render, an action that failed for good.
    pub error: Option<String>,
}

/// One action of a plan, and what became of it.
#[derive(Debug)]
pub struct Performed {
    /// What was owed.
    pub action: Action,
    /// The rendered message, where it was one.
    pub message: Option<Message>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Handled {
    /// The worst of its findings' dispositions.
    pub fn disposition(&self) -> Disposition {
        let refused = self.refused.as_ref().map(|_| Disposition::Reject);
        self.findings.iter().map(|f| f.disposition).chain(refused).max().unwrap_or(Disposition::Ack)
    }
}

impl<L: Ledger, M: Messenger, R: Remediator> Router<'_, L, M, R> {
    /// Takes one event through everything.
    pub async fn handle(&self, mut envelope: Envelope<'_>, now: Timestamp) -> Handled {
        let (examined, source) = self.policy.examine(&mut envelope, now);
        let mut handled = Handled { source: source.map(str::to_owned), ..Handled::default() };
        match examined {
            Examined::Ignored(reason) => handled.ignored = Some(reason),
            Examined::Refused(reason) => handled.refused = Some(reason),
            Examined::Findings(mut findings) => {
                while let Some(one) = findings.next(&envelope) {
                    handled.findings.push(self.tell(&envelope, one, now).await);
                }
            }
        }
        handled
    }

    async fn tell(&self, envelope: &Envelope<'_>, judged: Judged<'_>, now: Timestamp) -> Told {
        let Verdict::Claimed(claim) = &judged.verdict else { return self.untold(judged, Disposition::Ack, None) };
        for _ in 0..CONFLICTS_MAX {
            match self.try_tell(envelope, &judged, claim, now).await {
                Ok(Some(Decided { novelty, actions, entries, mistakes })) => {
                    let later = actions.iter().filter_map(|a| match &a.outcome {
                        Outcome::Later(after, _) => Some(*after),
                        _ => None,
                    });
                    let disposition = later.max().map_or(Disposition::Ack, Disposition::Retry);
                    let failed = actions.iter().filter_map(|a| match &a.outcome {
                        Outcome::Failed(why) | Outcome::Later(_, why) => Some(why.clone()),
                        _ => None,
                    });
                    let errors: Vec<String> = mistakes.into_iter().chain(failed).collect();
                    let error = (!errors.is_empty()).then(|| errors.join("; "));
                    return Told {
                        novelty: Some(novelty),
                        actions,
                        entries,
                        ..self.untold(judged, disposition, error)
                    };
                }
                Ok(None) => {}
                Err(trouble) => {
                    return self.untold(judged, Disposition::Retry(RETRY_AFTER), Some(format!("ledger: {trouble}")));
                }
            }
        }
        let why = format!("ledger: changed by somebody else {CONFLICTS_MAX} times in a row");
        self.untold(judged, Disposition::Retry(RETRY_AFTER), Some(why))
    }

    /// A finding of which nothing was decided.
    fn untold(&self, judged: Judged<'_>, disposition: Disposition, error: Option<String>) -> Told {
        let Judged { finding, verdict, .. } = judged;
        let (mut playbook, mut also) = (String::new(), Vec::new());
        if let Verdict::Claimed(claim) = &verdict {
            let name = |i: &usize| self.policy.playbooks[*i].name.clone();
            (playbook, also) = (name(&claim.playbook), claim.also.iter().map(name).collect());
        }
        Told {
            finding,
            verdict,
            playbook,
            also,
            novelty: None,
            actions: Vec::new(),
            entries: (None, None),
            disposition,
            error,
        }
    }

    /// None where somebody else wrote in between: read and decide again.
    async fn try_tell(
        &self,
        envelope: &Envelope<'_>,
        judged: &Judged<'_>,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Option<Decided>, Trouble> {
        let policy = self.policy;
        let playbook = &policy.playbooks[claim.playbook];
        let finding = &judged.finding;
        let threshold = playbook.threshold.as_ref().map(|t| (t.count, t.within));
        let timing = Timing { quiet: playbook.quiet, memory: playbook.memory, threshold };

        let before = self.ledger.entry(&claim.fingerprint).await?;
        let (novelty, mut entry) = advance(before.clone(), finding, claim, timing, now);
        if novelty == Novelty::Stale {
            return Ok(Some(Decided { novelty, actions: Vec::new(), entries: (before, None), mistakes: Vec::new() }));
        }
        // A card that is being posted this moment can be neither edited nor closed yet.
        if novelty != Novelty::Duplicate && before.as_ref().is_some_and(|b| is_being_told(b, finding, now)) {
            return Err(Trouble(
                "another occurrence of this problem is being told at this moment; tried again when it is".to_owned(),
            ));
        }
        let facts = Facts { config: &policy.config, playbook, finding, claim, novelty, tree: judged.tree, now };
        let mut tallies = Tallies::new();
        for key in facts.tallies() {
            let tally = self.ledger.tally(&key).await?;
            tallies.insert(key, tally);
        }
        let read = tallies.clone();
        let actions = plan(&facts, &mut entry, &mut tallies);
        let mut mistakes = Vec::new();
        if matches!(novelty, Novelty::New | Novelty::Reopened | Novelty::Escalated) {
            let whole = playbook.shows_event();
            let event = if whole { show::event_of(envelope.text, judged.element) } else { serde_json::Value::Null };
            let context = show::context(facts.config, finding, claim, &event);
            let name = |i: usize| policy.playbooks[i].name.clone();
            let (shown, wrong) = show::shown(&facts, &name, &context, self.texts);
            entry.shown = Some(shown);
            mistakes = wrong;
        }
        let at = entry.owed.iter().position(|o| o.is_of(finding));
        let done = at.map(|at| entry.owed.remove(at).done).unwrap_or_default();
        let owed: Vec<Action> = actions.into_iter().filter(|a| !done.contains(&a.key())).collect();

        // What is counted and what is owed is written before anything is done: whoever loses the race has done nothing,
        // and after a crash it is known what is still owed.
        if !owed.is_empty() {
            if owed.iter().any(|a| matches!(a, Action::Notify(n) if n.mode != NotifyMode::Update)) {
                entry.told_at = Some(now);
            }
            let claim = Owed { claimed: Some(now), ..Owed::of(finding, novelty, done.clone()) };
            push_bounded(&mut entry.owed, claim, OWED_MAX);
            if !self.count(&read, &mut tallies).await? || self.ledger.put_entry(&entry).await? == Put::Conflict {
                return Ok(None);
            }
            entry.version += 1;
            entry.owed.pop();
        }
        let nothing_owed = owed.is_empty();
        let counted = tallies.clone();
        let story = Story { before: before.as_ref(), novelty, now };
        let performed = self.perform(owed, &mut entry, &mut tallies, &story, &mut mistakes).await;
        record(&mut entry, envelope, finding, claim, &story, &performed, done);
        self.name_storms(&counted, &tallies).await?;
        let entry = if nothing_owed {
            // Nothing was claimed: what the finding says is not known yet to whoever wrote in between.
            if self.ledger.put_entry(&entry).await? == Put::Conflict {
                return Ok(None);
            }
            entry
        } else {
            self.settle(entry, finding).await?
        };
        Ok(Some(Decided { novelty, actions: performed, entries: (before, Some(entry)), mistakes }))
    }

    /// Writes what became of a plan that was claimed. What somebody else wrote meanwhile is kept: only what we did is put
    /// into it.
    async fn settle(&self, ours: Entry, finding: &Finding) -> Result<Entry, Trouble> {
        let mut entry = ours.clone();
        for _ in 0..CONFLICTS_MAX {
            if self.ledger.put_entry(&entry).await? == Put::Written {
                return Ok(entry);
            }
            let Some(latest) = self.ledger.entry(&ours.fingerprint).await? else { break };
            entry = latest;
            entry.owed.retain(|o| !o.is_of(finding));
            entry.owed.extend(ours.owed.iter().filter(|o| o.is_of(finding)).cloned());
            if let Some(line) = ours.history.last() {
                push_bounded(&mut entry.history, line.clone(), HISTORY_MAX);
            }
            if entry.episode == ours.episode {
                entry.cards.retain(|theirs| ours.cards.iter().all(|c| c.destination != theirs.destination));
                entry.cards.extend(ours.cards.iter().cloned());
                entry.told_at = entry.told_at.max(ours.told_at);
                entry.edited_at = entry.edited_at.max(ours.edited_at);
            }
        }
        Err(Trouble(format!("changed by somebody else {CONFLICTS_MAX} times in a row")))
    }

    /// Counts what a plan is about to do; false where somebody else counted first. (Counting is by name: the same start or
    /// finding counted again is counted once.)
    async fn count(&self, read: &Tallies, tallies: &mut Tallies) -> Result<bool, Trouble> {
        for (_, tally) in tallies.iter_mut().filter(|(key, tally)| read.get(*key) != Some(&**tally)) {
            if self.ledger.put_tally(tally).await? == Put::Conflict {
                return Ok(false);
            }
            tally.version += 1;
        }
        Ok(true)
    }

    /// Writes which message is the card of a storm; what others counted meanwhile is kept.
    async fn name_storms(&self, counted: &Tallies, tallies: &Tallies) -> Result<(), Trouble> {
        for ours in tallies.values().filter(|t| counted.get(&t.key).is_none_or(|c| c.card != t.card)) {
            let mut tally = ours.clone();
            for _ in 0..CONFLICTS_MAX {
                if self.ledger.put_tally(&tally).await? == Put::Written {
                    break;
                }
                tally = self.ledger.tally(&ours.key).await?;
                tally.card = tally.card.or_else(|| ours.card.clone());
            }
        }
        Ok(())
    }

    /// Performs a plan in its order. What fails does not keep the rest from being done.
    async fn perform(
        &self,
        actions: Vec<Action>,
        entry: &mut Entry,
        tallies: &mut Tallies,
        story: &Story<'_>,
        mistakes: &mut Vec<String>,
    ) -> Vec<Performed> {
        let mut posted: BTreeMap<String, Outcome> = BTreeMap::new();
        let mut performed = Vec::with_capacity(actions.len());
        for action in actions {
            let (message, outcome) = match &action {
                Action::Remediate(r) => (None, self.remediate(r).await),
                Action::Notify(notify) => {
                    let mut notify = notify.clone();
                    let first = posted.get(&notify.destination);
                    if notify.target.is_none() && notify.mode != NotifyMode::Post {
                        notify.target = first.and_then(Outcome::message);
                    }
                    let tally = notify.storm.as_ref().and_then(|key| tallies.get_mut(key));
                    let message = self.render(&notify, entry, story, tally.as_deref(), mistakes);
                    // A reply to a message that could not be posted shares its fate: it is not lost, and never floods.
                    let outcome = match first.filter(|f| notify.target.is_none() && !matches!(f, Outcome::Done(_))) {
                        Some(failed) => failed.clone(),
                        None => self.messenger.send(&notify, &message).await,
                    };
                    if let Outcome::Done(made) = &outcome {
                        note_sent(entry, tally, &notify, made.as_ref(), story.now);
                    }
                    if notify.mode == NotifyMode::Post {
                        posted.insert(notify.destination.clone(), outcome.clone());
                    }
                    (Some(message), outcome)
                }
            };
            performed.push(Performed { action, message, outcome });
        }
        performed
    }

    async fn remediate(&self, remediate: &Remediate) -> Outcome {
        if remediate.mode == Mode::Automatic && remediate.stopped.is_none() {
            self.remediator.start(remediate).await
        } else {
            Outcome::Nothing
        }
    }

    /// A template's mistake must not lose the finding: its title goes out as plain text, and the mistake is told.
    fn render(
        &self,
        notify: &Notify,
        entry: &Entry,
        story: &Story<'_>,
        tally: Option<&Tally>,
        mistakes: &mut Vec<String>,
    ) -> Message {
        let view = show::view(&self.policy.config, entry, notify.kind, story.novelty, story.before, tally);
        self.formatter.slack(&view).unwrap_or_else(|error| {
            mistakes.push(error.to_string());
            Message::plain(&view)
        })
    }
}

/// What was decided and done about a finding, and recorded.
struct Decided {
    novelty: Novelty,
    actions: Vec<Performed>,
    entries: (Option<Entry>, Option<Entry>),
    mistakes: Vec<String>,
}

/// What a plan's actions are performed for.
struct Story<'a> {
    before: Option<&'a Entry>,
    novelty: Novelty,
    now: Timestamp,
}

/// Remembers where the problem was told, so that its card can be kept true.
fn note_sent(entry: &mut Entry, tally: Option<&mut Tally>, notify: &Notify, made: Option<&Posted>, now: Timestamp) {
    if notify.mode == NotifyMode::Update {
        if notify.kind == Kind::Card {
            entry.edited_at = Some(now);
        }
        return;
    }
    let (message, link) = match (notify.kind, made) {
        // A line's card is the thread that it stands in.
        (Kind::StormLine, _) => (notify.target.clone(), None),
        (_, Some(made)) if notify.mode == NotifyMode::Post => (Some(made.id.clone()), made.link.clone()),
        // A reply is a message too, but no card.
        _ => return,
    };
    let Some(message) = message else { return };
    if let (Kind::Storm, Some(tally)) = (notify.kind, tally) {
        tally.card = Some(message.clone());
    }
    let storm = matches!(notify.kind, Kind::Storm | Kind::StormLine);
    let card = Card { destination: notify.destination.clone(), message, link, storm };
    entry.cards.retain(|c| c.destination != card.destination);
    entry.cards.push(card);
}

/// Whether somebody else is telling of this problem. Only for a while: a crash must not hold up the rest.
fn is_being_told(entry: &Entry, finding: &Finding, now: Timestamp) -> bool {
    let mut others = entry.owed.iter().filter(|o| !o.is_of(finding)).filter_map(|o| o.claimed);
    others.any(|at| now.duration_since(at) < ON_ITS_WAY)
}

/// Writes down what came, what was decided and what was done; and what is still owed.
fn record(
    entry: &mut Entry,
    envelope: &Envelope<'_>,
    finding: &Finding,
    claim: &Claim,
    story: &Story<'_>,
    performed: &[Performed],
    mut done: Vec<String>,
) {
    let told = |p: &Performed| match &p.outcome {
        Outcome::Done(_) => format!("{}: done", p.action.key()),
        Outcome::Nothing => format!("{}: nothing to start", p.action.key()),
        Outcome::Later(_, why) => format!("{}: later, {why}", p.action.key()),
        Outcome::Failed(why) => format!("{}: failed, {why}", p.action.key()),
    };
    let line = History {
        at: story.now,
        event: envelope.id.to_string(),
        reporter: finding.reporter.clone(),
        novelty: story.novelty,
        severity: claim.severity,
        done: performed.iter().map(told).collect(),
    };
    push_bounded(&mut entry.history, line, HISTORY_MAX);
    if performed.iter().any(|p| matches!(p.outcome, Outcome::Later(..))) {
        let settled = performed.iter().filter(|p| !matches!(p.outcome, Outcome::Later(..)));
        done.extend(settled.map(|p| p.action.key()));
        push_bounded(&mut entry.owed, Owed::of(finding, story.novelty, done), OWED_MAX);
    }
}
