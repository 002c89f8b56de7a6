//! The role gets what may start, and nothing else: configurations, and the runbooks that follow from them.
use super::*;
use crate::{
    decide::{
        playbook::Playbook,
        policy::{Policy, UserFiles},
    },
    testing::config,
};

const SHOP: &str = "[accounts.\"111122223333\"]\nname = 'shop'\nenvironment = 'production'\n";

fn policy(text: &str) -> Policy {
    Policy::load(config(text), &UserFiles::default()).unwrap_or_else(|p| panic!("{p:#?}"))
}

fn resources<'s>(statements: &'s [Value], sid: &str) -> Vec<&'s str> {
    let of = |s: &'s Value| match &s["Resource"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    };
    statements.iter().filter(|s| s["Sid"] == sid).flat_map(of).collect()
}

#[test]
fn what_may_start_follows_from_the_configuration() {
    let open =
        "effects = { production = 'disruptive' }\nautomation-role = 'arn:{partition}:iam::{account}:role/{runbook}'\n";
    let ssh = "'config/security-group-ssh-open' = 'approve'";
    let crypto = "'guardduty/ec2-crypto-mining' = 'automatic'";
    let allowed = |more: &str| format!("[remediation]\naccounts = ['111122223333']\n{open}{more}");
    let playbooks =
        |these: &str| allowed(&format!("playbooks = {{ {these} }}\nenvironments = {{ production = 'automatic' }}\n"));
    let (close, quarantine) = ("FindingsRouter-CloseAdminPorts", "FindingsRouter-QuarantineInstance");
    for (says, config, expected) in [
        ("Nothing is configured.", String::new(), vec![]),
        ("Proposing is only words.", allowed(""), vec![]),
        ("One playbook may be approved.", playbooks(ssh), vec![close]),
        ("Two.", playbooks(&format!("{ssh}, {crypto}")), vec![close, quarantine]),
        ("Its effect is too far.", playbooks(crypto).replace("'disruptive'", "'harmless'"), vec![]),
        ("Its account is not among those.", playbooks(ssh).replace("['111122223333']", "[]"), vec![]),
        ("Only words, whatever is set.", format!("{}dry-run = true\n", playbooks(ssh)), vec![]),
        ("Its runbook is not among those.", format!("{}runbooks = ['{quarantine}']\n", playbooks(ssh)), vec![]),
        ("The brake is on, for now.", format!("{}kill-switch = true\n", playbooks(ssh)), vec![close]),
        (
            "Outside of its window, for now.",
            format!("{}windows = {{ production = ['sat 03:00-04:00'] }}\n", playbooks(ssh)),
            vec![close],
        ),
    ] {
        let policy = policy(&format!("{SHOP}{config}"));
        assert_eq!(enabled(&policy).into_iter().collect::<Vec<_>>(), expected, "{says}");
        let statements = statements(&policy);
        assert_eq!(statements.is_empty(), expected.is_empty(), "{says}");
        for (sid, kind) in [("Start", ":document/"), ("RunIn", "role/")] {
            let granted: Vec<&str> = resources(&statements, sid).iter().filter_map(|r| r.split(kind).nth(1)).collect();
            assert_eq!(granted, expected, "{says} {sid}");
        }
    }
}

/// Everything that the shipped playbooks can start, and what undoes it: each is granted, and nothing beside.
#[test]
fn all_that_playbooks_start_is_granted_and_nothing_beside() {
    let policy = policy(&format!(
        "{SHOP}[remediation]\nmode = 'automatic'\nenvironments = {{ production = 'automatic' }}\naccounts = ['111122223333']\n\
         effects = {{ production = 'destructive' }}\ncalendars = ['arn:aws:ssm:eu-west-1:111122223333:document/freeze']\n\
         automation-role = 'arn:{{partition}}:iam::{{account}}:role/{{runbook}}'\n"
    ));
    let remediate = policy.playbooks.iter().flat_map(|p: &Playbook| &p.remediate);
    let named = remediate.flat_map(|r| [Some(&r.runbook), r.undo.as_ref().map(|u| &u.runbook)]).flatten();
    let named: BTreeSet<&str> = named.map(String::as_str).collect();
    assert_eq!(enabled(&policy), named);
    let statements = statements(&policy);
    let started: BTreeSet<&str> =
        resources(&statements, "Start").iter().filter_map(|r| r.split(":document/").nth(1)).collect();
    assert_eq!(started, named);
    for arn in resources(&statements, "Start") {
        assert_eq!(arn.contains("/AWS"), arn.contains("ssm:*::"), "AWS's documents are no account's: {arn}");
    }
    assert_eq!(resources(&statements, "Calendars"), ["arn:aws:ssm:eu-west-1:111122223333:document/freeze"]);
    let wildcard: Vec<&Value> = statements.iter().filter(|s| s["Resource"] == "*").map(|s| &s["Action"]).collect();
    assert_eq!(wildcard, ["ssm:DescribeAutomationExecutions"], "the only one that knows no resources");
}
