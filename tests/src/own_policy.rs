//! A policy of one's own, from folders that the configuration names: added, overriding and broken files.
use crate::{
    contract,
    exit_codes::said,
    harness::{Home, fixture},
};

const EVENT: &str = "guardduty-crypto-mining/01-first-seen.json";

/// A folder with an event, and a configuration that names folders of one's own.
fn home() -> Home {
    Home::with("sources = [\"my-sources\"]\nplaybooks = [\"my\"]\ntemplates = [\"my-templates\"]\n")
        .file("event.json", fixture(EVENT))
        .file("my-sources/README.md", "")
        .file("my/README.md", "")
        .file("my-templates/README.md", "")
}

fn playbook(title: &str, when: &str, judge: &str) -> String {
    format!(
        r#"summary  = "Mine"
weakness = "my-weakness"
[when]
{when}
[judge]
{judge}
[tell]
title = "{title}"
why   = "Because I say so."
next  = ["Look at it"]
[tell.ja]
title = "{title}"
why   = "そう決めたから。"
next  = ["確認する"]
"#
    )
}

const MINING: &str = "source = [\"aws.guardduty\"]\ndetail-type = [\"GuardDuty Finding\"]\ndetail.type = [{ prefix = \"CryptoCurrency:EC2/\" }]\ndetail.resource.instanceDetails.tags.value = [\"analytics-7\"]";

#[test]
fn an_added_playbook_claims_and_names_the_other() {
    let text = playbook("My {{ resource.name }} digs", MINING, "severity = \"critical\"");
    let lines = home().file("my/digging/mine.toml", text).replay(&[fixture(EVENT)]);
    contract::check(&lines[0]);
    assert_eq!(lines[0]["verdict"]["playbook"], "digging/mine");
    assert_eq!(lines[0]["verdict"]["also"].to_string(), "[guardduty/ec2-crypto-mining]");
    let card = lines[0]["actions"].list()[0]["message"]["text"].text().expect("a card");
    assert!(card.contains("My analytics-7 digs"), "{card}");
}

#[test]
fn a_less_severe_playbook_is_only_named() {
    let text = playbook("My {{ resource.name }} digs", MINING, "severity = \"low\"");
    let lines = home().file("my/mine.toml", text).replay(&[fixture(EVENT)]);
    assert_eq!(lines[0]["verdict"]["playbook"], "guardduty/ec2-crypto-mining");
    assert_eq!(lines[0]["verdict"]["also"].to_string(), "[mine]");
}

#[test]
fn a_playbook_of_the_same_name_takes_the_place_of_ours() {
    let text = playbook("Ours no more", MINING, "severity = \"medium\"");
    let home = home().file("my/guardduty/ec2-crypto-mining.toml", text);
    let lines = home.replay(&[fixture(EVENT)]);
    assert_eq!(lines[0]["verdict"]["playbook"], "guardduty/ec2-crypto-mining");
    assert_eq!(lines[0]["verdict"]["severity"], "medium");
    assert_eq!(lines[0]["verdict"]["also"].list().len(), 0);
    assert!(!lines[0]["actions"].list().iter().any(|action| action["kind"] == "remediate"), "ours had a runbook");
}

#[test]
fn a_source_of_ones_own_is_read() {
    let source = r#"# The alarms of our own scanner.
reporter = "scanner"
[when]
source      = ["example.scanner"]
detail-type = ["Scan Finding"]
[finding]
id       = "/detail/id"
revision = "/detail/at"
type     = "/detail/rule"
title    = "/detail/title"
account  = "/account"
region   = "/region"
severity = { at = "/detail/level", words = { bad = "high" } }
"#;
    let event = serde_json::json!({
        "version": "0", "id": "1", "source": "example.scanner", "detail-type": "Scan Finding", "account": "111122223333",
        "time": "2026-05-02T00:00:00Z", "region": "eu-west-1", "resources": [],
        "detail": { "id": "scan-1", "at": "2026-05-02T00:00:00Z", "rule": "Open:Door", "title": "A door is open", "level": "bad" }
    });
    let ignored = home().replay(&[event.to_string()]);
    assert!(!ignored[0]["verdict"]["ignored"].is_null(), "{ignored:?}");
    let lines = home().file("my-sources/scanner.toml", source).replay(&[event.to_string()]);
    contract::check(&lines[0]);
    let finding = &lines[0]["finding"];
    assert_eq!((&finding["type"], &finding["reporter"]), (&"Open:Door".into(), &"scanner".into()), "{finding:?}");
    assert_eq!(lines[0]["verdict"]["playbook"], "catch-all");
    // A reporter that the event names can be any.
    let named = source.replace("\"scanner\"", "\"/detail/product\"");
    let route = "sources = [\"my-sources\"]\n[[route]]\nreporter = [\"acme\"]\nto = \"slack:#a\"\n";
    home().file("my-sources/scanner.toml", named).file("findings-router.toml", route).run(&["check"]).ended(0);
    home().file("my-sources/scanner.toml", source).file("findings-router.toml", route).run(&["check"]).ended(1);
}

#[test]
fn a_template_of_ones_own_is_the_card() {
    let template = r#"{ "text": "{{ title }}", "blocks": [
      { "type": "section", "text": { "type": "mrkdwn", "text": "MINE {{ title }} {{ resource.name | code }}" } } ] }"#;
    let lines = home().file("my-templates/slack/card.json", template).replay(&[fixture(EVENT)]);
    let message = &lines[0]["actions"].list()[0]["message"];
    assert_eq!(message["text"], "analytics-7 is mining cryptocurrency");
    assert_eq!(message["blocks"].list()[0]["text"]["text"], "MINE analytics-7 is mining cryptocurrency `analytics-7`");
}

