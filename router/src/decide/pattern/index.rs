//! What one field's value satisfies, out of all conditions that any pattern has on that field, without trying each.
use super::condition::{Affix, Condition, Wildcard, fold};
use crate::values::tree::Node;
use aho_corasick::AhoCorasick;
use std::collections::HashMap;

/// The indexed conditions of one field. Each has a number, which the caller chose.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    texts: HashMap<Box<str>, u32>,
    folded: HashMap<Box<str>, u32>,
    numbers: HashMap<Box<str>, u32>,
    /// Null, false, true.
    words: [Option<u32>; 3],
    prefixes: Affixes,
    suffixes: Affixes,
    folded_prefixes: Affixes,
    folded_suffixes: Affixes,
    wildcards: Option<Wildcards>,
}

impl Index {
    /// Whether the condition can be looked up; the others must be tried.
    pub(super) fn takes(condition: &Condition) -> bool {
        match condition {
            Condition::Wildcard(wildcard) => wildcard.0.iter().any(|piece| !piece.is_empty()),
            Condition::AnythingBut(_)
            | Condition::Numeric(_)
            | Condition::Cidr(_)
            | Condition::Exists
            | Condition::Absent => false,
            _ => true,
        }
    }

    pub(super) fn new<'c>(conditions: impl IntoIterator<Item = (&'c Condition, u32)>) -> Self {
        let mut index = Self::default();
        let mut affixes: [Vec<(Box<[u8]>, u32)>; 4] = Default::default();
        let mut wildcards = Vec::new();
        for (condition, id) in conditions {
            match condition {
                Condition::Null => index.words[0] = Some(id),
                Condition::Bool(b) => index.words[1 + usize::from(*b)] = Some(id),
                Condition::Number(literal) => drop(index.numbers.insert(literal.clone(), id)),
                Condition::Text(text) => drop(index.texts.insert(text.clone(), id)),
                Condition::Folded(text) => drop(index.folded.insert(text.clone(), id)),
                Condition::Prefix(Affix { text, folded }) => {
                    affixes[usize::from(*folded)].push((text.as_bytes().into(), id));
                }
                Condition::Suffix(Affix { text, folded }) => {
                    affixes[2 + usize::from(*folded)].push((text.bytes().rev().collect(), id));
                }
                Condition::Wildcard(wildcard) => wildcards.push((wildcard.clone(), id)),
                _ => {}
            }
        }
        [index.prefixes, index.folded_prefixes, index.suffixes, index.folded_suffixes] = affixes.map(Affixes::new);
        index.wildcards = Wildcards::new(wildcards);
        index
    }

    /// Appends the numbers of all indexed conditions that hold for a scalar.
    pub(super) fn look_up(&self, value: &Node<'_>, found: &mut Vec<u32>) {
        match value {
            Node::String(text) => self.look_up_text(text, found),
            Node::Number(literal) => found.extend(self.numbers.get(&**literal)),
            Node::Null => found.extend(self.words[0]),
            Node::Bool(b) => found.extend(self.words[1 + usize::from(*b)]),
            Node::Array(_) | Node::Object(_) => {}
        }
    }

    fn look_up_text(&self, text: &str, found: &mut Vec<u32>) {
        found.extend(self.texts.get(text));
        self.prefixes.look_up(text.as_bytes(), found);
        self.suffixes.look_up_reversed(text.as_bytes(), found);
        if !(self.folded.is_empty() && self.folded_prefixes.sorted.is_empty() && self.folded_suffixes.sorted.is_empty())
        {
            let folded = fold(text);
            found.extend(self.folded.get(&*folded));
            self.folded_prefixes.look_up(folded.as_bytes(), found);
            self.folded_suffixes.look_up_reversed(folded.as_bytes(), found);
        }
        if let Some(wildcards) = &self.wildcards {
            wildcards.look_up(text, found);
        }
    }
}

/// Beginnings, sorted; each knows the longest other one that it begins with.
#[derive(Clone, Debug, Default)]
struct Affixes {
    sorted: Vec<(Box<[u8]>, u32, Option<usize>)>,
    /// In bytes: no more of a value needs to be reversed.
    longest: usize,
}

