//! What is owed (actions), what became of it (outcomes), and what becomes of the message (disposition).
use super::{entry::Waiting, remediation::Remediation};
use findings_formatters::view::Kind;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// One thing that is owed.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Tell somebody.
    Notify(Notify),
    /// Tell it in the channel's next digest.
    Digest(Waiting),
    /// Offer or start a runbook; or say why not.
    Remediate(Box<Remediation>),
    /// Tell other programs.
    Publish(Publish),
}

impl Action {
    /// Names the action within its plan, so that a retry performs only what is still owed.
    pub fn key(&self) -> String {
        match self {
            Self::Notify(n) => notify_key(&n.destination, n.mode, n.kind),
            Self::Digest(w) => format!("digest {}", w.destination),
            Self::Remediate(r) => format!("remediate {} {}", r.job.runbook, r.id),
            Self::Publish(p) => format!("publish {}", p.detail_type),
        }
    }
}

/// Names a message within a plan.
pub fn notify_key(destination: &str, mode: NotifyMode, kind: Kind) -> String {
    format!("notify {destination} {} {kind:?}", mode.as_str())
}

impl Action {
    /// What it is done to or with: a channel, a runbook, a bus.
    pub fn subject(&self) -> &str {
        match self {
            Self::Notify(n) => &n.destination,
            Self::Digest(w) => &w.destination,
            Self::Remediate(r) => &r.job.runbook,
            Self::Publish(p) => &p.bus,
        }
    }
}

/// How a message reaches a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyMode {
    /// A message of its own.
    Post,
    /// A reply in a message's thread.
    Thread,
    /// An edit of a message.
    Update,
    /// A reply in a message's thread that is also sent to the channel.
    Broadcast,
}

impl NotifyMode {
    /// The word used in data.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Thread => "thread",
            Self::Update => "update",
            Self::Broadcast => "broadcast",
        }
    }
}

/// A message that is owed.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// Where to: `slack:#security`.
    pub destination: String,
    /// How.
    pub mode: NotifyMode,
    /// Which message.
    pub kind: Kind,
    /// The tally of the storm that it is about, for a storm's card and its lines.
    pub storm: Option<String>,
    /// The message to edit or to reply to, as its messenger named it; none where this plan posts it first.
    pub target: Option<String>,
    /// Whom it calls: `U…`, `S…`, `here` or `channel`.
    pub mentions: Vec<String>,
}

/// An event of our own that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The bus, by name or ARN.
    pub bus: String,
    /// What happened: its `detail-type`.
    pub detail_type: &'static str,
}

/// How far a remediation may go by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing happens and nothing is offered.
    Off,
    /// The card says what it would do.
    Propose,
    /// The card offers it behind a button.
    Approve,
    /// It is started.
    Automatic,
}

impl Mode {
    /// All, least first, by their words.
    pub const WORDS: [(&'static str, Self); 4] =
        [("off", Self::Off), ("propose", Self::Propose), ("approve", Self::Approve), ("automatic", Self::Automatic)];

    /// The word used in data and on cards.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// How far a runbook reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing that anyone would notice.
    Harmless,
    /// Changes something that can be put back.
    Reversible,
    /// Interrupts something.
    Disruptive,
    /// Destroys something.
    Destructive,
}

impl Effect {
    /// All, least first, by their words.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("harmless", Self::Harmless),
        ("reversible", Self::Reversible),
        ("disruptive", Self::Disruptive),
        ("destructive", Self::Destructive),
    ];

    /// The word used in data and on cards.
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Why a remediation does not go ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The rail's name: `accounts`, `effect`, `cooldown`, …
    pub rail: String,
    /// What it saw, and what would let it through.
    pub reason: String,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done; with the message, where it made one.
    Done(Option<Posted>),
    /// Not owed: nothing had to be performed (offered on the card, or stopped by a rail).
    Nothing,
    /// Failed for now: try the remainder again.
    Later(Later),
    /// Failed for good.
    Failed(String),
}

impl Outcome {
    /// The name of the message that it made.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Done(posted) => posted.as_ref().map(|p| p.id.clone()),
            Self::Nothing | Self::Later(_) | Self::Failed(_) => None,
        }
    }

    /// Why it is not done, where it should be.
    pub fn went_wrong(&self) -> Option<&str> {
        match self {
            Self::Later(later) => Some(&later.why),
            Self::Failed(why) => Some(why),
            Self::Done(_) | Self::Nothing => None,
        }
    }
}

/// A failure that passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// Not before this has passed.
    pub after: SignedDuration,
    /// What went wrong.
    pub why: String,
    /// It may have been done all the same: the answer was lost, not the request.
    pub unsure: bool,
}

/// A message that is in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its name there, for edits and replies.
    pub id: String,
    /// Its address, for people.
    pub link: Option<String>,
}

/// What becomes of the message; ordered from best to worst, the worst of its findings' counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// Everything is recorded: delete it.
    Ack,
    /// Show it again after this long.
    Retry(SignedDuration),
    /// Unreadable: leave it to the redrive policy.
    Reject,
}

impl Disposition {
    /// The word used in data.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Retry(_) => "retry",
            Self::Reject => "reject",
        }
    }
}
