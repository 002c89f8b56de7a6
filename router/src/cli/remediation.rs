//! `remediation`: what the router offers, runs and ran; and the consent, the refusals and the kill switch of those who
//! run it.
mod rails;

use super::{DONE, Format, USAGE, WRONG, ended, findings, ledger, serve};
use crate::{
    act::ports::{Ledger, Trouble},
    decide::{
        config::{Config, Store as Named},
        rails::HALT,
        remediation::{Ask, open_to},
        show::execution_link,
    },
    ends::{
        clicks,
        connect::{Aws, Connected, connect},
        intake::{Intake, clock},
        ledger::Store,
    },
    values::{
        entry::{Entry, Tally},
        remediation::{Progress, Remediation, Turn},
        text::cut,
        time::parse_duration,
    },
};
use anstyle::Style;
use findings_formatters::escape::clean;
use jiff::{SignedDuration, Timestamp};
use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

const BOLD: Style = Style::new().bold();
/// Problems that are looked at; more are not listed.
const ENTRIES_MAX: usize = 10_000;
/// A remediation's short name on screen and on cards.
pub(super) const SHORT: usize = 8;
/// How long the daemon may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What to look at, or to do.
#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Whoever can write the ledger can ask for anything in anybody's name, so every name given with --by is \
held against the approvers of the configuration, and written down. While `serve` has the embedded ledger open, it is asked \
through its HTTP: name it with --server, and give the operators' token in FINDINGS_ROUTER_OPERATOR_TOKEN."
)]
pub enum Command {
    /// List remediations: what waits for approval, what runs, what became of the others.
    List(List),
    /// Show one: what it runs, where, with what, who approved it, and what became of it.
    Show(Show),
    /// Approve one; it then runs through every rail.
    Approve(Change),
    /// Say that one is not to run.
    Deny(Change),
    /// Stop the execution of one that runs.
    Stop(Change),
    /// Take one back, by the runbook that undoes it.
    Undo(Change),
    /// Print what may run where, and why not.
    Rails(rails::Args),
    /// The kill switch: from now on nothing is started, whoever asks; what runs goes on.
    Halt(Brake),
    /// Turn the kill switch off.
    Resume(Brake),
    /// Let a runbook be started again that failed too often.
    Reset(Reset),
}

/// Options of `remediation list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Those that are over, too.
    #[arg(long)]
    all: bool,
    /// Heard of within this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    since: Option<SignedDuration>,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Options of `remediation show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The beginning of its id, as the card and `list` show it.
    id: String,
    /// How to print; JSON is what the ledger holds.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Options of what changes one.
#[derive(Debug, clap::Args)]
pub struct Change {
    /// The beginning of its id, as the card and `list` show it.
    id: String,
    /// Who asks for it: the id of a Slack user, who may.
    #[arg(long, value_name = "U…", env = "FINDINGS_ROUTER_USER")]
    by: String,
    /// The daemon to ask, where it has the ledger.
    #[arg(long, value_name = "http://HOST:PORT", env = "FINDINGS_ROUTER_SERVER")]
    server: Option<String>,
}

/// Options of the kill switch.
#[derive(Debug, clap::Args)]
pub struct Brake {
    /// Who does it.
    #[arg(long, value_name = "NAME", env = "FINDINGS_ROUTER_USER")]
    by: String,
    /// The daemon to ask, where it has the ledger.
    #[arg(long, value_name = "http://HOST:PORT", env = "FINDINGS_ROUTER_SERVER")]
    server: Option<String>,
}

/// Options of `remediation reset`.
#[derive(Debug, clap::Args)]
pub struct Reset {
    /// The runbook.
    runbook: String,
    #[command(flatten)]
    brake: Brake,
}

/// Runs the command.
pub fn run(command: &Command, config: Option<&Path>) -> u8 {
    let Some(setup) = serve::load(config, None) else { return USAGE };
    let policy = &setup.policy;
    let change = |ask, change| async move { ask_for(setup, ask, change).await };
    serve::block_on(async {
        let read = async || ledger::open_to_read(&policy.config.live, &Aws::default()).await;
        let result = match command {
            Command::Rails(args) => return Box::pin(rails::run(args, policy, read().await)).await,
            Command::Approve(args) => return Box::pin(change(Ask::Approve, args)).await,
            Command::Deny(args) => return Box::pin(change(Ask::Deny, args)).await,
            Command::Stop(args) => return Box::pin(change(Ask::Stop, args)).await,
            Command::Undo(args) => return Box::pin(change(Ask::Undo, args)).await,
            Command::Halt(args) => return Box::pin(brake(setup, args, true)).await,
            Command::Resume(args) => return Box::pin(brake(setup, args, false)).await,
            Command::Reset(args) => return Box::pin(reset(setup, args)).await,
            Command::List(args) => match read().await {
                Ok(store) => list(args, &policy.config, &store).await,
                Err(why) => return serve::refuse(&[why]),
            },
            Command::Show(args) => match read().await {
                Ok(store) => one(args, &policy.config, &store).await,
                Err(why) => return serve::refuse(&[why]),
            },
        };
        result.unwrap_or_else(|Trouble(why)| failed(why))
    })
}

