//! Several consumers of one ledger: whatever comes twice and out of order, every problem has one card.
use super::{
    aws::Aws,
    daemon,
    lambda::{Lambda, sqs_event},
    problems::{Dice, assert_one_card_each, env, event},
    slack::Slack,
};
use crate::harness::Home;
use serde_json::Value;
use std::{thread, time::Duration};

const PROBLEMS: usize = 40;
const REVISIONS: usize = 3;

/// Every message twice, in no order.
fn messages(seed: u64) -> Vec<String> {
    let once = (0..PROBLEMS).flat_map(|p| (0..REVISIONS).map(move |r| event(p, r)));
    let mut twice: Vec<String> = once.flat_map(|body| [body.clone(), body]).collect();
    Dice(seed).shuffle(&mut twice);
    twice
}

/// Invokes the function with batches, and again with what failed, as the event source mapping does.
fn feed(function: &Lambda, bodies: &[String]) {
    let mut waiting: Vec<&String> = bodies.iter().collect();
    for round in 1.. {
        assert!(round < 60, "{} messages are never done", waiting.len());
        let mut again = Vec::new();
        for batch in waiting.chunks(10) {
            let event = sqs_event(batch, round);
            let answer = function.invoke(&event).expect("an answer");
            let failed: Vec<&Value> = answer["batchItemFailures"].as_array().expect("a list").iter().collect();
            let ids = event["Records"].as_array().expect("records").iter().map(|r| &r["messageId"]);
            again.extend(
                ids.zip(batch).filter(|(id, _)| failed.iter().any(|f| &f["itemIdentifier"] == *id)).map(|(_, b)| *b),
            );
        }
        waiting = again;
        if waiting.is_empty() {
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn two_daemons_and_a_function_on_one_table_tell_every_problem_once() {
    let (slack, aws) = (Slack::start(&["security"]), Aws::start());
    let queue = aws.queue("findings", Duration::from_mins(1), 50);
    aws.ledger("ledger");
    let env = env(&slack, &aws, &[("FINDINGS_ROUTER_TABLE", "ledger"), ("FINDINGS_ROUTER_QUEUE_URL", &queue.url)]);
    let homes = [Home::with("[queue]\nconcurrency = 8\n"), Home::with("[queue]\nconcurrency = 8\n")];
    let daemons = homes.each_ref().map(|home| daemon::serve(home, &[], &env));
    let function = Lambda::start(&env).expect("it starts");
    aws.send(&queue, &messages(1));
    feed(&function, &messages(2));
    aws.wait_until_empty(&queue, Duration::from_mins(2));
    for daemon in daemons {
        let (status, _) = daemon.sigterm(Duration::from_secs(30));
        assert!(status.success(), "{status} {:#?}", daemon.lines());
    }
    assert_one_card_each(&slack.messages(), PROBLEMS, 0);
    assert_eq!(aws.drain(&queue.dead_letters), [""; 0]);
}
