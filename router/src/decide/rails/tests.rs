//! Each rail stops and names itself; nothing starts that is not allowed.
mod later;

use super::*;
use crate::testing::{ACCOUNT, INSTANCE, at, catalogue, claim, finding, playbook};
use crate::values::finding::{Actor, ActorKind, Exercise};

/// Everything is allowed: what a row adds takes something away.
const OPEN: &str = "
mode = 'automatic'
accounts = ['111122223333']
effects = { production = 'disruptive' }
";
const ACCOUNTS: &str = "[accounts.\"111122223333\"]\nenvironment = 'production'\n";
const CONTAIN: &str = "[[remediate]]\nrunbook = 'Contain'\neffect = 'disruptive'\n\
     with.InstanceId = { from = 'resource.id', pattern = '^i-[0-9a-f]{8,17}$' }\nwith.Action = 'Contain'\n";

/// One try at the rails; a row changes what it is about.
struct Try {
    accounts: String,
    rails: String,
    playbook: String,
    finding: Finding,
    claim: Claim,
    counts: Counts,
    now: i64,
    episode: u32,
    told: bool,
    event: String,
}

fn open() -> Try {
    let finding = finding();
    Try {
        accounts: ACCOUNTS.to_owned(),
        rails: OPEN.to_owned(),
        playbook: CONTAIN.to_owned(),
        claim: claim(&finding),
        finding,
        counts: Counts::of(["starts", "touched", "failures", "running", "halt"].map(Tally::new)),
        now: 0,
        episode: 1,
        told: true,
        event: r#"{"detail":{"id":"i-0123456789abcdef0","empty":"","long":""}}"#.to_owned(),
    }
}

impl Try {
    fn pass(&mut self) -> Option<Remediation> {
        // Loading would refuse names that nobody has; the rails hold all the same.
        let (config, _) = Config::parse("c.toml", &format!("{}\n[remediation]\n{}", self.accounts, self.rails));
        let playbook = playbook(&self.playbook);
        let tree = Node::parse(&self.event).unwrap();
        let catalogue = catalogue();
        let case = Case {
            config: &config,
            catalogue: &catalogue,
            playbook: &playbook,
            finding: &self.finding,
            claim: &self.claim,
            tree: &tree,
            told: self.told,
            episode: self.episode,
            now: at(self.now),
        };
        pass(&case, &playbook.remediate[0], &mut self.counts)
    }

    fn started_before(mut self, seconds_ago: i64, id: &str, times: usize) -> Self {
        for _ in 0..times {
            let when = at(-seconds_ago);
            self.counts.starts.add(when, &format!("{id} another-token"));
            if id == INSTANCE {
                self.counts.touched.add(when, "another/1");
            }
        }
        self
    }
}

fn rails(more: &str) -> Try {
    Try { rails: format!("{OPEN}{more}"), ..open() }
}

fn about(change: impl FnOnce(&mut Resource)) -> Try {
    let mut t = open();
    change(&mut t.claim.about);
    t
}

/// In mode automatic and approve alike.
fn check(sentence: &str, make: impl Fn() -> Try, expected: Option<(&str, &str)>) {
    for mode in ["automatic", "approve"] {
        let mut t = make();
        t.rails = t.rails.replace("automatic", mode);
        let before = t.counts.starts.items.len();
        let got = t.pass().unwrap();
        let stop = got.stopped.as_ref().map(|s| (s.rail.as_str(), s.reason.as_str()));
        assert_eq!(stop, expected, "{sentence} ({mode})");
        assert_eq!(got.mode.as_str(), mode, "{sentence}");
        let counted = t.counts.starts.items.len() - before;
        assert_eq!(
            counted,
            usize::from(mode == "automatic" && expected.is_none()),
            "{sentence} ({mode}): starts counted"
        );
    }
}

