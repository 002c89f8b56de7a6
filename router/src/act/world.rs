//! A world for the router's tests: in-memory ends of which the n-th call goes wrong, and which remember what happened.
use super::{
    memory::MemoryLedger,
    ports::{Delivery, Ledger, Messenger, Miss, Publisher, Put, Remediator, Trouble},
    router::{Handled, Router},
};
use crate::{
    decide::{
        carrier::{Opened, open},
        policy::Policy,
        remediation::{Said, Seen, Sight},
    },
    testing::at,
    values::{
        action::{Disposition, Later, Notify, NotifyMode, Outcome, Posted, Publish},
        entry::{Entry, Tally},
        remediation::Job,
    },
};
use findings_formatters::{Formatter, Message, Texts};
use jiff::{SignedDuration, Timestamp};
use std::{
    pin::pin,
    sync::{LazyLock, Mutex},
    task::{Context, Poll, Waker},
};

static FORMATTER: LazyLock<Formatter> = LazyLock::new(|| Formatter::new([]).unwrap());
static TEXTS: LazyLock<Texts> = LazyLock::new(Texts::default);

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It fails for now, and nothing happened.
    Later,
    /// It happened, and the answer is lost.
    Lost,
    /// It fails for good.
    Failed,
    /// Somebody else wrote first (ledger).
    Conflict,
    /// The ledger does not answer, and nothing was written.
    Trouble,
    /// The ledger does not answer, and it is written.
    TroubleAfter,
    /// The process dies before it happened.
    Crash,
    /// The process dies after it happened.
    CrashAfter,
}

/// A message as it is in the channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    /// `post #security Card`.
    pub(crate) what: String,
    /// What it says now.
    pub(crate) text: String,
    key: String,
}

/// The ends, and what happened.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) ledger: MemoryLedger,
    pub(crate) calls: Mutex<usize>,
    pub(crate) fault: Option<(usize, Fault)>,
    /// The messenger cannot look whether a message is there.
    pub(crate) blind: bool,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) channel: Mutex<Vec<Sent>>,
    /// Client tokens of every execution.
    pub(crate) started: Mutex<Vec<String>>,
    /// Client tokens of every start that was asked for, again and again.
    pub(crate) asked: Mutex<Vec<String>>,
    /// SSM's word for every execution; they succeed where nothing is said.
    pub(crate) ends: Mutex<Option<&'static str>>,
    /// `detail-type`s of our own events.
    pub(crate) published: Mutex<Vec<&'static str>>,
    /// Where the fault fell.
    pub(crate) fell: Mutex<Option<&'static str>>,
}

impl World {
    pub(crate) fn breaking(at: usize, fault: Fault) -> Self {
        Self { fault: Some((at, fault)), ..Self::default() }
    }

    fn fault(&self, port: &'static str, kinds: &[Fault]) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        let fault = self.fault.filter(|(n, fault)| n == &*calls && kinds.contains(fault))?.1;
        *self.fell.lock().unwrap() = Some(port);
        Some(fault)
    }

    async fn outcome(&self, port: &'static str, effect: impl FnOnce() -> Outcome) -> Outcome {
        let kinds = [Fault::Later, Fault::Lost, Fault::Failed, Fault::Crash, Fault::CrashAfter];
        let later = |unsure| {
            let after = SignedDuration::from_secs(30);
            Outcome::Later(Later { after, why: format!("{port} is busy"), unsure })
        };
        match self.fault(port, &kinds) {
            Some(Fault::Crash) => crash().await,
            Some(Fault::CrashAfter) => {
                effect();
                crash().await
            }
            Some(Fault::Later) => later(false),
            Some(Fault::Lost) => {
                effect();
                later(true)
            }
            Some(_) => Outcome::Failed(format!("{port} says no")),
            None => effect(),
        }
    }

    async fn read(&self, port: &'static str) -> Result<(), Trouble> {
        match self.fault(port, &[Fault::Trouble, Fault::Crash]) {
            Some(Fault::Crash) => crash().await,
            Some(_) => Err(Trouble("does not answer".to_owned())),
            None => Ok(()),
        }
    }

