//! Slack's rate limits, and whether a client kept to the `Retry-After` that it was given.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A limit: calls that may come at once, and how many a second after them.
type Limit = (f64, f64);

/// One message a second for a channel or webhook; short bursts pass.
const POSTS: Limit = (4.0, 1.0);
/// Tier 3: 50 a minute.
const TIER_3: Limit = (50.0, 50.0 / 60.0);
/// Tier 2: 20 a minute.
const TIER_2: Limit = (20.0, 20.0 / 60.0);

fn limit(method: &str) -> Option<Limit> {
    match method {
        "chat.postMessage" | super::WEBHOOK => Some(POSTS),
        "chat.update" | "conversations.info" | "conversations.history" | "conversations.replies" => Some(TIER_3),
        "conversations.list" => Some(TIER_2),
        _ => None,
    }
}

/// What is limited together: a method, and for posts its channel.
pub(super) type Key = (String, Option<String>);

#[derive(Default)]
pub(super) struct Pace {
    /// Whether the limits hold; a `Retry-After` always does.
    pub(super) limited: bool,
    /// What is left of a limit, and since when.
    left: BTreeMap<Key, (f64, Instant)>,
    blocked: BTreeMap<Key, Instant>,
    /// Calls that came too early.
    pub(super) undercut: Vec<String>,
}

impl Pace {
    /// Whether a call may pass; if not, for how many seconds it is sent away.
    pub(super) fn admit(&mut self, key: &Key, now: Instant) -> Result<(), u64> {
        let wait = self.blocked.get(key).map(|end| end.saturating_duration_since(now)).unwrap_or_default();
        if !wait.is_zero() {
            self.undercut.push(format!("{} {} came {wait:?} early", key.0, key.1.as_deref().unwrap_or("")));
            return Err(seconds(wait));
        }
        let Some((burst, rate)) = limit(&key.0).filter(|_| self.limited) else { return Ok(()) };
        let (left, since) = self.left.entry(key.clone()).or_insert((burst, now));
        *left = (*left + now.duration_since(*since).as_secs_f64() * rate).min(burst);
        *since = now;
        if *left < 1.0 {
            let wait = seconds(Duration::from_secs_f64((1.0 - *left) / rate));
            self.block(key, wait, now);
            return Err(wait);
        }
        *left -= 1.0;
        Ok(())
    }

    /// From now on these calls are sent away for so many seconds.
    pub(super) fn block(&mut self, key: &Key, seconds: u64, now: Instant) {
        self.blocked.insert(key.clone(), now + Duration::from_secs(seconds));
    }
}

/// Whole seconds, rounded up: `Retry-After` knows no others.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::{Key, Pace};
    use std::time::{Duration, Instant};

    /// Calls at these milliseconds, and for how many seconds each is sent away (0: it passes).
    #[track_caller]
    fn check(method: &str, calls: &[(u64, u64)], undercut: usize) {
        let start = Instant::now();
        let mut pace = Pace { limited: true, ..Pace::default() };
        let key: Key = (method.to_owned(), Some("C1".to_owned()));
        for (at, sent_away) in calls {
            let got = pace.admit(&key, start + Duration::from_millis(*at)).err().unwrap_or_default();
            assert_eq!(got, *sent_away, "{method} at {at} ms");
        }
        assert_eq!(pace.undercut.len(), undercut, "{:?}", pace.undercut);
    }

    #[test]
    fn one_message_a_second_with_a_small_burst() {
        check("chat.postMessage", &[(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (1000, 0), (1500, 1), (2500, 0)], 0);
    }

    #[test]
    fn coming_back_early_is_seen_and_sent_away_again() {
        check("chat.postMessage", &[(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (900, 1), (1000, 0)], 1);
    }

    #[test]
    fn edits_are_tier_3() {
        let mut calls = vec![(0, 0); 50];
        calls.extend([(0, 2), (1999, 1), (2000, 0)]);
        check("chat.update", &calls, 1);
    }

    #[test]
    fn some_methods_have_no_limit() {
        check("auth.test", &[(0, 0); 200], 0);
    }
}
