//! `explain`: why an event is (not) sent, step by step, from the same code that decides.
use super::{
    DONE, Format, WRONG, ended,
    input::{self, Limits, Seen},
    player::{Each, Player},
    setup::Setup,
};
use crate::{
    act::{
        intake::EventFacts,
        router::{Handled, Told},
    },
    decide::policy::Policy,
    values::{
        action::{Action, Mode},
        entry::{Entry, State},
        finding::{Finding, Status},
        verdict::{Claim, Novelty, Verdict},
    },
};
use anstyle::Style;
use findings_formatters::escape::clean;
use jiff::Timestamp;
use std::{
    io::{self, Write},
    ops::ControlFlow,
};
#[cfg(feature = "live")]
use {
    super::{
        ledger::{self, Overlay},
        serve,
    },
    crate::{
        act::{intake, router::Router},
        ends::{connect::Aws, intake::clock},
    },
};

const BOLD: Style = Style::new().bold();

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that holds the event (any carrier), or - for standard input.
    #[arg(value_name = "EVENT")]
    event: String,
    /// Replay these first, so that the ledger knows what it knew.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    after: Vec<String>,
    /// The event has not happened: decide as if it came now.
    #[arg(long)]
    would: bool,
    /// Decide as if it came now, with what the live ledger knows; nothing is written or sent.
    #[cfg(feature = "live")]
    #[arg(long, conflicts_with_all = ["after", "would"])]
    pub(super) ledger: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The steps of a decision, in order: what was looked at, and what came of it.
