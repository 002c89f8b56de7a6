//! Rules and what is said of them; and the property that a playbook matches what its rule does, by a plain reading of Sigma.
use super::{
    condition::Expression,
    detection::Detection,
    field::{Match, Test},
    *,
};
use crate::{decide::playbook::Playbook, values::tree::Node};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn rule(detection: &str) -> String {
    format!("title: A Rule\nlogsource: {{ product: aws, service: cloudtrail }}\ndetection:\n{detection}\n")
}

fn pattern(imported: &Imported) -> crate::decide::pattern::Pattern {
    let read = Playbook::parse(&imported.name, "p.toml", &imported.toml);
    read.unwrap_or_else(|p| panic!("{p:#?}\n{}", imported.toml)).when.expect("a pattern")
}

#[test]
fn a_rule_becomes_a_playbook() {
    let rule = "title: Snapshot Shared {{ With }} Everybody\nid: 0a1b\nauthor: A. Tester\nlicense: DRL-1.1\nreferences: [https://example.com/x]\n\
        description: |\n  Somebody lets\n  everybody in.\ntags: [attack.exfiltration, attack.t1537, cve.2024.1]\nlevel: high\n\
        logsource: { product: aws, service: cloudtrail }\nfalsepositives: [An image that is public on purpose, unknown]\ndetection:\n  \
        call: { eventSource: ec2.amazonaws.com, eventName: [ModifySnapshotAttribute, ModifyImageAttribute], 'requestParameters.a b': 'all' }\n  \
        filter: { userIdentity.type: AWSService }\n  condition: call and not filter\n";
    let imported = import(rule, false).unwrap();
    pattern(&imported);
    insta::assert_snapshot!(imported.toml);
}

