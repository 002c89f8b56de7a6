//! A program that runs beside a test: what it says, how much it takes, and how it ends.
use crate::harness::root;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A running program; killed when dropped.
pub(crate) struct Process {
    child: Mutex<Child>,
    id: u32,
    pub(crate) started: Instant,
    said: Arc<Said>,
}

/// The lines of standard output and standard error, as they came.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Said {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(self: Arc<Self>, from: impl Read + Send + 'static) {
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                self.lines().push(String::from_utf8_lossy(&line).into_owned());
                self.more.notify_all();
            }
        });
    }
}

impl Process {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let said = Arc::<Said>::default();
        Arc::clone(&said).hear(child.stdout.take().expect("piped"));
        Arc::clone(&said).hear(child.stderr.take().expect("piped"));
        Self { id: child.id(), child: Mutex::new(child), started, said }
    }

    /// Everything that it has said.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.said.lines().clone()
    }

    /// Waits for a line with this in it, from the beginning on.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, timeout: Duration, part: &str) -> String {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(part)).cloned();
        let not_yet = |lines: &mut Vec<String>| find(lines).is_none();
        let waited = self.said.more.wait_timeout_while(self.said.lines(), timeout, not_yet);
        let (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (found, all) = (find(&lines), lines.join("\n"));
        drop(lines);
        found.unwrap_or_else(|| panic!("no line with {part:?} within {timeout:?}; it said:\n{all}"))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("a child can be asked")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&self, timeout: Duration) -> ExitStatus {
        let end = Instant::now() + timeout;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < end, "still running after {timeout:?}; it said:\n{}", self.lines().join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to stop, as an orchestrator does, and says how it ended and how long that took.
    #[track_caller]
    pub(crate) fn sigterm(&self, timeout: Duration) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id)]).status();
        assert!(kill.is_ok_and(|status| status.success()), "it runs no more; it said:\n{}", self.lines().join("\n"));
        (self.wait(timeout), asked.elapsed())
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn kill9(&self) {
        let mut child = self.child();
        // One that ended by itself cannot be killed, which is as well.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Its resident memory in bytes.
    #[track_caller]
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).expect("it runs, on Linux");
        let size = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|size| size.split(' ').find_map(|word| word.trim().parse::<u64>().ok()));
        size.expect("a running process has a size in kB") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The target folder: this test is `target/<profile>/deps/acceptance-…`.
pub(crate) fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its place");
    test.ancestors().nth(3).expect("a test is in target/<profile>/deps").to_owned()
}

/// A program of the product: the one that the variable names, else built here.
pub(crate) fn built(variable: &str, binary: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return PathBuf::from(named);
    }
    let test = std::env::current_exe().expect("a test knows its place");
    let profile = test.parent().and_then(Path::parent).expect("a test is in target/<profile>/deps");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--locked", "--package", "findings-router", "--bin", binary]);
    build.arg("--target-dir").arg(target()).current_dir(root());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo is there").success(), "{binary} does not build");
    profile.join(binary)
}

/// Waits until it is so; panics with what was waited for.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !ready() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::Process;
    use std::{os::unix::process::ExitStatusExt, process::Command, time::Duration};

    const SOON: Duration = Duration::from_secs(10);

    fn sh(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command)
    }

    #[test]
    fn what_it_says_is_heard_from_both_ends() {
        let process = sh("echo one; echo two >&2; while :; do sleep 0.01; done");
        assert_eq!(process.wait_for_line(SOON, "wo"), "two");
        assert_eq!(process.wait_for_line(SOON, "on"), "one");
        assert!(process.ended().is_none());
        assert!((100_000..100_000_000).contains(&process.rss()), "{}", process.rss());
    }

    #[test]
    fn it_stops_when_asked_and_dies_when_killed() {
        let polite = sh("trap 'sleep 0.2; echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
        polite.wait_for_line(SOON, "ready");
        let (status, took) = polite.sigterm(SOON);
        assert_eq!(status.code(), Some(3));
        assert!(took >= Duration::from_millis(200), "{took:?}");
        polite.wait_for_line(SOON, "bye");
        let killed = sh("exec sleep 60");
        killed.kill9();
        assert_eq!(killed.wait(SOON).signal(), Some(9));
    }

    #[test]
    fn a_missing_line_fails_with_what_was_said() {
        let process = sh("echo something else");
        process.wait(SOON);
        process.wait_for_line(SOON, "something");
        let wait = std::panic::AssertUnwindSafe(|| process.wait_for_line(Duration::ZERO, "ready"));
        let failed = std::panic::catch_unwind(wait).expect_err("there is no such line");
        let said = failed.downcast_ref::<String>().expect("words");
        assert!(said.contains("\"ready\"") && said.contains("something else"), "{said}");
    }

    #[test]
    fn nothing_is_left_when_it_is_dropped() {
        let process = sh("exec sleep 60");
        let proc = format!("/proc/{}", process.id);
        assert!(std::path::Path::new(&proc).exists());
        drop(process);
        assert!(!std::path::Path::new(&proc).exists());
    }
}
