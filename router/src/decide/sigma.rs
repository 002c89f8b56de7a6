//! Sigma rules about `CloudTrail`, as playbooks: what a rule detects becomes an event pattern that matches exactly the same events.
//! What cannot be said so is refused with the reason, never approximated. (Sigma specification 2: rules, modifiers, conditions.)
//!
//! Sigma ignores case unless `cased` says otherwise, and so does the pattern; where EventBridge cannot (wildcards), the rule is refused
//! unless whoever imports it takes all texts as they are written. A field that a rule compares with true or false is taken to hold
//! nothing else.
mod condition;
mod detection;
mod field;
#[cfg(test)]
mod tests;
mod write;

use crate::values::severity::Severity;
use condition::Expression;
use detection::Detection;
use serde::Deserialize;
use serde_norway::Value;
use std::collections::BTreeMap;

/// A rule, with what of it becomes part of a playbook.
#[derive(Debug, Deserialize)]
struct Rule {
    title: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    falsepositives: Vec<String>,
    #[serde(default)]
    level: Option<String>,
    logsource: LogSource,
    detection: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct LogSource {
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    service: Option<String>,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What to call the file, without `.toml`.
    pub name: String,
    /// The playbook.
    pub toml: String,
}

/// A rule as a playbook; or why it cannot be one. `cased` takes all texts as they are written.
pub fn import(yaml: &str, cased: bool) -> Result<Imported, String> {
    let rule: Rule = serde_norway::from_str(yaml).map_err(|e| {
        format!("is not a Sigma rule: {e}; a rule has `title`, `logsource` and `detection` (collections and correlations are not read)")
    })?;
    let is = |said: &Option<String>, what: &str| said.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(what));
    if !is(&rule.logsource.product, "aws") || !is(&rule.logsource.service, "cloudtrail") {
        return Err(
            "is not about CloudTrail: `logsource` has to say `product: aws` and `service: cloudtrail`".to_owned()
        );
    }
    let (expression, detections) = read(&rule, cased)?;
    let ways = expression.ways(&detections)?;
    let severity = severity(rule.level.as_deref())?;
    write::playbook(&rule, severity, &ways)
}

/// The condition, and the detections that it names.
fn read(rule: &Rule, cased: bool) -> Result<(Expression, BTreeMap<String, Detection>), String> {
    let mut detections = BTreeMap::new();
    for (name, value) in rule.detection.iter().filter(|(name, _)| *name != "condition") {
        if name == "timeframe" {
            return Err("`timeframe` counts events; give the playbook a `threshold` by hand".to_owned());
        }
        let detection = Detection::read(value, cased).map_err(|why| format!("`{name}`: {why}"))?;
        detections.insert(name.clone(), detection);
    }
    let condition = match rule.detection.get("condition") {
        Some(Value::String(condition)) => condition.clone(),
        // Of several, each is a rule of its own: together they are any of them.
        Some(Value::Sequence(all)) => {
            let all: Option<Vec<String>> = all.iter().map(|one| one.as_str().map(|s| format!("({s})"))).collect();
            all.ok_or("`condition` is a list of something else than texts")?.join(" or ")
        }
        _ => return Err("has no `condition`".to_owned()),
    };
    let names: Vec<&str> = detections.keys().map(String::as_str).collect();
    Ok((Expression::read(&condition, &names)?, detections))
}

fn severity(level: Option<&str>) -> Result<Option<Severity>, String> {
    let Some(level) = level else { return Ok(None) };
    level.parse().map(Some).map_err(|why: String| format!("`level`: {why}"))
}
