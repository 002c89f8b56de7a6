//! What every ledger must do, as named checks: whoever implements [`Ledger`] runs [`holds`] on it, and [`forgets`] where it does
//! not forget by itself.
//!
//! A check uses fingerprints, names and times of its own, so that all may run on one ledger that is empty at first.
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a suite of tests: a check that fails panics")]

mod samples;

use super::ports::{Ledger, Put};
use crate::values::entry::{Entry, Tally, Waiting};
use jiff::{SignedDuration, Timestamp};
pub use samples::{maximal, sample};
use std::{
    future::poll_fn,
    task::{Context, Poll},
};

/// DynamoDB takes items of 400 KiB (409,600 bytes); this leaves room for keys.
pub const JSON_MAX: usize = 395_000;
/// Consumers that write one version at the same time.
const RACERS: u64 = 24;

/// Everything but forgetting. `now` is the time of the ledger's clock, if it has one.
pub async fn holds(ledger: &impl Ledger, now: Timestamp) {
    what_is_unknown_is_nothing(ledger).await;
    a_first_write_is_read_back(ledger, now).await;
    versions_grow_by_one_and_old_ones_conflict(ledger, now).await;
    a_first_write_conflicts_where_something_is(ledger, now).await;
    a_later_write_conflicts_where_nothing_is(ledger, now).await;
    the_largest_entry_comes_back_whole(ledger, now).await;
    of_writers_of_one_version_one_wins(ledger, now).await;
    names_are_found_after_the_write_only(ledger, now).await;
    tallies_are_compared_and_set(ledger, now).await;
    recent_is_newest_first_within_its_time(ledger, now).await;
    recent_finds_an_entry_where_it_was_last_written(ledger, now).await;
    due_is_longest_first_and_follows_the_entry(ledger, now).await;
}

async fn write(ledger: &impl Ledger, entry: &Entry) {
    let put = ledger.put_entry(entry).await.expect("the ledger writes");
    assert_eq!(put, Put::Written, "{} version {}: nobody else writes it", entry.fingerprint, entry.version);
}

async fn read(ledger: &impl Ledger, fingerprint: &str) -> Option<Entry> {
    ledger.entry(fingerprint).await.expect("the ledger reads")
}

async fn conflicts(ledger: &impl Ledger, entry: &Entry, why: &str) {
    let before = read(ledger, &entry.fingerprint).await;
    assert_eq!(ledger.put_entry(entry).await, Ok(Put::Conflict), "{why}");
    assert_eq!(read(ledger, &entry.fingerprint).await, before, "a conflict changes nothing: {why}");
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|e| e.fingerprint.as_str()).collect()
}

async fn what_is_unknown_is_nothing(ledger: &impl Ledger) {
    assert_eq!(read(ledger, "unknown").await, None);
    assert_eq!(ledger.find("message/unknown").await, Ok(None));
    assert_eq!(ledger.tally("unknown").await, Ok(Tally::new("unknown")), "a tally that is not there is empty");
}

async fn a_first_write_is_read_back(ledger: &impl Ledger, now: Timestamp) {
    let entry = sample("first", now);
    write(ledger, &entry).await;
    let stored = Entry { version: 1, ..entry };
    assert_eq!(read(ledger, "first").await, Some(stored), "all of it, one version higher");
}

async fn versions_grow_by_one_and_old_ones_conflict(ledger: &impl Ledger, now: Timestamp) {
    for version in 0..3 {
        write(ledger, &Entry { version, episode: 7, ..sample("lost-update", now) }).await;
    }
    let mine = read(ledger, "lost-update").await.expect("it was written");
    assert_eq!(mine.version, 3, "three writes");
    write(ledger, &Entry { episode: 8, ..mine.clone() }).await;
    conflicts(ledger, &Entry { episode: 9, ..mine }, "somebody wrote since it was read").await;
}

async fn a_first_write_conflicts_where_something_is(ledger: &impl Ledger, now: Timestamp) {
    write(ledger, &sample("there", now)).await;
    conflicts(ledger, &Entry { episode: 9, ..sample("there", now) }, "version 0 must not exist").await;
}