impl Affixes {
    fn new(mut affixes: Vec<(Box<[u8]>, u32)>) -> Self {
        affixes.sort();
        let longest = affixes.iter().map(|(affix, _)| affix.len()).max().unwrap_or(0);
        let mut sorted: Vec<(Box<[u8]>, u32, Option<usize>)> = Vec::with_capacity(affixes.len());
        for (affix, id) in affixes {
            // In sorted order, whatever this one begins with is the one before or what that one begins with.
            let mut shorter = sorted.len().checked_sub(1);
            while let Some(i) = shorter.filter(|&i| !affix.starts_with(&sorted[i].0)) {
                shorter = sorted[i].2;
            }
            sorted.push((affix, id, shorter));
        }
        Self { sorted, longest }
    }

    /// All beginnings of `text` form one chain, which starts at or above the last entry that is not greater.
    fn look_up(&self, text: &[u8], found: &mut Vec<u32>) {
        let mut at = self.sorted.partition_point(|(affix, _, _)| **affix <= *text).checked_sub(1);
        while let Some((affix, id, shorter)) = at.and_then(|i| self.sorted.get(i)) {
            if text.starts_with(affix) {
                found.push(*id);
            }
            at = *shorter;
        }
    }

    fn look_up_reversed(&self, text: &[u8], found: &mut Vec<u32>) {
        if !self.sorted.is_empty() {
            let reversed: Vec<u8> = text.iter().rev().take(self.longest).copied().collect();
            self.look_up(&reversed, found);
        }
    }
}

/// So many pieces are sooner looked for one by one than an automaton for them is built.
const FEW: usize = 8;

/// Wildcards, found by one literal piece of each and then tried.
#[derive(Clone, Debug)]
struct Wildcards {
    /// `None` if there are few, or too many to build it: then every wildcard is tried.
    pieces: Option<AhoCorasick>,
    /// For each piece, the wildcards that are found by it.
    by_piece: Vec<Vec<(Wildcard, u32)>>,
}

impl Wildcards {
    /// `None` if there are none. Each is found by its rarest piece, so that a beginning that all share finds nothing.
    fn new(wildcards: Vec<(Wildcard, u32)>) -> Option<Self> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for piece in wildcards.iter().flat_map(|(wildcard, _)| &wildcard.0) {
            *counts.entry(piece).or_default() += 1;
        }
        let rarest: Vec<Option<Box<str>>> = wildcards
            .iter()
            .map(|(wildcard, _)| {
                let pieces = wildcard.0.iter().filter(|piece| !piece.is_empty());
                pieces.max_by_key(|&piece| (usize::MAX - counts.get(&**piece).unwrap_or(&0), piece.len())).cloned()
            })
            .collect();
        let (mut pieces, mut by_piece): (Vec<Box<str>>, Vec<Vec<_>>) = (Vec::new(), Vec::new());
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        for (one, piece) in wildcards.into_iter().zip(rarest) {
            let Some(piece) = piece else { continue };
            let place = *places.entry(piece.clone()).or_insert_with(|| {
                pieces.push(piece);
                by_piece.push(Vec::new());
                pieces.len() - 1
            });
            by_piece[place].push(one);
        }
        let build = || AhoCorasick::new(pieces.iter().map(|piece| piece.as_bytes())).ok();
        let pieces = (pieces.len() > FEW).then(build).flatten();
        (!by_piece.is_empty()).then_some(Self { pieces, by_piece })
    }

    fn look_up(&self, text: &str, found: &mut Vec<u32>) {
        let mut seen: Vec<usize> = Vec::new();
        match &self.pieces {
            Some(pieces) => seen.extend(pieces.find_overlapping_iter(text).map(|hit| hit.pattern().as_usize())),
            None => seen.extend(0..self.by_piece.len()),
        }
        seen.sort_unstable();
        seen.dedup();
        for (wildcard, id) in seen.iter().filter_map(|&piece| self.by_piece.get(piece)).flatten() {
            if wildcard.covers(text) {
                found.push(*id);
            }
        }
    }
}
