//! Who hears of a finding, and when: ordered routes, whom they call, quiet hours and digests.
use super::{Account, Config, accounts, set};
use crate::{
    decide::{
        pattern::Pattern,
        source::pattern,
        written::{Item, Table},
    },
    values::{severity::Severity, tree::Node},
};
use jiff::{
    Timestamp,
    civil::{Time, time},
    tz::TimeZone,
};

/// Where cards go when no route says otherwise.
pub const DESTINATION: &str = "slack:#security";

/// One line of the routing table. Every condition that is set must hold.
#[derive(Debug, Default)]
pub struct Route {
    /// At least this severe.
    pub severity: Option<Severity>,
    /// One of these reporters.
    pub reporter: Vec<String>,
    /// One of these accounts, by id.
    pub account: Vec<String>,
    /// One of these environments.
    pub environment: Vec<String>,
    /// One of these owners.
    pub owner: Vec<String>,
    /// One of these playbooks.
    pub playbook: Vec<String>,
    /// The resource has one of these tags: `key` or `key=value`.
    pub tags: Vec<String>,
    /// The event matches.
    pub when: Option<Pattern>,
    /// Where it goes; nowhere if empty.
    pub to: Vec<To>,
    /// Whom a new card calls: `owner`, or the id of a user or user group.
    pub mention: Vec<String>,
    /// Go on to the next routes too.
    pub go_on: bool,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct To {
    /// The channel: `slack:#security`.
    pub channel: String,
    /// In the channel's digest, instead of a card.
    pub digest: bool,
}

/// When only what cannot wait makes a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// They begin …
    pub from: Time,
    /// … and end; before `from`, it is on the next day.
    pub to: Time,
    /// What is at least this severe is told at once.
    pub severity: Severity,
}

/// When digests are sent, and by which clock everything here is read.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The reader's time zone.
    pub zone: TimeZone,
    /// The time of day of digests.
    pub digest: Time,
    /// Quiet hours, if there are any.
    pub quiet: Option<QuietHours>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, digest: time(9, 0, 0, 0), quiet: None }
    }
}

impl Clock {
    /// The next time that the clock shows this.
    fn next(&self, at: Time, now: Timestamp) -> Timestamp {
        let today = now.to_zoned(self.zone.clone());
        let on = |date: jiff::civil::Date| date.to_datetime(at).to_zoned(self.zone.clone()).map(|z| z.timestamp());
        let tomorrow = || today.date().tomorrow().and_then(on);
        on(today.date()).ok().filter(|then| *then > now).or_else(|| tomorrow().ok()).unwrap_or(now)
    }

    /// The end of the quiet hours, where it is quiet now for this severity.
    fn quiet_until(&self, severity: Severity, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.quiet.as_ref().filter(|q| severity < q.severity)?;
        let shown = now.to_zoned(self.zone.clone()).time();
        let within = if quiet.from <= quiet.to {
            (quiet.from..quiet.to).contains(&shown)
        } else {
            shown >= quiet.from || shown < quiet.to
        };
        within.then(|| self.next(quiet.to, now))
    }
}

/// What a route looks at.
pub struct Seen<'a> {
    /// The verdict's severity.
    pub severity: Severity,
    /// Who reports it.
    pub reporter: &'a str,
    /// The account's id.
    pub account: &'a str,
    /// What the directory knows of the account.
    pub known: Option<&'a Account>,
    /// The playbook that claims it.
    pub playbook: &'a str,
    /// The resource's tags, where the event tells them.
    pub tags: &'a [(String, String)],
    /// The event.
    pub tree: &'a Node<'a>,
}

/// A channel that hears of a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The channel: `slack:#security`.
    pub channel: String,
    /// Whom a new card calls: ids of users and user groups.
    pub mentions: Vec<String>,
    /// Not before the digest that is sent then.
    pub until: Option<Timestamp>,
}

impl Config {
    /// Where a finding goes: every channel once, in the routes' order; at once where one route says so.
    pub fn destinations(&self, seen: &Seen<'_>, now: Timestamp) -> Vec<Destination> {
        let mut list: Vec<Destination> = Vec::new();
        let mut taken = false;
        let mut add = |channel: &str, digest: bool, mentions: Vec<String>| {
            let until = if digest { Some(self.clock.next(self.clock.digest, now)) } else { None };
            let until = until.or_else(|| self.clock.quiet_until(seen.severity, now));
            match list.iter_mut().find(|d| d.channel == channel) {
                Some(known) => {
                    known.until = known.until.and(until);
                    known.mentions.extend(mentions);
                }
                None => list.push(Destination { channel: channel.to_owned(), mentions, until }),
            }
        };
        for route in self.routes.iter().filter(|r| r.takes(seen)) {
            taken = true;
            for to in &route.to {
                add(&to.channel, to.digest, self.mentions(route, seen));
            }
            if !route.go_on {
                break;
            }
        }
        // What no route takes must not go nowhere; a route `to = []` drops on purpose.
        if !taken {
            add(DESTINATION, false, Vec::new());
        }
        for destination in &mut list {
            destination.mentions.dedup();
        }
        list
    }

    fn mentions(&self, route: &Route, seen: &Seen<'_>) -> Vec<String> {
        let owner = || self.owners.get(seen.known?.owner.as_deref()?).cloned();
        route.mention.iter().filter_map(|m| if m == OWNER { owner() } else { Some(m.clone()) }).collect()
    }
}