async fn a_later_write_conflicts_where_nothing_is(ledger: &impl Ledger, now: Timestamp) {
    conflicts(ledger, &Entry { version: 1, ..sample("not-there", now) }, "version 1 must exist").await;
}

async fn the_largest_entry_comes_back_whole(ledger: &impl Ledger, now: Timestamp) {
    let entry = maximal("maximal", now);
    let size = serde_json::to_vec(&entry).expect("an entry is JSON").len();
    assert!(size <= JSON_MAX, "{size} bytes: an entry must fit a DynamoDB item; lower a limit in values/entry.rs");
    write(ledger, &entry).await;
    assert_eq!(read(ledger, "maximal").await, Some(Entry { version: 1, ..entry }));
}

async fn of_writers_of_one_version_one_wins(ledger: &impl Ledger, now: Timestamp) {
    for version in 0..2 {
        let count = |number| u32::try_from(100 * version + number).unwrap_or_default();
        let writers: Vec<Entry> = (0..RACERS)
            .map(|n| Entry {
                version,
                episode: count(n),
                names: vec![format!("message/race:{version}-{n}")],
                ..sample("race", now)
            })
            .collect();
        let puts = together(writers.iter().map(|e| ledger.put_entry(e))).await;
        let won: Vec<usize> = (0..puts.len()).filter(|i| puts[*i] == Ok(Put::Written)).collect();
        assert_eq!(won.len(), 1, "one of {RACERS} writers of version {version} wins: {puts:?}");
        assert!(puts.iter().all(Result::is_ok), "the others conflict: {puts:?}");
        let stored = read(ledger, "race").await.expect("one wrote");
        assert_eq!((stored.version, stored.episode), (version + 1, writers[won[0]].episode), "what the winner wrote");
        for (i, writer) in writers.iter().enumerate() {
            let named = (i == won[0]).then(|| "race".to_owned());
            assert_eq!(ledger.find(&writer.names[0]).await, Ok(named), "only the winner is named");
        }
    }
}

async fn names_are_found_after_the_write_only(ledger: &impl Ledger, now: Timestamp) {
    let named = |version, names: &[&str]| Entry {
        version,
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        ..sample("named", now)
    };
    write(ledger, &named(0, &["message/C1:1", "execution/1"])).await;
    write(ledger, &named(1, &["message/C1:2"])).await;
    conflicts(ledger, &named(1, &["message/C1:3"]), "version 2 is there").await;
    assert_eq!(ledger.find("message/C1:3").await, Ok(None), "a conflict names nothing");
    for name in ["message/C1:1", "execution/1", "message/C1:2"] {
        assert_eq!(ledger.find(name).await, Ok(Some("named".to_owned())), "{name} stays through later writes");
    }
    let stored = read(ledger, "named").await.expect("it was written");
    assert_eq!(stored.names, Vec::<String>::new(), "names are not written again");
    write(ledger, &Entry { names: vec!["message/C1:1".to_owned()], ..sample("renamed", now) }).await;
    assert_eq!(ledger.find("message/C1:1").await, Ok(Some("renamed".to_owned())), "the last write with a name has it");
}

async fn tallies_are_compared_and_set(ledger: &impl Ledger, now: Timestamp) {
    let mut tally = Tally::new("storm/a b/c#d");
    tally.add(now, "x");
    assert_eq!(ledger.put_tally(&tally).await, Ok(Put::Written));
    assert_eq!(ledger.put_tally(&tally).await, Ok(Put::Conflict), "version 0 must not exist");
    let stored = ledger.tally(&tally.key).await.expect("the ledger reads");
    assert_eq!(stored, Tally { version: 1, ..tally });
    let racers: Vec<Tally> = (0..RACERS).map(|n| Tally { card: Some(format!("C1:{n}")), ..stored.clone() }).collect();
    let puts = together(racers.iter().map(|t| ledger.put_tally(t))).await;
    let won: Vec<usize> = (0..puts.len()).filter(|i| puts[*i] == Ok(Put::Written)).collect();
    assert_eq!(won.len(), 1, "one of {RACERS} writers of one tally wins: {puts:?}");
    let winner = Tally { version: 2, ..racers[won[0]].clone() };
    assert_eq!(ledger.tally(&winner.key).await, Ok(winner));
    assert_eq!(read(ledger, "storm/a b/c#d").await, None, "a tally is not an entry of the same key");
}

