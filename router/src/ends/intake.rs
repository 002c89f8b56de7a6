//! One message body through the live router; what the queue, Lambda and HTTP share.
use super::{connect::Live, sqs::backoff, telemetry};
use crate::{
    act::{
        intake::{Each, EventFacts, take},
        router::Handled,
    },
    values::action::Disposition,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// What became of a body.
#[derive(Debug)]
pub struct Taken {
    /// The worst of its events'.
    pub disposition: Disposition,
    /// Why, where something is wrong.
    pub why: Vec<String>,
    /// Nothing failed, so the message need not be left longer and longer.
    pub waits: bool,
}

impl Taken {
    /// How long to leave a message that has to come again and was received so often: a failure may last.
    pub fn again(&self, after: SignedDuration, receives: i64) -> SignedDuration {
        if self.waits { after } else { after.max(backoff(receives)) }
    }
}

/// The clock; the live router's one.
#[expect(
    clippy::disallowed_methods,
    reason = "the live ends are where the clock is read; everything below is given the time"
)]
pub fn clock() -> Timestamp {
    Timestamp::now()
}

/// Where every message goes.
pub struct Intake {
    /// The router.
    pub router: Live,
    /// Decide by the events' own time.
    pub events_clock: bool,
}

impl Intake {
    /// Takes a body through, and tells what was decided.
    pub async fn take(&self, body: &str) -> Taken {
        let started = Instant::now();
        let mut watch =
            Watch { disposition: Disposition::Ack, why: Vec::new(), waits: true, events_clock: self.events_clock };
        // (Deep as it is, it would make every task that takes a message large.)
        Box::pin(take(&self.router, body, &mut watch)).await;
        telemetry::handled(watch.disposition, started.elapsed());
        Taken { disposition: watch.disposition, why: watch.why, waits: watch.waits }
    }
}

struct Watch {
    disposition: Disposition,
    why: Vec<String>,
    waits: bool,
    events_clock: bool,
}

impl Each for Watch {
    fn now(&mut self, event: &EventFacts) -> Timestamp {
        event.time.filter(|_| self.events_clock).unwrap_or_else(clock)
    }

    fn became(&mut self, event: Option<&EventFacts>, result: Result<&Handled, &str>) {
        telemetry::decided(event, result, clock());
        let disposition = match result {
            Ok(handled) => {
                self.why.extend(handled.findings.iter().filter_map(|f| f.error.clone()));
                self.waits &= handled.waits();
                handled.disposition()
            }
            Err(reason) => {
                self.why.push(reason.to_owned());
                Disposition::Reject
            }
        };
        self.disposition = self.disposition.max(disposition);
    }
}
