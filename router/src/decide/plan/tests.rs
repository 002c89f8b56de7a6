//! What is owed: per novelty, destination and storm.
use super::*;
use crate::{
    decide::novelty::advance,
    testing::{ACCOUNT, at, catalogue, claim, config, finding, playbook, timing},
};

const A: &str = "slack:#security";

fn blank() -> Entry {
    let finding = finding();
    let (_, entry) = advance(None, &finding, &claim(&finding), timing(), at(0));
    entry
}

fn card(destination: &str, message: &str, storm: bool) -> Card {
    Card { destination: destination.to_owned(), message: message.to_owned(), link: None, storm, mentions: Vec::new() }
}

/// `post card`, `update card@1`, `thread storm-line@9`, with the destination where it is not the only one.
fn told(actions: &[Action]) -> String {
    let notify = actions.iter().filter_map(|a| match a {
        Action::Notify(n) => Some(format!(
            "{}{} {:?}{}",
            if n.destination == A { String::new() } else { format!("{} ", n.destination) },
            n.mode.as_str(),
            n.kind,
            n.target.as_deref().map(|t| format!("@{t}")).unwrap_or_default()
        )),
        Action::Remediate(_) | Action::Digest(_) | Action::Publish(_) => None,
    });
    notify.collect::<Vec<_>>().join(", ")
}

fn run(
    config: &Config,
    entry: &mut Entry,
    tallies: &mut Tallies,
    finding: &Finding,
    claim: &Claim,
    novelty: Novelty,
    now: i64,
) -> Vec<Action> {
    let playbook = playbook("[[remediate]]\nrunbook = 'Runbook'\neffect = 'harmless'\n");
    let tree = Node::Null;
    let catalogue = catalogue();
    let facts = Facts {
        config,
        catalogue: &catalogue,
        playbook: &playbook,
        finding,
        claim,
        novelty,
        tree: &tree,
        now: at(now),
    };
    let before: Vec<String> = tallies.keys().cloned().collect();
    let asked = facts.tallies();
    let actions = plan(&facts, entry, tallies);
    for key in tallies.keys().filter(|k| !before.contains(k)) {
        assert!(asked.contains(key), "{key} must be read first: {asked:?}");
    }
    actions
}

fn one(entry: &mut Entry, novelty: Novelty, now: i64) -> Vec<Action> {
    let finding = finding();
    run(&Config::default(), entry, &mut Tallies::new(), &finding, &claim(&finding), novelty, now)
}

#[test]
fn each_novelty_tells_what_it_should() {
    use Novelty::{BelowThreshold, Duplicate, Escalated, New, Reminder, Reopened, Resolved, Stale};
    // What is in the channel: nothing, a card of its own, a line in a storm's thread.
    let rows = [
        (New, ["post Card", "", "post Card"]),
        (Reopened, ["post Card", "", "post Card"]),
        (Escalated, ["post Card", "update Card@1, broadcast Escalated@1", "post Card"]),
        (Reminder, ["post Card", "broadcast Reminder@1", "thread Reminder@9"]),
        (Resolved, ["", "update Card@1, thread Resolved@1", "thread Resolved@9"]),
        (Duplicate, ["", "update Card@1", ""]),
        (Stale, ["", "", ""]),
        (BelowThreshold, ["", "", ""]),
    ];
    for (novelty, expected) in rows {
        let cards = [vec![], vec![card(A, "1", false)], vec![card(A, "9", true)]];
        for (cards, expected) in cards.into_iter().zip(expected) {
            let mut entry = Entry { cards, ..blank() };
            let actions = one(&mut entry, novelty, 3_600);
            assert_eq!(told(&actions), expected, "{novelty} with {:?}", entry.cards);
            let planned = actions.iter().filter(|a| matches!(a, Action::Remediate(_))).count();
            assert_eq!(
                planned,
                usize::from(matches!(novelty, New | Reopened)),
                "{novelty}: only an opening remediates"
            );
            assert_eq!(entry.remediations.len(), planned, "{novelty}");
        }
    }
}

