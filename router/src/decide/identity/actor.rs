//! Readers of actors: where each reporter tells the principal, its key and where the call came from.
use super::{
    canonical::{known, text},
    principal::Principal,
};
use crate::values::{finding::Actor, tree::Node};

/// The address of GuardDuty's and ASFF's remote IP details.
fn address<'n>(details: Option<&'n Node<'n>>) -> Option<&'n str> {
    let details = details?;
    ["ipAddressV4", "ipAddressV6", "IpAddressV4", "IpAddressV6"]
        .iter()
        .find_map(|key| details.get(key).and_then(Node::text).and_then(known))
}

/// GuardDuty's `accessKeyDetails`.
pub(super) fn guardduty_key<'n>(event: &'n Node<'n>) -> Option<Principal<'n>> {
    let details = event.pointer("/detail/resource/accessKeyDetails")?;
    Some(Principal {
        source: address(event.pointer("/detail/service/action/awsApiCallAction/remoteIpDetails")),
        ..key_details(event, details)
    })
}

fn key_details<'n>(event: &'n Node<'n>, details: &'n Node<'n>) -> Principal<'n> {
    Principal {
        kind: text(details, "/userType").unwrap_or_default(),
        id: text(details, "/principalId"),
        name: text(details, "/userName"),
        key: text(details, "/accessKeyId"),
        account: text(event, "/detail/accountId").or_else(|| text(event, "/account")),
        region: text(event, "/detail/region").or_else(|| text(event, "/region")),
        ..Principal::default()
    }
}

/// The access key of an attack sequence's resource.
pub(super) fn guardduty_sequence_key<'n>(event: &'n Node<'n>, resource: &'n Node<'n>) -> Principal<'n> {
    let details = resource.pointer("/data/accessKey").unwrap_or(&Node::Null);
    let told = key_details(event, details);
    let account = text(resource, "/accountId").or(told.account);
    let uid = text(resource, "/uid").and_then(|uid| uid.rsplit([':', '/']).next());
    Principal { key: uid, account, ..told }
}

/// GuardDuty: the access key's owner; of an attack sequence the first actor.
pub(super) fn guardduty(event: &Node<'_>) -> Option<Actor> {
    if let Some(actor) = guardduty_key(event).and_then(|p| p.actor()) {
        return Some(actor);
    }
    let sequence = event.pointer("/detail/service/detection/sequence")?;
    let actors = sequence.get("actors")?.items();
    let actor = actors.iter().find(|a| a.get("user").is_some())?;
    let told = Principal {
        kind: text(actor, "/user/type").unwrap_or_default(),
        id: text(actor, "/user/uid"),
        name: text(actor, "/user/name"),
        key: text(actor, "/user/credentialUid"),
        issuer_name: text(actor, "/session/issuer").filter(|i| !i.starts_with("arn:")),
        issuer_arn: text(actor, "/session/issuer").filter(|i| i.starts_with("arn:")),
        account: text(actor, "/user/account/uid").or_else(|| text(event, "/detail/accountId")),
        region: text(event, "/detail/region").or_else(|| text(event, "/region")),
        source: sequence.get("endpoints").and_then(|e| e.items().first()).and_then(|e| text(e, "/ip")),
        ..Principal::default()
    };
    told.actor()
}

pub(super) const SIGNED_IN_AS: &str = "/detail/additionalEventData/UserName";

/// `CloudTrail`'s `userIdentity`.
pub(super) fn cloudtrail_identity<'n>(event: &'n Node<'n>) -> Option<Principal<'n>> {
    let identity = event.pointer("/detail/userIdentity").filter(|i| matches!(i, Node::Object(_)))?;
    let field = |pointer: &str| text(identity, pointer);
    Some(Principal {
        kind: field("/type").unwrap_or_default(),
        id: field("/principalId"),
        // Identity Center's sign-ins tell whom they are of by an id, and the name beside (its user guide, "sign-in events").
        name: field("/userName").or_else(|| field("/onBehalfOf/userId").and(text(event, SIGNED_IN_AS))),
        arn: field("/arn"),
        account: field("/accountId").or_else(|| text(event, "/detail/recipientAccountId")),
        region: text(event, "/detail/awsRegion").or_else(|| text(event, "/region")),
        // An issuer that is a user (GetFederationToken, GetSessionToken) or root is no role.
        issuer_arn: field("/sessionContext/sessionIssuer/arn").filter(|a| a.contains(":role/")),
        issuer_name: field("/sessionContext/sessionIssuer/userName"),
        key: field("/accessKeyId"),
        provider: field("/identityProvider"),
        on_behalf_of: field("/onBehalfOf/userId"),
        invoked_by: field("/invokedBy"),
        source: text(event, "/detail/sourceIPAddress"),
    })
}

