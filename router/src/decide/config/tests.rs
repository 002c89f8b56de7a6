//! The configuration: its defaults, its routes, and the words of every mistake.
use super::*;
use crate::values::action::Mode;
use crate::values::severity::Severity;
use crate::{
    decide::policy::{Policy, UserFiles},
    testing::{at, config, refusals},
    values::tree::Node,
};

#[test]
fn with_no_file_nothing_is_automatic_and_everything_goes_to_one_channel() {
    let c = Config::default();
    assert_eq!((c.locale, c.storm.cards, c.storm.window), (Locale::En, 3, SignedDuration::from_mins(10)));
    assert_eq!((c.remediation.mode, c.remediation.min_severity), (Mode::Propose, Severity::Medium));
    assert!(c.remediation.accounts.is_empty() && c.remediation.effects.is_empty() && !c.remediation.dry_run);
    assert_eq!(channels(&c, &seen(&Node::Null, None)), [DESTINATION]);
}

fn channels(config: &Config, seen: &Seen<'_>) -> Vec<String> {
    config.destinations(seen, at(0)).into_iter().map(|d| d.channel).collect()
}

fn seen<'a>(tree: &'a Node<'a>, known: Option<&'a Account>) -> Seen<'a> {
    Seen {
        severity: Severity::High,
        reporter: "guardduty",
        account: "111122223333",
        known,
        playbook: "mining",
        tags: &[],
        tree,
    }
}

