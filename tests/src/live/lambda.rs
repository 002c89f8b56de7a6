//! The Lambda runtime API, and the function's program run behind it as Lambda runs it.
use super::{
    aws::REGION,
    http::{Answer, Reply, Request, Server},
    process::{Process, built},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Mutex as AsyncMutex, mpsc as jobs};

/// How long initialisation may take: Lambda's own limit.
const INIT_MAX: Duration = Duration::from_secs(10);
/// The function's timeout.
const TIMEOUT: Duration = Duration::from_secs(30);
const API: &str = "/2018-06-01/runtime/";
const NAME: &str = "findings-router";

/// What the function made of an invocation: its answer, or its error as it reported it.
type Made = Result<Value, Value>;

/// A function with one execution environment; its process is killed when dropped.
pub(crate) struct Lambda {
    // Before the server, so that the program does not see it go.
    process: Process,
    shared: Arc<Shared>,
    _server: Server,
    init: Duration,
}

struct Shared {
    send: jobs::UnboundedSender<(String, Value)>,
    next: AsyncMutex<jobs::UnboundedReceiver<(String, Value)>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When the program first asked for work, or why it could not begin.
    began: Option<Result<Instant, Value>>,
    waiting: BTreeMap<String, mpsc::Sender<Made>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, how: Result<Instant, Value>) {
        self.state().began.get_or_insert(how);
        self.changed.notify_all();
    }

    async fn serve(self: Arc<Self>, request: Request) -> Reply {
        let path = request.path.strip_prefix(API).unwrap_or_default();
        let body = || serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let parts: Vec<&str> = path.split('/').collect();
        Reply::Answer(match (request.method.as_str(), &parts[..]) {
            ("GET", ["invocation", "next"]) => {
                self.begin(Ok(Instant::now()));
                let Some((id, event)) = self.next.lock().await.recv().await else { return Reply::Reset };
                let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + TIMEOUT;
                Answer::json(200, &event)
                    .header("lambda-runtime-aws-request-id", id)
                    .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
                    .header(
                        "lambda-runtime-invoked-function-arn",
                        format!("arn:aws:lambda:{REGION}:111122223333:function:{NAME}"),
                    )
                    .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
            }
            ("POST", ["invocation", id, how @ ("response" | "error")]) => {
                let made = if *how == "response" { Ok(body()) } else { Err(body()) };
                match self.state().waiting.remove(*id) {
                    // Who invoked may have given up.
                    Some(waiting) => drop(waiting.send(made)),
                    None => return Reply::Answer(Answer::json(400, &json!({ "errorType": "InvalidRequestID" }))),
                }
                Answer::json(202, &json!({ "status": "OK" }))
            }
            ("POST", ["init", "error"]) => {
                self.begin(Err(body()));
                Answer::json(202, &json!({ "status": "OK" }))
            }
            _ => Answer::text(404, "not found"),
        })
    }
}

impl Lambda {
    /// Starts the product's `bootstrap` with this environment, besides Lambda's own; or says why it did not begin.
    pub(crate) fn start(env: &[(String, String)]) -> Result<Self, String> {
        static BOOTSTRAP: OnceLock<std::path::PathBuf> = OnceLock::new();
        let mut command = Command::new(BOOTSTRAP.get_or_init(|| built("FINDINGS_ROUTER_BOOTSTRAP", "bootstrap")));
        command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        Self::run(command)
    }

