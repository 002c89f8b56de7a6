//! `replay --format json`: one object per finding, on one line. Users script against this shape; the README of the router
//! describes it, and an acceptance test holds it.
use super::player::{EventFacts, Replayed};
use crate::{
    act::router::{Performed, Told},
    values::{
        action::{Action, Disposition, Stop},
        finding::{Actor, Status},
        verdict::{Novelty, Verdict},
    },
};
use findings_formatters::Message;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// The shape of section 7 of the design: users script against it.
#[derive(Serialize)]
struct Line<'a> {
    input: Value,
    event: Option<&'a EventFacts>,
    finding: Option<Box<RawValue>>,
    verdict: Option<Value>,
    novelty: Option<&'static str>,
    actions: Vec<Box<RawValue>>,
    disposition: &'static str,
    error: Option<&'a str>,
}

/// Prints an event: a line per finding, or one.
pub fn print(out: &mut dyn Write, replayed: &Replayed<'_>) -> io::Result<()> {
    let line = |told: Option<&Told>, ignored: Option<&str>, error| -> io::Result<Line<'_>> {
        Ok(Line {
            input: json!({ "path": replayed.path, "index": replayed.index }),
            event: replayed.event,
            finding: told.map(finding_json).transpose()?,
            verdict: told.map(verdict_json).or_else(|| ignored.map(|why| json!({ "ignored": why }))),
            novelty: told.and_then(|t| t.novelty).map(Novelty::as_str),
            actions: told
                .map(|t| t.actions.iter().map(action_json).collect::<io::Result<_>>())
                .transpose()?
                .unwrap_or_default(),
            disposition: told
                .map_or(if error { Disposition::Reject } else { Disposition::Ack }, |t| t.disposition)
                .as_str(),
            error: None,
        })
    };
    let mut write = |line: Line<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)
    };
    match replayed.result {
        Err(reason) => write(Line { error: Some(reason), ..line(None, None, true)? }),
        Ok(handled) if handled.findings.is_empty() => write(line(None, handled.ignored.as_deref(), false)?),
        Ok(handled) => handled
            .findings
            .iter()
            .try_for_each(|told| write(Line { error: told.error.as_deref(), ..line(Some(told), None, false)? })),
    }
}

/// Keeps the order of the contract, which a map would sort.
fn raw(value: &impl Serialize) -> io::Result<Box<RawValue>> {
    Ok(serde_json::value::to_raw_value(value)?)
}

fn finding_json(told: &Told) -> io::Result<Box<RawValue>> {
    #[derive(Serialize)]
    struct Finding<'a> {
        fingerprint: Option<&'a str>,
        r#type: &'a str,
        title: &'a str,
        severity: &'static str,
        reporter: &'a str,
        status: Status,
        account: &'a str,
        region: &'a str,
        resources: Vec<Value>,
        actor: Option<&'a Actor>,
    }
    let f = &told.finding;
    let fingerprint = match &told.verdict {
        Verdict::Claimed(claim) => Some(claim.fingerprint.as_str()),
        _ => None,
    };
    raw(&Finding {
        fingerprint,
        r#type: &f.kind,
        title: &f.title,
        severity: f.severity.as_str(),
        reporter: &f.reporter,
        status: f.status,
        account: &f.account,
        region: &f.region,
        resources: f.resources.iter().map(|r| json!({ "type": r.kind, "id": r.id })).collect(),
        actor: f.actor.as_ref(),
    })
}

fn verdict_json(told: &Told) -> Value {
    match &told.verdict {
        Verdict::Claimed(claim) => json!({ "playbook": told.playbook, "severity": claim.severity, "also": told.also }),
        Verdict::Suppressed(why) => json!({ "suppressed": why }),
        Verdict::Ignored(why) => json!({ "ignored": why }),
    }
}

fn action_json(performed: &Performed) -> io::Result<Box<RawValue>> {
    match &performed.action {
        Action::Notify(n) => {
            #[derive(Serialize)]
            struct Notify<'a> {
                kind: &'static str,
                destination: &'a str,
                mode: &'static str,
                message: Option<&'a Message>,
            }
            raw(&Notify {
                kind: "notify",
                destination: &n.destination,
                mode: n.mode.as_str(),
                message: performed.message.as_ref(),
            })
        }
        Action::Remediate(r) => {
            #[derive(Serialize)]
            struct Remediate<'a> {
                kind: &'static str,
                runbook: &'a str,
                account: &'a str,
                region: &'a str,
                parameters: &'a BTreeMap<String, Vec<String>>,
                mode: &'static str,
                client_token: &'a str,
                effect: &'static str,
                stopped: Option<&'a Stop>,
            }
            raw(&Remediate {
                kind: "remediate",
                runbook: &r.runbook,
                account: &r.account,
                region: &r.region,
                parameters: &r.parameters,
                mode: r.mode.as_str(),
                client_token: &r.client_token,
                effect: r.effect.as_str(),
                stopped: r.stopped.as_ref(),
            })
        }
    }
}
