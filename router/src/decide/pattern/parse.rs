//! From a pattern's JSON to the ways it can match: nested and dotted keys become paths, `$or` multiplies the ways.
//!
//! Whatever EventBridge refuses is refused, with the place and what to write instead, because a pattern that is silently
//! read otherwise than meant is a finding that nobody sees.
use super::{
    Path, Pattern, PatternError,
    condition::Condition,
    matches::{Way, is_container},
    operator,
};
use crate::values::tree::{DEPTH_MAX, Node};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// AWS's limit on the combinations of a pattern's `$or`s.
const WAYS_MAX: usize = 1000;
/// The engine's limit on the fields of one combination.
const FIELDS_MAX: usize = 256;

/// Names that no field may have inside `$or`: operators, and words that AWS keeps for later ones.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

pub(super) fn text(json: &str) -> Result<Pattern, PatternError> {
    match Node::parse(json) {
        Ok(node) => tree(&node),
        Err(error) => Err(Place::default()
            .refuse(&format!("not JSON ({error})"), r#"write an object such as {"source": ["aws.s3"]}"#)),
    }
}

pub(super) fn value(value: &serde_json::Value) -> Result<Pattern, PatternError> {
    tree(&node(value))
}

/// Data as a tree; `$or` goes last, as if written after its siblings.
pub(in crate::decide) fn node(value: &serde_json::Value) -> Node<'_> {
    use serde_json::Value;
    match value {
        Value::Null => Node::Null,
        Value::Bool(b) => Node::Bool(*b),
        Value::Number(n) => Node::Number(n.to_string().into()),
        Value::String(s) => Node::String(Cow::Borrowed(s)),
        Value::Array(items) => Node::Array(items.iter().map(node).collect()),
        Value::Object(fields) => {
            let (or, plain): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "$or");
            Node::Object(plain.into_iter().chain(or).map(|(name, v)| (Cow::Borrowed(name.as_str()), node(v))).collect())
        }
    }
}

