//! `replay`: recorded events through the real router, with in-memory ends. The clock is the event's own time, so quiet
//! periods and windows come out the same every time.
use super::{
    DONE, USAGE, WRONG,
    input::{self, Limits, Seen},
    setup::{MemoryRouter, Setup},
    transcript::Transcript,
};
use crate::{
    act::router::{Handled, Performed, Told},
    decide::carrier::{self, Envelope, Opened},
    values::{
        action::{Action, Disposition},
        verdict::{Novelty, Verdict},
    },
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};
use std::{
    io::{self, BufWriter, IsTerminal, Write},
    ops::ControlFlow,
};

/// Without a terminal, progress is a line of its own after so many events.
const PROGRESS_EVERY: u64 = 1_000;

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files (one event, JSON lines, JSON array, gzip, CloudTrail log file, any carrier), folders, or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A transcript for people.
    Text,
    /// One JSON object per finding (per event, where it has none), on one line.
    Json,
    /// One Slack message per line, as JSON with destination and mode.
    Slack,
}

/// One event that was replayed, as a printer sees it.
pub struct Replayed<'a> {
    /// Where it came from.
    pub path: &'a str,
    /// Which event of this path, from 0.
    pub index: usize,
    /// The envelope; none where the input was refused.
    pub event: Option<&'a EventFacts>,
    /// What became of it, or why it was refused.
    pub result: Result<&'a Handled, &'a str>,
}

/// The envelope's facts, kept after the event is gone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EventFacts {
    /// The delivery's id.
    pub id: String,
    /// `EventBridge` source.
    pub source: String,
    /// `EventBridge` detail-type.
    pub detail_type: String,
    /// The account whose bus it was on.
    pub account: String,
    /// The Region of that bus.
    pub region: String,
    /// When it happened.
    pub time: Option<Timestamp>,
}

impl EventFacts {
    /// Copies them out of an envelope.
    pub fn of(envelope: &Envelope<'_>) -> Self {
        Self {
            id: envelope.id.to_string(),
            source: envelope.source.to_string(),
            detail_type: envelope.detail_type.to_string(),
            account: envelope.account.to_string(),
            region: envelope.region.to_string(),
            time: envelope.time,
        }
    }
}

/// Takes each event that a text turns out to be with what became of it, or why it is none.
pub type Each<'e> = dyn FnMut(Option<(&EventFacts, &Envelope<'_>)>, Result<&Handled, &str>) + 'e;

/// Takes events through a router one after the other, with the events' own clock.
pub struct Player<'p> {
    router: MemoryRouter<'p>,
    runtime: tokio::runtime::Runtime,
    /// An event without a time happens when the one before it did.
    now: Timestamp,
    /// Decide as if everything happened at this time.
    fixed: Option<Timestamp>,
}

impl<'p> Player<'p> {
    /// A player with an empty memory.
    pub fn new(setup: &'p Setup) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { router: setup.memory_router(), runtime, now: Timestamp::UNIX_EPOCH, fixed: None })
    }

    /// From now on, decide as if everything happened at this time.
    pub fn fix(&mut self, now: Option<Timestamp>) {
        self.fixed = now;
    }

    /// Takes one text through; hands out each event that it turns out to be, or why it is none.
    pub fn play(&mut self, text: &str, each: &mut Each<'_>) {
        match carrier::open(text, self.router.policy.fields()) {
            Opened::Event(envelope) => self.one(envelope, each),
            Opened::Refused(refusal) => each(None, Err(&refusal.reason)),
            Opened::Many(texts) => {
                for text in texts {
                    match text {
                        Err(refusal) => each(None, Err(&refusal.reason)),
                        Ok(text) => match carrier::open(&text, self.router.policy.fields()) {
                            Opened::Event(envelope) => self.one(envelope, each),
                            Opened::Refused(refusal) => each(None, Err(&refusal.reason)),
                            Opened::Many(_) => {
                                each(None, Err("an event inside an event's carrier is itself a carrier"));
                            }
                        },
                    }
                }
            }
        }
    }

