//! IAM principals as all reporters tell them, and what they come to: an actor, and for findings about identities the
//! resource as well.
//!
//! IAM's paths are left out of ids: `CloudTrail` tells a role's path in its issuer, but neither STS ARNs nor GuardDuty do,
//! and names are unique in an account without it (IAM guide, "Friendly names and paths"). Type values: `CloudTrail` guide,
//! "userIdentity element"; GuardDuty and ASFF copy them.
use super::{
    Place,
    arn::{Arn, is_account, partition},
    canonical::{ID_MAX, NAME_MAX, Told, known},
};
use crate::values::finding::{Actor, ActorKind, Resource};
use crate::values::text::cut;

/// What a reporter says about a principal. Empty texts and masks were left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Principal<'a> {
    /// `IAMUser`, `AssumedRole`, …
    pub(super) kind: &'a str,
    /// `AIDA…`, `AROA…:session`
    pub(super) id: Option<&'a str>,
    /// The user's name, or the role's where a session is told without its issuer.
    pub(super) name: Option<&'a str>,
    pub(super) arn: Option<&'a str>,
    pub(super) account: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) issuer_arn: Option<&'a str>,
    pub(super) issuer_name: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    /// Who gave a federated identity.
    pub(super) provider: Option<&'a str>,
    /// The user's id in IAM Identity Center's directory.
    pub(super) on_behalf_of: Option<&'a str>,
    pub(super) invoked_by: Option<&'a str>,
    pub(super) source: Option<&'a str>,
}

