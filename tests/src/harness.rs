//! How the tests run the program: build it once, run it in a folder, take what it printed.
use crate::{
    json::{self, Json},
    live::process::built,
};
use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Output {
    /// Fails unless the run ended with this code; and whatever the code, the program must not have panicked.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        self.did_not_panic();
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails if the program panicked, or died of a signal.
    #[track_caller]
    pub(crate) fn did_not_panic(&self) {
        assert!(self.code.is_some(), "ended by a signal; stderr:\n{}", self.stderr);
        for word in ["panicked at", "RUST_BACKTRACE", "stack overflow"] {
            assert!(!self.stderr.contains(word), "stderr:\n{}", self.stderr);
        }
    }

    /// The lines of `--format json`, each of which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Json> {
        self.stdout.lines().map(json::read).collect()
    }

    /// Everything that a person would see, for a snapshot.
    pub(crate) fn seen(&self) -> String {
        let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        format!("{}{}--- exit code {code}", part("stdout", &self.stdout), part("stderr", &self.stderr))
    }
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository")
}

/// The program: the one that `FINDINGS_ROUTER_BIN` names, else built here, once, into this test's own target folder.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("FINDINGS_ROUTER_BIN", "findings-router"))
}

/// The program in a folder, with an environment that says nothing.
pub(crate) fn command(at: &Path, args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(program());
    command.args(args).current_dir(at).env_clear();
    command
}

/// Runs the program in a folder with this standard input.
#[track_caller]
pub(crate) fn run_in(at: &Path, args: &[impl AsRef<OsStr>], stdin: &[u8]) -> Output {
    let mut command = command(at, args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        // A program that does not want its input closes the pipe: not our concern.
        scope.spawn(move || input.write_all(stdin));
        child.wait_with_output().expect("the program ends")
    });
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Output { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

/// Runs the program in the repository.
#[track_caller]
pub(crate) fn run(args: &[&str]) -> Output {
    run_in(root(), args, b"")
}

/// A folder of a test's own: files are written into it, and the program is run in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room for files"))
    }

    /// A folder with a configuration.
    pub(crate) fn with(config: &str) -> Self {
        Self::new().file("findings-router.toml", config)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders it is in.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("writable");
        fs::write(path, content).expect("writable");
        self
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run_in(self.path(), args, b"")
    }

    /// Replays events, one per line, and gives the lines of `--format json`.
    #[track_caller]
    pub(crate) fn replay(&self, events: &[String]) -> Vec<Json> {
        let args = ["replay", "--format", "json", "-"];
        run_in(self.path(), &args, events.join("\n").as_bytes()).ended(0).json()
    }
}

/// The text of one fixture, on one line.
pub(crate) fn fixture(name: &str) -> String {
    let text = fs::read_to_string(root().join("fixtures").join(name)).expect("a fixture of this name");
    let event: serde_json::Value = serde_json::from_str(&text).expect("a fixture that is JSON");
    event.to_string()
}

/// A fixture with some of its values replaced: `("/detail/severity", json!(2))`.
pub(crate) fn changed(name: &str, changes: &[(&str, serde_json::Value)]) -> String {
    let mut event: serde_json::Value = serde_json::from_str(&fixture(name)).expect("JSON");
    for (pointer, value) in changes {
        *event.pointer_mut(pointer).unwrap_or_else(|| panic!("{name} has no {pointer}")) = value.clone();
    }
    event.to_string()
}
