//! The CloudFormation templates whose content follows from the policy: frames of `infra/`, with what is generated filled in
//! between the lines `# generated: NAME` and `# end`.
use crate::decide::{
    grants,
    policy::{DOCUMENTS, Policy},
    rules::rules,
};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write};

/// Which template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// What every account and Region needs: the rules that forward events, the role that the router assumes.
    Member,
    /// The SSM documents, and the roles that they run in.
    Runbooks,
}

/// Characters of a role's inline policies, white space not counted (IAM quotas).
const POLICY_MAX: usize = 10_240;

/// The template for a policy. The error says what cannot be deployed.
pub fn template(which: Template, policy: &Policy) -> Result<String, String> {
    let (frame, blocks) = match which {
        Template::Member => {
            let blocks = vec![("policies", policies(policy)?), ("rules", forwarding(policy)?)];
            (include_str!("../../../infra/member.yaml"), blocks)
        }
        Template::Runbooks => (include_str!("../../../infra/runbooks.yaml"), vec![("runbooks", runbooks(policy)?)]),
    };
    let mut out = String::new();
    let mut inside = false;
    for line in frame.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        match line.trim_start().strip_prefix("# generated: ") {
            Some(name) => {
                inside = true;
                let (_, block) = blocks.iter().find(|(n, _)| *n == name).ok_or_else(|| format!("no block {name}"))?;
                _ = writeln!(out, "{line}");
                for generated in block.lines() {
                    let indent = if generated.is_empty() { "" } else { indent };
                    _ = writeln!(out, "{indent}{generated}");
                }
            }
            None if line.trim_start() == "# end" => inside = false,
            None => {}
        }
        if !inside {
            _ = writeln!(out, "{line}");
        }
    }
    Ok(out)
}

/// What the router's role may do, as an inline policy; none where nothing may start.
fn policies(policy: &Policy) -> Result<String, String> {
    let statements = grants::statements(policy);
    if statements.is_empty() {
        return Ok("Policies: []\n".to_owned());
    }
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    // As IAM gets it.
    let resolved =
        document.to_string().replace("${AWS::Partition}", "aws-cn").replace("${AWS::AccountId}", "111122223333");
    let length = resolved.chars().count();
    if length > POLICY_MAX {
        return Err(format!(
            "the role's policy would have {length} characters, and IAM takes {POLICY_MAX}: let fewer runbooks start, or some in another account only"
        ));
    }
    Ok(format!("Policies:\n  - PolicyName: remediate\n    PolicyDocument:\n{}", json_block(&substituted(document), 6)))
}

/// A rule for each event pattern.
fn forwarding(policy: &Policy) -> Result<String, String> {
    let mut out = String::new();
    for (number, rule) in (1..).zip(rules(policy)?) {
        let condition = if rule.global { "  Condition: IsGlobal\n" } else { "" };
        let what = match (rule.global, rule.read_only) {
            (false, false) => "what it reads",
            (true, false) => "what is told here only",
            (false, true) => "calls that may only read",
            (true, true) => "calls that may only read, and are told here only",
        };
        _ = write!(
            out,
            "Forward{number:02}:\n  Type: AWS::Events::Rule\n{condition}  Properties:\n    \
             Name: !Sub ${{Name}}-forward-{number:02}\n    Description: \"To the findings router: {what}\"\n    State: {}\n    \
             EventPattern:\n{}    Targets:\n      - Id: bus\n        Arn: !Ref BusArn\n        \
             RoleArn: !If [IsHome, !GetAtt ForwardRole.Arn, !Sub \"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/${{Name}}-forward\"]\n\n",
            rule.state(),
            pattern_block(&rule.pattern, 6),
        );
    }
    out.truncate(out.trim_end().len());
    Ok(out)
}

/// Our documents with their roles, the user's documents, and roles for those of AWS's that may start: their pages name actions and
/// no resources, so such a role is made only where it is needed.
fn runbooks(policy: &Policy) -> Result<String, String> {
    let mut out = String::new();
    let theirs = policy.documents.iter().map(|d| (d.name.as_str(), d.text.as_str(), None));
    let ours = DOCUMENTS.iter().map(|(name, text, role)| (*name, *text, Some(*role)));
    let replaced: BTreeSet<&str> = policy.documents.iter().map(|d| d.name.as_str()).collect();
    for (name, text, role) in ours.filter(|(name, ..)| !replaced.contains(name)).chain(theirs) {
        let format = if text.trim_start().starts_with('{') { "JSON" } else { "YAML" };
        let id = logical(name);
        _ = write!(
            out,
            "{id}:\n  Type: AWS::SSM::Document\n  Properties:\n    Name: {name}\n    DocumentType: Automation\n    \
             DocumentFormat: {format}\n    # Or an update would have to make another document of the same name.\n    \
             UpdateMethod: NewVersion\n    Content: |\n{}\n",
            indented(text, 6)
        );
        if let Some(role) = role {
            let role: Value = serde_json::from_str(role).map_err(|e| format!("{name}.policy.json: {e}"))?;
            _ = write!(out, "{}", role_of(name, &role));
        }
    }
    for name in grants::enabled(policy).into_iter().filter(|name| name.starts_with("AWS")) {
        let Some(document) = policy.catalogue.get(name).filter(|d| d.takes_role()) else { continue };
        let statement = json!({ "Effect": "Allow", "Action": document.permissions, "Resource": "*" });
        let role = json!({ "Version": "2012-10-17", "Statement": [statement] });
        _ = write!(out, "{}", role_of(name, &role));
    }
    out.truncate(out.trim_end().len());
    Ok(out)
}

