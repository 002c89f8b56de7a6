//! Rails: the limits that stop a remediation. They fail closed: what is not known is not allowed.
//!
//! Proposing is only words, so a proposal needs nothing but parameters that bind; everything that could start passes
//! every rail, and the first one that stops it is named on the card with what would let it through.
#[cfg(test)]
mod tests;

use super::{
    config::{Config, Remediation},
    playbook::{self, Playbook, VALUE_MAX, Value},
    source::UNKNOWN,
};
use crate::values::{
    action::{Effect, Mode, Remediate, Stop},
    entry::Tally,
    finding::{Finding, Resource},
    text::cut,
    tree::Node,
    verdict::Claim,
};
use jiff::Timestamp;
use regex_lite::Regex;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The name space of client tokens (a random UUID, fixed for ever).
const TOKENS: Uuid = Uuid::from_u128(0x9a1c_6f1e_53b0_4d0e_8c3e_2f0a_77d1_c5b4);

/// What a remediation is about.
pub struct Case<'a> {
    /// The user's configuration.
    pub config: &'a Config,
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

/// The tally that counts a runbook's starts in an account.
pub fn tally_key(runbook: &str, account: &str) -> String {
    format!("starts/{runbook}/{account}")
}

/// Binds a playbook's remediation to the finding and passes it through the rails. `starts` counts what was started before,
/// and is counted up where this one may start. None where nothing is to be offered at all.
pub fn pass(case: &Case<'_>, remediate: &playbook::Remediate, starts: &mut Tally) -> Option<Remediate> {
    // Samples, drills and replays are never remediated, not even in words.
    if case.finding.exercise.is_some() {
        return None;
    }
    let (bound, unbound) = match bind(case, &remediate.with) {
        Ok(parameters) => (parameters, None),
        Err(stop) => (BTreeMap::new(), Some(stop)),
    };
    let mode = mode(case);
    if mode == Mode::Off {
        return None;
    }
    let starts_something = mode >= Mode::Approve;
    let attempt = 1;
    let token = format!("{}/{}/{}/{attempt}", case.claim.fingerprint, case.episode, remediate.runbook);
    let client_token = Uuid::new_v5(&TOKENS, token.as_bytes()).to_string();
    // A retry of the same start is neither counted nor stopped by itself.
    let own = format!("{} {client_token}", case.claim.about.id);
    let stopped = unbound.or_else(|| starts_something.then(|| stop(case, remediate, &bound, &own, starts)).flatten());
    if mode == Mode::Automatic && stopped.is_none() && starts.items.iter().all(|(_, name)| *name != own) {
        starts.add(case.now, &own);
    }
    Some(Remediate {
        runbook: remediate.runbook.clone(),
        account: case.claim.owner(case.finding).to_owned(),
        region: case.finding.region.clone(),
        parameters: bound,
        mode,
        effect: remediate.effect,
        client_token,
        stopped,
        undo: remediate.undo.is_some(),
    })
}

/// The playbook's mode, or the general one; no further than the environment's, and a dry run wins over all.
fn mode(case: &Case<'_>) -> Mode {
    let rails = &case.config.remediation;
    let environment = case.config.account(case.claim.owner(case.finding)).and_then(|a| a.environment.as_ref());
    let listed = environment.and_then(|e| rails.environments.get(e)).or_else(|| rails.environments.get("*"));
    // Where environments have limits, an unlisted one has the strictest that still speaks.
    let otherwise = if rails.environments.is_empty() { Mode::Automatic } else { Mode::Propose };
    let most = listed.copied().unwrap_or(otherwise);
    let mode = rails.playbooks.get(&case.playbook.name).copied().unwrap_or(rails.mode).min(most);
    let tags = &case.claim.about.tags;
    // Tags that the event does not tell may be there all the same.
    let may_be_code = tags.is_empty() && !rails.propose_tags.is_empty();
    let is_code = tags.iter().any(|(key, _)| rails.propose_tags.contains(key));
    if rails.dry_run || may_be_code || is_code { mode.min(Mode::Propose) } else { mode }
}

