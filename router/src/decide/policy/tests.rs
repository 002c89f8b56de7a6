//! The policy: who claims, how it is judged, and which findings are one problem.
use super::*;
use crate::{
    decide::carrier::{Opened, open},
    testing::{ACCOUNT, at, config, finding, instance},
    values::{finding::Actor, severity::Severity},
};

const TELL: &str = "[tell]\ntitle = 'T'\nwhy = 'W'\nnext = ['N']\n";

fn playbook_file(name: &str, when: &str, more: &str) -> PolicyFile {
    PolicyFile {
        name: name.to_owned(),
        path: format!("mine/{name}.toml"),
        text: format!("summary = 'S'\nweakness = 'test'\n{when}\n{TELL}{more}"),
    }
}

fn load(config_text: &str, playbooks: Vec<PolicyFile>) -> Policy {
    Policy::load(config(config_text), &UserFiles { playbooks, ..UserFiles::default() }).unwrap()
}

fn guardduty(kind: &str) -> String {
    format!(
        r#"{{"id":"e","source":"aws.guardduty","detail-type":"GuardDuty Finding","account":"{ACCOUNT}","region":"eu-west-1",
        "time":"2026-01-01T00:00:00Z","detail":{{"arn":"a","type":"{kind}","severity":5,"title":"t","user":"bob"}}}}"#
    )
}

/// `playbook severity +also`, `suppressed: why` or `ignored: why`, for each finding; or why there is none.
fn judge(policy: &Policy, text: &str) -> String {
    let Opened::Event(mut envelope) = open(text, policy.fields()) else { panic!("{text}") };
    let mut findings = match policy.examine(&mut envelope, at(0)).0 {
        Examined::Findings(findings) => findings,
        Examined::Ignored(why) => return format!("nothing: {why}"),
        Examined::Refused(why) => return format!("refused: {why}"),
        Examined::Execution(said, _) => return format!("execution {} is {}", said.execution, said.status),
    };
    let name = |i: &usize| policy.playbooks[*i].name.as_str();
    let mut lines = Vec::new();
    while let Some(one) = findings.next(&envelope) {
        lines.push(match &one.verdict {
            Verdict::Claimed(c) => {
                let also: Vec<_> = c.also.iter().flat_map(|i| [" +", name(i)]).collect();
                format!("{} {}{}", name(&c.playbook), c.severity, also.concat())
            }
            Verdict::Suppressed(why) => format!("suppressed: {why}"),
            Verdict::Ignored(why) => format!("ignored: {why}"),
        });
    }
    lines.join(", ")
}

#[test]
fn the_most_severe_claims_then_the_more_specific_then_the_name() {
    let loose = "when.detail.type = ['T']";
    let strict = "when = { source = ['aws.guardduty'], detail.type = ['T'] }";
    let severe = |word: &str| format!("[judge]\nseverity = '{word}'\n");
    let rows = [
        ("One.", vec![playbook_file("a", loose, "")], "a medium"),
        (
            "The more severe, though it is less specific and its name comes last.",
            vec![playbook_file("a", strict, ""), playbook_file("z", loose, &severe("high"))],
            "z high +a",
        ),
        (
            "One that lowers comes after one that keeps the producer's own.",
            vec![playbook_file("a", strict, &severe("low")), playbook_file("z", loose, "")],
            "z medium +a",
        ),
        (
            "The more specific, though its name comes last.",
            vec![playbook_file("a", loose, ""), playbook_file("z", strict, "")],
            "z medium +a",
        ),
        (
            "The name, in whatever order the files come.",
            vec![playbook_file("c", loose, ""), playbook_file("a", loose, ""), playbook_file("b", loose, "")],
            "a medium +b +c",
        ),
        (
            "Nobody: the catch-all of its reporter.",
            vec![playbook_file("a", "when.detail.type = ['U']", "")],
            "guardduty/unknown-type medium",
        ),
    ];
    for (sentence, files, expected) in rows {
        assert_eq!(judge(&load("", files), &guardduty("T")), expected, "{sentence}");
    }
}

