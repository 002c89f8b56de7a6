//! What several services tell in forms of their own, claimed by one name: GuardDuty's types, Config's managed rules and Security Hub's
//! controls, as event patterns. (Forms: see `router/sources/guardduty.toml`, `config.toml`, `security-hub*.toml`.)
use crate::decide::written::Table;
use serde_json::{Value, json};

/// What a GuardDuty finding about what runs somewhere is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Instance,
    Container,
}

/// The event patterns, one of which must match.
pub(super) fn patterns(table: Table<'_>) -> Vec<Value> {
    let list = |key| table.get(key).map(|item| item.texts()).unwrap_or_default();
    let (types, rules, controls) = (list("guardduty"), list("config"), list("control"));
    let on = table.get("on").and_then(|o| o.word(&[("instance", On::Instance), ("container", On::Container)]));
    if types.is_empty() && rules.is_empty() && controls.is_empty() {
        table.fail("claims nothing", "name what is claimed: `guardduty`, `config` or `control`, a list each");
    }
    if on.is_some() && types.is_empty() {
        table.fail("`on` is about GuardDuty's types only", "leave it out, or name the types in `guardduty`");
    }
    table.finish();
    let mut patterns = Vec::new();
    if !types.is_empty() {
        patterns.extend(guardduty(&types, on));
    }
    if !rules.is_empty() {
        patterns.extend(config(&rules));
    }
    if !controls.is_empty() {
        patterns.extend(control(&controls));
    }
    patterns
}

/// A value; where it has asterisks, what they stand for.
fn matching(text: String) -> Value {
    match text.split_once('*') {
        None => text.into(),
        Some((start, "")) => json!({ "prefix": start }),
        Some(_) => json!({ "wildcard": text }),
    }
}

/// Security Hub's events about findings in ASFF.
const ASFF: [&str; 2] = ["Security Hub Findings - Imported", "Security Hub Findings - Custom Action"];
/// Those in OCSF.
const OCSF: &str = "Findings Imported V2";

/// Finding types (`*` stands for anything), told by GuardDuty itself, and passed on by Security Hub: in ASFF, the slash becomes a dash.
fn guardduty(types: &[String], on: Option<On>) -> [Value; 3] {
    let each = |f: &dyn Fn(&str) -> String| -> Vec<Value> { types.iter().map(|t| matching(f(t))).collect() };
    let mut own = json!({
        "source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"], "detail": { "type": each(&|t| t.to_owned()) },
    });
    let mut asff = json!({
        "source": ["aws.securityhub"], "detail-type": ASFF,
        "detail": { "findings": { "ProductName": ["GuardDuty"], "Types": each(&|t| format!("*/{}", t.replace('/', "-"))) } },
    });
    let mut ocsf = json!({
        "source": ["aws.securityhub"], "detail-type": [OCSF],
        "detail": { "findings": {
            "metadata": { "product": { "name": [{ "wildcard": "*GuardDuty*" }] } },
            "finding_info": { "types": each(&|t| format!("*{}", t.replace('/', "*")).replace("**", "*")) },
        } },
    });
    if let Some(on) = on {
        let said = |instance: &[&str]| match on {
            On::Instance => json!(instance),
            On::Container => json!([{ "anything-but": instance }]),
        };
        own["detail"]["resource"] = json!({ "resourceType": said(&["Instance"]) });
        asff["detail"]["findings"]["Resources"] = json!({ "Type": said(&["AwsEc2Instance"]) });
        ocsf["detail"]["findings"]["resources"] = json!({ "type": said(&["AWS::EC2::Instance", "AwsEc2Instance"]) });
    }
    [own, asff, ocsf]
}

/// Names of managed rules, as they are, and as Security Hub, conformance packs and organizations call their copies; told by Config
/// itself, and passed on by Security Hub.
fn config(rules: &[String]) -> [Value; 2] {
    let names = |rule: &String| {
        [
            json!(rule),
            json!({ "prefix": format!("{rule}-conformance-pack-") }),
            json!({ "prefix": format!("securityhub-{rule}-") }),
            json!({ "prefix": format!("OrgConfigRule-{rule}-") }),
        ]
    };
    let names: Vec<Value> = rules.iter().flat_map(names).collect();
    [
        json!({
            "source": ["aws.config"], "detail-type": ["Config Rules Compliance Change"], "detail": { "configRuleName": names },
        }),
        json!({
            "source": ["aws.securityhub"], "detail-type": ASFF,
            "detail": { "findings": { "ProductName": ["Config"], "ProductFields": { "aws/config/ConfigRuleName": names } } },
        }),
    ]
}

/// Ids of Security Hub's controls, in ASFF with and without consolidated findings, and in OCSF.
fn control(ids: &[String]) -> [Value; 3] {
    let asff = |findings: Value| json!({ "source": ["aws.securityhub"], "detail-type": ASFF, "detail": { "findings": findings } });
    let suffixes: Vec<Value> = ids.iter().map(|id| json!({ "suffix": format!("/{id}") })).collect();
    [
        asff(json!({ "Compliance": { "SecurityControlId": ids } })),
        asff(json!({ "GeneratorId": suffixes })),
        json!({
            "source": ["aws.securityhub"], "detail-type": [OCSF],
            "detail": { "findings": { "compliance": { "control": ids } } },
        }),
    ]
}
