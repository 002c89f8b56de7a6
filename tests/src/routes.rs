//! Routes, the account directory, adjustments and storms: what a configuration makes of the same event.
use crate::{
    contract,
    harness::{Home, changed, fixture},
    json::Json,
};
use serde_json::json;

/// GuardDuty, critical, account 111122223333.
const MINER: &str = "guardduty-crypto-mining/01-first-seen.json";

const DIRECTORY: &str = r#"
[accounts."111122223333"]
name = "shop-production"
environment = "production"
owner = "platform"
[accounts."777788889999"]
environment = "staging"
owner = "web"
"#;

/// The places that one event is posted to.
#[track_caller]
fn posted(config: &str, event: &str) -> Vec<String> {
    let lines = Home::with(config).replay(&[event.to_owned()]);
    lines.iter().for_each(contract::check);
    let posts = lines[0]["actions"].list().iter().filter(|a| a["kind"] == "notify" && a["mode"] == "post");
    posts.map(|action| action["destination"].to_string()).collect()
}

/// Each row: routes, and where the miner goes.
#[test]
fn routes_are_tried_in_order() {
    let route = |conditions: &str, to: &str| format!("[[route]]\n{conditions}\nto = [{to}]\n");
    let (a, b) = ("\"slack:#a\"", "\"slack:#b\"");
    let rows = [
        ("no routes", String::new(), "slack:#security"),
        ("a route for all", route("", a), "slack:#a"),
        ("two destinations", route("", "\"slack:#a\", \"slack:C0123456789\""), "slack:#a slack:C0123456789"),
        ("the first that matches", route("", a) + &route("", b), "slack:#a"),
        ("continue", route("continue = true", a) + &route("", b), "slack:#a slack:#b"),
        ("continue to the same place", route("continue = true", a) + &route("", a), "slack:#a"),
        ("nowhere", route("", "") + &route("", a), ""),
        ("no route matches", route("severity = \"critical\"\nreporter = [\"config\"]", a), "slack:#security"),
        ("severe enough", route("severity = \"high\"", a), "slack:#a"),
        ("reporter", route("reporter = [\"guardduty\", \"config\"]", a), "slack:#a"),
        ("another reporter", route("reporter = [\"config\"]", a) + &route("", b), "slack:#b"),
        ("account", route("account = [\"111122223333\"]", a), "slack:#a"),
        ("another account", route("account = [\"444455556666\"]", a) + &route("", b), "slack:#b"),
        ("environment", route("environment = [\"production\"]", a), "slack:#a"),
        ("another environment", route("environment = [\"staging\"]", a) + &route("", b), "slack:#b"),
        ("owner", route("owner = [\"platform\"]", a), "slack:#a"),
        ("another owner", route("owner = [\"web\"]", a) + &route("", b), "slack:#b"),
        ("playbook", route("playbook = [\"guardduty/ec2-crypto-mining\"]", a), "slack:#a"),
        ("another playbook", route("playbook = [\"catch-all\"]", a) + &route("", b), "slack:#b"),
        ("a pattern", route("when.detail.type = [{ prefix = \"CryptoCurrency:\" }]", a), "slack:#a"),
        ("another pattern", route("when.detail.type = [{ prefix = \"Recon:\" }]", a) + &route("", b), "slack:#b"),
        ("all conditions at once", route("severity = \"high\"\nowner = [\"web\"]", a) + &route("", b), "slack:#b"),
    ];
    for (row, routes, expected) in rows {
        assert_eq!(posted(&format!("{routes}{DIRECTORY}"), &fixture(MINER)).join(" "), expected, "{row}");
    }
    let low = fixture("guardduty-brute-force/01-instance-is-the-target.json");
    assert_eq!(posted(&(route("severity = \"high\"", a) + &route("", b)), &low), ["slack:#b"], "not severe enough");
}

/// An account that is not in the directory has no environment and no owner, and no route takes the unknown.
#[test]
fn an_unknown_account_has_no_environment() {
    let routes = "[accounts.\"777788889999\"]\nenvironment = \"production\"\n[[route]]\nenvironment = [\"production\"]\nto = [\"slack:#a\"]\n[[route]]\nto = [\"slack:#b\"]\n";
    assert_eq!(posted(routes, &fixture(MINER)), ["slack:#b"]);
}

/// A problem with two places has a card in each, and each is kept true.
#[test]
fn every_place_is_kept_true() {
    let home = Home::with("[[route]]\nto = [\"slack:#a\", \"slack:#b\"]\n");
    let story = ["01-first-seen", "07-fixed"].map(|name| fixture(&format!("guardduty-crypto-mining/{name}.json")));
    let lines = home.replay(&story);
    let told: Vec<String> =
        lines[1]["actions"].list().iter().map(|a| format!("{} {}", a["destination"], a["mode"])).collect();
    for expected in ["slack:#a update", "slack:#a thread", "slack:#b update", "slack:#b thread"] {
        assert!(told.iter().any(|t| t == expected), "{expected} is not in {told:?}");
    }
}

