//! Patterns as sets of events: unions of them are made smaller without changing what they match, and written as patterns
//! again. What EventBridge has to let through is worked out with this.
use super::{Path, Pattern, condition::Condition};
use crate::values::tree::Node;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A field's list: one of these must hold.
type List = BTreeSet<Condition>;

/// One way to match: all of its fields must be satisfied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clause(BTreeMap<Path, List>);

impl Pattern {
    /// The ways to match, one of which suffices.
    pub fn clauses(&self) -> Vec<Clause> {
        let list = |(path, list): &(usize, std::sync::Arc<[Condition]>)| {
            (self.paths[*path].clone(), list.iter().cloned().collect())
        };
        self.ways.iter().map(|way| Clause(way.fields.iter().map(list).collect())).collect()
    }
}

impl Clause {
    /// What matches both. Lists of one field are narrowed to what both allow where the field is the envelope's, and so has one
    /// value; of other fields, this clause's list is kept, which may let through too much and never too little.
    pub fn and(&self, other: &Self) -> Option<Self> {
        let mut both = self.0.clone();
        for (path, theirs) in &other.0 {
            let Some(ours) = both.get_mut(path) else {
                both.insert(path.clone(), theirs.clone());
                continue;
            };
            if path.len() > 1 {
                continue;
            }
            let allowed = |one: &Condition, by: &List| by.iter().any(|c| c.covers(one));
            let narrow: List = ours.iter().filter(|c| allowed(c, theirs)).cloned().collect();
            let narrow: List = narrow.into_iter().chain(theirs.iter().filter(|c| allowed(c, ours)).cloned()).collect();
            if narrow.is_empty() {
                return None;
            }
            *ours = narrow;
        }
        Some(Self(both))
    }

    /// Whether everything that matches the other one matches this one, as far as that can be seen.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|(path, ours)| {
            other.0.get(path).is_some_and(|theirs| theirs.iter().all(|c| ours.iter().any(|o| o.covers(c))))
        })
    }

    /// Whether something may match both.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().all(|(path, ours)| {
            other.0.get(path).is_none_or(|theirs| ours.iter().any(|o| theirs.iter().any(|t| o.meets(t))))
        })
    }

    /// One clause for both, where they differ in one field only.
    fn merged(&self, other: &Self) -> Option<Self> {
        if !self.0.keys().eq(other.0.keys()) {
            return None;
        }
        let mut differing = self.0.iter().filter(|(path, list)| other.0.get(*path) != Some(*list));
        let (path, _) = differing.next()?;
        if differing.next().is_some() {
            return None;
        }
        let mut merged = self.clone();
        merged.0.get_mut(path)?.extend(other.0.get(path)?.iter().cloned());
        Some(merged)
    }

    /// Two clauses that together match the same; none where every list has one element only.
    fn halves(&self) -> Option<[Self; 2]> {
        let (path, longest) = self.0.iter().max_by_key(|(_, list)| list.len())?;
        let middle = longest.iter().nth(longest.len() / 2).filter(|_| longest.len() > 1)?;
        let mut lower = longest.clone();
        let upper = lower.split_off(middle);
        let with = |list: List| {
            let mut half = self.clone();
            half.0.insert(path.clone(), list);
            half
        };
        Some([with(lower), with(upper)])
    }
}

/// The same union with as few clauses as can be found: without those that others cover, and merged where that is exact.
fn compact(clauses: impl IntoIterator<Item = Clause>) -> Vec<Clause> {
    let mut done: Vec<Clause> = Vec::new();
    let mut todo: Vec<Clause> = clauses.into_iter().collect();
    todo.sort();
    todo.reverse();
    while let Some(mut clause) = todo.pop() {
        if done.iter().any(|d| d.covers(&clause)) {
            continue;
        }
        done.retain(|d| !clause.covers(d));
        match done.iter().enumerate().find_map(|(i, d)| Some((i, d.merged(&clause)?))) {
            Some((i, merged)) => {
                done.remove(i);
                clause = merged;
                todo.push(clause);
            }
            None => done.push(clause),
        }
    }
    done.sort();
    done
}

