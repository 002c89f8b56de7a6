//! The ways in beside HTTP: the command line, Socket Mode, a function URL; and what never comes out.
use super::*;
use crate::live::{
    lambda::{Lambda, sqs_event, url_event},
    slack::socket::Socket,
};

#[test]
fn the_command_line_approves_through_the_daemon_and_stops_everything() {
    let world = World::new("");
    let (_daemon, at) = world.daemon();
    let group = world.open_group();
    tell(at, &rule(&world.ssm.account, &group, true, 0));
    world.says("FindingsRouter-CloseAdminPorts");
    let server = format!("http://{at}");
    let run = |args: &[&str]| {
        let mut command = crate::harness::command(world.home.path(), args);
        command.envs(world.env.iter().map(|(k, v)| (k, v)));
        let out = command.output().expect("it runs");
        (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (code, listed) = run(&["remediation", "list"]);
    assert!(
        code == Some(0) && listed.contains("proposed") && listed.contains("FindingsRouter-CloseAdminPorts"),
        "{listed}"
    );
    let id = listed.split_whitespace().next().expect("an id").to_owned();
    let (code, said) = run(&["remediation", "approve", &id, "--by", ALICE]);
    assert!(code == Some(2) && said.contains("--server"), "the daemon has the ledger: {said}");
    let (code, said) = run(&["remediation", "approve", &id, "--by", EVE, "--server", &server]);
    assert!(code == Some(1) && said.contains("not among those who may approve"), "{said}");
    // Whoever may send events may not approve.
    let body = json!({ "ask": "approve", "id": id, "by": ALICE }).to_string();
    let token = format!("Bearer {TOKEN}");
    let (head, said) = ask(at, "POST", "/remediation", &[("authorization", &token)], &body).expect("an answer");
    assert_eq!(status(&head), 401, "{said}");
    assert_eq!(run(&["remediation", "halt", "--by", "alice", "--server", &server]).0, Some(0));
    let (_, rails) = run(&["remediation", "rails", "--open"]);
    assert!(rails.contains("alice") && rails.contains("nothing could start"), "{rails}");
    let (_, said) = run(&["remediation", "approve", &id, "--by", ALICE, "--server", &server]);
    assert!(said.contains("alice turned the kill switch on"), "{said}");
    let reset = run(&["remediation", "reset", "FindingsRouter-CloseAdminPorts", "--by", "alice", "--server", &server]);
    assert_eq!(reset.0, Some(0), "{}", reset.1);
    assert_eq!(world.ssm.executions().len(), 0);
    assert_eq!(run(&["remediation", "resume", "--by", "alice", "--server", &server]).0, Some(0));
    let (code, said) = run(&["remediation", "approve", &id, "--by", ALICE, "--server", &server]);
    assert!(code == Some(0) && said.contains("FindingsRouter-CloseAdminPorts is"), "{said}");
    world.hears("Applied and verified");
    assert_eq!(world.rules(&group), 0);
    let (_, shown) = run(&["remediation", "show", &id]);
    for part in ["approved", "started", "verified", "GroupId", &group] {
        assert!(shown.contains(part), "{part} {shown}");
    }
    let (_, shown) = run(&["findings", "list"]);
    assert!(shown.contains(&group) || shown.contains("security"), "{shown}");
}

#[test]
fn secrets_of_remediation_do_not_print() {
    let world = World::new("external-id = 'env:EXTERNAL_ID'\nrole = 'arn:aws:iam::{account}:role/r'");
    let mut world = world;
    world.env.push(("EXTERNAL_ID".to_owned(), "an-external-id-that-nobody-sees".to_owned()));
    let (daemon, at) = world.daemon();
    tell(at, &rule(&world.ssm.account, "sg-0123456789abcdef0", true, 0));
    world.says("FindingsRouter-CloseAdminPorts");
    assert_eq!(approve(&world, at, "approve", ALICE).0, 200);
    world.hears("Failed");
    let said = daemon.lines().join("\n") + &world.slack.dump() + &daemon::get(at, "/metrics").1;
    for secret in ["an-external-id-that-nobody-sees", SIGNING_SECRET, TOKEN, OPERATORS, slack::TOKEN] {
        assert!(!said.contains(secret), "a secret was printed");
    }
}

#[test]
fn clicks_come_through_socket_mode_where_nobody_can_reach_the_router() {
    let socket = Socket::start();
    let mut world = World::new("");
    world.slack.socket(&socket.url);
    world.env.retain(|(name, _)| name != "SLACK_SIGNING_SECRET");
    world.env.push(("SLACK_APP_TOKEN".to_owned(), slack::APP_TOKEN.to_owned()));
    let (daemon, at) = world.daemon();
    let group = world.open_group();
    tell(at, &rule(&world.ssm.account, &group, true, 0));
    let card = world.says("FindingsRouter-CloseAdminPorts");
    assert_eq!(socket.send("one", &world.slack.click(&card, "approve", ALICE)), json!({ "envelope_id": "one" }));
    assert_eq!(world.slack.dialogs().len(), 1);
    // Slack did not hear the answer, and sends it again; then it closes the line, as it does every few hours.
    assert_eq!(socket.send("one", &world.slack.click(&card, "approve", ALICE)), json!({ "envelope_id": "one" }));
    assert_eq!(world.slack.dialogs().len(), 1, "done once");
    socket.disconnect();
    let refused = socket.send("two", &world.slack.submit(EVE));
    assert!(refused["payload"]["view"]["blocks"].to_string().contains("not among those"), "{refused}");
    assert_eq!(socket.send("three", &world.slack.submit(ALICE)), json!({ "envelope_id": "three" }));
    world.hears("Applied and verified");
    assert_eq!(world.rules(&group), 0);
    let metrics = daemon::get(at, "/metrics").1;
    assert!(metrics.contains("findings_router_asked_total"), "{metrics}");
    assert!(daemon.sigterm(LONG).0.success());
    assert!(!daemon.lines().join("\n").contains(slack::APP_TOKEN), "a secret was printed");
}

#[test]
fn clicks_come_through_a_function_url() {
    let aws = Aws::start();
    aws.ledger("ledger");
    let world = World::with(aws, "");
    let config = config(world.aws.account(), "");
    let home = Home::with(&config);
    let mut env = world.env.clone();
    let path = home.path().join("findings-router.toml").display().to_string();
    env.extend([
        ("FINDINGS_ROUTER_TABLE".to_owned(), "ledger".to_owned()),
        ("FINDINGS_ROUTER_CONFIG".to_owned(), path),
    ]);
    let function = Lambda::start(&env).expect("it starts");
    let group = world.open_group();
    let queued = sqs_event(&[rule(world.aws.account(), &group, true, 0)], 1);
    assert_eq!(function.invoke(&queued).expect("an answer")["batchItemFailures"], json!([]));
    let card = world.says("FindingsRouter-CloseAdminPorts");
    let send = |signed: &Signed| {
        let headers = [
            ("X-Slack-Request-Timestamp", signed.timestamp.as_str()),
            ("X-Slack-Signature", &signed.signature),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        function.invoke(&url_event("POST", "/slack/interactions", &headers, &signed.body)).expect("an answer")
    };
    let click = Signed::now(&world.slack.click(&card, "approve", ALICE));
    assert_eq!(send(&click)["statusCode"], 200);
    assert_eq!(send(&click)["statusCode"], 409, "the same again");
    let forged = Signed { signature: format!("v0={}", "0".repeat(64)), ..Signed::now(&json!({})) };
    assert_eq!(send(&forged)["statusCode"], 401);
    let refused = send(&Signed::now(&world.slack.submit(EVE)));
    assert!(refused["body"].as_str().is_some_and(|b| b.contains("not among those")), "{refused}");
    assert_eq!(send(&Signed::now(&world.slack.submit(ALICE)))["statusCode"], 200);
    world.hears("Approved, about to run");
    // Nothing comes but the clock: a scheduled event, as infra sends one every minute; and SSM's own word.
    let tick = json!({ "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": world.aws.account(), "time": Timestamp::now().to_string(), "region": REGION, "resources": [], "detail": {} });
    world.ssm.control("wait", json!({ "execution": world.ssm.executions()[0]["AutomationExecutionId"] }));
    let execution = world.ssm.executions()[0]["AutomationExecutionId"].clone();
    let said = changed(
        "ssm-automation/01-somebody-elses-run-succeeded.json",
        &[("/account", json!(world.aws.account())), ("/detail/ExecutionId", execution)],
    );
    function.invoke(&sqs_event(&[said], 1)).expect("an answer");
    world.hears("Applied and verified");
    function.invoke(&tick).expect("an answer");
    assert_eq!((world.rules(&group), world.ssm.executions().len()), (0, 1));
}
