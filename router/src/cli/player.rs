//! Plays recorded texts through the real router with in-memory ends; `replay` and `explain` print what comes out.
use super::setup::{MemoryRouter, Setup};
use crate::act::{
    intake::{self, EventFacts},
    router::Handled,
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

/// Takes each event that a text turns out to be with what became of it, or why it is none.
pub type Each<'e> = dyn FnMut(Option<&EventFacts>, Result<&Handled, &str>) + 'e;

/// Takes events through a router one after the other, with the events' own clock.
pub struct Player<'p> {
    router: MemoryRouter<'p>,
    runtime: tokio::runtime::Runtime,
    clock: Clock,
}

struct Clock {
    /// An event without a time happens when the one before it did.
    now: Timestamp,
    /// Decide as if everything happened at this time.
    fixed: Option<Timestamp>,
}

impl<'p> Player<'p> {
    /// A player with an empty memory.
    pub fn new(setup: &'p Setup) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let clock = Clock { now: Timestamp::UNIX_EPOCH, fixed: None };
        Ok(Self { router: setup.memory_router(), runtime, clock })
    }

    /// From now on, decide as if everything happened at this time.
    pub fn fix(&mut self, now: Option<Timestamp>) {
        self.clock.fixed = now;
    }

    /// Takes one text through; hands out each event that it turns out to be, or why it is none.
    pub fn play(&mut self, text: &str, each: &mut Each<'_>) {
        let mut playing = Playing { clock: &mut self.clock, each };
        self.runtime.block_on(intake::take(&self.router, text, &mut playing));
    }
}

struct Playing<'a, 'e> {
    clock: &'a mut Clock,
    each: &'a mut Each<'e>,
}

impl intake::Each for Playing<'_, '_> {
    fn now(&mut self, event: &EventFacts) -> Timestamp {
        self.clock.now = self.clock.fixed.or(event.time).unwrap_or(self.clock.now);
        self.clock.now
    }

    fn became(&mut self, event: Option<&EventFacts>, result: Result<&Handled, &str>) {
        (self.each)(event, result);
    }
}
