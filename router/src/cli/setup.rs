//! What every command needs first: the configuration, the policy and the formatters; and their mistakes, all at once.
use super::USAGE;
use crate::{
    act::{
        memory::{MemoryLedger, MemoryMessenger, MemoryPublisher, MemoryRemediator},
        router::Router,
    },
    decide::{
        config::Config,
        playbook::Playbook,
        policy::{Policy, PolicyFile, UserFiles},
        show,
        written::Problem,
    },
};
use findings_formatters::{Formatter, Texts, view::Locale};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Read where no configuration is named.
const CONFIG: &str = "findings-router.toml";

/// A router whose ends are in memory.
pub type MemoryRouter<'p> = Router<'p, MemoryLedger, MemoryMessenger, MemoryRemediator, MemoryPublisher>;

/// Everything that decides and renders, loaded without a mistake.
pub struct Setup {
    /// What decides.
    pub policy: Policy,
    /// What renders cards.
    pub formatter: Formatter,
    /// What renders playbooks' texts.
    pub texts: Texts,
    /// Things that work, but probably not as meant.
    pub warnings: Vec<Problem>,
}

impl Setup {
    /// A router that remembers in memory and sends nothing.
    pub fn memory_router(&self) -> MemoryRouter<'_> {
        Router {
            policy: &self.policy,
            formatter: &self.formatter,
            texts: &self.texts,
            ledger: MemoryLedger::default(),
            messenger: MemoryMessenger::default(),
            remediator: MemoryRemediator,
            publisher: MemoryPublisher,
            alone_since: None,
        }
    }
}

/// Loads and runs; where loading finds mistakes, prints them all and gives the exit code for bad configuration.
pub fn with(config: Option<&Path>, locale: Option<Locale>, run: impl FnOnce(&Setup) -> u8) -> u8 {
    match load(config, locale) {
        Ok(setup) => run(&setup),
        Err(problems) => {
            report(&problems);
            USAGE
        }
    }
}

/// Prints mistakes to standard error.
pub fn report(problems: &[Problem]) {
    for problem in problems {
        anstream::eprintln!("{problem}");
    }
    anstream::eprintln!("{}", count(problems.len()));
}

/// How many, in words.
pub fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

/// Loads everything; returns every mistake of every file.
pub fn load(config: Option<&Path>, locale: Option<Locale>) -> Result<Setup, Vec<Problem>> {
    let (mut config, base, mut problems) = read_config(config)?;
    if let Some(locale) = locale {
        config.locale = locale;
    }
    let mut folder = |key: &str, names: &[String], ending: &str| {
        let read = names.iter().flat_map(|name| {
            let files = read_folder(&base.join(name), ending);
            files.map_err(|why| problems.push(no_folder(&config.file, key, name, &why))).unwrap_or_default()
        });
        read.collect::<Vec<_>>()
    };
    let sources = folder("sources", &config.folders.sources, "toml");
    let playbooks = folder("playbooks", &config.folders.playbooks, "toml");
    let mut runbooks = folder("runbooks", &config.folders.runbooks, "yaml");
    runbooks.extend(folder("runbooks", &config.folders.runbooks, "json"));
    let templates = folder("templates", &config.folders.templates, "json");
    let formatter = Formatter::new(templates.into_iter().map(|t| (format!("{}.json", t.name), t.text, t.path)));
    let formatter = formatter.map_err(|errors| problems.extend(errors.iter().map(template_problem))).ok();
    let user = UserFiles { sources, playbooks, runbooks };
    let policy = Policy::load(config, &user).map_err(|more| problems.extend(more)).ok();
    let (Some(policy), Some(formatter)) = (policy, formatter) else { return Err(problems) };
    problems.extend(wrong_texts(&policy, &user));
    if !problems.is_empty() {
        return Err(problems);
    }
    let warnings = warnings(&policy);
    Ok(Setup { policy, formatter, texts: Texts::default(), warnings })
}

/// What is wrong with the texts of the user's own playbooks: all are parsed, and those that need no event are tried on a sample finding, so
/// that a misspelt field is found here and not at 3 a.m. (The shipped ones are tried on real events by the tests; here it would only cost
/// time.)
fn wrong_texts(policy: &Policy, user: &UserFiles) -> Vec<Problem> {
    let own = policy.playbooks.iter().filter(|p| user.playbooks.iter().any(|file| file.path == p.file));
    let (texts, sample) = (Texts::default(), show::sample_context());
    let tried = |name: &str, text: &str| match Texts::check(name, text) {
        Ok(()) if !text.contains("detail") => texts.render(name, text, &sample).map(drop),
        parsed => parsed,
    };
    let all = own.flat_map(Playbook::all_texts);
    all.filter_map(|(name, text)| tried(&name, text).err()).map(|error| text_problem(&error)).collect()
}

fn warnings(policy: &Policy) -> Vec<Problem> {
    let unknown = policy.unknown.iter().cloned();
    let patterns = policy.playbooks.iter().filter_map(|p| Some((p.file.clone(), p.when.as_ref()?)));
    let patterns = patterns.flat_map(|(file, when)| {
        when.warnings().into_iter().map(move |what| Problem {
            file: file.clone(),
            line: None,
            what,
            help: String::new(),
        })
    });
    unknown.chain(patterns).collect()
}

/// A text's name is `file (key)`; its lines are not those of the file.
fn text_problem(error: &findings_formatters::TemplateError) -> Problem {
    let (file, key) = error.file.rsplit_once(" (").unwrap_or((&error.file, ""));
    let what = format!("`{}`: {}", key.trim_end_matches(')'), error.reason);
    Problem { file: file.to_owned(), line: None, what, help: String::new() }
}

fn template_problem(error: &findings_formatters::TemplateError) -> Problem {
    Problem { file: error.file.clone(), line: error.line, what: error.reason.clone(), help: String::new() }
}

#[expect(clippy::disallowed_methods, reason = "the command line is where files are read")]
fn read_config(named: Option<&Path>) -> Result<(Config, PathBuf, Vec<Problem>), Vec<Problem>> {
    let path = named.unwrap_or(Path::new(CONFIG));
    let file = path.display().to_string();
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    match fs::read_to_string(path) {
        Ok(text) => {
            let (config, problems) = Config::parse(&file, &text);
            Ok((config, base, problems))
        }
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            Ok((Config::default(), base, Vec::new()))
        }
        Err(error) => {
            let help = "name an existing file with --config, or leave it out".to_owned();
            Err(vec![Problem { file, line: None, what: format!("cannot be read: {error}"), help }])
        }
    }
}

fn read_folder(folder: &Path, ending: &str) -> io::Result<Vec<PolicyFile>> {
    let mut files = Vec::new();
    walk(folder, folder, ending, &mut files)?;
    Ok(files)
}

fn no_folder(file: &str, key: &str, name: &str, why: &io::Error) -> Problem {
    let what = format!("`{key}` names the folder {name:?}, which cannot be read: {why}");
    let help = "folders are relative to this file; make it, or take the name out".to_owned();
    Problem { file: file.to_owned(), line: None, what, help }
}

#[expect(clippy::disallowed_methods, reason = "the command line is where files are read")]
fn walk(root: &Path, folder: &Path, ending: &str, files: &mut Vec<PolicyFile>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, ending, files)?;
        } else if path.extension().is_some_and(|e| e == ending) {
            let name = path.strip_prefix(root).unwrap_or(&path).with_extension("").to_string_lossy().replace('\\', "/");
            files.push(PolicyFile { name, path: path.display().to_string(), text: fs::read_to_string(&path)? });
        }
    }
    Ok(())
}
