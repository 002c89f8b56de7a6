//! Findings made up for looking at cards: every field filled, and nothing filled that can be empty. User templates are
//! tried on both when they are loaded, and previews show them.
use crate::view::{
    AccountView, ActorView, HushView, Kind, LineView, Locale, RemediationView, ReporterView, ResourceView, StormView,
    View,
};

/// 2026-11-22 02:40 UTC.
const FIRST: i64 = 1_795_315_200;

/// A critical finding with everything that a card can show.
pub fn full(kind: Kind, locale: Locale) -> View {
    let words = |en: &str, ja: &str| match locale {
        Locale::En => en.to_owned(),
        Locale::Ja => ja.to_owned(),
    };
    View {
        kind,
        locale,
        title: words("web-01 is mining cryptocurrency", "web-01 が暗号資産をマイニングしています"),
        why: words(
            "Usually a stolen key or an exposed service. The bill and the foothold grow by the hour.",
            "多くは漏洩したキーか公開されたサービスが原因です。時間とともに請求額と侵害範囲が広がります。",
        ),
        next: vec![
            words("Isolate the instance", "インスタンスを隔離する"),
            words("Rotate the credentials of its role", "ロールの認証情報を無効化する"),
            words("Look for other instances of the same image", "同じ AMI のインスタンスを調べる"),
        ],
        severity: "critical".to_owned(),
        severity_before: Some("medium".to_owned()),
        resolved: kind == Kind::Resolved,
        novelty: if kind == Kind::Card { "reopened" } else { "escalated" }.to_owned(),
        exercise: Some("sample".to_owned()),
        version: Some("1.2.3".to_owned()),
        account: AccountView {
            id: "111122223333".to_owned(),
            name: Some("shop-production".to_owned()),
            environment: Some("production".to_owned()),
            owner: Some("payments".to_owned()),
        },
        region: Some("eu-west-1".to_owned()),
        resource: ResourceView {
            kind: "AwsEc2Instance".to_owned(),
            id: "i-0abc123de456f7890".to_owned(),
            name: "web-01".to_owned(),
            link: Some(
                "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#InstanceDetails:instanceId=i-0abc123de456f7890"
                    .to_owned(),
            ),
        },
        more_resources: 2,
        actor: Some(ActorView {
            kind: "role-session".to_owned(),
            name: "role/deploy (alice)".to_owned(),
            source_ip: Some("198.51.100.7".to_owned()),
            others: 1,
        }),
        first_seen: FIRST,
        last_seen: FIRST + 5_400,
        count: 14,
        reporters: vec![
            ReporterView {
                name: "guardduty".to_owned(),
                resolved: false,
                link: Some(
                    "https://eu-west-1.console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba".to_owned(),
                ),
            },
            ReporterView { name: "security-hub".to_owned(), resolved: kind == Kind::Resolved, link: None },
        ],
        finding_type: "CryptoCurrency:EC2/BitcoinTool.B!DNS".to_owned(),
        signals: vec![
            words("Credentials used from a Tor exit node", "Tor 出口ノードから認証情報が使われた"),
            words("Instance asked for a mining pool's address", "マイニングプールの名前解決"),
        ],
        also: vec!["ec2-suspicious-dns".to_owned()],
        remediations: remediations(kind, locale),
        previous: Some("https://example.slack.com/archives/C0SECURITY/p1795200000000100".to_owned()),
        fingerprint: "5f0c9a7be1d24f66".to_owned(),
        playbook: "ec2-crypto-mining".to_owned(),
        mentions: vec!["<!subteam^S0PAYMENTS>".to_owned(), "<@U0ALICE01>".to_owned()],
        fixed: true,
        lines: vec![LineView {
            severity: "low".to_owned(),
            title: words("alice made a NAT gateway", "alice が NAT ゲートウェイを作成しました"),
            account: AccountView { id: "111122223333".to_owned(), ..AccountView::default() },
            region: Some("eu-west-1".to_owned()),
            count: 3,
            resolved: false,
        }],
        storm: Some(StormView { count: 27, minutes: 10 }),
        interactive: true,
        hushed: Some(HushView { by: "<@U0ALICE01>".to_owned(), until: Some(1_795_340_000) }),
    }
}

