//! From what a reporter says to the canonical resource: the steps that all readers share.
use super::{
    Place,
    arn::{Arn, is_account},
    kinds::{self, Kind},
};
use crate::values::{finding::Resource, text::cut, tree::Node};
use std::borrow::Cow;

/// Longer ids are cut. The longest real one is an S3 object: a bucket's name (63), a slash and a key (1,024).
pub(super) const ID_MAX: usize = 1_100;
/// Longer names and tags are cut (tag values have at most 256 characters).
pub(super) const NAME_MAX: usize = 256;
/// ARNs have at most 2,048 characters; a longer one is none, and a cut one would be a lie.
const ARN_MAX: usize = 2_048;
/// More tags than a resource can have are not read (50, and AWS's own).
const TAGS_MAX: usize = 100;
/// More resources than a finding can have (ASFF: 32) are not read.
pub(super) const RESOURCES_MAX: usize = 50;

/// A name where there is one: CloudTrail masks what a caller typed into the wrong field, GuardDuty's samples and others
/// leave fields empty.
pub(super) fn known(text: &str) -> Option<&str> {
    const MASKS: [&str; 4] = ["HIDDEN_DUE_TO_SECURITY_REASONS", "sensitiveDataRemoved", "***", "****"];
    Some(text.trim()).filter(|t| !t.is_empty() && !MASKS.contains(t))
}

/// The known text at a pointer.
pub(super) fn text<'n>(node: &'n Node<'_>, pointer: &str) -> Option<&'n str> {
    known(node.pointer(pointer)?.text()?)
}

/// What a reporter says about one resource.
#[derive(Clone, Copy, Default)]
pub(super) struct Told<'a> {
    /// Its type, in any spelling; empty where the id must show it.
    pub(super) kind: &'a str,
    /// An ARN, an id, a name, a URL.
    pub(super) id: &'a str,
    /// An ARN told besides.
    pub(super) arn: Option<&'a str>,
    /// A name told besides.
    pub(super) name: Option<&'a str>,
    /// The owner told besides.
    pub(super) account: Option<&'a str>,
    /// Tags: a map, or a list of pairs.
    pub(super) tags: Option<&'a Node<'a>>,
}

impl Told<'_> {
    /// The canonical resource; `None` where the reporter names none.
    pub(super) fn resource(&self, place: &Place<'_>) -> Option<Resource> {
        let told = known(self.id).or_else(|| known(self.arn?))?;
        // `AWS::EC2::Instance:i-…`, `AWS::SSM::ManagedInstanceInventory/i-…`, `AWS::::Account:111122223333`
        let (kind, id) = typed(told).unwrap_or((self.kind, told));
        let arn = Arn::parse(id).map(|arn| (id, arn)).or_else(|| self.arn.and_then(|a| Some((a, Arn::parse(a)?))));
        let (kind, id, called) = match arn.and_then(|(_, arn)| kinds::of_arn(&arn)) {
            Some((kind, id, called)) => (kinds::shown_by(kind, &id).name.as_str().into(), id, called),
            None => match kinds::named(kind).or_else(|| kinds::of_prefix(id).filter(|_| kind.is_empty())) {
                Some(kind) => (kinds::shown_by(kind, id).name.as_str().into(), bare(kind, id)?.to_owned(), None),
                None => (foreign(kind), id.to_owned(), None),
            },
        };
        let id = known(cut(id.trim(), ID_MAX))?.to_owned();
        let tags = tags(self.tags);
        let name = tags.iter().find(|(key, _)| key == "Name").map(|(_, name)| name.as_str()).or(self.name).or(called);
        let name = name.and_then(known).map(|n| cut(n, NAME_MAX)).filter(|n| *n != id).map(str::to_owned);
        let account = self.account.filter(|a| is_account(a)).or_else(|| arn?.1.owner());
        let account = account.or_else(|| (kind == "AwsAccount").then_some(id.as_str()));
        Some(Resource {
            account: account.filter(|a| *a != place.account).map(str::to_owned),
            arn: arn.map(|(text, _)| text).filter(|text| text.len() <= ARN_MAX).map(str::to_owned),
            kind,
            id,
            name,
            tags,
        })
    }
}