async fn recent_is_newest_first_within_its_time(ledger: &impl Ledger, now: Timestamp) {
    let at = |seconds: i64| now - SignedDuration::from_hours(30) + SignedDuration::from_secs(seconds);
    for (fingerprint, seconds) in [("r1", 1), ("r5", 5), ("r3-a", 3), ("r4", 4), ("r3-b", 3), ("r2", 2)] {
        write(ledger, &sample(fingerprint, at(seconds))).await;
    }
    let recent = async |since, until, limit| ledger.recent(since, until, limit).await.expect("the ledger reads");
    let mut all = recent(at(2), at(5), 10).await;
    let times: Vec<Timestamp> = all.iter().map(|e| e.updated_at).collect();
    assert_eq!(times, [at(4), at(3), at(3), at(2)], "newest first; since counts, until does not");
    assert_eq!(all[0], Entry { version: 1, ..sample("r4", at(4)) }, "whole entries");
    all.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    assert_eq!(names(&all), ["r2", "r3-a", "r3-b", "r4"], "of the same time, each once");
    assert_eq!(names(&recent(at(1), at(6), 2).await), ["r5", "r4"], "the limit leaves the oldest out");
    assert_eq!(recent(at(1), at(6), 0).await, [], "a limit of none");
    assert_eq!(recent(at(5), at(5), 10).await, [], "no time at all");
    assert_eq!(recent(at(5), at(2), 10).await, [], "a time that ends before it begins");
    let instant = SignedDuration::from_nanos(1);
    assert_eq!(names(&recent(at(4), at(4) + instant, 10).await), ["r4"], "to the nanosecond");
    let ever = recent(Timestamp::MIN, Timestamp::MAX, usize::MAX).await;
    assert!(ever.is_sorted_by(|a, b| a.updated_at >= b.updated_at), "all days, newest first");
    for one in ["r1", "r5", "first"] {
        assert!(names(&ever).contains(&one), "{one} was written some time");
    }
}

async fn recent_finds_an_entry_where_it_was_last_written(ledger: &impl Ledger, now: Timestamp) {
    let at = |seconds: i64| now - SignedDuration::from_hours(60) + SignedDuration::from_secs(seconds);
    write(ledger, &sample("moves", at(0))).await;
    // A clock may go back between two consumers.
    for (version, seconds) in [(1, 90_000), (2, 10)] {
        write(ledger, &Entry { version, ..sample("moves", at(seconds)) }).await;
        let found = async |from: i64| {
            let found = ledger.recent(at(from), at(from + 1), 10).await.expect("the ledger reads");
            found.into_iter().map(|e| (e.fingerprint, e.version)).collect::<Vec<_>>()
        };
        assert_eq!(found(seconds).await, [("moves".to_owned(), version + 1)], "found where it was last written");
        let before = if version == 1 { 0 } else { 90_000 };
        assert_eq!(found(before).await, [], "and no longer where it was before");
    }
}