#[test]
fn a_card_is_edited_at_most_once_a_minute() {
    let rows = [
        ("Never told, never edited.", None, None, 0, true),
        ("A second too early after the post.", Some(0), None, 59, false),
        ("A minute after the post.", Some(0), None, 60, true),
        ("A second too early after the last edit.", Some(0), Some(60), 119, false),
        ("A minute after the last edit.", Some(0), Some(60), 120, true),
        ("A reply is no edit.", Some(110), Some(60), 120, true),
    ];
    for (sentence, told_at, edited_at, now, due) in rows {
        let mut entry = Entry { cards: vec![card(A, "1", false)], ..blank() };
        (entry.told_at, entry.edited_at) = (told_at.map(at), edited_at.map(at));
        assert_eq!(
            told(&one(&mut entry, Novelty::Duplicate, now)),
            if due { "update Card@1" } else { "" },
            "{sentence}"
        );
    }
}

#[test]
fn a_retry_after_the_end_mends_nothing() {
    let mut entry = Entry { state: State::Closed, ..blank() };
    let actions = one(&mut entry, Novelty::New, 60);
    assert_eq!((told(&actions).as_str(), actions.len()), ("post Card", 1), "it is told, and not remediated");
}

#[test]
fn a_proposal_is_shown_on_the_card() {
    let mut entry = blank();
    one(&mut entry, Novelty::New, 0);
    let offer = &entry.remediations[0];
    assert_eq!(
        (offer.job.runbook.as_str(), offer.effect.as_str(), offer.mode.as_str(), offer.progress.as_str()),
        ("Runbook", "harmless", "propose", "proposed")
    );
    assert_eq!((&offer.stopped, &offer.undo, offer.due), (&None, &None, None));
}

#[test]
fn each_destination_has_cards_of_its_own() {
    let config = config("[[route]]\nto = ['slack:#security', 'slack:#soc']\n");
    let finding = finding();
    let rows = [
        (Novelty::New, vec![], "post Card, slack:#soc post Card"),
        (
            Novelty::Duplicate,
            vec![card(A, "1", false), card("slack:#soc", "2", false)],
            "update Card@1, slack:#soc update Card@2",
        ),
        (Novelty::Reminder, vec![card(A, "1", false)], "broadcast Reminder@1, slack:#soc post Card"),
        (Novelty::Escalated, vec![card("slack:#soc", "2", true)], "post Card, slack:#soc post Card"),
    ];
    for (novelty, cards, expected) in rows {
        let mut entry = Entry { cards, ..blank() };
        let actions = run(&config, &mut entry, &mut Tallies::new(), &finding, &claim(&finding), novelty, 3_600);
        assert_eq!(told(&actions), expected, "{novelty}");
    }
    // Where the routes (or the severity) have changed since: wherever a card is, it is kept true.
    let elsewhere = crate::testing::config("[[route]]\nto = 'slack:#new'\n");
    let rows = [
        (Novelty::Duplicate, "update Card@1"),
        (Novelty::Resolved, "update Card@1, thread Resolved@1"),
        (Novelty::Reminder, "slack:#new post Card, broadcast Reminder@1"),
        (Novelty::Escalated, "slack:#new post Card, update Card@1, broadcast Escalated@1"),
        (Novelty::New, "slack:#new post Card"),
    ];
    for (novelty, expected) in rows {
        let mut entry = Entry { cards: vec![card(A, "1", false)], ..blank() };
        let actions = run(&elsewhere, &mut entry, &mut Tallies::new(), &finding, &claim(&finding), novelty, 3_600);
        assert_eq!(told(&actions), expected, "{novelty}, routed elsewhere");
    }
    let nowhere = crate::testing::config("[[route]]\nto = []\n");
    let mut entry = blank();
    let actions = run(&nowhere, &mut entry, &mut Tallies::new(), &finding, &claim(&finding), Novelty::New, 0);
    assert_eq!((told(&actions).as_str(), actions.len()), ("", 1), "a route to nowhere still plans the runbook");
}

/// One finding of a storm: when, whose (resource, account), how bad, what it gives.
fn storm_story(sentence: &str, config: &Config, story: &[(i64, &str, &str, &str, &str)]) {
    let mut tallies = Tallies::new();
    for (i, (now, id, account, severity, expected)) in story.iter().enumerate() {
        let finding = Finding { account: (*account).to_owned(), severity: severity.parse().unwrap(), ..finding() };
        let claim = Claim { fingerprint: (*id).to_owned(), ..claim(&finding) };
        let actions = run(config, &mut blank(), &mut tallies, &finding, &claim, Novelty::New, *now);
        assert_eq!(told(&actions), *expected, "{sentence} Step {i}.");
        // As the router does.
        for action in &actions {
            if let Action::Notify(n) = action
                && n.kind == Kind::Storm
                && n.mode == NotifyMode::Post
            {
                let tally = tallies.get_mut(&format!("storm/mining/{account}/{}", n.destination)).unwrap();
                tally.card = Some(format!("S{i}"));
            }
        }
    }
}

