//! Reads recorded events from files, folders and standard input, with bounded memory.
//!
//! A file may be JSON lines, or one or more JSON documents (pretty-printed or not) of any carrier, and may be gzip; its
//! name does not matter. Its first two lines that are not blank decide which it is:
//!
//! - the first is complete JSON and another follows: **JSON lines**, read one by one;
//! - the first is incomplete or broken, the second is a complete object, and the two together cannot be the beginning
//!   of one document: **JSON lines** too, of which the first is broken;
//! - anything else: **documents**, read whole and then handed out record by record, as slices of the text.
//!
//! What cannot be read is handed out as a refusal in its place, and reading goes on.
#![expect(clippy::disallowed_methods, reason = "the command line is where files are read")]

mod folder;
mod source;
#[cfg(test)]
mod tests;

use crate::decide::carrier::{Refusal, each_event};
use folder::Entry;
use serde_json::value::RawValue;
use source::{Line, Source};
use std::{borrow::Cow, io::Read, ops::ControlFlow, path::Path};

/// The longest line of a JSON lines file.
pub const LINE_BYTES_MAX: usize = 4 << 20;
/// The largest document, uncompressed. (CloudTrail's log files are about 50 MB at most.)
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;
/// Files taken from one folder.
pub const FILES_MAX: usize = 1_000_000;
/// Folders inside folders.
pub const FOLDER_DEPTH_MAX: usize = 32;

/// What is read at most; the named constants unless a test wants less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See `LINE_BYTES_MAX`.
    pub line_bytes: usize,
    /// See `DOCUMENT_BYTES_MAX`.
    pub document_bytes: usize,
    /// See `FILES_MAX`.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes: LINE_BYTES_MAX, document_bytes: DOCUMENT_BYTES_MAX, files: FILES_MAX }
    }
}

/// What a path turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The text of one event, for `carrier::open`, or why there is none.
    Event {
        /// The path as given; inside a folder joined with the relative path by `/`; `-` for standard input.
        path: &'a str,
        /// Which event of this path it is, from 0; refusals count.
        index: usize,
        /// One EventBridge event as text, taken out of what carried it.
        body: Result<Cow<'a, str>, Refusal>,
    },
    /// A file of a folder that was left out because of its kind; worth a note, not an error.
    Skipped {
        /// Like the path of an event.
        path: &'a str,
        /// Why.
        reason: &'static str,
    },
}

/// Takes what is read, and may say that it wants no more.
pub type Each<'e> = dyn FnMut(Seen<'_>) -> ControlFlow<()> + 'e;

/// Reads all paths in the order given, folders in byte order of the relative path. At least one item per path.
pub fn read(paths: &[String], stdin: &mut dyn Read, limits: &Limits, each: &mut Each<'_>) -> ControlFlow<()> {
    for path in paths {
        if path == "-" {
            Reader { path, index: 0, limits, each }.read(stdin)?;
        } else if Path::new(path).is_dir() {
            read_folder(path, limits, each)?;
        } else {
            read_file(Path::new(path), path, limits, each)?;
        }
    }
    ControlFlow::Continue(())
}

fn read_folder(path: &str, limits: &Limits, each: &mut Each<'_>) -> ControlFlow<()> {
    let mut found = false;
    for entry in folder::list(path, limits.files) {
        match entry {
            Entry::File { at, name } => {
                found = true;
                read_file(&at, &name, limits, each)?;
            }
            Entry::Skipped { name, reason } => each(Seen::Skipped { path: &name, reason })?,
            Entry::Broken { name, reason } => {
                found = true;
                each(Seen::Event { path: &name, index: 0, body: Err(Refusal::new(reason)) })?;
            }
        }
    }
    if found {
        return ControlFlow::Continue(());
    }
    let refusal = Refusal::new(format!("no event files in this folder; they end in {}", folder::KINDS.join(", ")));
    each(Seen::Event { path, index: 0, body: Err(refusal) })
}

fn read_file(at: &Path, name: &str, limits: &Limits, each: &mut Each<'_>) -> ControlFlow<()> {
    let mut reader = Reader { path: name, index: 0, limits, each };
    match std::fs::File::open(at) {
        Ok(mut file) => reader.read(&mut file),
        Err(error) => reader.refuse(format!("cannot be opened: {error}")),
    }
}

/// Reads one path and counts its events.
struct Reader<'r, 'e> {
    path: &'r str,
    index: usize,
    limits: &'r Limits,
    each: &'r mut Each<'e>,
}

impl Reader<'_, '_> {
    fn emit(&mut self, body: Result<Cow<'_, str>, Refusal>) -> ControlFlow<()> {
        let index = self.index;
        self.index += 1;
        (self.each)(Seen::Event { path: self.path, index, body })
    }

