//! Sources: how each producer's events are read into findings, as data (`router/sources/*.toml`).
//!
//! A source names the events it reads by an event pattern and says, in JSON Pointers, where a finding's parts are. Where a
//! producer sends many findings in one event (`each`), every element is read as if the event held only that one, so the
//! same pointers and the same playbook patterns serve both.
#[cfg(test)]
mod tests;
mod text;

use super::{
    adjust::Adjust,
    carrier::Envelope,
    identity::{self, Place},
    pattern::Pattern,
    playbook::pointer,
    remediation::Said,
    written::{Item, Problem, Written},
};
use crate::values::{
    finding::{Exercise, Finding, Resource, Status},
    text::{cut, short},
    time,
    tree::{Fields, Node},
};
use jiff::Timestamp;
use text::{SeverityRule, Text};

/// At most so many findings are read from one event; Security Hub sends up to 100.
pub const FINDINGS_MAX: usize = 1_000;
/// Texts of a finding are cut here; Slack shows far less.
const TEXT_MAX: usize = 4_000;
/// Stands for an account or Region that no part of an event names: nothing is ever remediated there.
pub(super) const UNKNOWN: &str = "unknown";
/// Signals of an attack sequence kept; a card shows fewer.
const SIGNALS_MAX: usize = 50;
/// The name of a signal is cut here.
const SIGNAL_MAX: usize = 200;
/// Links longer than this are left out.
const LINK_MAX: usize = 1_000;
/// Longer ids of findings are named by their digest, in bytes: an entry keeps many.
const ID_MAX: usize = 256;

/// A producer's events and how to read them.
#[derive(Debug)]
pub struct Source {
    /// The file's name without `.toml`.
    pub name: String,
    /// Which events it reads.
    pub when: Pattern,
    /// A record that no playbook claims is not a finding (CloudTrail).
    pub ignore_unclaimed: bool,
    /// The list whose elements are findings, where one event carries many.
    pub each: Option<String>,
    /// Where it tells of an execution: its id and SSM's word for its state.
    execution: Option<(Text, Text)>,
    /// How EventBridge delivers its events, where not all of them everywhere.
    pub delivery: Delivery,
    /// Who did it and how, where that makes it better or worse than its playbook says.
    pub adjustments: Vec<Adjust>,
    reporter: Text,
    id: Text,
    revision: Text,
    kind: Text,
    problem: Option<Text>,
    title: Text,
    description: Option<Text>,
    severity: SeverityRule,
    resolved: Option<Pattern>,
    sample: Option<Pattern>,
    drill: bool,
    account: Text,
    region: Text,
    first_seen: Option<Text>,
    last_seen: Option<Text>,
    count: Option<Text>,
    link: Option<Text>,
    resources: Resources,
    actor: Option<String>,
    signals: Option<Signals>,
}

/// Events that EventBridge does not simply deliver: each where the pattern says so.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Told in one Region of the partition only.
    pub global: Option<Pattern>,
    /// Told only to rules that ask for all of `CloudTrail`'s management events.
    pub read_only: Option<Pattern>,
}

/// How a finding's resources are read.
#[derive(Clone, Debug)]
enum Resources {
    /// By a reader of `decide/identity`.
    Reader(String),
    /// One resource, by its parts.
    Parts { kind: Text, id: Text, name: Option<Text> },
}

impl Resources {
    fn read(item: &Item<'_>) -> Option<Self> {
        if !item.is_table() {
            return reader(item, |n| identity::resources(n).is_some()).map(Self::Reader);
        }
        let table = item.table()?;
        let need = |key| table.need(key, "a JSON Pointer, a list of them, or a constant").and_then(|t| Text::read(&t));
        let (kind, id) = (need("type"), need("id"));
        let name = table.get("name").and_then(|n| Text::read(&n));
        table.finish();
        Some(Self::Parts { kind: kind?, id: id?, name })
    }

    fn get(&self, tree: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
        match self {
            Self::Reader(name) => identity::resources(name).map(|read| read(tree, place)).unwrap_or_default(),
            Self::Parts { kind, id, name } => id
                .get(tree)
                .map(|id| Resource {
                    kind: kind.get(tree).unwrap_or_else(|| "Other".to_owned()).into(),
                    id: short(&id, ID_MAX).into_owned(),
                    name: name.as_ref().and_then(|n| n.get(tree)),
                    account: identity::owner_of(&id).filter(|o| *o != place.account).map(str::to_owned),
                    arn: id.starts_with("arn:").then_some(id),
                    tags: Vec::new(),
                })
                .into_iter()
                .collect(),
        }
    }
}

