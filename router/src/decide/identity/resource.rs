//! Readers of resources: where each reporter names what its finding is about.
use super::{
    Place, actor,
    canonical::{RESOURCES_MAX, Told, distinct, known, text},
    kinds,
};
use crate::values::{finding::Resource, tree::Node};

/// Where GuardDuty tells resources and actors (API model `Finding`; paths in EventBridge are camelCase).
pub(super) const GUARDDUTY: &[&str] = &[
    "/account",
    "/region",
    "/detail/accountId",
    "/detail/region",
    "/detail/resource/resourceType",
    "/detail/resource/accessKeyDetails",
    "/detail/resource/instanceDetails/instanceId",
    "/detail/resource/instanceDetails/tags",
    "/detail/resource/s3BucketDetails/arn",
    "/detail/resource/s3BucketDetails/name",
    "/detail/resource/s3BucketDetails/tags",
    "/detail/resource/s3BucketDetails/s3ObjectDetails",
    "/detail/resource/eksClusterDetails",
    "/detail/resource/ecsClusterDetails/arn",
    "/detail/resource/ecsClusterDetails/name",
    "/detail/resource/ecsClusterDetails/tags",
    "/detail/resource/containerDetails/id",
    "/detail/resource/containerDetails/name",
    "/detail/resource/lambdaDetails/functionArn",
    "/detail/resource/lambdaDetails/functionName",
    "/detail/resource/lambdaDetails/tags",
    "/detail/resource/rdsDbInstanceDetails",
    "/detail/resource/rdsLimitlessDbDetails",
    "/detail/resource/ebsVolumeDetails/scannedVolumeDetails",
    "/detail/resource/ebsSnapshotDetails",
    "/detail/resource/ec2ImageDetails",
    "/detail/resource/recoveryPointDetails",
    "/detail/resource/bedrockGuardrailDetails/guardrails",
    "/detail/service/action/awsApiCallAction/remoteIpDetails",
    "/detail/service/detection/sequence/actors",
    "/detail/service/detection/sequence/resources",
    "/detail/service/detection/sequence/endpoints",
];
/// Where Config tells resources (developer guide, "Example notifications").
pub(super) const CONFIG: &[&str] = &[
    "/detail/resourceType",
    "/detail/resourceId",
    "/detail/newEvaluationResult/evaluationResultIdentifier/evaluationResultQualifier",
    "/detail/oldEvaluationResult/evaluationResultIdentifier/evaluationResultQualifier",
    "/detail/configurationItem/resourceType",
    "/detail/configurationItem/resourceId",
    "/detail/configurationItem/resourceName",
    "/detail/configurationItem/ARN",
    "/detail/configurationItem/tags",
    "/detail/configurationItemSummary",
];
/// Where ASFF tells them, of the one finding.
pub(super) const ASFF: &[&str] = &[
    "/detail/findings/0/AwsAccountId",
    "/detail/findings/0/Region",
    "/detail/findings/0/Resources/Type",
    "/detail/findings/0/Resources/Id",
    "/detail/findings/0/Resources/Tags",
    "/detail/findings/0/Resources/Details/AwsIamAccessKey",
    "/detail/findings/0/Action/AwsApiCallAction/RemoteIpDetails",
];
/// Where OCSF tells them, of the one finding.
pub(super) const OCSF: &[&str] = &[
    "/detail/findings/0/cloud",
    "/detail/findings/0/resources",
    "/detail/findings/0/actor",
    "/detail/findings/0/evidences/actor",
    "/detail/findings/0/evidences/src_endpoint/ip",
    "/detail/findings/0/src_endpoint/ip",
];

/// A kind, the pointer to its objects (one or a list), and the names of their ARN, id and name.
type Details = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// GuardDuty's details, in the order they are listed after the finding's own resource.
const DETAILS: [Details; 15] = [
    ("AwsEc2Instance", "/instanceDetails", "", "instanceId", ""),
    ("AwsS3Object", "/s3BucketDetails/*/s3ObjectDetails", "objectArn", "", ""),
    ("AwsS3Bucket", "/s3BucketDetails", "arn", "name", ""),
    ("AwsEksCluster", "/eksClusterDetails", "arn", "name", ""),
    ("AwsEcsCluster", "/ecsClusterDetails", "arn", "name", ""),
    ("Container", "/containerDetails", "", "id", "name"),
    ("AwsLambdaFunction", "/lambdaDetails", "functionArn", "functionName", ""),
    ("AwsRdsDbInstance", "/rdsDbInstanceDetails", "dbInstanceArn", "dbInstanceIdentifier", ""),
    ("AwsRdsDbShardGroup", "/rdsLimitlessDbDetails", "dbShardGroupArn", "dbShardGroupIdentifier", ""),
    ("AwsRdsDbCluster", "/rdsLimitlessDbDetails", "", "dbClusterIdentifier", ""),
    ("AwsEc2Volume", "/ebsVolumeDetails/scannedVolumeDetails", "volumeArn", "", ""),
    ("AwsEc2Snapshot", "/ebsSnapshotDetails", "snapshotArn", "", ""),
    ("AwsEc2Image", "/ec2ImageDetails", "imageArn", "", ""),
    ("AwsBackupRecoveryPoint", "/recoveryPointDetails", "recoveryPointArn", "", ""),
    ("AwsBedrockGuardrail", "/bedrockGuardrailDetails/guardrails", "arn", "", ""),
];

