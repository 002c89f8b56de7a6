//! What the client makes of Slack, played by a small server on loopback.
mod double;
mod probe;
mod unsure;
mod webhooks;

use super::{Settings, Slack, pace::Intervals};
use crate::{
    act::ports::{Delivery, Messenger},
    values::action::{Notify, NotifyMode, Outcome},
};
use double::{Double, Say};
use findings_formatters::{Message, view::Kind};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the double says, by method, in this order.
type Script<'a> = &'a [(&'static str, &'a [Say])];

const TOKEN: &str = "xoxb-the-token-itself";
const CARD: &str = "C012345678:1712345600.000200";
const POST: &str = "chat.postMessage";
const UPDATE: &str = "chat.update";
const HISTORY: &str = "conversations.history";
const REPLIES: &str = "conversations.replies";

fn settings(api: &str) -> Settings {
    Settings {
        token: Some(TOKEN.into()),
        webhooks: BTreeMap::new(),
        any_webhook: None,
        api: api.to_owned(),
        patience: Duration::from_millis(300),
        pace: super::PACE,
    }
}

/// A client in a hurry: what takes seconds with Slack takes milliseconds here.
fn hurried(settings: Settings) -> Slack {
    let mut slack = Slack::new(settings).unwrap();
    let interval = Duration::from_millis(5);
    slack.pace.intervals = Intervals { posts: interval, others: interval };
    slack
}

fn connected(double: &Double, settings: Settings) -> Slack {
    let mut slack = hurried(settings);
    slack.http.call_max = double.call_max();
    slack
}

fn notify(destination: &str, mode: NotifyMode, kind: Kind, target: Option<&str>) -> Notify {
    Notify {
        destination: destination.to_owned(),
        mode,
        kind,
        storm: None,
        target: target.map(str::to_owned),
        mentions: Vec::new(),
    }
}

fn message() -> Message {
    Message { text: "[HIGH] a bucket is public".to_owned(), blocks: json!([{ "type": "divider" }]) }
}

async fn send(slack: &Slack, notify: &Notify, unsure: bool) -> String {
    told(
        &slack
            .send(
                notify,
                &message(),
                Delivery { key: "k1", unsure, since: jiff::Timestamp::from_second(1_000_000).unwrap() },
            )
            .await,
    )
}

async fn post(slack: &Slack, channel: &str) -> String {
    send(slack, &notify(channel, NotifyMode::Post, Kind::Card, None), false).await
}

/// An outcome in few words.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(None) => "done".to_owned(),
        Outcome::Done(Some(posted)) => format!("done {}", posted.id),
        Outcome::Nothing => "nothing".to_owned(),
        Outcome::Later(later) => {
            let unsure = if later.unsure { " unsure" } else { "" };
            format!("later {}{unsure}: {}", later.after.as_secs_f64().ceil(), later.why)
        }
        Outcome::Failed(why) => format!("failed: {why}"),
    }
}

/// What was said by `tracing` on this thread, until the guard is dropped.
fn listen() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&said);
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
    let guard = tracing::subscriber::set_default(subscriber.with_writer(move || Tee(Arc::clone(&writer))).finish());
    (said, guard)
}

