//! What is new: the table of the README as stories, and the properties that hold for any story.
use super::*;
use crate::{
    testing::{at, claim, finding, seen, timing},
    values::{entry::Owed, severity::Severity},
};
use proptest::prelude::*;

/// `0`, `10m`, `25h`, also negative, in seconds.
fn seconds(text: &str) -> i64 {
    let number = |t: &str| t.parse::<i64>().unwrap();
    match text.split_at(text.len() - 1) {
        (n, "m") => number(n) * 60,
        (n, "h") => number(n) * 3_600,
        (n, "d") => number(n) * 86_400,
        (n, "s") => number(n),
        _ => number(text),
    }
}

/// `TIME[@REVISION] REPORTER/ID active|resolved|act SEVERITY`: what comes, when, and what it says. Without a revision it
/// speaks of the time at which it comes.
fn step(line: &str) -> (Timestamp, Finding) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [when, who, what, severity] = words[..] else { panic!("{line}") };
    let (now, revision) = when.split_once('@').unwrap_or((when, when));
    let (reporter, id) = who.split_once('/').unwrap();
    let finding = Finding {
        reporter: reporter.to_owned(),
        id: id.to_owned(),
        status: if what == "resolved" { Status::Resolved } else { Status::Active },
        can_resolve: what != "act",
        severity: severity.parse().unwrap(),
        sent: at(seconds(now)),
        ..seen(finding(), seconds(revision))
    };
    (at(seconds(now)), finding)
}

/// Advances as the router does: what opens, escalates or reminds is told at once.
fn tell(entry: &mut Option<Entry>, finding: &Finding, timing: Timing, now: Timestamp) -> Novelty {
    let (novelty, mut after) = advance(entry.take(), finding, &claim(finding), timing, now);
    if matches!(novelty, Novelty::New | Novelty::Reopened | Novelty::Escalated | Novelty::Reminder) {
        after.told_at = Some(now);
    }
    *entry = Some(after);
    novelty
}

/// Each line of a story is `STEP => NOVELTY`.
fn check(sentence: &str, timing: Timing, story: &str) -> Entry {
    let mut entry = None;
    for line in story.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (says, expected) = line.split_once(" => ").unwrap();
        let (now, finding) = step(says);
        assert_eq!(tell(&mut entry, &finding, timing, now).as_str(), expected.trim(), "{sentence}: {line}");
    }
    entry.unwrap()
}

#[test]
fn every_row_of_the_table() {
    let rows = [
        ("Nothing is known: new.", "0 gd/a active high => new"),
        (
            "Over for longer than the memory: new again.",
            "0 gd/a active high => new
             1h gd/a resolved high => resolved
             90001 gd/a active high => new",
        ),
        (
            "Over for exactly the memory: it is back.",
            "0 gd/a active high => new
             1h gd/a resolved high => resolved
             25h gd/a active high => reopened",
        ),
        (
            "The memory counts from when it was over, not from when it began.",
            "0 gd/a active high => new
             23h gd/a resolved high => resolved
             46h gd/a active high => reopened",
        ),
        (
            "Worse than told: escalated, once.",
            "0 gd/a active medium => new
             1m gd/a active high => escalated
             2m gd/a active high => duplicate
             3m gd/a active critical => escalated",
        ),
        (
            "Less bad is no news, and the way back up to what was told is none either.",
            "0 gd/a active high => new
             1m gd/a active low => duplicate
             2m gd/a active high => duplicate",
        ),
        (
            "Worse goes before the reminder.",
            "0 gd/a active medium => new
             48h gd/a active high => escalated",
        ),
        (
            "A reminder exactly at the end of the quiet time, not a second before; then quiet again.",
            "0 gd/a active high => new
             86399 gd/a active high => duplicate
             86400 gd/a active high => reminder
             86401 gd/a active high => duplicate
             172800 gd/a active high => reminder",
        ),
        (
            "An escalation tells: the quiet time begins anew.",
            "0 gd/a active medium => new
             23h gd/a active high => escalated
             46h gd/a active high => duplicate
             47h gd/a active high => reminder",
        ),
        (
            "Newer and nothing else: duplicate.",
            "0 gd/a active high => new
             1s gd/a active high => duplicate",
        ),
        (
            "The same revision again is stale.",
            "0 gd/a active high => new
             1m@0 gd/a active high => stale",
        ),
        (
            "A person closes it by hand: no new revision, but a newer event that says something else.",
            "0 gd/a active high => new
             1m@0 gd/a resolved critical => resolved
             2m@0 gd/a resolved critical => stale
             3m@0 gd/a active high => reopened",
        ),
        (
            "An older revision is stale.",
            "10m gd/a active high => new
             11m@9m gd/a active critical => stale",
        ),
        (
            "An older *active* after *resolved* does not reopen.",
            "0 gd/a active high => new
             10m gd/a resolved high => resolved
             11m@5m gd/a active high => stale",
        ),
    ];
    for (sentence, story) in rows {
        check(sentence, timing(), story);
    }
}

