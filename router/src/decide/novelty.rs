//! What is new about a finding, given what we already know: the one place that decides whether people hear of it.
//!
//! A pure step: (entry, finding, claim, timings, now) in, (novelty, entry) out. The table is in the README; every row of
//! it is a row of the test below.
#[cfg(test)]
mod tests;

use crate::values::{
    entry::{ACTORS_MAX, Entry, REPORTS_MAX, Report, SCHEMA, SEEN_MAX, SET_ASIDE_MAX, State, WINDOW_MAX, push_bounded},
    finding::{Finding, Status},
    text::digest,
    verdict::{Claim, Novelty},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The playbook's times.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Remind after this long without telling.
    pub quiet: SignedDuration,
    /// Forget after this long.
    pub memory: SignedDuration,
    /// Tell only when so many came within so long.
    pub threshold: Option<(u32, SignedDuration)>,
}

/// Takes one finding into account. The entry comes back unchanged where the finding is stale.
pub fn advance(
    entry: Option<Entry>,
    finding: &Finding,
    claim: &Claim,
    timing: Timing,
    now: Timestamp,
) -> (Novelty, Entry) {
    let mut entry = entry.unwrap_or_else(|| blank(finding, claim));
    if let Some(novelty) = owed(&entry, finding) {
        return (novelty, entry);
    }
    if is_known(&entry, finding) {
        return (Novelty::Stale, entry);
    }
    close_if_forgotten(&mut entry, finding, timing.memory);
    // Rails go by the tags as they were told last.
    if !claim.about.tags.is_empty() {
        entry.resource.tags.clone_from(&claim.about.tags);
    }
    take_report(&mut entry, finding);
    if finding.status == Status::Active {
        entry.last_seen = entry.last_seen.max(finding.last_seen);
        note_actor(&mut entry, finding);
    }
    let novelty = match (finding.status, entry.state) {
        (Status::Resolved, State::Open) if all_resolved(&entry) && !acted_since(&entry, finding) => {
            (entry.state, entry.closed_at) = (State::Closed, Some(now));
            Novelty::Resolved
        }
        // Nothing was ever told: there is nothing to take back, but an older *active* that comes late is stale.
        (Status::Resolved, State::Closed) if entry.episode == 0 => Novelty::Resolved,
        (Status::Resolved, _) => Novelty::Duplicate,
        (Status::Active, State::Open) if claim.severity > entry.severity => {
            entry.severity = claim.severity;
            Novelty::Escalated
        }
        (Status::Active, State::Open) => {
            let quiet = entry.told_at.is_some_and(|told| now.duration_since(told) < timing.quiet);
            let hushed = entry.hush.as_ref().is_some_and(|h| h.holds(now));
            if quiet || hushed { Novelty::Duplicate } else { Novelty::Reminder }
        }
        (Status::Active, State::Closed) => open(&mut entry, finding, claim, timing, now),
    };
    (novelty, entry)
}

/// Starts an episode, or counts towards one.
fn open(entry: &mut Entry, finding: &Finding, claim: &Claim, timing: Timing, now: Timestamp) -> Novelty {
    if let Some((count, within)) = timing.threshold {
        push_bounded(&mut entry.window, finding.last_seen, WINDOW_MAX);
        let newest = entry.window.iter().copied().max().unwrap_or(now);
        entry.window.retain(|at| newest.duration_since(*at) <= within);
        if entry.window.len() < count as usize {
            return Novelty::BelowThreshold;
        }
    }
    let counted = std::mem::take(&mut entry.window);
    let reopened = entry.closed_at.is_some_and(|at| now.duration_since(at) <= timing.memory);
    for report in &mut entry.reports {
        let ours = report.reporter == finding.reporter && (report.id.is_empty() || report.id == finding.id);
        report.count = if ours { finding.count.max(counted.len() as u64) } else { 0 };
    }
    entry.previous = if reopened { std::mem::take(&mut entry.cards) } else { Vec::new() };
    entry.cards.clear();
    entry.actors = finding.actor.iter().map(|a| a.id.clone()).collect();
    entry.sessions = finding.actor.iter().filter_map(|a| a.session.clone()).collect();
    (entry.hush, entry.crowded) = (None, false);
    entry.owed.clear();
    entry.episode += 1;
    entry.state = State::Open;
    entry.severity = claim.severity;
    entry.first_seen = counted.into_iter().min().unwrap_or(finding.first_seen);
    (entry.closed_at, entry.told_at, entry.edited_at, entry.edit_due) = (None, None, None, None);
    entry.waiting.clear();
    if reopened { Novelty::Reopened } else { Novelty::New }
}

/// The same occurrence again, after a failure: what was new about it is still owed.
fn owed(entry: &Entry, finding: &Finding) -> Option<Novelty> {
    entry.owed.iter().find(|o| o.is_of(finding)).map(|o| o.novelty)
}

/// Where the reporter's word on this finding is kept: by its id, or in one place for all acts.
fn place(entry: &Entry, finding: &Finding) -> Option<usize> {
    let id = if finding.can_resolve { finding.id.as_str() } else { "" };
    entry.reports.iter().position(|r| r.reporter == finding.reporter && r.id == id)
}

