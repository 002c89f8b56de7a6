//! HTTP on loopback: a server that may also answer nothing or cut the line, and a client for one request.
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, connect_info::Connected},
    serve::{IncomingStream, Listener},
};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream as Client},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::sleep,
};

/// The largest body that a server reads.
const BODY_MAX: usize = 16 << 20;
/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// What stands after `?`.
    pub(crate) query: String,
    /// Names are in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What a server does about it.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer(Answer),
    /// Nothing for so long, then the connection ends.
    Silence(Duration),
    /// The connection is reset.
    Reset,
}

/// An HTTP answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, body.to_string()).header("content-type", "application/json; charset=utf-8")
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server in a thread of its own, so that ordinary tests can use it; it stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    /// Dropped first: this is what stops the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers every request with this function, on a port that is free.
    pub(crate) fn start<F, R>(handler: F) -> Self
    where
        F: Fn(Request) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a socket can be made so");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = Lines(TcpListener::from_std(listener).expect("a listening socket"));
                let answer = move |ConnectInfo(line): ConnectInfo<Line>, request: axum::extract::Request| {
                    let handler = handler.clone();
                    async move {
                        match read(request).await {
                            Some(request) => line.send(handler(request).await).await,
                            None => respond(Answer::text(413, "the body is too large, or was cut off")),
                        }
                    }
                };
                let router = Router::new().fallback(answer);
                let serve = axum::serve(listener, router.into_make_service_with_connect_info::<Line>());
                tokio::select! { _ = serve => {}, _ = stopped => {} }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        // A panic in there was printed already, and a second one here would hide the first.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn read(request: axum::extract::Request) -> Option<Request> {
    let (head, body) = request.into_parts();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Some(Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: to_bytes(body, BODY_MAX).await.ok()?.to_vec(),
    })
}

fn respond(answer: Answer) -> axum::response::Response {
    let mut builder = axum::response::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(answer.body)).expect("a test makes valid headers")
}

/// Accepts connections that can be cut.
struct Lines(TcpListener);

impl Listener for Lines {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        (Cuttable { stream, line: Line::default() }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What a handler holds of its connection.
#[derive(Clone, Default)]
struct Line {
    cut: Arc<AtomicBool>,
    reset: Arc<AtomicBool>,
}

impl Line {
    async fn send(&self, reply: Reply) -> axum::response::Response {
        match reply {
            Reply::Answer(answer) => return respond(answer),
            Reply::Silence(time) => sleep(time).await,
            Reply::Reset => self.reset.store(true, Ordering::SeqCst),
        }
        // The connection ends at the attempt to write this.
        self.cut.store(true, Ordering::SeqCst);
        respond(Answer::text(500, "never seen"))
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

/// A connection that ends without an answer once its line is cut.
struct Cuttable {
    stream: TcpStream,
    line: Line,
}

impl Cuttable {
    fn whole(&self) -> io::Result<()> {
        if !self.line.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.line.reset.load(Ordering::SeqCst) {
            self.stream.set_zero_linger()?;
        }
        Err(ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// One request on a connection of its own: the answer's head and body, or how the connection failed.
pub(crate) fn ask(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<(String, String)> {
    let mut stream = Client::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}: {value}
"
            )
        })
        .collect();
    let headers = headers.concat();
    // HTTP/1.0: the answer ends where the connection does.
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nhost: {to}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    Ok((head.to_owned(), body.to_owned()))
}

/// The status of an answer's head.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}
