//! The user's configuration (`findings-router.toml`): accounts, adjustments, storms and remediation rails; routes and how
//! the live router is connected have files of their own.
//!
//! With no file at all everything works: what is left out has a default, stated here once.
mod live;
mod route;
#[cfg(test)]
mod tests;

pub use live::{Live, Reference, Store, queue_url};
pub use route::{Clock, DESTINATION, Destination, QuietHours, Route, Seen, To};

use super::{
    identity::is_account,
    pattern::Pattern,
    source::pattern,
    written::{Item, Problem, Table, Written},
};
use crate::values::{
    action::{Effect, Mode},
    severity::Severity,
    time,
};
use findings_formatters::view::Locale;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use std::collections::BTreeMap;

/// Everything a user can set.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from, for messages.
    pub file: String,
    /// The language of cards.
    pub locale: Locale,
    /// The account directory, by account id.
    pub accounts: BTreeMap<String, Account>,
    /// Whom to call, by the owner's name: the id of a Slack user or user group.
    pub owners: BTreeMap<String, String>,
    /// Time zone, quiet hours, time of digests.
    pub clock: Clock,
    /// The channel where the router tells what it could not do.
    pub operations: Option<String>,
    /// How the live router is connected.
    pub live: Live,
    /// Ordered; the first that matches takes it, unless it says `continue`.
    pub routes: Vec<Route>,
    /// Changes of severity and suppressions.
    pub adjustments: Vec<Adjust>,
    /// When many findings at once become one card.
    pub storm: StormLimits,
    /// What may be remediated, where, and how.
    pub remediation: Remediation,
    /// Folders of the user's own sources, playbooks and templates, as written.
    pub folders: Folders,
}

/// An account as people call it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: Option<String>,
    /// `production`, `staging`, …: what the rails know an account by.
    pub environment: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
}

/// What an adjustment does to the findings it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Raises (or, negative, lowers) the severity by steps.
    Move(i8),
    /// Sets the severity.
    Set(Severity),
    /// Tells and does nothing until then.
    Suppress(Timestamp),
}

/// A change of how findings are judged, with its reason.
#[derive(Debug)]
pub struct Adjust {
    /// Which events.
    pub when: Pattern,
    /// Why; shown by `explain`, and on a suppressed finding.
    pub reason: String,
    /// What it does.
    pub change: Change,
}

/// Sliding limits, so that many findings at once do not flood a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StormLimits {
    /// So many get cards of their own.
    pub cards: u32,
    /// Within this time.
    pub window: SignedDuration,
}

impl Default for StormLimits {
    fn default() -> Self {
        Self { cards: 3, window: SignedDuration::from_mins(10) }
    }
}

/// The rails of remediation. The defaults allow proposing, and nothing else.
#[derive(Debug)]
pub struct Remediation {
    /// The mode where no other is set.
    pub mode: Mode,
    /// The furthest mode by environment.
    pub environments: BTreeMap<String, Mode>,
    /// The mode by playbook, within its environment's.
    pub playbooks: BTreeMap<String, Mode>,
    /// Wins over everything: say what would be done, do nothing.
    pub dry_run: bool,
    /// Nothing is started, whatever else is set.
    pub kill_switch: bool,
    /// Only in these accounts; none by default.
    pub accounts: Vec<String>,
    /// Only in these Regions; all where nothing is said.
    pub regions: Option<Vec<String>>,
    /// Only these runbooks; all that playbooks name where nothing is said.
    pub runbooks: Option<Vec<String>>,
    /// Only findings at least this severe.
    pub min_severity: Severity,
    /// The furthest effect by environment; `*` for the others. Environments without one: harmless only.
    pub effects: BTreeMap<String, Effect>,
    /// Resources never touched: ids or ARNs, `*` stands for anything.
    pub protected: Vec<String>,
    /// Resources with one of these tags (`key` or `key=value`), or whose tags are not known, are never touched.
    pub protected_tags: Vec<String>,
    /// Resources with one of these tag keys, or whose tags are not known, belong to infrastructure as code: proposed only.
    pub propose_tags: Vec<String>,
    /// Not again on the same resource before this has passed.
    pub cooldown: SignedDuration,
    /// At most so many starts of one runbook in one account.
    pub budget: u32,
    /// Within this time.
    pub budget_within: SignedDuration,
}

impl Default for Remediation {
    fn default() -> Self {
        Self {
            mode: Mode::Propose,
            environments: BTreeMap::new(),
            playbooks: BTreeMap::new(),
            dry_run: false,
            kill_switch: false,
            accounts: Vec::new(),
            regions: None,
            runbooks: None,
            min_severity: Severity::Medium,
            effects: BTreeMap::new(),
            protected: Vec::new(),
            protected_tags: Vec::new(),
            propose_tags: Vec::new(),
            cooldown: SignedDuration::from_hours(1),
            budget: 5,
            budget_within: SignedDuration::from_hours(1),
        }
    }
}

