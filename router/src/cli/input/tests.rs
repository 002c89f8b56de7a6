//! Files of every kind through one reader: what is found, in which order, and that nothing can fill the memory.
use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

const A: &str = r#"{"detail-type":"T","source":"a","detail":{}}"#;
const B: &str = r#"{"detail-type":"T","source":"b","detail":{}}"#;
const LIMITS: Limits = Limits { line_bytes: 200, document_bytes: 1000, files: 100 };

/// Each item as one line: the path, the index, and the event's source or the reason.
fn read_all(paths: &[&str], stdin: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    let flow = read(&paths, &mut { stdin }, &LIMITS, &mut |seen| {
        found.push(match seen {
            Seen::Event { path, index, body: Ok(text) } => {
                let event: serde_json::Value = serde_json::from_str(&text).unwrap();
                format!("{path} {index} {}", event["source"].as_str().unwrap())
            }
            Seen::Event { path, index, body: Err(refusal) } => format!("{path} {index} ! {refusal}"),
            Seen::Skipped { path, reason } => format!("{path} skipped: {reason}"),
        });
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    found
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn pretty(event: &str) -> String {
    serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(event).unwrap()).unwrap()
}

#[test]
fn a_file_is_lines_or_documents_as_its_first_two_lines_say() {
    let cut = "cut off: the JSON ends in the middle, at line";
    let send = "send the whole text";
    let needs = "expected one EventBridge event or a known carrier of events";
    let long = format!(r#"{{"detail-type":"T","source":"long","detail":{{"x":"{}"}}}}"#, "x".repeat(300));
    let record = r#"{"eventVersion":"1","eventName":"N","eventSource":"s3.amazonaws.com"}"#;
    let rows: Vec<(&str, Vec<u8>, Vec<String>)> = vec![
        ("one event", A.into(), vec!["0 a".into()]),
        ("one event, a line break", format!("{A}\n").into(), vec!["0 a".into()]),
        ("a pretty event", pretty(A).into(), vec!["0 a".into()]),
        (
            "pretty events behind each other",
            format!("{}\n{}{}", pretty(A), pretty(B), pretty(A)).into(),
            vec!["0 a".into(), "1 b".into(), "2 a".into()],
        ),
        (
            "JSON lines, blank ones, Windows line ends",
            format!("\n{A}\r\n\r\n{B}\r\n{A}").into(),
            vec!["0 a".into(), "1 b".into(), "2 a".into()],
        ),
        ("an array", format!("[{A},\n{B}]").into(), vec!["0 a".into(), "1 b".into()]),
        ("an array with one event a line", format!("[\n{A}\n]").into(), vec!["0 a".into()]),
        (
            "a log file",
            format!(r#"{{"Records":[{record},{record}]}}"#).into(),
            vec!["0 aws.s3".into(), "1 aws.s3".into()],
        ),
        (
            "carriers as lines",
            format!("[{A},{B}]\n{record}\n[{B}]").into(),
            vec!["0 a".into(), "1 b".into(), "2 aws.s3".into(), "3 b".into()],
        ),
        ("a byte order mark", [b"\xef\xbb\xbf", A.as_bytes()].concat(), vec!["0 a".into()]),
        ("a line too long for a line is a document", long.clone().into(), vec!["0 long".into()]),
        ("nothing", vec![], vec!["0 ! empty: there is no event in it".into()]),
        ("blank lines", b"\n \n".to_vec(), vec!["0 ! empty: there is no event in it".into()]),
        (
            "a broken line",
            format!("{A}\n{{\n{B}\n").into(),
            vec!["0 a".into(), format!("1 ! line 2 of the file: {cut} 1, column 1; {send}"), "2 b".into()],
        ),
        (
            "a broken first line",
            format!("{}\n{B}\n{A}", &A[..30]).into(),
            vec![format!("0 ! line 1 of the file: {cut} 1, column 30; {send}"), "1 b".into(), "2 a".into()],
        ),
        (
            "a line that is not UTF-8",
            [A.as_bytes(), b"\n\"\xff\"\n", B.as_bytes()].concat(),
            vec!["0 a".into(), "1 ! line 2 of the file is not UTF-8 text".into(), "2 b".into()],
        ),
        (
            "a first line that is not UTF-8",
            [b"\xff\n", A.as_bytes(), b"\n", B.as_bytes()].concat(),
            vec!["0 ! line 1 of the file is not UTF-8 text".into(), "1 a".into(), "2 b".into()],
        ),
        ("a document that is not UTF-8", b"{\n\"a\":\"\xff\"}".to_vec(), vec!["0 ! not UTF-8 text at line 2".into()]),
        (
            "a second line that is too long",
            format!("{A}\n{long}\n{B}").into(),
            vec!["0 a".into(), "1 ! line 2 is longer than 200 bytes".into(), "2 b".into()],
        ),
        (
            "a third line that is too long",
            format!("{A}\n{B}\n{long}\n{B}").into(),
            vec!["0 a".into(), "1 b".into(), "2 ! line 3 is longer than 200 bytes".into(), "3 b".into()],
        ),
        (
            "a document that is too large",
            format!("[{}]", [A; 30].join(",")).into(),
            vec!["0 ! larger than 1000 bytes uncompressed; split it, or write one event per line".into()],
        ),
        (
            "endless blanks",
            vec![b'\n'; 5000],
            vec!["0 ! larger than 1000 bytes uncompressed; split it, or write one event per line".into()],
        ),
        (
            "a broken document",
            b"{\n  \"a\": 1,\n  oops\n}".to_vec(),
            vec![format!("0 ! not JSON: key must be a string at line 3, column 3; {needs}")],
        ),
        ("a truncated document", b"{\n  \"a\": 1,\n".to_vec(), vec![format!("0 ! {cut} 3, column 0; {send}")]),
        (
            "a document behind another is broken",
            format!("{}\n}}", pretty(A)).into(),
            vec!["0 a".into(), format!("1 ! not JSON: expected value at line 6, column 1; {needs}")],
        ),
    ];
    for (why, bytes, expected) in rows {
        let expected: Vec<_> = expected.into_iter().map(|line| format!("- {line}")).collect();
        assert_eq!(read_all(&["-"], &bytes), expected, "{why}");
        if !bytes.is_empty() {
            assert_eq!(read_all(&["-"], &gzip(&bytes)), expected, "{why}, as gzip");
        }
    }
}

#[test]
fn gzip_may_have_many_members_and_may_be_broken_or_a_bomb() {
    let members = [gzip(format!("{A}\n").as_bytes()), gzip(format!("{B}\n{A}").as_bytes())].concat();
    assert_eq!(read_all(&["-"], &members), ["- 0 a", "- 1 b", "- 2 a"]);

    let found = read_all(&["-"], &members[..members.len() - 9]);
    assert_eq!(found[..1], ["- 0 a"], "what came before the damage is kept");
    assert!(found.last().unwrap().contains("! cannot be read to its end: "), "{found:?}");

    let too_large = "! larger than 1000 bytes uncompressed; split it, or write one event per line";
    assert_eq!(read_all(&["-"], &gzip(&vec![0; 10 << 20])), [format!("- 0 {too_large}")]);
    let bomb = gzip(&[A.as_bytes(), b"\n", B.as_bytes(), b"\n", &vec![b'['; 10 << 20], b"\n", A.as_bytes()].concat());
    assert_eq!(read_all(&["-"], &bomb), ["- 0 a", "- 1 b", "- 2 ! line 3 is longer than 200 bytes", "- 3 a"]);
}

#[test]
fn a_folder_is_read_in_byte_order_of_its_paths() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("b.json", B),
        ("a/2.json", A),
        ("a/10.jsonl", B),
        ("a.json", A),
        ("a/.hidden.json", "x"),
        (".git/x.json", "x"),
        ("README.json", "x"),
        ("notes.md", "x"),
        ("expect.toml", "x"),
        ("a/x.snap", "x"),
        ("picture.png", "x"),
        ("z/bad.json", "{"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let root = folder.path().to_str().unwrap();
    let expected = [
        "/a.json 0 a",
        "/a/10.jsonl 0 b",
        "/a/2.json 0 a",
        "/b.json 0 b",
        "/picture.png skipped: not .json, .jsonl, .ndjson, .log or .gz: name the file itself to have it read",
        "/z/bad.json 0 ! cut off: the JSON ends in the middle, at line 1, column 1; send the whole text",
    ];
    let expected: Vec<_> = expected.iter().map(|line| format!("{root}{line}")).collect();
    assert_eq!(read_all(&[root], b""), expected);
    assert_eq!(read_all(&[&format!("{root}/")], b""), expected, "a slash at the end changes nothing");

    let file = format!("{root}/b.json");
    assert_eq!(
        read_all(&[&file, "-", &file], A.as_bytes()),
        [format!("{file} 0 b"), "- 0 a".into(), format!("{file} 0 b")]
    );
    let gone = format!("{root}/gone");
    assert!(read_all(&[&gone], b"")[0].starts_with(&format!("{gone} 0 ! cannot be opened: ")));
    std::fs::create_dir(&gone).unwrap();
    let none = "no event files in this folder; they end in .json, .jsonl, .ndjson, .log, .gz";
    assert_eq!(read_all(&[&gone], b""), [format!("{gone} 0 ! {none}")]);
}

#[test]
fn reading_stops_when_no_more_is_wanted() {
    let mut count = 0;
    let lines = [A; 50].join("\n");
    let flow = read(&["-".to_owned()], &mut lines.as_bytes(), &Limits::default(), &mut |_| {
        count += 1;
        if count == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((flow, count), (ControlFlow::Break(()), 3));
}

proptest! {
    #[test]
    fn any_bytes_give_at_least_one_item(bytes in prop::collection::vec(any::<u8>(), 0..400), zip in any::<bool>()) {
        let bytes = if zip { gzip(&bytes) } else { bytes };
        prop_assert!(!read_all(&["-"], &bytes).is_empty());
    }

    #[test]
    fn damaged_lines_give_at_least_one_item(cut in 0_usize..140, byte in any::<u8>()) {
        let mut bytes = format!("{A}\n{B}\n{A}\n").into_bytes();
        let at = cut % bytes.len();
        bytes[at] = byte;
        prop_assert!(!read_all(&["-"], &bytes).is_empty());
    }
}
