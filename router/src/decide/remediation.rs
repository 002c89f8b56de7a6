//! The life of a remediation: what is due, and what an execution's state makes of it. Pure steps on an entry; what they tell
//! is left in the entry's news.
mod consent;
#[cfg(test)]
mod tests;

pub use consent::{Ask, Person, Refusal, ask, is_temporary, needed, open_to, standing, until_undo};

use super::{config::Config, rails::client_token};
use crate::values::{
    action::{Mode, Stop},
    entry::{Entry, Hush, State},
    finding::Status,
    remediation::{News, OUTPUTS_MAX, Progress, REMEDIATIONS_MAX, Remediation, Run, Turn, size},
};
use consent::take_back;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// News kept that the channels have yet to hear.
pub const NEWS_MAX: usize = 6;
/// What a failure says is cut here.
const WHY_MAX: usize = 300;
/// Who tries to start something that cannot be started now gives up after this long.
pub const START_MAX: SignedDuration = SignedDuration::from_hours(1);
/// What failed can be asked for again for so long.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// SSM keeps an execution's history for so long: after that, nobody can tell what became of it.
const HISTORY: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Looks come this long after each other at first; the longer it runs, the rarer.
const LOOK_FIRST: SignedDuration = SignedDuration::from_secs(5);
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(15);
const LOOK_RARELY: SignedDuration = SignedDuration::from_mins(2);
const LOOK_AT_TIMES: SignedDuration = SignedDuration::from_mins(15);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start it.
    Start(usize),
    /// Look how its execution is doing.
    Look(usize),
    /// Its time is over: an offer that nobody took, or a source that did not agree.
    Lapse(usize),
    /// Tell these news.
    Tell(usize),
}

/// What an event says of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its id.
    pub execution: String,
    /// SSM's word for its state.
    pub status: String,
}

/// How an execution is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// SSM's own word, `InProgress`.
    pub status: String,
    /// What it means.
    pub state: Seen,
    /// The step that it is at, or that failed.
    pub step: Option<String>,
    /// What went wrong, in SSM's words.
    pub failure: Option<String>,
    /// What it put out.
    pub outputs: BTreeMap<String, Vec<String>>,
}

/// What an execution's state means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// It runs.
    #[default]
    Running,
    /// It waits for a person.
    Waiting,
    /// It ended well.
    Success,
    /// It ended otherwise.
    Failure,
}

impl Seen {
    /// What SSM's word means (`AutomationExecutionStatus` of its API); an unknown one is still running.
    pub fn of(status: &str) -> Self {
        match status {
            "Success" | "CompletedWithSuccess" => Self::Success,
            "Failed"
            | "TimedOut"
            | "Cancelled"
            | "Rejected"
            | "ChangeCalendarOverrideRejected"
            | "CompletedWithFailure"
            | "Exited" => Self::Failure,
            "PendingApproval" | "PendingChangeCalendarOverride" | "Waiting" => Self::Waiting,
            _ => Self::Running,
        }
    }
}

/// Takes a plan's remediations into an entry. What an earlier attempt at the same plan wrote, or did, stays.
pub fn plan(entry: &mut Entry, planned: Vec<Remediation>) {
    for remediation in planned {
        if entry.remediations.iter().any(|r| r.id == remediation.id) {
            continue;
        }
        while entry.remediations.len() >= REMEDIATIONS_MAX {
            // One that runs is never forgotten.
            let Some(at) = entry.remediations.iter().position(|r| !r.progress.is_busy()) else { return };
            entry.remediations.remove(at);
        }
        entry.names.push(Remediation::name(&remediation.id));
        entry.remediations.push(remediation);
    }
}

