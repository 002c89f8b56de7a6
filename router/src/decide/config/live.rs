//! Where the live router is connected: queue, ledger, Slack, HTTP, bus. Secrets are references, never values.
use super::{route, set, some_time};
use crate::{
    decide::written::{Item, Table},
    values::time,
};
use jiff::SignedDuration;
use std::{collections::BTreeMap, fmt, net::SocketAddr, str::FromStr};

/// The embedded ledger, where no other is named.
const LEDGER: &str = "findings-router.ledger";

/// How the live router is connected; what is left out comes from the environment, or is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The SQS queue that events come from, by URL.
    pub queue: Option<String>,
    /// Messages handled at the same time.
    pub concurrency: u32,
    /// How long a received message stays hidden from other consumers; renewed while it is handled.
    pub visibility: SignedDuration,
    /// Where is remembered: see [`Live::store`].
    pub ledger: Option<Store>,
    /// How long after the last word of it a problem is remembered.
    pub retention: SignedDuration,
    /// Slack's bot token.
    pub slack_token: Option<Reference>,
    /// Slack's Web API, where it is not Slack's own.
    pub slack_api: Option<String>,
    /// What Slack signs its requests with.
    pub slack_signing_secret: Option<Reference>,
    /// The app's buttons reach the router: by HTTP, a function URL or Socket Mode.
    pub interactive: bool,
    /// Slack's app-level token: clicks then come through a connection that the router opens (Socket Mode).
    pub slack_app_token: Option<Reference>,
    /// Incoming webhooks, by channel (`#security`); `*` is every other channel.
    pub slack_webhooks: BTreeMap<String, Reference>,
    /// Where the daemon listens.
    pub listen: Option<SocketAddr>,
    /// What `POST /events` demands.
    pub http_token: Option<Reference>,
    /// What `POST /remediation` demands: the command line's, where the daemon has the ledger.
    pub operator_token: Option<Reference>,
    /// The bus that hears what the router decided and did.
    pub bus: Option<String>,
}

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// One file, for one daemon.
    File(String),
    /// A `DynamoDB` table, for Lambda and for several daemons.
    Table(String),
}

impl Default for Live {
    fn default() -> Self {
        Self {
            queue: None,
            concurrency: 32,
            visibility: SignedDuration::from_secs(60),
            ledger: None,
            retention: SignedDuration::from_hours(24 * 90),
            slack_token: None,
            slack_api: None,
            slack_signing_secret: None,
            interactive: false,
            slack_app_token: None,
            slack_webhooks: BTreeMap::new(),
            listen: None,
            http_token: None,
            operator_token: None,
            bus: None,
        }
    }
}

impl Live {
    /// Takes what the file leaves out from environment variables; says which of them are wrong.
    pub fn fill(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        let value = |name: &str| env(name).filter(|v| !v.is_empty());
        // What is written there may be a reference itself, so that the environment holds no secret.
        let secret = |name: &str| {
            value(name).map(|v| match v.parse() {
                Ok(reference @ (Reference::SecretsManager(..) | Reference::Ssm(_))) => reference,
                _ => Reference::Env(name.to_owned()),
            })
        };
        let mut checked = |name: &str, check: &dyn Fn(&str) -> Result<(), String>| {
            let value = value(name)?;
            check(&value).map_err(|why| wrong.push(format!("{name}: {why}"))).ok().map(|()| value)
        };
        let queue = checked("FINDINGS_ROUTER_QUEUE_URL", &|v| queue_url(v).map(drop));
        let listen = checked("FINDINGS_ROUTER_LISTEN", &|v| address(v).map(drop)).and_then(|v| address(&v).ok());
        let store = || {
            let table = value("FINDINGS_ROUTER_TABLE").map(Store::Table);
            table.or_else(|| value("FINDINGS_ROUTER_LEDGER").map(Store::File))
        };
        self.slack_token = self.slack_token.take().or_else(|| secret("SLACK_BOT_TOKEN"));
        self.slack_signing_secret = self.slack_signing_secret.take().or_else(|| secret("SLACK_SIGNING_SECRET"));
        self.slack_app_token = self.slack_app_token.take().or_else(|| secret("SLACK_APP_TOKEN"));
        self.slack_api = self.slack_api.take().or_else(|| value("SLACK_API_URL"));
        if let Some(webhook) = secret("SLACK_WEBHOOK_URL") {
            self.slack_webhooks.entry("*".to_owned()).or_insert(webhook);
        }
        self.http_token = self.http_token.take().or_else(|| secret("FINDINGS_ROUTER_HTTP_TOKEN"));
        self.operator_token = self.operator_token.take().or_else(|| secret("FINDINGS_ROUTER_OPERATOR_TOKEN"));
        self.queue = self.queue.take().or(queue);
        self.listen = self.listen.or(listen);
        self.ledger = self.ledger.take().or_else(store);
        self.bus = self.bus.take().or_else(|| value("FINDINGS_ROUTER_BUS"));
        wrong
    }

