//! An SSM Automation document as it is written, and what of it we need. The build reads the shipped documents with it, so
//! that starting the router parses none of them; at run time it reads a user's.
use serde_json::{Map, Value, json};

/// What a start must know of a document, in the shape of the catalogue; or why it is none.
#[allow(unreachable_pub, reason = "the build reads this file too")]
pub fn summary(yaml: &str) -> Result<Value, String> {
    let document: Value = serde_norway::from_str(yaml).map_err(|e| e.to_string())?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let steps = document["mainSteps"].as_array().ok_or("it has no `mainSteps`: is it an Automation document?")?;
    let mut parameters = Map::new();
    let mut role = Value::Null;
    for (name, p) in document["parameters"].as_object().into_iter().flatten() {
        let required = p.get("default").is_none();
        if name == "AutomationAssumeRole" {
            role = if required { "required" } else { "optional" }.into();
            continue;
        }
        let values: Vec<String> = p["allowedValues"].as_array().into_iter().flatten().map(text).collect();
        let kind = p["type"].as_str().ok_or_else(|| format!("the parameter {name} has no `type`"))?;
        parameters.insert(
            name.clone(),
            json!({
                "type": kind, "required": required, "values": values,
                "pattern": p["allowedPattern"].as_str(), "default": p.get("default").map(text),
            }),
        );
    }
    let description = document["description"].as_str().unwrap_or_default();
    let line = |name: &str| description.lines().find_map(|l| l.trim().strip_prefix(name)).map(str::trim);
    Ok(json!({
        "does": description.lines().next().unwrap_or_default().trim(),
        "caution": line("Blast radius:"),
        "assume-role": role,
        "verifies": steps.iter().any(|s| s["name"] == "Verify"),
        "parameters": parameters,
    }))
}
