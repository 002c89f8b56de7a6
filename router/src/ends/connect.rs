//! Puts the live router together from the configuration: says all that is missing at once, each with its remedy.
use super::{
    intake::clock,
    ledger::{DynamoDb, Embedded, Store},
    publisher::Bus,
    remediator::Automation,
    secrets,
    slack::{self, Slack},
};
use crate::{
    act::{ports::SEND_MAX, router::Router},
    cli::setup::Setup,
    decide::config::{self, Reference},
    values::action::Mode,
};
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::sync::OnceCell;

/// The router with its ends in the world.
pub type Live = Router<'static, Store, Slack, Automation, Bus>;

/// The AWS SDK's configuration, loaded when somebody first needs AWS.
#[derive(Debug, Default)]
pub struct Aws(OnceCell<SdkConfig>);

impl Aws {
    /// Credentials, Region and endpoints, as the SDK finds them.
    pub async fn config(&self) -> &SdkConfig {
        self.0
            .get_or_init(|| {
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .operation_attempt_timeout(Duration::from_secs(30))
                    .operation_timeout(Duration::from_mins(1));
                aws_config::defaults(BehaviorVersion::latest())
                    .timeout_config(timeouts.build())
                    .retry_config(RetryConfig::standard().with_max_attempts(3))
                    .load()
            })
            .await
    }

    /// A configuration for calls that must be answered soon, as the ledger's: somebody waits for each.
    pub async fn quick(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(3))
            .operation_timeout(Duration::from_secs(8));
        self.config().await.to_builder().timeout_config(timeouts.build()).build()
    }
}

/// The environment; the only place of the live ends that reads it.
#[expect(clippy::disallowed_methods, reason = "the live ends are configured by the environment too")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What recorded events and a Slack that is played by a test need, and nobody else.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsal {
    /// Decide by the events' own time, as `replay` does; then nothing is done that no event asks for.
    pub events_clock: bool,
    /// Between two messages in a channel.
    pub pace: Duration,
}

impl Default for Rehearsal {
    fn default() -> Self {
        Self { events_clock: false, pace: slack::PACE }
    }
}

impl Rehearsal {
    fn of(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut rehearsal = Self::default();
        match env("FINDINGS_ROUTER_CLOCK").as_deref() {
            None | Some("" | "system") => {}
            Some("events") => rehearsal.events_clock = true,
            Some(other) => return Err(format!("FINDINGS_ROUTER_CLOCK: {other:?} is no clock; write system or events")),
        }
        if let Some(pace) = env("SLACK_PACE_MS") {
            let pace = pace.parse().map_err(|_| format!("SLACK_PACE_MS: {pace:?} is no number of milliseconds"))?;
            rehearsal.pace = Duration::from_millis(pace);
        }
        Ok(rehearsal)
    }
}

/// The live router, and what belongs to it.
pub struct Connected {
    /// The router.
    pub router: Live,
    /// What is not as in earnest.
    pub rehearsal: Rehearsal,
    /// AWS.
    pub aws: Aws,
    /// What Slack signs its requests with.
    pub signing_secret: Option<SecretString>,
    /// What `POST /events` demands.
    pub http_token: Option<SecretString>,
    /// What `POST /remediation` demands.
    pub operator_token: Option<SecretString>,
    /// What opens Socket Mode.
    pub app_token: Option<SecretString>,
}

