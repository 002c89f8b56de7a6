//! The resources of a `CloudTrail` record: read off its parameters by a table (`cloudtrail.toml`), because every API
//! names its resources in its own way and the record's own `resources` is mostly absent.
use super::{
    Place, actor,
    arn::Arn,
    canonical::{RESOURCES_MAX, Told, distinct, known, text},
    kinds,
};
use crate::values::{finding::Resource, tree::Node};
use serde::Deserialize;
use std::{collections::HashMap, sync::LazyLock};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) from: Vec<Row>,
    #[serde(default, rename = "self")]
    own: Vec<String>,
}

/// One row of the table, its parts parsed.
#[derive(Debug, Deserialize)]
#[serde(from = "Vec<String>")]
pub(super) struct Row {
    in_response: bool,
    /// The parameter, as field names; two where ids are joined.
    paths: Vec<Vec<String>>,
    pub(super) kind: String,
    word: String,
}

impl From<Vec<String>> for Row {
    fn from(row: Vec<String>) -> Self {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or_default();
        let (at, kind, word) = (next(), next(), next());
        let path = at.strip_prefix("response/");
        let paths = path.unwrap_or(&at).split('+').map(|p| p.split('/').map(str::to_owned).collect()).collect();
        Self { in_response: path.is_some(), paths, kind, word }
    }
}

// The text is compiled in and a test reads it, so an unreadable table cannot ship.
static TABLE: LazyLock<HashMap<String, Service>> =
    LazyLock::new(|| toml::from_str(include_str!("cloudtrail.toml")).unwrap_or_default());

static POINTERS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let rows = TABLE.values().flat_map(|service| &service.from);
    let mut pointers: Vec<String> = rows
        .flat_map(|row| {
            let top = if row.in_response { "responseElements" } else { "requestParameters" };
            row.paths.iter().map(move |path| format!("/detail/{top}/{}", path.join("/")))
        })
        .collect();
    for at in
        ["userIdentity", "eventSource", "eventName", "recipientAccountId", "awsRegion", "sourceIPAddress", "resources"]
    {
        pointers.push(format!("/detail/{at}"));
    }
    pointers.extend(["/region", actor::SIGNED_IN_AS].map(str::to_owned));
    pointers.sort();
    pointers.dedup();
    pointers
});

static POINTER_TEXTS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let pointers: &'static Vec<String> = &POINTERS;
    pointers.iter().map(String::as_str).collect()
});

pub(super) fn pointers() -> &'static [&'static str] {
    &POINTER_TEXTS
}

/// The table, for tests of its contents.
#[cfg(test)]
pub(super) fn table() -> &'static HashMap<String, Service> {
    &TABLE
}

/// All texts at a path; lists on the way are walked.
fn texts<'n>(node: &'n Node<'n>, path: &[String]) -> Vec<&'n str> {
    let found = path.iter().fold(vec![node], |nodes, step| {
        let below = nodes.into_iter().filter_map(|node| node.get(step));
        below.flat_map(Node::items).take(RESOURCES_MAX).collect()
    });
    found.into_iter().filter_map(Node::text).filter_map(known).collect()
}

impl Row {
    fn read(&self, record: &Node<'_>, event_name: &str, place: &Place<'_>) -> Vec<Resource> {
        let top = record.get(if self.in_response { "responseElements" } else { "requestParameters" });
        let Some(top) = top.filter(|_| event_name.contains(&self.word)) else { return Vec::new() };
        let resource = |id: &str| {
            let kind = if self.kind == "?" { "" } else { &self.kind };
            let recognised = !kind.is_empty() || kinds::of_prefix(id).is_some() || Arn::parse(id).is_some();
            Told { kind, id, ..Told::default() }.resource(place).filter(|_| recognised)
        };
        match self.paths.as_slice() {
            [path] => texts(top, path).into_iter().filter_map(resource).collect(),
            paths => {
                let parts: Option<Vec<&str>> = paths.iter().map(|path| texts(top, path).first().copied()).collect();
                // A bus may be told by its ARN.
                let tail = |part: &str| Arn::parse(part).and_then(|arn| kinds::of_arn(&arn)).map(|(_, id, _)| id);
                let joined = parts.map(|p| p.iter().map(|p| tail(p).unwrap_or_else(|| (*p).to_owned())).collect());
                joined.and_then(|parts: Vec<String>| resource(&parts.join("/"))).into_iter().collect()
            }
        }
    }
}

pub(super) fn resources(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let Some(record) = event.get("detail") else { return Vec::new() };
    let service = text(record, "/eventSource").unwrap_or_default();
    let service = service.split(".amazonaws.com").next().unwrap_or_default();
    let event_name = text(record, "/eventName").unwrap_or_default();
    let services = [TABLE.get(service), TABLE.get("any")];
    let mut found: Vec<Resource> = Vec::new();
    for row in services.iter().flatten().flat_map(|service| &service.from) {
        let told = row.read(record, event_name, place);
        // Of two places that tell the same kind, the first says it best.
        let new: Vec<_> = told.into_iter().filter(|r| !found.iter().any(|f| f.kind == r.kind)).collect();
        found.extend(new);
    }
    if found.is_empty() && services.iter().flatten().any(|s| s.own.iter().any(|name| name == event_name)) {
        found.extend(actor::cloudtrail_identity(event).and_then(|p| p.resource(place)));
    }
    let listed = || listed(record, place);
    // An alias says less than the key that the record lists.
    for alias in found.iter_mut().filter(|r| r.kind == "AwsKmsKey" && r.id.starts_with("alias/")) {
        if let Some(key) = listed().into_iter().find(|r| r.kind == "AwsKmsKey" && !r.id.starts_with("alias/")) {
            *alias = Resource { name: Some(alias.id.clone()), ..key };
        }
    }
    if found.is_empty() {
        found = listed();
    }
    distinct(found)
}

/// The record's own list.
fn listed(record: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let items = record.get("resources").map(Node::items).unwrap_or_default();
    let told = items.iter().take(RESOURCES_MAX).filter_map(|item| {
        let kind = text(item, "/type").unwrap_or_default();
        let account = text(item, "/accountId");
        Told { kind, id: text(item, "/ARN").or_else(|| text(item, "/arn"))?, account, ..Told::default() }
            .resource(place)
    });
    told.collect()
}