#[test]
fn what_no_playbook_claims() {
    let policy = load("", Vec::new());
    let trail = r#"{"source":"aws.ec2","detail-type":"AWS API Call via CloudTrail","detail":{"eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances"}}"#;
    assert_eq!(judge(&policy, trail), "nothing: no playbook claims this record");
    let unknown = r#"{"source":"my.app","detail-type":"Hello","detail":{}}"#;
    assert_eq!(judge(&policy, unknown), "nothing: no source reads events of my.app with detail-type \"Hello\"");
    let empty =
        r#"{"source":"aws.securityhub","detail-type":"Security Hub Findings - Imported","detail":{"findings":[]}}"#;
    assert_eq!(
        judge(&policy, empty),
        "nothing: /detail/findings is empty or not a list: there is no finding in this event"
    );
}

#[test]
fn adjustments_change_what_they_match_in_their_order() {
    let adjust = |what: &str| format!("[[adjust]]\nreason = 'because'\nwhen.detail.type = ['T']\n{what}\n");
    let rows = [
        ("Raised.", adjust("raise = 1"), "a high"),
        ("Raised no further than critical.", adjust("raise = 4"), "a critical"),
        ("Lowered.", adjust("lower = 1"), "a low"),
        ("Lowered no further than informational.", adjust("lower = 4"), "a informational"),
        ("Set.", adjust("severity = 'critical'"), "a critical"),
        ("One after the other.", adjust("severity = 'low'") + &adjust("raise = 1"), "a medium"),
        ("In the order of the file.", adjust("raise = 1") + &adjust("severity = 'low'"), "a low"),
        ("Another event.", adjust("raise = 1").replace("['T']", "['U']"), "a medium"),
        ("Suppressed.", adjust("suppress-until = '2026-01-02'"), "suppressed: because (until 2026-01-03T00:00:00Z)"),
        (
            "A day ends when it ends.",
            adjust("suppress-until = '2026-01-01'"),
            "suppressed: because (until 2026-01-02T00:00:00Z)",
        ),
        ("It was suppressed until yesterday.", adjust("suppress-until = '2025-12-31'"), "a medium"),
        ("Until this very instant.", adjust("suppress-until = '2026-01-01T00:00:00Z'"), "a medium"),
        (
            "Until the next one.",
            adjust("suppress-until = '2026-01-01T00:00:01Z'"),
            "suppressed: because (until 2026-01-01T00:00:01Z)",
        ),
    ];
    for (sentence, text, expected) in rows {
        let policy = load(&text, vec![playbook_file("a", "when.detail.type = ['T']", "")]);
        assert_eq!(judge(&policy, &guardduty("T")), expected, "{sentence}");
    }
}

