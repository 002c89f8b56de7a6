//! Compiles the shipped policy into the binary: sources and playbooks file by file, so that adding one touches no Rust, what
//! a start must know of every runbook, and our documents for the templates that deploy them.
#![expect(clippy::disallowed_methods, reason = "a build script reads its environment and writes a file")]
#[path = "src/decide/runbook/written.rs"]
mod written;

use serde_json::{Map, Value};
use std::{
    env,
    error::Error,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo names no folder")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no folder")?);
    let mut policy = String::new();
    for (name, folder) in [("SOURCES", "sources"), ("PLAYBOOKS", "playbooks"), ("PACKS", "packs")] {
        _ = writeln!(policy, "pub const {name}: &[(&str, &str)] = &[");
        for file in list(&root.join(folder), "toml")? {
            let short = file.strip_prefix(root.join(folder)).unwrap_or(&file).with_extension("");
            let short = short.to_string_lossy().replace('\\', "/");
            _ = writeln!(policy, "    ({short:?}, include_str!({:?})),", file.to_string_lossy());
        }
        _ = writeln!(policy, "];");
    }
    _ = writeln!(policy, "/// Our SSM documents: name, text, the policy of the role.");
    _ = writeln!(policy, "pub const DOCUMENTS: &[(&str, &str, &str)] = &[");
    for file in list(&root.join("../infra/runbooks"), "yaml")? {
        let (name, role) = (file.file_stem().unwrap_or_default().to_string_lossy(), file.with_extension("policy.json"));
        let [file, role] = [&file, &role].map(|path| path.to_string_lossy());
        _ = writeln!(policy, "    ({name:?}, include_str!({file:?}), include_str!({role:?})),");
    }
    _ = writeln!(policy, "];");
    fs::write(out.join("shipped.rs"), policy)?;
    fs::write(out.join("runbooks.json"), runbooks(&root)?.to_string())?;
    Ok(())
}

/// AWS's documents as we wrote down what they take, and ours as they are.
fn runbooks(root: &Path) -> Result<Value, Box<dyn Error>> {
    let mut all = Map::new();
    let read = |file: &Path| -> Result<Map<String, Value>, Box<dyn Error>> {
        Ok(toml::from_str(&fs::read_to_string(file)?).map_err(|e| format!("{}: {e}", file.display()))?)
    };
    for file in list(&root.join("runbooks"), "toml")?.iter().filter(|file| !file.ends_with("ja/runbooks.toml")) {
        all.extend(read(file)?);
    }
    for file in list(&root.join("../infra/runbooks"), "yaml")? {
        let mut document =
            written::summary(&fs::read_to_string(&file)?).map_err(|e| format!("{}: {e}", file.display()))?;
        document["permissions"] = permissions(&file.with_extension("policy.json"))?;
        all.insert(file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), document);
    }
    for (name, words) in read(&root.join("runbooks/ja/runbooks.toml"))? {
        all.get_mut(&name).ok_or_else(|| format!("ja/runbooks.toml: no runbook is called {name}"))?["ja"] = words;
    }
    Ok(Value::Object(all))
}

/// The actions that a policy allows.
fn permissions(policy: &Path) -> Result<Value, Box<dyn Error>> {
    let text = fs::read_to_string(policy).map_err(|e| format!("{}: {e}", policy.display()))?;
    let policy: Value = serde_json::from_str(&text)?;
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let mut actions: Vec<String> = Vec::new();
    for action in statements.iter().filter(|s| s["Effect"] == "Allow").map(|s| &s["Action"]) {
        let one = std::slice::from_ref(action);
        actions
            .extend(action.as_array().map_or(one, Vec::as_slice).iter().filter_map(Value::as_str).map(str::to_owned));
    }
    actions.sort();
    actions.dedup();
    Ok(actions.into())
}

/// The files below a folder with this ending, in order.
fn list(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(list(&path, ending)?);
        } else if path.extension().is_some_and(|e| e == ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
