//! A day of CloudTrail: many records in compressed log files, in one command, with the memory of one file.
use crate::harness::{Home, command, fixture};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read, Write},
    process::Stdio,
};

const RECORDS_PER_FILE: usize = 500;

/// One log file as CloudTrail writes it: ordinary records, and one in a hundred that somebody should hear of.
fn log_file(number: usize) -> Vec<u8> {
    let record = |name: &str| -> Value {
        let event: Value = serde_json::from_str(&fixture(name)).expect("JSON");
        event["detail"].clone()
    };
    let (ordinary, notable) = (
        record("cloudtrail-ordinary/01-autoscaling-looks-at-instances.json"),
        record("cloudtrail-trail-stopped/01-stopped-by-a-role.json"),
    );
    let records: Vec<Value> = (0..RECORDS_PER_FILE)
        .map(|i| {
            let mut record = if i % 100 == 50 { notable.clone() } else { ordinary.clone() };
            record["eventID"] = json!(format!("00000000-0000-4000-8000-{:012}", number * RECORDS_PER_FILE + i));
            record["eventTime"] = json!(format!("2026-05-01T{:02}:{:02}:{:02}Z", number % 24, i / 60, i % 60));
            record
        })
        .collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json!({ "Records": records }).to_string().as_bytes()).expect("in memory");
    gzip.finish().expect("in memory")
}

/// What a replay of so many log files came to.
struct Replayed {
    stdout: String,
    stderr: String,
    /// The most memory it ever had, where the system tells.
    peak_kb: Option<u64>,
}

/// `VmHWM` of a process that runs.
fn peak_kb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn replay(files: usize) -> Replayed {
    let home = (0..files).fold(Home::new(), |home, n| home.file(&format!("logs/{n:03}.json.gz"), log_file(n)));
    let stderr = home.path().join("stderr");
    let mut command = command(home.path(), &["replay", "--format", "json", "logs"]);
    command.stdout(Stdio::piped()).stderr(File::create(&stderr).expect("writable"));
    let mut child = command.spawn().expect("starts");
    let mut pipe = child.stdout.take().expect("piped");
    let (mut stdout, mut chunk, mut peak) = (Vec::new(), vec![0; 64 << 10], None);
    // It cannot get further ahead of us than the pipe is long, so the last look is close to its end.
    loop {
        let n = pipe.read(&mut chunk).expect("readable");
        peak = peak_kb(child.id()).or(peak);
        if n == 0 {
            break;
        }
        stdout.extend_from_slice(&chunk[..n]);
    }
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    let stderr = fs::read_to_string(stderr).expect("text");
    Replayed { stdout: String::from_utf8(stdout).expect("text"), stderr, peak_kb: peak }
}

#[test]
fn five_thousand_records_of_ten_files_all_come_out() {
    let replayed = replay(10);
    let lines: Vec<&str> = replayed.stdout.lines().collect();
    assert_eq!(lines.len(), 5_000);
    assert_eq!(lines.iter().filter(|line| line.contains("\"novelty\":null")).count(), 4_950);
    for line in lines.iter().step_by(499) {
        crate::contract::check(&crate::json::read(line));
    }
    let last = crate::json::read(lines[4_999]);
    assert_eq!(
        (last["input"]["path"].text(), last["input"]["index"].to_string()),
        (Some("logs/009.json.gz"), "499".into())
    );
}

#[test]
fn progress_is_told_while_it_runs() {
    let stderr = replay(4).stderr;
    assert_eq!(
        stderr,
        "replay: 1000 events, now logs/001.json.gz\nreplay: 2000 events, now logs/003.json.gz\nreplay: 2000 events\n"
    );
}

#[test]
fn memory_does_not_grow_with_the_number_of_records() {
    let (few, many) = (replay(10).peak_kb, replay(40).peak_kb);
    // Only Linux tells.
    assert_eq!((few.is_some(), many.is_some()), (cfg!(target_os = "linux"), cfg!(target_os = "linux")));
    let (few, many) = (few.unwrap_or_default(), many.unwrap_or_default());
    assert!(few < 150 << 10, "{few} kB for 5,000 records");
    assert!(many * 2 <= few * 3, "{few} kB for 5,000 records, {many} kB for 20,000");
}