#[test]
fn it_is_over_when_everybody_who_can_say_so_says_so() {
    let rows = [
        (
            "Another reporter has revisions of its own, also older ones.",
            "10m gd/a active high => new
             11m@9m hub/a active high => duplicate",
        ),
        (
            "Another finding id of the same reporter has revisions of its own.",
            "10m gd/a active high => new
             11m@9m gd/b active high => duplicate",
        ),
        (
            "Both finding ids of one reporter must say so.",
            "0 gd/a active high => new
             1m gd/b active high => duplicate
             2m gd/a resolved high => duplicate
             3m gd/b resolved high => resolved",
        ),
        (
            "Both reporters must say so, and a word back counts.",
            "0 gd/a active high => new
             1m hub/a active high => duplicate
             2m gd/a resolved high => duplicate
             3m gd/a active high => duplicate
             4m hub/a resolved high => duplicate
             5m gd/a resolved high => resolved",
        ),
        (
            "Any of several reporters brings it back.",
            "0 gd/a active high => new
             1m hub/a active high => duplicate
             2m gd/a resolved high => duplicate
             3m hub/a resolved high => resolved
             4m hub/a active high => reopened
             5m hub/a resolved high => resolved",
        ),
        (
            "Over and said again to be over, as GuardDuty and Security Hub do daily: nobody is told twice.",
            "0 gd/a active high => new
             1h gd/a resolved high => resolved
             2h gd/a resolved high => duplicate
             26h gd/a resolved high => duplicate",
        ),
        (
            "Resolved first: nothing to tell, and a late older *active* is stale.",
            "10m gd/a resolved high => resolved
             11m@9m gd/a active high => stale
             12m gd/a active high => new",
        ),
        (
            "It never was told, so it cannot be reopened.",
            "0 gd/a resolved high => resolved
             1m gd/b active high => new",
        ),
    ];
    for (sentence, story) in rows {
        check(sentence, timing(), story);
    }
}

#[test]
fn acts_have_no_end() {
    let rows = [
        (
            "The same act twice is stale; another one is a duplicate.",
            "0 trail/1 act high => new
             1m@0 trail/1 act high => stale
             1m trail/2 act high => duplicate
             2m@1m trail/2 act high => stale",
        ),
        (
            "An older act that comes late happened all the same.",
            "10m trail/1 act high => new
             11m@5m trail/2 act high => duplicate",
        ),
        (
            "A verdict older than the act says nothing about it; a newer one does.",
            "10m trail/1 act high => new
             11m@9m config/a resolved high => duplicate
             12m config/a resolved high => resolved",
        ),
        (
            "An episode that only acts keep open is forgotten too, though others were heard.",
            "10m trail/1 act high => new
             11m@9m config/a resolved high => duplicate
             87001 trail/2 act high => new",
        ),
        (
            "The episode closes by itself after the memory; the next act is new.",
            "0 trail/1 act high => new
             86401 trail/2 act high => new",
        ),
        (
            "Exactly at the memory it is still the same episode.",
            "0 trail/1 act high => new
             86400 trail/2 act high => reminder",
        ),
        (
            "The memory slides with every act.",
            "0 trail/1 act high => new
             20h trail/2 act high => duplicate
             43h trail/3 act high => reminder
             68h trail/4 act high => new",
        ),
        (
            "An act's status is never a resolution of others: it resolves when the one that can say so does.",
            "0 trail/1 act high => new
             1m config/r active high => duplicate
             2m trail/2 act high => duplicate
             3m config/r resolved high => resolved",
        ),
        (
            "Where somebody can say when it is over, nothing closes by itself.",
            "0 trail/1 act high => new
             1m config/r active high => duplicate
             72h trail/2 act high => reminder",
        ),
        (
            "An act after the end brings it back.",
            "0 trail/1 act high => new
             1m config/r active high => duplicate
             3m config/r resolved high => resolved
             5m trail/2 act high => reopened",
        ),
    ];
    for (sentence, story) in rows {
        check(sentence, timing(), story);
    }
}

