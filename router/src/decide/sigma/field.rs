//! One field of a detection: its modifiers and values, and what EventBridge's list for it says.
use serde_json::{Value as Json, json};
use serde_norway::Value;

/// Modifiers that are read.
const MODIFIERS: &str = "contains, startswith, endswith, all, cased, cidr, exists, neq, gt, gte, lt and lte";

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Text(String),
    /// The pieces between asterisks; more than one.
    Glob(Vec<String>),
    Bool(bool),
    Number(String),
    /// No value, or null.
    Nothing,
    /// `gt`, `gte`, `lt` or `lte` a number.
    Compared(&'static str, String),
    Cidr(String),
    /// There is a value, or none.
    Exists(bool),
}

/// What one field has to satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// Where it is in the record, with dots.
    pub(super) field: String,
    pub(super) matches: Vec<Match>,
    /// All of them; else any.
    pub(super) all: bool,
    /// None of them.
    pub(super) denied: bool,
    /// As written; else whatever the case.
    pub(super) cased: bool,
}

impl Test {
    /// Reads `field|modifier: value`.
    pub(super) fn read(key: &str, value: &Value, cased: bool) -> Result<Self, String> {
        let mut words = key.split('|');
        let field = words.next().unwrap_or_default().to_owned();
        if field.is_empty() {
            return Err("names no field; keywords are not read".to_owned());
        }
        let mut test = Self { field, matches: Vec::new(), all: false, denied: false, cased };
        let mut kind = "";
        for word in words {
            match word {
                "all" => test.all = true,
                "cased" => test.cased = true,
                "neq" => test.denied = true,
                "contains" | "startswith" | "endswith" | "cidr" | "exists" | "gt" | "gte" | "lt" | "lte"
                    if kind.is_empty() =>
                {
                    kind = word;
                }
                "re" => return Err(format!("{key}: EventBridge knows no regular expressions")),
                "fieldref" => return Err(format!("{key}: an event pattern cannot compare two fields")),
                _ => return Err(format!("{key}: the modifier {word:?} is not read here; {MODIFIERS} are")),
            }
        }
        let values = match value {
            Value::Sequence(all) => all.iter().collect(),
            one => vec![one],
        };
        if values.is_empty() {
            return Err(format!("{key}: an empty list"));
        }
        for value in values {
            test.matches.push(Match::read(kind, value).map_err(|why| format!("{key}: {why}"))?);
        }
        Ok(test)
    }

    /// Whether the field can hold a list, of which Sigma's `not` means all and EventBridge's `anything-but` any.
    pub(super) fn may_be_list(&self) -> bool {
        ["requestParameters", "responseElements", "resources", "serviceEventDetails"]
            .iter()
            .any(|top| self.field == *top || self.field.strip_prefix(top).is_some_and(|rest| rest.starts_with('.')))
    }
}