#[test]
fn accounts_have_their_names_on_the_card() {
    let card =
        |config: &str| Home::with(config).replay(&[fixture(MINER)])[0]["actions"].list()[0]["message"].to_string();
    let (with, without) = (card(DIRECTORY), card(""));
    assert!(with.contains("shop-production") && with.contains("111122223333"), "{with}");
    assert!(!without.contains("shop-production") && without.contains("111122223333"), "{without}");
}

/// Each row: what an adjustment does, and the verdict about a critical finding of 21 March 2026.
#[test]
fn adjustments_change_the_verdict() {
    let rows = [
        ("lower = 1", "high"),
        ("lower = 4", "informational"),
        ("raise = 2", "critical"),
        ("severity = \"low\"", "low"),
        ("suppress-until = \"2026-12-31\"", "suppressed"),
        ("suppress-until = \"2026-03-21\"", "suppressed"),
        ("suppress-until = \"2026-03-20\"", "critical"),
        ("suppress-until = \"2026-03-21T02:15:00Z\"", "suppressed"),
        ("suppress-until = \"2026-03-21T02:00:00Z\"", "critical"),
    ];
    for (change, expected) in rows {
        let home =
            Home::with(&format!("[[adjust]]\nwhen.source = [\"aws.guardduty\"]\nreason = \"known\"\n{change}\n"));
        let line = &home.replay(&[fixture(MINER)])[0];
        contract::check(line);
        let verdict = &line["verdict"];
        let got = if verdict["suppressed"].is_null() { verdict["severity"].to_string() } else { "suppressed".into() };
        assert_eq!(got, expected, "{change}");
        let other = &home.replay(&[fixture("config-open-ssh/01-first-evaluation.json")])[0];
        assert_eq!(other["verdict"]["severity"], "high", "{change} is not for others");
    }
}

#[test]
fn a_raised_severity_takes_another_route() {
    let config = "[[adjust]]\nwhen.detail.type = [{ prefix = \"UnauthorizedAccess:EC2/SSHBruteForce\" }]\nreason = \"bastion\"\nraise = 2\n\
        [[route]]\nseverity = \"high\"\nto = [\"slack:#loud\"]\n[[route]]\nto = [\"slack:#quiet\"]\n";
    let event = fixture("guardduty-brute-force/01-instance-is-the-target.json");
    assert_eq!(posted(config, &event), ["slack:#loud"]);
    assert_eq!(posted(&config.replace("raise = 2", "raise = 1"), &event), ["slack:#quiet"]);
}

#[test]
fn adjustments_say_why() {
    let home = Home::with("[[adjust]]\nwhen.source = [\"aws.guardduty\"]\nreason = \"an old honeypot\"\nlower = 1\n")
        .file("event.json", fixture(MINER));
    let explained = home.run(&["explain", "event.json"]).ended(0).stdout;
    assert!(explained.contains("an old honeypot"), "{explained}");
}

/// How the notifications of the storm's story are sent, most of them posts or lines in a thread.
fn storm(config: &str, minutes_between: usize) -> (usize, usize) {
    let events: Vec<String> = (0..8)
        .map(|n| {
            let minutes = n * minutes_between;
            let at = format!("2026-04-17T{:02}:{:02}:00Z", minutes / 60, minutes % 60);
            changed(
                "guardduty-brute-force/02-instance-is-the-attacker.json",
                &[
                    ("/id", json!(format!("storm-{n}"))),
                    ("/time", json!(at)),
                    ("/detail/updatedAt", json!(at)),
                    ("/detail/arn", json!(format!("arn:aws:guardduty:us-east-1:444455556666:detector/d/finding/{n}"))),
                    ("/detail/resource/instanceDetails/instanceId", json!(format!("i-0aaaaaaaaaaaaaaa{n}"))),
                ],
            )
        })
        .collect();
    let lines = Home::with(config).replay(&events);
    assert!(lines.iter().all(|line| line["novelty"] == "new"), "each is another instance");
    let actions: Vec<&Json> = lines.iter().flat_map(|line| line["actions"].list()).collect();
    let count = |mode| actions.iter().filter(|a| a["kind"] == "notify" && a["mode"] == mode).count();
    (count("post"), count("thread"))
}

#[test]
fn storms_have_one_card() {
    assert_eq!(storm("", 1), (3 + 1, 5), "three cards, the storm's, and a line for each of the others");
    assert_eq!(storm("[storm]\ncards = 1\n", 1), (1 + 1, 7));
    assert_eq!(storm("[storm]\ncards = 100\n", 1), (8, 0));
    assert_eq!(storm("", 11), (8, 0), "one at a time is no storm");
    assert_eq!(storm("[storm]\nwindow = \"2h\"\n", 11), (3 + 1, 5), "in a longer window it is");
}

#[test]
fn the_language_is_a_setting_and_an_option() {
    let home = Home::with("locale = \"ja\"\n").file("event.json", fixture(MINER));
    let ja = home.run(&["replay", "event.json"]).ended(0).stdout;
    let en = home.run(&["--locale", "en", "replay", "event.json"]).ended(0).stdout;
    assert!(ja.contains("マイニングしています") && en.contains("is mining cryptocurrency"), "{ja}{en}");
}
