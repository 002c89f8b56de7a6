//! What Slack's answers mean. Every answer is classified here and nowhere else, by the table below.
use serde_json::Value;
use std::time::Duration;

/// How long to wait where Slack says *too many* but not how long.
const WAIT: Duration = Duration::from_secs(30);

/// What came back, before it is understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// It is done; the body, for what it names.
    Done(Value),
    /// Too many calls: not done, and nothing like it before this has passed.
    Wait(Duration),
    /// Slack's trouble, which passes; `unsure`: it may have been done all the same. Nothing like it before the rest is over.
    Trouble { why: String, unsure: bool, rest: Duration },
    /// The message to edit or to reply to cannot be edited or replied to any more.
    Gone(String),
    /// Slack does not take the message as it is; the details say where.
    Payload { error: String, details: String },
    /// No, and asking again does not help.
    Refused(Refusal),
}

impl Answer {
    /// The word used in metrics.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Wait(_) => "wait",
            Self::Trouble { unsure: false, .. } => "trouble",
            Self::Trouble { unsure: true, .. } => "unsure",
            Self::Gone(_) => "gone",
            Self::Payload { .. } => "payload",
            Self::Refused(_) => "refused",
        }
    }
}

/// Why Slack says no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Slack's word for it.
    pub(super) error: String,
    /// The scopes that the call needs, where that is what is missing.
    pub(super) needed: String,
    /// The scopes that the token has.
    pub(super) provided: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Wait,
    Passing,
    /// Slack's manual: "some aspect of the operation" may have succeeded.
    HalfDone,
    Gone,
    Payload,
}

/// Errors by class. What is not here is refused: an unknown word must come to a person, not be tried for ever.
const CLASSES: &[(Class, &[&str])] = &[
    (Class::Wait, &["ratelimited", "rate_limited"]),
    (Class::Passing, &["request_timeout", "team_added_to_org"]),
    (Class::HalfDone, &["internal_error", "fatal_error", "service_unavailable", "rollup_error"]),
    (
        Class::Gone,
        &[
            "message_not_found",
            "thread_not_found",
            "cant_update_message",
            "edit_window_closed",
            "block_mismatch",
            "update_failed",
            "is_inactive",
            "cannot_reply_to_message",
            "restricted_action_thread_locked",
            "restricted_action_non_threadable_channel",
        ],
    ),
    (
        Class::Payload,
        &[
            "no_text",
            "msg_too_long",
            "msg_blocks_too_long",
            "invalid_blocks",
            "invalid_blocks_format",
            "invalid_attachments",
            "too_many_attachments",
            "metadata_too_large",
            "invalid_metadata_format",
            "invalid_metadata_schema",
            "markdown_text_conflict",
            "invalid_arguments",
            "invalid_json",
            "invalid_payload",
        ],
    ),
];

/// What to do about a refusal; `{c}` stands for the channel. The webhook's words are among them.
const REMEDIES: &[(&[&str], &str)] = &[
    (
        &["channel_not_found", "not_in_channel"],
        "check the name, and invite the app: /invite @app in {c}; for public channels the scope chat:write.public does too",
    ),
    (
        &["invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"],
        "the bot token is not valid (any more): install the app again and store the new token (xoxb-…) where the configuration refers to",
    ),
    (
        &["not_allowed_token_type"],
        "this is no bot token: take the \"Bot User OAuth Token\" (xoxb-…) of the app's page \"OAuth & Permissions\"",
    ),
    (
        &["no_permission", "access_denied", "team_access_not_granted", "ekm_access_denied", "org_login_required"],
        "the workspace does not let the app do this: ask a workspace administrator",
    ),
    (&["is_archived", "channel_is_archived"], "{c} is archived: unarchive it, or route to another channel"),
    (
        &[
            "restricted_action",
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "posting_to_general_channel_denied",
            "action_prohibited",
        ],
        "not everybody may post in {c}: allow the app to in the channel's settings, or route to another channel",
    ),
    (&["message_limit_exceeded"], "the workspace's limit of messages is reached: ask a workspace administrator"),
    (
        &["no_service", "no_service_id", "no_team", "team_disabled", "invalid_token", "user_not_found"],
        "the webhook is not valid (any more): make a new one on the app's page \"Incoming Webhooks\" and store its URL",
    ),
];