struct Tee(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn text(said: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(said.lock().unwrap().clone()).unwrap()
}

/// What is sent, what Slack says, what comes of it (… stands for the rest), what was called.
#[tokio::test]
async fn each_answer_has_its_outcome() {
    use NotifyMode::{Broadcast, Post, Thread, Update};
    let made = "done C012345678:1712345678.000100";
    let rows: &[(NotifyMode, Script, &str, &str)] = &[
        (Post, &[], made, POST),
        (Thread, &[], made, POST),
        (Broadcast, &[], made, POST),
        (Update, &[], "done", UPDATE),
        (Post, &[(POST, &[Say::No("internal_error")])], "later 10 unsure: Slack answered internal_error", POST),
        (Post, &[(POST, &[Say::Http(503, None, "")])], "later 10 unsure: Slack answered HTTP 503", POST),
        (Post, &[(POST, &[Say::Http(200, None, "<html>")])], "later 10 unsure: the answer is not Slack's…", POST),
        (Post, &[(POST, &[Say::Hang])], "later 10 unsure: chat.postMessage gave no answer…", POST),
        (Post, &[(POST, &[Say::No("request_timeout")])], "later 10: Slack answered request_timeout", POST),
        (Post, &[(POST, &[Say::Ok(json!({}))])], "later 10 unsure: Slack did not name the message…", POST),
        (Post, &[(POST, &[Say::No("channel_not_found")])], "failed: Slack refuses the message for #security…", POST),
        (
            Post,
            &[(POST, &[Say::No("brand_new_error")])],
            "failed: Slack refuses the message for #security (brand_new_error)…",
            POST,
        ),
        (Post, &[(POST, &[Say::No("message_not_found")])], "failed: Slack refuses…", POST),
        (Post, &[(POST, &[Say::No("invalid_blocks")])], made, "chat.postMessage chat.postMessage"),
        (
            Post,
            &[(POST, &[Say::No("invalid_blocks"), Say::No("no_text")])],
            "failed: Slack refuses the message for #security (no_text…",
            "chat.postMessage chat.postMessage",
        ),
        (Thread, &[(POST, &[Say::No("thread_not_found")])], made, "chat.postMessage chat.postMessage"),
        (Update, &[(UPDATE, &[Say::No("edit_window_closed")])], made, "chat.update chat.postMessage"),
        (Update, &[(UPDATE, &[Say::No("message_not_found")])], made, "chat.update chat.postMessage"),
        (Update, &[(UPDATE, &[Say::No("msg_too_long")])], "done", "chat.update chat.update"),
        (Update, &[(UPDATE, &[Say::Hang])], "later 10 unsure: chat.update gave no answer…", UPDATE),
        (
            Update,
            &[(UPDATE, &[Say::No("invalid_auth")])],
            "failed: Slack refuses the message for #security (invalid_auth)…",
            UPDATE,
        ),
    ];
    for (row, (mode, script, want, calls)) in rows.iter().enumerate() {
        let double = Double::start(script).await;
        let slack = connected(&double, settings(&double.address));
        let target = (*mode != Post).then_some(CARD);
        let outcome = send(&slack, &notify("slack:#security", *mode, Kind::Card, target), false).await;
        let fits = want.strip_suffix('…').map_or(outcome == *want, |start| outcome.starts_with(start));
        assert!(fits, "row {row}: {outcome}");
        assert_eq!(double.methods(), *calls, "row {row}");
    }
}

#[tokio::test]
async fn calls_say_what_slack_needs() {
    let double = Double::start(&[(POST, &[]), (UPDATE, &[Say::No("invalid_blocks")])]).await;
    let slack = connected(&double, settings(&double.address));
    for (mode, target) in
        [(NotifyMode::Post, None), (NotifyMode::Broadcast, Some(CARD)), (NotifyMode::Update, Some(CARD))]
    {
        send(&slack, &notify("slack:#security", mode, Kind::Card, target), false).await;
    }
    let [card, reply, edit, plain] = &double.asked()[..] else { panic!("{}", double.methods()) };
    assert_eq!(card.token, format!("Bearer {TOKEN}"));
    assert_eq!(
        card.body,
        json!({
            "channel": "#security", "text": message().text, "blocks": message().blocks, "unfurl_links": false, "unfurl_media": false,
            "metadata": { "event_type": "findings_router", "event_payload": { "key": "k1" } },
        })
    );
    let of = |body: &Value| ["channel", "thread_ts", "reply_broadcast", "ts"].map(|key| body[key].clone());
    assert_eq!(of(&reply.body), [json!("C012345678"), json!("1712345600.000200"), json!(true), Value::Null]);
    assert_eq!(of(&edit.body), [json!("C012345678"), Value::Null, Value::Null, json!("1712345600.000200")]);
    assert_eq!((&plain.body["blocks"], &plain.body["text"]), (&Value::Null, &json!(message().text)));
}

/// Else it would never be told in a busy channel: each time it would be refused, and have to wait at the end.
#[tokio::test]
async fn what_slack_refused_goes_next_in_plain_text() {
    let double = Double::start(&[(POST, &[Say::No("invalid_blocks")])]).await;
    let mut slack = connected(&double, settings(&double.address));
    slack.pace.intervals.posts = Duration::from_millis(40);
    let send = || post(&slack, "slack:#security");
    let outcomes = tokio::join!(send(), send(), send(), send());
    assert!(<[String; 4]>::from(outcomes).iter().all(|o| o.starts_with("done")));
    let blocks: Vec<bool> = double.asked().iter().map(|a| a.body["blocks"].is_array()).collect();
    assert_eq!(blocks.iter().filter(|b| !**b).count(), 1);
    assert_eq!(blocks.last(), Some(&true), "not after those who came later: {blocks:?}");
}

#[tokio::test]
async fn links_are_made_of_the_workspace_and_never_fatal() {
    for (script, want) in [
        (vec![], Some("https://example.slack.com/archives/C012345678/p1712345678000100")),
        (vec![Say::Http(500, None, "")], None),
    ] {
        let double = Double::start(&[("auth.test", &script)]).await;
        let slack = connected(&double, settings(&double.address));
        let card = notify("slack:#security", NotifyMode::Post, Kind::Card, None);
        for _ in 0..2 {
            let outcome = slack
                .send(&card, &message(), Delivery { key: "k", unsure: false, since: jiff::Timestamp::UNIX_EPOCH })
                .await;
            let Outcome::Done(Some(posted)) = outcome else { panic!("{outcome:?}") };
            assert_eq!(posted.link.as_deref(), want);
        }
        assert_eq!(double.team_asked(), 1, "not asked again with every message");
    }
}

#[tokio::test]
async fn retry_after_holds_back_the_channel_or_all_edits() {
    let busy = Say::Http(429, Some(("retry-after", "40")), "");
    let busy = [busy];
    let double = Double::start(&[(POST, &busy), (UPDATE, &busy)]).await;
    let slack = connected(&double, settings(&double.address));
    let edit = |channel| notify(channel, NotifyMode::Update, Kind::Card, Some(CARD));
    let outcome = post(&slack, "slack:#a").await;
    assert!(outcome.starts_with("later 40: "), "{outcome}");
    assert!(post(&slack, "slack:#a").await.starts_with("later 40: "), "the same channel waits");
    let reply = notify("slack:#a", NotifyMode::Thread, Kind::Resolved, Some(CARD));
    assert!(send(&slack, &reply, true).await.starts_with("later 40: "), "its replies too; that it is absent was seen");
    assert!(post(&slack, "slack:#b").await.starts_with("done"), "another channel does not");
    assert!(send(&slack, &edit("slack:#a"), false).await.starts_with("later 40: "));
    assert!(send(&slack, &edit("slack:#b"), false).await.starts_with("later 40: "), "all edits wait");
    assert_eq!(double.methods(), "chat.postMessage conversations.replies chat.postMessage chat.update");
}

#[tokio::test]
async fn retry_after_holds_back_looks_and_comes_with_other_troubles_too() {
    let busy = |status| [Say::Http(status, Some(("retry-after", "40")), "")];
    let double = Double::start(&[(POST, &busy(503)), (HISTORY, &busy(429))]).await;
    let slack = connected(&double, settings(&double.address));
    let card = |channel| notify(channel, NotifyMode::Post, Kind::Card, None);
    assert!(post(&slack, "slack:C012345678").await.starts_with("later 40 unsure: "));
    assert!(post(&slack, "slack:C012345678").await.starts_with("later 40: "));
    for _ in 0..2 {
        let outcome = send(&slack, &card("slack:C087654321"), true).await;
        assert!(outcome.starts_with("later 40 unsure: "), "{outcome}");
    }
    assert_eq!(double.methods(), "chat.postMessage conversations.history");
}

#[tokio::test]
async fn without_a_way_it_says_what_to_set() {
    let slack = hurried(Settings { token: None, ..settings("http://127.0.0.1:9/") });
    for (destination, want) in
        [("slack:#security", "set SLACK_BOT_TOKEN"), ("teams:x", "write slack:#name"), ("slack:", "write slack:#name")]
    {
        let outcome = post(&slack, destination).await;
        assert!(outcome.starts_with("failed: ") && outcome.contains(want), "{outcome}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_unsure_and_none_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}/", listener.local_addr().unwrap());
    let losing = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut start = [0; 64];
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut start);
        }
    });
    let slack = hurried(settings(&api));
    let outcome = post(&slack, "slack:#security").await;
    assert!(outcome.starts_with("later 10 unsure: "), "{outcome}");
    losing.abort();
    assert!(losing.await.is_err());
    let outcome = post(&slack, "slack:#other").await;
    assert!(outcome.starts_with("later 10: chat.postMessage cannot be reached"), "{outcome}");
}