    fn run(mut command: Command) -> Result<Self, String> {
        let (send, next) = jobs::unbounded_channel();
        let (next, state, changed) = (AsyncMutex::new(next), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { send, next, state, changed });
        let api = Arc::clone(&shared);
        let server = Server::start(move |request| Arc::clone(&api).serve(request));
        command.env("AWS_LAMBDA_RUNTIME_API", server.address().to_string()).envs([
            ("AWS_LAMBDA_FUNCTION_NAME", NAME),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/findings-router"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_REGION", REGION),
            ("_HANDLER", "bootstrap"),
        ]);
        let process = Process::start(command);
        let end = Instant::now() + INIT_MAX;
        let mut state = shared.state();
        let began = loop {
            match state.began.take() {
                Some(began) => break began.map_err(|error| error.to_string()),
                None if Instant::now() > end => break Err(format!("it asked for no work within {INIT_MAX:?}")),
                None if process.ended().is_some() => break Err("it ended before it asked for work".to_owned()),
                // A death is not announced, so look again soon.
                None => {
                    let waited = shared.changed.wait_timeout(state, Duration::from_millis(20));
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        };
        drop(state);
        let began = began.map_err(|why| format!("{why}; it said:\n{}", process.lines().join("\n")))?;
        let init = began.duration_since(process.started);
        Ok(Self { process, shared, _server: server, init })
    }

    /// From the start of the program to its first request for work.
    pub(crate) fn init(&self) -> Duration {
        self.init
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Invokes the function; an error is what it reported, or how it died. Invocations wait for each other.
    pub(crate) fn invoke(&self, event: &Value) -> Result<Value, String> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let id = format!("8476a536-e9f4-11e8-9739-{:012}", COUNT.fetch_add(1, Ordering::SeqCst));
        let (made, wait) = mpsc::channel();
        self.shared.state().waiting.insert(id.clone(), made);
        self.shared.send.send((id, event.clone())).expect("the server holds the other end");
        let end = Instant::now() + TIMEOUT;
        let why = loop {
            match wait.recv_timeout(Duration::from_millis(20)) {
                Ok(made) => return made.map_err(|error| error.to_string()),
                Err(_) if self.process.ended().is_some() => break "it ended without an answer".to_owned(),
                Err(_) if Instant::now() > end => {
                    self.process.kill9();
                    break format!("Task timed out after {TIMEOUT:?}");
                }
                Err(_) => {}
            }
        };
        Err(format!("{why}; it said:\n{}", self.process.lines().join("\n")))
    }
}

/// What an event source mapping hands over: these bodies, received so many times. Message ids are `message-0` and so on.
pub(crate) fn sqs_event<S: AsRef<str>>(bodies: &[S], receives: u32) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string();
    let record = |(i, body): (usize, &S)| {
        json!({
            "messageId": format!("message-{i}"),
            "receiptHandle": format!("receipt-{i}"),
            "body": body.as_ref(),
            "attributes": { "ApproximateReceiveCount": receives.to_string(), "SentTimestamp": now,
                "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": now },
            "messageAttributes": {},
            // Nobody checks it: Lambda has taken the message from SQS already.
            "md5OfBody": "00000000000000000000000000000000",
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{REGION}:111122223333:findings"),
            "awsRegion": REGION,
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}

/// What a function URL hands over (payload format 2.0). Header names are in lower case.
pub(crate) fn url_event(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let headers: BTreeMap<&str, &str> = headers.iter().copied().collect();
    let host = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.ap-northeast-1.on.aws";
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghijklmnopqrstuvwxyz012345",
            "domainName": host,
            "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": u64::try_from(now.as_millis()).unwrap_or_default(),
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::{Lambda, sqs_event, url_event};
    use serde_json::json;
    use std::{process::Command, time::Duration};

    /// A function that answers with its event and context, fails when told to, and dies when told to.
    const FUNCTION: &str = r#"
import json, os, sys, time, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
def post(path, body):
    urllib.request.urlopen(urllib.request.Request(api + path, json.dumps(body).encode())).read()
if "FAIL" in os.environ:
    post("init/error", {"errorType": "Config", "errorMessage": "no token"})
    time.sleep(60)
time.sleep(0.05)
while True:
    answer = urllib.request.urlopen(api + "invocation/next")
    event = json.loads(answer.read())
    path = "invocation/" + answer.headers["Lambda-Runtime-Aws-Request-Id"] + "/"
    if event.get("do") == "die":
        sys.exit("that was too much")
    if event.get("do") == "fail":
        post(path + "error", {"errorType": "Bad", "errorMessage": "as told"})
        continue
    left = int(answer.headers["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time()
    post(path + "response", {"event": event, "name": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "time": 0 < left <= 30})
"#;

    fn run(env: &[(&str, &str)]) -> Result<Lambda, String> {
        let mut python = Command::new("python3");
        python.args(["-c", FUNCTION]).envs(env.iter().copied());
        Lambda::run(python)
    }

    #[test]
    fn it_is_invoked_again_and_again_until_it_dies() {
        let lambda = run(&[]).expect("it begins");
        assert!((Duration::from_millis(50)..Duration::from_secs(10)).contains(&lambda.init()), "{:?}", lambda.init());
        for number in 0..3 {
            let expected = json!({ "event": { "number": number }, "name": "findings-router", "time": true });
            assert_eq!(lambda.invoke(&json!({ "number": number })), Ok(expected));
        }
        let failed = lambda.invoke(&json!({ "do": "fail" })).expect_err("as told");
        assert!(failed.contains("as told"), "{failed}");
        let died = lambda.invoke(&json!({ "do": "die" })).expect_err("it is dead");
        assert!(died.contains("it ended without an answer"), "{died}");
        lambda.process().wait_for_line(Duration::from_secs(10), "that was too much");
    }

    #[test]
    fn what_cannot_begin_says_why() {
        let failed = |result: Result<Lambda, String>| result.err().unwrap_or_default();
        assert!(failed(run(&[("FAIL", "1")])).contains("no token"));
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo out of order >&2; exit 1"]);
        assert!(failed(Lambda::run(sh)).contains("it ended before it asked for work"));
    }

    #[test]
    fn events_are_as_lambda_makes_them() {
        let event = sqs_event(&["one", "two"], 3);
        assert_eq!(event["Records"][1]["body"], "two");
        assert_eq!(event["Records"][1]["messageId"], "message-1");
        assert_eq!(event["Records"][1]["attributes"]["ApproximateReceiveCount"], "3");
        let event = url_event("POST", "/slack?a=1", &[("x-slack-signature", "v0=0")], "payload=x");
        assert_eq!(event["requestContext"]["http"]["method"], "POST");
        assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!("/slack"), &json!("a=1")));
        assert_eq!(event["headers"]["x-slack-signature"], "v0=0");
    }
}
