//! Whose turn it is: so many calls of a kind in a time, first come, first served, and none before a `Retry-After` has passed.
//!
//! There are no bursts: Slack promises none, and other consumers may be posting to the same channel.
use super::PACE;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// What is paced together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Messages to one channel.
    Posts(String),
    /// All edits.
    Edits,
    /// All looks at what is in channels.
    Looks,
}

/// Where a caller joins the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It had its turn, and Slack did not take what it sent: at the end of a long queue it might never be done.
    First,
    Last,
}

/// The time between two calls in a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    pub(super) posts: Duration,
    /// Edits, and looks.
    pub(super) others: Duration,
}

impl Default for Intervals {
    /// One message per second and channel; the others are Tier 3: 50 a minute.
    fn default() -> Self {
        Self::of(PACE)
    }
}

impl Intervals {
    fn of(posts: Duration) -> Self {
        Self { posts, others: posts * 6 / 5 }
    }
}

/// The turns of one lane; knows no clock.
#[derive(Debug)]
struct Turns {
    interval: Duration,
    /// Nothing goes before.
    next: Instant,
    /// In the order they came; as long as there are callers.
    waiting: VecDeque<u64>,
}

impl Turns {
    fn join(&mut self, ticket: u64, order: Order) {
        match order {
            Order::First => self.waiting.push_front(ticket),
            Order::Last => self.waiting.push_back(ticket),
        }
    }

    /// `None`: it is this ticket's turn, which it has taken. Else how long until it is, if nothing changes.
    fn ask(&mut self, ticket: u64, now: Instant) -> Option<Duration> {
        let place = self.waiting.iter().position(|t| *t == ticket).unwrap_or(self.waiting.len());
        let before = self.interval.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX));
        let wait = (self.next.max(now) + before).duration_since(now);
        if !wait.is_zero() {
            return Some(wait);
        }
        self.waiting.remove(place);
        self.next = now + self.interval;
        None
    }

    fn block(&mut self, until: Instant) {
        self.next = self.next.max(until);
    }

    fn leave(&mut self, ticket: u64) {
        self.waiting.retain(|t| *t != ticket);
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.next <= now
    }
}

/// The turns of the whole process.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) intervals: Intervals,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    lanes: HashMap<Lane, Turns>,
    tickets: u64,
}

impl Lanes {
    fn join(&mut self, lane: &Lane, order: Order, intervals: Intervals) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.turns(lane, intervals, Instant::now()).join(ticket, order);
        ticket
    }

    /// A lane's turns; idle lanes are forgotten when a new one comes.
    fn turns(&mut self, lane: &Lane, intervals: Intervals, now: Instant) -> &mut Turns {
        if !self.lanes.contains_key(lane) {
            self.lanes.retain(|_, turns| !turns.is_idle(now));
        }
        let interval = if matches!(lane, Lane::Posts(_)) { intervals.posts } else { intervals.others };
        self.lanes.entry(lane.clone()).or_insert_with(|| Turns { interval, next: now, waiting: VecDeque::new() })
    }
}

/// A place in a queue, which is given up when it is dropped.
struct Place<'a> {
    pace: &'a Pace,
    lane: &'a Lane,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(turns) = self.pace.lock().lanes.get_mut(self.lane) {
            turns.leave(self.ticket);
        }
    }
}

impl Pace {
    /// A message in a channel after each other, with so long between.
    pub(super) fn new(posts: Duration) -> Self {
        Self { intervals: Intervals::of(posts), ..Self::default() }
    }

    /// Returns when it is the caller's turn. If that is not before `by`, says at once how long it would take, and takes no turn.
    pub(super) async fn turn(&self, lane: &Lane, order: Order, by: Instant) -> Result<(), Duration> {
        let ticket = self.lock().join(lane, order, self.intervals);
        let place = Place { pace: self, lane, ticket };
        loop {
            let now = Instant::now();
            let wait = self.lock().turns(lane, self.intervals, now).ask(place.ticket, now);
            match wait {
                None => return Ok(()),
                Some(wait) if now + wait > by => return Err(wait),
                Some(wait) => sleep(wait).await,
            }
        }
    }

    /// Nothing goes in this lane before the wait has passed.
    pub(super) fn block(&self, lane: &Lane, wait: Duration) {
        let now = Instant::now();
        self.lock().turns(lane, self.intervals, now).block(now + wait);
    }

    /// A panic elsewhere leaves at worst a place that nobody waits in.
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    fn turns(now: Instant) -> Turns {
        Turns { interval: seconds(1.0), next: now, waiting: VecDeque::new() }
    }

    enum Step {
        /// Joins at the end, if it has not yet.
        Ask(u64, Option<f64>),
        /// Joins at the front.
        Again(u64, f64),
        Block(f64),
        Leave(u64),
    }

