//! Input of every broken kind: each is answered with a reason or handled, and the good event after it is still processed.
use crate::{
    contract,
    harness::{Home, fixture, root, run_in},
    json::Json,
};
use serde_json::{Value, json};

const GUARDDUTY: &str = "guardduty-brute-force/01-instance-is-the-target.json";
const CLOUDTRAIL: &str = "cloudtrail-trail-stopped/04-stopped-by-a-person.json";
const GOOD: &str = "guardduty-crypto-mining/01-first-seen.json";

/// A good event, told from the others by its id.
fn good(number: usize) -> String {
    crate::harness::changed(GOOD, &[("/id", format!("good-{number}").into())])
}

/// One JSON lines stream of good events and, between them, one broken line each. Gives the answers to the broken ones.
#[track_caller]
fn check(cases: &[Vec<u8>]) -> Vec<Vec<Json>> {
    let mut stream = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        stream.extend_from_slice(good(number).as_bytes());
        stream.push(b'\n');
        stream.extend(case.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        stream.push(b'\n');
    }
    stream.extend_from_slice(good(cases.len()).as_bytes());
    let output = run_in(root(), &["replay", "--format", "json", "-"], &stream);
    output.did_not_panic();
    assert!(matches!(output.code, Some(0 | 1)), "exit code {:?}: {}", output.code, output.stderr);
    let lines = output.json();
    contract::check_indices(&lines);
    let mut answers: Vec<Vec<Json>> = Vec::new();
    for line in lines {
        contract::check(&line);
        if line["event"]["id"] == format!("good-{}", answers.len()).as_str() {
            assert_eq!(line["disposition"], "ack", "{line:?}");
            assert_eq!(line["verdict"]["playbook"], "guardduty/ec2-crypto-mining", "{line:?}");
            answers.push(Vec::new());
        } else {
            answers.last_mut().expect("a good event is the first").push(line);
        }
    }
    assert_eq!(answers.len(), cases.len() + 1, "every good event is answered");
    assert_eq!(answers.pop(), Some(Vec::new()), "nothing comes after the last good event");
    let silent = answers.iter().position(Vec::is_empty);
    let shown = silent.map(|i| String::from_utf8_lossy(&cases[i]).chars().take(500).collect::<String>());
    assert_eq!(shown, None, "a broken line got no answer");
    answers
}

/// The reason why it was refused.
#[track_caller]
fn reason(answer: &[Json]) -> &str {
    assert_eq!(answer.len(), 1, "{answer:?}");
    answer[0]["error"].text().unwrap_or_else(|| panic!("not refused: {answer:?}"))
}

#[test]
fn cut_off_anywhere() {
    for name in
        [GUARDDUTY, CLOUDTRAIL, "securityhub-many/01-five-in-one-event.json", "carriers/01-sns-notification.json"]
    {
        let whole = fixture(name).into_bytes();
        let cases: Vec<Vec<u8>> = (1..whole.len()).step_by(97).map(|end| whole[..end].to_vec()).collect();
        for answer in check(&cases) {
            assert!(reason(&answer).contains("cut off"), "{answer:?}");
        }
    }
}

#[test]
fn files_cut_off_anywhere() {
    let whole = std::fs::read(root().join("fixtures").join(GUARDDUTY)).expect("a fixture");
    let ends: Vec<usize> = (0..whole.len() - 2).step_by(97).collect();
    let home = Home::new().file("cut/z-good.json", good(0));
    let home = ends.iter().fold(home, |home, end| home.file(&format!("cut/{end:05}.json"), &whole[..*end]));
    let lines = home.run(&["replay", "--format", "json", "cut"]).ended(1).json();
    lines.iter().for_each(contract::check);
    assert_eq!(lines.len(), ends.len() + 1);
    assert!(lines[..ends.len()].iter().all(|line| line["disposition"] == "reject"));
    assert_eq!(lines[ends.len()]["disposition"], "ack");
}

/// The pointers of all values inside a value.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut go = |key: &str, inner: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        all.push(at.clone());
        pointers(inner, &at, all);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, inner)| go(key, inner)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, inner)| go(&i.to_string(), inner)),
        _ => {}
    }
}

