//! What no event asks for: digests, edits of cards that were put off, and remediations that go on. Whoever is live calls it now and then; several
//! may, as each piece of work is claimed in the ledger first.
#[cfg(test)]
mod tests;

use super::{
    perform::note_card,
    ports::{Delivery, Ledger, Messenger, Publisher, Put, Remediator, Trouble},
    router::{CONFLICTS_MAX, Router},
};
use crate::{
    decide::{plan::storm_key, show},
    values::{
        action::{Notify, NotifyMode, Outcome},
        entry::{Card, Entry, Tally},
        text::digest,
        verdict::Novelty,
    },
};
use findings_formatters::{Message, view::Kind};
use jiff::{SignedDuration, Timestamp};
use std::{cmp::Reverse, collections::BTreeMap};

/// Entries looked at in one tick; what is left is due the next time.
const DUE_MAX: usize = 500;
/// How long one of several may take to send a digest before another tries.
const DIGEST_LEASE: SignedDuration = SignedDuration::from_mins(2);

/// What a tick did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Cards edited.
    pub edits: usize,
    /// Digests sent.
    pub digests: usize,
    /// Problems whose remediations were gone on with.
    pub remediations: usize,
    /// What went wrong; it is tried again.
    pub errors: Vec<String>,
}

impl<L: Ledger, M: Messenger, R: Remediator, P: Publisher> Router<'_, L, M, R, P> {
    /// Does what is due at one moment.
    pub async fn tick(&self, now: Timestamp) -> Result<Ticked, Trouble> {
        self.tick_by(&|| now).await
    }

    /// Does what is due; what takes its time goes by the clock.
    pub async fn tick_by(&self, clock: &(impl Fn() -> Timestamp + Sync)) -> Result<Ticked, Trouble> {
        let mut ticked = Ticked::default();
        let now = clock();
        let mut due = self.ledger.due(now, DUE_MAX).await?;
        for entry in due.iter().filter(|e| e.remedy_due().is_some_and(|at| at <= now)) {
            // One that cannot be gone on with keeps no other from it.
            if let Err(trouble) = self.work(&entry.fingerprint, clock()).await {
                ticked.errors.push(format!("{}: ledger: {trouble}", entry.fingerprint));
            }
            ticked.remediations += 1;
        }
        // What has changed is shown as it is now.
        let now = clock();
        if ticked.remediations > 0 {
            due = self.ledger.due(now, DUE_MAX).await?;
        }
        let mut channels: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for waiting in due.iter().flat_map(|e| e.waiting.iter().filter(|w| w.until <= now).map(move |w| (w, e))) {
            channels.entry(&waiting.0.destination).or_default().push(waiting.1);
        }
        for (channel, entries) in channels {
            self.send_digest(channel, &entries, now, &mut ticked).await?;
        }
        let mut edits: Vec<&Entry> = due.iter().filter(|e| e.edit_due.is_some_and(|at| at <= now)).collect();
        // A storm's card names the latest of what it tells: that one edits it.
        edits.sort_by_key(|e| e.cards.iter().any(|c| c.storm).then_some(Reverse(e.last_seen)));
        for entry in edits {
            // Edits are limited for the whole workspace: when one has to wait, so have all.
            if !self.edit(entry.clone(), now, &mut ticked).await? {
                break;
            }
        }
        Ok(ticked)
    }

    /// Shows what is known now on a problem's cards. False where edits have to wait.
    pub(super) async fn edit(&self, mut entry: Entry, now: Timestamp, ticked: &mut Ticked) -> Result<bool, Trouble> {
        let mut go_on = true;
        let due = entry.edit_due.take();
        for card in entry.cards.clone() {
            let storm = if card.storm { self.storm_to_edit(&entry, &card, due).await? } else { None };
            if card.storm && storm.is_none() {
                continue;
            }
            let notify = Notify {
                destination: card.destination,
                mode: NotifyMode::Update,
                kind: if card.storm { Kind::Storm } else { Kind::Card },
                storm: storm.as_ref().map(|s| s.key.clone()),
                target: Some(card.message),
                mentions: card.mentions,
            };
            let view = show::view(&self.policy.config, &entry, &notify, Novelty::Duplicate, None, storm.as_ref());
            let message = self.formatter.slack(&view).unwrap_or_else(|_| Message::plain(&view));
            let key = digest(["edit", &entry.fingerprint, &now.to_string()]);
            match self.messenger.send(&notify, &message, Delivery { key: &key, unsure: false, since: now }).await {
                Outcome::Done(made) => {
                    note_card(&mut entry, &notify, made.as_ref(), now);
                    ticked.edits += 1;
                    if let Some(storm) = storm {
                        // Where somebody counts at this moment, the next edit shows it.
                        self.ledger.put_tally(&Tally { edited: Some(now), ..storm }).await?;
                    }
                }
                Outcome::Later(later) => {
                    entry.edit_due = Some(now + later.after);
                    go_on = false;
                }
                Outcome::Failed(why) => ticked.errors.push(format!("{}: {why}", notify.destination)),
                Outcome::Nothing => {}
            }
        }
        entry.updated_at = now;
        // Where somebody else wrote meanwhile, it is due again and looked at again.
        self.ledger.put_entry(&entry).await?;
        Ok(go_on)
    }

    /// The storm whose card this is, if that does not show yet what was due to be shown.
    async fn storm_to_edit(
        &self,
        entry: &Entry,
        card: &Card,
        due: Option<Timestamp>,
    ) -> Result<Option<Tally>, Trouble> {
        let playbook = entry.shown.as_ref().map_or("", |s| s.playbook.as_str());
        let tally = self.ledger.tally(&storm_key(playbook, &entry.account, &card.destination)).await?;
        let ours = tally.card.as_ref() == Some(&card.message);
        Ok(Some(tally).filter(|t| ours && t.edited < due))
    }

    /// Sends one channel's digest; each entry then no longer waits for it.
    async fn send_digest(
        &self,
        channel: &str,
        entries: &[&Entry],
        now: Timestamp,
        ticked: &mut Ticked,
    ) -> Result<(), Trouble> {
        let Some(tally) = self.claim_digest(channel, now).await? else { return Ok(()) };
        let notify = Notify {
            destination: channel.to_owned(),
            mode: NotifyMode::Post,
            kind: Kind::Digest,
            storm: None,
            target: None,
            mentions: Vec::new(),
        };
        let message = match self.formatter.slack(&show::digest(&self.policy.config, entries)) {
            Ok(message) => message,
            Err(error) => {
                ticked.errors.push(error.to_string());
                return Ok(());
            }
        };
        let waiting = entries.iter().flat_map(|e| &e.waiting).filter(|w| w.destination == channel);
        let until = waiting.map(|w| w.until).min().unwrap_or(now).to_string();
        let key = digest(["digest", channel, &until]);
        // Whoever claimed it before did not come to the end.
        let unsure = tally.items.len() > 1;
        let delivery = Delivery { key: &key, unsure, since: tally.since.unwrap_or(now) };
        let mut outcome = self.messenger.send(&notify, &message, delivery).await;
        let operations = self.policy.config.operations.as_ref().filter(|o| *o != channel);
        if let (Outcome::Failed(why), Some(operations)) = (&outcome, operations) {
            ticked.errors.push(format!("{channel}: {why}"));
            let instead = Notify { destination: operations.clone(), ..notify };
            outcome = self.messenger.send(&instead, &message, delivery).await;
        }
        // Nobody has read it: it stays due, and is tried again when the claim has ended.
        if let Some(why) = outcome.went_wrong() {
            ticked.errors.push(format!("the digest of {channel}: {why}"));
            return Ok(());
        }
        ticked.digests += 1;
        for entry in entries {
            self.told_in_digest((*entry).clone(), channel, now).await?;
        }
        let done = Tally { items: Vec::new(), version: tally.version + 1, ..tally };
        self.ledger.put_tally(&done).await?;
        Ok(())
    }

    /// None where another one is at it.
    async fn claim_digest(&self, channel: &str, now: Timestamp) -> Result<Option<Tally>, Trouble> {
        let mut tally = self.ledger.tally(&format!("digest/{channel}")).await?;
        let at_it = tally.items.last().is_some_and(|(at, _)| now.duration_since(*at) < DIGEST_LEASE);
        if at_it {
            return Ok(None);
        }
        tally.add(now, "claimed");
        Ok((self.ledger.put_tally(&tally).await? == Put::Written).then_some(tally))
    }

    async fn told_in_digest(&self, mut entry: Entry, channel: &str, now: Timestamp) -> Result<(), Trouble> {
        for _ in 0..CONFLICTS_MAX {
            entry.waiting.retain(|w| w.destination != channel || w.until > now);
            entry.told_at = Some(now);
            entry.updated_at = now;
            if self.ledger.put_entry(&entry).await? == Put::Written {
                return Ok(());
            }
            let Some(latest) = self.ledger.entry(&entry.fingerprint).await? else { return Ok(()) };
            entry = latest;
        }
        Ok(())
    }
}
