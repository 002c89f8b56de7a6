//! `drill`: a marked, harmless event through the real path, and how long it took until people were told.
mod stuck;

use super::{DONE, Format, USAGE, WRONG, ended, ledger, queue, serve, setup::Setup};
use crate::{
    act::ports::{Ledger, Trouble},
    decide::{
        carrier::{Opened, open},
        policy::Examined,
    },
    ends::{
        connect::{Aws, env},
        intake::clock,
        ledger::Store,
        publisher::SOURCE,
        secrets,
    },
    values::{
        entry::{Card, Entry, History},
        time::parse_duration,
        verdict::Verdict,
    },
};
use aws_sdk_eventbridge::{error::DisplayErrorContext, types::PutEventsRequestEntry};
use findings_formatters::{escape::clean, view::Locale};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io::{self, Write},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

const DETAIL_TYPE: &str = "Findings Router Drill";
/// How often the ledger is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// An account that nobody has, where none is known: `POST /events` names none.
const NO_ACCOUNT: &str = "000000000000";

/// Options of `drill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The event has the source `findings-router` and is labelled as a drill on its card; nothing is ever remediated for it. \
Every drill is a problem of its own, so it makes a card (after some within minutes, a line in a storm's thread).

Examples:
  findings-router drill                      through the queue of the configuration
  findings-router drill --bus default        through EventBridge too: proves the rule that feeds the queue
  findings-router drill --http http://127.0.0.1:8080   through POST /events of a running `serve`

Run it where the ledger is: what it reports is what the ledger says. Exit codes: 0 told, 1 not told in time, 2 bad usage or configuration."
)]
pub struct Args {
    /// The queue to send it into; the configuration's where none is named.
    #[arg(long, value_name = "URL", conflicts_with_all = ["bus", "http"])]
    queue: Option<String>,
    /// Put it on this event bus, whose rule brings it to the queue.
    #[arg(long, value_name = "NAME", conflicts_with = "http")]
    bus: Option<String>,
    /// Post it to a running `serve`; [http] token is used.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// How long to wait until somebody was told.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: SignedDuration,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Which way it goes.
enum Way {
    Queue(String),
    Bus(String),
    Http(String),
}

/// A drill that is on its way.
struct Drill {
    aws: Aws,
    way: Way,
    /// The queue behind it, where one is known.
    queue: Option<String>,
    /// The finding's id.
    id: String,
    /// The event's id, which the ledger notes.
    event: String,
    fingerprint: String,
    started: Instant,
    sent: Timestamp,
}

/// What became of a drill that is recorded.
enum Fate {
    /// Something is still owed.
    Open,
    /// Somebody was told.
    Told,
    /// Nobody will be.
    Untold,
}

/// How it went.
struct Report {
    /// In milliseconds since it was sent.
    total: u128,
    /// When the router decided, by its own clock; none where it did not.
    decided: Option<Timestamp>,
    cards: Vec<Card>,
    /// Why nobody was told in time.
    stuck: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, locale: Option<Locale>) -> u8 {
    let Some(setup) = serve::load(config, locale) else { return USAGE };
    let live = &setup.policy.config.live;
    let queue = args.queue.clone().or_else(|| live.queue.clone());
    let way = match (&args.http, &args.bus, &queue) {
        (Some(url), ..) => Way::Http(url.clone()),
        (None, Some(bus), _) => Way::Bus(bus.clone()),
        (None, None, Some(url)) => Way::Queue(url.clone()),
        (None, None, None) => {
            let why = "there is no queue to send a drill into: name one (--queue, [queue] url or FINDINGS_ROUTER_QUEUE_URL), \
                       or a bus (--bus), or a running `serve` (--http)";
            return serve::refuse(&[why.to_owned()]);
        }
    };
    serve::block_on(async {
        let aws = Aws::default();
        let store = match ledger::open_to_read(live, &aws).await {
            Ok(store) => store,
            Err(why) => return serve::refuse(&[why]),
        };
        let drill = match Drill::send(setup, aws, way, queue).await {
            Ok(drill) => drill,
            Err(why) => {
                serve::refuse(&[why]);
                return WRONG;
            }
        };
        let report = drill.watch(&store, args.timeout).await;
        ended("drill", drill.print(args.format, &report))
    })
}

impl Drill {
    /// Sends it. The error says what to do.
    async fn send(setup: &Setup, aws: Aws, way: Way, queue: Option<String>) -> Result<Self, String> {
        let (id, mut event, made) = (random_id(), random_id(), clock());
        let (account, region) = place(&way, queue.as_deref(), &aws).await?;
        let detail = serde_json::json!({
            "id": id,
            "message": "A drill of the findings router. Nothing happened.",
            "version": crate::VERSION,
        });
        let body = serde_json::json!({
            "version": "0", "id": event, "detail-type": DETAIL_TYPE, "source": SOURCE, "account": account, "region": region,
            "time": Timestamp::from_second(made.as_second()).unwrap_or(made), "resources": [], "detail": detail,
        })
        .to_string();
        let fingerprint = fingerprint(setup, &body, made)?;
        let (started, sent) = (Instant::now(), clock());
        match &way {
            Way::Queue(url) => {
                let client = aws_sdk_sqs::Client::new(&aws.quick().await);
                let request = client.send_message().queue_url(url).message_body(&body);
                request.send().await.map_err(|e| queue::because(url, &e))?;
            }
            Way::Bus(bus) => event = put(bus, &detail.to_string(), &aws).await?,
            Way::Http(url) => post(url, body, setup, &aws).await?,
        }
        Ok(Self { aws, way, queue, id, event, fingerprint, started, sent })
    }

