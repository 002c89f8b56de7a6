//! `pattern`: what has to be deployed; and `pattern test --cases`: EventBridge patterns tried offline, one answer per line, in order.
use crate::harness::{Home, Output, root, run_in};
use serde_json::Value;

fn test(cases: &str) -> Output {
    run_in(root(), &["pattern", "test", "--cases", "-"], cases.as_bytes())
}

/// Each row: a pattern, an event, and the beginning of the answer.
#[test]
fn patterns_are_tried() {
    let rows = [
        (r#"{"source":["a"]}"#, r#"{"source":"a"}"#, "match"),
        (r#"{"source":["a"]}"#, r#"{"source":"b"}"#, "no_match"),
        (r#"{"source":["a"]}"#, "null", "valid"),
        (r#""{\"source\":[\"a\"]}""#, r#"{"source":"a"}"#, "match"),
        (r#"{"source":["a"]}"#, r#""{\"source\":\"a\"}""#, "match"),
        (r#""{\"source\":[\"a\"]}""#, r#""{\"source\":\"b\"}""#, "no_match"),
        (r#"{"a":[{"prefix":"x"}]}"#, r#"{"a":["y","xz"]}"#, "match"),
        (r#"{"a":[{"suffix":".png"}]}"#, r#"{"a":"b.PNG"}"#, "no_match"),
        (r#"{"a":[{"suffix":{"equals-ignore-case":".png"}}]}"#, r#"{"a":"b.PNG"}"#, "match"),
        (r#"{"a":[{"anything-but":["x"]}]}"#, r#"{"a":"y"}"#, "match"),
        (r#"{"a":[{"anything-but":{"prefix":"x"}}]}"#, r#"{"a":"xy"}"#, "no_match"),
        (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":5}"#, "match"),
        (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":"5"}"#, "no_match"),
        (r#"{"a":[{"cidr":"203.0.113.0/24"}]}"#, r#"{"a":"203.0.113.9"}"#, "match"),
        (r#"{"a":[{"cidr":"2001:db8::/32"}]}"#, r#"{"a":"2001:db9::1"}"#, "no_match"),
        (r#"{"a":[{"wildcard":"s3:*Put"}]}"#, r#"{"a":"s3:ObjectPut"}"#, "match"),
        (r#"{"a":[{"exists":false}]}"#, r#"{"b":1}"#, "match"),
        (r#"{"a":[null,""]}"#, r#"{"a":null}"#, "match"),
        (r#"{"$or":[{"a":[1]},{"b":[2]}]}"#, r#"{"a":0,"b":2}"#, "match"),
        (r#"{"a.b":["x"]}"#, r#"{"a":{"b":"x"}}"#, "match"),
        (r#"{"l":{"a":[1],"b":[2]}}"#, r#"{"l":[{"a":1,"b":0},{"a":0,"b":2}]}"#, "no_match"),
        (r#"{"a":[1]}"#, r#"{"a":2,"a":1}"#, "match"),
        (r#"{"source":"a"}"#, "null", "invalid: "),
        (r#"{"source":[]}"#, r#"{"source":"a"}"#, "invalid: "),
        (r#"{"a":[{"nearly":"x"}]}"#, "null", "invalid: "),
        (r#"{"a":[{"numeric":["<","5"]}]}"#, "null", "invalid: "),
        (r#"{"a":[{"cidr":"203.0.113.0/99"}]}"#, "null", "invalid: "),
        ("[]", "null", "invalid: "),
        (r#""{\"source\":""#, "null", "invalid: "),
        (r#"{"source":["a"]}"#, r#""{\"source\":""#, "invalid: event: "),
        (r#"{"source":["a"]}"#, "7", "no_match"),
    ];
    let cases: Vec<String> = rows.iter().map(|(p, e, _)| format!("{{\"pattern\":{p},\"event\":{e}}}")).collect();
    let output = test(&cases.join("\n")).ended(0);
    let answers: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(answers.len(), rows.len());
    for ((pattern, event, expected), answer) in rows.iter().zip(answers) {
        let whole = if expected.ends_with(' ') {
            answer.starts_with(expected) && answer.len() > expected.len()
        } else {
            answer == *expected
        };
        assert!(whole, "{pattern} on {event}: {answer}, not {expected}");
    }
}

#[test]
fn an_event_may_be_left_out() {
    assert_eq!(test("{\"pattern\":{\"a\":[1]}}\n").ended(0).stdout, "valid\n");
}

#[test]
fn the_order_of_the_two_does_not_matter() {
    assert_eq!(test("{\"event\":{\"a\":1},\"pattern\":{\"a\":[1]}}\n").ended(0).stdout, "match\n");
}

/// A case that cannot be read is a mistake of the file, so the exit code says so; the others are still tried.
#[test]
fn a_broken_line_has_its_own_answer() {
    let good = "{\"pattern\":{\"a\":[1]},\"event\":{\"a\":1}}";
    let broken = ["{", "[]", "{\"event\":{}}", "text", "{\"pattern\":{\"a\":[1]},\"event\":{\"a\":1}"];
    for broken in broken {
        let output = test(&format!("{good}\n{broken}\n\n{good}\n")).ended(1);
        let answers: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(answers.len(), 3, "{broken}: {answers:?}");
        assert!(answers[0] == "match" && answers[2] == "match", "{broken}: {answers:?}");
        assert!(answers[1].starts_with("invalid: "), "{broken}: {answers:?}");
    }
}

#[test]
fn cases_come_from_a_file_too() {
    let home = Home::new().file("cases.jsonl", "{\"pattern\":{\"a\":[1]},\"event\":{\"a\":2}}");
    assert_eq!(home.run(&["pattern", "test", "--cases", "cases.jsonl"]).ended(0).stdout, "no_match\n");
}

#[test]
fn reasons_are_told() {
    let home = Home::new().file(
        "cases.jsonl",
        concat!(
            "{\"pattern\":{\"source\":\"a\"}}\n",
            "{\"pattern\":{\"detail\":{\"severity\":[{\"numeric\":[\">\"]}]}}}\n",
            "{\"pattern\":{\"a\":[{\"nearly\":\"x\"}]}}\n",
            "{\"pattern\":{\"$or\":[]}}\n",
            "{\"pattern\":\"{\",\"event\":{}}\n",
            "{\"pattern\":{\"a\":[1]},\"event\":\"{\"}\n",
        ),
    );
    let output = home.run(&["pattern", "test", "--cases", "cases.jsonl"]).ended(0);
    crate::exit_codes::said("pattern-reasons", &output);
}

const ALLOWING: &str = "playbooks = ['mine']\n[accounts.111122223333]\nname = 'shop'\nenvironment = 'production'\n\
    [remediation]\nplaybooks = { 'config/security-group-ssh-open' = 'approve' }\nenvironments = { production = 'approve' }\n\
    accounts = ['111122223333']\neffects = { production = 'reversible' }\n\
    automation-role = 'arn:{partition}:iam::{account}:role/{runbook}'\n";

const PLAYBOOK: &str = "summary = 'Somebody made a NAT gateway'\nweakness = 'nat-gateway-made'\n[when]\n\
    detail-type = ['AWS API Call via CloudTrail']\ndetail.eventSource = ['ec2.amazonaws.com']\ndetail.eventName = ['CreateNatGateway']\n\
    [tell]\ntitle = 'x'\nwhy = 'x'\nnext = ['x']\n";

/// A user's own playbook, and a runbook that may start.
fn allowing() -> Home {
    let home = Home::with(ALLOWING);
    let folder = home.path().join("mine");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("nat-gateway.toml"), PLAYBOOK).expect("a file");
    home
}

#[test]
fn what_has_to_be_deployed_follows_from_the_policy() {
    let said = |home: &Home| -> Value {
        let line = home.run(&["pattern", "--format", "json"]).ended(0).stdout;
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    };
    let (shipped, own) = (said(&Home::new()), said(&allowing()));
    let rules = |said: &Value| said["rules"].as_array().expect("rules").clone();
    for rule in rules(&shipped).iter().chain(&rules(&own)) {
        let case = serde_json::json!({ "pattern": rule["pattern"], "event": null }).to_string();
        assert_eq!(test(&case).stdout, "valid\n", "{rule}");
    }
    assert_eq!(shipped["policy"], Value::Null, "nothing may start, so nothing is granted");
    assert!(!shipped.to_string().contains("CreateNatGateway") && own.to_string().contains("CreateNatGateway"));
    let start = &own["policy"]["Statement"][0];
    assert_eq!(start["Action"], "ssm:StartAutomationExecution");
    assert!(start["Resource"].to_string().contains("FindingsRouter-CloseAdminPorts"), "{start}");

    let text = allowing().run(&["pattern"]).ended(0).stdout;
    for part in
        ["in every Region, ENABLED, ", "where global services report", "\"iam:PassedToService\": \"ssm.amazonaws.com\""]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn the_templates_are_filled_in() {
    let shipped = Home::new().run(&["pattern", "--template", "member"]).ended(0).stdout;
    assert_eq!(shipped, std::fs::read_to_string(root().join("infra/member.yaml")).expect("infra/member.yaml"));
    let own = allowing().run(&["pattern", "--template", "member"]).ended(0).stdout;
    for part in
        ["CreateNatGateway", "PolicyName: remediate", "role/FindingsRouter-CloseAdminPorts", "# generated: rules"]
    {
        assert!(own.contains(part), "{part} is not in {own}");
    }
    let runbooks = Home::new().run(&["pattern", "--template", "runbooks"]).ended(0).stdout;
    let documents = std::fs::read_dir(root().join("infra/runbooks")).expect("runbooks").filter(|entry| {
        let path = entry.as_ref().expect("an entry").path();
        path.extension().is_some_and(|e| e == "yaml")
    });
    assert_eq!(runbooks.matches("Type: AWS::SSM::Document").count(), documents.count());
    assert_eq!(runbooks.matches("Type: AWS::IAM::Role").count(), 21, "one role for each of ours, none for AWS's");
}
