//! Remediation modes and rails, seen from outside: what a configuration lets start, and which rail stops the rest.
use crate::{
    contract,
    harness::{Home, changed, fixture},
    json::Json,
};
use serde_json::json;

/// Critical, in account 111122223333 (ap-northeast-1), about an instance with tags; its runbook is disruptive.
const MINER: &str = "guardduty-crypto-mining/01-first-seen.json";
const INSTANCE: &str = "/detail/resource/instanceDetails/instanceId";

/// Everything that it takes to start a runbook for `MINER`.
const ALLOWED: &str = r#"
[accounts."111122223333"]
name = "shop-production"
environment = "production"
[accounts."777788889999"]
environment = "staging"
[accounts."555566667777"]
environment = "production"
[remediation]
mode = "automatic"
accounts = ["111122223333"]
effects.production = "disruptive"
automation-role = "arn:{partition}:iam::{account}:role/{runbook}"
"#;

/// How far each remediation of these events goes: its mode, or the rail that stops it.
#[track_caller]
fn outcomes(config: &str, events: &[String]) -> Vec<String> {
    let lines = Home::with(config).replay(events);
    lines.iter().for_each(contract::check);
    let outcome = |action: &Json| {
        let rail = &action["stopped"]["rail"];
        if rail.is_null() { action["mode"].to_string() } else { format!("stopped: {rail}") }
    };
    remediations(&lines).map(outcome).collect()
}

fn remediations(lines: &[Json]) -> impl Iterator<Item = &Json> {
    lines.iter().flat_map(|line| line["actions"].list()).filter(|action| action["kind"] == "remediate")
}

/// Another miner, later: minutes after the first.
fn miner(instance: &str, minutes: u32) -> String {
    let at = format!("2026-03-21T02:{minutes:02}:00Z");
    changed(
        MINER,
        &[
            ("/id", json!(format!("{instance}-{minutes}"))),
            ("/time", json!(at)),
            ("/detail/updatedAt", json!(at)),
            (
                "/detail/arn",
                json!(format!("arn:aws:guardduty:ap-northeast-1:111122223333:detector/d/finding/{instance}")),
            ),
            (INSTANCE, json!(instance)),
        ],
    )
}

#[test]
fn what_is_allowed_is_started() {
    let lines = Home::with(ALLOWED).replay(&[fixture(MINER)]);
    contract::check(&lines[0]);
    let started: Vec<&Json> = remediations(&lines).collect();
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["mode"], "automatic");
    assert_eq!(started[0]["runbook"], "FindingsRouter-QuarantineInstance");
    assert_eq!(
        (started[0]["account"].text(), started[0]["region"].text()),
        (Some("111122223333"), Some("ap-northeast-1"))
    );
    assert_eq!(started[0]["parameters"]["InstanceId"].to_string(), "[i-0ccb08279ed6ff363]");
    assert_eq!(started[0]["effect"], "disruptive");
    assert!(started[0]["stopped"].is_null());
}

