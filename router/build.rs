//! Compiles the shipped policy (sources and playbooks) into the binary, file by file, so that adding one touches no Rust.
#![expect(clippy::disallowed_methods, reason = "a build script reads its environment and writes a file")]
use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut out = String::new();
    for (name, folder) in [("SOURCES", "sources"), ("PLAYBOOKS", "playbooks")] {
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        list(&root.join(folder), &mut files)?;
        files.sort();
        _ = writeln!(out, "pub const {name}: &[(&str, &str)] = &[");
        for file in files {
            let short = file.strip_prefix(root.join(folder)).unwrap_or(&file).with_extension("");
            let short = short.to_string_lossy().replace('\\', "/");
            _ = writeln!(out, "    ({short:?}, include_str!({:?})),", file.to_string_lossy());
        }
        _ = writeln!(out, "];");
    }
    let to = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?).join("shipped.rs");
    fs::write(to, out)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    Ok(())
}
