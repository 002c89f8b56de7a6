//! The rails that can change until a start: what the ledger counts, the hours, the documents; and values that attack.
use super::*;

#[test]
fn what_the_ledger_counts_stops_too() {
    let counted = |count: fn(&mut Counts)| {
        let mut t = open();
        count(&mut t.counts);
        t
    };
    check(
        "Somebody pulled the emergency brake.",
        || counted(|c| c.halt.add(at(-60), "alice")),
        Some(("kill-switch", "alice turned the kill switch on at 2025-12-31T23:59:00Z")),
    );
    check("It failed twice.", || counted(|c| (0..2).for_each(|n| c.failures.add(at(-60), &n.to_string()))), None);
    check(
        "It failed three times.",
        || counted(|c| (0..3).for_each(|n| c.failures.add(at(-60), &n.to_string()))),
        Some((
            "breaker",
            "Contain failed 3 times in the last 24h; see why, then `findings-router remediation reset Contain`",
        )),
    );
    check(
        "It failed three times, a day ago.",
        || counted(|c| (0..3).for_each(|n| c.failures.add(at(-86_400), &n.to_string()))),
        None,
    );
    check("Nine run.", || counted(|c| (0..9).for_each(|n| c.running.add(at(-60), &n.to_string()))), None);
    check(
        "Ten run.",
        || counted(|c| (0..10).for_each(|n| c.running.add(at(-60), &n.to_string()))),
        Some(("concurrent", "10 executions are running; remediation.concurrent is 10")),
    );
    check(
        "Ten that nobody has heard of for longer than any execution runs.",
        || counted(|c| (0..10).for_each(|n| c.running.add(at(-31 * 86_400), &n.to_string()))),
        None,
    );
    check(
        "The same resource was mended for another problem.",
        || counted(|c| c.touched.add(at(-1), "another/1")),
        Some(("cooldown", "i-0123456789abcdef0 was remediated less than 1h ago")),
    );
    check("Two runbooks for one problem are one remedy.", || counted(|c| c.touched.add(at(-1), "fingerprint/1")), None);
}

#[test]
fn it_runs_within_its_hours_only() {
    // The tests' day is a Thursday, 2026-01-01, from midnight UTC on.
    let hours = |windows: &str, zone: &str, now: i64| Try {
        accounts: format!("time-zone = '{zone}'\n{ACCOUNTS}"),
        rails: format!("{OPEN}windows = {windows}\n"),
        now,
        ..open()
    };
    let closed = "it is outside the maintenance windows (";
    let rows = [
        ("The right day and hour.", "{ production = ['thu 00:00-06:00'] }", "UTC", 0, true),
        ("The end is outside.", "{ production = ['thu 00:00-06:00'] }", "UTC", 6 * 3_600, false),
        ("Another day.", "{ production = ['fri 00:00-06:00'] }", "UTC", 0, false),
        ("Days in a row.", "{ production = ['mon-fri 00:00-06:00'] }", "UTC", 0, true),
        ("Days around the weekend.", "{ production = ['fri-mon 00:00-06:00'] }", "UTC", 0, false),
        ("One of several.", "{ production = ['mon 00:00-01:00', 'daily 00:00-00:30'] }", "UTC", 0, true),
        ("Over midnight, begun yesterday.", "{ production = ['wed 22:00-02:00'] }", "UTC", 3_600, true),
        ("Over midnight, begun today.", "{ production = ['thu 22:00-02:00'] }", "UTC", 3_600, false),
        ("By the reader's clock.", "{ production = ['thu 09:00-10:00'] }", "Asia/Tokyo", 0, true),
        ("For all others.", "{ '*' = ['fri 00:00-06:00'] }", "UTC", 0, false),
        ("Another environment's.", "{ staging = ['fri 00:00-06:00'] }", "UTC", 0, true),
        ("Never.", "{ production = [] }", "UTC", 0, false),
    ];
    for (sentence, windows, zone, now, allowed) in rows {
        let stopped = hours(windows, zone, now).pass().unwrap().stopped;
        assert_eq!(stopped.is_none(), allowed, "{sentence} {stopped:?}");
        assert!(stopped.is_none_or(|s| s.rail == "windows" && s.reason.starts_with(closed)), "{sentence}");
    }
    for text in ["mon", "mon 09:00", "someday 09:00-10:00", "mon-xyz 09:00-10:00", "mon 25:00-26:00", "mon 9-10-11"] {
        assert!(text.parse::<config::Window>().is_err(), "{text}");
    }
}

#[test]
fn a_document_that_nobody_knows_is_proposed_and_never_started() {
    let unknown = |mode: &str| Try {
        rails: OPEN.replace("automatic", mode),
        playbook: CONTAIN.replace("'Contain'\neffect", "'Nobody-Knows'\neffect"),
        ..open()
    };
    assert_eq!(unknown("propose").pass().unwrap().stopped, None);
    for mode in ["approve", "automatic"] {
        assert_eq!(unknown(mode).pass().unwrap().stopped.unwrap().rail, "document", "{mode}");
    }
    let takes = |with: &str| Try { playbook: format!("{CONTAIN}{with}"), ..open() };
    let stop = takes("with.Colour = 'red'\n").pass().unwrap().stopped.unwrap();
    assert_eq!((stop.rail.as_str(), stop.reason.as_str()), ("parameters", "it takes no parameter Colour"));
}

#[test]
fn hostile_values_stop_at_the_patterns() {
    let long = "i-".repeat(400);
    let rows = [
        ("A quote.", "i-0123456789abcdef0'; drop"),
        ("A wildcard.", "i-*"),
        ("A variable of Automation.", "{{ global:DATE }}"),
        ("A line break at the end.", "i-0123456789abcdef0\n"),
        ("Another id behind it.", "i-0123456789abcdef0,i-0fedcba9876543210"),
        ("The ARN of another account.", "arn:aws:ec2:eu-west-1:999999999999:instance/i-0123456789abcdef0"),
        ("A look-alike letter.", "і-0123456789abcdef0"),
        ("Too long.", long.as_str()),
    ];
    for (sentence, value) in rows {
        for mode in ["automatic", "approve", "propose"] {
            let mut t = about(|r| r.id = value.to_owned());
            t.rails = t.rails.replace("automatic", mode);
            let got = t.pass().unwrap();
            let stop = got.stopped.unwrap_or_else(|| panic!("{sentence} ({mode})"));
            assert_eq!((stop.rail.as_str(), got.progress), ("parameters", Progress::Proposed), "{sentence}");
            assert!(stop.reason.starts_with("InstanceId "), "{sentence} names the parameter: {}", stop.reason);
            assert_eq!(t.counts.starts.items.len(), 0);
        }
    }
}

#[test]
fn runbooks_run_in_a_role_of_their_account() {
    let rows = [
        ("arn:{partition}:iam::{account}:role/{runbook}", "eu-west-1", "arn:aws:iam::111122223333:role/R"),
        (
            "arn:{partition}:iam::{account}:role/x-{region}",
            "cn-north-1",
            "arn:aws-cn:iam::111122223333:role/x-cn-north-1",
        ),
        ("arn:{partition}:iam::{account}:role/x", "us-gov-west-1", "arn:aws-us-gov:iam::111122223333:role/x"),
    ];
    for (role, region, expected) in rows {
        assert_eq!(fill(role, "111122223333", region, "R"), expected);
    }
}
