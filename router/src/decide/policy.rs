//! The policy: every source, playbook and adjustment, compiled into one matcher; and what it makes of an event.
//!
//! Loading reports every problem of every file; nothing runs on a policy that has one.
#[cfg(test)]
mod tests;

use super::{
    adjust::{Adjust, Change},
    carrier::{self, Envelope},
    config::Config,
    pattern::{Pattern, PatternSet},
    playbook::{About, CatchAll, Playbook},
    remediation::Said,
    runbook::Catalogue,
    source::{self, FINDINGS_MAX, Source},
    written::Problem,
};
use crate::decide::identity;
use crate::values::{
    finding::{ActorKind, Exercise, Finding, Resource, Status},
    text::{cut, digest},
    tree::{Fields, Node},
    verdict::{Claim, Verdict},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Range,
};

mod shipped {
    #![allow(missing_docs, unreachable_pub, reason = "written by build.rs")]
    include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
}

/// What the build made of the shipped runbooks.
const RUNBOOKS: &str = include_str!(concat!(env!("OUT_DIR"), "/runbooks.json"));

/// Our own SSM documents: name, text, the policy of the role that it runs in.
pub const DOCUMENTS: &[(&str, &str, &str)] = shipped::DOCUMENTS;

/// The kind of an actor who is no IAM user and no role; like IAM, it is not bound to a Region.
const PRINCIPAL: &str = "Principal";

/// A file of the policy: which kind, its name, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Path below its folder without `.toml`; a user's file of the same name replaces the shipped one.
    pub name: String,
    /// The path as the user knows it, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The user's own policy files.
#[derive(Clone, Debug, Default)]
pub struct UserFiles {
    /// Sources.
    pub sources: Vec<PolicyFile>,
    /// Playbooks.
    pub playbooks: Vec<PolicyFile>,
    /// SSM documents.
    pub runbooks: Vec<PolicyFile>,
}

/// Everything that decides, compiled.
pub struct Policy {
    /// How events are read.
    pub sources: Vec<Source>,
    /// What to do about findings.
    pub playbooks: Vec<Playbook>,
    /// What is known of runbooks.
    pub catalogue: Catalogue,
    /// Runbooks of playbooks that nobody knows: they are proposed and never started.
    pub unknown: Vec<Problem>,
    /// The user's configuration.
    pub config: Config,
    /// Which shipped files the user's own replace, in words.
    pub replaced: Vec<String>,
    /// The user's own SSM documents.
    pub documents: Vec<PolicyFile>,
    /// The playbook for findings that nobody claims.
    catch_all: usize,
    /// The same for findings of one reporter.
    catch_alls: BTreeMap<String, usize>,
    /// All patterns: the sources', the playbooks', the adjustments', in this order.
    set: PatternSet,
    claims: Vec<usize>,
    /// The sources' adjustments, then the user's: the last word is the user's.
    adjustments: Vec<Adjust>,
    /// What to read of any event: what patterns look at, and what sources read that tell everything.
    fields: Fields,
    /// That, and what the other sources read: most of their records concern nobody, so it is read of the claimed ones only.
    all_fields: Fields,
}

/// A finding with what the policy makes of it.
pub struct Judged<'t> {
    /// The finding.
    pub finding: Finding,
    /// What the policy makes of it.
    pub verdict: Verdict,
    /// The event, reduced to this finding and to the fields that deciding touches.
    pub tree: &'t Node<'t>,
    /// Which element of the event's list it is, and the list.
    pub element: Option<(&'t str, usize)>,
}

/// What the policy makes of an event.
pub enum Examined<'p, 'a> {
    /// It holds no finding: why.
    Ignored(String),
    /// It cannot be taken as a whole: why.
    Refused(String),
    /// It says how an execution is doing; where that is none of ours, the rest.
    Execution(Said, Box<Examined<'p, 'a>>),
    /// Its findings.
    Findings(Findings<'p, 'a>),
}

