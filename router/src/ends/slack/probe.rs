//! Whether Slack would work, asked before the first finding does. Nothing is posted.
use super::{
    Slack, Way,
    answer::Answer,
    look::{Unread, is_id},
};
use secrecy::SecretString;
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// The longest that all questions about one thing may take.
const PROBE_MAX: Duration = Duration::from_mins(1);

/// The scopes that make it better, and how.
const RECOMMENDED: &[(&str, &str)] = &[
    (
        "channels:history",
        "after a lost answer it is seen whether the message is in a public channel, and not posted twice",
    ),
    (
        "groups:history",
        "after a lost answer it is seen whether the message is in a private channel, and not posted twice",
    ),
    ("channels:read", "channels are found by their names, and this check can say whether they are there"),
];

/// One thing that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Messages get through, as far as this goes.
    pub ok: bool,
    /// What was found.
    pub what: String,
    /// What to do, or what would make it better; empty where there is nothing to.
    pub remedy: String,
}

impl Probe {
    fn good(what: impl Into<String>) -> Self {
        Self::could(what, "")
    }

    fn could(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { ok: true, what: what.into(), remedy: remedy.into() }
    }

    fn bad(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { ok: false, what: what.into(), remedy: remedy.into() }
    }
}

impl Slack {
    /// Tries the token, its scopes and every destination, as far as can be without posting.
    pub async fn probe(&self, destinations: &[String]) -> Vec<Probe> {
        let mut probes = Vec::new();
        let mut scopes = Some(BTreeSet::new());
        if let Some(token) = &self.settings.token {
            let (of_token, found) = self.probe_token(token).await;
            probes.extend(of_token);
            scopes = found;
        }
        for destination in destinations.iter().collect::<BTreeSet<_>>() {
            let Some(channel) = destination.strip_prefix("slack:") else { continue };
            probes.push(match self.way(channel) {
                Some(Way::Webhook(_) | Way::AnyWebhook(_)) => Probe::could(
                    format!("{channel} is reached by an incoming webhook, which cannot be tried without posting"),
                    "cards that were posted by a webhook are never edited: a bot token keeps them true",
                ),
                None => Probe::bad(
                    format!("{channel} is not reached: there is neither a bot token nor a webhook"),
                    "set SLACK_BOT_TOKEN to the bot token (xoxb-…), or give the channel an incoming webhook",
                ),
                Some(Way::Token(token)) => match &scopes {
                    Some(scopes) => self.probe_channel(token, channel, scopes).await,
                    // What is wrong with the token has been said.
                    None => continue,
                },
            });
        }
        probes
    }

    /// The token and its scopes; no scopes where the token is not valid.
    async fn probe_token(&self, token: &SecretString) -> (Vec<Probe>, Option<BTreeSet<String>>) {
        let reply = self.http.read("auth.test", token, &[], Instant::now() + PROBE_MAX).await;
        let again = "try again; if it stays so, look at the network and at https://slack-status.com";
        let body = match reply.answer {
            Answer::Done(body) => body,
            Answer::Refused(refusal) => {
                return (
                    vec![Probe::bad(
                        format!("Slack refuses the bot token: {}", refusal.error),
                        refusal.remedy("the channel"),
                    )],
                    None,
                );
            }
            Answer::Trouble { why, .. } => return (vec![Probe::bad(why, again)], None),
            other => {
                return (
                    vec![Probe::bad(format!("Slack cannot tell now about the bot token ({})", other.class()), again)],
                    None,
                );
            }
        };
        let name = |key: &str| body[key].as_str().unwrap_or("?").to_owned();
        let mut probes =
            vec![Probe::good(format!("the bot token is valid: {} in the workspace {}", name("user"), name("team")))];
        let listed = reply.scopes.unwrap_or_default();
        let scopes: BTreeSet<String> =
            listed.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        if scopes.is_empty() {
            probes.push(Probe::could("Slack does not say which scopes the token has", "chat:write is needed"));
        } else if !scopes.contains("chat:write") {
            probes.push(Probe::bad("the bot token may not post: it lacks the scope chat:write", add("chat:write")));
        }
        let lacking = RECOMMENDED.iter().filter(|(scope, _)| !scopes.is_empty() && !scopes.contains(*scope));
        probes.extend(lacking.map(|(scope, why)| {
            Probe::could(
                format!("the bot token lacks the recommended scope {scope}"),
                format!("with it, {why}: {}", add(scope)),
            )
        }));
        (probes, Some(scopes))
    }

    async fn probe_channel(&self, token: &SecretString, channel: &str, scopes: &BTreeSet<String>) -> Probe {
        let until = Instant::now() + PROBE_MAX;
        let found = if is_id(channel) {
            let info = self.read(token, "conversations.info", &[("channel", channel)], until).await;
            info.map(|body| Some(body["channel"].clone()))
        } else {
            self.channel_named(token, channel, until).await
        };
        match found {
            Ok(Some(found)) => judge(channel, &found, scopes),
            Ok(None) | Err(Unread::Gone) if scopes.contains("groups:read") || scopes.is_empty() => missing(channel),
            Ok(None) | Err(Unread::Gone) => Probe::could(
                format!("no public channel has the name {channel}, and private ones cannot be seen"),
                format!(
                    "if it is private, see that the app is in it (/invite @app in {channel}); to check that here: {}",
                    add("groups:read")
                ),
            ),
            Err(Unread::Refused(refusal)) if refusal.error == "missing_scope" => Probe::could(
                format!("it cannot be told whether {channel} is there and takes messages"),
                refusal.remedy(channel),
            ),
            Err(Unread::Refused(refusal)) => {
                Probe::bad(format!("{channel}: Slack answers {}", refusal.error), refusal.remedy(channel))
            }
            Err(Unread::Later(_, why)) => {
                Probe::bad(format!("{channel} could not be tried: {why}"), "try again in a minute")
            }
        }
    }
}

fn judge(channel: &str, found: &Value, scopes: &BTreeSet<String>) -> Probe {
    let is = |key: &str| found[key].as_bool().unwrap_or(false);
    let public = !is("is_private");
    if is("is_archived") {
        Probe::bad(format!("{channel} is archived"), format!("unarchive {channel}, or route to another channel"))
    } else if is("is_member") {
        Probe::good(format!("{channel} is there, and the app is in it"))
    } else if public && scopes.contains("chat:write.public") {
        Probe::good(format!("{channel} is there, and the app may post in public channels"))
    } else {
        let or = if public { ", or give it the scope chat:write.public" } else { "" };
        Probe::bad(
            format!("{channel} is there, but the app is not in it"),
            format!("invite the app: /invite @app in {channel}{or}"),
        )
    }
}

fn missing(channel: &str) -> Probe {
    Probe::bad(format!("there is no channel {channel}"), "create it, or mend the name in the route")
}

fn add(scope: &str) -> String {
    format!("add {scope} under \"OAuth & Permissions\" of the app and install it again")
}
