//! `check --aws`: proves what the first event would need, in the world: credentials, queue, ledger, secrets, Slack, bus.
//! Nothing is sent, posted or made.
mod runbooks;

use super::{ledger, queue, setup::Setup};
use crate::{
    act::ports::Trouble,
    decide::config::{Config, DESTINATION, Live, Reference, Route, Store},
    ends::{
        connect::{Aws, env, slack_settings},
        ledger::Embedded,
        secrets,
        slack::Slack,
    },
};
use aws_sdk_sqs::{
    config::ProvideCredentials,
    error::{DisplayErrorContext, ProvideErrorMetadata},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::Path};

/// Fewer receives bury findings while Slack is away for an hour: waits grow to a quarter of one.
const RECEIVES_MIN: u64 = 10;

const BOT_TOKEN: &str = "Slack's bot token";

/// One thing that was looked at.
#[derive(Debug)]
pub struct Remark {
    /// `ok`, `warning` or `error`.
    pub level: &'static str,
    /// What was found.
    pub what: String,
    /// What to do; empty where there is nothing to, or where it has been said.
    pub help: String,
}

/// What was found so far.
#[derive(Default)]
struct Remarks(Vec<Remark>);

impl Remarks {
    fn add(&mut self, level: &'static str, what: impl Into<String>, help: impl Into<String>) {
        self.0.push(Remark { level, what: what.into(), help: help.into() });
    }

    fn ok(&mut self, what: impl Into<String>) {
        self.add("ok", what, "");
    }
}

/// Looks at everything that the configuration names.
pub async fn look(setup: &Setup) -> Vec<Remark> {
    let (config, aws) = (&setup.policy.config, Aws::default());
    let (live, mut remarks) = (&config.live, Remarks::default());
    let reachable = !needs_aws(config) || credentials(&aws, &mut remarks).await;
    match &live.queue {
        Some(url) if reachable => {
            of_queue(&aws_sdk_sqs::Client::new(&aws.quick().await), url, &mut remarks).await;
        }
        Some(_) => {}
        None if live.listen.is_some() && live.http_token.is_some() => {
            remarks.ok("no queue is named: events come by POST /events");
        }
        None => remarks.add(
            "error",
            "no events come in: neither a queue is named, nor an address with a token for POST /events",
            "set [queue] url or FINDINGS_ROUTER_QUEUE_URL; or [http] listen and token",
        ),
    }
    match live.store() {
        Store::File(path) => of_file(Path::new(&path), &mut remarks),
        Store::Table(table) if reachable => of_table(live, table, &aws, &mut remarks).await,
        Store::Table(_) => {}
    }
    of_slack(config, &aws, reachable, &mut remarks).await;
    if reachable && !config.remediation.accounts.is_empty() {
        runbooks::of_runbooks(setup, &aws, &mut remarks).await;
    }
    if let Some(bus) = live.bus.as_ref().filter(|_| reachable) {
        of_bus(&aws_sdk_eventbridge::Client::new(&aws.quick().await), bus, &mut remarks).await;
    }
    remarks.0
}

fn needs_aws(config: &Config) -> bool {
    let live = &config.live;
    let starts = !config.remediation.accounts.is_empty();
    let secrets = secrets_of(live).into_iter().any(|(_, reference)| is_in_aws(reference));
    live.queue.is_some() || live.bus.is_some() || matches!(live.store(), Store::Table(_)) || secrets || starts
}

fn is_in_aws(reference: &Reference) -> bool {
    !matches!(reference, Reference::Env(_))
}

/// Whether it makes sense to ask AWS anything.
async fn credentials(aws: &Aws, remarks: &mut Remarks) -> bool {
    let config = aws.config().await;
    let Some(region) = config.region() else {
        remarks.add("error", "no AWS Region is set", "set AWS_REGION, or region in the AWS profile");
        return false;
    };
    let help = "give the machine, task or function a role; elsewhere set AWS_PROFILE, or run `aws configure`";
    let Some(provider) = config.credentials_provider() else {
        remarks.add("error", "there are no AWS credentials", help);
        return false;
    };
    match provider.provide_credentials().await {
        Ok(_) => remarks.ok(format!("AWS credentials are there, for the Region {region}")),
        Err(error) => {
            remarks.add("error", format!("there are no AWS credentials: {}", DisplayErrorContext(&error)), help);
            return false;
        }
    }
    true
}

async fn of_queue(client: &aws_sdk_sqs::Client, url: &str, remarks: &mut Remarks) {
    let found = match queue::look(client, url).await {
        Ok(found) => found,
        Err(why) => return remarks.add("error", why, ""),
    };
    let queue::Queue { arn, waiting, in_flight, encryption, .. } = found;
    remarks.ok(format!("the queue {arn} is there: {waiting} waiting, {in_flight} in flight, {encryption}"));
    let Some(dead) = found.dead_letters else {
        return remarks.add(
            "warning",
            "the queue has no dead-letter queue: what cannot be read comes again until its retention ends",
            "give it a redrive policy with maxReceiveCount 10 or more",
        );
    };
    if dead.receives_max < RECEIVES_MIN {
        remarks.add(
            "warning",
            format!(
                "the queue's maxReceiveCount is {}: a Slack outage of an hour would bury findings",
                dead.receives_max
            ),
            format!("set it to {RECEIVES_MIN} or more in the queue's redrive policy"),
        );
    }
    match dead.depth {
        Ok(0) => remarks.ok(format!("the dead-letter queue {} is empty", dead.arn)),
        Ok(depth) => remarks.add(
            "warning",
            format!("the dead-letter queue {} is not empty ({depth}): findings that nobody was told of", dead.arn),
            "the router's log says why (ERROR); mend that, then `aws sqs start-message-move-task` brings them back",
        ),
        Err(why) => remarks.add("warning", format!("the dead-letter queue cannot be looked at: {why}"), ""),
    }
}