/// What a principal is, its account being known.
enum Who<'a> {
    Root,
    User(&'a str),
    Role { name: &'a str, session: Option<&'a str> },
    Federated(&'a str),
    Other,
}

/// The service that made a call, by its DNS name. `signin` and `console` stand for a person at the console (C).
fn service(text: &str) -> Option<&str> {
    let name = text.strip_suffix(".amazonaws.com").or_else(|| text.strip_suffix(".amazonaws.com.cn"));
    match name {
        Some("signin" | "console") => None,
        Some(_) => Some(text),
        None => Some(text).filter(|t| *t == "AWS Internal"),
    }
}

fn last(path: &str) -> Option<&str> {
    path.rsplit('/').next().and_then(known)
}

impl<'a> Principal<'a> {
    fn who(&self) -> Who<'a> {
        let arn = self.arn.and_then(Arn::parse);
        let resource = arn.map_or("", |a| a.resource);
        let key_is = |prefix: &str| self.key.is_some_and(|k| k.starts_with(prefix));
        let kind = match self.kind {
            "" if resource == "root" => "Root",
            "" if resource.starts_with("assumed-role/") || resource.starts_with("role/") => "AssumedRole",
            "" if resource.starts_with("user/") => "IAMUser",
            "" if key_is("ASIA") => "AssumedRole",
            "" if key_is("AKIA") => "IAMUser",
            kind => kind,
        };
        let same = |word: &str| kind.eq_ignore_ascii_case(word);
        let after_colon = self.id.and_then(|id| known(id.split_once(':')?.1));
        if same("Root") {
            Who::Root
        } else if same("IAMUser") {
            let name = self.name.or_else(|| last(resource.strip_prefix("user/")?));
            name.or(self.id).map_or(Who::Other, Who::User)
        } else if same("AssumedRole") || same("Role") {
            let issuer = self.issuer_arn.and_then(Arn::parse).and_then(|a| last(a.resource.strip_prefix("role/")?));
            let assumed = resource.strip_prefix("assumed-role/").map(|r| r.split_once('/').unwrap_or((r, "")));
            let name = issuer.or(self.issuer_name).or_else(|| known(assumed?.0));
            let name = name.or_else(|| last(resource.strip_prefix("role/")?)).or(self.name).or_else(|| {
                let id = self.id?;
                known(id.split(':').next()?)
            });
            let session = assumed.and_then(|(_, session)| known(session)).or(after_colon);
            name.map_or(Who::Other, |name| Who::Role { name, session })
        } else if same("FederatedUser") {
            let name = self.name.or_else(|| last(resource.strip_prefix("federated-user/")?)).or(after_colon);
            name.map_or(Who::Other, Who::Federated)
        } else {
            Who::Other
        }
    }

    fn account(&self) -> Option<&'a str> {
        let of = |arn: Option<&'a str>| arn.and_then(Arn::parse).and_then(|a| a.owner());
        of(self.issuer_arn).or_else(|| of(self.arn)).or_else(|| self.account.filter(|a| is_account(a)))
    }

    fn is_anonymous(&self) -> bool {
        let nobody = |text: Option<&str>| {
            text.is_some_and(|t| t == "ANONYMOUS_PRINCIPAL" || t.eq_ignore_ascii_case("anonymous"))
        };
        nobody(self.id) || nobody(self.account) || nobody(self.name) || nobody(Some(self.kind))
    }

    /// Who acted; `None` where the reporter says nothing of anybody.
    pub(super) fn actor(&self) -> Option<Actor> {
        let any = [self.id, self.name, self.arn, self.issuer_arn, self.on_behalf_of, self.invoked_by];
        if self.kind.is_empty() && any.iter().all(Option::is_none) {
            return None;
        }
        let (kind, id, name, session) = self.described();
        let owned = |text: Option<&str>, max| text.map(|t| cut(t, max).to_owned());
        Some(Actor {
            kind,
            id: cut(&id, ID_MAX).to_owned(),
            name: cut(&name, NAME_MAX).to_owned(),
            account: self.account().map(str::to_owned),
            session: owned(session, NAME_MAX),
            access_key: owned(self.key, NAME_MAX),
            source_ip: owned(self.source, NAME_MAX),
        })
    }

    /// Kind, id, name and session.
    fn described(&self) -> (ActorKind, String, String, Option<&'a str>) {
        let account = self.account().unwrap_or_default();
        let arn = self.arn.or(self.issuer_arn).and_then(Arn::parse);
        let partition = arn.map_or_else(|| partition(self.region.unwrap_or_default()), |a| a.partition);
        let iam = |resource: &str| format!("arn:{partition}:iam::{account}:{resource}");
        let sts = |resource: &str| format!("arn:{partition}:sts::{account}:{resource}");
        let (kind, id, name, session) = match self.who() {
            Who::Root => (ActorKind::Root, iam("root"), "root".to_owned(), None),
            Who::User(name) => (ActorKind::IamUser, iam(&format!("user/{name}")), format!("user/{name}"), None),
            Who::Role { name, session: Some(person) } if name.starts_with("AWSReservedSSO_") => {
                // A permission set's role is shared by people, so the session is the person.
                let id = sts(&format!("assumed-role/{name}/{person}"));
                (ActorKind::IdentityCenterUser, id, format!("{person} ({})", permission_set(name)), Some(person))
            }
            Who::Role { name, session } => {
                let said = session.map_or_else(|| format!("role/{name}"), |s| format!("role/{name} ({s})"));
                (ActorKind::RoleSession, iam(&format!("role/{name}")), said, session)
            }
            Who::Federated(name) => {
                let said = format!("federated-user/{name}");
                (ActorKind::FederatedUser, sts(&said), said, Some(name))
            }
            Who::Other => self.others(account),
        };
        // `AWS Internal` as the source is also seen of people at the console (C): only the caller's name says enough.
        let source = self.source.filter(|s| kind == ActorKind::Unknown || s.contains('.'));
        let by = self.invoked_by.and_then(service).or_else(|| source.and_then(service));
        match by.filter(|_| kind != ActorKind::AwsService) {
            Some(by) if kind == ActorKind::Unknown => (ActorKind::AwsService, by.to_owned(), by.to_owned(), session),
            Some(by) => (ActorKind::AwsService, by.to_owned(), format!("{by} for {name}"), session),
            None => (kind, id, name, session),
        }
    }

    /// Those that are not of this account's IAM.
    fn others(&self, account: &str) -> (ActorKind, String, String, Option<&'a str>) {
        let same = |word: &str| self.kind.eq_ignore_ascii_case(word);
        let both = |text: &str| (text.to_owned(), text.to_owned());
        if let Some(user) = self.on_behalf_of {
            let id = format!("identity-center/{user}");
            let name = self.name.map_or_else(|| id.clone(), str::to_owned);
            return (ActorKind::IdentityCenterUser, id, name, None);
        }
        let (kind, (id, name)) = if self.is_anonymous() {
            (ActorKind::Anonymous, both("anonymous"))
        } else if same("IdentityCenterUser") && (self.name.is_some() || self.id.is_some()) {
            let user = self.name.or(self.id).unwrap_or_default();
            (ActorKind::IdentityCenterUser, (format!("identity-center/{user}"), user.to_owned()))
        } else if same("AWSService") {
            let by = self.invoked_by.or_else(|| self.source.and_then(service)).or(self.name).or(self.id);
            (ActorKind::AwsService, both(by.unwrap_or("amazonaws.com")))
        } else if same("AWSAccount") {
            match account {
                "" => (ActorKind::Anonymous, both("anonymous")),
                _ => (ActorKind::OtherAccount, (account.to_owned(), format!("account/{account}"))),
            }
        } else if same("SAMLUser") || same("WebIdentityUser") {
            let user = self.name.or_else(|| self.id?.rsplit(':').next()).or(self.id).unwrap_or("unknown");
            let provider = self.provider.unwrap_or(self.kind);
            (ActorKind::FederatedUser, (format!("{provider}:{user}"), user.to_owned()))
        } else if same("IAMUser") {
            // A sign-in with a name that does not exist is masked: nobody known, in this account.
            (ActorKind::Unknown, (format!("unknown-user/{account}"), "unknown user".to_owned()))
        } else {
            let told = self.arn.or(self.name).or(self.id).or(self.invoked_by).unwrap_or("unknown");
            (ActorKind::Unknown, both(told))
        };
        (kind, id, name, None)
    }

    /// The resource of a finding about an identity: the user, the role or, for root, the account; the access key only
    /// where nothing else is told.
    pub(super) fn resource(&self, place: &Place<'_>) -> Option<Resource> {
        if self.is_anonymous() {
            return None;
        }
        let account = self.account();
        let told = match self.who() {
            Who::Root => Told { kind: "AwsAccount", id: account.unwrap_or(place.account), ..Told::default() },
            Who::User(name) => Told { kind: "AwsIamUser", id: name, arn: self.arn, ..Told::default() },
            Who::Role { name, .. } => Told { kind: "AwsIamRole", id: name, arn: self.issuer_arn, ..Told::default() },
            Who::Federated(_) | Who::Other => Told { kind: "AwsIamAccessKey", id: self.key?, ..Told::default() },
        };
        Told { account, ..told }.resource(place)
    }
}

/// `AWSReservedSSO_AdministratorAccess_0123456789abcdef` is the role of the permission set `AdministratorAccess`.
fn permission_set(role: &str) -> &str {
    let name = role.strip_prefix("AWSReservedSSO_").unwrap_or(role);
    name.rsplit_once('_').map_or(name, |(set, _)| set)
}