pub(super) fn cloudtrail(event: &Node<'_>) -> Option<Actor> {
    cloudtrail_identity(event)?.actor()
}

/// ASFF's details of an access key.
pub(super) fn asff_key<'n>(finding: &'n Node<'n>, resource: &'n Node<'n>) -> Principal<'n> {
    let details = resource.pointer("/Details/AwsIamAccessKey").unwrap_or(&Node::Null);
    let id = text(resource, "/Id").and_then(|id| id.rsplit([':', '/']).next());
    let is_key = |key: &&str| key.starts_with("AKIA") || key.starts_with("ASIA");
    Principal {
        kind: text(details, "/PrincipalType").unwrap_or_default(),
        id: text(details, "/PrincipalId"),
        name: text(details, "/PrincipalName").or_else(|| text(details, "/UserName")),
        key: text(details, "/AccessKeyId").or(id.filter(is_key)),
        account: text(details, "/AccountId").or_else(|| text(finding, "/AwsAccountId")),
        region: text(finding, "/Region"),
        issuer_arn: text(details, "/SessionContext/SessionIssuer/Arn").filter(|a| a.contains(":role/")),
        source: address(finding.pointer("/Action/AwsApiCallAction/RemoteIpDetails")),
        ..Principal::default()
    }
}

/// ASFF: the owner of the access key among the resources.
pub(super) fn asff(event: &Node<'_>) -> Option<Actor> {
    let finding = event.pointer("/detail/findings/0")?;
    let resources = finding.get("Resources")?.items();
    let key = resources.iter().find(|r| r.text_at("/Type") == Some("AwsIamAccessKey"))?;
    asff_key(finding, key).actor()
}

/// An OCSF `actor` object.
fn ocsf_actor<'n>(finding: &'n Node<'n>, actor: &'n Node<'n>) -> Principal<'n> {
    let uid = text(actor, "/user/uid");
    let issuer = text(actor, "/session/issuer");
    Principal {
        kind: text(actor, "/user/type").filter(|t| *t != "Unknown" && *t != "Other").unwrap_or_default(),
        id: text(actor, "/user/uid_alt").or(uid.filter(|u| !u.starts_with("arn:"))),
        arn: uid.filter(|u| u.starts_with("arn:")),
        name: text(actor, "/user/name"),
        key: text(actor, "/user/credential_uid"),
        issuer_arn: issuer.filter(|i| i.contains(":role/")),
        account: text(actor, "/user/account/uid").or_else(|| ocsf_account(finding)),
        region: text(finding, "/cloud/region"),
        invoked_by: text(actor, "/invoked_by"),
        source: text(finding, "/src_endpoint/ip").or_else(|| {
            let evidences = finding.get("evidences")?.items();
            evidences.iter().find_map(|e| text(e, "/src_endpoint/ip"))
        }),
        ..Principal::default()
    }
}

fn ocsf_account<'n>(finding: &'n Node<'n>) -> Option<&'n str> {
    text(finding, "/cloud/account/uid")
}

/// The owner of an access key among OCSF's resources: the resource's `user`, or the finding's actor with that key.
pub(super) fn ocsf_key<'n>(finding: &'n Node<'n>, resource: &'n Node<'n>) -> Principal<'n> {
    let key = text(resource, "/uid").and_then(|uid| uid.rsplit([':', '/']).next());
    let told = resource.get("user").is_some_and(|_| text(resource, "/user/name").is_some());
    let actor = if told { None } else { ocsf_actors(finding).next() };
    let principal = ocsf_actor(finding, actor.unwrap_or(resource));
    let account = text(resource, "/owner/account/uid").or_else(|| text(resource, "/account/uid"));
    Principal { key: key.or(principal.key), account: account.or(principal.account), ..principal }
}

fn ocsf_actors<'n>(finding: &'n Node<'n>) -> impl Iterator<Item = &'n Node<'n>> {
    let evidences = finding.get("evidences").map(Node::items).unwrap_or_default();
    finding.get("actor").into_iter().chain(evidences.iter().filter_map(|e| e.get("actor")))
}

/// OCSF: the finding's `actor`, that of its evidences, or the owner of the access key among the resources.
pub(super) fn ocsf(event: &Node<'_>) -> Option<Actor> {
    let finding = event.pointer("/detail/findings/0")?;
    let told = ocsf_actors(finding).find_map(|actor| ocsf_actor(finding, actor).actor());
    told.or_else(|| {
        let resources = finding.get("resources")?.items();
        let key = resources.iter().find(|r| r.pointer("/user/name").is_some())?;
        ocsf_key(finding, key).actor()
    })
}
