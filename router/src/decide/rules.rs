//! What EventBridge has to let through: the smallest set of event patterns by which everything reaches the router that it makes
//! something of, and nothing else does.
#[cfg(test)]
mod tests;

use super::{
    pattern::{Clause, Pattern, pack},
    policy::Policy,
};
use serde_json::Value;

/// Characters of an event pattern that EventBridge takes (its quotas; more on request).
pub const PATTERN_MAX: usize = 2_048;
/// Rules that a bus takes (the same).
pub const RULES_MAX: usize = 300;

/// A rule that has to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it lets through.
    pub pattern: Value,
    /// Its events are told in one Region of the partition only.
    pub global: bool,
    /// It needs `CloudTrail`'s management events that only read, too.
    pub read_only: bool,
}

impl Rule {
    /// The state to deploy it in.
    pub fn state(&self) -> &'static str {
        if self.read_only { "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" } else { "ENABLED" }
    }
}

/// The rules that a policy needs. The error says what cannot be deployed.
pub fn rules(policy: &Policy) -> Result<Vec<Rule>, String> {
    let mut kinds = [(false, false), (true, false), (false, true), (true, true)].map(|kind| (kind, Vec::new()));
    for source in &policy.sources {
        let reads = source.when.clauses();
        let within = |clause: &Clause, pattern: Option<&Pattern>, by: fn(&Clause, &Clause) -> bool| {
            pattern.is_some_and(|p| p.clauses().iter().any(|one| by(one, clause)))
        };
        let clauses = if source.ignore_unclaimed && !source.follows_executions() {
            let claims = policy.playbooks.iter().filter_map(|p| p.when.as_ref()).flat_map(Pattern::clauses);
            claims.flat_map(|claim| reads.iter().filter_map(|r| claim.and(r)).collect::<Vec<_>>()).collect()
        } else {
            reads
        };
        for clause in clauses {
            let global = within(&clause, source.delivery.global.as_ref(), Clause::covers);
            let read_only = within(&clause, source.delivery.read_only.as_ref(), Clause::meets);
            kinds
                .iter_mut()
                .filter(|(kind, _)| *kind == (global, read_only))
                .for_each(|(_, of)| of.push(clause.clone()));
        }
    }
    let mut rules = Vec::new();
    for ((global, read_only), clauses) in kinds {
        let patterns = pack(clauses, PATTERN_MAX).map_err(|pattern| {
            format!(
                "no event pattern of {PATTERN_MAX} characters can say this; simplify the playbook's [when]: {pattern}"
            )
        })?;
        rules.extend(patterns.into_iter().map(|pattern| Rule { pattern, global, read_only }));
    }
    if rules.len() > RULES_MAX {
        return Err(format!("{} rules are needed; a bus takes {RULES_MAX}", rules.len()));
    }
    Ok(rules)
}
