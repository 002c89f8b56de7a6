//! `remediation rails`: what may run where, and why not; by the same rails that hold when it would start.
use super::{braked, failed};
use crate::{
    act::ports::{Ledger, Trouble},
    cli::{DONE, Format, ended},
    decide::{
        config::Account,
        grants, playbook,
        policy::Policy,
        rails::{HALT, failures_key},
        remediation::is_temporary,
    },
    ends::{intake::clock, ledger::Store},
    values::{
        action::{Mode, Stop},
        entry::Tally,
    },
};
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

/// Prints them, and says so where what the ledger counts could not be taken into account.
pub(super) async fn run(args: &Args, policy: &Policy, store: Result<Store, String>) -> u8 {
    let config = &policy.config;
    let wanted = |id: &str, a: &Account| args.account.as_ref().is_none_or(|w| w == id || a.name.as_ref() == Some(w));
    let accounts: Vec<_> = config.accounts.iter().filter(|(id, a)| wanted(id, a)).collect();
    if accounts.is_empty() {
        return failed(
            "no account of the directory is meant: nothing runs in an account that is not in [accounts]".to_owned(),
        );
    }
    let read = async { counted(policy, &store?).await.map_err(|Trouble(why)| why) };
    let tallies = read.await.unwrap_or_else(|why| {
        anstream::eprintln!("without the ledger's kill switch and failures, which hold all the same: {why}");
        BTreeMap::new()
    });
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

async fn counted(policy: &Policy, store: &Store) -> Result<BTreeMap<String, Tally>, Trouble> {
    let runbooks = policy.playbooks.iter().flat_map(|p| &p.remediate).map(|r| failures_key(&r.runbook));
    let mut tallies = BTreeMap::new();
    for key in runbooks.chain([HALT.to_owned()]) {
        let tally = store.tally(&key).await?;
        tallies.insert(key, tally);
    }
    Ok(tallies)
}

/// What the rails say of it.
fn row<'a>(
    policy: &'a Policy,
    account: &'a str,
    playbook: &'a str,
    remediate: &'a playbook::Remediate,
    tallies: &BTreeMap<String, Tally>,
) -> Row<'a> {
    let counted = |key: &str| tallies.get(key).cloned().unwrap_or_else(|| Tally::new(key));
    let (mode, stop) = grants::prospect(policy, account, playbook, remediate, counted, clock());
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
            (Some(stop), _) => {
                let when = if is_temporary(stop) { "not now" } else { "never" };
                format!("{when}: {} ({})", stop.reason, stop.rail)
            }
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
