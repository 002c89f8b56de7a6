//! The JSON of a template, read leniently where strictness would only make templates ugly.
//!
//! A comma may stand before a closing bracket or another comma, so optional parts need no comma logic; a string may run
//! over several lines, where a line break with its indentation reads as one space (`\n` is the line break of the card).
use serde_json::Value;

/// Why a rendered template is not JSON, and how far it was read.
#[derive(Debug)]
pub(crate) struct JsonError {
    /// What is wrong.
    pub(crate) reason: String,
    /// The rendered text before the mistake.
    pub(crate) before: String,
    /// The rendered text from the mistake on.
    pub(crate) after: String,
}

/// Parses rendered template text.
pub(crate) fn parse(rendered: &str) -> Result<Value, JsonError> {
    let strict = strict(rendered);
    serde_json::from_str(&strict).map_err(|error| {
        // `strict` is one line, so the column is the place.
        let at = error.column().saturating_sub(1).min(strict.len());
        let at = (0..=at).rev().find(|at| strict.is_char_boundary(*at)).unwrap_or(0);
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let (before, after) = strict.split_at(at);
        JsonError { reason: what, before: before.to_owned(), after: after.to_owned() }
    })
}

/// Lenient text to strict JSON on one line.
fn strict(rendered: &str) -> String {
    let mut out = String::with_capacity(rendered.len());
    let mut chars = rendered.chars().peekable();
    let mut string = false;
    let mut comma = false;
    while let Some(c) = chars.next() {
        if string {
            match c {
                '\n' | '\r' => {
                    while chars.peek().is_some_and(|c| c.is_whitespace()) {
                        chars.next();
                    }
                    out.truncate(out.trim_end_matches(' ').len());
                    out.push(' ');
                    continue;
                }
                '\\' => {
                    out.push(c);
                    out.extend(chars.next());
                    continue;
                }
                '"' => string = false,
                _ => {}
            }
            out.push(c);
        } else if c == ',' {
            comma = true;
        } else if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            let opened = out.trim_end().ends_with(['[', '{']);
            if comma && !matches!(c, ']' | '}') && !opened {
                out.push(',');
            }
            comma = false;
            string = c == '"';
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_templates_write() {
        let rows = [
            ("[1, , 2, ]", "[1,2]", "commas of parts that are not there"),
            ("[ , 1]", "[1]", "also in front"),
            ("{\"a\": \"x, ]\", }", "{\"a\":\"x, ]\"}", "a string is left alone"),
            ("\"a  \n   b\"", "\"a b\"", "a line break in a string is a space"),
            ("\"a\\\"\\n\"", "\"a\\\"\\n\"", "escapes stay"),
        ];
        for (given, wanted, why) in rows {
            let parsed = parse(given).map(|value| value.to_string()).map_err(|error| error.reason);
            assert_eq!(parsed.as_deref(), Ok(wanted), "{why}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let error = parse("{\n \"text\": \"x\"\n \"blocks\": []}").unwrap_err();
        assert_eq!(error.reason, "expected `,` or `}`");
        assert_eq!((error.before.as_str(), error.after.as_str()), ("{ \"text\": \"x\" ", "\"blocks\": []}"));
    }
}