/// The findings of an event, judged one at a time: an event may carry many, and only one is held.
pub struct Findings<'p, 'a> {
    policy: &'p Policy,
    source: &'p Source,
    tree: Node<'a>,
    /// The patterns that match the event as a whole; none once its only finding was handed out.
    matched: Option<Vec<usize>>,
    /// The elements to come, where the source reads a list.
    elements: std::iter::Enumerate<std::vec::IntoIter<Node<'a>>>,
    now: Timestamp,
}

impl Findings<'_, '_> {
    /// Judges the next one, in the event's order.
    pub fn next(&mut self, envelope: &Envelope<'_>) -> Option<Judged<'_>> {
        let (matched, element) = match &self.source.each {
            None => (self.matched.take()?, None),
            Some(each) => {
                let (index, element) = self.elements.next()?;
                source::put_element(&mut self.tree, each, element);
                (self.policy.set.matches(&self.tree), Some((each.as_str(), index)))
            }
        };
        let (finding, verdict) = self.policy.judge(self.source, envelope, &self.tree, &matched, self.now);
        Some(Judged { finding, verdict, tree: &self.tree, element })
    }
}

impl Policy {
    /// Reads and compiles the shipped policy with the user's files over it. Every problem of every file is returned.
    pub fn load(config: Config, user: &UserFiles) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let replaced = replaced("source", shipped::SOURCES, &user.sources);
        let replaced = replaced.chain(self::replaced("playbook", shipped::PLAYBOOKS, &user.playbooks)).collect();
        let sources = merge("sources", shipped::SOURCES, &user.sources);
        let sources = read_all(&sources, &mut problems, Source::parse);
        let of_pack = |name: &str, pack: &str| name.strip_prefix(pack).is_some_and(|rest| rest.starts_with('/'));
        let (asked_for, others): (Vec<_>, Vec<_>) =
            shipped::PACKS.iter().copied().partition(|(name, _)| config.packs.iter().any(|pack| of_pack(name, pack)));
        for pack in config.packs.iter().filter(|pack| !asked_for.iter().any(|(name, _)| of_pack(name, pack))) {
            let known = others.iter().chain(&asked_for).filter_map(|(name, _)| name.split('/').next());
            let known: BTreeSet<&str> = known.collect();
            problems.push(Problem {
                file: config.file.clone(),
                line: None,
                what: format!("`packs` names {pack:?}, which is no pack"),
                help: format!("there are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
            });
        }
        let playbooks = [shipped::PLAYBOOKS, asked_for.as_slice()].concat();
        let playbooks = merge("playbooks", &playbooks, &user.playbooks);
        let playbooks = read_all(&playbooks, &mut problems, Playbook::parse);
        let takes = |of: &CatchAll| -> Vec<usize> {
            (0..playbooks.len()).filter(|i| playbooks[*i].catch_all.as_ref() == Some(of)).collect()
        };
        let general = takes(&CatchAll::All);
        for playbook in &playbooks {
            let Some(of @ CatchAll::Reporter(reporter)) = &playbook.catch_all else { continue };
            if takes(of).len() > 1 {
                problems.push(Problem {
                    file: playbook.file.clone(),
                    line: None,
                    what: format!("another playbook takes what nobody claims of {reporter}, too"),
                    help: "leave one, or name yours like the shipped one to replace it".to_owned(),
                });
            }
        }
        if general.len() != 1 && problems.is_empty() {
            let names = general.iter().map(|i| playbooks[*i].file.clone()).collect::<Vec<_>>().join(", ");
            problems.push(Problem {
                file: names,
                line: None,
                what: format!("{} playbooks have `catch-all = true`; there must be exactly one", general.len()),
                help: "to replace the shipped one, name yours `catch-all.toml`".to_owned(),
            });
        }
        let catalogue = Catalogue::load(RUNBOOKS, &user.runbooks, &mut problems);
        let (misused, unknown) = catalogue.check(&playbooks);
        problems.extend(misused);
        if problems.is_empty() {
            problems.extend(misspelt(&config, &sources, &playbooks));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let policy = Self::compile(sources, playbooks, config, general.first().copied().unwrap_or_default());
        Ok(Self { catalogue, unknown, replaced, documents: user.runbooks.clone(), ..policy })
    }

    fn compile(mut sources: Vec<Source>, playbooks: Vec<Playbook>, mut config: Config, catch_all: usize) -> Self {
        let adjustments: Vec<Adjust> = sources
            .iter_mut()
            .flat_map(|s| mem::take(&mut s.adjustments))
            .chain(mem::take(&mut config.adjustments))
            .collect();
        let of_reporter = |(i, p): (usize, &Playbook)| match &p.catch_all {
            Some(CatchAll::Reporter(reporter)) => Some((reporter.clone(), i)),
            _ => None,
        };
        let catch_alls = playbooks.iter().enumerate().filter_map(of_reporter).collect();
        let claims: Vec<usize> = (0..playbooks.len()).filter(|i| playbooks[*i].when.is_some()).collect();
        let patterns: Vec<Pattern> = sources
            .iter()
            .map(|s| s.when.clone())
            .chain(playbooks.iter().filter_map(|p| p.when.clone()))
            .chain(adjustments.iter().map(|a| a.when.clone()))
            .collect();
        let set = PatternSet::new(patterns);
        let mut fields = set.fields();
        carrier::name_fields(&mut fields);
        for playbook in &playbooks {
            playbook.name_fields(&mut fields);
        }
        for path in config.routes.iter().filter_map(|r| r.when.as_ref()).flat_map(Pattern::paths) {
            fields.insert(path.iter().map(AsRef::as_ref));
        }
        for source in &sources {
            source.name_execution(&mut fields);
        }
        for source in sources.iter().filter(|s| !s.ignore_unclaimed) {
            source.name_fields(&mut fields);
        }
        let mut all_fields = fields.clone();
        for source in sources.iter().filter(|s| s.ignore_unclaimed) {
            source.name_fields(&mut all_fields);
        }
        let (replaced, documents, unknown, catalogue) = (Vec::new(), Vec::new(), Vec::new(), Catalogue::default());
        Self {
            sources,
            playbooks,
            catalogue,
            unknown,
            config,
            replaced,
            documents,
            catch_all,
            catch_alls,
            set,
            claims,
            adjustments,
            fields,
            all_fields,
        }
    }

    /// What to read of an event before it is examined.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    fn range_of_playbooks(&self) -> Range<usize> {
        self.sources.len()..self.sources.len() + self.claims.len()
    }

