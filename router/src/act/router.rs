//! The whole story of one event, told once: daemon, Lambda and command line differ only in their ends.
//!
//! carrier → event → findings → verdict → (ledger entry) → novelty → plan → outcomes → disposition. The ledger is read
//! first; what is owed is written before it is done, and what became of it after. A crash in between repeats a message,
//! and never loses one; of two consumers that race, one has done nothing.
#[cfg(test)]
pub(super) mod tests;

use super::{
    perform::{Story, Telling},
    ports::{Ledger, Messenger, Publisher, Put, Remediator, SEND_MAX, Trouble},
};
use crate::{
    decide::{
        carrier::Envelope,
        novelty::{Timing, advance},
        plan::{Facts, Tallies, mark_for_edit, plan},
        policy::{Examined, Judged, Policy},
        remediation::Said,
        show,
    },
    values::{
        action::{Action, Disposition, NotifyMode, Outcome},
        entry::{Claimed, Entry, OWED_MAX, Owed, Tally, push_bounded},
        finding::Finding,
        remediation::Remediation,
        verdict::{Claim, Novelty, Verdict},
    },
};
use findings_formatters::{Formatter, Message, Texts};
use jiff::{SignedDuration, Timestamp};

/// Read and decide again at most so often when somebody else wrote in between.
pub(super) const CONFLICTS_MAX: usize = 40;
/// How long to leave a message that could not be recorded.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// A request that was sent before a crash arrives within this, or never.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(10);

/// The policy and the ends.
pub struct Router<'p, L, M, R, P> {
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
    /// Who tells other programs.
    pub publisher: P,
    /// Nobody else writes this ledger since then: whoever claimed something before is dead.
    pub alone_since: Option<Timestamp>,
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
    /// What became of the execution that it tells of.
    pub execution: Option<Followed>,
    /// Its findings, in the event's order.
    pub findings: Vec<Told>,
}

/// What became of an event that tells how an execution is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// In words.
    pub what: String,
    /// What becomes of the message.
    pub disposition: Disposition,
}

impl Followed {
    fn of(said: &Said, followed: Result<Option<Remediation>, Trouble>) -> Self {
        let Said { execution, status } = said;
        let is = |r: Remediation| format!(": {} is {}", r.job.runbook, r.progress.as_str());
        match followed {
            Ok(ours) => {
                let what = format!("execution {execution} is {status}{}", ours.map(is).unwrap_or_default());
                Self { what, disposition: Disposition::Ack }
            }
            Err(trouble) => Self { what: format!("ledger: {trouble}"), disposition: Disposition::Retry(RETRY_AFTER) },
        }
    }
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
    /// How often somebody else wrote first, and it was decided again.
    pub conflicts: usize,
    /// Nothing failed: it only waits until somebody else is done with this problem.
    pub waits: bool,
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
    /// Why it holds no finding, or what became of the execution that it tells of.
    pub fn without_finding(&self) -> Option<&str> {
        self.ignored.as_deref().or(self.execution.as_ref().map(|e| e.what.as_str()))
    }

    /// Whether all that has to come again only waits for somebody else.
    pub fn waits(&self) -> bool {
        self.findings.iter().all(|f| f.waits || f.disposition == Disposition::Ack)
    }

    /// The worst of its findings' dispositions.
    pub fn disposition(&self) -> Disposition {
        let refused = self.refused.as_ref().map(|_| Disposition::Reject);
        let followed = self.execution.as_ref().map(|e| e.disposition);
        self.findings.iter().map(|f| f.disposition).chain(refused).chain(followed).max().unwrap_or(Disposition::Ack)
    }
}

