//! `findings`: what the ledger holds, for people: which problems are open, and all that is known of one.
mod show;

use super::{DONE, Format, USAGE, WRONG, ended, ledger, serve};
use crate::{
    act::ports::{Ledger, Trouble},
    decide::config::Config,
    ends::{connect::Aws, intake::clock, ledger::Store},
    values::{
        entry::{Card, Entry, State},
        severity::Severity,
        text::cut,
        time::parse_duration,
    },
};
use anstyle::Style;
use findings_formatters::escape::clean;
use jiff::{SignedDuration, Timestamp};
use std::{
    cmp::Reverse,
    io::{self, Write},
    path::Path,
};

const BOLD: Style = Style::new().bold();
/// Problems that are looked at; more are not listed.
const ENTRIES_MAX: usize = 10_000;
/// A problem's short name on screen.
const SHORT: usize = 8;
/// A table's cell.
const CELL_MAX: usize = 48;

/// What to look at.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the open problems, worst and newest first.
    List(List),
    /// Show all that is known of one problem: reporters, cards, offers, what is owed, its history.
    Show(Show),
}

/// Options of `findings list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  findings-router findings list --severity high             what has to be looked at today
  findings-router findings list --account shop --since 7d   what was heard of in an account this week
  findings-router findings list --all --format json         everything that is remembered, for scripts")]
