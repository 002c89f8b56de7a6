//! Opens a message body: the one place that knows what EventBridge events come wrapped in.
//!
//! Nearly every body *is* an event, so `open` reads it once, straight into the tree of the fields the policy names.
//! Only a body that turns out to be something else is read again, by `each_event`, which takes carriers apart.
mod cloudtrail;
mod object;
mod refusal;
#[cfg(test)]
mod tests;
mod unwrap;

pub use refusal::{REASON_MAX, Refusal};
pub use unwrap::{Emit, NESTING_MAX, each_event};

use crate::values::{
    time,
    tree::{Fields, Node},
};
use jiff::Timestamp;
use std::{borrow::Cow, ops::ControlFlow};

/// Events taken out of one body. (The largest Lambda batch holds 10,000 messages; an SQS message 1 MiB.)
pub const EVENTS_MAX: usize = 10_000;

/// An AWS account id has this many digits; written as a number it loses its leading zeros.
const ACCOUNT_DIGITS: usize = 12;

const ENVELOPE: [&str; 10] =
    ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail", "replay-name"];

/// Names the envelope's fields; `open` needs them beside those of the policy.
pub fn name_fields(fields: &mut Fields) {
    for name in ENVELOPE {
        fields.insert([name]);
    }
}

/// What a body turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened<'a> {
    /// The body is one event.
    Event(Envelope<'a>),
    /// The body carries events, in order, as texts to `open` in turn: each is then an `Event`, or `Refused` for what is
    /// wrong inside of it, never `Many` again. (Also one event that had to be put right first.)
    Many(Vec<Result<String, Refusal>>),
    /// The body is no event and carries none.
    Refused(Refusal),
}

/// One EventBridge event. Texts that the event leaves out are empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope<'a> {
    /// The fields that the policy and `name_fields` named; `/detail` is an object.
    pub tree: Node<'a>,
    /// The whole event as it came.
    pub text: &'a str,
    /// The delivery's id; not a finding's.
    pub id: Cow<'a, str>,
    /// `aws.` and the service that sent it.
    pub source: Cow<'a, str>,
    /// The kind of event.
    pub detail_type: Cow<'a, str>,
    /// The account on whose bus it appeared first, 12 digits.
    pub account: Cow<'a, str>,
    /// The Region of that bus.
    pub region: Cow<'a, str>,
    /// When it happened, if that can be read.
    pub time: Option<Timestamp>,
    /// The name of the archive replay that sent it again.
    pub replay: Option<String>,
}

impl<'a> Envelope<'a> {
    /// `None` if it is not an event that can be used as it is; `each_event` then says why, or puts it right.
    fn of(tree: Node<'a>, text: &'a str) -> Option<Self> {
        let string = |key| matches!(tree.get(key), Some(Node::String(_)));
        if !(string("detail-type") && string("source") && matches!(tree.get("detail"), Some(Node::Object(_)))) {
            return None;
        }
        let text_of = |key| match tree.get(key) {
            Some(Node::String(text) | Node::Number(text)) => text.clone(),
            _ => Cow::Borrowed(""),
        };
        Some(Self {
            text,
            id: text_of("id"),
            source: text_of("source"),
            detail_type: text_of("detail-type"),
            account: account(text_of("account")),
            region: text_of("region"),
            time: tree.get("time").and_then(Node::text).and_then(time::parse),
            replay: tree.text_at("/replay-name").map(str::to_owned),
            tree,
        })
    }
}

/// Gives an account id back the leading zeros that it loses as a number.
fn account(id: Cow<'_, str>) -> Cow<'_, str> {
    let lost_zeros = !id.is_empty() && id.len() < ACCOUNT_DIGITS && id.bytes().all(|b| b.is_ascii_digit());
    if lost_zeros { Cow::Owned(format!("{id:0>ACCOUNT_DIGITS$}")) } else { id }
}

/// Opens a body. `fields` is what the policy names, prepared with `name_fields`.
pub fn open<'a>(body: &'a str, fields: &'a Fields) -> Opened<'a> {
    let problem = match Node::parse_fields(body, fields) {
        Ok(tree) => match Envelope::of(tree, body) {
            Some(envelope) => return Opened::Event(envelope),
            None => None,
        },
        Err(error) => Some(error),
    };
    let mut found = Vec::new();
    let _ = each_event(body, &mut |item| {
        if found.len() == EVENTS_MAX {
            found.push(Err(Refusal::new(format!("more than {EVENTS_MAX} events in one body; the rest was not read"))));
            return ControlFlow::Break(());
        }
        found.push(match item {
            // Handing the same text out again would go round in circles.
            Ok(text) if text == body.trim_ascii() => Err(problem.as_ref().map_or_else(
                || Refusal::new("the fields of the envelope were not named: call `name_fields` first"),
                Refusal::of_json,
            )),
            Ok(text) => Ok(text.into_owned()),
            Err(refusal) => Err(refusal),
        });
        ControlFlow::Continue(())
    });
    match (found.len(), found.pop()) {
        (1, Some(Err(refusal))) => Opened::Refused(refusal),
        (_, Some(last)) => {
            found.push(last);
            Opened::Many(found)
        }
        (_, None) => Opened::Refused(Refusal::new("there is no event in it")),
    }
}
