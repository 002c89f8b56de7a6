//! The remediator of this version: it proposes, and starts nothing.
use crate::{
    act::ports::Remediator,
    values::action::{Outcome, Remediate},
};

/// Refuses every start, and says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proposer;

impl Remediator for Proposer {
    async fn start(&self, remediate: &Remediate) -> Outcome {
        Outcome::Failed(format!(
            "{} was not started: this version proposes runbooks and starts none; set remediation.mode = \"propose\"",
            remediate.runbook
        ))
    }
}