/// Patterns of at most so many characters that together match what the clauses match, as few as can be found. The error is a
/// pattern that is too long and cannot be split.
pub fn pack(clauses: impl IntoIterator<Item = Clause>, most: usize) -> Result<Vec<Value>, String> {
    let mut groups: Vec<(Vec<Clause>, usize)> = Vec::new();
    let mut todo = compact(clauses);
    while let Some(clause) = todo.pop() {
        let length = chars(&write(std::slice::from_ref(&clause)));
        if length <= most {
            groups.push((vec![clause], length));
        } else {
            todo.extend(clause.halves().ok_or_else(|| write(&[clause]).to_string())?);
        }
    }
    let lists = Lists::of(groups.iter().flat_map(|(group, _)| group));
    // Whichever two save most by being one, again and again.
    let mut joint: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut fresh: Vec<usize> = (0..groups.len()).collect();
    loop {
        for new in fresh.drain(..) {
            for other in (0..groups.len()).filter(|o| *o != new && !groups[*o].0.is_empty()) {
                let pair = (new.min(other), new.max(other));
                let both: Vec<Clause> = groups[pair.0].0.iter().chain(&groups[pair.1].0).cloned().collect();
                joint.insert(pair, length(&both, &lists));
            }
        }
        let saved = |((a, b), both): (&(usize, usize), &usize)| (groups[*a].1 + groups[*b].1).saturating_sub(*both);
        let best = joint.iter().filter(|(_, both)| **both <= most).max_by_key(|(pair, both)| saved((pair, both)));
        let Some((&(a, b), _)) = best else { break };
        // As written, which can differ where a field is demanded and one below it.
        let both = chars(&write(&[groups[a].0.as_slice(), &groups[b].0].concat()));
        if both > most {
            joint.remove(&(a, b));
            continue;
        }
        joint.retain(|(x, y), _| ![a, b].contains(x) && ![a, b].contains(y));
        let (more, _) = std::mem::take(&mut groups[b]);
        groups[a].0.extend(more);
        groups[a].1 = both;
        fresh.push(a);
    }
    let mut patterns: Vec<Value> = groups.iter().filter(|(g, _)| !g.is_empty()).map(|(g, _)| write(g)).collect();
    patterns.sort_by_key(Value::to_string);
    Ok(patterns)
}

/// How long `write` is, without writing: it is asked for every two of hundreds.
fn length(clauses: &[Clause], lists: &Lists) -> usize {
    let Some((first, others)) = clauses.split_first() else { return 0 };
    let is_shared = |path: &Path, list: &List| others.iter().all(|o| o.0.get(path) == Some(list));
    let shared: Vec<(&Path, &List)> = first.0.iter().filter(|(p, l)| is_shared(p, l)).collect();
    let common = lists.object(shared.iter().copied());
    if others.is_empty() {
        return common;
    }
    let rest = |clause: &Clause| {
        lists.object(clause.0.iter().filter(|(path, _)| shared.binary_search_by_key(path, |(p, _)| *p).is_err()))
    };
    let ways: usize = clauses.iter().map(rest).sum();
    // "$or":[…] with a comma between the ways, and one before or behind it.
    common + ways + clauses.len() - 1 + r#""$or":[]"#.len() + usize::from(!shared.is_empty())
}

/// The lengths of lists, each worked out once.
struct Lists(HashMap<List, usize>);

