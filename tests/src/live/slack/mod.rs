//! Slack, as far as the router meets it: documented limits, errors and rate limits are enforced, and it fails on command.
mod arguments;
mod blocks;
mod failing;
mod pace;
pub(crate) mod people;
pub(crate) mod socket;
#[cfg(test)]
mod tests;
mod workspace;

use super::http::{Answer, Reply, Request, Server};
use arguments::Arguments;
use failing::Failing;
pub(crate) use failing::{ANY, Failure, When};
use pace::{Key, Pace};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    future::ready,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
pub(crate) use workspace::{Author, Message};
use workspace::{Channel, Refusal, Workspace};

/// The method under which posts to webhooks are logged, paced and made to fail.
pub(crate) const WEBHOOK: &str = "webhook";
/// The bot token that is known.
pub(crate) const TOKEN: &str = "xoxb-the-token-of-the-double";
/// Where the workspace is for people.
pub(crate) const TEAM_URL: &str = "https://double.slack.com/";
const TEAM: &str = "T00000001";
/// The secret part of every webhook.
const HOOK: &str = "the-hook-of-the-double-01";
/// Everything that the router may need.
const SCOPES: [&str; 7] = [
    "chat:write",
    "chat:write.public",
    "channels:read",
    "channels:history",
    "groups:read",
    "groups:history",
    "usergroups:read",
];
/// The app-level token that is known.
pub(crate) const APP_TOKEN: &str = "xapp-the-app-token-of-the-double";

/// One call, and what it got.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Since the server started.
    pub(crate) at: Duration,
    /// The channel's name where it is known, else as it was written.
    pub(crate) channel: Option<String>,
    pub(crate) arguments: Value,
    /// `ok`, Slack's error, or how the call failed; with ` (done)` where it took effect all the same.
    pub(crate) answer: String,
}

#[derive(Default)]
struct State {
    workspace: Workspace,
    pace: Pace,
    failing: Failing,
    calls: Vec<Call>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    started: Instant,
}