/// The kind that a finding of GuardDuty is about. `AccessKey` is its principal.
fn main_kind(resource_type: &str) -> &str {
    match resource_type {
        "Instance" => "AwsEc2Instance",
        "S3Bucket" => "AwsS3Bucket",
        "S3Object" => "AwsS3Object",
        "EKSCluster" | "KubernetesCluster" => "AwsEksCluster",
        "ECSCluster" => "AwsEcsCluster",
        "Lambda" => "AwsLambdaFunction",
        "RDSDBInstance" => "AwsRdsDbInstance",
        "RDSLimitlessDB" => "AwsRdsDbShardGroup",
        "EBSSnapshot" => "AwsEc2Snapshot",
        "EC2Image" => "AwsEc2Image",
        other => other,
    }
}

/// All objects at a pointer; lists on the way are walked.
fn objects<'n>(node: &'n Node<'n>, pointer: &str) -> Vec<&'n Node<'n>> {
    pointer.split('/').filter(|step| !step.is_empty() && *step != "*").fold(vec![node], |nodes, step| {
        let below = nodes.into_iter().filter_map(|node| node.get(step));
        below.flat_map(Node::items).take(RESOURCES_MAX).collect()
    })
}

pub(super) fn guardduty(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let Some(resource) = event.pointer("/detail/resource") else { return guardduty_sequence(event, place) };
    let about = main_kind(resource.text_at("/resourceType").unwrap_or_default());
    let mut found = Vec::new();
    for (kind, at, arn, id, name) in DETAILS {
        for details in objects(resource, at) {
            let field = |key: &str| details.get(key).and_then(Node::text).and_then(known);
            let told =
                Told { kind, id: field(id).unwrap_or_default(), arn: field(arn), name: field(name), ..Told::default() };
            found.extend(Told { tags: details.get("tags"), ..told }.resource(place));
        }
    }
    // A stable sort: the finding's own kind comes first.
    found.sort_by_key(|resource| resource.kind != about);
    if about == "AccessKey" || found.is_empty() {
        let principal = actor::guardduty_key(event).and_then(|p| p.resource(place));
        found.splice(0..0, principal);
    }
    if found.is_empty() {
        found = guardduty_sequence(event, place);
    }
    distinct(found)
}

/// What an attack sequence touched. Access keys are told last: the resources are what was attacked.
fn guardduty_sequence(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let all = objects(event, "/detail/service/detection/sequence/resources");
    let (keys, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|r| r.text_at("/resourceType") == Some("ACCESS_KEY"));
    let others = others.into_iter().filter_map(|r| {
        let told = Told { kind: r.text_at("/resourceType").unwrap_or_default(), ..Told::default() };
        let told = Told { id: text(r, "/uid").or_else(|| text(r, "/name"))?, name: text(r, "/name"), ..told };
        Told { account: text(r, "/accountId"), tags: r.get("tags"), ..told }.resource(place)
    });
    let keys = keys.into_iter().filter_map(|r| actor::guardduty_sequence_key(event, r).resource(place));
    distinct(others.chain(keys))
}

pub(super) fn guardduty_object_scan(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let bucket = text(event, "/detail/s3ObjectDetails/bucketName");
    let object = bucket.zip(text(event, "/detail/s3ObjectDetails/objectKey")).map(|(b, key)| format!("{b}/{key}"));
    let object = object.as_deref().map(|id| Told { kind: "AwsS3Object", id, ..Told::default() });
    let bucket = bucket.or_else(|| text(event, "/detail/s3BucketDetails/bucketName"));
    let bucket = bucket.map(|id| Told { kind: "AwsS3Bucket", id, ..Told::default() });
    distinct(object.into_iter().chain(bucket).filter_map(|told| told.resource(place)))
}

/// Config tells one resource. A compliance change has its type and id only: for IAM that is a unique id (`AIDA…`), for
/// RDS a resource id (`db-…`), which no other reporter tells, so these findings stay apart from theirs.
pub(super) fn config(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    const QUALIFIER: &str = "evaluationResultIdentifier/evaluationResultQualifier";
    let evaluation = |result: &str| event.pointer(&format!("/detail/{result}/{QUALIFIER}"));
    let items =
        ["/detail/configurationItem", "/detail/configurationItemSummary", "/detail"].map(|at| event.pointer(at));
    let items = items.into_iter().chain([evaluation("newEvaluationResult"), evaluation("oldEvaluationResult")]);
    let found = items.flatten().find_map(|item| {
        let kind = text(item, "/resourceType")?;
        let name = text(item, "/resourceName");
        let named = kinds::named(kind).filter(|k| k.named).and(name);
        let account = Some(place.account).filter(|_| kinds::named(kind).is_some_and(|k| k.name == "AwsAccount"));
        let id = named.or_else(|| text(item, "/resourceId")).or(account)?;
        Told { kind, id, name, arn: text(item, "/ARN"), tags: item.get("tags"), ..Told::default() }.resource(place)
    });
    found.into_iter().collect()
}