/// What is due first.
pub fn next(entry: &Entry, now: Timestamp) -> Option<Step> {
    // One channel that does not answer holds up no other news.
    if let Some(at) = entry.news.iter().position(|n| n.due <= now) {
        return Some(Step::Tell(at));
    }
    let due = |r: &Remediation| r.due.is_some_and(|at| at <= now) && r.claimed.is_none_or(|until| until <= now);
    let at = entry.remediations.iter().position(due)?;
    let remediation = &entry.remediations[at];
    Some(match remediation.progress {
        Progress::Approved => Step::Start(at),
        Progress::Undoing if remediation.run.as_ref().is_none_or(|r| r.execution.is_none()) => Step::Start(at),
        Progress::Started | Progress::Undoing => Step::Look(at),
        _ => Step::Lapse(at),
    })
}

/// Takes one step in a remediation's life, and leaves it to be told.
pub fn turn(entry: &mut Entry, at: usize, now: Timestamp, to: Progress, by: Option<&str>, why: Option<String>) {
    entry.remediations[at].progress = to;
    let loud = matches!(to, Progress::Failed | Progress::Unverified | Progress::UndoFailed);
    say(entry, at, now, to.as_str(), by, why, loud);
}

fn say(entry: &mut Entry, at: usize, now: Timestamp, what: &str, by: Option<&str>, why: Option<String>, loud: bool) {
    let why = why.map(|w| crate::values::text::cut(&w, WHY_MAX).to_owned());
    let remediation = &mut entry.remediations[at];
    let turn = remediation.turn(now, what, by, why);
    let news = News {
        remediation: remediation.id.clone(),
        turn,
        loud,
        left: entry.cards.iter().map(|c| c.destination.clone()).chain([News::BUS.to_owned()]).collect(),
        due: now,
        unsure: false,
    };
    if entry.news.len() >= NEWS_MAX {
        // What went wrong is told, whatever else is not.
        let quiet = entry.news.iter().position(|n| !n.loud).unwrap_or_default();
        entry.news.remove(quiet);
    }
    entry.news.push(news);
    entry.edit_due = Some(now);
}

/// The token of the start that is due.
pub fn token(entry: &Entry, remediation: &Remediation) -> String {
    let Remediation { id, episode, attempt, .. } = remediation;
    let runbook = &remediation.job_now().runbook;
    if remediation.progress == Progress::Undoing {
        // Each consent to an undo is one undo; the drift check of the runbook makes a second one harmless.
        let since = remediation.approved.map_or_else(String::new, |at| at.to_string());
        return client_token(&format!("undo/{id}/{since}"), *episode, runbook, *attempt);
    }
    client_token(&entry.fingerprint, *episode, runbook, *attempt)
}

/// A rail stopped it at the last moment.
pub fn stopped(config: &Config, entry: &mut Entry, at: usize, stop: Stop, now: Timestamp) {
    let why = stop.reason.clone();
    let remediation = &mut entry.remediations[at];
    remediation.claimed = None;
    // What is stopped for now can be asked for again.
    let asks = is_temporary(&stop) && remediation.mode >= Mode::Approve;
    remediation.due = asks.then(|| now + config.remediation.approval.expires);
    remediation.stopped = Some(stop);
    remediation.approvals.clear();
    let to = if remediation.progress == Progress::Undoing { Progress::UndoFailed } else { Progress::Proposed };
    if to == Progress::Proposed {
        remediation.progress = to;
        say(entry, at, now, "stopped", None, Some(why), true);
    } else {
        turn(entry, at, now, to, None, Some(why));
    }
}

/// SSM took the start: it runs from now on.
pub fn started(entry: &mut Entry, at: usize, run: Run, now: Timestamp) {
    let remediation = &mut entry.remediations[at];
    remediation.claimed = None;
    if let Some(execution) = &run.execution {
        entry.names.push(Run::name(execution));
    }
    let known = run.execution.is_some();
    remediation.due = Some(now + if known { LOOK_FIRST } else { remediation.deadline });
    let why = run.execution.clone();
    remediation.run = Some(run);
    if remediation.progress == Progress::Undoing {
        say(entry, at, now, "undo-started", None, why, false);
    } else {
        remediation.applied = Some(now);
        turn(entry, at, now, Progress::Started, None, why);
    }
}

