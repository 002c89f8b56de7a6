//! A detection: maps of fields, one of which has to hold as a whole; and ways to match, in which each field has one list.
use super::{
    condition::conjunction,
    field::{Match, Test, denied},
};
use serde_json::Value as Json;
use serde_norway::Value;
use std::collections::BTreeMap;

/// Any of these maps, each with all of its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detection(pub(super) Vec<Vec<Test>>);

/// One way to match: what each field has to satisfy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way(pub(super) BTreeMap<String, Test>);

impl Detection {
    pub(super) fn read(value: &Value, cased: bool) -> Result<Self, String> {
        let map = |value: &Value| -> Result<Vec<Test>, String> {
            let Value::Mapping(fields) = value else {
                return Err("keywords that are looked for anywhere cannot be said in an event pattern".to_owned());
            };
            if fields.is_empty() {
                return Err("is empty".to_owned());
            }
            let name = |key: &Value| key.as_str().map(str::to_owned).ok_or("a field's name is no text");
            fields.iter().map(|(key, value)| Test::read(&name(key)?, value, cased)).collect()
        };
        Ok(Self(match value {
            Value::Sequence(maps) if maps.is_empty() => return Err("is empty".to_owned()),
            Value::Sequence(maps) => maps.iter().map(map).collect::<Result<_, _>>()?,
            one => vec![map(one)?],
        }))
    }

    /// The ways in which it holds.
    pub(super) fn ways(&self) -> Result<Vec<Way>, String> {
        let all: Result<Vec<Vec<Way>>, String> = self.0.iter().map(|tests| all_of(tests)).collect();
        Ok(all?.concat())
    }

    /// The ways in which it does not hold: in each map, something is otherwise.
    pub(super) fn denied(&self) -> Result<Vec<Way>, String> {
        let mut maps = Vec::new();
        for tests in &self.0 {
            let mut ways = Vec::new();
            for test in tests {
                ways.extend(Way::of(&Test { denied: !test.denied, ..test.clone() })?);
            }
            maps.push(ways);
        }
        conjunction(maps)
    }
}

fn all_of(tests: &[Test]) -> Result<Vec<Way>, String> {
    conjunction(tests.iter().map(Way::of).collect::<Result<_, _>>()?)
}

impl Way {
    /// The ways in which a test holds.
    fn of(test: &Test) -> Result<Vec<Self>, String> {
        if test.denied && test.may_be_list() && !test.matches.iter().all(|m| matches!(m, Match::Exists(_))) {
            return Err(format!(
                "`not` on {}: it can be a list, of which Sigma means that no value is so, and EventBridge that one is otherwise",
                test.field
            ));
        }
        let one = |test: Test| Self(BTreeMap::from([(test.field.clone(), test)]));
        let apart = |m: &Match| one(Test { matches: vec![m.clone()], all: false, ..test.clone() });
        match (test.all, test.denied) {
            (false, _) => Ok(vec![one(test.clone())]),
            // Not all of them: one of them is not.
            (true, true) => Ok(test.matches.iter().map(apart).collect()),
            (true, false) => conjunction(test.matches.iter().map(|m| vec![apart(m)]).collect()),
        }
    }

    /// Both; none where they contradict each other.
    pub(super) fn and(&self, other: &Self) -> Result<Option<Self>, String> {
        let mut both = self.clone();
        for (field, theirs) in &other.0 {
            let joint = match both.0.get(field) {
                None => Some(theirs.clone()),
                Some(ours) => joint(ours, theirs)?,
            };
            let Some(joint) = joint else { return Ok(None) };
            both.0.insert(field.clone(), joint);
        }
        Ok(Some(both))
    }

    /// The list of each field, as an event pattern has it.
    pub(super) fn lists(&self) -> Result<Vec<(&str, Vec<Json>)>, String> {
        let list = |test: &Test| -> Result<Vec<Json>, String> {
            if test.denied {
                return denied(&test.matches, test.cased);
            }
            let each: Result<Vec<Vec<Json>>, String> = test.matches.iter().map(|m| m.written(test.cased)).collect();
            Ok(each?.concat())
        };
        self.0
            .iter()
            .map(|(field, test)| Ok((field.as_str(), list(test).map_err(|why| format!("{field}: {why}"))?)))
            .collect()
    }
}

/// Two tests of one field as one; none where nothing satisfies both.
fn joint(ours: &Test, theirs: &Test) -> Result<Option<Test>, String> {
    if ours == theirs {
        return Ok(Some(ours.clone()));
    }
    let refuse = || {
        Err(format!(
            "{} has to satisfy two conditions at once, and an event pattern has one list for a field",
            ours.field
        ))
    };
    if ours.cased != theirs.cased {
        return refuse();
    }
    let with = |matches: Vec<Match>| (!matches.is_empty()).then(|| Test { matches, ..ours.clone() });
    match (ours.denied, theirs.denied) {
        (true, true) => {
            let more = theirs.matches.iter().filter(|m| !ours.matches.contains(m));
            Ok(with(ours.matches.iter().chain(more).cloned().collect()))
        }
        (true, false) => joint(theirs, ours),
        // Of a list, each may be satisfied by another value.
        (false, _) if ours.may_be_list() => refuse(),
        (false, _) => {
            let (exact, other) = if ours.matches.iter().all(Match::is_exact) {
                (ours, theirs)
            } else if !theirs.denied && theirs.matches.iter().all(Match::is_exact) {
                (theirs, ours)
            } else {
                return both_parts(ours, theirs).map_or_else(refuse, |m| Ok(with(m)));
            };
            let holds = |m: &&Match| other.matches.iter().any(|o| o.holds(m, ours.cased)) != other.denied;
            Ok(with(exact.matches.iter().filter(holds).cloned().collect()))
        }
    }
}

/// A text that contains these parts and one more, in any order; only where parts cannot overlap, so that each order is a wildcard.
fn both_parts(ours: &Test, theirs: &Test) -> Option<Vec<Match>> {
    let inner = |m: &Match| match m {
        Match::Glob(pieces) if pieces.len() > 2 && pieces.first()?.is_empty() && pieces.last()?.is_empty() => {
            Some(pieces[1..pieces.len() - 1].to_vec())
        }
        _ => None,
    };
    let [one] = theirs.matches.as_slice() else { return None };
    let [more] = <[String; 1]>::try_from(inner(one)?).ok()?;
    if ours.denied || theirs.denied || ours.matches.len() > 24 {
        return None;
    }
    let mut all = Vec::new();
    for m in &ours.matches {
        let parts = inner(m)?;
        if parts.iter().any(|part| overlap(part, &more) || overlap(&more, part)) {
            return None;
        }
        for at in 0..=parts.len() {
            let mut pieces = parts.clone();
            pieces.insert(at, more.clone());
            all.push(Match::Glob([vec![String::new()], pieces, vec![String::new()]].concat()));
        }
    }
    Some(all)
}

/// Whether some end of one, whatever the case, is a beginning of the other, or one holds the other.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let ends = one.char_indices().map(|(at, _)| &one[at..]);
    one.contains(&other) || other.contains(&one) || ends.into_iter().any(|end| other.starts_with(end))
}
