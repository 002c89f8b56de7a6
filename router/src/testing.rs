//! What unit tests build from: one finding, its claim, a playbook, a configuration, a clock. Rows change what they are about.
use crate::{
    decide::{
        config::Config, novelty::Timing, playbook::Playbook, policy::PolicyFile, runbook::Catalogue, written::Problem,
    },
    values::{
        action::{Notify, NotifyMode},
        finding::{Finding, Resource, Status},
        severity::Severity,
        verdict::Claim,
    },
};
use findings_formatters::view::Kind;
use jiff::{SignedDuration, Timestamp};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";

/// Numbers that look random: the same seed is the same run, on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.number() % sides as u64).unwrap_or_default()
    }
}

/// So many seconds into the tests' day.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

/// A day of quiet, a day of memory, no threshold.
pub(crate) fn timing() -> Timing {
    Timing { quiet: SignedDuration::from_hours(24), memory: SignedDuration::from_hours(24), threshold: None }
}

/// An instance, as GuardDuty reports it at second 0.
pub(crate) fn finding() -> Finding {
    Finding {
        id: "f".to_owned(),
        revision: at(0),
        sent: at(0),
        reporter: "guardduty".to_owned(),
        kind: "CryptoCurrency:EC2/BitcoinTool.B!DNS".to_owned(),
        problem: "CryptoCurrency:EC2/BitcoinTool.B!DNS".to_owned(),
        title: "Mining".to_owned(),
        description: "It mines.".to_owned(),
        severity: Severity::High,
        status: Status::Active,
        can_resolve: true,
        account: ACCOUNT.to_owned(),
        region: "eu-west-1".to_owned(),
        resources: vec![instance()],
        actor: None,
        first_seen: at(0),
        last_seen: at(0),
        count: 1,
        link: None,
        exercise: None,
        signals: Vec::new(),
    }
}

pub(crate) fn instance() -> Resource {
    Resource {
        kind: "AwsEc2Instance".into(),
        id: INSTANCE.to_owned(),
        arn: Some(format!("arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{INSTANCE}")),
        name: Some("web-1".to_owned()),
        account: None,
        tags: Vec::new(),
    }
}

/// The same, seen again at this second.
pub(crate) fn seen(finding: Finding, seconds: i64) -> Finding {
    Finding { revision: at(seconds), last_seen: at(seconds), first_seen: at(seconds), ..finding }
}

/// What playbook 0 makes of a finding.
pub(crate) fn claim(finding: &Finding) -> Claim {
    Claim {
        playbook: 0,
        severity: finding.severity,
        weakness: "ec2-crypto-mining".to_owned(),
        about: finding.resources[0].clone(),
        region: Some(finding.region.clone()),
        fingerprint: "fingerprint".to_owned(),
        also: Vec::new(),
        notes: Vec::new(),
    }
}

/// GuardDuty's word on a numbered instance, so many seconds into the tests' day.
pub(crate) fn guardduty(kind: &str, instance: u32, second: i64, severity: &str, archived: bool) -> String {
    let time = at(second);
    format!(
        r#"{{"id":"e{instance}-{second}","source":"aws.guardduty","detail-type":"GuardDuty Finding","account":"{ACCOUNT}",
        "region":"eu-west-1","time":"{time}","detail":{{"arn":"arn:{instance}","id":"{instance}","type":"{kind}",
        "title":"Something {instance}","severity":{severity},"accountId":"{ACCOUNT}","region":"eu-west-1","updatedAt":"{time}",
        "service":{{"archived":{archived},"count":1}},
        "resource":{{"resourceType":"Instance","instanceDetails":{{"instanceId":"i-{instance:017x}"}}}}}}}}"#
    )
}

/// An edit of a card.
pub(crate) fn edit() -> Notify {
    Notify {
        destination: "slack:#security".to_owned(),
        mode: NotifyMode::Update,
        kind: Kind::Card,
        storm: None,
        target: Some("1".to_owned()),
        mentions: Vec::new(),
    }
}

/// An SSM document that takes these parameters, all of them lists, and runs in the caller's role.
pub(crate) fn document(name: &str, parameters: &[&str]) -> PolicyFile {
    let parameters: Vec<String> =
        parameters.iter().map(|p| format!("  {p}: {{ type: StringList, default: [] }}\n")).collect();
    let parameters = parameters.concat();
    let text = format!("description: Does it.\nparameters:\n{parameters}\nmainSteps: [{{ name: Verify }}]\n");
    PolicyFile { name: name.to_owned(), path: format!("{name}.yaml"), text }
}

/// What is known of the runbooks that tests name.
pub(crate) fn catalogue() -> Catalogue {
    let mut problems = Vec::new();
    let documents = ["Contain", "Other", "Runbook", "Run"].map(|n| document(n, &["InstanceId", "Action", "P"]));
    let catalogue = Catalogue::load("{}", &documents, &mut problems);
    assert!(problems.is_empty(), "{problems:#?}");
    catalogue
}

/// A playbook that claims GuardDuty findings, with more lines after it.
pub(crate) fn playbook_text(more: &str) -> String {
    format!(
        "summary = 'A test'\nweakness = 'ec2-crypto-mining'\nwhen.source = ['aws.guardduty']\n\
         [tell]\ntitle = 'It mines'\nwhy = 'Bad'\nnext = ['Stop it']\n{more}"
    )
}

pub(crate) fn playbook(more: &str) -> Playbook {
    Playbook::parse("mining", "mining.toml", &playbook_text(more)).unwrap()
}

pub(crate) fn config(text: &str) -> Config {
    let (config, problems) = Config::parse("findings-router.toml", text);
    assert!(problems.is_empty(), "{problems:#?}");
    config
}

/// Broken files with what is said about each; one that is accepted is a failure.
pub(crate) fn refusals<T>(rows: &[(&str, String)], parse: impl Fn(&str) -> Result<T, Vec<Problem>>) -> String {
    let shown = rows.iter().map(|(sentence, text)| {
        let Err(problems) = parse(text) else { panic!("accepted: {sentence}") };
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        format!("## {sentence}\n{}\n", lines.join("\n"))
    });
    shown.collect::<Vec<_>>().join("\n")
}
