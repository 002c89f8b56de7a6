//! `import`: rules that others wrote, as playbooks.
#![expect(clippy::disallowed_methods, reason = "the command line is where files are read and written")]
use super::{DONE, USAGE, WRONG, ended};
use crate::decide::{
    playbook::Playbook,
    sigma::{self, Imported},
};
use clap::Subcommand;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// What to import.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sigma rules about CloudTrail (`product: aws`, `service: cloudtrail`).
    #[command(
        after_help = "What a rule detects becomes an event pattern that matches exactly the same events; a rule that cannot be said so is refused with \
the reason, and the others are imported all the same. Read what comes out: title and steps are the rule's own, in English, and a card deserves better.

Examples:
  findings-router import sigma rule.yml                      the playbook on standard output
  findings-router import sigma --into my-playbooks rules/    a file for each rule of a folder

Exit codes: 0 all imported, 1 some refused, 2 bad usage."
    )]
    Sigma {
        /// Files, and folders with `.yml` and `.yaml` files.
        #[arg(required = true, value_name = "RULE")]
        rules: Vec<PathBuf>,
        /// Write a file for each into this folder, instead of standard output. Files that are there stay.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
        /// Take all texts as they are written. Sigma ignores case, and EventBridge's wildcards do not; CloudTrail itself writes names always the same way.
        #[arg(long)]
        cased: bool,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> u8 {
    let Command::Sigma { rules, into, cased } = command;
    let mut files = Vec::new();
    for path in rules {
        if let Err(error) = list(path, &mut files) {
            anstream::eprintln!("{}: cannot be read: {error}", path.display());
            return USAGE;
        }
    }
    let mut code = DONE;
    for file in files {
        let imported = fs::read_to_string(&file)
            .map_err(|e| format!("cannot be read: {e}"))
            .and_then(|text| import(&text, *cased));
        let done = imported.and_then(|imported| match into {
            Some(folder) => write(folder, &imported),
            None => Ok(ended("import", print(&imported))),
        });
        match done {
            Ok(ended) => code = code.max(ended),
            Err(why) => {
                anstream::eprintln!("{}: {why}", file.display());
                code = code.max(WRONG);
            }
        }
    }
    code
}

/// A rule as a playbook that loads.
fn import(text: &str, cased: bool) -> Result<Imported, String> {
    let imported = sigma::import(text, cased)?;
    let wrong = |problems: Vec<crate::decide::written::Problem>| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("makes no playbook: {}", problems.join("; "))
    };
    Playbook::parse(&imported.name, &format!("{}.toml", imported.name), &imported.toml).map_err(wrong)?;
    Ok(imported)
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside: Vec<PathBuf> = fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?;
    inside.sort();
    for path in inside {
        if path.is_dir() || path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            list(&path, files)?;
        }
    }
    Ok(())
}

fn print(imported: &Imported) -> io::Result<u8> {
    write!(anstream::stdout().lock(), "{}", imported.toml).map(|()| DONE)
}

fn write(folder: &Path, imported: &Imported) -> Result<u8, String> {
    let path = folder.join(format!("{}.toml", imported.name));
    let made = fs::create_dir_all(folder).and_then(|()| fs::File::create_new(&path));
    let written = made.and_then(|mut file| file.write_all(imported.toml.as_bytes()));
    written.map_err(|e| format!("{}: cannot be written: {e}", path.display()))?;
    anstream::eprintln!("{}", path.display());
    Ok(DONE)
}
