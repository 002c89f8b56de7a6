//! Adjustments (`[[adjust]]`): how findings that a pattern matches are judged differently, in a source's file or the user's configuration.
use super::{pattern::Pattern, source::pattern, written::Item};
use crate::values::severity::Severity;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// What an adjustment does to the findings it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Raises (or, negative, lowers) the severity by steps.
    Move(i8),
    /// Sets the severity.
    Set(Severity),
    /// Tells and does nothing until then.
    Suppress(Timestamp),
}

/// A change of how findings are judged, with its reason.
#[derive(Debug)]
pub struct Adjust {
    /// Which events.
    pub when: Pattern,
    /// Why; shown by `explain`, and on a suppressed finding.
    pub reason: String,
    /// What it does.
    pub change: Change,
}

impl Adjust {
    /// Reads one `[[adjust]]`.
    pub fn read(item: &Item<'_>) -> Option<Self> {
        let table = item.table()?;
        let when = table.need("when", "an event pattern: which findings").and_then(|w| pattern(&w));
        let reason =
            table.need("reason", "why, for the person who finds it missing").and_then(|r| r.text().map(str::to_owned));
        let step = |key, sign: i8| Some(Change::Move(sign * i8::try_from(table.get(key)?.whole(1, 4)?).ok()?));
        let changes = [
            step("raise", 1),
            step("lower", -1),
            table.get("severity").and_then(|s| s.parse(str::parse)).map(Change::Set),
            table.get("suppress-until").and_then(|u| u.parse(day_or_instant)).map(Change::Suppress),
        ];
        let said =
            ["raise", "lower", "severity", "suppress-until"].into_iter().filter(|key| table.get(key).is_some()).count();
        let change = changes.into_iter().flatten().next();
        if said != 1 {
            item.fail("must do exactly one thing", "write one of `raise`, `lower`, `severity`, `suppress-until`");
        }
        table.finish();
        Some(Self { when: when?, reason: reason?, change: change? })
    }
}

/// A day ends when it ends in UTC; a suppression without an end is refused.
fn day_or_instant(text: &str) -> Result<Timestamp, String> {
    let help = || format!("{text:?} is not a day or an instant; write \"2026-12-31\" or \"2026-12-31T18:00:00Z\"");
    if let Ok(day) = text.parse::<Date>() {
        let end = day.tomorrow().and_then(|d| d.to_zoned(TimeZone::UTC)).map_err(|_| help())?;
        return Ok(end.timestamp());
    }
    text.parse().map_err(|_| help())
}