/// Connects. Nothing is sent yet, but secrets are fetched and the ledger is opened.
pub async fn connect(setup: &'static Setup, patience: Duration) -> Result<Connected, Vec<String>> {
    let (aws, live) = (Aws::default(), &setup.policy.config.live);
    let mut wrong = Vec::new();
    let rehearsal = Rehearsal::of(&env).unwrap_or_else(|why| {
        wrong.push(why);
        Rehearsal::default()
    });
    let fetch = async |reference: Option<&Reference>, wrong: &mut Vec<String>| match reference {
        None => None,
        Some(reference) => secrets::resolve(reference, &aws, &env).await.map_err(|why| wrong.push(why)).ok(),
    };
    let signing_secret = fetch(live.slack_signing_secret.as_ref(), &mut wrong).await;
    let http_token = fetch(live.http_token.as_ref(), &mut wrong).await;
    let operator_token = fetch(live.operator_token.as_ref(), &mut wrong).await;
    let token = fetch(live.slack_token.as_ref(), &mut wrong).await;
    let app_token = fetch(live.slack_app_token.as_ref(), &mut wrong).await;
    let access = &setup.policy.config.remediation.access;
    let external_id = fetch(access.external_id.as_ref(), &mut wrong).await;
    if live.interactive && live.slack_signing_secret.is_none() && live.slack_app_token.is_none() {
        wrong.push(
            "slack.interactive is set, but clicks could not be told from forged ones: set SLACK_SIGNING_SECRET, or SLACK_APP_TOKEN (xapp-…) for Socket Mode".to_owned(),
        );
    }
    let mut webhooks = BTreeMap::new();
    for (channel, reference) in &live.slack_webhooks {
        let url = fetch(Some(reference), &mut wrong).await;
        webhooks.extend(url.map(|url| (channel.clone(), url)));
    }
    let settings = slack::Settings { patience, pace: rehearsal.pace, ..slack_settings(live, token, webhooks) };
    if live.slack_token.is_none() && live.slack_webhooks.is_empty() {
        wrong.push(
            "Slack is not connected: set SLACK_BOT_TOKEN (xoxb-…) or SLACK_WEBHOOK_URL, or [slack] token in the configuration".to_owned(),
        );
    }
    let slack = Slack::new(settings).map_err(|why| wrong.push(why)).ok();
    let ledger = store(&live.store(), live.retention, &aws).await.map_err(|why| wrong.push(why)).ok();
    let (Some(messenger), Some(ledger), true) = (slack, ledger, wrong.is_empty()) else { return Err(wrong) };
    let bus = Bus(match &live.bus {
        Some(_) => Some(aws_sdk_eventbridge::Client::new(&aws.quick().await)),
        None => None,
    });
    let remediator = Automation::new(aws.quick().await, access, external_id);
    let router = Router {
        policy: &setup.policy,
        formatter: &setup.formatter,
        texts: &setup.texts,
        ledger,
        messenger,
        remediator,
        publisher: bus,
        // The embedded ledger has one writer at a time.
        alone_since: matches!(live.store(), config::Store::File(_)).then(clock),
    };
    warn(setup);
    Ok(Connected { router, rehearsal, aws, signing_secret, http_token, operator_token, app_token })
}

/// How Slack is reached with these secrets; the webhook of `*` is every other channel's.
pub fn slack_settings(
    live: &config::Live,
    token: Option<SecretString>,
    mut webhooks: BTreeMap<String, SecretString>,
) -> slack::Settings {
    slack::Settings {
        token,
        any_webhook: webhooks.remove("*"),
        webhooks,
        api: live.slack_api.clone().unwrap_or_else(|| slack::API.to_owned()),
        patience: SEND_MAX.unsigned_abs(),
        pace: slack::PACE,
    }
}

/// Opens the ledger.
pub async fn store(store: &config::Store, retention: jiff::SignedDuration, aws: &Aws) -> Result<Store, String> {
    match store {
        config::Store::File(path) => Embedded::open(Path::new(path)).map(Store::Embedded),
        config::Store::Table(name) => {
            let client = aws_sdk_dynamodb::Client::new(&aws.quick().await);
            let ledger = DynamoDb::new(client, name.clone(), retention);
            ledger.claim_schema().await.map_err(|trouble| trouble.to_string())?;
            Ok(Store::DynamoDb(ledger))
        }
    }
}

/// What works, but probably not as meant.
fn warn(setup: &Setup) {
    let config = &setup.policy.config;
    let r = &config.remediation;
    let approves = r.mode == Mode::Approve || r.playbooks.values().any(|m| *m == Mode::Approve);
    if approves && r.approval.approvers.is_empty() {
        tracing::warn!("remediation waits for approval, but nobody may approve: set remediation.approval.approvers");
    }
    for problem in &setup.warnings {
        tracing::warn!("{problem}");
    }
}
