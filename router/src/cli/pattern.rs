//! `pattern`: what has to be deployed for the loaded policy, and EventBridge event patterns tried offline.
#![expect(clippy::disallowed_methods, reason = "the command line is where files are read")]

use super::{
    DONE, Format, USAGE, WRONG, ended, setup,
    template::{Template, template},
};
use crate::{
    decide::{
        grants,
        pattern::Pattern,
        policy::Policy,
        rules::{PATTERN_MAX, Rule, rules},
    },
    values::tree::Node,
};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// Options of `pattern`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Without a subcommand it prints what has to be deployed for your sources, playbooks and configuration: the EventBridge \
event patterns that let through what the router makes something of, and nothing else, and the policy of the role that it assumes in each \
account, for the runbooks that may start.

Examples:
  findings-router pattern                                  for people
  findings-router pattern --format json                    {\"rules\":[…],\"policy\":…} for your own templates
  findings-router pattern --template member > member.yaml  infra/member.yaml, filled in; --template runbooks, too"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print a CloudFormation template of infra/ with all this filled in.
    #[arg(long, value_enum, conflicts_with = "format")]
    template: Option<Template>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What to do with patterns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try patterns on events: prints `match`, `no_match`, `valid` (no event) or `invalid: reason` for each case.
    Test {
        /// JSON lines `{"pattern":…,"event":…}`; each an object or a string holding JSON text, `event` may be null. `-` is standard input.
        #[arg(long, value_name = "FILE")]
        cases: PathBuf,
    },
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    pattern: &'a RawValue,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>) -> u8 {
    match (&args.command, args.template) {
        (Some(Command::Test { cases }), _) => test(cases),
        (None, Some(which)) => setup::with(config, None, |setup| {
            printed(template(which, &setup.policy), |out, text| write!(out, "{text}"))
        }),
        (None, None) => setup::with(config, None, |setup| {
            let print = if args.format == Format::Json { print_json } else { print_text };
            printed(rules(&setup.policy), |out, rules| print(out, &setup.policy, &rules))
        }),
    }
}

/// Prints what there is, or why there is nothing.
fn printed<T>(what: Result<T, String>, print: impl FnOnce(&mut dyn Write, T) -> io::Result<()>) -> u8 {
    match what {
        Ok(what) => ended("pattern", print(&mut anstream::stdout().lock(), what).map(|()| DONE)),
        Err(why) => {
            anstream::eprintln!("{why}");
            WRONG
        }
    }
}

fn print_json(out: &mut dyn Write, policy: &Policy, rules: &[Rule]) -> io::Result<()> {
    let rules: Vec<Value> =
        rules.iter().map(|r| json!({ "pattern": r.pattern, "state": r.state(), "global": r.global })).collect();
    writeln!(out, "{}", json!({ "rules": rules, "policy": role_policy(policy) }))
}

fn print_text(out: &mut dyn Write, policy: &Policy, rules: &[Rule]) -> io::Result<()> {
    writeln!(out, "{} rules (an event pattern takes {PATTERN_MAX} characters):", rules.len())?;
    for (number, rule) in (1..).zip(rules) {
        let pattern = rule.pattern.to_string();
        let place = if rule.global { "where global services report" } else { "in every Region" };
        writeln!(out, "\n{number}  {place}, {}, {} characters\n{pattern}", rule.state(), pattern.chars().count())?;
    }
    match role_policy(policy) {
        Value::Null => {
            writeln!(out, "\nNothing may start anywhere, so the role that the router assumes needs no policy.")
        }
        policy => writeln!(out, "\nThe policy of the role that the router assumes in each account:\n{policy:#}"),
    }
}

/// The policy of the role that the router assumes, for any partition and account; null where it needs none.
fn role_policy(policy: &Policy) -> Value {
    let statements = grants::statements(policy);
    if statements.is_empty() {
        return Value::Null;
    }
    let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let document = document.replace("${AWS::Partition}", "*").replace("${AWS::AccountId}", "*");
    serde_json::from_str(&document).unwrap_or_default()
}

fn test(cases: &Path) -> u8 {
    let reader: Box<dyn BufRead> = if cases.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        match File::open(cases) {
            Ok(file) => Box::new(BufReader::new(file)),
            Err(error) => {
                anstream::eprintln!("{}: cannot be read: {error}", cases.display());
                return USAGE;
            }
        }
    };
    let mut code = DONE;
    for line in reader.split(b'\n') {
        let answer = match line.map(|l| String::from_utf8_lossy(&l).into_owned()) {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => match serde_json::from_str::<Case<'_>>(&line) {
                Ok(case) => verdict(&case),
                Err(error) => {
                    code = WRONG;
                    format!("invalid: the case is not {{\"pattern\":…,\"event\":…}}: {error}")
                }
            },
            Err(error) => {
                anstream::eprintln!("{}: cannot be read: {error}", cases.display());
                return USAGE;
            }
        };
        anstream::println!("{}", answer.replace(['\n', '\r'], " "));
    }
    code
}

fn verdict(case: &Case<'_>) -> String {
    let pattern = match text(case.pattern).and_then(|t| Pattern::parse(&t).map_err(|e| e.to_string())) {
        Ok(pattern) => pattern,
        Err(reason) => return format!("invalid: {reason}"),
    };
    let Some(event) = case.event.filter(|e| e.get() != "null") else { return "valid".to_owned() };
    let event = match text(event) {
        Ok(event) => event,
        Err(reason) => return format!("invalid: event: {reason}"),
    };
    match Node::parse(&event) {
        Ok(node) if pattern.matches(&node) => "match".to_owned(),
        Ok(_) => "no_match".to_owned(),
        Err(error) => format!("invalid: event: {error}"),
    }
}

/// JSON given as such, or as a string that holds its text.
fn text(raw: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = raw.get();
    if text.starts_with('"') {
        serde_json::from_str(text).map(Cow::Owned).map_err(|e| e.to_string())
    } else {
        Ok(Cow::Borrowed(text))
    }
}