fn failed(why: String) -> u8 {
    serve::refuse(&[why]);
    WRONG
}

async fn list(args: &List, config: &Config, store: &Store) -> Result<u8, Trouble> {
    let found = findings::recent(config, store, args.since).await?;
    let now = clock();
    let waits = |e: &Entry, r: &Remediation| open_to(e, r, now).contains(&Ask::Approve);
    let wanted = |e: &Entry, r: &Remediation| args.all || r.progress.is_busy() || waits(e, r);
    let all = found.iter().flat_map(|e| e.remediations.iter().map(move |r| (e, r)));
    let all: Vec<(&Entry, &Remediation)> = all.filter(|(e, r)| wanted(e, r)).collect();
    Ok(ended("remediation", print_list(args.format, config, &all)))
}

fn print_list(format: Format, config: &Config, all: &[(&Entry, &Remediation)]) -> io::Result<u8> {
    let mut out = anstream::stdout().lock();
    if format == Format::Json {
        for (entry, remediation) in all {
            let line = serde_json::json!({ "fingerprint": entry.fingerprint, "remediation": remediation });
            writeln!(out, "{line}")?;
        }
        return Ok(DONE);
    }
    if all.is_empty() {
        writeln!(out, "nothing waits for approval, and nothing runs")?;
        return Ok(DONE);
    }
    for (entry, r) in all {
        let account = config.account(&r.job.account).and_then(|a| a.name.as_deref()).unwrap_or(&r.job.account);
        let resource = entry.resource.name.as_deref().unwrap_or(&entry.resource.id);
        writeln!(
            out,
            "{BOLD}{}{BOLD:#}  {:<11}  {}  {} in {}/{}",
            cut(&r.id, SHORT),
            r.progress.as_str(),
            r.job.runbook,
            clean(resource),
            clean(account),
            clean(&r.job.region),
        )?;
    }
    Ok(DONE)
}

/// The one that begins so; else the sentence that says why there is none.
pub(crate) async fn named(
    id: &str,
    config: &Config,
    store: &impl Ledger,
) -> Result<Result<(Entry, Remediation), String>, Trouble> {
    if let Some(fingerprint) = store.find(&Remediation::name(id)).await? {
        let entry = store.entry(&fingerprint).await?;
        let found = entry.and_then(|e| e.remediations.iter().find(|r| r.id == id).cloned().map(|r| (e, r)));
        return Ok(found.ok_or_else(|| format!("the ledger has forgotten the remediation {id}")));
    }
    let now = clock();
    let since = now.checked_sub(config.live.retention).unwrap_or(Timestamp::MIN);
    let until = now.checked_add(SignedDuration::from_hours(1)).unwrap_or(now);
    let entries = store.recent(since, until, ENTRIES_MAX).await?;
    let mut found = entries
        .into_iter()
        .flat_map(|e| e.remediations.clone().into_iter().map(move |r| (e.clone(), r)))
        .filter(|(_, r)| r.id.starts_with(id));
    Ok(match (found.next(), found.next()) {
        (None, _) => {
            Err(format!("there is no remediation {id:?}: `remediation list --all` names those that there are"))
        }
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(format!("several remediations begin with {id:?}; write more of it")),
    })
}

async fn one(args: &Show, config: &Config, store: &Store) -> Result<u8, Trouble> {
    Ok(match named(&args.id, config, store).await? {
        Err(why) => failed(why),
        Ok((entry, remediation)) => ended("remediation", print_one(args.format, config, &entry, &remediation)),
    })
}

fn print_one(format: Format, config: &Config, entry: &Entry, r: &Remediation) -> io::Result<u8> {
    let mut out = anstream::stdout().lock();
    if format == Format::Json {
        writeln!(out, "{}", serde_json::json!({ "fingerprint": entry.fingerprint, "remediation": r }))?;
        return Ok(DONE);
    }
    writeln!(out, "{BOLD}{}{BOLD:#}", line(r))?;
    let mut say = |what: &str, text: &str| writeln!(out, "  {what:<11} {}", clean(text));
    say("problem", &format!("{} {}", entry.weakness, entry.fingerprint))?;
    say("where", &format!("{}/{}", r.job.account, r.job.region))?;
    for (name, values) in &r.job.parameters {
        say("parameter", &format!("{name} = {}", values.join(", ")))?;
    }
    if let Some(stop) = &r.stopped {
        say("stopped", &format!("by the rail {:?}: {}", stop.rail, stop.reason))?;
    }
    if let Some(undo) = &r.undo {
        say("undo", &format!("{}, for {:#}", undo.job.runbook, undo.within))?;
    }
    let needed = crate::decide::remediation::needed(config, r);
    say("approved", &format!("by {} of {needed}", r.approvals.len()))?;
    if let Some(execution) = r.run.as_ref().and_then(|run| run.execution.as_deref()) {
        say("execution", &execution_link(execution, &r.job.region).unwrap_or_else(|| execution.to_owned()))?;
    }
    if let Some(due) = r.due {
        say("due", &time(due))?;
    }
    r.turns.iter().try_for_each(|t| say("", &turn(t)))?;
    Ok(DONE)
}

