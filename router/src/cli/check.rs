//! `check`: every mistake of a policy at once, with file and line, before the first event finds it.
use super::{DONE, Format, WRONG, ended, setup};
use crate::decide::written::Problem;
use std::{
    io::{self, Write},
    path::Path,
};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>) -> u8 {
    let (problems, warnings, notes, summary) = match setup::load(config, None) {
        Ok(setup) => {
            let policy = &setup.policy;
            let runbooks: usize = policy.playbooks.iter().map(|p| p.remediate.len()).sum();
            let (sources, playbooks) = (policy.sources.len(), policy.playbooks.len());
            let (routes, accounts) = (policy.config.routes.len(), policy.config.accounts.len());
            let summary = format!(
                "ok: {sources} sources, {playbooks} playbooks with {runbooks} remediations, {routes} routes, {accounts} accounts"
            );
            (Vec::new(), setup.warnings, setup.policy.replaced, summary)
        }
        Err(problems) => {
            let summary = setup::count(problems.len());
            (problems, Vec::new(), Vec::new(), summary)
        }
    };
    let mut out = anstream::stdout().lock();
    let code = if problems.is_empty() { DONE } else { WRONG };
    ended(
        "check",
        print(args.format, &problems, &warnings, &notes, &mut out)
            .and_then(|()| end(args.format, &summary, &mut out))
            .map(|()| code),
    )
}

fn print(
    format: Format,
    problems: &[Problem],
    warnings: &[Problem],
    notes: &[String],
    out: &mut dyn Write,
) -> io::Result<()> {
    let all = problems.iter().map(|p| ("error", p)).chain(warnings.iter().map(|w| ("warning", w)));
    for (level, p) in all {
        match format {
            Format::Text => writeln!(out, "{level}: {p}")?,
            Format::Json => {
                let line = serde_json::json!({ "level": level, "file": p.file, "line": p.line, "what": p.what, "help": p.help });
                writeln!(out, "{line}")?;
            }
        }
    }
    notes.iter().try_for_each(|note| match format {
        Format::Text => writeln!(out, "note: {note}"),
        Format::Json => writeln!(out, "{}", serde_json::json!({ "level": "note", "what": note })),
    })
}

fn end(format: Format, summary: &str, out: &mut dyn Write) -> io::Result<()> {
    if format == Format::Text { writeln!(out, "{summary}") } else { Ok(()) }
}
