//! `serve`: the daemon. SQS in, Slack out, HTTP beside it; it stops in order when it is told to.
use super::{
    DONE, USAGE, WRONG,
    setup::{self, Setup},
};
use crate::ends::{
    connect::{self, Connected, env},
    health::Health,
    http::{self, Site},
    intake::Intake,
    socket,
    sqs::Consumer,
    telemetry, ticker,
};
use findings_formatters::view::Locale;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// How long a message may wait for its turn in a channel before it is tried again later.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked what is due.
const TICK_EVERY: Duration = Duration::from_secs(5);
/// How often what is old is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Seconds, for histograms.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// Options of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What the configuration leaves out comes from the environment:
  FINDINGS_ROUTER_QUEUE_URL    the SQS queue            SLACK_BOT_TOKEN       xoxb-…, or a reference to it
  FINDINGS_ROUTER_TABLE        a DynamoDB ledger        SLACK_WEBHOOK_URL     for posts only
  FINDINGS_ROUTER_LEDGER       the embedded ledger      SLACK_SIGNING_SECRET  for clicks
  FINDINGS_ROUTER_LISTEN       health, metrics, events  FINDINGS_ROUTER_HTTP_TOKEN  for POST /events
  FINDINGS_ROUTER_BUS          our own events           FINDINGS_ROUTER_LOG   levels: info, debug, …

On SIGTERM or Ctrl-C it takes no more messages, finishes what was begun within 25 s, and ends with code 0.")]
pub struct Args {
    /// The SQS queue to consume, by URL.
    #[arg(long, value_name = "URL")]
    queue: Option<String>,
    /// Where to listen for health, metrics and events.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>, locale: Option<Locale>) -> u8 {
    telemetry::init_log(env("FINDINGS_ROUTER_LOG").as_deref());
    let Some(setup) = load_with(config, locale, |live| {
        live.queue = args.queue.clone().or(live.queue.take());
        live.listen = args.listen.or(live.listen);
    }) else {
        return USAGE;
    };
    let live = &setup.policy.config.live;
    if live.queue.is_none() && live.listen.is_none() {
        return refuse(&["there is nothing to serve: name a queue (--queue, [queue] url or FINDINGS_ROUTER_QUEUE_URL), or an address for POST /events (--listen)".to_owned()]);
    }
    block_on(serve(setup))
}

/// Loads configuration and policy for a process that lives as long as they do; prints what is wrong.
pub fn load(config: Option<&Path>, locale: Option<Locale>) -> Option<&'static Setup> {
    load_with(config, locale, |_| {})
}

fn load_with(
    config: Option<&Path>,
    locale: Option<Locale>,
    change: impl FnOnce(&mut crate::decide::config::Live),
) -> Option<&'static Setup> {
    let mut setup = setup::load(config, locale).map_err(|problems| setup::report(&problems)).ok()?;
    let live = &mut setup.policy.config.live;
    let wrong = live.fill(&env);
    change(live);
    if !wrong.is_empty() {
        refuse(&wrong);
        return None;
    }
    Some(Box::leak(Box::new(setup)))
}

/// Says why it does not start.
pub fn refuse(wrong: &[String]) -> u8 {
    for why in wrong {
        anstream::eprintln!("error: {why}");
    }
    USAGE
}

/// A runtime for everything that waits.
pub fn block_on(what: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(what),
        Err(error) => refuse(&[format!("no threads to run on: {error}")]),
    }
}

async fn serve(setup: &'static Setup) -> u8 {
    let metrics = match recorder() {
        Ok(metrics) => metrics,
        Err(why) => return refuse(&[why]),
    };
    // From here on a signal is heard: there is something to finish.
    let hear = |kind| signal(kind).map_err(|e| format!("signals cannot be heard: {e}"));
    let (mut terminated, mut interrupted) = match (hear(SignalKind::terminate()), hear(SignalKind::interrupt())) {
        (Ok(terminated), Ok(interrupted)) => (terminated, interrupted),
        (Err(why), _) | (_, Err(why)) => return refuse(&[why]),
    };
    let live = &setup.policy.config.live;
    let listener = match live.listen {
        None => None,
        Some(address) => match TcpListener::bind(address).await {
            Ok(listener) => Some(listener),
            Err(error) => return refuse(&[format!("cannot listen on {address}: {error}")]),
        },
    };
    let connected = connect::connect(setup, PATIENCE).await;
    let Connected { router, rehearsal, aws, signing_secret, http_token, operator_token, app_token } = match connected {
        Ok(connected) => connected,
        Err(wrong) => return refuse(&wrong),
    };
    tracing::info!(version = crate::VERSION, "findings-router starts");
    let intake = Arc::new(Intake { router, events_clock: rehearsal.events_clock });
    let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
    ticker::probe(&intake.router, &health).await;
    let site = listener.map(|listener| {
        let address = listener.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string());
        tracing::info!("listening on http://{address}");
        let site = Site {
            intake: intake.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
            token: http_token,
            operator_token,
            signing_secret,
        };
        tokio::spawn(http::serve(site, listener, stop.clone()))
    });
    let consumer = match &live.queue {
        None => None,
        Some(url) => {
            let client = aws_sdk_sqs::Client::new(aws.config().await);
            let consumer = Consumer {
                client,
                url: url.clone(),
                intake: intake.clone(),
                concurrency: live.concurrency as usize,
                visibility: live.visibility.unsigned_abs(),
                health: health.clone(),
            };
            tracing::info!(queue = %url, concurrency = live.concurrency, "consuming");
            Some(tokio::spawn(consumer.run(stop.clone())))
        }
    };
    let socket = app_token.map(|token| tokio::spawn(socket::run(intake.clone(), token, stop.clone())));
    let ticking = tokio::spawn(tick(intake.clone(), health.clone(), metrics.clone(), setup, stop.clone()));
    let why = told_to_stop(&mut terminated, &mut interrupted).await;
    tracing::info!("{why}: finishing what was begun");
    health.stop();
    stop.cancel();
    let mut code = DONE;
    for task in [consumer, socket, Some(ticking), site.map(|s| tokio::spawn(async move { drop(s.await) }))]
        .into_iter()
        .flatten()
    {
        if let Err(error) = task.await {
            tracing::error!(%error, "a part of the router broke off");
            code = WRONG;
        }
    }
    tracing::info!("stopped");
    code
}

async fn tick(
    intake: Arc<Intake>,
    health: Arc<Health>,
    metrics: PrometheusHandle,
    setup: &Setup,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(TICK_EVERY);
    let mut forgets = tokio::time::interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                if !intake.events_clock {
                    ticker::tick(&intake.router).await;
                }
                ticker::probe(&intake.router, &health).await;
                // Else what was measured piles up where nobody scrapes.
                metrics.run_upkeep();
            }
            _ = forgets.tick() => ticker::forget(&intake.router, setup.policy.config.live.retention).await,
        }
    }
}

async fn told_to_stop(terminated: &mut Signal, interrupted: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminated.recv() => "SIGTERM",
        _ = interrupted.recv() => "Ctrl-C",
    }
}

fn recorder() -> Result<PrometheusHandle, String> {
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|e| e.to_string())?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|e| io::Error::other(e.to_string()).to_string())?;
    telemetry::describe();
    Ok(handle)
}