#[tokio::test]
async fn secrets_are_never_shown() {
    const SECRET: &str = "the-token-itself";
    let (said, guard) = listen();
    let mut shown = Vec::new();
    let double = Double::start(&[(
        "the-token-itself",
        &[Say::Hang, Say::Http(404, None, "no_service"), Say::Http(302, None, "")],
    )])
    .await;
    for address in [double.address.as_str(), "http://127.0.0.1:9/"] {
        let hook = SecretString::from(format!("{address}{SECRET}"));
        let webhooks = [("#hook".to_owned(), hook)].into();
        let settings = Settings { webhooks, ..settings(address) };
        shown.push(format!("{settings:?}"));
        let slack = connected(&double, settings);
        for channel in ["slack:#hook", "slack:#token", "slack:#hook", "slack:#hook"] {
            shown.push(post(&slack, channel).await);
        }
        shown.push(format!("{slack:?}"));
        shown.push(format!("{:?}", slack.probe(&["slack:#hook".to_owned(), "slack:#token".to_owned()]).await));
    }
    for (token, hook) in
        [("xoxb-the-token-itself\n", ""), ("xapp-the-token-itself", ""), ("", ""), (TOKEN, "the-token-itself")]
    {
        let webhooks = [("#hook".to_owned(), hook.into())].into();
        let error = Slack::new(Settings { token: Some(token.into()), webhooks, ..settings("http://127.0.0.1:9/") })
            .unwrap_err();
        assert!(error.contains(if token == TOKEN { "the webhook of #hook" } else { "the Slack bot token" }), "{error}");
        shown.push(error);
    }
    drop(guard);
    shown.push(text(&said));
    for text in &shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(shown.concat().contains("cannot be reached"), "the errors were made");
}
