//! `check`: every mistake of a policy at once, with file and line, before the first event finds it.
use super::{DONE, Format, WRONG, ended, setup};
use crate::decide::written::Problem;
use std::{
    io::{self, Write},
    path::Path,
};
#[cfg(feature = "live")]
use {
    super::{
        check_aws::{self, Remark},
        serve,
        setup::Setup,
    },
    crate::ends::connect,
    findings_formatters::escape::clean,
};

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[cfg_attr(
    feature = "live",
    command(
        after_help = "With --aws it also proves, before the first event does, that credentials work, that the queue is there \
and does not bury findings, that the ledger can be used, that every secret resolves, that Slack takes the token and knows every channel that \
routes name, and that the bus is there. Nothing is sent, posted or made. Run it where the router runs, with the router's role; it also needs \
sqs:GetQueueAttributes and GetQueueUrl, dynamodb:DescribeTable and DescribeTimeToLive, events:DescribeEventBus, and, where remediations may \
start, ssm:DescribeDocument in those accounts."
    )
)]
pub struct Args {
    /// Prove what the first event needs too: queue, ledger, secrets, Slack, bus.
    #[cfg(feature = "live")]
    #[arg(long)]
    aws: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Runs the command.
#[cfg_attr(not(feature = "live"), expect(unused_mut, reason = "only a look at the world changes what was loaded"))]
pub fn run(args: &Args, config: Option<&Path>) -> u8 {
    #[cfg(feature = "live")]
    let mut remarks = Vec::new();
    let (problems, warnings, notes, mut summary) = match setup::load(config, None) {
        Ok(mut setup) => {
            #[cfg(feature = "live")]
            if args.aws {
                remarks = in_the_world(&mut setup);
            }
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
    let mut printed = print(args.format, &problems, &warnings, &notes, &mut out);
    let mut wrong = problems.len();
    #[cfg(feature = "live")]
    {
        let found = remarks.iter().filter(|r| r.level == "error").count();
        if found > 0 {
            summary = setup::count(found);
        }
        wrong += found;
        printed = printed.and_then(|()| remarks.iter().try_for_each(|r| remark(args.format, r, &mut out)));
    }
    let printed = printed.and_then(|()| end(args.format, &summary, &mut out));
    ended("check", printed.map(|()| if wrong == 0 { DONE } else { WRONG }))
}

/// What is wrong, or right, with what the configuration and the environment name.
#[cfg(feature = "live")]
fn in_the_world(setup: &mut Setup) -> Vec<Remark> {
    let wrong = setup.policy.config.live.fill(&connect::env);
    let mut remarks: Vec<Remark> =
        wrong.into_iter().map(|what| Remark { level: "error", what, help: String::new() }).collect();
    serve::block_on(async {
        remarks.extend(check_aws::look(setup).await);
        DONE
    });
    remarks
}

#[cfg(feature = "live")]
fn remark(format: Format, Remark { level, what, help }: &Remark, out: &mut dyn Write) -> io::Result<()> {
    match (format, help.as_str()) {
        (Format::Text, "") => writeln!(out, "{level}: {}", clean(what)),
        (Format::Text, help) => writeln!(out, "{level}: {}\n  help: {help}", clean(what)),
        (Format::Json, help) => writeln!(out, "{}", serde_json::json!({ "level": level, "what": what, "help": help })),
    }
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
