//! What people read after a replay: per event what is new, what would be told where, and what would be started. A card
//! that is edited shows only the lines that changed.
use super::player::Replayed;
use crate::{
    act::router::{Performed, Told},
    decide::config::DESTINATION,
    values::{
        action::{Action, Mode, NotifyMode, Outcome},
        severity::Severity,
        verdict::{Novelty, Verdict},
    },
};
use anstyle::{AnsiColor, Style};
use findings_formatters::escape::clean;
use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Prints replayed events and counts them.
#[derive(Debug, Default)]
pub struct Transcript {
    folder: String,
    cards: HashMap<(String, String), Vec<String>>,
    events: u64,
    refused: u64,
    ignored: u64,
    suppressed: u64,
    novelties: BTreeMap<&'static str, u64>,
    messages: u64,
    runbooks: BTreeMap<&'static str, u64>,
}

impl Transcript {
    /// Prints one event.
    pub fn print(&mut self, out: &mut dyn Write, replayed: &Replayed<'_>) -> io::Result<()> {
        self.events += 1;
        let (folder, file) = replayed.path.rsplit_once('/').unwrap_or(("", replayed.path));
        if folder != self.folder {
            folder.clone_into(&mut self.folder);
            writeln!(out, "\n{BOLD}{folder}{BOLD:#}")?;
        }
        let time =
            replayed.event.and_then(|e| e.time).map_or_else(String::new, |t| format!("  {DIM}{}{DIM:#}", clock(t)));
        let index = if replayed.index > 0 { format!("#{}", replayed.index) } else { String::new() };
        write!(out, "\n{file}{index}{time}")?;
        match replayed.result {
            Err(reason) => {
                self.refused += 1;
                writeln!(out, "\n  {RED}refused{RED:#}: {}", clean(reason))
            }
            Ok(handled) => {
                writeln!(out)?;
                if let Some(followed) = &handled.execution {
                    writeln!(out, "  {DIM}{}{DIM:#}", clean(&followed.what))?;
                }
                if let Some(reason) = &handled.ignored {
                    self.ignored += 1;
                    writeln!(out, "  {DIM}ignored: {}{DIM:#}", clean(reason))?;
                }
                handled.findings.iter().try_for_each(|told| self.told(out, told))
            }
        }
    }

    fn told(&mut self, out: &mut dyn Write, told: &Told) -> io::Result<()> {
        match &told.verdict {
            Verdict::Ignored(why) => {
                self.ignored += 1;
                writeln!(out, "  {DIM}ignored: {}{DIM:#}", clean(why))?;
            }
            Verdict::Suppressed(why) => {
                self.suppressed += 1;
                writeln!(out, "  suppressed: {}", clean(why))?;
            }
            Verdict::Claimed(claim) => {
                let novelty = told.novelty.map_or("not recorded", Novelty::as_str);
                *self.novelties.entry(novelty).or_default() += 1;
                let style = colour(claim.severity);
                let also = if told.also.is_empty() {
                    String::new()
                } else {
                    format!("  {DIM}also {}{DIM:#}", told.also.join(", "))
                };
                writeln!(
                    out,
                    "  {BOLD}{novelty}{BOLD:#}  {style}{}{style:#}  {}  {DIM}{}{DIM:#}{also}",
                    claim.severity,
                    told.playbook,
                    &claim.fingerprint[..8.min(claim.fingerprint.len())]
                )?;
                for performed in &told.actions {
                    self.action(out, performed, &claim.fingerprint)?;
                }
            }
        }
        told.error.as_ref().map_or(Ok(()), |error| writeln!(out, "  {RED}wrong{RED:#}: {}", clean(error)))
    }

    fn action(&mut self, out: &mut dyn Write, performed: &Performed, fingerprint: &str) -> io::Result<()> {
        match &performed.action {
            Action::Notify(n) => {
                self.messages += 1;
                let what = match n.mode {
                    NotifyMode::Post => "post",
                    NotifyMode::Thread => "reply in the thread",
                    NotifyMode::Update => "edit the card",
                    NotifyMode::Broadcast => "reply in the thread, also to the channel",
                };
                let to = if n.destination == DESTINATION { String::new() } else { format!(" in {}", n.destination) };
                writeln!(out, "  {what}{to}")?;
                let text = performed.message.as_ref().map(findings_formatters::terminal).unwrap_or_default();
                let lines: Vec<String> = text.lines().map(str::to_owned).collect();
                // An edit shows only the lines that changed.
                let mut known = Vec::new();
                if matches!(n.mode, NotifyMode::Post | NotifyMode::Update) {
                    let before = self.cards.insert((fingerprint.to_owned(), n.destination.clone()), lines.clone());
                    known = before.filter(|_| n.mode == NotifyMode::Update).unwrap_or_default();
                }
                for line in lines.iter().filter(|l| !known.contains(l)) {
                    writeln!(out, "    {DIM}│{DIM:#} {line}")?;
                }
            }
            Action::Digest(w) => writeln!(out, "  in the digest of {} at {}", w.destination, clock(w.until))?,
            Action::Publish(p) => writeln!(out, "  publish {BOLD}{}{BOLD:#} on {}", p.detail_type, p.bus)?,
            Action::Remediate(r) => {
                let fate = match (&r.stopped, r.mode) {
                    (Some(_), _) => "stopped",
                    (None, Mode::Automatic) => "would be started",
                    (None, Mode::Approve) => "would be started after approval",
                    (None, Mode::Propose | Mode::Off) => "proposed",
                };
                *self.runbooks.entry(fate).or_default() += 1;
                let why =
                    r.stopped.as_ref().map(|stop| format!(" by the rail {:?}: {}", stop.rail, clean(&stop.reason)));
                writeln!(
                    out,
                    "  runbook {BOLD}{}{BOLD:#} in {}/{} ({}): {fate}{}",
                    r.job.runbook,
                    clean(&r.job.account),
                    clean(&r.job.region),
                    r.effect.as_str(),
                    why.unwrap_or_default()
                )?;
                for (name, values) in &r.job.parameters {
                    writeln!(out, "    {DIM}│{DIM:#} {name} = {}", clean(&values.join(", ")))?;
                }
            }
        }
        match &performed.outcome {
            Outcome::Later(l) => writeln!(out, "    {RED}again in {:#}{RED:#}: {}", l.after, l.why),
            Outcome::Failed(why) => writeln!(out, "    {RED}failed{RED:#}: {why}"),
            Outcome::Done(_) | Outcome::Nothing => Ok(()),
        }
    }

    /// The last lines: how much of what.
    pub fn summary(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "\n{BOLD}{} events{BOLD:#}: {} ignored, {} suppressed, {} refused",
            self.events, self.ignored, self.suppressed, self.refused
        )?;
        let (findings, kinds) = tally(&self.novelties);
        writeln!(out, "{BOLD}{findings} findings{BOLD:#}{kinds}")?;
        writeln!(out, "{BOLD}{} messages{BOLD:#} would be sent or edited", self.messages)?;
        let (runbooks, fates) = tally(&self.runbooks);
        writeln!(out, "{BOLD}{runbooks} runbooks{BOLD:#}{fates}")
    }
}

/// How many in all, and how many of each kind: `3`, `: 2 new, 1 resolved`.
fn tally(counts: &BTreeMap<&'static str, u64>) -> (u64, String) {
    let kinds: Vec<String> = counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    (counts.values().sum(), kinds)
}

fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn colour(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Magenta.on_default().bold(),
        Severity::High => RED,
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => AnsiColor::Cyan.on_default(),
        Severity::Informational => DIM,
    }
}
