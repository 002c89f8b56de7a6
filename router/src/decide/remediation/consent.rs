//! Consent: who may ask for what, and what their word is good for.
use super::{say, turn};
use crate::{
    decide::{
        config::{Config, of_environment},
        playbook::anchored,
        rails::{covers, fits},
    },
    values::{
        action::{Effect, Mode, Stop},
        entry::{Entry, State},
        remediation::{Approval, Progress, Remediation},
    },
};
use jiff::Timestamp;
use std::fmt;

/// Somebody who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The id of a Slack user.
    pub id: String,
    /// The user groups that they are in, of those that may approve; or why that is not known.
    pub groups: Result<Vec<String>, String>,
}

/// What people can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Run it, or run it again after it failed.
    Approve,
    /// Do not run it.
    Deny,
    /// End its execution.
    Stop,
    /// Take it back.
    Undo,
}

impl Ask {
    /// All, by their words.
    pub const WORDS: [(&'static str, Self); 4] =
        [("approve", Self::Approve), ("deny", Self::Deny), ("stop", Self::Stop), ("undo", Self::Undo)];

    /// The word used in buttons and on the command line.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Why something that was asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which reason it is: `[refusal]` of the locale files says it in other languages.
    pub word: &'static str,
    /// A sentence for whoever asked.
    pub why: String,
}

impl Refusal {
    /// All reasons.
    pub const WORDS: [&'static str; 18] = [
        "actor",
        "changed",
        "crowded",
        "dialog",
        "late",
        "ledger",
        "no-execution",
        "no-output",
        "no-undo",
        "nobody",
        "over",
        "slack",
        "ssm",
        "stranger",
        "twice",
        "unknown",
        "unknown-identity",
        "unsure",
    ];

    /// A reason, and the sentence.
    pub fn new(word: &'static str, why: impl Into<String>) -> Self {
        debug_assert!(Self::WORDS.contains(&word), "{word}");
        Self { word, why: why.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

fn refuse<T>(word: &'static str, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(word, why))
}

/// What may be asked for now, whoever asks: what a card has buttons for.
pub fn open_to(entry: &Entry, remediation: &Remediation, now: Timestamp) -> Vec<Ask> {
    let current = remediation.episode == entry.episode;
    let approvable = current && entry.state == State::Open && remediation.mode >= Mode::Approve;
    // An offer ends when its time is over, whether or not somebody has noted that yet.
    let offered = approvable && remediation.due.is_some_and(|until| now < until);
    match remediation.progress {
        Progress::Proposed if offered => vec![Ask::Approve, Ask::Deny],
        Progress::Failed if offered => vec![Ask::Approve],
        Progress::Approved | Progress::Undoing if remediation.run.is_none() => {
            if remediation.claimed.is_none() {
                vec![Ask::Deny]
            } else {
                Vec::new()
            }
        }
        Progress::Started | Progress::Undoing => vec![Ask::Stop],
        Progress::Succeeded | Progress::Verified | Progress::Unverified | Progress::UndoFailed
            if remediation.mode >= Mode::Approve && until_undo(remediation).is_some_and(|until| now < until) =>
        {
            vec![Ask::Undo]
        }
        _ => Vec::new(),
    }
}

/// Rails that let through later what they stop now.
pub fn is_temporary(stop: &Stop) -> bool {
    const PASSING: [&str; 7] = ["kill-switch", "cooldown", "budget", "breaker", "concurrent", "windows", "calendars"];
    PASSING.contains(&stop.rail.as_str())
}

/// Until when it can be taken back.
pub fn until_undo(remediation: &Remediation) -> Option<Timestamp> {
    let ended = remediation.applied?;
    ended.checked_add(remediation.undo.as_ref()?.within).ok()
}

/// Does what somebody asks for, if they may. `plan` is what they saw; none where they only ask whether they may.
pub fn ask(
    config: &Config,
    entry: &mut Entry,
    (at, plan): (usize, Option<&str>),
    (what, person): (Ask, &Person),
    now: Timestamp,
) -> Result<(), Refusal> {
    let remediation = &entry.remediations[at];
    if !open_to(entry, remediation, now).contains(&what) {
        let late = what == Ask::Undo && until_undo(remediation).is_some_and(|until| until <= now);
        let progress = remediation.progress.as_str();
        return if late {
            refuse("late", "it is too late to take it back here")
        } else {
            refuse("over", format!("it is {progress}, and can no longer be asked to {}", what.as_str()))
        };
    }
    may(config, entry, remediation, (what, person))?;
    let Some(plan) = plan else { return Ok(()) };
    if plan != remediation.plan() {
        return refuse("changed", "what would run has changed since it was shown; look again");
    }
    match what {
        Ask::Approve | Ask::Undo => consent(config, entry, at, (what, person), now),
        Ask::Deny => {
            let undoing = entry.remediations[at].progress == Progress::Undoing;
            entry.remediations[at].due = None;
            let to = if undoing { Progress::UndoFailed } else { Progress::Denied };
            turn(entry, at, now, to, Some(&person.id), undoing.then(|| "denied".to_owned()));
            Ok(())
        }
        // Its execution is told to stop by whoever asks; what becomes of it, SSM says.
        Ask::Stop => {
            entry.remediations[at].due = Some(now);
            say(entry, at, now, "stopping", Some(&person.id), None, false);
            Ok(())
        }
    }
}

/// Whether this person may ask for this.
fn may(
    config: &Config,
    entry: &Entry,
    remediation: &Remediation,
    (what, person): (Ask, &Person),
) -> Result<(), Refusal> {
    let consent = &config.remediation.approval;
    let environment = config.account(&remediation.job.account).and_then(|a| a.environment.as_deref());
    let Some(approvers) = of_environment(&consent.approvers, environment) else {
        let environment = environment.unwrap_or("*");
        return refuse(
            "nobody",
            format!("nobody may approve in environment {environment}: set remediation.approval.approvers"),
        );
    };
    let of_group = |groups: &Vec<String>| approvers.iter().any(|a| groups.contains(a));
    if !approvers.contains(&person.id) {
        match &person.groups {
            Ok(groups) if of_group(groups) => {}
            Ok(_) => return refuse("stranger", "you are not among those who may approve here"),
            Err(why) => return refuse("unsure", format!("whether you may approve cannot be told: {why}")),
        }
    }
    // Stopping and denying are always safe; whoever caused a problem may do that too.
    if !matches!(what, Ask::Approve | Ask::Undo) {
        return Ok(());
    }
    let actors = || entry.actors.iter().chain(&entry.sessions);
    if actors().next().is_none() {
        return Ok(());
    }
    if entry.crowded {
        return refuse(
            "crowded",
            "too many caused this problem to tell whether you are among them: use the command line of AWS",
        );
    }
    let Some(identities) = consent.people.get(&person.id) else {
        return refuse(
            "unknown-identity",
            format!(
                "somebody caused this problem, and which AWS identities are yours is not known: add remediation.approval.people.{}",
                person.id
            ),
        );
    };
    let is = |identity: &String, actor: &str| covers(identity, actor) || covers(&without_path(identity), actor);
    match actors().find(|actor| identities.iter().any(|identity| is(identity, actor))) {
        Some(actor) => {
            refuse("actor", format!("you are {actor}, who caused this problem: somebody else has to approve"))
        }
        None => Ok(()),
    }
}

/// Users and roles are told without their IAM paths.
fn without_path(identity: &str) -> String {
    for kind in ["user/", "role/"] {
        let at =
            identity.find(&format!(":{kind}")).map(|at| at + 1).or_else(|| identity.starts_with(kind).then_some(0));
        if let Some(at) = at {
            let name = identity.rsplit('/').next().unwrap_or_default();
            return format!("{}{kind}{name}", &identity[..at]);
        }
    }
    identity.to_owned()
}

/// The consents that count towards the next start: given for it, and not too long ago.
pub fn standing<'r>(
    config: &Config,
    remediation: &'r Remediation,
    now: Timestamp,
) -> impl Iterator<Item = &'r Approval> {
    let fresh = now.saturating_sub(config.remediation.approval.expires).unwrap_or(Timestamp::MIN);
    let begun = remediation.approved.unwrap_or(Timestamp::MIN);
    remediation.approvals.iter().filter(move |a| a.at > fresh && a.at > begun)
}

/// How many people it takes.
pub fn needed(config: &Config, remediation: &Remediation) -> usize {
    let environment = config.account(&remediation.job.account).and_then(|a| a.environment.as_deref());
    let two = of_environment(&config.remediation.approval.two_people, environment);
    if remediation.effect >= two.copied().unwrap_or(Effect::Destructive) { 2 } else { 1 }
}

fn consent(
    config: &Config,
    entry: &mut Entry,
    at: usize,
    (what, person): (Ask, &Person),
    now: Timestamp,
) -> Result<(), Refusal> {
    let needed = needed(config, &entry.remediations[at]);
    let remediation = &mut entry.remediations[at];
    if what == Ask::Undo {
        take_back(remediation)?;
    }
    let mut given: Vec<Approval> = standing(config, remediation, now).cloned().collect();
    if given.iter().any(|a| a.by == person.id) {
        return refuse("twice", "you have approved it already; somebody else has to, too");
    }
    given.push(Approval { by: person.id.clone(), at: now });
    let count = given.len();
    remediation.approvals = given;
    if count < needed {
        if what == Ask::Approve {
            remediation.due = Some(now + config.remediation.approval.expires);
        }
        say(entry, at, now, "consented", Some(&person.id), Some(format!("{count}/{needed}")), false);
        return Ok(());
    }
    if what == Ask::Approve {
        remediation.attempt = remediation.next_attempt();
    }
    // (A start that SSM may have taken keeps its token, and so is found again.)
    (remediation.stopped, remediation.run, remediation.claimed) = (None, None, None);
    (remediation.approved, remediation.due) = (Some(now), Some(now));
    let to = if what == Ask::Undo { Progress::Undoing } else { Progress::Approved };
    turn(entry, at, now, to, Some(&person.id), None);
    Ok(())
}

/// Fills in what only the execution could tell.
pub(super) fn take_back(remediation: &mut Remediation) -> Result<(), Refusal> {
    let outputs = remediation.run.as_ref().map(|r| r.outputs.clone()).unwrap_or_default();
    let Some(undo) = &mut remediation.undo else { return refuse("no-undo", "no runbook takes it back") };
    for (parameter, output, pattern) in &undo.outputs {
        // (Filled in by an earlier attempt.)
        if undo.job.parameters.contains_key(parameter) {
            continue;
        }
        let Some(values) = outputs.get(output) else {
            return refuse(
                "no-output",
                format!(
                    "{output}, which taking it back needs, was not put out, or is too long to keep: see the execution in the console"
                ),
            );
        };
        let wrong = |why| Refusal::new("no-output", why);
        let must = anchored(pattern).map_err(wrong)?;
        values.iter().try_for_each(|value| fits(parameter, value, &must)).map_err(wrong)?;
        undo.job.parameters.insert(parameter.clone(), values.clone());
    }
    Ok(())
}
