//! `findings` and `explain --ledger`: operators ask the live ledger, beside the daemon that writes it.
use crate::{
    check_aws::{ROUTES, World},
    harness::fixture,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const MINING: &str = "guardduty-crypto-mining/01-first-seen.json";
const HOSTILE: &str = "hostile/07-control-characters.json";
/// Fixtures are of last year, and their problems are not to be forgotten.
const CONFIG: &str = "[accounts.111122223333]\nname = 'shop'\nowner = 'team-shop'\n[ledger]\nretention = '36500d'\n";

#[test]
fn what_the_ledger_holds_is_shown_beside_the_daemon() {
    let world = World::new(&format!("{ROUTES}{CONFIG}"));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str()), ("FINDINGS_ROUTER_CLOCK", "events")];
    let daemon = world.serve(&[], &env);
    daemon.wait_for_line(SOON, "consuming");
    let list = |more: &[&str]| world.run(&[&["findings", "list"], more].concat(), &env).ended(0);
    assert_eq!(list(&[]).stdout, "nothing is open\n");
    let tell = |name: &str, cards: usize| {
        world.aws.send(&queue, &[fixture(name)]);
        world.slack.wait_until(SOON, |all| all.iter().filter(|m| m.thread_ts.is_none()).count() == cards);
        world.aws.wait_until_empty(&queue, SOON);
    };
    tell(HOSTILE, 1);
    tell(MINING, 2);

    let table = list(&[]);
    assert!(table.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", table.stdout);
    world.said("findings-list", table);
    let mining = list(&["--severity", "critical", "--format", "json"]).json().remove(0);
    let (fingerprint, card) = (mining["fingerprint"].text().expect("one"), &mining["cards"].list()[0]);
    assert_eq!((&mining["state"], &mining["account_name"]), (&"open".into(), &"shop".into()), "{mining:?}");
    for (args, count) in [(["--account", "shop"], 1), (["--account", "999999999999"], 0), (["--since", "1s"], 0)] {
        let found = list(&[&args[..], &["--all", "--format", "json", "--severity", "high"]].concat()).json().len();
        assert_eq!(found, count, "{args:?}");
    }

    let shown = world.run(&["findings", "show", &fingerprint[..8]], &env).ended(0);
    let by_link = world.run(&["findings", "show", card["link"].text().expect("a link")], &env).ended(0);
    assert_eq!(shown.stdout, by_link.stdout);
    world.said("findings-show", shown);
    let entry = world.run(&["findings", "show", fingerprint, "--format", "json"], &env).ended(0).json().remove(0);
    assert_eq!(entry["history"].list().len(), 1, "{entry:?}");

    for (which, code, part) in [
        ("zz", 1, "the ledger knows no problem \"zz\""),
        ("", 1, "several problems begin so"),
        ("https://double.slack.com/archives/C00000001", 2, "this is not the link to a Slack message"),
        ("https://double.slack.com/archives/C00000001/p1000000000000000", 1, "the ledger knows no problem"),
    ] {
        let said = world.run(&["findings", "show", which], &env).ended(code).stderr;
        assert!(said.contains(part), "{part:?} in {said}");
    }
    daemon.kill9();
}

/// What would happen now is said from what is known now, and asking changes nothing.
#[test]
fn the_live_ledger_explains() {
    let world = World::new(&format!("{ROUTES}{CONFIG}"));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let daemon = world.serve(&[], &env);
    daemon.wait_for_line(SOON, "consuming");
    std::fs::write(world.home.path().join("event.json"), fixture(MINING)).expect("writable");
    let explain = || world.run(&["explain", "--ledger", "event.json"], &env).ended(0).stdout;
    let unknown = explain();
    for part in ["nothing is known of this problem", "new: it was not known", "post to slack:#security"] {
        assert!(unknown.contains(part), "{part:?} in {unknown}");
    }
    assert_eq!(explain(), unknown, "asked again, nothing is known yet");
    world.aws.send(&queue, &[fixture(MINING)]);
    world.slack.wait_until(SOON, |messages| messages.len() == 1);
    world.aws.wait_until_empty(&queue, SOON);
    let known = explain();
    for part in ["episode 1, open, severity critical, told at", "stale: the same again", "nothing is owed"] {
        assert!(known.contains(part), "{part:?} in {known}");
    }
    assert_eq!(world.slack.messages().len(), 1);
    daemon.kill9();
    let said = world.run(&["explain", "--ledger", "--would", "event.json"], &env).ended(2).stderr;
    assert!(said.contains("cannot be used with"), "{said}");
}

/// In a table, as several consumers have it.
#[test]
fn a_table_is_asked_too() {
    let world = World::new(&format!("{ROUTES}[ledger]\ntable = 'ledger'\n"));
    let queue = world.queue();
    let env = [("FINDINGS_ROUTER_QUEUE_URL", queue.url.as_str())];
    let missing = world.run(&["findings", "list"], &env).ended(1).stderr;
    assert!(missing.contains("make it (findings-router ledger create)"), "{missing}");
    world.run(&["ledger", "create"], &env).ended(0);
    let daemon = world.serve(&[], &env);
    daemon.wait_for_line(SOON, "consuming");
    world.run(&["drill"], &env).ended(0);
    let listed = world.run(&["findings", "list", "--format", "json"], &env).ended(0).json();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["playbook"], "drill");
    daemon.kill9();
}

#[test]
fn every_shell_completes() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = crate::harness::run(&["completions", shell]).ended(0).stdout;
        assert!(script.contains("drill") && script.contains("timeout"), "{shell}");
    }
}