/// One remediation in a line.
pub(super) fn line(r: &Remediation) -> String {
    let fate = match (&r.stopped, r.progress) {
        (Some(stop), Progress::Proposed) => format!("stopped: {}", stop.reason),
        (None, Progress::Proposed) => format!("proposed, {}", r.mode.as_str()),
        (_, other) => other.as_str().to_owned(),
    };
    let undo = if r.undo.is_some() { ", can be undone" } else { "" };
    format!("{} {}: {}{undo}, {fate}", cut(&r.id, SHORT), r.job.runbook, r.effect.as_str())
}

/// One step in a remediation's life.
pub(super) fn turn(turn: &Turn) -> String {
    let by = turn.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let why = turn.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    format!("{} {}{by}{why}", time(turn.at), turn.what)
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Opens the ledger to change it, or says who has it.
async fn open(setup: &'static super::setup::Setup) -> Result<Connected, u8> {
    connect(setup, Duration::from_secs(10)).await.map_err(|mut wrong| {
        if matches!(setup.policy.config.live.store(), Named::File(_)) {
            wrong.push("where `serve` has the ledger open, ask it: --server http://ADDRESS, with the operators' token in FINDINGS_ROUTER_OPERATOR_TOKEN".to_owned());
        }
        serve::refuse(&wrong)
    })
}

async fn ask_for(setup: &'static super::setup::Setup, ask: Ask, change: &Change) -> u8 {
    if let Some(server) = &change.server {
        let body = serde_json::json!({ "ask": ask.as_str(), "id": change.id, "by": change.by });
        return over_http(setup, server, &body).await;
    }
    let connected = match open(setup).await {
        Ok(connected) => connected,
        Err(code) => return code,
    };
    let intake = Arc::new(Intake { router: connected.router, events_clock: false });
    match Box::pin(intake.told(ask, &change.id, &change.by)).await {
        Ok(said) => {
            anstream::println!("{said}");
            DONE
        }
        Err(why) => failed(why),
    }
}

async fn over_http(setup: &super::setup::Setup, server: &str, body: &serde_json::Value) -> u8 {
    let live = &setup.policy.config.live;
    let env = &crate::ends::connect::env;
    let token = match &live.operator_token {
        Some(reference) => crate::ends::secrets::resolve(reference, &Aws::default(), env).await,
        None => {
            Err("the daemon wants the operators' token: set [http] operator-token or FINDINGS_ROUTER_OPERATOR_TOKEN"
                .to_owned())
        }
    };
    let token = match token {
        Ok(token) => token,
        Err(why) => return serve::refuse(&[why]),
    };
    let url = format!("{}/remediation", server.trim_end_matches('/'));
    let client = reqwest::Client::new();
    let request =
        client.post(&url).timeout(ANSWER_WITHIN).bearer_auth(secrecy::ExposeSecret::expose_secret(&token)).json(body);
    match request.send().await {
        Ok(answer) => {
            let good = answer.status().is_success();
            let said = answer.text().await.unwrap_or_default();
            if good {
                anstream::println!("{}", clean(said.trim()));
                return DONE;
            }
            failed(clean(said.trim()))
        }
        Err(error) => failed(format!("{url} does not answer: {}", error.without_url())),
    }
}

async fn brake(setup: &'static super::setup::Setup, args: &Brake, on: bool) -> u8 {
    if let Some(server) = &args.server {
        let body = serde_json::json!({ "ask": if on { "halt" } else { "resume" }, "id": "", "by": args.by });
        return over_http(setup, server, &body).await;
    }
    match open(setup).await {
        Ok(connected) => match clicks::brake(&connected.router, &args.by, on).await {
            Ok(said) => {
                anstream::println!("{said}");
                DONE
            }
            Err(Trouble(why)) => failed(why),
        },
        Err(code) => code,
    }
}

async fn reset(setup: &'static super::setup::Setup, args: &Reset) -> u8 {
    let Reset { runbook, brake } = args;
    if let Some(server) = &brake.server {
        let body = serde_json::json!({ "ask": "reset", "id": runbook, "by": brake.by });
        return over_http(setup, server, &body).await;
    }
    match open(setup).await {
        Ok(connected) => match clicks::reset(&connected.router, runbook, &brake.by).await {
            Ok(said) => {
                anstream::println!("{said}");
                DONE
            }
            Err(Trouble(why)) => failed(why),
        },
        Err(code) => code,
    }
}

/// Whether the kill switch is on, in words.
pub(super) fn braked(halt: &Tally) -> Option<String> {
    halt.items.last().map(|(at, by)| format!("the kill switch is on: by {by}, at {} ({HALT})", time(*at)))
}
