//! How patterns become the tree of states: number every field and condition, order each way's fields, insert.
use super::{Fork, Found, Name, PatternSet, State};
use crate::decide::pattern::{Pattern, condition::Condition, index::Index};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

/// Lists of one field with a condition in common, above which branching on the field early would lead everywhere.
const SHARED_MAX: usize = 16;

/// A field and the conditions of its list, sorted.
type List = (usize, Vec<u32>);

pub(super) fn build(patterns: Vec<Pattern>) -> PatternSet {
    let mut builder = Builder { names: vec![Name::default()], ..Builder::default() };
    let mut ways: Vec<(Found, Vec<List>)> = Vec::new();
    for (p, pattern) in patterns.iter().enumerate() {
        let fields: Vec<usize> = pattern.paths.iter().map(|path| builder.field(path)).collect();
        for (w, way) in pattern.ways.iter().enumerate() {
            let lists: Vec<List> = way.fields.iter().map(|(path, list)| builder.list(fields[*path], list)).collect();
            ways.push((Found { pattern: p, way: w, fields: lists.iter().map(|(field, _)| *field).collect() }, lists));
        }
    }
    builder.order(&mut ways);
    let mut tree = Tree { states: vec![State::default()], next: HashMap::new(), forks: HashMap::new() };
    for (i, (_, lists)) in ways.iter_mut().enumerate() {
        let last = lists.drain(..).fold(0, |state, list| tree.next(state, list, &builder.conditions));
        tree.states[last].found.push(i);
    }
    for state in &mut tree.states {
        state.forks.sort_unstable_by_key(|fork| fork.field);
        state.forks.iter_mut().for_each(|fork| fork.indexed.sort_unstable());
    }
    PatternSet {
        patterns,
        ways: ways.into_iter().map(|(found, _)| found).collect(),
        indexes: builder.indexes(),
        names: builder.names,
        conditions: builder.conditions.into_iter().map(|(_, condition)| condition).collect(),
        states: tree.states,
    }
}

#[derive(Default)]
struct Builder {
    names: Vec<Name>,
    fields: usize,
    numbers: HashMap<(usize, Condition), u32>,
    conditions: Vec<(usize, Condition)>,
}

impl Builder {
    fn field(&mut self, path: &[Box<str>]) -> usize {
        let mut at = 0;
        for name in path {
            at = match self.names[at].children.binary_search_by(|(k, _)| k.cmp(name)) {
                Ok(i) => self.names[at].children[i].1,
                Err(i) => {
                    let new = self.names.len();
                    self.names[at].children.insert(i, (name.clone(), new));
                    self.names.push(Name::default());
                    new
                }
            };
        }
        *self.names[at].field.get_or_insert_with(|| {
            self.fields += 1;
            self.fields - 1
        })
    }

    fn list(&mut self, field: usize, list: &[Condition]) -> List {
        let mut numbers: Vec<u32> = Vec::with_capacity(list.len());
        for condition in list {
            let conditions = &mut self.conditions;
            numbers.push(*self.numbers.entry((field, condition.clone())).or_insert_with(|| {
                conditions.push((field, condition.clone()));
                // 32 bits keep the tree small; so many conditions do not fit into memory.
                u32::try_from(conditions.len() - 1).unwrap_or(u32::MAX)
            }));
        }
        numbers.sort_unstable();
        numbers.dedup();
        (field, numbers)
    }

    /// Puts the lists of each way into the order in which the tree asks for them.
    fn order(&self, ways: &mut [(Found, Vec<List>)]) {
        let mut uses = vec![0_usize; self.fields];
        for (field, _) in ways.iter().flat_map(|(_, lists)| lists) {
            uses[*field] += 1;
        }
        let distinct: HashSet<&List> = ways.iter().flat_map(|(_, lists)| lists).collect();
        let mut sharing = vec![0_usize; self.conditions.len()];
        for number in distinct.iter().flat_map(|(_, numbers)| numbers) {
            sharing[*number as usize] += 1;
        }
        let mut shared = vec![false; self.fields];
        for ((field, _), lists) in self.conditions.iter().zip(sharing) {
            shared[*field] |= lists > SHARED_MAX;
        }
        for (_, lists) in ways.iter_mut() {
            lists.sort_by_key(|(field, numbers)| {
                let tried = numbers.iter().any(|&n| !Index::takes(&self.conditions[n as usize].1));
                (tried, shared[*field], Reverse(uses[*field]), *field)
            });
        }
    }

    fn indexes(&self) -> Vec<Index> {
        let mut by_field = vec![Vec::new(); self.fields];
        for (number, (field, condition)) in (0..).zip(&self.conditions) {
            by_field[*field].push((condition, number));
        }
        by_field.into_iter().map(Index::new).collect()
    }
}

/// The tree in the making.
struct Tree {
    states: Vec<State>,
    /// From a state by a list.
    next: HashMap<(usize, List), usize>,
    /// Of a state for a field.
    forks: HashMap<(usize, usize), usize>,
}

impl Tree {
    fn next(&mut self, from: usize, list: List, conditions: &[(usize, Condition)]) -> usize {
        let new = self.states.len();
        let next = *self.next.entry((from, list.clone())).or_insert(new);
        if next == new {
            self.states.push(State::default());
            let (field, numbers) = list;
            let State { forks, absences, .. } = &mut self.states[from];
            let i = *self.forks.entry((from, field)).or_insert_with(|| {
                forks.push(Fork { field, ..Fork::default() });
                forks.len() - 1
            });
            for number in numbers {
                match &conditions[number as usize].1 {
                    Condition::Absent => absences.push((field, new)),
                    condition if Index::takes(condition) => forks[i].indexed.push((number, new)),
                    _ => forks[i].tried.push((number, new)),
                }
            }
        }
        next
    }
}