#[test]
fn what_cannot_be_said_is_refused_with_the_reason() {
    let rows = [
        ("Not YAML.", "title: [".to_owned()),
        ("Another log.", rule("  a: { x: 1 }\n  condition: a").replace("cloudtrail", "guardduty")),
        ("No condition.", rule("  a: { x: 1 }")),
        ("A name that nobody has.", rule("  a: { x: 1 }\n  condition: a and b")),
        ("Nothing of that name.", rule("  a: { x: 1 }\n  condition: 1 of b*")),
        ("A condition that does not end.", rule("  a: { x: 1 }\n  condition: (a and a")),
        ("Two of several.", rule("  a: { x: 1 }\n  condition: 2 of them")),
        ("Counting.", rule("  a: { x: 1 }\n  condition: a | count() > 5")),
        ("Counting, the old way.", rule("  a: { x: 1 }\n  timeframe: 5m\n  condition: a")),
        ("Keywords.", rule("  a: [evil, bad]\n  condition: a")),
        ("A regular expression.", rule("  a: { x|re: 'a.*' }\n  condition: a")),
        ("Two fields compared.", rule("  a: { x|fieldref: y }\n  condition: a")),
        ("A modifier that nobody knows.", rule("  a: { x|base64: y }\n  condition: a")),
        ("One character.", rule("  a: { x: 'a?c' }\n  condition: a")),
        ("Within, whatever the case.", rule("  a: { userAgent|contains: kali }\n  condition: a")),
        ("Null.", rule("  a: { x: null }\n  condition: a")),
        ("Two conditions on one field.", rule("  a: { x|startswith: ab, x|endswith: cd }\n  condition: a")),
        ("Parts that overlap.", rule("  a: { x|contains|all|cased: [abc, bcd] }\n  condition: a")),
        ("Not, of a list.", rule("  a: { requestParameters.x: y }\n  condition: not a")),
        ("Not, of an address block.", rule("  a: { sourceIPAddress|cidr: 10.0.0.0/8 }\n  condition: not a")),
        ("Nothing is left.", rule("  a: { x: y }\n  b: { x: z }\n  condition: a and b")),
        ("A level that is none.", rule("  a: { x: y }\n  condition: a\nlevel: severe")),
    ];
    let said = rows.iter().map(|(sentence, rule)| match import(rule, false) {
        Ok(imported) => panic!("accepted: {sentence}\n{}", imported.toml),
        Err(why) => format!("## {sentence}\n{why}\n"),
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
}

#[test]
fn rules_match_what_they_say() {
    let event = |detail: Json| json!({ "detail-type": "AWS API Call via CloudTrail", "detail": detail }).to_string();
    let rows = [
        (
            "Whatever the case.",
            "  a: { eventName: deletetrail }\n  condition: a",
            json!({ "eventName": "DeleteTrail" }),
            true,
        ),
        (
            "As written.",
            "  a: { eventName|cased: deletetrail }\n  condition: a",
            json!({ "eventName": "DeleteTrail" }),
            false,
        ),
        (
            "A filter.",
            "  a: { eventName|startswith: Delete }\n  f: { readOnly: 'true' }\n  condition: a and not f",
            json!({ "eventName": "DeleteX", "readOnly": true }),
            false,
        ),
        (
            "A filter of what is not there.",
            "  a: { eventName|startswith: Delete }\n  f: { errorCode: X }\n  condition: a and not f",
            json!({ "eventName": "DeleteX" }),
            true,
        ),
        (
            "Any of these.",
            "  s1: { eventName: A }\n  s2: { eventName: B }\n  condition: 1 of s*",
            json!({ "eventName": "B" }),
            true,
        ),
        (
            "All of them.",
            "  s1: { eventName: A }\n  s2: { readOnly: false }\n  condition: all of them",
            json!({ "eventName": "A", "readOnly": false }),
            true,
        ),
        (
            "All parts, in any order.",
            "  a: { userAgent|contains|all|cased: [aws, kali] }\n  condition: a",
            json!({ "userAgent": "x kali y aws" }),
            true,
        ),
        (
            "Several conditions are any of them.",
            "  a: { eventName: A }\n  b: { eventName: B }\n  condition: [a, b]",
            json!({ "eventName": "B" }),
            true,
        ),
        (
            "An address block.",
            "  a: { sourceIPAddress|cidr: 203.0.113.0/24 }\n  condition: a",
            json!({ "sourceIPAddress": "203.0.113.9" }),
            true,
        ),
        (
            "A number.",
            "  a: { additionalEventData.n|gte: 10 }\n  condition: a",
            json!({ "additionalEventData": { "n": 10 } }),
            true,
        ),
        (
            "Two filters of one field.",
            "  a: { eventName|startswith: D }\n  f: { userIdentity.type: [X, Y] }\n  g: { userIdentity.type: Z }\n  condition: a and not f and not g",
            json!({ "eventName": "D", "userIdentity": { "type": "z" } }),
            false,
        ),
        (
            "An asterisk that is one.",
            "  a: { eventName|cased: 'a\\*' }\n  condition: a",
            json!({ "eventName": "ab" }),
            false,
        ),
    ];
    for (sentence, detection, detail, expected) in rows {
        let imported = import(&rule(detection), false).unwrap_or_else(|why| panic!("{sentence} {why}"));
        let event = event(detail);
        assert_eq!(
            pattern(&imported).matches(&Node::parse(&event).unwrap()),
            expected,
            "{sentence}\n{}",
            imported.toml
        );
    }
}

/// The values of a field, those of lists each.
fn values<'e>(event: &'e Json, field: &str) -> Vec<&'e Json> {
    fn flat<'e>(value: &'e Json, out: &mut Vec<&'e Json>) {
        match value {
            Json::Array(items) => items.iter().for_each(|item| flat(item, out)),
            Json::Object(_) => {}
            one => out.push(one),
        }
    }
    let mut out = Vec::new();
    let value = field.split('.').try_fold(event, |at, name| at.get(name));
    if let Some(value) = value {
        flat(value, &mut out);
    }
    out
}