/// The name of a reader, if there is one of that name.
fn reader(item: &Item<'_>, known: impl Fn(&str) -> bool) -> Option<String> {
    let name = item.text()?.to_owned();
    if !known(&name) {
        item.fail(format!("there is no reader {name:?}"), "the readers are listed in router/sources/README.md");
    }
    Some(name)
}

/// The signals of an attack sequence.
#[derive(Clone, Debug)]
struct Signals {
    each: String,
    name: String,
    at: String,
}

impl Source {
    /// Reads a source file; every mistake in it is returned.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let doc = Written::parse(file, text);
        let root = doc.root();
        let when = root
            .need("when", "the EventBridge event pattern of the events that this source reads")
            .and_then(|w| pattern(&w));
        let reporter =
            root.need("reporter", "the service that reports, for example \"guardduty\"").and_then(|r| Text::read(&r));
        let ignore_unclaimed =
            root.get("unclaimed").and_then(|u| u.word(&[("tell", false), ("ignore", true)])).unwrap_or(false);
        let drill = root.get("drill").and_then(|d| d.truth()).unwrap_or(false);
        let execution = root.get("execution").and_then(|e| e.table()).and_then(|table| {
            let text = |key| table.need(key, "a JSON Pointer").and_then(|t| Text::read(&t));
            let (id, status) = (text("id"), text("status"));
            table.finish();
            Some((id?, status?))
        });
        let delivery = root.get("delivery").and_then(|d| d.table()).map(|table| {
            let some = |key| table.get(key).and_then(|p| pattern(&p));
            let delivery = Delivery { global: some("global"), read_only: some("read-only") };
            table.finish();
            delivery
        });
        let delivery = delivery.unwrap_or_default();
        let adjust = root.get("adjust").map(|a| a.list()).unwrap_or_default();
        let adjustments = adjust.iter().filter_map(Adjust::read).collect();
        let finding = root.need("finding", "where the parts of a finding are").and_then(|f| f.table());
        let source = finding.and_then(|finding| {
            let text = |key| finding.get(key).and_then(|t| Text::read(&t));
            let need = |key| {
                finding
                    .need(key, "a JSON Pointer, a list of them (the first that resolves), or a constant")
                    .and_then(|t| Text::read(&t))
            };
            let nested = |key| {
                let table = finding.get(key)?.table()?;
                let when = table.need("when", "an event pattern").and_then(|w| pattern(&w));
                table.finish();
                when
            };
            let each = finding.get("each").and_then(|e| pointer(&e));
            let (id, revision, kind, title) = (need("id"), need("revision"), need("type"), need("title"));
            let severity = finding
                .need("severity", "a word, or { at, floor } or { at, words }")
                .and_then(|s| SeverityRule::read(&s));
            let (account, region) = (need("account"), need("region"));
            let (description, problem) = (text("description"), text("problem"));
            let (first_seen, last_seen) = (text("first-seen"), text("last-seen"));
            let (count, link) = (text("count"), text("link"));
            let (resolved, sample) = (nested("resolved"), nested("sample"));
            let resources = finding.get("resources").and_then(|r| Resources::read(&r));
            let actor = finding.get("actor").and_then(|a| reader(&a, |n| identity::actor(n).is_some()));
            let signals = finding.get("signals").and_then(|s| s.table()).and_then(|table| {
                let text = |key| table.need(key, "a JSON Pointer").and_then(|p| pointer(&p));
                let signals = (text("each"), text("name"), text("at"));
                table.finish();
                Some(Signals { each: signals.0?, name: signals.1?, at: signals.2? })
            });
            finding.finish();
            Some(Self {
                name: name.to_owned(),
                when: when?,
                ignore_unclaimed,
                each,
                execution,
                delivery,
                adjustments,
                reporter: reporter?,
                id: id?,
                revision: revision?,
                kind: kind?,
                problem,
                title: title?,
                description,
                severity: severity?,
                resolved,
                sample,
                drill,
                account: account?,
                region: region?,
                first_seen,
                last_seen,
                count,
                link,
                resources: resources.unwrap_or_else(|| Resources::Reader("event".to_owned())),
                actor,
                signals,
            })
        });
        root.finish();
        let problems = doc.problems();
        match source {
            Some(source) if problems.is_empty() => Ok(source),
            _ => Err(problems),
        }
    }

    /// Names every field that reading a finding touches.
    pub fn name_fields(&self, fields: &mut Fields) {
        let mut pointers = self.pointers();
        self.reporter.pointers(&mut pointers);
        let optional = [&self.problem, &self.description, &self.first_seen, &self.last_seen, &self.count, &self.link];
        optional.into_iter().flatten().for_each(|text| text.pointers(&mut pointers));
        let mut readers: Vec<&str> = self.actor.as_deref().into_iter().collect();
        match &self.resources {
            Resources::Reader(name) => readers.push(name),
            Resources::Parts { kind, id, name } => {
                [Some(kind), Some(id), name.as_ref()].into_iter().flatten().for_each(|t| t.pointers(&mut pointers));
            }
        }
        for pointer in pointers {
            name_pointer(fields, pointer);
        }
        for pattern in [&self.resolved, &self.sample].into_iter().flatten() {
            for path in pattern.paths() {
                fields.insert(path.iter().map(AsRef::as_ref));
            }
        }
        if let Some(signals) = &self.signals {
            name_pointer(fields, &format!("{}{}", signals.each, signals.name));
            name_pointer(fields, &format!("{}{}", signals.each, signals.at));
        }
        for pointer in readers.into_iter().flat_map(identity::pointers) {
            fields.insert_whole(pointer);
        }
    }

    /// Whether it tells how executions do.
    pub fn follows_executions(&self) -> bool {
        self.execution.is_some()
    }

    /// Names every field that says how an execution is doing.
    pub fn name_execution(&self, fields: &mut Fields) {
        let mut pointers = Vec::new();
        for text in self.execution.iter().flat_map(|(id, status)| [id, status]) {
            text.pointers(&mut pointers);
        }
        for pointer in pointers {
            name_pointer(fields, pointer);
        }
    }

    /// What an event says of an execution.
    pub fn said(&self, tree: &Node<'_>) -> Option<Said> {
        let (id, status) = self.execution.as_ref()?;
        Some(Said {
            execution: short(&id.get(tree)?, ID_MAX).into_owned(),
            status: cut(&status.get(tree)?, 80).to_owned(),
        })
    }

    /// Whether it can name this reporter; its own name stands in where the event tells none.
    pub fn reports(&self, name: &str) -> bool {
        self.reporter.may_be(name) || (self.name == name && !self.reporter.is_certain())
    }

    /// Every pointer of the parts that a finding cannot do without; a test holds that each resolves in some fixture.
    pub fn pointers(&self) -> Vec<&str> {
        let mut pointers = Vec::new();
        for text in [&self.id, &self.revision, &self.kind, &self.title, &self.account, &self.region] {
            text.pointers(&mut pointers);
        }
        self.severity.pointers(&mut pointers);
        pointers
    }

    /// Reads one finding from an event (or from one element of its list, see [`elements`]).
    pub fn read(&self, envelope: &Envelope<'_>, tree: &Node<'_>, now: Timestamp) -> Finding {
        let account = self.account.get(tree).as_deref().and_then(account_id);
        let account = account.or_else(|| account_id(&envelope.account)).unwrap_or_else(|| UNKNOWN.to_owned());
        let region = self.region.get(tree).filter(|r| is_region(r));
        let region = region.or_else(|| Some(envelope.region.to_string()).filter(|r| is_region(r)));
        let region = region.unwrap_or_else(|| UNKNOWN.to_owned());
        let kind = self.kind.get(tree).unwrap_or_else(|| envelope.detail_type.to_string());
        // A time in the future would make everything true that comes after it stale.
        let instant = |text: &Text| text.get(tree).as_deref().and_then(time::parse).map(|at| at.min(now));
        let sent = envelope.time.unwrap_or(now).min(now);
        let told = instant(&self.revision).unwrap_or(sent);
        let last_seen = self.last_seen.as_ref().and_then(instant).unwrap_or(told);
        let first_seen = self.first_seen.as_ref().and_then(instant).unwrap_or(last_seen).min(last_seen);
        // The envelope's id is not an element's.
        let of_event = || Some(envelope.id.to_string()).filter(|id| self.each.is_none() && !id.is_empty());
        let id = self.id.get(tree).or_else(of_event);
        let place = Place { account: &account, region: &region };
        let mut resources = self.resources.get(tree, &place);
        // What names no resource is about itself, or two problems would be one; an act is about the account.
        if resources.is_empty() {
            let of_account = self.drill || (self.ignore_unclaimed && self.resolved.is_none());
            let itself = id.as_ref().filter(|_| !of_account);
            resources.push(itself.map_or_else(|| account_resource(&account), |id| finding_resource(id)));
        }
        let actor = self.actor.as_deref().and_then(identity::actor).and_then(|read| read(tree));
        let resolved = self.resolved.as_ref().is_some_and(|p| p.matches(tree));
        let sample = self.sample.as_ref().is_some_and(|p| p.matches(tree));
        let title = self.title.get(tree).unwrap_or_else(|| kind.clone());
        let exercise = if sample {
            Some(Exercise::Sample)
        } else if self.drill {
            Some(Exercise::Drill)
        } else {
            envelope.replay.is_some().then_some(Exercise::Replay)
        };
        let count = self.count.as_ref().and_then(|c| c.get(tree)).and_then(|c| c.parse().ok()).unwrap_or(1);
        Finding {
            id: short(&id.unwrap_or_else(|| format!("{kind}/{}/{told}", resources[0].id)), ID_MAX).into_owned(),
            revision: told,
            sent,
            reporter: self.reporter.get(tree).unwrap_or_else(|| self.name.clone()),
            title,
            description: self.description.as_ref().and_then(|d| d.get(tree)).unwrap_or_default(),
            severity: self.severity.get(tree),
            status: if resolved { Status::Resolved } else { Status::Active },
            can_resolve: self.resolved.is_some(),
            link: self.link.as_ref().and_then(|l| l.address(tree)).filter(|l| l.len() <= LINK_MAX),
            signals: self.signals.as_ref().map(|s| s.read(tree)).unwrap_or_default(),
            problem: self.problem.as_ref().and_then(|p| p.get(tree)).unwrap_or_else(|| kind.clone()),
            kind,
            account,
            region,
            resources,
            actor,
            first_seen,
            last_seen,
            count,
            exercise,
        }
    }
}

