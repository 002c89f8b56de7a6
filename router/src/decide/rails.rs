//! Rails: the limits that stop a remediation. They fail closed: what is not known is not allowed.
//!
//! Proposing is only words, so a proposal needs nothing but parameters that bind; everything that could start passes
//! every rail when it is planned, and again at the moment it starts. The first one that stops it is named on the card with
//! what would let it through.
#[cfg(test)]
mod tests;

use super::{
    config::{self, Config, of_environment},
    playbook::{self, Playbook, VALUE_MAX, Value, anchored},
    remediation::is_temporary,
    runbook::{ASSUME_ROLE, Catalogue},
    source::UNKNOWN,
};
use crate::values::{
    action::{Effect, Mode, Stop},
    entry::{Entry, Tally},
    finding::{ActorKind, Finding, Resource},
    remediation::{Job, PARAMETERS_MAX, Progress, Remediation, Undo, size},
    severity::Severity,
    text::{cut, digest},
    tree::Node,
    verdict::Claim,
};
use jiff::{SignedDuration, Timestamp};
use regex_lite::Regex;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The name space of client tokens (a random UUID, fixed for ever).
const TOKENS: Uuid = Uuid::from_u128(0x9a1c_6f1e_53b0_4d0e_8c3e_2f0a_77d1_c5b4);
/// What is counted as running for longer is forgotten: SSM keeps an execution's history for so long.
pub const RUN_MAX: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What a remediation is planned for.
pub struct Case<'a> {
    /// The user's configuration.
    pub config: &'a Config,
    /// What is known of runbooks.
    pub catalogue: &'a Catalogue,
    /// The playbook that claims the finding.
    pub playbook: &'a Playbook,
    /// The finding.
    pub finding: &'a Finding,
    /// The verdict.
    pub claim: &'a Claim,
    /// The event.
    pub tree: &'a Node<'a>,
    /// Which round.
    pub episode: u32,
    /// Whether anybody hears of it.
    pub told: bool,
    /// The clock.
    pub now: Timestamp,
}

/// A remediation at the moment it would start.
pub struct Start<'a> {
    /// The user's configuration.
    pub config: &'a Config,
    /// What it is about.
    pub about: &'a Resource,
    /// How bad the problem is.
    pub severity: Severity,
    /// Which problem, and which round of it.
    pub problem: String,
    /// The remediation.
    pub remediation: &'a Remediation,
    /// What runs: its job, or that of its undo.
    pub job: &'a Job,
    /// The token it starts with.
    pub client_token: &'a str,
    /// The clock.
    pub now: Timestamp,
}

/// What limits starts, as it is counted in the ledger.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The runbook's starts in the account.
    pub starts: Tally,
    /// The starts on the resource.
    pub touched: Tally,
    /// The runbook's failures.
    pub failures: Tally,
    /// What runs.
    pub running: Tally,
    /// The kill switch; on where it holds anything.
    pub halt: Tally,
}

/// The kill switch of the ledger.
pub const HALT: &str = "remediation/halt";
/// Says that a parameter's value is not in the finding at all: there is nothing to offer, and nothing is said.
pub const ABSENT: &str = "absent";
/// What runs.
pub const RUNNING: &str = "remediation/running";

/// The tally that counts a runbook's starts in an account.
pub fn starts_key(runbook: &str, account: &str) -> String {
    format!("starts/{runbook}/{account}")
}

/// The tally that counts the starts on a resource.
pub fn touched_key(account: &str, about: &Resource) -> String {
    format!("touched/{account}/{}", digest([about.id.as_str()]))
}

/// The tally of a runbook's failures.
pub fn failures_key(runbook: &str) -> String {
    format!("failures/{runbook}")
}

/// What makes a start this start: the same problem, round, runbook and attempt is one execution, however often it is asked for.
pub fn client_token(fingerprint: &str, episode: u32, runbook: &str, attempt: u32) -> String {
    Uuid::new_v5(&TOKENS, format!("{fingerprint}/{episode}/{runbook}/{attempt}").as_bytes()).to_string()
}

