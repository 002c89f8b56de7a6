//! When people hear of something, and who is called: digests, quiet hours, mentions, tags.
use crate::harness::{Home, changed, run_in};
use serde_json::{Value, json};

/// The first line of `replay --format json`.
fn replay(config: &str, event: &str) -> Value {
    let home = Home::with(config);
    let output = run_in(home.path(), &["replay", "--format", "json", "-"], event.as_bytes()).ended(0);
    serde_json::from_str(output.stdout.lines().next().expect("a line")).expect("JSON")
}

#[test]
fn a_digest_takes_what_can_wait_and_quiet_hours_what_may() {
    let event = changed("guardduty-crypto-mining/01-first-seen.json", &[("/time", json!("2026-03-23T12:00:00Z"))]);
    let actions = |config: &str| {
        let line = replay(config, &event);
        let told = line["actions"].as_array().expect("actions").iter().filter(|a| a["kind"] != "remediate");
        let text = |a: &Value| format!("{} {} {}", a["kind"], a["destination"], a["until"]).replace('"', "");
        told.map(text).collect::<Vec<_>>()
    };
    // The event's time is 2026-03-23T12:00:00Z: nine in the evening in Tokyo. Its severity is critical.
    let rows = [
        ("At once.", "[[route]]\nto = 'slack:#a'", vec!["notify slack:#a null"]),
        (
            "In the digest of nine o'clock UTC.",
            "[[route]]\nto = 'digest:#a'",
            vec!["digest slack:#a 2026-03-24T09:00:00Z"],
        ),
        (
            "In the digest of half past six in Tokyo.",
            "time-zone = 'Asia/Tokyo'\n[digest]\nat = '06:30'\n[[route]]\nto = 'digest:#a'",
            vec!["digest slack:#a 2026-03-23T21:30:00Z"],
        ),
        (
            "Bad enough for any hour.",
            "time-zone = 'Asia/Tokyo'\n[quiet-hours]\nfrom = '21:00'\nto = '07:00'\n[[route]]\nto = 'slack:#a'",
            vec!["notify slack:#a null"],
        ),
        (
            "Made less severe, it waits for the end of the quiet hours.",
            "time-zone = 'Asia/Tokyo'\n[quiet-hours]\nfrom = '21:00'\nto = '07:00'\n[[adjust]]\nwhen.source = ['aws.guardduty']\n\
             reason = 'a test'\nlower = 2\n[[route]]\nto = 'slack:#a'",
            vec!["digest slack:#a 2026-03-23T22:00:00Z"],
        ),
        (
            "One channel at once, the other later; each once.",
            "[[route]]\nto = ['slack:#a', 'digest:#b']\ncontinue = true\n[[route]]\nto = ['digest:#a', 'digest:#b']",
            vec!["notify slack:#a null", "digest slack:#b 2026-03-24T09:00:00Z"],
        ),
        (
            "Its own event, after all.",
            "[publish]\nbus = 'b'\n[[route]]\nto = 'slack:#a'",
            vec!["notify slack:#a null", "publish null null"],
        ),
    ];
    for (sentence, config, expected) in rows {
        assert_eq!(actions(config), expected, "{sentence}");
    }
}

#[test]
fn a_new_card_calls_whom_the_route_names() {
    let account = "[accounts.\"111122223333\"]\nowner = 'shop'\n";
    let rows = [
        ("Nobody.", String::new(), vec![]),
        ("A group.", "mention = 'S0123ABCD'".to_owned(), vec!["<!subteam^S0123ABCD>"]),
        ("The owner.", "mention = ['owner', 'U0123ABCD']".to_owned(), vec!["<@U0OWNER01>", "<@U0123ABCD>"]),
        (
            "By a tag that it has.",
            "tags = ['Environment=production', 'team']\nmention = 'U0123ABCD'".to_owned(),
            vec![],
        ),
    ];
    let event = changed(
        "guardduty-crypto-mining/01-first-seen.json",
        &[("/detail/resource/instanceDetails/tags", json!([{ "key": "stage", "value": "dark" }]))],
    );
    for (sentence, route, expected) in rows {
        let config = format!("[owners]\nshop = 'U0OWNER01'\n{account}[[route]]\nto = 'slack:#a'\n{route}\n");
        let text = replay(&config, &event).to_string();
        let called: Vec<&str> =
            ["<!subteam^S0123ABCD>", "<@U0OWNER01>", "<@U0123ABCD>"].into_iter().filter(|m| text.contains(m)).collect();
        assert_eq!(called, expected, "{sentence}");
    }
    let tagged = |tags: &str| {
        let config = format!("[[route]]\nto = 'slack:#tagged'\ntags = {tags}\n");
        replay(&config, &event).to_string().contains("slack:#tagged")
    };
    let rows = [
        ("['stage']", true),
        ("['stage=dark']", true),
        ("['stage=bright']", false),
        ("['stag']", false),
        ("['x', 'stage']", true),
    ];
    for (tags, takes) in rows {
        assert_eq!(tagged(tags), takes, "{tags}");
    }
}
