//! Block Kit's limits, as a table of keys; every fault is told with its JSON pointer, as Slack tells it.
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most blocks of a message.
const BLOCKS_MAX: usize = 50;
/// All `markdown` blocks of a message together.
const MARKDOWN_MAX: usize = 12_000;
/// All text of a table.
const TABLE_MAX: usize = 10_000;

/// What a key must hold.
#[derive(Clone, Copy)]
enum Is {
    /// A text object of one of these types, with 1 to so many characters.
    Text(&'static [&'static str], usize),
    /// A string of 1 to so many characters.
    Str(usize),
    OneOf(&'static [&'static str]),
    Bool,
    /// From so many to so many of the elements with these types.
    Elements(usize, usize, &'static [&'static str]),
    /// One element of these types.
    Element(&'static [&'static str]),
    /// So many text objects.
    Fields(usize, usize),
    /// From so many to so many options.
    Options(usize, usize),
    /// An object with these keys.
    Object(Keys),
    /// From so many to so many of anything.
    List(usize, usize),
    Any,
}
use Is::{Any, Bool, Element, Elements, Fields, List, Object, OneOf, Options, Str, Text};

/// The keys of an object, besides `type` and those of every block: name, whether it must be there, what it holds.
type Keys = &'static [(&'static str, bool, Is)];

const PLAIN: &[&str] = &["plain_text"];
const EITHER: &[&str] = &["plain_text", "mrkdwn"];
const ACTION: &[&str] = &[
    "button",
    "overflow",
    "static_select",
    "multi_static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "datepicker",
    "timepicker",
    "radio_buttons",
    "checkboxes",
];
const ACCESSORY: &[&str] =
    &["image", "button", "overflow", "static_select", "users_select", "datepicker", "checkboxes"];
const CONFIRM: Keys = &[
    ("title", true, Text(PLAIN, 100)),
    ("text", true, Text(EITHER, 300)),
    ("confirm", true, Text(PLAIN, 30)),
    ("deny", true, Text(PLAIN, 30)),
    ("style", false, STYLE),
];
const STYLE: Is = OneOf(&["primary", "danger"]);
const IMAGE: Keys = &[("image_url", true, Str(3_000)), ("alt_text", true, Str(2_000))];
const SELECT: Keys = &[
    ("action_id", false, Str(255)),
    ("placeholder", false, Text(PLAIN, 150)),
    ("options", true, Options(1, 100)),
    ("initial_option", false, Any),
    ("confirm", false, Object(CONFIRM)),
];
const CHOICE: Keys = &[
    ("action_id", false, Str(255)),
    ("options", true, Options(1, 10)),
    ("initial_option", false, Any),
    ("initial_options", false, Any),
    ("confirm", false, Object(CONFIRM)),
];
const PICKER: Keys = &[
    ("action_id", false, Str(255)),
    ("placeholder", false, Text(PLAIN, 150)),
    ("initial_date", false, Any),
    ("initial_time", false, Any),
    ("confirm", false, Object(CONFIRM)),
];

/// The keys of a block.
fn block(kind: &str) -> Option<Keys> {
    Some(match kind {
        "section" => &[
            ("text", false, Text(EITHER, 3_000)),
            ("fields", false, Fields(10, 2_000)),
            ("accessory", false, Element(ACCESSORY)),
            ("expand", false, Bool),
        ],
        "header" => &[("text", true, Text(PLAIN, 150))],
        "context" => &[("elements", true, Elements(1, 10, &["image", "plain_text", "mrkdwn"]))],
        "actions" => &[("elements", true, Elements(1, 25, ACTION))],
        "divider" => &[],
        "image" => {
            &[("image_url", true, Str(3_000)), ("alt_text", true, Str(2_000)), ("title", false, Text(PLAIN, 2_000))]
        }
        "rich_text" => &[("elements", true, List(1, 1_000))],
        "markdown" => &[("text", true, Str(MARKDOWN_MAX))],
        "table" => &[("rows", true, List(1, 100)), ("column_settings", false, List(0, 20))],
        _ => return None,
    })
}

