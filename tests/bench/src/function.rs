//! Lambda: from the start of `bootstrap` to its first request for work, by what it waits for, and its memory.
use crate::{
    events::Events,
    world::{self, ACCOUNT, Http, Process, REGION, Wrong, named},
};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    fs, io,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex as AsyncMutex, mpsc},
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};

const TABLE: &str = "ledger";
/// The certificates that a system trusts: reading them is part of a start.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
const LOG: &str = "function.log";
/// How long a start, or an invocation, may take.
const TAKES_MAX: Duration = Duration::from_secs(30);
/// Invocations, and the messages of each.
const INVOCATIONS: usize = 100;
const BATCH: usize = 10;
/// Problems that they tell of, each several times.
const PROBLEMS: usize = 100;

/// Milliseconds from one moment of a start to the next.
pub(crate) struct Start {
    /// Until the policy is loaded: of a start that ends there.
    pub(crate) policy: f64,
    /// Then until DynamoDB is first asked: Slack's client, the SDK, its credentials.
    pub(crate) clients: f64,
    /// Until it has answered about the schema: TLS, and waiting for the emulator.
    pub(crate) schema: f64,
    /// Until it asks for work.
    pub(crate) rest: f64,
    pub(crate) all: f64,
    /// MB of resident memory when it asks for work.
    pub(crate) rss: f64,
}

/// When DynamoDB was first asked, and last answered.
#[derive(Default)]
struct Asked(Mutex<Option<(Instant, Instant)>>);

impl Asked {
    fn note(&self) {
        let now = Instant::now();
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *times = Some((times.map_or(now, |(first, _)| first), now));
    }

    fn take(&self) -> Option<(Instant, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Ends TLS, passes everything on to a server and notes when.
async fn between(server: String, tls: TlsAcceptor, asked: Arc<Asked>) -> Result<String, Wrong> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            asked.note();
            let (server, tls, asked) = (server.clone(), tls.clone(), asked.clone());
            // A function that is killed breaks off: nobody's concern.
            tokio::spawn(async move { pass(client, &server, &tls, &asked).await });
        }
    });
    Ok(url)
}

async fn pass(client: TcpStream, server: &str, tls: &TlsAcceptor, asked: &Asked) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut hear, mut answer) = tokio::io::split(tls.accept(client).await?);
    let there = TcpStream::connect(server).await?;
    there.set_nodelay(true)?;
    let (mut back, mut ask) = there.into_split();
    let answering = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            match back.read(&mut bytes).await? {
                0 => return Ok(()),
                count => {
                    asked.note();
                    answer.write_all(&bytes[..count]).await?;
                    answer.flush().await?;
                }
            }
        }
    };
    tokio::select! {
        done = tokio::io::copy(&mut hear, &mut ask) => done.map(drop),
        done = answering => done,
    }
}

/// A certificate for loopback, put beside those of the system, and what serves it.
fn certify(bundle: &std::path::Path) -> Result<TlsAcceptor, Wrong> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let system = fs::read_to_string(SYSTEM_ROOTS).unwrap_or_default();
    fs::write(bundle, system + &made.cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Lambda's runtime API: hands out events, and takes answers.
struct Api {
    asks: mpsc::UnboundedSender<Instant>,
    answers: mpsc::UnboundedSender<Result<Bytes, Bytes>>,
    events: AsyncMutex<mpsc::UnboundedReceiver<String>>,
}

/// A function that runs, and the other ends of its API.
struct Function {
    process: Process,
    answered: mpsc::UnboundedReceiver<Result<Bytes, Bytes>>,
    send: mpsc::UnboundedSender<String>,
}

async fn next(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let _ = api.asks.send(Instant::now());
    let event = api.events.lock().await.recv().await.unwrap_or_default();
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + TAKES_MAX;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-000000000001".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:bench")),
        ("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned()),
    ];
    (headers, [(header::CONTENT_TYPE, "application/json")], event)
}

async fn answer(State(api): State<Arc<Api>>, Path((_, how)): Path<(String, String)>, body: Bytes) -> StatusCode {
    let answer = if how == "response" { Ok(body) } else { Err(body) };
    api.answers.send(answer).map_or(StatusCode::GONE, |()| StatusCode::ACCEPTED)
}

/// A table, a runtime API and Slack; functions are started among them.
pub(crate) struct Place {
    home: tempfile::TempDir,
    _ministack: Process,
    asked: Arc<Asked>,
    env: Vec<(String, String)>,
}

