//! The condition: names of detections, `and`, `or`, `not`, parentheses, `1 of` and `all of`.
use super::detection::{Detection, Way};
use std::collections::BTreeMap;

/// AWS's limit on the alternatives of a pattern.
const WAYS_MAX: usize = 1_000;

/// What has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// A detection, by name.
    Named(String),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// Reads a condition over detections of these names.
    pub(super) fn read(text: &str, names: &[&str]) -> Result<Self, String> {
        if text.contains('|') {
            return Err("`condition` aggregates (`|`); give the playbook a `threshold` by hand".to_owned());
        }
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut words: Vec<&str> = spaced.split_whitespace().collect();
        words.reverse();
        let mut reader = Reader { words, names };
        let expression = reader.any()?;
        match reader.words.last() {
            None => Ok(expression),
            Some(word) => Err(format!("`condition`: {word:?} is unexpected in {text:?}")),
        }
    }

    /// The ways in which it can hold, each a conjunction.
    pub(super) fn ways(&self, of: &BTreeMap<String, Detection>) -> Result<Vec<Way>, String> {
        self.resolved(of, true)
    }

    /// The ways in which it holds, or does not.
    fn resolved(&self, of: &BTreeMap<String, Detection>, holds: bool) -> Result<Vec<Way>, String> {
        let each =
            |all: &[Self]| -> Result<Vec<Vec<Way>>, String> { all.iter().map(|e| e.resolved(of, holds)).collect() };
        match (self, holds) {
            (Self::Named(name), _) => {
                let detection = of.get(name).ok_or_else(|| format!("`condition`: there is no {name:?}"))?;
                if holds { detection.ways() } else { detection.denied() }.map_err(|why| format!("`{name}`: {why}"))
            }
            (Self::Not(inner), _) => inner.resolved(of, !holds),
            (Self::Any(all), true) | (Self::All(all), false) => Ok(each(all)?.concat()),
            (Self::All(all), true) | (Self::Any(all), false) => conjunction(each(all)?),
        }
    }
}

/// Every combination of one way of each.
pub(super) fn conjunction(all: Vec<Vec<Way>>) -> Result<Vec<Way>, String> {
    let mut ways = vec![Way::default()];
    for next in all {
        if ways.len() * next.len() > WAYS_MAX {
            return Err(format!("makes more than {WAYS_MAX} combinations, which is what an event pattern takes"));
        }
        let mut joined = Vec::new();
        for way in &ways {
            for more in &next {
                // What contradicts itself never happens.
                joined.extend(way.and(more)?);
            }
        }
        ways = joined;
    }
    Ok(ways)
}

/// The words that are left, the next one last.
struct Reader<'w> {
    words: Vec<&'w str>,
    names: &'w [&'w str],
}

impl Reader<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let is = self.words.last().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if is {
            self.words.pop();
        }
        is
    }

    fn any(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.all()?];
        while self.next_is("or") {
            all.push(self.all()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::Any(all) })
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.one()?];
        while self.next_is("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::All(all) })
    }

    fn one(&mut self) -> Result<Expression, String> {
        if self.next_is("not") {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        if self.next_is("(") {
            let inner = self.any()?;
            return if self.next_is(")") {
                Ok(inner)
            } else {
                Err("`condition`: a parenthesis is not closed".to_owned())
            };
        }
        let word = self.words.pop().ok_or("`condition` ends where a name is expected")?;
        if ["1", "any", "all"].contains(&word) && self.next_is("of") {
            let which = self.words.pop().ok_or("`condition` ends after `of`")?;
            let of = self.matching(which)?;
            return Ok(if word == "all" { Expression::All(of) } else { Expression::Any(of) });
        }
        if word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("`condition`: {word} of several is not read; 1 of and all of are"));
        }
        Ok(Expression::Named(word.to_owned()))
    }

    /// The detections that a word with asterisks names; `them` is all, but those that begin with an underscore.
    fn matching(&self, which: &str) -> Result<Vec<Expression>, String> {
        let fits = |name: &str| match which.split_once('*') {
            _ if which == "them" => !name.starts_with('_'),
            None => name == which,
            Some((start, end)) => {
                name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            }
        };
        let found: Vec<Expression> =
            self.names.iter().filter(|n| fits(n)).map(|n| Expression::Named((*n).to_owned())).collect();
        if found.is_empty() { Err(format!("`condition`: nothing is called {which:?}")) } else { Ok(found) }
    }
}
