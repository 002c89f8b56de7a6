//! Why a body was not read, in words that are safe to print anywhere.
use std::fmt;

/// A reason is cut after this many characters.
pub const REASON_MAX: usize = 200;

/// Why a body, or one piece of it, is not an event: what was wrong, where, and what a correct one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One short line without control characters, for a terminal and a log.
    pub reason: String,
}

impl Refusal {
    /// Makes a reason printable and short.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: printable(reason.as_ref(), REASON_MAX) }
    }

    /// What `serde_json` found wrong, with the place in words.
    pub fn of_json(error: &serde_json::Error) -> Self {
        Self::new(json_reason(error))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

pub(super) fn json_reason(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return format!("cut off: the JSON ends in the middle, at line {line}, column {column}; send the whole text");
    }
    let text = error.to_string();
    if line == 0 {
        return format!("not readable JSON: {text}");
    }
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!(
        "not JSON: {what} at line {line}, column {column}; expected one EventBridge event or a known carrier of events"
    )
}

/// Text from outside, cut visibly, with a `?` for all that could move a cursor, hide or reorder what follows.
pub(super) fn printable(text: &str, max: usize) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let mut out: String = text.chars().take(max).map(|c| if hidden(c) { '?' } else { c }).collect();
    if text.chars().nth(max).is_some() {
        out.pop();
        out.push('…');
    }
    out
}
