//! The event files of a folder, in an order that is the same on every machine.
#![expect(clippy::disallowed_methods, reason = "the command line is where files are read")]

use super::FOLDER_DEPTH_MAX;
use std::{
    io,
    path::{Path, PathBuf},
};

/// File names that hold events; everything else in a folder is left out.
pub(super) const KINDS: [&str; 5] = [".json", ".jsonl", ".ndjson", ".log", ".gz"];

/// Files that belong in a folder of events without being any; left out without a note.
const QUIET: [&str; 3] = [".md", ".toml", ".snap"];

/// One thing in a folder, by the name it is shown with.
pub(super) enum Entry {
    File { at: PathBuf, name: String },
    Skipped { name: String, reason: &'static str },
    Broken { name: String, reason: String },
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::File { name, .. } | Self::Skipped { name, .. } | Self::Broken { name, .. } => name,
        }
    }
}

/// Everything in a folder and the folders in it, in byte order of the relative path.
pub(super) fn list(path: &str, files_max: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    let name = match path.trim_end_matches('/') {
        "" if path.starts_with('/') => "",
        "" => ".",
        trimmed => trimmed,
    };
    walk(Path::new(path), name, 0, files_max, &mut entries);
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    if entries.len() > files_max {
        entries.truncate(files_max);
        let reason = format!("more than {files_max} files in this folder; the others were not read");
        entries.push(Entry::Broken { name: path.to_owned(), reason });
    }
    entries
}

fn walk(at: &Path, name: &str, depth: usize, files_max: usize, entries: &mut Vec<Entry>) {
    let broken =
        |error: &io::Error| Entry::Broken { name: name.to_owned(), reason: format!("cannot be listed: {error}") };
    if depth > FOLDER_DEPTH_MAX {
        let reason = format!("more than {FOLDER_DEPTH_MAX} folders inside each other");
        return entries.push(Entry::Broken { name: name.to_owned(), reason });
    }
    let listing = match std::fs::read_dir(at) {
        Ok(listing) => listing,
        Err(error) => return entries.push(broken(&error)),
    };
    for item in listing {
        if entries.len() > files_max {
            return;
        }
        let item = match item {
            Ok(item) => item,
            Err(error) => return entries.push(broken(&error)),
        };
        let file_name = item.file_name().to_string_lossy().into_owned();
        let lower = file_name.to_ascii_lowercase();
        if file_name.starts_with('.') || lower.starts_with("readme") || QUIET.iter().any(|kind| lower.ends_with(kind)) {
            continue;
        }
        let (at, name) = (item.path(), format!("{name}/{file_name}"));
        let is_link = item.file_type().is_ok_and(|kind| kind.is_symlink());
        match std::fs::metadata(&at) {
            Err(error) => entries.push(Entry::Broken { name, reason: format!("cannot be opened: {error}") }),
            Ok(meta) if meta.is_dir() && is_link => {
                entries.push(Entry::Skipped { name, reason: "a link to a folder: name the folder itself" });
            }
            Ok(meta) if meta.is_dir() => walk(&at, &name, depth + 1, files_max, entries),
            Ok(meta) if !meta.is_file() => entries.push(Entry::Skipped { name, reason: "not a file" }),
            Ok(_) if KINDS.iter().any(|kind| lower.ends_with(kind)) => entries.push(Entry::File { at, name }),
            Ok(_) => entries.push(Entry::Skipped {
                name,
                reason: "not .json, .jsonl, .ndjson, .log or .gz: name the file itself to have it read",
            }),
        }
    }
}