fn of_file(path: &Path, remarks: &mut Remarks) {
    let shown = path.display();
    if !path.exists() {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return if folder.is_dir() {
            remarks.ok(format!("the ledger {shown} is not there yet: `serve` makes it"));
        } else {
            let what = format!("the ledger {shown} cannot be made: there is no folder {}", folder.display());
            remarks.add("error", what, "make the folder, or change [ledger] file");
        };
    }
    match Embedded::open(path) {
        Ok(_) => remarks.ok(format!("the ledger {shown} opens, and nobody else writes it")),
        Err(why) if why.contains("is in use") && Embedded::open_to_read(path).is_ok() => {
            remarks.ok(format!("the ledger {shown} opens, and is in use by a running `serve`"));
        }
        Err(why) => remarks.add("error", why, ""),
    }
}

async fn of_table(live: &Live, table: String, aws: &Aws, remarks: &mut Remarks) {
    match ledger::dynamodb(live, table.clone(), aws).await.check().await {
        Ok(wrong) if wrong.is_empty() => remarks.ok(format!("the ledger's table {table} is there, and as it must be")),
        Ok(wrong) => wrong.into_iter().for_each(|why| remarks.add("error", why, "")),
        Err(Trouble(why)) => remarks.add("error", why, ""),
    }
}

/// Every secret that is named, and what for.
fn secrets_of(live: &Live) -> Vec<(&str, &Reference)> {
    let named = [
        (BOT_TOKEN, &live.slack_token),
        ("Slack's signing secret", &live.slack_signing_secret),
        ("Slack's app-level token", &live.slack_app_token),
        ("the token of POST /events", &live.http_token),
        ("the operators' token", &live.operator_token),
    ];
    let named = named.into_iter().filter_map(|(name, reference)| Some((name, reference.as_ref()?)));
    named.chain(live.slack_webhooks.iter().map(|(channel, reference)| (channel.as_str(), reference))).collect()
}

/// What a secret is for, in words.
fn purpose(name: &str) -> String {
    match name {
        "*" => "the webhook of all other channels".to_owned(),
        channel if channel.starts_with(['#', 'C', 'G', 'D']) => format!("the webhook of {channel}"),
        name => name.to_owned(),
    }
}

async fn of_slack(config: &Config, aws: &Aws, reachable: bool, remarks: &mut Remarks) {
    let live = &config.live;
    let mut found: BTreeMap<&str, SecretString> = BTreeMap::new();
    for (name, reference) in secrets_of(live).into_iter().filter(|(_, r)| reachable || !is_in_aws(r)) {
        match secrets::resolve(reference, aws, &env).await {
            Ok(secret) => {
                remarks.ok(format!("{}: {reference} is there", purpose(name)));
                found.insert(name, secret);
            }
            Err(why) => remarks.add("error", format!("{}: {why}", purpose(name)), ""),
        }
    }
    if live.slack_token.is_none() && live.slack_webhooks.is_empty() {
        let help = "set SLACK_BOT_TOKEN (xoxb-…) or SLACK_WEBHOOK_URL, or [slack] token in the configuration";
        return remarks.add("error", "Slack is not connected", help);
    }
    let webhooks = live.slack_webhooks.keys().filter_map(|c| Some((c.clone(), found.remove(c.as_str())?)));
    let webhooks = webhooks.collect();
    let settings = slack_settings(live, found.remove(BOT_TOKEN), webhooks);
    // What could not be fetched has been said.
    if settings.token.is_none() && settings.webhooks.is_empty() && settings.any_webhook.is_none() {
        return;
    }
    let slack = match Slack::new(settings) {
        Ok(slack) => slack,
        Err(why) => return remarks.add("error", why, ""),
    };
    for probe in slack.probe(&destinations(config)).await {
        let level = match (probe.ok, probe.remedy.is_empty()) {
            (true, true) => "ok",
            (true, false) => "warning",
            (false, _) => "error",
        };
        remarks.add(level, format!("Slack: {}", probe.what), probe.remedy);
    }
    runbooks::of_groups(&slack, config, remarks).await;
}

/// Wherever a card may go. The default counts where a finding may fall past all routes.
fn destinations(config: &Config) -> Vec<String> {
    let takes_all = |r: &Route| {
        let lists = [&r.reporter, &r.account, &r.environment, &r.owner, &r.playbook, &r.tags];
        r.severity.is_none() && r.when.is_none() && lists.iter().all(|l| l.is_empty())
    };
    let default = (!config.routes.iter().any(takes_all)).then(|| DESTINATION.to_owned());
    let routed = config.routes.iter().flat_map(|r| &r.to).map(|to| to.channel.clone());
    routed.chain(config.operations.clone()).chain(default).collect()
}

async fn of_bus(client: &aws_sdk_eventbridge::Client, bus: &str, remarks: &mut Remarks) {
    let Err(error) = client.describe_event_bus().name(bus).send().await else {
        return remarks.ok(format!("the bus {bus} is there (that events:PutEvents is allowed, only an event proves)"));
    };
    match error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default() {
        "ResourceNotFoundException" => remarks.add(
            "error",
            format!("the bus {bus} is not there"),
            "make it (`aws events create-event-bus`), or change [publish] bus",
        ),
        "AccessDeniedException" => remarks.add(
            "warning",
            format!("the bus {bus} may not be looked at, so nothing is proved of it"),
            "to check it here, allow events:DescribeEventBus; the router itself needs events:PutEvents",
        ),
        _ => remarks.add("error", format!("the bus {bus} does not answer: {}", DisplayErrorContext(&error)), ""),
    }
}
