//! What the double enforces, a row each.
use super::{ANY, Author, Failure, HOOK, Message, Slack, TOKEN, WEBHOOK, When};
use crate::live::http::{ask, status};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Calls a method with JSON.
#[track_caller]
fn call(slack: &Slack, method: &str, args: &Value) -> Value {
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json; charset=utf-8")];
    let (head, body) = ask(slack.server.address(), "POST", &format!("/api/{method}"), &headers, &args.to_string())
        .unwrap_or_else(|error| panic!("{method}: {error}"));
    assert_eq!(status(&head), 200, "{head}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// Posts a text; gives its `ts`.
#[track_caller]
fn post(slack: &Slack, args: &Value) -> String {
    let answer = call(slack, "chat.postMessage", args);
    assert_eq!(answer["ok"], true, "{answer}");
    answer["ts"].as_str().expect("a ts").to_owned()
}

fn error(answer: &Value) -> &str {
    if answer["ok"] == true { "ok" } else { answer["error"].as_str().expect("a refusal has an error") }
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

/// Text of so many characters.
fn long(count: usize) -> String {
    "x".repeat(count)
}

fn section() -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x" } })
}

/// A section with this beside its text.
fn beside(key: &str, value: &Value) -> Value {
    let mut block = section();
    block[key] = value.clone();
    json!([block])
}

fn actions(element: &Value) -> Value {
    json!([{ "type": "actions", "elements": [element] }])
}

fn button(key: &str, value: &Value) -> Value {
    let mut button = json!({ "type": "button", "text": { "type": "plain_text", "text": "x" }, "action_id": "a" });
    button[key] = value.clone();
    button
}

#[test]
fn block_kit_has_limits() {
    let slack = Slack::start(&["security"]);
    let text = |kind: &str, text: String| json!({ "type": kind, "text": text });
    let header = |text: Value| json!([{ "type": "header", "text": text }]);
    let many = |count: usize, value: Value| Value::Array(vec![value; count]);
    let buttons = |count: usize| -> Value { (0..count).map(|i| button("action_id", &json!(i.to_string()))).collect() };
    let option = json!({ "text": text("plain_text", long(1)), "value": "v" });
    let rows: Vec<(&str, Value, &str)> = vec![
        ("50 blocks", many(50, section()), ""),
        ("51 blocks", many(51, section()), "/blocks"),
        ("a block of no known type", json!([{ "type": "banner" }]), "/blocks/0/type"),
        ("blocks that are no list", json!({}), "/blocks"),
        ("an unknown key", beside("colour", &json!("red")), "/blocks/0/colour"),
        (
            "block_id twice",
            json!([{"type": "divider", "block_id": "b"}, {"type": "divider", "block_id": "b"}]),
            "/blocks/1/block_id",
        ),
        ("block_id of 256", beside("block_id", &json!(long(256))), "/blocks/0/block_id"),
        ("a section of nothing", json!([{ "type": "section" }]), "/blocks/0"),
        ("a section's text of 3000", beside("text", &text("mrkdwn", long(3000))), ""),
        ("a section's text of 3001", beside("text", &text("mrkdwn", long(3001))), "/blocks/0/text/text"),
        (
            "characters beyond the BMP count twice",
            beside("text", &text("mrkdwn", "😀".repeat(1501))),
            "/blocks/0/text/text",
        ),
        ("an empty text", beside("text", &text("mrkdwn", String::new())), "/blocks/0/text/text"),
        ("a text that is a string", beside("text", &json!("x")), "/blocks/0/text"),
        ("10 fields", beside("fields", &many(10, text("mrkdwn", long(2000)))), ""),
        ("11 fields", beside("fields", &many(11, text("mrkdwn", long(1)))), "/blocks/0/fields"),
        ("a field of 2001", beside("fields", &many(1, text("mrkdwn", long(2001)))), "/blocks/0/fields/0/text"),
        ("an accessory that cannot be one", beside("accessory", &text("mrkdwn", long(1))), "/blocks/0/accessory/type"),
        ("a header of 150", header(text("plain_text", long(150))), ""),
        ("a header of 151", header(text("plain_text", long(151))), "/blocks/0/text/text"),
        ("a header in mrkdwn", header(text("mrkdwn", long(1))), "/blocks/0/text/type"),
        ("10 in a context", json!([{ "type": "context", "elements": many(10, text("mrkdwn", long(1))) }]), ""),
        (
            "11 in a context",
            json!([{ "type": "context", "elements": many(11, text("mrkdwn", long(1))) }]),
            "/blocks/0/elements",
        ),
        (
            "a button in a context",
            json!([{ "type": "context", "elements": [button("value", &json!("v"))] }]),
            "/blocks/0/elements/0/type",
        ),
        ("25 buttons", json!([{ "type": "actions", "elements": buttons(25) }]), ""),
        ("26 buttons", json!([{ "type": "actions", "elements": buttons(26) }]), "/blocks/0/elements"),
        ("no buttons", json!([{ "type": "actions", "elements": [] }]), "/blocks/0/elements"),
        (
            "action_id twice",
            json!([{ "type": "actions", "elements": many(2, button("value", &json!("v"))) }]),
            "/blocks/0/elements/1/action_id",
        ),
        ("action_id of 256", actions(&button("action_id", &json!(long(256)))), "/blocks/0/elements/0/action_id"),
        (
            "a button's text of 76",
            actions(&button("text", &text("plain_text", long(76)))),
            "/blocks/0/elements/0/text/text",
        ),
        ("a button in mrkdwn", actions(&button("text", &text("mrkdwn", long(1)))), "/blocks/0/elements/0/text/type"),
        ("a value of 2001", actions(&button("value", &json!(long(2001)))), "/blocks/0/elements/0/value"),
        ("a url of 3001", actions(&button("url", &json!(long(3001)))), "/blocks/0/elements/0/url"),
        ("a style of no known name", actions(&button("style", &json!("loud"))), "/blocks/0/elements/0/style"),
        ("a dialog without its texts", actions(&button("confirm", &json!({}))), "/blocks/0/elements/0/confirm"),
        (
            "one option in an overflow",
            actions(&json!({ "type": "overflow", "options": [option] })),
            "/blocks/0/elements/0/options",
        ),
        (
            "101 options",
            actions(&json!({ "type": "static_select", "options": many(101, option) })),
            "/blocks/0/elements/0/options",
        ),
        ("an image without words", json!([{ "type": "image", "image_url": "https://example.com/a.png" }]), "/blocks/0"),
        ("12001 of markdown in two", json!([text("markdown", long(6000)), text("markdown", long(6001))]), "/blocks"),
        ("101 rows", json!([{ "type": "table", "rows": many(101, json!([])) }]), "/blocks/0/rows"),
        ("21 cells", json!([{ "type": "table", "rows": [many(21, text("raw_text", long(1)))] }]), "/blocks/0/rows/0"),
        (
            "a table of 10001",
            json!([{ "type": "table", "rows": [[text("raw_text", long(10_001))]] }]),
            "/blocks/0/rows",
        ),
        ("two tables", many(2, json!({ "type": "table", "rows": [[text("raw_text", long(1))]] })), "/blocks"),
    ];
    for (name, blocks, pointer) in rows {
        let answer = call(&slack, "chat.postMessage", &json!({ "channel": "security", "blocks": blocks }));
        let told = answer["response_metadata"]["messages"].to_string();
        assert_eq!(error(&answer), if pointer.is_empty() { "ok" } else { "invalid_blocks" }, "{name}: {told}");
        assert!(told.contains(&format!("[json-pointer:{pointer}]")) || pointer.is_empty(), "{name}: {told}");
        // In an attachment they are the same.
        let attachments = json!([{ "color": "good", "blocks": blocks }]);
        let answer = call(&slack, "chat.postMessage", &json!({ "channel": "security", "attachments": attachments }));
        let told = answer["response_metadata"]["messages"].to_string();
        assert!(
            told.contains(&format!("[json-pointer:/attachments/0{pointer}]")) || pointer.is_empty(),
            "{name}: {told}"
        );
    }
}

#[test]
fn posts_are_refused_as_slack_does() {
    let slack = Slack::start(&["security", "left", "closed", "secret"]);
    slack.kick("left");
    slack.kick("secret");
    slack.make_private("secret");
    slack.archive("closed");
    slack.set_scopes(&["chat:write"]);
    let parent = post(&slack, &json!({ "channel": "#security", "text": "parent" }));
    let reply = post(&slack, &json!({ "channel": "security", "text": "reply", "thread_ts": parent }));
    let gone = post(&slack, &json!({ "channel": "security", "text": "gone" }));
    slack.delete(&gone);
    let rows = [
        ("ok", json!({ "channel": slack.channel_id("security"), "text": "x" })),
        ("invalid_arguments", json!({ "text": "x" })),
        ("channel_not_found", json!({ "channel": "nowhere", "text": "x" })),
        ("channel_not_found", json!({ "channel": "secret", "text": "x" })),
        ("not_in_channel", json!({ "channel": "left", "text": "x" })),
        ("is_archived", json!({ "channel": "closed", "text": "x" })),
        ("no_text", json!({ "channel": "security" })),
        ("no_text", json!({ "channel": "security", "text": "", "blocks": [] })),
        ("thread_not_found", json!({ "channel": "security", "text": "x", "thread_ts": "1.000001" })),
        ("thread_not_found", json!({ "channel": "security", "text": "x", "thread_ts": gone })),
        ("cannot_reply_to_message", json!({ "channel": "security", "text": "x", "thread_ts": reply })),
        ("invalid_blocks_format", json!({ "channel": "security", "blocks": "[" })),
        ("invalid_metadata_format", json!({ "channel": "security", "text": "x", "metadata": { "event_type": "e" } })),
        (
            "metadata_too_large",
            json!({ "channel": "security", "text": "x",
            "metadata": { "event_type": "e", "event_payload": { "key": long(16_384) } } }),
        ),
        ("too_many_attachments", json!({ "channel": "security", "attachments": vec![json!({}); 101] })),
    ];
    for (expected, args) in &rows {
        assert_eq!(error(&call(&slack, "chat.postMessage", args)), *expected, "{args}");
    }
    assert_eq!(texts(&slack.messages()), ["parent", "reply", "gone", "x"], "what is refused is not posted");
    // What was deleted can still be written under while there are replies.
    slack.delete(&parent);
    post(&slack, &json!({ "channel": "security", "text": "more", "thread_ts": parent }));
    // With the scope for it, public channels need no invitation.
    slack.set_scopes(&["chat:write", "chat:write.public"]);
    post(&slack, &json!({ "channel": "left", "text": "x" }));
    let cut = post(&slack, &json!({ "channel": "security", "text": long(40_001) }));
    assert_eq!(slack.messages().iter().find(|m| m.ts == cut).map(|m| m.text.len()), Some(40_000));
}

#[test]
fn edits_are_refused_as_slack_does() {
    let slack = Slack::start(&["security", "closed", "other"]);
    let said = slack.say("security", "from a person");
    let old = post(&slack, &json!({ "channel": "security", "text": "old" }));
    let gone = post(&slack, &json!({ "channel": "security", "text": "gone" }));
    let closed = post(&slack, &json!({ "channel": "closed", "text": "closed" }));
    let card = post(
        &slack,
        &json!({ "channel": "security", "text": "card", "blocks": [section()],
        "metadata": { "event_type": "e", "event_payload": { "key": 1 } } }),
    );
    slack.age(&old);
    slack.delete(&gone);
    slack.archive("closed");
    let (security, other) = (slack.channel_id("security"), slack.channel_id("other"));
    let rows = [
        ("message_not_found", json!({ "channel": security, "ts": "1.000001", "text": "x" })),
        ("message_not_found", json!({ "channel": security, "ts": gone, "text": "x" })),
        ("message_not_found", json!({ "channel": other, "ts": card, "text": "x" })),
        ("channel_not_found", json!({ "channel": "#security", "ts": card, "text": "x" })),
        ("cant_update_message", json!({ "channel": security, "ts": said, "text": "x" })),
        ("edit_window_closed", json!({ "channel": security, "ts": old, "text": "x" })),
        ("is_inactive", json!({ "channel": slack.channel_id("closed"), "ts": closed, "text": "x" })),
        ("msg_too_long", json!({ "channel": security, "ts": card, "text": long(4_001) })),
        ("no_text", json!({ "channel": security, "ts": card })),
        ("invalid_blocks", json!({ "channel": security, "ts": card, "blocks": [{ "type": "banner" }] })),
        ("invalid_arguments", json!({ "channel": security, "text": "x" })),
        ("ok", json!({ "channel": security, "ts": card, "text": "edited" })),
    ];
    for (expected, args) in &rows {
        assert_eq!(error(&call(&slack, "chat.update", args)), *expected, "{args}");
    }
    let messages = slack.messages();
    let card = messages.iter().find(|message| message.ts == card).expect("the card");
    assert_eq!((card.text.as_str(), card.edits, card.author), ("edited", 1, Author::App));
    assert_eq!(card.blocks, Value::Null, "a text alone takes the blocks away");
    assert_eq!(card.metadata["event_payload"]["key"], 1, "metadata stays");
    assert_eq!(messages.iter().map(|message| message.edits).sum::<usize>(), 1, "what is refused is not edited");
}

#[test]
fn tokens_and_scopes_count() {
    let slack = Slack::start(&["security"]);
    let token = |header: &[(&str, &str)]| {
        let (head, body) = ask(slack.server.address(), "POST", "/api/auth.test", header, "").expect("an answer");
        (head, serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    let bearer = format!("Bearer {TOKEN}");
    let (head, answer) = token(&[("authorization", &bearer)]);
    assert_eq!((error(&answer), &answer["url"]), ("ok", &json!(super::TEAM_URL)));
    assert!(head.contains("x-oauth-scopes: chat:write,"), "{head}");
    assert_eq!(error(&token(&[]).1), "not_authed");
    assert_eq!(error(&token(&[("authorization", "Bearer xoxb-other")]).1), "invalid_auth");
    slack.set_scopes(&["users:read", "team:read"]);
    let security = slack.channel_id("security");
    let needs = [
        ("chat.postMessage", "chat:write"),
        ("chat.update", "chat:write"),
        ("conversations.info", "channels:read"),
        ("conversations.list", "channels:read"),
        ("conversations.history", "channels:history"),
        ("conversations.replies", "channels:history"),
    ];
    for (method, needed) in needs {
        let answer = call(&slack, method, &json!({ "channel": security, "ts": "1.000001", "text": "x" }));
        assert_eq!((error(&answer), &answer["needed"]), ("missing_scope", &json!(needed)), "{method}");
        assert_eq!(answer["provided"], "users:read,team:read");
    }
    assert_eq!(error(&call(&slack, "chat.destroy", &json!({}))), "unknown_method");
    slack.revoke_token();
    assert_eq!(error(&token(&[("authorization", &bearer)]).1), "token_revoked");
}

#[test]
fn bodies_are_json_or_forms() {
    let slack = Slack::start(&["security"]);
    let bearer = format!("Bearer {TOKEN}");
    let rows = [
        ("application/json", r##"{"channel":"#security","text":"a & b"}"##, "ok"),
        ("application/x-www-form-urlencoded", "channel=%23security&text=a+%26+b&blocks=%5B%5D", "ok"),
        ("application/json", "{", "invalid_json"),
        ("application/json", "[]", "json_not_object"),
        ("text/plain", "x", "invalid_post_type"),
    ];
    for (kind, body, expected) in rows {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        let (_, answer) =
            ask(slack.server.address(), "POST", "/api/chat.postMessage", &headers, body).expect("an answer");
        assert_eq!(error(&serde_json::from_str(&answer).expect("JSON")), expected, "{kind} {body}");
    }
    assert_eq!(texts(&slack.messages()), ["a & b"; 2]);
}

#[test]
fn what_was_written_can_be_read() {
    let slack = Slack::start(&["security", "left"]);
    let security = slack.channel_id("security");
    let metadata = json!({ "event_type": "e", "event_payload": { "key": "k" } });
    let parent = post(&slack, &json!({ "channel": "security", "text": "parent", "metadata": metadata }));
    let reply = post(&slack, &json!({ "channel": "security", "text": "reply", "thread_ts": parent }));
    post(&slack, &json!({ "channel": "security", "text": "loud", "thread_ts": parent, "reply_broadcast": true }));
    let newest = post(&slack, &json!({ "channel": "security", "text": "last", "reply_broadcast": true }));
    let gone = post(&slack, &json!({ "channel": "security", "text": "gone" }));
    slack.delete(&gone);
    let read = |method: &str, more: Value| {
        let mut args = json!({ "channel": security });
        args.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answer = call(&slack, method, &args);
        let list = answer["messages"].as_array().cloned().unwrap_or_default();
        let texts: Vec<String> = list.iter().map(|m| m["text"].as_str().unwrap_or("?").to_owned()).collect();
        (texts.join(" "), answer)
    };
    let (history, replies) = ("conversations.history", "conversations.replies");
    assert_eq!(read(history, json!({})).0, "last loud parent");
    assert_eq!(read(history, json!({ "oldest": parent })).0, "last loud", "the oldest is not among them");
    assert_eq!(read(history, json!({ "oldest": parent, "inclusive": true })).0, "last loud parent");
    assert_eq!(read(history, json!({ "latest": newest })).0, "loud parent");
    let (texts, answer) = read(history, json!({ "limit": 2 }));
    assert_eq!((texts.as_str(), &answer["has_more"]), ("last loud", &json!(true)));
    let cursor = &answer["response_metadata"]["next_cursor"];
    let (texts, answer) = read(history, json!({ "limit": 2, "cursor": cursor, "include_all_metadata": true }));
    assert_eq!((texts.as_str(), &answer["has_more"]), ("parent", &json!(false)));
    assert_eq!(answer["messages"][0]["metadata"], metadata);
    assert_eq!(read(history, json!({})).1["messages"][2]["metadata"], Value::Null, "only with include_all_metadata");
    assert_eq!(read(replies, json!({ "ts": parent })).0, "parent reply loud");
    assert_eq!(read(replies, json!({ "ts": reply })).0, "parent reply loud");
    assert_eq!(read(replies, json!({ "ts": parent, "oldest": reply })).0, "parent loud");
    assert_eq!(error(&read(replies, json!({ "ts": gone })).1), "thread_not_found");
    assert_eq!(error(&read(history, json!({ "limit": 0 })).1), "invalid_limit");
    assert_eq!(error(&read(history, json!({ "oldest": "soon" })).1), "invalid_ts_oldest");
    let link =
        call(&slack, "chat.getPermalink", &json!({ "channel": security, "message_ts": reply }))["permalink"].clone();
    let place = format!("https://double.slack.com/archives/{security}/p{}", reply.replace('.', ""));
    assert_eq!(link, format!("{place}?thread_ts={parent}&cid={security}"));
    let gone = call(&slack, "chat.getPermalink", &json!({ "channel": security, "message_ts": gone }));
    assert_eq!(error(&gone), "message_not_found");
    slack.kick("security");
    assert_eq!(error(&read(history, json!({})).1), "not_in_channel");
}

#[test]
fn channels_are_listed_in_pages() {
    let slack = Slack::start(&["a", "b", "c", "secret"]);
    slack.archive("b");
    slack.make_private("secret");
    let names = |args: Value| {
        let answer = call(&slack, "conversations.list", &args);
        let list = answer["channels"].as_array().expect("a list").iter();
        (list.map(|channel| channel["name"].as_str().expect("a name")).collect::<Vec<_>>().join(" "), answer.clone())
    };
    assert_eq!(names(json!({})).0, "a b c");
    assert_eq!(names(json!({ "exclude_archived": true, "types": "public_channel,private_channel" })).0, "a c secret");
    let (first, answer) = names(json!({ "limit": 2 }));
    let cursor = &answer["response_metadata"]["next_cursor"];
    assert_eq!((first.as_str(), names(json!({ "limit": 2, "cursor": cursor })).0.as_str()), ("a b", "c"));
    slack.kick("secret");
    assert_eq!(names(json!({ "types": "private_channel" })).0, "", "others' private channels are not seen");
    let info = |name: &str| call(&slack, "conversations.info", &json!({ "channel": slack.channel_id(name) }));
    assert_eq!(info("b")["channel"]["is_archived"], true);
    assert_eq!(error(&info("secret")), "channel_not_found");
}

#[test]
fn webhooks_answer_in_words() {
    let slack = Slack::start(&["security", "closed"]);
    slack.archive("closed");
    let path = |channel: &str| slack.webhook_url(channel).split_once("/services").expect("a webhook").1.to_owned();
    let rows = [
        (path("security"), r#"{"text":"x"}"#, 200, "ok"),
        (path("security"), "payload=%7B%22text%22%3A%22x%22%7D", 200, "ok"),
        (path("security"), "{", 400, "invalid_payload"),
        (path("security"), "{}", 400, "no_text"),
        (path("security"), r#"{"blocks":[{"type":"banner"}]}"#, 400, "invalid_blocks"),
        (path("closed"), r#"{"text":"x"}"#, 410, "channel_is_archived"),
        (path("security").replace(HOOK, "x"), r#"{"text":"x"}"#, 403, "invalid_token"),
        (path("security").replace("/B", "/B9"), r#"{"text":"x"}"#, 404, "no_service"),
        (path("security").replace("/T", "/T9"), r#"{"text":"x"}"#, 404, "no_team"),
    ];
    for (path, body, code, word) in rows {
        let (head, answer) =
            ask(slack.server.address(), "POST", &format!("/services{path}"), &[], body).expect("an answer");
        assert_eq!((status(&head), answer.as_str()), (code, word), "{path} {body}");
    }
    let messages = slack.messages();
    assert_eq!(texts(&messages), ["x", "x"]);
    let update = json!({ "channel": slack.channel_id("security"), "ts": messages[0].ts, "text": "y" });
    assert_eq!(error(&call(&slack, "chat.update", &update)), "cant_update_message");
}

/// Posts, and says what came back: a status and a body, or `lost`.
fn attempt(slack: &Slack) -> String {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = r#"{"channel":"security","text":"x"}"#;
    match ask(slack.server.address(), "POST", "/api/chat.postMessage", &headers, body) {
        Ok((head, body)) => format!("{} {body}", status(&head)),
        Err(_) => "lost".to_owned(),
    }
}

#[test]
fn it_fails_on_command() {
    let rows = [
        (Failure::Http(500), "500 upstream failed"),
        (Failure::RateLimited(0), r#"429 {"error":"ratelimited","ok":false}"#),
        (Failure::Error("channel_not_found"), r#"200 {"error":"channel_not_found","ok":false}"#),
        (Failure::Silence(Duration::from_millis(50)), "lost"),
        (Failure::Reset, "lost"),
        (Failure::Garbage, r#"200 {"ok":true,"chan"#),
    ];
    for (failure, expected) in rows {
        for done in [false, true] {
            let slack = Slack::start(&["security"]);
            let fail = if done { Slack::fail_when_done } else { Slack::fail };
            fail(&slack, "chat.postMessage", When::Next(1), failure.clone());
            let before = Instant::now();
            let got = attempt(&slack);
            assert_eq!(got, expected, "{failure:?}");
            if let Failure::Silence(time) = failure {
                assert!(before.elapsed() >= time, "{failure:?}");
            }
            assert_eq!(slack.messages().len(), usize::from(done), "{failure:?} when done: {done}");
            assert_eq!(slack.calls()[0].answer.ends_with(" (done)"), done);
            assert!(attempt(&slack).starts_with(r#"200 {"channel":"C00000001","#), "only once");
        }
    }
}

#[test]
fn failures_end_with_a_word() {
    let slack = Slack::start(&["security"]);
    slack.fail(ANY, When::Always, Failure::Http(503));
    assert!(attempt(&slack).starts_with("503"));
    slack.recover();
    assert!(attempt(&slack).starts_with("200"));
}

#[test]
fn retry_after_is_held_against_the_client() {
    let slack = Slack::start(&["security", "other"]);
    slack.fail("chat.postMessage", When::Next(1), Failure::RateLimited(1));
    assert!(attempt(&slack).starts_with("429"));
    post(&slack, &json!({ "channel": "other", "text": "other channels are free" }));
    assert_eq!(slack.undercut(), [""; 0]);
    assert!(attempt(&slack).starts_with("429"), "too early");
    assert_eq!(slack.undercut().len(), 1);
    std::thread::sleep(Duration::from_secs(1));
    assert!(attempt(&slack).starts_with("200"));
    assert_eq!(slack.undercut().len(), 1);
}

#[test]
fn rates_are_limited_when_asked() {
    let slack = Slack::start(&["security", "other"]);
    slack.limit_rates();
    let came: Vec<bool> = (0..5).map(|_| attempt(&slack).starts_with("200")).collect();
    assert_eq!(came, [true, true, true, true, false]);
    post(&slack, &json!({ "channel": "other", "text": "x" }));
    let calls = slack.calls();
    assert_eq!((calls[4].answer.as_str(), calls[4].channel.as_deref()), ("HTTP 429", Some("security")));
    slack.fail(WEBHOOK, When::Always, Failure::Error("no_service"));
    let hook = slack.webhook_url("other");
    let path = &hook[hook.find("/services").expect("a webhook")..];
    let answer = ask(slack.server.address(), "POST", path, &[], r#"{"text":"x"}"#).expect("an answer");
    assert_eq!((status(&answer.0), answer.1.as_str()), (400, "no_service"));
}

#[test]
fn waiting_ends_with_the_message_or_a_dump() {
    let slack = Slack::start(&["security"]);
    let seen = std::thread::scope(|scope| {
        let waits = scope.spawn(|| slack.wait_until(Duration::from_secs(10), |messages| messages.len() == 2));
        attempt(&slack);
        attempt(&slack);
        waits.join().expect("they come")
    });
    assert_eq!(seen.len(), 2);
    let waits = std::panic::AssertUnwindSafe(|| slack.wait_until(Duration::ZERO, |messages| messages.len() == 3));
    let failed = std::panic::catch_unwind(waits).expect_err("there is no third");
    let said = failed.downcast_ref::<String>().expect("words");
    assert!(said.contains("2 messages") && said.contains("chat.postMessage security -> ok"), "{said}");
}
