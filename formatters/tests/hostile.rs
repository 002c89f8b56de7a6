//! Whatever an attacker writes into any text of a view: the message is valid, within Slack's limits, and inert.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests")]
use findings_formatters::view::{
    AccountView, ActorView, HushView, LineView, RemediationView, ReporterView, ResourceView, StormView,
};
use findings_formatters::{Formatter, Kind, Locale, Message, View, sample, shorten, terminal};
use proptest::prelude::*;
use serde_json::Value;

/// Pieces that mean something to Slack, JSON, Tera, terminals or Unicode, among anything else.
fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "<!channel>",
        "<!here|x>",
        "<@U0EVIL00>",
        "<#C1>",
        "<https://evil.example|AWS>",
        "http://evil.example",
        "*",
        "_",
        "~",
        "`",
        "```",
        "&",
        "&amp;",
        "&lt;!channel&gt;",
        "<",
        ">",
        "|",
        "\"",
        "\\",
        "\\\"",
        "\n",
        "\r\n",
        "\u{2028}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{e000}",
        "\u{e001}",
        "\u{1b}[2J",
        "\u{0}",
        ":x:",
        "{{ title }}",
        "{% raw %}",
        "{#",
        "}",
        "]",
        ",",
        "日本語",
        "😀",
        "👨‍👩‍👧",
        "e\u{301}\u{301}\u{301}\u{301}",
        "arn:aws:s3:::my_bucket",
        " ",
        "",
        "https://console.aws.amazon.com/x?a=1&b=2",
        "https://console.aws.amazon.com@evil.example/",
    ]);
    prop::collection::vec(
        prop_oneof![4 => nasty.prop_map(str::to_owned), 2 => any::<String>(), 1 => "[a-z ]{0,400}"],
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn texts(most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..most)
}

fn view() -> impl Strategy<Value = View> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let locale = prop::sample::select(Locale::ALL.to_vec());
    let head = (kind, locale, text(), text(), texts(8), text(), maybe(), any::<bool>(), maybe());
    let place = (text(), maybe(), maybe(), maybe(), maybe(), text(), text(), text(), maybe());
    let actor = prop::option::of((text(), text(), maybe()));
    let reporters = prop::collection::vec((text(), any::<bool>(), maybe()), 0..9);
    let remediations = prop::collection::vec((text(), text(), text(), texts(9), maybe(), any::<bool>(), maybe()), 0..5);
    let rest = (any::<i64>(), any::<i64>(), any::<u64>(), any::<usize>(), texts(20), texts(9), maybe(), texts(4));
    (head, place, actor, reporters, remediations, rest, (text(), text(), text(), any::<bool>())).prop_map(
        |(head, place, actor, reporters, remediations, rest, last)| {
            let (kind, locale, title, why, next, severity, severity_before, resolved, exercise) = head;
            let (id, name, environment, owner, region, resource_kind, resource_id, resource_name, link) = place;
            let (first_seen, last_seen, count, more_resources, signals, also, previous, mentions) = rest;
            let (finding_type, fingerprint, playbook, storm) = last;
            let row = LineView {
                severity: severity.clone(),
                title: title.clone(),
                account: AccountView { id: id.clone(), name: name.clone(), ..AccountView::default() },
                region: region.clone(),
                count,
                resolved,
            };
            let mut remediations: Vec<RemediationView> = remediations
                .into_iter()
                .map(|(runbook, effect, mode, parameters, stopped, undo, state)| RemediationView {
                    runbook,
                    effect,
                    mode,
                    parameters,
                    stopped,
                    undo,
                    rail: title.clone(),
                    id: fingerprint.clone(),
                    plan: title.clone(),
                    asks: vec!["approve".to_owned(), "undo".to_owned()],
                    by: Some(title.clone()),
                    why: Some(why.clone()),
                    step: Some(title.clone()),
                    link: link.clone(),
                    does: Some(why.clone()),
                    caution: Some(why.clone()),
                    undo_runbook: Some(title.clone()),
                    account: title.clone(),
                    region: title.clone(),
                    approved: 1,
                    needed: 2,
                    again: storm,
                    // A reply always tells a step.
                    state: state.or_else(|| Some("failed".to_owned())),
                })
                .collect();
            // A reply, or a dialog, is about one.
            if matches!(kind, Kind::Remediation | Kind::Dialog) {
                let one = || RemediationView { state: Some("started".to_owned()), ..RemediationView::default() };
                remediations.resize_with(1, one);
            }
            View {
                kind,
                locale,
                title,
                why,
                next,
                severity,
                severity_before,
                resolved,
                novelty: "new".to_owned(),
                exercise,
                version: None,
                account: AccountView { id, name, environment, owner },
                region,
                resource: ResourceView { kind: resource_kind, id: resource_id, name: resource_name, link },
                more_resources,
                actor: actor.map(|(kind, name, source_ip)| ActorView { kind, name, source_ip, others: 1 }),
                first_seen,
                last_seen,
                count,
                reporters: reporters
                    .into_iter()
                    .map(|(name, resolved, link)| ReporterView { name, resolved, link })
                    .collect(),
                finding_type,
                signals,
                also,
                remediations,
                previous,
                fingerprint,
                playbook,
                mentions,
                fixed: storm,
                lines: vec![row; 25],
                interactive: resolved,
                hushed: storm.then(|| HushView { by: "<@U0ALICE01>".to_owned(), until: Some(first_seen) }),
                storm: storm.then_some(StormView { count, minutes: 10 }),
            }
        },
    )
}

