//! Slack's Socket Mode: the app connects, is greeted, and gets its clicks in envelopes that it has to answer.
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{sync::mpsc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc as asynchronous};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// How long an answer may take; Slack waits three seconds, a busy machine a little longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent through the connection that is open.
enum Send {
    Envelope(String),
    Disconnect,
}

/// One app's connection at a time. Stops when dropped.
pub(crate) struct Socket {
    pub(crate) url: String,
    send: asynchronous::UnboundedSender<Send>,
    answers: mpsc::Receiver<Value>,
}

impl Socket {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a socket can be made so");
        let url = format!("ws://{}/link?ticket=secret", listener.local_addr().expect("a bound socket has an address"));
        let (send, mut to_send) = asynchronous::unbounded_channel();
        let (answer, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listening socket");
                while let Ok((stream, _)) = listener.accept().await {
                    let Ok(mut socket) = accept_async(stream).await else { continue };
                    let _ = socket.send(Message::text(json!({ "type": "hello" }).to_string())).await;
                    loop {
                        tokio::select! {
                            next = to_send.recv() => match next {
                                None => return,
                                Some(Send::Envelope(text)) => _ = socket.send(Message::text(text)).await,
                                Some(Send::Disconnect) => {
                                    let word = json!({ "type": "disconnect", "reason": "refresh_requested" });
                                    let _ = socket.send(Message::text(word.to_string())).await;
                                    break;
                                }
                            },
                            heard = socket.next() => match heard {
                                Some(Ok(Message::Text(text))) => {
                                    let _ = answer.send(serde_json::from_str(&text).unwrap_or(Value::Null));
                                }
                                Some(Ok(_)) => {}
                                Some(Err(_)) | None => break,
                            },
                        }
                    }
                }
            });
        });
        Self { url, send, answers }
    }

    /// Sends a payload to the app; gives what it answers.
    #[track_caller]
    pub(crate) fn send(&self, id: &str, payload: &Value) -> Value {
        let envelope =
            json!({ "type": "interactive", "envelope_id": id, "accepts_response_payload": true, "payload": payload });
        self.send.send(Send::Envelope(envelope.to_string())).expect("the server runs");
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Tells the app to connect again.
    pub(crate) fn disconnect(&self) {
        self.send.send(Send::Disconnect).expect("the server runs");
    }
}
