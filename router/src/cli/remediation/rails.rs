//! `remediation rails`: what may run where, and why not; by the same rails that hold when it would start.
use super::{braked, failed};
use crate::{
    act::ports::Ledger,
    cli::{DONE, Format, ended},
    decide::{
        config::Account,
        playbook,
        policy::Policy,
        rails::{self, Counts, HALT, Start, failures_key},
        runbook::Document,
        source::account_resource,
    },
    ends::{intake::clock, ledger::Store},
    values::{
        action::{Mode, Stop},
        entry::Tally,
        finding::Resource,
        remediation::{Job, Progress, Remediation},
        severity::Severity,
    },
};
use jiff::SignedDuration;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// Options of `remediation rails`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this account, by id or by its name in the configuration.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only what could start.
    #[arg(long)]
    open: bool,
    /// How to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

struct Row<'a> {
    account: &'a str,
    playbook: &'a str,
    runbook: &'a str,
    effect: &'static str,
    mode: Mode,
    stop: Option<Stop>,
}

/// Prints them. What the ledger counts is taken into account where it can be read.
pub(super) async fn run(args: &Args, policy: &Policy, store: Option<&Store>) -> u8 {
    let config = &policy.config;
    let wanted = |id: &str, a: &Account| args.account.as_ref().is_none_or(|w| w == id || a.name.as_ref() == Some(w));
    let accounts: Vec<_> = config.accounts.iter().filter(|(id, a)| wanted(id, a)).collect();
    if accounts.is_empty() {
        return failed(
            "no account of the directory is meant: nothing runs in an account that is not in [accounts]".to_owned(),
        );
    }
    let mut tallies = BTreeMap::new();
    if let Some(store) = store {
        let runbooks = policy.playbooks.iter().flat_map(|p| &p.remediate).map(|r| failures_key(&r.runbook));
        for key in runbooks.chain([HALT.to_owned()]) {
            if let Ok(tally) = store.tally(&key).await {
                tallies.insert(key, tally);
            }
        }
    }
    let halt = tallies.get(HALT).and_then(braked);
    let mut rows = Vec::new();
    for (id, _) in accounts {
        for playbook in &policy.playbooks {
            rows.extend(playbook.remediate.iter().map(|r| row(policy, id, &playbook.name, r, &tallies)));
        }
    }
    rows.retain(|r| !args.open || (r.stop.is_none() && r.mode >= Mode::Approve));
    ended("remediation", print(args.format, &rows, halt))
}

/// The rails for a resource that nothing protects, of a finding that is as severe as can be.
fn row<'a>(
    policy: &'a Policy,
    account: &'a str,
    playbook: &'a str,
    remediate: &'a playbook::Remediate,
    tallies: &BTreeMap<String, Tally>,
) -> Row<'a> {
    let config = &policy.config;
    // Tags that are known, and protect nothing: what is asked is the configuration, not a resource.
    let about = Resource { tags: vec![(String::new(), String::new())], ..account_resource(account) };
    let mode = rails::mode(config, playbook, account, &about);
    let regions = config.remediation.regions.as_ref();
    let region = regions.and_then(|r| r.first()).map_or("us-east-1", String::as_str);
    let job = Job {
        runbook: remediate.runbook.clone(),
        account: account.to_owned(),
        region: region.to_owned(),
        parameters: BTreeMap::new(),
    };
    let remediation = Remediation {
        id: String::new(),
        episode: 1,
        playbook: playbook.to_owned(),
        job: job.clone(),
        mode,
        effect: remediate.effect,
        stopped: None,
        undo: None,
        deadline: SignedDuration::ZERO,
        progress: Progress::Proposed,
        attempt: 1,
        approvals: Vec::new(),
        approved: None,
        due: None,
        claimed: None,
        run: None,
        applied: None,
        turns: Vec::new(),
    };
    let start = Start {
        config,
        about: &about,
        severity: Severity::Critical,
        problem: String::new(),
        remediation: &remediation,
        job: &job,
        client_token: "",
        now: clock(),
    };
    let counted = |key: &str| tallies.get(key).cloned().unwrap_or_else(|| Tally::new(key));
    let [starts, touched, failures, running, halt] = start.keys().map(|key| counted(&key));
    let counts = Counts { starts, touched, failures, running, halt };
    let unknown = (mode >= Mode::Approve && policy.catalogue.get(&remediate.runbook).is_none())
        .then(|| Stop { rail: "document".to_owned(), reason: "it is in no catalogue".to_owned() });
    let roleless = policy.catalogue.get(&remediate.runbook).is_some_and(Document::needs_role)
        && config.remediation.access.automation_role.is_none();
    let roleless = roleless.then(|| Stop {
        rail: "role".to_owned(),
        reason: "it runs in a role of its own: set remediation.automation-role".to_owned(),
    });
    let stop = if mode >= Mode::Approve { unknown.or(roleless).or_else(|| rails::stop(&start, &counts)) } else { None };
    Row { account, playbook, runbook: &remediate.runbook, effect: remediate.effect.as_str(), mode, stop }
}

fn print(format: Format, rows: &[Row<'_>], halt: Option<String>) -> io::Result<u8> {
    let mut out = anstream::stdout().lock();
    if format == Format::Json {
        for r in rows {
            let line = serde_json::json!({
                "account": r.account, "playbook": r.playbook, "runbook": r.runbook, "effect": r.effect,
                "mode": r.mode.as_str(), "stopped": r.stop,
            });
            writeln!(out, "{line}")?;
        }
        return Ok(DONE);
    }
    if let Some(halt) = halt {
        writeln!(out, "{halt}")?;
    }
    for r in rows {
        let fate = match (&r.stop, r.mode) {
            (Some(stop), _) => format!("never: {} ({})", stop.reason, stop.rail),
            (None, Mode::Automatic) => "starts by itself".to_owned(),
            (None, Mode::Approve) => "starts after approval".to_owned(),
            (None, Mode::Propose) => "only proposed".to_owned(),
            (None, Mode::Off) => "off".to_owned(),
        };
        writeln!(out, "{}  {:<11}  {:<45}  {}: {fate}", r.account, r.effect, r.playbook, r.runbook)?;
    }
    if rows.is_empty() {
        writeln!(out, "nothing could start")?;
    }
    Ok(DONE)
}
