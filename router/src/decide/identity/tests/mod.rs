//! What holds for all readers: they never fail, name nothing empty, see pruned events like whole ones; and the tables
//! are in order. The readers' tables of cases are in the modules below.
mod actors;
mod resources;
mod same;

use super::*;
use crate::values::tree::Fields;
use proptest::prelude::*;

const PLACE: Place<'_> = Place { account: "111122223333", region: "eu-west-1" };
const READERS: [&str; 10] = [
    "guardduty",
    "guardduty-object-scan",
    "config",
    "cloudtrail",
    "asff",
    "ocsf",
    "inspector",
    "macie",
    "access-analyzer",
    "event",
];

/// Reads an event of a case pruned and whole, and insists that both give the same.
fn read(reader: &str, text: &str) -> (Vec<Resource>, Option<Actor>) {
    let mut fields = Fields::default();
    for pointer in pointers(reader) {
        fields.insert_whole(pointer);
    }
    let pruned = Node::parse_fields(text, &fields).unwrap();
    let whole = Node::parse(text).unwrap();
    let both = [pruned, whole].map(|event| {
        let found = resources(reader).map(|read| read(&event, &PLACE)).unwrap_or_default();
        (found, actor(reader).and_then(|read| read(&event)))
    });
    let [pruned, whole] = both;
    assert_eq!(pruned, whole, "{reader}: a pruned event says the same: {text}");
    whole
}

