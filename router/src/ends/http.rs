//! The daemon's HTTP: health, metrics, events, and Slack's clicks.
use super::{
    clicks,
    health::Health,
    intake::{Intake, clock},
    signature, sqs, telemetry,
};
use crate::{decide::remediation::Ask, values::action::Disposition};
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
    /// What `POST /remediation` demands: whoever has it can ask for anything in anybody's name.
    pub operator_token: Option<SecretString>,
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
        .route("/remediation", post(remediation))
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
    if let Err(refused) = admit(site.token.as_ref(), &headers, "/events", "token") {
        return *refused;
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

/// What the command line asks for, where the daemon has the ledger.
#[derive(serde::Deserialize)]
struct Wanted {
    ask: String,
    id: String,
    by: String,
}

async fn remediation(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refused) = admit(site.operator_token.as_ref(), &headers, "/remediation", "operator-token") {
        return *refused;
    }
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let said = match (wanted.ask.as_str(), Ask::WORDS.iter().find(|(word, _)| *word == wanted.ask)) {
        ("reset", _) => {
            clicks::reset(&site.intake.router, &wanted.id, &wanted.by).await.map_err(|trouble| trouble.to_string())
        }
        ("halt" | "resume", _) => {
            let pulled = clicks::brake(&site.intake.router, &wanted.by, wanted.ask == "halt").await;
            pulled.map_err(|trouble| trouble.to_string())
        }
        (_, Some((_, ask))) => Box::pin(site.intake.told(*ask, &wanted.id, &wanted.by)).await,
        (other, None) => Err(format!("there is nothing like {other:?} to ask for")),
    };
    match said {
        Ok(said) => format!("{said}\n").into_response(),
        Err(why) => (StatusCode::CONFLICT, format!("{why}\n")).into_response(),
    }
}

/// Lets in whoever has the token.
fn admit(token: Option<&SecretString>, headers: &HeaderMap, path: &str, key: &str) -> Result<(), Box<Response>> {
    let Some(token) = token else {
        let variable = if key == "token" { "FINDINGS_ROUTER_HTTP_TOKEN" } else { "FINDINGS_ROUTER_OPERATOR_TOKEN" };
        let why = format!("POST {path} is closed: set [http] {key} or {variable}\n");
        return Err(Box::new((StatusCode::FORBIDDEN, why).into_response()));
    };
    let given =
        headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    if given.is_some_and(|given| same(given, token)) {
        return Ok(());
    }
    tracing::warn!(path, "a request without the right token was refused");
    Err(Box::new((StatusCode::UNAUTHORIZED, "Authorization: Bearer TOKEN is missing or wrong\n").into_response()))
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
    let signed = (text("x-slack-request-timestamp"), text("x-slack-signature"));
    let payload = match interaction(&site.intake, site.signing_secret.as_ref(), signed, &body).await {
        Ok(payload) => payload,
        Err(status) => {
            return StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        }
    };
    let clicked = site.intake.clicked(payload).await;
    if let Some(fingerprint) = clicked.go_on {
        let intake = site.intake.clone();
        tokio::spawn(async move { Box::pin(intake.go_on(&fingerprint)).await });
    }
    clicked.answer.map_or_else(|| StatusCode::OK.into_response(), |answer| axum::Json(answer).into_response())
}

/// What one of Slack's clicks says, if it comes from Slack, now, and for the first time; else the status to refuse it with.
pub(super) async fn interaction(
    intake: &Intake,
    secret: Option<&SecretString>,
    (timestamp, signature): (Option<&str>, Option<&str>),
    body: &[u8],
) -> Result<String, u16> {
    let Some(secret) = secret else {
        tracing::warn!("a click was refused: there is no signing secret to verify it with; set SLACK_SIGNING_SECRET");
        telemetry::asked("click", "unverified");
        return Err(403);
    };
    if let Err(why) = signature::verify(secret, timestamp, signature, body, clock()) {
        tracing::warn!(why, "a click that does not come from Slack was refused");
        telemetry::asked("click", "forged");
        return Err(401);
    }
    let text = String::from_utf8_lossy(body);
    match intake.is_replay([timestamp.unwrap_or_default(), &text]).await {
        Ok(false) => {}
        Ok(true) => {
            tracing::warn!("a click that came before was refused: somebody sends Slack's requests again");
            telemetry::asked("click", "replayed");
            return Err(409);
        }
        // Whether it is a replay is not known: nothing is done.
        Err(trouble) => {
            tracing::warn!(%trouble, "a click was refused, because the ledger does not answer");
            return Err(503);
        }
    }
    let payload = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    payload.map(|(_, payload)| payload.into_owned()).ok_or(400)
}
