//! What people do in the workspace: they click, fill in dialogs, and are told things that nobody else sees.
use super::{Slack, TEAM, workspace::Message};
use crate::live::http::{ask, status};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{fmt::Write, net::SocketAddr};

/// What the app's requests are signed with.
pub(crate) const SIGNING_SECRET: &str = "the-signing-secret-of-the-double";

/// A request that Slack sent, to be sent again by somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) body: String,
}

/// Slack's v0 signature.
pub(crate) fn sign(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    mac.finalize().into_bytes().iter().fold("v0=".to_owned(), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Signed {
    /// A payload as Slack sends it now.
    pub(crate) fn now(payload: &Value) -> Self {
        Self::at(payload, jiff::Timestamp::now().as_second())
    }

    /// A payload as Slack sent it then.
    pub(crate) fn at(payload: &Value, timestamp: i64) -> Self {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
        Self { timestamp: timestamp.to_string(), signature: sign(SIGNING_SECRET, timestamp, &body), body }
    }

    /// Sends it; gives the status and the answer.
    pub(crate) fn send(&self, to: SocketAddr) -> (u16, String) {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-slack-request-timestamp", self.timestamp.as_str()),
            ("x-slack-signature", &self.signature),
        ];
        let (head, body) = ask(to, "POST", "/slack/interactions", &headers, &self.body).expect("an answer");
        (status(&head), body)
    }
}

/// What is found under a key, wherever it is.
fn all<'v>(value: &'v Value, found: &dyn Fn(&Value) -> bool, out: &mut Vec<&'v Value>) {
    if found(value) {
        out.push(value);
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| all(item, found, out)),
        Value::Object(fields) => fields.values().for_each(|field| all(field, found, out)),
        _ => {}
    }
}

/// The buttons and menus of a message, by their action.
pub(crate) fn actions(message: &Message) -> Vec<&Value> {
    let mut out = Vec::new();
    all(&message.blocks, &|v| v.get("action_id").is_some(), &mut out);
    out
}

impl Slack {
    /// A click on a message's button, as Slack tells the app. Fails where there is no such button.
    #[track_caller]
    pub(crate) fn click(&self, message: &Message, action: &str, user: &str) -> Value {
        let found = actions(message).into_iter().find(|a| a["action_id"] == action).cloned();
        let Some(mut element) = found else { panic!("no button {action} on {:#}", message.blocks) };
        if let Some(options) = element.get("options").cloned() {
            element["selected_option"] = options[0].clone();
        }
        json!({
            "type": "block_actions", "team": { "id": TEAM }, "user": { "id": user, "name": "somebody" },
            "api_app_id": "A00000001", "trigger_id": self.trigger(), "channel": { "id": self.channel_id(&message.channel) },
            "container": { "type": "message", "message_ts": message.ts, "channel_id": self.channel_id(&message.channel) },
            "message": { "ts": message.ts, "text": message.text }, "actions": [element],
        })
    }

    /// The last dialog that was opened is sent off.
    #[track_caller]
    pub(crate) fn submit(&self, user: &str) -> Value {
        let view = self.dialogs().pop().expect("a dialog is open");
        json!({ "type": "view_submission", "team": { "id": TEAM }, "user": { "id": user }, "view": view })
    }

    /// Every dialog that was opened.
    pub(crate) fn dialogs(&self) -> Vec<Value> {
        self.shared.state().workspace.dialogs.clone()
    }

    /// What was said to one person alone: user and text.
    pub(crate) fn whispers(&self) -> Vec<(String, String)> {
        self.shared.state().workspace.whispers.clone()
    }

    /// Puts people into a user group.
    pub(crate) fn group(&self, group: &str, users: &[&str]) {
        let users = users.iter().map(|u| (*u).to_owned()).collect();
        self.shared.state().workspace.groups.insert(group.to_owned(), users);
    }

    /// Where Socket Mode connects to.
    pub(crate) fn socket(&self, url: &str) {
        self.shared.state().workspace.socket = Some(url.to_owned());
    }

    fn trigger(&self) -> String {
        let triggers = &mut self.shared.state().workspace.triggers;
        let id = format!("{}.{}", triggers.len() + 1, TEAM);
        triggers.push((id.clone(), false));
        id
    }
}
