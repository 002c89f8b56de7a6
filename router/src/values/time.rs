//! Instants and durations as AWS and people write them.
//!
//! Every AWS service has its own idea of a timestamp; all of them are read here, so that no other module guesses.
use jiff::{SignedDuration, Timestamp, Unit, civil::DateTime, fmt::rfc2822, tz::TimeZone};

/// A number from here on is epoch milliseconds, below it epoch seconds (as seconds it would be the year 5138).
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Formats with no offset in them; all of them mean UTC.
const UTC_FORMATS: [&str; 2] = [
    "%a %b %d %H:%M:%S%.f UTC %Y", // Inspector: Wed Sep 04 16:59:44.356 UTC 2024
    "%b %d, %Y %I:%M:%S %p",       // Systems Manager: Nov 29, 2024 7:43:25 PM
];

/// Reads an instant in any format that AWS events are known to use.
///
/// RFC 3339 with any fraction and offset (also `+0000`), `Wed Sep 04 16:59:44.356 UTC 2024`,
/// `Fri, 27 Jan 2023 06:02:51 GMT`, `Nov 29, 2024 7:43:25 PM` (UTC), epoch seconds or milliseconds.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.ends_with('Z') {
        return text.parse().ok(); // nearly all of them
    }
    epoch(text)
        .or_else(|| text.parse().ok())
        .or_else(|| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))
        .or_else(|| {
            let text = text.replace('\u{202f}', " "); // newer Java runtimes put it before AM and PM
            UTC_FORMATS.iter().find_map(|format| {
                let civil = DateTime::strptime(format, &text).ok()?;
                Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
            })
        })
}

/// `1700000000`, `1700000000123`, and the `1.700000000123E9` of AWS's JSON protocols.
fn epoch(text: &str) -> Option<Timestamp> {
    if let Ok(whole) = text.parse::<i64>() {
        return if whole.abs() >= MILLISECONDS_FROM {
            Timestamp::from_millisecond(whole).ok()
        } else {
            Timestamp::from_second(whole).ok()
        };
    }
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a round number far below 2^53")]
    let seconds = if number.abs() >= MILLISECONDS_FROM as f64 { number / 1000.0 } else { number };
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    // A float holds about a microsecond; what it shows below that is not in the text.
    Timestamp::from_duration(since).ok()?.round(Unit::Microsecond).ok()
}

/// Reads a duration such as `30s`, `10m`, `24h`, `7d` or `1h30m`: whole numbers with units, the longest unit first.
pub fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    const UNITS: [(u8, i64); 4] = [(b'd', 86_400), (b'h', 3_600), (b'm', 60), (b's', 1)];
    let refuse = |why: &str| {
        let shown: String = text.chars().take(40).collect();
        Err(format!("{shown:?} is not a duration: {why}; write \"30s\", \"10m\", \"24h\", \"7d\" or \"1h30m\""))
    };
    if text.is_empty() {
        return refuse("it is empty");
    }
    let (mut seconds, mut number, mut allowed) = (0_i64, None, &UNITS[..]);
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            let digit = i64::from(byte - b'0');
            number = number.unwrap_or(0_i64).checked_mul(10).and_then(|n| n.checked_add(digit));
            if number.is_none() {
                return refuse("it is too long");
            }
            continue;
        }
        let Some(count) = number.take() else { return refuse("a number must stand before each unit") };
        let Some(at) = allowed.iter().position(|(unit, _)| *unit == byte) else {
            return refuse(if UNITS.iter().any(|(unit, _)| *unit == byte) {
                "each unit may stand once, the longest first"
            } else {
                "the units are d, h, m and s"
            });
        };
        let Some(sum) = count.checked_mul(allowed[at].1).and_then(|more| seconds.checked_add(more)) else {
            return refuse("it is too long");
        };
        (seconds, allowed) = (sum, &allowed[at + 1..]);
    }
    if number.is_some() {
        return refuse("the last number has no unit");
    }
    Ok(SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_format_that_events_use_is_read() {
        let rows = [
            ("2024-05-30T23:12:15Z", "2024-05-30T23:12:15Z", "most events"),
            ("2024-05-30T23:12:15.509Z", "2024-05-30T23:12:15.509Z", "GuardDuty"),
            ("2024-05-30T23:12:15.509465073Z", "2024-05-30T23:12:15.509465073Z", "Access Analyzer"),
            (" 2024-05-30T23:12:15Z\n", "2024-05-30T23:12:15Z", "blanks around it"),
            ("2024-05-30T23:12:15+09:00", "2024-05-30T14:12:15Z", "an offset"),
            ("2019-10-02T17:04:40.989+0000", "2019-10-02T17:04:40.989Z", "CloudWatch alarms"),
            ("Wed Sep 04 16:59:44.356 UTC 2024", "2024-09-04T16:59:44.356Z", "Inspector"),
            ("Wed Sep 04 16:59:44 UTC 2024", "2024-09-04T16:59:44Z", "Inspector, no fraction"),
            ("Fri, 27 Jan 2023 06:02:51 GMT", "2023-01-27T06:02:51Z", "Health"),
            ("Nov 29, 2024 7:43:25 PM", "2024-11-29T19:43:25Z", "Systems Manager"),
            ("Nov 9, 2024 12:03:05\u{202f}AM", "2024-11-09T00:03:05Z", "Systems Manager, newer Java"),
            ("1700000000", "2023-11-14T22:13:20Z", "epoch seconds"),
            ("1700000000123", "2023-11-14T22:13:20.123Z", "epoch milliseconds"),
            ("1700000000.123", "2023-11-14T22:13:20.123Z", "epoch seconds with a fraction"),
            ("1.700000000123E9", "2023-11-14T22:13:20.123Z", "epoch seconds as Java writes a double"),
        ];
        for (text, expected, why) in rows {
            assert_eq!(parse(text).map(|t| t.to_string()).as_deref(), Some(expected), "{why}: {text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in ["", "Z", "soon", "2024-13-01T00:00:00Z", "2024-05-30", "99999999999999999999", "e", "1e400", "--"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_or_refused_with_what_to_write() {
        let rows = [
            ("30s", 30),
            ("10m", 600),
            ("24h", 86_400),
            ("7d", 604_800),
            ("1h30m", 5_400),
            ("0s", 0),
            ("1d1s", 86_401),
        ];
        for (text, seconds) in rows {
            assert_eq!(parse_duration(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        let write = "write \"30s\", \"10m\", \"24h\", \"7d\" or \"1h30m\"";
        let rows = [
            ("", "\"\" is not a duration: it is empty"),
            ("10", "\"10\" is not a duration: the last number has no unit"),
            ("h", "\"h\" is not a duration: a number must stand before each unit"),
            ("-1h", "\"-1h\" is not a duration: a number must stand before each unit"),
            ("5w", "\"5w\" is not a duration: the units are d, h, m and s"),
            ("1m1h", "\"1m1h\" is not a duration: each unit may stand once, the longest first"),
            ("99999999999999999999s", "\"99999999999999999999s\" is not a duration: it is too long"),
        ];
        for (text, reason) in rows {
            assert_eq!(parse_duration(text), Err(format!("{reason}; {write}")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*|[0-9TZ:.+eE, dhms-]{0,40}") {
            let _ = (parse(&text), parse_duration(&text));
        }

        #[test]
        fn what_was_written_is_read_back(nanos in 0_i128..4_000_000_000_000_000_000) {
            let instant = Timestamp::from_nanosecond(nanos).unwrap();
            prop_assert_eq!(parse(&instant.to_string()), Some(instant));
        }
    }
}
