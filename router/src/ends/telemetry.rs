//! One line per decision with its reason, and the counters behind `/metrics` and Lambda's embedded metrics. Labels hold only
//! words of our own, so that nobody outside can make them grow.
use crate::{
    act::{
        intake::EventFacts,
        router::{Handled, Performed, Told},
    },
    values::{
        action::{Action, Disposition, Outcome},
        finding::Exercise,
        severity::Severity,
        verdict::{Novelty, Verdict},
    },
};
use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_histogram, histogram};
use std::{io::IsTerminal, time::Duration};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// What is logged where `FINDINGS_ROUTER_LOG` does not say otherwise.
const LEVELS: &str =
    "info,aws_config=warn,aws_smithy_runtime=warn,aws_runtime=warn,hyper=warn,lambda_runtime=warn,reqwest=warn";

/// The namespace of CloudWatch metrics.
pub const NAMESPACE: &str = "FindingsRouter";

/// Events taken out of messages, by what they are.
const EVENTS: &str = "findings_router_events_total";
/// Findings decided, by novelty.
const DECISIONS: &str = "findings_router_decisions_total";
/// Actions performed, by kind and outcome.
const ACTIONS: &str = "findings_router_actions_total";
/// Messages, by disposition.
const MESSAGES: &str = "findings_router_messages_total";
/// How long a message was in the queue before it was handled for the first time.
const QUEUE_AGE: &str = "findings_router_queue_age_seconds";
/// How long a message took.
const HANDLING: &str = "findings_router_handling_seconds";
/// What people asked for about remediations.
const ASKED: &str = "findings_router_asked_total";
/// Findings that people were told of for the first time in their episode, by severity.
const FINDINGS: &str = "findings_router_findings_total";
/// From an event to its card.
const TIME_TO_TELL: &str = "findings_router_time_to_tell_seconds";
/// From a problem's first sight to its end.
const TIME_TO_FIX: &str = "findings_router_time_to_fix_seconds";
/// From a drill's event to its card.
const DRILL: &str = "findings_router_drill_seconds";
/// How far remediations came.
const REMEDIATIONS: &str = "findings_router_remediations_total";
/// Calls to Slack.
const SLACK: &str = "findings_router_slack_call_seconds";
/// Decisions taken again because somebody else wrote first.
const CONFLICTS: &str = "findings_router_ledger_conflicts_total";

/// Logs to standard error: for people on a terminal, JSON otherwise.
pub fn init_log(levels: Option<&str>) {
    let filter = EnvFilter::try_new(levels.unwrap_or(LEVELS)).unwrap_or_else(|_| EnvFilter::new(LEVELS));
    let registry = tracing_subscriber::registry().with(filter);
    // A second initialisation, in tests, changes nothing.
    let _ = if std::io::stderr().is_terminal() {
        registry.with(fmt::layer().with_target(false).with_writer(std::io::stderr)).try_init()
    } else {
        registry
            .with(fmt::layer().json().flatten_event(true).with_target(false).with_writer(std::io::stderr))
            .try_init()
    };
}

/// Says what each metric counts.
pub fn describe() {
    describe_counter!(EVENTS, "Events taken out of messages, by what they are");
    describe_counter!(DECISIONS, "Findings decided, by what is new about them");
    describe_counter!(ACTIONS, "Actions performed, by kind and outcome");
    describe_counter!(MESSAGES, "Messages, by what became of them");
    describe_counter!(CONFLICTS, "Decisions taken again because another consumer wrote first");
    describe_histogram!(QUEUE_AGE, metrics::Unit::Seconds, "From sent to first received");
    describe_histogram!(HANDLING, metrics::Unit::Seconds, "From received to decided, recorded and told");
    describe_counter!(FINDINGS, "Findings that people were told of, by severity");
    describe_histogram!(TIME_TO_TELL, metrics::Unit::Seconds, "From an event to its card");
    describe_histogram!(TIME_TO_FIX, metrics::Unit::Seconds, "From a problem's first sight to its end");
    describe_histogram!(DRILL, metrics::Unit::Seconds, "From a drill's event to its card");
    describe_counter!(REMEDIATIONS, "Remediations, by how far they came");
    describe_counter!(ASKED, "What people asked for about remediations, and clicks that were refused");
    describe_histogram!(SLACK, metrics::Unit::Seconds, "Calls to Slack, by method and what Slack answered");
}

/// Somebody asked for something about a remediation.
pub fn asked(what: &'static str, outcome: &'static str) {
    counter!(ASKED, "what" => what, "outcome" => outcome).increment(1);
}

/// A remediation came so far.
pub fn remediated(state: &str) {
    let known = ["started", "succeeded", "failed", "verified", "unverified", "undone", "undo-failed"];
    if let Some(state) = known.into_iter().find(|known| *known == state) {
        counter!(REMEDIATIONS, "state" => state).increment(1);
    }
}