/// Binds a playbook's remediation to the finding and passes it through the rails. None where nothing is to be offered at all.
pub fn pass(case: &Case<'_>, remediate: &playbook::Remediate, counts: &mut Counts) -> Option<Remediation> {
    // Samples, drills and replays are never remediated, not even in words.
    if case.finding.exercise.is_some() {
        return None;
    }
    let owner = case.claim.owner(case.finding);
    let mode = mode(case.config, &case.playbook.name, owner, &case.claim.about);
    if mode == Mode::Off {
        return None;
    }
    let job = |runbook: &str, parameters| Job {
        runbook: runbook.to_owned(),
        account: owner.to_owned(),
        region: case.finding.region.clone(),
        parameters,
    };
    let (bound, unbound) = match bind(case, mode, &remediate.runbook, &remediate.with) {
        Ok((parameters, _)) => (parameters, None),
        Err(stop) => (BTreeMap::new(), Some(stop)),
    };
    // What cannot be bound cannot be taken back by this runbook; the remediation itself may be right all the same.
    let undo = remediate.undo.as_ref().and_then(|u| {
        let (parameters, outputs) = bind(case, mode, &u.runbook, &u.with).ok()?;
        Some(Undo { job: job(&u.runbook, parameters), outputs, within: u.within })
    });
    let job = job(&remediate.runbook, bound);
    let mut remediation = Remediation {
        id: client_token(&case.claim.fingerprint, case.episode, &remediate.runbook, 1),
        undo,
        deadline: remediate.deadline,
        ..Remediation::proposed(case.episode, &case.playbook.name, job, mode, remediate.effect)
    };
    if mode >= Mode::Approve || unbound.is_some() {
        let start = Start {
            config: case.config,
            about: &case.claim.about,
            severity: case.claim.severity,
            problem: problem(&case.claim.fingerprint, case.episode),
            job: &remediation.job,
            client_token: &remediation.id,
            remediation: &remediation,
            now: case.now,
        };
        // What somebody has to set up once is told when nothing else stands in the way.
        let (unready, unbound): (Option<Stop>, _) = match unbound {
            Some(stop) if !["parameters", ABSENT].contains(&stop.rail.as_str()) => (Some(stop), None),
            other => (None, other),
        };
        let stopped = unbound.or_else(|| misplaced(case)).or_else(|| stop(&start, counts)).or(unready);
        // A retry of the same start is counted once.
        if mode == Mode::Automatic && stopped.is_none() {
            start.count(counts);
        }
        remediation.stopped = stopped;
    }
    let offered = remediation.stopped.as_ref().is_none_or(is_temporary);
    match mode {
        Mode::Automatic if remediation.stopped.is_none() => {
            (remediation.progress, remediation.due) = (Progress::Approved, Some(case.now));
            remediation.approved = Some(case.now);
        }
        Mode::Approve | Mode::Automatic if offered => {
            remediation.due = Some(case.now + case.config.remediation.approval.expires);
        }
        _ => {}
    }
    Some(remediation)
}

/// A problem in one of its rounds: what is mended together is not held up by the cooldown of the resource.
pub fn problem(fingerprint: &str, episode: u32) -> String {
    format!("{fingerprint}/{episode}")
}

impl<'a> Start<'a> {
    /// A remediation of a problem, at the moment it would start.
    pub fn of(
        config: &'a Config,
        entry: &'a Entry,
        remediation: &'a Remediation,
        token: &'a str,
        now: Timestamp,
    ) -> Self {
        Self {
            config,
            about: &entry.resource,
            severity: entry.severity,
            problem: problem(&entry.fingerprint, remediation.episode),
            job: remediation.job_now(),
            client_token: token,
            remediation,
            now,
        }
    }

    /// The tallies that limit it: starts, touched, failures, running, halt.
    pub fn keys(&self) -> [String; 5] {
        let Job { runbook, account, .. } = self.job;
        let touched = touched_key(account, self.about);
        [starts_key(runbook, account), touched, failures_key(runbook), RUNNING.to_owned(), HALT.to_owned()]
    }

    /// Counts the start, by name: the same one again is counted once.
    pub fn count(&self, counts: &mut Counts) {
        let own = format!("{} {}", self.about.id, self.client_token);
        for (tally, name) in [
            (&mut counts.starts, own.as_str()),
            (&mut counts.touched, self.problem.as_str()),
            (&mut counts.running, self.client_token),
        ] {
            if tally.items.iter().all(|(_, known)| known != name) {
                tally.add(self.now, name);
            }
        }
    }
}

/// The playbook's mode, or the general one; no further than the environment's, and a dry run wins over all.
pub fn mode(config: &Config, playbook: &str, account: &str, about: &Resource) -> Mode {
    let rails = &config.remediation;
    let environment = config.account(account).and_then(|a| a.environment.as_deref());
    // Where environments have limits, an unlisted one has the strictest that still speaks.
    let otherwise = if rails.environments.is_empty() { Mode::Automatic } else { Mode::Propose };
    let most = of_environment(&rails.environments, environment).copied().unwrap_or(otherwise);
    let mode = rails.playbooks.get(playbook).copied().unwrap_or(rails.mode).min(most);
    let tags = &about.tags;
    // Tags that the event does not tell may be there all the same.
    let may_be_code = tags.is_empty() && !rails.propose_tags.is_empty();
    let is_code = tags.iter().any(|(key, _)| rails.propose_tags.contains(key));
    if rails.dry_run || may_be_code || is_code { mode.min(Mode::Propose) } else { mode }
}

