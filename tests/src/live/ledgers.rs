//! The DynamoDB ledger, on a server that keeps DynamoDB's promises.
use super::aws::Aws;
use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, KeySchemaElement, KeyType, ScalarAttributeType};
use findings_router::{
    act::{
        conformance::{holds, sample},
        ports::{Ledger, Put, Trouble},
    },
    ends::ledger::DynamoDb,
    values::entry::{Entry, SCHEMA, Tally},
};
use jiff::{SignedDuration, Timestamp};

const RETENTION: SignedDuration = SignedDuration::from_hours(24 * 90);

fn ledger(aws: &Aws, retention: SignedDuration) -> DynamoDb {
    DynamoDb::new(aws.dynamodb(), "ledger".to_owned(), retention)
}

fn made(aws: &Aws, retention: SignedDuration) -> DynamoDb {
    let ledger = ledger(aws, retention);
    aws.wait(ledger.create_table()).expect("a table");
    ledger
}

#[test]
fn dynamodb_holds() {
    let aws = Aws::start();
    let ledger = made(&aws, RETENTION);
    aws.wait(holds(&ledger, Timestamp::now()));
    assert_eq!(aws.wait(ledger.forget(Timestamp::now())), Ok(0), "the table forgets by itself");
}

#[test]
fn a_table_as_we_make_it_is_right() {
    let aws = Aws::start();
    let ledger = made(&aws, RETENTION);
    assert_eq!(aws.wait(ledger.check()), Ok(Vec::new()));
    assert_eq!(aws.wait(ledger.create_table()), Ok(()), "made again, it is left as it is");
    assert_eq!(aws.wait(ledger.check()), Ok(Vec::new()));
}

#[test]
fn what_is_past_its_time_is_gone_and_can_begin_anew() {
    let aws = Aws::start();
    let ledger = made(&aws, SignedDuration::from_hours(1));
    let (now, old) = (Timestamp::now(), Timestamp::now() - SignedDuration::from_hours(2));
    let past = Entry { edit_due: Some(old), ..sample("past", old) };
    for version in 0..2 {
        assert_eq!(
            aws.wait(ledger.put_entry(&Entry { version: 0, episode: version, ..past.clone() })),
            Ok(Put::Written)
        );
        assert_eq!(aws.wait(ledger.entry("past")), Ok(None));
        assert_eq!(aws.wait(ledger.due(now, 9)), Ok(Vec::new()));
        assert_eq!(aws.wait(ledger.recent(old, now, 9)), Ok(Vec::new()));
    }
    let mut tally = Tally::new("storm");
    tally.add(old, "x");
    assert_eq!(aws.wait(ledger.put_tally(&tally)), Ok(Put::Written));
    assert_eq!(aws.wait(ledger.tally("storm")), Ok(Tally::new("storm")));

    assert_eq!(aws.wait(ledger.put_entry(&sample("past", now))), Ok(Put::Written), "as if it had never been");
    assert_eq!(aws.wait(ledger.entry("past")).map(|e| e.map(|e| e.version)), Ok(Some(1)));
    assert_eq!(aws.wait(ledger.put_entry(&sample("past", now))), Ok(Put::Conflict), "now it is there");
    // Whoever read it before its time was over may still write it.
    let read = Entry { version: 1, ..sample("past", old) };
    assert_eq!(aws.wait(ledger.put_entry(&read)), Ok(Put::Written));
    assert_eq!(aws.wait(ledger.put_entry(&Entry { version: 2, ..sample("past", now) })), Ok(Put::Written));
    assert_eq!(aws.wait(ledger.entry("past")).map(|e| e.map(|e| e.version)), Ok(Some(3)));
}

