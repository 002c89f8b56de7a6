//! The SQS end: long polling, bounded concurrency, a heartbeat for what takes long, deletion in batches, and an orderly stop.
//!
//! Receiving can be interrupted, handling is not: what was begun is finished, or comes again when its visibility ends.
use super::{
    health::Health,
    intake::{Intake, clock},
    telemetry,
};
use crate::values::action::Disposition;
use aws_sdk_sqs::{
    Client,
    error::DisplayErrorContext,
    operation::receive_message::ReceiveMessageError,
    types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName},
};
use jiff::SignedDuration;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, interval_at, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What one receive, or one deletion, can take.
const BATCH_MAX: usize = 10;
/// A long poll; SQS allows 20 s.
const POLL: Duration = Duration::from_secs(20);
/// Deletions wait so long for others to share a call.
const DELETE_WITHIN: Duration = Duration::from_millis(20);
/// Receives wait so long for room for more messages.
const RECEIVE_WITHIN: Duration = Duration::from_millis(20);
/// Polls at the same time.
const POLLS_MAX: usize = 4;
/// After a failure of the queue, the next try; doubled up to the longest.
const TRY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A message that fails again and again is tried at this interval at last.
const RETRY_MAX: SignedDuration = SignedDuration::from_mins(15);
/// SQS hides a message for 12 hours in all.
const HIDE_MAX: i64 = 43_000;
/// How long a stop waits for what was begun.
pub const STOP_WITHIN: Duration = Duration::from_secs(25);

/// A queue being consumed.
pub struct Consumer {
    /// SQS.
    pub client: Client,
    /// The queue.
    pub url: String,
    /// What handles its messages.
    pub intake: Arc<Intake>,
    /// Messages handled at the same time.
    pub concurrency: usize,
    /// A received message stays hidden for so long; a heartbeat renews it.
    pub visibility: Duration,
    /// Where it is told whether the queue answers.
    pub health: Arc<Health>,
}

