//! The workspace: its channels and messages, and what the methods of the Web API do to them.
use super::{arguments::Arguments, blocks};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longer texts of new messages are cut here.
const TEXT_MAX: usize = 40_000;
/// Longer texts of edits are refused.
const EDIT_MAX: usize = 4_000;
const ATTACHMENTS_MAX: usize = 100;
const METADATA_MAX: usize = 16_384;
const PAGE_MAX: usize = 999;

/// A message as people see it now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// The channel's name, without `#`.
    pub(crate) channel: String,
    pub(crate) ts: String,
    /// The parent's `ts`, of a reply.
    pub(crate) thread_ts: Option<String>,
    pub(crate) author: Author,
    pub(crate) text: String,
    /// Null where there are none; so are attachments and metadata.
    pub(crate) blocks: Value,
    pub(crate) attachments: Value,
    pub(crate) metadata: Value,
    /// How often it was edited.
    pub(crate) edits: usize,
    /// A reply that is also shown in the channel.
    pub(crate) broadcast: bool,
    pub(crate) deleted: bool,
    /// Too old to be edited.
    pub(crate) old: bool,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    App,
    Webhook,
    Person,
}

#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) archived: bool,
    pub(super) private: bool,
    /// Whether the app is in it.
    pub(super) member: bool,
}

impl Channel {
    fn json(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "is_channel": !self.private, "is_group": self.private,
            "is_private": self.private, "is_archived": self.archived, "is_member": self.member })
    }
}

/// Why a method was refused: Slack's error, and what else its answer says.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) more: Map<String, Value>,
}

impl From<&str> for Refusal {
    fn from(error: &str) -> Self {
        Self { error: error.to_owned(), more: Map::new() }
    }
}

impl Refusal {
    fn with(error: &str, more: Value) -> Self {
        let Value::Object(more) = more else { unreachable!("an object") };
        Self { error: error.to_owned(), more }
    }

    fn told(error: &str, messages: &[String]) -> Self {
        Self::with(error, json!({ "errors": messages, "response_metadata": { "messages": messages } }))
    }
}

/// What the body of a message may hold.
struct Content {
    text: Option<String>,
    blocks: Option<Value>,
    attachments: Option<Value>,
    metadata: Option<Value>,
}

#[derive(Default)]
pub(super) struct Workspace {
    pub(super) revoked: bool,
    pub(super) scopes: Vec<String>,
    pub(super) channels: Vec<Channel>,
    pub(super) messages: Vec<Message>,
    /// Dialogs that were opened, newest last.
    pub(super) dialogs: Vec<Value>,
    /// What was said to one person alone.
    pub(super) whispers: Vec<(String, String)>,
    /// The members of user groups.
    pub(super) groups: BTreeMap<String, Vec<String>>,
    /// Clicks that a dialog can be opened for, and whether one was.
    pub(super) triggers: Vec<(String, bool)>,
    /// Where Socket Mode connects to.
    pub(super) socket: Option<String>,
    /// The last `ts`, in microseconds.
    last: u64,
}

impl Workspace {
    /// Does what a method asks of a client with this `Authorization`.
    pub(super) fn call(&mut self, method: &str, token: Option<&str>, args: &Arguments) -> Result<Value, Refusal> {
        match token.and_then(|token| token.strip_prefix("Bearer ")) {
            None => return Err("not_authed".into()),
            Some(super::APP_TOKEN) => {
                return match (method, &self.socket) {
                    ("apps.connections.open", Some(url)) => Ok(json!({ "url": url })),
                    ("apps.connections.open", None) => Err("internal_error".into()),
                    _ => Err("not_allowed_token_type".into()),
                };
            }
            Some(super::TOKEN) if self.revoked => return Err("token_revoked".into()),
            Some(super::TOKEN) => {}
            Some(_) => return Err("invalid_auth".into()),
        }
        match method {
            "auth.test" => {
                Ok(json!({ "url": super::TEAM_URL, "team": "Double", "user": "findings", "team_id": super::TEAM,
                "user_id": "U00000001", "bot_id": "B00000001", "is_enterprise_install": false }))
            }
            "chat.postMessage" => self.post(args),
            "chat.update" => self.update(args),
            "chat.postEphemeral" => {
                self.need("chat:write")?;
                let (user, text) = (args.required("user")?, args.required("text")?);
                self.channel(args)?;
                self.whispers.push((user, text));
                Ok(json!({ "message_ts": self.next_ts() }))
            }
            "usergroups.users.list" => {
                self.need("usergroups:read")?;
                let group = args.required("usergroup")?;
                let users = self.groups.get(&group).ok_or("no_such_subteam")?;
                Ok(json!({ "users": users }))
            }
            "views.open" => self.open(args),
            "chat.getPermalink" => self.permalink(args),
            "conversations.info" => {
                let channel = self.channel(args)?;
                self.need(if channel.private { "groups:read" } else { "channels:read" })?;
                Ok(json!({ "channel": channel.json() }))
            }
            "conversations.list" => self.list(args),
            "conversations.history" => self.history(args),
            "conversations.replies" => self.replies(args),
            _ => Err(Refusal::with("unknown_method", json!({ "req_method": method }))),
        }
    }