    /// Where is remembered; a file beside the configuration where nothing is said.
    pub fn store(&self) -> Store {
        self.ledger.clone().unwrap_or_else(|| Store::File(LEDGER.to_owned()))
    }

    /// Whether a channel is reached by a webhook, which can post and nothing else.
    pub fn is_webhook(&self, destination: &str) -> bool {
        let channel = destination.strip_prefix("slack:").unwrap_or(destination);
        self.slack_webhooks.contains_key(channel)
            || (self.slack_token.is_none() && self.slack_webhooks.contains_key("*"))
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An environment variable.
    Env(String),
    /// A secret of Secrets Manager, by name or ARN; with `#key`, one value of a JSON secret.
    SecretsManager(String, Option<String>),
    /// A parameter of Parameter Store.
    Ssm(String),
}

impl FromStr for Reference {
    type Err = String;

    /// The text is never repeated in the error: somebody may have written the secret itself.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
        match text.split_once(':') {
            Some(("env", name)) if is_name(name) => Ok(Self::Env(name.to_owned())),
            Some(("secretsmanager", id)) if is_name(id) => Ok(match id.split_once('#') {
                Some((id, key)) => Self::SecretsManager(id.to_owned(), Some(key.to_owned())),
                None => Self::SecretsManager(id.to_owned(), None),
            }),
            Some(("ssm", name)) if is_name(name) => Ok(Self::Ssm(name.to_owned())),
            _ => Err("is not a reference to a secret; write \"env:NAME\", \"secretsmanager:ID\" (or \"ID#key\") or \"ssm:/path\", never the secret itself".to_owned()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::SecretsManager(id, None) => write!(f, "secretsmanager:{id}"),
            Self::SecretsManager(id, Some(key)) => write!(f, "secretsmanager:{id}#{key}"),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
        }
    }
}

/// `[queue]`, `[ledger]`, `[slack]`, `[http]` and `[publish]`.
pub(super) fn read_live(root: &Table<'_>) -> Live {
    let mut live = Live::default();
    let table = |key| root.get(key).and_then(|t| t.table());
    if let Some(queue) = table("queue") {
        live.queue = queue.get("url").and_then(|u| u.parse(queue_url));
        set(&mut live.concurrency, queue.get("concurrency").and_then(|c| c.whole(1, 1_000)));
        set(&mut live.visibility, queue.get("visibility").and_then(|v| v.parse(visibility)));
        queue.finish();
    }
    if let Some(ledger) = table("ledger") {
        let text = |key| ledger.get(key).and_then(|t| t.text().map(str::to_owned));
        match (text("file"), text("table")) {
            (Some(_), Some(_)) => {
                ledger.fail("the ledger cannot be both a `file` and a `table`", "take one of them out");
            }
            (Some(file), None) => live.ledger = Some(Store::File(file)),
            (None, Some(name)) => live.ledger = Some(Store::Table(name)),
            (None, None) => {}
        }
        set(&mut live.retention, ledger.get("retention").and_then(|r| r.parse(some_time)));
        ledger.finish();
    }
    if let Some(slack) = table("slack") {
        live.slack_token = reference(slack.get("token"));
        live.slack_signing_secret = reference(slack.get("signing-secret"));
        live.slack_app_token = reference(slack.get("app-token"));
        live.interactive = slack.get("interactive").and_then(|i| i.truth()).unwrap_or(false);
        for (channel, item) in slack.get("webhooks").and_then(|w| w.table()).map(|t| t.entries()).unwrap_or_default() {
            if channel != "*" && !route::is_channel(&channel) {
                item.fail("is not a channel", "write \"#channel\" in quotes, or \"*\" for every other channel");
            }
            live.slack_webhooks.extend(reference(Some(item)).map(|r| (channel, r)));
        }
        slack.finish();
    }
    if let Some(http) = table("http") {
        live.listen = http.get("listen").and_then(|l| l.parse(address));
        live.http_token = reference(http.get("token"));
        live.operator_token = reference(http.get("operator-token"));
        http.finish();
    }
    if let Some(publish) = table("publish") {
        let bus = publish.need("bus", "the name or ARN of an event bus");
        live.bus = bus.and_then(|b| b.text().map(str::to_owned));
        publish.finish();
    }
    live
}

fn reference(item: Option<Item<'_>>) -> Option<Reference> {
    item?.parse(str::parse)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address; write for example \"127.0.0.1:8080\""))
}

