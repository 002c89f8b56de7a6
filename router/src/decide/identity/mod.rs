//! One id for one resource and one id for one actor, whoever reports them.
//!
//! GuardDuty, Config, CloudTrail and Security Hub name the same bucket, role or person in different places and ways.
//! What they mean is decided here, once: source files refer to these readers by name. Knowledge about kinds of resources
//! is in `kinds.toml`, about `CloudTrail`'s parameters in `cloudtrail.toml`. Input is untrusted and untidy: a reader
//! never fails; what it cannot name it leaves out, and the caller falls back to the account.
mod actor;
mod arn;
mod canonical;
mod cloudtrail;
mod kinds;
mod link;
mod principal;
mod resource;
#[cfg(test)]
mod tests;

use crate::values::{
    finding::{Actor, Resource},
    tree::Node,
};
pub use arn::is_account;
pub use link::console_link;

/// The account whose resource an ARN names, where it tells one.
pub fn owner_of(id: &str) -> Option<&str> {
    arn::Arn::parse(id)?.owner()
}

/// Where the finding is: what an ARN tells beyond it is worth saying.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The finding's account.
    pub account: &'a str,
    /// The finding's Region.
    pub region: &'a str,
}

/// A reader of the resources that a reporter's event is about, the main one first.
pub type ReadResources = fn(&Node<'_>, &Place<'_>) -> Vec<Resource>;

/// A reader of who did what a reporter's event tells.
pub type ReadActor = fn(&Node<'_>) -> Option<Actor>;

/// The reader of resources that a source file refers to: `resources = "guardduty"`. It gives an empty list where the
/// event names nothing.
pub fn resources(reader: &str) -> Option<ReadResources> {
    Some(match reader {
        "guardduty" => resource::guardduty,
        "guardduty-object-scan" => resource::guardduty_object_scan,
        "config" => resource::config,
        "cloudtrail" => cloudtrail::resources,
        "asff" => resource::asff,
        "ocsf" => resource::ocsf,
        "inspector" => resource::inspector,
        "macie" => resource::macie,
        "access-analyzer" => resource::access_analyzer,
        "event" => resource::event,
        _ => return None,
    })
}

/// The reader of actors that a source file refers to: `actor = "cloudtrail"`.
pub fn actor(reader: &str) -> Option<ReadActor> {
    Some(match reader {
        "guardduty" => actor::guardduty,
        "cloudtrail" => actor::cloudtrail,
        "asff" => actor::asff,
        "ocsf" => actor::ocsf,
        _ => return None,
    })
}

/// The JSON Pointers that the named readers (of resources and of actors) touch, whole subtrees: events are read pruned,
/// so what is not named here is not there.
pub fn pointers(reader: &str) -> &'static [&'static str] {
    match reader {
        "guardduty" => resource::GUARDDUTY,
        "guardduty-object-scan" => &["/detail/s3ObjectDetails", "/detail/s3BucketDetails"],
        "config" => resource::CONFIG,
        "cloudtrail" => cloudtrail::pointers(),
        "asff" => resource::ASFF,
        "ocsf" => resource::OCSF,
        "inspector" => &["/detail/resources"],
        "macie" => &["/detail/resourcesAffected"],
        "access-analyzer" => &["/detail/resource", "/detail/resourceType"],
        "event" => &["/resources"],
        _ => &[],
    }
}

/// Whether the kind's ids are unique without a Region, so that the Region is left out of the fingerprint.
pub fn is_global(kind: &str) -> bool {
    match kinds::named(kind) {
        Some(kind) => kind.global,
        None => ["AwsIam", "AwsOrganizations", "AwsRoute53Hosted", "AwsCloudFront"].iter().any(|p| kind.starts_with(p)),
    }
}