async fn due_is_longest_first_and_follows_the_entry(ledger: &impl Ledger, now: Timestamp) {
    let at = |seconds: i64| now - SignedDuration::from_hours(20) + SignedDuration::from_secs(seconds);
    let due = |fingerprint: &str, edit: Option<i64>, digest: Option<i64>| {
        let wait = |until| Waiting { destination: "slack:#digest".to_owned(), until: at(until) };
        Entry {
            edit_due: edit.map(at),
            waiting: digest.map(wait).into_iter().collect(),
            ..sample(fingerprint, now - SignedDuration::from_hours(1))
        }
    };
    for entry in [
        due("d3", Some(3), None),
        due("d1", Some(9), Some(1)),
        due("d2-a", None, Some(2)),
        due("d2-b", Some(2), None),
        due("d-never", None, None),
    ] {
        write(ledger, &entry).await;
    }
    let at_most = async |seconds, limit| ledger.due(at(seconds), limit).await.expect("the ledger reads");
    let mut all = at_most(3, 10).await;
    let times: Vec<_> = all.iter().map(Entry::due_at).collect();
    assert_eq!(times, [1, 2, 2, 3].map(|s| Some(at(s))), "longest due first; what is due now counts");
    all.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    assert_eq!(names(&all), ["d1", "d2-a", "d2-b", "d3"], "due at the same time, each once");
    assert_eq!(names(&at_most(3, 1).await), ["d1"], "the limit leaves the youngest out");
    assert_eq!(at_most(0, 10).await, [], "nothing is due yet");
    write(ledger, &Entry { version: 1, ..due("d1", None, None) }).await;
    write(ledger, &Entry { version: 1, ..due("d3", Some(1), None) }).await;
    assert_eq!(names(&at_most(1, 10).await), ["d3"], "what is no longer due is gone, what is due earlier came forward");
}

/// What was last written before is gone, with its names, and nothing else is. For a ledger that does not forget by itself.
pub async fn forgets(ledger: &impl Ledger, now: Timestamp) {
    let before = now - SignedDuration::from_hours(10_000);
    let old = before - SignedDuration::from_nanos(1);
    let named =
        |fingerprint: &str, at| Entry { names: vec![format!("message/{fingerprint}")], ..sample(fingerprint, at) };
    // More than any ledger forgets at once.
    let many: Vec<Entry> = (0..1_500).map(|n| sample(&format!("many-{n}"), old)).collect();
    for put in together(many.iter().map(|e| ledger.put_entry(e))).await {
        assert_eq!(put, Ok(Put::Written));
    }
    let gone = Entry { edit_due: Some(old), ..named("gone", old) };
    for entry in [&gone, &named("kept", before), &named("refreshed", old)] {
        write(ledger, entry).await;
    }
    write(ledger, &Entry { version: 1, ..sample("refreshed", before) }).await;
    for (key, at) in [("tally-gone", old), ("tally-kept", before)] {
        let mut tally = Tally::new(key);
        tally.add(old, "x");
        tally.add(at, "y");
        assert_eq!(ledger.put_tally(&tally).await, Ok(Put::Written));
    }
    assert_eq!(ledger.forget(before).await, Ok(many.len() + 1), "as many entries as were last written before");
    assert_eq!(ledger.forget(before).await, Ok(0), "once");
    assert_eq!(read(ledger, "gone").await, None);
    assert_eq!(read(ledger, "many-0").await, None);
    assert_eq!(ledger.find("message/gone").await, Ok(None), "its name is gone too");
    assert_eq!(ledger.due(old, 10).await, Ok(Vec::new()), "and it is not due any more");
    assert_eq!(ledger.recent(old, before, 10).await, Ok(Vec::new()), "nor is it found by time");
    for kept in ["kept", "refreshed"] {
        assert!(read(ledger, kept).await.is_some(), "{kept} was written since");
        assert_eq!(ledger.find(&format!("message/{kept}")).await, Ok(Some(kept.to_owned())), "{kept} keeps its name");
    }
    assert_eq!(ledger.tally("tally-gone").await, Ok(Tally::new("tally-gone")));
    assert_eq!(ledger.tally("tally-kept").await.map(|t| t.items.len()), Ok(2), "its last item is recent enough");
    write(ledger, &gone).await;
    assert_eq!(ledger.find("message/gone").await, Ok(Some("gone".to_owned())), "what was forgotten can begin anew");
}

/// Polls all at once until all are done.
async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|f| (Box::pin(f), None)).collect();
    poll_fn(|context: &mut Context<'_>| {
        let mut ready = true;
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(done) => *output = Some(done),
                Poll::Pending => ready = false,
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{act::memory::MemoryLedger, testing::at};

    fn run(check: impl Future) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(check);
    }

    #[test]
    fn the_ledger_in_memory_holds() {
        run(holds(&MemoryLedger::default(), at(0)));
    }

    #[test]
    fn the_ledger_in_memory_forgets() {
        run(forgets(&MemoryLedger::default(), at(0)));
    }
}
