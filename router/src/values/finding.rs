//! A finding: one security observation about one resource or actor, whoever reports it.
use super::severity::Severity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One AWS resource, named the same whoever reports it.
///
/// `kind` is ASFF's resource type (`AwsEc2Instance`); `id` is the id an engineer would type (`i-0abc…`, a bucket name,
/// an ARN only where there is nothing shorter that is unique in an account and Region).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// ASFF resource type, for example `AwsS3Bucket`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The canonical id, unique within account and Region (within the account for global kinds).
    pub id: String,
    /// The full ARN, where the event told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// A human name (the `Name` tag, a role's name), where the event told one and it differs from `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The account that owns it, where that is not the finding's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its tags, where the event told them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
}

/// What kind of principal acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// The account's root user.
    Root,
    /// An IAM user with long-lived credentials.
    IamUser,
    /// A session of an IAM role.
    RoleSession,
    /// A person of IAM Identity Center.
    IdentityCenterUser,
    /// An AWS service acting by itself or on somebody's behalf.
    AwsService,
    /// A federated user (`GetFederationToken`, SAML or web identity).
    FederatedUser,
    /// Another AWS account.
    OtherAccount,
    /// Nobody: an unauthenticated caller.
    Anonymous,
    /// The event names somebody in a way that we do not know.
    Unknown,
}

/// Who did it: the principal, named the same whoever reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of principal.
    pub kind: ActorKind,
    /// The stable identity that occurrences are grouped by: the role's ARN for a session, the user's ARN, `root` of an
    /// account, a service's DNS name, `anonymous`.
    pub id: String,
    /// Short form for people: `role/deploy (alice)`, `user/bob`, `root`, `cloudformation.amazonaws.com`.
    pub name: String,
    /// The account the principal belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The session name, for role and federated sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The access key used (`AKIA…` long-lived, `ASIA…` temporary).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Where the call came from: an IP address or a service's DNS name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
}

/// What the reporter says about the problem now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The problem is there.
    Active,
    /// The reporter says it is gone: archived, compliant, closed.
    Resolved,
}

/// One security observation about one resource or actor, as one reporter told it in one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The reporter's own id of the finding (or of the occurrence, for an act).
    pub id: String,
    /// Orders what one reporter says about one finding id.
    pub revision: Timestamp,
    /// When the event was sent: orders what a reporter says without a new revision.
    pub sent: Timestamp,
    /// The service that reported it: `guardduty`, `config`, `cloudtrail`, `security-hub`, …
    pub reporter: String,
    /// The reporter's type of finding.
    pub kind: String,
    /// What tells one kind of problem from another where no playbook does: the type, or more where that is too general.
    pub problem: String,
    /// The reporter's title, untrusted.
    pub title: String,
    /// The reporter's longer text, untrusted; may be empty.
    pub description: String,
    /// The reporter's own severity.
    pub severity: Severity,
    /// What the reporter says now.
    pub status: Status,
    /// Whether this reporter can ever say *resolved*; a CloudTrail act cannot.
    pub can_resolve: bool,
    /// The account that has the problem (not the one that forwarded the event).
    pub account: String,
    /// The Region of the resource (not of the aggregating bus).
    pub region: String,
    /// What it is about, the main one first; never empty (the account itself, where nothing else is named).
    pub resources: Vec<Resource>,
    /// Who did it, where the event says.
    pub actor: Option<Actor>,
    /// When it was first and last seen, by the reporter's words.
    pub first_seen: Timestamp,
    /// See `first_seen`.
    pub last_seen: Timestamp,
    /// How often the reporter saw it, by its own count; 1 where it does not count.
    pub count: u64,
    /// A page about the finding in the AWS console.
    pub link: Option<String>,
    /// A sample, a drill or a replay from an archive: shown as such and never remediated.
    pub exercise: Option<Exercise>,
    /// The signals of an attack sequence, in order of time; empty for everything else.
    pub signals: Vec<String>,
}

/// Why a finding is not the real thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exercise {
    /// A producer's sample (`[SAMPLE]`, `additionalInfo.sample`).
    Sample,
    /// The router's own drill.
    Drill,
    /// An EventBridge archive replay (`replay-name`).
    Replay,
}