    /// What the policy makes of an event, and the source that reads it.
    pub fn examine<'p: 'a, 'a>(
        &'p self,
        envelope: &mut Envelope<'a>,
        now: Timestamp,
    ) -> (Examined<'p, 'a>, Option<&'p str>) {
        let matched = self.set.matches(&envelope.tree);
        let Some(source) = matched.first().and_then(|i| self.sources.get(*i)) else {
            let (source, kind) = (cut(&envelope.source, 80), cut(&envelope.detail_type, 80));
            let reason = format!("no source reads events of {source} with detail-type {kind:?}");
            return (Examined::Ignored(reason), None);
        };
        let said = source.said(&envelope.tree);
        let read = self.read(source, envelope, matched, now);
        let read = match said {
            Some(said) => Examined::Execution(said, Box::new(read)),
            None => read,
        };
        (read, Some(&source.name))
    }

    fn read<'p: 'a, 'a>(
        &'p self,
        source: &'p Source,
        envelope: &mut Envelope<'a>,
        matched: Vec<usize>,
        now: Timestamp,
    ) -> Examined<'p, 'a> {
        let range = self.range_of_playbooks();
        if source.ignore_unclaimed && source.each.is_none() && !matched.iter().any(|i| range.contains(i)) {
            return Examined::Ignored("no playbook claims this record".to_owned());
        }
        let mut tree = mem::replace(&mut envelope.tree, Node::Null);
        if source.ignore_unclaimed
            && let Ok(more) = Node::parse_fields(envelope.text, &self.all_fields)
        {
            tree = more;
        }
        let elements = source.each.as_ref().map(|each| source::elements(&mut tree, each)).unwrap_or_default();
        match &source.each {
            Some(each) if elements.is_empty() => {
                return Examined::Ignored(format!("{each} is empty or not a list: there is no finding in this event"));
            }
            Some(each) if elements.len() > FINDINGS_MAX => {
                return Examined::Refused(format!(
                    "{each} has {} findings; at most {FINDINGS_MAX} are read",
                    elements.len()
                ));
            }
            _ => {}
        }
        let elements = elements.into_iter().enumerate();
        Examined::Findings(Findings { policy: self, source, tree, matched: Some(matched), elements, now })
    }

    fn judge(
        &self,
        source: &Source,
        envelope: &Envelope<'_>,
        tree: &Node<'_>,
        matched: &[usize],
        now: Timestamp,
    ) -> (Finding, Verdict) {
        let finding = source.read(envelope, tree, now);
        let range = self.range_of_playbooks();
        let mut claims: Vec<usize> =
            matched.iter().filter(|i| range.contains(i)).map(|i| self.claims[i - range.start]).collect();
        // The most severe claims it, then the more specific, then the name, so that the order never depends on files.
        claims.sort_by_key(|i| {
            let playbook = &self.playbooks[*i];
            let severity = playbook.severity.unwrap_or(finding.severity);
            let conditions = playbook.when.as_ref().map_or(0, Pattern::conditions);
            (std::cmp::Reverse((severity, conditions)), playbook.name.as_str())
        });
        let verdict = match claims.split_first() {
            None if source.ignore_unclaimed => Verdict::Ignored("no playbook claims this record".to_owned()),
            None => {
                let catch_all = self.catch_alls.get(&finding.reporter).unwrap_or(&self.catch_all);
                self.claim(&finding, tree, *catch_all, &[], matched, now)
            }
            Some((first, also)) => self.claim(&finding, tree, *first, also, matched, now),
        };
        (finding, verdict)
    }

    fn claim(
        &self,
        finding: &Finding,
        tree: &Node<'_>,
        index: usize,
        also: &[usize],
        matched: &[usize],
        now: Timestamp,
    ) -> Verdict {
        let playbook = &self.playbooks[index];
        let mut severity = playbook.severity.unwrap_or(finding.severity);
        let mut notes = Vec::new();
        let adjustments =
            matched.iter().filter_map(|i| self.adjustments.get(i.checked_sub(self.range_of_playbooks().end)?));
        for adjust in adjustments {
            match &adjust.change {
                // What is over must reach its card.
                Change::Suppress(until) if now < *until && finding.status == Status::Active => {
                    return Verdict::Suppressed(format!("{} (until {until})", adjust.reason));
                }
                Change::Suppress(_) => continue,
                Change::Move(steps) => severity = severity.moved(*steps),
                Change::Set(to) => severity = *to,
            }
            notes.push(format!("severity {severity}: {}", adjust.reason));
        }
        let weakness = playbook.weakness.clone().unwrap_or_else(|| format!("{}:{}", finding.reporter, finding.problem));
        let about = about(playbook.about, finding);
        let global = identity::is_global(&about.kind) || about.kind == PRINCIPAL;
        let region = (playbook.about == About::Region || !global).then(|| finding.region.clone());
        let by = playbook.threshold.iter().flat_map(|t| &t.by).map(|p| tree.text_at(p).unwrap_or_default());
        let fingerprint = fingerprint(finding, region.as_deref(), &about, &weakness, by);
        Verdict::Claimed(Box::new(Claim {
            playbook: index,
            severity,
            weakness,
            about,
            region,
            fingerprint,
            also: also.to_vec(),
            notes,
        }))
    }
}

