//! What items look like. The key's first word says of what kind an item is.
use crate::{
    act::ports::Trouble,
    values::entry::{Entry, SCHEMA, Tally},
};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// An item's attributes by name.
pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) const KEY: &str = "pk";
pub(super) const VERSION: &str = "version";
/// When DynamoDB may delete it, in seconds.
pub(super) const EXPIRES: &str = "expires_at";
/// The problem that a name stands for.
pub(super) const FINGERPRINT: &str = "fingerprint";
/// The one partition of what is due.
pub(super) const DUE: &str = "due";
/// The item that says which schema the table has.
pub(super) const SCHEMA_KEY: &str = "meta/schema";
const BODY: &str = "body";
/// Names outlive the write that made them by so many times the retention, because later writes of the entry do not renew
/// them. One that outlives its entry leads nowhere.
const NAMES_LIVE: i64 = 4;

pub(super) fn entry_key(fingerprint: &str) -> String {
    format!("entry/{fingerprint}")
}

pub(super) fn tally_key(key: &str) -> String {
    format!("tally/{key}")
}

pub(super) fn name_key(name: &str) -> String {
    format!("name/{name}")
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(super) fn number(value: &impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Instants as texts that sort by time.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

fn expires(at: Timestamp, retention: SignedDuration, times: i64) -> AttributeValue {
    number(&at.as_second().saturating_add(retention.as_secs().saturating_mul(times)))
}

fn body<T: Serialize>(table: &str, value: &T) -> Result<AttributeValue, Trouble> {
    let json =
        serde_json::to_string(value).map_err(|e| Trouble(format!("the ledger {table} cannot hold this: {e}")))?;
    Ok(AttributeValue::S(json))
}

/// The entry of the next version.
pub(super) fn of_entry(table: &str, entry: &Entry, retention: SignedDuration) -> Result<Item, Trouble> {
    let stored = Entry { version: entry.version + 1, ..entry.clone() };
    let day = entry.updated_at.to_zoned(TimeZone::UTC).date().to_string();
    let mut item = Item::from([
        (KEY.to_owned(), text(&entry_key(&entry.fingerprint))),
        (VERSION.to_owned(), number(&stored.version)),
        (BODY.to_owned(), body(table, &stored)?),
        ("day".to_owned(), text(&day)),
        ("at".to_owned(), text(&instant(entry.updated_at))),
        (EXPIRES.to_owned(), expires(entry.updated_at, retention, 1)),
    ]);
    if let Some(at) = entry.due_at() {
        item.insert(DUE.to_owned(), text(DUE));
        item.insert("due_at".to_owned(), text(&instant(at)));
    }
    Ok(item)
}

/// The tally of the next version. An empty one has no time, and stays.
pub(super) fn of_tally(table: &str, tally: &Tally, retention: SignedDuration) -> Result<Item, Trouble> {
    let stored = Tally { version: tally.version + 1, ..tally.clone() };
    let mut item = Item::from([
        (KEY.to_owned(), text(&tally_key(&tally.key))),
        (VERSION.to_owned(), number(&stored.version)),
        (BODY.to_owned(), body(table, &stored)?),
    ]);
    if let Some((newest, _)) = tally.items.last() {
        item.insert(EXPIRES.to_owned(), expires(*newest, retention, 1));
    }
    Ok(item)
}

/// A name of an entry.
pub(super) fn of_name(name: &str, entry: &Entry, retention: SignedDuration) -> Item {
    Item::from([
        (KEY.to_owned(), text(&name_key(name))),
        (FINGERPRINT.to_owned(), text(&entry.fingerprint)),
        (EXPIRES.to_owned(), expires(entry.updated_at, retention, NAMES_LIVE)),
    ])
}

/// Whether its time is not over.
pub(super) fn is_there(item: &Item, now: Timestamp) -> bool {
    let expires = item.get(EXPIRES).and_then(|at| at.as_n().ok()?.parse::<i64>().ok());
    expires.is_none_or(|at| at > now.as_second())
}

/// The entry in an item.
pub(super) fn entry(table: &str, item: &Item) -> Result<Entry, Trouble> {
    let entry: Entry = parsed(table, item)?;
    if entry.schema > SCHEMA { Err(newer(table, entry.schema)) } else { Ok(entry) }
}

/// The tally in an item.
pub(super) fn tally(table: &str, item: &Item) -> Result<Tally, Trouble> {
    parsed(table, item)
}

/// The schema of the table, where the item says it.
pub(super) fn schema(item: &Item) -> Option<u32> {
    item.get(VERSION)?.as_n().ok()?.parse().ok()
}

pub(super) fn newer(table: &str, schema: u32) -> Trouble {
    Trouble(format!("the ledger {table} has schema {schema}, and this router knows schema {SCHEMA}: update the router"))
}

fn parsed<T: DeserializeOwned>(table: &str, item: &Item) -> Result<T, Trouble> {
    let key = item.get(KEY).and_then(|key| key.as_s().ok()).map_or("?", String::as_str);
    let json = item.get(BODY).and_then(|body| body.as_s().ok()).map_or("", String::as_str);
    serde_json::from_str(json)
        .map_err(|e| Trouble(format!("the ledger {table} holds {key}, which cannot be read: {e}")))
}
