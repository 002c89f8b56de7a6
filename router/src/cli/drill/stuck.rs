//! Where a drill got stuck, in a sentence that says what to do.
use super::{Drill, Way};
use crate::{
    cli::queue::{self, Queue},
    values::entry::{Entry, History, Waiting},
};

/// What of a plan was not done, though somebody was told.
pub(super) fn failure(line: &History) -> Option<String> {
    let wrong: Vec<&str> =
        line.done.iter().filter(|d| d.contains(": failed, ") || d.contains(": later, ")).map(String::as_str).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

impl Drill {
    /// Why nobody was told in time.
    pub(super) async fn stuck(&self, entry: Option<&Entry>, line: Option<&History>) -> String {
        match (entry, line) {
            (Some(entry), Some(line)) => recorded(entry, line),
            (Some(entry), None) if entry.owed.iter().any(|o| o.id == self.id) => {
                "it was decided, and is being told at this moment: Slack takes long; look at the router's log"
                    .to_owned()
            }
            _ => self.on_its_way().await,
        }
    }

    async fn on_its_way(&self) -> String {
        let Some(url) = &self.queue else {
            return match self.way {
                Way::Http(_) => "it was taken, but this ledger does not know it: does `serve` use another ledger?",
                _ => "it did not come to the ledger; name the queue (--queue) to see whether it is there",
            }
            .to_owned();
        };
        let client = aws_sdk_sqs::Client::new(&self.aws.quick().await);
        match queue::look(&client, url).await {
            Err(why) => why,
            Ok(found) => in_queue(&found, matches!(self.way, Way::Bus(_))),
        }
    }
}

fn in_queue(queue: &Queue, by_bus: bool) -> String {
    let Queue { waiting, in_flight, delayed, dead_letters, .. } = queue;
    let dead = dead_letters.as_ref().and_then(|d| Some((&d.arn, d.depth.as_ref().ok().filter(|n| **n > 0)?)));
    if *waiting > 0 {
        return format!("still in the queue, with {waiting} that wait: is `serve`, or the function, running?");
    }
    if *in_flight + *delayed > 0 {
        return format!(
            "received, but not recorded ({in_flight} in flight): the router's log says why it is tried again"
        );
    }
    match dead {
        Some((arn, count)) => {
            format!(
                "the queue is empty, and the dead-letter queue {arn} holds {count}: the router's log says why (ERROR)"
            )
        }
        None if by_bus => {
            "it did not come to the queue: has the bus a rule for the source `findings-router` with the queue as \
                           its target, and may EventBridge send there (the queue's policy)?"
                .to_owned()
        }
        None => "somebody took it out of the queue, but this ledger does not know it: does `serve` use another ledger?"
            .to_owned(),
    }
}

/// It is recorded, and yet nobody was told.
pub(super) fn recorded(entry: &Entry, line: &History) -> String {
    if let Some(why) = failure(line) {
        return format!("recorded, but not told: {why}");
    }
    if let Some(waiting) = entry.waiting.first().filter(|_| line.done.iter().any(|d| d.starts_with("digest"))) {
        let Waiting { destination, until } = waiting;
        return format!(
            "recorded, and named in the digest of {destination} at {until}: your routes or quiet hours say so"
        );
    }
    if line.done.is_empty() {
        return "recorded, and nobody is to be told: your routes drop drills (to = [])".to_owned();
    }
    format!("recorded as {}, and this is what was done: {}", line.novelty, line.done.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::queue::DeadLetters;

    #[test]
    fn a_queue_tells_where_it_is() {
        let queue = |waiting, in_flight, dead: Option<u64>| Queue {
            arn: String::new(),
            waiting,
            in_flight,
            delayed: 0,
            encryption: String::new(),
            dead_letters: dead.map(|n| DeadLetters { arn: "dlq".to_owned(), receives_max: 10, depth: Ok(n) }),
        };
        let rows = [
            (queue(2, 1, None), false, "still in the queue"),
            (queue(0, 1, None), false, "received, but not recorded (1 in flight)"),
            (queue(0, 0, Some(3)), false, "the dead-letter queue dlq holds 3"),
            (queue(0, 0, Some(0)), true, "it did not come to the queue: has the bus a rule"),
            (queue(0, 0, None), false, "this ledger does not know it"),
        ];
        for (queue, by_bus, said) in rows {
            let all = in_queue(&queue, by_bus);
            assert!(all.contains(said), "{said:?} in {all:?}");
        }
    }
}