/// SQS counts in seconds and hides a message for twelve hours at most; a heartbeat needs some of them.
fn visibility(text: &str) -> Result<SignedDuration, String> {
    let span = time::parse_duration(text)?;
    let good = SignedDuration::from_secs(5) <= span && span <= SignedDuration::from_hours(1);
    if good { Ok(span) } else { Err(format!("{text:?} is too short or too long; write \"5s\" to \"1h\"")) }
}

/// The URL of a queue.
pub fn queue_url(text: &str) -> Result<String, String> {
    let good = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) && text.matches('/').count() >= 4;
    if good {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is not the URL of a queue; write \"https://sqs.REGION.amazonaws.com/ACCOUNT/NAME\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_and_never_written() {
        let rows = [
            ("env:SLACK_BOT_TOKEN", Some(Reference::Env("SLACK_BOT_TOKEN".to_owned()))),
            ("secretsmanager:findings-router", Some(Reference::SecretsManager("findings-router".to_owned(), None))),
            (
                "secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:slack-AbCdEf#token",
                Some(Reference::SecretsManager(
                    "arn:aws:secretsmanager:eu-west-1:111122223333:secret:slack-AbCdEf".to_owned(),
                    Some("token".to_owned()),
                )),
            ),
            ("ssm:/findings-router/slack", Some(Reference::Ssm("/findings-router/slack".to_owned()))),
            ("xoxb-1-2-secret", None),
            ("https://hooks.slack.com/services/T/B/secret", None),
            ("env:", None),
            ("env:two words", None),
            ("vault:x", None),
        ];
        for (text, expected) in rows {
            let read = text.parse::<Reference>();
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{text}");
            assert!(
                read.as_ref().err().is_none_or(|why| !why.contains("xoxb") && !why.contains("hooks.slack")),
                "{read:?}"
            );
            assert!(read.is_err() || read.unwrap().to_string() == text, "{text} is shown as it was written");
        }
    }

    #[test]
    fn the_environment_fills_in_what_the_file_leaves_out() {
        let env = |name: &str| {
            let value = match name {
                "FINDINGS_ROUTER_QUEUE_URL" => "https://sqs.eu-west-1.amazonaws.com/111122223333/findings",
                "FINDINGS_ROUTER_TABLE" => "ledger",
                "FINDINGS_ROUTER_LISTEN" => "127.0.0.1:8080",
                "SLACK_BOT_TOKEN" => "ssm:/token",
                "SLACK_SIGNING_SECRET" => "the secret itself",
                "SLACK_WEBHOOK_URL" => "",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let mut live = Live::default();
        assert_eq!(live.fill(&env), [""; 0]);
        assert_eq!(live.queue.as_deref(), Some("https://sqs.eu-west-1.amazonaws.com/111122223333/findings"));
        assert_eq!(live.store(), Store::Table("ledger".to_owned()));
        assert_eq!(live.listen, "127.0.0.1:8080".parse().ok());
        assert_eq!(live.slack_token, Some(Reference::Ssm("/token".to_owned())), "a reference in the environment");
        assert_eq!(live.slack_signing_secret, Some(Reference::Env("SLACK_SIGNING_SECRET".to_owned())));
        assert!(live.slack_webhooks.is_empty() && live.bus.is_none(), "what is empty is not there");
        let mut written =
            Live { queue: Some("q".to_owned()), ledger: Some(Store::File("f".to_owned())), ..Live::default() };
        assert_eq!(written.fill(&env), [""; 0]);
        assert_eq!(
            (written.queue.as_deref(), written.store()),
            (Some("q"), Store::File("f".to_owned())),
            "the file wins"
        );
        let wrong = |name: &str| {
            ["FINDINGS_ROUTER_QUEUE_URL", "FINDINGS_ROUTER_LISTEN"].contains(&name).then(|| "x".to_owned())
        };
        assert_eq!(Live::default().fill(&wrong).len(), 2, "every mistake is said");
    }

    #[test]
    fn a_channel_of_a_webhook_is_known() {
        let env = Reference::Env("X".to_owned());
        let own = Live { slack_webhooks: BTreeMap::from([("#a".to_owned(), env.clone())]), ..Live::default() };
        let any = Live { slack_webhooks: BTreeMap::from([("*".to_owned(), env.clone())]), ..Live::default() };
        let both = Live { slack_token: Some(env), ..any.clone() };
        let rows =
            [(&own, "slack:#a", true), (&own, "slack:#b", false), (&any, "slack:#b", true), (&both, "slack:#b", false)];
        for (live, channel, webhook) in rows {
            assert_eq!(live.is_webhook(channel), webhook, "{channel} of {live:?}");
        }
    }
}