    fn one(&mut self, envelope: Envelope<'_>, each: &mut Each<'_>) {
        let facts = EventFacts::of(&envelope);
        self.now = self.fixed.or(envelope.time).unwrap_or(self.now);
        let copy = envelope.clone();
        let handled = self.runtime.block_on(self.router.handle(envelope, self.now));
        each(Some((&facts, &copy)), Ok(&handled));
    }
}

/// Runs the command.
pub fn run(args: &Args, setup: &Setup) -> u8 {
    match try_run(args, setup) {
        Ok(code) => code,
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            anstream::eprintln!("replay: {error}");
            USAGE
        }
    }
}

fn try_run(args: &Args, setup: &Setup) -> io::Result<u8> {
    let mut player = Player::new(setup)?;
    let mut out = BufWriter::new(anstream::stdout().lock());
    let mut transcript = Transcript::default();
    let mut progress = Progress::new();
    let (mut wrong, mut failed) = (false, Ok(()));
    let stop = input::read(&args.paths, &mut io::stdin().lock(), &Limits::default(), &mut |seen| {
        let (path, index, body) = match seen {
            Seen::Skipped { path, reason } => {
                anstream::eprintln!("{path}: left out, {reason}");
                return ControlFlow::Continue(());
            }
            Seen::Event { path, index, body } => (path, index, body),
        };
        let mut print = |event: Option<(&EventFacts, &Envelope<'_>)>, result: Result<&Handled, &str>| {
            wrong |= result.is_err() || result.is_ok_and(|h| h.findings.iter().any(|f| f.error.is_some()));
            let replayed = Replayed { path, index, event: event.map(|(facts, _)| facts), result };
            if failed.is_ok() {
                failed = match args.format {
                    Format::Text => transcript.print(&mut out, &replayed),
                    Format::Json => print_json(&mut out, &replayed),
                    Format::Slack => print_slack(&mut out, &replayed),
                };
            }
        };
        match body {
            Ok(text) => player.play(&text, &mut print),
            Err(refusal) => print(None, Err(&refusal.reason)),
        }
        progress.count(path);
        if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    progress.finish();
    failed?;
    if args.format == Format::Text && stop.is_continue() {
        transcript.summary(&mut out)?;
    }
    out.flush()?;
    Ok(if wrong { WRONG } else { DONE })
}

/// The shape of section 7 of the design: users script against it.
#[derive(serde::Serialize)]
struct Line<'a> {
    input: Value,
    event: Option<&'a EventFacts>,
    finding: Option<Box<RawValue>>,
    verdict: Option<Value>,
    novelty: Option<&'static str>,
    actions: Vec<Box<RawValue>>,
    disposition: &'static str,
    error: Option<&'a str>,
}

fn print_json(out: &mut dyn Write, replayed: &Replayed<'_>) -> io::Result<()> {
    let line = |told: Option<&Told>, ignored: Option<&str>, error| -> io::Result<Line<'_>> {
        Ok(Line {
            input: json!({ "path": replayed.path, "index": replayed.index }),
            event: replayed.event,
            finding: told.map(finding_json).transpose()?,
            verdict: told.map(verdict_json).or_else(|| ignored.map(|why| json!({ "ignored": why }))),
            novelty: told.and_then(|t| t.novelty).map(Novelty::as_str),
            actions: told
                .map(|t| t.actions.iter().map(action_json).collect::<io::Result<_>>())
                .transpose()?
                .unwrap_or_default(),
            disposition: told
                .map_or(if error { Disposition::Reject } else { Disposition::Ack }, |t| t.disposition)
                .as_str(),
            error: None,
        })
    };
    let mut write = |line: Line<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)
    };
    match replayed.result {
        Err(reason) => write(Line { error: Some(reason), ..line(None, None, true)? }),
        Ok(handled) if handled.findings.is_empty() => write(line(None, handled.ignored.as_deref(), false)?),
        Ok(handled) => handled
            .findings
            .iter()
            .try_for_each(|told| write(Line { error: told.error.as_deref(), ..line(Some(told), None, false)? })),
    }
}

/// Keeps the order of the contract, which a map would sort.
fn raw(value: &impl serde::Serialize) -> io::Result<Box<RawValue>> {
    Ok(serde_json::value::to_raw_value(value)?)
}