/// Where the user's own policy files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// Extra or overriding sources.
    pub sources: Vec<String>,
    /// Extra or overriding playbooks.
    pub playbooks: Vec<String>,
    /// Extra or overriding templates.
    pub templates: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: String::new(),
            locale: Locale::En,
            accounts: BTreeMap::new(),
            owners: BTreeMap::new(),
            clock: Clock::default(),
            operations: None,
            live: Live::default(),
            routes: Vec::new(),
            adjustments: Vec::new(),
            storm: StormLimits::default(),
            remediation: Remediation::default(),
            folders: Folders::default(),
        }
    }
}

impl Config {
    /// Reads the configuration file: what could be read, and every mistake in it.
    pub fn parse(file: &str, text: &str) -> (Self, Vec<Problem>) {
        let doc = Written::parse(file, text);
        let root = doc.root();
        let mut config = Self { file: file.to_owned(), ..Self::default() };
        if let Some(locale) = root.get("locale").and_then(|l| l.word(&[("en", Locale::En), ("ja", Locale::Ja)])) {
            config.locale = locale;
        }
        for (id, item) in root.get("accounts").and_then(|a| a.table()).map(|t| t.entries()).unwrap_or_default() {
            if let Some(account) = read_account(&id, &item) {
                config.accounts.insert(id, account);
            }
        }
        let owners = root.get("owners").and_then(|o| o.table()).map(|t| t.entries()).unwrap_or_default();
        config.owners =
            owners.into_iter().filter_map(|(name, item)| Some((name, item.parse(route::person)?))).collect();
        config.clock = route::read_clock(&root);
        config.operations = root.get("operations").and_then(|o| o.parse(route::channel));
        config.live = live::read_live(&root);
        config.routes =
            root.get("route").map(|r| r.list()).unwrap_or_default().iter().filter_map(route::read_route).collect();
        config.adjustments =
            root.get("adjust").map(|a| a.list()).unwrap_or_default().iter().filter_map(read_adjust).collect();
        if let Some(table) = root.get("storm").and_then(|s| s.table()) {
            set(&mut config.storm.cards, table.get("cards").and_then(|c| c.whole(1, 100)));
            set(&mut config.storm.window, table.get("window").and_then(|w| w.parse(some_time)));
            table.finish();
        }
        if let Some(table) = root.get("remediation").and_then(|r| r.table()) {
            config.remediation = read_remediation(table);
        }
        let folder = |key| root.get(key).map(|f| f.texts()).unwrap_or_default();
        config.folders =
            Folders { sources: folder("sources"), playbooks: folder("playbooks"), templates: folder("templates") };
        root.finish();
        config.check_names(&doc);
        (config, doc.problems())
    }

    /// A misspelt name in a rail or a route would be a rail or a route that is not there.
    fn check_names(&self, doc: &Written<'_>) {
        let r = &self.remediation;
        let known = |e: &str| self.accounts.values().any(|a| a.environment.as_deref() == Some(e));
        let environments = r.environments.keys().chain(r.effects.keys()).filter(|e| *e != "*");
        let environments = environments
            .map(|e| ("remediation", e))
            .chain(self.routes.iter().flat_map(|r| &r.environment).map(|e| ("route", e)));
        for (place, e) in environments.filter(|(_, e)| !known(e)) {
            doc.problem(
                format!("`{place}` names the environment {e:?}, which no account has"),
                "give an account that environment, or mend the name",
            );
        }
        let accounts = r.accounts.iter().map(|a| ("remediation.accounts", a));
        for (place, id) in accounts.filter(|(_, id)| !self.accounts.contains_key(*id)) {
            doc.problem(
                format!("`{place}` names the account {id:?}, which is not in the directory"),
                "add [accounts.…], or mend the id",
            );
        }
        let of_owner = self.routes.iter().any(|r| r.mention.iter().any(|m| m == route::OWNER));
        if of_owner && self.owners.is_empty() {
            doc.problem(
                "`route` mentions the owner, but nobody knows how to call one",
                "add [owners], for example team-shop = \"S0123ABCD\"",
            );
        }
        let owner = |o: &str| self.accounts.values().any(|a| a.owner.as_deref() == Some(o));
        for o in self.routes.iter().flat_map(|r| &r.owner).filter(|o| !owner(o)) {
            doc.problem(
                format!("`route` names the owner {o:?}, whom no account has"),
                "give an account that owner, or mend the name",
            );
        }
    }

    /// What is known of an account.
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id)
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// A list of account ids; a misspelt one would be a rail that is not there.
fn accounts(item: Option<Item<'_>>) -> Vec<String> {
    let read = |id: &str| is_account(id).then(|| id.to_owned()).ok_or_else(|| format!("{id:?} is not twelve digits"));
    item.map(|i| i.list().iter().filter_map(|id| id.parse(read)).collect()).unwrap_or_default()
}