/// The detail in an event that is otherwise empty.
fn event(detail: &str) -> String {
    format!(r#"{{"account":"111122223333","region":"eu-west-1","detail":{detail}}}"#)
}

fn check_sound(reader: &str, text: &str) {
    let (found, actor) = read(reader, text);
    assert!(found.len() <= canonical::RESOURCES_MAX + 1, "{reader}");
    for resource in found {
        assert!(!resource.id.trim().is_empty() && !resource.kind.is_empty(), "{reader}: {resource:?}");
        assert!(resource.id.chars().count() <= canonical::ID_MAX, "{reader}: an id is cut");
        assert_ne!(resource.name.as_deref(), Some(""), "{reader}");
        console_link(&resource, PLACE.account, PLACE.region);
    }
    if let Some(actor) = actor {
        assert!(!actor.id.is_empty() && !actor.name.is_empty(), "{reader}: {actor:?}");
        assert!(actor.id.chars().count() <= canonical::ID_MAX, "{reader}");
    }
}

#[test]
fn the_tables_are_read_and_every_row_names_a_known_kind() {
    assert!(kinds::all().len() > 60, "kinds.toml");
    assert!(cloudtrail::table().len() > 40, "cloudtrail.toml");
    for (service, rows) in cloudtrail::table() {
        for row in &rows.from {
            let known = row.kind == "?" || kinds::named(&row.kind).is_some_and(|k| k.name == row.kind);
            assert!(known, "{service}: {}", row.kind);
        }
    }
    for kind in kinds::all() {
        assert_eq!(kinds::named(&kind.name).map(|k| &k.name), Some(&kind.name), "each name once");
    }
}

#[test]
fn every_reader_is_known_by_name_and_says_what_it_touches() {
    for reader in READERS {
        assert!(resources(reader).is_some() && !pointers(reader).is_empty(), "{reader}");
    }
    assert!(resources("nobody").is_none() && actor("config").is_none() && pointers("nobody").is_empty());
}

#[test]
fn every_kind_has_a_word_in_every_language() {
    use findings_formatters::{Locale, word};
    let kinds = super::kinds::all().iter().map(|kind| kind.name.as_str());
    let nameless: Vec<_> = kinds
        .flat_map(|kind| Locale::ALL.map(|locale| (kind, locale)))
        .filter(|(kind, locale)| word(*locale, "resource", kind).is_none())
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
}

#[test]
fn global_kinds_have_no_region() {
    for kind in
        ["AwsIamUser", "AwsIamRole", "AwsIamAccessKey", "AwsS3Bucket", "AwsAccount", "AwsCloudFrontDistribution"]
    {
        assert!(is_global(kind), "{kind}");
    }
    for kind in
        ["AwsIamSomethingNew", "AwsRoute53HostedZone", "AwsOrganizationsPolicy", "AwsWafWebAcl", "AWS::S3::Bucket"]
    {
        assert!(is_global(kind), "{kind}");
    }
    for kind in ["AwsEc2Instance", "AwsKmsKey", "AwsLambdaFunction", "Other", ""] {
        assert!(!is_global(kind), "{kind}");
    }
}

#[test]
fn links_lead_to_the_console_of_the_partition_and_are_encoded() {
    let of = |kind: &'static str, id: &str, region: &str| {
        let resource =
            Resource { kind: kind.into(), id: id.into(), arn: None, name: None, account: None, tags: Vec::new() };
        console_link(&resource, "111122223333", region).unwrap_or_default()
    };
    #[rustfmt::skip]
    let rows = [
        ("AwsEc2Instance", "i-0abc", "eu-west-1", "https://console.aws.amazon.com/ec2/home?region=eu-west-1#InstanceDetails:instanceId=i-0abc"),
        ("AwsEc2SecurityGroup", "sg-1", "cn-north-1", "https://console.amazonaws.cn/ec2/home?region=cn-north-1#SecurityGroup:groupId=sg-1"),
        ("AwsS3Bucket", "b", "us-gov-west-1", "https://console.amazonaws-us-gov.com/s3/buckets/b"),
        ("AwsS3Bucket", "b", "", "https://console.aws.amazon.com/s3/buckets/b"),
        ("AwsS3Object", "b/a b/c?.txt", "eu-west-1", "https://console.aws.amazon.com/s3/object/b?prefix=a%20b%2Fc%3F.txt"),
        ("AwsIamUser", "bob@example.com", "us-east-1", "https://console.aws.amazon.com/iam/home#/users/details/bob%40example.com"),
        ("AwsLogsLogGroup", "/aws/lambda/f", "us-east-1", "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Ff"),
        ("AwsSnsTopic", "t", "eu-west-1", "https://console.aws.amazon.com/sns/v3/home?region=eu-west-1#/topic/arn:aws:sns:eu-west-1:111122223333:t"),
        ("AwsSqsQueue", "q", "eu-west-1", "https://console.aws.amazon.com/sqs/v3/home?region=eu-west-1#/queues/https%3A%2F%2Fsqs.eu-west-1.amazonaws.com%2F111122223333%2Fq"),
        ("AwsApiGatewayStage", "api/prod", "eu-west-1", "https://console.aws.amazon.com/apigateway/main/apis/api/stages?api=api&region=eu-west-1"),
        ("AwsEcrContainerImage", "team/app@sha256:0f", "eu-west-1", "https://console.aws.amazon.com/ecr/repositories/private/111122223333/team%2Fapp?region=eu-west-1"),
        ("AwsLambdaFunction", "f|<@U1>", "eu-west-1", "https://console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/f%7C%3C%40U1%3E"),
        ("AwsEc2Instance", "i-0abc", "", ""),
        ("AwsEc2Instance", "i-0abc", "x#y", ""),
        ("AwsEc2Instance", "i-0abc", "global", ""),
        ("AwsIamPolicy", "no-arn-told", "us-east-1", ""),
        ("AwsS3Object", "no-key", "us-east-1", ""),
        ("AwsNoSuchKind", "x", "us-east-1", ""),
    ];
    for (kind, id, region, link) in rows {
        assert_eq!(of(kind, id, region), link, "{kind} {id} {region}");
    }
}