#[test]
fn a_threshold_counts_in_a_sliding_window() {
    let rows = [
        (
            "The third within ten minutes opens.",
            "0 trail/1 act high => below-threshold
             5m trail/2 act high => below-threshold
             9m trail/3 act high => new",
        ),
        (
            "Exactly at the edge counts.",
            "0 trail/1 act high => below-threshold
             5m trail/2 act high => below-threshold
             10m trail/3 act high => new",
        ),
        (
            "One second later the first is forgotten.",
            "0 trail/1 act high => below-threshold
             5m trail/2 act high => below-threshold
             601 trail/3 act high => below-threshold
             602 trail/4 act high => new",
        ),
        (
            "Out of order: they count by when they happened.",
            "9m trail/1 act high => below-threshold
             9m@0 trail/2 act high => below-threshold
             9m@5m trail/3 act high => new",
        ),
        (
            "One that happened before the window does not count when it comes late.",
            "20m trail/1 act high => below-threshold
             20m@9m trail/2 act high => below-threshold
             21m trail/3 act high => below-threshold
             22m trail/4 act high => new",
        ),
        (
            "The same one twice is stale and counts once.",
            "0 trail/1 act high => below-threshold
             0 trail/1 act high => stale
             1m trail/2 act high => below-threshold
             2m trail/3 act high => new",
        ),
        (
            "While it is open every one is a duplicate; after it closed counting begins anew.",
            "0 trail/1 act high => below-threshold
             1m trail/2 act high => below-threshold
             2m trail/3 act high => new
             3m trail/4 act high => duplicate
             48h trail/5 act high => below-threshold
             2881m trail/6 act high => below-threshold
             2882m trail/7 act high => new",
        ),
    ];
    let timing = Timing { threshold: Some((3, SignedDuration::from_mins(10))), ..timing() };
    for (sentence, story) in rows {
        check(sentence, timing, story);
    }
}

#[test]
fn an_episode_counts_its_own() {
    let count = |entry: &Entry| entry.reports.iter().map(|r| (r.reporter.clone(), r.count)).collect::<Vec<_>>();
    let pairs = |list: &[(&str, u64)]| list.iter().map(|(r, c)| ((*r).to_owned(), *c)).collect::<Vec<_>>();

    let first = "0 gd/a active high => new\n1m gd/a active high => duplicate\n2m hub/a active high => duplicate\n";
    let entry = check("What does not count is counted here.", timing(), first);
    assert_eq!(count(&entry), pairs(&[("gd", 2), ("hub", 1)]));
    assert_eq!((entry.episode, entry.first_seen, entry.last_seen), (1, at(0), at(120)));

    let again = format!(
        "{first}3m gd/a resolved high => duplicate\n4m hub/a resolved high => resolved\n5m gd/a active low => reopened"
    );
    let entry = check("A new round counts from the beginning.", timing(), &again);
    assert_eq!(count(&entry), pairs(&[("gd", 1), ("hub", 0)]));
    assert_eq!((entry.episode, entry.first_seen, entry.severity), (2, at(300), Severity::Low));
    assert_eq!(entry.closed_at, None);

    let threshold = Timing { threshold: Some((3, SignedDuration::from_mins(10))), ..timing() };
    let story =
        "1m trail/1 act high => below-threshold\n0 trail/2 act high => below-threshold\n2m trail/3 act high => new";
    let entry = check("What was counted towards the threshold belongs to the episode.", threshold, story);
    assert_eq!(count(&entry), pairs(&[("trail", 3)]));
    assert_eq!((entry.first_seen, entry.window.len()), (at(0), 0));

    let told = Finding { count: 40, ..finding() };
    let mut entry = None;
    tell(&mut entry, &told, timing(), at(0));
    tell(&mut entry, &Finding { count: 42, ..seen(told, 60) }, timing(), at(60));
    assert_eq!(entry.unwrap().reports[0].count, 42, "a reporter that counts is believed");
}

#[test]
fn an_opening_begins_a_new_page() {
    use crate::values::entry::{Card, Hush};
    let card = Card {
        destination: "slack:#a".to_owned(),
        message: "1".to_owned(),
        link: None,
        storm: false,
        mentions: Vec::new(),
    };
    let hush = Hush { by: "U1".to_owned(), at: at(60), until: None };
    let rows = [
        (
            "Back within the memory: the old card is kept as the previous one.",
            3_600,
            Novelty::Reopened,
            vec![card.clone()],
        ),
        ("New after it: the old card is forgotten.", 200_000, Novelty::New, Vec::new()),
    ];
    for (sentence, later, novelty, previous) in rows {
        let mut entry = check(sentence, timing(), "0 gd/a active high => new\n1m gd/a resolved high => resolved");
        assert_eq!((entry.state, entry.closed_at), (State::Closed, Some(at(60))), "{sentence}");
        entry.cards = vec![card.clone()];
        (entry.edited_at, entry.hush) = (Some(at(60)), Some(hush.clone()));
        let (now, back) = step(&format!("{later} gd/a active high"));
        let (got, entry) = advance(Some(entry), &back, &claim(&back), timing(), now);
        assert_eq!((got, entry.previous), (novelty, previous), "{sentence}");
        assert_eq!((entry.cards.len(), entry.hush, entry.told_at, entry.edited_at), (0, None, None, None));
    }
}

