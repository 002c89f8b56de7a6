//! What a document takes, and what it refuses before anything starts.
use super::*;
use crate::testing::playbook;

const DOCUMENT: &str = "
description: |
  Closes it.
  Blast radius: whoever came in that way.
assumeRole: '{{ AutomationAssumeRole }}'
parameters:
  AutomationAssumeRole: { type: String }
  Id: { type: String, allowedPattern: '^sg-[0-9a-f]{8}$' }
  Action: { type: String, allowedValues: [Apply, Undo] }
  Force: { type: Boolean, default: false }
  Count: { type: Integer, default: 1 }
  State: { type: StringList, default: [], allowedPattern: '^[a-z]{1,9}$' }
mainSteps:
  - name: Change
  - name: Verify
";

fn catalogue() -> Catalogue {
    let (mut problems, file) = (Vec::new(), |name: &str, text: &str| PolicyFile {
        name: name.to_owned(),
        path: format!("{name}.yaml"),
        text: text.to_owned(),
    });
    let catalogue = Catalogue::load("{}", &[file("Close", DOCUMENT)], &mut problems);
    assert!(problems.is_empty(), "{problems:#?}");
    for (name, text, what) in [
        ("Command", "schemaVersion: '2.2'\nruntimeConfig: {}\n", "no `mainSteps`"),
        ("Broken", "parameters: [\n", "is not an SSM Automation document"),
        ("Typeless", "parameters: { A: {} }\nmainSteps: []\n", "the parameter A has no `type`"),
    ] {
        Catalogue::load("{}", &[file(name, text)], &mut problems);
        assert!(problems.pop().is_some_and(|p| p.what.contains(what)), "{name}");
    }
    catalogue
}

#[test]
fn a_document_says_what_a_start_must_know() {
    let catalogue = catalogue();
    let document = catalogue.get("Close").unwrap();
    assert_eq!(
        (document.does.as_str(), document.caution.as_deref()),
        ("Closes it.", Some("whoever came in that way."))
    );
    assert!(document.verifies && document.needs_role() && document.takes_role());
    assert!(!document.parameters.contains_key(ASSUME_ROLE), "the role is the router's business");
    assert!(catalogue.get("Open").is_none());
}

#[test]
fn values_are_checked_as_ssm_would() {
    let catalogue = catalogue();
    let document = catalogue.get("Close").unwrap();
    let many = vec!["a"; 51];
    let rows: [(&str, &str, Vec<&str>, Option<&str>); 13] = [
        ("As it must be.", "Id", vec!["sg-01234567"], None),
        ("It looks wrong.", "Id", vec!["sg-*"], Some("Id does not look right")),
        ("Something behind it.", "Id", vec!["sg-01234567\n"], Some("does not look right")),
        ("Two where one is taken.", "Id", vec!["sg-01234567", "sg-76543210"], Some("has 2 values; it takes 1")),
        ("One of the values.", "Action", vec!["Undo"], None),
        ("None of the values.", "Action", vec!["apply"], Some("can be Apply, Undo")),
        ("A truth.", "Force", vec!["true"], None),
        ("No truth.", "Force", vec!["yes"], Some("is of type Boolean")),
        ("A number.", "Count", vec!["-3"], None),
        ("No number.", "Count", vec!["three"], Some("is of type Integer")),
        ("A list.", "State", vec!["a", "b"], None),
        ("A list that is too long.", "State", many, Some("has 51 values; it takes 50")),
        ("Nothing that it takes.", "Colour", vec!["red"], Some("it takes no parameter Colour")),
    ];
    for (sentence, name, values, expected) in rows {
        let values = values.into_iter().map(str::to_owned).collect();
        let got = document.check(&BTreeMap::from([(name.to_owned(), values)])).err();
        assert_eq!(got.is_some(), expected.is_some(), "{sentence} {got:?}");
        assert!(got.is_none_or(|g| expected.is_some_and(|e| g.contains(e))), "{sentence}");
    }
}

#[test]
fn a_playbook_that_misuses_a_document_is_refused_when_it_is_loaded() {
    let good = "with.Id = { from = 'resource.id', pattern = '^.*$' }\nwith.Action = 'Apply'\n";
    let rows = [
        ("As it must be.", good.to_owned(), vec![]),
        ("A parameter is missing.", good.replace("with.Action = 'Apply'\n", ""), vec!["it needs the parameter Action"]),
        (
            "A parameter is misspelt.",
            good.replace("with.Id", "with.ID"),
            vec!["it takes no parameter ID", "needs the parameter Id"],
        ),
        ("A constant that it refuses.", good.replace("'Apply'", "'Now'"), vec!["Action cannot be \"Now\""]),
    ];
    for (sentence, with, expected) in rows {
        let text = format!("[[remediate]]\nrunbook = 'Close'\neffect = 'harmless'\n{with}");
        let (wrong, unknown) = catalogue().check(&[playbook(&text)]);
        assert_eq!((wrong.len(), unknown.len()), (expected.len(), 0), "{sentence} {wrong:?}");
        for (problem, part) in wrong.iter().zip(expected) {
            assert!(problem.what.contains(part), "{sentence} {problem}");
        }
    }
    let (wrong, unknown) = catalogue().check(&[playbook("[[remediate]]\nrunbook = 'Open'\neffect = 'harmless'\n")]);
    assert!(wrong.is_empty() && unknown[0].what.contains("it is proposed, and never started"), "{unknown:?}");
}

/// A dialog in Japanese says what will run in Japanese.
#[test]
fn every_runbook_of_a_playbook_is_described_in_japanese() {
    let policy = crate::decide::corpus::policy();
    let remediate = policy.playbooks.iter().flat_map(|p| &p.remediate);
    for name in remediate.flat_map(|r| [Some(&r.runbook), r.undo.as_ref().map(|u| &u.runbook)]).flatten() {
        let document = policy.catalogue.get(name).unwrap();
        let words = document.ja.as_ref().unwrap_or_else(|| panic!("{name} is not in runbooks/ja/runbooks.toml"));
        assert!(!words.does.is_ascii() && words.does.ends_with('。'), "{name}: {}", words.does);
        assert_eq!(words.caution.is_some(), document.caution.is_some(), "{name}");
    }
}
