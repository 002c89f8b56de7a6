//! What the router's role in an account has to be allowed, and nothing more: worked out from what the configuration lets it
//! start. (Resource types of the actions: service authorization reference of Systems Manager, 2026.)
#[cfg(test)]
mod tests;

use super::{
    playbook,
    policy::Policy,
    rails::{self, Counts, Start, fill},
    remediation::is_temporary,
    source::account_resource,
};
use crate::values::{
    action::{Mode, Stop},
    entry::Tally,
    finding::Resource,
    remediation::{Job, Remediation},
    severity::Severity,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What CloudFormation calls the partition and the account that a template is deployed in.
const PARTITION: &str = "${AWS::Partition}";
const ACCOUNT: &str = "${AWS::AccountId}";

/// How far a remediation may go in an account, and the first rail that stops it: for a resource that nothing protects, of a
/// finding that is as severe as can be.
pub fn prospect(
    policy: &Policy,
    account: &str,
    playbook: &str,
    remediate: &playbook::Remediate,
    counted: impl Fn(&str) -> Tally,
    now: Timestamp,
) -> (Mode, Option<Stop>) {
    let config = &policy.config;
    // Tags that are known, and protect nothing: what is asked is the configuration, not a resource.
    let about = Resource { tags: vec![(String::new(), String::new())], ..account_resource(account) };
    let mode = rails::mode(config, playbook, account, &about);
    if mode < Mode::Approve {
        return (mode, None);
    }
    let regions = config.remediation.regions.as_ref();
    let region = regions.and_then(|r| r.first()).map_or("us-east-1", String::as_str);
    let job = Job {
        runbook: remediate.runbook.clone(),
        account: account.to_owned(),
        region: region.to_owned(),
        parameters: BTreeMap::new(),
    };
    let remediation = Remediation::proposed(1, playbook, job.clone(), mode, remediate.effect);
    let start = Start {
        config,
        about: &about,
        severity: Severity::Critical,
        problem: String::new(),
        remediation: &remediation,
        job: &job,
        client_token: "",
        now,
    };
    let [starts, touched, failures, running, halt] = start.keys().map(|key| counted(&key));
    let counts = Counts { starts, touched, failures, running, halt };
    let unready = rails::unready(config, &policy.catalogue, &remediate.runbook, &remediate.with);
    (mode, unready.or_else(|| rails::stop(&start, &counts)))
}

/// The runbooks that may start somewhere: the playbooks', and those that undo them.
pub fn enabled(policy: &Policy) -> BTreeSet<&str> {
    let mut enabled = BTreeSet::new();
    for account in policy.config.accounts.keys() {
        for playbook in &policy.playbooks {
            for r in &playbook.remediate {
                let (mode, stop) =
                    prospect(policy, account, &playbook.name, r, |key| Tally::new(key), Timestamp::UNIX_EPOCH);
                if mode >= Mode::Approve && stop.is_none_or(|stop| is_temporary(&stop)) {
                    enabled.insert(r.runbook.as_str());
                    enabled.extend(r.undo.iter().map(|undo| undo.runbook.as_str()));
                }
            }
        }
    }
    enabled
}

/// The statements of the role's policy, with CloudFormation's words for partition and account; none where nothing may start.
pub fn statements(policy: &Policy) -> Vec<Value> {
    let enabled = enabled(policy);
    if enabled.is_empty() {
        return Vec::new();
    }
    let arn = |kind: &str, owner: &str, name: &str| format!("arn:{PARTITION}:ssm:*:{owner}:{kind}/{name}");
    let mut documents: Vec<String> = Vec::new();
    let mut definitions: Vec<String> = Vec::new();
    for name in &enabled {
        // AWS's own documents belong to no account.
        let owner = if name.starts_with("AWS") { "" } else { ACCOUNT };
        documents.push(arn("document", owner, name));
        definitions.push(arn("automation-definition", owner, &format!("{name}:*")));
    }
    let executions = arn("automation-execution", ACCOUNT, "*");
    let startable: Vec<&String> = documents.iter().chain(&definitions).chain([&executions]).collect();
    let mut statements = vec![
        json!({ "Sid": "Start", "Effect": "Allow", "Action": "ssm:StartAutomationExecution", "Resource": startable }),
        json!({
            "Sid": "Follow", "Effect": "Allow",
            "Action": ["ssm:AddTagsToResource", "ssm:GetAutomationExecution", "ssm:StopAutomationExecution"],
            "Resource": executions,
        }),
        // Knows no resources.
        json!({ "Sid": "Find", "Effect": "Allow", "Action": "ssm:DescribeAutomationExecutions", "Resource": "*" }),
        // What a document takes is no secret; named one by one, they would fill the policy.
        json!({ "Sid": "Check", "Effect": "Allow", "Action": "ssm:DescribeDocument", "Resource": arn("document", "*", "*") }),
    ];
    let access = &policy.config.remediation;
    if !access.calendars.is_empty() {
        statements.push(json!({
            "Sid": "Calendars", "Effect": "Allow", "Action": "ssm:GetCalendarState", "Resource": access.calendars,
        }));
    }
    if let Some(role) = &access.access.automation_role {
        let takes_role = |name: &&&str| policy.catalogue.get(name).is_some_and(super::runbook::Document::takes_role);
        let role = role.replace("{partition}", PARTITION).replace("{account}", ACCOUNT);
        let roles: BTreeSet<String> =
            enabled.iter().filter(takes_role).map(|name| fill(&role, "", "*", name)).collect();
        statements.push(json!({
            "Sid": "RunIn", "Effect": "Allow", "Action": "iam:PassRole", "Resource": roles,
            "Condition": { "StringEquals": { "iam:PassedToService": "ssm.amazonaws.com" } },
        }));
    }
    statements
}
