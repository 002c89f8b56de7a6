//! What the daemon answers over HTTP: health, metrics, events, Slack's clicks; and what it says on the bus.
use super::{
    aws::Aws,
    daemon,
    http::{ask, status},
    problems::{env, event},
    process::{Process, wait_for},
    slack::{self, Failure, Slack, When},
};
use crate::harness::Home;
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};

const TOKEN: &str = "correct-horse-battery-staple";
const AUTHORIZED: (&str, &str) = ("authorization", "Bearer correct-horse-battery-staple");

fn listening(daemon: &Process) -> SocketAddr {
    let line = daemon.wait_for_line(Duration::from_secs(30), "listening on http://");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    address.parse().unwrap_or_else(|error| panic!("{address}: {error}"))
}

#[track_caller]
fn post(at: SocketAddr, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
    let (head, body) = ask(at, "POST", "/events", headers, body).expect("an answer");
    (status(&head), head, body)
}

#[test]
fn events_come_in_by_http_and_go_out_on_the_bus() {
    let (slack, aws) = (Slack::start(&["security"]), Aws::start());
    let listener = aws.queue("heard", Duration::from_secs(30), 3);
    aws.bus("findings", &listener);
    let home = Home::with("[publish]\nbus = 'findings'\n");
    let env = env(&slack, &aws, &[("FINDINGS_ROUTER_HTTP_TOKEN", TOKEN)]);
    let daemon = daemon::serve(&home, &["--listen", "127.0.0.1:0"], &env);
    let at = listening(&daemon);
    assert_eq!((daemon::get(at, "/healthz").0, daemon::get(at, "/readyz")), (200, (200, "ok\n".to_owned())));

    let rows = [
        ("No token.", vec![], event(0, 0), 401, "is missing or wrong"),
        ("Another token.", vec![("authorization", "Bearer x")], event(0, 0), 401, "is missing or wrong"),
        ("An event.", vec![AUTHORIZED], event(0, 0), 200, r#"{"disposition":"ack","why":[]}"#),
        ("The same again.", vec![AUTHORIZED], event(0, 0), 200, r#"{"disposition":"ack","why":[]}"#),
        ("No event.", vec![AUTHORIZED], "{}".to_owned(), 422, r#""disposition":"reject""#),
    ];
    for (sentence, headers, body, expected, part) in rows {
        let (status, _, said) = post(at, &headers, &body);
        assert!(status == expected && said.contains(part), "{sentence} {status} {said}");
    }
    assert_eq!(slack.messages().len(), 1);

    slack.fail("chat.postMessage", When::Always, Failure::RateLimited(7));
    let (answered, head, said) = post(at, &[AUTHORIZED], &event(1, 0));
    assert_eq!(answered, 503, "{said}");
    assert!(head.to_lowercase().contains("retry-after: 7"), "{head}");

    let metrics = daemon::get(at, "/metrics").1;
    for line in [
        r#"findings_router_events_total{outcome="findings"} 3"#,
        r#"findings_router_events_total{outcome="refused"} 1"#,
        r#"findings_router_decisions_total{novelty="new"} 2"#,
        r#"findings_router_decisions_total{novelty="stale"} 1"#,
        r#"findings_router_actions_total{kind="post",outcome="done"} 1"#,
        r#"findings_router_findings_total{severity="critical"} 1"#,
        "findings_router_time_to_tell_seconds_count 1",
        r#"findings_router_actions_total{kind="publish",outcome="done"} 2"#,
        r#"findings_router_messages_total{disposition="reject"} 1"#,
        "findings_router_slack_call_seconds_count",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let (status, _) = daemon.sigterm(Duration::from_secs(30));
    assert!(status.success());
    let said = daemon.lines().join("\n");
    for secret in [TOKEN, slack::TOKEN] {
        assert!(!said.contains(secret) && !metrics.contains(secret), "a secret was printed");
    }

    let events: Vec<Value> = aws.drain(&listener.url).iter().map(|b| serde_json::from_str(b).expect("JSON")).collect();
    let of =
        |event: &Value| (event["source"].clone(), event["detail-type"].clone(), event["detail"]["class_uid"].clone());
    let expected = (Value::from("findings-router"), Value::from("Finding Told"), Value::from(2004));
    assert_eq!(events.iter().map(of).collect::<Vec<_>>(), [expected.clone(), expected]);
    assert_eq!(events[0]["detail"]["unmapped"]["novelty"], "new");
}

#[test]
fn without_a_token_nobody_can_post_events() {
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::new());
    let daemon = daemon::serve(&home, &["--listen", "127.0.0.1:0"], &env(&slack, &aws, &[]));
    let (status, _, said) = post(listening(&daemon), &[AUTHORIZED], &event(0, 0));
    assert!(status == 403 && said.contains("FINDINGS_ROUTER_HTTP_TOKEN"), "{status} {said}");
    assert_eq!(slack.calls().len(), 0);
}

#[test]
fn it_is_not_ready_while_the_queue_does_not_answer() {
    let (slack, aws, dead, home) = (Slack::start(&["security"]), Aws::start(), Aws::dead(), Home::new());
    let queue = aws.queue("findings", Duration::from_secs(30), 3);
    let daemon = daemon::serve(&home, &["--listen", "127.0.0.1:0", "--queue", &queue.url], &env(&slack, &dead, &[]));
    let at = listening(&daemon);
    wait_for("it says what is wrong", || daemon::get(at, "/readyz").1.contains("cannot be read"));
    assert_eq!((daemon::get(at, "/readyz").0, daemon::get(at, "/healthz").0), (503, 200), "alive, and not ready");
    let errors = daemon.lines().iter().filter(|l| l.contains("ERROR") && l.contains("cannot be read")).count();
    assert_eq!(errors, 1, "told once: {:#?}", daemon.lines());
}

#[test]
fn a_click_must_be_signed() {
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::new());
    let daemon =
        daemon::serve(&home, &["--listen", "127.0.0.1:0"], &env(&slack, &aws, &[("SLACK_SIGNING_SECRET", "secret")]));
    let at = listening(&daemon);
    let click = |headers: &[(&str, &str)]| {
        status(&ask(at, "POST", "/slack/interactions", headers, "payload=%7B%7D").expect("an answer").0)
    };
    assert_eq!(click(&[]), 401, "unsigned");
    let old = ("x-slack-request-timestamp", "1531420618");
    assert_eq!(click(&[old, ("x-slack-signature", "v0=00")]), 401, "old");
    assert!(daemon.wait_for_line(Duration::from_secs(5), "a replay, or a clock is wrong").contains("WARN"));
}