fn no(rail: &str, reason: String) -> Stop {
    Stop { rail: rail.to_owned(), reason }
}

/// The rails that only the finding itself can tell.
fn misplaced(case: &Case<'_>) -> Option<Stop> {
    let (finding, about) = (case.finding, &case.claim.about);
    let owner = case.claim.owner(finding);
    if !case.told {
        return Some(no("told", "no route sends this finding to anybody".to_owned()));
    }
    if owner != finding.account {
        return Some(no(
            "accounts",
            format!("account {} tells it of a resource of {owner}, which has to say so itself", finding.account),
        ));
    }
    if let Some(other) = about.arn.as_deref().and_then(region_of).filter(|r| *r != finding.region) {
        return Some(no("regions", format!("the finding is from {}, the resource in {other}", finding.region)));
    }
    None
}

/// The first rail that stops a start.
pub fn stop(start: &Start<'_>, counts: &Counts) -> Option<Stop> {
    let Start { config, about, job, now, .. } = start;
    let (rails, now) = (&config.remediation, *now);
    let (account, region, runbook) = (&job.account, &job.region, &job.runbook);
    if rails.kill_switch {
        return Some(no("kill-switch", "the kill switch is on".to_owned()));
    }
    if let Some((at, by)) = counts.halt.items.last() {
        return Some(no("kill-switch", format!("{by} turned the kill switch on at {at:.0}")));
    }
    let needed = if start.remediation.approvals.is_empty() { start.remediation.mode } else { Mode::Approve };
    let allowed = mode(config, &start.remediation.playbook, account, about);
    if allowed < needed {
        return Some(no("mode", format!("the configuration now says {}", allowed.as_str())));
    }
    let Some(known) = config.account(account) else {
        return Some(no("accounts", format!("account {account} is not in the account directory")));
    };
    if !rails.accounts.iter().any(|a| a == account) {
        return Some(no("accounts", format!("account {account} is not in remediation.accounts")));
    }
    if region == UNKNOWN {
        return Some(no("regions", "the event does not tell its Region".to_owned()));
    }
    if rails.regions.as_ref().is_some_and(|allowed| !allowed.contains(region)) {
        return Some(no("regions", format!("{region} is not in remediation.regions")));
    }
    if rails.runbooks.as_ref().is_some_and(|allowed| !allowed.contains(runbook)) {
        return Some(no("runbooks", format!("{runbook} is not in remediation.runbooks")));
    }
    if start.severity < rails.min_severity {
        return Some(no(
            "severity",
            format!("{} is below remediation.min-severity ({})", start.severity, rails.min_severity),
        ));
    }
    let environment = known.environment.as_deref();
    let most = of_environment(&rails.effects, environment).copied().unwrap_or(Effect::Harmless);
    if start.remediation.effect > most {
        let (effect, most) = (start.remediation.effect.as_str(), most.as_str());
        let environment = environment.unwrap_or("*");
        return Some(no("effect", format!("its effect is {effect}; environment {environment} allows {most} at most")));
    }
    if let Some(name) = protected(rails, about, &job.parameters) {
        return Some(no("protected", format!("{} is protected by {name}", about.id)));
    }
    if !rails.protected_tags.is_empty() && about.tags.is_empty() {
        return Some(no(
            "protected",
            format!("the tags of {} are not known, and remediation.protected-tags is set", about.id),
        ));
    }
    if let Some(windows) = of_environment(&rails.windows, environment)
        && !windows.iter().any(|w| w.holds(&config.clock.zone, now))
    {
        let windows: Vec<_> = windows.iter().map(config::Window::text).collect();
        return Some(no("windows", format!("it is outside the maintenance windows ({})", windows.join(", "))));
    }
    crowded(start, counts)
}

