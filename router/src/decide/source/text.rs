//! Where a source finds a text or a severity in an event: pointers, alternatives, constants and words.
use super::TEXT_MAX;
use crate::{
    decide::written::Item,
    values::{
        severity::Severity,
        text::{cut, percent_encode},
        tree::Node,
    },
};
use std::collections::BTreeMap;

/// Where a text comes from.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Pointer(String),
    Constant(String),
    /// The first that resolves to something.
    First(Vec<Text>),
    /// All of them, with something between; nothing if one is missing.
    Join(Vec<Text>, String),
    /// A word of the producer's, in our words.
    Words(Box<Text>, BTreeMap<String, String>, Option<String>),
}

impl Text {
    pub(super) fn read(item: &Item<'_>) -> Option<Self> {
        if item.is_list() {
            let texts: Vec<Self> = item.list().iter().filter_map(Self::read).collect();
            if texts.is_empty() {
                item.fail("an empty list never says anything", "name at least one JSON Pointer or constant");
            }
            return Some(Self::First(texts));
        }
        if !item.is_table() {
            let text = item.text()?.to_owned();
            if text.starts_with("detail/") {
                item.fail(
                    format!("{text:?} is a constant"),
                    format!("a JSON Pointer begins with a slash: \"/{text}\""),
                );
            }
            return Some(if text.starts_with('/') { Self::Pointer(text) } else { Self::Constant(text) });
        }
        let table = item.table()?;
        let text = if let Some(parts) = table.get("join") {
            let parts = parts.list().iter().filter_map(Self::read).collect();
            let with = table.get("with").and_then(|w| w.text().map(str::to_owned)).unwrap_or_default();
            Some(Self::Join(parts, with))
        } else {
            let at = table.need("at", "a JSON Pointer, or `join`").and_then(|a| Self::read(&a));
            let words = table.get("words").and_then(|w| w.table());
            let words = words.map(|w| w.entries()).unwrap_or_default();
            let words = words.into_iter().filter_map(|(k, v)| Some((k, v.text()?.to_owned()))).collect();
            let otherwise = table.get("else").and_then(|o| o.text().map(str::to_owned));
            at.map(|at| Self::Words(Box::new(at), words, otherwise))
        };
        table.finish();
        text
    }

    pub(super) fn get(&self, tree: &Node<'_>) -> Option<String> {
        match self {
            Self::Pointer(p) => tree.text_at(p).map(|t| cut(t, TEXT_MAX).to_owned()),
            Self::Constant(c) => Some(c.clone()),
            Self::First(texts) => texts.iter().find_map(|t| t.get(tree)),
            Self::Join(texts, with) => Some(texts.iter().map(|t| t.get(tree)).collect::<Option<Vec<_>>>()?.join(with)),
            Self::Words(at, words, otherwise) => at
                .get(tree)
                .and_then(|told| words.iter().find(|(word, _)| covers(word, &told)).map(|(_, ours)| ours.clone()))
                .or_else(|| otherwise.clone()),
        }
    }

    /// As an address: what the event says is percent-encoded, what the source says is not.
    pub(super) fn address(&self, tree: &Node<'_>) -> Option<String> {
        match self {
            Self::Join(texts, with) => {
                Some(texts.iter().map(|t| t.address(tree)).collect::<Option<Vec<_>>>()?.join(with))
            }
            Self::First(texts) => texts.iter().find_map(|t| t.address(tree)),
            Self::Constant(c) => Some(c.clone()),
            other => other.get(tree).map(|t| percent_encode(&t)),
        }
    }

    /// Whether it can be this text; what is the event's own can be any.
    pub(super) fn may_be(&self, text: &str) -> bool {
        match self {
            Self::Pointer(_) | Self::Join(..) => true,
            Self::Constant(c) => c == text,
            Self::First(texts) => texts.iter().any(|t| t.may_be(text)),
            Self::Words(_, words, otherwise) => words.values().chain(otherwise).any(|w| w == text),
        }
    }

    /// Whether it says something of every event.
    pub(super) fn is_certain(&self) -> bool {
        match self {
            Self::Pointer(_) => false,
            Self::Constant(_) => true,
            Self::First(texts) => texts.iter().any(Self::is_certain),
            Self::Join(texts, _) => texts.iter().all(Self::is_certain),
            Self::Words(_, _, otherwise) => otherwise.is_some(),
        }
    }

    pub(super) fn pointers<'s>(&'s self, out: &mut Vec<&'s str>) {
        match self {
            Self::Pointer(p) => out.push(p),
            Self::Constant(_) => {}
            Self::First(texts) | Self::Join(texts, _) => texts.iter().for_each(|t| t.pointers(out)),
            Self::Words(at, ..) => at.pointers(out),
        }
    }
}

/// A word that begins with `*` stands for any that end like it.
fn covers(word: &str, told: &str) -> bool {
    word.strip_prefix('*').map_or(word == told, |end| told.ends_with(end))
}

/// How a producer says how bad it is. A word that nobody mapped, or no number, is high: rather one card too
/// loud than one unheard.
#[derive(Clone, Debug)]
pub(super) enum SeverityRule {
    Always(Severity),
    /// Half-open bands by their lower bounds, so that there are no holes.
    Floor(Text, Vec<(f64, Severity)>),
    Words(Text, BTreeMap<String, Severity>, Severity),
}

impl SeverityRule {
    pub(super) fn read(item: &Item<'_>) -> Option<Self> {
        if !item.is_table() {
            return item.parse(str::parse).map(Self::Always);
        }
        let table = item.table()?;
        let at = table.need("at", "a JSON Pointer to the producer's severity").and_then(|a| Text::read(&a))?;
        let rule = if let Some(floor) = table.get("floor") {
            let mut bands = Vec::new();
            for (word, bound) in floor.table()?.entries() {
                match word.parse::<Severity>() {
                    Ok(severity) => bands.extend(bound.number().map(|n| (n, severity))),
                    Err(error) => bound.fail(error, ""),
                }
            }
            bands.sort_by(|a, b| b.0.total_cmp(&a.0));
            Some(Self::Floor(at, bands))
        } else {
            let words = table.need("words", "the producer's words with ours, or `floor` with lower bounds")?;
            let words = words.table()?.entries().into_iter().filter_map(|(k, v)| Some((k, v.parse(str::parse)?)));
            let words = words.collect();
            let otherwise = table.get("else").and_then(|e| e.parse(str::parse)).unwrap_or(Severity::High);
            Some(Self::Words(at, words, otherwise))
        };
        table.finish();
        rule
    }

    pub(super) fn get(&self, tree: &Node<'_>) -> Severity {
        match self {
            Self::Always(severity) => *severity,
            Self::Floor(at, bands) => {
                let number = at.get(tree).and_then(|t| t.trim().parse::<f64>().ok()).filter(|n| n.is_finite());
                // What is below all bounds is in the lowest band.
                let band = |n: f64| bands.iter().find(|(bound, _)| n >= *bound).or(bands.last());
                number.and_then(band).map_or(Severity::High, |(_, severity)| *severity)
            }
            Self::Words(at, words, otherwise) => {
                at.get(tree).and_then(|word| words.get(&word).copied()).unwrap_or(*otherwise)
            }
        }
    }

    pub(super) fn pointers<'s>(&'s self, out: &mut Vec<&'s str>) {
        match self {
            Self::Always(_) => {}
            Self::Floor(at, _) | Self::Words(at, ..) => at.pointers(out),
        }
    }
}