impl<L: Ledger, M: Messenger, R: Remediator, P: Publisher> Router<'_, L, M, R, P> {
    /// Takes one event through everything.
    pub async fn handle(&self, mut envelope: Envelope<'_>, now: Timestamp) -> Handled {
        let (examined, source) = self.policy.examine(&mut envelope, now);
        let mut handled = Handled { source: source.map(str::to_owned), ..Handled::default() };
        let examined = match examined {
            Examined::Execution(said, rest) => {
                let followed = Box::pin(self.follow(&said, now)).await;
                if !matches!(followed, Ok(None)) {
                    handled.execution = Some(Followed::of(&said, followed));
                    return handled;
                }
                *rest
            }
            examined => examined,
        };
        match examined {
            Examined::Ignored(reason) => handled.ignored = Some(reason),
            Examined::Refused(reason) => handled.refused = Some(reason),
            // (Only ever around the others.)
            Examined::Execution(..) => {}
            Examined::Findings(mut findings) => {
                while let Some(one) = findings.next(&envelope) {
                    let mut told = self.tell(&envelope, one, now).await;
                    self.go_on(&mut told, now).await;
                    handled.findings.push(told);
                }
            }
        }
        handled
    }

    /// Starts what the plan approved, and does what else is due about this problem. What fails stays due in the ledger.
    async fn go_on(&self, told: &mut Told, now: Timestamp) {
        let (before, after) = &told.entries;
        let due = after.as_ref().or(before.as_ref()).filter(|e| e.remedy_due().is_some_and(|at| at <= now));
        let Some(fingerprint) = due.map(|e| e.fingerprint.clone()) else { return };
        if let Err(trouble) = Box::pin(self.work(&fingerprint, now)).await {
            let why = format!("ledger: {trouble}");
            told.error = Some(told.error.take().map_or_else(|| why.clone(), |e| format!("{e}; {why}")));
            told.disposition = told.disposition.max(Disposition::Retry(RETRY_AFTER));
        }
    }

    async fn tell(&self, envelope: &Envelope<'_>, judged: Judged<'_>, now: Timestamp) -> Told {
        let Verdict::Claimed(claim) = &judged.verdict else { return self.untold(judged, Disposition::Ack, None) };
        for conflicts in 0..CONFLICTS_MAX {
            match self.try_tell(envelope, &judged, claim, now).await {
                Ok(Some(Decided { novelty, actions, entries, mistakes })) => {
                    let later = actions.iter().filter_map(|a| match &a.outcome {
                        Outcome::Later(later) => Some(later.after),
                        _ => None,
                    });
                    // An edit that has to wait is made when it is due, not when the message comes again.
                    let later = later.max().filter(|_| novelty != Novelty::Duplicate);
                    let disposition = later.map_or(Disposition::Ack, Disposition::Retry);
                    let failed = actions.iter().filter_map(|a| a.outcome.went_wrong().map(str::to_owned));
                    let errors: Vec<String> = mistakes.into_iter().chain(failed).collect();
                    let error = (!errors.is_empty()).then(|| errors.join("; "));
                    return Told {
                        novelty: Some(novelty),
                        actions,
                        entries,
                        conflicts,
                        ..self.untold(judged, disposition, error)
                    };
                }
                Ok(None) => {}
                Err(Halt::Trouble(trouble)) => {
                    return self.untold(judged, Disposition::Retry(RETRY_AFTER), Some(format!("ledger: {trouble}")));
                }
                Err(Halt::Busy(wait)) => {
                    let why = "this problem is being told at this moment; tried again when it is".to_owned();
                    return Told { waits: true, ..self.untold(judged, Disposition::Retry(wait), Some(why)) };
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
            conflicts: 0,
            waits: false,
        }
    }

    /// None where somebody else wrote in between: read and decide again.
    async fn try_tell(
        &self,
        envelope: &Envelope<'_>,
        judged: &Judged<'_>,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Option<Decided>, Halt> {
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
        if let Some(wait) = before.as_ref().and_then(|b| self.being_told(b, finding, novelty, now)) {
            return Err(Halt::Busy(wait));
        }
        let (config, catalogue) = (&policy.config, &policy.catalogue);
        let facts = Facts { config, catalogue, playbook, finding, claim, novelty, tree: judged.tree, now };
        let mut tallies = Tallies::new();
        for key in facts.tallies() {
            let tally = self.ledger.tally(&key).await?;
            tallies.insert(key, tally);
        }
        let read = tallies.clone();
        let actions = plan(&facts, &mut entry, &mut tallies);
        mark_for_edit(&facts, &mut entry, &actions);
        let mut mistakes = Vec::new();
        if matches!(novelty, Novelty::New | Novelty::Reopened | Novelty::Escalated) {
            let whole = playbook.shows_event();
            let event = if whole { show::event_of(envelope.text, judged.element) } else { serde_json::Value::Null };
            let context = show::context(facts.config, facts.config.locale, finding, claim, &event);
            let name = |i: usize| policy.playbooks[i].name.clone();
            let (shown, wrong) = show::shown(&facts, &name, &context, self.texts);
            entry.shown = Some(shown);
            mistakes = wrong;
        }
        let known = entry.owed.iter().position(|o| o.is_of(finding)).map(|at| entry.owed.remove(at));
        let was = before.as_ref().map(|b| b.severity).filter(|_| novelty == Novelty::Escalated);
        let mut owed = known.unwrap_or_else(|| Owed { was, ..Owed::of(finding, novelty) });
        let todo: Vec<Action> = actions.into_iter().filter(|a| !owed.done.contains(&a.key())).collect();
        if owed.claimed.take().is_some() {
            // Whoever began did not come to the end: what was not recorded may be done all the same.
            owed.unsure = todo.iter().map(Action::key).collect();
        }

        // What is counted and what is owed is written before anything is done: whoever loses the race has done nothing,
        // and after a crash it is known what is still owed. (An edit is owed to nobody: it is made again when it is due.)
        let claims = !todo.is_empty() && novelty != Novelty::Duplicate;
        entry.updated_at = now;
        if claims {
            if todo.iter().any(|a| matches!(a, Action::Notify(n) if n.mode != NotifyMode::Update)) {
                entry.told_at = Some(now);
            }
            owed.begun.get_or_insert(now);
            owed.claimed = Some(Claimed { since: now, until: now + lease(todo.len()) });
            push_bounded(&mut entry.owed, owed.clone(), OWED_MAX);
            if !self.count(&read, &mut tallies).await? || self.ledger.put_entry(&entry).await? == Put::Conflict {
                return Ok(None);
            }
            entry.version += 1;
        }
        let counted = tallies.clone();
        let story = Story { novelty, finding, now };
        let mut telling = Telling { entry, tallies, owed, mistakes, story };
        let performed = self.perform(todo, &mut telling, claims).await?;
        telling.record(&envelope.id, claim, &performed);
        self.name_storms(&counted, &telling.tallies).await?;
        let Telling { mut entry, mistakes, .. } = telling;
        if claims {
            self.settle(&mut entry, finding, true).await?;
        } else if self.ledger.put_entry(&entry).await? == Put::Conflict {
            // Nothing was claimed: what the finding says is not known yet to whoever wrote in between.
            return Ok(None);
        }
        self.complain(&performed, &mistakes, &entry, now).await;
        Ok(Some(Decided { novelty, actions: performed, entries: (before, Some(entry)), mistakes }))
    }

    /// How long somebody else may still be telling of this problem. Only for a while: a crash must not hold up the rest.
    /// Another occurrence that is only counted need not wait.
    fn being_told(&self, entry: &Entry, finding: &Finding, novelty: Novelty, now: Timestamp) -> Option<SignedDuration> {
        let counted = matches!(novelty, Novelty::Duplicate | Novelty::BelowThreshold);
        let owed = entry.owed.iter().filter(|o| !counted || o.is_of(finding));
        let end = |c: Claimed| match self.alone_since {
            // Whoever had it is dead; what it sent last may still be under way.
            Some(started) if c.since < started => c.until.min(started + UNDER_WAY),
            _ => c.until,
        };
        let until = owed.filter_map(|o| o.claimed).map(end).max()?;
        Some(until.duration_since(now).min(RETRY_AFTER)).filter(SignedDuration::is_positive)
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
        let changed = |t: &&Tally| counted.get(&t.key).is_none_or(|c| (&c.card, c.edited) != (&t.card, t.edited));
        for ours in tallies.values().filter(changed) {
            let mut tally = ours.clone();
            for _ in 0..CONFLICTS_MAX {
                if self.ledger.put_tally(&tally).await? == Put::Written {
                    break;
                }
                tally = self.ledger.tally(&ours.key).await?;
                tally.card = tally.card.or_else(|| ours.card.clone());
                tally.edited = tally.edited.max(ours.edited);
            }
        }
        Ok(())
    }
}

/// What was decided and done about a finding, and recorded.
struct Decided {
    novelty: Novelty,
    actions: Vec<Performed>,
    entries: (Option<Entry>, Option<Entry>),
    mistakes: Vec<String>,
}

/// Why nothing can be decided now.
enum Halt {
    Trouble(Trouble),
    /// Somebody else is telling of this problem, for so long at most.
    Busy(SignedDuration),
}

impl From<Trouble> for Halt {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// How long so many actions can take: for that time, nobody else touches them.
fn lease(actions: usize) -> SignedDuration {
    SEND_MAX * i32::try_from(actions).unwrap_or(i32::MAX).saturating_add(1)
}