fn holds(test: &Test, event: &Json) -> bool {
    let fold = |text: &str| if test.cased { text.to_owned() } else { text.to_lowercase() };
    let values = values(event, &test.field);
    let is = |m: &Match| match m {
        Match::Exists(there) => values.is_empty() != *there,
        Match::Text(ours) => values.iter().any(|v| v.as_str().is_some_and(|s| fold(s) == fold(ours))),
        Match::Glob(pieces) => values.iter().any(|v| {
            let Some(said) = v.as_str().map(fold) else { return false };
            let regex: Vec<String> = pieces.iter().map(|p| regex_escaped(&fold(p))).collect();
            regex_lite::Regex::new(&format!("(?s)^{}$", regex.join(".*"))).unwrap().is_match(&said)
        }),
        Match::Bool(b) => values.iter().any(|v| **v == json!(b) || **v == json!(b.to_string())),
        other => panic!("not tried here: {other:?}"),
    };
    let all = if test.all { test.matches.iter().all(is) } else { test.matches.iter().any(is) };
    all != test.denied
}

fn regex_escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") }).collect()
}

fn true_of(expression: &Expression, of: &BTreeMap<String, Detection>, event: &Json) -> bool {
    match expression {
        Expression::Named(name) => of[name].0.iter().any(|tests| tests.iter().all(|test| holds(test, event))),
        Expression::Not(inner) => !true_of(inner, of, event),
        Expression::All(all) => all.iter().all(|e| true_of(e, of, event)),
        Expression::Any(any) => any.iter().any(|e| true_of(e, of, event)),
    }
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "b", "AB", "1", "ba", "a1"]).prop_map(String::from)
}

fn field() -> impl Strategy<Value = String> {
    let fields = prop::sample::select(vec!["eventName", "userAgent", "requestParameters.x"]);
    let modifiers = prop::sample::select(vec![
        "",
        "",
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|contains|all",
        "|neq",
        "|cased",
    ]);
    (fields, modifiers).prop_map(|(field, modifiers)| format!("{field}{modifiers}"))
}

fn map() -> impl Strategy<Value = String> {
    let value = prop::collection::vec(word(), 1..3)
        .prop_map(|w| format!("[{}]", w.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(", ")));
    prop::collection::btree_map(field(), value, 1..3).prop_map(|fields| {
        format!("{{ {} }}", fields.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", "))
    })
}

fn detail() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![4 => word().prop_map(Json::from), 1 => any::<bool>().prop_map(Json::from)];
    let list = prop::collection::vec(word(), 0..3).prop_map(Json::from);
    (prop::option::of(scalar.boxed()), prop::option::of(word()), prop::option::of(list)).prop_map(|(name, agent, x)| {
        let mut detail = json!({});
        if let Some(name) = name {
            detail["eventName"] = name;
        }
        if let Some(agent) = agent {
            detail["userAgent"] = agent.into();
        }
        if let Some(x) = x {
            detail["requestParameters"] = json!({ "x": x });
        }
        detail
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_playbook_matches_what_its_rule_does(
        maps in prop::collection::vec(map(), 3), cased in any::<bool>(), details in prop::collection::vec(detail(), 1..8),
        condition in prop::sample::select(vec!["a", "a and not b", "a or b", "1 of them", "all of them", "a and (b or c)", "not (a or b)", "a and not 1 of b*", "not a or (b and not c)"]),
    ) {
        let yaml = rule(&format!("  a: {}\n  b: {}\n  c: {}\n  condition: {condition}", maps[0], maps[1], maps[2]));
        let read: Rule = serde_norway::from_str(&yaml).unwrap();
        let Ok((expression, detections)) = super::read(&read, cased) else { return Ok(()) };
        let Ok(imported) = import(&yaml, cased) else { return Ok(()) };
        let pattern = pattern(&imported);
        for detail in details {
            let event = json!({ "detail-type": "AWS API Call via CloudTrail", "detail": detail }).to_string();
            let matches = pattern.matches(&Node::parse(&event).unwrap());
            prop_assert_eq!(matches, true_of(&expression, &detections, &detail), "{}\n{}\n{}", detail, yaml, imported.toml);
        }
    }

    #[test]
    fn reading_never_panics(text in any::<String>(), condition in "[a-c (|)*]{0,20}", map in map()) {
        drop(import(&text, false));
        drop(import(&rule(&format!("  a: {map}\n  condition: '{condition}'")), true));
    }
}