/// Stands for the owner of the account.
pub(super) const OWNER: &str = "owner";

impl Route {
    fn takes(&self, seen: &Seen<'_>) -> bool {
        let one_of = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|v| list.iter().any(|l| l == v))
        };
        let has = |tag: &String| match tag.split_once('=') {
            Some((key, value)) => seen.tags.iter().any(|(k, v)| k == key && v == value),
            None => seen.tags.iter().any(|(k, _)| k == tag),
        };
        self.severity.is_none_or(|least| seen.severity >= least)
            && one_of(&self.reporter, Some(seen.reporter))
            && one_of(&self.account, Some(seen.account))
            && one_of(&self.environment, seen.known.and_then(|a| a.environment.as_deref()))
            && one_of(&self.owner, seen.known.and_then(|a| a.owner.as_deref()))
            && one_of(&self.playbook, Some(seen.playbook))
            && (self.tags.is_empty() || self.tags.iter().any(has))
            && self.when.as_ref().is_none_or(|w| w.matches(seen.tree))
    }
}

pub(super) fn read_route(item: &Item<'_>) -> Option<Route> {
    let table = item.table()?;
    let texts = |key| table.get(key).map(|t| t.texts()).unwrap_or_default();
    let to = table.need("to", "one or more destinations, for example \"slack:#security\"; an empty list drops it");
    let mention = table.get("mention").map(|m| m.list()).unwrap_or_default();
    let route = Route {
        severity: table.get("severity").and_then(|s| s.parse(str::parse)),
        reporter: texts("reporter"),
        account: accounts(table.get("account")),
        environment: texts("environment"),
        owner: texts("owner"),
        playbook: texts("playbook"),
        tags: texts("tags"),
        when: table.get("when").and_then(|w| pattern(&w)),
        to: to.map(|t| t.list().iter().filter_map(|d| d.parse(to_of)).collect()).unwrap_or_default(),
        mention: mention.iter().filter_map(|m| m.parse(caller)).collect(),
        go_on: table.get("continue").and_then(|c| c.truth()).unwrap_or(false),
    };
    table.finish();
    Some(route)
}

/// `slack:#security`, or `digest:#security` for its digest.
fn to_of(text: &str) -> Result<To, String> {
    match text.strip_prefix("digest:") {
        Some(name) => channel(&format!("slack:{name}")).map(|channel| To { channel, digest: true }),
        None => channel(text).map(|channel| To { channel, digest: false }),
    }
    .map_err(|_| {
        format!(
            "{text:?} is not a destination; write \"slack:#channel\", \"slack:C0123456789\", or \"digest:#channel\" for its digest"
        )
    })
}

/// A channel where cards can go.
pub(super) fn channel(text: &str) -> Result<String, String> {
    match text.strip_prefix("slack:") {
        Some(channel) if is_channel(channel) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is not a channel; write \"slack:#channel\" or \"slack:C0123456789\"")),
    }
}

/// A channel's id, or `#` and its name: no capitals, spaces or punctuation, at most 80 characters.
pub(super) fn is_channel(text: &str) -> bool {
    let name = |c: char| !c.is_uppercase() && (c.is_alphanumeric() || c == '-' || c == '_');
    text.strip_prefix('#')
        .map_or_else(|| is_id(text, &['C', 'G', 'D']), |n| (1..=80).contains(&n.chars().count()) && n.chars().all(name))
}

fn is_id(text: &str, first: &[char]) -> bool {
    let of_id = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    text.starts_with(first) && text.len() >= 9 && text.bytes().all(of_id)
}

fn caller(text: &str) -> Result<String, String> {
    if text == OWNER { Ok(text.to_owned()) } else { person(text) }
}

/// Somebody whom a card can call.
pub(super) fn person(text: &str) -> Result<String, String> {
    if is_id(text, &['U', 'W', 'S']) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is neither a Slack user nor a user group; write its id, for example \"U0123ABCD\" or \"S0123ABCD\""
    ))
}

/// `time-zone`, `[digest]` and `[quiet-hours]`.
pub(super) fn read_clock(root: &Table<'_>) -> Clock {
    let mut clock = Clock::default();
    let zone = |name: &str| {
        TimeZone::get(name).map_err(|_| format!("{name:?} is not a time zone; write for example \"Asia/Tokyo\""))
    };
    set(&mut clock.zone, root.get("time-zone").and_then(|z| z.parse(zone)));
    if let Some(table) = root.get("digest").and_then(|d| d.table()) {
        set(&mut clock.digest, table.get("at").and_then(|t| t.parse(time_of_day)));
        table.finish();
    }
    if let Some(table) = root.get("quiet-hours").and_then(|q| q.table()) {
        let at = |key, help: &str| table.need(key, help).and_then(|t| t.parse(time_of_day));
        let (from, to) = (at("from", "when they begin, for example \"22:00\""), at("to", "when they end"));
        let severity = table.get("severity").and_then(|s| s.parse(str::parse)).unwrap_or(Severity::High);
        if from.is_some() && from == to {
            table.fail("quiet hours that end when they begin", "for none at all, leave [quiet-hours] out");
        }
        clock.quiet = from.zip(to).map(|(from, to)| QuietHours { from, to, severity });
        table.finish();
    }
    clock
}

fn time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text).map_err(|_| format!("{text:?} is not a time of day; write for example \"09:00\""))
}