    /// What an incoming webhook of a channel does with a body.
    pub(super) fn hook(&mut self, channel: &str, args: &Arguments) -> Result<(), (u16, String)> {
        let to = self.named(channel).cloned().ok_or((404, "channel_not_found".to_owned()))?;
        if to.archived {
            return Err((410, "channel_is_archived".to_owned()));
        }
        let refused = |refusal: Refusal| (400, refusal.error);
        let content = content(args).map_err(refused)?;
        // Webhooks are not told where a thread is, so they take the reference as it is.
        let thread = args.text("thread_ts");
        self.add(&to.name, thread, false, Author::Webhook, content).map_err(refused)?;
        Ok(())
    }

    /// The channel with this name, with or without `#`, or id.
    pub(super) fn named(&self, name: &str) -> Option<&Channel> {
        let name = name.strip_prefix('#').unwrap_or(name);
        self.channels.iter().find(|channel| channel.id == name || channel.name == name)
    }

    pub(super) fn message(&mut self, ts: &str) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.ts == ts)
    }

    /// Writes as a person does.
    pub(super) fn say(&mut self, channel: &str, text: &str) -> String {
        let content = Content { text: Some(text.to_owned()), blocks: None, attachments: None, metadata: None };
        self.add(channel, None, false, Author::Person, content).expect("a text is enough")
    }

    fn need(&self, scope: &str) -> Result<(), Refusal> {
        if self.scopes.iter().any(|have| have == scope) {
            return Ok(());
        }
        Err(Refusal::with("missing_scope", json!({ "needed": scope, "provided": self.scopes.join(",") })))
    }

    /// The channel that is asked for, by id: only posting knows names.
    fn channel(&self, args: &Arguments) -> Result<&Channel, Refusal> {
        let id = args.required("channel")?;
        let known = self.channels.iter().find(|channel| channel.id == id);
        known.filter(|channel| channel.member || !channel.private).ok_or_else(|| "channel_not_found".into())
    }

    fn post(&mut self, args: &Arguments) -> Result<Value, Refusal> {
        self.need("chat:write")?;
        let name = args.required("channel")?;
        let channel = self.named(&name).filter(|channel| channel.member || !channel.private);
        let channel = channel.ok_or("channel_not_found")?.clone();
        if channel.archived {
            return Err("is_archived".into());
        }
        if !channel.member && self.need("chat:write.public").is_err() {
            return Err("not_in_channel".into());
        }
        let content = content(args)?;
        let broadcast = args.flag("reply_broadcast");
        let ts = self.add(&channel.name, args.text("thread_ts"), broadcast, Author::App, content)?;
        Ok(json!({ "channel": channel.id, "ts": ts, "message": self.shown(&ts, true) }))
    }

    fn add(
        &mut self,
        channel: &str,
        thread_ts: Option<String>,
        broadcast: bool,
        author: Author,
        content: Content,
    ) -> Result<String, Refusal> {
        let blank = |value: &Option<Value>| value.as_ref().and_then(Value::as_array).is_none_or(Vec::is_empty);
        let text = content.text.unwrap_or_default();
        if text.is_empty() && blank(&content.blocks) && blank(&content.attachments) {
            return Err("no_text".into());
        }
        if let Some(parent) = &thread_ts {
            let mut here = self.messages.iter().filter(|message| message.channel == channel);
            let found = here.clone().find(|message| message.ts == *parent).ok_or("thread_not_found")?;
            if found.thread_ts.is_some() {
                return Err("cannot_reply_to_message".into());
            }
            // What was deleted stays as a tombstone while there are replies to it.
            let is_reply = |message: &Message| message.thread_ts.as_ref() == Some(parent) && !message.deleted;
            if found.deleted && !here.any(is_reply) {
                return Err("thread_not_found".into());
            }
        }
        let ts = self.next_ts();
        self.messages.push(Message {
            channel: channel.to_owned(),
            ts: ts.clone(),
            broadcast: broadcast && thread_ts.is_some(),
            thread_ts,
            author,
            text: text.chars().take(TEXT_MAX).collect(),
            blocks: content.blocks.unwrap_or_default(),
            attachments: content.attachments.unwrap_or_default(),
            metadata: content.metadata.unwrap_or_default(),
            edits: 0,
            deleted: false,
            old: false,
        });
        Ok(ts)
    }

    fn update(&mut self, args: &Arguments) -> Result<Value, Refusal> {
        self.need("chat:write")?;
        let ts = args.required("ts")?;
        let channel = self.channel(args)?.clone();
        let content = content(args)?;
        if content.text.is_none() && content.blocks.is_none() && content.attachments.is_none() {
            return Err("no_text".into());
        }
        if content.text.as_deref().is_some_and(|text| blocks::length(text) > EDIT_MAX) {
            return Err("msg_too_long".into());
        }
        let message = self.message(&ts).filter(|message| message.channel == channel.name && !message.deleted);
        let message = message.ok_or("message_not_found")?;
        if message.author != Author::App {
            return Err("cant_update_message".into());
        }
        if channel.archived {
            return Err("is_inactive".into());
        }
        if message.old {
            return Err("edit_window_closed".into());
        }
        // A text without blocks takes the old blocks away; metadata stays unless it is sent.
        message.text = content.text.unwrap_or_default();
        message.blocks = content.blocks.unwrap_or_default();
        message.attachments = content.attachments.unwrap_or_default();
        message.metadata = content.metadata.unwrap_or(message.metadata.take());
        message.broadcast |= message.thread_ts.is_some() && args.flag("reply_broadcast");
        message.edits += 1;
        let text = message.text.clone();
        Ok(json!({ "channel": channel.id, "ts": ts, "text": text, "message": self.shown(&ts, true) }))
    }

    /// A dialog, for a click that it was not opened for yet.
    fn open(&mut self, args: &Arguments) -> Result<Value, Refusal> {
        let trigger = args.required("trigger_id")?;
        let view = args.structure("view").ok().flatten().ok_or("invalid_arguments")?;
        let known = self.triggers.iter_mut().find(|(id, _)| *id == trigger);
        let (_, used) = known.ok_or("invalid_trigger_id")?;
        if std::mem::replace(used, true) {
            return Err("exchanged_trigger_id".into());
        }
        let mut faults = blocks::faults(&view["blocks"], "/view/blocks");
        for (key, needed) in [("title", true), ("submit", false), ("close", false)] {
            let text = view[key]["text"].as_str().filter(|_| view[key]["type"] == "plain_text");
            let fits = text.is_some_and(|text| (1..=24).contains(&blocks::length(text)));
            if !fits && (needed || view.get(key).is_some()) {
                faults.push(format!("[ERROR] must be 1 to 24 characters of plain_text [json-pointer:/view/{key}]"));
            }
        }
        if view["private_metadata"].as_str().is_some_and(|kept| kept.len() > 3_000) || view["type"] != "modal" {
            faults.push("[ERROR] not a dialog [json-pointer:/view]".to_owned());
        }
        if !faults.is_empty() {
            return Err(Refusal::told("invalid_arguments", &faults));
        }
        self.dialogs.push(view.clone());
        Ok(json!({ "view": view }))
    }

    fn permalink(&self, args: &Arguments) -> Result<Value, Refusal> {
        let ts = args.required("message_ts")?;
        let channel = self.channel(args)?;
        let found = self.messages.iter().find(|message| message.ts == ts && message.channel == channel.name);
        let message = found.filter(|message| !message.deleted).ok_or("message_not_found")?;
        let place = format!("{}archives/{}/p{}", super::TEAM_URL, channel.id, ts.replace('.', ""));
        let thread = message.thread_ts.as_ref().map(|parent| format!("?thread_ts={parent}&cid={}", channel.id));
        Ok(json!({ "channel": channel.id, "permalink": place + &thread.unwrap_or_default() }))
    }

    fn list(&self, args: &Arguments) -> Result<Value, Refusal> {
        self.need("channels:read")?;
        let types = args.text("types").unwrap_or_else(|| "public_channel".to_owned());
        let wanted = |channel: &&Channel| {
            let kind = if channel.private { "private_channel" } else { "public_channel" };
            types.split(',').any(|name| name.trim() == kind)
                && (channel.member || !channel.private)
                && !(channel.archived && args.flag("exclude_archived"))
        };
        page("channels", self.channels.iter().filter(wanted).map(Channel::json).collect(), args)
    }

    /// What is in a channel, newest first; of the replies only those that were broadcast.
    fn history(&self, args: &Arguments) -> Result<Value, Refusal> {
        let channel = self.readable(args)?;
        let range = Range::of(args)?;
        let shown = |message: &&Message| {
            message.channel == channel.name
                && (message.thread_ts.is_none() || message.broadcast)
                && (!message.deleted || self.replied(message))
                && range.holds(&message.ts)
        };
        let metadata = args.flag("include_all_metadata");
        let found = self.messages.iter().rev().filter(shown).map(|message| self.shown(&message.ts, metadata));
        page("messages", found.collect(), args)
    }

    /// A thread: its parent, then the replies in their order.
    fn replies(&self, args: &Arguments) -> Result<Value, Refusal> {
        let ts = args.required("ts")?;
        let channel = self.readable(args)?;
        let range = Range::of(args)?;
        let here = || self.messages.iter().filter(|message| message.channel == channel.name);
        let found = here().find(|message| message.ts == ts).ok_or("thread_not_found")?;
        if found.deleted && !self.replied(found) {
            return Err("thread_not_found".into());
        }
        let parent = found.thread_ts.as_ref().unwrap_or(&ts);
        let reply = |message: &&Message| {
            message.thread_ts.as_ref() == Some(parent) && !message.deleted && range.holds(&message.ts)
        };
        let metadata = args.flag("include_all_metadata");
        let all = here().filter(|message| message.ts == *parent).chain(here().filter(reply));
        page("messages", all.map(|message| self.shown(&message.ts, metadata)).collect(), args)
    }

    fn readable(&self, args: &Arguments) -> Result<&Channel, Refusal> {
        let channel = self.channel(args)?;
        self.need(if channel.private { "groups:history" } else { "channels:history" })?;
        if channel.member { Ok(channel) } else { Err("not_in_channel".into()) }
    }

    fn replied(&self, parent: &Message) -> bool {
        self.messages.iter().any(|message| message.thread_ts.as_ref() == Some(&parent.ts) && !message.deleted)
    }

    /// A message as the API shows it.
    fn shown(&self, ts: &str, metadata: bool) -> Value {
        let Some(message) = self.messages.iter().find(|message| message.ts == ts) else { return Value::Null };
        if message.deleted {
            return json!({ "type": "message", "subtype": "tombstone", "text": "This message was deleted.", "ts": ts,
                "thread_ts": ts, "user": "USLACKBOT", "hidden": true });
        }
        let mut shown = json!({ "type": "message", "text": message.text, "ts": ts });
        match message.author {
            Author::App => {
                shown["user"] = json!("U00000001");
                shown["bot_id"] = json!("B00000001");
            }
            Author::Webhook => {
                shown["subtype"] = json!("bot_message");
                shown["bot_id"] = json!("B00000002");
            }
            Author::Person => shown["user"] = json!("U00000002"),
        }
        let metadata = Some(&message.metadata).filter(|_| metadata).unwrap_or(&Value::Null);
        let parts = [("blocks", &message.blocks), ("attachments", &message.attachments), ("metadata", metadata)];
        for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_null()) {
            shown[name] = value.clone();
        }
        if message.edits > 0 {
            shown["edited"] = json!({ "user": "U00000001", "ts": ts });
        }
        if message.broadcast {
            shown["subtype"] = json!("thread_broadcast");
        }
        let replies = self.messages.iter().filter(|reply| reply.thread_ts.as_deref() == Some(ts) && !reply.deleted);
        match (&message.thread_ts, replies.count()) {
            (Some(parent), _) => shown["thread_ts"] = json!(parent),
            (None, 0) => {}
            (None, count) => {
                shown["thread_ts"] = json!(ts);
                shown["reply_count"] = json!(count);
            }
        }
        shown
    }

    fn next_ts(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        self.last = (self.last + 1).max(u64::try_from(now.as_micros()).expect("it is before the year 500,000"));
        format!("{}.{:06}", self.last / 1_000_000, self.last % 1_000_000)
    }
}