#[test]
fn values_of_the_wrong_type() {
    let wrong = [json!(null), json!(-1.5e300), json!("?"), json!([]), json!({}), json!([[{"": null}]]), json!(true)];
    for name in [
        GUARDDUTY,
        CLOUDTRAIL,
        "config-open-ssh/01-first-evaluation.json",
        "securityhub-many/01-five-in-one-event.json",
        "securityhub-ocsf/02-detection-finding.json",
        "carriers/02-lambda-sqs-batch.json",
    ] {
        let event: Value = serde_json::from_str(&fixture(name)).expect("JSON");
        let mut all = Vec::new();
        pointers(&event, "", &mut all);
        let mut cases = Vec::new();
        for pointer in &all {
            for value in &wrong {
                let mut event = event.clone();
                *event.pointer_mut(pointer).expect("a pointer of this event") = value.clone();
                cases.push(event.to_string().into_bytes());
            }
        }
        check(&cases);
    }
}

#[test]
fn values_left_out() {
    for name in [GUARDDUTY, CLOUDTRAIL, "securityhub-ocsf/02-detection-finding.json"] {
        let event: Value = serde_json::from_str(&fixture(name)).expect("JSON");
        let mut all = Vec::new();
        pointers(&event, "", &mut all);
        let without = |pointer: &String| {
            let mut event = event.clone();
            let (parent, key) = pointer.rsplit_once('/')?;
            event.pointer_mut(parent)?.as_object_mut()?.remove(key)?;
            Some(event.to_string().into_bytes())
        };
        check(&all.iter().filter_map(without).collect::<Vec<_>>());
    }
}

/// An event whose `detail` has this as one more member, as text.
fn with(member: &str) -> Vec<u8> {
    fixture(GUARDDUTY).replacen("\"detail\":{", &format!("\"detail\":{{\"more\":{member},"), 1).into_bytes()
}

#[test]
fn large_values() {
    let million = 1_000_000;
    let answers = check(&[
        with(&format!("\"{}\"", "x".repeat(million))),
        with(&format!("\"{}\"", "\\u0041".repeat(million / 6))),
        with(&format!("[{}0]", "0,".repeat(million / 2))),
        with(&format!("[{}{{}}]", "{},".repeat(million / 3))),
        with(&format!("{{{}\"\":0}}", (0..million / 10).fold(String::new(), |all, i| format!("{all}\"{i}\":0,")))),
        with(&format!("1{}", "0".repeat(million))),
        crate::harness::changed(GUARDDUTY, &[("/detail/title", "long ".repeat(million / 5).into())]).into_bytes(),
        crate::harness::changed(
            GUARDDUTY,
            &[("/detail/resource/instanceDetails/instanceId", "i".repeat(million).into())],
        )
        .into_bytes(),
        crate::harness::changed(CLOUDTRAIL, &[("/detail/userIdentity/arn", "a".repeat(million).into())]).into_bytes(),
    ]);
    for answer in &answers {
        assert_eq!(answer[0]["disposition"], "ack");
        assert_eq!(
            answer[0]["actions"].list().iter().filter(|a| a["kind"] == "notify").count(),
            usize::from(answer[0]["novelty"] == "new")
        );
    }
    let answers =
        check(&[vec![b' '; 5 << 20], vec![b'x'; 5 << 20], with(&format!("\"{}\"", "x".repeat(5 << 20)))].map(
            |mut case: Vec<u8>| {
                case.push(b'.');
                case
            },
        ));
    for answer in &answers {
        assert!(reason(answer).contains("longer than"), "{answer:?}");
    }
}

