//! What a decision costs, side by side in one run: everything is measured in turns, so that a machine that slows down
//! slows down all of it, and ratios hold. `cargo bench` prints the table of the README.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures time and prints"
)]

use findings_formatters::{Formatter, Texts};
use findings_router::{
    decide::{
        carrier::{self, Opened},
        config::Config,
        novelty::{Timing, advance},
        plan::{Facts, Tallies, plan},
        policy::{Examined, Policy, PolicyFile, UserFiles},
        show,
    },
    values::{action::Action, entry::Entry, verdict::Verdict},
};
use jiff::{SignedDuration, Timestamp};
use std::{hint::black_box, time::Instant};

const GUARDDUTY: &str = include_str!("../../fixtures/guardduty-attack-sequence/01-compromised-credentials.json");
const CLOUDTRAIL: &str = include_str!("../../fixtures/cloudtrail-ordinary/04-pipeline-updates-a-function.json");
/// Turns; the median of all is printed.
const ROUNDS: usize = 60;
/// Calls per turn.
const CALLS: u32 = 400;

/// As it comes over the wire: without the white space that makes a fixture readable.
fn wire(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).unwrap().to_string()
}

fn policy(extra: usize) -> Policy {
    // The shapes that users write: a type, a family, a call by a principal, a finding in one account.
    let when = |i: usize| match i % 4 {
        0 => format!("source = [\"aws.guardduty\"]\ndetail.type = [\"Extra:EC2/Type{i}\"]"),
        1 => format!(
            "source = [\"aws.guardduty\"]\ndetail.type = [{{ prefix = \"Extra{i}:\" }}]\ndetail.severity = [{{ numeric = [\">=\", 4] }}]"
        ),
        2 => format!(
            "detail-type = [\"AWS API Call via CloudTrail\"]\ndetail.eventName = [\"ExtraCall{i}\"]\ndetail.errorCode = [{{ exists = false }}]"
        ),
        _ => format!(
            "detail-type = [\"AWS API Call via CloudTrail\"]\ndetail.recipientAccountId = [\"{i:012}\"]\ndetail.eventName = [{{ wildcard = \"*Extra{i}*\" }}]"
        ),
    };
    let playbooks = (0..extra).map(|i| PolicyFile {
        name: format!("extra/{i}"),
        path: format!("extra/{i}.toml"),
        text: format!(
            "summary = 'extra'\nweakness = 'extra-{i}'\n[when]\n{}\n[tell]\ntitle = 'x'\nwhy = 'y'\nnext = []\n",
            when(i)
        ),
    });
    let user = UserFiles { playbooks: playbooks.collect(), ..UserFiles::default() };
    Policy::load(Config::default(), &user).map_err(|p| p[0].to_string()).unwrap()
}

/// Body → what the policy makes of it → what is new → plan; the number of actions, so that nothing is optimised away.
fn decide(policy: &Policy, body: &str, known: Option<&Entry>, now: Timestamp) -> (usize, Option<Entry>) {
    let Opened::Event(mut envelope) = carrier::open(body, policy.fields()) else { return (0, None) };
    let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, now) else { return (0, None) };
    let Some(one) = findings.next(&envelope) else { return (0, None) };
    let Verdict::Claimed(claim) = &one.verdict else { return (0, None) };
    let playbook = &policy.playbooks[claim.playbook];
    let timing = Timing { quiet: playbook.quiet, memory: playbook.memory, threshold: None };
    let (novelty, mut entry) = advance(known.cloned(), &one.finding, claim, timing, now);
    let (config, catalogue) = (&policy.config, &policy.catalogue);
    let facts = Facts { config, catalogue, playbook, finding: &one.finding, claim, novelty, tree: one.tree, now };
    let actions = plan(&facts, &mut entry, &mut Tallies::new());
    (actions.len(), Some(entry))
}