    async fn write(
        &self,
        port: &'static str,
        effect: impl Future<Output = Result<Put, Trouble>>,
    ) -> Result<Put, Trouble> {
        let kinds = [Fault::Conflict, Fault::Trouble, Fault::TroubleAfter, Fault::Crash, Fault::CrashAfter];
        let fault = self.fault(port, &kinds);
        match fault {
            Some(Fault::Crash) => crash().await,
            Some(Fault::Conflict) => Ok(Put::Conflict),
            Some(Fault::Trouble) => Err(Trouble("does not answer".to_owned())),
            Some(_) => {
                effect.await?;
                if fault == Some(Fault::CrashAfter) {
                    crash().await
                } else {
                    Err(Trouble("does not answer".to_owned()))
                }
            }
            None => effect.await,
        }
    }

    /// Everything that was sent and started, in order.
    pub(crate) fn all(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// What was sent about the problem itself, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.all().into_iter().filter(|line| !line.starts_with("start ") && !line.ends_with("Remediation")).collect()
    }

    /// Distinct executions: the same client token twice is one.
    pub(crate) fn executions(&self) -> usize {
        let mut tokens = self.started.lock().unwrap().clone();
        tokens.sort();
        tokens.dedup();
        tokens.len()
    }
}

/// The process is gone: nothing more happens.
async fn crash<T>() -> T {
    std::future::pending().await
}

impl Ledger for &World {
    async fn entry(&self, fingerprint: &str) -> Result<Option<Entry>, Trouble> {
        self.read("read entry").await?;
        self.ledger.entry(fingerprint).await
    }
    async fn put_entry(&self, entry: &Entry) -> Result<Put, Trouble> {
        self.write("put entry", self.ledger.put_entry(entry)).await
    }
    async fn tally(&self, key: &str) -> Result<Tally, Trouble> {
        self.read("read tally").await?;
        self.ledger.tally(key).await
    }
    async fn put_tally(&self, tally: &Tally) -> Result<Put, Trouble> {
        self.write("put tally", self.ledger.put_tally(tally)).await
    }
    async fn find(&self, name: &str) -> Result<Option<String>, Trouble> {
        self.ledger.find(name).await
    }
    async fn recent(&self, since: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        self.ledger.recent(since, until, limit).await
    }
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Entry>, Trouble> {
        self.read("read due").await?;
        self.ledger.due(now, limit).await
    }
    async fn forget(&self, before: Timestamp) -> Result<usize, Trouble> {
        self.ledger.forget(before).await
    }
}

impl Messenger for &World {
    async fn send(&self, notify: &Notify, message: &Message, delivery: Delivery<'_>) -> Outcome {
        assert!(notify.mode == NotifyMode::Post || notify.target.is_some(), "a reply to nothing: {notify:?}");
        let channel = notify.destination.trim_start_matches("slack:");
        let what = format!("{} {channel} {:?}", notify.mode.as_str(), notify.kind);
        let text = format!("{}\n{}", message.text, message.blocks);
        let named = |number: usize| Posted { id: number.to_string(), link: None };
        self.outcome("slack", || {
            let mut messages = self.channel.lock().unwrap();
            // An edit makes no message.
            if notify.mode == NotifyMode::Update {
                let at = notify.target.as_ref().and_then(|t| t.parse::<usize>().ok()).expect("a message's name");
                messages[at - 1].text = text;
                self.log.lock().unwrap().push(what);
                return Outcome::Done(None);
            }
            let there = messages.iter().position(|m| m.key == delivery.key);
            if let Some(at) = there.filter(|_| delivery.unsure && !self.blind) {
                return Outcome::Done(Some(named(at + 1)));
            }
            messages.push(Sent { what: what.clone(), text, key: delivery.key.to_owned() });
            self.log.lock().unwrap().push(what);
            // As Slack does, it names replies too.
            Outcome::Done(Some(named(messages.len())))
        })
        .await
    }
}

/// SSM: a token is one execution, and every execution ends as [`World::ends`] says.
impl Remediator for &World {
    async fn start(&self, job: &Job, client_token: &str, _: &str) -> Result<Option<String>, Miss> {
        let what = format!("{} in {}/{}", job.runbook, job.account, job.region);
        let outcome = self.outcome("ssm start", || {
            self.asked.lock().unwrap().push(client_token.to_owned());
            let mut started = self.started.lock().unwrap();
            if !started.iter().any(|token| token == client_token) {
                started.push(client_token.to_owned());
                self.log.lock().unwrap().push(format!("start {what}"));
            }
            Outcome::Done(None)
        });
        miss(outcome.await).map(|()| Some(client_token.to_owned()))
    }

