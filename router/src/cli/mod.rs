//! The command line: the tool that operators live in. Each command is a file; this one names them and sets the ground
//! rules: results on standard output, everything else on standard error, exit codes 0 done, 1 something was found wrong,
//! 2 bad usage or configuration.
pub mod check;
#[cfg(feature = "live")]
pub mod check_aws;
#[cfg(feature = "live")]
pub mod drill;
pub mod explain;
#[cfg(feature = "live")]
pub mod findings;
#[cfg(feature = "live")]
pub mod health;
pub mod import;
pub mod input;
pub mod json;
#[cfg(feature = "live")]
pub mod lambda;
#[cfg(feature = "live")]
pub mod ledger;
pub mod pattern;
pub mod player;
#[cfg(feature = "live")]
pub mod queue;
#[cfg(feature = "live")]
pub mod remediation;
pub mod replay;
#[cfg(feature = "live")]
pub mod serve;
pub mod setup;
pub mod template;
pub mod transcript;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use findings_formatters::view::Locale;
use std::{io, path::PathBuf, process::ExitCode};

/// Done.
pub const DONE: u8 = 0;
/// Something was found wrong.
pub const WRONG: u8 = 1;
/// Bad usage or configuration.
pub const USAGE: u8 = 2;

/// Routes AWS security findings: one concise Slack card per problem, kept true, and SSM Automation on rails.
#[derive(Debug, Parser)]
#[command(name = "findings-router", version = crate::VERSION, max_term_width = 100)]
#[command(after_help = "Examples:
  findings-router replay fixtures                      what every recorded event would do, as a transcript
  findings-router replay --format json events.json.gz  the same for scripts: one JSON object per finding
  findings-router explain event.json                   why one event is (not) sent, step by step
  findings-router check --config findings-router.toml  every mistake of your policy at once

Exit codes: 0 done, 1 something was found wrong, 2 bad usage or configuration.")]
pub struct Cli {
    /// Your configuration; without one, ./findings-router.toml if it exists, else the defaults.
    #[arg(long, global = true, value_name = "FILE", env = "FINDINGS_ROUTER_CONFIG")]
    config: Option<PathBuf>,
    /// The language of cards; overrides the configuration.
    #[arg(long, global = true, value_name = "LANGUAGE")]
    locale: Option<Language>,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    En,
    Ja,
}

impl From<Language> for Locale {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Ja => Self::Ja,
        }
    }
}

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// JSON, one object per line.
    Json,
}

/// The exit code of a command that printed what it could. A reader that has seen enough is no error.
fn ended(command: &str, result: io::Result<u8>) -> u8 {
    match result {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            anstream::eprintln!("{command}: {error}");
            USAGE
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run recorded events through the real router with in-memory ends; nothing leaves the machine.
    Replay(replay::Args),
    /// Say why an event is (not) sent, step by step.
    Explain(explain::Args),
    /// Validate configuration, sources, playbooks and templates; report every mistake with file and line.
    Check(check::Args),
    /// The daemon: SQS in, Slack out, HTTP for health, metrics and events.
    #[cfg(feature = "live")]
    Serve(serve::Args),
    /// Ask the daemon whether it is alive, for the health checks of containers.
    #[cfg(feature = "live")]
    Health(health::Args),
    /// Send a marked, harmless event through the real path, and say how long it took until people were told.
    #[cfg(feature = "live")]
    Drill(drill::Args),
    /// Look at the problems that the ledger holds.
    #[cfg(feature = "live")]
    #[command(subcommand)]
    Findings(findings::Command),
    /// Approve, follow, stop and undo remediations; see what may run where.
    #[cfg(feature = "live")]
    #[command(subcommand)]
    Remediation(remediation::Command),
    /// Make the ledger's table.
    #[cfg(feature = "live")]
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Print the EventBridge patterns, IAM policy and templates that your policy needs; try patterns on events.
    Pattern(pattern::Args),
    /// Turn rules that others wrote into playbooks.
    #[command(subcommand)]
    Import(import::Command),
    /// Print completions for a shell; for bash: source <(findings-router completions bash).
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Runs the command line and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match cli.command {
        Command::Pattern(args) => pattern::run(&args, cli.config.as_deref()),
        #[cfg(feature = "live")]
        Command::Serve(args) => serve::run(&args, cli.config.as_deref(), cli.locale.map(Into::into)),
        #[cfg(feature = "live")]
        Command::Health(args) => health::run(&args),
        #[cfg(feature = "live")]
        Command::Drill(args) => drill::run(&args, cli.config.as_deref(), cli.locale.map(Into::into)),
        #[cfg(feature = "live")]
        Command::Findings(command) => findings::run(&command, cli.config.as_deref()),
        #[cfg(feature = "live")]
        Command::Remediation(command) => remediation::run(&command, cli.config.as_deref()),
        #[cfg(feature = "live")]
        Command::Ledger(command) => ledger::run(&command, cli.config.as_deref()),
        Command::Import(command) => import::run(&command),
        Command::Completions { shell } => {
            // It panics where its reader has seen enough.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "findings-router", &mut script);
            ended("completions", io::Write::write_all(&mut io::stdout(), &script).map(|()| DONE))
        }
        #[cfg(feature = "live")]
        Command::Explain(args) if args.ledger => match serve::load(cli.config.as_deref(), cli.locale.map(Into::into)) {
            Some(setup) => explain::run_on_ledger(&args, setup),
            None => USAGE,
        },
        Command::Check(args) => check::run(&args, cli.config.as_deref()),
        Command::Replay(args) => {
            setup::with(cli.config.as_deref(), cli.locale.map(Into::into), |setup| replay::run(&args, setup))
        }
        Command::Explain(args) => {
            setup::with(cli.config.as_deref(), cli.locale.map(Into::into), |setup| explain::run(&args, setup))
        }
    };
    ExitCode::from(code)
}
