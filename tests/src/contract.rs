//! The JSON that users script against (`replay --format json`): every key, its order, its type and when it is null.
use crate::{
    harness::{Home, fixture, root, run, run_in},
    json::Json,
};
use std::collections::BTreeMap;

const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const NOVELTIES: [&str; 8] =
    ["new", "escalated", "reopened", "reminder", "resolved", "duplicate", "stale", "below-threshold"];

/// Fails with the whole line unless it holds.
#[track_caller]
fn must(holds: bool, what: &str, line: &Json) {
    assert!(holds, "{what}, in {line:?}");
}

#[track_caller]
fn one_of(value: &Json, words: &[&str], line: &Json) {
    must(value.text().is_some_and(|text| words.contains(&text)), &format!("{value:?} is not one of {words:?}"), line);
}

/// Texts that are there, if only empty.
#[track_caller]
fn texts(object: &Json, keys: &[&str], line: &Json) {
    for key in keys {
        must(object[*key].text().is_some(), &format!("{key} is not a text"), line);
    }
}

#[track_caller]
fn keys(object: &Json, expected: &[&str], line: &Json) {
    must(object.keys() == expected, &format!("the keys {:?} are not {expected:?}", object.keys()), line);
}

/// One line against the contract.
#[track_caller]
pub(crate) fn check(line: &Json) {
    let top = ["input", "event", "finding", "verdict", "novelty", "actions", "disposition", "error"];
    keys(line, &top, line);
    keys(&line["input"], &["path", "index"], line);
    texts(&line["input"], &["path"], line);
    must(line["input"]["index"].to_string().parse::<u32>().is_ok(), "index counts", line);
    one_of(&line["disposition"], &["ack", "retry", "reject"], line);
    must(matches!(line["actions"], Json::List(_)), "actions are a list", line);
    must(line["error"].is_null() || line["error"].text().is_some_and(|e| !e.is_empty()), "an error says so", line);
    if line["disposition"] == "reject" {
        for key in ["event", "finding", "verdict", "novelty"] {
            must(line[key].is_null(), &format!("{key} of a refused input is null"), line);
        }
        must(line["actions"].list().is_empty(), "a refused input plans nothing", line);
        must(!line["error"].is_null(), "a refusal says why", line);
        return;
    }
    event(&line["event"], line);
    let claimed = verdict(line);
    if line["finding"].is_null() {
        must(!line["verdict"]["ignored"].is_null(), "without a finding there is only a reason to ignore", line);
    } else {
        finding(&line["finding"], claimed, line);
    }
    for action in line["actions"].list() {
        match action["kind"].text() {
            Some("notify") => notify(action, line),
            Some("remediate") => remediate(action, line),
            _ => must(false, "an action notifies or remediates", line),
        }
    }
}

fn event(event: &Json, line: &Json) {
    keys(event, &["id", "source", "detail_type", "account", "region", "time"], line);
    texts(event, &["id", "source", "detail_type", "account", "region"], line);
    must(event["time"].is_null() || is_instant(&event["time"]), "time is an instant", line);
}

fn is_instant(time: &Json) -> bool {
    time.text().is_some_and(|t| t.as_bytes().get(10) == Some(&b'T') && t.ends_with('Z'))
}

/// Whether a playbook claims it; otherwise it says why not, and owes nothing.
fn verdict(line: &Json) -> bool {
    let verdict = &line["verdict"];
    if !verdict["playbook"].is_null() {
        keys(verdict, &["playbook", "severity", "also"], line);
        texts(verdict, &["playbook"], line);
        one_of(&verdict["severity"], &SEVERITIES, line);
        must(matches!(verdict["also"], Json::List(_)), "also is a list", line);
        must(verdict["also"].list().iter().all(|name| name.text().is_some()), "also names playbooks", line);
        one_of(&line["novelty"], &NOVELTIES, line);
        return true;
    }
    let why = ["suppressed", "ignored"].map(|key| verdict[key].text().is_some_and(|why| !why.is_empty()));
    must(verdict.keys().len() == 1 && (why[0] || why[1]), "a verdict is a playbook or says why not", line);
    must(line["novelty"].is_null(), "what is not claimed is not new", line);
    must(line["actions"].list().is_empty(), "what is not claimed owes nothing", line);
    must(line["disposition"] == "ack", "what is not claimed is done with", line);
    false
}

fn finding(finding: &Json, claimed: bool, line: &Json) {
    let all =
        ["fingerprint", "type", "title", "severity", "reporter", "status", "account", "region", "resources", "actor"];
    keys(finding, &all, line);
    texts(finding, &["type", "title", "reporter", "account", "region"], line);
    let fingerprint = &finding["fingerprint"];
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    must(fingerprint.text().is_some_and(hex) == claimed, "a claimed finding has a fingerprint", line);
    must(fingerprint.is_null() != claimed, "another has none", line);
    one_of(&finding["severity"], &SEVERITIES, line);
    one_of(&finding["status"], &["active", "resolved"], line);
    must(!finding["resources"].list().is_empty(), "a finding is about something", line);
    for resource in finding["resources"].list() {
        keys(resource, &["type", "id"], line);
        texts(resource, &["type", "id"], line);
    }
    if !finding["actor"].is_null() {
        texts(&finding["actor"], &["kind", "id", "name"], line);
        let optional = ["kind", "id", "name", "account", "session", "access_key", "source_ip"];
        let known = finding["actor"].keys().iter().all(|key| optional.contains(key));
        must(known, "an actor has known keys only", line);
    }
}

