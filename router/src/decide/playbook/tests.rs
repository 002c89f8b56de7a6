//! Playbook files: the words of every mistake.
use super::*;
use crate::testing::{playbook, playbook_text, refusals};

#[test]
fn what_is_left_out_has_a_default() {
    let p = playbook("");
    let day = SignedDuration::from_hours(24);
    assert_eq!((p.severity, p.quiet, p.memory, p.about), (None, day, day, About::Resource));
    assert!(p.threshold.is_none() && p.tell_ja.is_none() && p.remediate.is_empty());
    assert_eq!(p.texts(Locale::Ja).title, "It mines", "English where there is no translation");
    let p = playbook("[[remediate]]\nrunbook = 'Run'\neffect = 'harmless'\n");
    assert_eq!((p.remediate[0].deadline, p.remediate[0].undo.is_some()), (day, false));
}

#[test]
fn every_mistake_has_its_message() {
    let with = |value: &str| {
        playbook_text(&format!("[[remediate]]\nrunbook = 'Run'\neffect = 'harmless'\nwith.P = {value}\n"))
    };
    let rows = [
        ("An empty file.", String::new()),
        ("Not TOML.", "summary = \nweakness = 'a'".to_owned()),
        ("An unknown key, nearly right.", playbook_text("").replace("summary", "sumary")),
        ("An unknown key, far off.", playbook_text("[banana]\nx = 1\n")),
        ("A wrong type.", playbook_text("").replace("'A test'", "5")),
        ("A weakness that is not kebab-case.", playbook_text("").replace("'ec2-crypto-mining'", "'EC2_Mining'")),
        (
            "A pattern's mistake, on its own line.",
            playbook_text("").replace("['aws.guardduty']", "[\n  'a',\n  { prefx = 'x' },\n]"),
        ),
        ("A pattern that is no list.", playbook_text("").replace("['aws.guardduty']", "'aws.guardduty'")),
        ("A catch-all that claims.", playbook_text("").replace("weakness = 'ec2-crypto-mining'", "catch-all = true")),
        ("Claims of nothing.", playbook_text("[claims]\n")),
        ("Claims that are no names.", playbook_text("[claims]\nguardduty = ['Trojan:EC2/**']\n")),
        ("A resource of nothing.", playbook_text("[claims]\ncontrol = ['EC2.13']\non = 'instance'\n")),
        ("A resource that is none.", playbook_text("[claims]\nguardduty = ['*']\non = 'bucket'\nrules = []\n")),
        ("Five steps.", playbook_text("").replace("['Stop it']", "['1', '2', '3', '4', '5']")),
        ("No title, in the other language.", playbook_text("[tell.ja]\nwhy = 'W'\nnext = []\n")),
        ("A severity that is none.", playbook_text("[judge]\nseverity = 'urgent'\n")),
        ("Times without units.", playbook_text("[judge]\nquiet = '24'\nmemory = 24\n")),
        ("About somebody else.", playbook_text("[judge]\nabout = 'user'\n")),
        ("A threshold of one, without a time.", playbook_text("[judge]\nthreshold = { count = 1, by = ['user'] }\n")),
        ("A runbook without effect or a proper name.", playbook_text("[[remediate]]\nrunbook = 'rm -rf'\n")),
        ("An effect that is none.", playbook_text("[[remediate]]\nrunbook = 'Run'\neffect = 'safe'\n")),
        ("A parameter without a pattern.", with("{ at = '/detail/x' }")),
        ("A parameter whose pattern has no anchors.", with("{ at = '/detail/x', pattern = 'i-[0-9]+' }")),
        ("Anchored at one end only.", with("{ at = '/detail/x', pattern = '^i-[0-9]+' }")),
        ("A pattern that is none.", with("{ at = '/detail/x', pattern = '^($' }")),
        ("A parameter from nowhere.", with("{ pattern = '^x$' }")),
        ("A parameter from two places.", with("{ at = '/detail/x', from = 'region', pattern = '^x$' }")),
        ("A pointer that is none.", with("{ at = 'detail.x', pattern = '^x$' }")),
        ("A canonical value that is none.", with("{ from = 'resource.tag', pattern = '^x$' }")),
        ("A constant that SSM refuses.", with(&format!("'{}'", "x".repeat(513)))),
        ("Many at once.", "sumary = 1\nweakness = 'A'\n[tell]\ntitle = 1\n[judge]\nquiet = 1\n".to_owned()),
    ];
    insta::assert_snapshot!(refusals(&rows, |text| Playbook::parse("p", "p.toml", text)));
}