impl Signals {
    /// Names in order of time; equal times keep the event's order.
    fn read(&self, tree: &Node<'_>) -> Vec<String> {
        let signals = tree.pointer(&self.each).map_or(&[][..], Node::items);
        let mut timed: Vec<_> = signals
            .iter()
            .filter_map(|s| {
                Some((s.text_at(&self.at).and_then(time::parse), cut(s.text_at(&self.name)?, SIGNAL_MAX).to_owned()))
            })
            .collect();
        timed.sort_by_key(|(at, _)| *at);
        let mut names: Vec<String> = timed.into_iter().map(|(_, name)| name).collect();
        names.dedup();
        names.truncate(SIGNALS_MAX);
        names
    }
}

/// Takes the elements of a list out of an event, so that each can be put back alone by [`put_element`].
pub fn elements<'a>(tree: &mut Node<'a>, pointer: &str) -> Vec<Node<'a>> {
    match slot(tree, pointer) {
        Some(Node::Array(items)) => std::mem::take(items),
        Some(one @ Node::Object(_)) => vec![std::mem::replace(one, Node::Null)],
        _ => Vec::new(),
    }
}

/// Makes an event carry one element only.
pub fn put_element<'a>(tree: &mut Node<'a>, pointer: &str, element: Node<'a>) {
    if let Some(slot) = slot(tree, pointer) {
        *slot = Node::Array(vec![element]);
    }
}