fn notify(action: &Json, line: &Json) {
    keys(action, &["kind", "destination", "mode", "message"], line);
    must(action["destination"].text().is_some_and(|d| d.starts_with("slack:")), "a destination is a channel", line);
    one_of(&action["mode"], &["post", "thread", "update", "broadcast"], line);
    let message = &action["message"];
    keys(message, &["text", "blocks"], line);
    must(message["text"].text().is_some_and(|t| !t.trim().is_empty()), "a message has a text", line);
    must((1..=50).contains(&message["blocks"].list().len()), "a message has up to 50 blocks", line);
}

fn remediate(action: &Json, line: &Json) {
    let all = ["kind", "runbook", "account", "region", "parameters", "mode", "client_token", "effect", "stopped"];
    keys(action, &all, line);
    texts(action, &["runbook", "account", "region"], line);
    one_of(&action["mode"], &["propose", "approve", "automatic"], line);
    one_of(&action["effect"], &["harmless", "reversible", "disruptive", "destructive"], line);
    let parameters = &action["parameters"];
    must(matches!(parameters, Json::Object(_)), "parameters are an object", line);
    for name in parameters.keys() {
        let values = parameters[name].list();
        must(!values.is_empty() && values.iter().all(|v| v.text().is_some()), "a parameter is a list of texts", line);
    }
    let token = action["client_token"].text().unwrap_or_default();
    let places: Vec<usize> = token.match_indices('-').map(|(at, _)| at).collect();
    must(token.len() == 36 && places == [8, 13, 18, 23] && &token[14..15] == "5", "a client token is a UUIDv5", line);
    if !action["stopped"].is_null() {
        keys(&action["stopped"], &["rail", "reason"], line);
        texts(&action["stopped"], &["rail", "reason"], line);
    }
}

/// Indices count the events of one path from 0; the findings of one event share one, and stand together.
#[track_caller]
pub(crate) fn check_indices(lines: &[Json]) {
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    for line in lines {
        let (path, index) = (line["input"]["path"].text().unwrap_or_default(), line["input"]["index"].to_string());
        let expected = next.entry(path).or_default();
        if index == expected.to_string() {
            *expected += 1;
        } else {
            must(*expected > 0 && index == (*expected - 1).to_string(), "indices count from 0 without gaps", line);
        }
    }
}

#[test]
fn every_line_of_the_fixtures_keeps_the_contract() {
    let output = run(&["replay", "--format", "json", "fixtures"]).ended(1);
    let lines = output.json();
    assert!(lines.len() > 200, "{}", lines.len());
    lines.iter().for_each(check);
    check_indices(&lines);
    assert!(!output.stdout.contains("\n\n") && output.stdout.ends_with('\n'), "one object per line");
}

/// Everything that the enums can say is said somewhere in the fixtures, so that the checks above are not empty.
#[test]
fn the_fixtures_show_every_word_of_the_contract() {
    let lines = run(&["replay", "--format", "json", "fixtures"]).ended(1).json();
    let actions = || lines.iter().flat_map(|line| line["actions"].list());
    let modes = ["post", "thread", "update", "broadcast", "propose"];
    let missing = |words: &[&'static str], found: &dyn Fn(&str) -> bool| {
        words.iter().filter(|word| !found(word)).copied().collect::<Vec<_>>()
    };
    assert_eq!(missing(&NOVELTIES, &|w| lines.iter().any(|l| l["novelty"] == *w)), [""; 0]);
    assert_eq!(missing(&SEVERITIES[1..], &|w| lines.iter().any(|l| l["verdict"]["severity"] == *w)), [""; 0]);
    assert_eq!(missing(&modes, &|w| actions().any(|a| a["mode"] == *w)), [""; 0]);
    assert_eq!(missing(&["active", "resolved"], &|w| lines.iter().any(|l| l["finding"]["status"] == *w)), [""; 0]);
}

#[test]
fn every_file_gets_a_line() {
    let lines = run(&["replay", "--format", "json", "fixtures"]).ended(1).json();
    for folder in std::fs::read_dir(root().join("fixtures")).expect("fixtures") {
        let folder = folder.expect("readable").path();
        for file in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = file.expect("readable").path();
            if path.extension().is_some_and(|e| e == "md") {
                continue;
            }
            let name = path.strip_prefix(root()).expect("in the repository").to_string_lossy().into_owned();
            assert!(lines.iter().any(|line| line["input"]["path"] == name.as_str()), "{name} has no line");
        }
    }
}

#[test]
fn an_event_with_five_findings_gets_five_lines_of_one_index() {
    let lines = run(&["replay", "--format", "json", "fixtures/securityhub-many/01-five-in-one-event.json"]).ended(0);
    let lines = lines.json();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line["input"]["index"] == Json::Number(0.0)));
    assert!(lines.iter().all(|line| line["event"] == lines[0]["event"]));
}

#[test]
fn what_is_suppressed_says_why_and_owes_nothing() {
    let home = Home::with(
        r#"
        [[adjust]]
        when.source = ["aws.guardduty"]
        reason = "pentest by the red team"
        suppress-until = "2099-12-31"
        "#,
    );
    let lines = home.replay(&[fixture("guardduty-crypto-mining/01-first-seen.json")]);
    lines.iter().for_each(check);
    let why = lines[0]["verdict"]["suppressed"].text().expect("suppressed");
    assert!(why.contains("pentest by the red team"), "{why}");
    assert!(!lines[0]["finding"].is_null(), "the finding is shown");
}

/// What comes from an event cannot break a line in two.
#[test]
fn line_breaks_in_an_event_stay_inside_the_line() {
    let title = "one\r\ntwo\u{2028}three\u{85}four";
    let event =
        crate::harness::changed("guardduty-crypto-mining/01-first-seen.json", &[("/detail/title", title.into())]);
    let output = run_in(root(), &["replay", "--format", "json", "-"], event.as_bytes()).ended(0);
    assert_eq!(output.stdout.lines().count(), 1);
    check(&output.json()[0]);
}
