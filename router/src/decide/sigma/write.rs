//! The playbook's text.
use super::{Imported, Rule, detection::Way};
use crate::values::severity::Severity;
use serde_json::Value as Json;
use std::fmt::Write;

/// `CloudTrail`'s kinds of events, as `sources/cloudtrail.toml` reads them.
const KINDS: &str = r#"[
  "AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail", "AWS Console Signin via CloudTrail",
  "AWS Console Action via CloudTrail", "AWS Service Event via CloudTrail", "AWS Network Activity Event via CloudTrail",
]"#;
/// Steps of a playbook.
const STEPS_MAX: usize = 4;
/// A card's sentence is cut here.
const WHY_MAX: usize = 300;

pub(super) fn playbook(rule: &Rule, severity: Option<Severity>, ways: &[Way]) -> Result<Imported, String> {
    if ways.is_empty() {
        return Err("contradicts itself: no event can match".to_owned());
    }
    let name = kebab(&rule.title);
    if name.is_empty() {
        return Err("`title` has no letters".to_owned());
    }
    let mut out = String::new();
    _ = writeln!(
        out,
        "# From the Sigma rule {:?}{}.",
        rule.title,
        rule.id.as_ref().map(|id| format!(", {id}")).unwrap_or_default()
    );
    for (what, said) in [("Author", &rule.author), ("License", &rule.license)] {
        if let Some(said) = said {
            _ = writeln!(out, "# {what}: {}", one_line(said));
        }
    }
    for reference in &rule.references {
        _ = writeln!(out, "# {}", one_line(reference));
    }
    _ = writeln!(out, "summary  = {}", text(&rule.title));
    _ = writeln!(out, "weakness = {}", text(&name));
    let techniques: Vec<String> = rule.tags.iter().filter_map(|tag| technique(tag)).collect();
    if !techniques.is_empty() {
        _ = writeln!(out, "attack   = {}", Json::from(techniques));
    }
    for way in ways {
        let head = if ways.len() > 1 { "[[when.\"$or\"]]" } else { "[when]" };
        _ = writeln!(out, "\n{head}\ndetail-type = {KINDS}");
        for (field, list) in way.lists()? {
            let list: Vec<String> = list.iter().map(toml).collect();
            _ = writeln!(out, "detail.{} = [{}]", path(field), list.join(", "));
        }
    }
    _ = writeln!(out, "\n[judge]");
    if let Some(severity) = severity {
        _ = writeln!(out, "severity = {}", text(severity.as_str()));
    }
    _ = writeln!(out, "about    = \"actor\"");
    let why = rule
        .description
        .as_deref()
        .map(|d| crate::values::text::cut(&one_line(d), WHY_MAX).to_owned())
        .unwrap_or_default();
    _ = writeln!(out, "\n[tell]\ntitle = {}", text(&format!("{} by {{{{ actor.name }}}}", escaped(&rule.title))));
    _ = writeln!(out, "why   = {}", text(&escaped(&why)));
    let known =
        rule.falsepositives.iter().map(|f| one_line(f)).filter(|f| !f.is_empty() && !f.eq_ignore_ascii_case("unknown"));
    let steps = ["Ask whoever did it whether it is intended".to_owned()]
        .into_iter()
        .chain(known.map(|f| format!("Rule out what is harmless: {f}")));
    let steps: Vec<String> = steps.take(STEPS_MAX).map(|s| format!("  {},\n", text(&escaped(&s)))).collect();
    _ = writeln!(out, "next  = [\n{}]", steps.concat());
    Ok(Imported { name, toml: out })
}

/// `attack.t1562.001` is T1562.001; tactics and other tags are left out.
fn technique(tag: &str) -> Option<String> {
    let id = tag.strip_prefix("attack.")?.to_ascii_uppercase();
    let digits = id.strip_prefix('T')?;
    digits.bytes().all(|b| b.is_ascii_digit() || b == b'.').then(|| id.clone())
}

fn kebab(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A rule's words are no template.
fn escaped(text: &str) -> String {
    text.replace("{{", "{ {").replace("}}", "} }").replace("{%", "{ %").replace("{#", "{ #")
}

/// JSON's strings are TOML's.
fn text(text: &str) -> String {
    Json::from(text).to_string()
}

/// A dotted key, its parts quoted where they have to be.
fn path(field: &str) -> String {
    let bare = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    field.split('.').map(|part| if bare(part) { part.to_owned() } else { text(part) }).collect::<Vec<_>>().join(".")
}

/// A value of an event pattern, as TOML. (Null, which TOML has not, is never among them.)
fn toml(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
