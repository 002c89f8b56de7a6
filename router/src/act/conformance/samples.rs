//! Entries to write: an ordinary one, and the largest that AWS can make.
use crate::decide::remediation::NEWS_MAX;
use crate::values::{
    action::{Effect, Mode, Stop},
    entry::{
        ACTORS_MAX, Card, Claimed, Entry, HISTORY_MAX, History, Hush, OWED_MAX, Owed, REPORTS_MAX, Report, SCHEMA,
        SEEN_MAX, SET_ASIDE_MAX, Shown, State, WINDOW_MAX, Waiting,
    },
    finding::{Actor, ActorKind, Resource, Status},
    remediation::{
        Approval, Job, News, OUTPUTS_MAX, PARAMETERS_MAX, Progress, REMEDIATIONS_MAX, Remediation, Run, TURNS_MAX,
        Turn, Undo,
    },
    severity::Severity,
    verdict::Novelty,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

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
        set_aside: BTreeSet::new(),
        overflow: false,
        actors: Vec::new(),
        window: Vec::new(),
        cards: Vec::new(),
        previous: Vec::new(),
        shown: None,
        remediations: Vec::new(),
        news: Vec::new(),
        hush: None,
        sessions: Vec::new(),
        crowded: false,
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
        set_aside: (0..SET_ASIDE_MAX).map(|n| format!("{n:012x}")).collect(),
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
        remediations: list(REMEDIATIONS_MAX, |n| remediation(n, at)),
        news: list(NEWS_MAX, |n| News {
            remediation: long(n, 36),
            turn: turn(n, at),
            loud: true,
            left: list(4, |m| long(m, 80)),
            due: at,
            unsure: true,
        }),
        hush: Some(Hush { by: long(0, 11), at, until: Some(at) }),
        sessions: list(ACTORS_MAX, |n| long(n, 64)),
        owed: list(OWED_MAX, owed),
        history: list(HISTORY_MAX, history),
        ..sample(fingerprint, at)
    }
}

fn turn(n: usize, at: Timestamp) -> Turn {
    Turn { at, what: "undo-failed".to_owned(), by: Some(long(n, 11)), why: Some(long(n, 300)) }
}

fn remediation(n: usize, at: Timestamp) -> Remediation {
    let values = |most: usize| BTreeMap::from([(long(n, 40), list(most / 200, |v| long(v, 200)))]);
    let job = |most| Job {
        runbook: long(n, 128),
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        parameters: values(most),
    };
    Remediation {
        id: long(n, 36),
        episode: 1,
        playbook: long(n, 80),
        job: job(PARAMETERS_MAX),
        mode: Mode::Automatic,
        effect: Effect::Destructive,
        stopped: Some(Stop { rail: "budget".to_owned(), reason: long(n, 200) }),
        undo: Some(Undo {
            job: job(PARAMETERS_MAX),
            outputs: list(2, |m| (long(m, 40), long(m, 40), long(m, 80))),
            within: SignedDuration::from_hours(1),
        }),
        deadline: SignedDuration::from_hours(24),
        progress: Progress::UndoFailed,
        attempt: 3,
        approvals: list(2, |m| Approval { by: long(m, 11), at }),
        approved: None,
        due: None,
        claimed: Some(at),
        run: Some(Run {
            client_token: long(n, 36),
            execution: Some(long(n, 36)),
            since: at,
            ended: Some(at),
            step: Some(long(n, 60)),
            outputs: values(OUTPUTS_MAX),
            failed_looks: 3,
        }),
        applied: Some(at),
        turns: list(TURNS_MAX, |m| turn(m, at)),
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
