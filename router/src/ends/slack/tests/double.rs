//! Slack on loopback: answers as it is told to, and remembers what it was asked.
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Response, Uri},
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

/// One answer.
#[derive(Clone, Debug)]
pub(super) enum Say {
    Ok(Value),
    /// 200 with `ok: false`.
    No(&'static str),
    /// Status, header and body.
    Http(u16, Option<(&'static str, &'static str)>, &'static str),
    /// Nothing, for longer than anybody waits.
    Hang,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) query: String,
    pub(super) body: Value,
    pub(super) token: String,
}

#[derive(Debug, Default)]
struct State {
    script: HashMap<&'static str, VecDeque<Say>>,
    asked: Vec<Asked>,
}

#[derive(Clone, Debug)]
pub(super) struct Double {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
}

impl Double {
    pub(super) async fn start(script: &[(&'static str, &[Say])]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let script = script.iter().map(|(method, says)| (*method, says.iter().cloned().collect())).collect();
        let state = Arc::new(Mutex::new(State { script, asked: Vec::new() }));
        let double = Self { address, state };
        let own = double.clone();
        let answer =
            move |uri: Uri, headers: HeaderMap, body: Bytes| async move { own.answer(&uri, &headers, &body).await };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        double
    }

    /// Everything it was asked but for the address of the workspace, by method.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.iter().filter(|a| a.method != "auth.test").cloned().collect()
    }

    /// How often it was asked for the address of the workspace.
    pub(super) fn team_asked(&self) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|a| a.method == "auth.test").count()
    }

    /// The longest to wait for its answers: not long for one that never comes, and a loaded machine may take its time.
    pub(super) fn call_max(&self) -> Duration {
        let state = self.state.lock().unwrap();
        let hangs = state.script.values().flatten().any(|say| matches!(say, Say::Hang));
        if hangs { Duration::from_millis(400) } else { Duration::from_secs(10) }
    }

    pub(super) fn methods(&self) -> String {
        self.asked().iter().map(|a| a.method.clone()).collect::<Vec<_>>().join(" ")
    }

    async fn answer(&self, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response<Body> {
        let method = uri.path().trim_start_matches('/').to_owned();
        let say = {
            let mut state = self.state.lock().unwrap();
            state.asked.push(Asked {
                method: method.clone(),
                query: uri.query().unwrap_or_default().to_owned(),
                body: serde_json::from_slice(body).unwrap_or_default(),
                token: headers.get("authorization").map_or("", |v| v.to_str().unwrap()).to_owned(),
            });
            let told = state.script.get_mut(method.as_str()).and_then(VecDeque::pop_front);
            told.unwrap_or_else(|| usual(&method))
        };
        let (status, header, body) = match say {
            Say::Ok(mut body) => {
                body["ok"] = true.into();
                (200, None, body.to_string())
            }
            Say::No(error) => (200, None, json!({ "ok": false, "error": error }).to_string()),
            Say::Http(status, header, body) => (status, header, body.to_owned()),
            Say::Hang => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                (200, None, String::new())
            }
        };
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        response.body(Body::from(body)).unwrap()
    }
}

/// What Slack says when all is well.
fn usual(method: &str) -> Say {
    match method {
        "auth.test" => Say::Ok(json!({ "url": "https://example.slack.com/", "user": "router", "team": "Example" })),
        "chat.postMessage" => Say::Ok(json!({ "channel": "C012345678", "ts": "1712345678.000100" })),
        "chat.update" => Say::Ok(json!({})),
        "conversations.history" | "conversations.replies" => Say::Ok(json!({ "messages": [] })),
        "hook" => Say::Http(200, None, "ok"),
        _ => Say::No("unknown_method"),
    }
}