impl Shared {
    /// A test that failed while holding it leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A workspace with one app in it. Stops when dropped.
pub(crate) struct Slack {
    shared: Arc<Shared>,
    server: Server,
}

impl Slack {
    /// Starts with these public channels, the app in all of them and with all scopes.
    pub(crate) fn start(channels: &[&str]) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), started: Instant::now() });
        shared.state().workspace.scopes = SCOPES.map(str::to_owned).to_vec();
        let served = Arc::clone(&shared);
        let slack = Self { shared, server: Server::start(move |request| ready(served.serve(&request))) };
        for name in channels {
            slack.add_channel(name);
        }
        slack
    }

    /// Ends with `/`; methods follow.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}/api/", self.server.address())
    }

    /// The incoming webhook of a channel.
    #[track_caller]
    pub(crate) fn webhook_url(&self, channel: &str) -> String {
        format!(
            "http://{}/services/{TEAM}/{}/{HOOK}",
            self.server.address(),
            self.channel_id(channel).replace('C', "B")
        )
    }

    #[track_caller]
    pub(crate) fn channel_id(&self, name: &str) -> String {
        self.shared.state().workspace.named(name).unwrap_or_else(|| panic!("no channel {name}")).id.clone()
    }

    /// Adds a public channel with the app in it.
    pub(crate) fn add_channel(&self, name: &str) {
        let channels = &mut self.shared.state().workspace.channels;
        let id = format!("C{:08}", channels.len() + 1);
        channels.push(Channel { id, name: name.to_owned(), archived: false, private: false, member: true });
    }

    fn change_channel(&self, name: &str, change: impl Fn(&mut Channel)) {
        let mut state = self.shared.state();
        state.workspace.channels.iter_mut().filter(|channel| channel.name == name).for_each(change);
    }

    pub(crate) fn archive(&self, name: &str) {
        self.change_channel(name, |channel| channel.archived = true);
    }

    pub(crate) fn make_private(&self, name: &str) {
        self.change_channel(name, |channel| channel.private = true);
    }

    /// Takes the app out of a channel.
    pub(crate) fn kick(&self, name: &str) {
        self.change_channel(name, |channel| channel.member = false);
    }

    pub(crate) fn revoke_token(&self) {
        self.shared.state().workspace.revoked = true;
    }

    /// The app has these scopes, and no others.
    pub(crate) fn set_scopes(&self, scopes: &[&str]) {
        self.shared.state().workspace.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
    }

    /// From now on Slack's rate limits hold.
    pub(crate) fn limit_rates(&self) {
        self.shared.state().pace.limited = true;
    }

    /// Calls of a method (or [`ANY`]) fail before they have done anything.
    pub(crate) fn fail(&self, method: &str, when: When, failure: Failure) {
        self.shared.state().failing.add(method, when, failure, false);
    }

    /// Calls of a method (or [`ANY`]) do what was asked, and then fail.
    pub(crate) fn fail_when_done(&self, method: &str, when: When, failure: Failure) {
        self.shared.state().failing.add(method, when, failure, true);
    }

    /// Nothing fails on command any more.
    pub(crate) fn recover(&self) {
        self.shared.state().failing.clear();
    }

    /// A person writes; returns the message's `ts`.
    pub(crate) fn say(&self, channel: &str, text: &str) -> String {
        self.shared.state().workspace.say(channel, text)
    }

    #[track_caller]
    fn change_message(&self, ts: &str, change: impl Fn(&mut Message)) {
        change(self.shared.state().workspace.message(ts).unwrap_or_else(|| panic!("no message {ts}")));
    }

    /// A person deletes a message.
    #[track_caller]
    pub(crate) fn delete(&self, ts: &str) {
        self.change_message(ts, |message| message.deleted = true);
    }

    /// A message becomes too old to be edited.
    #[track_caller]
    pub(crate) fn age(&self, ts: &str) {
        self.change_message(ts, |message| message.old = true);
    }

    /// Every message in the order of posting, the deleted ones too.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.shared.state().workspace.messages.clone()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.clone()
    }

    /// Calls that came before their `Retry-After` had passed.
    pub(crate) fn undercut(&self) -> Vec<String> {
        self.shared.state().pace.undercut.clone()
    }

    /// Waits until the messages are as wanted; if they never are, fails with what there is instead.
    #[track_caller]
    pub(crate) fn wait_until(&self, timeout: Duration, wanted: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        let not_yet = |state: &mut State| !wanted(&state.workspace.messages);
        let result = self.shared.changed.wait_timeout_while(self.shared.state(), timeout, not_yet);
        let (state, time) = result.unwrap_or_else(PoisonError::into_inner);
        let messages = state.workspace.messages.clone();
        drop(state);
        assert!(!time.timed_out(), "not as wanted after {timeout:?}\n{}", self.dump());
        messages
    }

    /// The messages and the last calls, for people.
    pub(crate) fn dump(&self) -> String {
        let state = self.shared.state();
        let mut text = format!("{} messages:\n", state.workspace.messages.len());
        for message in &state.workspace.messages {
            let marks = [("deleted ", message.deleted), ("broadcast ", message.broadcast), ("old ", message.old)];
            let marks: String = marks.iter().filter(|(_, set)| *set).map(|(mark, _)| *mark).collect();
            let thread = message.thread_ts.as_ref().map(|ts| format!(" in {ts}")).unwrap_or_default();
            let Message { channel, ts, edits, text: said, .. } = message;
            let _ = writeln!(text, "  #{channel} {ts}{thread} {marks}edits={edits} {said:?}");
        }
        let _ = writeln!(text, "{} calls, the last:", state.calls.len());
        for call in state.calls.iter().skip(state.calls.len().saturating_sub(30)) {
            let Call { method, at, channel, answer, .. } = call;
            let _ = writeln!(text, "  {at:?} {method} {} -> {answer}", channel.as_deref().unwrap_or(""));
        }
        text
    }
}

/// What was asked of which part of Slack.
enum Asked {
    Method(String, Result<Arguments, Refusal>),
    /// To the channel with this name.
    Hook(String, Option<Arguments>),
}

impl Shared {
    fn serve(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let reply = state.serve(request, self.started);
        drop(state);
        self.changed.notify_all();
        reply
    }
}

