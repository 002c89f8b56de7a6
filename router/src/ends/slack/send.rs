//! Posting, replying and editing: each call in its turn, and what follows from its answer.
use super::{
    Slack,
    answer::{Answer, Refusal},
    http::Call,
    look::Look,
    pace::{Lane, Order},
};
use crate::{
    act::ports::Delivery,
    values::action::{Later, Outcome, Posted},
};
use findings_formatters::Message;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{sync::PoisonError, time::Duration};
use tokio::time::Instant;

/// When to try again where Slack does not say.
pub(super) const BACK_OFF: Duration = Duration::from_secs(10);
/// A call is not begun with less time than this.
const CALL_MIN: Duration = Duration::from_secs(3);
/// The name of our metadata on messages.
pub(super) const EVENT_TYPE: &str = "findings_router";
/// What a webhook names every message: it cannot be edited or replied to.
const WEBHOOK: &str = "webhook";

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    /// As the destination names it.
    pub(super) channel: &'a str,
    pub(super) message: &'a Message,
    pub(super) delivery: Delivery<'a>,
    /// It is given up then.
    pub(super) until: Instant,
    pub(super) order: Order,
}

/// A message in Slack: channel id and timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageId {
    pub(super) channel: String,
    pub(super) ts: String,
}

impl MessageId {
    /// Reads `C0123456789:1712345678.123456`.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (channel, ts) = id.split_once(':')?;
        (!channel.is_empty() && !ts.is_empty()).then(|| Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }

    /// The message that an answer or a list of messages shows.
    pub(super) fn of(channel: &Value, message: &Value) -> Option<Self> {
        Some(Self { channel: channel.as_str()?.to_owned(), ts: message["ts"].as_str()?.to_owned() })
    }
}

/// Why nothing was written.
enum Unwritten {
    /// There is nothing to edit or to reply to.
    Gone(String),
    So(Outcome),
}

pub(super) fn later(after: Duration, why: String, unsure: bool) -> Outcome {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    Outcome::Later(Later { after, why, unsure })
}

impl Slack {
    /// Posts a message, or a reply. A reply whose parent is gone becomes a message.
    pub(super) async fn post(
        &self,
        token: &SecretString,
        job: &Job<'_>,
        parent: Option<&MessageId>,
        broadcast: bool,
    ) -> Outcome {
        let mut unsure = job.delivery.unsure;
        if unsure {
            match self.look(token, job, parent).await {
                Look::Found(id) => return Outcome::Done(Some(self.posted(token, id, parent, job.until).await)),
                Look::Absent => unsure = false,
                // Rather a doubled message than a lost one.
                Look::Impossible => {}
                Look::Later(after, why) => return later(after, why, true),
            }
        }
        let mut body = body(job.message);
        body["channel"] = parent.map_or(job.channel, |p| &p.channel).into();
        body["metadata"] = json!({ "event_type": EVENT_TYPE, "event_payload": { "key": job.delivery.key } });
        if let Some(parent) = parent {
            body["thread_ts"] = parent.ts.as_str().into();
            body["reply_broadcast"] = broadcast.into();
        }
        let call = Call::Method("chat.postMessage", token);
        let answer = match self.write(call, &Lane::Posts(job.channel.to_owned()), body, job, unsure).await {
            Ok(answer) => answer,
            Err(Unwritten::So(outcome)) => return outcome,
            Err(Unwritten::Gone(error)) if parent.is_some() => {
                tracing::warn!(
                    channel = job.channel,
                    error,
                    "the message to reply to is gone: the reply becomes a message"
                );
                let job = Job { order: Order::First, ..*job };
                return Box::pin(self.post(token, &job, None, false)).await;
            }
            Err(Unwritten::Gone(error)) => return refused(job.channel, &Refusal::of(error)),
        };
        let Some(id) = MessageId::of(&answer["channel"], &answer) else {
            return later(BACK_OFF, "Slack did not name the message it made".to_owned(), true);
        };
        if parent.is_none() {
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(job.channel.to_owned(), id.channel.clone());
        }
        Outcome::Done(Some(self.posted(token, id, parent, job.until).await))
    }