#[test]
fn long_ids_are_cut_between_characters_and_a_long_arn_is_none() {
    let long = "あ".repeat(400_000);
    let (found, _) = read("config", &event(&format!(r#"{{"resourceType":"AWS::S3::Bucket","resourceId":"{long}"}}"#)));
    assert_eq!(found[0].id.chars().count(), canonical::ID_MAX);
    let (found, _) = read("access-analyzer", &event(&format!(r#"{{"resource":"arn:aws:s3:::b/{long}"}}"#)));
    assert_eq!((found[0].kind.as_ref(), found[0].id.chars().count()), ("AwsS3Object", canonical::ID_MAX));
    assert_eq!(found[0].arn, None);
    for reader in READERS {
        let detail = format!(
            r#"{{"userIdentity":{{"type":"{long}","principalId":"{long}","userName":"{long}","arn":"{long}"}},
            "eventSource":"ec2.amazonaws.com","eventName":"{long}","requestParameters":{{"instanceId":"{long}"}}}}"#
        );
        check_sound(reader, &event(&detail));
    }
}

/// Words that the readers look for, so that random events reach deep.
const WORDS: &[&str] = &[
    "detail",
    "resource",
    "resources",
    "resourceType",
    "accessKeyDetails",
    "userType",
    "userName",
    "principalId",
    "userIdentity",
    "type",
    "arn",
    "ARN",
    "uid",
    "user",
    "name",
    "Resources",
    "Type",
    "Id",
    "Details",
    "AwsIamAccessKey",
    "findings",
    "requestParameters",
    "responseElements",
    "eventSource",
    "eventName",
    "bucketName",
    "key",
    "instanceId",
    "configurationItem",
    "resourceId",
    "s3BucketDetails",
    "sequence",
    "service",
    "detection",
    "tags",
    "actor",
];
const VALUES: &[&str] = &[
    "",
    "  ",
    "arn:aws:s3:::",
    "arn:aws:iam::111122223333:role/",
    "arn:aws:sts::1:assumed-role/",
    "AWS::::Account",
    "AWS::::",
    "AWS::X::Y:",
    "AssumedRole",
    "IAMUser",
    "Root",
    "AWSAccount",
    "iam.amazonaws.com",
    "s3.amazonaws.com",
    "ASIAX",
    "AccessKey",
    "ConsoleLogin",
    "arn:aws:lambda:::function::",
    "AWS::S3::Bucket",
    "AwsSqsQueue",
    "https:///",
    ":",
    "/",
    "arn:aws:ecr:::repository//sha256:",
    "AwsIamAccessKey",
    "i-",
    "ANONYMOUS_PRINCIPAL",
    "HIDDEN_DUE_TO_SECURITY_REASONS",
    "あ",
    "\0",
];

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WORDS)
}
fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(VALUES)
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        value().prop_map(|v| serde_json::to_string(v).unwrap()),
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i32>().prop_map(|n| n.to_string()),
        "\\PC{0,8}".prop_map(|s| serde_json::to_string(&s).unwrap()),
    ];
    leaf.prop_recursive(8, 120, 8, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            4 => prop::collection::vec((word(), inner), 0..8).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn readers_never_fail_and_name_nothing_empty(inner in json(), whole in json()) {
        for reader in READERS {
            check_sound(reader, &event(&inner));
            check_sound(reader, &event(&format!(r#"{{"resource":{inner},"findings":[{inner}],"userIdentity":{inner},"eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey","requestParameters":{inner}}}"#)));
            check_sound(reader, &event(&format!(r#"{{"findings":[{{"Resources":[{inner}],"resources":[{inner}],"actor":{inner}}}]}}"#)));
            check_sound(reader, &whole);
        }
    }

    #[test]
    fn any_texts_where_ids_belong_are_read(id in "\\PC{0,40}", kind in value(), value in value()) {
        let [id, value] = [id.as_str(), value].map(|text| serde_json::to_string(text).unwrap());
        let kind = kind.replace('\0', "");
        for id in [id, value] {
            check_sound("config", &event(&format!(r#"{{"resourceType":"{kind}","resourceId":{id}}}"#)));
            check_sound("asff", &event(&format!(r#"{{"findings":[{{"Resources":[{{"Type":"{kind}","Id":{id}}}]}}]}}"#)));
            check_sound("cloudtrail", &event(&format!(r#"{{"userIdentity":{{"type":"{kind}","arn":{id},"principalId":{id},"accountId":{id}}},"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin"}}"#)));
            check_sound("guardduty", &event(&format!(r#"{{"resource":{{"resourceType":"AccessKey","accessKeyDetails":{{"userType":"{kind}","userName":{id},"principalId":{id},"accessKeyId":{id}}}}}}}"#)));
        }
    }
}
