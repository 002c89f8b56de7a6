//! Slack's clicks: who wants what done about which problem. They come by HTTP, by a function URL or through Socket Mode; all
//! are answered here. That they come from Slack has been made sure of before.
use super::{
    connect::Live,
    intake::{Intake, clock},
    telemetry,
};
use crate::{
    act::{
        ports::{Ledger, Put, Trouble},
        remedy::Asked,
    },
    cli::remediation::named,
    decide::{
        rails::{HALT, failures_key},
        remediation::{Ask, Refusal},
        show,
    },
    values::{
        entry::{Entry, Tally},
        remediation::Remediation,
        text::{cut, digest},
        time::parse_duration,
    },
};
use findings_formatters::{Message, escape};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Slack waits three seconds; what takes longer goes on without it.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// The title of a dialog.
const TITLE_MAX: usize = 24;
/// The name of whoever uses the kill switch.
const NAME_MAX: usize = 80;

/// What Slack sends about a click; the rest of it is not needed.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Payload {
    BlockActions {
        user: Named,
        channel: Option<Named>,
        trigger_id: Option<String>,
        actions: Vec<Action>,
    },
    ViewSubmission {
        user: Named,
        view: View,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(rename = "action_id")]
    name: String,
    value: Option<String>,
    selected_option: Option<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    value: String,
}

#[derive(Debug, Deserialize)]
struct View {
    private_metadata: String,
}

/// What a dialog keeps of what it asks for.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    ask: String,
    id: String,
    plan: String,
}

/// What Slack is answered, and what is to be gone on with.
#[derive(Debug, Default)]
pub struct Clicked {
    /// The body of the answer; empty where there is nothing to say.
    pub answer: Option<Value>,
    /// The problem that something is due about now.
    pub go_on: Option<String>,
}

impl Intake {
    /// Whether this very request came before: it is good once.
    pub async fn is_replay(&self, parts: [&str; 2]) -> Result<bool, Trouble> {
        let mut tally = Tally::new(format!("click/{}", digest(parts)));
        tally.add(clock(), "seen");
        Ok(self.router.ledger.put_tally(&tally).await? == Put::Conflict)
    }

    /// Takes a click, and answers within Slack's time; what is not done by then goes on.
    pub async fn clicked(self: &Arc<Self>, payload: String) -> Clicked {
        let this = self.clone();
        let is_dialog = payload.contains("\"view_submission\"");
        let work = tokio::spawn(async move { Box::pin(this.click(&payload)).await });
        match tokio::time::timeout(ANSWER_WITHIN, work).await {
            Ok(Ok(clicked)) => clicked,
            Ok(Err(error)) => {
                tracing::error!(%error, "handling a click broke off");
                Clicked::default()
            }
            // Nothing is lost; but a dialog that closed would say that all is well.
            Err(_) if is_dialog => {
                self.refusing("this takes longer than Slack waits: the card will show what became of it")
            }
            Err(_) => Clicked::default(),
        }
    }

