//! Socket Mode: clicks through a connection that the router opens, for those who have no public address. Slack closes it
//! every few hours, and says so before; what was clicked meanwhile, Slack sends again.
use super::intake::Intake;
use futures_util::{SinkExt, StreamExt};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_tungstenite::{connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

/// After a connection that broke off; twice as long each time, up to the longest.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_mins(1);
/// Opening one takes no longer, and one that lasts no longer is no good.
const OPEN_MAX: Duration = Duration::from_secs(10);
const OPEN_MIN: Duration = Duration::from_secs(5);
/// A connection on which nothing was heard for so long is dead: Slack pings every few seconds.
const SILENCE_MAX: Duration = Duration::from_mins(2);

#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "envelope_id")]
    id: Option<String>,
    #[serde(default)]
    payload: Value,
    reason: Option<String>,
}

/// Listens until it is told to stop.
pub async fn run(intake: Arc<Intake>, token: SecretString, stop: CancellationToken) {
    let mut wait = AGAIN;
    while !stop.is_cancelled() {
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            heard = listen(&intake, &token, &stop) => heard,
        };
        match heard {
            // As announced: the next one at once.
            Ok(()) => wait = AGAIN,
            Err(why) => {
                tracing::warn!(why, seconds = wait.as_secs(), "Socket Mode broke off; tried again");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = (wait * 2).min(AGAIN_MAX);
            }
        }
    }
}

/// One connection, until Slack announces its end.
async fn listen(intake: &Arc<Intake>, token: &SecretString, stop: &CancellationToken) -> Result<(), String> {
    let url = intake.router.messenger.connection(token).await?;
    // (The address holds a ticket: it is not shown.)
    let opened = tokio::time::timeout(OPEN_MAX, connect_async(url)).await;
    let (mut socket, _) =
        opened.map_err(|_| "it does not open".to_owned())?.map_err(|e| format!("it cannot be opened: {e}"))?;
    let since = Instant::now();
    tracing::info!("Socket Mode is open");
    loop {
        let message = tokio::select! {
            () = stop.cancelled() => {
                let _ = socket.close(None).await;
                return Ok(());
            }
            message = tokio::time::timeout(SILENCE_MAX, socket.next()) => message,
        };
        let message = match message {
            Err(_) => return Err("nothing was heard for too long".to_owned()),
            Ok(None | Some(Ok(Message::Close(_)))) => return Err("Slack closed it".to_owned()),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(_))) => continue,
        };
        let envelope: Envelope = match serde_json::from_str(&message) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, "Slack sent something through Socket Mode that cannot be read");
                continue;
            }
        };
        match envelope.kind.as_str() {
            "disconnect" => {
                tracing::info!(reason = envelope.reason, "Slack closes Socket Mode; it is opened again");
                return if since.elapsed() > OPEN_MIN { Ok(()) } else { Err("Slack closed it at once".to_owned()) };
            }
            "interactive" => {
                let Some(id) = envelope.id else { continue };
                match intake.is_replay(["socket", &id]).await {
                    Ok(false) => {}
                    Ok(true) => {
                        // Slack did not hear the answer to what was done.
                        answer(&mut socket, &id, None).await?;
                        continue;
                    }
                    Err(trouble) => {
                        tracing::warn!(%trouble, "a click was left, because the ledger does not answer; Slack sends it again");
                        continue;
                    }
                }
                let clicked = intake.clicked(envelope.payload.to_string()).await;
                answer(&mut socket, &id, clicked.answer).await?;
                if let Some(fingerprint) = clicked.go_on {
                    let intake = intake.clone();
                    tokio::spawn(async move { Box::pin(intake.go_on(&fingerprint)).await });
                }
            }
            _ => {
                if let Some(id) = envelope.id {
                    answer(&mut socket, &id, None).await?;
                }
            }
        }
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn answer(socket: &mut Socket, id: &str, payload: Option<Value>) -> Result<(), String> {
    let mut body = json!({ "envelope_id": id });
    if let Some(payload) = payload {
        body["payload"] = payload;
    }
    socket.send(Message::text(body.to_string())).await.map_err(|e| format!("an answer could not be sent: {e}"))
}