#[test]
fn floods_do_not_grow_an_entry() {
    let counting = Timing { threshold: Some((u32::MAX, SignedDuration::from_hours(99_999))), ..timing() };
    let mut entry = None;
    for i in 0..3_000 {
        let (now, act) = step(&format!("{i} trail/{i} act high"));
        tell(&mut entry, &act, counting, now);
    }
    let known = entry.as_ref().unwrap();
    assert_eq!((known.window.len(), known.reports.len(), known.reports[0].seen.len()), (WINDOW_MAX, 1, SEEN_MAX));
    assert_eq!(known.reports[0].seen.last().map(String::as_str), Some("2999"), "the newest are kept");
    assert_eq!(known.window.iter().min(), Some(&at(2_000)), "the newest are kept");

    let mut entry = None;
    tell(&mut entry, &step("0 gd/over active high").1, timing(), at(0));
    tell(&mut entry, &step("1 gd/there active high").1, timing(), at(0));
    tell(&mut entry, &step("5000 gd/over resolved high").1, timing(), at(0));
    for i in 2..1_000 {
        let (now, one) = step(&format!("{i} gd/{i} active high"));
        tell(&mut entry, &one, timing(), now);
        if i == 32 {
            let ids: Vec<_> = entry.as_ref().unwrap().reports.iter().map(|r| r.id.as_str()).collect();
            assert!(!ids.contains(&"over") && ids.contains(&"there"), "one that is over goes first: {ids:?}");
        }
    }
    let reports = entry.unwrap().reports;
    assert_eq!((reports.len(), reports[0].id.as_str()), (REPORTS_MAX, "968"), "then the oldest");
}

#[test]
fn what_is_owed_comes_again_with_its_novelty() {
    let mut entry = check("", timing(), "0 gd/a active medium => new\n1m gd/a active high => escalated");
    let (_, escalation) = step("1m gd/a active high");
    entry.owed = vec![Owed::of(&escalation, Novelty::Escalated)];
    let after = |entry: &Entry, line: &str| {
        let (now, finding) = step(line);
        advance(Some(entry.clone()), &finding, &claim(&finding), timing(), now)
    };
    let rows = [
        ("The same occurrence.", "2m@1m gd/a active high", Novelty::Escalated),
        ("The same revision, closed by hand, is another.", "2m@1m gd/a resolved high", Novelty::Resolved),
        ("Another revision is another occurrence.", "2m gd/a active high", Novelty::Duplicate),
        ("An older revision.", "2m@0 gd/a active high", Novelty::Stale),
        ("Another id.", "2m@1m gd/b active high", Novelty::Duplicate),
        ("Another reporter.", "2m@1m hub/a active high", Novelty::Duplicate),
    ];
    for (sentence, line, expected) in rows {
        let (novelty, next) = after(&entry, line);
        assert_eq!(novelty, expected, "{sentence}");
        assert_eq!(next.owed, entry.owed, "{sentence} What another occurrence owes stays owed.");
    }
    assert_eq!(after(&entry, "2m@1m gd/a active high").1, entry, "nothing is counted twice");

    let (_, over) = after(&entry, "3m gd/a resolved high");
    assert_eq!(over.owed.len(), 1, "what was owed before the end is still owed");
    let (novelty, back) = after(&over, "4m gd/a active high");
    assert_eq!((novelty, back.owed.len()), (Novelty::Reopened, 0), "a new episode's card tells it all");
}

prop_compose! {
    fn any_finding()(
        reporter in 0..3_usize,
        id in 0..3_u8,
        time in 0..60_i64,
        late in 0..4_i64,
        resolved in any::<bool>(),
        severity in 0..5_usize,
    ) -> (Timestamp, Finding) {
        let acts = reporter == 2;
        let hour = 3_600;
        let revision = (time - late) * hour;
        let finding = Finding {
            reporter: ["gd", "hub", "trail"][reporter].to_owned(),
            id: if acts { format!("{id}-{revision}") } else { id.to_string() },
            status: if resolved && !acts { Status::Resolved } else { Status::Active },
            can_resolve: !acts,
            severity: Severity::ALL[severity],
            ..seen(finding(), revision)
        };
        (at(time * hour), finding)
    }
}