/// What a message is to hold, judged.
fn content(args: &Arguments) -> Result<Content, Refusal> {
    let blocks = args.structure("blocks").map_err(|()| "invalid_blocks_format")?;
    let attachments = args.structure("attachments").map_err(|()| "invalid_attachments")?;
    let metadata = args.structure("metadata").map_err(|()| "invalid_metadata_format")?;
    let mut faults = blocks.as_ref().map(|blocks| blocks::faults(blocks, "/blocks")).unwrap_or_default();
    for (i, attachment) in attachments.as_ref().and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(blocks) = attachment.get("blocks") {
            faults.extend(blocks::faults(blocks, &format!("/attachments/{i}/blocks")));
        }
    }
    if !faults.is_empty() {
        return Err(Refusal::told("invalid_blocks", &faults));
    }
    if attachments.as_ref().and_then(Value::as_array).is_some_and(|list| list.len() > ATTACHMENTS_MAX) {
        return Err("too_many_attachments".into());
    }
    if let Some(metadata) = &metadata {
        let known = metadata["event_type"].is_string() && metadata["event_payload"].is_object();
        // An empty one takes away what there was.
        if !known && *metadata != json!({}) {
            return Err("invalid_metadata_format".into());
        }
        if metadata.to_string().len() > METADATA_MAX {
            return Err("metadata_too_large".into());
        }
    }
    Ok(Content { text: args.text("text"), blocks, attachments, metadata })
}