/// Each row: a change of the configuration that allows everything (what, by what), and what becomes of it.
#[test]
fn each_mode_and_each_rail() {
    let remediation = "[remediation]\n";
    let add = |text: &str| format!("{remediation}{text}\n");
    let rows = [
        ("no configuration at all", ALLOWED, String::new(), "propose"),
        ("propose", "\"automatic\"", "\"propose\"".into(), "propose"),
        ("approve", "\"automatic\"", "\"approve\"".into(), "approve"),
        ("off", "\"automatic\"", "\"off\"".into(), ""),
        ("the environment's mode", remediation, add("environments.production = \"approve\""), "approve"),
        ("another environment's mode", remediation, add("environments.staging = \"approve\""), "propose"),
        ("the mode of all other environments", remediation, add("environments.\"*\" = \"approve\""), "approve"),
        ("the playbook's mode", remediation, add("playbooks.\"guardduty/ec2-crypto-mining\" = \"off\""), ""),
        (
            "the playbook's mode goes no further than the environment's",
            remediation,
            add("environments.production = \"approve\"\nplaybooks.\"guardduty/ec2-crypto-mining\" = \"automatic\""),
            "approve",
        ),
        ("a dry run", remediation, add("dry-run = true"), "propose"),
        (
            "a dry run wins over the playbook's mode",
            remediation,
            add("dry-run = true\nplaybooks.\"guardduty/ec2-crypto-mining\" = \"automatic\""),
            "propose",
        ),
        ("the kill switch", remediation, add("kill-switch = true"), "stopped: kill-switch"),
        ("an account that is not allowed", "[\"111122223333\"]", "[\"777788889999\"]".into(), "stopped: accounts"),
        ("no account is allowed", "accounts = [\"111122223333\"]\n", String::new(), "stopped: accounts"),
        ("another Region", remediation, add("regions = [\"us-east-1\"]"), "stopped: regions"),
        ("this Region", remediation, add("regions = [\"us-east-1\", \"ap-northeast-1\"]"), "automatic"),
        ("another runbook", remediation, add("runbooks = [\"FindingsRouter-RequireImdsV2\"]"), "stopped: runbooks"),
        ("this runbook", remediation, add("runbooks = [\"FindingsRouter-QuarantineInstance\"]"), "automatic"),
        ("the least severity", remediation, add("min-severity = \"critical\""), "automatic"),
        (
            "less than the least severity",
            remediation,
            format!("{LOWERED}{}", add("min-severity = \"critical\"")),
            "stopped: severity",
        ),
        ("the effect", "\"disruptive\"", "\"reversible\"".into(), "stopped: effect"),
        ("the effect of another environment", "effects.production", "effects.staging".into(), "stopped: effect"),
        ("the effect of every environment", "effects.production", "effects.\"*\"".into(), "automatic"),
        ("no effect is allowed", "effects.production = \"disruptive\"", String::new(), "stopped: effect"),
        ("an account without an environment", "environment = \"production\"\n", String::new(), "stopped: effect"),
        ("a protected id", remediation, add("protected = [\"i-0ccb08279ed6ff363\"]"), "stopped: protected"),
        ("a protected id with a star", remediation, add("protected = [\"i-0ccb*\"]"), "stopped: protected"),
        ("a protected name", remediation, add("protected = [\"analytics-*\"]"), "stopped: protected"),
        ("another protected id", remediation, add("protected = [\"i-0ccb\"]"), "automatic"),
        ("a protected tag", remediation, add("protected-tags = [\"environment=production\"]"), "stopped: protected"),
        ("a protected tag's key", remediation, add("protected-tags = [\"owner\"]"), "stopped: protected"),
        (
            "another value of a protected tag",
            remediation,
            add("protected-tags = [\"environment=staging\"]"),
            "automatic",
        ),
        ("what infrastructure as code owns", remediation, add("propose-tags = [\"owner\"]"), "propose"),
        ("no budget", remediation, add("budget = { starts = 0, within = \"1h\" }"), "stopped: budget"),
        (
            "a rail stops an approval too",
            "\"automatic\"\naccounts",
            "\"approve\"\nkill-switch = true\naccounts".into(),
            "stopped: kill-switch",
        ),
    ];
    for (row, what, by, expected) in rows {
        assert!(ALLOWED.contains(what), "{row}: {what:?} is not in the configuration");
        let config = ALLOWED.replacen(what, &by, 1);
        assert_eq!(outcomes(&config, &[fixture(MINER)]).join(", "), expected, "{row}");
    }
}

const LOWERED: &str = "[[adjust]]\nwhen.source = [\"aws.guardduty\"]\nreason = \"noise\"\nlower = 1\n";

/// With nothing but `mode = "automatic"` every rail is closed.
#[test]
fn automatic_alone_starts_nothing() {
    let lines = Home::with("[remediation]\nmode = \"automatic\"\n").replay(&[fixture(MINER)]);
    assert_eq!(remediations(&lines).next().expect("named")["stopped"]["rail"], "accounts");
}