#[test]
fn who_does_it_and_how_makes_it_worse_or_better() {
    let call = |identity: &str, agent: &str, more: &str| {
        format!(
            r#"{{"id":"e","source":"aws.iam","detail-type":"AWS API Call via CloudTrail","account":"{ACCOUNT}","region":"us-east-1",
            "time":"2026-01-01T00:00:00Z","detail":{{"eventID":"i","eventSource":"iam.amazonaws.com","eventName":"TagUser",
            "userAgent":"{agent}","userIdentity":{{{identity}}}{more}}}}}"#
        )
    };
    let session = |kind: &str, more: &str| format!(r#""type":"{kind}","sessionContext":{{{more}}}"#);
    let mfa = |kind: &str, word: &str| session(kind, &format!(r#""attributes":{{"mfaAuthenticated":"{word}"}}"#));
    let deploy = session("AssumedRole", r#""sessionIssuer":{"userName":"cdk-deploy"}"#);
    let (cli, kali) = ("aws-cli/2.15", "Boto3/1.34 os/linux#6.6.0-kali1-amd64");
    let (change, look) = (r#","readOnly":false"#, r#","readOnly":true"#);
    let pipeline = "[[adjust]]\nwhen.detail.userIdentity.sessionContext.sessionIssuer.userName = ['deploy', { prefix = 'cdk-' }]\n\
                    reason = 'done by the pipeline'\nlower = 1\n";
    let last_word = "[[adjust]]\nwhen.source = ['aws.iam']\nreason = 'because'\nseverity = 'low'\n";
    let rows = [
        ("As the playbook says.", "", call(&mfa("IAMUser", "true"), cli, change), "a medium"),
        ("A change without a second factor.", "", call(&mfa("IAMUser", "false"), cli, change), "a high"),
        ("Only looked at.", "", call(&mfa("IAMUser", "false"), cli, look), "a medium"),
        (
            "Where the second factor is asked elsewhere.",
            "",
            call(&mfa("AssumedRole", "false"), cli, change),
            "a medium",
        ),
        ("A long-lived key: nothing is known.", "", call(r#""type":"IAMUser""#, cli, change), "a medium"),
        (
            "An attack tool: its own card, which is worse.",
            "",
            call(&deploy, kali, change),
            "cloudtrail/attack-tool-used critical +a",
        ),
        ("It only looks.", "", call(&deploy, kali, look), "cloudtrail/attack-tool-used high +a"),
        ("The pipeline.", pipeline, call(&deploy, cli, change), "a low"),
        ("Not the pipeline.", pipeline, call(&mfa("IAMUser", "false"), cli, change), "a high"),
        ("The user has the last word.", last_word, call(&mfa("IAMUser", "false"), cli, change), "a low"),
    ];
    for (sentence, config, event, expected) in rows {
        let policy = load(config, vec![playbook_file("a", "when.detail.eventName = ['TagUser']", "")]);
        assert_eq!(judge(&policy, &event), expected, "{sentence}");
    }
}

#[test]
fn each_finding_of_an_event_is_judged_by_itself() {
    let hub = |findings: &str| {
        format!(
            r#"{{"id":"e","source":"aws.securityhub","detail-type":"Security Hub Findings - Imported","account":"{ACCOUNT}",
            "region":"eu-west-1","time":"2026-01-01T00:00:00Z","detail":{{"findings":{findings}}}}}"#
        )
    };
    let both = "when.detail.findings = { Title = ['X'], ProductName = ['P'] }";
    let policy = load(
        "[[adjust]]\nreason = 'because'\nwhen.detail.findings.ProductName = ['Q']\nseverity = 'low'\n",
        vec![playbook_file("both", both, "")],
    );
    let one = |title: &str, product: &str| {
        format!(
            r#"{{"Id":"{title}{product}","Title":"{title}","ProductName":"{product}","Severity":{{"Label":"HIGH"}}}}"#
        )
    };
    let rows = [
        ("One element, not a list.", one("X", "P"), "both high"),
        (
            "A pattern must hold within one element; an adjustment too.",
            format!("[{},{},{}]", one("X", "Q"), one("Y", "P"), one("X", "P")),
            "catch-all low, catch-all high, both high",
        ),
    ];
    for (sentence, findings, expected) in rows {
        assert_eq!(judge(&policy, &hub(&findings)), expected, "{sentence}");
    }
}

#[test]
fn the_same_problem_has_the_same_fingerprint() {
    let hash = |finding: &Finding, region, about: &Resource, weakness, by: &[&'static str]| {
        fingerprint(finding, region, about, weakness, by.iter().copied())
    };
    let (here, ours, a) = (Some("eu-west-1"), finding(), instance());
    let base = hash(&ours, here, &a, "w", &[]);
    assert_eq!(base.len(), 32);
    let told = Resource { arn: None, name: None, tags: vec![("k".to_owned(), "v".to_owned())], ..instance() };
    assert_eq!(hash(&ours, here, &told, "w", &[]), base, "names, ARNs and tags do not matter");
    let again = Finding { reporter: "config".to_owned(), id: "other".to_owned(), severity: Severity::Low, ..finding() };
    assert_eq!(hash(&again, here, &a, "w", &[]), base, "nor who reports it, or how bad");
    let bucket = Resource { kind: "AwsS3Bucket".into(), id: "b".to_owned(), ..instance() };
    let of_another = Resource { account: Some("444455556666".to_owned()), ..instance() };
    let elsewhere = Finding { account: "444455556666".to_owned(), ..finding() };
    let exercise = |e, series: &str| Finding { exercise: Some(e), problem: series.to_owned(), ..finding() };
    let others = [
        hash(&elsewhere, here, &a, "w", &[]),
        // What one account says of another's resource cannot close what that account says itself.
        hash(&ours, here, &of_another, "w", &[]),
        hash(&ours, Some("us-east-1"), &a, "w", &[]),
        hash(&ours, None, &a, "w", &[]),
        hash(&ours, here, &bucket, "w", &[]),
        hash(&ours, here, &Resource { kind: "AwsS3Bucket".into(), ..instance() }, "w", &[]),
        hash(&ours, here, &a, "v", &[]),
        hash(&ours, here, &a, "w", &["bob"]),
        hash(&ours, here, &a, "w", &["bob", ""]),
        hash(&ours, here, &a, "w", &["bo", "b"]),
        // An exercise cannot quieten the real one; every series of drills is one of its own.
        hash(&exercise(Exercise::Sample, "f"), here, &a, "w", &[]),
        hash(&exercise(Exercise::Drill, "hourly"), here, &a, "w", &[]),
        hash(&exercise(Exercise::Drill, "drill-2"), here, &a, "w", &[]),
    ];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != base && !others[..i].contains(other), "row {i}");
    }
}

/// The fingerprint and the Region of the problem that an event tells.
fn claimed(policy: &Policy, text: &str) -> (String, Option<String>) {
    let Opened::Event(mut envelope) = open(text, policy.fields()) else { panic!("{text}") };
    let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, at(0)) else { panic!("{text}") };
    let one = findings.next(&envelope).unwrap();
    let Verdict::Claimed(claim) = one.verdict else { panic!("{text}") };
    (claim.fingerprint, claim.region)
}

#[test]
fn what_each_region_has_of_its_own_is_a_problem_of_each() {
    for (about, apart) in [("region", true), ("account", false)] {
        let judged = format!("[judge]\nabout = '{about}'");
        let policy = load("", vec![playbook_file("mine", "when.detail.type = ['T']", &judged)]);
        let here = guardduty("T");
        let (there, again) = (here.replace("eu-west-1", "us-east-1"), here.replace("bob", "eve"));
        assert_eq!(claimed(&policy, &here) != claimed(&policy, &there), apart, "{about}");
        assert_eq!(claimed(&policy, &here), claimed(&policy, &again), "{about}");
    }
}

#[test]
fn reporters_of_one_problem_agree_and_global_resources_have_no_region() {
    let policy = load("", Vec::new());
    let fingerprint = |text: &str| claimed(&policy, text);
    let first = fingerprint(include_str!("../../../../fixtures/public-bucket/03-config-says-non-compliant.json"));
    for other in [
        include_str!("../../../../fixtures/public-bucket/01-block-public-access-removed.json"),
        include_str!("../../../../fixtures/public-bucket/02-policy-for-everyone.json"),
        include_str!("../../../../fixtures/public-bucket/04-security-hub-standard-control-fails.json"),
        include_str!("../../../../fixtures/public-bucket/05-security-hub-consolidated-control-fails.json"),
        include_str!("../../../../fixtures/public-bucket/06-guardduty-finds-it.json"),
    ] {
        assert_eq!(fingerprint(other), first);
    }
    assert_eq!(first.1, None, "a bucket has no Region");
    let here = fingerprint(include_str!("../../../../fixtures/guardduty-iam-exfiltration/02-user-from-tor.json"));
    let there = fingerprint(include_str!(
        "../../../../fixtures/guardduty-iam-exfiltration/03-user-from-tor-in-another-region.json"
    ));
    assert_eq!(here, there, "neither has a user");
    let miner = fingerprint(include_str!("../../../../fixtures/guardduty-crypto-mining/01-first-seen.json"));
    assert!(miner.1.is_some(), "an instance has");
}

#[test]
fn a_threshold_is_counted_apart_by_what_it_names() {
    let by = "[judge]\nthreshold = { count = 2, within = '1m', by = ['/detail/user'] }\n";
    let policy = load("", vec![playbook_file("a", "when.detail.type = ['T']", by)]);
    let fingerprint = |text: &str| {
        let Opened::Event(mut envelope) = open(text, policy.fields()) else { panic!() };
        let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, at(0)) else { panic!() };
        let Verdict::Claimed(claim) = findings.next(&envelope).unwrap().verdict else { panic!() };
        claim.fingerprint
    };
    let (bob, eve) = (guardduty("T"), guardduty("T").replace("bob", "eve"));
    assert_eq!(fingerprint(&bob), fingerprint(&bob));
    assert_ne!(fingerprint(&bob), fingerprint(&eve));
}

