//! The Slack end: cards by the Web API with a bot token, or by incoming webhooks, which cannot edit or reply.
//!
//! `answer` says what an answer means, `pace` whose turn it is, `http` makes one call, `send` and `look` make messages of
//! calls, `probe` tells whether it would work.
mod answer;
mod http;
mod look;
mod pace;
mod people;
mod probe;
mod send;
#[cfg(test)]
mod tests;

pub use probe::Probe;

use crate::{
    act::ports::{Delivery, Messenger, SEND_MAX},
    values::action::{Notify, NotifyMode, Outcome},
};
use findings_formatters::{Message, view::Kind};
use http::Http;
use look::Team;
use pace::{Order, Pace};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use send::{Job, MessageId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, Once},
    time::Duration,
};
use tokio::time::Instant;

/// Where Slack's Web API is.
pub const API: &str = "https://slack.com/api/";
/// Slack takes a message a second in a channel.
pub const PACE: Duration = Duration::from_secs(1);
/// What is left of [`SEND_MAX`] for what comes after the last call.
const MARGIN: Duration = Duration::from_secs(2);

/// How Slack is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The bot token, `xoxb-…`.
    pub token: Option<SecretString>,
    /// The webhooks by the channel that they post to, as destinations name it: `#security`.
    pub webhooks: BTreeMap<String, SecretString>,
    /// The webhook of every destination that has none of its own, if there is no token.
    pub any_webhook: Option<SecretString>,
    /// The address of the Web API: [`API`].
    pub api: String,
    /// How long a message may wait for its turn, rather than be tried again later.
    pub patience: Duration,
    /// Between two messages in a channel: [`PACE`]. Between two edits, or two looks, it is a fifth more.
    pub pace: Duration,
}

/// Slack.
#[derive(Debug)]
pub struct Slack {
    settings: Settings,
    http: Http,
    pace: Pace,
    /// The ids of the channels that were met by name; as many as there are destinations.
    ids: Mutex<HashMap<String, String>>,
    team: tokio::sync::Mutex<Team>,
    /// Who is in a user group, and since when that is known.
    groups: tokio::sync::Mutex<HashMap<String, (Instant, Vec<String>)>>,
    /// That it cannot be seen whether a message is there is said once.
    warned: Once,
}

/// By which way a destination is reached.
#[derive(Clone, Copy, Debug)]
enum Way<'a> {
    Token(&'a SecretString),
    Webhook(&'a SecretString),
    /// A webhook posts to one channel, whatever the destination says.
    AnyWebhook(&'a SecretString),
}

impl Slack {
    /// Slack, not called yet. Says what is wrong with the settings, without showing them.
    pub fn new(settings: Settings) -> Result<Self, String> {
        if let Some(token) = &settings.token {
            check_token(token.expose_secret())?;
        }
        let any = settings.any_webhook.iter().map(|url| ("every channel", url));
        for (channel, url) in settings.webhooks.iter().map(|(channel, url)| (channel.as_str(), url)).chain(any) {
            let url = Url::parse(url.expose_secret()).ok().filter(|u| matches!(u.scheme(), "https" | "http"));
            url.ok_or_else(|| {
                format!("the webhook of {channel} is not a URL: it must be as Slack shows it, https://hooks.slack.com/services/…")
            })?;
        }
        Ok(Self {
            http: Http::new(&settings.api)?,
            pace: Pace::new(settings.pace),
            settings,
            ids: Mutex::default(),
            team: tokio::sync::Mutex::default(),
            groups: tokio::sync::Mutex::default(),
            warned: Once::new(),
        })
    }

    /// A webhook of the channel's own says that it is to be used; without one, the token can do more.
    fn way(&self, channel: &str) -> Option<Way<'_>> {
        let own = self.settings.webhooks.get(channel).map(Way::Webhook);
        let token = || self.settings.token.as_ref().map(Way::Token);
        own.or_else(token).or_else(|| self.settings.any_webhook.as_ref().map(Way::AnyWebhook))
    }
}

/// A token that HTTP cannot carry, or that is of another kind.
fn check_token(token: &str) -> Result<(), String> {
    let wrong = if token.is_empty() {
        "is empty"
    } else if !token.bytes().all(|b| b.is_ascii_graphic()) {
        "holds a space, a line break or another character that no token has"
    } else if token.starts_with("xapp-") {
        "is an app-level token (xapp-…)"
    } else {
        return Ok(());
    };
    Err(format!(
        "the Slack bot token {wrong}: copy the \"Bot User OAuth Token\" (xoxb-…) from the app's page \"OAuth & Permissions\""
    ))
}

impl Messenger for Slack {
    async fn send(&self, notify: &Notify, message: &Message, delivery: Delivery<'_>) -> Outcome {
        let Some(channel) = notify.destination.strip_prefix("slack:").filter(|c| !c.is_empty()) else {
            return Outcome::Failed(format!(
                "{} is no channel of Slack: write slack:#name or slack:C0123456789",
                notify.destination
            ));
        };
        let until = Instant::now() + SEND_MAX.unsigned_abs() - MARGIN;
        let job = Job { channel, message, delivery, until, order: Order::Last };
        let target = notify.target.as_deref().and_then(MessageId::parse);
        match (self.way(channel), notify.mode) {
            (None, _) => Outcome::Failed(format!(
                "no way to {channel}: set SLACK_BOT_TOKEN to the bot token (xoxb-…), or give the channel an incoming webhook"
            )),
            (Some(Way::Token(token)), NotifyMode::Update) => match target {
                Some(target) => self.edit(token, &job, &target).await,
                // It was posted by a webhook: the replies tell what the card cannot.
                None => Outcome::Nothing,
            },
            (Some(Way::Token(token)), mode) => {
                let parent = target.filter(|_| mode != NotifyMode::Post);
                self.post(token, &job, parent.as_ref(), mode == NotifyMode::Broadcast).await
            }
            (Some(_), NotifyMode::Update) => Outcome::Nothing,
            // Without threads, a line per finding would be the flood that the storm's card is there to stop.
            (Some(_), NotifyMode::Thread) if notify.kind == Kind::StormLine => Outcome::Nothing,
            (Some(Way::Webhook(url)), _) => self.post_by_webhook(url, channel, &job).await,
            (Some(Way::AnyWebhook(url)), _) => self.post_by_webhook(url, "", &job).await,
        }
    }
}
