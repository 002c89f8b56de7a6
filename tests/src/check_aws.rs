//! `check --aws`: what the first event would need is proved before it comes.
use crate::{
    exit_codes::said,
    harness::{Home, Output, command},
    live::{
        aws::{Aws, Queue},
        daemon,
        process::Process,
        slack::{self, Slack},
        ssm::Ssm,
    },
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use std::time::Duration;

/// A Slack, an account, and a folder with a configuration.
pub(crate) struct World {
    pub(crate) slack: Slack,
    pub(crate) aws: Aws,
    pub(crate) home: Home,
}

/// The secret of the tests' `POST /events`.
pub(crate) const HTTP_TOKEN: &str = "the-token-of-post-events";
/// One route for everything.
pub(crate) const ROUTES: &str = "operations = 'slack:#operations'\n[[route]]\nto = ['slack:#security']\n";

impl World {
    pub(crate) fn new(config: &str) -> Self {
        Self { slack: Slack::start(&["security", "operations"]), aws: Aws::start(), home: Home::with(config) }
    }

    /// A queue as it should be.
    pub(crate) fn queue(&self) -> Queue {
        self.aws.queue("findings", Duration::from_mins(1), 10)
    }

    /// The environment, with some of it changed; an empty value takes a variable out.
    pub(crate) fn env(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let ours =
            [("SLACK_BOT_TOKEN", slack::TOKEN), ("SLACK_API_URL", &self.slack.api_url()), ("SLACK_PACE_MS", "0")];
        let mut env = self.aws.env();
        for (name, value) in ours.iter().chain(changes) {
            env.retain(|(known, _)| known != name);
            if !value.is_empty() {
                env.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        env
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str], changes: &[(&str, &str)]) -> Output {
        let output = command(self.home.path(), args).envs(self.env(changes)).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        let output = Output { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() };
        self.keeps_secrets(&output.seen());
        output
    }

    /// Starts `serve`.
    #[track_caller]
    pub(crate) fn serve(&self, args: &[&str], changes: &[(&str, &str)]) -> Process {
        daemon::serve(&self.home, args, &self.env(changes))
    }

    /// No secret is ever printed.
    #[track_caller]
    pub(crate) fn keeps_secrets(&self, text: &str) {
        for secret in [slack::TOKEN, HTTP_TOKEN, &self.slack.webhook_url("security")] {
            assert!(!text.contains(secret), "{secret} in\n{text}");
        }
    }

    /// A snapshot, in which this run's account and ports are as every run's.
    #[track_caller]
    pub(crate) fn said(&self, name: &str, output: Output) {
        let same = |text: String| {
            let text = text.replace(self.aws.account(), "111122223333");
            let endpoint = &self.aws.env()[0].1;
            let text = text.replace(endpoint, "http://aws").replace(&self.slack.api_url(), "http://slack/api/");
            let text = text.replace(&endpoint.replace("127.0.0.1", "localhost"), "http://aws");
            let stamps = self.slack.messages().into_iter().map(|m| m.ts.replace('.', ""));
            stamps.fold(text, |text, ts| text.replace(&ts, "1712345678123456"))
        };
        said(name, &Output { stdout: same(output.stdout), stderr: same(output.stderr), code: output.code });
    }
}

const CHECK: [&str; 2] = ["check", "--aws"];

#[test]
fn all_is_well() {
    let world = World::new(&format!("{ROUTES}[ledger]\ntable = 'ledger'\n[publish]\nbus = 'told'\n"));
    let queue = world.queue();
    let published = world.aws.queue("published", Duration::from_mins(1), 10);
    world.aws.bus("told", &published);
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str()), ("SLACK_SIGNING_SECRET", "signing")];
    world.said("ledger-create", world.run(&["ledger", "create"], &env).ended(0));
    world.said("check-aws-good", world.run(&CHECK, &env).ended(0));
    let lines = world.run(&["check", "--aws", "--format", "json"], &env).ended(0).json();
    assert!(lines.len() >= 8 && lines.iter().all(|line| line["level"] == "ok"), "{lines:?}");
    assert!(world.slack.messages().is_empty(), "{}", world.slack.dump());
    assert_eq!(world.aws.count(&queue.url).visible, 0);
}

