//! SQS messages a second through the real daemon, and who the processor worked for meanwhile.
use crate::{
    events::{Events, PROBLEMS},
    world::{self, Http, Process, Wrong},
};
use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Messages that are sent and not done: enough to be never idle, and so few that the emulators stay fast.
const BACKLOG: usize = 600;
/// Before it is measured.
const WARM_UP: Duration = Duration::from_secs(5);
/// Batches on their way at the same time.
const SENDERS: usize = 2;
/// How often the daemon is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// One run.
pub(crate) struct Rate {
    /// Messages a second.
    pub(crate) messages: f64,
    /// Backlog when looked at, fewest and most.
    pub(crate) backlog: (usize, usize),
    /// Microseconds of processor time a message: daemon, emulator, this program.
    pub(crate) cpu: [f64; 3],
}

/// A queue, its daemon and how far they are.
struct Line {
    http: Http,
    daemon: Process,
    at: String,
    sqs: Process,
    sqs_url: String,
    queue: String,
    events: Events,
    sent: Cell<usize>,
    done: Cell<usize>,
}

impl Line {
    async fn look(&self) -> Result<usize, Wrong> {
        let done = self.http.counter(&self.at, "findings_router_messages_total").await?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of messages")]
        self.done.set(done as usize);
        Ok(self.done.get())
    }

    async fn send(&self, bodies: impl Iterator<Item = String>) -> Result<(), Wrong> {
        let batch = Events::batch(&self.queue, bodies);
        let answer = self.http.aws(&self.sqs_url, "AmazonSQS.SendMessageBatch", batch).await?;
        match answer["Failed"].as_array() {
            Some(failed) if !failed.is_empty() => Err(format!("not taken: {failed:?}").into()),
            _ => Ok(()),
        }
    }

    /// Sends tens of messages whenever fewer than the backlog wait, until it is dropped.
    async fn produce(&self, body: impl Fn(usize) -> String) -> Result<(), Wrong> {
        loop {
            let from = self.sent.get();
            if from - self.done.get() >= BACKLOG {
                sleep(Duration::from_millis(1)).await;
                continue;
            }
            self.sent.set(from + 10);
            self.send((from..from + 10).map(&body)).await?;
        }
    }

    fn cpu(&self) -> Result<[f64; 3], Wrong> {
        Ok([self.daemon.cpu()?, self.sqs.cpu()?, world::cpu("self")?])
    }
}

/// Runs once, from nothing, and measures for so long.
pub(crate) async fn run(fast: bool, time: Duration) -> Result<Rate, Wrong> {
    let (home, http) = (world::folder()?, Http::new());
    let (sqs, sqs_url) = if fast { world::fakecloud(home.path())? } else { world::ministack(home.path())? };
    let queue = http.aws(&sqs_url, "AmazonSQS.CreateQueue", r#"{"QueueName":"findings"}"#).await?;
    let queue = queue["QueueUrl"].as_str().ok_or("the queue has no URL")?.to_owned();
    let env = [("AWS_ENDPOINT_URL", sqs_url.as_str()), ("FINDINGS_ROUTER_QUEUE_URL", &queue)];
    let (daemon, at) = world::daemon(home.path(), &world::slack().await?, &env).await?;
    let events = Events::load(true)?;
    let (sent, done) = (Cell::new(0), Cell::new(0));
    let line = Rc::new(Line { http, daemon, at, sqs, sqs_url, queue, events, sent, done });

    // All problems become known, each with its card.
    for ten in 0..PROBLEMS / 10 {
        line.send((ten * 10..ten * 10 + 10).map(|problem| line.events.finding(problem, 0))).await?;
    }
    while line.look().await? < PROBLEMS {
        sleep(LOOK_EVERY).await;
    }
    let new = line.http.counter(&line.at, "novelty=\"new\"").await?;
    let all = f64::from(u32::try_from(PROBLEMS)?);
    if (new - all).abs() > 0.5 {
        return Err(format!("{new} of {all} problems were new").into());
    }
    line.sent.set(PROBLEMS);

    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let line = Rc::clone(&line);
            tokio::task::spawn_local(async move { line.produce(|n| line.events.mixed(n - PROBLEMS, PROBLEMS)).await })
        })
        .collect();
    let end = Instant::now() + WARM_UP;
    while Instant::now() < end {
        sleep(LOOK_EVERY).await;
        line.look().await?;
    }
    let (from, cpu, began) = (line.look().await?, line.cpu()?, Instant::now());
    let mut backlog = (usize::MAX, 0);
    while began.elapsed() < time {
        sleep(LOOK_EVERY).await;
        let waits = line.sent.get() - line.done.get().max(line.look().await?);
        backlog = (backlog.0.min(waits), backlog.1.max(waits));
    }
    let (took, count) = (began.elapsed().as_secs_f64(), line.look().await? - from);
    let count = f64::from(u32::try_from(count)?);
    let cpu: Vec<f64> = line.cpu()?.iter().zip(cpu).map(|(now, then)| (now - then) / count * 1e6).collect();
    for sender in senders {
        if sender.is_finished() {
            sender.await??;
        } else {
            sender.abort();
        }
    }
    // What was measured is what was meant: duplicates, and nothing that failed.
    let duplicates = line.http.counter(&line.at, "novelty=\"duplicate\"").await?;
    if duplicates < count * 0.3 || line.http.counter(&line.at, "disposition=\"retry\"").await? > count * 0.001 {
        return Err("these were not duplicates, or they failed: see what the daemon says".into());
    }
    Ok(Rate { messages: count / took, backlog, cpu: [cpu[0], cpu[1], cpu[2]] })
}