    /// A dialog's answer that says why it is not done.
    fn refusing(&self, why: &str) -> Clicked {
        let text = escape::mrkdwn(&format!("⛔ {why}"));
        let section = json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } });
        let said = Message { text: "⛔".to_owned(), blocks: json!([section]) };
        let close = findings_formatters::label(self.router.policy.config.locale, "dialog_close");
        let view = modal(&said, close, None);
        Clicked { answer: Some(json!({ "response_action": "update", "view": view })), go_on: None }
    }

    /// Goes on with what a click approved, and shows what became of it. What fails is due still.
    pub async fn go_on(&self, fingerprint: &str) {
        let now = clock();
        let worked = async {
            self.router.work(fingerprint, now).await?;
            self.router.refresh(fingerprint, now).await
        };
        if let Err(trouble) = worked.await {
            tracing::warn!(%trouble, fingerprint, "a problem could not be gone on with; it is due still");
        }
    }

    async fn click(&self, payload: &str) -> Clicked {
        match serde_json::from_str(payload) {
            Ok(Payload::BlockActions { user, channel, trigger_id, actions }) => {
                let mut clicked = Clicked::default();
                for action in &actions {
                    let channel = channel.as_ref().map(|c| c.id.as_str());
                    clicked.go_on = self.act(action, &user.id, channel, trigger_id.as_deref()).await.or(clicked.go_on);
                }
                clicked
            }
            Ok(Payload::ViewSubmission { user, view }) => self.submit(&view, &user.id).await,
            // Links are buttons too, and dialogs are closed.
            Ok(Payload::Other) => Clicked::default(),
            Err(error) => {
                tracing::warn!(%error, "a click that cannot be read was left alone");
                Clicked::default()
            }
        }
    }

    /// One button, or choice. Gives the problem that something is due about now.
    async fn act(&self, action: &Action, user: &str, channel: Option<&str>, trigger: Option<&str>) -> Option<String> {
        let choice = action.selected_option.as_ref().map(|o| &o.value);
        let value = action.value.as_ref().or(choice).map_or("", String::as_str);
        let (name, rest) = value.split_once(' ').unwrap_or((value, ""));
        let done = match (action.name.as_str(), Ask::WORDS.iter().find(|(w, _)| *w == action.name)) {
            ("acknowledge", _) => self.hush(name, user, None).await,
            ("snooze", _) => self.hush(name, user, Some(rest)).await,
            (_, Some((_, ask @ (Ask::Approve | Ask::Undo)))) => self.show(*ask, name, user, trigger).await,
            (_, Some((_, ask))) => self.ask(*ask, name, Some(rest), user).await.map(|e| Some(e.fingerprint)),
            // A link that is a button.
            _ => Ok(None),
        };
        match done {
            Ok(fingerprint) => fingerprint,
            Err(refusal) => {
                let text = escape::mrkdwn(&format!("⛔ {}", self.said(&refusal)));
                if let Some(channel) = channel
                    && let Err(why) = self.router.messenger.whisper(channel, user, &text).await
                {
                    tracing::warn!(why, "whoever clicked could not be told why nothing was done");
                }
                None
            }
        }
    }

    /// A refusal in the language of the cards.
    fn said(&self, refusal: &Refusal) -> String {
        let locale = self.router.policy.config.locale;
        let translated = findings_formatters::word(locale, "refusal", refusal.word);
        translated.map_or_else(|| refusal.why.clone(), str::to_owned)
    }

    async fn hush(&self, fingerprint: &str, user: &str, span: Option<&str>) -> Result<Option<String>, Refusal> {
        let now = clock();
        let span = span.map(parse_duration).transpose().map_err(|why| Refusal::new("dialog", why))?;
        let until = span.map(|s| now + s);
        match self.router.hush(fingerprint, user, until, now).await {
            Ok(true) => {
                tracing::info!(
                    fingerprint,
                    by = user,
                    until = until.map(|u| u.to_string()),
                    "somebody takes care of a problem"
                );
                Ok(Some(fingerprint.to_owned()))
            }
            Ok(false) => Err(Refusal::new("unknown", "the ledger no longer knows this problem")),
            Err(trouble) => Err(Refusal::new("ledger", format!("the ledger does not answer; try again: {trouble}"))),
        }
    }

    /// Shows exactly what would run, to somebody who may approve it.
    async fn show(&self, ask: Ask, id: &str, user: &str, trigger: Option<&str>) -> Result<Option<String>, Refusal> {
        let entry = self.ask(ask, id, None, user).await?;
        let trigger = trigger.ok_or_else(|| Refusal::new("slack", "Slack did not say where to open the dialog"))?;
        let Some(remediation) = entry.remediations.iter().find(|r| r.id == id) else { return Ok(None) };
        let (config, catalogue) = (&self.router.policy.config, &self.router.policy.catalogue);
        let view = show::dialog(config, catalogue, &entry, (remediation, ask), clock());
        let rendered = self.router.formatter.slack(&view).map_err(|e| Refusal::new("slack", e.to_string()))?;
        let kept = Kept { ask: ask.as_str().to_owned(), id: id.to_owned(), plan: remediation.plan() };
        let kept = serde_json::to_string(&kept).map_err(|e| Refusal::new("slack", e.to_string()))?;
        let close = findings_formatters::label(config.locale, "dialog_close");
        let dialog = modal(&rendered, close, Some(&kept));
        self.router.messenger.open_dialog(trigger, &dialog).await.map_err(|why| Refusal::new("slack", why))?;
        Ok(None)
    }

    async fn submit(&self, view: &View, user: &str) -> Clicked {
        let kept: Result<Kept, _> = serde_json::from_str(&view.private_metadata);
        let asked = match kept {
            Ok(kept) => match Ask::WORDS.iter().find(|(word, _)| *word == kept.ask) {
                Some((_, ask)) => self.ask(*ask, &kept.id, Some(&kept.plan), user).await,
                None => Err(Refusal::new("dialog", "this dialog is not one of ours")),
            },
            Err(_) => Err(Refusal::new("dialog", "this dialog is not one of ours")),
        };
        match asked {
            Ok(entry) => Clicked { answer: None, go_on: Some(entry.fingerprint) },
            Err(refusal) => self.refusing(&self.said(&refusal)),
        }
    }

    /// Asks for something by the command line or HTTP, by the beginning of an id; says what became of it.
    pub async fn told(&self, ask: Ask, id: &str, by: &str) -> Result<String, String> {
        let id = self.whole_id(id).await?;
        // What would run now is what is asked for: `show` says what that is.
        let entry = self.ask(ask, &id, None, by).await.map_err(|r| r.to_string())?;
        let plan = entry.remediations.iter().find(|r| r.id == id).map(Remediation::plan).unwrap_or_default();
        let entry = self.ask(ask, &id, Some(&plan), by).await.map_err(|r| r.to_string())?;
        self.go_on(&entry.fingerprint).await;
        let now = self.router.ledger.entry(&entry.fingerprint).await.map_err(|t| t.to_string())?;
        let remediation = now.and_then(|e| e.remediations.into_iter().find(|r| r.id == id));
        let Some(r) = remediation else { return Ok("done".to_owned()) };
        let why = r.turns.last().and_then(|t| t.why.as_deref()).map_or_else(String::new, |why| format!(" ({why})"));
        Ok(format!("{} is {}{why}", r.job.runbook, r.progress.as_str()))
    }

    async fn whole_id(&self, id: &str) -> Result<String, String> {
        match named(id, &self.router.policy.config, &self.router.ledger).await {
            Ok(found) => found.map(|(_, r)| r.id),
            Err(trouble) => Err(format!("the ledger does not answer; try again: {trouble}")),
        }
    }

    /// Asks for something in somebody's name; every refusal is told to those who run the router, too.
    pub async fn ask(&self, ask: Ask, id: &str, plan: Option<&str>, user: &str) -> Result<Entry, Refusal> {
        let person = self.router.messenger.person(&self.router.policy.config, user).await;
        let asked = self.router.ask(id, plan, (ask, &person), clock()).await;
        let refusal = match asked {
            Ok(Asked::Done(entry)) => {
                if plan.is_some() {
                    telemetry::asked(ask.as_str(), "done");
                    tracing::info!(what = ask.as_str(), remediation = id, by = user, "a remediation was asked for");
                }
                return Ok(*entry);
            }
            Ok(Asked::Refused(refusal)) => refusal,
            Err(trouble) => Refusal::new("ledger", format!("the ledger does not answer; try again: {trouble}")),
        };
        telemetry::asked(ask.as_str(), "refused");
        tracing::warn!(what = ask.as_str(), remediation = id, by = user, why = %refusal, "a remediation was refused");
        Err(refusal)
    }
}

