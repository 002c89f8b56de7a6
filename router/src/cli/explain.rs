//! `explain`: why an event is (not) sent, step by step, from the same code that decides.
use super::{
    DONE, USAGE, WRONG,
    input::{self, Limits, Seen},
    player::{EventFacts, Player},
    setup::Setup,
};
use crate::{
    act::router::{Handled, Told},
    decide::{carrier::Envelope, policy::Policy},
    values::{
        action::{Action, Mode},
        entry::{Entry, State},
        finding::{Finding, Status},
        verdict::{Claim, Novelty, Verdict},
    },
};
use anstyle::Style;
use jiff::Timestamp;
use std::{
    io::{self, Write},
    ops::ControlFlow,
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
}

/// Runs the command.
pub fn run(args: &Args, setup: &Setup) -> u8 {
    match try_run(args, setup) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            anstream::eprintln!("explain: {error}");
            USAGE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "`--would` asks about now")]
fn try_run(args: &Args, setup: &Setup) -> io::Result<u8> {
    let mut player = Player::new(setup)?;
    let limits = Limits::default();
    let mut stdin = io::stdin().lock();
    let _ = input::read(&args.after, &mut stdin, &limits, &mut |seen| {
        if let Seen::Event { body: Ok(text), .. } = seen {
            player.play(&text, &mut |_, _| {});
        }
        ControlFlow::Continue(())
    });
    player.fix(args.would.then(Timestamp::now));
    let mut out = anstream::stdout().lock();
    let (mut code, mut failed) = (DONE, Ok(()));
    let _ = input::read(std::slice::from_ref(&args.event), &mut stdin, &limits, &mut |seen| {
        let Seen::Event { path, index, body } = seen else { return ControlFlow::Continue(()) };
        let mut explain = |event: Option<(&EventFacts, &Envelope<'_>)>, result: Result<&Handled, &str>| {
            failed = std::mem::replace(&mut failed, Ok(())).and_then(|()| match (event, result) {
                (Some((facts, envelope)), Ok(handled)) => {
                    writeln!(out, "{BOLD}{path} #{index}{BOLD:#}")?;
                    explain(&mut out, &setup.policy, facts, envelope, handled)
                }
                (_, Err(reason)) => {
                    code = WRONG;
                    writeln!(out, "{BOLD}{path} #{index}{BOLD:#}")?;
                    step(&mut out, "carrier", &format!("refused: {reason}"))?;
                    step(
                        &mut out,
                        "message",
                        "reject: it stays in the queue until the redrive policy takes it to the dead-letter queue",
                    )
                }
                (None, Ok(_)) => Ok(()),
            });
        };
        match body {
            Ok(text) => player.play(&text, &mut explain),
            Err(refusal) => explain(None, Err(&refusal.reason)),
        }
        if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed?;
    Ok(code)
}

fn step(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {name:<9} {text}")
}

fn explain(
    out: &mut dyn Write,
    policy: &Policy,
    facts: &EventFacts,
    envelope: &Envelope<'_>,
    handled: &Handled,
) -> io::Result<()> {
    let time = facts.time.map_or_else(|| "no time".to_owned(), |t| t.to_string());
    step(
        out,
        "event",
        &format!(
            "{} {:?} of {} in {}/{}, {time}",
            facts.source, facts.detail_type, facts.id, facts.account, facts.region
        ),
    )?;
    if let Some(replay) = &envelope.replay {
        step(out, "", &format!("sent again by the archive replay {replay:?}: labelled, never remediated"))?;
    }
    let sources = policy.sources_of(&envelope.tree);
    if let Some(source) = sources.first() {
        step(out, "source", &format!("router/sources/{source}.toml reads it"))?;
    }
    if let Some(reason) = &handled.ignored {
        step(out, "verdict", &format!("ignored: {reason}"))?;
        return step(out, "message", "ack");
    }
    for (i, told) in handled.findings.iter().enumerate() {
        if handled.findings.len() > 1 {
            writeln!(out, "  {BOLD}finding {} of {}{BOLD:#}", i + 1, handled.findings.len())?;
        }
        explain_finding(out, policy, told)?;
    }
    step(out, "message", handled.disposition().as_str())
}

fn explain_finding(out: &mut dyn Write, policy: &Policy, told: &Told) -> io::Result<()> {
    let f = &told.finding;
    let status = if f.status == Status::Active { "active" } else { "resolved" };
    step(out, "finding", &format!("{} by {}, severity {}, {}", f.kind, f.reporter, f.severity, status))?;
    step(out, "", &format!("id {}, revision {}", f.id, f.revision))?;
    for r in &f.resources {
        step(
            out,
            "resource",
            &format!("{} {} in {}/{}", r.kind, r.id, r.account.as_deref().unwrap_or(&f.account), f.region),
        )?;
    }
    if let Some(actor) = &f.actor {
        step(out, "actor", &format!("{} ({})", actor.name, actor.id))?;
    }
    let claim = match &told.verdict {
        Verdict::Claimed(claim) => claim,
        Verdict::Suppressed(why) => return step(out, "verdict", &format!("suppressed: {why}")),
        Verdict::Ignored(why) => return step(out, "verdict", &format!("ignored: {why}")),
    };
    explain_claim(out, policy, told, claim)?;
    let (before, after) = &told.entries;
    step(out, "ledger", &known(before.as_ref()))?;
    if let Some(novelty) = told.novelty {
        let playbook = &policy.playbooks[claim.playbook];
        step(out, "novelty", &format!("{novelty}: {}", because(novelty, before.as_ref(), f, playbook)))?;
    }
    if told.actions.is_empty() {
        step(out, "plan", "nothing is owed")?;
    }
    for performed in &told.actions {
        let text = match &performed.action {
            Action::Notify(n) => format!("{} to {} ({:?})", n.mode.as_str(), n.destination, n.kind).to_lowercase(),
            Action::Remediate(r) => {
                let stopped = r
                    .stopped
                    .as_ref()
                    .map(|s| format!(", stopped by the rail {:?}: {}", s.rail, s.reason))
                    .unwrap_or_default();
                let starts = if r.mode == Mode::Automatic && r.stopped.is_none() { " and started" } else { "" };
                format!(
                    "runbook {} in {}/{}: mode {}{starts}{stopped}",
                    r.runbook,
                    r.account,
                    r.region,
                    r.mode.as_str()
                )
            }
        };
        step(out, "plan", &text)?;
    }
    if let Some(entry) = after {
        step(out, "recorded", &format!("episode {}, {}, seen by {}", entry.episode, state(entry), reporters(entry)))?;
    }
    told.error.as_ref().map_or(Ok(()), |error| step(out, "wrong", error))
}

fn explain_claim(out: &mut dyn Write, policy: &Policy, told: &Told, claim: &Claim) -> io::Result<()> {
    let playbook = &policy.playbooks[claim.playbook];
    let why = match (&playbook.when, claim.also.is_empty()) {
        (None, _) => "nobody else claims it".to_owned(),
        (Some(_), true) => "the only one that claims it".to_owned(),
        (Some(_), false) => format!("the most severe, then most specific; also {}", told.also.join(", ")),
    };
    step(out, "playbook", &format!("{}: {} ({why})", playbook.name, playbook.summary))?;
    let notes = claim.notes.iter().fold(String::new(), |all, note| all + "; " + note);
    let from = if playbook.severity.is_some() { "the playbook's" } else { "the reporter's own" };
    step(out, "severity", &format!("{} ({from}{})", claim.severity, notes))?;
    let region = claim.region.as_deref().unwrap_or("no Region, the resource is global");
    step(
        out,
        "problem",
        &format!(
            "{} of {} {} in {}, {region}: fingerprint {}",
            claim.weakness, claim.about.kind, claim.about.id, told.finding.account, claim.fingerprint
        ),
    )
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