#[test]
fn each_rail_stops_and_names_itself() {
    check("Nothing is in the way.", open, None);
    check("The kill switch.", || rails("kill-switch = true"), Some(("kill-switch", "the kill switch is on")));
    check(
        "An account that nobody knows.",
        || Try { accounts: String::new(), ..open() },
        Some(("accounts", "account 111122223333 is not in the account directory")),
    );
    check(
        "An account that is not allowed.",
        || Try { rails: OPEN.replace("['111122223333']", "['444455556666']"), ..open() },
        Some(("accounts", "account 111122223333 is not in remediation.accounts")),
    );
    check(
        "The resource is another account's: one account cannot have another's resources touched.",
        || about(|r| r.account = Some("444455556666".to_owned())),
        Some(("accounts", "account 111122223333 tells it of a resource of 444455556666, which has to say so itself")),
    );
    check(
        "Another Region.",
        || rails("regions = ['us-east-1']"),
        Some(("regions", "eu-west-1 is not in remediation.regions")),
    );
    check(
        "The resource is in another Region than the finding.",
        || about(|r| r.arn = Some("arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0".to_owned())),
        Some(("regions", "the finding is from eu-west-1, the resource in us-east-1")),
    );
    check(
        "A Region that nobody tells.",
        || {
            let mut t = about(|r| r.arn = None);
            t.finding.region = "unknown".to_owned();
            t
        },
        Some(("regions", "the event does not tell its Region")),
    );
    check("This Region among others.", || rails("regions = ['us-east-1', 'eu-west-1']"), None);
    check(
        "Another runbook.",
        || rails("runbooks = ['Other']"),
        Some(("runbooks", "Contain is not in remediation.runbooks")),
    );
    check("No Region at all.", || rails("regions = []"), Some(("regions", "eu-west-1 is not in remediation.regions")));
    check(
        "No runbook at all.",
        || rails("runbooks = []"),
        Some(("runbooks", "Contain is not in remediation.runbooks")),
    );
    check(
        "Nobody hears of it.",
        || Try { told: false, ..open() },
        Some(("told", "no route sends this finding to anybody")),
    );
    check("This runbook among others.", || rails("runbooks = ['Other', 'Contain']"), None);
    check(
        "Not severe enough.",
        || rails("min-severity = 'critical'"),
        Some(("severity", "high is below remediation.min-severity (critical)")),
    );
    check("Just severe enough.", || rails("min-severity = 'high'"), None);
    check(
        "By default from medium on.",
        || Try { claim: Claim { severity: crate::values::severity::Severity::Low, ..claim(&finding()) }, ..open() },
        Some(("severity", "low is below remediation.min-severity (medium)")),
    );
    check(
        "It reaches further than the environment allows.",
        || Try { rails: OPEN.replace("disruptive", "reversible"), ..open() },
        Some(("effect", "its effect is disruptive; environment production allows reversible at most")),
    );
    check(
        "It reaches less far than the environment allows.",
        || Try { rails: OPEN.replace("disruptive", "destructive"), ..open() },
        None,
    );
    check(
        "An environment without a word: harmless only.",
        || Try { rails: OPEN.replace("production", "staging"), ..open() },
        Some(("effect", "its effect is disruptive; environment production allows harmless at most")),
    );
    check(
        "An account without an environment: harmless only.",
        || Try { accounts: "[accounts.\"111122223333\"]\nname = 'x'\n".to_owned(), ..open() },
        Some(("effect", "its effect is disruptive; environment * allows harmless at most")),
    );
    check("A word for all others.", || Try { rails: OPEN.replace("production", "'*'"), ..open() }, None);
}