    /// Edits a message; where it cannot be edited any more, posts it anew. An edit that is made twice is made once.
    pub(super) async fn edit(&self, token: &SecretString, job: &Job<'_>, target: &MessageId) -> Outcome {
        let mut body = body(job.message);
        body["channel"] = target.channel.as_str().into();
        body["ts"] = target.ts.as_str().into();
        let call = Call::Method("chat.update", token);
        match self.write(call, &Lane::Edits, body, job, job.delivery.unsure).await {
            Ok(_) => Outcome::Done(None),
            Err(Unwritten::So(outcome)) => outcome,
            Err(Unwritten::Gone(error)) => {
                tracing::warn!(
                    channel = job.channel,
                    error,
                    "the message cannot be edited any more: it is posted anew"
                );
                self.post(token, job, None, false).await
            }
        }
    }

    /// Posts by a webhook; `lane` is the channel that it posts to.
    pub(super) async fn post_by_webhook(&self, url: &SecretString, lane: &str, job: &Job<'_>) -> Outcome {
        let lane = Lane::Posts(lane.to_owned());
        match self.write(Call::Webhook(url), &lane, body(job.message), job, job.delivery.unsure).await {
            Ok(_) => Outcome::Done(Some(Posted { id: WEBHOOK.to_owned(), link: None })),
            Err(Unwritten::So(outcome)) => outcome,
            Err(Unwritten::Gone(error)) => refused(job.channel, &Refusal::of(error)),
        }
    }

    /// One call in its turn; where Slack does not take the blocks, a second one without.
    async fn write(
        &self,
        call: Call<'_>,
        lane: &Lane,
        mut body: Value,
        job: &Job<'_>,
        unsure: bool,
    ) -> Result<Value, Unwritten> {
        let mut order = job.order;
        loop {
            self.turn(lane, order, job.until).await.map_err(|(after, why)| Unwritten::So(later(after, why, unsure)))?;
            return Err(match self.http.write(call, &body, job.until).await {
                Answer::Done(answer) => return Ok(answer),
                Answer::Gone(error) => Unwritten::Gone(error),
                Answer::Wait(wait) => {
                    self.pace.block(lane, wait);
                    Unwritten::So(later(
                        wait,
                        format!("Slack wants {} s of rest for {}", wait.as_secs(), job.channel),
                        unsure,
                    ))
                }
                Answer::Trouble { why, unsure: now, rest } => {
                    self.pace.block(lane, rest);
                    Unwritten::So(later(rest.max(BACK_OFF), why, unsure || now))
                }
                Answer::Payload { error, details } => {
                    tracing::error!(channel = job.channel, error, details, "Slack does not take the message's blocks");
                    if body.as_object_mut().is_some_and(|b| b.remove("blocks").is_some()) {
                        order = Order::First;
                        continue;
                    }
                    Unwritten::So(refused(job.channel, &Refusal::of(format!("{error} {details}"))))
                }
                Answer::Refused(refusal) => Unwritten::So(refused(job.channel, &refusal)),
            });
        }
    }

    /// Waits for a turn within patience, and while there is time left for the call. Else says when it would come.
    pub(super) async fn turn(&self, lane: &Lane, order: Order, until: Instant) -> Result<(), (Duration, String)> {
        let now = Instant::now();
        let last = until.checked_sub(CALL_MIN).unwrap_or(now);
        if last < now {
            return Err((BACK_OFF, "Slack's answers took too long".to_owned()));
        }
        let turn = self.pace.turn(lane, order, last.min(now + self.settings.patience)).await;
        turn.map_err(|wait| {
            (
                wait,
                format!(
                    "it is not its turn: {} s of others, or of the rest that Slack wants",
                    wait.as_secs_f32().ceil()
                ),
            )
        })
    }

    /// How the message is known: its name, and its address if the workspace tells its own.
    async fn posted(&self, token: &SecretString, id: MessageId, parent: Option<&MessageId>, until: Instant) -> Posted {
        let MessageId { channel, ts } = id;
        let link = self.team_url(token, until).await.map(|team| {
            let place = format!("{}/archives/{channel}/p{}", team.trim_end_matches('/'), ts.replace('.', ""));
            parent.map_or(place.clone(), |p| format!("{place}?thread_ts={}&cid={channel}", p.ts))
        });
        Posted { id: format!("{channel}:{ts}"), link }
    }
}

/// What every message says; links in it are not fetched, as attackers may have made them.
fn body(message: &Message) -> Value {
    json!({ "text": message.text, "blocks": message.blocks, "unfurl_links": false, "unfurl_media": false })
}

fn refused(channel: &str, refusal: &Refusal) -> Outcome {
    Outcome::Failed(format!("Slack refuses the message for {channel} ({}): {}", refusal.error, refusal.remedy(channel)))
}
