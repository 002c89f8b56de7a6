//! How bad a finding is: five ordered words, the same as ASFF's `Severity.Label`.
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Ordered from `Informational` to `Critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing to do; a fact.
    Informational,
    /// Worth knowing within days.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth interrupting work.
    High,
    /// Worth waking someone.
    Critical,
}

impl Severity {
    /// All of them, least first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word used in data, Slack and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Moved by `steps` (negative lowers), staying within the five.
    #[must_use]
    pub fn moved(self, steps: i8) -> Self {
        let at = (self as i8).saturating_add(steps).clamp(0, 4);
        Self::ALL[usize::from(at.unsigned_abs())]
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| format!("unknown severity {word:?}; use informational, low, medium, high or critical"))
    }
}