fn slot<'t, 'a>(tree: &'t mut Node<'a>, pointer: &str) -> Option<&'t mut Node<'a>> {
    pointer.split('/').skip(1).try_fold(tree, |node, step| match node {
        Node::Object(fields) => fields.iter_mut().find(|(k, _)| k == step).map(|(_, v)| v),
        _ => None,
    })
}

/// Reads an event pattern; its mistake is shown on the line inside the pattern.
pub(super) fn pattern(item: &Item<'_>) -> Option<Pattern> {
    item.read_node(Pattern::from_node, |e| (e.at.clone(), e.reason.clone()))
}

/// The account itself, as a resource: what a finding is about when it names nothing else.
pub fn account_resource(account: &str) -> Resource {
    Resource {
        kind: "AwsAccount".into(),
        id: account.to_owned(),
        arn: None,
        name: None,
        account: None,
        tags: Vec::new(),
    }
}

/// What a finding is about that names nothing: itself.
pub const FINDING: &str = "Finding";

fn finding_resource(id: &str) -> Resource {
    Resource { kind: FINDING.into(), id: short(id, ID_MAX).into_owned(), ..account_resource("") }
}

/// Names a pointer's path; array indices are not names.
pub(super) fn name_pointer(fields: &mut Fields, pointer: &str) {
    let steps: Vec<String> = pointer
        .split('/')
        .skip(1)
        .filter(|s| s.parse::<usize>().is_err())
        .map(|s| s.replace("~1", "/").replace("~0", "~"))
        .collect();
    fields.insert(steps.iter().map(String::as_str));
}

/// Twelve digits; some producers write a number, which loses leading zeros. Anything else is no account.
fn account_id(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| format!("{text:0>12}"))
}

/// What a Region's name can look like, so that no other text passes for one.
fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
