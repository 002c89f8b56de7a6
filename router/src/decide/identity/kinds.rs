//! The table of resource kinds (`kinds.toml`), read once: which kind an ARN, a type name or an id's prefix means, and
//! what of an ARN is the canonical id.
use super::arn::Arn;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

/// One kind of resource. The fields are explained in `kinds.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    pub(super) name: String,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default)]
    arn: BTreeMap<String, Rule>,
    #[serde(default)]
    pub(super) prefix: Vec<String>,
    among: Option<String>,
    #[serde(default)]
    pub(super) named: bool,
    #[serde(default)]
    pub(super) global: bool,
    pub(super) link: Option<String>,
}

/// What of an ARN becomes the id.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rule {
    Rest,
    First,
    Colon,
    Last,
    Named,
    Whole,
    Account,
    Joined,
    Image,
    Secret,
}

/// How an ARN's resource part starts, for one kind.
struct Pattern {
    start: &'static str,
    after_star: Option<&'static str>,
    rule: Rule,
    kind: &'static Kind,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    kind: Vec<Kind>,
}

/// The table under its three keys.
struct Index {
    names: HashMap<String, &'static Kind>,
    services: HashMap<&'static str, Vec<Pattern>>,
    prefixes: Vec<(&'static str, &'static Kind)>,
}

// The texts are compiled in and a test reads them, so an unreadable table cannot ship.
static TABLE: LazyLock<Table> = LazyLock::new(|| toml::from_str(include_str!("kinds.toml")).unwrap_or_default());

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let table: &'static Table = &TABLE;
    let (mut names, mut services, mut prefixes) = (HashMap::new(), HashMap::<_, Vec<_>>::new(), Vec::new());
    for kind in &table.kind {
        for name in kind.also.iter().chain([&kind.name]) {
            names.insert(folded(name), kind);
        }
        for (pattern, &rule) in &kind.arn {
            let (service, resource) = pattern.split_once(':').unwrap_or((pattern, ""));
            let (start, after_star) = resource.split_once('*').map_or((resource, None), |(s, a)| (s, Some(a)));
            services.entry(service).or_default().push(Pattern { start, after_star, rule, kind });
        }
        prefixes.extend(kind.prefix.iter().map(|p| (p.as_str(), kind)));
    }
    for patterns in services.values_mut() {
        patterns.sort_by_key(|p| std::cmp::Reverse(p.start.len() + p.after_star.map_or(0, str::len)));
    }
    prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    Index { names, services, prefixes }
});

/// All spellings of one type have the same letters: `AWS::EC2::VPC`, `AWS_EC2_VPC`, `AwsEc2Vpc`.
fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Longest type name that is looked at.
const NAME_MAX: usize = 128;

/// All kinds, in the table's order.
#[cfg(test)]
pub(super) fn all() -> &'static [Kind] {
    &TABLE.kind
}

/// The kind that a type name of any reporter means; GuardDuty's sequences leave the `AWS` away (`EC2_INSTANCE`).
pub(super) fn named(told: &str) -> Option<&'static Kind> {
    if told.len() > NAME_MAX {
        return None;
    }
    let name = folded(told);
    let index = &INDEX.names;
    index.get(&name).or_else(|| index.get(&format!("aws{name}"))).copied()
}

/// The kind that a bare id shows by how it starts, `i-0abc…`.
pub(super) fn of_prefix(id: &str) -> Option<&'static Kind> {
    let starts = |prefix: &str| id.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    INDEX.prefixes.iter().find(|(prefix, _)| starts(prefix)).map(|(_, kind)| *kind)
}

/// The kind that the id shows, where reporters give it the type of another (`among`).
pub(super) fn shown_by(kind: &'static Kind, id: &str) -> &'static Kind {
    let hidden = |other: &Kind| other.among.as_deref() == Some(kind.name.as_str());
    of_prefix(id).filter(|other| hidden(other)).unwrap_or(kind)
}

/// The kind of an ARN, the canonical id in it, and the name where both are in it.
pub(super) fn of_arn<'a>(arn: &Arn<'a>) -> Option<(&'static Kind, String, Option<&'a str>)> {
    INDEX.services.get(arn.service)?.iter().find_map(|pattern| {
        let (id, name) = pattern.read(arn)?;
        Some((pattern.kind, id, name))
    })
}

impl Pattern {
    fn read<'a>(&self, arn: &Arn<'a>) -> Option<(String, Option<&'a str>)> {
        let mut name = None;
        let rest = arn.resource.strip_prefix(self.start)?;
        let (star, rest) = match self.after_star {
            Some(after) => rest.split_once(after).filter(|(star, _)| !star.is_empty())?,
            None => ("", rest),
        };
        let id = match self.rule {
            Rule::Rest => rest,
            Rule::First => rest.split(['/', ':']).next()?,
            Rule::Colon => rest.split(':').next()?,
            Rule::Last => rest.rsplit('/').next()?,
            Rule::Named => {
                let (called, id) = rest.split_once('/')?;
                name = Some(called);
                id
            }
            Rule::Whole => arn.resource,
            Rule::Account => arn.owner().filter(|_| rest.is_empty())?,
            Rule::Secret => without_suffix(rest),
            Rule::Joined | Rule::Image if rest.is_empty() => "",
            Rule::Joined => return Some((format!("{star}/{rest}"), None)),
            Rule::Image => return Some((format!("{star}@sha256:{rest}"), None)),
        };
        (!id.trim().is_empty()).then(|| (id.to_owned(), name))
    }
}

/// Secrets Manager appends a hyphen and six random characters to the name in ARNs. A partial ARN without them, of a
/// name that happens to end so, loses its last word.
fn without_suffix(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((head, tail)) if tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_alphanumeric()) => head,
        _ => name,
    }
}
