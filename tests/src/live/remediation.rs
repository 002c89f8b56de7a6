//! Remediations from outside: the real router between people in Slack and SSM, which really runs our documents.
mod ways;

use super::{
    aws::Aws,
    daemon,
    http::{ask, status},
    problems::env,
    process::{Process, wait_for},
    slack::{
        self, Message, Slack,
        people::{SIGNING_SECRET, Signed, actions, sign},
    },
    ssm::{REGION, Ssm},
};
use crate::harness::{Home, changed};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

const TOKEN: &str = "correct-horse-battery-staple";
const OPERATORS: &str = "the-token-of-those-who-run-it";
const ALICE: &str = "U0ALICE01";
const LEADER: &str = "U0LEADER1";
const EVE: &str = "U0EVE0001";
const LONG: Duration = Duration::from_secs(40);

/// What may be done in this account, behind a button.
fn config(account: &str, more: &str) -> String {
    format!(
        "[accounts.\"{account}\"]\nname = 'shop'\nenvironment = 'production'\n[slack]\ninteractive = true\n\
         [remediation]\nmode = 'approve'\naccounts = ['{account}']\neffects = {{ production = 'disruptive' }}\n\
         automation-role = 'arn:{{partition}}:iam::{{account}}:role/{{runbook}}'\n{more}\n\
         [remediation.approval]\napprovers.production = ['{ALICE}', 'S0LEADS']\n"
    )
}

/// Config's word on a security group, now or so many seconds from now.
fn rule(account: &str, group: &str, open: bool, later: i64) -> String {
    let at = (Timestamp::now() + SignedDuration::from_secs(later)).to_string();
    changed(
        "config-open-ssh/01-first-evaluation.json",
        &[
            ("/id", json!(format!("{group}-{open}-{at}"))),
            ("/account", json!(account)),
            ("/time", json!(at)),
            ("/detail/resourceId", json!(group)),
            ("/detail/awsAccountId", json!(account)),
            (
                "/detail/newEvaluationResult/evaluationResultIdentifier/evaluationResultQualifier/resourceId",
                json!(group),
            ),
            ("/detail/newEvaluationResult/complianceType", json!(if open { "NON_COMPLIANT" } else { "COMPLIANT" })),
            ("/detail/newEvaluationResult/resultRecordedTime", json!(at)),
        ],
    )
}

/// The daemon between its neighbours.
struct World {
    slack: Slack,
    ssm: Ssm,
    aws: Aws,
    home: Home,
    env: Vec<(String, String)>,
}

impl World {
    fn new(more: &str) -> Self {
        let aws = Aws::start();
        let config = config(aws.account(), more);
        Self::with(aws, &config)
    }

    fn with(aws: Aws, config: &str) -> Self {
        let (slack, ssm) = (Slack::start(&["security"]), Ssm::of(&aws));
        slack.group("S0LEADS", &[LEADER]);
        let home = Home::with(config);
        let secrets = [
            ("SLACK_SIGNING_SECRET", SIGNING_SECRET),
            ("FINDINGS_ROUTER_HTTP_TOKEN", TOKEN),
            ("FINDINGS_ROUTER_OPERATOR_TOKEN", OPERATORS),
        ];
        let env = env(&slack, &aws, &[&secrets[..], &ssm.env()[..]].concat());
        Self { slack, ssm, aws, home, env }
    }

    fn daemon(&self) -> (Process, SocketAddr) {
        let daemon = daemon::serve(&self.home, &["--listen", "127.0.0.1:0"], &self.env);
        let line = daemon.wait_for_line(Duration::from_secs(30), "listening on http://");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        let address = address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
        (daemon, address)
    }

