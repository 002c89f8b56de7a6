//! What each reader of resources makes of what its reporter writes: a sentence, an event, what is found.
use super::{event, read};
use crate::values::finding::Resource;

/// `kind id`, and what else was told: `name=`, `account=`.
fn said(resource: &Resource) -> String {
    let more = [("name", &resource.name), ("account", &resource.account)];
    let more = more.iter().filter_map(|(key, value)| Some(format!(" {key}={}", value.as_ref()?)));
    format!("{} {}{}", resource.kind, resource.id, more.collect::<String>())
}

#[rustfmt::skip]
const ROWS: &[(&str, &str, &str, &[&str])] = &[
    // GuardDuty
    ("the instance's Name tag is its name", "guardduty",
        r#"{"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-1","tags":[{"key":"Name","value":"web"}]}}}"#,
        &["AwsEc2Instance i-1 name=web"]),
    ("stolen instance credentials are about the role, then the instance", "guardduty",
        r#"{"resource":{"resourceType":"AccessKey","accessKeyDetails":{"userType":"AssumedRole","userName":"web","principalId":"AROAX:i-1"},"instanceDetails":{"instanceId":"i-1"}}}"#,
        &["AwsIamRole web", "AwsEc2Instance i-1"]),
    ("a container finding names the container first, then where it runs", "guardduty",
        r#"{"resource":{"resourceType":"Container","eksClusterDetails":{"name":"k"},"containerDetails":{"id":"c0ffee","name":"app"}}}"#,
        &["Container c0ffee name=app", "AwsEksCluster k"]),
    ("a session key of an IAM user stays the user's", "guardduty",
        r#"{"resource":{"resourceType":"AccessKey","accessKeyDetails":{"accessKeyId":"ASIAX","userType":"IAMUser","userName":"bob"}}}"#,
        &["AwsIamUser bob"]),
    ("a federated user has no IAM resource but the key", "guardduty",
        r#"{"resource":{"resourceType":"AccessKey","accessKeyDetails":{"accessKeyId":"ASIAX","userType":"FederatedUser","userName":"fed"}}}"#,
        &["AwsIamAccessKey ASIAX"]),
    ("an anonymous caller is no resource", "guardduty",
        r#"{"resource":{"resourceType":"AccessKey","accessKeyDetails":{"accessKeyId":"","userType":"AWSAccount","userName":"ANONYMOUS_PRINCIPAL"}}}"#, &[]),
    ("an attack sequence lists what it touched, the keys last", "guardduty",
        r#"{"resource":{"resourceType":"AttackSequence"},"service":{"detection":{"sequence":{"resources":[
            {"uid":"AKIAX","resourceType":"ACCESS_KEY","data":{"accessKey":{"userName":"bob","userType":"IAMUser"}}},
            {"uid":"arn:aws:s3:::logs","resourceType":"S3_BUCKET","accountId":"444455556666"},
            {"uid":"arn:aws:ec2:eu-west-1:111122223333:instance/i-1","resourceType":"EC2_INSTANCE"}]}}}}"#,
        &["AwsS3Bucket logs account=444455556666", "AwsEc2Instance i-1", "AwsIamUser bob"]),
    ("wrong types everywhere are nobody", "guardduty",
        r#"{"resource":{"resourceType":7,"instanceDetails":[{"instanceId":{}}],"s3BucketDetails":"x","accessKeyDetails":[]}}"#, &[]),
    ("a bucket's status is about the bucket", "guardduty-object-scan", r#"{"s3BucketDetails":{"bucketName":"b"}}"#, &["AwsS3Bucket b"]),
    // Config
    ("a user is known by its unique id where no name is told", "config",
        r#"{"resourceType":"AWS::IAM::User","resourceId":"AIDAX"}"#, &["AwsIamUser AIDAX"]),
    ("the qualifier tells the resource too", "config",
        r#"{"newEvaluationResult":{"evaluationResultIdentifier":{"evaluationResultQualifier":{"resourceType":"AWS::EC2::EIP","resourceId":"eipalloc-1"}}}}"#,
        &["AwsEc2Eip eipalloc-1"]),
    ("a kind that nobody listed is written like ASFF's", "config",
        r#"{"resourceType":"AWS::Foo::Bar","resourceId":"x"}"#, &["AwsFooBar x"]),
    ("a kind that is no kind is ASFF's Other", "config", r#"{"resourceType":"<b>","resourceId":"x"}"#, &["Other x"]),
    ("a machine of one's own is no EC2 instance, whatever Systems Manager calls it", "config",
        r#"{"resourceType":"AWS::SSM::ManagedInstanceInventory","resourceId":"mi-0a1b2c3d4e5f60718"}"#, &["AwsSsmManagedNode mi-0a1b2c3d4e5f60718"]),
    ("an ARN may tell the name beside the id", "config",
        r#"{"resourceType":"AWS::WAFv2::WebACL","resourceId":"arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/shop/0-1"}"#, &["AwsWafv2WebAcl 0-1 name=shop"]),
    ("a type without an id is nothing", "config", r#"{"resourceType":"AWS::EC2::Instance","resourceId":" "}"#, &[]),
    ("a configuration item tells tags", "config",
        r#"{"configurationItem":{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","tags":{"Name":"web"}}}"#, &["AwsEc2Instance i-1 name=web"]),
    // CloudTrail
    ("a user added to a group: the user first", "cloudtrail",
        r#"{"eventSource":"iam.amazonaws.com","eventName":"AddUserToGroup","requestParameters":{"groupName":"admins","userName":"bob"}}"#,
        &["AwsIamUser bob", "AwsIamGroup admins"]),
    ("a key for oneself is about oneself", "cloudtrail",
        r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey","requestParameters":null,"userIdentity":{"type":"Root","accountId":"111122223333"}}"#,
        &["AwsAccount 111122223333"]),
    ("the password policy is the account's, which the caller falls back to", "cloudtrail",
        r#"{"eventSource":"iam.amazonaws.com","eventName":"DeleteAccountPasswordPolicy","requestParameters":null,"userIdentity":{"type":"IAMUser","userName":"bob"}}"#, &[]),
    ("the account's Block Public Access names no bucket", "cloudtrail",
        r#"{"eventSource":"s3.amazonaws.com","eventName":"PutAccountPublicAccessBlock","requestParameters":{"publicAccessBlock":""}}"#, &[]),
    ("deleted flow logs, as EC2 writes lists", "cloudtrail",
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"DeleteFlowLogs","requestParameters":{"DeleteFlowLogsRequest":{"FlowLogId":[{"tag":1,"content":"fl-1"},{"tag":2,"content":"fl-2"}]}}}"#,
        &["AwsEc2FlowLog fl-1", "AwsEc2FlowLog fl-2"]),
    ("or as one text", "cloudtrail",
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"DeleteFlowLogs","requestParameters":{"DeleteFlowLogsRequest":{"FlowLogId":"fl-1"}}}"#, &["AwsEc2FlowLog fl-1"]),
    ("a masked name is no name", "cloudtrail",
        r#"{"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#, &[]),
    ("a service that the table does not know: the record's own list", "cloudtrail",
        r#"{"eventSource":"new.amazonaws.com","eventName":"X","resources":[{"ARN":"arn:aws:s3:::b","type":"AWS::S3::Bucket"},{"ARN":"arn:aws:new:eu-west-1:444455556666:thing/t"}]}"#,
        &["AwsS3Bucket b", "Other arn:aws:new:eu-west-1:444455556666:thing/t account=444455556666"]),
    ("an omitted request names nothing", "cloudtrail",
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","requestParameters":{"omitted":true}}"#, &[]),
    ("an instance launched: not its subnet", "cloudtrail",
        r#"{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","requestParameters":{"subnetId":"subnet-1","instancesSet":{"items":[{"imageId":"ami-1"}]}},"responseElements":{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}}"#,
        &["AwsEc2Instance i-1", "AwsEc2Instance i-2"]),
    ("an organization's target is an account or a unit", "cloudtrail",
        r#"{"eventSource":"organizations.amazonaws.com","eventName":"DetachPolicy","requestParameters":{"targetId":"ou-1","policyId":"p-1"}}"#,
        &["AwsOrganizationsOrganizationalUnit ou-1", "AwsOrganizationsPolicy p-1"]),
    ("an account that leaves is the account", "cloudtrail",
        r#"{"eventSource":"organizations.amazonaws.com","eventName":"RemoveAccountFromOrganization","requestParameters":{"accountId":"444455556666"}}"#,
        &["AwsAccount 444455556666 account=444455556666"]),
    ("a recorder and a hosted zone", "cloudtrail",
        r#"{"eventSource":"config.amazonaws.com","eventName":"StopConfigurationRecorder","requestParameters":{"configurationRecorderName":"default"}}"#, &["AwsConfigRecorder default"]),
    // Security Hub
    ("ASFF: a bucket comes before the key that touched it", "asff",
        r#"{"findings":[{"Resources":[{"Type":"AwsIamAccessKey","Id":"AKIAX","Details":{"AwsIamAccessKey":{"PrincipalName":"bob","PrincipalType":"IAMUser"}}},{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::b","Tags":{"Name":"B"}}]}]}"#,
        &["AwsS3Bucket b name=B", "AwsIamUser bob"]),
    ("ASFF: a key without details is the key", "asff",
        r#"{"findings":[{"Resources":[{"Type":"AwsIamAccessKey","Id":"AWS::IAM::AccessKey:AKIAX"}]}]}"#, &["AwsIamAccessKey AKIAX"]),
    ("ASFF: another account's resource says so", "asff",
        r#"{"findings":[{"Resources":[{"Type":"AwsSnsTopic","Id":"arn:aws:sns:eu-west-1:444455556666:t"}]}]}"#, &["AwsSnsTopic t account=444455556666"]),
    ("ASFF: a type of its own is kept", "asff",
        r#"{"findings":[{"Resources":[{"Type":"AwsNewThing","Id":"arn:aws:new:eu-west-1:111122223333:t"},{"Type":"AwsNewThing"}]}]}"#, &["AwsNewThing arn:aws:new:eu-west-1:111122223333:t"]),
    ("OCSF: owner, name and tags", "ocsf",
        r#"{"findings":[{"resources":[{"type":"AWS::EC2::Instance","uid":"arn:aws:ec2:eu-west-1:444455556666:instance/i-1","owner":{"account":{"uid":"444455556666"}},"tags":[{"name":"Name","value":"web"}]}]}]}"#,
        &["AwsEc2Instance i-1 name=web account=444455556666"]),
    ("OCSF: a key with its user's name", "ocsf",
        r#"{"findings":[{"resources":[{"type":"AWS::IAM::AccessKey","uid":"ASIAX","user":{"name":"deploy"}}]}]}"#, &["AwsIamRole deploy"]),
    ("OCSF: a key alone", "ocsf", r#"{"findings":[{"resources":[{"type":"AwsIamAccessKey","uid":"AKIAX"}]}]}"#, &["AwsIamAccessKey AKIAX"]),
];

#[test]
fn each_reader_finds_what_its_reporter_names() {
    for (sentence, reader, detail, expected) in ROWS {
        let (found, _) = read(reader, &event(detail));
        assert_eq!(found.iter().map(said).collect::<Vec<_>>(), *expected, "{sentence}");
    }
}

#[test]
fn any_event_names_its_resources_by_arn() {
    let text = r#"{"resources":["arn:aws:ec2:eu-west-1:111122223333:instance/i-1","not an arn",7,"arn:aws:s3:::b/","arn:aws:s3:::b"]}"#;
    let (found, _) = read("event", text);
    assert_eq!(found.iter().map(said).collect::<Vec<_>>(), ["AwsEc2Instance i-1", "AwsS3Bucket b"]);
    assert_eq!(found[0].arn.as_deref(), Some("arn:aws:ec2:eu-west-1:111122223333:instance/i-1"));
}
