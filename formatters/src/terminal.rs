//! A rendered message as plain text, for terminals and transcripts. It reads the blocks that Slack would get, so a
//! preview cannot show anything else.
use serde_json::Value;

use crate::formatter::Message;
use crate::{escape, shorten};

/// One line for each line, field and element; no markup, no control characters.
pub fn terminal(message: &Message) -> String {
    let mut lines = Vec::new();
    for block in message.blocks.as_array().into_iter().flatten() {
        if block["type"] == "actions" {
            // A row of buttons is a line.
            let mut row = Vec::new();
            block["elements"].as_array().into_iter().flatten().for_each(|element| add(element, &mut row));
            lines.push(row.join(" "));
            continue;
        }
        for part in ["text", "fields", "elements", "accessory"] {
            match block.get(part) {
                Some(Value::Array(items)) => items.iter().for_each(|item| add(item, &mut lines)),
                Some(item) => add(item, &mut lines),
                None => {}
            }
        }
    }
    if lines.is_empty() {
        lines.extend(shown(&message.text));
    }
    lines.join("\n")
}

/// The lines of a text object or a button.
fn add(item: &Value, lines: &mut Vec<String>) {
    let text = |item: &Value| item.get("text").and_then(Value::as_str).map(str::to_owned);
    match item.get("type").and_then(Value::as_str) {
        Some("mrkdwn") => lines.extend(text(item).iter().flat_map(|text| shown(text))),
        Some("plain_text") => lines.extend(text(item).iter().flat_map(|text| text.split('\n').map(escape::clean))),
        Some("button") => {
            let label = item.get("text").and_then(text).unwrap_or_default();
            let url = item.get("url").and_then(Value::as_str).map(|url| format!(" <{url}>")).unwrap_or_default();
            lines.push(escape::clean(&format!("[{label}]{url}")));
        }
        Some("static_select") => {
            let label = item.get("placeholder").and_then(text).unwrap_or_default();
            lines.push(escape::clean(&format!("[{label} ▾]")));
        }
        _ => {}
    }
}

fn shown(mrkdwn: &str) -> Vec<String> {
    mrkdwn.split('\n').map(|line| escape::clean(&unmarked(line))).filter(|line| !line.is_empty()).collect()
}

/// One line without its marks, with tokens and entities as a reader sees them.
fn unmarked(line: &str) -> String {
    let pieces = shorten::mrkdwn_pieces(line);
    let mut out = String::with_capacity(line.len());
    let mut code = false;
    for (at, piece) in pieces.iter().enumerate() {
        let inside =
            |piece: Option<&&str>| piece.is_some_and(|p| p.chars().all(|c| c.is_ascii_alphanumeric() || is_mark(p)));
        match *piece {
            "`" => code = !code,
            // Values hold no such marks at the edges of words, so these are the template's.
            mark if is_mark(mark) && !code => {
                let before = at.checked_sub(1).and_then(|at| pieces.get(at));
                if inside(before) && inside(pieces.get(at + 1)) {
                    out.push_str(mark);
                }
            }
            "&amp;" => out.push('&'),
            "&lt;" => out.push('<'),
            "&gt;" => out.push('>'),
            token if token.len() > 1 && token.starts_with('<') => out.push_str(&spoken(token)),
            other => out.push_str(other),
        }
    }
    out
}

fn is_mark(piece: &str) -> bool {
    matches!(piece, "*" | "_" | "~")
}

/// A token as words: a link with its URL, a moment in UTC, a mention.
fn spoken(token: &str) -> String {
    let inner = token.trim_start_matches('<').trim_end_matches('>');
    let (target, label) = inner.split_once('|').unwrap_or((inner, ""));
    let label = unmarked(label);
    if target.starts_with("!date^") {
        label
    } else if let Some(group) = target.strip_prefix("!subteam^") {
        format!("@{group}")
    } else if let Some(name) = target.strip_prefix('!') {
        format!("@{name}")
    } else if target.starts_with('@') || target.starts_with('#') {
        target.to_owned()
    } else {
        format!("{label} <{}>", target.replace("&amp;", "&")).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_as_in_slack() {
        let rows = [
            ("*Critical: a &lt;b&gt; &amp; c*", "Critical: a <b> & c"),
            ("id `my_bucket_*` my_bucket", "id my_bucket_* my_bucket"),
            ("~gone~ <https://a.slack.com/?a=1&amp;b|open>", "gone open <https://a.slack.com/?a=1&b>"),
            ("since <!date^0^{time}|1970-01-01 00:00 UTC>", "since 1970-01-01 00:00 UTC"),
            ("<@U012> <!subteam^S012>", "@U012 @S012"),
            ("a\u{1b}[31m\u{202e}b", "a[31mb"),
            ("one\n\ntwo", "one\ntwo"),
        ];
        for (text, wanted) in rows {
            let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": text}}]);
            assert_eq!(terminal(&Message { text: String::new(), blocks }), wanted);
        }
    }
}