    fn refuse(&mut self, reason: impl AsRef<str>) -> ControlFlow<()> {
        self.emit(Err(Refusal::new(reason)))
    }

    fn read(&mut self, from: &mut dyn Read) -> ControlFlow<()> {
        let mut source = match Source::open(from) {
            Ok(source) => source,
            Err(error) => return self.refuse(format!("cannot be read: {error}")),
        };
        // Both with the blank lines before them, so that the places in a document stay true.
        let (mut first, mut second, mut number) = (Vec::new(), Vec::new(), 0);
        match self.next_line(&mut source, &mut first, &mut number) {
            Line::Whole => {}
            Line::TooLong => return self.documents(first, source),
            Line::End => return self.refuse("empty: there is no event in it"),
            Line::Broken(error) => return self.broken(&error),
        }
        let first_number = number;
        match self.next_line(&mut source, &mut second, &mut number) {
            Line::Whole if are_lines(&first, &second) => {
                self.line(&first, first_number)?;
                self.line(&second, number)?;
                drop((first, second));
                self.lines(&mut source, number)
            }
            Line::TooLong if is_complete(&first) => {
                self.line(&first, first_number)?;
                drop((first, second));
                self.too_long(&mut source, number + 1)
            }
            Line::Broken(error) => {
                if is_complete(&first) {
                    self.line(&first, first_number)?;
                }
                self.broken(&error)
            }
            _ => {
                first.append(&mut second);
                self.documents(first, source)
            }
        }
    }

    /// Adds the next line that is not blank, and the blank ones before it.
    fn next_line(&self, source: &mut Source<'_>, into: &mut Vec<u8>, number: &mut usize) -> Line {
        loop {
            let start = into.len();
            match source.line(into, self.limits.line_bytes.saturating_sub(start)) {
                Line::Whole => *number += 1,
                other => return other,
            }
            if !into[start..].trim_ascii().is_empty() {
                return Line::Whole;
            }
        }
    }

    fn lines(&mut self, source: &mut Source<'_>, mut number: usize) -> ControlFlow<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            match source.line(&mut line, self.limits.line_bytes) {
                Line::Whole => number += 1,
                Line::TooLong => return self.too_long(source, number + 1),
                Line::End => return ControlFlow::Continue(()),
                Line::Broken(error) => return self.broken(&error),
            }
            if !line.trim_ascii().is_empty() {
                self.line(&line, number)?;
            }
        }
    }

    /// Refuses a line that is too long, and goes on behind it.
    fn too_long(&mut self, source: &mut Source<'_>, number: usize) -> ControlFlow<()> {
        self.refuse(format!("line {number} is longer than {}", size(self.limits.line_bytes)))?;
        match source.skip_line() {
            Ok(()) => self.lines(source, number),
            Err(error) => self.broken(&error),
        }
    }

    fn line(&mut self, line: &[u8], number: usize) -> ControlFlow<()> {
        match std::str::from_utf8(line) {
            Ok(text) => each_event(text, &mut |item| {
                self.emit(item.map_err(|refusal| Refusal::new(format!("line {number} of the file: {refusal}"))))
            }),
            Err(_) => self.refuse(format!("line {number} of the file is not UTF-8 text")),
        }
    }

    /// One document, or several behind each other.
    fn documents(&mut self, head: Vec<u8>, mut source: Source<'_>) -> ControlFlow<()> {
        let bytes = match source.rest(head, self.limits.document_bytes) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let most = size(self.limits.document_bytes);
                return self.refuse(format!("larger than {most} uncompressed; split it, or write one event per line"));
            }
            Err(error) => return self.broken(&error),
        };
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let line = bytes[..error.valid_up_to()].split(|b| *b == b'\n').count();
                return self.refuse(format!("not UTF-8 text at line {line}"));
            }
        };
        for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
            match document {
                Ok(document) => each_event(document.get(), &mut |item| self.emit(item))?,
                Err(error) => return self.emit(Err(Refusal::of_json(&error))),
            }
        }
        ControlFlow::Continue(())
    }

    fn broken(&mut self, error: &std::io::Error) -> ControlFlow<()> {
        self.refuse(format!("cannot be read to its end: {error}"))
    }
}

fn is_complete(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Whether a file that begins with these two lines is JSON lines.
fn are_lines(first: &[u8], second: &[u8]) -> bool {
    if is_complete(first) {
        return true;
    }
    let both = [first, second].concat();
    second.trim_ascii_start().starts_with(b"{")
        && is_complete(second)
        && serde_json::from_slice::<serde::de::IgnoredAny>(&both).is_err_and(|error| !error.is_eof())
}

fn size(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}