impl Refusal {
    pub(super) fn of(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// What to do about it.
    pub(super) fn remedy(&self, channel: &str) -> String {
        if self.error == "missing_scope" {
            let has = if self.provided.is_empty() { "no scope".to_owned() } else { self.provided.replace(',', ", ") };
            return format!(
                "the bot token lacks the scope {} (it has {has}): add it under \"OAuth & Permissions\" and install the app again",
                self.needed.replace(',', ", "),
            );
        }
        let known = REMEDIES.iter().find(|(errors, _)| errors.contains(&self.error.as_str()));
        known
            .map_or("look it up in Slack's list of errors of this method", |(_, remedy)| remedy)
            .replace("{c}", channel)
    }
}

/// What an answer of the Web API means: 200 says nothing, `ok` and `error` do.
pub(super) fn web_api(raw: Raw<'_>) -> Answer {
    if let Some(answer) = by_status(raw) {
        return answer;
    }
    let Ok(body) = serde_json::from_slice::<Value>(raw.body) else { return not_slack(raw.status) };
    let text = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    match body["ok"].as_bool() {
        Some(true) => Answer::Done(body),
        Some(false) => {
            let refusal = Refusal { error: text("/error"), needed: text("/needed"), provided: text("/provided") };
            let details = body.pointer("/response_metadata/messages").map(ToString::to_string).unwrap_or_default();
            by_error(refusal, details, raw.retry_after)
        }
        None => not_slack(raw.status),
    }
}

/// What an answer of an incoming webhook means: `ok`, or a status and a word.
pub(super) fn webhook(raw: Raw<'_>) -> Answer {
    if let Some(answer) = by_status(raw) {
        return answer;
    }
    match std::str::from_utf8(raw.body).map(str::trim) {
        Ok("ok") if raw.status == 200 => Answer::Done(Value::Null),
        Ok(word) if raw.status != 200 && is_word(word) => by_error(Refusal::of(word), String::new(), raw.retry_after),
        _ => not_slack(raw.status),
    }
}

fn by_status(raw: Raw<'_>) -> Option<Answer> {
    match raw.status {
        429 => Some(Answer::Wait(rest(raw.retry_after).unwrap_or(WAIT))),
        500.. => {
            let rest = rest(raw.retry_after).unwrap_or_default();
            Some(Answer::Trouble { why: format!("Slack answered HTTP {}", raw.status), unsure: true, rest })
        }
        _ => None,
    }
}

fn by_error(refusal: Refusal, details: String, retry_after: Option<&str>) -> Answer {
    let error = refusal.error.as_str();
    let class = CLASSES.iter().find(|(_, errors)| errors.contains(&error)).map(|(class, _)| class);
    let said = rest(retry_after);
    let trouble =
        |unsure| Answer::Trouble { why: format!("Slack answered {error}"), unsure, rest: said.unwrap_or_default() };
    match class {
        Some(Class::Wait) => Answer::Wait(said.unwrap_or(WAIT)),
        Some(Class::Passing) => trouble(false),
        Some(Class::HalfDone) => trouble(true),
        Some(Class::Gone) => Answer::Gone(refusal.error),
        Some(Class::Payload) => Answer::Payload { error: refusal.error, details },
        None => Answer::Refused(refusal),
    }
}

/// An answer in no words of Slack's. A success may have been garbled on its way; anything else did not come from Slack.
fn not_slack(status: u16) -> Answer {
    match status {
        200..300 => Answer::Trouble {
            why: "the answer is not Slack's: a proxy between?".to_owned(),
            unsure: true,
            rest: Duration::ZERO,
        },
        _ => Answer::Refused(Refusal::of(format!("HTTP {status}, not in Slack's words: is the address right?"))),
    }
}

/// What `Retry-After` says, never less; a date, which Slack does not send, is none.
fn rest(retry_after: Option<&str>) -> Option<Duration> {
    let digits = retry_after.map(str::trim).filter(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()));
    // More digits than fit are a very long time, not a missing one.
    digits.map(|s| Duration::from_secs(u64::from(s.parse::<u32>().unwrap_or(u32::MAX))))
}

