//! Takes a body through the router: every event that it turns out to be, in order. What replay, the daemon and Lambda share.
use super::{
    ports::{Ledger, Messenger, Publisher, Remediator},
    router::{Handled, Router},
};
use crate::decide::carrier::{Envelope, Opened, open};
use jiff::Timestamp;

/// The envelope's facts, kept after the event is gone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EventFacts {
    /// The delivery's id.
    pub id: String,
    /// `EventBridge` source.
    pub source: String,
    /// `EventBridge` detail-type.
    pub detail_type: String,
    /// The account whose bus it was on.
    pub account: String,
    /// The Region of that bus.
    pub region: String,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// The archive replay that sent it again.
    #[serde(skip)]
    pub replay: Option<String>,
}

impl EventFacts {
    /// Copies them out of an envelope.
    pub fn of(envelope: &Envelope<'_>) -> Self {
        Self {
            id: envelope.id.to_string(),
            source: envelope.source.to_string(),
            detail_type: envelope.detail_type.to_string(),
            account: envelope.account.to_string(),
            region: envelope.region.to_string(),
            time: envelope.time,
            replay: envelope.replay.clone(),
        }
    }
}

/// Takes each event that a body turns out to be with what became of it, or why it is none.
pub trait Each {
    /// What time it is while this event is handled.
    fn now(&mut self, event: &EventFacts) -> Timestamp;
    /// What became of it.
    fn became(&mut self, event: Option<&EventFacts>, result: Result<&Handled, &str>);
}

/// Takes one body through.
pub async fn take<L: Ledger, M: Messenger, R: Remediator, P: Publisher>(
    router: &Router<'_, L, M, R, P>,
    body: &str,
    each: &mut impl Each,
) {
    match open(body, router.policy.fields()) {
        Opened::Event(envelope) => one(router, envelope, each).await,
        Opened::Refused(refusal) => each.became(None, Err(&refusal.reason)),
        Opened::Many(texts) => {
            for text in texts {
                match text.as_deref().map(|text| open(text, router.policy.fields())) {
                    Ok(Opened::Event(envelope)) => one(router, envelope, each).await,
                    Ok(Opened::Refused(refusal)) => each.became(None, Err(&refusal.reason)),
                    Err(refusal) => each.became(None, Err(&refusal.reason)),
                    Ok(Opened::Many(_)) => {
                        each.became(None, Err("an event inside an event's carrier is itself a carrier"));
                    }
                }
            }
        }
    }
}

async fn one<L: Ledger, M: Messenger, R: Remediator, P: Publisher>(
    router: &Router<'_, L, M, R, P>,
    envelope: Envelope<'_>,
    each: &mut impl Each,
) {
    let facts = EventFacts::of(&envelope);
    let now = each.now(&facts);
    let handled = router.handle(envelope, now).await;
    each.became(Some(&facts), handled.refused.as_deref().map_or(Ok(&handled), Err));
}
