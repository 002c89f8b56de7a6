//! The shipped policy as a whole, against every fixture: knowledge is data, and this is its test.
#![expect(clippy::disallowed_methods, reason = "the corpus is read from the repository")]
use super::{
    carrier::{Opened, open},
    config::Config,
    playbook::{About, Texts as Told},
    policy::{Examined, Judged, Policy, UserFiles},
    rails, show,
};
use crate::{
    testing::{at, config},
    values::{action::Stop, entry::Tally, tree::Node, verdict::Verdict},
};
use findings_formatters::{Texts, view::Locale};
use flate2::read::GzDecoder;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

pub(crate) fn policy() -> Policy {
    Policy::load(Config::default(), &UserFiles::default()).unwrap_or_else(|p| panic!("{p:#?}"))
}

/// With what is not loaded by default.
fn policy_with_packs() -> Policy {
    let packs = config("packs = ['clickops', 'cis-changes']");
    Policy::load(packs, &UserFiles::default()).unwrap_or_else(|p| panic!("{p:#?}"))
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
    let policy = policy_with_packs();
    let texts = Texts::default();
    let mut wrong = BTreeSet::new();
    each_judged(&policy, &events(&policy), |path, text, judged| {
        let Verdict::Claimed(claim) = &judged.verdict else { return };
        let event = show::event_of(text, judged.element);
        for playbook in std::iter::once(&claim.playbook).chain(&claim.also).map(|i| &policy.playbooks[*i]) {
            for locale in Locale::ALL {
                let context = show::context(&policy.config, locale, &judged.finding, claim, &event);
                let told: &Told = playbook.texts(locale);
                for (key, template) in told.named() {
                    let name = playbook.text_name(locale, &key);
                    match show::render(&texts, locale, &name, template, &context) {
                        Err(error) => _ = wrong.insert(format!("{path}: {name}: {error}")),
                        Ok(shown) if shown.trim().is_empty() && !key.starts_with("next") => {
                            wrong.insert(format!("{path}: {name} is empty"));
                        }
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

/// Everything may be asked for, and accounts know what runbooks need.
fn in_earnest() -> String {
    let accounts = ["111122223333", "444455556666", "777788889999", "123456789012"];
    let known = accounts.map(|id| {
        format!(
            "[accounts.\"{id}\"]\nenvironment = 'production'\n[accounts.\"{id}\".values]\n\
             trail-bucket = 'example-trails'\ncontainment-bucket = 'example-containment'\n\
             containment-principal = 'arn:aws:iam::{id}:role/incident'\n"
        )
    });
    let rails = "[remediation]\nmode = 'approve'\nautomation-role = 'arn:{partition}:iam::{account}:role/{runbook}'\n";
    format!("{}{rails}accounts = {accounts:?}\n", known.concat())
}

#[test]
fn every_remediation_binds_for_some_fixture_of_its_playbook() {
    let policy = Policy::load(config(&in_earnest()), &UserFiles::default()).unwrap();
    let name = |playbook: &str, runbook: &str| format!("{playbook} {runbook}");
    let all = policy.playbooks.iter().flat_map(|p| p.remediate.iter().map(|r| name(&p.name, &r.runbook)));
    let mut bound: BTreeMap<String, Result<(), BTreeSet<String>>> = all.map(|n| (n, Err(BTreeSet::new()))).collect();
    assert!(bound.len() >= 50, "{} remediations", bound.len());
    each_judged(&policy, &events(&policy), |path, _, judged| {
        let Verdict::Claimed(claim) = &judged.verdict else { return };
        let playbook = &policy.playbooks[claim.playbook];
        let case = rails::Case {
            config: &policy.config,
            catalogue: &policy.catalogue,
            playbook,
            finding: &judged.finding,
            claim,
            tree: judged.tree,
            told: true,
            episode: 1,
            now: at(0),
        };
        for remediate in &playbook.remediate {
            let mut counts = rails::Counts::of([const { "" }; 5].map(Tally::new));
            let Some(planned) = rails::pass(&case, remediate, &mut counts) else { continue };
            let Some(entry) = bound.get_mut(&name(&playbook.name, &remediate.runbook)) else { continue };
            let undo = remediate.undo.is_none() || planned.undo.is_some();
            let what = planned
                .stopped
                .filter(|s| [rails::ABSENT, "parameters", "document", "role"].contains(&s.rail.as_str()));
            match (what.or_else(|| (!undo).then(no_undo)), &mut *entry) {
                (None, _) => *entry = Ok(()),
                (Some(stop), Err(reasons)) => _ = reasons.insert(format!("{path}: {}", stop.reason)),
                (Some(_), Ok(())) => {}
            }
        }
    });
    let never: Vec<_> = bound.iter().filter(|(_, b)| b.is_err()).collect();
    assert!(never.is_empty(), "{never:#?}");
}

fn no_undo() -> Stop {
    Stop { rail: "parameters".to_owned(), reason: "its undo does not bind".to_owned() }
}

#[test]
fn the_playbooks_are_whole_and_distinct() {
    let policy = policy_with_packs();
    let (mut patterns, mut scopes) = (BTreeMap::new(), BTreeMap::new());
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
        if matches!(playbook.about, About::Account | About::Region) {
            let known = scopes.entry(&playbook.weakness).or_insert((playbook.about, name));
            assert_eq!(known.0, playbook.about, "{name} and {}: one card or two?", known.1);
        }
        if let Some(when) = &playbook.when {
            let known = patterns.insert(format!("{when:?}"), name);
            assert_eq!(known, None, "{name} claims the same");
        }
    }
}

/// Every remediation, as `router/playbooks/REMEDIATIONS.md` shows it.
/// Holds that a generated document of `playbooks/` is as it is now; it is long, so only the lines that differ are shown.
fn documented(file: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks").join(file);
    if std::env::var_os("FINDINGS_ROUTER_BLESS").is_some() {
        fs::write(&path, now).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let beyond = |all: &str, of: &str| -> Vec<String> {
        let of: BTreeSet<&str> = of.lines().collect();
        all.lines().filter(|line| !of.contains(line)).map(str::to_owned).collect()
    };
    let (missing, stale) = (beyond(now, &written), beyond(&written, now));
    assert!(written == now, "{file} is old, write it anew with FINDINGS_ROUTER_BLESS=1: {missing:#?} for {stale:#?}");
}

fn remediations(policy: &Policy) -> String {
    let mut out = String::from(
        "# Remediations\n\nWhich runbook answers which weakness, made from the playbooks and the catalogue by a test \
         (`FINDINGS_ROUTER_BLESS=1 cargo test -p findings-router remediations_are_documented` writes it anew). Nothing of it starts \
         unless the configuration lets it; `findings-router remediation rails` says what that is.\n\n\
         | weakness | playbook | runbook | does | effect | undo | permissions of its role |\n|---|---|---|---|---|---|---|\n",
    );
    let mut rows = Vec::new();
    for playbook in &policy.playbooks {
        for r in &playbook.remediate {
            let document = policy.catalogue.get(&r.runbook).unwrap_or_else(|| panic!("{} is not known", r.runbook));
            let undo = r.undo.as_ref().map_or_else(|| "–".to_owned(), |u| format!("`{}`, {:#}", u.runbook, u.within));
            let caution = document.caution.as_ref().map(|c| format!(" *{c}*")).unwrap_or_default();
            let weakness = playbook.weakness.as_deref().unwrap_or("–");
            rows.push(format!(
                "| {weakness} | {} | `{}` | {}{caution} | {} | {undo} | {} |\n",
                playbook.name,
                r.runbook,
                document.does.replace('|', "/"),
                r.effect.as_str(),
                document.permissions.join(" "),
            ));
        }
    }
    rows.sort();
    out.extend(rows);
    out
}

#[test]
fn the_remediations_are_documented() {
    let policy = policy();
    let now = remediations(&policy);
    documented("REMEDIATIONS.md", &now);
    let playbooks = policy.playbooks.iter().filter(|p| !p.remediate.is_empty()).count();
    assert!(playbooks >= 40, "{playbooks} playbooks have a remediation");
    let unnamed: Vec<_> = now.lines().filter(|l| l.ends_with("|  |")).collect();
    assert!(unnamed.is_empty(), "what a role must be allowed is written down: {unnamed:#?}");
}

/// One row of the table: who reports what, and what is made of it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Covered {
    reporter: String,
    kind: String,
    playbook: String,
    languages: &'static str,
    runbooks: String,
}

/// Every kind of finding that some fixture tells, with the playbook that claims it.
fn coverage(policy: &Policy) -> BTreeSet<Covered> {
    let mut rows = BTreeSet::new();
    each_judged(policy, &events(policy), |path, _, judged| {
        let Verdict::Claimed(claim) = &judged.verdict else { return };
        // What an attacker might send is no kind of finding.
        if path.starts_with("hostile")
            || path.starts_with("guardduty-unknown")
            || judged.finding.kind.contains(['|', '\n', '<'])
        {
            return;
        }
        let playbook = &policy.playbooks[claim.playbook];
        let runbooks: Vec<String> = playbook.remediate.iter().map(|r| format!("`{}`", r.runbook)).collect();
        rows.insert(Covered {
            reporter: judged.finding.reporter.clone(),
            kind: judged.finding.kind.clone(),
            playbook: playbook.name.clone(),
            languages: if playbook.tell_ja.is_some() { "en, ja" } else { "en" },
            runbooks: runbooks.join(" "),
        });
    });
    rows
}

#[test]
fn the_coverage_is_documented_and_every_known_type_and_rule_has_a_playbook() {
    let policy = policy();
    let rows = coverage(&policy);
    let of = |reporter: &str, kind: &str| {
        let general = |playbook: &str| policy.playbooks.iter().any(|p| p.name == playbook && p.catch_all.is_some());
        // Rules are told by the names of their copies, too.
        let is = |told: &str| told == kind || told.strip_prefix(kind).is_some_and(|rest| rest.starts_with('-'));
        let copied =
            |told: &str| ["securityhub-", "OrgConfigRule-"].iter().any(|p| told.strip_prefix(p).is_some_and(is));
        let bare = |told: &str| is(told) || copied(told);
        rows.iter().any(|r| r.reporter == reporter && bare(&r.kind) && !general(&r.playbook))
    };
    let known = [
        ("guardduty", include_str!("corpus/guardduty-types.txt"), 226),
        ("config", include_str!("corpus/config-rules.txt"), 156),
    ];
    for (reporter, kinds, count) in known {
        assert_eq!(kinds.lines().count(), count);
        let missing: Vec<&str> = kinds.lines().filter(|kind| !of(reporter, kind)).collect();
        assert!(missing.is_empty(), "{reporter}: no fixture is claimed for {missing:#?}");
    }
    let mut out = "# Coverage\n\nEvery kind of finding that a fixture tells, the playbook that claims it, and the runbooks that it offers; made by a test \
         (`FINDINGS_ROUTER_BLESS=1 cargo test -p findings-router coverage_is_documented` writes it anew). \
         All 226 finding types that GuardDuty documents, and the 156 managed rules of Config that conformance packs use most, are among them \
         (November 2026); what is not falls to a catch-all, which gives a card all the same.\n\n\
         | reporter | kind of finding | playbook | languages | runbooks |\n|---|---|---|---|---|\n"
        .to_owned();
    let row = |Covered { reporter, kind, playbook, languages, runbooks }: &Covered| {
        format!("| {reporter} | `{kind}` | {playbook} | {languages} | {runbooks} |\n")
    };
    out.extend(rows.iter().map(row));
    documented("COVERAGE.md", &out);
}

/// A playbook that nothing ever claims is a promise that nobody tried.
#[test]
fn every_playbook_claims_some_fixture() {
    assert_eq!(idle(&policy()), [""; 0]);
}

/// Without the packs nobody is told of what they tell; each of their playbooks is tried by some fixture.
#[test]
fn every_playbook_of_a_pack_claims_some_fixture() {
    let (plain, with_packs) = (policy(), policy_with_packs());
    assert_eq!(with_packs.playbooks.len(), plain.playbooks.len() + 18);
    let shipped = |name: &String| plain.playbooks.iter().any(|p| p.name == *name);
    let idle: Vec<String> = idle(&with_packs).into_iter().filter(|name| !shipped(name)).collect();
    assert_eq!(idle, [""; 0]);
    let problems = Policy::load(config("packs = ['click-ops']"), &UserFiles::default()).err().unwrap();
    assert!(problems[0].to_string().contains("there are: cis-changes, clickops"), "{problems:#?}");
}

/// The playbooks that claim no fixture.
fn idle(policy: &Policy) -> Vec<String> {
    let mut idle: BTreeSet<&str> = policy.playbooks.iter().map(|p| p.name.as_str()).collect();
    each_judged(policy, &events(policy), |_, _, judged| {
        if let Verdict::Claimed(claim) = &judged.verdict {
            idle.remove(policy.playbooks[claim.playbook].name.as_str());
        }
    });
    idle.into_iter().map(str::to_owned).collect()
}