/// Everything that a reader or Slack could take for something else than text.
fn check_text(text: &str, most: usize) {
    assert!(shorten::units(text) <= most, "too long: {text}");
    assert!(!text.trim().is_empty(), "empty text");
    for c in text.chars() {
        assert!(c == '\n' || !c.is_control(), "control character {c:?} in {text:?}");
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}');
        assert!(!hidden && !('\u{e000}'..='\u{f8ff}').contains(&c), "invisible character {c:?} in {text:?}");
    }
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&']) {
        let here = &rest[at..];
        let token = here.find('>').map_or(here, |end| &here[..=end]);
        let ours = token.starts_with("<!date^") && token.contains("^{date_short_pretty} {time}|")
            || ["<@U", "<@W", "<!subteam^S"].iter().any(|start| token.starts_with(start)) && !token.contains('|')
            || [
                "<https://console.aws.amazon.com/",
                "<https://eu-west-1.console.aws.amazon.com/",
                "<https://example.slack.com/",
            ]
            .iter()
            .any(|start| token.starts_with(start));
        if ours {
            rest = &here[token.len()..];
        } else {
            let entity = ["&amp;", "&lt;", "&gt;"].iter().find(|entity| here.starts_with(**entity));
            rest = &here[entity.unwrap_or_else(|| panic!("markup that is not ours: {here}")).len()..];
        }
    }
}

fn check(message: &Message) {
    check_text(&message.text, 400);
    let blocks = message.blocks.as_array().expect("a list of blocks");
    assert!(blocks.len() <= 50);
    for block in blocks {
        match block["type"].as_str() {
            Some("section") => check_object(&block["text"], 3000),
            Some("context") => {
                block["elements"].as_array().expect("elements").iter().for_each(|e| check_object(e, 2000));
            }
            Some("actions") => check_actions(block["elements"].as_array().expect("elements")),
            other => panic!("our templates have no {other:?}"),
        }
    }
    let shown = terminal(message);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

/// Labels are ours, and values come back as they were sent.
fn check_actions(elements: &[Value]) {
    assert!((1..=25).contains(&elements.len()));
    for element in elements {
        let (label, values) = match element["type"].as_str() {
            Some("button") => (&element["text"], vec![&element["value"]]),
            Some("static_select") => {
                let options = element["options"].as_array().expect("options").iter();
                (&element["placeholder"], options.map(|o| &o["value"]).collect())
            }
            other => panic!("our templates have no {other:?}"),
        };
        assert_eq!(label["type"], "plain_text");
        assert!(shorten::units(label["text"].as_str().expect("a label")) <= 75);
        assert!(element["action_id"].as_str().is_some_and(|id| !id.is_empty() && id.len() <= 255));
        assert!(values.iter().all(|v| v.as_str().is_some_and(|v| shorten::units(v) <= 2000)));
    }
}

fn check_object(object: &Value, most: usize) {
    assert_eq!(object["type"], "mrkdwn");
    assert_eq!(object["verbatim"], true);
    let text = object["text"].as_str().expect("a text");
    check_text(text, most);
    assert_eq!(text.matches('`').count() % 2, 0, "an open code span: {text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_view_renders_into_an_inert_message_within_the_limits(view in view()) {
        // Rendering holds nothing, so one formatter serves every case.
        static FORMATTER: std::sync::LazyLock<Formatter> = std::sync::LazyLock::new(|| Formatter::new([]).expect("loads"));
        check(&FORMATTER.slack(&view).expect("any view renders"));
    }

    #[test]
    fn a_template_without_filters_is_as_safe(title in text()) {
        static FORMATTER: std::sync::LazyLock<Formatter> = std::sync::LazyLock::new(|| {
            let text = r#"{"text": "{{ title }} x", "blocks": [{"type": "section", "text": {"type": "mrkdwn",
                "text": "{{ reporters }} {{ title | code | truncate(length=9) }} {{ t.title | fill(severity=title, title=title) }}"}}]}"#;
            Formatter::new([("slack/card.json".to_owned(), text.to_owned(), "card.json".to_owned())]).expect("loads")
        });
        let mut view = sample::full(Kind::Card, Locale::En);
        view.title = title;
        let message = FORMATTER.slack(&view).expect("renders");
        check_text(&message.text, 400);
    }
}
