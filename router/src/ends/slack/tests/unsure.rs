//! Deliveries of which the answer was lost.
use super::{
    CARD, HISTORY, POST, REPLIES, connected,
    double::{Double, Say},
    notify, send, settings,
};
use crate::values::action::NotifyMode;
use findings_formatters::view::Kind;
use serde_json::{Value, json};

/// A message with the metadata of a delivery.
fn with_key(key: &str) -> Value {
    let metadata = json!({ "event_type": "findings_router", "event_payload": { "key": key } });
    json!({ "ts": "1712345678.000700", "metadata": metadata })
}

#[tokio::test]
async fn an_unsure_delivery_is_looked_for() {
    let there = |key| Say::Ok(json!({ "messages": [with_key("other"), with_key(key)] }));
    let list = Say::Ok(
        json!({ "channels": [{ "id": "C999999999", "name": "other" }, { "id": "C012345678", "name": "security" }] }),
    );
    let next = |list: &str| Say::Ok(json!({ list: [], "response_metadata": { "next_cursor": "more" } }));
    let (found, made) = ("done C012345678:1712345678.000700", "done C012345678:1712345678.000100");
    let named = "conversations.list conversations.history";
    for (row, (destination, reply, script, want, calls)) in [
        ("slack:C012345678", false, vec![(HISTORY, vec![there("k1")])], found, HISTORY.to_owned()),
        (
            "slack:C012345678",
            false,
            vec![(HISTORY, vec![next("messages"), there("k1")])],
            found,
            format!("{HISTORY} {HISTORY}"),
        ),
        ("slack:C012345678", false, vec![(HISTORY, vec![there("k2")])], made, format!("{HISTORY} {POST}")),
        (
            "slack:#security",
            false,
            vec![("conversations.list", vec![list.clone()]), (HISTORY, vec![there("k1")])],
            found,
            named.into(),
        ),
        ("slack:#security", true, vec![(REPLIES, vec![there("k1")])], found, REPLIES.into()),
        // The reply may have become a message of its own when it was sent first: that stays unsure until it is looked for.
        (
            "slack:C012345678",
            true,
            vec![
                (REPLIES, vec![Say::No("thread_not_found")]),
                (POST, vec![Say::Http(429, Some(("retry-after", "9")), "")]),
            ],
            "later 9 unsure",
            format!("{REPLIES} {POST}"),
        ),
        (
            "slack:C012345678",
            true,
            vec![
                (REPLIES, vec![Say::No("thread_not_found")]),
                (POST, vec![Say::No("thread_not_found")]),
                (HISTORY, vec![there("k1")]),
            ],
            found,
            format!("{REPLIES} {POST} {HISTORY}"),
        ),
        (
            "slack:#security",
            true,
            vec![(REPLIES, vec![Say::No("thread_not_found")])],
            made,
            format!("{REPLIES} {POST}"),
        ),
        // The token may not look: rather a doubled message than a lost one.
        ("slack:C012345678", false, vec![(HISTORY, vec![Say::No("missing_scope")])], made, format!("{HISTORY} {POST}")),
        (
            "slack:C012345678",
            false,
            vec![(HISTORY, vec![Say::No("not_in_channel")])],
            made,
            format!("{HISTORY} {POST}"),
        ),
        (
            "slack:#security",
            false,
            vec![("conversations.list", vec![Say::No("missing_scope"), Say::No("missing_scope")])],
            made,
            format!("conversations.list conversations.list {POST}"),
        ),
        // It may look, but not now.
        ("slack:C012345678", false, vec![(HISTORY, vec![Say::Http(500, None, "")])], "later 10 unsure", HISTORY.into()),
        ("slack:C012345678", false, vec![(HISTORY, vec![Say::Hang])], "later 10 unsure", HISTORY.into()),
        (
            "slack:C012345678",
            false,
            vec![(HISTORY, vec![Say::Http(429, Some(("retry-after", "9")), "")])],
            "later 9 unsure",
            HISTORY.into(),
        ),
        // Sent again and lost again.
        ("slack:C012345678", false, vec![(POST, vec![Say::Hang])], "later 10 unsure", format!("{HISTORY} {POST}")),
    ]
    .into_iter()
    .enumerate()
    {
        let script: Vec<(&str, &[Say])> = script.iter().map(|(method, says)| (*method, says.as_slice())).collect();
        let double = Double::start(&script).await;
        let slack = connected(&double, settings(&double.address));
        let card = notify(destination, NotifyMode::Post, Kind::Card, None);
        let note = if reply { notify(destination, NotifyMode::Thread, Kind::Resolved, Some(CARD)) } else { card };
        let outcome = send(&slack, &note, true).await;
        assert_eq!(outcome.split(": ").next(), Some(want), "row {row}: {outcome}");
        assert_eq!(double.methods(), calls, "row {row}");
    }
}

#[tokio::test]
async fn looks_go_back_to_the_first_attempt_page_by_page() {
    let next = Say::Ok(json!({ "messages": [], "response_metadata": { "next_cursor": "more=" } }));
    let double = Double::start(&[(HISTORY, &[next])]).await;
    send(
        &connected(&double, settings(&double.address)),
        &notify("slack:C012345678", NotifyMode::Post, Kind::Card, None),
        true,
    )
    .await;
    let [first, second, _] = &double.asked()[..] else { panic!("{}", double.methods()) };
    let (query, oldest) = first.query.split_once("oldest=").unwrap();
    assert_eq!(query, "channel=C012345678&");
    let (oldest, rest) = oldest.split_once('&').unwrap();
    assert_eq!(oldest, "999940", "a minute before it: clocks differ");
    assert_eq!(rest, "limit=200&include_all_metadata=true");
    assert_eq!(second.query, format!("{}&cursor=more%3D", first.query));
}

#[tokio::test]
async fn that_the_token_may_not_look_is_said_but_not_that_a_thread_is_gone() {
    for (says, want) in [(Say::No("not_in_channel"), true), (Say::No("thread_not_found"), false), (Say::Hang, false)] {
        let double = Double::start(&[(REPLIES, &[says])]).await;
        let slack = connected(&double, settings(&double.address));
        send(&slack, &notify("slack:#security", NotifyMode::Thread, Kind::Resolved, Some(CARD)), true).await;
        assert_eq!((double.methods().starts_with(REPLIES), slack.warned.is_completed()), (true, want));
    }
}