/// Why a role for one of AWS's documents may do so much.
const CHECKS: &str = r#"  Metadata:
    checkov:
      skip:
        - { id: CKV_AWS_107, comment: "AWS's page of the runbook names actions and no resources" }
        - { id: CKV_AWS_108, comment: "The same" }
        - { id: CKV_AWS_109, comment: "The same" }
        - { id: CKV_AWS_110, comment: "The same; the boundary forbids to make principals" }
        - { id: CKV_AWS_111, comment: "The same" }
"#;

/// The role that a runbook runs in, called like it.
fn role_of(name: &str, policy: &Value) -> String {
    let id = logical(name);
    let checks = if name.starts_with("AWS") { CHECKS } else { "" };
    format!(
        "{id}Role:\n  Type: AWS::IAM::Role\n  Condition: IsHome\n{checks}  Properties:\n    RoleName: {name}\n    \
         Description: What the runbook {name} runs in\n    \
         PermissionsBoundary: !If [HasBoundary, !Ref PermissionsBoundary, !Ref Boundary]\n    AssumeRolePolicyDocument:\n      \
         Version: \"2012-10-17\"\n      Statement:\n        - Effect: Allow\n          Principal: {{ Service: ssm.amazonaws.com }}\n          \
         Action: sts:AssumeRole\n          Condition:\n            StringEquals: {{ \"aws:SourceAccount\": !Ref AWS::AccountId }}\n            \
         ArnLike: {{ \"aws:SourceArn\": !Sub \"arn:${{AWS::Partition}}:ssm:*:${{AWS::AccountId}}:automation-execution/*\" }}\n    \
         Policies:\n      - PolicyName: runbook\n        PolicyDocument:\n{}\n",
        json_block(policy, 10)
    )
}

/// A logical id: letters and digits only.
fn logical(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// JSON is YAML.
fn json_block(value: &Value, indent: usize) -> String {
    indented(&format!("{value:#}"), indent)
}

/// An event pattern with a line for each field and alternative: CloudFormation takes 51,200 characters from a command line.
fn pattern_block(pattern: &Value, indent: usize) -> String {
    let line = |(key, value): (&String, &Value)| match value.as_array().filter(|_| key == "$or") {
        Some(ways) => {
            let ways: Vec<String> = ways.iter().map(|way| format!("    {way}")).collect();
            format!("  \"$or\": [\n{}\n  ]", ways.join(",\n"))
        }
        None => format!("  {key:?}: {value}"),
    };
    let lines: Vec<String> = pattern.as_object().into_iter().flatten().map(line).collect();
    indented(&format!("{{\n{}\n}}", lines.join(",\n")), indent)
}

fn indented(text: &str, by: usize) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:by$}{line}\n", "") };
    text.lines().map(line).collect()
}

/// Strings with CloudFormation's words in them, as it wants them.
fn substituted(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains("${") => json!({ "Fn::Sub": text }),
        Value::Array(items) => items.into_iter().map(substituted).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, substituted(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::corpus;

    #[test]
    fn the_template_in_the_repository_is_that_of_the_shipped_policy() {
        let now = template(Template::Member, &corpus::policy()).unwrap();
        assert!(
            now == include_str!("../../../infra/member.yaml"),
            "write it anew: findings-router pattern --template member > m && mv m infra/member.yaml"
        );
    }

    /// A runbook that the boundary stops would fail at night.
    #[test]
    fn the_boundary_stops_no_runbook() {
        let frame = include_str!("../../../infra/runbooks.yaml");
        let forbidden: Vec<&str> = frame
            .lines()
            .skip_while(|l| l.trim() != "NotAction:")
            .filter_map(|l| l.trim().strip_prefix("- "))
            .collect();
        assert!(forbidden.contains(&"iam:CreateUser"), "{forbidden:?}");
        let policy = corpus::policy();
        let named = policy.playbooks.iter().flat_map(|p| &p.remediate).map(|r| r.runbook.as_str());
        for name in named.chain(DOCUMENTS.iter().map(|(name, ..)| *name)) {
            for action in &policy.catalogue.get(name).unwrap().permissions {
                let stopped =
                    forbidden.iter().any(|f| f == action || f.strip_suffix('*').is_some_and(|f| action.starts_with(f)));
                assert!(!stopped, "{name} needs {action}");
            }
        }
    }
}