    #[test]
    fn a_turn_comes_in_the_order_of_asking() {
        use Step::{Again, Ask, Block, Leave};
        let start = Instant::now();
        let mut turns = turns(start);
        for (row, (at, step)) in [
            (0.0, Ask(1, None)),
            (0.0, Ask(2, Some(1.0))),
            (0.0, Ask(3, Some(2.0))),
            (0.25, Ask(2, Some(0.75))),
            // Later in the queue, so not before the one ahead, although the time has come.
            (1.0, Ask(3, Some(1.0))),
            (1.0, Ask(2, None)),
            (1.0, Ask(4, Some(2.0))),
            // A place that is given up is not kept free.
            (1.5, Leave(3)),
            (1.5, Ask(4, Some(0.5))),
            // Not before the block ends; a shorter block takes nothing back.
            (1.5, Block(30.0)),
            (1.6, Block(2.0)),
            (2.0, Ask(4, Some(28.0))),
            (2.0, Ask(5, Some(29.0))),
            (30.0, Ask(4, None)),
            (30.0, Ask(5, Some(1.0))),
            // Who comes late takes no turns with him that nobody used.
            (90.0, Ask(5, None)),
            (90.0, Ask(6, Some(1.0))),
            (90.5, Again(7, 0.5)),
            (91.0, Ask(6, Some(1.0))),
            (91.0, Ask(7, None)),
            (91.0, Ask(6, Some(1.0))),
            (92.0, Ask(6, None)),
        ]
        .into_iter()
        .enumerate()
        {
            match step {
                Ask(ticket, want) => {
                    if !turns.waiting.contains(&ticket) {
                        turns.join(ticket, Order::Last);
                    }
                    assert_eq!(turns.ask(ticket, start + seconds(at)), want.map(seconds), "row {row}");
                }
                Again(ticket, want) => {
                    turns.join(ticket, Order::First);
                    assert_eq!(turns.ask(ticket, start + seconds(at)), Some(seconds(want)), "row {row}");
                }
                Block(until) => turns.block(start + seconds(until)),
                Leave(ticket) => turns.leave(ticket),
            }
        }
    }

    proptest! {
        /// Whoever comes when, and whenever a block is set: two turns are an interval apart, none is in a block, all come in order.
        #[test]
        fn no_turn_too_many(steps in proptest::collection::vec((0_u64..900, 0_u64..8), 1..80)) {
            let start = Instant::now();
            let mut turns = turns(start);
            let (mut now, mut blocked, mut tickets, mut went) = (start, start, 0, Vec::new());
            for (pause, what) in steps {
                now += Duration::from_millis(pause);
                match what {
                    0 => { blocked = blocked.max(now + Duration::from_millis(pause * 5)); turns.block(blocked); }
                    1 => turns.leave(tickets / 2),
                    2..5 => { tickets += 1; turns.join(tickets, Order::Last); if turns.ask(tickets, now).is_none() { went.push((now, tickets)); prop_assert!(now >= blocked); } }
                    _ => for ticket in turns.waiting.clone() {
                        if turns.ask(ticket, now).is_none() { went.push((now, ticket)); prop_assert!(now >= blocked); }
                    }
                }
            }
            // All who are left go as soon as they are told to.
            while let Some(&ticket) = turns.waiting.front() {
                if let Some(wait) = turns.ask(ticket, now) {
                    now += wait;
                } else {
                    prop_assert!(now >= blocked);
                    went.push((now, ticket));
                }
            }
            for pair in went.windows(2) {
                prop_assert!(pair[1].0.duration_since(pair[0].0) >= seconds(1.0), "{pair:?}");
                prop_assert!(pair[1].1 > pair[0].1, "{pair:?}");
            }
        }
    }

    #[tokio::test]
    async fn who_cannot_wait_takes_no_turn() {
        let pace = Pace::default();
        let posts = |channel: &str| Lane::Posts(channel.into());
        let soon = Instant::now() + seconds(0.2);
        assert_eq!(pace.turn(&posts("#a"), Order::Last, soon).await, Ok(()));
        for _ in 0..3 {
            let wait = pace.turn(&posts("#a"), Order::Last, soon).await.unwrap_err();
            assert!(wait > seconds(0.5) && wait <= seconds(1.0), "{wait:?}");
        }
        assert_eq!(pace.turn(&posts("#b"), Order::Last, soon).await, Ok(()), "another channel");
        pace.block(&Lane::Edits, seconds(7.0));
        let wait = pace.turn(&Lane::Edits, Order::Last, soon).await.unwrap_err();
        assert!(wait > seconds(6.5), "{wait:?}");
    }

    #[tokio::test]
    async fn waiters_go_one_by_one_and_leave_nothing_behind() {
        let intervals = Intervals { posts: seconds(0.03), others: seconds(0.03) };
        let pace = Pace { intervals, ..Pace::default() };
        let (start, lane) = (Instant::now(), Lane::Edits);
        let by = start + seconds(20.0);
        let went = Mutex::new(Vec::new());
        let go = async |name: u8| {
            pace.turn(&lane, Order::Last, by).await.unwrap();
            went.lock().unwrap().push((name, start.elapsed()));
        };
        pace.turn(&lane, Order::Last, by).await.unwrap();
        tokio::select! {
            biased;
            _ = pace.turn(&lane, Order::Last, by) => {}
            () = std::future::ready(()) => {}
        }
        tokio::join!(go(1), go(2), go(3));
        let went = went.into_inner().unwrap();
        assert_eq!(went.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(went[2].1 >= seconds(0.09), "after the first turn: {went:?}");
        tokio::time::sleep(seconds(0.04)).await;
        pace.block(&Lane::Looks, Duration::ZERO);
        assert_eq!(pace.lock().lanes.len(), 1, "what is idle is forgotten; who gave up does not keep it");
    }
}
