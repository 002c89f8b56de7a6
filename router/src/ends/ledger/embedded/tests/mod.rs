//! What only a file can get wrong: being opened twice, by others, again; the suite that every ledger passes.
#![expect(clippy::disallowed_methods, reason = "tests make files and look at them")]
mod crash;
mod disk;

use super::*;
use crate::{
    act::conformance::{forgets, holds, sample},
    testing::at,
    values::entry::SCHEMA,
};
use redb::TableDefinition;
use std::path::PathBuf;

/// A folder that is gone with the test, and a file in it that is not there yet.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    (folder, path)
}

/// Why a file is refused, with a name instead of its place.
fn refused(path: &Path, folder: &Path) -> String {
    let why = Embedded::open(path).err().unwrap_or_else(|| panic!("{} was opened", path.display()));
    why.replace(&folder.display().to_string(), "FOLDER")
}

#[tokio::test]
async fn it_holds() {
    let (_folder, path) = place();
    holds(&Embedded::open(&path).unwrap(), at(0)).await;
}

#[tokio::test]
async fn it_forgets() {
    let (_folder, path) = place();
    forgets(&Embedded::open(&path).unwrap(), at(0)).await;
}

#[tokio::test]
async fn opened_again_it_knows_everything() {
    let (_folder, path) = place();
    let entry = Entry { edit_due: Some(at(5)), names: vec!["message/C1:1".to_owned()], ..sample("a", at(1)) };
    let mut tally = Tally::new("storm");
    tally.add(at(1), "a");
    for version in 0..3 {
        let ledger = Embedded::open(&path).unwrap();
        assert_eq!(ledger.put_entry(&Entry { version, ..entry.clone() }).await, Ok(Put::Written));
        assert_eq!(ledger.put_tally(&Tally { version, ..tally.clone() }).await, Ok(Put::Written));
    }
    let ledger = Embedded::open(&path).unwrap();
    let stored = Entry { version: 3, names: Vec::new(), ..entry };
    assert_eq!(ledger.entry("a").await, Ok(Some(stored.clone())));
    assert_eq!(ledger.tally("storm").await, Ok(Tally { version: 3, ..tally }));
    assert_eq!(ledger.find("message/C1:1").await, Ok(Some("a".to_owned())));
    assert_eq!(ledger.due(at(5), 9).await, Ok(vec![stored.clone()]));
    assert_eq!(ledger.recent(at(0), at(2), 9).await, Ok(vec![stored]));
}

#[tokio::test]
async fn what_was_handed_in_is_written_before_it_is_closed() {
    let (_folder, path) = place();
    let ledger = Embedded::open(&path).unwrap();
    for n in 0..50 {
        // Nobody waits for the answer.
        let put = std::pin::pin!(ledger.put_entry(&sample(&n.to_string(), at(n))))
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(put.is_pending() || put.is_ready());
    }
    drop(ledger);
    let kept = Embedded::open(&path).unwrap().recent(at(0), at(99), 99).await.unwrap();
    assert_eq!(kept.len(), 50);
}

#[test]
fn one_process_at_a_time() {
    let (folder, path) = place();
    let ledger = Embedded::open(&path).unwrap();
    let why = refused(&path, folder.path());
    assert_eq!(
        why,
        "FOLDER/ledger.redb is in use by another process (is another `serve` running?); several consumers need a DynamoDB \
         ledger: [ledger] table = …"
    );
    drop(ledger);
    Embedded::open(&path).unwrap();
}

#[tokio::test]
async fn others_may_read_beside_it() {
    let (_folder, path) = place();
    let writer = Embedded::open(&path).unwrap();
    assert_eq!(writer.put_entry(&sample("before", at(0))).await, Ok(Put::Written));
    let reader = Embedded::open_to_read(&path).unwrap();
    assert_eq!(writer.put_entry(&sample("after", at(1))).await, Ok(Put::Written));
    for known in ["before", "after"] {
        assert!(reader.entry(known).await.unwrap().is_some(), "{known}");
    }
    let Err(Trouble(why)) = reader.put_entry(&sample("x", at(0))).await else { panic!("a reader wrote") };
    assert!(why.ends_with("ledger.redb is opened to read, not to write"), "{why}");
    drop(writer);
    let reader = Embedded::open_to_read(&path).unwrap();
    assert_eq!(reader.recent(at(0), at(9), 9).await.unwrap().len(), 2, "nobody writes it now");
}

#[test]
fn what_is_not_a_ledger_is_left_alone() {
    let (folder, path) = place();
    let not_a_ledger = "is not a ledger: [ledger] file = … must name a ledger's file, or one that is not there yet";
    for text in ["#!/bin/sh\n", &"a letter to a friend\n".repeat(1_000)] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(refused(&path, folder.path()), format!("FOLDER/ledger.redb {not_a_ledger}"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it is as it was");
    }
    let other = folder.path().join("other.redb");
    let tables = redb::Database::create(&other).unwrap();
    let change = tables.begin_write().unwrap();
    change.open_table(TableDefinition::<&str, &str>::new("songs")).unwrap();
    change.commit().unwrap();
    drop(tables);
    assert_eq!(refused(&other, folder.path()), format!("FOLDER/other.redb {not_a_ledger}"));
    let why = Embedded::open_to_read(&other).unwrap_err();
    assert!(why.ends_with(not_a_ledger), "{why}");
}

#[test]
fn a_newer_schema_is_refused() {
    let (folder, path) = place();
    drop(Embedded::open(&path).unwrap());
    let file = redb::Database::create(&path).unwrap();
    let change = file.begin_write().unwrap();
    let meta = TableDefinition::<&str, u32>::new("meta");
    change.open_table(meta).unwrap().insert("schema", SCHEMA + 1).unwrap();
    change.commit().unwrap();
    drop(file);
    let expected = format!(
        "FOLDER/ledger.redb: the ledger has schema {}, and this router knows schema {SCHEMA}: update the router",
        SCHEMA + 1
    );
    assert_eq!(refused(&path, folder.path()), expected);
}

#[test]
fn a_place_that_cannot_be_is_named() {
    let (folder, path) = place();
    let nowhere = folder.path().join("no/such/ledger.redb");
    assert_eq!(
        refused(&nowhere, folder.path()),
        "FOLDER/no/such: there is no such folder for the ledger; make it, or change [ledger] file"
    );
    std::fs::create_dir(&path).unwrap();
    assert_eq!(
        refused(&path, folder.path()),
        "FOLDER/ledger.redb is a folder: [ledger] file = … must name the file in it, such as findings-router.ledger"
    );
    let absent = folder.path().join("absent.redb");
    let why = Embedded::open_to_read(&absent).unwrap_err();
    assert!(why.contains("absent.redb") && why.contains("is not there"), "{why}");
    assert!(!absent.exists(), "reading makes no file");
}
