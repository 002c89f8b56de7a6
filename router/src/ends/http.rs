//! The daemon's HTTP: health, metrics, events, and Slack's clicks.
use super::{
    health::Health,
    intake::{Intake, clock},
    signature, sqs,
};
use crate::values::action::Disposition;
use axum::{
    Router as Routes,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hmac::{Hmac, KeyInit, Mac};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::{io, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The largest body that `POST /events` takes: as SQS.
const BODY_MAX: usize = 1 << 20;

/// What requests are answered from.
pub struct Site {
    /// What handles events.
    pub intake: Arc<Intake>,
    /// What `/healthz` and `/readyz` tell.
    pub health: Arc<Health>,
    /// What `/metrics` tells.
    pub metrics: PrometheusHandle,
    /// What `POST /events` demands; without one, it is closed.
    pub token: Option<SecretString>,
    /// What Slack signs with; without one, its clicks are refused.
    pub signing_secret: Option<SecretString>,
}

/// Answers until it is told to stop.
pub async fn serve(site: Site, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let routes = Routes::new()
        .route("/healthz", get(async |State(s): State<Arc<Site>>| state(s.health.alive(clock()))))
        .route("/readyz", get(async |State(s): State<Arc<Site>>| state(s.health.ready(clock()))))
        .route("/metrics", get(metrics))
        .route("/events", post(events))
        .route("/slack/interactions", post(interactions))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::new(site));
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn state(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], site.metrics.render()).into_response()
}

/// One body, as the queue would bring it: for `EventBridge` API destinations, and for trials. What has to be tried again is
/// answered 503 with `Retry-After`, which API destinations heed.
async fn events(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(token) = &site.token else {
        let why = "POST /events is closed: set [http] token or FINDINGS_ROUTER_HTTP_TOKEN\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    };
    let given =
        headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    if !given.is_some_and(|given| same(given, token)) {
        tracing::warn!("POST /events without the right token was refused");
        return (StatusCode::UNAUTHORIZED, "Authorization: Bearer TOKEN is missing or wrong\n").into_response();
    }
    let Ok(text) = std::str::from_utf8(&body) else {
        return (StatusCode::BAD_REQUEST, "the body is not UTF-8\n").into_response();
    };
    let became = site.intake.take(text).await;
    let answer = serde_json::json!({ "disposition": became.disposition.as_str(), "why": became.why });
    let (status, wait) = match became.disposition {
        Disposition::Ack => (StatusCode::OK, None),
        Disposition::Reject => (StatusCode::UNPROCESSABLE_ENTITY, None),
        Disposition::Retry(after) => (StatusCode::SERVICE_UNAVAILABLE, Some(sqs::whole_seconds(after).to_string())),
    };
    let mut response = (status, axum::Json(answer)).into_response();
    if let Some(wait) = wait.and_then(|w| w.parse().ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

/// Compares without telling by its time how much was right.
fn same(given: &str, token: &SecretString) -> bool {
    let mac = |text: &str| Hmac::<Sha256>::new_from_slice(b"token").map(|m| m.chain_update(text));
    match (mac(given), mac(token.expose_secret())) {
        (Ok(given), Ok(token)) => token.verify_slice(&given.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

async fn interactions(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let status =
        interaction(site.signing_secret.as_ref(), text("x-slack-request-timestamp"), text("x-slack-signature"), &body);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

/// The answer to one of Slack's clicks. Cards have no buttons yet that start anything; Slack wants to hear 200 all the same.
pub(super) fn interaction(
    secret: Option<&SecretString>,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
) -> u16 {
    let Some(secret) = secret else {
        tracing::warn!("a click was refused: there is no signing secret to verify it with; set SLACK_SIGNING_SECRET");
        return 403;
    };
    match signature::verify(secret, timestamp, signature, body, clock()) {
        Ok(()) => 200,
        Err(why) => {
            tracing::warn!(why, "a click that does not come from Slack was refused");
            401
        }
    }
}
