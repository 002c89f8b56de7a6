//! One message body through the live router; what the queue, Lambda and HTTP share.
use super::{connect::Live, telemetry};
use crate::{
    act::{
        intake::{Each, EventFacts, take},
        router::Handled,
    },
    values::action::Disposition,
};
use jiff::Timestamp;
use tokio::time::Instant;

/// What became of a body.
#[derive(Debug)]
pub struct Taken {
    /// The worst of its events'.
    pub disposition: Disposition,
    /// Why, where something is wrong.
    pub why: Vec<String>,
}

/// The clock; the live router's one.
#[expect(clippy::disallowed_methods, reason = "the live ends are where the clock is read; everything below is given the time")]
pub fn clock() -> Timestamp {
    Timestamp::now()
}

/// Takes a body through, and tells what was decided.
pub async fn body(router: &Live, body: &str) -> Taken {
    let started = Instant::now();
    let mut watch = Watch { disposition: Disposition::Ack, why: Vec::new() };
    take(router, body, &mut watch).await;
    telemetry::handled(watch.disposition, started.elapsed());
    Taken { disposition: watch.disposition, why: watch.why }
}

struct Watch {
    disposition: Disposition,
    why: Vec<String>,
}

impl Each for Watch {
    fn now(&mut self, _: &EventFacts) -> Timestamp {
        clock()
    }

    fn became(&mut self, event: Option<&EventFacts>, result: Result<&Handled, &str>) {
        telemetry::decided(event, result);
        let disposition = match result {
            Ok(handled) => {
                self.why.extend(handled.findings.iter().filter_map(|f| f.error.clone()));
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