/// The rails that count.
fn crowded(start: &Start<'_>, counts: &Counts) -> Option<Stop> {
    let (rails, about, runbook) = (&start.config.remediation, start.about, &start.job.runbook);
    let since = |span| start.now.saturating_sub(span).unwrap_or(Timestamp::MIN);
    let token = start.client_token;
    // Taking back is no second remedy.
    let undoing = start.remediation.progress == Progress::Undoing;
    let touched =
        counts.touched.items.iter().filter(|(at, name)| *name != start.problem && *at > since(rails.cooldown));
    if !undoing && touched.count() > 0 {
        return Some(no("cooldown", format!("{} was remediated less than {:#} ago", about.id, rails.cooldown)));
    }
    let others = counts.starts.items.iter().filter(|(_, name)| !name.ends_with(token));
    let spent = others.filter(|(at, _)| *at > since(rails.budget_within)).count();
    if spent >= rails.budget as usize {
        return Some(no(
            "budget",
            format!("{spent} starts in the last {:#}; the budget is {}", rails.budget_within, rails.budget),
        ));
    }
    let failed = counts.failures.items.iter().filter(|(at, _)| *at > since(rails.breaker_within)).count();
    if failed >= rails.breaker as usize {
        return Some(no(
            "breaker",
            format!(
                "{runbook} failed {failed} times in the last {:#}; see why, then `findings-router remediation reset {runbook}`",
                rails.breaker_within
            ),
        ));
    }
    let running = counts.running.items.iter().filter(|(at, name)| name != token && *at > since(RUN_MAX)).count();
    if running >= rails.concurrent as usize {
        return Some(no(
            "concurrent",
            format!("{running} executions are running; remediation.concurrent is {}", rails.concurrent),
        ));
    }
    None
}

impl Counts {
    /// Tallies in the order of [`Start::keys`].
    pub fn of([starts, touched, failures, running, halt]: [Tally; 5]) -> Self {
        Self { starts, touched, failures, running, halt }
    }

    /// The tallies that [`Start::count`] changes.
    pub fn counted(&self) -> [&Tally; 3] {
        [&self.starts, &self.touched, &self.running]
    }
}

/// The pattern as its author wrote it.
fn written(must: &Regex) -> &str {
    let text = must.as_str();
    text.strip_prefix("^(?:").and_then(|t| t.strip_suffix(")$")).unwrap_or(text)
}

/// The Region in an ARN, where it has one.
fn region_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|r| !r.is_empty())
}

/// What protects the resource, or anything else that a parameter names.
fn protected<'r>(
    rails: &'r config::Remediation,
    about: &Resource,
    bound: &BTreeMap<String, Vec<String>>,
) -> Option<&'r str> {
    let ids = [Some(about.id.as_str()), about.arn.as_deref(), about.name.as_deref()];
    let mut ids = ids.into_iter().flatten().chain(bound.values().flatten().map(String::as_str));
    let by_id = ids.find_map(|id| rails.protected.iter().find(|p| covers(p, id)));
    let by_tag = rails.protected_tags.iter().find(|wanted| {
        about
            .tags
            .iter()
            .any(|(key, value)| wanted.split_once('=').map_or(*wanted == key, |(k, v)| k == key && v == value))
    });
    by_id.or(by_tag).map(String::as_str)
}

/// Whether a pattern means this id, in any case of letters. Few events tell ARNs, and ids may be paths or ARNs: any end of
/// an ARN pattern covers any end of an id, an end beginning after `:` or `/`. Rather one resource too many is protected.
pub fn covers(pattern: &str, id: &str) -> bool {
    let (pattern, id) = (pattern.to_lowercase(), id.to_lowercase());
    let is_arn = |text: &str| text.starts_with("arn:");
    if is_arn(&pattern) && is_arn(&id) {
        return like(&pattern, &id);
    }
    ends(&pattern).filter(|end| is_arn(&pattern) || *end == pattern).any(|end| ends(&id).any(|id| like(end, id)))
}

/// A text, and what of it comes after each `:` and `/`.
fn ends(text: &str) -> impl Iterator<Item = &str> {
    let after = text.match_indices([':', '/']).map(|(at, _)| &text[at + 1..]);
    std::iter::once(text).chain(after).filter(|end| !end.is_empty())
}

/// `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

type Bound = (BTreeMap<String, Vec<String>>, Vec<(String, String, String)>);

/// What has to be set up once before a runbook can start: whatever the finding.
pub fn unready(config: &Config, catalogue: &Catalogue, runbook: &str, with: &[(String, Value)]) -> Option<Stop> {
    let Some(document) = catalogue.get(runbook) else {
        let reason = format!(
            "{runbook} is in no catalogue, so its parameters cannot be checked; name a folder that holds it in `runbooks`"
        );
        return Some(no("document", reason));
    };
    let has_role =
        config.remediation.access.automation_role.is_some() || with.iter().any(|(name, _)| name == ASSUME_ROLE);
    (document.needs_role() && !has_role)
        .then(|| no("role", format!("{runbook} runs in a role of its own: set remediation.automation-role")))
}