fn is_word(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(answer: &Answer) -> String {
        match answer {
            Answer::Wait(wait) => format!("wait {}", wait.as_secs()),
            Answer::Trouble { rest, .. } if !rest.is_zero() => format!("{} {}", answer.class(), rest.as_secs()),
            answer => answer.class().to_owned(),
        }
    }

    #[test]
    fn answers_of_the_web_api() {
        let no = |error: &str| format!(r#"{{"ok":false,"error":"{error}"}}"#);
        for (status, retry_after, body, want) in [
            (200, None, r#"{"ok":true}"#.to_owned(), "done"),
            (200, None, no("ratelimited"), "wait 30"),
            (200, Some("7"), no("ratelimited"), "wait 7"),
            (429, Some("7"), no("ratelimited"), "wait 7"),
            (429, Some(" 120 "), String::new(), "wait 120"),
            (429, Some("0"), String::new(), "wait 0"),
            (429, None, "slow down".into(), "wait 30"),
            (429, Some("soon"), String::new(), "wait 30"),
            (429, Some("99999999999999999999999"), String::new(), "wait 4294967295"),
            (500, None, no("invalid_auth"), "unsure"),
            (503, Some("9"), "<html>".into(), "unsure 9"),
            (200, None, no("internal_error"), "unsure"),
            (200, None, no("request_timeout"), "trouble"),
            (200, None, "<html>".into(), "unsure"),
            (200, None, "{}".into(), "unsure"),
            (200, None, String::new(), "unsure"),
            (302, None, String::new(), "refused"),
            (404, None, "<html>".into(), "refused"),
            (403, None, no("invalid_auth"), "refused"),
            (200, None, no("message_not_found"), "gone"),
            (200, None, no("edit_window_closed"), "gone"),
            (200, None, no("invalid_blocks"), "payload"),
            (200, None, no("msg_too_long"), "payload"),
            (200, None, no("channel_not_found"), "refused"),
            (200, None, no("an_error_that_nobody_knows"), "refused"),
            (200, None, r#"{"ok":false}"#.into(), "refused"),
        ] {
            let answer = web_api(Raw { status, retry_after, body: body.as_bytes() });
            assert_eq!(kind(&answer), want, "{status} {retry_after:?} {body}");
        }
    }

    #[test]
    fn answers_of_webhooks() {
        for (status, retry_after, body, want) in [
            (200, None, "ok", "done"),
            (200, None, "ok\n", "done"),
            (200, None, "<html>", "unsure"),
            (200, None, "no_service", "unsure"),
            (400, None, "invalid_payload", "payload"),
            (400, None, "invalid_blocks", "payload"),
            (403, None, "action_prohibited", "refused"),
            (404, None, "no_service", "refused"),
            (404, None, "<html>", "refused"),
            (410, None, "channel_is_archived", "refused"),
            (429, Some("3"), "rate_limited", "wait 3"),
            (429, None, "", "wait 30"),
            (500, None, "rollup_error", "unsure"),
        ] {
            let answer = webhook(Raw { status, retry_after, body: body.as_bytes() });
            assert_eq!(kind(&answer), want, "{status} {retry_after:?} {body}");
        }
    }

    #[test]
    fn each_word_has_one_class() {
        let classes = CLASSES.iter().flat_map(|(_, words)| *words);
        let mut words: Vec<&str> = classes.chain(REMEDIES.iter().flat_map(|(words, _)| *words)).copied().collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }

    #[test]
    fn refusals_name_their_remedy() {
        let scope = Refusal {
            error: "missing_scope".into(),
            needed: "chat:write".into(),
            provided: "channels:read,groups:read".into(),
        };
        for (refusal, want) in [
            (scope, "lacks the scope chat:write (it has channels:read, groups:read)"),
            (Refusal { needed: "chat:write".into(), ..Refusal::of("missing_scope") }, "(it has no scope)"),
            (Refusal::of("not_in_channel"), "/invite @app in #security"),
            (Refusal::of("token_revoked"), "the bot token is not valid"),
            (Refusal::of("no_service"), "the webhook is not valid"),
            (Refusal::of("an_error_that_nobody_knows"), "look it up"),
        ] {
            let remedy = refusal.remedy("#security");
            assert!(remedy.contains(want), "{remedy}");
        }
    }

    #[test]
    fn details_of_the_payload_are_kept() {
        let body = br#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[json-pointer:/blocks/0/text]"]}}"#;
        let answer = web_api(Raw { status: 200, retry_after: None, body });
        let Answer::Payload { details, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(details, r#"["[json-pointer:/blocks/0/text]"]"#);
    }
}
