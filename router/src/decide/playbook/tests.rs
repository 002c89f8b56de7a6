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
