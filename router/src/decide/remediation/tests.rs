//! The life of a remediation, step by step: who may do what, what is due, what an execution's state makes of it.
use super::*;
use crate::{
    decide::novelty::advance,
    testing::{at, claim, config, finding, timing},
    values::{
        action::Effect,
        entry::{Card, Report},
        remediation::{Job, Undo},
    },
};

const HOUR: i64 = 3_600;
const ALICE: &str = "U0ALICE";
const BOB: &str = "U0BOB";

/// Alice may approve anywhere; in production it takes two from disruptive on.
const CONFIG: &str = "
[accounts.\"111122223333\"]
environment = 'production'
[accounts.\"444455556666\"]
environment = 'staging'
[remediation]
mode = 'approve'
[remediation.approval]
approvers.production = ['U0ALICE', 'S0LEADS']
approvers.'*' = ['U0ALICE']
two-people.production = 'disruptive'
people.U0ALICE = ['user/alice', 'alice@example.com']
people.U0BOB = []
people.U0DAVE01 = ['arn:aws:iam::111122223333:user/eng/team/dave']
";

fn remediation(effect: Effect) -> Remediation {
    let job = |runbook: &str| Job {
        runbook: runbook.to_owned(),
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        parameters: BTreeMap::from([("Id".to_owned(), vec!["sg-1".to_owned()])]),
    };
    Remediation {
        id: "first".to_owned(),
        undo: Some(Undo {
            job: job("Open"),
            outputs: vec![("State".to_owned(), "Record.PreState".to_owned(), "^[a-z]+$".to_owned())],
            within: SignedDuration::from_hours(24),
        }),
        deadline: SignedDuration::from_hours(2),
        due: Some(at(4 * HOUR)),
        ..Remediation::proposed(1, "p", job("Close"), Mode::Approve, effect)
    }
}

/// An open problem with one card, and one remediation that is offered.
fn entry(effect: Effect) -> Entry {
    let finding = finding();
    let (_, mut entry) = advance(None, &finding, &claim(&finding), timing(), at(0));
    let card = Card {
        destination: "slack:#security".to_owned(),
        message: "C1:1.1".to_owned(),
        link: None,
        storm: false,
        mentions: Vec::new(),
    };
    entry.cards.push(card);
    entry.actors.clear();
    plan(&mut entry, vec![remediation(effect)]);
    entry
}

fn person(id: &str, groups: &[&str]) -> Person {
    Person { id: id.to_owned(), groups: Ok(groups.iter().map(|g| (*g).to_owned()).collect()) }
}

/// Asks as somebody who has just looked.
fn asked(entry: &mut Entry, what: Ask, who: &Person, now: i64) -> Result<(), String> {
    let plan = entry.remediations[0].plan();
    ask(&config(CONFIG), entry, (0, Some(&plan)), (what, who), at(now)).map_err(|r| r.why)
}

fn progress(entry: &Entry) -> Progress {
    entry.remediations[0].progress
}

fn sees(entry: &mut Entry, status: &str, now: i64) {
    let outputs = BTreeMap::from([
        ("Record.PreState".to_owned(), vec!["open".to_owned()]),
        ("Other.Thing".to_owned(), vec!["x".repeat(9_999)]),
    ]);
    let sight = Sight { status: status.to_owned(), state: Seen::of(status), outputs, ..Sight::default() };
    sighted(entry, 0, sight, false, at(now));
}

fn run(entry: &mut Entry, now: i64) {
    let run =
        Run { client_token: "first".to_owned(), execution: Some("e-1".to_owned()), since: at(now), ..Run::default() };
    started(entry, 0, run, at(now));
}

/// What channels hear, `what` by `what`; loud ones with an exclamation mark.
fn news(entry: &Entry) -> Vec<String> {
    entry.news.iter().map(|n| format!("{}{}", n.turn.what, if n.loud { "!" } else { "" })).collect()
}

#[test]
fn from_proposed_to_verified_and_back() {
    let mut entry = entry(Effect::Reversible);
    assert_eq!(open_to(&entry, &entry.remediations[0], at(0)), [Ask::Approve, Ask::Deny]);
    asked(&mut entry, Ask::Approve, &person(ALICE, &[]), 60).unwrap();
    assert_eq!((progress(&entry), next(&entry, at(60))), (Progress::Approved, Some(Step::Tell(0))));
    entry.news.clear();
    assert_eq!(next(&entry, at(60)), Some(Step::Start(0)));
    run(&mut entry, 61);
    entry.news.clear();
    assert_eq!(
        (progress(&entry), next(&entry, at(61)), next(&entry, at(66))),
        (Progress::Started, None, Some(Step::Look(0)))
    );
    assert_eq!(open_to(&entry, &entry.remediations[0], at(76)), [Ask::Stop]);
    sees(&mut entry, "InProgress", 76);
    sees(&mut entry, "Success", 120);
    assert_eq!((progress(&entry), entry.remediations[0].due), (Progress::Succeeded, Some(at(120 + 2 * HOUR))));
    let run = entry.remediations[0].run.clone().unwrap();
    assert_eq!(run.outputs.keys().collect::<Vec<_>>(), ["Record.PreState"], "only what the undo needs is kept");
    (entry.state, entry.closed_at) = (State::Closed, Some(at(300)));
    let report = &mut entry.reports[0];
    (report.status, report.revision) = (Status::Resolved, at(290));
    resolved(&mut entry, at(300));
    let late = 61 + 24 * HOUR;
    assert_eq!((progress(&entry), entry.remediations[0].due), (Progress::Verified, Some(at(late))), "the undo's time");

    assert_eq!(open_to(&entry, &entry.remediations[0], at(400)), [Ask::Undo]);
    asked(&mut entry, Ask::Undo, &person(ALICE, &[]), 400).unwrap();
    let undone = &entry.remediations[0];
    assert_eq!(undone.progress, Progress::Undoing);
    assert_eq!(undone.undo.as_ref().unwrap().job.parameters["State"], ["open"], "as the execution recorded it");
    assert_ne!(token(&entry, undone), "first", "an execution of its own");
    super::started(&mut entry, 0, Run { execution: Some("e-2".to_owned()), since: at(401), ..Run::default() }, at(401));
    sees(&mut entry, "Success", 420);
    assert_eq!(progress(&entry), Progress::Undone);
    assert_eq!(open_to(&entry, &entry.remediations[0], at(500)), []);
    let told: Vec<&str> = entry.remediations[0].turns.iter().map(|t| t.what.as_str()).collect();
    assert_eq!(told, ["approved", "started", "succeeded", "verified", "undoing", "undo-started", "undone"]);
}

#[test]
fn an_execution_ends_as_ssm_says() {
    let rows = [
        ("Pending", Progress::Started, vec![]),
        ("InProgress", Progress::Started, vec![]),
        ("SomethingNew", Progress::Started, vec![]),
        ("Cancelling", Progress::Started, vec![]),
        ("PendingApproval", Progress::Started, vec!["waiting!"]),
        ("Success", Progress::Succeeded, vec!["succeeded"]),
        ("CompletedWithSuccess", Progress::Succeeded, vec!["succeeded"]),
        ("Failed", Progress::Failed, vec!["failed!"]),
        ("TimedOut", Progress::Failed, vec!["failed!"]),
        ("Cancelled", Progress::Failed, vec!["failed!"]),
        ("Rejected", Progress::Failed, vec!["failed!"]),
        ("CompletedWithFailure", Progress::Failed, vec!["failed!"]),
        ("Exited", Progress::Failed, vec!["failed!"]),
    ];
    for (status, expected, told) in rows {
        let mut entry = entry(Effect::Reversible);
        asked(&mut entry, Ask::Approve, &person(ALICE, &[]), 0).unwrap();
        run(&mut entry, 1);
        entry.news.clear();
        sees(&mut entry, status, 30);
        assert_eq!(
            (progress(&entry), news(&entry)),
            (expected, told.iter().map(|t| (*t).to_owned()).collect()),
            "{status}"
        );
        sees(&mut entry, status, 60);
        let more = usize::from(expected != Progress::Started);
        assert!(entry.news.len() <= told.len() + more, "{status}: a person is asked for once");
    }
}

#[test]
fn success_alone_does_not_verify() {
    let succeed = |verifies: bool, report: Option<Report>| {
        let mut entry = entry(Effect::Reversible);
        entry.reports = report.into_iter().collect();
        asked(&mut entry, Ask::Approve, &person(ALICE, &[]), 0).unwrap();
        run(&mut entry, 10);
        let sight = Sight { state: Seen::Success, ..Sight::default() };
        sighted(&mut entry, 0, sight, verifies, at(60));
        entry
    };
    let source = finding_report(true);
    let mut entry = succeed(false, Some(source.clone()));
    assert_eq!((progress(&entry), entry.state), (Progress::Succeeded, State::Open));
    entry.news.clear();
    assert_eq!(next(&entry, at(60 + 2 * HOUR)), Some(Step::Lapse(0)));
    lapse(&mut entry, 0, at(60 + 2 * HOUR));
    assert_eq!(
        (progress(&entry), entry.state, news(&entry)),
        (Progress::Unverified, State::Open, vec!["unverified!".to_owned()])
    );

    let entry = succeed(true, Some(source));
    assert_eq!(
        (progress(&entry), entry.state),
        (Progress::Verified, State::Open),
        "the source has the last word on the problem"
    );
    let entry = succeed(true, Some(finding_report(false)));
    assert_eq!((progress(&entry), entry.state), (Progress::Verified, State::Closed), "where nobody else can say it");
}

fn finding_report(can_resolve: bool) -> Report {
    let finding = finding();
    let (_, entry) = advance(None, &finding, &claim(&finding), timing(), at(0));
    Report { can_resolve, ..entry.reports[0].clone() }
}

#[test]
fn what_a_source_said_before_the_runbook_verifies_nothing() {
    for (revision, expected) in [(9, Progress::Succeeded), (10, Progress::Verified)] {
        let mut entry = entry(Effect::Reversible);
        asked(&mut entry, Ask::Approve, &person(ALICE, &[]), 0).unwrap();
        run(&mut entry, 10);
        entry.state = State::Closed;
        (entry.reports[0].status, entry.reports[0].revision) = (Status::Resolved, at(revision));
        resolved(&mut entry, at(20));
        assert_eq!(progress(&entry), Progress::Started, "it runs still");
        sees(&mut entry, "Success", 60);
        assert_eq!(progress(&entry), expected, "{revision}");
    }
}

#[test]
fn clicks_that_may_not_be_are_refused_and_change_nothing() {
    type Change = fn(&mut Entry);
    let as_is: Change = |_| {};
    let rows: [(&str, Change, Person, Ask, i64, &str); 13] = [
        ("Somebody else.", as_is, person("U0EVE", &[]), Ask::Approve, 1, "not among those"),
        ("In another group.", as_is, person(BOB, &["S0OTHERS"]), Ask::Approve, 1, "not among those"),
        (
            "Nobody can tell.",
            as_is,
            Person { id: BOB.to_owned(), groups: Err("Slack is down".to_owned()) },
            Ask::Approve,
            1,
            "cannot be told: Slack is down",
        ),
        ("Too late.", as_is, person(ALICE, &[]), Ask::Approve, 4 * HOUR, "can no longer be asked to approve"),
        ("It is over.", |e| e.state = State::Closed, person(ALICE, &[]), Ask::Approve, 1, "can no longer"),
        ("Another round.", |e| e.episode = 2, person(ALICE, &[]), Ask::Approve, 1, "can no longer"),
        (
            "Whoever caused it, whose path the configuration names.",
            |e| e.actors.push("arn:aws:iam::111122223333:user/dave".to_owned()),
            person("U0DAVE01", &["S0LEADS"]),
            Ask::Approve,
            1,
            "who caused this problem",
        ),
        (
            "Too many caused it.",
            |e| {
                e.actors.push("arn:aws:iam::111122223333:user/x".to_owned());
                e.crowded = true;
            },
            person(ALICE, &[]),
            Ask::Approve,
            1,
            "too many caused this problem",
        ),
        (
            "Only proposed.",
            |e| e.remediations[0].mode = Mode::Propose,
            person(ALICE, &[]),
            Ask::Approve,
            1,
            "can no longer",
        ),
        (
            "Whoever caused it.",
            |e| e.actors.push("arn:aws:iam::111122223333:user/alice".to_owned()),
            person(ALICE, &[]),
            Ask::Approve,
            1,
            "who caused this problem",
        ),
        (
            "Whoever caused it, by the session of a role.",
            |e| e.sessions.push("alice@example.com".to_owned()),
            person(ALICE, &[]),
            Ask::Approve,
            1,
            "who caused this problem",
        ),
        (
            "Somebody caused it, and nobody knows who this is.",
            |e| e.actors.push("arn:aws:iam::111122223333:user/x".to_owned()),
            person("U0CAROL", &["S0LEADS"]),
            Ask::Approve,
            1,
            "remediation.approval.people.U0CAROL",
        ),
        ("Nothing was done yet.", as_is, person(ALICE, &[]), Ask::Undo, 1, "can no longer be asked to undo"),
    ];
    for (sentence, change, who, what, now, expected) in rows {
        let mut entry = entry(Effect::Reversible);
        change(&mut entry);
        let before = entry.clone();
        let refusal = asked(&mut entry, what, &who, now).expect_err(sentence);
        assert!(refusal.contains(expected), "{sentence} {refusal}");
        assert_eq!(entry, before, "{sentence}");
        // That it was tried is seen by those who run it.
        let turn = refused(&mut entry, 0, (what, &who), &Refusal::new("over", refusal), at(now));
        assert_eq!((turn.what.as_str(), turn.by.as_deref(), entry.news.len()), ("refused", Some(who.id.as_str()), 0));
    }
}

#[test]
fn an_approval_is_of_what_was_seen() {
    let mut entry = entry(Effect::Reversible);
    let seen = entry.remediations[0].plan();
    entry.remediations[0].job.parameters.insert("Id".to_owned(), vec!["sg-2".to_owned()]);
    let alice = person(ALICE, &[]);
    let refusal = ask(&config(CONFIG), &mut entry, (0, Some(&seen)), (Ask::Approve, &alice), at(1)).unwrap_err();
    assert!(refusal.why.contains("has changed since it was shown"), "{refusal}");
    let mut plans = vec![seen];
    let changes: [fn(&mut Remediation); 5] = [
        |_| {},
        |r| r.job.runbook.push('x'),
        |r| r.job.account.push('x'),
        |r| r.job.region.push('x'),
        |r| r.attempt += 1,
    ];
    for change in changes {
        change(&mut entry.remediations[0]);
        let plan = entry.remediations[0].plan();
        assert!(!plans.contains(&plan), "each part makes another plan");
        plans.push(plan);
    }
}

#[test]
fn two_people_where_it_takes_two() {
    let (alice, leader) = (person(ALICE, &[]), person(BOB, &["S0LEADS"]));
    let mut entry = entry(Effect::Disruptive);
    asked(&mut entry, Ask::Approve, &alice, 10).unwrap();
    assert_eq!((progress(&entry), news(&entry)), (Progress::Proposed, vec!["consented".to_owned()]));
    let again = asked(&mut entry, Ask::Approve, &alice, 20).unwrap_err();
    assert!(again.contains("somebody else"), "{again}");
    asked(&mut entry, Ask::Approve, &leader, 30).unwrap();
    assert_eq!(progress(&entry), Progress::Approved);

    let mut late = super::tests::entry(Effect::Disruptive);
    asked(&mut late, Ask::Approve, &alice, 10).unwrap();
    asked(&mut late, Ask::Approve, &leader, 10 + 4 * HOUR - 1).unwrap();
    assert_eq!(progress(&late), Progress::Approved, "just in time");
    let mut late = super::tests::entry(Effect::Disruptive);
    asked(&mut late, Ask::Approve, &alice, 10).unwrap();
    assert!(asked(&mut late, Ask::Approve, &leader, 10 + 4 * HOUR).is_err(), "the offer is over");
}

#[test]
fn what_failed_is_tried_again_as_another_attempt() {
    let alice = person(ALICE, &[]);
    let mut entry = entry(Effect::Reversible);
    asked(&mut entry, Ask::Approve, &alice, 0).unwrap();
    let first = token(&entry, &entry.remediations[0]);
    run(&mut entry, 1);
    sees(&mut entry, "Failed", 60);
    assert_eq!(open_to(&entry, &entry.remediations[0], at(60)), [Ask::Approve]);
    asked(&mut entry, Ask::Approve, &alice, 70).unwrap();
    let second = token(&entry, &entry.remediations[0]);
    assert_ne!(first, second, "SSM takes a token once");

    let mut never = super::tests::entry(Effect::Reversible);
    asked(&mut never, Ask::Approve, &alice, 0).unwrap();
    let first = token(&never, &never.remediations[0]);
    failed(&mut never, 0, "access denied".to_owned(), at(1));
    asked(&mut never, Ask::Approve, &alice, 70).unwrap();
    assert_eq!(first, token(&never, &never.remediations[0]), "what was never accepted may have been: the same start");
}

const GOOD: [(&str, &str); 1] = [("Record.PreState", "open")];
/// A sentence, what the execution put out, when it is asked, and the refusal.
type Row = (&'static str, &'static [(&'static str, &'static str)], i64, Option<&'static str>);

#[test]
fn an_undo_has_its_time_and_needs_what_was_recorded() {
    let alice = person(ALICE, &[]);
    let done = |outputs: &[(&str, &str)]| {
        let mut entry = entry(Effect::Reversible);
        asked(&mut entry, Ask::Approve, &alice, 0).unwrap();
        run(&mut entry, 10);
        let outputs = outputs.iter().map(|(k, v)| ((*k).to_owned(), vec![(*v).to_owned()])).collect();
        sighted(&mut entry, 0, Sight { state: Seen::Success, outputs, ..Sight::default() }, false, at(60));
        entry
    };
    let rows: [Row; 5] = [
        ("In time.", &GOOD, 10 + 24 * HOUR - 1, None),
        ("Too late.", &GOOD, 10 + 24 * HOUR, Some("too late")),
        ("Nothing was recorded.", &[], 100, Some("Record.PreState")),
        ("What was recorded looks wrong.", &[("Record.PreState", "{{ evil }}")], 100, Some("does not look right")),
        ("It is too long.", &[("Record.PreState", "")], 100, Some("does not look right")),
    ];
    for (sentence, outputs, now, expected) in rows {
        let got = asked(&mut done(outputs), Ask::Undo, &alice, now).err();
        assert_eq!(got.is_some(), expected.is_some(), "{sentence} {got:?}");
        assert!(got.is_none_or(|g| expected.is_some_and(|e| g.contains(e))), "{sentence}");
    }
    let mut failed = done(&GOOD);
    asked(&mut failed, Ask::Undo, &alice, 100).unwrap();
    let first = token(&failed, &failed.remediations[0]);
    super::started(&mut failed, 0, Run { execution: Some("e".to_owned()), since: at(101), ..Run::default() }, at(101));
    sees(&mut failed, "Failed", 120);
    assert_eq!(progress(&failed), Progress::UndoFailed);
    asked(&mut failed, Ask::Undo, &alice, 200).unwrap();
    assert_ne!(first, token(&failed, &failed.remediations[0]), "another consent is another execution");
}

#[test]
fn a_dialog_that_was_open_when_it_failed_is_no_consent_to_another_try() {
    let alice = person(ALICE, &[]);
    let mut entry = entry(Effect::Reversible);
    let seen = entry.remediations[0].plan();
    asked(&mut entry, Ask::Approve, &alice, 0).unwrap();
    run(&mut entry, 1);
    sees(&mut entry, "Failed", 60);
    let bob = person(BOB, &["S0LEADS"]);
    let late = ask(&config(CONFIG), &mut entry, (0, Some(&seen)), (Ask::Approve, &bob), at(61)).unwrap_err();
    assert!(late.why.contains("has changed since it was shown"), "{late}");
}

#[test]
fn consent_to_an_undo_that_never_began_is_not_kept() {
    let (alice, leader) = (person(ALICE, &[]), person(BOB, &["S0LEADS"]));
    let mut entry = entry(Effect::Disruptive);
    asked(&mut entry, Ask::Approve, &alice, 0).unwrap();
    asked(&mut entry, Ask::Approve, &leader, 1).unwrap();
    run(&mut entry, 2);
    sees(&mut entry, "Success", 30);
    assert_eq!(entry.remediations[0].job_now().parameters["State"], ["open"], "what is approved is shown whole");
    asked(&mut entry, Ask::Undo, &alice, 40).unwrap();
    assert_eq!(progress(&entry), Progress::Succeeded, "one of two");
    asked(&mut entry, Ask::Undo, &leader, 41).unwrap();
    failed(&mut entry, 0, "access denied".to_owned(), at(42));
    asked(&mut entry, Ask::Undo, &alice, 50).unwrap();
    assert_eq!(progress(&entry), Progress::UndoFailed, "two again");
}

#[test]
fn what_waits_to_start_can_be_called_off() {
    let alice = person(ALICE, &[]);
    let mut entry = entry(Effect::Reversible);
    asked(&mut entry, Ask::Approve, &alice, 0).unwrap();
    let mut claimed = entry.clone();
    asked(&mut entry, Ask::Deny, &alice, 1).unwrap();
    assert_eq!(progress(&entry), Progress::Denied);
    claimed.remediations[0].claimed = Some(at(30));
    assert!(asked(&mut claimed, Ask::Deny, &alice, 1).is_err(), "somebody starts it at this moment");
}

#[test]
fn refusals_do_not_push_out_what_happened() {
    let mut entry = entry(Effect::Reversible);
    asked(&mut entry, Ask::Approve, &person(ALICE, &[]), 0).unwrap();
    for second in 0..50 {
        refused(&mut entry, 0, (Ask::Approve, &person("U0EVE", &[])), &Refusal::new("over", "no"), at(second));
    }
    let turns: Vec<_> = entry.remediations[0].turns.iter().map(|t| t.what.as_str()).collect();
    assert_eq!(turns, ["approved", "refused"]);
}

#[test]
fn what_is_over_before_it_begins_is_withdrawn() {
    let mut entry = entry(Effect::Reversible);
    resolved(&mut entry, at(10));
    assert_eq!((progress(&entry), entry.remediations[0].due, news(&entry)), (Progress::Withdrawn, None, vec![]));

    let mut approved = super::tests::entry(Effect::Reversible);
    asked(&mut approved, Ask::Approve, &person(ALICE, &[]), 0).unwrap();
    let mut claimed = approved.clone();
    resolved(&mut approved, at(10));
    assert_eq!(progress(&approved), Progress::Withdrawn);
    claimed.remediations[0].claimed = Some(at(60));
    resolved(&mut claimed, at(10));
    assert_eq!(progress(&claimed), Progress::Approved, "somebody starts it at this moment");
}

#[test]
fn an_offer_that_nobody_took_comes_back_with_the_next_reminder() {
    let mut entry = entry(Effect::Reversible);
    assert_eq!(next(&entry, at(4 * HOUR - 1)), None);
    assert_eq!(next(&entry, at(4 * HOUR)), Some(Step::Lapse(0)));
    lapse(&mut entry, 0, at(4 * HOUR));
    assert_eq!((progress(&entry), open_to(&entry, &entry.remediations[0], at(5 * HOUR))), (Progress::Expired, vec![]));
    offer_again(&config(CONFIG), &mut entry, at(24 * HOUR));
    assert_eq!(open_to(&entry, &entry.remediations[0], at(24 * HOUR)), [Ask::Approve, Ask::Deny]);
    asked(&mut entry, Ask::Deny, &person(ALICE, &[]), 25 * HOUR).unwrap();
    offer_again(&config(CONFIG), &mut entry, at(48 * HOUR));
    assert_eq!(progress(&entry), Progress::Denied, "a no is a no");
}

#[test]
fn an_execution_of_which_nothing_is_heard_is_given_up() {
    let mut entry = entry(Effect::Reversible);
    asked(&mut entry, Ask::Approve, &person(ALICE, &[]), 0).unwrap();
    run(&mut entry, 0);
    let mut looks = 0;
    for day in 0..40 {
        let now = day * 24 * HOUR;
        if progress(&entry) != Progress::Started {
            break;
        }
        look_failed(&mut entry, 0, "SSM does not answer", SignedDuration::ZERO, at(now));
        looks += 1;
    }
    assert_eq!((progress(&entry), looks), (Progress::Failed, 32), "after 30 days: SSM has forgotten it");
    let why = entry.remediations[0].turns.last().unwrap().why.clone().unwrap();
    assert!(why.contains("cannot be told: SSM does not answer"), "{why}");
}

#[test]
fn an_entry_keeps_what_runs_whatever_comes() {
    let mut entry = entry(Effect::Reversible);
    entry.remediations[0].progress = Progress::Started;
    for n in 0..40 {
        plan(&mut entry, vec![Remediation { id: format!("r{n}"), ..remediation(Effect::Harmless) }]);
    }
    assert_eq!(entry.remediations.len(), REMEDIATIONS_MAX);
    assert_eq!((entry.remediations[0].id.as_str(), entry.remediations[4].id.as_str()), ("first", "r39"));
    let planned = remediation(Effect::Harmless);
    entry.remediations[0].progress = Progress::Failed;
    plan(&mut entry, vec![planned]);
    assert_eq!(progress(&entry), Progress::Failed, "the same plan again changes nothing");
}

#[test]
fn every_refusal_can_be_said_in_japanese() {
    for word in Refusal::WORDS {
        let said = findings_formatters::word(findings_formatters::view::Locale::Ja, "refusal", word);
        assert!(said.is_some_and(|s| !s.is_ascii()), "{word} is not in ja.toml");
        assert_eq!(
            findings_formatters::word(findings_formatters::view::Locale::En, "refusal", word),
            None,
            "English says {word} itself"
        );
    }
}
