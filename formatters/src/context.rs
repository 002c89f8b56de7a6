//! What a template sees: the view, cleaned and cut part by part so that a card stays about ten lines, and the labels.
use serde_json::{Map, Value};
use tera::Context;

use crate::view::{Kind, View};
use crate::{escape, locale, shorten};

/// How many units each text may have; what is not named here may have [`OTHER`].
const LENGTHS: [(&str, usize); 7] =
    [("title", 150), ("why", 300), ("next", 150), ("signals", 120), ("parameters", 100), ("stopped", 200), ("id", 200)];
const OTHER: usize = 120;
/// A parameter where it is shown whole; a section of a dialog takes 3,000.
const PARAMETER: usize = 2_900;
/// How many items each list may have; the rest is counted in `more`.
const ITEMS: [(&str, usize); 8] = [
    ("next", 4),
    ("signals", 8),
    ("reporters", 6),
    ("also", 4),
    ("remediations", 3),
    ("parameters", 6),
    ("mentions", 5),
    ("lines", 20),
];
/// Checked and never cut: half a link leads somewhere else.
const LINKS: [&str; 2] = ["link", "previous"];

/// The context of one message.
pub(crate) fn of(view: &View) -> Result<Context, String> {
    let mut value = serde_json::to_value(view).map_err(|error| error.to_string())?;
    let mut more = Map::new();
    if let Some(fields) = value.as_object_mut() {
        for (name, most) in ITEMS {
            if let Some(Value::Array(items)) = fields.get_mut(name) {
                more.insert(name.to_owned(), items.len().saturating_sub(most).into());
                items.truncate(most);
            }
        }
    }
    // What is approved is shown whole.
    let whole = view.kind == Kind::Dialog;
    tidy("", whole, &mut value);
    if value["title"] == "" {
        // A card without a title says at least which policy posted it.
        value["title"] = value["playbook"].clone();
    }
    let mut context = Context::from_serialize(&value).map_err(|error| error.to_string())?;
    context.insert("more", &more);
    context.insert_value("t", locale::labels(view.locale).clone());
    Ok(context)
}

/// Cleans and cuts every text. What shows nothing, and links that may not be followed, become empty.
fn tidy(name: &str, whole: bool, value: &mut Value) {
    match value {
        Value::String(text) if LINKS.contains(&name) && escape::safe_url(text).is_none() => text.clear(),
        Value::String(_) if LINKS.contains(&name) => {}
        Value::String(text) => {
            let whole = whole && name == "parameters";
            let most = LENGTHS.iter().find(|(known, _)| *known == name).map_or(OTHER, |(_, most)| *most);
            *text = shorten::plain(&escape::clean(text), if whole { PARAMETER } else { most });
        }
        Value::Array(items) => {
            let whole = whole && name == "parameters";
            if let Some((_, most)) = ITEMS.iter().find(|(known, _)| *known == name && !whole) {
                items.truncate(*most);
            }
            for item in items.iter_mut() {
                tidy(name, whole, item);
            }
            items.retain(|item| item.as_str() != Some(""));
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                tidy(name, whole, field);
            }
        }
        _ => {}
    }
}
