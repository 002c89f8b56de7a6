//! Entries to write: an ordinary one, and the largest that AWS can make.
use crate::values::{
    entry::{
        ACTORS_MAX, Card, Claimed, Entry, HISTORY_MAX, History, OWED_MAX, Offer, Owed, REPORTS_MAX, Report, SCHEMA,
        SEEN_MAX, Shown, State, WINDOW_MAX, Waiting,
    },
    finding::{Actor, ActorKind, Resource, Status},
    severity::Severity,
    verdict::Novelty,
};
use jiff::{SignedDuration, Timestamp};

/// The longest id that AWS documents for findings and principals.
const ID: usize = 512;
/// A console link.
const LINK: usize = 500;
/// A text of a card.
const TEXT: usize = 600;
/// A line of history.
const LINE: usize = 300;

/// An open problem that one reporter told, last written at this time.
pub fn sample(fingerprint: &str, at: Timestamp) -> Entry {
    Entry {
        schema: SCHEMA,
        version: 0,
        fingerprint: fingerprint.to_owned(),
        account: "111122223333".to_owned(),
        region: Some("eu-west-1".to_owned()),
        resource: Resource {
            kind: "AwsEc2Instance".into(),
            id: "i-0123456789abcdef0".to_owned(),
            arn: None,
            name: Some("ウェブ \"1\"\n".to_owned()),
            account: None,
            tags: vec![("team".to_owned(), String::new())],
        },
        weakness: "ec2-crypto-mining".to_owned(),
        episode: 1,
        state: State::Open,
        closed_at: None,
        severity: Severity::High,
        first_seen: at,
        last_seen: at,
        told_at: Some(at),
        edited_at: None,
        edit_due: None,
        waiting: Vec::new(),
        reports: vec![report(0, at)],
        overflow: false,
        actors: Vec::new(),
        window: Vec::new(),
        cards: Vec::new(),
        previous: Vec::new(),
        shown: None,
        offers: Vec::new(),
        owed: Vec::new(),
        history: Vec::new(),
        updated_at: at,
        names: Vec::new(),
    }
}

/// Every list at its limit, every text as long as AWS makes them.
pub fn maximal(fingerprint: &str, at: Timestamp) -> Entry {
    let (id, text) = (|n| long(n, ID), |n| long(n, TEXT));
    let card = |n| Card {
        destination: long(n, 80),
        message: long(n, 40),
        link: Some(long(n, LINK)),
        storm: n % 2 == 0,
        mentions: list(10, |m| long(m, 20)),
    };
    let owed = |n| Owed {
        reporter: long(n, 40),
        id: id(n),
        revision: at,
        status: Status::Resolved,
        novelty: Novelty::BelowThreshold,
        was: Some(Severity::Informational),
        done: list(4, |m| long(m, 120)),
        unsure: list(2, |m| long(m, 120)),
        begun: Some(at),
        claimed: Some(Claimed { since: at, until: at }),
    };
    let history = |n| History {
        at,
        times: u64::MAX,
        event: long(n, 36),
        reporter: long(n, 40),
        novelty: Novelty::BelowThreshold,
        severity: Severity::Critical,
        done: list(4, |m| long(m, LINE)),
    };
    let actor = Actor {
        kind: ActorKind::IdentityCenterUser,
        id: id(0),
        name: long(0, 256),
        account: Some(long(0, 12)),
        session: Some(long(0, 64)),
        access_key: Some(long(0, 128)),
        source_ip: Some(long(0, 256)),
    };
    Entry {
        resource: Resource {
            kind: long(0, 60).into(),
            id: id(0),
            arn: Some(long(0, 2_048)),
            name: Some(long(0, 256)),
            account: Some(long(0, 12)),
            tags: list(50, |n| (long(n, 128), long(n, 256))),
        },
        closed_at: Some(at),
        edited_at: Some(at),
        edit_due: Some(at + SignedDuration::from_hours(24)),
        waiting: list(10, |n| Waiting { destination: long(n, 80), until: at + SignedDuration::from_hours(24) }),
        // Acts weigh more than findings: a report has the ids of acts, or one of its own.
        reports: list(REPORTS_MAX, |n| Report {
            id: String::new(),
            can_resolve: false,
            seen: list(SEEN_MAX, |m| long(m, 36)),
            ..report(n, at)
        }),
        overflow: true,
        actors: list(ACTORS_MAX, id),
        window: list(WINDOW_MAX, |_| at + SignedDuration::from_nanos(1)),
        cards: list(10, card),
        previous: list(10, card),
        shown: Some(Shown {
            playbook: long(0, 80),
            also: list(10, |n| long(n, 80)),
            title: text(0),
            why: text(1),
            next: list(10, text),
            finding_type: long(0, 256),
            actor: Some(actor),
            more_resources: usize::MAX,
            signals: list(50, |n| long(n, 200)),
            exercise: Some("replay".to_owned()),
        }),
        offers: list(4, |n| Offer {
            runbook: long(n, 128),
            effect: "destructive".to_owned(),
            mode: "automatic".to_owned(),
            parameters: list(10, |m| long(m, 200)),
            stopped: Some(text(n)),
            undo: true,
        }),
        owed: list(OWED_MAX, owed),
        history: list(HISTORY_MAX, history),
        ..sample(fingerprint, at)
    }
}

fn report(n: usize, at: Timestamp) -> Report {
    Report {
        reporter: format!("guardduty-{n}"),
        id: long(n, ID),
        revision: at,
        sent: at,
        status: Status::Active,
        can_resolve: true,
        count: 1,
        link: Some(long(n, LINK)),
        seen: Vec::new(),
    }
}

fn list<T>(count: usize, make: impl Fn(usize) -> T) -> Vec<T> {
    (0..count).map(make).collect()
}

/// A text of this length that no other number has.
fn long(n: usize, length: usize) -> String {
    format!("{n:-<length$}")
}