/// How long it took until people were told, or until it was over.
fn timed(told: &Told, severity: Severity, now: Timestamp) {
    let done = |a: &Performed| matches!((&a.action, &a.outcome), (Action::Notify(_), Outcome::Done(_)));
    let sent = told.actions.iter().any(done);
    let since = |then: Timestamp| now.duration_since(then).as_secs_f64().max(0.0);
    match (told.finding.exercise, told.novelty) {
        (Some(Exercise::Drill), _) if sent => histogram!(DRILL).record(since(told.finding.sent)),
        (None, Some(Novelty::New | Novelty::Reopened)) if sent => {
            counter!(FINDINGS, "severity" => severity.as_str()).increment(1);
            histogram!(TIME_TO_TELL).record(since(told.finding.sent));
        }
        (None, Some(Novelty::Resolved)) => {
            if let (Some(before), _) = &told.entries {
                histogram!(TIME_TO_FIX).record(since(before.first_seen));
            }
        }
        _ => {}
    }
}

/// One event was handled.
pub fn decided(event: Option<&EventFacts>, result: Result<&Handled, &str>, now: Timestamp) {
    let id = event.map_or("", |e| e.id.as_str());
    let handled = match result {
        Ok(handled) => handled,
        Err(reason) => {
            counter!(EVENTS, "outcome" => "refused").increment(1);
            // Whoever took the message says so once, however often it comes.
            return tracing::info!(event = id, reason, "refused: no event of a known shape");
        }
    };
    if let Some(followed) = &handled.execution {
        counter!(EVENTS, "outcome" => "followed").increment(1);
        return tracing::info!(event = id, disposition = followed.disposition.as_str(), "{}", followed.what);
    }
    if let Some(reason) = &handled.ignored {
        counter!(EVENTS, "outcome" => "ignored").increment(1);
        return tracing::debug!(event = id, reason, "ignored");
    }
    counter!(EVENTS, "outcome" => "findings").increment(1);
    for told in &handled.findings {
        let f = &told.finding;
        if told.conflicts > 0 {
            counter!(CONFLICTS).increment(told.conflicts as u64);
        }
        for one in &told.actions {
            counter!(ACTIONS, "kind" => kind(&one.action), "outcome" => outcome(&one.outcome)).increment(1);
        }
        let done: Vec<String> =
            told.actions.iter().map(|a| format!("{}: {}", a.action.key(), outcome(&a.outcome))).collect();
        let (decision, reason) = match (&told.verdict, told.novelty) {
            (Verdict::Suppressed(why), _) => ("suppressed", why.as_str()),
            (Verdict::Ignored(why), _) => ("ignored", why.as_str()),
            (Verdict::Claimed(_), Some(novelty)) => (novelty.as_str(), ""),
            (Verdict::Claimed(_), None) => ("undecided", told.error.as_deref().unwrap_or_default()),
        };
        counter!(DECISIONS, "novelty" => decision).increment(1);
        if let Verdict::Claimed(claim) = &told.verdict {
            timed(told, claim.severity, now);
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    event = id, reporter = %f.reporter, account = %f.account, region = %f.region, kind = %f.kind,
                    resource = %f.resources.first().map_or("", |r| r.id.as_str()), playbook = %told.playbook,
                    fingerprint = %claimed(&told.verdict), error = told.error.as_deref(), reason,
                    disposition = told.disposition.as_str(), done = %done.join("; "), "{decision}"
                )
            };
        }
        match (&told.error, told.novelty, told.disposition) {
            (Some(_), _, Disposition::Ack) => line!(error),
            (Some(_), _, _) => line!(warn),
            (None, Some(Novelty::Duplicate | Novelty::Stale | Novelty::BelowThreshold), _) => line!(debug),
            (None, _, _) => line!(info),
        }
    }
}

fn claimed(verdict: &Verdict) -> &str {
    if let Verdict::Claimed(claim) = verdict { &claim.fingerprint } else { "" }
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::Notify(n) => n.mode.as_str(),
        Action::Digest(_) => "digest",
        Action::Remediate(_) => "remediate",
        Action::Publish(_) => "publish",
    }
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::Nothing => "nothing",
        Outcome::Later(_) => "later",
        Outcome::Failed(_) => "failed",
    }
}

/// One message was handled.
pub fn handled(disposition: Disposition, took: Duration) {
    counter!(MESSAGES, "disposition" => disposition.as_str()).increment(1);
    histogram!(HANDLING).record(took.as_secs_f64());
}

/// A message was received for the first time, so long after it was sent.
pub fn waited(seconds: f64) {
    histogram!(QUEUE_AGE).record(seconds.max(0.0));
}

/// Slack was called.
pub fn called_slack(method: &'static str, class: &'static str, took: Duration) {
    histogram!(SLACK, "method" => method, "class" => class).record(took.as_secs_f64());
}
