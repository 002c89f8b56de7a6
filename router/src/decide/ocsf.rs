//! What the router knows of a problem as an OCSF Detection Finding (class 2004, schema 1.1), for other programs.
use super::{config::Config, identity};
use crate::values::{
    entry::{Entry, State},
    remediation::{Remediation, Turn},
    severity::Severity,
    verdict::Novelty,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// OCSF's version that the names below are of.
const SCHEMA: &str = "1.1.0";
const CLASS: u64 = 2004;

/// The body of our own events: the problem as it stands, and why it is told now.
pub fn finding(config: &Config, entry: &Entry, novelty: Novelty, now: Timestamp) -> Value {
    let shown = entry.shown.as_ref();
    let closed = entry.state == State::Closed;
    let (activity, activity_name) = match novelty {
        Novelty::New | Novelty::Reopened => (1, "Create"),
        Novelty::Resolved => (3, "Close"),
        _ => (2, "Update"),
    };
    let (status, status_name) = if closed { (4, "Resolved") } else { (1, "New") };
    let (severity, severity_name) = severity(entry.severity);
    let known = config.account(&entry.account);
    let types: Vec<&str> = shown.iter().map(|s| s.finding_type.as_str()).collect();
    let resource = &entry.resource;
    let console = identity::console_link(resource, &entry.account, entry.region.as_deref().unwrap_or("us-east-1"));
    let reporters: Vec<Value> = entry
        .reports
        .iter()
        .map(|r| json!({ "name": r.reporter, "uid": r.id, "status": r.status, "count": r.count, "link": r.link }))
        .collect();
    json!({
        "metadata": {
            "version": SCHEMA,
            "product": { "name": "findings-router", "vendor_name": "findings-router", "version": crate::VERSION },
        },
        "class_uid": CLASS, "class_name": "Detection Finding",
        "category_uid": 2, "category_name": "Findings",
        "activity_id": activity, "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity, "type_name": format!("Detection Finding: {activity_name}"),
        "time": now.as_millisecond(),
        "severity_id": severity, "severity": severity_name,
        "status_id": status, "status": status_name,
        "message": shown.map_or(entry.weakness.as_str(), |s| &s.title),
        "finding_info": {
            "uid": format!("{}/{}", entry.fingerprint, entry.episode),
            "title": shown.map_or(entry.weakness.as_str(), |s| &s.title),
            "desc": shown.map(|s| s.why.as_str()),
            "types": types,
            "first_seen_time": entry.first_seen.as_millisecond(),
            "last_seen_time": entry.last_seen.as_millisecond(),
            "created_time": entry.first_seen.as_millisecond(),
            "modified_time": now.as_millisecond(),
            "data_sources": entry.reports.iter().map(|r| r.reporter.as_str()).collect::<Vec<_>>(),
        },
        "count": entry.reports.iter().map(|r| r.count).fold(0, u64::saturating_add).max(1),
        "cloud": {
            "provider": "AWS", "region": entry.region,
            "account": { "uid": entry.account, "name": known.and_then(|a| a.name.as_deref()), "type": "AWS Account", "type_id": 10 },
        },
        "resources": [{
            "uid": resource.arn.as_deref().unwrap_or(&resource.id), "name": resource.name.as_deref().unwrap_or(&resource.id),
            "type": resource.kind, "region": entry.region, "owner": known.and_then(|a| a.owner.as_deref()).map(|o| json!({ "name": o })),
        }],
        "unmapped": {
            "novelty": novelty, "weakness": entry.weakness, "fingerprint": entry.fingerprint, "episode": entry.episode,
            "playbook": shown.map(|s| s.playbook.as_str()), "exercise": shown.and_then(|s| s.exercise.as_deref()),
            "actor": shown.and_then(|s| s.actor.as_ref()), "reporters": reporters,
            "environment": known.and_then(|a| a.environment.as_deref()), "console": console,
            "cards": entry.cards.iter().map(|c| json!({ "destination": c.destination, "link": c.link })).collect::<Vec<_>>(),
        },
    })
}

/// The body of our own events about a remediation: the problem as it stands, and the step that was taken.
pub fn remediation(config: &Config, entry: &Entry, remediation: &Remediation, turn: &Turn, now: Timestamp) -> Value {
    let mut body = finding(config, entry, Novelty::Duplicate, now);
    let Remediation { id, job, effect, mode, attempt, run, approvals, .. } = remediation;
    body["unmapped"]["remediation"] = json!({
        "id": id, "runbook": job.runbook, "account": job.account, "region": job.region, "parameters": job.parameters,
        "effect": effect, "mode": mode, "attempt": attempt, "approvals": approvals,
        "execution": run.as_ref().and_then(|r| r.execution.as_deref()), "turn": turn,
    });
    body
}

fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}