/// And over all fixtures, in every mode, nothing starts by itself unless the configuration lets it.
#[test]
fn nothing_is_automatic_by_default() {
    for config in ["", "[remediation]\nmode = \"automatic\"\n", "[remediation]\nmode = \"automatic\"\ndry-run = true\n"]
    {
        let home = Home::with(config);
        let fixtures = crate::harness::root().join("fixtures");
        let lines = home.run(&["replay", "--format", "json", &fixtures.to_string_lossy()]).ended(1).json();
        assert!(remediations(&lines).count() > 20);
        for action in remediations(&lines) {
            assert!(action["mode"] == "propose" || !action["stopped"].is_null(), "{config:?}: {action:?}");
        }
    }
}

#[test]
fn the_reason_is_on_the_card() {
    let config = ALLOWED.replace("[remediation]\n", "[remediation]\nprotected = [\"analytics-*\"]\n");
    let lines = Home::with(&config).replay(&[fixture(MINER)]);
    let card = format!("{}", lines[0]["actions"].list()[0]["message"]);
    assert!(card.contains("i-0ccb08279ed6ff363 is protected by analytics-"), "{card}");
}

#[test]
fn a_value_of_the_wrong_shape_is_no_parameter() {
    let hostile = fixture("hostile/11-instance-id-with-a-command.json");
    let account = if hostile.contains("\"accountId\":\"111122223333\"") { "111122223333" } else { "444455556666" };
    for mode in ["automatic", "approve", "propose"] {
        let config = ALLOWED.replace("111122223333", account).replace("\"automatic\"", &format!("{mode:?}"));
        assert_eq!(outcomes(&config, std::slice::from_ref(&hostile)), ["stopped: parameters"], "{mode}");
    }
    let bad = [
        "i-1",
        "i-0ccb08279ed6ff363; rm -rf /",
        "i-0ccb08279ed6ff363\nx",
        "",
        "../i-0ccb08279ed6ff363",
        "I-0CCB08279ED6FF363",
    ];
    for id in bad {
        let event = changed(MINER, &[(INSTANCE, json!(id))]);
        assert_eq!(outcomes(ALLOWED, &[event]), ["stopped: parameters"], "{id:?}");
    }
}

#[test]
fn the_same_resource_cools_down() {
    let first = miner("i-0aaaaaaaaaaaaaaa1", 0);
    let mut fixed: serde_json::Value = serde_json::from_str(&miner("i-0aaaaaaaaaaaaaaa1", 20)).expect("JSON");
    fixed["detail"]["service"]["archived"] = json!(true);
    let again = miner("i-0aaaaaaaaaaaaaaa1", 40);
    let story = [first, fixed.to_string(), again];
    let lines = Home::with(ALLOWED).replay(&story);
    let novelties: Vec<String> = lines.iter().map(|line| line["novelty"].to_string()).collect();
    assert_eq!(novelties, ["new", "resolved", "reopened"]);
    assert_eq!(outcomes(ALLOWED, &story), ["automatic", "stopped: cooldown"]);
    let shorter = ALLOWED.replace("[remediation]\n", "[remediation]\ncooldown = \"30m\"\n");
    assert_eq!(outcomes(&shorter, &story), ["automatic", "automatic"]);
}

#[test]
fn the_budget_of_a_runbook_is_spent() {
    let story: Vec<String> = (1..=7).map(|n| miner(&format!("i-0aaaaaaaaaaaaaaa{n}"), n * 2)).collect();
    let started = |config: &str| outcomes(config, &story).iter().filter(|o| *o == "automatic").count();
    let stopped = |config: &str| outcomes(config, &story).iter().filter(|o| *o == "stopped: budget").count();
    assert_eq!((started(ALLOWED), stopped(ALLOWED)), (5, 2), "the shipped budget");
    let two = ALLOWED.replace("[remediation]\n", "[remediation]\nbudget = { starts = 2, within = \"1h\" }\n");
    assert_eq!((started(&two), stopped(&two)), (2, 5));
    // Two in any five minutes: at 2 and 4, at 8 and 10, at 14.
    let sliding = ALLOWED.replace("[remediation]\n", "[remediation]\nbudget = { starts = 2, within = \"5m\" }\n");
    assert_eq!((started(&sliding), stopped(&sliding)), (5, 2));
}