#[test]
fn a_problem_is_about_the_resource_the_actor_or_the_account() {
    let actor = |kind| Actor {
        kind,
        id: "arn:aws:iam::111122223333:role/deploy".to_owned(),
        name: "role/deploy".to_owned(),
        account: Some("444455556666".to_owned()),
        session: None,
        access_key: None,
        source_ip: None,
    };
    let role = "arn:aws:iam::111122223333:role/deploy";
    let name = "deploy";
    let rows = [
        ("The first resource.", About::Resource, None, ("AwsEc2Instance", instance().id, None)),
        ("The account.", About::Account, Some(ActorKind::IamUser), ("AwsAccount", ACCOUNT.to_owned(), None)),
        ("The account in a Region.", About::Region, None, ("AwsAccount", ACCOUNT.to_owned(), None)),
        ("Nobody is named: the resource.", About::Actor, None, ("AwsEc2Instance", instance().id, None)),
        ("A user.", About::Actor, Some(ActorKind::IamUser), ("AwsIamUser", name.to_owned(), Some("444455556666"))),
        ("A role.", About::Actor, Some(ActorKind::RoleSession), ("AwsIamRole", name.to_owned(), Some("444455556666"))),
        ("Root is the account.", About::Actor, Some(ActorKind::Root), ("AwsAccount", ACCOUNT.to_owned(), None)),
        (
            "Somebody else.",
            About::Actor,
            Some(ActorKind::AwsService),
            ("Principal", role.to_owned(), Some("444455556666")),
        ),
    ];
    for (sentence, what, kind, (expected, id, account)) in rows {
        let finding = Finding { actor: kind.map(actor), ..finding() };
        let got = about(what, &finding);
        assert_eq!((got.kind.as_ref(), got.id, got.account.as_deref()), (expected, id, account), "{sentence}");
    }
    let nothing = Finding { resources: Vec::new(), ..finding() };
    assert_eq!(about(About::Resource, &nothing).kind, "AwsAccount");
}