/// Lets a runbook be started again that failed too often.
pub async fn reset(router: &Live, runbook: &str, by: &str) -> Result<String, Trouble> {
    router.recount(&failures_key(runbook), |tally| tally.items.clear()).await?;
    tracing::warn!(by = cut(by, NAME_MAX), runbook, "the failures of a runbook are forgotten");
    Ok(format!("the failures of {runbook} are forgotten"))
}

/// Turns the kill switch on, or off: what is started reads it first.
pub async fn brake(router: &Live, by: &str, on: bool) -> Result<String, Trouble> {
    let by = cut(by, NAME_MAX);
    let pull = |tally: &mut Tally| {
        tally.items.clear();
        if on {
            tally.add(clock(), by);
        }
    };
    router.recount(HALT, pull).await?;
    tracing::warn!(by, on, "the kill switch of remediation");
    Ok(if on { "nothing is started from now on; what runs goes on" } else { "remediations can start again" }.to_owned())
}

/// A dialog around a rendered message; without something kept, it only says something.
fn modal(message: &Message, close: &str, kept: Option<&str>) -> Value {
    let plain = |text: &str| json!({ "type": "plain_text", "text": text.chars().take(TITLE_MAX).collect::<String>() });
    let mut view = json!({
        "type": "modal", "title": plain(message.text.trim_end_matches('…')), "close": plain(close), "blocks": message.blocks,
    });
    if let Some(kept) = kept {
        view["submit"] = plain(message.text.trim_end_matches('…'));
        view["private_metadata"] = kept.into();
    }
    view
}