/// One that waits for a second approval, or failed; and one that a rail stopped.
fn remediations(kind: Kind, locale: Locale) -> Vec<RemediationView> {
    let life = is_life(kind);
    let words = |en: &str, ja: &str| match locale {
        Locale::En => en.to_owned(),
        Locale::Ja => ja.to_owned(),
    };
    vec![
        RemediationView {
            runbook: "AWSSupport-ContainEC2Instance".to_owned(),
            effect: "disruptive".to_owned(),
            mode: "approve".to_owned(),
            parameters: vec!["InstanceId=i-0abc123de456f7890".to_owned(), "Action=Contain".to_owned()],
            stopped: None,
            undo: true,
            id: "0f2ad1c4-98be-5b6e-9c1d-6e1f0a2b3c4d".to_owned(),
            plan: "9c1d6e1f0a2b3c4d".to_owned(),
            asks: vec!["approve".to_owned(), "deny".to_owned()],
            account: "111122223333".to_owned(),
            region: "eu-west-1".to_owned(),
            state: life.then(|| "failed".to_owned()),
            by: Some("<@U0ALICE01>".to_owned()),
            why: Some("Contain: the bucket for backups does not exist".to_owned()),
            needed: 2,
            approved: 1,
            does: Some("Saves the instance's network settings and isolates it.".to_owned()),
            caution: Some("Takes the instance off the network.".to_owned()),
            undo_runbook: Some("AWSSupport-ContainEC2Instance".to_owned()),
            link: Some(
                "https://eu-west-1.console.aws.amazon.com/systems-manager/automation/execution/0f2ad1c4".to_owned(),
            ),
            ..RemediationView::default()
        },
        RemediationView {
            runbook: "AWS-StopEC2Instance".to_owned(),
            effect: "disruptive".to_owned(),
            mode: "automatic".to_owned(),
            parameters: vec!["InstanceId=i-0abc123de456f7890".to_owned()],
            stopped: Some(words("the resource is tagged protected", "保護タグが付いたリソースです")),
            ..RemediationView::default()
        },
    ]
    .into_iter()
    .take(if life { 1 } else { 2 })
    .collect()
}

/// A message about one remediation.
fn is_life(kind: Kind) -> bool {
    matches!(kind, Kind::Remediation | Kind::Dialog)
}

/// A finding that is as empty as a finding can be.
pub fn bare(kind: Kind, locale: Locale) -> View {
    let full = full(kind, locale);
    let life = is_life(kind);
    View {
        why: String::new(),
        next: Vec::new(),
        severity: "informational".to_owned(),
        severity_before: None,
        novelty: "new".to_owned(),
        exercise: None,
        version: None,
        account: AccountView { id: "111122223333".to_owned(), ..AccountView::default() },
        region: None,
        resource: ResourceView {
            kind: "AwsAccount".to_owned(),
            id: "111122223333".to_owned(),
            name: "111122223333".to_owned(),
            link: None,
        },
        more_resources: 0,
        actor: None,
        last_seen: full.first_seen,
        count: 1,
        reporters: Vec::new(),
        finding_type: String::new(),
        signals: Vec::new(),
        also: Vec::new(),
        // A reply tells a step of one.
        remediations: if life {
            vec![RemediationView { state: Some("started".to_owned()), ..RemediationView::default() }]
        } else {
            Vec::new()
        },
        interactive: false,
        hushed: None,
        previous: None,
        mentions: Vec::new(),
        fixed: false,
        lines: Vec::new(),
        storm: None,
        ..full
    }
}
