//! `check --aws` about remediations: are the documents that could start there, do they take what playbooks give them, and is
//! there anybody who could approve them?
use super::Remarks;
use crate::{
    cli::setup::Setup,
    decide::{config::Config, rails, runbook::ASSUME_ROLE, source::account_resource},
    ends::{
        connect::{Aws, env},
        remediator::Automation,
        secrets,
        slack::Slack,
    },
    values::{action::Mode, finding::Resource, remediation::Job},
};
use std::collections::{BTreeMap, BTreeSet};

/// What playbooks give a runbook.
type Wanted<'p> = BTreeMap<&'p str, BTreeSet<&'p str>>;

/// Every runbook that could start in an account, or be taken back there.
fn wanted<'p>(setup: &'p Setup, account: &str) -> Wanted<'p> {
    let mut wanted = Wanted::new();
    let about = Resource { tags: vec![(String::new(), String::new())], ..account_resource(account) };
    let config = &setup.policy.config;
    for playbook in &setup.policy.playbooks {
        if rails::mode(config, &playbook.name, account, &about) < Mode::Approve {
            continue;
        }
        let undone = playbook.remediate.iter().filter_map(|r| r.undo.as_ref()).map(|u| (&u.runbook, &u.with));
        for (runbook, with) in playbook.remediate.iter().map(|r| (&r.runbook, &r.with)).chain(undone) {
            let allowed = config.remediation.runbooks.as_ref().is_none_or(|r| r.contains(runbook));
            if allowed {
                wanted.entry(runbook).or_default().extend(with.iter().map(|(name, _)| name.as_str()));
            }
        }
    }
    wanted
}

/// Looks at the documents in every account where something may start, in the first Region that is allowed.
pub(super) async fn of_runbooks(setup: &Setup, aws: &Aws, remarks: &mut Remarks) {
    let config = &setup.policy.config;
    let rails = &config.remediation;
    let accounts: Vec<_> =
        rails.accounts.iter().map(|a| (a, wanted(setup, a))).filter(|(_, w)| !w.is_empty()).collect();
    if accounts.is_empty() {
        return;
    }
    of_roles(config, remarks);
    let external_id = match &rails.access.external_id {
        None => None,
        Some(reference) => match secrets::resolve(reference, aws, &env).await {
            Ok(secret) => Some(secret),
            Err(why) => return remarks.add("error", format!("the external id: {why}"), ""),
        },
    };
    let sdk = aws.quick().await;
    let here = sdk.region().map(ToString::to_string).unwrap_or_default();
    let region = rails.regions.as_ref().and_then(|r| r.first()).unwrap_or(&here).clone();
    let automation = Automation::new(sdk, &rails.access, external_id);
    for (account, wanted) in accounts {
        let mut good = 0;
        for (runbook, given) in &wanted {
            let job = Job {
                runbook: (*runbook).to_owned(),
                account: account.clone(),
                region: region.clone(),
                parameters: BTreeMap::new(),
            };
            match automation.describe(&job).await {
                Ok(Some(taken)) => {
                    let unknown: Vec<_> = given.iter().filter(|p| !taken.iter().any(|t| t == *p)).copied().collect();
                    if unknown.is_empty() {
                        good += 1;
                        continue;
                    }
                    remarks.add(
                        "error",
                        format!("{runbook} in {account}/{region} takes no parameter {}", unknown.join(", ")),
                        "deploy the document that belongs to this version, or override the playbooks that name it",
                    );
                }
                Ok(None) => remarks.add(
                    "error",
                    format!("{runbook} is not in {account}/{region}"),
                    "deploy or share it there; or leave it out of remediation.runbooks",
                ),
                // What stands in the way of one stands in the way of all.
                Err(why) => {
                    remarks.add("error", format!("the runbooks in {account}/{region} cannot be looked at: {why}"), "");
                    break;
                }
            }
        }
        if good > 0 {
            remarks.ok(format!("{good} runbooks are in {account}/{region}, and take what playbooks give them"));
        }
    }
}

/// What the configuration itself lacks before anything could start.
fn of_roles(config: &Config, remarks: &mut Remarks) {
    if config.remediation.access.automation_role.is_none() {
        remarks.add(
            "warning",
            format!("no role is named for runbooks to run in ({ASSUME_ROLE}): those that need one are not started"),
            "set remediation.automation-role, for example \"arn:{partition}:iam::{account}:role/{runbook}\"",
        );
    }
    if config.remediation.approval.approvers.is_empty() {
        remarks.add("warning", "nobody may approve a remediation", "set remediation.approval.approvers");
    }
}

/// Looks whether the user groups that may approve are there.
pub(super) async fn of_groups(slack: &Slack, config: &Config, remarks: &mut Remarks) {
    for (group, found) in slack.groups_of(config).await {
        match found {
            Ok(0) => remarks.add("warning", format!("nobody is in the user group {group}, which may approve"), ""),
            Ok(count) => remarks.ok(format!("Slack: {count} people are in the user group {group}, which may approve")),
            Err(why) => remarks.add("error", format!("who is in the user group {group} cannot be told: {why}"), ""),
        }
    }
}
