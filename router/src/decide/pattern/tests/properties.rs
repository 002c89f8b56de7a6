//! Properties over random patterns and events.
use super::*;
use crate::decide::pattern::{Clause, condition::Condition, matches::is_container, pack};
use std::sync::Arc;

/// Few names and values, so that patterns and events meet.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => prop::sample::select(vec!["", "a", "ab", "abc", "b", "aB", "ABC", "bc", "cab", "*", "é", "É", "10.0.0.1", "::1"])
            .prop_map(|s| json!(s)),
        2 => prop::sample::select(vec![json!(0), json!(0.0), json!(1), json!(-1), json!(5), json!(10)]),
        1 => prop::sample::select(vec![json!(null), json!(true), json!(false)]),
    ]
}

fn one_of_two() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!("a"), json!("b")])
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "b", "bc", "A", "c", "é"]).prop_map(String::from)
}

fn glob() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["*", "a*", "*b", "*a*", "a*c", "ab", "*b*c", "\\*", "*B*", ""]).prop_map(String::from)
}

fn condition() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => scalar(),
        8 => one_of_two(),
        1 => text().prop_map(|t| json!({"prefix": t})),
        1 => text().prop_map(|t| json!({"suffix": t})),
        1 => text().prop_map(|t| json!({"prefix": {"equals-ignore-case": t}})),
        1 => text().prop_map(|t| json!({"suffix": {"equals-ignore-case": t}})),
        1 => text().prop_map(|t| json!({"equals-ignore-case": t})),
        1 => glob().prop_map(|t| json!({"wildcard": t})),
        1 => prop::collection::vec(text(), 1..3).prop_map(|t| json!({"anything-but": t})),
        1 => text().prop_map(|t| json!({"anything-but": {"prefix": t}})),
        1 => glob().prop_map(|t| json!({"anything-but": {"wildcard": t}})),
        1 => (-2..6).prop_map(|n| json!({"numeric": [">=", n]})),
        1 => (-2..3, 3..11).prop_map(|(a, b)| json!({"numeric": [">", a, "<=", b]})),
        1 => Just(json!({"cidr": "10.0.0.0/8"})),
        1 => any::<bool>().prop_map(|b| json!({"exists": b})),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["x", "y", "z"]).prop_map(String::from)
}

fn pattern() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(condition(), 1..4).prop_map(Value::from).boxed();
    let object = |inner: BoxedStrategy<Value>| {
        prop::collection::btree_map(name(), inner, 1..3).prop_map(|fields| json!(fields)).boxed()
    };
    let levels = (0..2).fold(list.clone(), |inner, _| {
        prop_oneof![2 => list.clone(), 3 => object(inner.clone()),
        1 => (object(inner.clone()), prop::collection::vec(object(inner), 2..4)).prop_map(|(mut fields, or)| {
            fields["$or"] = json!(or);
            fields
        })]
        .boxed()
    });
    object(levels)
}

fn event() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    });
    // Conditions on one element meet only where arrays hold several alike.
    let element = prop::collection::btree_map(name(), one_of_two(), 1..4).prop_map(|fields| json!(fields));
    let elements = prop::collection::vec(element.boxed(), 2..4).prop_map(Value::from).boxed();
    let nested = prop::collection::vec(elements.clone(), 1..3).prop_map(Value::from);
    let value = prop_oneof![2 => value, 2 => elements, 1 => nested];
    prop::collection::btree_map(name(), value, 0..4).prop_map(|fields| json!(fields))
}

/// A value, its path, and from which element of which array it comes: the flat list that AWS's engine works on.
struct Flat<'e> {
    path: Vec<&'e str>,
    value: &'e Node<'e>,
    from: Vec<(usize, usize)>,
}

fn flatten<'e>(value: &'e Node<'e>, at: (&[&'e str], &[(usize, usize)]), arrays: &mut usize, flat: &mut Vec<Flat<'e>>) {
    let (path, from) = at;
    match value {
        Node::Object(fields) => {
            for (name, value) in fields {
                flatten(value, (&[path, &[&**name]].concat(), from), arrays, flat);
            }
        }
        Node::Array(items) => {
            *arrays += 1;
            let array = *arrays;
            for (i, item) in items.iter().enumerate() {
                let inside = if is_container(item) { [from, &[(array, i)]].concat() } else { from.to_vec() };
                flatten(item, (path, &inside), arrays, flat);
            }
        }
        value => flat.push(Flat { path: path.to_vec(), value, from: from.to_vec() }),
    }
}

