//! What nobody sends a message for: digests, edits that were put off, forgetting what is old, and whether the ledger works.
use super::{connect::Live, health::Health, intake::clock};
use crate::{act::ports::Ledger, values::entry::Tally};
use jiff::{SignedDuration, Timestamp};

/// Does what is due, and says what it did.
pub async fn tick(router: &Live) {
    match router.tick_by(&clock).await {
        Ok(ticked) => {
            if ticked.edits + ticked.digests > 0 {
                tracing::info!(edits = ticked.edits, digests = ticked.digests, "did what was due");
            }
            for error in ticked.errors {
                tracing::error!(error, "could not do what was due; tried again");
            }
        }
        Err(trouble) => tracing::error!(error = %trouble, "the ledger does not say what is due; tried again"),
    }
}

/// Finds out whether the ledger can be written.
pub async fn probe(router: &Live, health: &Health) {
    health.ledger(write(&router.ledger, clock()).await.map_err(|trouble| trouble.to_string()));
}

/// Whether the ledger can be written: by writing.
async fn write(ledger: &impl Ledger, now: Timestamp) -> Result<(), crate::act::ports::Trouble> {
    let tally = ledger.tally("health").await?;
    // Another consumer that wrote in between has shown it too.
    ledger.put_tally(&Tally { items: vec![(now, "alive".to_owned())], ..tally }).await.map(drop)
}

/// Forgets what nobody has spoken of for longer than the retention.
pub async fn forget(router: &Live, retention: SignedDuration) {
    match router.ledger.forget(clock() - retention).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "forgot problems that nobody spoke of for {retention:#}"),
        Err(trouble) => tracing::error!(error = %trouble, "could not forget what is old; tried again in an hour"),
    }
}