/// It could not be started, or failed, for good.
pub fn failed(entry: &mut Entry, at: usize, why: String, now: Timestamp) {
    let remediation = &mut entry.remediations[at];
    let undoing = remediation.progress == Progress::Undoing;
    // Consent was to this attempt.
    remediation.approvals.clear();
    // Whoever may approve can have it tried once more, for a while.
    (remediation.due, remediation.claimed) = ((!undoing).then(|| now + AGAIN), None);
    turn(entry, at, now, if undoing { Progress::UndoFailed } else { Progress::Failed }, None, Some(why));
}

/// What an execution's state makes of its remediation. `verifies`: its last step looked whether the weakness is gone.
pub fn sighted(entry: &mut Entry, at: usize, sight: Sight, verifies: bool, now: Timestamp) {
    let remediation = &mut entry.remediations[at];
    let undoing = remediation.progress == Progress::Undoing;
    let kept: Vec<String> =
        remediation.undo.iter().flat_map(|u| u.outputs.iter().map(|(_, output, _)| output.clone())).collect();
    let Some(run) = &mut remediation.run else { return };
    run.failed_looks = 0;
    let new_step = sight.step.is_some() && run.step != sight.step;
    run.step = sight.step.clone().or(run.step.take());
    let age = now.duration_since(run.since);
    match sight.state {
        Seen::Running | Seen::Waiting => {
            let every = match age.as_mins() {
                0 => LOOK_FIRST,
                1..5 => LOOK_EVERY,
                5..60 => LOOK_RARELY,
                // An approval inside a runbook may take days.
                _ => LOOK_AT_TIMES,
            };
            remediation.due = Some(now + every);
            let told = remediation.turns.iter().any(|t| t.what == "waiting" && t.at >= run.since);
            if sight.state == Seen::Waiting && !told {
                say(entry, at, now, "waiting", None, sight.step, true);
            } else if new_step {
                entry.edit_due.get_or_insert(now);
            }
        }
        Seen::Failure => {
            run.ended = Some(now);
            let step = sight.step.map(|s| format!("{s}: ")).unwrap_or_default();
            let why = format!("{step}{}", sight.failure.unwrap_or(sight.status));
            failed(entry, at, why, now);
        }
        Seen::Success => {
            run.ended = Some(now);
            if !undoing {
                let outputs = sight.outputs.into_iter().filter(|(name, _)| kept.contains(name)).collect();
                if size(&outputs) <= OUTPUTS_MAX {
                    run.outputs = outputs;
                }
                // What would be taken back is known from now on, and shown; where it is not, whoever asks is told why.
                let _ = take_back(remediation);
            }
            if undoing {
                remediation.due = None;
                turn(entry, at, now, Progress::Undone, None, None);
            } else {
                remediation.due = Some(now + remediation.deadline);
                turn(entry, at, now, Progress::Succeeded, None, None);
                if agreed(entry, at) {
                    verified(entry, at, None, now);
                } else if verifies {
                    verified(entry, at, Some("runbook"), now);
                    close_if_acts_only(entry, now);
                }
            }
        }
    }
}

/// A look failed: it is tried again, ever more rarely.
pub fn look_failed(entry: &mut Entry, at: usize, why: &str, after: SignedDuration, now: Timestamp) {
    let remediation = &mut entry.remediations[at];
    let Some(run) = &mut remediation.run else { return };
    run.failed_looks = run.failed_looks.saturating_add(1);
    if now.duration_since(run.since) > HISTORY {
        failed(entry, at, format!("what became of it cannot be told: {why}"), now);
        return;
    }
    let more = LOOK_EVERY * i32::try_from(run.failed_looks.min(20)).unwrap_or(20);
    remediation.due = Some(now + after.max(more));
}

fn verified(entry: &mut Entry, at: usize, by: Option<&str>, now: Timestamp) {
    // Its card changes once more, when it is too late to take it back.
    entry.remediations[at].due = until_undo(&entry.remediations[at]);
    turn(entry, at, now, Progress::Verified, None, by.map(str::to_owned));
}

