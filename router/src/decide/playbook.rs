//! Playbooks: our policy for one kind of finding, as data (`router/playbooks/**/*.toml`).
//!
//! A playbook says which findings it claims, how bad they are, what to tell in which language, and which runbook answers
//! them with which parameters. Everything a parameter takes from an event must match a pattern of the playbook's own,
//! because an attacker writes events.
mod claims;
#[cfg(test)]
mod tests;

use super::{
    pattern::{self, Pattern},
    source::{name_pointer, pattern},
    written::{Item, Problem, Table, Written},
};
use crate::values::{
    action::Effect,
    severity::Severity,
    time,
    tree::{Fields, Node},
};
use findings_formatters::view::Locale;
use jiff::SignedDuration;
use regex_lite::Regex;
use std::{cell::RefCell, collections::HashSet};

/// A card shows at most so many steps.
const STEPS_MAX: usize = 4;
/// SSM refuses longer parameter values (`StartAutomationExecution`, 512 characters).
pub const VALUE_MAX: usize = 512;
/// An undo is offered for so long, where a playbook says nothing else.
const UNDO_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What to do about one kind of finding.
#[derive(Debug)]
pub struct Playbook {
    /// Path of its file below the folder, without `.toml`.
    pub name: String,
    /// The file, for messages.
    pub file: String,
    /// What it detects, one line.
    pub summary: String,
    /// Whose findings it takes that nobody claims; none for a playbook that claims.
    pub catch_all: Option<CatchAll>,
    /// The kind of problem; none for a catch-all, which derives it from reporter and type.
    pub weakness: Option<String>,
    /// ATT&CK techniques.
    pub attack: Vec<String>,
    /// What it claims; none for a catch-all.
    pub when: Option<Pattern>,
    /// Overrides the producer's severity.
    pub severity: Option<Severity>,
    /// A reminder after this long without telling.
    pub quiet: SignedDuration,
    /// An act's episode closes after this long without a new one; a problem that comes back later than this is new.
    pub memory: SignedDuration,
    /// What the problem is about.
    pub about: About,
    /// Counted only, until so many came.
    pub threshold: Option<Threshold>,
    /// English texts.
    pub tell: Texts,
    /// Japanese texts.
    pub tell_ja: Option<Texts>,
    /// Runbooks that answer it.
    pub remediate: Vec<Remediate>,
}

/// Whose findings a playbook takes that nobody claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatchAll {
    /// Everybody's.
    All,
    /// This reporter's.
    Reporter(String),
}

/// What a problem is about: the resource, who did it, or the account, as a whole or in one Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The finding's first resource.
    Resource,
    /// The actor; the resource where the event names nobody.
    Actor,
    /// The account, whatever Region tells.
    Account,
    /// The account in the finding's Region: settings that each Region has of its own.
    Region,
}

/// Tell only when `count` came `within` a time, counted per values of `by`.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// How many.
    pub count: u32,
    /// In how long.
    pub within: SignedDuration,
    /// JSON Pointers whose values are counted apart; the problem is then about these values.
    pub by: Vec<String>,
}

/// What people read: Tera templates that render to plain text.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// One line: what happened.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// What to do now, at most four steps.
    pub next: Vec<String>,
}

/// A runbook that answers the finding.
#[derive(Clone, Debug)]
pub struct Remediate {
    /// The SSM Automation document.
    pub runbook: String,
    /// Its parameters, in the playbook's order.
    pub with: Vec<(String, Value)>,
    /// How far it reaches.
    pub effect: Effect,
    /// The runbook that takes it back.
    pub undo: Option<Undo>,
    /// How long the source may take to agree before the card says *applied, not verified*.
    pub deadline: SignedDuration,
}

/// A runbook that takes another one back.
#[derive(Clone, Debug)]
pub struct Undo {
    /// The SSM Automation document.
    pub runbook: String,
    /// Its parameters.
    pub with: Vec<(String, Value)>,
    /// For so long it is offered.
    pub within: SignedDuration,
}

/// Where a parameter's value comes from. (Patterns are kept as text: compiled, all of them take megabytes, and few are ever used.)
#[derive(Clone, Debug)]
pub enum Value {
    /// A constant list; a single string is a list of one.
    Constant(Vec<String>),
    /// A JSON Pointer into the event, accepted only if it matches.
    At(String, String),
    /// A canonical value of the finding, accepted only if it matches.
    From(From, String),
    /// An output of the execution that is taken back, each value accepted only if it matches.
    Output(String, String),
}