#[test]
fn a_users_file_replaces_the_shipped_one_of_its_name() {
    let shipped = load("", Vec::new());
    let name = "guardduty/ec2-crypto-mining";
    let mine = load("", vec![playbook_file(name, "when.detail.type = ['T']", "")]);
    assert_eq!(mine.playbooks.len(), shipped.playbooks.len());
    assert_eq!(judge(&mine, &guardduty("T")), format!("{name} medium"));
    assert_eq!(judge(&mine, &guardduty("CryptoCurrency:EC2/BitcoinTool.B!DNS")), "guardduty/unknown-type medium");

    let source = "reporter = 'mine'\n[when]\nsource = ['aws.guardduty']\n[finding]\nid = '/id'\nrevision = '/time'\n\
                  type = 'x'\ntitle = 'x'\nseverity = 'low'\naccount = '/account'\nregion = '/region'\n";
    let sources = vec![PolicyFile {
        name: "guardduty".to_owned(),
        path: "mine/guardduty.toml".to_owned(),
        text: source.to_owned(),
    }];
    let policy = Policy::load(Config::default(), &UserFiles { sources, ..UserFiles::default() }).unwrap();
    assert_eq!(judge(&policy, &guardduty("T")), "catch-all low");
}

#[test]
fn every_problem_of_every_file_is_reported_and_two_catch_alls_are_refused() {
    let file = |name: &str, text: &str| PolicyFile {
        name: name.to_owned(),
        path: format!("mine/{name}.toml"),
        text: text.to_owned(),
    };
    let shown = |user: &UserFiles| {
        let Err(problems) = Policy::load(Config::default(), user) else { panic!("accepted") };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let catch_all = format!("summary = 'S'\ncatch-all = true\n{TELL}");
    let two = UserFiles { playbooks: vec![file("mine", &catch_all)], ..UserFiles::default() };
    insta::assert_snapshot!(shown(&two), @r"
    router/playbooks/catch-all.toml, mine/mine.toml: 2 playbooks have `catch-all = true`; there must be exactly one
      help: to replace the shipped one, name yours `catch-all.toml`
    ");
    let one = UserFiles { playbooks: vec![file("catch-all", &catch_all)], ..UserFiles::default() };
    assert!(Policy::load(Config::default(), &one).is_ok(), "one of its name replaces it");
    let none = UserFiles {
        playbooks: vec![playbook_file("catch-all", "when.detail.type = ['T']", "")],
        ..UserFiles::default()
    };
    assert!(shown(&none).contains("0 playbooks have `catch-all = true`"));

    let broken = UserFiles {
        sources: vec![file("s", "reporter = 'x'\n[when]\nsource = ['a']\n")],
        playbooks: vec![file("a", "summry = 1\n"), file("b", &catch_all.replace("title", "titel"))],
        runbooks: vec![file("r", "mainSteps: no\n")],
    };
    insta::assert_snapshot!(shown(&broken));
}
