//! `kill -9` at random moments under load: nothing is lost, and nothing is told twice.
use super::{
    aws::Aws,
    daemon,
    problems::{self, Dice, assert_one_card_each, event},
    slack::Slack,
};
use crate::harness::Home;
use std::{
    env, thread,
    time::{Duration, Instant},
};

/// Kills in the test command; the soak sets `FINDINGS_ROUTER_KILLS`.
const KILLS: usize = 20;
/// Problems told between two kills, at most.
const BETWEEN: usize = 6;

#[test]
#[expect(clippy::print_stderr, reason = "the figures of the README come from here")]
fn killed_at_random_moments_it_loses_nothing_and_doubles_nothing() {
    let kills = env::var("FINDINGS_ROUTER_KILLS").map_or(KILLS, |n| n.parse().expect("a number of kills"));
    let seed = env::var("FINDINGS_ROUTER_SEED").map_or(20_261_122, |n| n.parse().expect("a number"));
    let mut dice = Dice(seed);
    let (slack, aws) = (Slack::start(&["security"]), Aws::start());
    let home = Home::with("[queue]\nconcurrency = 8\nvisibility = '5s'\n");
    let queue = aws.queue("findings", Duration::from_secs(5), 1_000);
    let env = problems::env(&slack, &aws, &[("FINDINGS_ROUTER_QUEUE_URL", &queue.url), ("SLACK_PACE_MS", "20")]);
    let problems = kills * BETWEEN;
    let mut bodies: Vec<String> = (0..problems).flat_map(|p| [event(p, 0), event(p, 1)]).collect();
    dice.shuffle(&mut bodies);
    aws.send(&queue, &bodies);
    for kill in 0..kills {
        let daemon = daemon::serve(&home, &[], &env);
        let (before, wanted) = (slack.calls().len(), 1 + dice.roll(BETWEEN));
        let end = Instant::now() + Duration::from_secs(30);
        while slack.calls().len() < before + wanted {
            assert!(daemon.ended().is_none(), "kill {kill}: it ended by itself: {:#?}", daemon.lines());
            // The last ones may wait for their visibility to end; there is nothing left to disturb.
            if Instant::now() > end {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(u64::try_from(dice.roll(20)).expect("small")));
        daemon.kill9();
    }
    let daemon = daemon::serve(&home, &[], &env);
    aws.wait_until_empty(&queue, Duration::from_mins(5));
    let (status, _) = daemon.sigterm(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    assert_one_card_each(&slack.messages(), problems, 0);
    assert_eq!(aws.drain(&queue.dead_letters), [""; 0]);
    eprintln!("{kills} kills, {problems} problems, seed {seed}");
}