#[test]
fn more_entries_than_one_request_takes_are_listed() {
    let aws = Aws::start();
    let ledger = made(&aws, RETENTION);
    let now = Timestamp::now();
    for n in 0..230_i64 {
        let at = now - SignedDuration::from_mins(20 * n);
        let entry = Entry { edit_due: Some(at), ..sample(&n.to_string(), at) };
        assert_eq!(aws.wait(ledger.put_entry(&entry)), Ok(Put::Written));
    }
    let numbers = |found: Result<Vec<Entry>, Trouble>| -> Vec<i64> {
        found.expect("a list").iter().map(|e| e.fingerprint.parse().expect("a number")).collect()
    };
    let all: Vec<i64> = (0..230).collect();
    assert_eq!(numbers(aws.wait(ledger.recent(Timestamp::MIN, Timestamp::MAX, 500))), all, "over days, newest first");
    assert_eq!(numbers(aws.wait(ledger.recent(Timestamp::MIN, Timestamp::MAX, 150))), all[..150]);
    let oldest: Vec<i64> = all.iter().rev().copied().collect();
    assert_eq!(numbers(aws.wait(ledger.due(now, 500))), oldest, "longest due first");
    assert_eq!(numbers(aws.wait(ledger.due(now, 101))), oldest[..101]);
}

#[test]
fn a_newer_schema_is_refused() {
    let aws = Aws::start();
    let ledger = made(&aws, RETENTION);
    assert_eq!(aws.wait(ledger.claim_schema()), Ok(()));
    assert_eq!(aws.wait(ledger.claim_schema()), Ok(()), "it is ours");
    let request =
        aws.dynamodb().put_item().table_name("ledger").item("pk", AttributeValue::S("meta/schema".to_owned()));
    let newer = SCHEMA + 1;
    aws.wait(request.item("version", AttributeValue::N(newer.to_string())).send()).expect("written");
    let why = format!("the ledger ledger has schema {newer}, and this router knows schema {SCHEMA}: update the router");
    assert_eq!(aws.wait(ledger.claim_schema()), Err(Trouble(why.clone())));
    assert_eq!(aws.wait(ledger.check()), Ok(vec![why.clone()]));
    let entry = Entry { schema: newer, ..sample("newer", Timestamp::now()) };
    assert_eq!(aws.wait(ledger.put_entry(&entry)), Ok(Put::Written));
    assert_eq!(aws.wait(ledger.entry("newer")), Err(Trouble(why)), "an entry that a newer router wrote meanwhile");
}

#[test]
fn a_table_of_another_shape_is_described() {
    let aws = Aws::start();
    aws.table("ledger", |table| {
        let key = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        table.attribute_definitions(key.build().expect("whole")).key_schema(schema.build().expect("whole"))
    });
    let wrong = aws.wait(ledger(&aws, RETENTION).check()).expect("a description");
    for (wrong, part) in wrong.iter().zip(["the one key `pk`", "`by-time`", "`by-due`", "time to live"]) {
        assert!(wrong.contains("the table ledger") && wrong.contains(part), "{part}: {wrong}");
    }
    assert_eq!(wrong.len(), 4, "{wrong:#?}");
}

#[test]
fn a_table_that_is_not_there_is_trouble_with_its_remedy() {
    let aws = Aws::start();
    let ledger = ledger(&aws, RETENTION);
    let now = Timestamp::now();
    let named = Entry { names: vec!["message/1".to_owned()], ..sample("b", now) };
    let troubles = [
        aws.wait(ledger.entry("a")).err(),
        aws.wait(ledger.put_entry(&sample("a", now))).err(),
        aws.wait(ledger.put_entry(&named)).err(),
        aws.wait(ledger.due(now, 1)).err(),
        aws.wait(ledger.check()).err(),
    ];
    let expected = "the ledger's table ledger is not there, or not whole: make it (findings-router ledger create), or change \
                    [ledger] table";
    assert_eq!(troubles.map(|t| t.map(|Trouble(why)| why)), std::array::from_fn(|_| Some(expected.to_owned())));
}

#[test]
fn nobody_who_answers_is_trouble() {
    let aws = Aws::dead();
    let Err(Trouble(why)) = aws.wait(ledger(&aws, RETENTION).entry("a")) else { panic!("nobody answered") };
    assert!(why.starts_with("the ledger ledger does not answer: "), "{why}");
}