/// A canonical value of the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// `resource.id`
    ResourceId,
    /// `resource.arn`
    ResourceArn,
    /// `resource.name`
    ResourceName,
    /// `account.id`
    AccountId,
    /// `region`
    Region,
    /// `actor.name`
    ActorName,
    /// `actor.id`
    ActorId,
    /// `actor.user`: the name of the IAM user, where it is one.
    ActorUser,
    /// `actor.role`: the name of the role, where it is one.
    ActorRole,
    /// `actor.access-key`: the long-lived access key, where it is one.
    ActorAccessKey,
    /// `account.KEY`: a value of the account directory.
    Account(String),
}

impl std::str::FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "resource.id" => Self::ResourceId,
            "resource.arn" => Self::ResourceArn,
            "resource.name" => Self::ResourceName,
            "account.id" => Self::AccountId,
            "region" => Self::Region,
            "actor.name" => Self::ActorName,
            "actor.id" => Self::ActorId,
            "actor.user" => Self::ActorUser,
            "actor.role" => Self::ActorRole,
            "actor.access-key" => Self::ActorAccessKey,
            _ => match text.strip_prefix("account.") {
                Some(key) if !key.is_empty() => Self::Account(key.to_owned()),
                _ => {
                    return Err(format!(
                        "{text:?} is no value of a finding; there are resource.id, resource.arn, resource.name, region, actor.name, actor.id, actor.user, actor.role, actor.access-key, account.id and account.KEY (a value of the account directory)"
                    ));
                }
            },
        })
    }
}

impl Playbook {
    /// Reads a playbook file; every mistake in it is returned.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let doc = Written::parse(file, text);
        let root = doc.root();
        let catch_all = root.get("catch-all").and_then(|item| {
            if item.is_text() {
                return item.parse(kebab).map(CatchAll::Reporter);
            }
            item.truth().filter(|is| *is).map(|_| CatchAll::All)
        });
        let text = |key, help| root.need(key, help).and_then(|t| t.text().map(str::to_owned));
        let summary = text("summary", "say in one line what it detects");
        let attack = root.get("attack").map(|a| a.texts()).unwrap_or_default();
        let (mut weakness, mut when) = (None, None);
        if catch_all.is_some() {
            for item in [root.get("when"), root.get("claims")].into_iter().flatten() {
                item.fail("a catch-all claims what nobody else does", "leave `when` and `claims` out");
            }
        } else {
            weakness = root
                .need("weakness", "the kind of problem, for example \"s3-bucket-public\"")
                .and_then(|w| w.parse(kebab));
            when = claimed(&root);
        }
        let judge = Judge::read(root.get("judge"));
        let (tell, tell_ja) = root
            .need("tell", "what to say: title, why, next")
            .and_then(|t| t.table())
            .map(|table| {
                let ja = table.get("ja").and_then(|j| j.table()).map(Texts::read);
                (Texts::read(table), ja)
            })
            .unwrap_or_default();
        let remediate = root.get("remediate").map(|r| r.list()).unwrap_or_default();
        let mut read: Vec<Remediate> = Vec::new();
        for item in &remediate {
            let Some(r) = item.table().and_then(Remediate::read) else { continue };
            // A start is known by its runbook: of two, one would be taken for the other's retry.
            if read.iter().any(|known| known.runbook == r.runbook) {
                item.fail(format!("{} is named twice", r.runbook), "one remediation per runbook and playbook");
            }
            read.push(r);
        }
        let remediate = read;
        root.finish();
        let problems = doc.problems();
        let summary = match summary {
            Some(summary) if problems.is_empty() => summary,
            _ => return Err(problems),
        };
        Ok(Self {
            name: name.to_owned(),
            file: file.to_owned(),
            summary,
            catch_all,
            weakness,
            attack,
            when,
            severity: judge.severity,
            quiet: judge.quiet,
            memory: judge.memory,
            about: judge.about,
            threshold: judge.threshold,
            tell,
            tell_ja,
            remediate,
        })
    }

    /// The texts in a language; English where there is no translation.
    pub fn texts(&self, locale: Locale) -> &Texts {
        match locale {
            Locale::Ja => self.tell_ja.as_ref().unwrap_or(&self.tell),
            Locale::En => &self.tell,
        }
    }

    /// Whether a text of it names the event itself, which then has to be read whole.
    pub fn shows_event(&self) -> bool {
        self.all_texts().any(|(_, text)| text.contains("detail"))
    }

    /// What messages call one of its texts: the file and the key.
    pub fn text_name(&self, locale: Locale, key: &str) -> String {
        let language = if locale == Locale::Ja && self.tell_ja.is_some() { "tell.ja" } else { "tell" };
        format!("{} ({language}.{key})", self.file)
    }

    /// Every text of it, in every language that it speaks, with its name.
    pub fn all_texts(&self) -> impl Iterator<Item = (String, &str)> {
        let languages = [Some((Locale::En, &self.tell)), self.tell_ja.as_ref().map(|ja| (Locale::Ja, ja))];
        languages.into_iter().flatten().flat_map(move |(locale, tell)| {
            tell.named().into_iter().map(move |(key, text)| (self.text_name(locale, &key), text))
        })
    }

    /// Names every field that deciding touches (what is only shown is read later, when it is shown).
    pub fn name_fields(&self, fields: &mut Fields) {
        for pointer in self.threshold.iter().flat_map(|t| &t.by) {
            name_pointer(fields, pointer);
        }
        let undone = self.remediate.iter().filter_map(|r| r.undo.as_ref()).flat_map(|u| &u.with);
        for (_, value) in self.remediate.iter().flat_map(|r| &r.with).chain(undone) {
            if let Value::At(pointer, _) = value {
                name_pointer(fields, pointer);
            }
        }
    }
}