#[test]
fn protected_resources_are_never_touched() {
    let by = |reason| Some(("protected", reason));
    check(
        "By id.",
        || rails("protected = ['i-0123456789abcdef0']"),
        by("i-0123456789abcdef0 is protected by i-0123456789abcdef0"),
    );
    check(
        "By ARN.",
        || rails("protected = ['arn:aws:ec2:*:111122223333:*']"),
        by("i-0123456789abcdef0 is protected by arn:aws:ec2:*:111122223333:*"),
    );
    check(
        "By an ARN, of a resource whose ARN the event does not tell.",
        || Try {
            rails: format!("{OPEN}protected = ['arn:aws:ec2:*:*:instance/I-0123456789ABCDEF0']"),
            ..about(|r| (r.arn, r.name) = (None, None))
        },
        by("i-0123456789abcdef0 is protected by arn:aws:ec2:*:*:instance/I-0123456789ABCDEF0"),
    );
    check("By name.", || rails("protected = ['web-*']"), by("i-0123456789abcdef0 is protected by web-*"));
    // A pattern, and the id of what it means, as sources tell it.
    for (pattern, id) in [
        ("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/pay", "/aws/lambda/pay"),
        ("arn:aws:s3:::vault/ledger.csv", "vault/ledger.csv"),
        ("prod-*", "arn:aws:foo:eu-west-1:111122223333:bar/prod-x"),
        ("prod-*", "c/prod-x"),
        ("break-glass", "arn:aws:iam::111122223333:role/break-glass"),
        ("arn:aws:iam::111122223333:role/ops/break-glass", "break-glass"),
    ] {
        let reason = format!("{id} is protected by {pattern}");
        let of = |pattern: &str| Try {
            playbook: CONTAIN.replace("^i-[0-9a-f]{8,17}$", "^.*$"),
            rails: format!("{OPEN}protected = ['{pattern}']"),
            ..about(|r| (r.id, r.arn, r.name) = (id.to_owned(), None, None))
        };
        check("By any end of an id.", || of(pattern), Some(("protected", &reason)));
        check("Not by a part of an end.", || of("glass"), None);
    }
    check("Another one.", || rails("protected = ['web', 'eb-1', 'i-0123456789abcdef', 'web-*-db']"), None);
    let tagged = |key: &'static str, value: &'static str, wanted: &'static str| {
        move || Try {
            rails: format!("{OPEN}protected-tags = ['{wanted}']"),
            ..about(|r| r.tags = vec![(key.to_owned(), value.to_owned())])
        }
    };
    check("By a tag, whatever its value.", tagged("keep", "x", "keep"), by("i-0123456789abcdef0 is protected by keep"));
    check(
        "By a tag with its value.",
        tagged("tier", "db", "tier=db"),
        by("i-0123456789abcdef0 is protected by tier=db"),
    );
    check(
        "Tags that the event does not tell may be the ones that protect.",
        || rails("protected-tags = ['keep']"),
        by("the tags of i-0123456789abcdef0 are not known, and remediation.protected-tags is set"),
    );
    check(
        "A parameter names a protected resource, though the problem is about another.",
        || Try {
            playbook: CONTAIN
                .replace("with.Action = 'Contain'", "with.Action = { at = '/detail/id', pattern = '^.*$' }"),
            rails: format!("{OPEN}protected = ['i-0123456789abcdef0']"),
            ..about(|r| (r.id, r.arn, r.name) = ("i-0fedcba9876543210".to_owned(), None, None))
        },
        by("i-0fedcba9876543210 is protected by i-0123456789abcdef0"),
    );
    check("The tag has another value.", tagged("tier", "web", "tier=db"), None);
    check("A value alone is no key.", tagged("tier", "db", "db"), None);
}

#[test]
fn cooldown_and_budget_have_edges() {
    check(
        "The same resource a second too early.",
        || open().started_before(3_599, INSTANCE, 1),
        Some(("cooldown", "i-0123456789abcdef0 was remediated less than 1h ago")),
    );
    check("Exactly after the cooldown.", || open().started_before(3_600, INSTANCE, 1), None);
    check("Another resource has a cooldown of its own.", || open().started_before(1, "i-1", 1), None);
    check("The fifth start within the hour.", || open().started_before(3_599, "i-1", 4), None);
    check(
        "The sixth is one too many.",
        || open().started_before(3_599, "i-1", 5),
        Some(("budget", "5 starts in the last 1h; the budget is 5")),
    );
    check("The budget slides.", || open().started_before(3_600, "i-1", 5), None);
    check(
        "A budget of nothing.",
        || rails("budget = { starts = 0 }"),
        Some(("budget", "0 starts in the last 1h; the budget is 0")),
    );
    check(
        "Times of one's own.",
        || rails("cooldown = '1m'\nbudget = { starts = 1, within = '1m' }").started_before(60, INSTANCE, 9),
        None,
    );
}

#[test]
fn a_retry_of_a_start_is_the_same_start() {
    let mut t = rails("budget = { starts = 1 }");
    let first = t.pass().unwrap();
    t.now = 30;
    let again = t.pass().unwrap();
    assert_eq!((first.stopped, &again.id, again.stopped), (None, &first.id, None), "it is not stopped by itself");
    assert_eq!(t.counts.starts.items.len(), 1, "and counted once");
    t.episode = 2;
    assert_eq!(t.pass().unwrap().stopped.unwrap().rail, "cooldown", "the next episode is another start");
}

