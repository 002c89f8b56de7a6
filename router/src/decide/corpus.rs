//! The shipped policy as a whole, against every fixture: knowledge is data, and this is its test.
#![expect(clippy::disallowed_methods, reason = "the corpus is read from the repository")]
use super::{
    carrier::{Opened, open},
    config::Config,
    playbook::Texts as Told,
    policy::{Examined, Judged, Policy, UserFiles},
    rails, show,
};
use crate::{
    testing::at,
    values::{entry::Tally, tree::Node, verdict::Verdict},
};
use findings_formatters::{Texts, view::Locale};
use flate2::read::GzDecoder;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

fn policy() -> Policy {
    Policy::load(Config::default(), &UserFiles::default()).unwrap_or_else(|p| panic!("{p:#?}"))
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// Every event of every fixture that can be read, out of its carrier, with its path.
pub(crate) fn events(policy: &Policy) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut events = Vec::new();
    for path in paths {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let ends = |ending: &str| path.extension().is_some_and(|e| e == ending);
        if ends("md") || name.starts_with("zz-broken-input") {
            continue;
        }
        let mut text = String::new();
        let bytes = fs::read(&path).unwrap();
        if ends("gz") {
            GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        if ends("jsonl") {
            events.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
            continue;
        }
        match open(&text, policy.fields()) {
            Opened::Event(_) => events.push((name, text)),
            Opened::Many(texts) => events.extend(texts.into_iter().flatten().map(|t| (name.clone(), t))),
            Opened::Refused(why) => panic!("{name}: {why:?}"),
        }
    }
    assert!(events.len() > 150, "{} events", events.len());
    events
}

/// Hands out every finding of every fixture.
fn each_judged(policy: &Policy, events: &[(String, String)], mut each: impl FnMut(&str, &str, &Judged<'_>)) {
    for (path, text) in events {
        let Opened::Event(mut envelope) = open(text, policy.fields()) else { panic!("{path}") };
        let now = envelope.time.unwrap_or(at(0));
        if let (Examined::Findings(mut findings), _) = policy.examine(&mut envelope, now) {
            while let Some(one) = findings.next(&envelope) {
                each(path, text, &one);
            }
        }
    }
}

#[test]
fn every_source_has_a_fixture_and_every_pointer_of_it_resolves_in_some() {
    /// Pointers that no fixture has, each with its reason.
    const ABSENT: [(&str, &str, &str); 2] = [
        (
            "security-hub-action",
            "/detail/findings/0/ProductFields/aws~1config~1ConfigRuleName",
            "the fixture of a Config rule as a product is of the imported findings",
        ),
        (
            "security-hub-action",
            "/detail/findings/0/ProductFields/ControlId",
            "only where consolidated controls are off; the fixture of it is of the imported findings",
        ),
    ];
    let policy = policy();
    let events = events(&policy);
    let mut seen: BTreeMap<&str, Vec<Node<'_>>> = BTreeMap::new();
    for (_, text) in &events {
        let Opened::Event(mut envelope) = open(text, policy.fields()) else { panic!("{text}") };
        if let (_, Some(source)) = policy.examine(&mut envelope, at(0)) {
            seen.entry(source).or_default().push(Node::parse(text).unwrap());
        }
    }
    let mut missing = Vec::new();
    for source in &policy.sources {
        let Some(trees) = seen.get(source.name.as_str()) else { panic!("no fixture is read by {}", source.name) };
        for pointer in source.pointers() {
            let resolves = (0..10).any(|i| {
                let pointer = pointer.replace("/findings/0/", &format!("/findings/{i}/"));
                trees.iter().any(|t| t.pointer(&pointer).is_some())
            });
            let excused = ABSENT.iter().any(|(s, p, _)| (*s, *p) == (source.name.as_str(), pointer));
            if resolves == excused {
                missing.push(format!(
                    "{} {pointer}{}",
                    source.name,
                    if excused { " (resolves after all)" } else { "" }
                ));
            }
        }
    }
    missing.dedup();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_text_renders_in_both_languages_for_every_event_that_its_playbook_claims() {
    let policy = policy();
    let texts = Texts::new(
        policy.playbooks.iter().flat_map(super::playbook::Playbook::all_texts).map(|(n, t)| (n, t.to_owned())),
    )
    .unwrap();
    let mut wrong = BTreeSet::new();
    each_judged(&policy, &events(&policy), |path, text, judged| {
        let Verdict::Claimed(claim) = &judged.verdict else { return };
        let event = show::event_of(text, judged.element);
        let context = show::context(&policy.config, &judged.finding, claim, &event);
        for playbook in std::iter::once(&claim.playbook).chain(&claim.also).map(|i| &policy.playbooks[*i]) {
            for locale in [Locale::En, Locale::Ja] {
                let told: &Told = playbook.texts(locale);
                for (key, template) in told.named() {
                    let name = playbook.text_name(locale, &key);
                    match texts.render(&name, template, &context) {
                        Err(error) => _ = wrong.insert(format!("{path}: {name}: {error}")),
                        Ok(shown) if shown.trim().is_empty() => _ = wrong.insert(format!("{path}: {name} is empty")),
                        Ok(shown) if key == "title" && !path.starts_with("hostile") && shown.chars().count() > 150 => {
                            wrong.insert(format!("{path}: {name} has {} characters", shown.chars().count()));
                        }
                        Ok(_) => {}
                    }
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_remediation_binds_for_some_fixture_of_its_playbook() {
    let policy = policy();
    let mut bound: BTreeMap<String, Result<(), BTreeSet<String>>> = BTreeMap::new();
    each_judged(&policy, &events(&policy), |path, _, judged| {
        let Verdict::Claimed(claim) = &judged.verdict else { return };
        let playbook = &policy.playbooks[claim.playbook];
        let case = rails::Case {
            config: &policy.config,
            playbook,
            finding: &judged.finding,
            claim,
            tree: judged.tree,
            told: true,
            episode: 1,
            now: at(0),
        };
        for remediate in &playbook.remediate {
            let Some(planned) = rails::pass(&case, remediate, &mut Tally::new("")) else { continue };
            let entry = bound.entry(format!("{} {}", playbook.name, remediate.runbook)).or_insert(Err(BTreeSet::new()));
            match (planned.stopped, &mut *entry) {
                (None, _) => *entry = Ok(()),
                (Some(stop), Err(reasons)) => _ = reasons.insert(format!("{path}: {}", stop.reason)),
                (Some(_), Ok(())) => {}
            }
        }
    });
    let never: Vec<_> = bound.iter().filter(|(_, b)| b.is_err()).collect();
    assert!(never.is_empty(), "{never:#?}");
    assert!(bound.len() >= 10, "{} remediations are tried", bound.len());
}

#[test]
fn the_playbooks_are_whole_and_distinct() {
    let policy = policy();
    let mut patterns = BTreeMap::new();
    for playbook in &policy.playbooks {
        let name = &playbook.name;
        let ja = playbook.tell_ja.as_ref().unwrap_or_else(|| panic!("{name} has no Japanese"));
        assert_eq!(ja.next.len(), playbook.tell.next.len(), "{name}: as many steps in both languages");
        assert!(!playbook.tell.next.is_empty(), "{name}: says what to do");
        assert!(ja.title != playbook.tell.title && ja.why != playbook.tell.why || playbook.when.is_none(), "{name}");
        if let Some(weakness) = &playbook.weakness {
            let kebab = weakness
                .split('-')
                .all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
            assert!(kebab, "{name}: {weakness}");
        }
        if let Some(when) = &playbook.when {
            let known = patterns.insert(format!("{when:?}"), name);
            assert_eq!(known, None, "{name} claims the same");
        }
    }
}
