//! The slow path: takes a body apart until EventBridge events are left, whatever it was carried in.
//!
//! Each object is one of: an event, an SNS notification, a list of records or messages, one record or message of such
//! a list, a CloudTrail record, or refused. Values inside are taken apart by the same rules, so carriers nest freely.
use super::{
    cloudtrail,
    object::{Object, each_element, keys_in_words, unescape},
    refusal::{Refusal, json_reason},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::ControlFlow};

/// How many values may lie inside each other before an event is reached. (SNS in SQS in a Lambda batch is 6.)
pub const NESTING_MAX: usize = 16;

/// What takes each event's text, or the reason why one piece is not an event; it may say that it wants no more.
pub type Emit<'e> = dyn FnMut(Result<Cow<'_, str>, Refusal>) -> ControlFlow<()> + 'e;

/// Hands every event that a body carries to `emit`, in order, as text; at least one event or refusal.
///
/// Each text is one EventBridge event with an object as its `detail`; `open` makes an `Envelope` of it, or says what is
/// wrong inside. A broken piece is one refusal, the pieces beside it are still read.
pub fn each_event(body: &str, emit: &mut Emit<'_>) -> ControlFlow<()> {
    text(body, &Place { outer: None, step: Step::Body, nesting: 0 }, emit)
}

/// Where in a body we are, for people: `Records[3].body`.
struct Place<'p> {
    outer: Option<&'p Place<'p>>,
    step: Step,
    nesting: usize,
}

enum Step {
    Body,
    Field(&'static str),
    Index(usize),
}

impl Place<'_> {
    fn then(&self, step: Step) -> Place<'_> {
        Place { outer: Some(self), step, nesting: self.nesting + 1 }
    }

    /// Whether this is still the body itself, or a text inside a text.
    fn is_body(&self) -> bool {
        matches!(self.step, Step::Body) && self.outer.is_none_or(Place::is_body)
    }

    fn refuse(&self, reason: impl AsRef<str>) -> Refusal {
        if self.is_body() { Refusal::new(reason) } else { Refusal::new(format!("in {self}: {}", reason.as_ref())) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            outer.fmt(f)?;
        }
        let first = self.outer.is_none_or(Place::is_body);
        match self.step {
            Step::Body => Ok(()),
            Step::Index(i) => write!(f, "[{i}]"),
            Step::Field(name) if first => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
        }
    }
}

/// A text that nobody has read yet.
fn text(text: &str, place: &Place<'_>, emit: &mut Emit<'_>) -> ControlFlow<()> {
    let text = repair_surrogates(text.trim_ascii());
    let text = text.as_ref();
    if text.is_empty() {
        return emit(Err(place.refuse("empty; expected one EventBridge event")));
    }
    // An object is checked while it is taken apart; a broken array must be refused before its first elements are out.
    if !text.starts_with('{')
        && let Err(error) = serde_json::from_str::<&RawValue>(text)
    {
        return emit(Err(place.refuse(json_reason(&error))));
    }
    value(text, place, emit)
}

fn value(text: &str, place: &Place<'_>, emit: &mut Emit<'_>) -> ControlFlow<()> {
    if place.nesting > NESTING_MAX {
        return emit(Err(
            place.refuse(format!("more than {NESTING_MAX} wrappings inside each other; send the event itself"))
        ));
    }
    match text.as_bytes().first() {
        Some(b'{') => match Object::read(text) {
            Ok(fields) => object(text, &fields, place, emit),
            Err(error) => emit(Err(place.refuse(json_reason(&error)))),
        },
        Some(b'[') => {
            let mut stopped = false;
            let count = each_element(text, &mut |i, element| {
                let flow = value(element, &place.then(Step::Index(i)), emit);
                stopped = flow.is_break();
                flow
            });
            match count {
                _ if stopped => ControlFlow::Break(()),
                Ok(0) => emit(Err(place.refuse("an empty list: there is no event in it"))),
                Ok(_) => ControlFlow::Continue(()),
                Err(error) => emit(Err(place.refuse(json_reason(&error)))),
            }
        }
        Some(b'"') => match unescape(text) {
            Ok(inner) if inner.trim_ascii().starts_with(['{', '[', '"']) => {
                let inside = Place { outer: Some(place), step: Step::Body, nesting: place.nesting + 1 };
                self::text(&inner, &inside, emit)
            }
            Ok(_) => emit(Err(place.refuse("plain text; expected the JSON of an EventBridge event"))),
            Err(error) => emit(Err(place.refuse(json_reason(&error)))),
        },
        Some(b'n') => emit(Err(place.refuse("null; expected an EventBridge event"))),
        _ => emit(Err(place.refuse("a bare number or Boolean; expected an EventBridge event"))),
    }
}

