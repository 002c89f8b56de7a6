//! Many patterns as one matcher, whose cost per event does not grow with their number.
//!
//! One walk collects the values of every field that some pattern names. Then a tree of states is descended: an edge is a
//! field with a list, and patterns that begin alike share it. Fields that most patterns share (`source`, `detail-type`)
//! come first; lists that can only be tried (numeric, cidr, anything-but, exists) come last, when few patterns are left.
//! Which conditions a field's values satisfy is looked up in that field's `Index`, once per event.
//!
//! The tree does not see which array element a value came from, so it may find too much: where values came from several
//! elements, `Way::matches` decides.
//!
//! Bound, whatever the event holds: each value is looked up once, each state is entered at most once, each list that must
//! be tried is tried on each value once, and each way that is found is verified at most once, in time linear in the event.
//! So the worst event is one whose array elements together satisfy many patterns and singly none: elements times patterns.
mod build;

use super::{Pattern, condition::Condition, index::Index, matches::is_container};
use crate::values::tree::{Fields, Node};
use std::{collections::HashMap, ops::Range};

/// Many patterns, compiled into one matcher.
#[derive(Clone, Debug)]
pub struct PatternSet {
    patterns: Vec<Pattern>,
    ways: Vec<Found>,
    /// The tree of field names; the first is the root.
    names: Vec<Name>,
    /// By field.
    indexes: Vec<Index>,
    /// By condition number; shared by all patterns that demand the same of the same field.
    conditions: Vec<Condition>,
    /// The first is where every event starts.
    states: Vec<State>,
}

/// A way of a pattern that a state has found.
#[derive(Clone, Debug)]
struct Found {
    pattern: usize,
    way: usize,
    fields: Box<[usize]>,
}

#[derive(Clone, Debug, Default)]
struct Name {
    /// Sorted.
    children: Vec<(Box<str>, usize)>,
    field: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct State {
    found: Vec<usize>,
    /// Sorted by field.
    forks: Vec<Fork>,
    /// Field and next state: where to go on if the field has no values.
    absences: Vec<(usize, usize)>,
}

/// Where to go on from a state by the values of one field.
#[derive(Clone, Debug, Default)]
struct Fork {
    field: usize,
    /// Condition and next state, sorted: looked up.
    indexed: Vec<(u32, usize)>,
    /// Condition and next state: tried.
    tried: Vec<(u32, usize)>,
}

impl PatternSet {
    /// Compiles patterns; they keep their order.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        build::build(patterns.into_iter().collect())
    }

    /// The patterns that match, by their position, ascending.
    pub fn matches(&self, event: &Node<'_>) -> Vec<usize> {
        if !matches!(event, Node::Object(_)) {
            return Vec::new();
        }
        let mut run = Run::new(self, event);
        let found = run.descend();
        let mut matching: Vec<usize> = Vec::new();
        for one in found.into_iter().map(|i| &self.ways[i]) {
            if matching.last() != Some(&one.pattern) && run.verify(one, event) {
                matching.push(one.pattern);
            }
        }
        matching
    }

    /// Every field that some pattern looks at.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        for path in self.patterns.iter().flat_map(Pattern::paths) {
            fields.insert(path.iter().map(AsRef::as_ref));
        }
        fields
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

/// One event's passage.
struct Run<'s, 'e> {
    set: &'s PatternSet,
    /// Field and value, sorted by field after the walk.
    hits: Vec<(usize, &'e Node<'e>)>,
    /// Each field that has values, and where they are in `hits`.
    present: Vec<(usize, Range<usize>)>,
    /// By field: whether its values come from several elements of an array. Empty if none do.
    scattered: Vec<bool>,
    /// What was looked up so far: field, conditions that hold.
    satisfied: Vec<(usize, Vec<u32>)>,
    /// Look-ups, trials and states, for the test of the bound.
    steps: usize,
}

impl<'s, 'e> Run<'s, 'e> {
    fn new(set: &'s PatternSet, event: &'e Node<'e>) -> Self {
        let (hits, present, scattered, satisfied) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut run = Self { set, hits, present, scattered, satisfied, steps: 0 };
        run.walk(event, 0, false);
        run.hits.sort_by_key(|(field, _)| *field);
        let mut from = 0;
        for chunk in run.hits.chunk_by(|(a, _), (b, _)| a == b) {
            run.present.push((chunk[0].0, from..from + chunk.len()));
            from += chunk.len();
        }
        run
    }