/// The keys of an element.
fn element(kind: &str) -> Option<Keys> {
    Some(match kind {
        "plain_text" => &[("text", true, Str(3_000)), ("emoji", false, Bool)],
        "mrkdwn" => &[("text", true, Str(3_000)), ("verbatim", false, Bool)],
        "image" => IMAGE,
        "button" => &[
            ("text", true, Text(PLAIN, 75)),
            ("action_id", false, Str(255)),
            ("value", false, Str(2_000)),
            ("url", false, Str(3_000)),
            ("style", false, STYLE),
            ("confirm", false, Object(CONFIRM)),
            ("accessibility_label", false, Str(75)),
        ],
        "overflow" => {
            &[("action_id", false, Str(255)), ("options", true, Options(2, 5)), ("confirm", false, Object(CONFIRM))]
        }
        "static_select" | "multi_static_select" => SELECT,
        "radio_buttons" | "checkboxes" => CHOICE,
        _ if ACTION.contains(&kind) => PICKER,
        _ => return None,
    })
}

/// Everything that is wrong with the blocks at a place; nothing means that Slack takes them.
pub(super) fn faults(blocks: &Value, at: &str) -> Vec<String> {
    let mut judge = Judge::default();
    let Some(list) = judge.list(blocks, at, 0, BLOCKS_MAX) else { return judge.faults };
    let mut markdown = 0;
    for (i, value) in list.iter().enumerate() {
        let at = format!("{at}/{i}");
        judge.actions.clear();
        judge.typed(value, &at, None, block);
        match value["type"].as_str() {
            Some("section") if value["text"].is_null() && value["fields"].is_null() => {
                judge.fault("must have a text or fields", &at);
            }
            Some("markdown") => markdown += length(value["text"].as_str().unwrap_or_default()),
            Some("table") => judge.table(&value["rows"], &format!("{at}/rows")),
            _ => {}
        }
    }
    if markdown > MARKDOWN_MAX {
        judge.fault(&format!("must be less than {} characters together", MARKDOWN_MAX + 1), at);
    }
    if list.iter().filter(|block| block["type"] == "table").count() > 1 {
        judge.fault("only one table is allowed", at);
    }
    judge.faults
}

/// Slack's server is not known to count otherwise than JavaScript; this is never less than what people see.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[derive(Default)]
struct Judge {
    faults: Vec<String>,
    blocks: BTreeSet<String>,
    /// Of the block that is being read.
    actions: BTreeSet<String>,
}

impl Judge {
    fn fault(&mut self, what: &str, at: &str) {
        self.faults.push(format!("[ERROR] {what} [json-pointer:{at}]"));
    }

