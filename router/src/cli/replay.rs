//! `replay`: recorded events through the real router, with in-memory ends. The clock is the event's own time, so quiet
//! periods and windows come out the same every time.
use super::{
    DONE, WRONG, ended,
    input::{self, Limits, Seen},
    json,
    player::{Player, Replayed},
    setup::Setup,
    transcript::Transcript,
};
use crate::{
    act::{intake::EventFacts, router::Handled},
    values::action::Action,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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

/// Runs the command.
pub fn run(args: &Args, setup: &Setup) -> u8 {
    ended("replay", try_run(args, setup))
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
        let mut print = |event: Option<&EventFacts>, result: Result<&Handled, &str>| {
            wrong |= result.is_err() || result.is_ok_and(|h| h.findings.iter().any(|f| f.error.is_some()));
            let replayed = Replayed { path, index, event, result };
            if failed.is_ok() {
                failed = match args.format {
                    Format::Text => transcript.print(&mut out, &replayed),
                    Format::Json => json::print(&mut out, &replayed),
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

fn print_slack(out: &mut dyn Write, replayed: &Replayed<'_>) -> io::Result<()> {
    let Ok(handled) = replayed.result else { return Ok(()) };
    for performed in handled.findings.iter().flat_map(|f| &f.actions) {
        if let (Action::Notify(n), Some(message)) = (&performed.action, &performed.message) {
            let channel = n.destination.trim_start_matches("slack:");
            let line = serde_json::json!({ "channel": channel, "mode": n.mode.as_str(), "text": message.text, "blocks": message.blocks });
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