#[test]
fn many_at_once_become_one_card() {
    let (card, first) = ("post Card", "post Storm, thread StormLine");
    let here = ACCOUNT;
    storm_story(
        "Three cards, then a storm.",
        &Config::default(),
        &[
            (0, "1", here, "high", card),
            (1, "2", here, "high", card),
            (2, "3", here, "high", card),
            (3, "4", here, "high", first),
            (4, "5", here, "high", "update Storm@S3, thread StormLine@S3"),
            (5, "6", here, "critical", card),
            (6, "7", "444455556666", "high", card),
            (7, "8", here, "medium", "update Storm@S3, thread StormLine@S3"),
        ],
    );
    storm_story(
        "Critical findings do not count towards a storm.",
        &Config::default(),
        &[
            (0, "1", here, "critical", card),
            (1, "2", here, "critical", card),
            (2, "3", here, "critical", card),
            (3, "4", here, "critical", card),
            (4, "5", here, "high", card),
        ],
    );
    storm_story(
        "The same problem twice counts once.",
        &Config::default(),
        &[
            (0, "1", here, "high", card),
            (1, "2", here, "high", card),
            (2, "3", here, "high", card),
            (3, "1", here, "high", card),
            (4, "4", here, "high", first),
        ],
    );
    storm_story(
        "The window slides: exactly at its end the first is forgotten.",
        &Config::default(),
        &[
            (0, "1", here, "high", card),
            (1, "2", here, "high", card),
            (2, "3", here, "high", card),
            (600, "4", here, "high", card),
            (600, "5", here, "high", first),
        ],
    );
    storm_story(
        "A storm goes on while it has findings, and is over when it has none.",
        &Config::default(),
        &[
            (0, "1", here, "high", card),
            (0, "2", here, "high", card),
            (0, "3", here, "high", card),
            (0, "4", here, "high", first),
            (599, "5", here, "high", "update Storm@S3, thread StormLine@S3"),
            (1_198, "6", here, "high", "update Storm@S3, thread StormLine@S3"),
            (1_798, "7", here, "high", card),
        ],
    );
    storm_story(
        "Limits of one's own.",
        &config("storm = { cards = 1, window = '1m' }"),
        &[(0, "1", here, "high", card), (59, "2", here, "high", first), (119, "3", here, "high", card)],
    );
}

#[test]
fn a_flapping_finding_is_a_storm_of_its_own() {
    let mut tallies = Tallies::new();
    for (episode, expected) in
        [(1, "post Card"), (2, "post Card"), (2, "post Card"), (3, "post Card"), (4, "post Storm, thread StormLine")]
    {
        let mut entry = Entry { episode, ..blank() };
        let finding = Finding { severity: Severity::High, ..finding() };
        let actions =
            run(&Config::default(), &mut entry, &mut tallies, &finding, &claim(&finding), Novelty::Reopened, 0);
        assert_eq!(told(&actions), expected, "episode {episode}");
    }
}

#[test]
fn a_storm_is_of_one_playbook_account_and_destination() {
    let config = config("[[route]]\naccount = ['111122223333']\nto = ['slack:#security', 'slack:#soc']\n");
    let finding = finding();
    let claim = claim(&finding);
    let mut tallies = Tallies::new();
    let mut busy = Tally::new(format!("storm/mining/{ACCOUNT}/{A}"));
    for i in 0..3 {
        busy.add(at(0), &i.to_string());
    }
    tallies.insert(busy.key.clone(), busy);
    let actions = run(&config, &mut blank(), &mut tallies, &finding, &claim, Novelty::New, 1);
    assert_eq!(told(&actions), "post Storm, thread StormLine, slack:#soc post Card", "another destination is calm");
    let other = Playbook { name: "other".to_owned(), ..playbook("") };
    let catalogue = catalogue();
    let facts = Facts {
        config: &config,
        catalogue: &catalogue,
        playbook: &other,
        finding: &finding,
        claim: &claim,
        novelty: Novelty::New,
        tree: &Node::Null,
        now: at(1),
    };
    let actions = plan(&facts, &mut blank(), &mut tallies);
    assert_eq!(told(&actions), "post Card, slack:#soc post Card", "another playbook is calm");
}
