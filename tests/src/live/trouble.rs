//! What goes wrong between the queue and Slack, with the real daemon: poison, slow answers, rate limits, webhooks.
use super::{
    aws::Aws,
    daemon,
    problems::{assert_one_card_each, env, event},
    slack::{Failure, Slack, When},
};
use crate::harness::Home;
use std::{
    thread,
    time::{Duration, Instant},
};

const QUEUE: &str = "[queue]\nvisibility = '5s'\n";

#[test]
fn a_poisoned_message_is_named_once_and_buried() {
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::with(QUEUE));
    let queue = aws.queue("findings", Duration::from_secs(5), 2);
    aws.send(&queue, &["{\"not\": \"an event\"}".to_owned(), event(0, 0)]);
    let daemon = daemon::serve(&home, &["--queue", &queue.url], &env(&slack, &aws, &[]));
    aws.wait_until_empty(&queue, Duration::from_secs(40));
    daemon.sigterm(Duration::from_secs(10));
    assert_eq!(aws.drain(&queue.dead_letters), ["{\"not\": \"an event\"}"], "{:#?}", daemon.lines());
    let errors: Vec<String> = daemon.lines().into_iter().filter(|l| l.contains("\"ERROR\"")).collect();
    assert!(
        errors.len() == 1 && errors[0].contains("the keys are `not`"),
        "one, that names what is wrong: {errors:#?}"
    );
    assert_one_card_each(&slack.messages(), 1, 0);
}

#[test]
fn a_message_that_takes_long_is_not_shown_to_others() {
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::with(QUEUE));
    let queue = aws.queue("findings", Duration::from_secs(5), 2);
    // Slack takes longer to say nothing than the queue hides a message.
    slack.fail_when_done("chat.postMessage", When::Next(1), Failure::Silence(Duration::from_secs(8)));
    aws.send(&queue, &[event(0, 0)]);
    let daemon =
        daemon::serve(&home, &["--queue", &queue.url], &env(&slack, &aws, &[("FINDINGS_ROUTER_LOG", "debug")]));
    slack.wait_until(Duration::from_secs(20), |messages| messages.len() == 1);
    let end = Instant::now() + Duration::from_secs(7);
    while Instant::now() < end {
        assert_eq!(aws.count(&queue.url).visible, 0, "the heartbeat keeps it hidden");
        thread::sleep(Duration::from_millis(200));
    }
    aws.wait_until_empty(&queue, Duration::from_mins(1));
    daemon.sigterm(Duration::from_secs(10));
    assert_one_card_each(&slack.messages(), 1, 0);
    assert_eq!(aws.drain(&queue.dead_letters), [""; 0]);
}

#[test]
fn a_retry_after_is_never_undercut() {
    const PROBLEMS: usize = 30;
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::with("[queue]\nconcurrency = 16\n"));
    let queue = aws.queue("findings", Duration::from_mins(1), 100);
    slack.fail("chat.postMessage", When::Every(4), Failure::RateLimited(2));
    slack.fail("chat.postMessage", When::Every(7), Failure::Http(503));
    aws.send(&queue, &(0..PROBLEMS).map(|p| event(p, 0)).collect::<Vec<_>>());
    let daemon = daemon::serve(&home, &["--queue", &queue.url], &env(&slack, &aws, &[("SLACK_PACE_MS", "30")]));
    aws.wait_until_empty(&queue, Duration::from_mins(3));
    daemon.sigterm(Duration::from_secs(10));
    assert_eq!(slack.undercut(), [""; 0]);
    assert_one_card_each(&slack.messages(), PROBLEMS, 0);
    assert_eq!(aws.drain(&queue.dead_letters), [""; 0]);
}

#[test]
fn a_webhook_posts_and_says_that_it_cannot_edit() {
    let (slack, aws, home) = (Slack::start(&["security"]), Aws::start(), Home::new());
    let queue = aws.queue("findings", Duration::from_secs(30), 3);
    let webhook = slack.webhook_url("security");
    let env: Vec<_> = env(&slack, &aws, &[("SLACK_WEBHOOK_URL", &webhook)])
        .into_iter()
        .filter(|(name, _)| name != "SLACK_BOT_TOKEN")
        .collect();
    let daemon = daemon::serve(&home, &["--queue", &queue.url], &env);
    let resolved = crate::harness::changed(
        "guardduty-crypto-mining/07-fixed.json",
        &[("/detail/updatedAt", serde_json::json!("2027-01-01T00:00:00Z"))],
    );
    let first = crate::harness::fixture("guardduty-crypto-mining/01-first-seen.json");
    for body in [first, resolved] {
        aws.send(&queue, &[body]);
        aws.wait_until_empty(&queue, Duration::from_secs(30));
    }
    daemon.sigterm(Duration::from_secs(10));
    let messages = slack.messages();
    let said: Vec<String> = messages.iter().map(|m| format!("{:?}", m.blocks)).collect();
    assert_eq!(messages.len(), 2, "the card, and that it is over: {said:#?}");
    assert!(said[0].contains("this message stays as it is"), "{}", said[0]);
    assert!(messages.iter().all(|m| m.thread_ts.is_none() && m.edits == 0));
    let lines = daemon.lines().join("\n");
    assert!(!lines.contains(&webhook) && !lines.contains("/services/"), "the webhook is a secret: {lines}");
}
