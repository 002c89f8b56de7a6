//! What people see: the texts of a playbook for a finding, and the view that a formatter renders.
use super::{
    config::Config,
    identity,
    plan::Facts,
    remediation::{Ask, needed, open_to, standing},
    runbook::{ASSUME_ROLE, Catalogue},
    source::FINDING,
};
use crate::values::{
    action::{Notify, NotifyMode},
    entry::{Entry, Shown, State, Tally},
    finding::{Actor, ActorKind, Finding, Resource, Status},
    remediation::{Job, Progress, Remediation, Turn},
    severity::Severity,
    text::cut,
    verdict::{Claim, Novelty},
};
use findings_formatters::{
    TemplateError, Texts, escape,
    view::{
        AccountView, ActorView, HushView, Kind, LineView, Locale, RemediationView, ReporterView, ResourceView,
        StormView, View,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Texts are kept with the entry, so they are cut here; a card shows less.
const SHOWN_MAX: usize = 600;

/// Everything that a text template of a playbook can name, from a finding and its event.
pub fn context(config: &Config, locale: Locale, finding: &Finding, claim: &Claim, event: &Value) -> Value {
    let account = config.account(&finding.account).and_then(|a| a.name.as_deref()).unwrap_or(&finding.account);
    let about = &claim.about;
    let word = |table, key| findings_formatters::word(locale, table, key);
    let label = word("resource", &about.kind).or_else(|| word("resource", "Other")).unwrap_or_default();
    json!({
        "resource": {
            "type": about.kind, "label": label, "id": about.id,
            // What names nothing is looked for in its account.
            "name": if about.kind == FINDING { account } else { name(about) },
            "arn": about.arn.as_deref().unwrap_or(&about.id), "account": about.account.as_deref().unwrap_or(&finding.account),
        },
        "actor": finding.actor.as_ref().map(|a| json!({
            "kind": a.kind, "id": a.id, "account": a.account, "source_ip": a.source_ip,
            "name": if a.kind == ActorKind::Anonymous { word("actor", "anonymous").unwrap_or(&a.name) } else { &a.name },
        })),
        "account": { "id": finding.account, "name": account },
        "region": finding.region,
        "finding": {
            "type": finding.kind, "title": finding.title.trim_end_matches('.'), "description": finding.description,
            "severity": claim.severity.as_str(), "reporter": finding.reporter, "count": finding.count,
        },
        "detail": event.get("detail").cloned().unwrap_or(Value::Null),
    })
}

/// What people call a resource; its id where the name is missing or cannot be seen.
fn name(resource: &Resource) -> &str {
    resource.name.as_deref().filter(|n| !escape::clean(n).is_empty()).unwrap_or(&resource.id)
}

/// A context with every name that a text can use, to try texts on.
pub fn sample_context() -> Value {
    let about = Resource {
        kind: "AwsEc2Instance".into(),
        id: "i-0123456789abcdef0".to_owned(),
        arn: None,
        name: Some("web-1".to_owned()),
        account: None,
        tags: Vec::new(),
    };
    let actor = Actor {
        kind: ActorKind::IamUser,
        id: "arn:aws:iam::111122223333:user/alice".to_owned(),
        name: "user/alice".to_owned(),
        account: Some("111122223333".to_owned()),
        session: None,
        access_key: None,
        source_ip: Some("192.0.2.1".to_owned()),
    };
    let finding = Finding {
        id: "sample".to_owned(),
        revision: Timestamp::UNIX_EPOCH,
        sent: Timestamp::UNIX_EPOCH,
        reporter: "guardduty".to_owned(),
        kind: "Sample:EC2/Type".to_owned(),
        problem: "Sample:EC2/Type".to_owned(),
        title: "A sample".to_owned(),
        description: "A sample finding.".to_owned(),
        severity: Severity::High,
        status: Status::Active,
        can_resolve: true,
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        resources: vec![about.clone()],
        actor: Some(actor),
        first_seen: Timestamp::UNIX_EPOCH,
        last_seen: Timestamp::UNIX_EPOCH,
        count: 1,
        link: None,
        exercise: None,
        signals: Vec::new(),
    };
    let claim = Claim {
        playbook: 0,
        severity: Severity::High,
        weakness: "sample".to_owned(),
        about,
        region: Some("eu-west-1".to_owned()),
        fingerprint: "0".repeat(32),
        also: Vec::new(),
        notes: Vec::new(),
    };
    context(&Config::default(), Locale::En, &finding, &claim, &Value::Null)
}

/// Renders a playbook's texts. A text that does not render must not lose the finding: the producer's own title stands in
/// for it, and the mistake is returned beside it.
pub fn shown(
    facts: &Facts<'_>,
    names: &dyn Fn(usize) -> String,
    context: &Value,
    texts: &Texts,
) -> (Shown, Vec<String>) {
    let (finding, claim) = (facts.finding, facts.claim);
    let locale = facts.config.locale;
    let mut mistakes = Vec::new();
    let mut rendered = facts.playbook.texts(locale).named().into_iter().map(|(key, text)| {
        let rendered = render(texts, locale, &facts.playbook.text_name(locale, &key), text, context);
        let rendered = rendered.map_err(|e| mistakes.push(e.to_string())).ok();
        rendered.filter(|text| !text.trim().is_empty()).map(|text| cut(&text, SHOWN_MAX).to_owned())
    });
    let title = rendered.next().flatten();
    let why = rendered.next().flatten();
    let next = rendered.flatten().collect();
    let shown = Shown {
        playbook: facts.playbook.name.clone(),
        also: claim.also.iter().map(|i| names(*i)).collect(),
        title: title.unwrap_or_else(|| cut(&finding.title, SHOWN_MAX).to_owned()),
        why: why.unwrap_or_else(|| cut(&finding.description, SHOWN_MAX).to_owned()),
        next,
        finding_type: finding.kind.clone(),
        actor: finding.actor.clone(),
        more_resources: finding.resources.len().saturating_sub(1),
        signals: finding.signals.clone(),
        exercise: finding.exercise.map(|e| format!("{e:?}").to_lowercase()),
    };
    (shown, mistakes)
}

/// One text. A text about an act may name whoever did it without asking; a record may not say who that was.
pub fn render(texts: &Texts, locale: Locale, name: &str, text: &str, context: &Value) -> Result<String, TemplateError> {
    let rendered = texts.render(name, text, context);
    if rendered.is_ok() || !context["actor"].is_null() {
        return rendered;
    }
    let mut nameless = context.clone();
    nameless["actor"] = json!({ "kind": "unknown", "id": "", "name": findings_formatters::label(locale, "nobody"), "account": null, "source_ip": null });
    texts.render(name, text, &nameless).or(rendered)
}

/// What a message about an entry shows, as it stands; `was` is the severity before an escalation.
pub fn view(
    config: &Config,
    entry: &Entry,
    notify: &Notify,
    novelty: Novelty,
    was: Option<Severity>,
    storm: Option<&Tally>,
) -> View {
    let blank = Shown {
        playbook: String::new(),
        also: Vec::new(),
        title: entry.weakness.clone(),
        why: String::new(),
        next: Vec::new(),
        finding_type: entry.weakness.clone(),
        actor: None,
        more_resources: 0,
        signals: Vec::new(),
        exercise: None,
    };
    let shown = entry.shown.as_ref().unwrap_or(&blank);
    let region = entry.region.as_deref();
    View {
        kind: notify.kind,
        locale: config.locale,
        title: shown.title.clone(),
        why: shown.why.clone(),
        next: shown.next.clone(),
        severity: entry.severity.as_str().to_owned(),
        severity_before: was.map(|severity| severity.as_str().to_owned()),
        resolved: entry.state == State::Closed,
        novelty: novelty.as_str().to_owned(),
        exercise: shown.exercise.clone(),
        version: shown.exercise.as_deref().filter(|e| *e == "drill").map(|_| crate::VERSION.to_owned()),
        account: account(config, entry),
        region: entry.region.clone(),
        resource: ResourceView {
            kind: entry.resource.kind.to_string(),
            id: entry.resource.id.clone(),
            name: name(&entry.resource).to_owned(),
            link: identity::console_link(&entry.resource, &entry.account, region.unwrap_or("us-east-1")),
        },
        more_resources: shown.more_resources,
        actor: shown.actor.as_ref().map(|a| ActorView {
            kind: json!(a.kind).as_str().unwrap_or_default().to_owned(),
            name: a.name.clone(),
            source_ip: a.source_ip.clone(),
            others: entry.actors.iter().filter(|id| **id != a.id).count(),
        }),
        first_seen: entry.first_seen.as_second(),
        last_seen: entry.last_seen.as_second(),
        count: count(entry),
        reporters: reporters(entry),
        finding_type: shown.finding_type.clone(),
        signals: shown.signals.clone(),
        also: shown.also.clone(),
        remediations: current(entry).map(|r| remediated(config, entry, r, entry.updated_at)).collect(),
        previous: entry.previous.iter().find_map(|c| c.link.clone()),
        fingerprint: entry.fingerprint.clone(),
        playbook: shown.playbook.clone(),
        mentions: notify.mentions.iter().map(|id| mention(id)).collect(),
        fixed: config.live.is_webhook(&notify.destination),
        interactive: config.live.interactive && !config.live.is_webhook(&notify.destination),
        hushed: entry
            .hush
            .as_ref()
            .filter(|h| h.holds(entry.updated_at))
            .map(|h| HushView { by: mention(&h.by), until: h.until.map(Timestamp::as_second) }),
        lines: Vec::new(),
        storm: storm.map(|t| StormView {
            count: t.items.len() as u64,
            minutes: u64::try_from(config.storm.window.as_mins()).unwrap_or_default(),
        }),
    }
}

fn account(config: &Config, entry: &Entry) -> AccountView {
    let known = config.account(&entry.account);
    AccountView {
        id: entry.account.clone(),
        name: known.and_then(|a| a.name.clone()),
        environment: known.and_then(|a| a.environment.clone()),
        owner: known.and_then(|a| a.owner.clone()),
    }
}

/// Slack's way of calling a user or a user group.
fn mention(id: &str) -> String {
    if id.starts_with('S') { format!("<!subteam^{id}>") } else { format!("<@{id}>") }
}

/// A channel's digest: what came since the last one and had no card, the worst first.
pub fn digest(config: &Config, entries: &[&Entry]) -> View {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|e| (e.state == State::Closed, std::cmp::Reverse(e.severity), e.first_seen));
    let line = |entry: &&Entry| LineView {
        severity: entry.severity.as_str().to_owned(),
        title: entry.shown.as_ref().map_or_else(|| entry.weakness.clone(), |s| s.title.clone()),
        account: account(config, entry),
        region: entry.region.clone(),
        count: count(entry),
        resolved: entry.state == State::Closed,
    };
    View { kind: Kind::Digest, locale: config.locale, lines: entries.iter().map(line).collect(), ..View::default() }
}

/// What the router could not do, for those who can mend it.
pub fn note(config: &Config, what: &str, why: &str) -> View {
    View { kind: Kind::Note, locale: config.locale, title: what.to_owned(), why: why.to_owned(), ..View::default() }
}

/// How often it was seen in this episode.
fn count(entry: &Entry) -> u64 {
    entry.reports.iter().map(|r| r.count).fold(0, u64::saturating_add).max(1)
}

/// Each reporter of this episode once, and whoever closed it: over when all that it reports is over.
fn reporters(entry: &Entry) -> Vec<ReporterView> {
    let mut list: Vec<ReporterView> = Vec::new();
    let resolved = entry.reports.iter().filter(|r| r.status == Status::Resolved && entry.state == State::Closed);
    let closed_by = resolved.map(|r| r.revision).max();
    for report in entry.reports.iter().filter(|r| r.count > 0 || Some(r.revision) == closed_by) {
        let resolved = report.status == Status::Resolved;
        match list.iter_mut().find(|r| r.name == report.reporter) {
            Some(known) => known.resolved &= resolved,
            None => list.push(ReporterView { name: report.reporter.clone(), resolved, link: report.link.clone() }),
        }
    }
    list
}

/// The remediations that a card tells of: those of this episode, and older ones that run or can be taken back.
fn current(entry: &Entry) -> impl Iterator<Item = &Remediation> {
    let older = |r: &Remediation| r.progress.is_busy() || !open_to(entry, r, entry.updated_at).is_empty();
    entry.remediations.iter().filter(move |r| r.episode == entry.episode || older(r))
}

/// A step in the life of a remediation, as a reply tells it.
pub fn remediation(config: &Config, entry: &Entry, notify: &Notify, r: &Remediation, turn: &Turn) -> View {
    let why = turn.why.clone();
    let told = RemediationView {
        state: Some(turn.what.clone()),
        by: turn.by.as_deref().map(mention),
        why,
        asks: Vec::new(),
        ..remediated(config, entry, r, turn.at)
    };
    View { remediations: vec![told], ..view(config, entry, notify, Novelty::Duplicate, None, None) }
}

/// What somebody reads before they approve a remediation, or take it back.
pub fn dialog(
    config: &Config,
    catalogue: &Catalogue,
    entry: &Entry,
    (r, ask): (&Remediation, Ask),
    now: Timestamp,
) -> View {
    let job = r.job_now();
    let (does, caution) = catalogue.get(&job.runbook).map(|d| d.words(config.locale)).unzip();
    let shown = RemediationView {
        runbook: job.runbook.clone(),
        parameters: parameters(job),
        asks: vec![ask.as_str().to_owned()],
        does: does.map(str::to_owned),
        caution: caution.flatten().map(str::to_owned),
        undo_runbook: r.undo.as_ref().filter(|_| ask != Ask::Undo).map(|u| u.job.runbook.clone()),
        ..remediated(config, entry, r, now)
    };
    let notify = Notify {
        destination: String::new(),
        mode: NotifyMode::Post,
        kind: Kind::Dialog,
        storm: None,
        target: None,
        mentions: Vec::new(),
    };
    View { remediations: vec![shown], ..view(config, entry, &notify, Novelty::Duplicate, None, None) }
}

fn parameters(job: &Job) -> Vec<String> {
    job.parameters.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect()
}

fn remediated(config: &Config, entry: &Entry, r: &Remediation, now: Timestamp) -> RemediationView {
    let nothing_done = matches!(r.progress, Progress::Proposed | Progress::Withdrawn);
    let run = r.run.as_ref();
    let role = format!("{ASSUME_ROLE}=");
    RemediationView {
        runbook: r.job.runbook.clone(),
        effect: r.effect.as_str().to_owned(),
        mode: r.mode.as_str().to_owned(),
        // The role is the same for all; the dialog shows it.
        parameters: parameters(&r.job).into_iter().filter(|p| !p.starts_with(&role)).collect(),
        stopped: r.stopped.as_ref().map(|s| s.reason.clone()),
        rail: r.stopped.as_ref().map(|s| s.rail.clone()).unwrap_or_default(),
        undo: r.undo.is_some(),
        state: (!nothing_done).then(|| r.progress.as_str().to_owned()),
        id: r.id.clone(),
        plan: r.plan(),
        asks: open_to(entry, r, now).into_iter().map(|a| a.as_str().to_owned()).collect(),
        account: r.job.account.clone(),
        region: r.job.region.clone(),
        by: r.approvals.last().filter(|_| !nothing_done).map(|a| mention(&a.by)),
        why: None,
        step: run.and_then(|r| r.step.clone()),
        link: run.and_then(|run| execution_link(run.execution.as_deref()?, &r.job.region)),
        approved: standing(config, r, now).count(),
        needed: needed(config, r),
        does: None,
        caution: None,
        undo_runbook: None,
        again: r.progress == Progress::Failed,
    }
}

/// An execution's page in the console (its form is not documented; seen in the console).
pub fn execution_link(execution: &str, region: &str) -> Option<String> {
    let safe = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let domain = match region {
        r if r.starts_with("cn-") => "console.amazonaws.cn",
        r if r.starts_with("us-gov-") => "console.amazonaws-us-gov.com",
        _ => "console.aws.amazon.com",
    };
    let link = || format!("https://{region}.{domain}/systems-manager/automation/execution/{execution}?region={region}");
    (safe(execution) && safe(region)).then(link)
}

/// The event as a template sees it: only the finding at hand, where the event carries many.
pub fn event_of(text: &str, element: Option<(&str, usize)>) -> Value {
    let mut event: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if let Some((pointer, index)) = element
        && let Some(Value::Array(items)) = event.pointer_mut(pointer)
        && index < items.len()
    {
        let one = items.swap_remove(index);
        *items = vec![one];
    }
    event
}