    async fn find(&self, _: &Job, client_token: &str) -> Result<Option<String>, Miss> {
        let started = || self.started.lock().unwrap().iter().find(|token| *token == client_token).cloned();
        miss(self.outcome("ssm find", || Outcome::Done(None)).await).map(|()| started())
    }

    async fn look(&self, _: &Job, execution: &str, _: Option<&Said>) -> Result<Sight, Miss> {
        assert!(self.started.lock().unwrap().iter().any(|token| token == execution), "{execution} never started");
        let status = (*self.ends.lock().unwrap()).unwrap_or("Success").to_owned();
        miss(self.outcome("ssm look", || Outcome::Done(None)).await).map(|()| Sight {
            state: Seen::of(&status),
            status,
            outputs: [("Record.PreState".to_owned(), vec!["open".to_owned()])].into(),
            ..Sight::default()
        })
    }

    async fn stop(&self, _: &Job, _: &str) -> Result<(), Miss> {
        *self.ends.lock().unwrap() = Some("Cancelled");
        Ok(())
    }

    async fn calendars(&self, _: &Job, names: &[String], _: Timestamp) -> Result<(), String> {
        if names.iter().any(|n| n == "open") { Ok(()) } else { Err("the change calendar is closed".to_owned()) }
    }
}

fn miss(outcome: Outcome) -> Result<(), Miss> {
    match outcome {
        Outcome::Done(_) | Outcome::Nothing => Ok(()),
        Outcome::Later(later) => Err(Miss::Later(later)),
        Outcome::Failed(why) => Err(Miss::Failed(why)),
    }
}

impl Publisher for &World {
    async fn publish(&self, publish: &Publish, _: &serde_json::Value, _: Timestamp) -> Outcome {
        self.outcome("bus", || {
            self.published.lock().unwrap().push(publish.detail_type);
            Outcome::Done(None)
        })
        .await
    }
}

/// What becomes of a future whose ends answer at once; none where the process died.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// A router whose ends are these.
pub(crate) fn router<'p, L: Ledger, M: Messenger>(
    policy: &'p Policy,
    (ledger, messenger, world): (L, M, &'p World),
) -> Router<'p, L, M, &'p World, &'p World> {
    Router {
        policy,
        formatter: &FORMATTER,
        texts: &TEXTS,
        ledger,
        messenger,
        remediator: world,
        publisher: world,
        alone_since: None,
    }
}

/// One body through a router; every event that it holds.
pub(crate) async fn handle<L: Ledger, M: Messenger>(
    policy: &Policy,
    ends: (L, M, &World),
    body: &str,
    now: Timestamp,
) -> Vec<Handled> {
    let router = router(policy, ends);
    let mut handled = Vec::new();
    match open(body, policy.fields()) {
        Opened::Event(envelope) => handled.push(router.handle(envelope, now).await),
        Opened::Many(texts) => {
            for text in texts.into_iter().flatten() {
                if let Opened::Event(envelope) = open(&text, policy.fields()) {
                    handled.push(router.handle(envelope, now).await);
                }
            }
        }
        Opened::Refused(_) => {}
    }
    handled
}

/// A queue: each message is delivered, and again until it is acknowledged. Gives what became of every delivery that ended.
pub(crate) fn drain(policy: &Policy, world: &World, story: &[(i64, String)]) -> Vec<Vec<Handled>> {
    /// As the visibility timeout after a crash; longer than any lease.
    const AGAIN: SignedDuration = SignedDuration::from_mins(10);
    let mut told = Vec::new();
    let mut clock = at(0);
    for (time, body) in story {
        clock = clock.max(at(*time));
        for again in 0.. {
            assert!(again < 40, "{body} is never done");
            let Some(handled) = now_or_never(handle(policy, (world, world, world), body, clock)) else {
                clock += AGAIN;
                continue;
            };
            let disposition = handled.iter().map(Handled::disposition).max().unwrap_or(Disposition::Ack);
            told.push(handled);
            match disposition {
                Disposition::Retry(after) => clock += after,
                Disposition::Ack | Disposition::Reject => break,
            }
        }
    }
    told
}