struct Judge {
    severity: Option<Severity>,
    quiet: SignedDuration,
    memory: SignedDuration,
    about: About,
    threshold: Option<Threshold>,
}

impl Judge {
    fn read(item: Option<Item<'_>>) -> Self {
        let day = SignedDuration::from_hours(24);
        let mut judge = Self { severity: None, quiet: day, memory: day, about: About::Resource, threshold: None };
        let Some(table) = item.and_then(|i| i.table()) else { return judge };
        judge.severity = table.get("severity").and_then(|s| s.parse(str::parse));
        judge.quiet = table.get("quiet").and_then(|q| q.parse(time::parse_duration)).unwrap_or(day);
        judge.memory = table.get("memory").and_then(|m| m.parse(time::parse_duration)).unwrap_or(day);
        let about = [
            ("resource", About::Resource),
            ("actor", About::Actor),
            ("account", About::Account),
            ("region", About::Region),
        ];
        judge.about = table.get("about").and_then(|a| a.word(&about)).unwrap_or(About::Resource);
        judge.threshold = table.get("threshold").and_then(|t| t.table()).and_then(|table| {
            let count = table.need("count", "how many").and_then(|c| c.whole(2, 1_000));
            let within =
                table.need("within", "in how long, for example \"10m\"").and_then(|w| w.parse(time::parse_duration));
            let by = table.get("by").map(|b| b.list().iter().filter_map(pointer).collect()).unwrap_or_default();
            table.finish();
            Some(Threshold { count: count?, within: within?, by })
        });
        table.finish();
        judge
    }
}

impl Texts {
    /// Its texts with their keys.
    pub fn named(&self) -> Vec<(String, &str)> {
        let steps = self.next.iter().enumerate().map(|(i, step)| (format!("next[{i}]"), step.as_str()));
        [("title".to_owned(), self.title.as_str()), ("why".to_owned(), self.why.as_str())]
            .into_iter()
            .chain(steps)
            .collect()
    }

    fn read(table: Table<'_>) -> Self {
        let text = |key, help| table.need(key, help).and_then(|t| t.text().map(str::to_owned)).unwrap_or_default();
        let title = text("title", "one line: what happened");
        let why = text("why", "one or two sentences: why it matters");
        let next = table.need("next", "what to do now, at most four steps");
        let steps = next.as_ref().map(Item::texts).unwrap_or_default();
        if steps.len() > STEPS_MAX
            && let Some(next) = next
        {
            next.fail(
                format!("{} steps; a card shows at most {STEPS_MAX}", steps.len()),
                "keep the ones that matter at 3 a.m.",
            );
        }
        // The other language lives in a table inside this one.
        let _ = table.get("ja");
        table.finish();
        Self { title, why, next: steps }
    }
}

impl Remediate {
    fn read(table: Table<'_>) -> Option<Self> {
        let runbook =
            table.need("runbook", "the name of an SSM Automation document").and_then(|r| r.parse(document_name));
        let with = table.get("with").and_then(|w| w.table()).map(|w| values(&w, false)).unwrap_or_default();
        let effect = table
            .need("effect", "harmless, reversible, disruptive or destructive")
            .and_then(|e| e.word(&Effect::WORDS));
        let undo = table.get("undo").and_then(|u| u.table()).and_then(|undo| {
            let runbook = undo.need("runbook", "the runbook that takes it back").and_then(|r| r.parse(document_name));
            let with = undo.get("with").and_then(|w| w.table()).map(|w| values(&w, true)).unwrap_or_default();
            let within = undo.get("within").and_then(|w| w.parse(time::parse_duration));
            undo.finish();
            Some(Undo { runbook: runbook?, with, within: within.unwrap_or(UNDO_WITHIN) })
        });
        let deadline = table.get("deadline").and_then(|d| d.parse(time::parse_duration));
        table.finish();
        Some(Self {
            runbook: runbook?,
            with,
            effect: effect?,
            undo,
            deadline: deadline.unwrap_or(SignedDuration::from_hours(24)),
        })
    }
}

