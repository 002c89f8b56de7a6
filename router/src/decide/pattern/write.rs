//! Conditions as EventBridge writes them: the way back from what `operator` reads.
use super::condition::{Affix, Cidr, Condition, Range, Real, Wildcard};
use serde_json::{Number, Value, json};
use std::net::{Ipv4Addr, Ipv6Addr};

impl Condition {
    /// As an element of a field's list. (Ignoring case, a text comes back in lower case: it means the same. So does a number in
    /// the shortest way to write it, which events that write it otherwise do not equal.)
    pub(super) fn written(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => json!(b),
            Self::Number(literal) => literal.parse::<Number>().map_or(Value::Null, Value::Number),
            Self::Text(text) => json!(text),
            Self::Folded(text) => json!({ "equals-ignore-case": text }),
            Self::Prefix(affix) => json!({ "prefix": affix.written() }),
            Self::Suffix(affix) => json!({ "suffix": affix.written() }),
            Self::Wildcard(wildcard) => json!({ "wildcard": wildcard.written() }),
            Self::AnythingBut(these) => json!({ "anything-but": excluded(these) }),
            Self::Numeric(range) => json!({ "numeric": range.written() }),
            Self::Cidr(cidr) => json!({ "cidr": cidr.written() }),
            Self::Exists => json!({ "exists": true }),
            Self::Absent => json!({ "exists": false }),
        }
    }
}

/// What anything-but excludes: values, or what one operator describes.
fn excluded(these: &[Condition]) -> Value {
    let written: Vec<Value> = these.iter().map(Condition::written).collect();
    let operator = |one: &Value| one.as_object().and_then(|o| o.keys().next().cloned());
    let Some(name) = written.first().and_then(operator) else { return written.into() };
    let operands: Value = written.iter().filter_map(|one| one.get(&name).cloned()).collect();
    json!({ name: operands })
}

impl Affix {
    fn written(&self) -> Value {
        if self.folded { json!({ "equals-ignore-case": self.text }) } else { json!(self.text) }
    }
}

impl Wildcard {
    fn written(&self) -> String {
        let pieces: Vec<String> = self.0.iter().map(|p| p.replace('\\', r"\\").replace('*', r"\*")).collect();
        pieces.join("*")
    }
}

impl Range {
    fn written(&self) -> Vec<Value> {
        if let (Some((low, true)), Some((high, true))) = (self.low, self.high)
            && low == high
        {
            return vec![json!("="), low.written()];
        }
        let bound = |bound: Option<(Real, bool)>, open: &str| {
            let operator = |closed| if closed { format!("{open}=") } else { open.to_owned() };
            bound.into_iter().flat_map(move |(at, closed)| [json!(operator(closed)), at.written()]).collect::<Vec<_>>()
        };
        let mut both = bound(self.low, ">");
        both.extend(bound(self.high, "<"));
        both
    }
}

impl Real {
    fn written(self) -> Value {
        let number = self.get();
        let whole: Option<i64> = format!("{number}").parse().ok();
        whole.map_or_else(|| json!(number), |whole| json!(whole))
    }
}

impl Cidr {
    fn written(&self) -> String {
        if self.v6 {
            format!("{}/{}", Ipv6Addr::from_bits(self.network), 128 - self.free)
        } else {
            let network = u32::try_from(self.network).unwrap_or_default();
            format!("{}/{}", Ipv4Addr::from_bits(network), 32 - self.free)
        }
    }
}
