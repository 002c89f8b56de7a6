//! Resident memory of the daemon, and the size of its ledger, over a million duplicates of a thousand problems.
use crate::{
    events::{Events, PROBLEMS},
    world::{self, Http, Wrong},
};
use std::{cell::Cell, fs, rc::Rc, time::Instant};

/// Requests at the same time, as many messages as the daemon takes from a queue by default.
const CLIENTS: usize = 32;
const TOKEN: &str = "bench";

/// What was seen after so many duplicates.
pub(crate) struct Seen {
    pub(crate) duplicates: usize,
    /// MB.
    pub(crate) rss: f64,
    /// MB.
    pub(crate) ledger: f64,
    /// Duplicates a second since what was seen before.
    pub(crate) rate: f64,
}

struct Feed {
    http: Http,
    url: String,
    events: Events,
    next: Cell<usize>,
}

impl Feed {
    async fn post(&self, body: String) -> Result<(), Wrong> {
        let token = format!("Bearer {TOKEN}");
        self.http.send("POST", &self.url, &[("authorization", &token)], body).await.map(drop)
    }

    /// Posts what nobody else has posted, up to this number.
    async fn until(&self, end: usize, body: impl Fn(usize) -> String) -> Result<(), Wrong> {
        while self.next.get() < end {
            let n = self.next.get();
            self.next.set(n + 1);
            self.post(body(n)).await?;
        }
        Ok(())
    }
}

/// Many clients post up to this number, and all that they posted is done.
async fn all(
    feed: &Rc<Feed>,
    end: usize,
    body: impl Fn(&Events, usize) -> String + Copy + 'static,
) -> Result<(), Wrong> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let feed = Rc::clone(feed);
            tokio::task::spawn_local(async move { feed.until(end, |n| body(&feed.events, n)).await })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    Ok(())
}

/// Looks after each of these counts of duplicates.
pub(crate) async fn run(counts: &[usize], say: impl Fn(&Seen)) -> Result<(), Wrong> {
    let home = world::folder()?;
    let env = [("FINDINGS_ROUTER_HTTP_TOKEN", TOKEN), ("FINDINGS_ROUTER_LEDGER", "ledger")];
    let (daemon, at) = world::daemon(home.path(), &world::slack().await?, &env).await?;
    let feed = Rc::new(Feed {
        http: Http::new(),
        url: format!("{at}/events"),
        events: Events::load(false)?,
        next: Cell::new(0),
    });
    all(&feed, PROBLEMS, |events, problem| events.finding(problem, 0)).await?;
    feed.next.set(0);
    let (mut before, mut began) = (0, Instant::now());
    for count in counts {
        all(&feed, *count, |events, n| events.duplicate(n, PROBLEMS)).await?;
        #[expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^53")]
        let seen = Seen {
            duplicates: *count,
            rss: daemon.rss()?,
            ledger: fs::metadata(home.path().join("ledger"))?.len() as f64 / 1e6,
            rate: (count - before) as f64 / began.elapsed().as_secs_f64(),
        };
        say(&seen);
        (before, began) = (*count, Instant::now());
    }
    let told = feed.http.counter(&at, "novelty=\"duplicate\"").await?;
    let wanted = f64::from(u32::try_from(counts.last().copied().unwrap_or_default())?);
    if (told - wanted).abs() > wanted * 0.001 {
        return Err(format!("{told} of {wanted} were duplicates").into());
    }
    Ok(())
}