/// A retry, a second delivery or a second reporter must not start it again.
#[test]
fn one_problem_is_remediated_once() {
    let event = fixture(MINER);
    let later = miner("i-0ccb08279ed6ff363", 30);
    assert_eq!(outcomes(ALLOWED, &[event.clone(), event.clone(), later]), ["automatic"]);
    let two =
        ["01-in-dns-queries", "02-in-processes"].map(|name| fixture(&format!("guardduty-two-findings/{name}.json")));
    assert_eq!(outcomes(&everything(), &two), ["automatic"]);
}

/// The same start has the same token on every machine, and another episode has another.
#[test]
fn the_token_tells_starts_apart() {
    let token = |events: &[String]| -> Vec<String> {
        remediations(&Home::with(ALLOWED).replay(events)).map(|action| action["client_token"].to_string()).collect()
    };
    assert_eq!(token(&[fixture(MINER)]), token(&[fixture(MINER)]));
    let two = token(&[miner("i-0aaaaaaaaaaaaaaa1", 0), miner("i-0aaaaaaaaaaaaaaa2", 2)]);
    assert!(two.len() == 2 && two[0] != two[1], "{two:?}");
}

/// Every account, every effect: what is left are the findings themselves.
fn everything() -> String {
    let accounts = ["111122223333", "444455556666", "777788889999", "123456789012"];
    let known = accounts.map(|id| format!("[accounts.\"{id}\"]\nname = \"n\"\n")).concat();
    format!(
        "{known}[remediation]\nmode = \"automatic\"\naccounts = {accounts:?}\neffects.\"*\" = \"destructive\"\nmin-severity = \"informational\"\n\
         automation-role = \"arn:{{partition}}:iam::{{account}}:role/{{runbook}}\"\n"
    )
}

#[test]
fn samples_drills_and_replays_are_never_remediated() {
    let names = [
        "guardduty-sample/01-instance",
        "guardduty-sample/02-known-by-its-title-only",
        "replayed-and-drill/01-from-an-archive",
        "replayed-and-drill/02-drill",
        "replayed-and-drill/03-drill-in-words",
    ];
    let events = names.map(|name| fixture(&format!("{name}.json")));
    assert_eq!(outcomes(&everything(), &events), [""; 0]);
    assert_eq!(outcomes(&everything(), &[fixture(MINER)]), ["automatic"], "the real thing is");
    // The same miner, called a sample or sent again from an archive.
    let sample = changed(MINER, &[("/detail/title", json!("[SAMPLE] mining"))]);
    let mut replay: serde_json::Value = serde_json::from_str(&fixture(MINER)).expect("JSON");
    replay["replay-name"] = json!("last-week");
    assert_eq!(outcomes(&everything(), &[sample]), [""; 0]);
    assert_eq!(outcomes(&everything(), &[replay.to_string()]), [""; 0]);
}

#[test]
fn the_table_of_rails_says_what_is_never_and_what_is_only_not_now() {
    let table = |config: &str| {
        let output = Home::with(config).run(&["remediation", "rails"]).ended(0);
        (output.stdout, output.stderr)
    };
    let (said, warned) = table(ALLOWED);
    assert!(said.contains("FindingsRouter-CloseAdminPorts: starts by itself"), "{said}");
    assert!(said.contains("never: account 555566667777 is not in remediation.accounts (accounts)"), "{said}");
    assert!(
        warned.contains("without the ledger's kill switch and failures, which hold all the same: the ledger"),
        "{warned}"
    );
    let (said, _) = table(&format!("{ALLOWED}kill-switch = true\n"));
    assert!(said.contains("FindingsRouter-CloseAdminPorts: not now: the kill switch is on (kill-switch)"), "{said}");
    let (said, _) = table(&ALLOWED.replace("automation-role", "# automation-role"));
    let roleless =
        "never: FindingsRouter-CloseAdminPorts runs in a role of its own: set remediation.automation-role (role)";
    assert!(said.contains(roleless), "{said}");
}