#[test]
fn a_mode_is_chosen_by_playbook_environment_and_default_and_lowered_by_caution() {
    let rows = [
        ("Nothing is configured: proposed.", "", "", Some(Mode::Propose)),
        ("The general mode.", "", "mode = 'approve'", Some(Mode::Approve)),
        (
            "No further than the environment's.",
            "",
            "mode = 'automatic'\nenvironments = { production = 'approve' }",
            Some(Mode::Approve),
        ),
        (
            "The playbook's wins over the general one.",
            "",
            "mode = 'off'\nplaybooks = { mining = 'automatic' }",
            Some(Mode::Automatic),
        ),
        (
            "But goes no further than the environment's.",
            "",
            "environments = { production = 'approve' }\nplaybooks = { mining = 'automatic' }",
            Some(Mode::Approve),
        ),
        (
            "Environments have limits, and this one is not named: proposed.",
            "",
            "mode = 'automatic'\nenvironments = { staging = 'automatic' }",
            Some(Mode::Propose),
        ),
        ("A limit for all others.", "", "mode = 'automatic'\nenvironments = { '*' = 'approve' }", Some(Mode::Approve)),
        ("Off is off.", "", "mode = 'off'", None),
        ("A dry run lowers.", "", "mode = 'automatic'\ndry-run = true", Some(Mode::Propose)),
        ("A dry run does not raise.", "", "mode = 'off'\ndry-run = true", None),
        ("Terraform owns it.", "terraform", "mode = 'automatic'\npropose-tags = ['terraform']", Some(Mode::Propose)),
        ("One's own mark.", "owner", "mode = 'approve'\npropose-tags = ['owner']", Some(Mode::Propose)),
        ("Another mark.", "terraform", "mode = 'approve'\npropose-tags = ['owner']", Some(Mode::Approve)),
    ];
    for (sentence, tag, rails, expected) in rows {
        let mut t = about(|r| r.tags = vec![(tag.to_owned(), "x".to_owned())]);
        t.rails = rails.to_owned();
        assert_eq!(t.pass().map(|r| r.mode), expected, "{sentence}");
    }
    let mut untold = Try { rails: "mode = 'approve'\npropose-tags = ['terraform']".to_owned(), ..open() };
    assert_eq!(untold.pass().map(|r| r.mode), Some(Mode::Propose), "tags that are not told may be there all the same");
}

#[test]
fn proposing_needs_only_parameters_and_nothing_starts_unless_all_is_said() {
    let mut t = Try { accounts: String::new(), rails: "kill-switch = true".to_owned(), ..open() };
    let proposed = t.pass().unwrap();
    assert_eq!((proposed.mode, proposed.stopped), (Mode::Propose, None));
    let mut t = Try { accounts: String::new(), rails: "mode = 'automatic'".to_owned(), ..open() };
    assert!(t.pass().unwrap().stopped.is_some(), "automatic and nothing else configured");
    assert_eq!(t.counts.starts.items.len(), 0);
}

#[test]
fn an_exercise_is_never_remediated_not_even_in_words() {
    for exercise in [Exercise::Sample, Exercise::Drill, Exercise::Replay] {
        for mode in ["automatic", "approve", "propose"] {
            let mut t = open();
            t.rails = t.rails.replace("automatic", mode);
            t.finding.exercise = Some(exercise);
            assert_eq!(t.pass(), None, "{exercise:?} {mode}");
            assert_eq!(t.counts.starts.items.len(), 0);
        }
    }
}