    /// Waits until the ledger says that somebody was told.
    async fn watch(&self, store: &Store, timeout: SignedDuration) -> Report {
        let end = self.started + timeout.unsigned_abs();
        loop {
            let entry = store.entry(&self.fingerprint).await;
            let total = self.started.elapsed().as_millis();
            let line = entry.as_ref().ok().and_then(|e| self.line(e.as_ref()?));
            let report = |cards, stuck| Report { total, decided: line.map(|l| l.at), cards, stuck };
            if let (Ok(Some(entry)), Some(line)) = (&entry, line) {
                match self.fate(entry, line) {
                    Fate::Told => return report(entry.cards.clone(), stuck::failure(line)),
                    Fate::Untold => return report(Vec::new(), Some(stuck::recorded(entry, line))),
                    Fate::Open => {}
                }
            }
            if Instant::now() >= end {
                let why = match &entry {
                    Err(Trouble(why)) => why.clone(),
                    Ok(entry) => self.stuck(entry.as_ref(), line).await,
                };
                return report(Vec::new(), Some(why));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the entry says of this drill.
    fn line<'e>(&self, entry: &'e Entry) -> Option<&'e History> {
        entry.history.iter().rev().find(|line| line.event == self.event)
    }

    /// Whether all is done that is going to be.
    fn fate(&self, entry: &Entry, line: &History) -> Fate {
        let sent = line.done.iter().any(|d| d.starts_with("notify") && d.ends_with(": done"));
        if entry.owed.iter().any(|o| o.id == self.id) {
            Fate::Open
        } else if sent {
            Fate::Told
        } else {
            Fate::Untold
        }
    }

    fn print(&self, format: Format, report: &Report) -> io::Result<u8> {
        let mut out = anstream::stdout().lock();
        let whole = u64::try_from(report.total).unwrap_or(u64::MAX);
        let decided = report.decided.map(|at| self.until(at).min(whole));
        let code = if report.stuck.is_none() { DONE } else { WRONG };
        if format == Format::Json {
            let cards: Vec<_> = report
                .cards
                .iter()
                .map(|c| serde_json::json!({ "destination": c.destination, "link": c.link }))
                .collect();
            let line = serde_json::json!({
                "event": self.event, "fingerprint": self.fingerprint, "way": self.way.word(), "told": code == DONE,
                "milliseconds": { "total": whole, "decided": decided, "told": decided.map(|d| whole - d) },
                "cards": cards, "stuck": report.stuck,
            });
            writeln!(out, "{line}")?;
            return Ok(code);
        }
        writeln!(out, "sent   {} {}", self.way.words(), self.event)?;
        if let Some(why) = &report.stuck {
            writeln!(out, "stuck  after {whole} ms: {}", clean(why))?;
            return Ok(code);
        }
        let decided = decided.unwrap_or_default();
        writeln!(
            out,
            "told   after {whole} ms: {decided} ms until it was decided, {} ms until it was told",
            whole - decided
        )?;
        for card in &report.cards {
            writeln!(out, "       {} {}", clean(&card.destination), clean(card.link.as_deref().unwrap_or_default()))?;
        }
        writeln!(out, "entry  findings-router findings show {}", self.fingerprint)?;
        Ok(code)
    }

    /// Milliseconds from sending to an instant of the router's clock.
    fn until(&self, at: Timestamp) -> u64 {
        u64::try_from(at.duration_since(self.sent).as_millis()).unwrap_or_default()
    }
}

impl Way {
    fn word(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Bus(_) => "bus",
            Self::Http(_) => "http",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Queue(url) => format!("into the queue {url}:"),
            Self::Bus(bus) => format!("on the bus {bus}:"),
            Self::Http(url) => format!("to {url}:"),
        }
    }
}

/// An id that nobody can guess, so that nobody's event is taken for the drill.
fn random_id() -> String {
    // The seeds of a hash are the standard library's only random numbers.
    let half = || RandomState::new().hash_one(clock().as_nanosecond()).to_be_bytes();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(half().into_iter().chain(half())).for_each(|(byte, random)| *byte = random);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The account and Region that the event will name.
async fn place(way: &Way, queue: Option<&str>, aws: &Aws) -> Result<(String, String), String> {
    let queue = if let Way::Queue(url) = way { Some(url.as_str()) } else { queue };
    let arn = match (way, queue) {
        (Way::Bus(bus), _) => {
            let client = aws_sdk_eventbridge::Client::new(&aws.quick().await);
            let answer = client.describe_event_bus().name(bus).send().await.map_err(|e| no_bus(bus, &e))?;
            answer.arn.unwrap_or_default()
        }
        (_, Some(url)) => {
            let client = aws_sdk_sqs::Client::new(&aws.quick().await);
            queue::look(&client, url).await?.arn
        }
        (_, None) => return Ok((NO_ACCOUNT.to_owned(), "us-east-1".to_owned())),
    };
    let mut parts = arn.split(':').skip(3).map(str::to_owned);
    let region = parts.next().unwrap_or_default();
    Ok((parts.next().unwrap_or_default(), region))
}

fn no_bus<E: std::error::Error + 'static, R: std::fmt::Debug>(
    bus: &str,
    error: &aws_sdk_eventbridge::error::SdkError<E, R>,
) -> String {
    format!(
        "the bus {bus} does not take the drill: {}; check its name, and that you may do events:DescribeEventBus and events:PutEvents",
        DisplayErrorContext(error)
    )
}

/// What the loaded policy takes the event for.
fn fingerprint(setup: &Setup, body: &str, now: Timestamp) -> Result<String, String> {
    let policy = &setup.policy;
    let Opened::Event(mut envelope) = open(body, policy.fields()) else {
        return Err("the drill's event is none to this policy".to_owned());
    };
    let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, now) else {
        return Err("no source of your policy reads drills: bring sources/drill.toml back".to_owned());
    };
    match findings.next(&envelope).map(|judged| judged.verdict) {
        Some(Verdict::Claimed(claim)) => Ok(claim.fingerprint),
        Some(Verdict::Suppressed(why) | Verdict::Ignored(why)) => {
            Err(format!("your policy keeps drills quiet, so nobody would be told: {}", clean(&why)))
        }
        None => Err("the drill's event holds no finding to this policy".to_owned()),
    }
}