    /// A group that lets the world in by SSH, in the emulated account.
    fn open_group(&self) -> String {
        let vpc = self.ssm.aws("ec2", "CreateVpc", &json!({ "CidrBlock": "10.0.0.0/16" }));
        let group = json!({ "GroupName": "web", "Description": "web", "VpcId": vpc["Vpc"]["VpcId"] });
        let group = self.ssm.aws("ec2", "CreateSecurityGroup", &group)["GroupId"].as_str().expect("an id").to_owned();
        let rule =
            json!({ "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] });
        self.ssm.aws("ec2", "AuthorizeSecurityGroupIngress", &json!({ "GroupId": group, "IpPermissions": [rule] }));
        group
    }

    /// How many rules let somebody in.
    fn rules(&self, group: &str) -> usize {
        let groups = self.ssm.aws("ec2", "DescribeSecurityGroups", &json!({ "GroupIds": [group] }));
        groups["SecurityGroups"][0]["IpPermissions"].as_array().map_or(0, Vec::len)
    }

    /// The card of the problem, once it is as wanted.
    #[track_caller]
    fn card(&self, wanted: impl Fn(&Message) -> bool) -> Message {
        let is = |m: &&Message| m.thread_ts.is_none() && wanted(m);
        let messages = self.slack.wait_until(LONG, |messages| messages.iter().any(|m| is(&m)));
        messages.iter().find(|m| is(m)).expect("as waited for").clone()
    }

    #[track_caller]
    fn says(&self, text: &str) -> Message {
        self.card(|m| m.blocks.to_string().contains(text))
    }

    /// A reply in the card's thread.
    #[track_caller]
    fn hears(&self, text: &str) -> Message {
        let is = |m: &&Message| m.thread_ts.is_some() && m.text.contains(text);
        let messages = self.slack.wait_until(LONG, |messages| messages.iter().any(|m| is(&m)));
        messages.iter().find(|m| is(m)).expect("as waited for").clone()
    }
}

#[track_caller]
fn tell(at: SocketAddr, event: &str) {
    let (head, said) =
        ask(at, "POST", "/events", &[("authorization", &format!("Bearer {TOKEN}"))], event).expect("an answer");
    assert_eq!(status(&head), 200, "{said}");
}

/// Clicks a button, and fills in the dialog that it opens.
#[track_caller]
fn approve(world: &World, at: SocketAddr, action: &str, user: &str) -> (u16, String) {
    let card = world.card(|m| actions(m).iter().any(|a| a["action_id"] == action));
    let dialogs = world.slack.dialogs().len();
    let click = Signed::now(&world.slack.click(&card, action, user)).send(at);
    assert_eq!(click, (200, String::new()));
    assert_eq!(world.slack.dialogs().len(), dialogs + 1, "{:?}", world.slack.whispers());
    Signed::now(&world.slack.submit(user)).send(at)
}

#[test]
fn from_a_click_to_the_source_and_back() {
    let world = World::new("");
    let (daemon, at) = world.daemon();
    let group = world.open_group();
    tell(at, &rule(&world.ssm.account, &group, true, 0));
    let card = world.says("FindingsRouter-CloseAdminPorts");
    let buttons: Vec<_> = actions(&card).iter().filter_map(|a| a["action_id"].as_str()).collect();
    assert_eq!(buttons, ["approve", "deny", "acknowledge", "snooze"]);
    assert_eq!(world.ssm.executions().len(), 0, "nothing without consent");

    // The dialog says exactly what will run.
    let answered = approve(&world, at, "approve", ALICE);
    assert_eq!(answered, (200, String::new()));
    let dialog = world.slack.dialogs()[0]["blocks"].to_string();
    let role = format!("AutomationAssumeRole=arn:aws:iam::{}:role/FindingsRouter-CloseAdminPorts", world.ssm.account);
    for part in [&format!("GroupId={group}"), "Action=Apply", &role, REGION, "Undo: `FindingsRouter-CloseAdminPorts`"] {
        assert!(dialog.contains(part), "{part} is not in {dialog}");
    }
    world.hears("Approved, about to run");
    world.hears("Applied and verified");
    assert_eq!(world.rules(&group), 0, "the port is closed");
    let execution = &world.ssm.executions()[0];
    assert_eq!((&execution["account"], &execution["region"]), (&json!(world.ssm.account), &json!(REGION)));

    tell(at, &rule(&world.ssm.account, &group, false, 60));
    world.card(|m| m.text.starts_with('✅'));

    // Back as it was.
    assert_eq!(approve(&world, at, "undo", ALICE), (200, String::new()));
    world.hears("Undone");
    assert_eq!(world.rules(&group), 1, "as it was recorded");
    assert_eq!(world.ssm.executions().len(), 2);
    world.says("Undone");

    let counted = || {
        let metrics = daemon::get(at, "/metrics").1;
        let counted =
            |state: &str| metrics.contains(&format!("findings_router_remediations_total{{state=\"{state}\"}} 1\n"));
        ["started", "succeeded", "verified", "undone"].into_iter().all(counted)
    };
    wait_for("every turn is counted once", counted);

    let page = world.home.run(&["remediation", "list", "--all", "--format", "json"]).stdout;
    let listed: Value = serde_json::from_str(page.lines().next().expect("one")).expect("JSON");
    assert_eq!(listed["remediation"]["progress"], "undone");
    let turns: Vec<_> =
        listed["remediation"]["turns"].as_array().expect("turns").iter().filter_map(|t| t["what"].as_str()).collect();
    assert_eq!(turns, ["approved", "started", "succeeded", "verified", "undoing", "undo-started", "undone"]);
    assert!(daemon.sigterm(LONG).0.success());
}

#[test]
fn clicks_that_are_forged_replayed_late_or_not_allowed_start_nothing() {
    let world = World::new("");
    let (daemon, at) = world.daemon();
    tell(at, &rule(&world.ssm.account, "sg-0123456789abcdef0", true, 0));
    let card = world.says("FindingsRouter-CloseAdminPorts");
    let click = |user: &str| world.slack.click(&card, "approve", user);

    let good = Signed::now(&click(ALICE));
    let forged = Signed {
        signature: sign("another secret", good.timestamp.parse().expect("a number"), &good.body),
        ..good.clone()
    };
    assert_eq!(forged.send(at).0, 401, "forged");
    let changed = Signed { body: good.body.replace("U0ALICE01", "U0LEADER1"), ..good.clone() };
    assert_eq!(changed.send(at).0, 401, "changed on the way");
    let now = Timestamp::now().as_second();
    assert_eq!(Signed::at(&click(ALICE), now - 301).send(at).0, 401, "late");
    assert_eq!(Signed::at(&click(ALICE), now + 301).send(at).0, 401, "from the future");
    assert_eq!(good.send(at).0, 200);
    assert_eq!(good.send(at).0, 409, "the same again");
    let shouted = Signed { signature: good.signature.to_uppercase().replace('V', "v"), ..good.clone() };
    assert_eq!(shouted.send(at).0, 409, "and in other letters");
    assert_eq!(world.slack.dialogs().len(), 1, "of all these, one was Slack's");

    assert_eq!(Signed::now(&click(EVE)).send(at).0, 200, "Slack is answered");
    let (to, said) = world.slack.whispers().pop().expect("a word to whoever clicked");
    assert!(to == EVE && said.contains("not among those who may approve"), "{to} {said}");
    // Eve fills in the dialog that Alice opened.
    let (status, answer) = Signed::now(&world.slack.submit(EVE)).send(at);
    assert!(status == 200 && answer.contains("not among those who may approve"), "{answer}");
    // Alice's dialog shows what is no more.
    let mut stale = world.slack.submit(ALICE);
    let kept = stale["view"]["private_metadata"].as_str().expect("kept").to_owned();
    let mut kept: Value = serde_json::from_str(&kept).expect("JSON");
    kept["plan"] = json!("another plan");
    stale["view"]["private_metadata"] = json!(kept.to_string());
    let (_, answer) = Signed::now(&stale).send(at);
    assert!(answer.contains("has changed since it was shown"), "{answer}");
    assert_eq!(world.ssm.executions().len(), 0);

    // Those who run it see all of it.
    for part in
        ["made with another secret", "a replay, or a clock is wrong", "came before was refused", "not among those"]
    {
        daemon.wait_for_line(Duration::from_secs(5), part);
    }
    let metrics = daemon::get(at, "/metrics").1;
    for line in ["outcome=\"forged\"", "outcome=\"replayed\"", "outcome=\"refused\""] {
        assert!(
            metrics.lines().any(|l| l.starts_with("findings_router_asked_total") && l.contains(line)),
            "{line} {metrics}"
        );
    }
    assert!(
        metrics.contains("outcome=\"refused\"} 3") || metrics.contains("what=\"approve\",outcome=\"refused\"} 3"),
        "{metrics}"
    );
    let shown = world.home.run(&["remediation", "list", "--format", "json"]);
    assert!(shown.stdout.contains("has changed since it was shown"), "the ledger keeps the last: {}", shown.stdout);
}

#[test]
fn a_leader_may_and_two_are_needed_where_it_reaches_far() {
    let two = "[remediation.approval.two-people]\nproduction = 'reversible'\n";
    let aws = Aws::start();
    let config = format!("{}{two}", config(aws.account(), ""));
    let world = World::with(aws, &config);
    let (_daemon, at) = world.daemon();
    let group = world.open_group();
    tell(at, &rule(&world.ssm.account, &group, true, 0));
    world.says("approved by 0 of 2");
    assert_eq!(approve(&world, at, "approve", ALICE), (200, String::new()));
    world.says("approved by 1 of 2");
    let card = world.says("FindingsRouter-CloseAdminPorts");
    assert_eq!(Signed::now(&world.slack.click(&card, "approve", ALICE)).send(at).0, 200);
    let (_, answer) = Signed::now(&world.slack.submit(ALICE)).send(at);
    assert!(answer.contains("somebody else has to, too"), "{answer}");
    assert_eq!(world.ssm.executions().len(), 0);
    assert_eq!(approve(&world, at, "approve", LEADER), (200, String::new()));
    world.hears("Applied and verified");
    assert_eq!(world.rules(&group), 0);
}

#[test]
fn deny_acknowledge_and_snooze() {
    let world = World::new("");
    let (_daemon, at) = world.daemon();
    tell(at, &rule(&world.ssm.account, "sg-0123456789abcdef0", true, 0));
    let card = world.says("FindingsRouter-CloseAdminPorts");
    let click = |card: &Message, action: &str| Signed::now(&world.slack.click(card, action, ALICE)).send(at).0;
    assert_eq!(click(&card, "snooze"), 200);
    world.says("Snoozed by <@U0ALICE01> until");
    assert_eq!(click(&card, "acknowledge"), 200);
    let card = world.says("Acknowledged by <@U0ALICE01>");
    assert_eq!(click(&card, "deny"), 200);
    world.says("Denied");
    let denied = world.hears("Denied");
    assert!(denied.blocks.to_string().contains("<@U0ALICE01>"), "{}", denied.blocks);
    let card = world.card(|m| !actions(m).iter().any(|a| a["action_id"] == "approve"));
    assert!(actions(&card).iter().all(|a| a["action_id"] != "acknowledge"), "nothing to acknowledge any more");
    assert_eq!(world.ssm.executions().len(), 0);
}

/// What SSM answers, what becomes of it, and how many executions there are in the end.
#[test]
fn whatever_ssm_answers_is_told_and_nothing_runs_twice() {
    struct Row {
        sentence: &'static str,
        script: Value,
        hears: &'static str,
        why: &'static str,
        executions: usize,
    }
    let failed = |sentence, script, why| Row { sentence, script, hears: "Failed", why, executions: 0 };
    let runs = |sentence, script| Row { sentence, script, hears: "Applied and verified", why: "", executions: 1 };
    let rows = [
        failed("Not allowed.", json!({ "error": "deny" }), "iam:PassRole"),
        failed(
            "No such document.",
            json!({ "error": "AutomationDefinitionNotFoundException" }),
            "there is no document",
        ),
        failed(
            "Other parameters.",
            json!({ "error": "InvalidAutomationExecutionParametersException" }),
            "does not take these parameters",
        ),
        runs("Too many calls.", json!({ "error": "throttle", "times": 4 })),
        runs("Its own trouble.", json!({ "error": "fault", "times": 4 })),
        runs("The line is cut before.", json!({ "close": "before", "times": 4 })),
        runs("The line is cut after.", json!({ "close": "after" })),
    ];
    // Many at once, so that some are told as lines of a storm: their buttons are there, too.
    let world = World::new("breaker = { failures = 100 }\nbudget = { starts = 100 }");
    world.ssm.control("settings", json!({ "quotas": false }));
    let (_daemon, at) = world.daemon();
    for Row { sentence, script, hears, why, executions } in rows {
        let group = world.open_group();
        let before = world.ssm.executions().len();
        world.ssm.meets("StartAutomationExecution", &script);
        tell(at, &rule(&world.ssm.account, &group, true, 0));
        let offered = |m: &&Message| m.text.contains(&group) && actions(m).iter().any(|a| a["action_id"] == "approve");
        let messages = world.slack.wait_until(LONG, |messages| messages.iter().any(|m| offered(&m)));
        let card = messages.iter().find(|m| offered(m)).expect("as waited for").clone();
        assert_eq!(Signed::now(&world.slack.click(&card, "approve", ALICE)).send(at).0, 200);
        assert_eq!(Signed::now(&world.slack.submit(ALICE)).send(at), (200, String::new()), "{sentence}");
        let is = |m: &&Message| m.thread_ts.is_some() && m.text.contains(&group) && m.text.contains(hears);
        let messages = world.slack.wait_until(LONG, |messages| messages.iter().any(|m| is(&m)));
        let told = messages.iter().find(|m| is(m)).expect("as waited for");
        assert!(told.text.contains(why) || told.blocks.to_string().contains(why), "{sentence} {}", told.blocks);
        assert_eq!(world.ssm.executions().len() - before, executions, "{sentence}");
        // What failed goes into the channel itself.
        assert_eq!(told.broadcast, hears == "Failed", "{sentence}");
    }
}

#[test]
fn however_an_execution_ends_the_thread_says_so() {
    let rows = [
        ("TimedOut", "Failed", "it took too long"),
        ("Cancelled", "Failed", "somebody stopped it"),
        ("Failed", "Failed", "the cluster is not there"),
        ("PendingApproval", "Waits for a person", ""),
    ];
    let world = World::new("breaker = { failures = 100 }");
    world.ssm.control("settings", json!({ "quotas": false }));
    let (_daemon, at) = world.daemon();
    let mut expected = Vec::new();
    for (number, (status, hears, why)) in rows.into_iter().enumerate() {
        // AWS's own documents end as they are told to.
        let cluster = format!("warehouse-{number}");
        let waits = status == "PendingApproval";
        let step = json!([{ "name": "Revoke", "status": if waits { status } else { "Failed" }, "failure": why }]);
        let ends = json!([{ "status": status, "failure": why, "steps": step }]);
        world.ssm.control("next", json!({ "document": REDSHIFT, "statuses": ends }));
        tell(at, &redshift(&world.ssm.account, &cluster));
        let card = world.card(|m| m.text.contains(&cluster));
        assert_eq!(Signed::now(&world.slack.click(&card, "approve", ALICE)).send(at).0, 200);
        assert_eq!(Signed::now(&world.slack.submit(ALICE)).send(at), (200, String::new()), "{status}");
        expected.push((card.ts, hears, why));
    }
    for (card, hears, why) in expected {
        let is = |m: &&Message| m.thread_ts.as_ref() == Some(&card) && m.text.contains(hears);
        let messages = world.slack.wait_until(LONG, |messages| messages.iter().any(|m| is(&m)));
        let told = messages.iter().find(|m| is(m)).expect("as waited for").blocks.to_string();
        assert!(told.contains(why) && told.contains("Revoke"), "{hears} {told}");
        assert!(told.contains("/systems-manager/automation/execution/"), "{hears}: a link");
    }
}

const REDSHIFT: &str = "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster";

fn redshift(account: &str, cluster: &str) -> String {
    let at = Timestamp::now().to_string();
    changed(
        "remediation-config/07-warehouse-on-the-internet.json",
        &[
            ("/id", json!(format!("{cluster}-{at}"))),
            ("/account", json!(account)),
            ("/time", json!(at)),
            ("/detail/resourceId", json!(cluster)),
            ("/detail/awsAccountId", json!(account)),
            (
                "/detail/newEvaluationResult/evaluationResultIdentifier/evaluationResultQualifier/resourceId",
                json!(cluster),
            ),
            ("/detail/newEvaluationResult/resultRecordedTime", json!(at)),
        ],
    )
}

#[test]
fn another_account_is_entered_by_its_role_and_no_other_way() {
    let member = "444455556666";
    let role = format!("arn:aws:iam::{member}:role/findings-router-member");
    for (sentence, external_id, runs) in [("As agreed.", "the-external-id", true), ("Another one.", "a-guess", false)] {
        let aws = Aws::start();
        let more =
            "role = 'arn:{partition}:iam::{account}:role/findings-router-member'\nexternal-id = 'env:EXTERNAL_ID'";
        let config = config(member, more).replace("mode = 'approve'", "mode = 'automatic'");
        let mut world = World::with(aws, &config);
        world.env.push(("EXTERNAL_ID".to_owned(), external_id.to_owned()));
        world.ssm.control("role", json!({ "arn": role, "external_id": "the-external-id" }));
        let there = Ssm { account: member.to_owned(), ..Ssm::of(&world.aws) };
        let before = there.executions().len();
        let (_daemon, at) = world.daemon();
        tell(at, &redshift(member, &format!("cluster-{runs}")));
        if runs {
            world.hears("Running");
        } else {
            let told = world.hears("Failed");
            assert!(told.blocks.to_string().contains("AssumeRole"), "{sentence} {}", told.blocks);
        }
        assert_eq!(there.executions().len() - before, usize::from(runs), "{sentence}");
        assert_eq!(world.ssm.executions().len(), 0, "{sentence} never in the router's own account");
    }
    let world = World::with(Aws::start(), &config(member, "").replace("mode = 'approve'", "mode = 'automatic'"));
    let (_daemon, at) = world.daemon();
    tell(at, &redshift(member, "cluster-without-role"));
    let told = world.hears("Failed");
    assert!(told.blocks.to_string().contains("set remediation.role"), "{}", told.blocks);
}

#[test]
fn kill_9_at_any_moment_starts_nothing_twice() {
    let aws = Aws::start();
    let automatic = config(aws.account(), "cooldown = '0s'\nbudget = { starts = 100 }")
        .replace("mode = 'approve'", "mode = 'automatic'");
    let world = World::with(aws, &automatic);
    world.ssm.control("settings", json!({ "quotas": false }));
    let groups: Vec<String> = (0..6).map(|_| world.open_group()).collect();
    for (number, group) in groups.iter().enumerate() {
        // It dies while SSM is at it: later and later.
        world.ssm.meets("StartAutomationExecution", &json!({ "delay_ms": 300 }));
        let (daemon, at) = world.daemon();
        let event = rule(&world.ssm.account, group, true, 0);
        let told = std::thread::spawn(move || {
            let _ = ask(at, "POST", "/events", &[("authorization", &format!("Bearer {TOKEN}"))], &event);
        });
        std::thread::sleep(Duration::from_millis(60 * (number as u64 + 1)));
        daemon.kill9();
        told.join().expect("it ends");
    }
    let (_daemon, at) = world.daemon();
    for group in &groups {
        tell(at, &rule(&world.ssm.account, group, true, 1));
    }
    let started = |world: &World| -> usize { world.ssm.executions().len() };
    let end = std::time::Instant::now() + Duration::from_secs(200);
    while started(&world) < groups.len() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
    }
    for group in &groups {
        let of: Vec<_> =
            world.ssm.executions().into_iter().filter(|e| e.to_string().contains(group.as_str())).collect();
        assert_eq!(of.len(), 1, "{group}: {}", world.slack.dump());
    }
}
