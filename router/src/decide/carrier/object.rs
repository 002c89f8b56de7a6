//! The top level of a JSON object: the few fields that tell carriers apart, as slices of the text.
use super::refusal::printable;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::ControlFlow};

/// The fields that some carrier is recognised or read by.
#[rustfmt::skip]
const KNOWN: [&str; 29] = [
    "detail-type", "source", "detail",                                                            // EventBridge
    "Type", "TopicArn", "Message", "Sns",                                                         // SNS
    "Records", "Messages", "messages", "Body", "body",                                            // SQS, Lambda, log files
    "eventVersion", "eventID", "eventName", "eventType", "eventSource", "eventTime", "awsRegion", // CloudTrail
    "recipientAccountId", "userIdentity", "accountId",
    "digestStartTime", "AlarmName", "NewStateValue", "messageType", "awsAccountId",               // refused with advice
    "s3Bucket", "s3ObjectKey",
];

/// A reason names this many keys at most, each cut to `KEY_LENGTH_MAX` characters.
const KEYS_MAX: usize = 8;
const KEY_LENGTH_MAX: usize = 24;

/// The known fields of one object; of equal keys the last one wins, as everywhere.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Object<'a> {
    /// Reads a whole text that is one object.
    pub(super) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let object = reader.deserialize_map(ReadObject)?;
        reader.end()?;
        Ok(object)
    }

    /// The JSON text of a field.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, raw)| *raw)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether a field is there and a string.
    pub(super) fn has_string(&self, key: &str) -> bool {
        self.get(key).is_some_and(|raw| raw.starts_with('"'))
    }

    /// A string unescaped, or the literal of a number; empty for everything else.
    pub(super) fn text(&self, key: &str) -> Cow<'a, str> {
        match self.get(key) {
            Some(raw) if raw.starts_with('"') => unescape(raw).unwrap_or_default(),
            Some(raw) if raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => Cow::Borrowed(raw),
            _ => Cow::Borrowed(""),
        }
    }
}

/// The text that a JSON string stands for.
pub(super) fn unescape(raw: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(raw).map(Cow::Owned),
    }
}

struct ReadObject;

impl<'a> Visitor<'a> for ReadObject {
    type Value = Object<'a>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Object<'a>, A::Error> {
        let mut object = Object::default();
        while let Some(key) = map.next_key_seed(Key)? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw = map.next_value::<&'a RawValue>()?.get();
            match object.0.iter_mut().find(|(known, _)| *known == key) {
                Some((_, earlier)) => *earlier = raw,
                None => object.0.push((key, raw)),
            }
        }
        Ok(object)
    }
}

struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Option<&'static str>;
    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(KNOWN.iter().find(|known| **known == key).copied())
    }
}

/// Calls `each` with the index and the text of every element of an array, and says how many there were.
pub(super) fn each_element<'a>(
    array: &'a str,
    each: &mut dyn FnMut(usize, &'a str) -> ControlFlow<()>,
) -> Result<usize, serde_json::Error> {
    serde_json::Deserializer::from_str(array).deserialize_seq(EachElement(each))
}

struct EachElement<'e, 'a>(&'e mut dyn FnMut(usize, &'a str) -> ControlFlow<()>);

impl<'a> Visitor<'a> for EachElement<'_, 'a> {
    type Value = usize;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(raw) = seq.next_element::<&'a RawValue>()? {
            if (self.0)(count, raw.get()).is_break() {
                return Err(A::Error::custom("no more wanted"));
            }
            count += 1;
        }
        Ok(count)
    }
}

/// The first keys of an object, printable: what a person recognises an unknown shape by.
pub(super) fn keys_in_words(text: &str) -> String {
    struct Keys;
    impl<'a> Visitor<'a> for Keys {
        type Value = (Vec<String>, bool);
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut keys, mut more) = (Vec::new(), false);
            while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                more = keys.len() == KEYS_MAX;
                if !more {
                    keys.push(format!("`{}`", printable(&key, KEY_LENGTH_MAX)));
                }
            }
            Ok((keys, more))
        }
    }
    let (keys, more) = serde_json::Deserializer::from_str(text).deserialize_map(Keys).unwrap_or_default();
    if keys.is_empty() {
        return "an object with no keys".to_owned();
    }
    format!("the keys are {}{}", keys.join(", "), if more { ", …" } else { "" })
}