/// The same again, or older than what the reporter said of this finding.
fn is_known(entry: &Entry, finding: &Finding) -> bool {
    place(entry, finding).map(|at| &entry.reports[at]).is_some_and(|report| {
        if !finding.can_resolve {
            return report.seen.contains(&finding.id);
        }
        // A person who closes a finding in Security Hub does not make a new revision of it: then the newer event counts.
        let again = finding.status == report.status || finding.sent <= report.sent;
        finding.revision < report.revision || (finding.revision == report.revision && again)
    })
}

/// Notes what the reporter says.
fn take_report(entry: &mut Entry, finding: &Finding) {
    let Some(at) = place(entry, finding) else {
        let acts = !finding.can_resolve;
        entry.set_aside.remove(&aside(&finding.reporter, &finding.id));
        make_room(entry);
        entry.reports.push(Report {
            reporter: finding.reporter.clone(),
            id: if acts { String::new() } else { finding.id.clone() },
            revision: finding.revision,
            sent: finding.sent,
            status: finding.status,
            can_resolve: finding.can_resolve,
            count: if finding.status == Status::Active { finding.count } else { 0 },
            link: finding.link.clone(),
            seen: if acts { vec![finding.id.clone()] } else { Vec::new() },
        });
        return;
    };
    let report = &mut entry.reports[at];
    if !finding.can_resolve {
        push_bounded(&mut report.seen, finding.id.clone(), SEEN_MAX);
    }
    report.revision = report.revision.max(finding.revision);
    report.sent = report.sent.max(finding.sent);
    report.status = finding.status;
    if finding.can_resolve {
        report.link = finding.link.clone().or_else(|| report.link.take());
    }
    // That it is over is not one more time that it was there.
    if finding.status == Status::Active {
        report.count = if finding.count > 1 { finding.count } else { report.count.saturating_add(1) };
    }
}

/// Who else did it: an act by somebody new must not hide behind whoever was first, and nobody must be pushed out by whoever
/// comes under many names.
fn note_actor(entry: &mut Entry, finding: &Finding) {
    let Some(actor) = &finding.actor else { return };
    for (known, name) in [(&mut entry.actors, Some(&actor.id)), (&mut entry.sessions, actor.session.as_ref())] {
        match name {
            Some(name) if known.contains(name) => {}
            Some(name) if known.len() < ACTORS_MAX => known.push(name.clone()),
            Some(_) => entry.crowded = true,
            None => {}
        }
    }
}

/// Beyond the limit the oldest report goes, one that is over before one that is not; of the latter, the name is kept.
fn make_room(entry: &mut Entry) {
    if entry.reports.len() >= REPORTS_MAX {
        let oldest = entry.reports.iter().enumerate().min_by_key(|(_, r)| (r.status == Status::Active, r.revision));
        if let Some((at, _)) = oldest {
            let report = entry.reports.remove(at);
            if report.can_resolve && report.status == Status::Active {
                entry.set_aside.insert(aside(&report.reporter, &report.id));
            }
            if entry.set_aside.len() > SET_ASIDE_MAX {
                entry.set_aside.pop_last();
                entry.overflow = true;
            }
        }
    }
}

/// What is kept of a report's name: 48 bits, which a thousand of them share once in 500 million entries.
fn aside(reporter: &str, id: &str) -> String {
    digest([reporter, id])[..12].to_owned()
}

/// Over when every reporter that can say so says so; acts cannot.
fn all_resolved(entry: &Entry) -> bool {
    let unsaid = entry.overflow || !entry.set_aside.is_empty();
    !unsaid && entry.reports.iter().filter(|r| r.can_resolve).all(|r| r.status == Status::Resolved)
}

/// A verdict that is older than an act says nothing about what the act did.
fn acted_since(entry: &Entry, finding: &Finding) -> bool {
    entry.reports.iter().any(|r| !r.can_resolve && r.count > 0 && r.revision > finding.revision)
}

/// Acts have no end: an episode that only acts keep open closes by itself when none came for the playbook's memory.
fn close_if_forgotten(entry: &mut Entry, finding: &Finding, memory: SignedDuration) {
    if entry.state == State::Open && all_resolved(entry) && finding.last_seen.duration_since(entry.last_seen) > memory {
        (entry.state, entry.closed_at) = (State::Closed, Some(entry.last_seen));
    }
}

fn blank(finding: &Finding, claim: &Claim) -> Entry {
    Entry {
        schema: SCHEMA,
        version: 0,
        fingerprint: claim.fingerprint.clone(),
        account: finding.account.clone(),
        region: claim.region.clone(),
        resource: claim.about.clone(),
        weakness: claim.weakness.clone(),
        episode: 0,
        state: State::Closed,
        closed_at: None,
        severity: claim.severity,
        first_seen: finding.first_seen,
        last_seen: finding.last_seen,
        told_at: None,
        edited_at: None,
        edit_due: None,
        waiting: Vec::new(),
        reports: Vec::new(),
        set_aside: BTreeSet::new(),
        overflow: false,
        actors: Vec::new(),
        sessions: Vec::new(),
        crowded: false,
        window: Vec::new(),
        cards: Vec::new(),
        previous: Vec::new(),
        shown: None,
        remediations: Vec::new(),
        news: Vec::new(),
        hush: None,
        owed: Vec::new(),
        history: Vec::new(),
        updated_at: finding.sent,
        names: Vec::new(),
    }
}