impl Lists {
    fn of<'c>(clauses: impl Iterator<Item = &'c Clause>) -> Self {
        let all = clauses.flat_map(|clause| clause.0.values());
        Self(all.map(|list| (list.clone(), chars(&list.iter().map(Condition::written).collect::<Value>()))).collect())
    }

    /// The length of an object with these fields, in order of their paths.
    fn object<'c>(&self, fields: impl Iterator<Item = (&'c Path, &'c List)>) -> usize {
        let (mut length, mut before): (usize, &[Box<str>]) = (2, &[]);
        for (path, list) in fields {
            let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
            let fresh = &path[shared..];
            // A key and a colon each, braces but for the last, and a comma where something stands before it.
            length += fresh.iter().map(|name| chars(&Value::from(&**name)) + 1).sum::<usize>() + 2 * (fresh.len() - 1);
            length += self.0.get(list).copied().unwrap_or_default() + usize::from(!before.is_empty());
            before = path;
        }
        length
    }
}

fn chars(value: &Value) -> usize {
    value.to_string().chars().count()
}

/// The union as one pattern: what all clauses demand once, the rest as alternatives.
fn write(clauses: &[Clause]) -> Value {
    let Some((first, others)) = clauses.split_first() else { return Value::Null };
    let common = |path: &Path, list: &List| others.iter().all(|o| o.0.get(path) == Some(list));
    let shared: BTreeMap<&Path, &List> = first.0.iter().filter(|(p, l)| common(p, l)).collect();
    let mut pattern = Map::new();
    for (path, list) in &shared {
        put(&mut pattern, path, list);
    }
    let mut ways: Vec<Value> = Vec::new();
    for clause in clauses {
        let mut way = Map::new();
        for (path, list) in clause.0.iter().filter(|(p, _)| !shared.contains_key(p)) {
            put(&mut way, path, list);
        }
        ways.push(way.into());
    }
    if clauses.len() > 1 {
        ways.sort_by_key(Value::to_string);
        pattern.insert("$or".to_owned(), ways.into());
    }
    pattern.into()
}

fn put(object: &mut Map<String, Value>, path: &[Box<str>], list: &List) {
    let [name, below @ ..] = path else { return };
    if below.is_empty() {
        object.insert(name.to_string(), list.iter().map(Condition::written).collect());
        return;
    }
    match object.entry(name.to_string()).or_insert_with(|| json!({})) {
        Value::Object(inner) => put(inner, below, list),
        // The field itself is demanded too: then the rest of the path is in the key.
        _ => _ = object.insert(path.join("."), list.iter().map(Condition::written).collect()),
    }
}

impl Condition {
    /// Whether whatever satisfies the other one satisfies this one, as far as that can be seen.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            _ if self == other => true,
            (Self::Exists, other) => *other != Self::Absent,
            (Self::Prefix(ours), Self::Prefix(theirs)) if !ours.folded && !theirs.folded => {
                theirs.text.starts_with(&*ours.text)
            }
            _ => other.value().is_some_and(|value| self.holds(&value)),
        }
    }

    /// Whether one value may satisfy both.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, _) | (_, Self::Absent) => self == other,
            (Self::Prefix(a), Self::Prefix(b)) if !a.folded && !b.folded => {
                a.text.starts_with(&*b.text) || b.text.starts_with(&*a.text)
            }
            _ => match (self.value(), other.value()) {
                (Some(value), _) => other.holds(&value),
                (_, Some(value)) => self.holds(&value),
                _ => true,
            },
        }
    }

    /// The one value that satisfies it.
    fn value(&self) -> Option<Node<'_>> {
        match self {
            Self::Null => Some(Node::Null),
            Self::Bool(b) => Some(Node::Bool(*b)),
            Self::Number(literal) => Some(Node::Number((&**literal).into())),
            Self::Text(text) => Some(Node::String((&**text).into())),
            _ => None,
        }
    }
}

#[cfg(test)]
impl Clause {
    /// How long the union is, as worked out and as written; none where a field is demanded and one below it, which no event has.
    pub(super) fn lengths(clauses: &[Self]) -> Option<(usize, usize)> {
        let above = |path: &Path| clauses.iter().flat_map(|c| c.0.keys()).any(|p| p != path && p.starts_with(path));
        let odd = clauses.iter().flat_map(|c| c.0.keys()).any(above);
        (!odd).then(|| (length(clauses, &Lists::of(clauses.iter())), chars(&write(clauses))))
    }
}
