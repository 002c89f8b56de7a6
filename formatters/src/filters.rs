//! The filters that templates have beyond Tera's own. Those that make markup escape what they are given first, so
//! their output is marked safe and everything else goes through [`escape::prose`].
#![expect(clippy::needless_pass_by_value, reason = "the signature is Tera's")]
use jiff::{Timestamp, fmt::rfc2822};
use tera::{Error, Kwargs, State, StringInput, Tera, TeraResult, Value};

use crate::{escape, shorten};

/// The most items that `range` makes: templates must end.
const RANGE: usize = 100;

/// Adds ours to Tera's.
pub(crate) fn register(tera: &mut Tera) {
    tera.register_filter("code", |value: StringInput, _: Kwargs, _: &State| once(&value, escape::code));
    tera.register_filter("link", link);
    tera.register_filter("time", time);
    tera.register_filter("mentions", mentions);
    tera.register_filter("word", word);
    tera.register_filter("fill", fill);
    tera.register_filter("emoji", |severity: &str, _: Kwargs, _: &State| emoji(severity));
    tera.register_filter("cut", |text: &str, args: Kwargs, _: &State| -> TeraResult<String> {
        Ok(shorten::plain(&escape::clean(text), args.must_get::<usize>("to")?))
    });
    register_bounds(tera);
}

/// What keeps any template from running for ever.
pub(crate) fn register_bounds(tera: &mut Tera) {
    tera.register_function("range", range);
}

/// Markup out of a text; a text that is markup already stays as it is.
fn once(value: &StringInput, make: fn(&str) -> String) -> Value {
    if value.is_safe() { Value::safe_string(value.as_str()) } else { Value::safe_string(&make(value.as_str())) }
}

/// `{{ "open" | link(url=resource.link) }}`: a link to a console page, or the label alone.
fn link(label: &str, args: Kwargs, _: &State) -> TeraResult<Value> {
    let url = args.must_get::<Value>("url")?;
    Ok(Value::safe_string(&escape::link(url.as_str().unwrap_or_default(), label)))
}

/// `{{ first_seen | time }}`: a moment in the reader's own time zone.
fn time(seconds: i64, _: Kwargs, _: &State) -> Value {
    let fallback = utc(seconds);
    // Slack shows a token that it cannot read as its fallback; a moment outside the calendar has none.
    let token = format!("<!date^{seconds}^{{date_short_pretty}} {{time}}|{fallback}>");
    Value::safe_string(if fallback == UNKNOWN { UNKNOWN } else { &token })
}

/// `{{ detail.startTime | time }}` in a playbook's text: a moment as AWS writes it (RFC 3339 or 2822), as all cards show one. What is no
/// moment stays as it is.
pub(crate) fn told_time(text: &str, _: Kwargs, _: &State) -> String {
    let at = text.parse().ok().or_else(|| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()));
    at.map_or_else(|| text.to_owned(), |at: Timestamp| utc(at.as_second()))
}

/// `{{ resource.label | capital }}` at the start of a sentence: the first letter is a capital, the rest stays (`EBS volume`).
pub(crate) fn capital(text: &str, _: Kwargs, _: &State) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A moment that no calendar has.
const UNKNOWN: &str = "?";

/// `2026-11-22 08:06 UTC`.
fn utc(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(at) if seconds >= 0 => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        _ => UNKNOWN.to_owned(),
    }
}

/// `{{ mentions | mentions }}`: the only way to call people; anything that is not exactly one user or group is dropped.
fn mentions(list: Vec<Value>, _: Kwargs, _: &State) -> Value {
    let valid: Vec<&str> = list.iter().filter_map(Value::as_str).filter(|text| escape::is_mention(text)).collect();
    Value::safe_string(&valid.join(" "))
}

/// `{{ severity | word(of="severity") }}`: the reader's word for a value, or the value where there is none.
fn word(value: &str, args: Kwargs, state: &State) -> TeraResult<Value> {
    let table = args.must_get::<String>("of")?;
    let labels = state.get::<Value>("t")?.unwrap_or_else(Value::none);
    let words = labels.as_map().and_then(|labels| labels.get(&table.clone().into()));
    let Some(words) = words.and_then(Value::as_map) else {
        return Err(Error::message(format!("There are no words of `{table}` in the locale files")));
    };
    Ok(words.get(&value.to_owned().into()).cloned().unwrap_or_else(|| Value::from(value)))
}

/// `{{ t.seen | fill(count=count) }}`: a label with its `{names}` filled in; markup stays markup, text is escaped.
/// A label that is a table has `one` and `other`, chosen by `count`.
fn fill(label: Value, args: Kwargs, state: &State) -> TeraResult<Value> {
    let form = match label.as_map() {
        None => Some(label.clone()),
        Some(forms) => {
            let one = args.must_get::<Value>("count")?.as_i128() == Some(1);
            forms.get(&if one { "one" } else { "other" }.into()).cloned()
        }
    };
    let Some(text) = form.as_ref().and_then(Value::as_str) else {
        return Err(Error::message("`fill` needs a label: a text, or a table with `one` and `other`"));
    };
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((name, after)) = tail.split_once('}') else { break };
        out.push_str(&escape_part(before, state)?);
        let Some(value) = args.get::<Value>(name)? else {
            return Err(Error::message(format!("`fill` needs a value for `{name}` of the label \"{text}\"")));
        };
        out.push_str(&state.escape_if_needed(&value)?);
        rest = after;
    }
    out.push_str(&escape_part(rest, state)?);
    Ok(Value::safe_string(&out))
}

/// Part of a label; its spaces at the ends matter, which escaping would remove.
fn escape_part(text: &str, state: &State) -> TeraResult<String> {
    let inner = text.trim();
    let before = if text.starts_with(' ') { " " } else { "" };
    let after = if text.ends_with(' ') && !inner.is_empty() { " " } else { "" };
    Ok(format!("{before}{}{after}", state.escape(inner)?))
}

/// Severities told apart by shape as well as by colour.
fn emoji(severity: &str) -> &'static str {
    match severity {
        "critical" => "🚨",
        "high" => "🔺",
        "medium" => "🔶",
        "low" => "🔷",
        _ => "⚪",
    }
}

fn range(args: Kwargs, _: &State) -> TeraResult<Vec<i64>> {
    let start = args.get::<i64>("start")?.unwrap_or(0);
    let end = args.must_get::<i64>("end")?;
    let step = args.get::<usize>("step_by")?.unwrap_or(1).max(1);
    let all: Vec<i64> = (start..end).step_by(step).take(RANGE + 1).collect();
    if all.len() > RANGE {
        return Err(Error::message(format!("`range` makes at most {RANGE} numbers")));
    }
    Ok(all)
}
