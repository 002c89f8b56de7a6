//! The daemon and the Lambda function tell what `replay` says they would.
use super::{
    aws::Aws,
    daemon,
    lambda::{Lambda, sqs_event},
    slack::{self, Slack},
};
use crate::harness::{Home, root, run_in};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// Recorded events as a queue would bring them, in the order of `replay`.
fn bodies(folder: &Path, out: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder).expect("fixtures").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            // What cannot be read, and what no queue brings (gzip, JSON lines), has tests of its own.
            if !["zz-broken-input", "carriers"].iter().any(|name| path.ends_with(name)) {
                bodies(&path, out);
            }
        } else if path.extension().is_some_and(|ending| ending == "json") {
            out.push(fs::read_to_string(&path).expect("a fixture"));
        }
    }
}

/// What a message is, and says: destination, mode, text and blocks.
type Told = (String, &'static str, String, Value);

/// What `replay` would send, in order.
fn replayed(home: &Home, bodies: &[String]) -> Vec<Told> {
    let lines: Vec<String> =
        bodies.iter().map(|b| serde_json::from_str::<Value>(b).expect("JSON").to_string()).collect();
    let output = run_in(home.path(), &["replay", "--format", "json", "-"], lines.join("\n").as_bytes()).ended(0);
    let mut told = Vec::new();
    for line in output.stdout.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        for action in line["actions"].as_array().expect("actions").iter().filter(|a| a["kind"] == "notify") {
            let channel = action["destination"].as_str().expect("text").trim_start_matches("slack:#").to_owned();
            let mode = match action["mode"].as_str() {
                Some("post") => "post",
                Some("update") => "update",
                Some("broadcast") => "broadcast",
                _ => "thread",
            };
            let message = &action["message"];
            told.push((channel, mode, message["text"].as_str().expect("text").to_owned(), message["blocks"].clone()));
        }
    }
    told
}

/// What Slack was sent, in order.
fn sent(slack: &Slack) -> Vec<Told> {
    let ids: BTreeMap<String, String> =
        ["security"].into_iter().map(|name| (slack.channel_id(name), name.to_owned())).collect();
    let calls = slack.calls().into_iter().filter(|c| matches!(c.method.as_str(), "chat.postMessage" | "chat.update"));
    calls
        .map(|call| {
            let text = |name: &str| call.arguments[name].as_str().unwrap_or_default().to_owned();
            let mode = match (call.method.as_str(), &call.arguments["thread_ts"], &call.arguments["reply_broadcast"]) {
                ("chat.update", ..) => "update",
                (_, Value::Null, _) => "post",
                (_, _, Value::Bool(true)) => "broadcast",
                _ => "thread",
            };
            let channel = text("channel").trim_start_matches('#').to_owned();
            let channel = ids.get(&channel).cloned().unwrap_or(channel);
            (channel, mode, text("text"), call.arguments["blocks"].clone())
        })
        .collect()
}

