//! Every carrier, what is refused and why, and that no text at all can make it panic or lose a sibling.
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const EVENT: &str = r#"{"version":"0","id":"e-1","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"111122223333","time":"2024-05-30T23:12:15Z","region":"eu-west-1","resources":[],"detail":{"severity":8.0,"b":"\u00e9"}}"#;
const RECORD: &str = r#"{"eventVersion":"1.08","userIdentity":{"accountId":"444455556666"},"eventTime":"2024-01-02T03:04:05Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1","readOnly":"false","responseElements":"null","eventID":"r-1","eventType":"AwsApiCall"}"#;

fn fields() -> Fields {
    let mut fields = Fields::default();
    name_fields(&mut fields);
    fields.insert_whole("/detail");
    fields
}

/// Opens to the end: the text of every event, or the reason why there is none.
fn open_all(body: &str) -> Vec<Result<String, String>> {
    let fields = fields();
    let one = |text: &str| match open(text, &fields) {
        Opened::Event(envelope) => Ok(envelope.text.to_owned()),
        Opened::Refused(refusal) => Err(refusal.reason),
        Opened::Many(more) => panic!("opened twice and still not open: {more:?}"),
    };
    match open(body, &fields) {
        Opened::Many(items) => {
            items.into_iter().map(|item| item.map_err(|r| r.reason).and_then(|text| one(&text))).collect()
        }
        _ => vec![one(body)],
    }
}

/// What a person would want to see of an event.
fn outline(text: &str) -> String {
    let fields = fields();
    let Opened::Event(e) = open(text, &fields) else { panic!("not an event: {text}") };
    let time = e.time.map_or("-".to_owned(), |t| t.to_string());
    format!("{} | {} | {} | {} | {time} | {}", e.id, e.source, e.detail_type, e.account, e.region)
}

