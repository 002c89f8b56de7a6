//! `replay --format json`: one object per finding, on one line. Users script against this shape; the README of the router
//! describes it, and an acceptance test holds it.
use super::player::Replayed;
use crate::act::intake::EventFacts;
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
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// The shape of section 7 of the design: users script against it.
#[derive(Serialize)]
struct Line<'a> {
    input: Input<'a>,
    event: Option<&'a EventFacts>,
    finding: Option<Box<RawValue>>,
    verdict: Option<VerdictLine<'a>>,
    novelty: Option<&'static str>,
    actions: Vec<Box<RawValue>>,
    disposition: &'static str,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Input<'a> {
    path: &'a str,
    index: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum VerdictLine<'a> {
    Ignored(&'a str),
    Suppressed(&'a str),
    #[serde(untagged)]
    Claimed {
        playbook: &'a str,
        severity: &'static str,
        also: &'a [String],
    },
}

#[derive(Serialize)]
struct Resource<'a> {
    r#type: &'a str,
    id: &'a str,
}

/// Prints an event: a line per finding, or one.
pub fn print(out: &mut dyn Write, replayed: &Replayed<'_>) -> io::Result<()> {
    let blank = || Line {
        input: Input { path: replayed.path, index: replayed.index },
        event: replayed.event,
        finding: None,
        verdict: None,
        novelty: None,
        actions: Vec::new(),
        disposition: Disposition::Ack.as_str(),
        error: None,
    };
    let mut write = |line: Line<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)
    };
    let handled = match replayed.result {
        Err(reason) => {
            return write(Line { error: Some(reason), disposition: Disposition::Reject.as_str(), ..blank() });
        }
        Ok(handled) => handled,
    };
    if handled.findings.is_empty() {
        return write(Line { verdict: handled.without_finding().map(VerdictLine::Ignored), ..blank() });
    }
    handled.findings.iter().try_for_each(|told| {
        write(Line {
            finding: Some(finding_json(told)?),
            verdict: Some(verdict_json(told)),
            novelty: told.novelty.map(Novelty::as_str),
            actions: told.actions.iter().map(action_json).collect::<io::Result<_>>()?,
            disposition: told.disposition.as_str(),
            error: told.error.as_deref(),
            ..blank()
        })
    })
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
        resources: Vec<Resource<'a>>,
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
        resources: f.resources.iter().map(|r| Resource { r#type: &r.kind, id: &r.id }).collect(),
        actor: f.actor.as_ref(),
    })
}

fn verdict_json(told: &Told) -> VerdictLine<'_> {
    match &told.verdict {
        Verdict::Claimed(claim) => {
            VerdictLine::Claimed { playbook: &told.playbook, severity: claim.severity.as_str(), also: &told.also }
        }
        Verdict::Suppressed(why) => VerdictLine::Suppressed(why),
        Verdict::Ignored(why) => VerdictLine::Ignored(why),
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
        Action::Digest(w) => {
            #[derive(Serialize)]
            struct Digest<'a> {
                kind: &'static str,
                destination: &'a str,
                until: jiff::Timestamp,
            }
            raw(&Digest { kind: "digest", destination: &w.destination, until: w.until })
        }
        Action::Publish(p) => {
            #[derive(Serialize)]
            struct Publish<'a> {
                kind: &'static str,
                bus: &'a str,
                detail_type: &'static str,
            }
            raw(&Publish { kind: "publish", bus: &p.bus, detail_type: p.detail_type })
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
                runbook: &r.job.runbook,
                account: &r.job.account,
                region: &r.job.region,
                parameters: &r.job.parameters,
                mode: r.mode.as_str(),
                client_token: &r.id,
                effect: r.effect.as_str(),
                stopped: r.stopped.as_ref(),
            })
        }
    }
}
