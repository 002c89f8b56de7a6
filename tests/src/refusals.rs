//! What is missing or wrong is refused before the first event, in words that name the remedy; and no secret is printed.
use crate::{
    check_aws::{HTTP_TOKEN, ROUTES, World},
    harness::Output,
    live::{process::Process, slack},
};
use aws_sdk_dynamodb::types::AttributeValue;
use std::{net::TcpListener, process::Command, time::Duration};

const SOON: Duration = Duration::from_secs(20);

/// `serve` does not start, with code 2.
#[track_caller]
fn serve(name: &str, world: &World, args: &[&str], env: &[(&str, &str)]) {
    world.said(name, world.run(&[&["serve"], args].concat(), env).ended(2));
}

/// `check --aws` finds it, with code 1, and says this.
#[track_caller]
fn check(world: &World, env: &[(&str, &str)], parts: &[&str]) {
    let output = world.run(&["check", "--aws"], env).ended(1);
    for part in parts {
        assert!(output.stdout.contains(part), "{part:?} in\n{}", output.seen());
    }
}

#[test]
fn nothing_to_serve_and_nobody_to_tell() {
    let world = World::new(ROUTES);
    serve("serve-nothing", &world, &[], &[]);
    check(&world, &[], &["error: no events come in"]);
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str()), ("SLACK_BOT_TOKEN", "")];
    serve("serve-no-slack", &world, &[], &env);
    check(&world, &env, &["error: Slack is not connected", "SLACK_BOT_TOKEN"]);
    let env = [("FINDINGS_ROUTER_QUEUE_URL", "findings")];
    serve("serve-no-url", &world, &[], &env);
    check(&world, &env, &["error: FINDINGS_ROUTER_QUEUE_URL: \"findings\" is not the URL of a queue"]);
}

#[test]
fn a_secret_that_is_not_there() {
    let world = World::new(&format!(
        "{ROUTES}[slack]\ntoken = 'env:NOT_SET'\n[http]\ntoken = 'secretsmanager:router/http#token'\n"
    ));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let both = ["NOT_SET is not set", "secretsmanager:router/http cannot be read", "secretsmanager:GetSecretValue"];
    let said = world.run(&["serve"], &env).ended(2).stderr;
    for part in both {
        assert!(said.contains(part), "{part:?} in\n{said}");
    }
    check(&world, &env, &both);
}

#[test]
fn a_token_that_slack_does_not_take() {
    let world = World::new(ROUTES);
    let queue = world.queue();
    let url = ("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str());
    serve("serve-app-token", &world, &[], &[url, ("SLACK_BOT_TOKEN", "xapp-1-A0-secret")]);
    check(
        &world,
        &[url, ("SLACK_BOT_TOKEN", "xoxb-wrong")],
        &["error: Slack: Slack refuses the bot token: invalid_auth"],
    );
    world.slack.set_scopes(&["channels:read", "groups:read"]);
    check(
        &world,
        &[url],
        &["error: Slack: the bot token may not post: it lacks the scope chat:write", "add chat:write"],
    );
}

#[test]
fn a_channel_that_is_not_there() {
    let world = World::new("[[route]]\nto = ['slack:#securty']\n");
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    check(&world, &env, &["error: Slack: there is no channel #securty", "create it, or mend the name in the route"]);
}

#[test]
fn a_queue_or_a_table_that_is_not_there() {
    let world = World::new(&format!("{ROUTES}[ledger]\ntable = 'ledger'\n"));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let missing = "the ledger's table ledger is not there, or not whole: make it (findings-router ledger create)";
    check(&world, &env, &[missing]);
    serve("serve-no-table", &world, &[], &env);
    world.run(&["ledger", "create"], &env).ended(0);
    let nowhere = queue.url.replace("/findings", "/nowhere");
    let env = [("FINDINGS_ROUTER_QUEUE_URL", nowhere.as_str())];
    check(&world, &env, &["/nowhere is not there: check its URL (account, Region, name), or make it"]);
    // A queue may be made later: `serve` waits for it, and says so.
    let daemon = world.serve(&[], &env);
    let line = daemon.wait_for_line(SOON, "there is no queue");
    assert!(line.contains("ERROR") && line.contains("check [queue] url or FINDINGS_ROUTER_QUEUE_URL"), "{line}");
}

#[test]
fn a_ledger_that_a_newer_router_wrote() {
    let world = World::new(&format!("{ROUTES}[ledger]\ntable = 'ledger'\n"));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    world.run(&["ledger", "create"], &env).ended(0);
    let client = world.aws.dynamodb();
    let item = client.put_item().table_name("ledger").item("pk", AttributeValue::S("meta/schema".to_owned()));
    world.aws.wait(item.item("version", AttributeValue::N("99".to_owned())).send()).expect("written");
    check(&world, &env, &["error: the ledger ledger has schema 99, and this router knows schema 1: update the router"]);
    serve("serve-newer-ledger", &world, &[], &env);
}

#[test]
fn a_ledger_and_an_address_that_are_taken() {
    let world = World::new(ROUTES);
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let daemon = world.serve(&[], &env);
    daemon.wait_for_line(SOON, "consuming");
    serve("serve-locked-ledger", &world, &[], &env);
    daemon.kill9();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = world.run(&["serve", "--listen", &address], &env).ended(2).stderr;
    assert!(said.contains(&format!("error: cannot listen on {address}: Address already in use")), "{said}");
}

/// A disk that is full from the beginning; one that fills up later is the ledger's own tests'.
#[test]
fn a_disk_without_room() {
    let world = World::new(ROUTES);
    let queue = world.queue();
    let mut full = Command::new("sh");
    // Files cannot grow, and whoever tries is told so instead of being killed.
    full.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" serve"]).arg(crate::harness::program());
    full.current_dir(world.home.path()).env_clear().envs(world.env(&[("FINDINGS_ROUTER_QUEUE_URL", &queue.url)]));
    let process = Process::start(full);
    assert_eq!(process.wait(SOON).code(), Some(2));
    let line = process.wait_for_line(SOON, "the ledger findings-router.ledger has no room to grow");
    assert!(line.contains("make room"), "{line}");
}

/// Even where everything is said that can be.
#[test]
fn no_secret_is_printed_at_any_level() {
    let world = World::new(&format!("{ROUTES}[slack]\nwebhooks = {{ '#operations' = 'env:HOOK' }}\n"));
    let queue = world.queue();
    let hook = world.slack.webhook_url("security");
    let env = [
        ("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str()),
        ("FINDINGS_ROUTER_HTTP_TOKEN", HTTP_TOKEN),
        ("FINDINGS_ROUTER_LISTEN", "127.0.0.1:0"),
        ("FINDINGS_ROUTER_LOG", "trace"),
        ("HOOK", &hook),
    ];
    let daemon = world.serve(&[], &env);
    daemon.wait_for_line(SOON, "consuming");
    let drilled: Output = world.run(&["drill"], &env).ended(0);
    assert!(drilled.stdout.contains("told   after"), "{}", drilled.seen());
    world.run(&["check", "--aws"], &env).ended(0);
    daemon.sigterm(SOON);
    let all = daemon.lines().join("\n");
    assert!(all.contains("TRACE") && !all.contains(slack::TOKEN), "the log is whole");
    world.keeps_secrets(&all);
}
