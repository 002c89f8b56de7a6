//! Whether the router is alive and able to work: what `/healthz` and `/readyz` answer.
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};

/// A poll loop that took no turn for so long is stuck. (A turn is one long poll of 20 s, and may wait for work to end.)
const STUCK: SignedDuration = SignedDuration::from_secs(90);

/// What is known of the parts.
#[derive(Debug, Default)]
pub struct Health(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    /// When the queue was last asked, and it answered.
    polled: Option<Timestamp>,
    /// When the loop last took a turn.
    turned: Option<Timestamp>,
    queue: Option<String>,
    ledger: Option<String>,
    stopping: bool,
}

impl Health {
    fn with<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The poll loop takes a turn.
    pub fn turn(&self, now: Timestamp) {
        self.with(|p| p.turned = Some(now));
    }

    /// The queue answered, or why not. Says whether that is another word than the last, whichever poll loop had that.
    pub fn queue(&self, now: Timestamp, answer: Result<(), String>) -> bool {
        self.with(|p| {
            let before = p.queue.is_some();
            match answer {
                Ok(()) => (p.polled, p.queue) = (Some(now), None),
                Err(why) => p.queue = Some(why),
            }
            before != p.queue.is_some()
        })
    }

    /// The ledger can be written, or why not.
    pub fn ledger(&self, answer: Result<(), String>) {
        self.with(|p| p.ledger = answer.err());
    }

    /// No more work is taken.
    pub fn stop(&self) {
        self.with(|p| p.stopping = true);
    }

    /// Whether the process still does what it is there for; restarting it is the remedy where it does not.
    pub fn alive(&self, now: Timestamp) -> Result<(), String> {
        self.with(|p| match p.turned {
            Some(at) if !p.stopping && now.duration_since(at) > STUCK => {
                Err(format!("the poll loop has been stuck since {at}"))
            }
            _ => Ok(()),
        })
    }

    /// Whether work would get done now.
    pub fn ready(&self, now: Timestamp) -> Result<(), String> {
        self.alive(now)?;
        self.with(|p| {
            if p.stopping {
                return Err("stopping".to_owned());
            }
            let queue = p.queue.as_ref().map(|why| format!("queue: {why}"));
            let ledger = p.ledger.as_ref().map(|why| format!("ledger: {why}"));
            let starting =
                (p.turned.is_some() && p.polled.is_none()).then(|| "the queue has not answered yet".to_owned());
            queue.or(ledger).or(starting).map_or(Ok(()), Err)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn it_says_what_is_the_matter() {
        let health = Health::default();
        assert_eq!(
            (health.alive(at(0)), health.ready(at(0))),
            (Ok(()), Ok(())),
            "no queue is polled: nothing is stuck"
        );
        health.turn(at(0));
        assert_eq!(health.ready(at(1)), Err("the queue has not answered yet".to_owned()));
        health.queue(at(1), Ok(()));
        assert_eq!(health.ready(at(2)), Ok(()));
        health.queue(at(3), Err("gone".to_owned()));
        assert_eq!((health.alive(at(3)), health.ready(at(3))), (Ok(()), Err("queue: gone".to_owned())));
        health.queue(at(4), Ok(()));
        health.ledger(Err("disk full".to_owned()));
        assert_eq!(health.ready(at(4)), Err("ledger: disk full".to_owned()));
        health.ledger(Ok(()));
        assert_eq!(health.ready(at(90)), Ok(()));
        let stuck = Err(format!("the poll loop has been stuck since {}", at(0)));
        assert_eq!((health.alive(at(91)), health.ready(at(91))), (stuck.clone(), stuck));
        health.stop();
        assert_eq!((health.alive(at(500)), health.ready(at(500))), (Ok(()), Err("stopping".to_owned())));
    }
}
