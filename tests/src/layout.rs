//! What the repository promises about itself: what is at the top, and how large a file may grow.
use crate::harness::root;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Everything that may be at the top, besides files that begin with a dot.
const TOP: [&str; 11] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "fixtures",
    "formatters",
    "infra",
    "router",
    "rustfmt.toml",
    "tests",
];

/// The longest Rust file, in lines.
const LINES_MAX: usize = 600;

/// The files that git knows, or would know: nothing that is built or ignored.
fn files() -> Vec<PathBuf> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").args(args).current_dir(root()).output().expect("git is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are text");
    let there = names.split('\0').filter(|name| !name.is_empty() && root().join(name).is_file());
    there.map(PathBuf::from).collect()
}

fn text(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(root().join(file)).expect("readable")).into_owned()
}

/// The names at the top.
fn top() -> Vec<String> {
    let first = |file: &PathBuf| file.iter().next().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = files().iter().filter_map(first).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn nothing_else_is_at_the_top() {
    let other: Vec<String> = top().into_iter().filter(|n| !n.starts_with('.') && !TOP.contains(&n.as_str())).collect();
    assert_eq!(other, [""; 0]);
    // README.md and infra/ are on their way; once they are there, they cannot go.
    let missing: Vec<&str> = TOP.into_iter().filter(|name| !root().join(name).exists()).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_folder_says_what_lives_in_it() {
    let folders = top().into_iter().filter(|name| !name.starts_with('.') && root().join(name).is_dir());
    let without: Vec<String> = folders.filter(|name| !root().join(name).join("README.md").is_file()).collect();
    assert_eq!(without, [""; 0], "a top-level folder has a README.md");
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    // Written in two halves, so that this file does not name them.
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let named: Vec<PathBuf> =
        files().into_iter().filter(|file| places.iter().any(|place| names(&text(file), place))).collect();
    assert!(named.is_empty(), "{named:?}");
}

/// Whether a text names a path that begins so; a longer path that ends so, or a pattern of addresses, is none.
fn names(text: &str, place: &str) -> bool {
    text.match_indices(place).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '/' | '-' | '_' | '}' | ')')))
    })
}

/// A lock file names packages and checksums, not the place they were fetched from.
#[test]
fn no_lock_file_names_a_registry_host() {
    for file in files().iter().filter(|file| file.ends_with("package-lock.json") || file.ends_with(".npmrc")) {
        assert!(!text(file).contains("://"), "{}", file.display());
    }
    let hosts = |line: &str| line.starts_with("source = ") && !line.contains("github.com/rust-lang/crates.io-index");
    for file in files().iter().filter(|file| file.ends_with("Cargo.lock")) {
        let other = text(file).lines().find(|line| hosts(line)).map(str::to_owned);
        assert_eq!(other, None, "{}", file.display());
    }
}

#[test]
fn rust_files_stay_short_and_say_what_they_are() {
    for file in files().iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
        let text = text(file);
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; {LINES_MAX} at most", file.display());
        assert!(text.starts_with("//! "), "{} does not begin by saying what it is", file.display());
    }
}