fn finding_json(told: &Told) -> io::Result<Box<RawValue>> {
    #[derive(serde::Serialize)]
    struct Finding<'a> {
        fingerprint: Option<&'a str>,
        r#type: &'a str,
        title: &'a str,
        severity: &'static str,
        reporter: &'a str,
        status: crate::values::finding::Status,
        account: &'a str,
        region: &'a str,
        resources: Vec<Value>,
        actor: Option<&'a crate::values::finding::Actor>,
    }
    let f = &told.finding;
    let fingerprint = match &told.verdict {
        Verdict::Claimed(claim) => Some(claim.fingerprint.as_str()),
        _ => None,
    };
    raw(&Finding {
        fingerprint,
        r#type: &f.kind,
        title: &f.title,
        severity: f.severity.as_str(),
        reporter: &f.reporter,
        status: f.status,
        account: &f.account,
        region: &f.region,
        resources: f.resources.iter().map(|r| json!({ "type": r.kind, "id": r.id })).collect(),
        actor: f.actor.as_ref(),
    })
}

fn verdict_json(told: &Told) -> Value {
    match &told.verdict {
        Verdict::Claimed(claim) => json!({ "playbook": told.playbook, "severity": claim.severity, "also": told.also }),
        Verdict::Suppressed(why) => json!({ "suppressed": why }),
        Verdict::Ignored(why) => json!({ "ignored": why }),
    }
}

fn action_json(performed: &Performed) -> io::Result<Box<RawValue>> {
    match &performed.action {
        Action::Notify(n) => {
            #[derive(serde::Serialize)]
            struct Notify<'a> {
                kind: &'static str,
                destination: &'a str,
                mode: &'static str,
                message: Option<&'a findings_formatters::Message>,
            }
            raw(&Notify {
                kind: "notify",
                destination: &n.destination,
                mode: n.mode.as_str(),
                message: performed.message.as_ref(),
            })
        }
        Action::Remediate(r) => {
            #[derive(serde::Serialize)]
            struct Remediate<'a> {
                kind: &'static str,
                runbook: &'a str,
                account: &'a str,
                region: &'a str,
                parameters: &'a std::collections::BTreeMap<String, Vec<String>>,
                mode: &'static str,
                client_token: &'a str,
                effect: &'static str,
                stopped: Option<&'a crate::values::action::Stop>,
            }
            raw(&Remediate {
                kind: "remediate",
                runbook: &r.runbook,
                account: &r.account,
                region: &r.region,
                parameters: &r.parameters,
                mode: r.mode.as_str(),
                client_token: &r.client_token,
                effect: r.effect.as_str(),
                stopped: r.stopped.as_ref(),
            })
        }
    }
}

fn print_slack(out: &mut dyn Write, replayed: &Replayed<'_>) -> io::Result<()> {
    let Ok(handled) = replayed.result else { return Ok(()) };
    for performed in handled.findings.iter().flat_map(|f| &f.actions) {
        if let (Action::Notify(n), Some(message)) = (&performed.action, &performed.message) {
            let channel = n.destination.trim_start_matches("slack:");
            let line =
                json!({ "channel": channel, "mode": n.mode.as_str(), "text": message.text, "blocks": message.blocks });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Says on standard error how far it got, where the output goes elsewhere.
struct Progress {
    bar: ProgressBar,
    lines: bool,
    events: u64,
}

impl Progress {
    fn new() -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let bar =
            if out { ProgressBar::hidden() } else { ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()) };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} events, {per_sec}, {msg}") {
            bar.set_style(style);
        }
        Self { bar, lines: !out && !err, events: 0 }
    }

    fn count(&mut self, path: &str) {
        self.events += 1;
        if self.events.is_multiple_of(PROGRESS_EVERY) {
            self.bar.set_position(self.events);
            self.bar.set_message(path.to_owned());
            if self.lines {
                anstream::eprintln!("replay: {} events, now {path}", self.events);
            }
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        if self.events >= PROGRESS_EVERY {
            anstream::eprintln!("replay: {} events", self.events);
        }
    }
}