fn values(table: &Table<'_>, undo: bool) -> Vec<(String, Value)> {
    table.entries().into_iter().filter_map(|(name, item)| Some((name, value(&item, undo)?))).collect()
}

fn value(item: &Item<'_>, undo: bool) -> Option<Value> {
    if !item.is_table() {
        let constants = item.texts();
        if constants.iter().any(|c| c.chars().count() > VALUE_MAX) {
            item.fail(format!("a value is longer than {VALUE_MAX} characters, which SSM refuses"), "");
        }
        return Some(Value::Constant(constants));
    }
    let table = item.table()?;
    let help = "events are written by attackers: say what the value must look like, anchored with ^ and $";
    let must = table.need("pattern", help).and_then(|p| p.parse(|text| compiles(text).map(|()| text.to_owned())));
    let at = table.get("at").and_then(|a| pointer(&a));
    let from = table.get("from").and_then(|f| f.parse(str::parse));
    let output = table.get("output").and_then(|o| o.text().map(str::to_owned));
    let said = ["at", "from", "output"].into_iter().filter(|key| table.get(key).is_some()).count();
    table.finish();
    let help =
        "write one of `at = \"/detail/…\"`, `from = \"resource.id\"` and, in an undo, `output = \"Step.Output\"`";
    if said != 1 {
        item.fail("must say once where the value comes from", help);
    } else if output.is_some() && !undo {
        item.fail("only an undo can take an output: nothing has run before a remediation", help);
    }
    let must = must?;
    at.map(|at| Value::At(at, must.clone()))
        .or_else(|| from.map(|from| Value::From(from, must.clone())))
        .or_else(|| output.map(|output| Value::Output(output, must)))
}

/// What a playbook claims: by `claims`, by `when`, or by either.
fn claimed(root: &Table<'_>) -> Option<Pattern> {
    let Some(claims) = root.get("claims") else {
        return root
            .need("when", "an EventBridge event pattern that names the kind of finding; or `[claims]`")
            .and_then(|w| pattern(&w));
    };
    let patterns = claims::patterns(claims.table()?);
    if patterns.is_empty() {
        return None;
    }
    let mut ways: Vec<Node<'_>> = patterns.iter().map(pattern::node).collect();
    if let Some(when) = root.get("when") {
        pattern(&when)?;
        ways.push(when.node());
    }
    // (There is always more than one: each claim is told in several forms.)
    let all = Pattern::from_node(&Node::Object(vec![("$or".into(), Node::Array(ways))]));
    all.map_err(|error| claims.fail(error, "write names as the services do; `*` stands for anything")).ok()
}

/// Whether the pattern of a parameter is one. Playbooks share a few, and compiling each again would be a fifth of the start.
fn compiles(text: &str) -> Result<(), String> {
    thread_local!(static KNOWN: RefCell<HashSet<String>> = RefCell::default());
    if !KNOWN.with_borrow(|known| known.contains(text)) {
        anchored(text)?;
        KNOWN.with_borrow_mut(|known| known.insert(text.to_owned()));
    }
    Ok(())
}

/// The pattern of a parameter's whole value.
pub fn anchored(text: &str) -> Result<Regex, String> {
    if !(text.starts_with('^') && text.ends_with('$')) {
        return Err(format!(
            "the pattern {text:?} is not anchored; write ^ in front and $ behind, so that it says what the whole value looks like"
        ));
    }
    // (`^a|b$` is anchored at neither end of either.)
    Regex::new(&format!("^(?:{text})$")).map_err(|e| format!("not a regular expression: {e}"))
}

/// A JSON Pointer into the event.
pub(super) fn pointer(item: &Item<'_>) -> Option<String> {
    item.parse(|text| {
        if text.starts_with('/') {
            Ok(text.to_owned())
        } else {
            Err(format!("{text:?} is not a JSON Pointer; write for example \"/{text}\""))
        }
    })
}

/// `[a-zA-Z0-9_\-.:/]{3,128}` (the SSM API's own pattern for `DocumentName`).
fn document_name(text: &str) -> Result<String, String> {
    let good =
        (3..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not the name of an SSM document (3 to 128 of a-z A-Z 0-9 _ - . : /)"))
    }
}

fn kebab(text: &str) -> Result<String, String> {
    let good = !text.is_empty()
        && text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not in kebab-case; write for example \"s3-bucket-public\""))
    }
}