/// Playbooks and runbooks that the configuration names and nobody has: a rail that is not there.
fn misspelt(config: &Config, sources: &[Source], playbooks: &[Playbook]) -> Vec<Problem> {
    let r = &config.remediation;
    let has = |name: &str| playbooks.iter().any(|p| p.name == name);
    let runs = |name: &str| playbooks.iter().flat_map(|p| &p.remediate).any(|m| m.runbook == name);
    let named = r
        .playbooks
        .keys()
        .map(|n| ("remediation.playbooks", n))
        .chain(config.routes.iter().flat_map(|r| &r.playbook).map(|n| ("route.playbook", n)));
    let wrong = named.filter(|(_, n)| !has(n)).map(|(at, n)| (at, "playbook", n));
    let wrong = wrong.chain(
        r.runbooks
            .iter()
            .flatten()
            .filter(|n| !runs(n))
            .map(|n| ("remediation.runbooks", "runbook of any playbook", n)),
    );
    let reports = |name: &str| sources.iter().any(|s| s.reports(name));
    let reporters = config.routes.iter().flat_map(|r| &r.reporter).filter(|n| !reports(n));
    let wrong = wrong.chain(reporters.map(|n| ("route.reporter", "reporter of any source", n)));
    wrong
        .map(|(at, kind, name)| Problem {
            file: config.file.clone(),
            line: None,
            what: format!("`{at}` names {name:?}, which is no {kind}"),
            help: "mend the name; `findings-router replay` shows names of playbooks and runbooks".to_owned(),
        })
        .collect()
}

