//! Failures on command.
use std::time::{Duration, Instant};

/// Every method, for [`Slack::fail`](super::Slack::fail).
pub(crate) const ANY: &str = "*";

/// Which calls of a method fail, counted from the command on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// The next so many.
    Next(u64),
    /// This one only; 1 is the next.
    Nth(u64),
    /// Every so many.
    Every(u64),
    Until(Instant),
    Always,
}

/// How a call fails.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// This status, with a body that is not JSON.
    Http(u16),
    /// Status 429 with so many seconds to wait, which the same calls are then held to.
    RateLimited(u64),
    /// HTTP 200, `ok: false` and this error; a webhook answers 400.
    Error(&'static str),
    /// No answer for so long, then the connection ends.
    Silence(Duration),
    /// The connection is reset.
    Reset,
    /// HTTP 200 with a body that ends in the middle.
    Garbage,
}

#[derive(Debug)]
struct Rule {
    method: String,
    when: When,
    failure: Failure,
    /// Whether what was asked is done all the same.
    done: bool,
    calls: u64,
}

#[derive(Debug, Default)]
pub(super) struct Failing(Vec<Rule>);

impl Failing {
    pub(super) fn add(&mut self, method: &str, when: When, failure: Failure, done: bool) {
        self.0.push(Rule { method: method.to_owned(), when, failure, done, calls: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How this call fails, and whether it is done all the same. Every rule counts; the first that applies decides.
    pub(super) fn next(&mut self, method: &str, now: Instant) -> Option<(Failure, bool)> {
        let mut found = None;
        for rule in self.0.iter_mut().filter(|rule| rule.method == ANY || rule.method == method) {
            rule.calls += 1;
            let applies = match rule.when {
                When::Next(n) => rule.calls <= n,
                When::Nth(n) => rule.calls == n,
                When::Every(n) => rule.calls.is_multiple_of(n),
                When::Until(end) => now < end,
                When::Always => true,
            };
            if applies && found.is_none() {
                found = Some((rule.failure.clone(), rule.done));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{ANY, Failing, Failure, When};
    use std::time::{Duration, Instant};

    #[test]
    fn the_calls_that_fail() {
        let start = Instant::now();
        let rows = [
            (When::Next(2), "xx..."),
            (When::Nth(3), "..x.."),
            (When::Every(2), ".x.x."),
            (When::Until(start + Duration::from_secs(3)), "xxx.."),
            (When::Always, "xxxxx"),
        ];
        for (when, fails) in rows {
            for method in ["chat.update", ANY] {
                let mut failing = Failing::default();
                failing.add(method, when, Failure::Reset, false);
                let mut call = |second| failing.next("chat.update", start + Duration::from_secs(second)).is_some();
                let got: String = (0..5).map(|second| if call(second) { 'x' } else { '.' }).collect();
                assert_eq!(got, fails, "{when:?} of {method}");
            }
        }
    }

    #[test]
    fn other_methods_do_not_count() {
        let mut failing = Failing::default();
        failing.add("chat.update", When::Next(1), Failure::Reset, false);
        assert!(failing.next("chat.postMessage", Instant::now()).is_none());
        assert!(failing.next("chat.update", Instant::now()).is_some());
    }
}
