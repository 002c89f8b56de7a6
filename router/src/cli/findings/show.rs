//! `findings show`: one problem on a page.
use super::{BOLD, state};
use crate::{
    cli::{Format, remediation},
    decide::config::Config,
    values::{
        entry::{Entry, History, Owed, Report},
        finding::Status,
    },
};
use findings_formatters::escape::clean;
use jiff::Timestamp;
use std::io::{self, Write};

/// A page of lines, each under the name of its part; what goes on is not named again.
struct Page<'o> {
    out: &'o mut dyn Write,
    last: &'static str,
}

impl Page<'_> {
    /// Much of the text is an event's own: control characters must not reach a terminal.
    fn line(&mut self, part: &'static str, text: impl AsRef<str>) -> io::Result<()> {
        let text = clean(text.as_ref());
        if text.is_empty() {
            return Ok(());
        }
        let name = if part == self.last { "" } else { part };
        self.last = part;
        writeln!(self.out, "  {name:<11} {text}")
    }
}

/// Prints everything that is known.
pub(super) fn print(format: Format, e: &Entry, config: &Config) -> io::Result<u8> {
    let mut out = anstream::stdout().lock();
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string(e)?)?;
        return Ok(super::DONE);
    }
    let title = e.shown.as_ref().map_or(&e.weakness, |s| &s.title);
    writeln!(out, "{BOLD}{}{BOLD:#}", clean(title))?;
    let mut page = Page { out: &mut out, last: "" };
    page.line("problem", format!("{} {}", e.weakness, e.fingerprint))?;
    let closed = e.closed_at.map_or_else(String::new, |at| format!(" since {}", time(at)));
    page.line("state", format!("{}{closed}, {}, episode {}", state(e), e.severity, e.episode))?;
    what(&mut page, e)?;
    let (account, region) = (config.account(&e.account), e.region.as_deref().unwrap_or("global"));
    let name = account.and_then(|a| a.name.as_deref()).map_or_else(String::new, |name| format!("{name} "));
    page.line("where", format!("{name}{} / {region}", e.account))?;
    page.line("resource", format!("{} {}", e.resource.kind, e.resource.id))?;
    page.line("resource", e.resource.arn.as_deref().unwrap_or_default())?;
    page.line("owner", account.and_then(|a| a.owner.as_deref()).unwrap_or_default())?;
    e.actors.iter().try_for_each(|actor| page.line("done by", actor))?;
    page.line("seen", format!("first {}, last {}", time(e.first_seen), time(e.last_seen)))?;
    e.reports.iter().try_for_each(|report| page.line("reporters", said(report)))?;
    for (part, cards) in [("cards", &e.cards), ("before", &e.previous)] {
        for card in cards {
            let storm = if card.storm { " (a line of a storm's card)" } else { "" };
            page.line(part, format!("{} {}{storm}", card.destination, card.link.as_deref().unwrap_or(&card.message)))?;
        }
    }
    e.waiting.iter().try_for_each(|w| page.line("digest", format!("{} at {}", w.destination, time(w.until))))?;
    e.edit_due.iter().try_for_each(|at| page.line("edit due", time(*at)))?;
    for r in &e.remediations {
        page.line("remediation", remediation::line(r))?;
        r.turns.iter().try_for_each(|turn| page.line("remediation", remediation::turn(turn)))?;
    }
    e.owed.iter().try_for_each(|o| page.line("owed", owed(o)))?;
    for line in &e.history {
        page.line("history", decided(line))?;
        line.done.iter().try_for_each(|done| page.line("history", format!("· {done}")))?;
    }
    Ok(super::DONE)
}

fn what(page: &mut Page<'_>, e: &Entry) -> io::Result<()> {
    let Some(shown) = &e.shown else { return Ok(()) };
    page.line("type", &shown.finding_type)?;
    page.line("exercise", shown.exercise.as_deref().unwrap_or_default())?;
    page.line("playbook", &shown.playbook)?;
    shown.also.iter().try_for_each(|also| page.line("playbook", format!("also {also}")))?;
    page.line("why", &shown.why)?;
    shown.next.iter().try_for_each(|next| page.line("next", next))?;
    shown.signals.iter().try_for_each(|signal| page.line("signals", signal))
}

fn said(r: &Report) -> String {
    let status = match (r.status, r.can_resolve) {
        (Status::Resolved, _) => "resolved",
        (Status::Active, true) => "active",
        (Status::Active, false) => "active, and can never say that it is over",
    };
    let link = r.link.as_deref().unwrap_or_default();
    format!("{} says {status}, seen {}×, last at {} {} {link}", r.reporter, r.count, time(r.revision), r.id)
}

fn owed(o: &Owed) -> String {
    let claimed = o.claimed.map_or_else(
        || "to be tried again".to_owned(),
        |c| format!("somebody is at it since {}, until {} at most", time(c.since), time(c.until)),
    );
    let done = if o.done.is_empty() { String::new() } else { format!("; done of it: {}", o.done.join(", ")) };
    format!("{} by {}: {claimed}{done}", o.novelty, o.reporter)
}

fn decided(line: &History) -> String {
    let times = if line.times > 1 { format!(", {}×", line.times) } else { String::new() };
    format!("{} {} ({}) by {}{times}, event {}", time(line.at), line.novelty, line.severity, line.reporter, line.event)
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