fn replaced<'u>(
    kind: &'u str,
    shipped: &'u [(&str, &str)],
    user: &'u [PolicyFile],
) -> impl Iterator<Item = String> + 'u {
    let known = |name: &str| shipped.iter().any(|(n, _)| *n == name);
    user.iter()
        .filter(move |f| known(&f.name))
        .map(move |f| format!("{} replaces the shipped {kind} {}", f.path, f.name))
}

fn merge(folder: &str, shipped: &[(&str, &str)], user: &[PolicyFile]) -> Vec<PolicyFile> {
    let shipped = shipped.iter().map(|(name, text)| PolicyFile {
        name: (*name).to_owned(),
        path: format!("router/{folder}/{name}.toml"),
        text: (*text).to_owned(),
    });
    let files: BTreeMap<String, PolicyFile> =
        shipped.chain(user.iter().cloned()).map(|f| (f.name.clone(), f)).collect();
    files.into_values().collect()
}

fn read_all<T>(
    files: &[PolicyFile],
    problems: &mut Vec<Problem>,
    parse: impl Fn(&str, &str, &str) -> Result<T, Vec<Problem>>,
) -> Vec<T> {
    files.iter().filter_map(|f| parse(&f.name, &f.path, &f.text).map_err(|more| problems.extend(more)).ok()).collect()
}

/// What the problem is about.
fn about(about: About, finding: &Finding) -> Resource {
    let first = || finding.resources.first().cloned().unwrap_or_else(|| source::account_resource(&finding.account));
    match (about, &finding.actor) {
        (About::Account | About::Region, _) => source::account_resource(&finding.account),
        (About::Actor, Some(actor)) => {
            let kind = match actor.kind {
                ActorKind::Root => return source::account_resource(&finding.account),
                ActorKind::IamUser => "AwsIamUser",
                ActorKind::RoleSession => "AwsIamRole",
                _ => PRINCIPAL,
            };
            // IAM names users and roles without their paths, as reporters of resources do.
            let named = kind != PRINCIPAL;
            let id = if named { actor.id.rsplit('/').next().unwrap_or(&actor.id) } else { &actor.id };
            Resource {
                kind: kind.into(),
                id: id.to_owned(),
                arn: named.then(|| actor.id.clone()),
                name: (!named).then(|| actor.name.clone()),
                account: actor.account.clone().filter(|a| *a != finding.account),
                tags: Vec::new(),
            }
        }
        (About::Resource | About::Actor, _) => first(),
    }
}

/// Equal for the same problem, whoever reports it. Events are written by attackers, so the hash resists collisions; 128
/// bits of it are plenty for a name. What one account says about another's resource is a problem of its own, and so is an
/// exercise: neither can quieten the real one.
fn fingerprint<'b>(
    finding: &'b Finding,
    region: Option<&'b str>,
    about: &'b Resource,
    weakness: &'b str,
    by: impl Iterator<Item = &'b str>,
) -> String {
    let owner = about.account.as_deref().unwrap_or_default();
    let exercise = match finding.exercise {
        None => "",
        Some(Exercise::Drill) => &finding.problem,
        Some(Exercise::Sample | Exercise::Replay) => "exercise",
    };
    let parts = [&finding.account, owner, region.unwrap_or_default(), &about.kind, &about.id, weakness, exercise];
    digest(parts.into_iter().chain(by))
}
