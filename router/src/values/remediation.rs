//! A remediation: a runbook that answers a problem, bound to its parameters, and how far it got.
//!
//! It is kept with the problem's entry. Whatever it still waits for has a time at which it is due, so that a crash
//! forgets nothing: what is due is looked at again.
use super::{
    action::{Effect, Mode, Stop},
    entry::push_bounded,
    text::digest,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Remediations kept per entry; those of earlier episodes go first.
pub const REMEDIATIONS_MAX: usize = 5;
/// What is remembered of a remediation's life.
pub const TURNS_MAX: usize = 7;
/// Characters of all its parameters together, and of all outputs that are kept for an undo.
pub const PARAMETERS_MAX: usize = 2_000;
/// See [`PARAMETERS_MAX`].
pub const OUTPUTS_MAX: usize = 3_000;

/// How far a remediation got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Said, and offered where its mode is to approve.
    Proposed,
    /// Somebody does not want it.
    Denied,
    /// Nobody approved it in time.
    Expired,
    /// The problem was over before it began.
    Withdrawn,
    /// Approved by people, or by the policy where it is automatic; about to start.
    Approved,
    /// It runs.
    Started,
    /// The runbook ended well; the source has not said so yet.
    Succeeded,
    /// It could not be started, or the runbook failed, or somebody stopped it.
    Failed,
    /// The source agrees that the problem is gone, or the runbook itself looked.
    Verified,
    /// The runbook ended well, but the source did not agree in time.
    Unverified,
    /// It is being taken back.
    Undoing,
    /// It was taken back.
    Undone,
    /// Taking it back failed.
    UndoFailed,
}

impl Progress {
    /// The word used in data and in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Approved => "approved",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed => "undo-failed",
        }
    }

    /// An execution may be running: nothing else may begin meanwhile.
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Approved | Self::Started | Self::Undoing)
    }
}

/// A runbook that answers a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remediation {
    /// Names it for buttons and the command line: the client token of its first attempt.
    pub id: String,
    /// The episode that it answers.
    pub episode: u32,
    /// The playbook that offers it.
    pub playbook: String,
    /// What runs, as it is planned.
    pub job: Job,
    /// How far it goes by itself.
    pub mode: Mode,
    /// How far it reaches.
    pub effect: Effect,
    /// The rail that stopped it.
    pub stopped: Option<Stop>,
    /// What takes it back.
    pub undo: Option<Undo>,
    /// How long the source may take to agree.
    pub deadline: SignedDuration,
    /// How far it got.
    pub progress: Progress,
    /// Which try of it, from 1.
    pub attempt: u32,
    /// Who approved this attempt; for an undo, who approved that.
    pub approvals: Vec<Approval>,
    /// When it was approved, or its undo.
    pub approved: Option<Timestamp>,
    /// When something has to be done about it that no event will ask for.
    pub due: Option<Timestamp>,
    /// Somebody starts it at this moment, for so long at most.
    pub claimed: Option<Timestamp>,
    /// Its execution, or that of its undo, as far as is known.
    pub run: Option<Run>,
    /// When the runbook was accepted the last time: what a reporter says later counts as agreement.
    pub applied: Option<Timestamp>,
    /// What became of it, step by step.
    pub turns: Vec<Turn>,
}

/// What is run where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The SSM Automation document.
    pub runbook: String,
    /// The account of the resource.
    pub account: String,
    /// The Region of the resource.
    pub region: String,
    /// SSM takes a list of strings for every parameter.
    pub parameters: BTreeMap<String, Vec<String>>,
}

/// A runbook that takes another one back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// What runs; the parameters that only the execution can tell are missing yet.
    pub job: Job,
    /// Those: parameter, the execution's output, and what each value must look like.
    pub outputs: Vec<(String, String, String)>,
    /// For so long after the runbook was started.
    pub within: SignedDuration,
}