/// Splits an id that starts with its type.
fn typed(text: &str) -> Option<(&str, &str)> {
    let name_at = text.strip_prefix("AWS::")?.find("::")? + "AWS::".len() + "::".len();
    let end = name_at + text.get(name_at..)?.find([':', '/'])?;
    Some((text.get(..end)?, text.get(end + 1..)?)).filter(|(_, id)| !id.is_empty())
}

/// The canonical id in a bare one, for the kinds that reporters write differently.
fn bare<'i>(kind: &Kind, id: &'i str) -> Option<&'i str> {
    match kind.name.as_str() {
        "AwsAccount" => Some(id).filter(|id| is_account(id)),
        // `name:version`, `111122223333:function:name:alias`
        "AwsLambdaFunction" => id.split_once("function:").map_or(id, |(_, name)| name).split(':').next(),
        "AwsLogsLogGroup" => id.split(':').next(),
        "AwsSqsQueue" => id.rsplit('/').find(|part| !part.is_empty()),
        "AwsEventsRule" => Some(id.strip_prefix("default/").unwrap_or(id)),
        "AwsRoute53HostedZone" => Some(id.strip_prefix("/hostedzone/").unwrap_or(id)),
        "AwsOrganizationsOrganizationalUnit" => Some(id).filter(|id| kind.prefix.iter().any(|p| id.starts_with(p))),
        _ => Some(id),
    }
}

/// The name of a kind that the table does not know: ASFF's own name, `CloudFormation`'s written like it, or ASFF's `Other`.
fn foreign(kind: &str) -> Cow<'static, str> {
    let plain = |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if kind.starts_with("Aws") && plain(kind) {
        return Cow::Owned(kind.to_owned());
    }
    let joined = kind.strip_prefix("AWS::").filter(|k| k.len() <= 64).map(|k| k.replace("::", "")).filter(|k| plain(k));
    joined.map_or(Cow::Borrowed("Other"), |name| Cow::Owned(format!("Aws{name}")))
}

/// Tags as ASFF and Config write them (a map), as GuardDuty (`[{key, value}]`) or as OCSF (`[{name, value}]`).
fn tags(node: Option<&Node<'_>>) -> Vec<(String, String)> {
    let pair = |key: &str, value: &Node<'_>| {
        let key = known(key)?;
        Some((cut(key, NAME_MAX).to_owned(), cut(value.text().unwrap_or_default(), NAME_MAX).to_owned()))
    };
    match node {
        Some(Node::Object(fields)) => {
            fields.iter().take(TAGS_MAX).filter_map(|(key, value)| pair(key, value)).collect()
        }
        Some(Node::Array(items)) => {
            let pairs = items.iter().take(TAGS_MAX);
            pairs
                .filter_map(|tag| {
                    let key = ["key", "name", "Key"].iter().find_map(|k| tag.get(k))?.text()?;
                    pair(key, ["value", "Value"].iter().find_map(|k| tag.get(k)).unwrap_or(&Node::Null))
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Resources in order, each once; who is named again only adds what was not yet told.
pub(super) fn distinct(found: impl IntoIterator<Item = Resource>) -> Vec<Resource> {
    let mut list: Vec<Resource> = Vec::new();
    for resource in found.into_iter().take(RESOURCES_MAX) {
        match list.iter_mut().find(|r| r.kind == resource.kind && r.id == resource.id && r.account == resource.account)
        {
            Some(earlier) => {
                earlier.arn = earlier.arn.take().or(resource.arn);
                earlier.name = earlier.name.take().or(resource.name);
                if earlier.tags.is_empty() {
                    earlier.tags = resource.tags;
                }
            }
            None => list.push(resource),
        }
    }
    list
}
