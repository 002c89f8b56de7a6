//! What may be remediated, where, when, by whose consent and in which role. The defaults allow proposing, nothing else.
use super::{accounts, set, some_time};
use crate::{
    decide::written::{Item, Table},
    values::{
        action::{Effect, Mode},
        severity::Severity,
        time,
    },
};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use std::collections::BTreeMap;

use super::Reference;

/// The rails of remediation.
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
    /// At most so many executions at the same time.
    pub concurrent: u32,
    /// A runbook that failed so often is not started …
    pub breaker: u32,
    /// … until its failures are this old.
    pub breaker_within: SignedDuration,
    /// Only in these hours, by environment; `*` for the others. At any time where nothing is said.
    pub windows: BTreeMap<String, Vec<Window>>,
    /// Only while all these change calendars (names or ARNs) are open.
    pub calendars: Vec<String>,
    /// Who may approve what.
    pub approval: Consent,
    /// How the router gets into an account.
    pub access: Access,
}

/// Who may approve, for how long, and when it takes two.
#[derive(Debug)]
pub struct Consent {
    /// An offer stands for so long.
    pub expires: SignedDuration,
    /// Slack users (`U…`) and user groups (`S…`) by environment; `*` for the others. Nobody else may approve.
    pub approvers: BTreeMap<String, Vec<String>>,
    /// From this effect on it takes two, by environment; `*` for the others.
    pub two_people: BTreeMap<String, Effect>,
    /// The AWS identities of people: whoever caused a problem does not approve its remedy.
    pub people: BTreeMap<String, Vec<String>>,
}

/// How the router gets into the account of a resource.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The role to assume there; `{account}`, `{partition}` and `{region}` are filled in. Without one, only the router's own account.
    pub role: Option<String>,
    /// The external id that the role demands.
    pub external_id: Option<Reference>,
    /// The role that runbooks run in (`AutomationAssumeRole`); `{runbook}` is filled in too.
    pub automation_role: Option<String>,
}

/// Hours of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    text: String,
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
            concurrent: 10,
            breaker: 3,
            breaker_within: SignedDuration::from_hours(24),
            windows: BTreeMap::new(),
            calendars: Vec::new(),
            approval: Consent {
                expires: SignedDuration::from_hours(4),
                approvers: BTreeMap::new(),
                two_people: BTreeMap::from([("*".to_owned(), Effect::Destructive)]),
                people: BTreeMap::new(),
            },
            access: Access::default(),
        }
    }
}

/// What is set for an environment, or for all others; an account without one is among the others.
pub fn of_environment<'a, T>(map: &'a BTreeMap<String, T>, environment: Option<&str>) -> Option<&'a T> {
    environment.and_then(|e| map.get(e)).or_else(|| map.get("*"))
}

impl Window {
    /// Whether it is within these hours. Those that end before they begin end on the next day.
    pub fn holds(&self, zone: &TimeZone, now: Timestamp) -> bool {
        let shown = now.to_zoned(zone.clone());
        let (day, hour) = (shown.weekday(), shown.time());
        if self.from < self.to {
            return self.days.contains(&day) && (self.from..self.to).contains(&hour);
        }
        let begun_today = self.days.contains(&day) && hour >= self.from;
        begun_today || (self.days.contains(&day.previous()) && hour < self.to)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || {
            format!(
                "{text:?} is no window; write for example \"mon-fri 09:00-17:00\", \"sat,sun 22:00-04:00\" or \"daily 02:00-05:00\""
            )
        };
        let (days, hours) = text.split_once(' ').ok_or_else(help)?;
        let (from, to) = hours.split_once('-').ok_or_else(help)?;
        let hour = |t: &str| t.parse::<Time>().map_err(|_| help());
        let (from, to) = (hour(from)?, hour(to)?);
        let mut on = Vec::new();
        for part in days.split(',') {
            match part.split_once('-') {
                None if part == "daily" => on.extend(WEEK),
                None => on.push(weekday(part).ok_or_else(help)?),
                Some((first, last)) => {
                    let (first, last) = (weekday(first).ok_or_else(help)?, weekday(last).ok_or_else(help)?);
                    on.extend(first.cycle_forward().take(7).take_while(|d| *d != last));
                    on.push(last);
                }
            }
        }
        Ok(Self { days: on, from, to, text: text.to_owned() })
    }
}

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn weekday(text: &str) -> Option<Weekday> {
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|d| *d == text).map(|at| WEEK[at])
}