fn read_account(id: &str, item: &Item<'_>) -> Option<Account> {
    if !is_account(id) {
        item.fail("is not an account id", "twelve digits in quotes: [accounts.\"012345678901\"]");
    }
    let table = item.table()?;
    let text = |key| table.get(key).and_then(|t| t.text().map(str::to_owned));
    let account = Account { name: text("name"), environment: text("environment"), owner: text("owner") };
    table.finish();
    Some(account)
}

fn read_adjust(item: &Item<'_>) -> Option<Adjust> {
    let table = item.table()?;
    let when = table.need("when", "an event pattern: which findings").and_then(|w| pattern(&w));
    let reason =
        table.need("reason", "why, for the person who finds it missing").and_then(|r| r.text().map(str::to_owned));
    let step = |key, sign: i8| Some(Change::Move(sign * i8::try_from(table.get(key)?.whole(1, 4)?).ok()?));
    let changes = [
        step("raise", 1),
        step("lower", -1),
        table.get("severity").and_then(|s| s.parse(str::parse)).map(Change::Set),
        table.get("suppress-until").and_then(|u| u.parse(day_or_instant)).map(Change::Suppress),
    ];
    let said =
        ["raise", "lower", "severity", "suppress-until"].into_iter().filter(|key| table.get(key).is_some()).count();
    let change = changes.into_iter().flatten().next();
    if said != 1 {
        item.fail("must do exactly one thing", "write one of `raise`, `lower`, `severity`, `suppress-until`");
    }
    table.finish();
    Some(Adjust { when: when?, reason: reason?, change: change? })
}

/// A day ends when it ends in UTC; a suppression without an end is refused.
fn day_or_instant(text: &str) -> Result<Timestamp, String> {
    let help = || format!("{text:?} is not a day or an instant; write \"2026-12-31\" or \"2026-12-31T18:00:00Z\"");
    if let Ok(day) = text.parse::<Date>() {
        let end = day.tomorrow().and_then(|d| d.to_zoned(TimeZone::UTC)).map_err(|_| help())?;
        return Ok(end.timestamp());
    }
    text.parse().map_err(|_| help())
}

/// A window of no time would count nothing: a limit that is not there.
fn some_time(text: &str) -> Result<SignedDuration, String> {
    match time::parse_duration(text)? {
        none if none.is_zero() => Err(format!("{text:?} is no time at all; write for example \"10m\"")),
        span => Ok(span),
    }
}

fn protected_id(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && !text.contains(char::is_whitespace) && !text.contains("://");
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is neither an id nor an ARN; write for example \"prod-*\" or \"arn:aws:s3:::prod-*\""))
    }
}

fn read_remediation(table: Table<'_>) -> Remediation {
    let mut r = Remediation::default();
    set(&mut r.mode, table.get("mode").and_then(|m| m.word(&Mode::WORDS)));
    let modes = |key| {
        let entries = table.get(key).and_then(|m| m.table()).map(|t| t.entries()).unwrap_or_default();
        entries.into_iter().filter_map(|(k, v)| Some((k, v.word(&Mode::WORDS)?))).collect()
    };
    (r.environments, r.playbooks) = (modes("environments"), modes("playbooks"));
    set(&mut r.dry_run, table.get("dry-run").and_then(|d| d.truth()));
    set(&mut r.kill_switch, table.get("kill-switch").and_then(|k| k.truth()));
    let texts = |key| table.get(key).map(|t| t.texts());
    r.accounts = accounts(table.get("accounts"));
    (r.regions, r.runbooks) = (texts("regions"), texts("runbooks"));
    let protected = table.get("protected").map(|t| t.list()).unwrap_or_default();
    r.protected = protected.iter().filter_map(|p| p.parse(protected_id)).collect();
    set(&mut r.protected_tags, texts("protected-tags"));
    set(&mut r.propose_tags, texts("propose-tags"));
    set(&mut r.min_severity, table.get("min-severity").and_then(|s| s.parse(str::parse)));
    let effects = table.get("effects").and_then(|e| e.table()).map(|t| t.entries()).unwrap_or_default();
    r.effects = effects.into_iter().filter_map(|(k, v)| Some((k, v.word(&Effect::WORDS)?))).collect();
    set(&mut r.cooldown, table.get("cooldown").and_then(|c| c.parse(time::parse_duration)));
    if let Some(budget) = table.get("budget").and_then(|b| b.table()) {
        set(&mut r.budget, budget.need("starts", "how many at most, for example 5").and_then(|s| s.whole(0, 1_000)));
        set(&mut r.budget_within, budget.get("within").and_then(|w| w.parse(some_time)));
        budget.finish();
    }
    table.finish();
    r
}
