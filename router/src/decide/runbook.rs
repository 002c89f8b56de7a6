//! Runbooks: what is known of SSM Automation documents, so that nothing is started with parameters that a document does
//! not take. Our own come from `infra/runbooks`, AWS's from `router/runbooks`, a user's from a folder of theirs.
#[cfg(test)]
mod tests;
mod written;

use super::{
    playbook::{Playbook, Value},
    policy::PolicyFile,
    rails::fits,
    written::Problem,
};
use findings_formatters::view::Locale;
use regex_lite::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The parameter that names the role a document runs in.
pub const ASSUME_ROLE: &str = "AutomationAssumeRole";
/// SSM takes at most so many values of one parameter.
const LIST_MAX: usize = 50;

/// Every known document, by name.
#[derive(Debug, Default)]
pub struct Catalogue(BTreeMap<String, Document>);

/// What is known of a document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Document {
    /// What it changes, in a sentence.
    pub does: String,
    /// What may break, or is not kept for an undo.
    #[serde(default)]
    pub caution: Option<String>,
    /// What the role it runs in must be allowed.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The year of AWS's documentation that its parameters were read in; none for documents that we can read.
    #[serde(default)]
    pub seen: Option<String>,
    /// Whether it can, or must, be given a role to run in; none where it takes none.
    #[serde(default)]
    pub assume_role: Option<AssumeRole>,
    /// Its last step looks whether the weakness is gone.
    #[serde(default)]
    pub verifies: bool,
    /// Its parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// What it does and what may break, in Japanese.
    #[serde(default)]
    pub ja: Option<Words>,
}

/// What is said of a document in a language.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// What it changes, in a sentence.
    pub does: String,
    /// What may break, or is not kept for an undo.
    #[serde(default)]
    pub caution: Option<String>,
}

/// Whether a document runs in a role of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssumeRole {
    /// In the caller's permissions where none is given.
    Optional,
    /// Always.
    Required,
}

/// A parameter of a document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Parameter {
    /// `String`, `StringList`, `Boolean`, `Integer`, `MapList`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// It has no default.
    #[serde(default)]
    pub required: bool,
    /// Its default.
    #[serde(default)]
    pub default: Option<String>,
    /// What it may be.
    #[serde(default)]
    pub values: Vec<String>,
    /// What it must look like.
    #[serde(default)]
    pub pattern: Option<String>,
}

impl Catalogue {
    /// The shipped documents (`json`: what the build made of them) with a user's over them.
    pub fn load(json: &str, user: &[PolicyFile], problems: &mut Vec<Problem>) -> Self {
        let shipped = serde_json::from_str(json);
        let mut all: BTreeMap<String, Document> = shipped.unwrap_or_else(|error| {
            let what = format!("cannot be read: {error}");
            problems.push(Problem { file: "the shipped runbooks".to_owned(), line: None, what, help: String::new() });
            BTreeMap::new()
        });
        for file in user {
            let read = written::summary(&file.text);
            match read.and_then(|s| serde_json::from_value(s).map_err(|e| e.to_string())) {
                Ok(document) => _ = all.insert(file.name.clone(), document),
                Err(error) => problems.push(Problem {
                    file: file.path.clone(),
                    line: None,
                    what: format!("is not an SSM Automation document: {error}"),
                    help: "name the file after the document, and write it as SSM takes it (schemaVersion '0.3')"
                        .to_owned(),
                }),
            }
        }
        Self(all)
    }

    /// What is known of a document.
    pub fn get(&self, name: &str) -> Option<&Document> {
        self.0.get(name)
    }

    /// What playbooks would start with parameters that the document does not take; and documents that nobody knows, which
    /// nothing is started of.
    pub fn check(&self, playbooks: &[Playbook]) -> (Vec<Problem>, Vec<Problem>) {
        let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
        for playbook in playbooks {
            let undone = playbook.remediate.iter().filter_map(|r| r.undo.as_ref()).map(|u| (&u.runbook, &u.with));
            for (runbook, with) in playbook.remediate.iter().map(|r| (&r.runbook, &r.with)).chain(undone) {
                let problem = |what: String, help: &str| Problem {
                    file: playbook.file.clone(),
                    line: None,
                    what: format!("`remediate` {runbook}: {what}"),
                    help: help.to_owned(),
                };
                let Some(document) = self.get(runbook) else {
                    let what = "is in no catalogue: it is proposed, and never started".to_owned();
                    unknown.push(problem(what, "put the document into a folder that `runbooks` names"));
                    continue;
                };
                wrong.extend(document.misused(with).into_iter().map(|what| problem(what, "")));
            }
        }
        (wrong, unknown)
    }
}

impl Document {
    /// What it changes, and what may break, in a language; in English where there is no translation.
    pub fn words(&self, locale: Locale) -> (&str, Option<&str>) {
        match (&self.ja, locale) {
            (Some(words), Locale::Ja) => (&words.does, words.caution.as_deref()),
            _ => (&self.does, self.caution.as_deref()),
        }
    }

    /// Whether it runs in a role of its own, if it is given one.
    pub fn takes_role(&self) -> bool {
        self.assume_role.is_some()
    }

    /// Whether it cannot run without a role of its own.
    pub fn needs_role(&self) -> bool {
        self.assume_role == Some(AssumeRole::Required)
    }

    /// Whether it would take these values.
    pub fn check(&self, parameters: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
        for (name, values) in parameters.iter().filter(|(name, _)| *name != ASSUME_ROLE) {
            let parameter = self.parameters.get(name).ok_or_else(|| format!("it takes no parameter {name}"))?;
            parameter.check(name, values)?;
        }
        Ok(())
    }

    /// What is wrong with a playbook's use of it, as far as that shows before there is a finding.
    fn misused(&self, with: &[(String, Value)]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, value) in with.iter().filter(|(name, _)| name != ASSUME_ROLE) {
            match (self.parameters.get(name), value) {
                (None, _) => {
                    let known: Vec<_> = self.parameters.keys().map(String::as_str).collect();
                    wrong.push(format!("it takes no parameter {name}; it takes {}", known.join(", ")));
                }
                (Some(parameter), Value::Constant(values)) => wrong.extend(parameter.check(name, values).err()),
                (Some(_), _) => {}
            }
        }
        let given = |name: &str| with.iter().any(|(n, _)| n == name);
        let missing = self.parameters.iter().filter(|(name, p)| p.required && *name != ASSUME_ROLE && !given(name));
        wrong.extend(missing.map(|(name, _)| format!("it needs the parameter {name}")));
        wrong
    }
}

impl Parameter {
    fn check(&self, name: &str, values: &[String]) -> Result<(), String> {
        let is_list = self.kind.ends_with("List") || self.kind.starts_with("List<");
        let most = if is_list { LIST_MAX } else { 1 };
        if values.len() > most {
            return Err(format!("{name} has {} values; it takes {most} at most", values.len()));
        }
        for value in values {
            let whole = match self.kind.as_str() {
                "Boolean" => ["true", "false", "True", "False"].contains(&value.as_str()),
                "Integer" => value.parse::<i64>().is_ok(),
                _ => true,
            };
            if !whole {
                return Err(format!("{name} is of type {}, not {value:?}", self.kind));
            }
            if !self.values.is_empty() && !self.values.contains(value) {
                return Err(format!("{name} cannot be {value:?}; it can be {}", self.values.join(", ")));
            }
            if let Some(pattern) = &self.pattern {
                let wanted =
                    Regex::new(pattern).map_err(|e| format!("{name} has a pattern that cannot be read: {e}"))?;
                fits(name, value, &wanted)?;
            }
        }
        Ok(())
    }
}
