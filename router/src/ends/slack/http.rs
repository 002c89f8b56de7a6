//! Calls to Slack over HTTP, one at a time. What fails on the way is classified here; what Slack says, in [`super::answer`].
use super::answer::{self, Answer, Raw, Refusal};
use crate::ends::telemetry;
use reqwest::{Client, RequestBuilder, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{error::Error, time::Duration};
use tokio::time::Instant;

/// The longest that connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest that one call may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// The most of an answer that is read.
const ANSWER_MAX: usize = 8 << 20;

/// Slack over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    api: Url,
    /// [`CALL_MAX`]; shorter in tests.
    pub(super) call_max: Duration,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    Method(&'static str, &'a SecretString),
    Webhook(&'a SecretString),
}

impl Call<'_> {
    /// Its name, for people; a webhook's URL is a secret.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Method(name, _) => name,
            Self::Webhook(_) => "the incoming webhook",
        }
    }
}

/// An answer, and the scopes of the token where Slack names them.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) scopes: Option<String>,
}

impl Http {
    pub(super) fn new(api: &str) -> Result<Self, String> {
        let wrong = |why| format!("the address of Slack's Web API, {api}, is not one: {why}");
        // Joining a name to an address without a slash at its end replaces the last part.
        let api = Url::parse(&format!("{}/", api.trim_end_matches('/'))).map_err(|e| wrong(e.to_string()))?;
        if !matches!(api.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with https://".to_owned()));
        }
        let client = Client::builder()
            .user_agent(format!("findings-router/{}", crate::VERSION))
            .connect_timeout(CONNECT_MAX)
            .redirect(Policy::none())
            .build()
            .map_err(|e| format!("no HTTPS to Slack, {}: are the system's CA certificates installed?", chain(e)))?;
        Ok(Self { client, api, call_max: CALL_MAX })
    }

    /// Makes or changes something. It is given up at `until`, if not before.
    pub(super) async fn write(&self, call: Call<'_>, body: &Value, until: Instant) -> Answer {
        let request = match call {
            Call::Method(method, token) => match self.api.join(method) {
                Ok(url) => self.client.post(url).bearer_auth(token.expose_secret()),
                Err(e) => return Answer::Refused(Refusal::of(e.to_string())),
            },
            Call::Webhook(url) => self.client.post(url.expose_secret()),
        };
        self.exchange(call, request.json(body), until).await.answer
    }

    /// Asks something; Slack does not take JSON where it is asked.
    pub(super) async fn read(
        &self,
        method: &'static str,
        token: &SecretString,
        parameters: &[(&str, &str)],
        until: Instant,
    ) -> Reply {
        let mut url = match self.api.join(method) {
            Ok(url) => url,
            Err(e) => return Reply { answer: Answer::Refused(Refusal::of(e.to_string())), scopes: None },
        };
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let request = self.client.get(url).bearer_auth(token.expose_secret());
        self.exchange(Call::Method(method, token), request, until).await
    }

    async fn exchange(&self, call: Call<'_>, request: RequestBuilder, until: Instant) -> Reply {
        let started = Instant::now();
        let request = request.timeout(self.call_max.min(until.duration_since(started)));
        let reply =
            attempt(call, request).await.unwrap_or_else(|error| Reply { answer: failed(call, error), scopes: None });
        called(call.name(), reply.answer.class(), started.elapsed());
        reply
    }
}

async fn attempt(call: Call<'_>, request: RequestBuilder) -> Result<Reply, reqwest::Error> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    // An answer that is longer is cut, and then is none of Slack's.
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_MAX {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
    let raw = Raw { status: response.status().as_u16(), retry_after: header("retry-after"), body: &body };
    let answer = match call {
        Call::Method(..) => answer::web_api(raw),
        Call::Webhook(_) => answer::webhook(raw),
    };
    Ok(Reply { answer, scopes: header("x-oauth-scopes").map(str::to_owned) })
}

/// Without a connection nothing was sent; after that, nobody knows.
fn failed(call: Call<'_>, error: reqwest::Error) -> Answer {
    if error.is_builder() {
        return Answer::Refused(Refusal::of(format!("{} cannot be called: {}", call.name(), chain(error))));
    }
    let unsure = !error.is_connect();
    let what = if unsure { "gave no answer" } else { "cannot be reached" };
    Answer::Trouble { why: format!("{} {what}: {}", call.name(), chain(error)), unsure, rest: Duration::ZERO }
}

/// An error with its causes, and without the URL, which may be a secret.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What became of every call: the one place to count them.
fn called(method: &'static str, class: &'static str, took: Duration) {
    telemetry::called_slack(method, class, took);
    tracing::debug!(method, class, seconds = took.as_secs_f64(), "called Slack");
}
