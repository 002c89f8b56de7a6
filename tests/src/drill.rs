//! `drill`: the path from the event to the card is proved, with its time; and where it is broken, it is said where.
use crate::{
    check_aws::{HTTP_TOKEN, ROUTES, World},
    json::Json,
    live::process::Process,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} in\n{text}");
}

#[track_caller]
fn number(value: &Json) -> u64 {
    value.to_string().parse().unwrap_or_else(|_| panic!("{value:?} is not a number"))
}

fn consuming(world: &World, env: &[(&str, &str)]) -> Process {
    let daemon = world.serve(&[], env);
    daemon.wait_for_line(SOON, "consuming");
    daemon
}

#[test]
fn a_drill_is_told_and_timed() {
    let world = World::new(ROUTES);
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let daemon = consuming(&world, &env);
    let report = world.run(&["drill", "--format", "json"], &env).ended(0).json().remove(0);
    assert_eq!(
        (&report["way"], &report["told"].to_string()[..]),
        (&Json::Text("queue".to_owned()), "true"),
        "{report:?}"
    );
    let times = &report["milliseconds"];
    assert_eq!(number(&times["total"]), number(&times["decided"]) + number(&times["told"]), "{times:?}");
    assert!((1..60_000).contains(&number(&times["total"])), "{times:?}");
    let messages = world.slack.messages();
    assert_eq!((messages.len(), messages[0].channel.as_str()), (1, "security"), "{}", world.slack.dump());
    has(&messages[0].text, "Drill");
    let link = report["cards"].list()[0]["link"].text().expect("a link").to_owned();
    has(&link, &messages[0].ts.replace('.', ""));

    // The card is found by its link, and by the fingerprint.
    let fingerprint = report["fingerprint"].text().expect("a fingerprint");
    for which in [link.as_str(), &fingerprint[..12]] {
        let shown = world.run(&["findings", "show", which], &env).ended(0).stdout;
        for part in ["Drill: the path", fingerprint, &link, "new (informational) by findings-router", "post Card: done"]
        {
            has(&shown, part);
        }
    }
    // Every drill shows that it gets through: with a card, and then in a storm's thread.
    for _ in 0..3 {
        has(&world.run(&["drill"], &env).ended(0).stdout, "told   after");
    }
    let threads = world.slack.messages().iter().filter(|m| m.thread_ts.is_some()).count();
    assert_eq!((world.slack.messages().len(), threads), (5, 1), "{}", world.slack.dump());
    daemon.kill9();
}

#[test]
fn a_drill_goes_by_the_bus_and_by_http() {
    let world = World::new(&format!("{ROUTES}[http]\nlisten = '127.0.0.1:0'\n"));
    let queue = world.queue();
    world.aws.bus("findings", &queue);
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str()), ("FINDINGS_ROUTER_HTTP_TOKEN", HTTP_TOKEN)];
    let daemon = consuming(&world, &env);
    let output = world.run(&["drill", "--bus", "findings"], &env).ended(0).stdout;
    for part in ["sent   on the bus findings: ", "told   after ", "slack:#security https://"] {
        has(&output, part);
    }
    let listening = daemon.wait_for_line(SOON, "http://127.0.0.1:");
    let (_, address) = listening.split_once("http://").expect("an address");
    let address: String = address.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let url = format!("http://{address}");
    has(&world.run(&["drill", "--http", &url], &env).ended(0).stdout, &format!("sent   to {url}: "));
    let wrong = [env[0], ("FINDINGS_ROUTER_HTTP_TOKEN", "wrong")];
    has(
        &world.run(&["drill", "--http", &url], &wrong).ended(1).stderr,
        "HTTP 401: Authorization: Bearer TOKEN is missing",
    );
    daemon.kill9();
    has(&world.run(&["drill", "--http", &url], &env).ended(1).stderr, "is `serve` running there, with --listen?");
    daemon.lines().iter().for_each(|line| world.keeps_secrets(line));
}

#[test]
fn where_it_got_stuck_is_said() {
    let world = World::new(&format!("{ROUTES}[queue]\nvisibility = '5s'\n"));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let missing = world.run(&["drill"], &env).ended(2).stderr;
    has(&missing, "the ledger findings-router.ledger is not there: it is made when `serve` first runs");
    assert_eq!(world.aws.count(&queue.url).visible, 0, "nothing was sent that nobody would hear of");
    // It makes the ledger, at another queue: the last receive of who is killed may still take a message.
    let elsewhere = world.aws.queue("elsewhere", Duration::from_secs(5), 5);
    consuming(&world, &[("FINDINGS_ROUTER_QUEUE_URL", elsewhere.url.as_str())]).kill9();

    let drill = ["drill", "--timeout", "1s"];
    let output = world.run(&drill, &env).ended(1).stdout;
    has(&output, "still in the queue, with 1 that wait: is `serve`, or the function, running?");
    world.aws.drain(&queue.url);

    // The bus has no rule.
    let bus = world.aws.eventbridge().create_event_bus().name("lonely");
    world.aws.wait(bus.send()).expect("a bus");
    let output = world.run(&["drill", "--bus", "lonely", "--timeout", "1s"], &env).ended(1).stdout;
    has(&output, "it did not come to the queue: has the bus a rule for the source `findings-router`");
    has(&world.run(&["drill", "--bus", "nobody"], &env).ended(1).stderr, "the bus nobody does not take the drill");

    // Slack refuses the token: it is recorded with that.
    let daemon = consuming(&world, &[env[0], ("SLACK_BOT_TOKEN", "xoxb-wrong")]);
    let output = world.run(&["drill", "--timeout", "5s", "--format", "json"], &env).ended(1).json().remove(0);
    let stuck = output["stuck"].text().expect("a reason");
    has(stuck, "recorded, but not told: notify slack:#security post Card: later, ");
    has(stuck, "invalid_auth");
    assert_eq!(output["told"].to_string(), "false");
    daemon.kill9();
}

#[test]
fn a_drill_that_nobody_would_hear_of_is_not_sent() {
    let quiet = "[[adjust]]\nwhen = { source = ['findings-router'] }\nreason = 'no drills today'\nsuppress-until = '2999-01-01'\n";
    let world = World::new(quiet);
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    consuming(&world, &env).kill9();
    let said = world.run(&["drill"], &env).ended(1).stderr;
    has(&said, "your policy keeps drills quiet, so nobody would be told: no drills today");
    assert_eq!(world.aws.count(&queue.url).visible, 0);
    has(&world.run(&["drill"], &[]).ended(2).stderr, "there is no queue to send a drill into");

    // A route that drops it.
    let world = World::new("[[route]]\nto = []\n");
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let daemon = consuming(&world, &env);
    has(&world.run(&["drill"], &env).ended(1).stdout, "recorded, and nobody is to be told: your routes drop drills");
    daemon.kill9();
}
