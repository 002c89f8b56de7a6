//! A rendered template held to what Slack accepts, by shortening visibly and dropping what is empty; never by failing.
use serde_json::{Map, Value, json};

use crate::{escape, shorten};

/// The blocks that a message may have.
const KINDS: [&str; 7] = ["section", "header", "context", "divider", "image", "actions", "rich_text"];
const BLOCKS: usize = 50;
const SECTION: usize = 3000;
const HEADER: usize = 150;
const FIELDS: usize = 10;
const FIELD: usize = 2000;
const CONTEXT: usize = 10;
const ACTIONS: usize = 25;
const BUTTON: usize = 75;
const URL: usize = 3000;
const VALUE: usize = 2000;
const ID: usize = 255;
/// What a notification shows of the fallback; Slack itself would take 4,000.
const FALLBACK: usize = 400;
/// Two texts that both reach their limit still pass where Slack counts otherwise.
const MARGIN: usize = 10;

/// `text` and `blocks` out of a parsed template; an error says what the template must be.
pub(crate) fn hold(message: Value) -> Result<(String, Value), String> {
    let Value::Object(mut parts) = message else { return Err(SHAPE.to_owned()) };
    let (Some(Value::String(text)), Some(Value::Array(blocks))) = (parts.remove("text"), parts.remove("blocks")) else {
        return Err(SHAPE.to_owned());
    };
    if let Some(key) = parts.keys().next() {
        return Err(format!("{SHAPE} This one also has `{key}`."));
    }
    for (i, block) in blocks.iter().enumerate() {
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(format!(
                "Block {i} has the type `{kind}`, which Slack refuses. There are: {}.",
                KINDS.join(", ")
            ));
        }
    }
    let mut seen = Vec::new();
    let mut blocks: Vec<Value> = blocks.into_iter().filter_map(|block| hold_block(block, &mut seen)).collect();
    if blocks.len() > BLOCKS {
        blocks.truncate(BLOCKS - 1);
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": "…", "verbatim": true}}));
    }
    let text = shorten::mrkdwn(&lines(&escape::restore(&text)).replace('\n', " "), FALLBACK);
    if text.is_empty() {
        return Err("The message has an empty `text`: notifications and screen readers show nothing else.".to_owned());
    }
    Ok((text, Value::Array(blocks)))
}

const SHAPE: &str = "A template renders one JSON object with exactly `text` (a string) and `blocks` (a list).";

fn hold_block(block: Value, seen: &mut Vec<String>) -> Option<Value> {
    let Value::Object(mut block) = block else { return None };
    if let Some(Value::String(id)) = block.remove("block_id") {
        let id = id_of(&id);
        if !id.is_empty() && !seen.contains(&id) {
            seen.push(id.clone());
            block.insert("block_id".to_owned(), id.into());
        }
    }
    match block.get("type").and_then(Value::as_str).unwrap_or_default() {
        "section" => {
            replace(&mut block, "text", |text| text_object(&text, SECTION));
            replace(&mut block, "fields", |fields| items(fields, FIELDS, |field| text_object(&field, FIELD)));
            replace(&mut block, "accessory", element);
            (block.contains_key("text") || block.contains_key("fields")).then_some(())?;
        }
        "header" => {
            replace(&mut block, "text", |text| text_object(&text, HEADER));
            block.contains_key("text").then_some(())?;
        }
        "context" => {
            replace(&mut block, "elements", |elements| items(elements, CONTEXT, element));
            block.contains_key("elements").then_some(())?;
        }
        "actions" => {
            replace(&mut block, "elements", |elements| items(elements, ACTIONS, element));
            block.contains_key("elements").then_some(())?;
        }
        _ => return Some(other(Value::Object(block))),
    }
    Some(Value::Object(block))
}

/// Puts what `hold` makes of a part in its place, or takes the part out.
fn replace(block: &mut Map<String, Value>, name: &str, hold: impl Fn(Value) -> Option<Value>) {
    if let Some(held) = block.remove(name).and_then(hold) {
        block.insert(name.to_owned(), held);
    }
}

