//! Reads JSON text into a pruned tree in one pass, skipping what nobody names.
//!
//! `serde_json` reads a number's value and loses its literal text, and building through it costs more than the whole
//! decision afterwards (measured by `cargo bench`); so the hot path has a reader of its own. Everything unusual is left to
//! `serde_json`: escaped strings are decoded by it, and whatever this reader does not accept is read again by it, so
//! that the error, with line and column, is always its own. A property test holds the two to the same answers.
use super::tree::{DEPTH_MAX, Fields, Node};
use serde::de::{Error, IgnoredAny};
use std::{borrow::Cow, collections::HashMap};

/// Room for so many fields is made at once.
const FIELDS_USUAL: usize = 8;
/// Objects with more kept fields than this look for repeated keys by hash.
const LINEAR_MAX: usize = 32;

impl<'a> Node<'a> {
    /// Reads a text whole.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        Self::parse_fields(text, Fields::ALL)
    }

    /// Reads of a text only what `fields` names. Arrays are kept at full length; their elements are pruned alike.
    pub fn parse_fields(text: &'a str, fields: &'a Fields) -> Result<Self, serde_json::Error> {
        Scan::new(text).read(fields)
    }
}

/// A place in a text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// The text is not what was expected here; `serde_json` says it better.
struct Unexpected;