#[test]
fn a_route_takes_what_all_its_conditions_say() {
    let account = Account {
        name: None,
        environment: Some("production".to_owned()),
        owner: Some("team".to_owned()),
        ..Account::default()
    };
    let tree = Node::parse(r#"{"source":"aws.guardduty"}"#).unwrap();
    let rows = [
        ("No condition.", "", true),
        ("As severe.", "severity = 'high'", true),
        ("Not severe enough.", "severity = 'critical'", false),
        ("One of the reporters.", "reporter = ['config', 'guardduty']", true),
        ("Another reporter.", "reporter = 'config'", false),
        ("The account.", "account = '111122223333'", true),
        ("Another account.", "account = '444455556666'", false),
        ("The environment.", "environment = 'production'", true),
        ("Another environment.", "environment = 'staging'", false),
        ("The owner.", "owner = 'team'", true),
        ("Another owner.", "owner = 'others'", false),
        ("The playbook.", "playbook = 'mining'", true),
        ("Another playbook.", "playbook = 'other'", false),
        ("The pattern.", "when.source = ['aws.guardduty']", true),
        ("Another pattern.", "when.source = ['aws.config']", false),
        ("All but one.", "severity = 'high'\nowner = 'others'", false),
    ];
    let directory = "[accounts.'111122223333']\nenvironment = 'production'\nowner = 'team'
        [accounts.'444455556666']\nenvironment = 'staging'\nowner = 'others'\n";
    for (sentence, condition, takes) in rows {
        let c = config(&format!("{directory}[[route]]\nto = 'slack:#a'\n{condition}\n"));
        let to = channels(&c, &seen(&tree, Some(&account)));
        // What no route takes must not go nowhere.
        assert_eq!(to, [if takes { "slack:#a" } else { DESTINATION }], "{sentence}");
    }
    let c = config(&format!("{directory}[[route]]\nto = 'slack:#a'\nenvironment = 'production'\n"));
    assert_eq!(channels(&c, &seen(&tree, None)), [DESTINATION], "an unknown account is of no environment");
}

#[test]
fn the_first_route_takes_it_unless_it_says_continue() {
    let route = |more: &str| format!("[[route]]\n{more}\n");
    let rows = [
        ("The first.", route("to = 'slack:#a'") + &route("to = 'slack:#b'"), vec!["slack:#a"]),
        (
            "Going on.",
            route("to = 'slack:#a'\ncontinue = true") + &route("to = 'slack:#b'"),
            vec!["slack:#a", "slack:#b"],
        ),
        (
            "Each channel once.",
            route("to = ['slack:#a', 'slack:#a']\ncontinue = true") + &route("to = 'slack:#a'"),
            vec!["slack:#a"],
        ),
        ("Nowhere, on purpose.", route("to = []") + &route("to = 'slack:#b'"), vec![]),
        (
            "One that does not match.",
            route("to = 'slack:#a'\nreporter = 'x'") + &route("to = 'slack:#b'"),
            vec!["slack:#b"],
        ),
    ];
    for (sentence, text, expected) in rows {
        assert_eq!(channels(&config(&text), &seen(&Node::Null, None)), expected, "{sentence}");
    }
}

#[test]
fn every_mistake_has_its_message() {
    let adjust = |what: &str| format!("[[adjust]]\nwhen.source = ['a']\nreason = 'r'\n{what}\n");
    let rows = [
        ("An unknown key, nearly right.", "remediaton = {}\n".to_owned()),
        ("A language that we do not speak.", "locale = 'de'\n".to_owned()),
        ("An account id that lost its zero.", "[accounts.12345678901]\nname = 'x'\n".to_owned()),
        ("An account id with a letter.", "[accounts.a12345678901]\nname = 'x'\nstage = 'y'\n".to_owned()),
        ("A route to nowhere, not on purpose.", "[[route]]\nseverity = 'high'\n".to_owned()),
        ("A channel without its messenger.", "[[route]]\nto = '#security'\n".to_owned()),
        ("A channel's id in small letters.", "[[route]]\nto = 'slack:Community'\n".to_owned()),
        ("An account that is none.", "[[route]]\nto = 'slack:#a'\naccount = ['11112222333']\n".to_owned()),
        (
            "Limits over no time.",
            "storm = { window = '0s' }\n[remediation]\nbudget = { starts = 1, within = '0m' }\naccounts = ['1']\n"
                .to_owned(),
        ),
        ("No channel.", "[[route]]\nto = 'slack:#'\n".to_owned()),
        (
            "A route's pattern, on its own line.",
            "[[route]]\nto = 'slack:#a'\n[route.when]\nsource = [{ numeric = ['>'] }]\n".to_owned(),
        ),
        ("A suppression without an end.", adjust("suppress = true")),
        ("An end that is none.", adjust("suppress-until = 'next week'")),
        ("An adjustment that does nothing.", adjust("")),
        ("An adjustment that does two things.", adjust("raise = 1\nsuppress-until = '2026-01-01'")),
        ("Raised too far.", adjust("raise = 5")),
        ("No reason.", "[[adjust]]\nwhen.source = ['a']\nraise = 1\n".to_owned()),
        ("A storm of nothing.", "storm = { cards = 0, window = '10' }\n".to_owned()),
        ("A mode that is none.", "[remediation]\nmode = 'auto'\nenvironments = { production = 'yes' }\n".to_owned()),
        ("An effect that is none.", "[remediation]\neffects = { production = 'all' }\n".to_owned()),
        ("A switch that is a word.", "[remediation]\nkill-switch = 'on'\ndry_run = true\n".to_owned()),
        ("A budget without a number.", "[remediation]\nbudget = { within = '1h' }\n".to_owned()),
        (
            "Names that nobody has: a rail or a route that is not there.",
            "[[route]]\nto = 'slack:#a'\nenvironment = 'prod'\nowner = 'team'\n\
             [remediation]\naccounts = ['111122223333']\neffects = { production = 'harmless' }\n"
                .to_owned(),
        ),
        ("A secret in the wrong place.", "slack-token = 'xoxb-1'\n".to_owned()),
    ];
    insta::assert_snapshot!(refusals(&rows, |text| match Config::parse("c.toml", text) {
        (config, problems) if problems.is_empty() => Ok(config),
        (_, problems) => Err(problems),
    }));
}

#[test]
fn the_example_of_the_readme_is_a_configuration() {
    let readme = include_str!("../../../README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let c = config(example);
    assert_eq!((c.locale, c.routes.len(), c.adjustments.len(), c.accounts.len()), (Locale::Ja, 3, 2, 1));
    assert!(Policy::load(c, &UserFiles::default()).is_ok());
}
