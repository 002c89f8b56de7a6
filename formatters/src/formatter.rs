//! A [`View`] rendered into a Slack message: template, JSON, limits. The shipped templates are compiled in; a user's
//! template of the same name takes the place of ours, and is tried on sample findings before it is accepted.
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tera::Tera;

use crate::error::TemplateError;
use crate::view::{Kind, Locale, View};
use crate::{context, escape, filters, json, limits, lint, sample, shorten};

/// What Slack is sent: the fallback for notifications, and the blocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// What notifications and screen readers show.
    pub text: String,
    /// Block Kit, within its limits.
    pub blocks: Value,
}

impl Message {
    /// What is sent where a template fails: the title and the account, so that no finding is lost to a mistake in a look.
    pub fn plain(view: &View) -> Self {
        let title = escape::prose(&view.title);
        let title = if title.is_empty() { escape::prose(&view.playbook) } else { title };
        let text = format!("[{}] {title} ({})", view.severity.to_uppercase(), escape::prose(&view.account.id));
        let text = escape::restore(&text);
        let section = serde_json::json!({ "type": "mrkdwn", "text": shorten::mrkdwn(&text, 3_000), "verbatim": true });
        Self { blocks: serde_json::json!([{ "type": "section", "text": section }]), text: shorten::mrkdwn(&text, 400) }
    }
}

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../templates/", $name)))),+] };
}

/// The templates of this crate; those with `/parts/` in their name are included by the others.
const SHIPPED: &[(&str, &str)] = shipped![
    "slack/card.json",
    "slack/escalated.json",
    "slack/reminder.json",
    "slack/resolved.json",
    "slack/storm.json",
    "slack/storm-line.json",
    "slack/digest.json",
    "slack/note.json",
    "slack/remediation.json",
    "slack/dialog.json",
    "slack/parts/fallback.json",
    "slack/parts/resource.json",
    "slack/parts/where.json",
    "slack/parts/place.json",
    "slack/parts/exercise.json",
    "slack/parts/remediation.json",
    "slack/parts/state.json",
    "slack/parts/asks.json",
    "slack/parts/buttons.json",
    "slack/parts/who.json",
    "slack/parts/when.json",
    "slack/parts/footer.json",
    "slack/parts/storm-title.json",
];

impl Kind {
    /// Every kind of message.
    pub const ALL: [Self; 10] = [
        Self::Card,
        Self::Escalated,
        Self::Reminder,
        Self::Resolved,
        Self::Storm,
        Self::StormLine,
        Self::Digest,
        Self::Note,
        Self::Remediation,
        Self::Dialog,
    ];

    fn template(self) -> &'static str {
        match self {
            Self::Card => "slack/card.json",
            Self::Escalated => "slack/escalated.json",
            Self::Reminder => "slack/reminder.json",
            Self::Resolved => "slack/resolved.json",
            Self::Storm => "slack/storm.json",
            Self::StormLine => "slack/storm-line.json",
            Self::Digest => "slack/digest.json",
            Self::Note => "slack/note.json",
            Self::Remediation => "slack/remediation.json",
            Self::Dialog => "slack/dialog.json",
        }
    }
}

/// Renders messages; made once, used from anywhere.
#[derive(Debug)]
pub struct Formatter {
    tera: Tera,
    sources: Sources,
}

/// The text of each template by name, and the file to name in errors.
type Sources = BTreeMap<String, Source>;

#[derive(Debug)]
struct Source {
    text: String,
    path: String,
    /// Whether it is the user's.
    own: bool,
}

