//! What is wrong with a template, said so that its author can mend it: file, line, what, and what there is instead.
use std::fmt;

use tera::{Error, ErrorKind, ReportError};

/// One mistake in one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The file as the user knows it.
    pub file: String,
    /// The line in that file, where it is known.
    pub line: Option<usize>,
    /// What is wrong, in a sentence that can stand alone.
    pub reason: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.file, self.reason),
            None => write!(out, "{}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for TemplateError {}

impl TemplateError {
    pub(crate) fn new(file: impl Into<String>, line: Option<usize>, reason: impl Into<String>) -> Self {
        Self { file: file.into(), line, reason: reason.into() }
    }

    /// Everything that Tera reports; `file` is the template that was loaded or rendered, for errors that name none.
    pub(crate) fn all_from(error: &Error, file: &str) -> Vec<Self> {
        let at = |report: &ReportError| {
            let name = if report.filename().is_empty() { file } else { report.filename() };
            vec![Self::new(name, Some(report.span().start_line), sentence(report.message()))]
        };
        match error.kind() {
            ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => at(report),
            // Unknown filters, tests, functions and includes come as one text that holds one report for each.
            ErrorKind::Msg(text) if text.starts_with("error: ") => {
                text.split("\n\n").filter_map(|report| Self::from_report(report, file)).collect()
            }
            ErrorKind::CircularInclude { tpl, .. } | ErrorKind::CircularExtend { tpl, .. } => {
                vec![Self::new(tpl.clone(), None, sentence(&error.to_string()))]
            }
            ErrorKind::MissingParent { current, .. } => {
                vec![Self::new(current.clone(), None, sentence(&error.to_string()))]
            }
            _ => vec![Self::new(file, None, sentence(&error.to_string()))],
        }
    }

    /// The first of [`TemplateError::all_from`]; there is always one.
    pub(crate) fn from_tera(error: &Error, file: &str) -> Self {
        let first = Self::all_from(error, file).into_iter().next();
        first.unwrap_or_else(|| Self::new(file, None, sentence(&error.to_string())))
    }

    /// `error: what` / ` --> name:line:column`, then the source with carets.
    fn from_report(report: &str, file: &str) -> Option<Self> {
        let mut lines = report.lines();
        let what = lines.next()?.strip_prefix("error: ")?;
        let place = lines.next().and_then(|line| line.trim().strip_prefix("--> ")).unwrap_or_default();
        let mut parts = place.rsplitn(3, ':');
        let (_, line, name) = (parts.next(), parts.next(), parts.next());
        let line = line.and_then(|line| line.parse().ok());
        Some(Self::new(name.unwrap_or(file), line, sentence(what)))
    }
}

/// Tera's message in this project's words, with a full stop.
fn sentence(message: &str) -> String {
    let mut text = message.trim().replace(" Available variables: ", " The fields there are: ");
    text = text.replace(" Available fields: ", " The fields there are: ");
    if text.starts_with("Field ") && text.ends_with("is not defined.") {
        text.push_str(" What it belongs to can be none: ask with `{% if … %}` first.");
    }
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}