impl State {
    fn serve(&mut self, request: &Request, started: Instant) -> Reply {
        let asked = match self.asked(request) {
            Ok(asked) => asked,
            Err(answer) => return Reply::Answer(answer),
        };
        let (method, arguments, channel) = match &asked {
            Asked::Method(method, arguments) => {
                let arguments = arguments.as_ref().map(|arguments| arguments.0.clone()).unwrap_or_default();
                let channel = arguments.get("channel").and_then(Value::as_str);
                let name =
                    channel.map(|name| self.workspace.named(name).map_or(name, |channel| &channel.name).to_owned());
                (method.clone(), arguments, name)
            }
            Asked::Hook(channel, arguments) => {
                let arguments = arguments.as_ref().map(|arguments| arguments.0.clone()).unwrap_or_default();
                (WEBHOOK.to_owned(), arguments, Some(channel.clone()))
            }
        };
        let per_channel = method == "chat.postMessage" || method == WEBHOOK;
        let key: Key = (method.clone(), channel.clone().filter(|_| per_channel));
        let now = Instant::now();
        let (answer, reply) = match self.pace.admit(&key, now) {
            Err(seconds) => ("HTTP 429".to_owned(), Reply::Answer(rate_limited(seconds))),
            Ok(()) => match self.failing.next(&method, now) {
                None => {
                    let (word, answer) = self.act(asked, request);
                    (word, Reply::Answer(answer))
                }
                Some((failure, done)) => {
                    if done {
                        self.act(asked, request);
                    }
                    if let Failure::RateLimited(seconds) = failure {
                        self.pace.block(&key, seconds, now);
                    }
                    fail(&failure, done, method == WEBHOOK)
                }
            },
        };
        let at = now.duration_since(started);
        self.calls.push(Call { method, at, channel, arguments: Value::Object(arguments), answer });
        reply
    }

    fn asked(&self, request: &Request) -> Result<Asked, Answer> {
        if let Some(method) = request.path.strip_prefix("/api/") {
            return Ok(Asked::Method(method.to_owned(), Arguments::read(request)));
        }
        let parts: Vec<&str> = request.path.split('/').skip(1).collect();
        let ["services", team, hook, secret] = parts[..] else { return Err(Answer::text(404, "not found")) };
        let channel = self.workspace.channels.iter().find(|channel| channel.id.replace('C', "B") == hook);
        match channel {
            _ if request.method != "POST" => Err(Answer::text(400, "invalid_payload")),
            _ if team != TEAM => Err(Answer::text(404, "no_team")),
            None => Err(Answer::text(404, "no_service")),
            Some(_) if secret != HOOK => Err(Answer::text(403, "invalid_token")),
            Some(channel) => Ok(Asked::Hook(channel.name.clone(), Arguments::read_hook(request))),
        }
    }

    /// The word for the log, and the answer.
    fn act(&mut self, asked: Asked, request: &Request) -> (String, Answer) {
        match asked {
            Asked::Method(method, arguments) => {
                let token = request.headers.get("authorization").map(String::as_str);
                let result = arguments.and_then(|arguments| self.workspace.call(&method, token, &arguments));
                let (word, mut body) = match result {
                    Ok(body) => ("ok".to_owned(), body),
                    Err(Refusal { error, more }) => (error, Value::Object(more)),
                };
                body["ok"] = json!(word == "ok");
                if word != "ok" {
                    body["error"] = json!(word);
                }
                let answer = Answer::json(200, &body);
                // Slack tells the scopes of those it knows.
                let unknown = ["not_authed", "invalid_auth", "token_revoked"].contains(&word.as_str());
                let scopes = self.workspace.scopes.join(",");
                (word, if unknown { answer } else { answer.header("x-oauth-scopes", scopes) })
            }
            Asked::Hook(channel, arguments) => {
                let done = match arguments {
                    Some(arguments) => self.workspace.hook(&channel, &arguments),
                    None => Err((400, "invalid_payload".to_owned())),
                };
                let (status, word) = done.err().unwrap_or((200, "ok".to_owned()));
                (word.clone(), Answer::text(status, word))
            }
        }
    }
}

fn rate_limited(seconds: u64) -> Answer {
    Answer::json(429, &json!({ "ok": false, "error": "ratelimited" })).header("retry-after", seconds.to_string())
}

/// A failure on command.
fn fail(failure: &Failure, done: bool, hook: bool) -> (String, Reply) {
    let (word, reply) = match failure {
        Failure::Http(status) => (format!("HTTP {status}"), Reply::Answer(Answer::text(*status, "upstream failed"))),
        Failure::RateLimited(seconds) => ("HTTP 429".to_owned(), Reply::Answer(rate_limited(*seconds))),
        Failure::Error(error) if hook => ((*error).to_owned(), Reply::Answer(Answer::text(400, *error))),
        Failure::Error(error) => {
            ((*error).to_owned(), Reply::Answer(Answer::json(200, &json!({ "ok": false, "error": error }))))
        }
        Failure::Silence(time) => ("silence".to_owned(), Reply::Silence(*time)),
        Failure::Reset => ("reset".to_owned(), Reply::Reset),
        Failure::Garbage => ("garbage".to_owned(), Reply::Answer(Answer::text(200, "{\"ok\":true,\"chan"))),
    };
    (if done { format!("{word} (done)") } else { word }, reply)
}
