//! Asking Slack: whether a message is there, which channel has a name, and where the workspace is.
use super::{
    Slack,
    answer::{Answer, Refusal},
    pace::{Lane, Order},
    send::{BACK_OFF, EVENT_TYPE, Job, MessageId},
};
use secrecy::SecretString;
use serde_json::Value;
use std::{sync::PoisonError, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How much our clock may be ahead of Slack's, in seconds.
const CLOCKS: i64 = 60;
/// How many pages of messages are looked through, of 200 each.
const MESSAGE_PAGES: usize = 5;
/// How many pages of channels are looked through, of 1,000 each.
const CHANNEL_PAGES: usize = 20;
/// The longest to wait for the address of the workspace, which only links need.
const TEAM_MAX: Duration = Duration::from_secs(3);
/// When it is asked for again, where that was in vain.
const TEAM_AGAIN: Duration = Duration::from_mins(1);

/// Whether a message is in its channel.
#[derive(Debug)]
pub(super) enum Look {
    Found(MessageId),
    Absent,
    /// It cannot be told: the token may not look, or the thread is gone.
    Impossible,
    /// Not now; after so long, and why.
    Later(Duration, String),
}

/// Why nothing was learned.
#[derive(Debug)]
pub(super) enum Unread {
    Later(Duration, String),
    /// What was asked about is not there.
    Gone,
    Refused(Refusal),
}

/// The address of the workspace, or when it may be asked for again.
#[derive(Debug, Default)]
pub(super) struct Team {
    url: Option<String>,
    again: Option<Instant>,
}

/// A question whose answer is a list in pages.
struct Pages<'a> {
    method: &'static str,
    asked: &'a [(&'a str, &'a str)],
    /// The list's name in the answer.
    list: &'static str,
    /// So many pages are looked through.
    most: usize,
}

impl Slack {
    /// Looks for the message of this delivery, among the replies of its parent or in its channel.
    pub(super) async fn look(&self, token: &SecretString, job: &Job<'_>, parent: Option<&MessageId>) -> Look {
        match self.find_message(token, job, parent).await {
            Ok(Some(id)) => Look::Found(id),
            Ok(None) => Look::Absent,
            // The reply may have become a message of its own: that is looked for when the parent turns out to be gone again.
            Err(Unread::Gone) => Look::Impossible,
            Err(Unread::Later(after, why)) => Look::Later(after, why),
            Err(Unread::Refused(refusal)) => {
                self.warned.call_once(|| {
                    tracing::warn!(
                        channel = job.channel,
                        error = refusal.error,
                        remedy = refusal.remedy(job.channel),
                        "after a lost answer it cannot be seen whether the message was posted: it may be there twice; \
                         the scopes channels:history, groups:history and channels:read avoid that",
                    );
                });
                Look::Impossible
            }
        }
    }

    async fn find_message(
        &self,
        token: &SecretString,
        job: &Job<'_>,
        parent: Option<&MessageId>,
    ) -> Result<Option<MessageId>, Unread> {
        let (method, channel) = match parent {
            Some(parent) => ("conversations.replies", parent.channel.clone()),
            None => ("conversations.history", self.channel_id(token, job).await?),
        };
        let oldest = (job.delivery.since.as_second() - CLOCKS).max(0).to_string();
        let mut asked = vec![
            ("channel", channel.as_str()),
            ("oldest", &oldest),
            ("limit", "200"),
            ("include_all_metadata", "true"),
        ];
        asked.extend(parent.map(|p| ("ts", p.ts.as_str())));
        let is_ours = |m: &Value| {
            m["metadata"]["event_type"] == EVENT_TYPE && m["metadata"]["event_payload"]["key"] == job.delivery.key
        };
        let pages = Pages { method, asked: &asked, list: "messages", most: MESSAGE_PAGES };
        let found = self.find(token, &pages, job.until, is_ours).await?;
        Ok(found.and_then(|m| MessageId::of(&channel.as_str().into(), &m)))
    }

