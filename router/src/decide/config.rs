//! The user's configuration (`findings-router.toml`): accounts, adjustments, storms and remediation rails; routes and how
//! the live router is connected have files of their own.
//!
//! With no file at all everything works: what is left out has a default, stated here once.
mod live;
mod remediation;
mod route;
#[cfg(test)]
mod tests;

pub use live::{Live, Reference, Store, queue_url};
pub use remediation::{Access, Consent, Remediation, Window, of_environment};
pub use route::{Clock, DESTINATION, Destination, QuietHours, Route, Seen, To};

use super::{
    adjust::Adjust,
    identity::is_account,
    written::{Item, Problem, Written},
};
use crate::values::time;
use findings_formatters::view::Locale;
use jiff::SignedDuration;
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
    /// Changes of severity and suppressions; after those of the sources.
    pub adjustments: Vec<Adjust>,
    /// When many findings at once become one card.
    pub storm: StormLimits,
    /// What may be remediated, where, and how.
    pub remediation: Remediation,
    /// Folders of the user's own sources, playbooks and templates, as written.
    pub folders: Folders,
    /// Shipped playbooks that are loaded only where they are asked for: folders of `router/packs`.
    pub packs: Vec<String>,
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
    /// What runbooks need there: `from = "account.KEY"` in a playbook.
    pub values: BTreeMap<String, String>,
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

/// Where the user's own policy files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// Extra or overriding sources.
    pub sources: Vec<String>,
    /// Extra or overriding playbooks.
    pub playbooks: Vec<String>,
    /// Extra or overriding templates.
    pub templates: Vec<String>,
    /// SSM documents of one's own, so that their parameters are known.
    pub runbooks: Vec<String>,
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
            packs: Vec::new(),
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
            root.get("adjust").map(|a| a.list()).unwrap_or_default().iter().filter_map(Adjust::read).collect();
        if let Some(table) = root.get("storm").and_then(|s| s.table()) {
            set(&mut config.storm.cards, table.get("cards").and_then(|c| c.whole(1, 100)));
            set(&mut config.storm.window, table.get("window").and_then(|w| w.parse(some_time)));
            table.finish();
        }
        if let Some(table) = root.get("remediation").and_then(|r| r.table()) {
            config.remediation = remediation::read_remediation(table);
        }
        let folder = |key| root.get(key).map(|f| f.texts()).unwrap_or_default();
        config.folders = Folders {
            sources: folder("sources"),
            playbooks: folder("playbooks"),
            templates: folder("templates"),
            runbooks: folder("runbooks"),
        };
        config.packs = folder("packs");
        root.finish();
        config.check_names(&doc);
        (config, doc.problems())
    }

    /// A misspelt name in a rail or a route would be a rail or a route that is not there.
    fn check_names(&self, doc: &Written<'_>) {
        let r = &self.remediation;
        let known = |e: &str| self.accounts.values().any(|a| a.environment.as_deref() == Some(e));
        let consent = &r.approval;
        let environments = r.environments.keys().chain(r.effects.keys()).chain(r.windows.keys());
        let environments = environments.chain(consent.approvers.keys()).chain(consent.two_people.keys());
        let environments = environments.filter(|e| *e != "*");
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
    let values = table.get("values").and_then(|v| v.table()).map(|t| t.entries()).unwrap_or_default();
    let values = values.into_iter().filter_map(|(key, v)| Some((key, v.text()?.to_owned()))).collect();
    let account = Account { name: text("name"), environment: text("environment"), owner: text("owner"), values };
    table.finish();
    Some(account)
}

/// A window of no time would count nothing: a limit that is not there.
fn some_time(text: &str) -> Result<SignedDuration, String> {
    match time::parse_duration(text)? {
        none if none.is_zero() => Err(format!("{text:?} is no time at all; write for example \"10m\"")),
        span => Ok(span),
    }
}