/// Whether values can be chosen for all fields so that no two come from different elements of one array.
fn choose(
    pattern: &Pattern,
    fields: &[(usize, Arc<[Condition]>)],
    flat: &[Flat<'_>],
    chosen: &[(usize, usize)],
) -> bool {
    let [(path, list), rest @ ..] = fields else { return true };
    let mut here = flat
        .iter()
        .filter(|one| one.path.iter().copied().eq(pattern.paths[*path].iter().map(AsRef::as_ref)))
        .peekable();
    if here.peek().is_none() && list.contains(&Condition::Absent) {
        return choose(pattern, rest, flat, chosen);
    }
    here.any(|one| {
        list.iter().any(|condition| condition.holds(one.value))
            && one.from.iter().all(|(array, i)| chosen.iter().all(|(a, j)| a != array || i == j))
            && choose(pattern, rest, flat, &[chosen, &one.from].concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_set_matches_as_its_patterns_do(
        patterns in prop::collection::vec(pattern(), 0..12),
        events in prop::collection::vec(event(), 1..8),
    ) {
        let patterns: Vec<Pattern> = patterns.iter().filter_map(|p| Pattern::from_value(p).ok()).collect();
        let set = PatternSet::new(patterns.clone());
        let fields = set.fields();
        for event in events {
            let text = event.to_string();
            let whole = Node::parse(&text).unwrap();
            let expected: Vec<usize> = (0..patterns.len()).filter(|&i| patterns[i].matches(&whole)).collect();
            prop_assert_eq!(set.matches(&whole), expected.clone(), "{}", text);
            let pruned = Node::parse_fields(&text, &fields).unwrap();
            prop_assert_eq!(set.matches(&pruned), expected, "pruned {}", text);
        }
    }

    /// (Few wildcards of a field are tried one by one, many are found by an automaton.)
    #[test]
    fn few_wildcards_and_many_find_the_same(
        globs in prop::collection::vec("\\*?[abc]{1,3}(\\*[abc]{1,2})?\\*?", 0..40),
        texts in prop::collection::vec("[abc]{0,8}", 1..4),
    ) {
        let patterns = globs.iter().filter_map(|glob| Pattern::from_value(&json!({"a": [{"wildcard": glob}]})).ok());
        let patterns: Vec<Pattern> = patterns.collect();
        let set = PatternSet::new(patterns.clone());
        for text in texts {
            let text = json!({"a": text}).to_string();
            let event = Node::parse(&text).unwrap();
            let expected: Vec<usize> = (0..patterns.len()).filter(|&i| patterns[i].matches(&event)).collect();
            prop_assert_eq!(set.matches(&event), expected, "{}", text);
        }
    }

    #[test]
    fn packed_patterns_match_what_they_were_packed_from(
        patterns in prop::collection::vec(pattern(), 1..6),
        events in prop::collection::vec(event(), 1..8),
        most in 60..400_usize,
    ) {
        let patterns: Vec<Pattern> = patterns.iter().filter_map(|p| Pattern::from_value(p).ok()).collect();
        let clauses: Vec<Clause> = patterns.iter().flat_map(Pattern::clauses).collect();
        if let Some((worked_out, written)) = Clause::lengths(&clauses) {
            prop_assert_eq!(worked_out, written, "{:?}", clauses);
        }
        // (A single condition can be longer than the least that is tried here.)
        let Ok(packed) = pack(patterns.iter().flat_map(Pattern::clauses), most) else { return Ok(()) };
        let texts: Vec<String> = packed.iter().map(Value::to_string).collect();
        prop_assert!(texts.iter().all(|text| text.chars().count() <= most), "{:?}", texts);
        let packed: Vec<Pattern> = texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        for event in events {
            let text = event.to_string();
            let event = Node::parse(&text).unwrap();
            let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(&event));
            prop_assert_eq!(any(&packed), any(&patterns), "{} by {:?}", text, texts);
        }
    }

    #[test]
    fn fields_match_within_one_element(patterns in prop::collection::vec(pattern(), 1..6), event in event()) {
        let text = event.to_string();
        let event = Node::parse(&text).unwrap();
        let mut flat = Vec::new();
        flatten(&event, (&[], &[]), &mut 0, &mut flat);
        for pattern in &patterns {
            let pattern = Pattern::from_value(pattern).unwrap();
            let expected = pattern.ways.iter().any(|way| choose(&pattern, &way.fields, &flat, &[]));
            prop_assert_eq!(pattern.matches(&event), expected, "{}", text);
        }
    }

    #[test]
    fn anything_but_is_the_negation_on_one_scalar(value in scalar(), texts in prop::collection::vec(text(), 1..4), glob in glob()) {
        let event = json!({"a": value}).to_string();
        let event = Node::parse(&event).unwrap();
        let matches = |list: Value| Pattern::from_value(&json!({"a": list})).unwrap().matches(&event);
        prop_assert_ne!(matches(json!(texts)), matches(json!([{"anything-but": texts}])));
        prop_assert_ne!(matches(json!([{"wildcard": glob}])), matches(json!([{"anything-but": {"wildcard": glob}}])));
        for operator in ["prefix", "suffix", "equals-ignore-case"] {
            let positive: Vec<Value> = texts.iter().map(|t| json!({operator: t})).collect();
            prop_assert_ne!(matches(json!(positive)), matches(json!([{"anything-but": {operator: texts}}])));
        }
        if value.is_number() || value.is_string() {
            prop_assert_ne!(matches(json!([value])), matches(json!([{"anything-but": value}])));
        }
    }

    #[test]
    fn parsing_never_panics(text in any::<String>(), value in event(), conditions in prop::collection::vec(condition(), 0..3)) {
        drop(Pattern::parse(&text));
        drop(Pattern::from_value(&value));
        drop(Pattern::from_value(&json!({"$or": [value, conditions], "x": [value], "y": conditions})));
        for operator in super::super::operator::NAMES {
            drop(Pattern::from_value(&json!({"x": [{operator: value}, {operator: conditions}, {operator: text}]})));
        }
    }
}
