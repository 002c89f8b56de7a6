//! `pattern`: EventBridge event patterns, offline.
#![expect(clippy::disallowed_methods, reason = "the command line is where files are read")]

use super::{DONE, USAGE, WRONG};
use crate::{decide::pattern::Pattern, values::tree::Node};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

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
pub fn run(command: &Command) -> u8 {
    let Command::Test { cases } = command;
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