    /// The id of the job's channel; Slack takes names for posting, but not for looking.
    async fn channel_id(&self, token: &SecretString, job: &Job<'_>) -> Result<String, Unread> {
        if is_id(job.channel) {
            return Ok(job.channel.to_owned());
        }
        let known = self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(job.channel).cloned();
        if let Some(id) = known {
            return Ok(id);
        }
        let channel = self.channel_named(token, job.channel, job.until).await?;
        let id =
            channel.as_ref().and_then(|c| c["id"].as_str()).ok_or(Unread::Refused(Refusal::of("channel_not_found")))?;
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(job.channel.to_owned(), id.to_owned());
        Ok(id.to_owned())
    }

    /// The channel with this name, private ones too where the token may see them.
    pub(super) async fn channel_named(
        &self,
        token: &SecretString,
        name: &str,
        until: Instant,
    ) -> Result<Option<Value>, Unread> {
        let name = name.trim_start_matches('#');
        let list = async |types| {
            let asked = [("types", types), ("limit", "999")];
            let pages = Pages { method: "conversations.list", asked: &asked, list: "channels", most: CHANNEL_PAGES };
            self.find(token, &pages, until, |c| c["name"] == name).await
        };
        match list("public_channel,private_channel").await {
            Err(Unread::Refused(refusal)) if refusal.error == "missing_scope" => list("public_channel").await,
            found => found,
        }
    }

    /// The first item that fits in a list of pages.
    async fn find(
        &self,
        token: &SecretString,
        pages: &Pages<'_>,
        until: Instant,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Option<Value>, Unread> {
        let mut cursor = String::new();
        for _ in 0..pages.most {
            let mut asked = pages.asked.to_vec();
            if !cursor.is_empty() {
                asked.push(("cursor", &cursor));
            }
            let page = self.read(token, pages.method, &asked, until).await?;
            if let Some(item) = page[pages.list].as_array().and_then(|items| items.iter().find(|i| fits(i))) {
                return Ok(Some(item.clone()));
            }
            page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().clone_into(&mut cursor);
            if cursor.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// One question in its turn.
    pub(super) async fn read(
        &self,
        token: &SecretString,
        method: &'static str,
        asked: &[(&str, &str)],
        until: Instant,
    ) -> Result<Value, Unread> {
        self.turn(&Lane::Looks, Order::Last, until).await.map_err(|(after, why)| Unread::Later(after, why))?;
        match self.http.read(method, token, asked, until).await.answer {
            Answer::Done(body) => Ok(body),
            Answer::Wait(wait) => {
                self.pace.block(&Lane::Looks, wait);
                Err(Unread::Later(wait, format!("Slack wants {} s of rest for {method}", wait.as_secs())))
            }
            Answer::Trouble { why, rest, .. } => {
                self.pace.block(&Lane::Looks, rest);
                Err(Unread::Later(rest.max(BACK_OFF), why))
            }
            Answer::Gone(_) => Err(Unread::Gone),
            Answer::Payload { error, .. } => Err(Unread::Refused(Refusal::of(error))),
            Answer::Refused(refusal) => Err(Unread::Refused(refusal)),
        }
    }

    /// The address of the workspace: asked once, and again after a while if in vain. Only links need it.
    pub(super) async fn team_url(&self, token: &SecretString, until: Instant) -> Option<String> {
        let until = until.min(Instant::now() + TEAM_MAX);
        let ask = async {
            let mut team = self.team.lock().await;
            let now = Instant::now();
            if team.url.is_none() && team.again.is_none_or(|again| now >= again) {
                team.again = Some(now + TEAM_AGAIN);
                match self.http.read("auth.test", token, &[], until).await.answer {
                    Answer::Done(body) => team.url = body["url"].as_str().map(str::to_owned),
                    Answer::Wait(wait) => team.again = Some(now + wait.max(TEAM_AGAIN)),
                    _ => {}
                }
            }
            team.url.clone()
        };
        timeout_at(until, ask).await.ok().flatten()
    }
}

/// `C0123456789`: Slack's ids are capital letters and digits, channel names never are.
pub(super) fn is_id(channel: &str) -> bool {
    channel.len() >= 9
        && channel.starts_with(['C', 'D', 'G'])
        && channel.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}
