//! The Lambda end: SQS batches with partial batch responses, a function URL for Slack's clicks, and events sent directly.
use super::{connect::Connected, http, intake::Intake, sqs::whole_seconds, ticker};
use crate::values::action::Disposition;
use aws_sdk_sqs::{Client, error::DisplayErrorContext};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::SignedDuration;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use metrics_cloudwatch_embedded::Collector;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// Kept free at the end of an invocation, to answer which messages are done.
const SPARE: Duration = Duration::from_secs(2);
/// A click is answered within this, done or not.
const CLICK_MAX: Duration = Duration::from_millis(2_500);
/// What is due is done at most so often.
const TICK_EVERY: Duration = Duration::from_secs(30);

struct Function {
    intake: Arc<Intake>,
    sqs: Client,
    queues: Mutex<HashMap<String, String>>,
    signing_secret: Option<SecretString>,
    ticked: Mutex<Option<Instant>>,
    metrics: &'static Collector,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
    #[serde(rename = "eventSourceARN")]
    queue: String,
    event_source: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(rename = "requestContext")]
    context: RequestContext,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct RequestContext {
    http: RequestLine,
}

#[derive(Deserialize)]
struct RequestLine {
    method: String,
    path: String,
}

/// Serves invocations for ever.
pub async fn run(connected: Connected, metrics: &'static Collector) -> Result<(), Error> {
    let function = Arc::new(Function {
        sqs: Client::new(connected.aws.config().await),
        intake: Arc::new(Intake { router: connected.router, events_clock: connected.rehearsal.events_clock }),
        queues: Mutex::default(),
        signing_secret: connected.signing_secret,
        ticked: Mutex::default(),
        metrics,
    });
    let invoke = service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let function = function.clone();
        async move { Box::pin(function.invoke(&event)).await }
    });
    Box::pin(lambda_runtime::run(invoke)).await
}

impl Function {
    async fn invoke(self: Arc<Self>, event: &LambdaEvent<Box<RawValue>>) -> Result<Value, Error> {
        let text = event.payload.get();
        let answer = if let Some(batch) = batch(text) {
            Ok(self.clone().batch(batch, end(&event.context)).await)
        } else if let Ok(request) = serde_json::from_str::<Request>(text) {
            // Slack waits three seconds: what else is due has its own invocations.
            let answer = self.request(&request, end(&event.context)).await;
            self.flush();
            return Ok(answer);
        } else {
            self.direct(text).await
        };
        self.tick(end(&event.context)).await;
        self.flush();
        answer
    }

    fn flush(&self) {
        if let Err(error) = self.metrics.flush(std::io::stdout()) {
            tracing::warn!(%error, "metrics could not be written");
        }
    }

