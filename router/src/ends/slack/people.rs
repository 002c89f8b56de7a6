//! What the router asks Slack about people, and shows to one of them alone: dialogs, and words that only they see.
use super::{Slack, answer::Answer, http::Call};
use crate::decide::{config::Config, remediation::Person};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Slack waits three seconds for an answer to a click.
const SOON: Duration = Duration::from_millis(2_500);
/// Who is in a group is asked again after this long.
const KNOWN_FOR: Duration = Duration::from_mins(5);

impl Slack {
    /// Who clicked, and which of the groups that may approve they are in.
    pub async fn person(&self, config: &Config, id: &str) -> Person {
        let (mut groups, mut unknown) = (Vec::new(), None);
        for group in approving(config) {
            match self.members(group).await {
                Ok(members) if members.iter().any(|m| m == id) => groups.push(group.clone()),
                Ok(_) => {}
                // One group that is gone says nothing about the others.
                Err(why) => unknown = Some(why),
            }
        }
        let groups = match unknown {
            Some(why) if groups.is_empty() => Err(why),
            _ => Ok(groups),
        };
        Person { id: id.to_owned(), groups }
    }

    /// How many people are in each user group that may approve.
    pub async fn groups_of(&self, config: &Config) -> Vec<(String, Result<usize, String>)> {
        let mut found = Vec::new();
        for group in approving(config) {
            found.push((group.clone(), self.members(group).await.map(|m| m.len())));
        }
        found
    }

    /// The members of a user group.
    async fn members(&self, group: &str) -> Result<Vec<String>, String> {
        let mut known = self.groups.lock().await;
        if let Some((at, members)) = known.get(group).filter(|(at, _)| at.elapsed() < KNOWN_FOR) {
            tracing::trace!(group, age = ?at.elapsed(), "the members of a group are known");
            return Ok(members.clone());
        }
        let token = self.settings.token.as_ref().ok_or("user groups are known to a bot token only")?;
        let reply =
            self.http.read("usergroups.users.list", token, &[("usergroup", group)], Instant::now() + SOON).await;
        let answer = done(reply.answer, group)?;
        let members = answer["users"].as_array().ok_or("Slack's answer names no users")?;
        let members: Vec<String> = members.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        known.insert(group.to_owned(), (Instant::now(), members.clone()));
        Ok(members)
    }

    /// Opens a dialog for whoever clicked a moment ago.
    pub async fn open_dialog(&self, trigger: &str, view: &Value) -> Result<(), String> {
        self.ask_of("views.open", &json!({ "trigger_id": trigger, "view": view }), "the dialog").await
    }

    /// Says something that only one person sees.
    pub async fn whisper(&self, channel: &str, user: &str, text: &str) -> Result<(), String> {
        let body = json!({ "channel": channel, "user": user, "text": text });
        self.ask_of("chat.postEphemeral", &body, channel).await
    }

    /// A connection for Socket Mode.
    pub async fn connection(&self, app_token: &secrecy::SecretString) -> Result<String, String> {
        let call = Call::Method("apps.connections.open", app_token);
        let answer = self.http.write(call, &json!({}), Instant::now() + Duration::from_secs(10)).await;
        let url = done(answer, "Socket Mode")?["url"].as_str().map(str::to_owned);
        url.ok_or_else(|| "Slack's answer names no address for Socket Mode".to_owned())
    }

    async fn ask_of(&self, method: &'static str, body: &Value, about: &str) -> Result<(), String> {
        let token = self.settings.token.as_ref().ok_or("there is no bot token")?;
        done(self.http.write(Call::Method(method, token), body, Instant::now() + SOON).await, about).map(drop)
    }
}

/// The user groups that may approve something.
fn approving(config: &Config) -> BTreeSet<&String> {
    config.remediation.approval.approvers.values().flatten().filter(|a| a.starts_with('S')).collect()
}

/// The answer, or what somebody should mend.
fn done(answer: Answer, about: &str) -> Result<Value, String> {
    match answer {
        Answer::Done(answer) => Ok(answer),
        Answer::Wait(wait) => Err(format!("Slack wants {} s of rest", wait.as_secs())),
        Answer::Trouble { why, .. } | Answer::Gone(why) => Err(why),
        Answer::Payload { error, details } => Err(format!("Slack does not take it: {error} {details}")),
        Answer::Refused(refusal) => Err(format!("Slack refuses ({}): {}", refusal.error, refusal.remedy(about))),
    }
}
