//! Rows of data through one check, and the properties that hold the fast matcher to the plain one.
use super::{Pattern, PatternSet};
use crate::values::tree::Node;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

mod properties;

#[derive(Deserialize)]
struct Case<'c> {
    says: &'c str,
    #[serde(borrow)]
    pattern: &'c RawValue,
    #[serde(borrow)]
    event: &'c RawValue,
    matches: bool,
}

#[test]
fn patterns_match_as_documented() {
    let mut all = Vec::new();
    for line in include_str!("cases.jsonl").lines() {
        let case: Case<'_> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let pattern = Pattern::parse(case.pattern.get()).unwrap_or_else(|e| panic!("{}: {e}", case.says));
        let event = Node::parse(case.event.get()).unwrap();
        assert_eq!(pattern.matches(&event), case.matches, "{}: {} on {}", case.says, case.pattern, case.event);
        let set = PatternSet::new([pattern.clone()]);
        assert_eq!(set.matches(&event), vec![0; usize::from(case.matches)], "as a set: {}", case.says);
        let fields = set.fields();
        let pruned = Node::parse_fields(case.event.get(), &fields).unwrap();
        assert_eq!(set.matches(&pruned).len(), usize::from(case.matches), "pruned: {}", case.says);
        all.push((pattern, case.event.get()));
    }
    let set = PatternSet::new(all.iter().map(|(pattern, _)| pattern.clone()));
    for (_, event) in &all {
        let event = Node::parse(event).unwrap();
        let expected: Vec<usize> = (0..all.len()).filter(|&i| all[i].0.matches(&event)).collect();
        assert_eq!(set.matches(&event), expected, "{event:?}");
    }
}

#[test]
fn what_aws_refuses_is_refused_with_place_and_remedy() {
    let written = include_str!("refusals.txt");
    let mut actual = String::new();
    for row in written.split_terminator("\n\n") {
        let pattern = row.lines().next().unwrap_or_default();
        let error = Pattern::parse(pattern).map_or_else(|e| e.to_string(), |_| "not refused".to_owned());
        actual += &[pattern, "\n  ", &error, "\n\n"].concat();
    }
    assert_eq!(actual.trim_end(), written.trim_end(), "\n{actual}");
    let choices = |n: usize| json!((0..n).map(|i| json!({"a": [i]})).collect::<Vec<_>>());
    let two = |n| json!({"x": {"$or": choices(40)}, "y": {"$or": choices(n)}});
    assert!(Pattern::from_value(&two(25)).is_ok(), "1000 combinations");
    let error = Pattern::from_value(&two(26)).unwrap_err();
    assert_eq!(error.at, "/y/$or");
    let deep = format!(r#"{{"{}":["x"]}}"#, ".".repeat(100_000));
    assert!(Pattern::parse(&deep).unwrap_err().reason.starts_with("no event is this deep"));
    let wide: serde_json::Map<String, Value> = (0..257).map(|i| (i.to_string(), json!(["x"]))).collect();
    assert!(Pattern::from_value(&wide.into()).unwrap_err().reason.starts_with("more than 256 fields"));
}

#[test]
fn data_reads_like_text() {
    let pattern = Pattern::from_value(&json!({"$or": [{"s": ["2"]}, {"b": [8.0]}], "s": ["1"]})).unwrap();
    let matches = |event: &str| pattern.matches(&Node::parse(event).unwrap());
    assert!(matches(r#"{"s":"1","b":8.0}"#), "a float keeps its point");
    assert!(!matches(r#"{"s":"1","b":8}"#));
    assert!(matches(r#"{"s":"2"}"#) && !matches(r#"{"s":"1"}"#), "`$or` counts as written last");
}

#[test]
fn what_is_probably_not_meant_gives_a_warning() {
    let warnings = |pattern: &str| Pattern::parse(pattern).unwrap().warnings().join("\n");
    assert_eq!(
        warnings(r#"{"s":["1"],"d":{"$or":[{"a":["2"]},{"b":["y"]}],"a":["1"]},"x":{"prefix":["a"]}}"#),
        "at /d/a: `d.a` is constrained twice, and as on AWS this list replaces the earlier one instead of narrowing it — write each \
         field once, or repeat the whole condition in every alternative of `$or`\n\
         at /x/prefix: read as a field named `prefix` — to use the operator, write [{\"prefix\": …}]"
    );
    assert_eq!(warnings(r#"{"s":["1"],"$or":[{"a":["2"]},{"a":["y"]}]}"#), "", "alternatives may share a field");
}

#[test]
fn a_pattern_tells_its_fields_and_how_specific_it_is() {
    let pattern = Pattern::parse(r#"{"s":["1"],"d":{"$or":[{"a.x":["2"]},{"b":["y"],"c":["z"]}]}}"#).unwrap();
    let paths: Vec<String> = pattern.paths().map(|path| path.join("/")).collect();
    assert_eq!(paths, ["s", "d/a/x", "d/b", "d/c"]);
    assert_eq!(pattern.conditions(), 2);
    let set = PatternSet::new([pattern]);
    assert!((set.len(), set.is_empty()) == (1, false) && PatternSet::new([]).is_empty());
}

/// Ten times the event may cost ten times the work and no more; a thousand more patterns nearly none.
#[test]
fn work_is_bounded_by_the_event_and_not_by_the_patterns() {
    let pattern = |i: usize| {
        let text = format!(
            r#"{{"source":["s"],"detail":{{"a":{{"b":[{{"prefix":"p{i}-"}},"e"],"c":[{{"anything-but":"n{i}"}}],"d":["x","y","z"]}}}}}}"#
        );
        Pattern::parse(&text).unwrap()
    };
    let event = |n: usize| {
        let items = r#"{"b":["p7-1","e","p8-1"],"c":"m","d":["x","y","q"]},"#.repeat(n);
        format!(r#"{{"source":"s","detail":{{"a":[{}]}}}}"#, items.trim_end_matches(','))
    };
    let (few, many) = (PatternSet::new((0..100).map(pattern)), PatternSet::new((0..1100).map(pattern)));
    let steps = |set: &PatternSet, n| set.steps(&Node::parse(&event(n)).unwrap());
    assert!(steps(&few, 20_000) <= 11 * steps(&few, 2_000));
    let text = event(1).replace(r#""e","#, "");
    let one = Node::parse(&text).unwrap();
    assert_eq!(few.steps(&one), many.steps(&one));
}