pub(super) fn tree(node: &Node<'_>) -> Result<Pattern, PatternError> {
    let mut place = Place::default();
    let Node::Object(fields) = node else {
        return Err(place.refuse("a pattern is an object", r#"write {"source": ["aws.s3"]}"#));
    };
    if fields.is_empty() {
        return Err(place.refuse("an empty pattern says nothing", r#"name a field: {"source": ["aws.s3"]}"#));
    }
    let mut compiler = Compiler::default();
    let mut drafts = vec![Draft::new()];
    compiler.object(node, &mut Vec::new(), &mut place, &mut drafts, false)?;
    let Compiler { paths, warnings, .. } = compiler;
    let ways = drafts.into_iter().map(|draft| Way::new(draft.into_iter().collect(), &paths)).collect();
    Ok(Pattern { paths, ways, warnings })
}

/// Where in the pattern we are, as a JSON Pointer.
#[derive(Default)]
pub(super) struct Place(String);

impl Place {
    /// Runs `f` one step further down.
    pub(super) fn below<T>(&mut self, step: &str, f: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        self.0.push('/');
        if step.contains(['~', '/']) {
            self.0.push_str(&step.replace('~', "~0").replace('/', "~1"));
        } else {
            self.0.push_str(step);
        }
        let result = f(self);
        self.0.truncate(length);
        result
    }

    pub(super) fn refuse(&self, wrong: &str, remedy: &str) -> PatternError {
        PatternError { at: self.0.clone(), reason: format!("{wrong} — {remedy}") }
    }
}

/// A way in the making: path index to list.
type Draft = BTreeMap<usize, Arc<[Condition]>>;

#[derive(Default)]
struct Compiler {
    paths: Vec<Path>,
    index: HashMap<Path, usize>,
    warnings: Vec<String>,
}

impl Compiler {
    /// Adds an object's conditions to every draft.
    fn object(
        &mut self,
        node: &Node<'_>,
        path: &mut Vec<Box<str>>,
        place: &mut Place,
        drafts: &mut Vec<Draft>,
        inside_or: bool,
    ) -> Result<(), PatternError> {
        let Node::Object(fields) = node else { return Ok(()) };
        if fields.is_empty() {
            return Err(place.refuse("an empty object says nothing", "name a field in it, or leave it out"));
        }
        for (name, value) in fields {
            place.below(name, |place| {
                if name == "$or" {
                    return self.alternatives(value, path, place, drafts);
                }
                if RESERVED.contains(&&**name) {
                    if inside_or {
                        return Err(reserved(name, place));
                    }
                    if is_container(value) && operator::NAMES.contains(&&**name) {
                        self.warnings.push(format!(
                            "at {}: read as a field named `{name}` — to use the operator, write [{{\"{name}\": …}}]",
                            place.0
                        ));
                    }
                }
                let above = path.len();
                path.extend(name.split('.').map(Box::from));
                if path.len() > DEPTH_MAX {
                    return Err(place.refuse("no event is this deep", "use at most 128 levels"));
                }
                match value {
                    Node::Object(_) => self.object(value, path, place, drafts, inside_or)?,
                    Node::Array(items) => self.field(items, path, place, drafts)?,
                    scalar => return Err(bare(name, scalar, place)),
                }
                path.truncate(above);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Multiplies the drafts by the alternatives.
    fn alternatives(
        &mut self,
        node: &Node<'_>,
        path: &mut Vec<Box<str>>,
        place: &mut Place,
        drafts: &mut Vec<Draft>,
    ) -> Result<(), PatternError> {
        let remedy = r#"write "$or": [{"a": ["1"]}, {"b": ["2"]}]"#;
        let Node::Array(items) = node else {
            return Err(place.refuse("`$or` needs an array of objects", remedy));
        };
        if items.len() < 2 {
            return Err(place.refuse("`$or` needs at least two alternatives", remedy));
        }
        let before = std::mem::take(drafts);
        for (i, item) in items.iter().enumerate() {
            place.below(&i.to_string(), |place| {
                if !matches!(item, Node::Object(_)) {
                    return Err(place.refuse("an alternative of `$or` is an object", remedy));
                }
                let mut these = before.clone();
                self.object(item, path, place, &mut these, true)?;
                drafts.append(&mut these);
                Ok(())
            })?;
            if drafts.len() > WAYS_MAX {
                return Err(place.refuse(
                    "the `$or`s make more than 1000 combinations",
                    "split the pattern, or list values in one field",
                ));
            }
        }
        Ok(())
    }

    /// Gives a field its list in every draft; an earlier list of the same field is replaced, as the engine does.
    fn field(
        &mut self,
        items: &[Node<'_>],
        path: &[Box<str>],
        place: &mut Place,
        drafts: &mut [Draft],
    ) -> Result<(), PatternError> {
        if items.is_empty() {
            return Err(
                place.refuse("an empty array matches nothing", r#"list the values, or write [{"exists": true}]"#)
            );
        }
        let mut list = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            list.push(place.below(&i.to_string(), |place| operator::condition(item, place))?);
        }
        let list: Arc<[Condition]> = list.into();
        let index = self.path(path);
        let mut replaced = false;
        for draft in drafts {
            replaced |= draft.insert(index, Arc::clone(&list)).is_some();
            if draft.len() > FIELDS_MAX {
                return Err(place.refuse("more than 256 fields", "split the pattern"));
            }
        }
        if replaced {
            self.warnings.push(format!(
                "at {}: `{}` is constrained twice, and as on AWS this list replaces the earlier one instead of narrowing it \
                 — write each field once, or repeat the whole condition in every alternative of `$or`",
                place.0,
                path.join(".")
            ));
        }
        Ok(())
    }

    fn path(&mut self, path: &[Box<str>]) -> usize {
        if let Some(index) = self.index.get(path) {
            return *index;
        }
        self.paths.push(path.into());
        self.index.insert(path.into(), self.paths.len() - 1);
        self.paths.len() - 1
    }
}

fn reserved(name: &str, place: &Place) -> PatternError {
    let wrong = format!("`{name}` cannot name a field inside `$or`");
    place.refuse(&wrong, &format!("if the operator is meant, write \"field\": [{{\"{name}\": …}}]"))
}

/// A scalar where a field's list belongs.
fn bare(name: &str, scalar: &Node<'_>, place: &Place) -> PatternError {
    if operator::NAMES.contains(&name) {
        let wrong = format!("the operator `{name}` is not in a list");
        return place.refuse(&wrong, &format!("write \"field\": [{{\"{name}\": …}}]"));
    }
    place.refuse("a bare value", &format!("write it in an array: [{}]", operator::show(scalar)))
}