#[derive(Default)]
struct Steps(Vec<(&'static str, String)>);

impl Steps {
    /// Much of the text is the event's own: control characters must not reach a terminal.
    fn add(&mut self, name: &'static str, text: impl AsRef<str>) {
        self.0.push((name, clean(text.as_ref())));
    }

    fn print(&self, out: &mut dyn Write, format: Format, path: &str, index: usize) -> io::Result<()> {
        if format == Format::Json {
            let steps: Vec<_> =
                self.0.iter().map(|(name, text)| serde_json::json!({ "step": name, "text": text })).collect();
            return writeln!(
                out,
                "{}",
                serde_json::json!({ "input": { "path": path, "index": index }, "steps": steps })
            );
        }
        writeln!(out, "{BOLD}{path} #{index}{BOLD:#}")?;
        let mut last = "";
        for (name, text) in &self.0 {
            // A step that goes on is not named again.
            writeln!(out, "  {:<9} {text}", if *name == last && *name != "plan" { "" } else { name })?;
            last = name;
        }
        Ok(())
    }
}

/// Runs the command.
pub fn run(args: &Args, setup: &Setup) -> u8 {
    ended("explain", try_run(args, setup))
}

#[expect(clippy::disallowed_methods, reason = "`--would` asks about now")]
fn try_run(args: &Args, setup: &Setup) -> io::Result<u8> {
    let mut player = Player::new(setup)?;
    let limits = Limits::default();
    let mut stdin = io::stdin().lock();
    let mut unread = Vec::new();
    let _ = input::read(&args.after, &mut stdin, &limits, &mut |seen| {
        if let Seen::Event { path, index, body } = seen {
            match body {
                Ok(text) => player.play(&text, &mut |_, result| {
                    unread.extend(result.err().map(|why| format!("{path} #{index}: {why}")));
                }),
                Err(refusal) => unread.push(format!("{path} #{index}: {refusal}")),
            }
        }
        ControlFlow::Continue(())
    });
    for line in &unread {
        anstream::eprintln!("left out of the past: {}", clean(line));
    }
    player.fix(args.would.then(Timestamp::now));
    let code = each_event(args, setup, &mut stdin, &mut |text, explain| player.play(text, explain))?;
    Ok(if unread.is_empty() { code } else { WRONG })
}

/// Explains every event of the input, taking each through `play`.
fn each_event(
    args: &Args,
    setup: &Setup,
    stdin: &mut dyn io::Read,
    play: &mut dyn FnMut(&str, &mut Each<'_>),
) -> io::Result<u8> {
    let mut out = anstream::stdout().lock();
    let (mut code, mut failed) = (DONE, Ok(()));
    let _ = input::read(std::slice::from_ref(&args.event), stdin, &Limits::default(), &mut |seen| {
        let Seen::Event { path, index, body } = seen else { return ControlFlow::Continue(()) };
        let mut explain = |event: Option<&EventFacts>, result: Result<&Handled, &str>| {
            let mut steps = Steps::default();
            match (event, result) {
                (Some(facts), Ok(handled)) => explain(&mut steps, &setup.policy, facts, handled),
                (_, Err(reason)) => {
                    code = WRONG;
                    steps.add("carrier", format!("refused: {reason}"));
                    steps.add(
                        "message",
                        "reject: it stays in the queue until the redrive policy takes it to the dead-letter queue",
                    );
                }
                (None, Ok(_)) => {}
            }
            if failed.is_ok() {
                failed = steps.print(&mut out, args.format, path, index);
            }
        };
        match body {
            Ok(text) => play(&text, &mut explain),
            Err(refusal) => explain(None, Err(&refusal.reason)),
        }
        if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed?;
    Ok(code)
}

/// Explains what would happen now, given what the live ledger knows; nothing is written or sent.
#[cfg(feature = "live")]
pub fn run_on_ledger(args: &Args, setup: &Setup) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended("explain", Err(error)),
    };
    let live = &setup.policy.config.live;
    let below = match runtime.block_on(ledger::open_to_read(live, &Aws::default())) {
        Ok(below) => below,
        Err(why) => return serve::refuse(&[why]),
    };
    let router = setup.memory_router();
    let router = Router {
        policy: router.policy,
        formatter: router.formatter,
        texts: router.texts,
        ledger: Overlay::over(below),
        messenger: router.messenger,
        remediator: router.remediator,
        publisher: router.publisher,
        alone_since: None,
    };
    let mut play =
        |text: &str, explain: &mut Each<'_>| runtime.block_on(intake::take(&router, text, &mut Now(explain)));
    ended("explain", each_event(args, setup, &mut io::stdin().lock(), &mut play))
}

/// Everything happens now.
#[cfg(feature = "live")]
struct Now<'a, 'e>(&'a mut Each<'e>);

#[cfg(feature = "live")]
impl intake::Each for Now<'_, '_> {
    fn now(&mut self, _: &EventFacts) -> Timestamp {
        clock()
    }

    fn became(&mut self, event: Option<&EventFacts>, result: Result<&Handled, &str>) {
        (self.0)(event, result);
    }
}

fn explain(steps: &mut Steps, policy: &Policy, facts: &EventFacts, handled: &Handled) {
    let time = facts.time.map_or_else(|| "no time".to_owned(), |t| t.to_string());
    let EventFacts { id, source, detail_type, account, region, .. } = facts;
    steps.add("event", format!("{source} {detail_type:?} of {id} in {account}/{region}, {time}"));
    if let Some(replay) = &facts.replay {
        steps.add("event", format!("sent again by the archive replay {replay:?}: labelled, never remediated"));
    }
    if let Some(source) = &handled.source {
        steps.add("source", format!("{source} reads it"));
    }
    if let Some(followed) = &handled.execution {
        steps.add("verdict", followed.what.clone());
    }
    if let Some(reason) = &handled.ignored {
        steps.add("verdict", format!("ignored: {reason}"));
    }
    for told in &handled.findings {
        explain_finding(steps, policy, told);
    }
    steps.add("message", handled.disposition().as_str());
}

fn explain_finding(steps: &mut Steps, policy: &Policy, told: &Told) {
    let f = &told.finding;
    let status = if f.status == Status::Active { "active" } else { "resolved" };
    steps.add("finding", format!("{} by {}, severity {}, {status}", f.kind, f.reporter, f.severity));
    steps.add("finding", format!("id {}, revision {}", f.id, f.revision));
    for r in &f.resources {
        let account = r.account.as_deref().unwrap_or(&f.account);
        steps.add("resource", format!("{} {} in {account}/{}", r.kind, r.id, f.region));
    }
    if let Some(actor) = &f.actor {
        steps.add("actor", format!("{} ({})", actor.name, actor.id));
    }
    let claim = match &told.verdict {
        Verdict::Claimed(claim) => claim,
        Verdict::Suppressed(why) => return steps.add("verdict", format!("suppressed: {why}")),
        Verdict::Ignored(why) => return steps.add("verdict", format!("ignored: {why}")),
    };
    explain_claim(steps, policy, told, claim);
    let (before, after) = &told.entries;
    steps.add("ledger", known(before.as_ref()));
    if let Some(novelty) = told.novelty {
        let playbook = &policy.playbooks[claim.playbook];
        steps.add("novelty", format!("{novelty}: {}", because(novelty, before.as_ref(), f, playbook)));
    }
    if told.actions.is_empty() {
        steps.add("plan", "nothing is owed");
    }
    for performed in &told.actions {
        steps.add("plan", action(&performed.action));
    }
    if let Some(entry) = after {
        steps.add("recorded", format!("episode {}, {}, seen by {}", entry.episode, state(entry), reporters(entry)));
    }
    if let Some(error) = &told.error {
        steps.add("wrong", error);
    }
}

fn action(action: &Action) -> String {
    match action {
        Action::Notify(n) => format!("{} to {} ({:?})", n.mode.as_str(), n.destination, n.kind).to_lowercase(),
        Action::Digest(w) => format!("named in the digest of {} at {}", w.destination, w.until),
        Action::Publish(p) => format!("published on {} as {:?}", p.bus, p.detail_type),
        Action::Remediate(r) => {
            let then = match &r.stopped {
                Some(stop) => format!("stopped by the rail {:?}: {}", stop.rail, stop.reason),
                None if r.mode == Mode::Automatic => "started".to_owned(),
                None => format!("mode {}", r.mode.as_str()),
            };
            format!("runbook {} in {}/{}: {then}", r.job.runbook, r.job.account, r.job.region)
        }
    }
}

fn explain_claim(steps: &mut Steps, policy: &Policy, told: &Told, claim: &Claim) {
    let playbook = &policy.playbooks[claim.playbook];
    let why = match (&playbook.when, claim.also.is_empty()) {
        (None, _) => "nobody else claims it".to_owned(),
        (Some(_), true) => "the only one that claims it".to_owned(),
        (Some(_), false) => format!("the most severe, then most specific; also {}", told.also.join(", ")),
    };
    steps.add("playbook", format!("{}: {} ({why})", playbook.name, playbook.summary));
    let notes = claim.notes.iter().fold(String::new(), |all, note| all + "; " + note);
    let from = if playbook.severity.is_some() { "the playbook's" } else { "the reporter's own" };
    steps.add("severity", format!("{} ({from}{notes})", claim.severity));
    let (about, account) = (&claim.about, &told.finding.account);
    let region = claim.region.as_deref().unwrap_or("no Region, the resource is global");
    steps.add("problem", format!("{} of {} {} in {account}, {region}", claim.weakness, about.kind, about.id));
    steps.add("problem", format!("fingerprint {}", claim.fingerprint));
}

fn state(entry: &Entry) -> String {
    match entry.state {
        State::Open => "open".to_owned(),
        State::Closed => entry.closed_at.map_or_else(|| "nothing open".to_owned(), |at| format!("closed at {at}")),
    }
}

fn reporters(entry: &Entry) -> String {
    let mut names: Vec<&str> = entry.reports.iter().map(|r| r.reporter.as_str()).collect();
    names.dedup();
    names.join(", ")
}

fn known(entry: Option<&Entry>) -> String {
    match entry {
        None => "nothing is known of this problem".to_owned(),
        Some(e) => {
            let told = e.told_at.map_or_else(|| "never told".to_owned(), |at| format!("told at {at}"));
            format!("episode {}, {}, severity {}, {told}, seen by {}", e.episode, state(e), e.severity, reporters(e))
        }
    }
}

fn because(
    novelty: Novelty,
    before: Option<&Entry>,
    finding: &Finding,
    playbook: &crate::decide::playbook::Playbook,
) -> String {
    match novelty {
        Novelty::New if before.is_none() => "it was not known".to_owned(),
        Novelty::New => {
            format!("it was over for longer than the playbook's memory ({:#}), or never told", playbook.memory)
        }
        Novelty::Reopened => format!("it was over for less than the playbook's memory ({:#})", playbook.memory),
        Novelty::Escalated => {
            format!("worse than the {} that was told", before.map_or(finding.severity, |e| e.severity))
        }
        Novelty::Reminder => {
            format!("still there, and not told for longer than the playbook's quiet time ({:#})", playbook.quiet)
        }
        Novelty::Resolved => "every reporter that can say so says that it is over".to_owned(),
        Novelty::Duplicate => format!("known, and told within the playbook's quiet time ({:#})", playbook.quiet),
        Novelty::Stale => "the same again, or older than what is known".to_owned(),
        Novelty::BelowThreshold => playbook
            .threshold
            .as_ref()
            .map_or_else(String::new, |t| format!("fewer than {} within {:#}", t.count, t.within)),
    }
}
