//! What we make of a finding: claimed by a playbook, suppressed, or ignored; and what is new about it.
use super::{
    finding::{Finding, Resource},
    severity::Severity,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What we make of a finding, before we look at what we already know.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// A playbook claims it.
    Claimed(Box<Claim>),
    /// An adjustment hides it: why, and until when.
    Suppressed(String),
    /// Nobody needs it: why.
    Ignored(String),
}

/// A playbook's claim on a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Index of the playbook in the policy.
    pub playbook: usize,
    /// The severity after playbook and adjustments.
    pub severity: Severity,
    /// The kind of problem.
    pub weakness: String,
    /// What the problem is about.
    pub about: Resource,
    /// The Region; none for a global resource.
    pub region: Option<String>,
    /// Account, Region, resource and weakness as one id: equal for the same problem.
    pub fingerprint: String,
    /// Other playbooks that claim it too, by index.
    pub also: Vec<usize>,
    /// What adjustments did, for `explain`.
    pub notes: Vec<String>,
}

impl Claim {
    /// The account that owns what the problem is about: where runbooks run, and whose rails hold.
    pub fn owner<'a>(&'a self, finding: &'a Finding) -> &'a str {
        self.about.account.as_deref().unwrap_or(&finding.account)
    }
}

/// What is new about a finding: the reason why it is told, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Novelty {
    /// Not known, or over for longer than the playbook's memory.
    New,
    /// Worse than what was told.
    Escalated,
    /// Was over, is back.
    Reopened,
    /// Still there, and not told for longer than the playbook's quiet time.
    Reminder,
    /// Over: every reporter that can say so says so.
    Resolved,
    /// Known and told.
    Duplicate,
    /// Older than what we know, or the same again.
    Stale,
    /// Counted only.
    BelowThreshold,
}

impl Novelty {
    /// The word used in data, Slack and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Escalated => "escalated",
            Self::Reopened => "reopened",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::BelowThreshold => "below-threshold",
        }
    }
}

impl fmt::Display for Novelty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