fn items(list: Value, most: usize, hold: impl Fn(Value) -> Option<Value>) -> Option<Value> {
    let Value::Array(parts) = list else { return None };
    let parts: Vec<Value> = parts.into_iter().filter_map(hold).take(most).collect();
    (!parts.is_empty()).then_some(Value::Array(parts))
}

/// A text, an image or a button.
fn element(part: Value) -> Option<Value> {
    match part.get("type").and_then(Value::as_str) {
        Some("mrkdwn" | "plain_text") => text_object(&part, FIELD),
        Some("button") => {
            let Value::Object(mut button) = part else { return None };
            replace(&mut button, "text", |text| text_object(&text, BUTTON));
            replace(&mut button, "value", |value| {
                Some(shorten::plain(&escape::restore(value.as_str()?), VALUE).into())
            });
            replace(&mut button, "action_id", |id| Some(id_of(id.as_str()?).into()));
            if let Some(url) = button.get("url") {
                // Half a link leads somewhere else: such a button goes.
                let url = url.as_str().filter(|url| url.starts_with("https://") && shorten::units(url) <= URL);
                let url = escape::restore(url?).replace("&amp;", "&");
                button.insert("url".to_owned(), url.into());
            }
            button.contains_key("text").then_some(Value::Object(button))
        }
        _ => Some(other(part)),
    }
}

/// Kinds of blocks that no template of ours uses: texts are held, everything else is the template's own business.
fn other(value: Value) -> Value {
    match value {
        Value::String(text) => escape::restore(&text).into(),
        Value::Array(list) => list.into_iter().map(other).collect(),
        Value::Object(map) if matches!(map.get("type").and_then(Value::as_str), Some("mrkdwn" | "plain_text")) => {
            text_object(&Value::Object(map), FIELD).unwrap_or_else(|| json!({"type": "plain_text", "text": "–"}))
        }
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, other(value))).collect()),
        value => value,
    }
}

/// A text object in at most `max` units, or none where it shows nothing. Every mrkdwn object is `verbatim`, so Slack
/// links nothing by itself.
fn text_object(object: &Value, max: usize) -> Option<Value> {
    let text = lines(&escape::restore(object.get("text")?.as_str()?));
    let max = if max > HEADER { max - MARGIN } else { max };
    if object.get("type").and_then(Value::as_str) == Some("mrkdwn") {
        let text = shorten::mrkdwn(&text, max);
        return (!text.is_empty()).then(|| json!({"type": "mrkdwn", "text": text, "verbatim": true}));
    }
    let text = shorten::plain(&lines(&unmarked(&text)), max);
    let emoji = object.get("emoji").and_then(Value::as_bool).unwrap_or(true);
    (!text.is_empty()).then(|| json!({"type": "plain_text", "text": text, "emoji": emoji}))
}

/// Lines without spaces at their ends, runs of spaces as one, at most one empty line in a row.
fn lines(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let line = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if !line.is_empty() || out.last().is_some_and(|line| !line.is_empty()) {
            out.push(line);
        }
    }
    out.join("\n").trim().to_owned()
}

/// Text for a `plain_text` object, where Slack reads no markup: tokens become their labels, and `&`, `<` and `>` become
/// look-alikes, which are right whether or not a client decodes entities there.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in shorten::mrkdwn_pieces(text) {
        match piece {
            "&amp;" | "&" => out.push('＆'),
            "&lt;" | "<" => out.push('‹'),
            "&gt;" | ">" => out.push('›'),
            token if token.starts_with('<') => {
                let inner = token.trim_matches(['<', '>']);
                out.push_str(&unmarked(inner.split_once('|').map_or("", |(_, label)| label)));
            }
            other => out.push_str(other),
        }
    }
    out
}