    fn walk(&mut self, value: &'e Node<'e>, name: usize, scattered: bool) {
        let set = self.set;
        let Name { children, field } = &set.names[name];
        match value {
            Node::Object(fields) => {
                for (key, value) in fields {
                    if let Ok(i) = children.binary_search_by(|(name, _)| (**name).cmp(key)) {
                        self.walk(value, children[i].1, scattered);
                    }
                }
            }
            Node::Array(items) => {
                let scattered = scattered || items.iter().filter(|item| is_container(item)).nth(1).is_some();
                for item in items {
                    self.walk(item, name, scattered);
                }
            }
            scalar => {
                let Some(field) = *field else { return };
                self.hits.push((field, scalar));
                if scattered {
                    self.scattered.resize(set.indexes.len(), false);
                    self.scattered[field] = true;
                }
            }
        }
    }

    fn values(&self, field: usize) -> &[(usize, &'e Node<'e>)] {
        match self.present.binary_search_by_key(&field, |(f, _)| *f) {
            Ok(i) => &self.hits[self.present[i].1.clone()],
            Err(_) => &[],
        }
    }

    /// The ways found, ascending.
    fn descend(&mut self) -> Vec<usize> {
        let (mut found, mut states, mut next) = (Vec::new(), vec![0], Vec::new());
        // Only for fields with many values is a trial worth remembering.
        let mut trials: HashMap<u32, bool> = HashMap::new();
        while let Some(state) = states.pop() {
            let set = self.set;
            let State { found: here, forks, absences } = &set.states[state];
            self.steps += 1;
            found.extend(here);
            // A list that may be absent or have a value leads to one state, but cannot lead there by both.
            next.extend(absences.iter().filter(|(field, _)| self.values(*field).is_empty()).map(|(_, state)| *state));
            states.append(&mut next);
            // Walk over whichever is fewer, the forks or the fields that have values.
            let present = self.present.len();
            for i in 0..forks.len().min(present) {
                let fork = if forks.len() <= present {
                    forks.get(i)
                } else {
                    let field = self.present[i].0;
                    forks.binary_search_by_key(&field, |fork| fork.field).ok().and_then(|i| forks.get(i))
                };
                let Some(fork) = fork.filter(|fork| !self.values(fork.field).is_empty()) else { continue };
                self.follow(fork, &mut trials, &mut next);
                // Several conditions of one list lead to the same state.
                next.sort_unstable();
                next.dedup();
                states.append(&mut next);
            }
        }
        found.sort_unstable();
        found
    }

    /// Appends the states that the values of the fork's field lead to.
    fn follow(&mut self, fork: &Fork, trials: &mut HashMap<u32, bool>, next: &mut Vec<usize>) {
        if !fork.indexed.is_empty() {
            for condition in self.satisfied(fork.field) {
                let from = fork.indexed.partition_point(|(c, _)| c < condition);
                next.extend(fork.indexed[from..].iter().take_while(|(c, _)| c == condition).map(|(_, s)| *s));
            }
        }
        let many = self.values(fork.field).len() > 8;
        for (condition, state) in &fork.tried {
            let known = if many { trials.get(condition).copied() } else { None };
            let holds = known.unwrap_or_else(|| self.tried(fork.field, *condition));
            if many {
                trials.insert(*condition, holds);
            }
            if holds {
                next.push(*state);
            }
        }
    }

    /// The indexed conditions that the field's values satisfy.
    fn satisfied(&mut self, field: usize) -> &[u32] {
        let known = self.satisfied.iter().position(|(f, _)| *f == field);
        let i = known.unwrap_or_else(|| {
            let mut conditions = Vec::new();
            let values = self.values(field);
            for (_, value) in values {
                self.set.indexes[field].look_up(value, &mut conditions);
            }
            let looked_up = values.len();
            if looked_up > 1 {
                conditions.sort_unstable();
                conditions.dedup();
            }
            self.steps += looked_up;
            self.satisfied.push((field, conditions));
            self.satisfied.len() - 1
        });
        &self.satisfied[i].1
    }

    fn tried(&mut self, field: usize, condition: u32) -> bool {
        let values = self.values(field);
        let steps = values.len();
        let condition = &self.set.conditions[condition as usize];
        let holds = values.iter().any(|(_, value)| condition.holds(value));
        self.steps += steps;
        holds
    }

    /// A way is sure unless two of its fields might have taken values from different elements.
    fn verify(&self, one: &Found, event: &Node<'_>) -> bool {
        let scattered = one.fields.iter().filter(|&&field| self.scattered.get(field) == Some(&true));
        let pattern = &self.set.patterns[one.pattern];
        scattered.count() < 2 || pattern.ways[one.way].matches(event, &pattern.paths)
    }
}

#[cfg(test)]
impl PatternSet {
    /// How much work an event makes, not counting verification.
    pub(super) fn steps(&self, event: &Node<'_>) -> usize {
        let mut run = Run::new(self, event);
        run.descend();
        run.steps
    }
}
