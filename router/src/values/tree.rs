//! An event's JSON as a tree of only the fields that somebody names.
//!
//! Most events concern nobody, so they are walked once and nearly nothing of them is kept: `Fields` says which paths the
//! policy names, everything else is skipped without being built. Numbers keep their literal text, because EventBridge
//! compares numbers in patterns as text (300, 300.0 and 3.0e2 are three different values).
use std::borrow::Cow;

/// Arrays and objects nested deeper than this are refused (`serde_json`'s own limit).
pub const DEPTH_MAX: usize = 128;

/// A JSON value that borrows from the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number's literal text, as written.
    Number(Cow<'a, str>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array; its elements are pruned like the fields of objects.
    Array(Vec<Node<'a>>),
    /// An object's named fields, each key once (the last one wins); the others were skipped.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// The field of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value at a JSON Pointer (RFC 6901). Only fields that were named when reading can be found.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, step| match node {
            Self::Array(items) => items.get(step.parse::<usize>().ok()?),
            Self::Object(_) if step.contains('~') => node.get(&step.replace("~1", "/").replace("~0", "~")),
            _ => node.get(step),
        })
    }

    /// The text of a string, or the literal of a number; `None` for everything else.
    /// (Real events write some ids, such as `account`, as either.)
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::String(s) | Self::Number(s) => Some(s),
            _ => None,
        }
    }

    /// The elements of an array; one element for anything else but null.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            Self::Null => &[],
            one => std::slice::from_ref(one),
        }
    }

    /// The text at a pointer, if it is there and not empty.
    pub fn text_at(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer)?.text().filter(|t| !t.is_empty())
    }
}

/// Which paths of an event to keep: a trie of field names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Sorted by length, then name: most look-ups are settled without comparing text.
    children: Vec<(Box<str>, Fields)>,
    /// Keep everything from here on.
    whole: bool,
}

impl Fields {
    /// Everything.
    pub const ALL: &'static Self = &Self { children: Vec::new(), whole: true };

    /// Names one path of field names; array indices are left out, since all elements are kept.
    pub fn insert<'s>(&mut self, path: impl IntoIterator<Item = &'s str>) {
        path.into_iter().fold(self, Self::child_mut);
    }

    /// Names a JSON Pointer and everything below it.
    pub fn insert_whole(&mut self, pointer: &str) {
        let mut at = self;
        for step in pointer.split('/').skip(1).filter(|s| s.parse::<usize>().is_err()) {
            let name = step.replace("~1", "/").replace("~0", "~");
            at = at.child_mut(&name);
        }
        at.whole = true;
    }

    fn child_mut(&mut self, name: &str) -> &mut Self {
        let i = self.place(name).unwrap_or_else(|i| {
            self.children.insert(i, (name.into(), Self::default()));
            i
        });
        &mut self.children[i].1
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.children.binary_search_by(|(k, _)| (k.len(), k.as_ref()).cmp(&(name.len(), name)))
    }

    /// What to keep of a field of this name, if anything; the name comes back without being copied.
    pub(super) fn child(&self, name: &str) -> Option<(&str, &Self)> {
        if self.whole {
            return None;
        }
        let i = self.place(name).ok()?;
        self.children.get(i).map(|(k, f)| (k.as_ref(), f))
    }

    /// Whether everything from here on is kept.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(paths: &[&str]) -> Fields {
        let mut fields = Fields::default();
        for path in paths {
            fields.insert(path.split('.'));
        }
        fields
    }

    #[test]
    fn keeps_only_named_fields_and_the_last_of_equal_keys() {
        let fields = fields(&["source", "detail.severity", "detail.list.id"]);
        let text = r#"{"source":"a","source":"b","x":[{}],"detail":{"severity":8.0,"no":1,"list":[{"id":"1","z":2},{"id":3}]}}"#;
        let node = Node::parse_fields(text, &fields).unwrap();
        let expected = Node::parse(r#"{"source":"b","detail":{"severity":8.0,"list":[{"id":"1"},{"id":3}]}}"#).unwrap();
        assert_eq!(node, expected);
        assert_eq!(node.pointer("/detail/severity").and_then(Node::text), Some("8.0"), "a number keeps its literal");
        assert_eq!(node.text_at("/detail/list/1/id"), Some("3"));
    }

    #[test]
    fn a_whole_field_is_kept_with_everything_below() {
        let mut fields = fields(&["a.b"]);
        fields.insert_whole("/a/tags/0");
        let node = Node::parse_fields(r#"{"a":{"b":"x\"y","tags":[{"key":"k","value":"v"}],"c":1}}"#, &fields).unwrap();
        assert_eq!(node, Node::parse(r#"{"a":{"b":"x\"y","tags":[{"key":"k","value":"v"}]}}"#).unwrap());
    }

    #[test]
    fn a_number_keeps_its_literal_where_other_paths_go_on() {
        let fields = fields(&["a", "a.b"]);
        let node = Node::parse_fields(r#"{"a":[8.0,{"b":1e2}]}"#, &fields).unwrap();
        assert_eq!(node, Node::parse(r#"{"a":[8.0,{"b":1e2}]}"#).unwrap());
    }

    #[test]
    fn depth_is_limited_and_brackets_in_strings_do_not_count() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Node::parse(&deep(127)).is_ok());
        let error = Node::parse_fields(&format!(r#"{{"skipped":{}}}"#, deep(100_000)), &fields(&["a"])).unwrap_err();
        assert_eq!(error.to_string(), "nested deeper than 128 levels");
        assert!(Node::parse(&format!(r#""{}""#, "[{".repeat(500))).is_ok());
    }

    #[test]
    fn broken_text_is_an_error_wherever_it_breaks() {
        for text in ["", "{", r#"{"a":}"#, "[1,]", "{} {}", r#"{"a":"\ud800"}"#, "nul"] {
            assert!(Node::parse(text).is_err(), "{text}");
        }
    }
}