proptest! {
    #[test]
    fn any_story_keeps_the_invariants(
        mut story in prop::collection::vec(any_finding(), 1..60),
        sorted in any::<bool>(),
        threshold in prop::option::of(2..4_u32),
    ) {
        if sorted {
            story.sort_by_key(|(now, _)| *now);
        }
        let timing = Timing { threshold: threshold.map(|n| (n, SignedDuration::from_hours(6))), ..timing() };
        let (mut entry, mut openings) = (None::<Entry>, 0);
        for (now, finding) in story {
            let before = entry.clone();
            let novelty = tell(&mut entry, &finding, timing, now);
            let after = entry.clone().unwrap();
            prop_assert!(before.as_ref().is_none_or(|b| b.episode <= after.episode));
            if novelty == Novelty::Stale {
                prop_assert_eq!(before.as_ref(), Some(&after), "stale changes nothing");
            }
            openings += u32::from(matches!(novelty, Novelty::New | Novelty::Reopened));
            prop_assert_eq!(openings, after.episode, "each opening is an episode");
            if after.state == State::Open {
                prop_assert!(
                    after.reports.iter().any(|r| r.status == Status::Active || !r.can_resolve),
                    "somebody says that it is there"
                );
                prop_assert!(after.episode > 0 && after.closed_at.is_none());
            }
            if let Some(before) = before.filter(|b| b.state == State::Open && after.episode == b.episode) {
                prop_assert!(after.severity >= before.severity, "never less than what was told");
            }
            prop_assert_eq!(tell(&mut entry, &finding, timing, now), Novelty::Stale, "the same again");
            prop_assert_eq!(entry.as_ref(), Some(&after));
        }
    }
}

#[test]
fn of_many_reports_each_must_be_said_to_be_over() {
    let report = |id: usize, status, now| {
        let finding = Finding { id: id.to_string(), status, sent: at(now), ..seen(finding(), now) };
        (finding, at(now))
    };
    let most = REPORTS_MAX + SET_ASIDE_MAX;
    for (reports, sentence, end) in
        [(most, "as many as are known", State::Closed), (most + 1, "one more than are known", State::Open)]
    {
        let mut entry = None;
        for id in 0..reports {
            let (finding, now) = report(id, Status::Active, 1);
            tell(&mut entry, &finding, timing(), now);
        }
        for id in 0..reports - 1 {
            let (finding, now) = report(id, Status::Resolved, 2);
            assert_eq!(tell(&mut entry, &finding, timing(), now), Novelty::Duplicate, "{id} of {reports}");
        }
        let (finding, now) = report(reports - 1, Status::Resolved, 2);
        tell(&mut entry, &finding, timing(), now);
        assert_eq!(entry.unwrap().state, end, "{sentence}");
    }
}

#[test]
fn what_was_set_aside_and_comes_again_is_known_once() {
    let lines: Vec<String> = (0..=REPORTS_MAX).map(|id| format!("{id} gd/{id} active high")).collect();
    let mut entry = None;
    let mut hear = |line: &str| {
        let (now, finding) = step(line);
        tell(&mut entry, &finding, timing(), now)
    };
    for line in &lines {
        hear(line);
    }
    hear("100 gd/0 active high");
    for id in 1..=REPORTS_MAX {
        hear(&format!("200 gd/{id} resolved high"));
    }
    assert_eq!(hear("201 gd/0 resolved high"), Novelty::Resolved);
}

#[test]
fn a_count_has_an_end() {
    let mut entry = None;
    tell(&mut entry, &Finding { count: u64::MAX, ..finding() }, timing(), at(0));
    let act = Finding { count: 1, ..seen(finding(), 60) };
    assert_eq!(tell(&mut entry, &act, timing(), at(60)), Novelty::Duplicate);
    assert_eq!(entry.unwrap().reports[0].count, u64::MAX);
}

#[test]
fn whoever_only_says_that_it_is_over_counts_nothing_and_is_shown() {
    let entry = check("", timing(), "0 trail/1 act high => new\n1m config/a resolved high => resolved");
    let view = crate::decide::show::view(
        &crate::decide::config::Config::default(),
        &entry,
        &crate::testing::edit(),
        Novelty::Resolved,
        None,
        None,
    );
    let shown: Vec<_> = view.reporters.iter().map(|r| (r.name.as_str(), r.resolved)).collect();
    assert_eq!((view.count, shown), (1, vec![("trail", false), ("config", true)]));
}