pub(super) fn read_remediation(table: Table<'_>) -> Remediation {
    let mut r = Remediation::default();
    set(&mut r.mode, table.get("mode").and_then(|m| m.word(&Mode::WORDS)));
    let modes = |key| words(&table, key, &Mode::WORDS);
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
    r.effects = words(&table, "effects", &Effect::WORDS);
    set(&mut r.cooldown, table.get("cooldown").and_then(|c| c.parse(time::parse_duration)));
    if let Some(budget) = table.get("budget").and_then(|b| b.table()) {
        set(&mut r.budget, budget.need("starts", "how many at most, for example 5").and_then(|s| s.whole(0, 1_000)));
        set(&mut r.budget_within, budget.get("within").and_then(|w| w.parse(some_time)));
        budget.finish();
    }
    set(&mut r.concurrent, table.get("concurrent").and_then(|c| c.whole(1, 90)));
    if let Some(breaker) = table.get("breaker").and_then(|b| b.table()) {
        let failures = breaker.need("failures", "how many stop a runbook, for example 3");
        set(&mut r.breaker, failures.and_then(|f| f.whole(1, 100)));
        set(&mut r.breaker_within, breaker.get("within").and_then(|w| w.parse(some_time)));
        breaker.finish();
    }
    let windows = table.get("windows").and_then(|w| w.table()).map(|t| t.entries()).unwrap_or_default();
    let window = |item: &Item<'_>| item.list().iter().filter_map(|w| w.parse(str::parse)).collect();
    r.windows = windows.into_iter().map(|(environment, item)| (environment, window(&item))).collect();
    set(&mut r.calendars, texts("calendars"));
    read_consent(&mut r.approval, &table);
    let role = |key| table.get(key).and_then(|t| t.parse(role_arn));
    r.access = Access {
        role: role("role"),
        external_id: table.get("external-id").and_then(|e| e.parse(str::parse)),
        automation_role: role("automation-role"),
    };
    table.finish();
    r
}

fn read_consent(consent: &mut Consent, table: &Table<'_>) {
    let Some(table) = table.get("approval").and_then(|a| a.table()) else { return };
    set(&mut consent.expires, table.get("expires").and_then(|e| e.parse(some_time)));
    let lists = |key, parse: fn(&str) -> Result<String, String>| -> BTreeMap<String, Vec<String>> {
        let entries = table.get(key).and_then(|t| t.table()).map(|t| t.entries()).unwrap_or_default();
        let list = |item: &Item<'_>| item.list().iter().filter_map(|i| i.parse(parse)).collect();
        entries.into_iter().map(|(name, item)| (name, list(&item))).collect()
    };
    consent.approvers = lists("approvers", approver);
    consent.people = lists("people", |identity| Ok(identity.to_owned()));
    if table.get("two-people").is_some() {
        consent.two_people = words(&table, "two-people", &Effect::WORDS);
        // What is not said stays as careful as it was.
        consent.two_people.entry("*".to_owned()).or_insert(Effect::Destructive);
    }
    table.finish();
}

fn words<T: Copy>(table: &Table<'_>, key: &'static str, words: &[(&str, T)]) -> BTreeMap<String, T> {
    let entries = table.get(key).and_then(|m| m.table()).map(|t| t.entries()).unwrap_or_default();
    entries.into_iter().filter_map(|(name, item)| Some((name, item.word(words)?))).collect()
}

fn approver(text: &str) -> Result<String, String> {
    let good = text.starts_with(['U', 'W', 'S'])
        && text.len() >= 5
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not the id of a Slack user (U…) or user group (S…); names can be taken by anybody"))
    }
}

fn role_arn(text: &str) -> Result<String, String> {
    let filled = text.replace("{partition}", "aws").replace("{account}", "111122223333");
    let good = filled.starts_with("arn:aws") && filled.contains(":iam::") && filled.contains(":role/");
    if good && !filled.contains(char::is_whitespace) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a role; write for example \"arn:{{partition}}:iam::{{account}}:role/findings-router\""
        ))
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