/// Puts it on a bus; gives the id that the event got.
async fn put(bus: &str, detail: &str, aws: &Aws) -> Result<String, String> {
    let client = aws_sdk_eventbridge::Client::new(&aws.quick().await);
    let entry =
        PutEventsRequestEntry::builder().event_bus_name(bus).source(SOURCE).detail_type(DETAIL_TYPE).detail(detail);
    let answer = client.put_events().entries(entry.build()).send().await.map_err(|e| no_bus(bus, &e))?;
    let result = answer.entries.unwrap_or_default().into_iter().next().unwrap_or_else(|| {
        aws_sdk_eventbridge::types::PutEventsResultEntry::builder().error_message("no answer").build()
    });
    let why = [result.error_code, result.error_message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    result.event_id.ok_or_else(|| format!("the bus {bus} refused the drill: {why}"))
}

/// Posts it to a running `serve`.
async fn post(url: &str, body: String, setup: &Setup, aws: &Aws) -> Result<(), String> {
    let reference = setup.policy.config.live.http_token.as_ref();
    let reference = reference.ok_or("POST /events needs a token: set [http] token or FINDINGS_ROUTER_HTTP_TOKEN")?;
    let token = secrets::resolve(reference, aws, &env).await?;
    let failed = |e: reqwest::Error| {
        let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), |s| format!("{e}: {s}"));
        format!("{url} does not take the drill: {why}; is `serve` running there, with --listen?")
    };
    let at = reqwest::Url::parse(url).map_err(|e| format!("{url:?} is not a URL: {e}; write http://127.0.0.1:8080"))?;
    let at = if at.path() == "/" { at.join("events").unwrap_or(at) } else { at };
    let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().map_err(failed)?;
    let request = client.post(at).bearer_auth(token.expose_secret()).header("content-type", "application/json");
    let answer = request.body(body).send().await.map_err(failed)?;
    let status = answer.status();
    // What has to be tried again is in the ledger with its reason.
    if status.is_success() || status == reqwest::StatusCode::SERVICE_UNAVAILABLE {
        return Ok(());
    }
    let said = answer.text().await.unwrap_or_default();
    Err(format!("{url} refused the drill: HTTP {}: {}", status.as_u16(), clean(&said)))
}
