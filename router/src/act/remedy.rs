//! Carries remediations out: starts what is approved, looks how it is doing, tells what became of it. Whatever is due stands
//! in the ledger, so whoever is alive can do it, and what a crash cut off is done again: by the same token, which is the
//! same execution.
#[cfg(test)]
mod tests;

use super::{
    ports::{Delivery, Ledger, Messenger, Miss, Publisher, Put, Remediator, SEND_MAX, Trouble},
    router::{CONFLICTS_MAX, Router},
};
use crate::{
    decide::{
        ocsf, plan,
        rails::{self, Counts, RUNNING, Start},
        remediation::{self, Ask, Person, Refusal, Said, Step},
        show,
    },
    values::{
        action::{Later, Notify, NotifyMode, Outcome, Publish, Stop},
        entry::{Entry, State, Tally},
        remediation::{News, Progress, Remediation, Run},
        text::digest,
    },
};
use findings_formatters::{Message, view::Kind};
use jiff::{SignedDuration, Timestamp};

/// Whether it was tried for long enough.
fn given_up(remediation: &Remediation, now: Timestamp) -> bool {
    remediation.approved.is_none_or(|at| now.duration_since(at) >= remediation::START_MAX)
}

/// Steps taken at once; what is left is due still.
const STEPS_MAX: usize = 64;
/// How long somebody may take to start an execution before somebody else tries.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How long somebody may take to tell news before somebody else does.
const TELLING: SignedDuration = SEND_MAX;

/// What became of what somebody asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// It is done, or under way.
    Done(Box<Entry>),
    /// It is not, and why.
    Refused(Refusal),
}