pub struct List {
    /// At least this severe.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Of this account, by id or by its name in the configuration.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Heard of within this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    since: Option<SignedDuration>,
    /// Those that are over, or were never told, too.
    #[arg(long)]
    all: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Options of `findings show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The beginning of a fingerprint, or the link to a card in Slack ("Copy link").
    #[arg(value_name = "FINGERPRINT|LINK")]
    which: String,
    /// How to print; JSON is the ledger's entry as it is.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Runs the command.
pub fn run(command: &Command, config: Option<&Path>) -> u8 {
    let Some(setup) = serve::load(config, None) else { return USAGE };
    let config = &setup.policy.config;
    serve::block_on(async {
        let store = match ledger::open_to_read(&config.live, &Aws::default()).await {
            Ok(store) => store,
            Err(why) => return serve::refuse(&[why]),
        };
        let result = match command {
            Command::List(args) => list(args, config, &store).await,
            Command::Show(args) => one(args, config, &store).await,
        };
        result.unwrap_or_else(|Trouble(why)| {
            serve::refuse(&[why]);
            WRONG
        })
    })
}

/// Everything that was written since, newest first.
pub(super) async fn recent(
    config: &Config,
    store: &Store,
    since: Option<SignedDuration>,
) -> Result<Vec<Entry>, Trouble> {
    let now = clock();
    let since = now.checked_sub(since.unwrap_or(config.live.retention)).unwrap_or(Timestamp::MIN);
    let until = now.checked_add(SignedDuration::from_hours(1)).unwrap_or(now);
    let found = store.recent(since, until, ENTRIES_MAX).await?;
    if found.len() == ENTRIES_MAX {
        anstream::eprintln!(
            "only the {ENTRIES_MAX} problems that were heard of last are looked at; --since asks for fewer"
        );
    }
    Ok(found)
}

async fn list(args: &List, config: &Config, store: &Store) -> Result<u8, Trouble> {
    let name = |entry: &Entry| config.account(&entry.account).and_then(|a| a.name.clone());
    let mut found = recent(config, store, args.since).await?;
    found.retain(|e| {
        (args.all || e.state == State::Open)
            && args.severity.is_none_or(|least| e.severity >= least)
            && args.account.as_ref().is_none_or(|a| *a == e.account || name(e).as_ref() == Some(a))
    });
    found.sort_by_key(|e| Reverse((e.severity, e.last_seen)));
    Ok(ended("findings", print_list(args, config, &found)))
}

fn print_list(args: &List, config: &Config, found: &[Entry]) -> io::Result<u8> {
    let mut out = anstream::stdout().lock();
    if args.format == Format::Json {
        for entry in found {
            writeln!(out, "{}", json(entry, config))?;
        }
        return Ok(DONE);
    }
    if found.is_empty() {
        writeln!(out, "{}", if args.all { "nothing is known" } else { "nothing is open" })?;
        return Ok(DONE);
    }
    let heads = ["PROBLEM", "SEVERITY", "STATE", "LAST SEEN", "ACCOUNT", "REGION", "RESOURCE", "WHAT"];
    let rows: Vec<[String; 8]> = found.iter().map(|e| row(e, config)).collect();
    let wide = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or_default().max(heads[i].len());
    let widths: Vec<usize> = (0..heads.len()).map(wide).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    writeln!(out, "{BOLD}{}{BOLD:#}", line(&heads.map(str::to_owned)))?;
    for row in &rows {
        writeln!(out, "{}", line(row))?;
    }
    Ok(DONE)
}

/// Much of it is an event's own text: control characters must not reach a terminal.
fn row(e: &Entry, config: &Config) -> [String; 8] {
    let cell = |text: &str| {
        let text = clean(text);
        let short = cut(&text, CELL_MAX);
        if short.len() < text.len() { format!("{short}…") } else { text }
    };
    [
        cut(&e.fingerprint, SHORT).to_owned(),
        e.severity.to_string(),
        state(e).to_owned(),
        e.last_seen.strftime("%Y-%m-%d %H:%M").to_string(),
        cell(config.account(&e.account).and_then(|a| a.name.as_deref()).unwrap_or(&e.account)),
        cell(e.region.as_deref().unwrap_or("global")),
        cell(e.resource.name.as_deref().unwrap_or(&e.resource.id)),
        clean(e.shown.as_ref().map_or(&e.weakness, |s| &s.title)),
    ]
}

fn state(entry: &Entry) -> &'static str {
    match entry.state {
        State::Open => "open",
        State::Closed if entry.episode == 0 => "untold",
        State::Closed => "closed",
    }
}

fn json(e: &Entry, config: &Config) -> serde_json::Value {
    let mut reporters: Vec<&str> = e.reports.iter().map(|r| r.reporter.as_str()).collect();
    reporters.dedup();
    let cards: Vec<_> =
        e.cards.iter().map(|c| serde_json::json!({ "destination": c.destination, "link": c.link })).collect();
    serde_json::json!({
        "fingerprint": e.fingerprint,
        "state": state(e),
        "severity": e.severity,
        "title": e.shown.as_ref().map(|s| &s.title),
        "playbook": e.shown.as_ref().map(|s| &s.playbook),
        "weakness": e.weakness,
        "account": e.account,
        "account_name": config.account(&e.account).and_then(|a| a.name.as_ref()),
        "region": e.region,
        "resource": { "type": e.resource.kind, "id": e.resource.id },
        "episode": e.episode,
        "first_seen": e.first_seen,
        "last_seen": e.last_seen,
        "closed_at": e.closed_at,
        "count": e.reports.iter().map(|r| r.count).sum::<u64>(),
        "reporters": reporters,
        "cards": cards,
        "owed": e.owed.len(),
    })
}

async fn one(args: &Show, config: &Config, store: &Store) -> Result<u8, Trouble> {
    let not_found = |why: String| {
        serve::refuse(&[why]);
        Ok(WRONG)
    };
    let mut found = if args.which.contains("://") {
        let Some(message) = message(&args.which) else {
            let why = "this is not the link to a Slack message: copy it with \"Copy link\" in the message's menu";
            serve::refuse(&[why.to_owned()]);
            return Ok(USAGE);
        };
        match store.find(&Card::name(&message)).await? {
            Some(fingerprint) => store.entry(&fingerprint).await?.into_iter().collect(),
            None => Vec::new(),
        }
    } else {
        let whole = store.entry(&args.which).await?;
        let prefix = async || {
            let all = recent(config, store, None).await?;
            Ok(all.into_iter().filter(|e| e.fingerprint.starts_with(&args.which)).collect())
        };
        match whole {
            Some(entry) => vec![entry],
            None => prefix().await?,
        }
    };
    let Some(entry) = found.pop() else {
        return not_found(format!(
            "the ledger knows no problem {:?}: `findings list --all` names those that it knows",
            args.which
        ));
    };
    if !found.is_empty() {
        found.push(entry);
        let names: Vec<&str> = found.iter().map(|e| e.fingerprint.as_str()).collect();
        return not_found(format!("several problems begin so; write more of one: {}", names.join(", ")));
    }
    Ok(ended("findings", show::print(args.format, &entry, config)))
}

/// The name of the message behind a link: `https://team.slack.com/archives/C0123456789/p1712345678123456`. A reply's link
/// names the card that it replies to.
fn message(link: &str) -> Option<String> {
    let (_, path) = link.split_once("/archives/")?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (channel, stamp) = path.trim_end_matches('/').split_once("/p")?;
    let parent = query.split('&').find_map(|pair| pair.strip_prefix("thread_ts="));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (seconds, rest) = stamp.split_at_checked(stamp.len().checked_sub(6)?)?;
    let own = (!seconds.is_empty() && digits(stamp)).then(|| format!("{seconds}.{rest}"))?;
    Some(format!("{channel}:{}", parent.unwrap_or(&own)))
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn a_link_names_a_message() {
        let rows = [
            ("https://a.slack.com/archives/C0123456789/p1712345678123456", Some("C0123456789:1712345678.123456")),
            (
                "https://a.slack.com/archives/C0123456789/p1712345679000000?thread_ts=1712345678.123456&cid=C0123456789",
                Some("C0123456789:1712345678.123456"),
            ),
            ("https://a.slack.com/archives/C0123456789", None),
            ("https://a.slack.com/archives/C0123456789/p123", None),
            ("https://a.slack.com/archives/C0123456789/pé12345", None),
            ("https://example.com/p1712345678123456", None),
        ];
        for (link, name) in rows {
            assert_eq!(message(link).as_deref(), name, "{link}");
        }
    }
}
