//! What every card and reply looks like, in both languages, as an operator reads it.
#![expect(clippy::expect_used, reason = "helpers of tests")]
use findings_formatters::{Formatter, Kind, Locale, Message, View, sample, terminal};

fn render(view: &View) -> Message {
    Formatter::new([]).expect("the shipped templates load").slack(view).expect("a sample renders")
}

fn shown(view: &View) -> String {
    let message = render(view);
    format!("{}\n---\n{}\n", message.text, terminal(&message))
}

fn check(name: &str, locale: Locale, make: fn(Kind, Locale) -> View) {
    let all = Kind::ALL.map(|kind| format!("## {kind:?}\n{}", shown(&make(kind, locale))));
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, all.join("\n")) });
}

#[test]
fn everything_in_english() {
    check("full-en", Locale::En, sample::full);
}

#[test]
fn everything_in_japanese() {
    check("full-ja", Locale::Ja, sample::full);
}

#[test]
fn next_to_nothing_in_english() {
    check("bare-en", Locale::En, sample::bare);
}

#[test]
fn next_to_nothing_in_japanese() {
    check("bare-ja", Locale::Ja, sample::bare);
}

#[test]
fn the_json_that_slack_gets() {
    for (name, kind) in [("json-card", Kind::Card), ("json-storm-line", Kind::StormLine)] {
        let message = render(&sample::full(kind, Locale::En));
        let json = serde_json::to_string_pretty(&message).expect("a message is JSON");
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, json) });
    }
}

#[test]
fn a_resolved_card_says_so_and_offers_nothing() {
    let mut view = sample::full(Kind::Card, Locale::En);
    view.resolved = true;
    view.exercise = None;
    view.remediations[0].state = Some("verified".to_owned());
    let text = shown(&view);
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!("card-resolved", text) });
    assert!(!text.contains("1. Isolate") && !text.contains("Waiting for approval"));
}

#[test]
fn a_usual_card_is_about_ten_lines() {
    for locale in Locale::ALL {
        let mut view = sample::full(Kind::Card, locale);
        (view.exercise, view.previous, view.signals) = (None, None, Vec::new());
        view.remediations.truncate(1);
        let lines = terminal(&render(&view)).lines().filter(|line| !line.starts_with('[')).count();
        assert!(lines <= 10, "{lines} lines, and rows of buttons");
    }
}

#[test]
fn every_state_of_a_remediation_has_words() {
    let mut text = String::new();
    for locale in Locale::ALL {
        let states = [
            "proposed",
            "denied",
            "expired",
            "withdrawn",
            "consented",
            "approved",
            "started",
            "waiting",
            "stopping",
            "stopped",
            "succeeded",
            "failed",
            "verified",
            "unverified",
            "undoing",
            "undo-started",
            "undone",
            "undo-failed",
        ];
        for state in states {
            let mut view = sample::bare(Kind::Card, locale);
            view.remediations = sample::full(Kind::Card, locale).remediations;
            view.remediations.truncate(1);
            view.remediations[0].state = Some(state.to_owned());
            (view.remediations[0].link, view.remediations[0].by) = (None, None);
            let shown = terminal(&render(&view));
            let line = shown.lines().find(|line| line.contains("AWSSupport")).expect("a line about it");
            text.push_str(line);
            text.push('\n');
        }
    }
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!("remediation-states", text) });
}

#[test]
fn long_texts_and_lists_are_cut_visibly() {
    let mut view = sample::full(Kind::Card, Locale::En);
    view.title = "very long title ".repeat(40);
    view.why = "because ".repeat(200);
    view.next = (1..=9).map(|n| format!("step {n} {}", "again ".repeat(60))).collect();
    view.signals = (1..=30).map(|n| format!("signal {n}")).collect();
    view.remediations[0].parameters = (1..=30).map(|n| format!("Name{n}={}", "v".repeat(300))).collect();
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!("card-long", shown(&view)) });
}

#[test]
fn hostile_text_reads_as_written_and_does_nothing() {
    let mut view = sample::full(Kind::Card, Locale::En);
    view.title = "*x* <!channel> <https://evil.example|AWS> `id` :white_check_mark: \u{202e}gpj.exe\nnew line \"q\" \\"
        .to_owned();
    view.resource.name = "my_bucket_*`<!here>".to_owned();
    view.resource.link = Some("https://evil.example/".to_owned());
    view.mentions = vec!["<!channel>".to_owned(), "<@U0ALICE01>".to_owned()];
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!("card-hostile", serde_json::to_string_pretty(&render(&view)).expect("JSON"));
    });
}

#[test]
fn a_type_without_a_name_is_shown_as_it_is() {
    let mut view = sample::full(Kind::Card, Locale::Ja);
    view.resource.kind = "AwsNewThing".to_owned();
    view.reporters[0].name = "acme-scanner".to_owned();
    let shown = terminal(&render(&view));
    assert!(shown.contains("AwsNewThing web-01") && shown.contains("acme-scanner"), "{shown}");
}

#[test]
fn a_card_about_an_account_does_not_name_it_twice() {
    let shown = terminal(&render(&sample::bare(Kind::Card, Locale::En)));
    assert_eq!(shown.matches("111122223333").count(), 1, "{shown}");
}

/// Slack does not format a code span that touches a full-width character.
#[test]
fn code_spans_stand_free_in_both_languages() {
    for locale in Locale::ALL {
        for view in Kind::ALL.into_iter().flat_map(|kind| [sample::full(kind, locale), sample::bare(kind, locale)]) {
            let json = render(&view).blocks.to_string().replace("\\n", "\n");
            for (i, part) in json.split('`').enumerate() {
                // Every second part is the inside of a span; the others touch one at both ends.
                let ends = [part.chars().next(), part.chars().last()];
                let touches = |c: Option<char>| c.is_some_and(|c| !c.is_ascii());
                assert!(i % 2 == 1 || !ends.into_iter().any(touches), "{part:?} of {json}");
            }
        }
    }
}