#[test]
fn parameters_bind_or_stop() {
    let actor = Actor {
        kind: ActorKind::IamUser,
        id: "arn:aws:iam::111122223333:user/bob".to_owned(),
        name: "user/bob".to_owned(),
        account: None,
        session: None,
        access_key: None,
        source_ip: None,
    };
    let stop = |reason: &str| Err(reason.to_owned());
    let rows = [
        ("A pointer.", "{ at = '/detail/id', pattern = '^i-[0-9a-f]+$' }", Ok(vec![INSTANCE])),
        ("A pointer to nothing.", "{ at = '/detail/no', pattern = '^.*$' }", stop("P has no value in this finding")),
        (
            "An empty text is nothing.",
            "{ at = '/detail/empty', pattern = '^.*$' }",
            stop("P has no value in this finding"),
        ),
        (
            "It looks wrong.",
            "{ at = '/detail/id', pattern = '^vol-.*$' }",
            stop("P does not look right: \"i-0123456789abcdef0\" does not match ^vol-.*$"),
        ),
        ("Too long.", "{ at = '/detail/long', pattern = '^.*$' }", stop("P is longer than 512 characters")),
        ("As long as SSM takes.", "{ at = '/detail/fits', pattern = '^x+$' }", Ok(vec![])),
        ("A constant.", "'yes'", Ok(vec!["yes"])),
        ("Constants.", "['a', 'b']", Ok(vec!["a", "b"])),
        ("The resource.", "{ from = 'resource.id', pattern = '^i-.*$' }", Ok(vec![INSTANCE])),
        (
            "Its ARN.",
            "{ from = 'resource.arn', pattern = '^arn:.*$' }",
            Ok(vec!["arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"]),
        ),
        ("Its name.", "{ from = 'resource.name', pattern = '^.*$' }", Ok(vec!["web-1"])),
        ("The account.", "{ from = 'account.id', pattern = '^[0-9]{12}$' }", Ok(vec![ACCOUNT])),
        ("The Region.", "{ from = 'region', pattern = '^[a-z0-9-]+$' }", Ok(vec!["eu-west-1"])),
        ("The actor's name.", "{ from = 'actor.name', pattern = '^.*$' }", Ok(vec!["user/bob"])),
        ("The actor.", "{ from = 'actor.id', pattern = '^arn:.*$' }", Ok(vec!["arn:aws:iam::111122223333:user/bob"])),
    ];
    let (long, fits) = ("x".repeat(513), "x".repeat(512));
    for (sentence, with, expected) in rows {
        for mode in ["automatic", "approve", "propose"] {
            let mut t = open();
            t.rails = t.rails.replace("automatic", mode);
            t.playbook = format!("[[remediate]]\nrunbook = 'Contain'\neffect = 'disruptive'\nwith.P = {with}\n");
            t.finding.actor = Some(actor.clone());
            t.event = format!(r#"{{"detail":{{"id":"{INSTANCE}","empty":"","long":"{long}","fits":"{fits}"}}}}"#);
            let got = t.pass().unwrap();
            let expected = match &expected {
                Ok(values) if values.is_empty() => Ok(vec![fits.clone()]),
                Ok(values) => Ok(values.iter().map(|v| (*v).to_owned()).collect()),
                Err(reason) => Err(reason.clone()),
            };
            let bound = match got.stopped {
                None => Ok(got.job.parameters["P"].clone()),
                Some(stop) => {
                    let rail = if stop.reason.contains("no value") { ABSENT } else { "parameters" };
                    assert_eq!((stop.rail.as_str(), got.job.parameters.len()), (rail, 0), "{sentence}");
                    Err(stop.reason)
                }
            };
            assert_eq!(bound, expected, "{sentence} ({mode})");
        }
    }
    let mut nobody = open();
    nobody.playbook =
        "[[remediate]]\nrunbook = 'Contain'\neffect = 'harmless'\nwith.P = { from = 'actor.id', pattern = '^.*$' }"
            .to_owned();
    assert_eq!(nobody.pass().unwrap().stopped.unwrap().reason, "P has no value in this finding");
}

#[test]
fn a_client_token_names_one_start() {
    let token = |t: &mut Try| t.pass().unwrap().id;
    let first = token(&mut open());
    let uuid = Uuid::parse_str(&first).unwrap();
    assert_eq!((uuid.get_version_num(), uuid.get_variant()), (5, uuid::Variant::RFC4122));
    assert_eq!(
        first,
        token(&mut Try { now: 99, rails: "mode = 'approve'".to_owned(), ..open() }),
        "the same at any time"
    );
    let others = [
        token(&mut Try { episode: 2, ..open() }),
        token(&mut Try { playbook: CONTAIN.replace("'Contain'\neffect", "'Other'\neffect"), ..open() }),
        token(&mut Try { claim: Claim { fingerprint: "another".to_owned(), ..claim(&finding()) }, ..open() }),
    ];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != first && !others[..i].contains(other), "{others:?}");
    }
    let elsewhere = about(|r| r.account = Some("444455556666".to_owned())).pass().unwrap();
    assert_eq!(elsewhere.job.account, "444455556666", "it runs where the resource is");
}

#[test]
fn a_star_stands_for_anything() {
    for (pattern, text, expected) in [
        ("i-1", "i-1", true),
        ("i-1", "i-12", false),
        ("arn:aws:s3:::prod-*", "arn:aws:s3:::prod-logs", true),
        ("*-logs", "prod-logs", true),
        ("*", "", true),
        ("a*a", "a", false),
        ("a*b*c", "axxbxxc", true),
        ("a*b*c", "axxcxxb", false),
    ] {
        assert_eq!(like(pattern, text), expected, "{pattern} {text}");
    }
}
