//! What it means that an event matches: the definition that `PatternSet` is held to by a property test.
//!
//! Each constrained field needs one value in the event that satisfies its list. Where values come from inside an array's
//! objects or arrays, all of them must come from the same element. Every value is looked at a bounded number of times
//! (once with and once without a field's own condition), so the work is linear in the event.
use super::{Path, condition::Condition};
use crate::values::tree::Node;
use std::sync::Arc;

/// One way to match: all of its fields must be satisfied.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Index into the pattern's paths, and the list of which one condition must hold.
    pub(super) fields: Vec<(usize, Arc<[Condition]>)>,
    /// The same as a tree of names.
    tree: Tree,
    /// Paths that a condition wants absent, in the order of `Tree::absence`.
    absences: Vec<usize>,
}

/// The fields below one name.
#[derive(Clone, Debug, Default)]
struct Tree {
    list: Option<Arc<[Condition]>>,
    /// The list is also satisfied if there is no such value: where to find out.
    absence: Option<usize>,
    children: Vec<(Box<str>, Tree)>,
}

impl Way {
    pub(super) fn new(fields: Vec<(usize, Arc<[Condition]>)>, paths: &[Path]) -> Self {
        let (mut tree, mut absences) = (Tree::default(), Vec::new());
        for (path, list) in &fields {
            let mut at = &mut tree;
            for name in &*paths[*path] {
                let i = at.children.iter().position(|(k, _)| k == name).unwrap_or_else(|| {
                    at.children.push((name.clone(), Tree::default()));
                    at.children.len() - 1
                });
                at = &mut at.children[i].1;
            }
            at.list = Some(Arc::clone(list));
            if list.contains(&Condition::Absent) {
                at.absence = Some(absences.len());
                absences.push(*path);
            }
        }
        Self { fields, tree, absences }
    }

    pub(super) fn matches(&self, event: &Node<'_>, paths: &[Path]) -> bool {
        let absent: Vec<bool> = self.absences.iter().map(|&path| !present(event, &paths[path])).collect();
        self.tree.satisfied(event, &absent)
    }
}

impl Tree {
    fn satisfied(&self, value: &Node<'_>, absent: &[bool]) -> bool {
        self.satisfied_with(value, self.wants_value(absent), absent)
    }

    /// `wants` says whether this field's own list still needs a value, which then lies in `value`.
    fn satisfied_with(&self, value: &Node<'_>, wants: bool, absent: &[bool]) -> bool {
        match value {
            Node::Object(_) => {
                !wants
                    && self.children.iter().all(|(name, child)| match value.get(name) {
                        Some(value) => child.satisfied(value, absent),
                        None => child.needs_nothing(absent),
                    })
            }
            Node::Array(items) => {
                // A scalar directly in this array belongs to no element, so it goes with all of them.
                let wants = wants && !items.iter().any(|item| self.holds(item));
                if !wants && self.children.iter().all(|(_, child)| child.needs_nothing(absent)) {
                    return true;
                }
                items.iter().any(|item| is_container(item) && self.satisfied_with(item, wants, absent))
            }
            scalar => {
                (!wants || self.holds(scalar)) && self.children.iter().all(|(_, child)| child.needs_nothing(absent))
            }
        }
    }

    fn holds(&self, value: &Node<'_>) -> bool {
        !is_container(value) && self.list.as_ref().is_some_and(|list| list.iter().any(|one| one.holds(value)))
    }

    fn wants_value(&self, absent: &[bool]) -> bool {
        self.list.is_some() && self.absence.is_none_or(|i| absent.get(i) != Some(&true))
    }

    fn needs_nothing(&self, absent: &[bool]) -> bool {
        !self.wants_value(absent) && self.children.iter().all(|(_, child)| child.needs_nothing(absent))
    }
}

/// Arrays and objects.
pub(super) fn is_container(value: &Node<'_>) -> bool {
    matches!(value, Node::Array(_) | Node::Object(_))
}

/// Whether there is a scalar at the path, anywhere in the event.
fn present(value: &Node<'_>, path: &[Box<str>]) -> bool {
    match (value, path) {
        (Node::Array(items), _) => items.iter().any(|item| present(item, path)),
        (Node::Object(_), [name, below @ ..]) => value.get(name).is_some_and(|value| present(value, below)),
        (Node::Object(_), []) => false,
        (_, path) => path.is_empty(),
    }
}