/// Where no reporter can ever say that it is over, a runbook that looked itself is the only one who can.
fn close_if_acts_only(entry: &mut Entry, now: Timestamp) {
    let unsaid = entry.overflow || !entry.set_aside.is_empty();
    let acts_only = !unsaid && entry.reports.iter().all(|r| !r.can_resolve);
    if acts_only && entry.state == State::Open {
        (entry.state, entry.closed_at) = (State::Closed, Some(now));
        resolved(entry, now);
    }
}

/// Whether the sources agreed after the runbook was started.
fn agreed(entry: &Entry, at: usize) -> bool {
    let said = entry.reports.iter().filter(|r| r.can_resolve && r.status == Status::Resolved).map(|r| r.revision).max();
    let remediation = &entry.remediations[at];
    entry.state == State::Closed
        && remediation.episode == entry.episode
        && remediation.applied.zip(said).is_some_and(|(applied, said)| said >= applied)
}

/// The problem is over: what was applied before is verified, what was only offered is withdrawn.
pub fn resolved(entry: &mut Entry, now: Timestamp) {
    for at in 0..entry.remediations.len() {
        let remediation = &entry.remediations[at];
        if remediation.episode != entry.episode {
            continue;
        }
        match remediation.progress {
            Progress::Succeeded | Progress::Unverified if agreed(entry, at) => verified(entry, at, None, now),
            // (One that somebody has begun to start is looked for first: see `act/remedy.rs`.)
            Progress::Approved if remediation.claimed.is_none() => withdraw(entry, at, now),
            Progress::Proposed => {
                let remediation = &mut entry.remediations[at];
                (remediation.due, remediation.progress) = (None, Progress::Withdrawn);
            }
            _ => {}
        }
    }
}

/// It is not needed any more.
pub fn withdraw(entry: &mut Entry, at: usize, now: Timestamp) {
    let remediation = &mut entry.remediations[at];
    (remediation.due, remediation.claimed) = (None, None);
    turn(entry, at, now, Progress::Withdrawn, None, None);
}

/// The time of an offer, of the source or of an undo is over; the card no longer offers it.
pub fn lapse(entry: &mut Entry, at: usize, now: Timestamp) {
    entry.remediations[at].due = None;
    entry.edit_due.get_or_insert(now);
    let remediation = &entry.remediations[at];
    match remediation.progress {
        Progress::Proposed if remediation.mode >= Mode::Approve => turn(entry, at, now, Progress::Expired, None, None),
        Progress::Succeeded if agreed(entry, at) => verified(entry, at, None, now),
        Progress::Succeeded | Progress::Started => {
            turn(entry, at, now, Progress::Unverified, None, None);
            entry.remediations[at].due = until_undo(&entry.remediations[at]).filter(|until| now < *until);
        }
        _ => {}
    }
}

/// What nobody approved in time is offered once more when people are told again.
pub fn offer_again(config: &Config, entry: &mut Entry, now: Timestamp) {
    let episode = entry.episode;
    let expired = |r: &&mut Remediation| r.episode == episode && r.progress == Progress::Expired;
    for remediation in entry.remediations.iter_mut().filter(expired) {
        remediation.progress = Progress::Proposed;
        remediation.approvals.clear();
        remediation.due = Some(now + config.remediation.approval.expires);
    }
}

/// Somebody takes care of it.
pub fn hush(entry: &mut Entry, by: &str, until: Option<Timestamp>, now: Timestamp) {
    entry.hush = Some(Hush { by: by.to_owned(), at: now, until });
    entry.edit_due = Some(now);
}

/// Notes a refusal, which changes nothing else.
pub fn refused(
    entry: &mut Entry,
    at: usize,
    (what, person): (Ask, &Person),
    refusal: &Refusal,
    now: Timestamp,
) -> Turn {
    let why = format!("{}: {refusal}", what.as_str());
    let remediation = &mut entry.remediations[at];
    // Whoever tries again and again does not push out what happened.
    remediation.turns.pop_if(|last| last.what == "refused");
    remediation.turn(now, "refused", Some(&person.id), Some(why))
}
