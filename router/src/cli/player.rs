//! Plays recorded texts through the real router with in-memory ends; `replay` and `explain` print what comes out.
use super::setup::{MemoryRouter, Setup};
use crate::{
    act::router::Handled,
    decide::carrier::{self, Envelope, Opened},
};
use jiff::Timestamp;
use std::io;

/// One event that was replayed, as a printer sees it.
pub struct Replayed<'a> {
    /// Where it came from.
    pub path: &'a str,
    /// Which event of this path, from 0.
    pub index: usize,
    /// The envelope; none where the input was refused.
    pub event: Option<&'a EventFacts>,
    /// What became of it, or why it was refused.
    pub result: Result<&'a Handled, &'a str>,
}

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

/// Takes each event that a text turns out to be with what became of it, or why it is none.
pub type Each<'e> = dyn FnMut(Option<&EventFacts>, Result<&Handled, &str>) + 'e;

/// Takes events through a router one after the other, with the events' own clock.
pub struct Player<'p> {
    router: MemoryRouter<'p>,
    runtime: tokio::runtime::Runtime,
    /// An event without a time happens when the one before it did.
    now: Timestamp,
    /// Decide as if everything happened at this time.
    fixed: Option<Timestamp>,
}

impl<'p> Player<'p> {
    /// A player with an empty memory.
    pub fn new(setup: &'p Setup) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { router: setup.memory_router(), runtime, now: Timestamp::UNIX_EPOCH, fixed: None })
    }

    /// From now on, decide as if everything happened at this time.
    pub fn fix(&mut self, now: Option<Timestamp>) {
        self.fixed = now;
    }

    /// Takes one text through; hands out each event that it turns out to be, or why it is none.
    pub fn play(&mut self, text: &str, each: &mut Each<'_>) {
        match carrier::open(text, self.router.policy.fields()) {
            Opened::Event(envelope) => self.one(envelope, each),
            Opened::Refused(refusal) => each(None, Err(&refusal.reason)),
            Opened::Many(texts) => {
                for text in texts {
                    match text {
                        Err(refusal) => each(None, Err(&refusal.reason)),
                        Ok(text) => match carrier::open(&text, self.router.policy.fields()) {
                            Opened::Event(envelope) => self.one(envelope, each),
                            Opened::Refused(refusal) => each(None, Err(&refusal.reason)),
                            Opened::Many(_) => {
                                each(None, Err("an event inside an event's carrier is itself a carrier"));
                            }
                        },
                    }
                }
            }
        }
    }

    fn one(&mut self, envelope: Envelope<'_>, each: &mut Each<'_>) {
        let facts = EventFacts::of(&envelope);
        self.now = self.fixed.or(envelope.time).unwrap_or(self.now);
        let handled = self.runtime.block_on(self.router.handle(envelope, self.now));
        each(Some(&facts), handled.refused.as_deref().map_or(Ok(&handled), Err));
    }
}
