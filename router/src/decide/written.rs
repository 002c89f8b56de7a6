//! TOML as a person wrote it, read so that every mistake of a file is reported at once, with its line.
//!
//! `serde` stops at the first mistake. Sources, playbooks and configuration are written by people in numbers, so they are
//! read key by key from the parsed table: what is missing, misspelt or of the wrong type is noted, and reading goes on.
use crate::values::tree::Node;
use std::{
    borrow::Cow,
    cell::RefCell,
    collections::BTreeSet,
    fmt::{self, Write},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One mistake in a file of the policy: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.help) }
    }
}

/// A parsed file and the mistakes found in it so far.
pub struct Written<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Written<'a> {
    /// Parses; syntax errors are noted as problems and what could be read is kept.
    pub fn parse(file: &'a str, text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let written = Self { file, text, root, problems: RefCell::default() };
        for error in errors {
            let at = error.span().map_or(0, |s| s.start);
            written.note(at, error.message().replace('\n', "; "), "");
        }
        written
    }

    /// The file's top table.
    pub fn root(&self) -> Table<'_> {
        Table::new(self, String::new(), self.root.get_ref(), 0)
    }

    /// Notes a mistake that belongs to no single line.
    pub fn problem(&self, what: impl Into<String>, help: impl Into<String>) {
        let problem = Problem { file: self.file.to_owned(), line: None, what: what.into(), help: help.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// Notes a mistake at a byte offset.
    fn note(&self, at: usize, what: impl Into<String>, help: impl Into<String>) {
        let line = self.text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1;
        let problem = Problem { file: self.file.to_owned(), line: Some(line), what: what.into(), help: help.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// All mistakes, in the order of the file.
    pub fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| p.line);
        problems.dedup();
        problems
    }
}

/// A table being read; keys that nobody asked for are mistakes when it is dropped.
pub struct Table<'a> {
    doc: &'a Written<'a>,
    path: String,
    keys: &'a DeTable<'a>,
    at: usize,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Table<'a> {
    fn new(doc: &'a Written<'a>, path: String, table: &'a DeTable<'a>, at: usize) -> Self {
        Self { doc, path, keys: table, at, known: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().insert(key);
        let value = self.keys.get(key)?;
        Some(Item { doc: self.doc, path: join(&self.path, key), value })
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &'static str, help: &str) -> Option<Item<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.fail(format!("`{}` is missing", join(&self.path, key)), help);
        }
        found
    }

    /// Every key with its value, where the keys are the user's own (names, ids).
    pub fn entries(&self) -> Vec<(String, Item<'a>)> {
        self.keys
            .iter()
            .map(|(k, value)| {
                let key = k.get_ref().to_string();
                let path = join(&self.path, &key);
                (key, Item { doc: self.doc, path, value })
            })
            .collect()
    }

    /// Notes a mistake about the table as a whole.
    pub fn fail(&self, what: impl Into<String>, help: impl Into<String>) {
        self.doc.note(self.at, what, help);
    }

    /// Notes every key that was not asked for. Call it when all keys have been read.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (key, value) in self.keys {
            let name = key.get_ref().to_string();
            if known.contains(name.as_str()) {
                continue;
            }
            let near = known.iter().filter(|k| distance(k, &name) <= 2).min_by_key(|k| distance(k, &name));
            let mut help = near.map_or_else(String::new, |k| format!("did you mean `{k}`? "));
            let _ = write!(help, "known here: {}", known.iter().copied().collect::<Vec<_>>().join(", "));
            self.doc.note(
                value.span().start.min(key.span().start),
                format!("unknown key `{}`", join(&self.path, &name)),
                help,
            );
        }
    }
}