/// An id of a block or an action: cut, because nobody reads it.
fn id_of(id: &str) -> String {
    let mut used = 0;
    escape::restore(id)
        .chars()
        .take_while(|c| {
            used += c.len_utf16();
            used <= ID
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(blocks: &Value) -> Value {
        hold(json!({"text": "x", "blocks": blocks})).unwrap().1
    }

    fn mrkdwn(text: &str) -> Value {
        json!({"type": "mrkdwn", "text": text})
    }

    #[test]
    fn every_limit_holds() {
        let long = "a &amp; ".repeat(2000);
        let section = json!({"type": "section", "text": mrkdwn(&long), "fields": vec![mrkdwn(&long); 12]});
        let held = blocks(&json!([section]));
        let text = held[0]["text"]["text"].as_str().unwrap();
        assert!(text.ends_with("…") && shorten::units(text) <= SECTION);
        assert_eq!(held[0]["fields"].as_array().unwrap().len(), FIELDS);
        assert!(shorten::units(held[0]["fields"][9]["text"].as_str().unwrap()) <= FIELD);

        let header = json!({"type": "header", "text": {"type": "plain_text", "text": "あ".repeat(200)}});
        let many = vec![header; 60];
        let held = blocks(&json!(many));
        assert_eq!(held.as_array().unwrap().len(), BLOCKS);
        assert_eq!(held[0]["text"]["text"].as_str().unwrap().chars().count(), HEADER - 1);

        let (text, _) = hold(json!({"text": "😀".repeat(5000), "blocks": []})).unwrap();
        assert!(shorten::units(&text) <= FALLBACK);
    }

    #[test]
    fn what_is_empty_goes() {
        let empty = json!([
            {"type": "section", "text": mrkdwn(" \n ")},
            {"type": "section", "fields": [mrkdwn("")]},
            {"type": "context", "elements": [mrkdwn(""), mrkdwn(" ")]},
            {"type": "header", "text": {"type": "plain_text", "text": ""}},
            {"type": "actions", "elements": []},
            {"type": "section", "text": mrkdwn("stays"), "fields": [mrkdwn("")]},
        ]);
        assert_eq!(
            blocks(&empty),
            json!([{"type": "section", "text": {"type": "mrkdwn", "text": "stays", "verbatim": true}}])
        );
    }

    #[test]
    fn ids_are_unique_and_buttons_whole() {
        let held = blocks(&json!([
            {"type": "divider", "block_id": "a"},
            {"type": "divider", "block_id": "a"},
            {"type": "actions", "elements": [
                {"type": "button", "text": {"type": "plain_text", "text": "b".repeat(90)}, "url": "https://x/?a=1&amp;b"},
                {"type": "button", "text": {"type": "plain_text", "text": "gone"}, "url": format!("https://{}", "x".repeat(3000))},
                {"type": "button", "text": {"type": "plain_text", "text": "gone"}, "url": "http://x"},
            ]},
        ]));
        assert_eq!(held[1].get("block_id"), None);
        let buttons = held[2]["elements"].as_array().unwrap();
        assert_eq!(buttons.len(), 1);
        assert_eq!(buttons[0]["url"], "https://x/?a=1&b");
    }

    #[test]
    fn plain_text_shows_no_markup() {
        let rows = [
            ("R&amp;D &lt;b&gt;", "R＆D ‹b›"),
            ("<https://a.slack.com|the page>", "the page"),
            ("<!date^1^{time}|1970-01-01 00:00 UTC>", "1970-01-01 00:00 UTC"),
            ("<!channel>", ""),
        ];
        for (given, wanted) in rows {
            assert_eq!(unmarked(given), wanted, "{given}");
        }
    }

    #[test]
    fn the_shape_is_a_contract() {
        for bad in [
            json!([]),
            json!({"text": "x"}),
            json!({"blocks": []}),
            json!({"text": "x", "blocks": [], "channel": "C1"}),
        ] {
            assert!(hold(bad.clone()).unwrap_err().contains("exactly `text`"), "{bad}");
        }
        assert!(hold(json!({"text": "", "blocks": []})).is_err());
    }
}