impl Formatter {
    /// The shipped templates with the user's (name, text, path for messages) in place of those of the same name.
    /// Reports every mistake at once.
    pub fn new(user_templates: impl IntoIterator<Item = (String, String, String)>) -> Result<Self, Vec<TemplateError>> {
        let mut sources: Sources = SHIPPED
            .iter()
            .map(|(name, text)| {
                ((*name).to_owned(), Source { text: (*text).to_owned(), path: (*name).to_owned(), own: false })
            })
            .collect();
        let mut errors = Vec::new();
        for (name, text, path) in user_templates {
            if !sources.contains_key(&name) && !name.contains("/parts/") {
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.template()).collect();
                let known = known.join(", ");
                let reason = format!(
                    "No message uses a template `{name}`. There are: {known}. Pieces of your own go into `slack/parts/`."
                );
                errors.push(TemplateError::new(path, None, reason));
                continue;
            }
            errors.extend(lint::check(&path, &text));
            sources.insert(name, Source { text, path, own: true });
        }
        let tera = load(&mut sources, &mut errors);
        let made = Self { tera, sources };
        if errors.is_empty() && made.sources.values().any(|source| source.own) {
            errors = made.dry_run();
        }
        if errors.is_empty() { Ok(made) } else { Err(errors) }
    }

    /// The message for this view.
    pub fn slack(&self, view: &View) -> Result<Message, TemplateError> {
        let name = view.kind.template();
        let failed = |reason: String| TemplateError::new(self.path(name), None, reason);
        let context = context::of(view).map_err(failed)?;
        let rendered = self.tera.render(name, &context).map_err(|error| {
            let error = TemplateError::from_tera(&error, name);
            TemplateError { file: self.path(&error.file), ..error }
        })?;
        let parsed = json::parse(&rendered).map_err(|error| self.not_json(name, &error))?;
        let (text, blocks) = limits::hold(parsed).map_err(failed)?;
        Ok(Message { text, blocks })
    }

    fn path(&self, name: &str) -> String {
        self.sources.get(name).map_or_else(|| name.to_owned(), |source| source.path.clone())
    }

    /// What is wrong with the user's templates when they are rendered: every message, sample and language.
    fn dry_run(&self) -> Vec<TemplateError> {
        let mut errors = Vec::new();
        for kind in Kind::ALL {
            for locale in Locale::ALL {
                for view in [sample::full(kind, locale), sample::bare(kind, locale)] {
                    if let Err(error) = self.slack(&view)
                        && !errors.iter().any(|e: &TemplateError| (&e.file, e.line) == (&error.file, error.line))
                    {
                        errors.push(error);
                    }
                }
            }
        }
        errors
    }

    /// Names the line of the template that made the text at the mistake, where only one line can have.
    fn not_json(&self, name: &str, error: &json::JsonError) -> TemplateError {
        let own = self.sources.iter().filter(|(own, source)| source.own && own.as_str() != name);
        let mut places = self.sources.get(name).into_iter().chain(own.map(|(_, source)| source));
        let (path, line) = places
            .find_map(|source| line_of(&source.text, error).map(|line| (source.path.clone(), Some(line))))
            .unwrap_or_else(|| (self.path(name), None));
        let start = error.before.char_indices().rev().nth(39).map_or(0, |(at, _)| at);
        let near = escape::restore(error.before.get(start..).unwrap_or_default());
        TemplateError::new(
            path,
            line,
            format!("The rendered text is not JSON: {} after `{}`.", error.reason, near.trim()),
        )
    }
}

/// Parses every template, taking those with mistakes out until the rest loads, so that all mistakes are reported.
fn load(sources: &mut Sources, errors: &mut Vec<TemplateError>) -> Tera {
    loop {
        let mut tera = Tera::default();
        // The empty suffix: every template, whatever its name.
        tera.autoescape_on([""]);
        tera.set_escape_fn(|text, out| out.write_all(escape::prose(text).as_bytes()));
        filters::register(&mut tera);
        let Err(error) = tera.add_raw_templates(sources.iter().map(|(name, source)| (name, &source.text))) else {
            return tera;
        };
        let mut emptied = false;
        for found in TemplateError::all_from(&error, "templates") {
            if let Some(source) = sources.get_mut(&found.file) {
                emptied |= !std::mem::take(&mut source.text).is_empty();
                errors.push(TemplateError { file: source.path.clone(), ..found });
            } else {
                errors.push(found);
            }
        }
        if !emptied {
            return tera;
        }
    }
}

/// The line where the text just before the mistake, or from it on, stands in the source; if it stands there once.
fn line_of(source: &str, error: &json::JsonError) -> Option<usize> {
    // White space is what the JSON reader changes.
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let (before, after) = (bare(&error.before), bare(&error.after));
    let mut text = String::new();
    let mut lines = Vec::new();
    for (at, line) in source.lines().enumerate() {
        let line = bare(line);
        lines.extend(std::iter::repeat_n(at + 1, line.len()));
        text.push_str(&line);
    }
    let once = |part: &str| {
        let mut found = text.match_indices(part);
        found.next().filter(|_| found.next().is_none()).map(|(at, _)| at)
    };
    // Longest first: the more text is the same, the surer is the place.
    (SHORTEST..=LONGEST).rev().find_map(|length| {
        let end = before.char_indices().rev().nth(length - 1).and_then(|(at, _)| before.get(at..));
        let start = after.char_indices().nth(length).and_then(|(at, _)| after.get(..at));
        let place = end.and_then(|end| once(end).map(|at| at + end.len() - 1)).or_else(|| start.and_then(once))?;
        lines.get(place).copied()
    })
}

/// How much text must be the same to name a line, and how much is looked at.
const SHORTEST: usize = 4;
const LONGEST: usize = 40;