impl Match {
    fn read(kind: &str, value: &Value) -> Result<Self, String> {
        let text = || match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(format!("{other:?} is no text")),
        };
        Ok(match kind {
            "" => match value {
                Value::Null => Self::Nothing,
                Value::Bool(b) => Self::Bool(*b),
                Value::Number(number) => Self::Number(number.to_string()),
                Value::String(text) if text == "true" || text == "false" => Self::Bool(text == "true"),
                Value::String(text) => Self::glob(pieces(text)?),
                other => return Err(format!("{other:?} is no value")),
            },
            "exists" => match value {
                Value::Bool(b) => Self::Exists(*b),
                _ => return Err("`exists` is true or false".to_owned()),
            },
            "cidr" => Self::Cidr(text()?),
            "gt" | "gte" | "lt" | "lte" => {
                let number = text()?;
                number.parse::<f64>().map_err(|_| format!("{number:?} is no number"))?;
                let operator = match kind {
                    "gt" => ">",
                    "gte" => ">=",
                    "lt" => "<",
                    _ => "<=",
                };
                Self::Compared(operator, number)
            }
            _ => {
                let mut pieces = pieces(&text()?)?;
                if kind != "startswith" {
                    pieces.insert(0, String::new());
                }
                if kind != "endswith" {
                    pieces.push(String::new());
                }
                // Asterisks beside each other are one.
                let last = pieces.len() - 1;
                let mut at = 0;
                pieces.retain(|piece| {
                    at += 1;
                    at == 1 || at == last + 1 || !piece.is_empty()
                });
                Self::glob(pieces)
            }
        })
    }

    fn glob(mut pieces: Vec<String>) -> Self {
        if pieces.len() == 1 { Self::Text(pieces.remove(0)) } else { Self::Glob(pieces) }
    }

    /// Whether case can matter for it.
    fn has_letters(&self) -> bool {
        let letters = |text: &String| text.chars().any(char::is_alphabetic);
        match self {
            Self::Text(text) => letters(text),
            Self::Glob(pieces) => pieces.iter().any(letters),
            _ => false,
        }
    }

    /// Whether one exact value satisfies it.
    pub(super) fn holds(&self, exact: &Self, cased: bool) -> bool {
        let fold = |text: &str| if cased { text.to_owned() } else { text.to_lowercase() };
        match (self, exact) {
            (Self::Text(ours), Self::Text(text)) => fold(ours) == fold(text),
            (Self::Glob(pieces), Self::Text(text)) => {
                let pieces: Vec<String> = pieces.iter().map(|p| fold(p)).collect();
                let text = fold(text);
                let [first, middle @ .., last] = pieces.as_slice() else { return false };
                let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
                for piece in middle {
                    let Some(at) = rest.find(piece.as_str()) else { return false };
                    rest = &rest[at + piece.len()..];
                }
                rest.ends_with(last.as_str())
            }
            (Self::Exists(there), _) => *there,
            (ours, exact) => ours == exact,
        }
    }

    /// Whether it is one value, which can be held against what else a field has to satisfy.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Bool(_) | Self::Number(_))
    }

    /// As elements of an event pattern's list.
    pub(super) fn written(&self, cased: bool) -> Result<Vec<Json>, String> {
        let folds = !cased && self.has_letters();
        Ok(match self {
            Self::Text(text) if folds => vec![json!({ "equals-ignore-case": text })],
            Self::Text(text) => vec![json!(text)],
            Self::Glob(pieces) => match pieces.as_slice() {
                [start, end] if end.is_empty() && folds => vec![json!({ "prefix": { "equals-ignore-case": start } })],
                [start, end] if end.is_empty() => vec![json!({ "prefix": start })],
                [start, end] if start.is_empty() && folds => vec![json!({ "suffix": { "equals-ignore-case": end } })],
                [start, end] if start.is_empty() => vec![json!({ "suffix": end })],
                _ if folds => return Err(case(&wildcard(pieces))),
                _ => vec![json!({ "wildcard": wildcard(pieces) })],
            },
            Self::Bool(b) => vec![json!(b), json!(b.to_string())],
            Self::Number(number) => vec![number_of(number)?],
            Self::Nothing => return Err("null cannot be written in a playbook; `exists: false` can".to_owned()),
            Self::Compared(operator, number) => vec![json!({ "numeric": [operator, number_of(number)?] })],
            Self::Cidr(block) => vec![json!({ "cidr": block })],
            Self::Exists(there) => vec![json!({ "exists": there })],
        })
    }
}

/// What an event pattern's list says where none of these may hold: another value, or none.
pub(super) fn denied(these: &[Match], cased: bool) -> Result<Vec<Json>, String> {
    if let [one] = these {
        match one {
            Match::Exists(is) => return Ok(vec![json!({ "exists": !is })]),
            Match::Nothing => {
                let numbers = json!({ "numeric": [">=", -5_000_000_000_i64] });
                return Ok(vec![json!({ "prefix": "" }), json!(true), json!(false), numbers]);
            }
            Match::Bool(b) => return Ok(vec![json!(!b), json!((!b).to_string()), json!({ "exists": false })]),
            _ => {}
        }
    }
    let texts: Option<Vec<&String>> =
        these.iter().map(|m| if let Match::Text(text) = m { Some(text) } else { None }).collect();
    let folds = !cased && these.iter().any(Match::has_letters);
    let but = match texts {
        Some(texts) if folds => json!({ "anything-but": { "equals-ignore-case": texts } }),
        Some(texts) => json!({ "anything-but": texts }),
        None => {
            let globs: Option<Vec<String>> = these
                .iter()
                .map(|m| match m {
                    Match::Text(text) => Some(wildcard(std::slice::from_ref(text))),
                    Match::Glob(pieces) => Some(wildcard(pieces)),
                    _ => None,
                })
                .collect();
            let globs = globs.ok_or("`not` of these values together cannot be said in one list of an event pattern")?;
            if folds {
                return Err(case(&globs.join(", ")));
            }
            json!({ "anything-but": { "wildcard": globs } })
        }
    };
    Ok(vec![but, json!({ "exists": false })])
}

fn case(what: &str) -> String {
    format!(
        "{what}: Sigma ignores case here and EventBridge's wildcards do not; write it `cased`, or import with --cased, which takes texts as they are written"
    )
}

/// Asterisks between the pieces; those within are characters.
fn wildcard(pieces: &[String]) -> String {
    let pieces: Vec<String> = pieces.iter().map(|p| p.replace('\\', r"\\").replace('*', r"\*")).collect();
    pieces.join("*")
}

fn number_of(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|_| format!("{text:?} is no number"))
}

/// The pieces between a text's asterisks. A backslash takes the next asterisk, question mark or backslash as it is.
fn pieces(text: &str) -> Result<Vec<String>, String> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' => {
                if pieces.is_empty() || !piece.is_empty() {
                    pieces.push(std::mem::take(&mut piece));
                }
            }
            '?' => return Err(format!("{text:?}: EventBridge has no wildcard for one character")),
            '\\' if rest.peek().is_some_and(|next| ['*', '?', '\\'].contains(next)) => piece.extend(rest.next()),
            c => piece.push(c),
        }
    }
    pieces.push(piece);
    Ok(pieces)
}
