//! `import sigma`: a rule that somebody else wrote becomes a playbook that claims what the rule detects.
use crate::harness::{Home, root};
use std::fs;

const RULE: &str = "title: Trail Stopped\nid: 3f0c\nauthor: A. Tester\nlogsource: { product: aws, service: cloudtrail }\nlevel: high\n\
    detection:\n  call: { eventSource: cloudtrail.amazonaws.com, eventName: StopLogging }\n  failed: { errorCode|exists: true }\n  \
    condition: call and not failed\n";

#[test]
fn a_rule_becomes_a_playbook_that_claims_what_it_detects() {
    let home = Home::with("playbooks = ['mine']\n");
    let rules = home.path().join("rules");
    fs::create_dir(&rules).expect("a folder");
    fs::write(rules.join("good.yml"), RULE).expect("a file");
    fs::write(rules.join("pattern.yaml"), RULE.replace("eventName:", "eventName|re:")).expect("a file");

    let said = home.run(&["import", "sigma", "rules/good.yml"]).ended(0).stdout;
    assert!(
        said.contains("[when]") && said.contains("severity = \"high\"") && said.contains("# Author: A. Tester"),
        "{said}"
    );

    let output = home.run(&["import", "sigma", "--into", "mine", "rules"]).ended(1);
    assert!(
        output.stderr.contains("rules/pattern.yaml: `call`: eventName|re: EventBridge knows no regular expressions"),
        "{}",
        output.stderr
    );
    assert_eq!(fs::read_to_string(home.path().join("mine/trail-stopped.toml")).expect("the playbook"), said);
    let again = home.run(&["import", "sigma", "--into", "mine", "rules/good.yml"]).ended(1).stderr;
    assert!(again.contains("trail-stopped.toml: cannot be written"), "what is there stays: {again}");

    home.run(&["check"]).ended(0);
    let event = root().join("fixtures/cloudtrail-trail-stopped");
    let lines = home.run(&["replay", "--format", "json", &event.display().to_string()]).ended(0).json();
    let claims = |line: &crate::json::Json| line["verdict"].to_string().contains("trail-stopped");
    assert!(lines.iter().any(claims), "it claims the event, or is named beside what does");
    home.run(&["import", "sigma", "nowhere.yml"]).ended(2);
}