/// A value being read, with its place.
#[derive(Clone)]
pub struct Item<'a> {
    doc: &'a Written<'a>,
    /// Dotted path of the value, for messages.
    pub path: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Item<'a> {
    /// Notes a mistake about this value.
    pub fn fail(&self, what: impl fmt::Display, help: impl Into<String>) {
        self.doc.note(self.value.span().start, format!("`{}`: {what}", self.path), help);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.fail(format!("expected {what}, found {}", self.value.get_ref().type_str()), "");
        None
    }

    /// A string.
    pub fn text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str().or_else(|| self.expected("a string"))
    }

    /// A string, read further by `parse`, whose error says what to write instead.
    pub fn parse<T, E: fmt::Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text()?;
        parse(text).map_err(|e| self.fail(e, "")).ok()
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(w, _)| *w == text).map(|(_, t)| *t);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(w, _)| *w).collect();
            self.fail(format!("unknown value {text:?}"), format!("use one of: {}", known.join(", ")));
        }
        found
    }

    /// `true` or `false`.
    pub fn truth(&self) -> Option<bool> {
        self.value.get_ref().as_bool().or_else(|| self.expected("true or false"))
    }

    /// A whole number from `min` to `max`.
    pub fn whole(&self, min: u32, max: u32) -> Option<u32> {
        let number = self.value.get_ref().as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        match number {
            Some(n) if (i64::from(min)..=i64::from(max)).contains(&n) => u32::try_from(n).ok(),
            Some(n) => {
                self.fail(format!("expected a whole number from {min} to {max}, found {n}"), "");
                None
            }
            None => self.expected(&format!("a whole number from {min} to {max}")),
        }
    }

    /// A number.
    pub fn number(&self) -> Option<f64> {
        let value = self.value.get_ref();
        let text = value
            .as_float()
            .map(toml::de::DeFloat::as_str)
            .or_else(|| value.as_integer().map(toml::de::DeInteger::as_str));
        text.and_then(|t| t.replace('_', "").parse().ok()).or_else(|| self.expected("a number"))
    }

    /// A list; a single value is a list of one.
    pub fn list(&self) -> Vec<Self> {
        match self.value.get_ref().as_array() {
            Some(items) => items
                .iter()
                .enumerate()
                .map(|(i, value)| Self { doc: self.doc, path: format!("{}[{i}]", self.path), value })
                .collect(),
            None => vec![self.clone()],
        }
    }

    /// A list of strings; a single string is a list of one.
    pub fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(|i| i.text().map(str::to_owned)).collect()
    }

    /// A table.
    pub fn table(&self) -> Option<Table<'a>> {
        match self.value.get_ref().as_table() {
            Some(table) => Some(Table::new(self.doc, self.path.clone(), table, self.value.span().start)),
            None => self.expected("a table"),
        }
    }

    /// Whether it is a table (and not a shorthand).
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Whether it is a text.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// The value as a tree; numbers keep their literal.
    pub fn node(&self) -> Node<'a> {
        node(self.value.get_ref())
    }

    /// Reads the tree by `read`, whose error names a JSON Pointer inside the value.
    pub fn read_node<T, E>(
        &self,
        read: impl FnOnce(&Node<'_>) -> Result<T, E>,
        place: impl FnOnce(&E) -> (String, String),
    ) -> Option<T> {
        match read(&self.node()) {
            Ok(value) => Some(value),
            Err(error) => {
                let (pointer, reason) = place(&error);
                let at = locate(self.value, &pointer);
                self.doc.note(
                    at,
                    format!(
                        "`{}`{}: {reason}",
                        self.path,
                        if pointer.is_empty() { String::new() } else { format!(" at {pointer}") }
                    ),
                    "",
                );
                None
            }
        }
    }
}

/// The deepest value that a JSON Pointer reaches, so that a pattern's mistake is shown on its own line.
fn locate(value: &Spanned<DeValue<'_>>, pointer: &str) -> usize {
    let mut at = value;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = match at.get_ref() {
            DeValue::Table(table) => table.get(step.as_str()),
            DeValue::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => None,
        };
        let Some(next) = next else { break };
        at = next;
    }
    at.span().start
}

fn node<'a>(value: &'a DeValue<'a>) -> Node<'a> {
    match value {
        DeValue::String(s) => Node::String(Cow::Borrowed(s)),
        DeValue::Integer(i) => Node::Number(match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) => n.to_string().into(),
            Err(_) => i.as_str().into(),
        }),
        DeValue::Float(f) => Node::Number(f.as_str().into()),
        DeValue::Boolean(b) => Node::Bool(*b),
        DeValue::Datetime(d) => Node::String(d.to_string().into()),
        DeValue::Array(items) => Node::Array(items.iter().map(|item| node(item.get_ref())).collect()),
        DeValue::Table(table) => Node::Object(
            table.iter().map(|(key, item)| (Cow::Borrowed(&**key.get_ref()), node(item.get_ref()))).collect(),
        ),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let next = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_a_file_is_reported_with_its_line() {
        let text = "sumary = 'x'\ncount = 'five'\n\n[when]\nsource = [{ prefx = 'a' }]\n";
        let doc = Written::parse("a.toml", text);
        let root = doc.root();
        root.need("summary", "say in one line what it detects");
        root.get("count").and_then(|c| c.whole(1, 9));
        let when = root.get("when").unwrap();
        when.read_node(|_| Err::<(), _>(()), |()| ("/source/0".into(), "unknown operator `prefx`".into()));
        root.finish();
        let shown: Vec<_> = doc.problems().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        a.toml:1: `summary` is missing
          help: say in one line what it detects
        a.toml:1: unknown key `sumary`
          help: did you mean `summary`? known here: count, summary, when
        a.toml:2: `count`: expected a whole number from 1 to 9, found string
        a.toml:5: `when` at /source/0: unknown operator `prefx`
        ");
    }

    #[test]
    fn numbers_keep_their_literal() {
        let doc = Written::parse("a.toml", "x = [8.0, 8, 3.0e2, 'a\"b', true]\n");
        let Node::Array(items) = doc.root().get("x").unwrap().node() else { panic!() };
        assert_eq!(
            format!("{items:?}"),
            r#"[Number("8.0"), Number("8"), Number("3.0e2"), String("a\"b"), Bool(true)]"#
        );
    }
}
