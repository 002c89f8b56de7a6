//! What the measured programs meet, and the programs: all of it ends with this one.
use axum::{
    Router,
    body::Bytes,
    http::{Request, header},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// What went wrong, in words.
pub(crate) type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// The account and Region of everything.
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "ap-northeast-1";
/// How long a program may take to start.
const START_MAX: Duration = Duration::from_secs(30);
/// The kernel counts the time of processes in hundredths of a second.
const TICKS: f64 = 100.0;

/// A folder that `run` names.
pub(crate) fn named(variable: &str) -> Result<PathBuf, Wrong> {
    let path =
        env::var_os(variable).ok_or_else(|| format!("{variable} is not set: start this with tests/bench/run"))?;
    Ok(path.into())
}

/// A folder on the disk where things are built, gone afterwards.
pub(crate) fn folder() -> Result<tempfile::TempDir, Wrong> {
    Ok(tempfile::tempdir_in(named("BENCH_TARGET")?)?)
}

/// A running program; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) started: Instant,
}

impl Process {
    /// Starts a program; all that it says goes to a file.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, Wrong> {
        let log = fs::File::create(log)?;
        command.stdout(log.try_clone()?).stderr(log);
        Self::spawn(command)
    }

    /// Starts a program; what it prints is heard here.
    fn start_server(mut command: Command, log: &Path) -> Result<Self, Wrong> {
        command.stdout(Stdio::piped()).stderr(fs::File::create(log)?);
        Self::spawn(command)
    }

    /// The input of servers ends with this program, so that they do too.
    fn spawn(mut command: Command) -> Result<Self, Wrong> {
        command.stdin(Stdio::piped());
        let started = Instant::now();
        let child = command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
        Ok(Self { child, started })
    }

    /// The first line that a server prints.
    fn line(&mut self) -> Result<String, Wrong> {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().ok_or("is heard once")?).read_line(&mut line)?;
        if line.is_empty() { Err("a server does not start".into()) } else { Ok(line.trim().to_owned()) }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.child.wait().map(drop)
    }

    /// Resident memory, MB.
    pub(crate) fn rss(&self) -> Result<f64, Wrong> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("it runs no more")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1_024.0 / 1e6)
    }

    /// Seconds of processor time that it took so far.
    pub(crate) fn cpu(&self) -> Result<f64, Wrong> {
        cpu(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of processor time that a process took so far, by its id; `self` is this one.
pub(crate) fn cpu(id: &str) -> Result<f64, Wrong> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // After the name, which may hold spaces: the 12th and 13th are user and system time.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / TICKS)
}

/// A program that runs as long as its input is open, and prints its URL.
pub(crate) fn server(command: Command, log: &Path) -> Result<(Process, String), Wrong> {
    let mut process = Process::start_server(command, log)?;
    let url = process.line().map_err(|e| format!("{e}: see {}", log.display()))?;
    Ok((process, url))
}

/// The fast SQS.
pub(crate) fn fakecloud(home: &Path) -> Result<(Process, String), Wrong> {
    server(Command::new(named("BENCH_SQS")?), &home.join("sqs.log"))
}

/// AWS, as the tests have it.
pub(crate) fn ministack(home: &Path) -> Result<(Process, String), Wrong> {
    let mut python = Command::new("python3");
    python
        .arg(named("BENCH_ROOT")?.join("tests/src/live/emulator.py"))
        .arg(named("BENCH_TARGET")?.join("outside-python"));
    server(python, &home.join("ministack.log"))
}

/// A server of this process on a free port; its address.
pub(crate) async fn play(app: Router) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Slack: says yes to everything at once. The URL of its API.
pub(crate) async fn slack() -> io::Result<String> {
    static MESSAGES: AtomicU64 = AtomicU64::new(0);
    let app = Router::new().fallback(async || {
        let ts = format!("1700000000.{:06}", MESSAGES.fetch_add(1, Ordering::Relaxed));
        let answer = json!({ "ok": true, "channel": "C0123456789", "ts": ts, "message": { "ts": ts }, "messages": [],
            "url": "https://example.slack.com/", "permalink": "https://example.slack.com/archives/C0123456789/p1" });
        ([(header::CONTENT_TYPE, "application/json")], answer.to_string())
    });
    Ok(format!("http://{}/api/", play(app).await?))
}

/// `findings-router serve` with the embedded ledger; what it leaves out of `env` is as in earnest.
pub(crate) async fn daemon(home: &Path, slack: &str, env: &[(&str, &str)]) -> Result<(Process, String), Wrong> {
    let mut command = Command::new(named("BENCH_BIN")?.join("findings-router"));
    command.arg("serve").current_dir(home).env_clear().envs(product(slack)).envs(env.iter().copied());
    command.env("FINDINGS_ROUTER_LISTEN", "127.0.0.1:0");
    let log = home.join("daemon.log");
    let daemon = Process::start(command, &log)?;
    let end = Instant::now() + START_MAX;
    loop {
        let said = fs::read_to_string(&log)?;
        if let Some((_, rest)) = said.split_once("listening on ") {
            return Ok((daemon, rest.split('"').next().unwrap_or_default().to_owned()));
        }
        if Instant::now() > end {
            return Err(format!("the daemon does not start; it said:\n{said}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The environment of the product: credentials, and a Slack that need not be spared.
pub(crate) fn product(slack: &str) -> Vec<(String, String)> {
    let env = [
        ("AWS_ACCESS_KEY_ID", ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("SLACK_BOT_TOKEN", "xoxb-bench"),
        ("SLACK_API_URL", slack),
        ("SLACK_PACE_MS", "0"),
    ];
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A client that keeps its connections.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// The body of an answer that is a success.
    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Bytes, Wrong> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.0.request(request.body(Full::new(body.into()))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        Err(format!("{method} {url}: {status}: {}", String::from_utf8_lossy(&body)).into())
    }

    /// A call of an AWS service that speaks JSON.
    pub(crate) async fn aws(&self, url: &str, target: &str, body: impl Into<Bytes>) -> Result<Value, Wrong> {
        let service = if target.starts_with("DynamoDB") { "dynamodb" } else { "sqs" };
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target), ("authorization", &signed)];
        Ok(serde_json::from_slice(&self.send("POST", url, &headers, body).await?)?)
    }

    /// A counter of the daemon's metrics, all labels together or those that a part of the line names.
    pub(crate) async fn counter(&self, daemon: &str, part: &str) -> Result<f64, Wrong> {
        let page = self.send("GET", &format!("{daemon}/metrics"), &[], "").await?;
        let page = String::from_utf8_lossy(&page);
        let lines = page.lines().filter(|line| line.starts_with("findings_router_") && line.contains(part));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}