impl Consumer {
    /// Consumes until it is told to stop; then finishes what was begun, within [`STOP_WITHIN`].
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let work = TaskTracker::new();
        let (delete, deletions) = mpsc::channel(1_000);
        let deleter = tokio::spawn(this.clone().delete_all(deletions));
        let permits = Arc::new(Semaphore::new(this.concurrency));
        let polls = this.concurrency.div_ceil(BATCH_MAX).clamp(1, POLLS_MAX);
        let pollers: Vec<_> = (0..polls)
            .map(|_| {
                let poller = this.clone().poll(permits.clone(), work.clone(), delete.clone(), stop.clone());
                tokio::spawn(poller)
            })
            .collect();
        for poller in pollers {
            if let Err(error) = poller.await {
                tracing::error!(%error, "a poll loop ended by itself");
            }
        }
        work.close();
        if timeout(STOP_WITHIN, work.wait()).await.is_err() {
            let left = work.len();
            tracing::warn!(left, "stopped before all messages were done; they come again when their visibility ends");
        }
        drop(delete);
        let _ = timeout(Duration::from_secs(5), deleter).await;
    }

    async fn poll(
        self: Arc<Self>,
        permits: Arc<Semaphore>,
        work: TaskTracker,
        delete: mpsc::Sender<String>,
        stop: CancellationToken,
    ) {
        let mut failures = 0_u32;
        loop {
            self.health.turn(clock());
            let Some(mut held) = stop.run_until_cancelled(hold(&permits)).await else { return };
            let Some(received) = stop.run_until_cancelled(self.receive(held.len())).await else { return };
            let messages = match received {
                Ok(messages) => messages,
                Err(why) => {
                    drop(held);
                    if self.health.queue(clock(), Err(why.clone())) {
                        tracing::error!(queue = %self.url, "{why}");
                    }
                    let wait = (TRY_AGAIN[0] * 2_u32.saturating_pow(failures.min(10))).min(TRY_AGAIN[1]);
                    failures += 1;
                    if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                        return;
                    }
                    continue;
                }
            };
            failures = 0;
            if self.health.queue(clock(), Ok(())) {
                tracing::info!(queue = %self.url, "the queue answers again");
            }
            for message in messages {
                let permit = held.pop();
                let (this, delete) = (self.clone(), delete.clone());
                work.spawn(async move {
                    Box::pin(this.handle(message, &delete)).await;
                    drop(permit);
                });
            }
        }
    }

    async fn receive(&self, count: usize) -> Result<Vec<Message>, String> {
        use MessageSystemAttributeName::{ApproximateReceiveCount, SentTimestamp};
        let seconds = |d: Duration| i32::try_from(d.as_secs()).unwrap_or(i32::MAX);
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(count).unwrap_or(1))
            .wait_time_seconds(seconds(POLL))
            .visibility_timeout(seconds(self.visibility))
            .message_system_attribute_names(ApproximateReceiveCount)
            .message_system_attribute_names(SentTimestamp);
        match request.send().await {
            Ok(answer) => Ok(answer.messages.unwrap_or_default()),
            Err(error) => Err(match error.as_service_error() {
                Some(ReceiveMessageError::QueueDoesNotExist(_)) => format!(
                    "there is no queue {}: check [queue] url or FINDINGS_ROUTER_QUEUE_URL, and the Region of the credentials",
                    self.url
                ),
                _ => format!("the queue {} cannot be read: {}", self.url, DisplayErrorContext(&error)),
            }),
        }
    }

    async fn handle(&self, message: Message, delete: &mpsc::Sender<String>) {
        let (Some(body), Some(receipt)) = (message.body.as_deref(), message.receipt_handle.clone()) else { return };
        let attribute =
            |name: &MessageSystemAttributeName| -> Option<i64> { message.attributes.as_ref()?.get(name)?.parse().ok() };
        let receives = attribute(&MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
        if let Some(sent) = attribute(&MessageSystemAttributeName::SentTimestamp).filter(|_| receives == 1) {
            let waited = clock().as_millisecond().saturating_sub(sent);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a queue's age are far below 2^53")]
            telemetry::waited(waited as f64 / 1_000.0);
        }
        let taken = {
            let work = self.intake.take(body);
            tokio::pin!(work);
            let often = self.visibility * 2 / 5;
            let mut heartbeat = interval_at(Instant::now() + often, often);
            loop {
                tokio::select! {
                    taken = &mut work => break taken,
                    _ = heartbeat.tick() => self.hide(&receipt, self.visibility.as_secs().cast_signed()).await,
                }
            }
        };
        match taken.disposition {
            Disposition::Ack => {
                // The deleter outlives all handling.
                let _ = delete.send(receipt).await;
            }
            Disposition::Retry(after) => self.hide(&receipt, whole_seconds(taken.again(after, receives))).await,
            Disposition::Reject => {
                let id = message.message_id.as_deref().unwrap_or_default();
                // Once: the redrive policy shows it again and again before it is with the dead letters.
                if receives == 1 {
                    tracing::error!(id, why = %taken.why.join("; "), "a message that cannot be read is left to the redrive policy");
                }
            }
        }
    }

    async fn hide(&self, receipt: &str, seconds: i64) {
        let seconds = i32::try_from(seconds.clamp(0, HIDE_MAX)).unwrap_or(i32::MAX);
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        if let Err(error) = request.visibility_timeout(seconds).send().await {
            let error = DisplayErrorContext(&error).to_string();
            tracing::warn!(error, "a message's visibility could not be changed; it may be shown early");
        }
    }

    /// Deletes what was acknowledged, as many in one call as wait.
    async fn delete_all(self: Arc<Self>, mut deletions: mpsc::Receiver<String>) {
        let calls = TaskTracker::new();
        while let Some(first) = deletions.recv().await {
            let mut batch = vec![first];
            let end = Instant::now() + DELETE_WITHIN;
            while batch.len() < BATCH_MAX {
                match timeout_at(end, deletions.recv()).await {
                    Ok(Some(receipt)) => batch.push(receipt),
                    Ok(None) | Err(_) => break,
                }
            }
            let this = self.clone();
            calls.spawn(async move { this.delete(batch).await });
        }
        calls.close();
        calls.wait().await;
    }

    async fn delete(&self, batch: Vec<String>) {
        let entry = |(id, receipt): (usize, String)| {
            DeleteMessageBatchRequestEntry::builder().id(id.to_string()).receipt_handle(receipt).build().ok()
        };
        let entries: Vec<_> = batch.into_iter().enumerate().filter_map(entry).collect();
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        // What is not deleted comes again, and is known then.
        match request.send().await {
            Ok(answer) if answer.failed.is_empty() => {}
            Ok(answer) => tracing::warn!(count = answer.failed.len(), "messages could not be deleted; they come again"),
            Err(error) => {
                let error = DisplayErrorContext(&error).to_string();
                tracing::warn!(error, "messages could not be deleted; they come again");
            }
        }
    }
}

/// Room for as many messages as one receive brings: waits for the first, and a little for others to share the call.
async fn hold(permits: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let mut held: Vec<_> = permits.clone().acquire_owned().await.into_iter().collect();
    let end = Instant::now() + RECEIVE_WITHIN;
    while held.len() < BATCH_MAX
        && let Ok(Ok(permit)) = timeout_at(end, permits.clone().acquire_owned()).await
    {
        held.push(permit);
    }
    held
}

/// SQS counts in whole seconds; a wait is never cut short.
pub(super) fn whole_seconds(wait: SignedDuration) -> i64 {
    wait.as_secs().saturating_add(i64::from(wait.subsec_nanos() > 0)).max(0)
}

/// How long to leave a message that was received so often.
pub(super) fn backoff(receives: i64) -> SignedDuration {
    let doublings = u32::try_from(receives.clamp(1, 10) - 1).unwrap_or_default();
    (SignedDuration::from_secs(5) * 2_i32.pow(doublings)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_never_cut_short() {
        let seconds: Vec<i64> = [0, 1, 2, 3, 6, 9, 100].into_iter().map(|n| backoff(n).as_secs()).collect();
        assert_eq!(seconds, [5, 5, 10, 20, 160, 900, 900]);
        let rows = [
            (SignedDuration::from_millis(1), 1),
            (SignedDuration::from_secs(30), 30),
            (SignedDuration::from_millis(30_001), 31),
            (-SignedDuration::from_secs(5), 0),
        ];
        for (wait, whole) in rows {
            assert_eq!(whole_seconds(wait), whole, "{wait:#}");
        }
    }
}