impl Place {
    pub(crate) async fn new() -> Result<Self, Wrong> {
        let home = world::folder()?;
        let (ministack, url) = world::ministack(home.path())?;
        let key = |name, kind| json!({ "AttributeName": name, "KeyType": kind });
        let indexes = [("by-time", "day", "at"), ("by-due", "due", "due_at")].map(|(name, hash, range)| {
            json!({ "IndexName": name, "Projection": { "ProjectionType": "KEYS_ONLY" },
                "KeySchema": [key(hash, "HASH"), key(range, "RANGE")] })
        });
        let attributes =
            ["pk", "day", "at", "due", "due_at"].map(|name| json!({ "AttributeName": name, "AttributeType": "S" }));
        let table = json!({ "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST", "KeySchema": [key("pk", "HASH")],
            "AttributeDefinitions": attributes, "GlobalSecondaryIndexes": indexes });
        Http::new().aws(&url, "DynamoDB_20120810.CreateTable", table.to_string()).await?;
        let asked = Arc::<Asked>::default();
        let bundle = home.path().join("roots.pem");
        let tls = certify(&bundle)?;
        let between = between(url.trim_start_matches("http://").to_owned(), tls, asked.clone()).await?;
        let mut env = world::product(&world::slack().await?);
        env.extend(
            [
                ("AWS_ENDPOINT_URL", between.as_str()),
                ("SSL_CERT_FILE", &bundle.display().to_string()),
                ("FINDINGS_ROUTER_TABLE", TABLE),
                ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
                ("_HANDLER", "bootstrap"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Ok(Self { home, _ministack: ministack, asked, env })
    }

    /// `bootstrap` in a folder without a configuration.
    fn start(&self, more: &[(&str, &str)]) -> Result<Process, Wrong> {
        let mut command = Command::new(named("BENCH_BIN")?.join("bootstrap"));
        command.current_dir(self.home.path()).env_clear();
        command.envs(self.env.iter().cloned()).envs(more.iter().copied());
        Process::start(command, &self.home.path().join(LOG))
    }

    /// Starts it, with a runtime API of its own, as each execution environment has one.
    async fn started(&self) -> Result<(Function, Start), Wrong> {
        // An address that is none is found when everything else is loaded.
        let mut refused = self.start(&[("FINDINGS_ROUTER_LISTEN", "nowhere")])?;
        refused.wait()?;
        let policy = refused.started.elapsed();
        let ((asks, mut asked), (answers, answered), (send, events)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{how}", post(answer))
            .with_state(Arc::new(Api { asks, answers, events: AsyncMutex::new(events) }));
        let address = world::play(api).await?;
        self.asked.take();
        let process = self.start(&[("AWS_LAMBDA_RUNTIME_API", &address)])?;
        let Ok(Some(began)) = timeout(TAKES_MAX, asked.recv()).await else {
            let said = fs::read_to_string(self.home.path().join(LOG))?;
            return Err(format!("the function does not start; it said:\n{said}").into());
        };
        let (first, last) = self.asked.take().ok_or("DynamoDB was not asked")?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let start = Start {
            policy: ms(policy),
            clients: ms(first.duration_since(process.started)) - ms(policy),
            schema: ms(last.duration_since(first)),
            rest: ms(began.duration_since(last)),
            all: ms(began.duration_since(process.started)),
            rss: process.rss()?,
        };
        Ok((Function { process, answered, send }, start))
    }

    /// Starts it so often.
    pub(crate) async fn starts(&self, times: usize) -> Result<Vec<Start>, Wrong> {
        let mut starts = Vec::new();
        // The first one claims the table, and reads the program from the disk.
        drop(self.started().await?);
        for _ in 0..times {
            starts.push(self.started().await?.1);
        }
        Ok(starts)
    }

    /// Resident memory, MB, after a thousand messages.
    pub(crate) async fn rss(&self) -> Result<f64, Wrong> {
        let (mut function, _) = self.started().await?;
        let events = Events::load(false)?;
        for n in 0..INVOCATIONS {
            let bodies = (n * BATCH..(n + 1) * BATCH).map(|n| events.mixed(n, PROBLEMS));
            function.send.send(batch(bodies).to_string())?;
            let answer = timeout(TAKES_MAX, function.answered.recv()).await?.ok_or("no answer")?;
            let answer = answer.map_err(|why| String::from_utf8_lossy(&why).into_owned())?;
            if serde_json::from_slice::<Value>(&answer)?["batchItemFailures"] != json!([]) {
                return Err(format!("messages failed: {}", String::from_utf8_lossy(&answer)).into());
            }
        }
        function.process.rss()
    }
}

/// What an event source mapping hands over.
fn batch(bodies: impl Iterator<Item = String>) -> Value {
    let record = |(i, body): (usize, String)| {
        json!({ "messageId": i.to_string(), "receiptHandle": i.to_string(), "body": body,
            "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:findings"), "awsRegion": REGION })
    };
    json!({ "Records": bodies.enumerate().map(record).collect::<Vec<_>>() })
}