#[test]
fn deep_nesting() {
    // `detail` and the event around it are two levels.
    let nested = |depth: usize| with(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let objects = |depth: usize| with(&format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
    let answers =
        check(&[nested(100), nested(125), nested(127), nested(129), nested(100_000), objects(100_000), objects(125)]);
    assert_eq!(answers[0][0]["disposition"], "ack");
    for answer in &answers[3..6] {
        assert!(reason(answer).contains("nested deeper"), "{answer:?}");
    }
    // Never closed.
    for answer in check(&[vec![b'['; 100_000], b"{\"a\":".repeat(100_000), with(&"[".repeat(100_000))]) {
        assert!(!reason(&answer).is_empty());
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut cases: Vec<Vec<u8>> = vec![
        vec![0],
        vec![0xff, 0xfe, b'{', 0, b'}', 0],
        b"\xef\xbb\xbf{}".to_vec(),
        b"\x1f\x8b\x08 not gzip after all".to_vec(),
        b"\xed\xa0\x80".to_vec(),
    ];
    let whole = fixture(GUARDDUTY).into_bytes();
    for bad in [b"\xff".as_slice(), b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0", b"\x1b"] {
        let at = whole.windows(8).position(|w| w == b"\"title\":").expect("a title") + 10;
        cases.push([&whole[..at], bad, &whole[at..]].concat());
    }
    // Noise, the same every time.
    let mut state = 42_u64;
    for length in [1, 10, 100, 1_000, 10_000] {
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        });
        cases.push(noise.take(length).chain([b'!']).collect());
    }
    for answer in check(&cases) {
        assert!(!reason(&answer).is_empty());
    }
}

#[test]
fn json_that_is_no_event() {
    let cases = [
        "null",
        "true",
        "0",
        "-",
        "\"\"",
        "\"text\"",
        "[]",
        "[[]]",
        "[null]",
        "[1,2]",
        "{}",
        "{\"detail\":{}}",
        "{\"a\":1}{\"b\":2}",
        "{\"Records\":[]}",
        "{\"Records\":{}}",
        "{\"Records\":[null]}",
        "{\"Messages\":[]}",
        "{\"Messages\":null}",
        "{\"Records\":[{\"body\":\"\"}]}",
        "{\"Records\":[{\"body\":\"{}\",\"eventSource\":\"aws:sqs\"}]}",
        "{\"Type\":\"Notification\",\"Message\":\"\"}",
        "{\"Type\":\"Notification\"}",
        "{\"Message\":7}",
        "{\"source\":\"\",\"detail-type\":\"\",\"detail\":null}",
        "}",
        "]",
        "{\"a\" \"b\"}",
        "{'a':1}",
        "NaN",
        "// {}",
        "\u{feff}",
    ];
    for (case, answer) in cases.iter().zip(check(&cases.map(|case| case.as_bytes().to_vec()))) {
        assert!(
            answer.iter().all(|line| line["disposition"] == "reject" || !line["verdict"]["ignored"].is_null()),
            "{case}: {answer:?}"
        );
    }
}

/// As EventBridge does it: the last of two equal keys counts.
#[test]
fn keys_that_are_there_twice() {
    let event = fixture(GUARDDUTY);
    let twice = event.replacen("\"severity\":", "\"severity\":8,\"severity\":", 1);
    let whole = event.replacen("{\"account\":", "{\"source\":\"aws.nobody\",\"detail\":7,\"account\":", 1);
    let answers = check(&[event.clone().into_bytes(), twice.into_bytes(), whole.into_bytes()]);
    assert_eq!(answers[0][0]["finding"]["severity"], answers[1][0]["finding"]["severity"]);
    assert_eq!(answers[0][0]["finding"]["fingerprint"], answers[2][0]["finding"]["fingerprint"]);
}

#[test]
fn files_that_are_no_events() {
    let home = Home::new()
        .file("odd/1-empty.json", "")
        .file("odd/2-blank.json", " \n\r\n\t")
        .file("odd/3-bom.json", b"\xef\xbb\xbf")
        .file("odd/4-gzip-of-nothing.json.gz", b"\x1f\x8b")
        .file("odd/5-not-gzip.json.gz", "{}")
        .file("odd/6-utf-16.json", b"\xff\xfe{\0}\0")
        .file("odd/7-zeros.json", [0; 4096])
        .file("odd/8-nested.json", "[".repeat(1_000_000))
        .file("odd/9-good.json", good(0));
    let lines = home.run(&["replay", "--format", "json", "odd"]).ended(1).json();
    lines.iter().for_each(contract::check);
    assert_eq!(lines.len(), 9);
    assert!(lines[..8].iter().all(|line| line["disposition"] == "reject"), "{lines:?}");
    assert_eq!(lines[8]["disposition"], "ack");
}

/// The other printers see the same broken values.
#[test]
fn no_printer_minds() {
    let wrong = [json!(null), json!(7), json!("\u{1b}[2J\u{202e}<!channel>"), json!([]), json!({})];
    let mut stream = Vec::new();
    for name in [GUARDDUTY, CLOUDTRAIL, "config-open-ssh/01-first-evaluation.json"] {
        let event: Value = serde_json::from_str(&fixture(name)).expect("JSON");
        let mut all = Vec::new();
        pointers(&event, "", &mut all);
        for (i, pointer) in all.iter().enumerate() {
            let mut event = event.clone();
            *event.pointer_mut(pointer).expect("a pointer of this event") = wrong[i % wrong.len()].clone();
            stream.push(event.to_string());
        }
    }
    let stream = stream.join("\n");
    for args in [
        ["replay", "-"].as_slice(),
        &["replay", "--locale", "ja", "-"],
        &["replay", "--format", "slack", "-"],
        &["explain", "-"],
    ] {
        let output = run_in(root(), args, stream.as_bytes());
        output.did_not_panic();
        assert!(matches!(output.code, Some(0 | 1)), "{args:?}: {:?}", output.code);
        assert!(!output.stdout.contains('\u{1b}'), "{args:?}");
    }
}
