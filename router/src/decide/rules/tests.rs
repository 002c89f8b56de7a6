//! What the rules let through is what the router makes something of: for every fixture, and for every fixture with one value changed.
use super::*;
use crate::{
    decide::{
        carrier::{Opened, open},
        config::Config,
        corpus,
        policy::{Examined, PolicyFile, UserFiles},
    },
    testing::at,
    values::tree::Node,
};

/// Whether the router makes something of it; none where that is not an event by itself.
fn concerns(policy: &Policy, text: &str) -> Option<bool> {
    let Opened::Event(mut envelope) = open(text, policy.fields()) else { return None };
    let (examined, source) = policy.examine(&mut envelope, at(0));
    let follows = policy.sources.iter().any(|s| Some(s.name.as_str()) == source && s.follows_executions());
    match examined {
        // The source reads everything of this kind; that there is nothing in this one shows only then.
        Examined::Ignored(why) if follows || why.contains("there is no finding in this event") => None,
        Examined::Ignored(_) => Some(false),
        Examined::Refused(_) => None,
        Examined::Execution(..) | Examined::Findings(_) => Some(true),
    }
}

/// Is an event as EventBridge delivers it, not a record of a log file.
fn is_event(event: &Value) -> bool {
    ["source", "detail-type", "detail"].iter().all(|name| event.get(*name).is_some())
}

/// The event with one leaf changed or gone, for each leaf.
fn changed(event: &Value) -> Vec<Value> {
    fn walk(value: &Value, at: &str, out: &mut Vec<String>) {
        let name = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(value, &name(key), out)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| walk(value, &name(&i.to_string()), out));
            }
            _ => out.push(at.to_owned()),
        }
    }
    let mut leaves = Vec::new();
    walk(event, "", &mut leaves);
    let other = |at: &String| {
        let mut event = event.clone();
        let leaf = event.pointer_mut(at)?;
        *leaf = if *leaf == Value::Bool(true) { false.into() } else { "another".into() };
        Some(event)
    };
    let without = |at: &String| {
        let mut event = event.clone();
        let (above, name) = at.rsplit_once('/')?;
        event.pointer_mut(above)?.as_object_mut()?.remove(name)?;
        Some(event)
    };
    leaves.iter().flat_map(|at| [other(at), without(at)]).flatten().collect()
}

#[test]
fn the_rules_let_through_what_the_router_makes_something_of() {
    let policy = corpus::policy();
    let rules = rules(&policy).unwrap();
    let patterns: Vec<Pattern> = rules.iter().map(|r| Pattern::from_value(&r.pattern).unwrap()).collect();
    let (mut through, mut held) = (0, 0);
    let mut check = |path: &str, event: &Value| {
        let text = event.to_string();
        let Some(concerns) = concerns(&policy, &text).filter(|_| is_event(event)) else { return };
        let event = Node::parse(&text).unwrap();
        let passes = patterns.iter().any(|p| p.matches(&event));
        assert_eq!(passes, concerns, "{path}: a rule lets it through, and the router makes something of it?\n{text}");
        *(if passes { &mut through } else { &mut held }) += 1;
    };
    for (path, text) in corpus::events(&policy) {
        let event: Value = serde_json::from_str(&text).unwrap();
        check(&path, &event);
        for event in changed(&event) {
            check(&path, &event);
        }
    }
    assert!(through > 5_000 && held > 1_000, "{through} through, {held} held back");
}

#[test]
fn rules_are_few_and_short_and_say_where_they_are_needed() {
    let rules = rules(&corpus::policy()).unwrap();
    let mut told: Vec<String> = Vec::new();
    for rule in &rules {
        let length = rule.pattern.to_string().chars().count();
        assert!(length <= PATTERN_MAX, "{length} characters");
        let mut sources: Vec<&str> = Vec::new();
        let text = rule.pattern.to_string();
        for part in text.split('"').filter(|part| part.ends_with(".amazonaws.com")) {
            if !sources.contains(&part) {
                sources.push(part);
            }
        }
        told.push(format!("{} global={} {length} {}", rule.state(), rule.global, sources.join(" ")));
    }
    let all: usize = rules.iter().map(|r| r.pattern.to_string().chars().count()).sum();
    assert!(rules.len() <= all.div_ceil(PATTERN_MAX) * 5 / 4, "{} rules for {all} characters", rules.len());
    insta::assert_snapshot!(told.join("\n"));
}

/// Calls that only read cost every rule that asks for them, so only a playbook that needs them makes one.
#[test]
fn a_playbook_decides_whether_calls_that_only_read_are_asked_for() {
    let playbook = |name: &str, when: &str| PolicyFile {
        name: name.to_owned(),
        path: format!("{name}.toml"),
        text: format!(
            "summary = \"x\"\nweakness = \"x\"\n[when]\n{when}\n[tell]\ntitle = \"x\"\nwhy = \"x\"\nnext = [\"x\"]\n"
        ),
    };
    let call = |rest: &str| {
        format!(
            "detail-type = [\"AWS API Call via CloudTrail\"]\ndetail.eventSource = [\"test.amazonaws.com\"]\n{rest}"
        )
    };
    for (rest, read_only) in [
        ("detail.eventName = [\"GetSecretValue\"]", true),
        ("detail.eventName = [{ prefix = \"Get\" }]", true),
        ("detail.eventName = [{ wildcard = \"*Object\" }]", true),
        ("detail.userAgent = [{ wildcard = \"*kali*\" }]", true),
        ("detail.userAgent = [{ wildcard = \"*kali*\" }]\ndetail.readOnly = [false]", false),
        ("detail.eventName = [\"DeleteTrail\"]", false),
        ("detail.eventName = [{ prefix = \"Delete\" }]", false),
        ("detail.eventName = [\"DeleteTrail\", \"ListTrails\"]", true),
    ] {
        let playbooks = vec![playbook("mine", &call(rest))];
        let policy = Policy::load(Config::default(), &UserFiles { playbooks, ..UserFiles::default() });
        let policy = policy.unwrap_or_else(|p| panic!("{p:#?}"));
        let rules = rules(&policy).unwrap();
        let mine: Vec<bool> = rules
            .iter()
            .filter(|r| r.pattern.to_string().contains("test.amazonaws.com"))
            .map(|r| r.read_only)
            .collect();
        assert_eq!(mine, [read_only], "{rest}");
    }
}
