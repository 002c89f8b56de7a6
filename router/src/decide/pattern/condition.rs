//! What a pattern demands of one scalar value.
use crate::values::tree::Node;
use std::{borrow::Cow, net::IpAddr};

/// One element of a field's list; the field is satisfied when one of them holds for one of its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Condition {
    Null,
    Bool(bool),
    /// The literal, compared as text.
    Number(Box<str>),
    Text(Box<str>),
    /// Ignoring case: holds the folded text.
    Folded(Box<str>),
    Prefix(Affix),
    Suffix(Affix),
    Wildcard(Wildcard),
    /// A present scalar of which none of these holds.
    AnythingBut(Box<[Condition]>),
    Numeric(Range),
    Cidr(Cidr),
    /// Any value.
    Exists,
    /// No value at the path in the whole event. Never holds for a value: the caller looks at the event.
    Absent,
}

/// The start or the end of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Affix {
    pub(super) text: Box<str>,
    /// Ignore case; `text` is folded.
    pub(super) folded: bool,
}

/// The literal pieces between the asterisks: at least one; the first starts the value and the last ends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Wildcard(pub(super) Box<[Box<str>]>);

/// A span of numbers; each bound says whether it belongs to the span.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Range {
    pub(super) low: Option<(Real, bool)>,
    pub(super) high: Option<(Real, bool)>,
}

/// A finite number as an integer with the same order, so that conditions can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Real(i64);

impl Real {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number: f64 = text.parse().ok().filter(|n: &f64| n.is_finite())?;
        // Adding zero turns -0.0 into 0.0.
        let bits = (number + 0.0).to_bits().cast_signed();
        Some(Self(if bits < 0 { bits ^ i64::MAX } else { bits }))
    }

    /// The number.
    pub(super) fn get(self) -> f64 {
        f64::from_bits((if self.0 < 0 { self.0 ^ i64::MAX } else { self.0 }).cast_unsigned())
    }
}

/// An address block: addresses of one family that agree with `network` in all but the last `free` bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cidr {
    pub(super) v6: bool,
    pub(super) network: u128,
    pub(super) free: u32,
}

impl Condition {
    /// Whether the condition holds for a scalar.
    pub(super) fn holds(&self, value: &Node<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) | (Self::Null, Node::Null) => true,
            (Self::AnythingBut(these), _) => !these.iter().any(|one| one.holds(value)),
            (Self::Bool(a), Node::Bool(b)) => a == b,
            (Self::Number(a), Node::Number(b)) => a.as_ref() == b,
            (Self::Numeric(range), Node::Number(text)) => range.contains(text),
            (_, Node::String(text)) => self.holds_for_text(text),
            _ => false,
        }
    }

    fn holds_for_text(&self, text: &str) -> bool {
        match self {
            Self::Text(a) => a.as_ref() == text,
            Self::Folded(a) => a.as_ref() == fold(text),
            Self::Prefix(a) => a.in_case(text).starts_with(&*a.text),
            Self::Suffix(a) => a.in_case(text).ends_with(&*a.text),
            Self::Wildcard(wildcard) => wildcard.covers(text),
            Self::Cidr(cidr) => cidr.contains(text),
            _ => false,
        }
    }
}

impl Affix {
    fn in_case<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.folded { fold(text) } else { Cow::Borrowed(text) }
    }
}

impl Wildcard {
    /// Greedy from the left is enough, because every piece but the last may sit anywhere.
    pub(super) fn covers(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.0 else {
            return self.0.first().is_some_and(|only| only.as_ref() == text);
        };
        let Some(mut rest) = text.strip_prefix(&**first) else { return false };
        for piece in middle {
            let Some(i) = rest.find(&**piece) else { return false };
            rest = &rest[i + piece.len()..];
        }
        rest.ends_with(&**last)
    }
}

impl Range {
    fn contains(&self, text: &str) -> bool {
        let Some(number) = Real::parse(text) else { return false };
        self.low.is_none_or(|(low, closed)| number > low || closed && number == low)
            && self.high.is_none_or(|(high, closed)| number < high || closed && number == high)
    }
}

impl Cidr {
    pub(super) fn contains(&self, text: &str) -> bool {
        // 45 is the longest text of an address; the check keeps long strings cheap.
        text.len() <= 45
            && text.parse().is_ok_and(|ip: IpAddr| {
                let (v6, bits) = bits(ip);
                v6 == self.v6 && bits.checked_shr(self.free) == self.network.checked_shr(self.free)
            })
    }
}

/// An address's family and bits.
pub(super) fn bits(ip: IpAddr) -> (bool, u128) {
    match ip {
        IpAddr::V4(ip) => (false, u128::from(ip.to_bits())),
        IpAddr::V6(ip) => (true, ip.to_bits()),
    }
}

/// The lower case of each character, without regard to language or position, so that equal texts fold to equal texts.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else if text.is_ascii() {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    }
}
