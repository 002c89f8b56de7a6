//! Event patterns as Amazon EventBridge understands them: the only rule language of this project.
//!
//! `parse` turns a pattern's JSON into ways to match (conjunctions; `$or` makes several), `matches` says what it means
//! for one of them to match an event, `set` answers the same for thousands of patterns in one walk over the event. `clause`
//! adds patterns up, and writes them again.
//!
//! The semantics are those of AWS's documentation; where it is silent, those of the open-source engine behind it
//! (`aws/event-ruler`). Worth knowing:
//!
//! - Numbers given as values compare as text: `300`, `300.0` and `3.0e2` are three values, also under `anything-but`. (The
//!   documentation says so; the engine today also accepts equal numbers.) `numeric` compares numerically, and JSON numbers only.
//! - An empty array or object has no values, so a field that holds one is absent. `exists` sees leaves only; `null` is a
//!   value, and exists.
//! - `exists: false` speaks of the path in the whole event, arrays included, even where other conditions are about one element.
//! - A dot in a pattern's key separates fields. A dot in an *event's* key is part of the name, so no pattern reaches such a
//!   field. (The engine joins both with dots, and says not to rely on it.)
//! - A field that is constrained twice, by an alternative of `$or` and beside it, or dotted and nested, keeps only the list
//!   that was written last, as in the engine. This is rarely meant, so it gives a warning.
//! - Ignoring case compares the lower case of each character, without regard to language.
mod clause;
mod condition;
mod index;
mod matches;
mod operator;
mod parse;
mod set;
#[cfg(test)]
mod tests;
mod write;

use crate::values::tree::Node;
use matches::Way;
use std::fmt;

pub use clause::{Clause, pack};
pub(super) use parse::node;
pub use set::PatternSet;

/// A field's path: the names from the event's root to it.
type Path = Box<[Box<str>]>;

/// A compiled event pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Every field that is constrained somewhere, each once.
    paths: Vec<Path>,
    /// The pattern matches if one of these does.
    ways: Vec<Way>,
    warnings: Vec<String>,
}

impl Pattern {
    /// Reads a pattern from JSON text. Of equal keys the last one wins; number literals keep their text.
    pub fn parse(json: &str) -> Result<Self, PatternError> {
        parse::text(json)
    }

    /// Takes a pattern from data. Its keys have no order, so `$or` counts as written after its siblings.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, PatternError> {
        parse::value(value)
    }

    /// Takes a pattern from a tree, in the order in which it is written.
    pub fn from_node(node: &Node<'_>) -> Result<Self, PatternError> {
        parse::tree(node)
    }

    /// Whether the event matches: the one definition of what patterns mean. Only an object can match.
    pub fn matches(&self, event: &Node<'_>) -> bool {
        matches!(event, Node::Object(_)) && self.ways.iter().any(|way| way.matches(event, &self.paths))
    }

    /// Every field that the pattern looks at, for `Fields::insert`.
    pub fn paths(&self) -> impl Iterator<Item = &[Box<str>]> {
        self.paths.iter().map(AsRef::as_ref)
    }

    /// How specific the pattern is: the fewest fields that it constrains in any way of matching.
    pub fn conditions(&self) -> usize {
        self.ways.iter().map(|way| way.fields.len()).min().unwrap_or(0)
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// Why something is not an event pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// A JSON Pointer to the place; empty for the whole pattern.
    pub at: String,
    /// What is wrong there, and what to write instead.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the root" } else { &self.at };
        write!(f, "at {at}: {}", self.reason)
    }
}

impl std::error::Error for PatternError {}
