//! Exit codes and what is said with them: 0 done, 1 something was found wrong, 2 bad usage or configuration.
use crate::harness::{Home, Output, command, fixture, root, run_in};
use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

const GOOD: &str = "guardduty-crypto-mining/01-first-seen.json";

/// A folder with a good event and a bad one.
fn home() -> Home {
    Home::new().file("good.json", fixture(GOOD)).file("bad.json", r#"{"source":"#)
}

/// Ends with this code, and says this.
#[track_caller]
fn check(name: &str, home: &Home, args: &[&str], code: i32) {
    said(name, &home.run(args).ended(code));
}

#[track_caller]
pub(crate) fn said(name: &str, output: &Output) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots/said");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, output.seen()));
}

#[test]
fn done() {
    for args in [
        ["replay", "good.json"].as_slice(),
        &["replay", "--format", "json", "good.json"],
        &["replay", "--format", "slack", "good.json"],
        &["explain", "good.json"],
        &["check"],
        &["check", "--format", "json"],
        &["--help"],
        &["replay", "--help"],
        &["--version"],
    ] {
        let output = home().run(args).ended(0);
        assert_eq!(output.stderr, "", "{args:?}");
    }
}

#[test]
fn a_bad_input_among_good_ones_does_not_end_the_run() {
    let args = ["replay", "--format", "json", "bad.json", "missing.json", "good.json"];
    let lines = home().run(&args).ended(1).json();
    lines.iter().for_each(crate::contract::check);
    let said: Vec<String> = lines.iter().map(|l| format!("{} {}", l["input"]["path"], l["disposition"])).collect();
    assert_eq!(said, ["bad.json reject", "missing.json reject", "good.json ack"]);
}

#[test]
fn something_was_found_wrong() {
    check("bad-input", &home(), &["replay", "bad.json", "missing.json"], 1);
    check("explain-bad-input", &home(), &["explain", "bad.json"], 1);
    check("empty-folder", &home().file("empty/README.md", ""), &["replay", "empty"], 1);
}

#[test]
fn bad_usage() {
    for (name, args) in [
        ("unknown-flag", ["replay", "good.json", "--fast"].as_slice()),
        ("unknown-command", &["reply", "good.json"]),
        ("unknown-format", &["replay", "good.json", "--format", "yaml"]),
        ("unknown-locale", &["replay", "good.json", "--locale", "fr"]),
        ("no-path", &["replay"]),
        ("missing-cases", &["pattern", "test", "--cases", "missing.jsonl"]),
    ] {
        check(name, &home(), args, 2);
    }
}

const MISTAKES: &str = r#"locale = "fr"
colour = "red"

[accounts."12345"]
name = "short"

[accounts."111122223333"]
naem = "production"

[[route]]
severity = "severe"
to = ["email:someone@example.com"]

[[route]]
reporter = ["guardduty"]

[[adjust]]
when.source = ["aws.guardduty"]
when.detail.severity = [{ numeric = [">", "high"] }]
reason = "noise"

[[adjust]]
when.source = "aws.config"
reason = "for ever"
suppress-until = "for ever"

[storm]
cards = 0
window = "soon"

[remediation]
mode = "yolo"
effects.production = "nuclear"
budget = { within = "1h" }
"#;

#[test]
fn bad_configuration() {
    let missing = ["--config", "missing.toml", "replay", "good.json"];
    check("missing-configuration", &home(), &missing, 2);
    let broken = home().file("findings-router.toml", "[accounts\nname = \"x\"\n");
    check("broken-configuration", &broken, &["replay", "good.json"], 2);
    check("wrong-configuration", &home().file("findings-router.toml", MISTAKES), &["replay", "good.json"], 2);
}

/// `check` finds something wrong, which is what it is for: 1, not 2.
#[test]
fn check_reports_every_mistake_with_file_and_line() {
    let home = home().file("findings-router.toml", MISTAKES);
    check("check", &home, &["check"], 1);
    let problems = home.run(&["check", "--format", "json"]).ended(1).json();
    for problem in &problems {
        assert_eq!(problem["level"], "error", "{problem:?}");
        assert_eq!(problem["file"], "findings-router.toml", "{problem:?}");
        assert!(problem["what"].text().is_some_and(|what| !what.is_empty()), "{problem:?}");
    }
    let lines = home.run(&["check"]).ended(1).stdout.lines().filter(|line| line.starts_with("error")).count();
    assert_eq!(problems.len(), lines);
}

/// The same mistakes stop a replay before its first event.
#[test]
fn nothing_runs_on_a_bad_configuration() {
    let home = home().file("findings-router.toml", MISTAKES);
    for args in [["replay", "good.json"], ["explain", "good.json"]] {
        let output = home.run(&args).ended(2);
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(
            output.stderr.lines().filter(|l| l.contains("findings-router.toml:")).count() >= 10,
            "{}",
            output.stderr
        );
    }
}

#[test]
fn the_configuration_can_be_named_by_the_environment() {
    let home = home().file("other.toml", "colour = \"red\"\n");
    let output = command(home.path(), &["replay", "good.json"]).env("FINDINGS_ROUTER_CONFIG", "other.toml").output();
    assert_eq!(output.expect("runs").status.code(), Some(2));
}

/// `findings-router replay fixtures | head -1`
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for format in ["text", "json", "slack"] {
        let mut command = command(root(), &["replay", "--format", format, "fixtures"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
        // The reader is gone now.
        let mut stderr = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
        let code = child.wait().expect("ends").code();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{format}");
    }
}

/// Colour and cursor movement are for terminals.
#[test]
fn a_pipe_gets_no_colour() {
    for args in [["replay", "good.json"].as_slice(), &["explain", "good.json"], &["--help"], &["replay", "--fast"]] {
        let output = run_in(home().path(), args, b"");
        assert!(!output.seen().contains('\u{1b}'), "{args:?}");
    }
}
