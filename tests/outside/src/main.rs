//! Reads the lines of `replay --format slack` and validates every message against Slack's limits, with `slackblocks` and
//! checks of our own for what it does not see. Prints the place of each mistake; exit code 1 if there is one.
use serde_json::Value;
use slackblocks::MessagePayload;
use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    process::ExitCode,
};

/// `chat.update` refuses longer ones.
const TEXT_MAX: usize = 4_000;

fn main() -> ExitCode {
    let (mut messages, mut wrong) = (0_u32, 0_u32);
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let mistakes = line.map_err(|e| e.to_string()).and_then(|line| check(&line));
        messages += 1;
        if let Err(mistakes) = mistakes {
            wrong += 1;
            eprintln!("message {}: {mistakes}", number + 1);
        }
    }
    println!("slackblocks: {} messages passed, {wrong} failed", messages - wrong);
    if wrong == 0 && messages > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line of `--format slack`; says what is wrong with it.
fn check(line: &str) -> Result<(), String> {
    let mut message: Value = serde_json::from_str(line).map_err(|e| format!("not JSON: {e}"))?;
    let members = message.as_object_mut().ok_or("not an object")?;
    // How it is sent is ours, not Slack's.
    let mode = members.remove("mode");
    if !mode.as_ref().and_then(Value::as_str).is_some_and(|m| ["post", "update", "thread", "broadcast"].contains(&m)) {
        return Err(format!("mode: {mode:?} is no mode"));
    }
    let mut keys: Vec<&str> = members.keys().map(String::as_str).collect();
    keys.sort_unstable();
    if keys != ["blocks", "channel", "text"] {
        return Err(format!("the keys are {keys:?}"));
    }
    let text = members["text"].as_str().unwrap_or_default();
    if text.trim().is_empty() || utf16(text) > TEXT_MAX {
        return Err(format!("text: {} characters; 1 to {TEXT_MAX} are sent as they are", utf16(text)));
    }
    let mut ids = BTreeMap::new();
    walk(&message["blocks"], "blocks", &mut ids)?;
    MessagePayload::try_from(message).map(|_| ()).map_err(|error| error.to_string())
}

/// What the crate does not look at: ids used twice, and lengths as Slack's clients count them (UTF-16).
fn walk(value: &Value, path: &str, ids: &mut BTreeMap<(String, String), String>) -> Result<(), String> {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(i, item)| walk(item, &format!("{path}[{i}]"), ids))
        }
        Value::Object(members) => {
            for key in ["block_id", "action_id"] {
                if let Some(id) = members.get(key).and_then(Value::as_str)
                    && let Some(other) = ids.insert((key.to_owned(), id.to_owned()), path.to_owned())
                {
                    return Err(format!("{path}.{key}: {id:?} is used at {other} too"));
                }
            }
            let kind = members.get("type").and_then(Value::as_str);
            if let (Some("mrkdwn"), Some(text)) = (kind, members.get("text").and_then(Value::as_str)) {
                let most = if path.contains(".fields[") { 2_000 } else { 3_000 };
                if utf16(text) > most {
                    return Err(format!("{path}.text: {} UTF-16 units; {most} at most", utf16(text)));
                }
                if members.get("verbatim") != Some(&Value::Bool(true)) {
                    return Err(format!("{path}: not verbatim, so Slack would make links and mentions of its words"));
                }
            }
            members.iter().try_for_each(|(key, inner)| walk(inner, &format!("{path}.{key}"), ids))
        }
        _ => Ok(()),
    }
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    //! The judge is awake: what Slack would refuse is refused here.
    use super::check;
    use serde_json::{Value, json};

    fn message(blocks: &Value) -> String {
        json!({ "channel": "#c", "mode": "post", "text": "t", "blocks": blocks }).to_string()
    }

    fn mrkdwn(text: &str) -> Value {
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
    }

    #[test]
    fn good_messages_pass() {
        let button = json!({ "type": "actions", "block_id": "b", "elements": [
            { "type": "button", "action_id": "a", "style": "danger", "text": { "type": "plain_text", "text": "Start" } } ] });
        assert_eq!(check(&message(&json!([mrkdwn("hello"), { "type": "divider" }, button]))), Ok(()));
    }

    #[test]
    fn bad_messages_are_refused_with_their_place() {
        let button = |id: &str, text: &str| json!({ "type": "button", "action_id": id, "text": { "type": "plain_text", "text": text } });
        let actions = |list: Value| json!([{ "type": "actions", "elements": list }]);
        let plain = |text: &str| json!({ "type": "plain_text", "text": text });
        let rows = [
            ("51 blocks", json!(vec![json!({ "type": "divider" }); 51]), "blocks"),
            ("a long text", json!([mrkdwn(&"x".repeat(3_001))]), "blocks[0].text"),
            ("a long text in UTF-16", json!([mrkdwn(&"🚨".repeat(1_501))]), "blocks[0].text"),
            ("an empty text", json!([mrkdwn("")]), "blocks[0].text"),
            ("a section of nothing", json!([{ "type": "section" }]), "blocks[0]"),
            ("a long header", json!([{ "type": "header", "text": plain(&"x".repeat(151)) }]), "blocks[0].text"),
            (
                "a header with markup",
                json!([{ "type": "header", "text": { "type": "mrkdwn", "text": "x", "verbatim": true } }]),
                "blocks[0].text",
            ),
            ("an unknown block", json!([{ "type": "sektion" }]), "blocks[0]"),
            ("a long button", actions(json!([button("a", &"x".repeat(76))])), "blocks[0].elements[0].text"),
            (
                "the same button twice",
                actions(json!([button("a", "A"), button("a", "B")])),
                "blocks[0].elements[1].action_id",
            ),
            (
                "the same block twice",
                json!([{ "type": "divider", "block_id": "d" }, { "type": "divider", "block_id": "d" }]),
                "blocks[1].block_id",
            ),
            (
                "words that Slack links",
                json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "x" } }]),
                "blocks[0].text",
            ),
        ];
        for (row, blocks, place) in rows {
            let mistake = check(&message(&blocks)).expect_err(row);
            assert!(mistake.contains(place), "{row}: {mistake}");
        }
    }
}
