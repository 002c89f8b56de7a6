//! What a person reads after `replay fixtures`: one snapshot per story, so that a change shows which cards it changes.
use crate::harness::{Home, fixture, root, run, run_in};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A transcript, story by story (the folder's path, then its text); the last one is the summary and has no name.
fn stories(transcript: &str) -> Vec<(String, String)> {
    let mut stories: Vec<(String, String)> = Vec::new();
    for line in transcript.lines() {
        let ends = stories.last().is_some_and(|(_, text)| text.ends_with('\n') && line.contains(" events: "));
        if line.starts_with("fixtures/") {
            stories.push((line.trim_start_matches("fixtures/").replace('/', "-"), String::new()));
        } else if ends && !line.starts_with(' ') {
            stories.push((String::new(), String::new()));
        }
        if let Some((_, text)) = stories.last_mut() {
            *text += line;
            text.push('\n');
        }
    }
    stories
}

/// Looks at every snapshot before it fails, so that one run shows all that changed.
fn look(folder: &str, stories: &[(String, String)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("../snapshots/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let changed: Vec<&str> = stories
        .iter()
        .map(|(name, text)| (if name.is_empty() { "summary" } else { name }, text))
        .filter(|(name, text)| {
            let look = AssertUnwindSafe(|| settings.bind(|| insta::assert_snapshot!(*name, text)));
            catch_unwind(look).is_err()
        })
        .map(|(name, _)| name)
        .collect();
    assert!(changed.is_empty(), "changed: {}", changed.join(", "));
}

#[test]
fn every_story_reads_as_accepted() {
    let stories = stories(&run(&["replay", "fixtures"]).ended(1).stdout);
    let folders = std::fs::read_dir(root().join("fixtures")).expect("there are fixtures");
    let folders = folders.filter(|entry| entry.as_ref().is_ok_and(|e| e.path().is_dir())).count();
    assert_eq!(stories.len(), folders + 1, "one story per folder and the summary");
    look("transcripts", &stories);
}

#[test]
fn stories_are_told_in_japanese() {
    let interesting =
        ["cloudtrail-root", "guardduty-crypto-mining", "guardduty-sample", "hostile", "public-bucket", "storm"];
    let mut stories = stories(&run(&["replay", "--locale", "ja", "fixtures"]).ended(1).stdout);
    stories.retain(|(name, _)| interesting.contains(&name.as_str()));
    assert_eq!(stories.len(), interesting.len());
    look("transcripts-ja", &stories);
}

/// Every decision on one line; `fixtures/README.md` says what each should be.
#[test]
fn every_event_is_decided_as_accepted() {
    let lines = run(&["replay", "--format", "json", "fixtures"]).ended(1).json();
    let decided = lines.iter().fold(String::new(), |all, line| {
        let (input, verdict) = (&line["input"], &line["verdict"]);
        let path = input["path"].text().unwrap_or_default().trim_start_matches("fixtures/");
        let decision = if line["disposition"] == "reject" {
            "refused".to_owned()
        } else if verdict["playbook"].is_null() {
            verdict.keys().join(" ")
        } else {
            format!("{} {} {}", line["novelty"], verdict["severity"], verdict["playbook"])
        };
        format!("{all}{path}#{} -> {decision}\n", input["index"])
    });
    look(".", &[("expected".to_owned(), decided)]);
}

#[test]
fn a_folder_a_file_and_standard_input_say_the_same() {
    let name = "guardduty-crypto-mining/01-first-seen.json";
    let folder = Home::new().file("events/one.json", fixture(name));
    let path = format!("fixtures/{name}");
    let file = run(&["replay", &path]).ended(0).stdout;
    let others = [
        run_in(root(), &["replay", "-"], fixture(name).as_bytes()).ended(0).stdout,
        folder.run(&["replay", "events"]).ended(0).stdout,
        folder.run(&["replay", "events/one.json"]).ended(0).stdout,
    ];
    let below_its_name = |text: &str| text.split_once(" UTC\n").expect("an event has a time").1.to_owned();
    for other in others {
        assert_eq!(below_its_name(&other), below_its_name(&file));
    }
}

#[test]
fn a_replay_is_the_same_every_time() {
    let args = ["replay", "--format", "json", "fixtures"];
    assert_eq!(run(&args).stdout, run(&args).stdout);
}

/// Nothing that a terminal would obey, or that would turn a reader's text around.
#[test]
fn a_transcript_is_plain_text() {
    let transcript = run(&["replay", "fixtures/hostile"]).ended(0).stdout;
    let odd =
        |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert_eq!(transcript.chars().find(odd), None);
}
