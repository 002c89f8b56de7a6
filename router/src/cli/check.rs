//! `check`: every mistake of a policy at once, with file and line, before the first event finds it.
use super::{DONE, WRONG, setup};
use std::path::Path;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object per problem: file, line, what, help.
    Json,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>) -> u8 {
    let (problems, warnings, summary) = match setup::load(config, None) {
        Ok(setup) => {
            let policy = &setup.policy;
            let runbooks: usize = policy.playbooks.iter().map(|p| p.remediate.len()).sum();
            let counts = (
                policy.sources.len(),
                policy.playbooks.len(),
                policy.config.routes.len(),
                policy.config.accounts.len(),
            );
            let summary = format!(
                "ok: {} sources, {} playbooks with {runbooks} remediations, {} routes, {} accounts",
                counts.0, counts.1, counts.2, counts.3
            );
            (Vec::new(), setup.warnings, summary)
        }
        Err(problems) => (problems, Vec::new(), String::new()),
    };
    let all = problems.iter().map(|p| ("error", p)).chain(warnings.iter().map(|w| ("warning", w)));
    for (level, p) in all {
        match args.format {
            Format::Text => anstream::println!("{level}: {p}"),
            Format::Json => anstream::println!(
                "{}",
                serde_json::json!({ "level": level, "file": p.file, "line": p.line, "what": p.what, "help": p.help })
            ),
        }
    }
    if !problems.is_empty() {
        if args.format == Format::Text {
            anstream::println!("{}", setup::count(problems.len()));
        }
        return WRONG;
    }
    if args.format == Format::Text {
        anstream::println!("{summary}");
    }
    DONE
}