/// Each row: a name for the snapshot, the broken file, what is in it. `check` says what, where, and what to do.
#[test]
fn broken_files_are_explained() {
    let good = playbook("{{ resource.name }} digs", MINING, "severity = \"high\"");
    let rows = [
        ("broken-playbook-syntax", "my/broken.toml", "summary = \"Mine\"\nweakness = \n".to_owned()),
        ("broken-playbook-keys", "my/broken.toml", good.replace("summary ", "sumary ") + "colour = \"red\"\n"),
        ("broken-playbook-pattern", "my/broken.toml", good.replace("{ prefix = ", "{ perfix = ")),
        ("broken-playbook-severity", "my/broken.toml", good.replace("\"high\"", "\"severe\"")),
        ("broken-playbook-text", "my/broken.toml", good.replace("{{ resource.name }} digs", "{{ resource.nam }} digs")),
        ("broken-playbook-braces", "my/broken.toml", good.replacen("{{ resource.name }} digs", "{{ resource.name digs", 1)),
        (
            "broken-playbook-remediate",
            "my/broken.toml",
            good.clone()
                + "[[remediate]]\nrunbook = \"My-Runbook\"\nwith.Id = { from = \"resource.nme\", pattern = \"[\" }\neffect = \"nuclear\"\n",
        ),
        (
            "broken-playbook-twice",
            "my/broken.toml",
            good.clone() + &"[[remediate]]\nrunbook = \"My-Runbook\"\neffect = \"harmless\"\n".repeat(2),
        ),
        (
            "broken-template-field",
            "my-templates/slack/card.json",
            "{ \"text\": \"{{ title }}\",\n  \"blocks\": [\n    { \"type\": \"section\", \"text\": { \"type\": \"mrkdwn\", \"text\": \"{{ resource.nmae }}\" } }\n  ] }"
                .to_owned(),
        ),
        (
            "broken-template-json",
            "my-templates/slack/card.json",
            "{ \"text\": \"{{ title }}\",\n  \"blocks\": [\n    { \"type\" \"section\" }\n  ] }".to_owned(),
        ),
        (
            "broken-template-safe",
            "my-templates/slack/card.json",
            "{ \"text\": \"{{ title | safe }}\",\n  \"blocks\": [] }".to_owned(),
        ),
        ("broken-source", "my-sources/mine.toml", "[when]\nsource = \"mine\"\n[finding]\nid = \"detail/id\"\ntype = []\neach = \"detail/list\"\nkolour = \"/x\"\n".to_owned()),
    ];
    for (name, file, text) in rows {
        let home = home().file(file, text);
        let output = home.run(&["check"]).ended(1);
        assert!(output.stdout.contains(file), "{name}: {}", output.stdout);
        said(name, &output);
        assert_eq!(home.run(&["replay", "event.json"]).ended(2).stdout, "", "{name}: nothing runs");
    }
}

/// The template's mistake as the brief of a user would have it: file, line, the field, and the fields there are.
#[test]
fn a_misspelt_field_names_those_that_exist() {
    let template = "{ \"text\": \"{{ title }}\",\n  \"blocks\": [\n    { \"type\": \"section\", \"text\": { \"type\": \"mrkdwn\", \"text\": \"{{ resource.nmae }}\" } }\n  ] }";
    let problems =
        home().file("my-templates/slack/card.json", template).run(&["check", "--format", "json"]).ended(1).json();
    let problem = problems.first().expect("a problem");
    assert_eq!(problem["file"], "my-templates/slack/card.json");
    assert_eq!(problem["line"].to_string(), "3");
    let what = format!("{} {}", problem["what"], problem["help"]);
    assert!(what.contains("nmae") && what.contains("id, link, name, type"), "{what}");
}

#[test]
fn every_mistake_of_every_file_is_told_at_once() {
    let good = playbook("{{ resource.name }} digs", MINING, "severity = \"high\"");
    let home = home()
        .file("my/one.toml", good.replace("\"high\"", "\"severe\""))
        .file("my/two.toml", good.replace("weakness", "weekness"))
        .file("my-templates/slack/card.json", "{ \"text\": \"{{ titel }}\", \"blocks\": [] }");
    let problems = home.run(&["check", "--format", "json"]).ended(1).json();
    for file in ["my/one.toml", "my/two.toml", "my-templates/slack/card.json"] {
        assert!(problems.iter().any(|problem| problem["file"] == file), "{file}: {problems:?}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_a_mistake() {
    said("missing-folder", &Home::with("playbooks = [\"nowhere\"]\n").run(&["check"]).ended(1));
}

#[test]
fn folders_are_found_from_the_configuration() {
    let text = playbook("My {{ resource.name }} digs", MINING, "severity = \"critical\"");
    let home = Home::new()
        .file("etc/router.toml", "playbooks = [\"my\"]\n")
        .file("etc/my/mine.toml", text)
        .file("event.json", fixture(EVENT));
    let lines = home.run(&["--config", "etc/router.toml", "replay", "--format", "json", "event.json"]).ended(0).json();
    assert_eq!(lines[0]["verdict"]["playbook"], "mine");
}
