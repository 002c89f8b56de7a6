//! What a message can show: plain values, already decided, in the reader's vocabulary.
//!
//! Everything here may hold text that an attacker wrote; the renderers escape it. A `View` is complete: a template needs
//! nothing else, and what it names wrongly is an error that lists what there is.
use serde::Serialize;

/// The language of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// English
    #[default]
    En,
    /// Japanese
    Ja,
}

impl Locale {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Ja];
}

/// Which message about the problem this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The card itself, posted once and edited as things change.
    #[default]
    Card,
    /// A reply in the card's thread that says it got worse.
    Escalated,
    /// A reply in the card's thread that says it is still there.
    Reminder,
    /// A reply in the card's thread that says it is gone.
    Resolved,
    /// The card of a storm: many findings of one playbook at once.
    Storm,
    /// One line in a storm card's thread.
    StormLine,
    /// What a channel hears of once a day, or after quiet hours: a line each.
    Digest,
    /// What the router could not do, for those who run it: `title` is what, `why` is why.
    Note,
    /// A reply in the card's thread: a step in the life of the one remediation that the view holds.
    Remediation,
    /// What somebody reads before they approve the one remediation that the view holds, or take it back.
    Dialog,
}

/// Everything one message can show.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// Which message this is.
    pub kind: Kind,
    /// The reader's language.
    pub locale: Locale,
    /// What happened, in one line; from the playbook, already rendered.
    pub title: String,
    /// Why it matters, in a sentence or two; may be empty.
    pub why: String,
    /// What to do now, at most four steps.
    pub next: Vec<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// The severity before an escalation.
    pub severity_before: Option<String>,
    /// Whether the problem is over.
    pub resolved: bool,
    /// Why it is told now: `new`, `reopened`, `escalated`, `reminder`, `resolved`, `duplicate`.
    pub novelty: String,
    /// Not the real thing: `sample`, `drill` or `replay`.
    pub exercise: Option<String>,
    /// The router's version, where that is worth knowing (drills).
    pub version: Option<String>,
    /// The account that has the problem.
    pub account: AccountView,
    /// The Region; none for global resources.
    pub region: Option<String>,
    /// What it is about.
    pub resource: ResourceView,
    /// How many more resources the finding names.
    pub more_resources: usize,
    /// Who did it.
    pub actor: Option<ActorView>,
    /// First seen, Unix seconds.
    pub first_seen: i64,
    /// Last seen, Unix seconds.
    pub last_seen: i64,
    /// How often it was seen in this episode.
    pub count: u64,
    /// Who reports it.
    pub reporters: Vec<ReporterView>,
    /// The reporter's type of finding.
    pub finding_type: String,
    /// The signals of an attack sequence, in order of time.
    pub signals: Vec<String>,
    /// Other playbooks that claim it too.
    pub also: Vec<String>,
    /// What the router offers, did, or was stopped from doing.
    pub remediations: Vec<RemediationView>,
    /// A link to the card of the episode before (reopened), where there is one.
    pub previous: Option<String>,
    /// The fingerprint, for `explain`.
    pub fingerprint: String,
    /// The playbook's name.
    pub playbook: String,
    /// The people to call, from the account directory, as Slack mentions the configuration allows (`<@U…>`, `<!subteam^S…>`).
    pub mentions: Vec<String>,
    /// Whether this message stays as it is, because it goes through a webhook.
    pub fixed: bool,
    /// Whether its buttons reach the router.
    pub interactive: bool,
    /// Who takes care of it (`<@U…>`); until when, Unix seconds, where it is only put off.
    pub hushed: Option<HushView>,
    /// The lines of a digest.
    pub lines: Vec<LineView>,
    /// The count of a storm; none for everything else.
    pub storm: Option<StormView>,
}

/// Somebody takes care of a problem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HushView {
    /// Who, as Slack mentions them.
    pub by: String,
    /// Until when, Unix seconds; until it is over, where nothing is said.
    pub until: Option<i64>,
}