impl<L: Ledger, M: Messenger, R: Remediator, P: Publisher> Router<'_, L, M, R, P> {
    /// Does what is due about a problem's remediations, and shows it.
    pub async fn work(&self, fingerprint: &str, now: Timestamp) -> Result<(), Trouble> {
        for _ in 0..STEPS_MAX {
            let Some(mut entry) = self.ledger.entry(fingerprint).await? else { return Ok(()) };
            match remediation::next(&entry, now) {
                Some(Step::Start(at)) => Box::pin(self.start(entry, at, now)).await?,
                Some(Step::Look(at)) => Box::pin(self.look(entry, at, None, now)).await?,
                Some(Step::Tell(at)) => Box::pin(self.tell_news(entry, at, now)).await?,
                Some(Step::Lapse(at)) => {
                    remediation::lapse(&mut entry, at, now);
                    entry.updated_at = now;
                    self.ledger.put_entry(&entry).await?;
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Somebody says how an execution is doing: looked at now. None where it is none of ours.
    pub async fn follow(&self, said: &Said, now: Timestamp) -> Result<Option<Remediation>, Trouble> {
        let Some(fingerprint) = self.ledger.find(&Run::name(&said.execution)).await? else { return Ok(None) };
        let Some(entry) = self.ledger.entry(&fingerprint).await? else { return Ok(None) };
        let ours = |r: &Remediation| r.run.as_ref().is_some_and(|r| r.execution.as_ref() == Some(&said.execution));
        let Some(at) = entry.remediations.iter().position(ours) else { return Ok(None) };
        if matches!(entry.remediations[at].progress, Progress::Started | Progress::Undoing) {
            Box::pin(self.look(entry, at, Some(said), now)).await?;
            self.work(&fingerprint, now).await?;
        }
        let entry = self.ledger.entry(&fingerprint).await?;
        Ok(entry.and_then(|e| e.remediations.into_iter().find(ours)))
    }

    /// Starts what is approved: claimed, through every rail once more, and counted before anything is done.
    async fn start(&self, mut entry: Entry, at: usize, now: Timestamp) -> Result<(), Trouble> {
        let config = &self.policy.config;
        let remediation = entry.remediations[at].clone();
        let token = remediation::token(&entry, &remediation);
        let before = entry.clone();
        let start = Start::of(config, &before, &remediation, &token, now);
        let undoing = remediation.progress == Progress::Undoing;
        let over = !undoing && (entry.state == State::Closed || remediation.episode != entry.episode);
        let calendar = if config.remediation.calendars.is_empty() { None } else { self.closed(&start, now).await };
        let (mut claimed, mut counted) = (false, false);
        for _ in 0..CONFLICTS_MAX {
            let mut read = Vec::new();
            for key in start.keys() {
                read.push(self.ledger.tally(&key).await?);
            }
            let Ok(read) = <[Tally; 5]>::try_from(read) else { return Ok(()) };
            let mut counts = Counts::of(read.clone());
            let stop = rails::stop(&start, &counts).or_else(|| calendar.clone()).filter(|_| !over);
            if over || stop.is_some() {
                return self.hold(entry, at, (&remediation, &token), stop, now).await;
            }
            if !claimed {
                entry.remediations[at].claimed = Some(now + LEASE);
                if !self.put(&mut entry, now).await? {
                    return Ok(());
                }
                claimed = true;
            }
            start.count(&mut counts);
            counted = true;
            for (tally, before) in counts.counted().into_iter().zip([&read[0], &read[1], &read[3]]) {
                counted &= tally == before || self.ledger.put_tally(tally).await? == Put::Written;
            }
            // Else somebody counted first: it may have been the last that was allowed.
            if counted {
                break;
            }
        }
        if !counted {
            let why = format!("starts were counted by somebody else {CONFLICTS_MAX} times in a row");
            return Err(Trouble(why));
        }
        match self.remediator.start(start.job, &token, &entry.fingerprint).await {
            Ok(execution) => self.took(entry, &remediation.id, &token, execution, now).await,
            Err(Miss::Later(later)) if !given_up(&remediation, now) => {
                if !later.unsure {
                    self.ended(&start.job.runbook, &token, false, now).await?;
                }
                self.postpone(entry, &remediation, Miss::Later(later), now).await
            }
            Err(Miss::Later(later)) => {
                let why = format!("it could not be started for {:#}: {}", remediation::START_MAX, later.why);
                self.not_taken(entry, &remediation, (&token, later.unsure), why, now).await
            }
            Err(Miss::Failed(why)) => self.not_taken(entry, &remediation, (&token, false), why, now).await,
        }
    }

    /// A rail stops it, or the problem is over: not started; unless somebody began to, and did not come to the end.
    async fn hold(
        &self,
        mut entry: Entry,
        at: usize,
        (remediation, token): (&Remediation, &str),
        stop: Option<Stop>,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let job = remediation.job_now();
        if remediation.claimed.is_some() {
            match self.remediator.find(job, token).await {
                Ok(Some(execution)) => return self.took(entry, &remediation.id, token, Some(execution), now).await,
                Ok(None) => {}
                Err(miss) => return self.postpone(entry, remediation, miss, now).await,
            }
        }
        self.ended(&job.runbook, token, false, now).await?;
        match stop {
            Some(stop) => remediation::stopped(&self.policy.config, &mut entry, at, stop, now),
            None => remediation::withdraw(&mut entry, at, now),
        }
        self.put(&mut entry, now).await.map(drop)
    }

    /// Tried again later. What may have been done is looked for by its token before it is given up.
    async fn postpone(
        &self,
        entry: Entry,
        remediation: &Remediation,
        miss: Miss,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let (after, unsure) = match miss {
            Miss::Later(later) => (later.after, later.unsure || remediation.claimed.is_some()),
            Miss::Failed(_) => (LEASE, true),
        };
        let postpone = |entry: &mut Entry, at: usize| {
            let r = &mut entry.remediations[at];
            r.claimed = unsure.then_some(now);
            r.due = Some(now + after.max(SignedDuration::from_secs(1)));
        };
        self.change(entry, &remediation.id, now, postpone).await.map(drop)
    }

    /// SSM runs it: remembered by its token, so that nobody takes it for another attempt.
    async fn took(
        &self,
        entry: Entry,
        id: &str,
        token: &str,
        execution: Option<String>,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let run = Run { client_token: token.to_owned(), execution, since: now, ..Run::default() };
        let took = |entry: &mut Entry, at: usize| {
            let r = &entry.remediations[at];
            let waits = matches!(r.progress, Progress::Approved | Progress::Undoing) && r.run.is_none();
            if waits {
                remediation::started(entry, at, run.clone(), now);
            }
        };
        self.change(entry, id, now, took).await.map(drop)
    }

    /// It will not be started; unless an earlier try, whose answer was lost, did.
    async fn not_taken(
        &self,
        entry: Entry,
        remediation: &Remediation,
        (token, unsure): (&str, bool),
        why: String,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let job = remediation.job_now();
        if (unsure || remediation.claimed.is_some())
            && let Ok(Some(execution)) = self.remediator.find(job, token).await
        {
            return self.took(entry, &remediation.id, token, Some(execution), now).await;
        }
        self.ended(&job.runbook, token, true, now).await?;
        self.change(entry, &remediation.id, now, |entry, at| remediation::failed(entry, at, why.clone(), now))
            .await
            .map(drop)
    }

    /// Why no change calendar lets it through.
    async fn closed(&self, start: &Start<'_>, now: Timestamp) -> Option<Stop> {
        let calendars = &start.config.remediation.calendars;
        let reason = self.remediator.calendars(start.job, calendars, now).await.err()?;
        Some(Stop { rail: "calendars".to_owned(), reason })
    }

    /// Looks how an execution is doing. Two who look at the same time see the same.
    async fn look(&self, entry: Entry, at: usize, said: Option<&Said>, now: Timestamp) -> Result<(), Trouble> {
        let remediation = entry.remediations[at].clone();
        let Some((run, execution)) = remediation.run.as_ref().and_then(|r| Some((r, r.execution.as_ref()?))) else {
            return self
                .change(entry, &remediation.id, now, |entry, at| remediation::lapse(entry, at, now))
                .await
                .map(drop);
        };
        let job = remediation.job_now();
        let still = |r: &Remediation| {
            r.progress == remediation.progress && r.run.as_ref().is_some_and(|r| r.client_token == run.client_token)
        };
        match self.remediator.look(job, execution, said).await {
            Ok(sight) => {
                if let remediation::Seen::Success | remediation::Seen::Failure = sight.state {
                    // That somebody stopped it says nothing about the runbook.
                    let failed = sight.state == remediation::Seen::Failure && sight.status != "Cancelled";
                    self.ended(&job.runbook, &run.client_token, failed, now).await?;
                }
                let verifies = self.policy.catalogue.get(&job.runbook).is_some_and(|d| d.verifies);
                let apply = |entry: &mut Entry, at: usize| {
                    if still(&entry.remediations[at]) {
                        remediation::sighted(entry, at, sight.clone(), verifies, now);
                    }
                };
                self.change(entry, &remediation.id, now, apply).await.map(drop)
            }
            Err(miss) => {
                let (after, why) = match miss {
                    Miss::Later(Later { after, why, .. }) => (after, why),
                    Miss::Failed(why) => (SignedDuration::from_mins(5), why),
                };
                let apply = |entry: &mut Entry, at: usize| {
                    if still(&entry.remediations[at]) {
                        remediation::look_failed(entry, at, &why, after, now);
                    }
                };
                self.change(entry, &remediation.id, now, apply).await.map(drop)
            }
        }
    }

    /// It no longer runs; where it failed, that is counted against its runbook. By name, so that doing it again changes nothing.
    async fn ended(&self, runbook: &str, token: &str, failed: bool, now: Timestamp) -> Result<(), Trouble> {
        self.recount(RUNNING, |tally| tally.items.retain(|(_, name)| name != token)).await?;
        if failed {
            self.recount(&rails::failures_key(runbook), |tally| {
                if tally.items.iter().all(|(_, name)| name != token) {
                    tally.add(now, token);
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Changes a tally, whoever else does at the same time.
    pub async fn recount(&self, key: &str, change: impl Fn(&mut Tally)) -> Result<(), Trouble> {
        for _ in 0..CONFLICTS_MAX {
            let before = self.ledger.tally(key).await?;
            let mut tally = before.clone();
            change(&mut tally);
            if tally == before || self.ledger.put_tally(&tally).await? == Put::Written {
                return Ok(());
            }
        }
        Err(Trouble(format!("{key} was changed by somebody else {CONFLICTS_MAX} times in a row")))
    }

    /// Tells news in the first channel that has yet to hear them.
    async fn tell_news(&self, mut entry: Entry, at: usize, now: Timestamp) -> Result<(), Trouble> {
        let news = entry.news[at].clone();
        let Some(destination) = news.left.first().cloned() else {
            entry.news.remove(at);
            return self.put(&mut entry, now).await.map(drop);
        };
        // Nobody else tells it meanwhile; whoever comes after a crash looks whether it is there.
        (entry.news[at].due, entry.news[at].unsure) = (now + TELLING, true);
        if !self.put(&mut entry, now).await? {
            return Ok(());
        }
        let outcome = self.tell_one(&entry, &news, &destination, now).await;
        let told = |entry: &mut Entry| {
            let same = |n: &News| (&n.remediation, &n.turn) == (&news.remediation, &news.turn);
            let Some(at) = entry.news.iter().position(same) else { return };
            if let Outcome::Later(later) = &outcome {
                (entry.news[at].due, entry.news[at].unsure) = (now + later.after, news.unsure || later.unsure);
                return;
            }
            entry.news[at].left.retain(|d| *d != destination);
            (entry.news[at].due, entry.news[at].unsure) = (now, false);
            if entry.news[at].left.is_empty() {
                entry.news.remove(at);
            }
        };
        self.change_entry(entry, now, told).await?;
        if news.left.len() == 1 && !matches!(outcome, Outcome::Later(_)) {
            self.publisher.remediated(&news.turn.what);
        }
        Ok(())
    }

    async fn tell_one(&self, entry: &Entry, news: &News, destination: &str, now: Timestamp) -> Outcome {
        let config = &self.policy.config;
        let remediation = entry.remediations.iter().find(|r| r.id == news.remediation);
        if destination == News::BUS {
            let (Some(bus), Some(remediation)) = (config.live.bus.clone(), remediation) else {
                return Outcome::Nothing;
            };
            let Some(detail_type) = plan::remediation_event(&news.turn.what) else { return Outcome::Nothing };
            let detail = ocsf::remediation(config, entry, remediation, &news.turn, now);
            return self.publisher.publish(&Publish { bus, detail_type }, &detail, now).await;
        }
        let card = entry.cards.iter().find(|c| c.destination == destination);
        let (Some(card), Some(remediation)) = (card, remediation) else { return Outcome::Nothing };
        let notify = Notify {
            destination: destination.to_owned(),
            mode: if news.loud { NotifyMode::Broadcast } else { NotifyMode::Thread },
            kind: Kind::Remediation,
            storm: None,
            target: Some(card.message.clone()),
            mentions: Vec::new(),
        };
        let view = show::remediation(config, entry, &notify, remediation, &news.turn);
        let message = self.formatter.slack(&view).unwrap_or_else(|_| Message::plain(&view));
        let at = news.turn.at.to_string();
        let key = digest(["news", &news.remediation, &news.turn.what, &at, destination]);
        self.messenger.send(&notify, &message, Delivery { key: &key, unsure: news.unsure, since: news.turn.at }).await
    }

    /// Does what somebody asks for, if they may. `plan` names what they saw; none where they only ask whether they may.
    pub async fn ask(
        &self,
        id: &str,
        plan: Option<&str>,
        (what, person): (Ask, &Person),
        now: Timestamp,
    ) -> Result<Asked, Trouble> {
        let unknown = || Ok(Asked::Refused(Refusal::new("unknown", format!("there is no remediation {id}"))));
        let Some(fingerprint) = self.ledger.find(&Remediation::name(id)).await? else { return unknown() };
        for _ in 0..CONFLICTS_MAX {
            let Some(mut entry) = self.ledger.entry(&fingerprint).await? else { return unknown() };
            let Some(at) = entry.remediations.iter().position(|r| r.id == id) else { return unknown() };
            let asked = remediation::ask(&self.policy.config, &mut entry, (at, plan), (what, person), now);
            if let Err(refusal) = &asked {
                remediation::refused(&mut entry, at, (what, person), refusal, now);
            }
            if asked.is_ok() && plan.is_none() {
                return Ok(Asked::Done(Box::new(entry)));
            }
            if !self.put(&mut entry, now).await? {
                continue;
            }
            if let Err(refusal) = asked {
                return Ok(Asked::Refused(refusal));
            }
            if what == Ask::Stop
                && let Some(refusal) = self.stop_execution(&entry.remediations[at]).await
            {
                return Ok(Asked::Refused(refusal));
            }
            return Ok(Asked::Done(Box::new(entry)));
        }
        Err(Trouble(format!("changed by somebody else {CONFLICTS_MAX} times in a row")))
    }

    async fn stop_execution(&self, remediation: &Remediation) -> Option<Refusal> {
        let job = remediation.job_now();
        let Some(execution) = remediation.run.as_ref().and_then(|r| r.execution.as_ref()) else {
            return Some(Refusal::new("no-execution", "its execution is not known; look at it in the console"));
        };
        match self.remediator.stop(job, execution).await {
            Ok(()) => None,
            Err(Miss::Later(Later { why, .. }) | Miss::Failed(why)) => {
                Some(Refusal::new("ssm", format!("SSM did not stop it: {why}")))
            }
        }
    }

    /// Somebody takes care of a problem: no reminders until then, or as long as it lasts.
    pub async fn hush(
        &self,
        fingerprint: &str,
        by: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, Trouble> {
        let Some(entry) = self.ledger.entry(fingerprint).await? else { return Ok(false) };
        self.change_entry(entry, now, |entry| remediation::hush(entry, by, until, now)).await.map(|_| true)
    }

    /// Shows a card as things stand, if that is due.
    pub async fn refresh(&self, fingerprint: &str, now: Timestamp) -> Result<(), Trouble> {
        let entry = self.ledger.entry(fingerprint).await?;
        match entry.filter(|e| e.edit_due.is_some_and(|at| at <= now)) {
            Some(entry) => self.edit(entry, now, &mut super::tick::Ticked::default()).await.map(drop),
            None => Ok(()),
        }
    }

    /// Writes an entry; false where somebody else wrote first.
    async fn put(&self, entry: &mut Entry, now: Timestamp) -> Result<bool, Trouble> {
        entry.updated_at = now;
        let written = self.ledger.put_entry(entry).await? == Put::Written;
        if written {
            entry.version += 1;
            entry.names.clear();
        }
        Ok(written)
    }

    /// Changes a remediation in its entry, whoever else writes that at the same time.
    async fn change(
        &self,
        entry: Entry,
        id: &str,
        now: Timestamp,
        change: impl Fn(&mut Entry, usize),
    ) -> Result<Entry, Trouble> {
        let change = |entry: &mut Entry| {
            if let Some(at) = entry.remediations.iter().position(|r| r.id == id) {
                change(entry, at);
            }
        };
        self.change_entry(entry, now, change).await
    }

    async fn change_entry(
        &self,
        mut entry: Entry,
        now: Timestamp,
        change: impl Fn(&mut Entry),
    ) -> Result<Entry, Trouble> {
        for _ in 0..CONFLICTS_MAX {
            change(&mut entry);
            if self.put(&mut entry, now).await? {
                return Ok(entry);
            }
            let Some(latest) = self.ledger.entry(&entry.fingerprint).await? else { return Ok(entry) };
            entry = latest;
        }
        Err(Trouble(format!("changed by somebody else {CONFLICTS_MAX} times in a row")))
    }
}