/// GuardDuty's S3 findings in Security Hub may list the access key before the bucket that they are about (C).
fn keys_after_buckets(mut found: Vec<(bool, Resource)>) -> Vec<Resource> {
    if found.iter().any(|(_, r)| r.kind.starts_with("AwsS3")) {
        found.sort_by_key(|(is_key, _)| *is_key);
    }
    distinct(found.into_iter().map(|(_, resource)| resource))
}

/// ASFF: an access key stands for its principal.
pub(super) fn asff(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let Some(finding) = event.pointer("/detail/findings/0") else { return Vec::new() };
    let mut found: Vec<(bool, Resource)> = Vec::new();
    for resource in objects(finding, "/Resources") {
        let told = Told { kind: text(resource, "/Type").unwrap_or_default(), ..Told::default() };
        let told = Told { id: text(resource, "/Id").unwrap_or_default(), tags: resource.get("Tags"), ..told };
        let is_key = told.kind == "AwsIamAccessKey";
        let principal = is_key.then(|| actor::asff_key(finding, resource).resource(place)).flatten();
        found.extend(principal.or_else(|| told.resource(place)).map(|r| (is_key, r)));
    }
    keys_after_buckets(found)
}

/// OCSF: `uid` is an ARN or an id; an access key with a user stands for it.
pub(super) fn ocsf(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let Some(finding) = event.pointer("/detail/findings/0") else { return Vec::new() };
    let mut found: Vec<(bool, Resource)> = Vec::new();
    for resource in objects(finding, "/resources") {
        let account = text(resource, "/owner/account/uid").or_else(|| text(resource, "/account/uid"));
        let told = Told { kind: text(resource, "/type").unwrap_or_default(), account, ..Told::default() };
        let id = text(resource, "/uid").or_else(|| text(resource, "/name")).unwrap_or_default();
        let told = Told { id, name: text(resource, "/name"), tags: resource.get("tags"), ..told };
        let is_key = kinds::named(told.kind).is_some_and(|k| k.name == "AwsIamAccessKey");
        let principal = is_key.then(|| actor::ocsf_key(finding, resource).resource(place)).flatten();
        found.extend(principal.or_else(|| told.resource(place)).map(|r| (is_key, r)));
    }
    keys_after_buckets(found)
}

/// Inspector v2: `detail.resources[].{type, id, tags}`.
pub(super) fn inspector(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let found = objects(event, "/detail/resources").into_iter().filter_map(|resource| {
        let told = Told { kind: text(resource, "/type").unwrap_or_default(), ..Told::default() };
        Told { id: text(resource, "/id")?, tags: resource.get("tags"), ..told }.resource(place)
    });
    distinct(found)
}

/// Macie: the bucket, and the object of a sensitive-data finding, which then is the main one.
pub(super) fn macie(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let Some(affected) = event.pointer("/detail/resourcesAffected") else { return Vec::new() };
    let (bucket, object) = (affected.get("s3Bucket"), affected.get("s3Object"));
    let name = bucket.and_then(|b| text(b, "/name").or_else(|| text(b, "/arn")));
    let name = name.or_else(|| text(object?, "/bucketArn"));
    let name = name.map(|name| name.rsplit(':').next().unwrap_or(name));
    let object_id = object.and_then(|o| Some(format!("{}/{}", name?, text(o, "/key")?)));
    let object = object_id.as_deref().map(|id| Told {
        kind: "AwsS3Object",
        id,
        tags: object.and_then(|o| o.get("tags")),
        ..Told::default()
    });
    let told = name.map(|id| Told { kind: "AwsS3Bucket", id, ..Told::default() });
    let bucket =
        told.map(|t| Told { arn: bucket.and_then(|b| text(b, "/arn")), tags: bucket.and_then(|b| b.get("tags")), ..t });
    distinct(object.into_iter().chain(bucket).filter_map(|told| told.resource(place)))
}

/// IAM Access Analyzer: `detail.resource` is an ARN.
pub(super) fn access_analyzer(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let told = text(event, "/detail/resource").map(|id| Told { id, ..Told::default() });
    let kind = text(event, "/detail/resourceType").unwrap_or_default();
    told.and_then(|told| Told { kind, ..told }.resource(place)).into_iter().collect()
}

/// Any event: the ARNs of the envelope.
pub(super) fn event(event: &Node<'_>, place: &Place<'_>) -> Vec<Resource> {
    let items = event.get("resources").map(Node::items).unwrap_or_default();
    let arns = items.iter().filter_map(Node::text).filter(|t| super::arn::Arn::parse(t).is_some());
    distinct(arns.filter_map(|id| Told { id, ..Told::default() }.resource(place)))
}
