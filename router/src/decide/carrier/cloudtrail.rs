//! A CloudTrail record from a log file, as the EventBridge event that would have carried it.
use super::{account, object::Object};

/// Whether an object is a CloudTrail record. (S3 notifications have an `eventVersion` as well, and `aws:s3` as source.)
pub(super) fn is_record(object: &Object<'_>) -> bool {
    (object.has("eventVersion") || object.has("eventID"))
        && (object.has("eventName") || object.has("eventType"))
        && !object.text("eventSource").starts_with("aws:")
}

/// The event around a record, whose text stays as it is.
pub(super) fn event(record: &str, object: &Object<'_>) -> String {
    let event_source = object.text("eventSource");
    let service = match event_source.split('.').next() {
        Some(service) if !service.is_empty() => service,
        _ => "cloudtrail", // Insights name the service deeper, and come from CloudTrail itself
    };
    let mut account = account(object.text("recipientAccountId"));
    if account.is_empty() {
        let identity = object.get("userIdentity").and_then(|raw| Object::read(raw).ok()).unwrap_or_default();
        account = super::account(identity.text("accountId"));
    }
    let detail_type = match object.text("eventType").as_ref() {
        "AwsConsoleSignIn" => "AWS Console Sign In via CloudTrail",
        "AwsServiceEvent" => "AWS Service Event via CloudTrail",
        "AwsConsoleAction" => "AWS Console Action via CloudTrail",
        "AwsCloudTrailInsight" => "AWS Insight via CloudTrail",
        "AwsVpceEvent" => "AWS Network Activity Event via CloudTrail",
        _ => "AWS API Call via CloudTrail",
    };
    let string = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        r#"{{"version":"0","id":{},"detail-type":"{detail_type}","source":{},"account":{},"time":{},"region":{},"resources":[],"detail":{record}}}"#,
        string(&object.text("eventID")),
        string(&format!("aws.{service}")),
        string(&account),
        string(&object.text("eventTime")),
        string(&object.text("awsRegion")),
    )
}