type Read<T> = Result<T, Unexpected>;

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Reads the text as one value, and nothing after it.
    fn read(mut self, fields: &'a Fields) -> Result<Node<'a>, serde_json::Error> {
        let node = self.value(fields).and_then(|node| {
            self.space();
            if self.at == self.text.len() { Ok(node) } else { Err(Unexpected) }
        });
        node.map_err(|Unexpected| {
            let reason = if self.depth > DEPTH_MAX {
                format!("nested deeper than {DEPTH_MAX} levels")
            } else {
                match serde_json::from_str::<IgnoredAny>(self.text) {
                    Err(error) => return error,
                    Ok(_) => format!("a string that is not Unicode text near byte {}", self.at),
                }
            };
            serde_json::Error::custom(reason)
        })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Read<u8> {
        self.space();
        self.byte().ok_or(Unexpected)
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(Unexpected)
        }
    }

    fn value(&mut self, fields: &'a Fields) -> Read<Node<'a>> {
        Ok(match self.peek()? {
            b'"' => Node::String(self.string()?),
            b'{' => self.nested(|scan| scan.object(fields))?,
            b'[' => self.nested(|scan| scan.array(fields))?,
            b't' => self.word("true", Node::Bool(true))?,
            b'f' => self.word("false", Node::Bool(false))?,
            b'n' => self.word("null", Node::Null)?,
            _ => Node::Number(Cow::Borrowed(self.number()?)),
        })
    }

    /// Passes over a value; it must be JSON all the same.
    fn skip(&mut self) -> Read<()> {
        match self.peek()? {
            b'"' => self.raw_string().map(|_| ()),
            b'{' => self.nested(|scan| {
                scan.items(b'}', |scan| {
                    scan.peek()?;
                    scan.raw_string()?;
                    scan.expect(b':')?;
                    scan.skip()
                })
            }),
            b'[' => self.nested(|scan| scan.items(b']', Self::skip)),
            b't' => self.word("true", ()),
            b'f' => self.word("false", ()),
            b'n' => self.word("null", ()),
            _ => self.number().map(|_| ()),
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Unexpected);
        }
        self.at += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// The items of a container up to its end, commas between them.
    fn items(&mut self, end: u8, mut each: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        if self.peek()? == end {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == end => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Unexpected),
            }
        }
    }

    fn array(&mut self, fields: &'a Fields) -> Read<Node<'a>> {
        let mut items = Vec::new();
        self.items(b']', |scan| {
            items.push(scan.value(fields)?);
            Ok(())
        })?;
        Ok(Node::Array(items))
    }

    fn object(&mut self, fields: &'a Fields) -> Read<Node<'a>> {
        let mut kept: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        let mut index: HashMap<Cow<'a, str>, usize> = HashMap::new();
        self.items(b'}', |scan| {
            scan.peek()?;
            let key = scan.string()?;
            scan.expect(b':')?;
            let (name, below) = if fields.is_whole() {
                (key, Fields::ALL)
            } else if let Some((name, below)) = fields.child(&key) {
                (Cow::Borrowed(name), below)
            } else {
                return scan.skip();
            };
            let value = scan.value(below)?;
            // The last of equal keys wins.
            let known = if kept.len() < LINEAR_MAX {
                kept.iter().position(|(k, _)| *k == name)
            } else {
                if index.is_empty() {
                    index.extend(kept.iter().enumerate().map(|(i, (k, _))| (k.clone(), i)));
                }
                index.get(&name).copied()
            };
            if let Some(at) = known {
                kept[at].1 = value;
            } else {
                if kept.len() >= LINEAR_MAX {
                    index.insert(name.clone(), kept.len());
                }
                if kept.is_empty() {
                    kept.reserve(FIELDS_USUAL);
                }
                kept.push((name, value));
            }
            Ok(())
        })?;
        Ok(Node::Object(kept))
    }

    fn word<T>(&mut self, word: &str, value: T) -> Read<T> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(Unexpected)
        }
    }

    /// The literal of a number: `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Unexpected),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unexpected) }
    }

    fn string(&mut self) -> Read<Cow<'a, str>> {
        let (raw, escaped) = self.raw_string()?;
        if escaped {
            serde_json::from_str(raw).map(Cow::Owned).map_err(|_| Unexpected)
        } else {
            Ok(Cow::Borrowed(&raw[1..raw.len() - 1]))
        }
    }

    /// A string with its quotes, and whether anything in it is escaped (then its escapes have been checked).
    fn raw_string(&mut self) -> Read<(&'a str, bool)> {
        let start = self.at;
        if self.byte() != Some(b'"') {
            return Err(Unexpected);
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            self.plain_run();
            match self.byte().ok_or(Unexpected)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..0x20 => return Err(Unexpected),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let raw = &self.text[start..self.at];
        if escaped && serde_json::from_str::<IgnoredAny>(raw).is_err() {
            return Err(Unexpected);
        }
        Ok((raw, escaped))
    }

    /// Passes over eight bytes at a time while none of them is a quote, a backslash or a control character.
    fn plain_run(&mut self) {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
        let has_zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
        while let Some(Ok(chunk)) = self.text.as_bytes().get(self.at..self.at + 8).map(<[u8; 8]>::try_from) {
            let x = u64::from_ne_bytes(chunk);
            let quote = has_zero(x ^ (ONES * u64::from(b'"')));
            let backslash = has_zero(x ^ (ONES * u64::from(b'\\')));
            let control = x.wrapping_sub(ONES * 0x20) & !x & HIGH;
            let stop = quote | backslash | control;
            if stop != 0 {
                // Little-endian: the lowest set bit is the first byte of interest (false alarms come after a true one).
                self.at += if cfg!(target_endian = "little") { (stop.trailing_zeros() / 8) as usize } else { 0 };
                return;
            }
            self.at += 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same tree by way of `serde_json::Value`, which loses only the literals of numbers.
    fn by_value(text: &str) -> Option<serde_json::Value> {
        serde_json::from_str(text).ok()
    }

    fn as_value(node: &Node<'_>) -> serde_json::Value {
        match node {
            Node::Null => serde_json::Value::Null,
            Node::Bool(b) => (*b).into(),
            Node::Number(n) => serde_json::from_str(n).unwrap(),
            Node::String(s) => s.as_ref().into(),
            Node::Array(items) => items.iter().map(as_value).collect(),
            Node::Object(fields) => fields.iter().map(|(k, v)| (k.to_string(), as_value(v))).collect(),
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_filter_map("finite", |f| serde_json::Number::from_f64(f).map(Into::into)),
            ".{0,12}".prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map("[a-d\"\\\\é]{0,3}", inner, 0..6)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            prop_assert_eq!(Node::parse(&text).ok().as_ref().map(as_value), by_value(&text));
        }

        #[test]
        fn refuses_what_serde_json_refuses(value in json(), at: prop::sample::Index, byte in prop::sample::select(b"\"\\{}[]:,0-.eEtfn\n u\x01 ".to_vec())) {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                // (`1e999` is a number here and out of range there: EventBridge compares its text.)
                let ours = Node::parse(&text).map(|_| ()).ok();
                let theirs = serde_json::from_str::<IgnoredAny>(&text).map(|_| ()).ok();
                let strict = by_value(&text).map(|_| ());
                prop_assert!(ours == theirs || ours == strict, "{text}");
            }
        }

        #[test]
        fn a_pruned_read_accepts_the_same_texts(value in json(), cut: prop::sample::Index) {
            let mut fields = Fields::default();
            fields.insert(["a", "b"]);
            let text = value.to_string();
            let cut = cut.index(text.len() + 1);
            if text.is_char_boundary(cut) {
                let text = &text[..cut];
                prop_assert_eq!(Node::parse_fields(text, &fields).is_ok(), Node::parse(text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn many_keys_keep_the_last_of_equal_ones() {
        let text: Vec<String> = (0..200).map(|i| format!("\"k{}\":{i}", i % 100)).collect();
        let text = format!("{{{}}}", text.join(","));
        let node = Node::parse(&text).unwrap();
        assert_eq!(node.get("k7").and_then(Node::text), Some("107"));
        assert!(matches!(node, Node::Object(fields) if fields.len() == 100));
    }
}
