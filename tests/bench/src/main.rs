//! Measures the built programs as they are run, and prints a table. `tests/bench/run` builds and starts it.
mod events;
mod function;
mod memory;
mod queue;
mod world;

use std::{env, fs, io::Write, time::Duration};
use world::{Wrong, named};

/// Runs of each queue.
const RUNS: usize = 3;
/// A run's steady state.
const STEADY: Duration = Duration::from_secs(20);
/// Starts of the function.
const STARTS: usize = 30;
/// Duplicates after which memory is looked at.
const DUPLICATES: [usize; 5] = [10_000, 100_000, 250_000, 500_000, 1_000_000];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Wrong> {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    tokio::task::LocalSet::new()
        .run_until(async {
            if is_wanted("function") {
                measure_function().await?;
            }
            if is_wanted("queue") {
                measure_queue("fakecloud-sqs", true).await?;
                measure_queue("MiniStack", false).await?;
            }
            if is_wanted("memory") {
                measure_memory().await?;
            }
            Ok(())
        })
        .await
}

/// Prints a line at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Who does not listen any more is not told.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn measure_queue(name: &str, fast: bool) -> Result<(), Wrong> {
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let rate = queue::run(fast, STEADY).await?;
        let ([daemon, sqs, bench], (fewest, most)) = (rate.cpu, rate.backlog);
        say(&format!(
            "  run {run}: {:.0} messages/s; backlog {fewest} to {most}; processor, µs a message: daemon {daemon:.0}, {name} {sqs:.0}, bench {bench:.0}",
            rate.messages
        ));
        runs.push(rate.messages);
    }
    say(&format!("| SQS messages a second, {name} | {:.0} |", quantile(&mut runs, 0.5)));
    Ok(())
}

async fn measure_memory() -> Result<(), Wrong> {
    let line = |seen: &memory::Seen| {
        say(&format!(
            "| resident after {} duplicates | {:.1} MB; ledger {:.1} MB; {:.0} a second |",
            seen.duplicates, seen.rss, seen.ledger, seen.rate
        ));
    };
    memory::run(&DUPLICATES, line).await
}

async fn measure_function() -> Result<(), Wrong> {
    let bytes = fs::metadata(named("BENCH_BIN")?.join("bootstrap"))?.len();
    say(&format!("| `bootstrap` | {}.{} MB |", bytes / 1_000_000, bytes / 100_000 % 10));
    let place = function::Place::new().await?;
    let starts = place.starts(STARTS).await?;
    let part = |of: fn(&function::Start) -> f64| {
        let mut values: Vec<f64> = starts.iter().map(of).collect();
        format!("median {:.1}, p95 {:.1}", quantile(&mut values, 0.5), quantile(&mut values, 0.95))
    };
    say(&format!("| start to first request for work, ms | {} |", part(|s| s.all)));
    say(&format!("| … until the policy is loaded | {} |", part(|s| s.policy)));
    say(&format!("| … Slack's client and the SDK | {} |", part(|s| s.clients)));
    say(&format!("| … TLS, and the table's schema from MiniStack | {} |", part(|s| s.schema)));
    say(&format!("| … the rest | {} |", part(|s| s.rest)));
    say(&format!("| resident when started, MB | {} |", part(|s| s.rss)));
    say(&format!("| resident after 1,000 messages, MB | {:.1} |", place.rss().await?));
    Ok(())
}

/// The value below which such a part of all lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few values"
)]
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