/// Links to Slack messages differ: replay makes them up.
fn without_links(told: &mut [Told]) {
    fn strip(value: &mut Value) {
        match value {
            Value::String(text) => {
                while let Some((start, link)) = text.find("https://").and_then(|_| {
                    let at = text.find(".slack.com/archives/")?;
                    let start = text[..at].rfind("https://")?;
                    let end = text[at..].find(['|', '>']).map_or(text.len(), |n| at + n);
                    Some((start, text[start..end].to_owned()))
                }) {
                    text.replace_range(start..start + link.len(), "LINK");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(fields) => fields.values_mut().for_each(strip),
            _ => {}
        }
    }
    for (.., blocks) in told {
        strip(blocks);
    }
}

fn assert_same(mut sent: Vec<Told>, mut replayed: Vec<Told>) {
    without_links(&mut sent);
    without_links(&mut replayed);
    for (n, (live, dry)) in sent.iter().zip(&replayed).enumerate() {
        assert_eq!(live, dry, "message {n} of {}", replayed.len());
    }
    assert_eq!(sent.len(), replayed.len());
}

fn env(slack: &Slack, aws: &Aws) -> Vec<(String, String)> {
    let ours = [
        ("SLACK_BOT_TOKEN", slack::TOKEN),
        ("SLACK_API_URL", &slack.api_url()),
        ("SLACK_PACE_MS", "0"),
        ("FINDINGS_ROUTER_CLOCK", "events"),
    ];
    aws.env().into_iter().chain(ours.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

const CONFIG: &str = "[[route]]\nto = ['slack:#security']\n[queue]\nconcurrency = 1\n";

#[test]
fn the_daemon_tells_what_replay_tells() {
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::with(CONFIG));
    let mut all = Vec::new();
    bodies(&root().join("fixtures"), &mut all);
    let queue = aws.queue("findings", Duration::from_mins(1), 10);
    let daemon = daemon::serve(&home, &["--queue", &queue.url], &env(&slack, &aws));
    for body in &all {
        aws.send(&queue, &[body]);
    }
    aws.wait_until_empty(&queue, Duration::from_mins(2));
    let (status, took) = daemon.sigterm(Duration::from_secs(10));
    assert!(status.success(), "{status} {:#?}", daemon.lines());
    assert!(took < Duration::from_secs(5), "it had nothing to finish, and took {took:?}");
    assert_same(sent(&slack), replayed(&home, &all));
    assert_eq!(aws.drain(&queue.dead_letters), [""; 0]);
}

#[test]
fn the_lambda_function_tells_what_replay_tells() {
    let (slack, aws) = (Slack::start(&["security"]), Aws::start());
    let mut all = Vec::new();
    bodies(&root().join("fixtures"), &mut all);
    aws.ledger("ledger");
    let mut env = env(&slack, &aws);
    // The table forgets by the system's clock, and the events are old.
    let home = Home::with("[ledger]\ntable = 'ledger'\nretention = '5000d'\n");
    let config = home.path().join("findings-router.toml").display().to_string();
    env.push(("FINDINGS_ROUTER_CONFIG".to_owned(), config));
    let function = Lambda::start(&env).expect("it starts");
    for body in &all {
        let answer = function.invoke(&sqs_event(&[body], 1)).expect("an answer");
        assert_eq!(answer, serde_json::json!({ "batchItemFailures": [] }), "{body}");
    }
    let routed: Vec<Told> = replayed(&Home::new(), &all);
    assert_same(sent(&slack), routed);
    let metrics: Vec<Value> = function
        .process()
        .lines()
        .into_iter()
        .filter(|l| l.contains("\"FindingsRouter\""))
        .filter_map(|l| serde_json::from_str(&l).ok())
        .collect();
    assert!(metrics.len() > 100, "CloudWatch reads embedded metrics from the log: {} lines", metrics.len());
    // What the alarms and the dashboard of infra/router.yaml look at, by these dimensions.
    for (name, dimensions) in [
        ("findings_router_drill_seconds", vec![]),
        ("findings_router_time_to_tell_seconds", vec![]),
        ("findings_router_time_to_fix_seconds", vec![]),
        ("findings_router_findings_total", vec!["severity"]),
        ("findings_router_messages_total", vec!["disposition"]),
        ("findings_router_decisions_total", vec!["novelty"]),
    ] {
        let told =
            metrics.iter().filter(|m| m.get(name).is_some()).filter_map(|m| m["_aws"]["CloudWatchMetrics"].as_array());
        let told: Vec<&Value> = told.flatten().filter(|set| set["Metrics"].to_string().contains(name)).collect();
        assert!(!told.is_empty(), "{name} is told");
        for set in told {
            assert_eq!(set["Dimensions"], serde_json::json!([dimensions]), "{name}: {set}");
        }
    }
    assert!(!function.process().lines().join("\n").contains(slack::TOKEN));
}