fn string(text: &str) -> String {
    Value::from(text).to_string()
}
fn sns(message: &str) -> String {
    format!(r#"{{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:x","Message":{}}}"#, string(message))
}
fn lambda_sqs(bodies: &[&str]) -> String {
    let record = |body: &&str| format!(r#"{{"messageId":"m","body":{},"eventSource":"aws:sqs"}}"#, string(body));
    format!(r#"{{"Records":[{}]}}"#, bodies.iter().map(record).collect::<Vec<_>>().join(","))
}
fn lambda_sns(message: &str) -> String {
    format!(r#"{{"Records":[{{"EventSource":"aws:sns","Sns":{}}}]}}"#, sns(message))
}
fn receive_answer(body: &str) -> String {
    format!(r#"{{"Messages":[{{"MessageId":"m","ReceiptHandle":"r","Body":{}}}]}}"#, string(body))
}

#[test]
fn every_carrier_gives_its_events_in_order() {
    let event = "e-1 | aws.guardduty | GuardDuty Finding | 111122223333 | 2024-05-30T23:12:15Z | eu-west-1";
    let record = "r-1 | aws.iam | AWS API Call via CloudTrail | 444455556666 | 2024-01-02T03:04:05Z | us-east-1";
    let rows: Vec<(&str, String, Vec<&str>)> = vec![
        ("an event", EVENT.into(), vec![event]),
        ("blanks around it", format!("\n {EVENT}\n"), vec![event]),
        ("SNS to SQS", sns(EVENT), vec![event]),
        ("SNS with a record", sns(RECORD), vec![record]),
        ("Lambda batch", lambda_sqs(&[EVENT, RECORD, EVENT]), vec![event, record, event]),
        ("SNS in a Lambda batch", lambda_sqs(&[&sns(EVENT), EVENT]), vec![event, event]),
        ("Lambda from SNS", lambda_sns(EVENT), vec![event]),
        ("ReceiveMessage answer", receive_answer(EVENT), vec![event]),
        ("the same in lower case", format!(r#"{{"messages":[{{"body":{}}}]}}"#, string(EVENT)), vec![event]),
        ("SNS in a ReceiveMessage answer", receive_answer(&sns(EVENT)), vec![event]),
        ("one SQS message", format!(r#"{{"Body":{}}}"#, string(EVENT)), vec![event]),
        ("a body that is no string", format!(r#"{{"body":{EVENT}}}"#), vec![event]),
        ("a pipe's array", format!("[{EVENT},{RECORD}]"), vec![event, record]),
        ("a CloudTrail log file", format!(r#"{{"Records":[{RECORD},{RECORD}]}}"#), vec![record, record]),
        ("a bare CloudTrail record", RECORD.into(), vec![record]),
        ("a log file in an array", format!(r#"[{{"Records":[{RECORD}]}},[{EVENT}]]"#), vec![record, event]),
        ("JSON as a string", string(EVENT), vec![event]),
        ("twice a string", string(&string(&lambda_sqs(&[EVENT]))), vec![event]),
        ("the last of equal keys wins", format!(r#"{{"Records":1,"Records":[{EVENT}]}}"#), vec![event]),
        ("escaped keys", EVENT.replace(r#""source""#, r#""\u0073ource""#), vec![event]),
    ];
    for (why, body, expected) in rows {
        let found: Vec<_> = open_all(&body).into_iter().map(|item| outline(&item.unwrap())).collect();
        assert_eq!(found, expected, "{why}");
    }
}

#[test]
fn untidy_events_and_records_are_read() {
    let rows = [
        (
            "an account as a number",
            r#"{"detail-type":"T","source":"s","account":1234,"detail":{}}"#,
            " | s | T | 000000001234 | - | ",
        ),
        ("only what it needs", r#"{"detail-type":"T","source":"s","detail":{}}"#, " | s | T |  | - | "),
        ("nulls", r#"{"detail-type":"T","source":"s","account":null,"time":null,"detail":{}}"#, " | s | T |  | - | "),
        (
            "milliseconds",
            r#"{"detail-type":"T","source":"s","time":1700000000123,"detail":{}}"#,
            " | s | T |  | 2023-11-14T22:13:20.123Z | ",
        ),
        (
            "a time of another kind",
            r#"{"detail-type":"T","source":"s","time":"Fri, 27 Jan 2023 06:02:51 GMT","detail":{}}"#,
            " | s | T |  | 2023-01-27T06:02:51Z | ",
        ),
        (
            "detail as a string",
            r#"{"detail-type":"T","detail":" {\"a\":\"\\\"\"} ","source":"s"}"#,
            " | s | T |  | - | ",
        ),
        (
            "a sign-in",
            r#"{"eventID":"i","eventType":"AwsConsoleSignIn","eventSource":"signin.amazonaws.com","recipientAccountId":1}"#,
            "i | aws.signin | AWS Console Sign In via CloudTrail | 000000000001 | - | ",
        ),
        (
            "a service event",
            r#"{"eventVersion":"1","eventType":"AwsServiceEvent","eventSource":"kms.amazonaws.com"}"#,
            " | aws.kms | AWS Service Event via CloudTrail |  | - | ",
        ),
        (
            "a console action",
            r#"{"eventVersion":"1","eventType":"AwsConsoleAction","eventSource":"a.b"}"#,
            " | aws.a | AWS Console Action via CloudTrail |  | - | ",
        ),
        (
            "network activity",
            r#"{"eventVersion":"1","eventType":"AwsVpceEvent","eventSource":"s3.amazonaws.com"}"#,
            " | aws.s3 | AWS Network Activity Event via CloudTrail |  | - | ",
        ),
        (
            "an Insight",
            r#"{"eventVersion":"1","eventType":"AwsCloudTrailInsight"}"#,
            " | aws.cloudtrail | AWS Insight via CloudTrail |  | - | ",
        ),
        (
            "no type, no identity, null answer",
            r#"{"eventVersion":"1","eventName":"X","eventSource":"ec2.amazonaws.com","userIdentity":null,"responseElements":null,"readOnly":true}"#,
            " | aws.ec2 | AWS API Call via CloudTrail |  | - | ",
        ),
        (
            "a record that needs escaping",
            r#"{"eventVersion":"1","eventName":"X","eventSource":"e\"c2\n.x","eventID":"\\"}"#,
            "\\ | aws.e\"c2\n | AWS API Call via CloudTrail |  | - | ",
        ),
    ];
    for (why, body, expected) in rows {
        let found = open_all(body);
        assert_eq!(found.len(), 1, "{why}");
        assert_eq!(outline(found[0].as_ref().unwrap()), expected, "{why}");
    }
}

#[test]
fn a_record_is_carried_unchanged_and_a_detail_string_becomes_its_object() {
    let event = open_all(RECORD).remove(0).unwrap();
    assert!(event.ends_with(&format!(r#""detail":{RECORD}}}"#)), "{event}");
    let event = open_all(r#"{"detail-type":"T","detail":"{\"a\":1.0}","x":"kept","source":"s"}"#).remove(0).unwrap();
    assert_eq!(event, r#"{"detail-type":"T","detail":{"a":1.0},"x":"kept","source":"s"}"#);
}

#[test]
fn the_tree_holds_what_the_policy_named_and_an_archive_replay_is_known() {
    let mut fields = Fields::default();
    name_fields(&mut fields);
    fields.insert(["detail", "severity"]);
    let body = EVENT.replace(r#""version""#, r#""replay-name":"again","version""#);
    let Opened::Event(envelope) = open(&body, &fields) else { panic!() };
    assert_eq!(envelope.replay.as_deref(), Some("again"));
    assert_eq!(envelope.tree.text_at("/detail/severity"), Some("8.0"));
    assert_eq!(envelope.tree.pointer("/detail/b"), None, "not named");
    assert!(matches!(envelope.source, Cow::Borrowed(_)), "nothing is copied");
}

#[test]
fn refusals_say_what_where_and_what_to_send() {
    let needs = "it needs `source`, `detail-type` and `detail`";
    let object = "in an EventBridge event it is an object";
    let expected = "expected one EventBridge event or a known carrier of events";
    let rows: Vec<(String, String)> = vec![
        (String::new(), "empty; expected one EventBridge event".into()),
        (" \n".into(), "empty; expected one EventBridge event".into()),
        ("hello".into(), format!("not JSON: expected value at line 1, column 1; {expected}")),
        (r#"{"a":}"#.into(), format!("not JSON: expected value at line 1, column 6; {expected}")),
        (EVENT[..40].into(), "cut off: the JSON ends in the middle, at line 1, column 40; send the whole text".into()),
        (format!("{EVENT} x"), format!("not JSON: trailing characters at line 1, column {}; {expected}", EVENT.len() + 2)),
        ("[]".into(), "an empty list: there is no event in it".into()),
        (r#"{"Records":[]}"#.into(), "in Records: an empty list: there is no event in it".into()),
        ("null".into(), "null; expected an EventBridge event".into()),
        ("1".into(), "a bare number or Boolean; expected an EventBridge event".into()),
        (r#""hi""#.into(), "plain text; expected the JSON of an EventBridge event".into()),
        (sns("Hi!"), "in Message: plain text; expected the JSON of an EventBridge event".into()),
        (sns(&lambda_sqs(&["{"])), "in Message.Records[0].body: cut off: the JSON ends in the middle, at line 1, column 1; send the whole text".into()),
        ("{}".into(), "no known shape: an object with no keys; expected an EventBridge event".into()),
        (r#"{"hello":1,"\u001b[31m\u202e":2}"#.into(), "no known shape: the keys are `hello`, `?[31m?`; expected an EventBridge event".into()),
        (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}"#.into(), "no known shape: the keys are `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, …; expected an EventBridge event".into()),
        (r#"{"detail-type":"T","source":"s"}"#.into(), format!("`detail` is missing; {object}")),
        (r#"{"detail-type":"T","source":"s","detail":null}"#.into(), format!("`detail` is null; {object}")),
        (r#"{"detail-type":"T","source":"s","detail":[{}]}"#.into(), format!("`detail` is a list; {object}")),
        (r#"{"detail-type":"T","source":"s","detail":"{"}"#.into(), format!("`detail` is a string that holds no JSON object; {object}")),
        (r#"{"detail-type":"T","source":"s","detail":7}"#.into(), format!("`detail` is a bare number or Boolean; {object}")),
        (r#"{"detail-type":"T","detail":{}}"#.into(), format!("an EventBridge event with no `source`; {needs}")),
        (r#"{"detail-type":1,"source":"s","detail":{}}"#.into(), format!("an EventBridge event with no string as `detail-type`; {needs}")),
        (r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"https://x","Message":"m","TopicArn":"t"}"#.into(), "an SNS SubscriptionConfirmation; its link is never opened automatically: confirm the subscription yourself, or have the topic's stack subscribe the queue".into()),
        (r#"{"digestStartTime":"x","logFiles":[]}"#.into(), "a CloudTrail digest file: it holds checksums, no events; read the log files beside it".into()),
        (sns(r#"{"AlarmName":"a","NewStateValue":"ALARM"}"#), "in Message: a CloudWatch alarm as SNS sends it; send its EventBridge event with a rule on source `aws.cloudwatch`".into()),
        (sns(r#"{"messageType":"a","awsAccountId":"1"}"#), "in Message: an AWS Config message as SNS sends it; send its EventBridge event with a rule on source `aws.config`".into()),
        (sns(r#"{"s3Bucket":"a","s3ObjectKey":["1"]}"#), "in Message: a notice that CloudTrail wrote a log file; send the events with an EventBridge rule, or replay the file".into()),
        (r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"x","s3":{}}]}"#.into(), "in Records[0]: no known shape: the keys are `eventVersion`, `eventSource`, `eventName`, `s3`; expected an EventBridge event".into()),
        (format!("{}{EVENT}{}", "[".repeat(20), "]".repeat(20)), format!("in {}: more than 16 wrappings inside each other; send the event itself", "[0]".repeat(17))),
        (EVENT.replace("8.0", &format!("{}{}", "[".repeat(200), "]".repeat(200))), "not readable JSON: nested deeper than 128 levels".into()),
    ];
    for (body, reason) in rows {
        assert_eq!(open_all(&body), [Err(reason)], "{body}");
    }
    let long = open_all(&format!(r#"{{"{}":1}}"#, r#"k":1,""#.repeat(9)));
    assert!(long[0].as_ref().unwrap_err().chars().count() <= REASON_MAX);
}

#[test]
fn a_broken_sibling_is_one_refusal_in_its_place() {
    let deep = EVENT.replace("8.0", &format!("{}{}", "[".repeat(200), "]".repeat(200)));
    let found = open_all(&lambda_sqs(&[EVENT, "{", RECORD, &deep, EVENT]));
    let shown: Vec<_> = found.iter().map(|item| item.as_deref().map(|_| "event")).collect();
    let [Ok(_), Err(cut), Ok(_), Err(bad), Ok(_)] = &shown[..] else { panic!("{shown:?}") };
    assert!(cut.starts_with("in Records[1].body: cut off"), "{cut}");
    assert_eq!(bad.as_str(), "not readable JSON: nested deeper than 128 levels");
    // In an array it breaks the reading of the whole, but still not the reading of the others.
    assert_eq!(open_all(&format!("[{EVENT},{deep},{EVENT}]")).iter().filter(|item| item.is_ok()).count(), 2);
}

#[test]
fn half_a_surrogate_pair_does_not_cost_the_event() {
    for (written, read) in [
        (r"\ud83d", r"\ufffd"),
        (r"a\uDE00b", r"a\ufffdb"),
        (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\\ud83d\ud800", r"\\ud83d\ufffd"),
        (r"\\ud83d", r"\\ud83d"),
    ] {
        let (body, expected) = (EVENT.replace(r"\u00e9", written), EVENT.replace(r"\u00e9", read));
        assert_eq!(open_all(&body), [Ok(expected.clone())], "{written}");
        assert_eq!(open_all(&sns(&body)), [Ok(expected)], "{written} in SNS");
    }
}

#[test]
fn one_body_gives_a_limited_number_of_events() {
    let many = format!("[{}]", vec![r#"{"detail-type":"T","source":"s","detail":{}}"#; EVENTS_MAX + 5].join(","));
    let Opened::Many(items) = open(&many, Fields::ALL) else { panic!() };
    assert_eq!(items.len(), EVENTS_MAX + 1);
    assert_eq!(items[EVENTS_MAX], Err(Refusal::new("more than 10000 events in one body; the rest was not read")));
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "[a-z]{1,3}",
        prop::sample::select(vec![
            "Records", "Messages", "body", "Message", "Type", "TopicArn", "Sns", "detail", "source"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "detail-type",
            "eventVersion",
            "eventName",
            "eventSource",
            "userIdentity",
            "account"
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("Notification")),
        Just(Value::from(EVENT)),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner.clone()), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

/// A valid body with carriers around it, from the inside out.
fn wrapped(kinds: &[u8]) -> String {
    kinds.iter().fold(EVENT.to_owned(), |body, kind| match kind % 6 {
        0 => sns(&body),
        1 => lambda_sqs(&[&body]),
        2 => lambda_sns(&body),
        3 => receive_answer(&body),
        4 => format!("[{body}]"),
        _ => string(&body),
    })
}

fn survives(body: &str) -> Result<(), TestCaseError> {
    let found = open_all(body);
    prop_assert!(!found.is_empty());
    for reason in found.into_iter().filter_map(Result::err) {
        prop_assert!(!reason.is_empty() && reason.chars().count() <= REASON_MAX && !reason.contains(char::is_control));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_gives_at_least_one_item(body in "\\PC*|[\\[\\]{}\":,0-9a-z\\\\\n ]{0,60}") {
        survives(&body)?;
    }

    #[test]
    fn any_json_gives_at_least_one_item(value in any_json()) {
        survives(&value.to_string())?;
    }

    #[test]
    fn a_damaged_body_gives_at_least_one_item(
        kinds in prop::collection::vec(any::<u8>(), 0..4), at in any::<prop::sample::Index>(), with in "\\PC{0,2}", cut in any::<bool>(),
    ) {
        let body = wrapped(&kinds);
        let mut chars: Vec<char> = body.chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..if cut { chars.len() } else { at + 1 }, with.chars());
        survives(&chars.into_iter().collect::<String>())?;
    }

    #[test]
    fn wrapping_and_opening_gives_the_same_event(kinds in prop::collection::vec(any::<u8>(), 0..4)) {
        prop_assert_eq!(open_all(&wrapped(&kinds)), [Ok(EVENT.to_owned())]);
    }
}