/// The first rail that stops it.
fn stop(
    case: &Case<'_>,
    remediate: &playbook::Remediate,
    bound: &BTreeMap<String, Vec<String>>,
    own: &str,
    starts: &Tally,
) -> Option<Stop> {
    let (finding, about) = (case.finding, &case.claim.about);
    let (rails, owner) = (&case.config.remediation, case.claim.owner(finding));
    let no = |rail: &str, reason: String| Some(Stop { rail: rail.to_owned(), reason });
    if rails.kill_switch {
        return no("kill-switch", "the kill switch is on".to_owned());
    }
    if !case.told {
        return no("told", "no route sends this finding to anybody".to_owned());
    }
    if owner != finding.account {
        return no(
            "accounts",
            format!("account {} tells it of a resource of {owner}, which has to say so itself", finding.account),
        );
    }
    if let Some(other) = about.arn.as_deref().and_then(region_of).filter(|r| *r != finding.region) {
        return no("regions", format!("the finding is from {}, the resource in {other}", finding.region));
    }
    let Some(account) = case.config.account(owner) else {
        return no("accounts", format!("account {owner} is not in the account directory"));
    };
    if !rails.accounts.iter().any(|a| a == owner) {
        return no("accounts", format!("account {owner} is not in remediation.accounts"));
    }
    if finding.region == UNKNOWN {
        return no("regions", "the event does not tell its Region".to_owned());
    }
    if rails.regions.as_ref().is_some_and(|allowed| !allowed.contains(&finding.region)) {
        return no("regions", format!("{} is not in remediation.regions", finding.region));
    }
    if rails.runbooks.as_ref().is_some_and(|allowed| !allowed.contains(&remediate.runbook)) {
        return no("runbooks", format!("{} is not in remediation.runbooks", remediate.runbook));
    }
    if case.claim.severity < rails.min_severity {
        return no(
            "severity",
            format!("{} is below remediation.min-severity ({})", case.claim.severity, rails.min_severity),
        );
    }
    let environment = account.environment.as_deref().unwrap_or("*");
    let most = rails.effects.get(environment).or_else(|| rails.effects.get("*"));
    let most = most.copied().unwrap_or(Effect::Harmless);
    if remediate.effect > most {
        let (effect, most) = (remediate.effect.as_str(), most.as_str());
        return no("effect", format!("its effect is {effect}; environment {environment} allows {most} at most"));
    }
    if let Some(name) = protected(rails, about, bound) {
        return no("protected", format!("{} is protected by {name}", about.id));
    }
    if !rails.protected_tags.is_empty() && about.tags.is_empty() {
        return no(
            "protected",
            format!("the tags of {} are not known, and remediation.protected-tags is set", about.id),
        );
    }
    let since = |span| case.now.saturating_sub(span).unwrap_or(Timestamp::MIN);
    let others = || starts.items.iter().filter(|(_, name)| name != own);
    let is_this = |name: &str| name.rsplit_once(' ').is_some_and(|(id, _)| id == about.id);
    if others().any(|(at, name)| is_this(name) && *at > since(rails.cooldown)) {
        return no("cooldown", format!("{} was remediated less than {:#} ago", about.id, rails.cooldown));
    }
    let spent = others().filter(|(at, _)| *at > since(rails.budget_within)).count();
    if spent >= rails.budget as usize {
        return no(
            "budget",
            format!("{spent} starts in the last {:#}; the budget is {}", rails.budget_within, rails.budget),
        );
    }
    None
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
fn protected<'r>(rails: &'r Remediation, about: &Resource, bound: &BTreeMap<String, Vec<String>>) -> Option<&'r str> {
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
fn covers(pattern: &str, id: &str) -> bool {
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

fn bind(case: &Case<'_>, with: &[(String, Value)]) -> Result<BTreeMap<String, Vec<String>>, Stop> {
    with.iter()
        .map(|(name, value)| {
            let (found, must) = match value {
                Value::Constant(list) => return Ok((name.clone(), list.clone())),
                Value::At(pointer, must) => (case.tree.text_at(pointer).map(str::to_owned), must),
                Value::From(from, must) => (canonical(case, *from), must),
            };
            let stop = |reason| Err(Stop { rail: "parameters".to_owned(), reason });
            match found {
                None => stop(format!("{name} has no value in this finding")),
                Some(found) if found.chars().count() > VALUE_MAX => {
                    stop(format!("{name} is longer than {VALUE_MAX} characters"))
                }
                Some(found) if !must.is_match(&found) => {
                    stop(format!("{name} does not look right: {:?} does not match {}", cut(&found, 60), written(must)))
                }
                Some(found) => Ok((name.clone(), vec![found])),
            }
        })
        .collect()
}

fn canonical(case: &Case<'_>, from: playbook::From) -> Option<String> {
    use playbook::From;
    let (finding, about) = (case.finding, &case.claim.about);
    match from {
        From::ResourceId => Some(about.id.clone()),
        From::ResourceArn => about.arn.clone(),
        From::ResourceName => about.name.clone().or_else(|| Some(about.id.clone())),
        From::AccountId => Some(case.claim.owner(finding).to_owned()),
        From::Region => Some(finding.region.clone()),
        From::ActorName => finding.actor.as_ref().map(|a| a.name.clone()),
        From::ActorId => finding.actor.as_ref().map(|a| a.id.clone()),
    }
    .filter(|v| !v.is_empty())
}