/// An execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The same start twice is one start.
    pub client_token: String,
    /// Its id; none where SSM had started it before, and does not tell.
    pub execution: Option<String>,
    /// When it was tried first, or accepted.
    pub since: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The step that it is at, or that failed.
    pub step: Option<String>,
    /// What the undo needs of what it put out.
    pub outputs: BTreeMap<String, Vec<String>>,
    /// Looks in a row that failed.
    pub failed_looks: u32,
}

/// Somebody's consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who: the id of a Slack user.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A step in a remediation's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// What it is now, or `refused`, which changed nothing.
    pub what: String,
    /// Who did it.
    pub by: Option<String>,
    /// Why, or with what.
    pub why: Option<String>,
}

/// A step that the problem's channels have yet to hear of, in the card's thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Which remediation.
    pub remediation: String,
    /// What happened.
    pub turn: Turn,
    /// Also in the channel itself.
    pub loud: bool,
    /// The channels.
    pub left: Vec<String>,
    /// Not before.
    pub due: Timestamp,
    /// It may be in the first of the channels already.
    pub unsure: bool,
}

/// How many characters the values of parameters or outputs have in all.
pub fn size(values: &BTreeMap<String, Vec<String>>) -> usize {
    values.iter().map(|(name, values)| name.len() + values.iter().map(String::len).sum::<usize>()).sum()
}

impl Remediation {
    /// One that nobody has said anything about yet: without a name, an undo or a deadline.
    pub fn proposed(episode: u32, playbook: &str, job: Job, mode: Mode, effect: Effect) -> Self {
        Self {
            id: String::new(),
            episode,
            playbook: playbook.to_owned(),
            job,
            mode,
            effect,
            stopped: None,
            undo: None,
            deadline: SignedDuration::ZERO,
            progress: Progress::Proposed,
            attempt: 1,
            approvals: Vec::new(),
            approved: None,
            due: None,
            claimed: None,
            run: None,
            applied: None,
            turns: Vec::new(),
        }
    }

    /// What runs now, or would run next: the undo, once the runbook has ended well.
    pub fn job_now(&self) -> &Job {
        let undoing = matches!(
            self.progress,
            Progress::Succeeded | Progress::Verified | Progress::Unverified | Progress::Undoing | Progress::UndoFailed
        );
        if undoing { self.undo.as_ref().map_or(&self.job, |u| &u.job) } else { &self.job }
    }

    /// Which attempt the next start would be: one whose execution has ended is over.
    pub fn next_attempt(&self) -> u32 {
        self.attempt + u32::from(self.run.as_ref().is_some_and(|r| r.ended.is_some()))
    }

    /// Names the plan: what is approved is exactly this, as things stand, and nothing that came to be since.
    pub fn plan(&self) -> String {
        let job = self.job_now();
        let parameters = job.parameters.iter().flat_map(|(name, values)| {
            std::iter::once(name.as_str()).chain(values.iter().map(String::as_str)).chain(std::iter::once(""))
        });
        let attempt = self.next_attempt().to_string();
        let stands = self.progress.as_str();
        digest([stands, &self.id, &attempt, &job.account, &job.region, &job.runbook].into_iter().chain(parameters))
    }

    /// Writes down a step; gives it, to be told.
    pub fn turn(&mut self, at: Timestamp, what: &str, by: Option<&str>, why: Option<String>) -> Turn {
        let turn = Turn { at, what: what.to_owned(), by: by.map(str::to_owned), why };
        push_bounded(&mut self.turns, turn.clone(), TURNS_MAX);
        turn
    }

    /// What the ledger finds the problem by, given a remediation.
    pub fn name(id: &str) -> String {
        format!("remediation/{id}")
    }
}

impl News {
    /// Among the channels: other programs hear of it too.
    pub const BUS: &str = "bus";
}

impl Run {
    /// What the ledger finds the problem by, given an execution.
    pub fn name(execution: &str) -> String {
        format!("execution/{execution}")
    }
}