/// Body → rendered card.
fn card(policy: &Policy, formatter: &Formatter, texts: &Texts, body: &str, now: Timestamp) -> usize {
    let Opened::Event(mut envelope) = carrier::open(body, policy.fields()) else { return 0 };
    let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, now) else { return 0 };
    let Some(one) = findings.next(&envelope) else { return 0 };
    let Verdict::Claimed(claim) = &one.verdict else { return 0 };
    let playbook = &policy.playbooks[claim.playbook];
    let timing = Timing { quiet: playbook.quiet, memory: playbook.memory, threshold: None };
    let (novelty, mut entry) = advance(None, &one.finding, claim, timing, now);
    let (config, catalogue) = (&policy.config, &policy.catalogue);
    let facts = Facts { config, catalogue, playbook, finding: &one.finding, claim, novelty, tree: one.tree, now };
    let actions = plan(&facts, &mut entry, &mut Tallies::new());
    let Some(Action::Notify(notify)) = actions.into_iter().next() else { return 0 };
    let context = show::context(facts.config, facts.config.locale, &one.finding, claim, &serde_json::Value::Null);
    entry.shown = Some(show::shown(&facts, &|i| policy.playbooks[i].name.clone(), &context, texts).0);
    let view = show::view(&policy.config, &entry, &notify, novelty, None, None);
    formatter.slack(&view).unwrap().text.len()
}

/// What is measured, and a call of it.
type Variant<'a> = (&'static str, Box<dyn FnMut() -> usize + 'a>);

/// Runs every variant in turn and gives the median nanoseconds of a call of each.
fn measure(variants: &mut [Variant<'_>]) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(ROUNDS); variants.len()];
    for round in 0..=ROUNDS {
        for (i, (_, call)) in variants.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..CALLS {
                black_box(call());
            }
            // The first round warms up.
            if round > 0 {
                times[i].push(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
            }
        }
    }
    for t in &mut times {
        t.sort_by(f64::total_cmp);
    }
    times.iter().map(|t| t[t.len() / 2]).collect()
}

fn main() {
    let (plain, extra) = (policy(0), policy(1_000));
    let (formatter, texts) = (Formatter::new([]).unwrap(), Texts::default());
    let (finding, record) = (wire(GUARDDUTY), wire(CLOUDTRAIL));
    let now: Timestamp = "2026-03-21T01:00:00Z".parse().unwrap();
    let known = |policy: &Policy| {
        let (_, entry) = decide(policy, &finding, None, now);
        let mut entry = entry.unwrap();
        (entry.told_at, entry.reports[0].revision) = (Some(now), Timestamp::UNIX_EPOCH);
        entry
    };
    let (known_plain, known_extra) = (known(&plain), known(&extra));
    let later = now + SignedDuration::from_secs(5);
    assert_eq!(decide(&plain, &record, None, later).0, 0, "the record concerns nobody");
    assert_eq!(decide(&plain, &finding, Some(&known_plain), later).0, 0, "the finding is a duplicate");

    let mut variants: Vec<Variant<'_>> = vec![
        (
            "Value of the CloudTrail body",
            Box::new(|| {
                serde_json::from_str::<serde_json::Value>(&record)
                    .map_or(0, |v| v.as_object().map_or(0, serde_json::Map::len))
            }),
        ),
        ("ignored CloudTrail record, body to plan", Box::new(|| decide(&plain, &record, None, later).0)),
        ("… with 1,000 more playbooks", Box::new(|| decide(&extra, &record, None, later).0)),
        (
            "Value of the GuardDuty body",
            Box::new(|| {
                serde_json::from_str::<serde_json::Value>(&finding)
                    .map_or(0, |v| v.as_object().map_or(0, serde_json::Map::len))
            }),
        ),
        (
            "duplicate GuardDuty finding, body to plan",
            Box::new(|| decide(&plain, &finding, Some(&known_plain), later).0),
        ),
        ("… with 1,000 more playbooks", Box::new(|| decide(&extra, &finding, Some(&known_extra), later).0)),
        ("new GuardDuty finding, body to rendered card", Box::new(|| card(&plain, &formatter, &texts, &finding, now))),
    ];
    let times = measure(&mut variants);
    println!(
        "bodies: CloudTrail {} bytes, GuardDuty {} bytes; {} playbooks shipped",
        record.len(),
        finding.len(),
        plain.playbooks.len()
    );
    println!("median of {ROUNDS} rounds of {CALLS} calls each, in turns\n");
    for ((name, _), time) in variants.iter().zip(&times) {
        println!("{:>9.2} µs  {name}", time / 1_000.0);
    }
    println!("\n{:>6.2}  ignored record / Value (target: at most 1.0)", times[1] / times[0]);
    println!("{:>6.2}  duplicate finding / Value (target: at most 1.0)", times[4] / times[3]);
    println!("{:>6.2}  ignored record, 1,000 more playbooks / none (target: at most 1.1)", times[2] / times[1]);
    println!("{:>6.2}  duplicate finding, 1,000 more playbooks / none (target: at most 1.1)", times[5] / times[4]);
}