/// What could start is there, and takes what playbooks give it; one document is not, one is another one than ours.
#[test]
fn runbooks_are_looked_at_before_they_are_needed() {
    let mut world = World::new("");
    let account = world.aws.account().to_owned();
    let config = format!(
        "{ROUTES}[accounts.\"{account}\"]\nenvironment = 'production'\n[remediation]\nmode = 'approve'\naccounts = ['{account}']\n\
         runbooks = ['FindingsRouter-CloseAdminPorts', 'FindingsRouter-DenyUser', 'FindingsRouter-RestartTrail']\n\
         [remediation.approval]\napprovers.production = ['S0LEADS', 'S0NOBODY']\n"
    );
    world.home = Home::with(&config);
    world.slack.group("S0LEADS", &["U0ALICE01", "U0LEADER1"]);
    let ssm = Ssm::of(&world.aws);
    ssm.control("document", json!({ "name": "FindingsRouter-RestartTrail", "absent": true }));
    let queue = world.queue();
    let url = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let output = world.run(&CHECK, &[&url[..], &ssm.env()[..]].concat()).ended(1).stdout;
    for part in [
        format!("ok: 2 runbooks are in {account}/"),
        format!("error: FindingsRouter-RestartTrail is not in {account}/"),
        "warning: no role is named for runbooks to run in".to_owned(),
        "ok: Slack: 2 people are in the user group S0LEADS".to_owned(),
        "error: who is in the user group S0NOBODY cannot be told: Slack refuses (no_such_subteam)".to_owned(),
    ] {
        assert!(output.contains(&part), "{part:?} in\n{output}");
    }
    let denied = json!({ "operation": "DescribeDocument", "error": "deny", "times": 9 });
    ssm.control("script", denied);
    let output = world.run(&CHECK, &[&url[..], &ssm.env()[..]].concat()).ended(1).stdout;
    assert!(output.contains("cannot be looked at: DescribeDocument is not allowed"), "{output}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let config = "[[route]]\nto = ['slack:#securty']\nseverity = 'high'\n[ledger]\ntable = 'nowhere'\n[publish]\nbus = 'nobody'\n\
                  [http]\ntoken = 'env:NOT_SET'\n[queue]\nurl = 'http://localhost:1/111122223333/missing'\n";
    let world = World::new(config);
    world.slack.set_scopes(&["channels:read", "groups:read"]);
    world.said("check-aws-bad", world.run(&CHECK, &[]).ended(1));
    let lines = world.run(&["check", "--aws", "--format", "json"], &[]).ended(1).json();
    let wrong = lines.iter().filter(|line| line["level"] == "error").count();
    assert!(wrong >= 6, "{wrong} in {lines:?}");
}

#[test]
fn a_queue_that_buries_findings_is_a_warning() {
    let world = World::new(ROUTES);
    let queue = world.aws.queue("findings", Duration::from_mins(1), 3);
    let dead = Queue { url: queue.dead_letters.clone(), ..queue.clone() };
    world.aws.send(&dead, &["a finding", "another"]);
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let output = world.run(&CHECK, &env).ended(0).stdout;
    for part in ["warning: the queue's maxReceiveCount is 3", "is not empty (2): findings that nobody was told of"] {
        assert!(output.contains(part), "{part:?} in\n{output}");
    }
    let bare = world.aws.sqs().create_queue().queue_name("bare").attributes(QueueAttributeName::VisibilityTimeout, "5");
    let bare = world.aws.wait(bare.send()).expect("a queue").queue_url.expect("a URL");
    let output = world.run(&CHECK, &[("FINDINGS_ROUTER_QUEUE_URL", &bare)]).ended(0).stdout;
    assert!(output.contains("warning: the queue has no dead-letter queue"), "{output}");
}

/// The ledger in a file: not there yet, in use by `serve`, free again, no ledger at all.
#[test]
fn the_file_is_told_of_as_it_is() {
    let world = World::new(ROUTES);
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let ledger = |part: &str, code: i32| {
        let output = world.run(&CHECK, &env).ended(code).stdout;
        assert!(output.contains(part), "{part:?} in\n{output}");
    };
    ledger("ok: the ledger findings-router.ledger is not there yet: `serve` makes it", 0);
    let daemon = world.serve(&[], &env);
    daemon.wait_for_line(Duration::from_secs(10), "consuming");
    ledger("ok: the ledger findings-router.ledger opens, and is in use by a running `serve`", 0);
    daemon.kill9();
    ledger("ok: the ledger findings-router.ledger opens, and nobody else writes it", 0);
    std::fs::write(world.home.path().join("findings-router.ledger"), "not a ledger").expect("writable");
    ledger("error: findings-router.ledger is not a ledger", 1);
}
