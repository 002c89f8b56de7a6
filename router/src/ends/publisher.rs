//! The `EventBridge` end: what the router decided and did, as events on a bus of the user's, so that others can build on it.
use super::telemetry;
use crate::{
    act::ports::Publisher,
    values::action::{Later, Outcome, Publish},
};
use aws_sdk_eventbridge::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::put_events::PutEventsError,
    primitives::DateTime,
    types::PutEventsRequestEntry,
};
use jiff::{SignedDuration, Timestamp};

/// `source` of the router's own events.
pub const SOURCE: &str = "findings-router";
/// The largest entry that `PutEvents` takes, in bytes.
const ENTRY_MAX: usize = 256 * 1024;
const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// A bus; or none, where nothing is to be published.
#[derive(Clone, Debug)]
pub struct Bus(pub Option<Client>);

impl Publisher for Bus {
    fn remediated(&self, state: &str) {
        telemetry::remediated(state);
    }

    async fn publish(&self, publish: &Publish, detail: &serde_json::Value, now: Timestamp) -> Outcome {
        let Some(client) = &self.0 else { return Outcome::Nothing };
        let detail = detail.to_string();
        if detail.len() > ENTRY_MAX {
            return Outcome::Failed(format!("the event has {} bytes, {ENTRY_MAX} is the most", detail.len()));
        }
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&publish.bus)
            .source(SOURCE)
            .detail_type(publish.detail_type)
            .time(DateTime::from_secs(now.as_second()))
            .detail(detail);
        let answer = match client.put_events().entries(entry.build()).send().await {
            Ok(answer) => answer,
            Err(error) => return failed(&publish.bus, &error),
        };
        match answer.entries().iter().find_map(|e| Some((e.error_code()?, e.error_message().unwrap_or_default()))) {
            None => Outcome::Done(None),
            Some((code, why)) => of_code(code, format!("the bus {} refused the event: {code}: {why}", publish.bus)),
        }
    }
}

fn failed(bus: &str, error: &SdkError<PutEventsError>) -> Outcome {
    let why = format!("the bus {bus} does not take events: {}", DisplayErrorContext(error));
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) => of_code(code, why),
        None => Outcome::Later(Later { after: AGAIN, why, unsure: true }),
    }
}

/// Throttling and trouble pass; everything else is for a person to mend.
fn of_code(code: &str, why: String) -> Outcome {
    let passes = ["Throttl", "Internal", "ServiceUnavailable", "RequestTimeout", "LimitExceeded"];
    if passes.iter().any(|part| code.contains(part)) {
        Outcome::Later(Later { after: AGAIN, why, unsure: true })
    } else {
        Outcome::Failed(why)
    }
}