    /// Names the messages that have to come again; the others are done. Those that are not done in time come again too.
    async fn batch(self: Arc<Self>, records: Vec<Record>, end: Instant) -> Value {
        let mut again: Vec<String> = records.iter().map(|r| r.message_id.clone()).collect();
        let mut work = JoinSet::new();
        for record in records {
            let this = self.clone();
            work.spawn(async move { Box::pin(this.record(&record)).await.then_some(record.message_id) });
        }
        while let Ok(Some(done)) = timeout_at(end, work.join_next()).await {
            match done {
                Ok(Some(id)) => again.retain(|known| *known != id),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "handling a message broke off; it comes again"),
            }
        }
        let left = work.len();
        if left > 0 {
            tracing::warn!(left, "the function's time is over before all messages are done; they come again");
        }
        json!({ "batchItemFailures": again.iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<_>>() })
    }

    /// Whether a message is done with.
    async fn record(&self, record: &Record) -> bool {
        let receives = record.attributes.get("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1);
        let taken = self.intake.take(&record.body).await;
        match taken.disposition {
            Disposition::Ack => return true,
            Disposition::Retry(after) => self.hide(record, taken.again(after, receives)).await,
            Disposition::Reject if receives == 1 => {
                let why = taken.why.join("; ");
                tracing::error!(
                    id = record.message_id,
                    why,
                    "a message that cannot be read is left to the redrive policy"
                );
            }
            Disposition::Reject => {}
        }
        false
    }

    /// A message that failed is shown again when the queue's visibility ends, or, as here, when it makes sense.
    async fn hide(&self, record: &Record, after: SignedDuration) {
        let hidden = async {
            let url = self.queue_url(&record.queue).await?;
            let request = self.sqs.change_message_visibility().queue_url(url).receipt_handle(&record.receipt_handle);
            let seconds = i32::try_from(whole_seconds(after)).unwrap_or(i32::MAX);
            request.visibility_timeout(seconds).send().await.map_err(|e| DisplayErrorContext(&e).to_string())
        };
        if let Err(error) = hidden.await {
            tracing::warn!(
                error,
                "a message's visibility could not be changed; it comes again when the queue shows it"
            );
        }
    }

    /// The URL of a queue, by its ARN.
    async fn queue_url(&self, arn: &str) -> Result<String, String> {
        let mut known = self.queues.lock().await;
        if let Some(url) = known.get(arn) {
            return Ok(url.clone());
        }
        let mut parts = arn.split(':').skip(4);
        let (Some(account), Some(name)) = (parts.next(), parts.next()) else {
            return Err(format!("{arn} is no queue"));
        };
        let request = self.sqs.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        let answer = request.send().await.map_err(|e| DisplayErrorContext(&e).to_string())?;
        let url = answer.queue_url.unwrap_or_default();
        known.insert(arn.to_owned(), url.clone());
        Ok(url)
    }

    /// A function URL's request: only Slack's clicks are answered.
    async fn request(&self, request: &Request, end: Instant) -> Value {
        let header = |name: &str| {
            request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let came = Instant::now();
        let RequestLine { method, path } = &request.context.http;
        let body = if request.is_base64_encoded {
            BASE64_STANDARD.decode(&request.body).unwrap_or_default()
        } else {
            request.body.clone().into_bytes()
        };
        if method != "POST" || path != "/slack/interactions" {
            return json!({ "statusCode": 404, "body": "" });
        }
        let signed = (header("x-slack-request-timestamp"), header("x-slack-signature"));
        let payload = match http::interaction(&self.intake, self.signing_secret.as_ref(), signed, &body).await {
            Ok(payload) => payload,
            Err(status) => return json!({ "statusCode": status, "body": "" }),
        };
        let clicked = self.intake.clicked(payload).await;
        if let Some(fingerprint) = clicked.go_on {
            // Slack waits; what is cut off here is due still.
            let end = end.min(came + CLICK_MAX);
            let _ = timeout_at(end, Box::pin(self.intake.go_on(&fingerprint))).await;
        }
        match clicked.answer {
            Some(answer) => json!({
                "statusCode": 200, "headers": { "content-type": "application/json" }, "body": answer.to_string(),
            }),
            None => json!({ "statusCode": 200, "body": "" }),
        }
    }

    /// An event that somebody sent to the function itself. Lambda tries an error again.
    async fn direct(&self, text: &str) -> Result<Value, Error> {
        let taken = self.intake.take(text).await;
        match taken.disposition {
            Disposition::Ack => Ok(json!({ "disposition": "ack" })),
            other => Err(format!("{}: {}", other.as_str(), taken.why.join("; ")).into()),
        }
    }

    async fn tick(&self, end: Instant) {
        let mut ticked = self.ticked.lock().await;
        let due = ticked.is_none_or(|at| at.elapsed() >= TICK_EVERY);
        if due && !self.intake.events_clock {
            *ticked = Some(Instant::now());
            // What is cut off here is due again.
            let _ = timeout_at(end, ticker::tick(&self.intake.router)).await;
        }
    }
}

fn batch(text: &str) -> Option<Vec<Record>> {
    let batch: Batch = serde_json::from_str(text).ok()?;
    batch.records.iter().all(|r| r.event_source == "aws:sqs").then_some(batch.records)
}

/// When the work of this invocation has to end.
fn end(context: &Context) -> Instant {
    let deadline = UNIX_EPOCH + Duration::from_millis(context.deadline);
    #[expect(clippy::disallowed_methods, reason = "Lambda tells the deadline by the system's clock")]
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(SPARE)
}