    fn list<'a>(&mut self, value: &'a Value, at: &str, min: usize, max: usize) -> Option<&'a Vec<Value>> {
        let Some(list) = value.as_array() else {
            self.fault("must provide an array", at);
            return None;
        };
        if list.len() > max {
            self.fault(&format!("no more than {max} items allowed"), at);
        }
        if list.len() < min {
            self.fault(&format!("must have at least {min} items"), at);
        }
        Some(list)
    }

    fn string(&mut self, value: &Value, at: &str, max: usize) {
        match value.as_str() {
            None => self.fault("must provide a string", at),
            Some("") => self.fault("must be more than 0 characters", at),
            Some(text) if length(text) > max => self.fault(&format!("must be less than {} characters", max + 1), at),
            Some(_) => {}
        }
    }

    /// An object whose `type` says its keys.
    fn typed(&mut self, value: &Value, at: &str, among: Option<&[&str]>, keys: fn(&str) -> Option<Keys>) {
        let Some(object) = value.as_object() else { return self.fault("must provide an object", at) };
        let Some(kind) = object.get("type").and_then(Value::as_str) else {
            return self.fault("missing required field: type", at);
        };
        match keys(kind).filter(|_| among.is_none_or(|among| among.contains(&kind))) {
            Some(keys) => self.object(object, at, keys),
            None => self.fault(&format!("unsupported type: {kind}"), &format!("{at}/type")),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, at: &str, keys: Keys) {
        for (name, _, _) in keys.iter().filter(|(name, must, _)| *must && !object.contains_key(*name)) {
            self.fault(&format!("missing required field: {name}"), at);
        }
        for (name, value) in object {
            let at = format!("{at}/{name}");
            match keys.iter().find(|(key, _, _)| key == name) {
                Some((_, _, is)) => self.value(value, &at, *is),
                None if name == "type" => {}
                None if name == "block_id" => self.once(value, &at),
                None => self.fault(&format!("invalid additional property: {name}"), &at),
            }
            if name == "action_id" && value.as_str().is_some_and(|id| !self.actions.insert(id.to_owned())) {
                self.fault("`action_id` already exists in this block", &at);
            }
        }
    }

    fn once(&mut self, id: &Value, at: &str) {
        self.string(id, at, 255);
        if id.as_str().is_some_and(|id| !self.blocks.insert(id.to_owned())) {
            self.fault("`block_id` already exists", at);
        }
    }

    fn text(&mut self, value: &Value, at: &str, types: &[&str], max: usize) {
        self.typed(value, at, Some(types), element);
        // Above 3,000 the element's own row speaks.
        if max < 3_000 && value["text"].as_str().is_some_and(|text| length(text) > max) {
            self.fault(&format!("must be less than {} characters", max + 1), &format!("{at}/text"));
        }
    }

    fn value(&mut self, value: &Value, at: &str, is: Is) {
        match is {
            Text(types, max) => self.text(value, at, types, max),
            Str(max) => self.string(value, at, max),
            OneOf(words) if !words.iter().any(|word| value == word) => self.fault("invalid value", at),
            Bool if !value.is_boolean() => self.fault("must provide a boolean", at),
            Element(types) => self.typed(value, at, Some(types), element),
            Elements(min, max, types) => {
                self.each(value, at, (min, max), |judge, value, at| judge.typed(value, at, Some(types), element));
            }
            Fields(max, chars) => {
                self.each(value, at, (1, max), |judge, value, at| judge.text(value, at, EITHER, chars));
            }
            Options(min, max) => self.each(value, at, (min, max), |judge, value, at| match value.as_object() {
                Some(option) => judge.object(
                    option,
                    at,
                    &[
                        ("text", true, Text(EITHER, 75)),
                        ("value", true, Str(150)),
                        ("description", false, Text(EITHER, 75)),
                        ("url", false, Str(3_000)),
                    ],
                ),
                None => judge.fault("must provide an object", at),
            }),
            Object(keys) => match value.as_object() {
                Some(object) => self.object(object, at, keys),
                None => self.fault("must provide an object", at),
            },
            List(min, max) => self.each(value, at, (min, max), |_, _, _| {}),
            OneOf(_) | Bool | Any => {}
        }
    }

    fn each(&mut self, value: &Value, at: &str, (min, max): (usize, usize), of: impl Fn(&mut Self, &Value, &str)) {
        for (i, value) in self.list(value, at, min, max).into_iter().flatten().enumerate() {
            of(self, value, &format!("{at}/{i}"));
        }
    }

    fn table(&mut self, rows: &Value, at: &str) {
        let mut all = 0;
        for (i, row) in rows.as_array().into_iter().flatten().enumerate() {
            let cells = self.list(row, &format!("{at}/{i}"), 1, 20);
            all += cells.into_iter().flatten().filter_map(|cell| cell["text"].as_str()).map(length).sum::<usize>();
        }
        if all > TABLE_MAX {
            self.fault(&format!("must be less than {} characters", TABLE_MAX + 1), at);
        }
    }
}