/// One name, in every form in which it is told; and what is nearly of that name.
#[test]
fn a_claim_is_known_in_every_form() {
    let of = |claims: &str| {
        let text =
            format!("summary = 's'\nweakness = 'w'\n[claims]\n{claims}\n[tell]\ntitle = 't'\nwhy = 'w'\nnext = []\n");
        Playbook::parse("p", "p.toml", &text).unwrap_or_else(|p| panic!("{p:#?}")).when.unwrap()
    };
    let hub = |kind: &str, finding: &str| {
        format!(r#"{{"source":"aws.securityhub","detail-type":"{kind}","detail":{{"findings":[{finding}]}}}}"#)
    };
    let (asff, ocsf) = ("Security Hub Findings - Imported", "Findings Imported V2");
    let duty = |kind: &str, on: &str| {
        format!(
            r#"{{"source":"aws.guardduty","detail-type":"GuardDuty Finding","detail":{{"type":"{kind}","resource":{{"resourceType":"{on}"}}}}}}"#
        )
    };
    let rule = |name: &str| {
        format!(
            r#"{{"source":"aws.config","detail-type":"Config Rules Compliance Change","detail":{{"configRuleName":"{name}"}}}}"#
        )
    };
    let miner = "guardduty = ['CryptoCurrency:Runtime/*']";
    let on_instance = format!("{miner}\non = 'instance'");
    let in_container = format!("{miner}\non = 'container'");
    let miner_type = "CryptoCurrency:Runtime/BitcoinTool.B";
    let passed_on = |resource: &str| {
        hub(
            asff,
            &format!(
                r#"{{"ProductName":"GuardDuty","Types":["TTPs/CryptoCurrency:Runtime-BitcoinTool.B"],"Resources":[{{"Type":"{resource}"}}]}}"#
            ),
        )
    };
    let anew = r#"{"metadata":{"product":{"name":"Amazon GuardDuty"}},"finding_info":{"types":["CryptoCurrency:Runtime/BitcoinTool.B"]}}"#;
    let (ssh, control) = ("config = ['restricted-ssh']", "control = ['EC2.13']");
    let rows = [
        (miner, duty(miner_type, "Container"), true),
        (miner, duty("CryptoCurrency:EC2/BitcoinTool.B", "Instance"), false),
        (miner, passed_on("Container"), true),
        (miner, passed_on("Container").replace("GuardDuty", "Other"), false),
        (miner, hub(ocsf, anew), true),
        (&on_instance, duty(miner_type, "Instance"), true),
        (&on_instance, duty(miner_type, "Container"), false),
        (&on_instance, passed_on("AwsEc2Instance"), true),
        (&in_container, duty(miner_type, "Instance"), false),
        (&in_container, duty(miner_type, "ECSCluster"), true),
        (&in_container, passed_on("AwsEc2Instance"), false),
        (ssh, rule("restricted-ssh"), true),
        (ssh, rule("restricted-ssh-conformance-pack-x9k2f0qab"), true),
        (ssh, rule("securityhub-restricted-ssh-1f0a9c3e"), true),
        (ssh, rule("OrgConfigRule-restricted-ssh-7tzq1hn3"), true),
        (ssh, rule("un-restricted-ssh"), false),
        (ssh, rule("restricted-ssh-v2"), false),
        (
            ssh,
            hub(asff, r#"{"ProductName":"Config","ProductFields":{"aws/config/ConfigRuleName":"restricted-ssh"}}"#),
            true,
        ),
        (control, hub(asff, r#"{"Compliance":{"SecurityControlId":"EC2.13"}}"#), true),
        (control, hub(asff, r#"{"Compliance":{"SecurityControlId":"EC2.1"}}"#), false),
        (control, hub(asff, r#"{"GeneratorId":"aws-foundational-security-best-practices/v/1.0.0/EC2.13"}"#), true),
        (control, hub(asff, r#"{"GeneratorId":"x/XEC2.13"}"#), false),
        (control, hub(ocsf, r#"{"compliance":{"control":"EC2.13"}}"#), true),
    ];
    for (claims, event, expected) in rows {
        let node = crate::values::tree::Node::parse(&event).unwrap();
        assert_eq!(of(claims).matches(&node), expected, "{claims} {event}");
    }
    let both = of("control = ['EC2.13']\n[when]\nsource = ['mine']");
    let mine = crate::values::tree::Node::parse(r#"{"source":"mine"}"#).unwrap();
    assert!(both.matches(&mine), "`when` beside `claims`: either suffices");
}