fn object(text: &str, fields: &Object<'_>, place: &Place<'_>, emit: &mut Emit<'_>) -> ControlFlow<()> {
    let inside = |name: &'static str, emit: &mut Emit<'_>| match fields.get(name) {
        Some(raw) => value(raw, &place.then(Step::Field(name)), emit),
        None => emit(Err(place.refuse(format!("no `{name}`")))),
    };
    if ["detail-type", "source", "detail"].iter().filter(|name| fields.has(name)).count() >= 2 {
        return emit(event(text, fields).map_err(|reason| place.refuse(reason)));
    }
    let kind = fields.text("Type");
    if matches!(kind.as_ref(), "SubscriptionConfirmation" | "UnsubscribeConfirmation") {
        return emit(Err(place.refuse(format!(
            "an SNS {kind}; its link is never opened automatically: confirm the subscription yourself, or have the \
             topic's stack subscribe the queue"
        ))));
    }
    if fields.has("Message") && (kind == "Notification" || fields.has("TopicArn")) {
        return inside("Message", emit);
    }
    if let Some(name) = ["Records", "Messages", "messages", "Sns", "body", "Body"].into_iter().find(|n| fields.has(n)) {
        return inside(name, emit);
    }
    if cloudtrail::is_record(fields) {
        return emit(Ok(Cow::Owned(cloudtrail::event(text, fields))));
    }
    emit(Err(place.refuse(unknown(text, fields))))
}

/// The event's text with an object as `detail`, or what is wrong with the envelope.
fn event<'a>(text: &'a str, fields: &Object<'a>) -> Result<Cow<'a, str>, String> {
    for name in ["detail-type", "source"] {
        if !fields.has_string(name) {
            let state = fields.get(name).map_or("no", |_| "no string as");
            return Err(format!(
                "an EventBridge event with {state} `{name}`; it needs `source`, `detail-type` and `detail`"
            ));
        }
    }
    let what = match fields.get("detail") {
        Some(raw) if raw.starts_with('{') => return Ok(Cow::Borrowed(text)),
        Some(raw) if raw.starts_with('"') => match unescape(raw) {
            // Input transformers make a string of it; put the object back in its place.
            Ok(inner) if Object::read(&inner).is_ok() => {
                let start = raw.as_ptr().addr() - text.as_ptr().addr();
                return Ok(Cow::Owned([&text[..start], inner.trim_ascii(), &text[start + raw.len()..]].concat()));
            }
            _ => "a string that holds no JSON object",
        },
        Some(raw) if raw.starts_with('[') => "a list",
        Some("null") => "null",
        Some(_) => "a bare number or Boolean",
        None => "missing",
    };
    Err(format!("`detail` is {what}; in an EventBridge event it is an object"))
}

/// Why an object is nothing that carries events, and what to send instead where that is known.
fn unknown(text: &str, fields: &Object<'_>) -> String {
    let has = |names: &[&str]| names.iter().all(|name| fields.has(name));
    if has(&["digestStartTime"]) {
        return "a CloudTrail digest file: it holds checksums, no events; read the log files beside it".to_owned();
    }
    if has(&["AlarmName", "NewStateValue"]) {
        return "a CloudWatch alarm as SNS sends it; send its EventBridge event with a rule on source `aws.cloudwatch`"
            .to_owned();
    }
    if has(&["messageType", "awsAccountId"]) {
        return "an AWS Config message as SNS sends it; send its EventBridge event with a rule on source `aws.config`"
            .to_owned();
    }
    if has(&["s3Bucket", "s3ObjectKey"]) {
        return "a notice that CloudTrail wrote a log file; send the events with an EventBridge rule, or replay the file"
            .to_owned();
    }
    format!("no known shape: {}; expected an EventBridge event", keys_in_words(text))
}

/// Puts U+FFFD in the place of half surrogate pairs. Producers that cut texts to a length leave them at the end, no JSON
/// reader takes them, and a user agent of an attacker's choice must not cost us the event.
fn repair_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut repaired, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(ahead) = text.as_bytes().get(at..).and_then(|rest| rest.iter().position(|b| *b == b'\\')) {
        at += ahead;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                repaired.push_str(&text[copied..at]);
                repaired.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            _ => at += 2,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}