/// Some of many, and how to ask for the rest.
fn page(name: &str, all: Vec<Value>, args: &Arguments) -> Result<Value, Refusal> {
    let limit = args.text("limit").map_or(Ok(100), |limit| limit.parse());
    let limit: usize = limit.ok().filter(|limit| (1..=PAGE_MAX).contains(limit)).ok_or("invalid_limit")?;
    let cursor = args.text("cursor").filter(|cursor| !cursor.is_empty());
    let from = cursor.map_or(Ok(0), |cursor| cursor.trim_start_matches("from-").parse::<usize>());
    let from = from.map_err(|_| "invalid_cursor")?;
    let more = all.len() > from + limit;
    let next = if more { format!("from-{}", from + limit) } else { String::new() };
    let some: Vec<Value> = all.into_iter().skip(from).take(limit).collect();
    Ok(json!({ name: some, "has_more": more, "response_metadata": { "next_cursor": next } }))
}

/// The times that are asked for.
struct Range {
    oldest: u64,
    latest: u64,
    inclusive: bool,
}

impl Range {
    fn of(args: &Arguments) -> Result<Self, Refusal> {
        let time = |name, else_| args.text(name).map_or(Some(else_), |ts| micros(&ts));
        Ok(Self {
            oldest: time("oldest", 0).ok_or("invalid_ts_oldest")?,
            latest: time("latest", u64::MAX).ok_or("invalid_ts_latest")?,
            inclusive: args.flag("inclusive"),
        })
    }

    fn holds(&self, ts: &str) -> bool {
        let at = micros(ts).unwrap_or_default();
        (self.oldest < at && at < self.latest) || (self.inclusive && (at == self.oldest || at == self.latest))
    }
}

/// The microseconds of a `ts`, whose fraction may be short or missing.
fn micros(ts: &str) -> Option<u64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let fraction = format!("{fraction:0<6}");
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction.get(..6)?.parse().ok()?)
}