/// The parameters of a runbook, and those that only an execution can tell.
fn bind(case: &Case<'_>, mode: Mode, runbook: &str, with: &[(String, Value)]) -> Result<Bound, Stop> {
    let stop = |reason| Stop { rail: "parameters".to_owned(), reason };
    let (mut parameters, mut outputs) = (BTreeMap::new(), Vec::new());
    for (name, value) in with {
        let (found, must) = match value {
            Value::Constant(list) => {
                parameters.insert(name.clone(), list.clone());
                continue;
            }
            Value::Output(output, must) => {
                outputs.push((name.clone(), output.clone(), must.clone()));
                continue;
            }
            Value::At(pointer, must) => (case.tree.text_at(pointer).map(str::to_owned), must),
            Value::From(from, must) => (canonical(case, from), must),
        };
        let found = match (found, value) {
            (Some(found), _) => found,
            // Proposing is only words.
            (None, Value::From(playbook::From::Account(_), _)) if mode < Mode::Approve => continue,
            (None, Value::From(playbook::From::Account(key), _)) => {
                let account = case.claim.owner(case.finding);
                return Err(stop(format!("{name} is not known: set `{key}` in [accounts.{account:?}.values]")));
            }
            (None, _) => return Err(no(ABSENT, format!("{name} has no value in this finding"))),
        };
        anchored(must).and_then(|must| fits(name, &found, &must)).map_err(stop)?;
        parameters.insert(name.clone(), vec![found]);
    }
    // Proposing is only words.
    let in_earnest = mode >= Mode::Approve;
    if in_earnest && let Some(stop) = unready(case.config, case.catalogue, runbook, with) {
        return Err(stop);
    }
    let Some(document) = case.catalogue.get(runbook) else { return Ok((parameters, outputs)) };
    if document.takes_role()
        && !parameters.contains_key(ASSUME_ROLE)
        && let Some(role) = &case.config.remediation.access.automation_role
    {
        let role = fill(role, case.claim.owner(case.finding), &case.finding.region, runbook);
        parameters.insert(ASSUME_ROLE.to_owned(), vec![role]);
    }
    document.check(&parameters).map_err(stop)?;
    if size(&parameters) > PARAMETERS_MAX {
        return Err(stop(format!("they are longer than {PARAMETERS_MAX} characters in all")));
    }
    Ok((parameters, outputs))
}

/// A role's name with its places filled in.
pub fn fill(role: &str, account: &str, region: &str, runbook: &str) -> String {
    let partition = match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let role = role.replace("{account}", account).replace("{partition}", partition);
    role.replace("{region}", region).replace("{runbook}", runbook)
}

/// Whether a value looks as it must; events are written by attackers.
pub fn fits(name: &str, value: &str, must: &Regex) -> Result<(), String> {
    if value.chars().count() > VALUE_MAX {
        return Err(format!("{name} is longer than {VALUE_MAX} characters"));
    }
    if !must.is_match(value) {
        return Err(format!("{name} does not look right: {:?} does not match {}", cut(value, 60), written(must)));
    }
    Ok(())
}

fn canonical(case: &Case<'_>, from: &playbook::From) -> Option<String> {
    use playbook::From;
    let (finding, about) = (case.finding, &case.claim.about);
    // Somebody of another account is nobody whom a runbook here could do anything about.
    let here = finding.actor.as_ref().filter(|a| a.account.as_deref().is_none_or(|a| a == finding.account));
    let named = |kind: ActorKind| {
        let id = &here.filter(|a| a.kind == kind)?.id;
        id.rsplit('/').next().map(str::to_owned)
    };
    match from {
        From::ResourceId => Some(about.id.clone()),
        From::ResourceArn => about.arn.clone(),
        From::ResourceName => about.name.clone().or_else(|| Some(about.id.clone())),
        From::AccountId => Some(case.claim.owner(finding).to_owned()),
        From::Region => Some(finding.region.clone()),
        From::ActorName => finding.actor.as_ref().map(|a| a.name.clone()),
        From::ActorId => finding.actor.as_ref().map(|a| a.id.clone()),
        From::ActorUser => named(ActorKind::IamUser),
        // What IAM Identity Center makes, only it can change.
        From::ActorRole => named(ActorKind::RoleSession).filter(|role| !role.starts_with("AWSReservedSSO_")),
        // Temporary keys (ASIA…) end by themselves, and cannot be deactivated.
        From::ActorAccessKey => {
            finding.actor.as_ref().and_then(|a| a.access_key.clone()).filter(|key| key.starts_with("AKIA"))
        }
        From::Account(key) => case.config.account(case.claim.owner(finding))?.values.get(key).cloned(),
    }
    .filter(|v| !v.is_empty())
}