/// A problem in one line.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LineView {
    /// How bad.
    pub severity: String,
    /// What happened.
    pub title: String,
    /// Whose it is.
    pub account: AccountView,
    /// The Region; none for global resources.
    pub region: Option<String>,
    /// How often it was seen.
    pub count: u64,
    /// Whether it is over.
    pub resolved: bool,
}

/// An account as people call it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AccountView {
    /// Twelve digits.
    pub id: String,
    /// Its name in the configuration's account directory.
    pub name: Option<String>,
    /// Its environment (`production`, `staging`, …).
    pub environment: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
}

/// A resource as people call it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResourceView {
    /// ASFF type, for example `AwsS3Bucket`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The canonical id.
    pub id: String,
    /// The name, or the id where there is no name.
    pub name: String,
    /// Its page in the AWS console.
    pub link: Option<String>,
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ActorView {
    /// `root`, `iam-user`, `role-session`, `identity-center-user`, `aws-service`, `federated-user`, `other-account`, `anonymous`, `unknown`.
    pub kind: String,
    /// Short form: `role/deploy (alice)`.
    pub name: String,
    /// From where: an IP address or a service's DNS name.
    pub source_ip: Option<String>,
    /// How many others did it too.
    pub others: usize,
}

/// One service that reports the problem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReporterView {
    /// `guardduty`, `config`, `cloudtrail`, `security-hub`, …
    pub name: String,
    /// Whether this one says that it is over.
    pub resolved: bool,
    /// The finding's page in the AWS console.
    pub link: Option<String>,
}

/// One remediation and how far it got.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RemediationView {
    /// The SSM Automation document.
    pub runbook: String,
    /// `harmless`, `reversible`, `disruptive` or `destructive`.
    pub effect: String,
    /// `off`, `propose`, `approve` or `automatic`.
    pub mode: String,
    /// Its parameters, as `name=value`, in the document's order.
    pub parameters: Vec<String>,
    /// Why it will not run, where a rail stopped it.
    pub stopped: Option<String>,
    /// The rail that stopped it.
    pub rail: String,
    /// Whether it can be undone by a runbook.
    pub undo: bool,
    /// How far it got: `denied`, `expired`, `approved`, `started`, `succeeded`, `failed`, `verified`, `unverified`, `undoing`,
    /// `undone` or `undo-failed`; none while nothing was done, when `mode` says what will be. In a reply, the step that it
    /// tells: one of these, `consented`, `stopping`, `stopped`, `waiting` or `undo-started`.
    pub state: Option<String>,
    /// Names it, for the command line and for buttons.
    pub id: String,
    /// Names exactly this plan of it, for buttons.
    pub plan: String,
    /// What can be asked for now: `approve`, `deny`, `stop`, `undo`.
    pub asks: Vec<String>,
    /// The account it runs in.
    pub account: String,
    /// The Region it runs in.
    pub region: String,
    /// Who did what the state says, as Slack mentions them (`<@U…>`).
    pub by: Option<String>,
    /// Why, or with what.
    pub why: Option<String>,
    /// The step that the execution is at, or that failed.
    pub step: Option<String>,
    /// The execution's page in the AWS console.
    pub link: Option<String>,
    /// How many people have approved it, and how many it takes.
    pub approved: usize,
    /// See `approved`.
    pub needed: usize,
    /// What it does, in a sentence, from the document.
    pub does: Option<String>,
    /// What may break, or is not kept for an undo.
    pub caution: Option<String>,
    /// What takes it back, where something does.
    pub undo_runbook: Option<String>,
    /// How the last attempt ended, where it can be tried again.
    pub again: bool,
}

/// A storm: many findings of one playbook in one account and channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StormView {
    /// Findings so far in the window.
    pub count: u64,
    /// The window in minutes.
    pub minutes: u64,
}
