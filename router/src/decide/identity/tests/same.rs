//! The promise: the same resource, and the same actor, told by several reporters gives one name.
use super::{event, read};

/// A way to tell of a resource or an actor: the reader, and the event's detail.
type Saying = (&'static str, String);

fn config(kind: &str, id: &str) -> Saying {
    ("config", format!(r#"{{"resourceType":"AWS::{kind}","resourceId":"{id}"}}"#))
}
fn item(kind: &str, id: &str, name: &str) -> Saying {
    let text = format!(r#"{{"resourceType":"AWS::{kind}","resourceId":"{id}","resourceName":"{name}"}}"#);
    ("config", format!(r#"{{"configurationItem":{text}}}"#))
}
fn asff(kind: &str, id: &str) -> Saying {
    ("asff", format!(r#"{{"findings":[{{"Resources":[{{"Type":"{kind}","Id":"{id}"}}]}}]}}"#))
}
fn ocsf(kind: &str, uid: &str) -> Saying {
    ("ocsf", format!(r#"{{"findings":[{{"resources":[{{"type":"{kind}","uid":"{uid}"}}]}}]}}"#))
}
fn guardduty(kind: &str, details: &str) -> Saying {
    ("guardduty", format!(r#"{{"accountId":"111122223333","resource":{{"resourceType":"{kind}",{details}}}}}"#))
}
fn trail(service: &str, name: &str, parameters: &str) -> Saying {
    let call = format!(r#""eventSource":"{service}.amazonaws.com","eventName":"{name}""#);
    ("cloudtrail", format!(r#"{{{call},"requestParameters":{parameters}}}"#))
}
fn key(owner: &str, key: &str) -> Saying {
    guardduty("AccessKey", &format!(r#""accessKeyDetails":{{{owner},"accessKeyId":"{key}"}}"#))
}

type Rows = Vec<(&'static str, &'static str, Vec<Saying>)>;

#[rustfmt::skip]
fn ec2_s3_and_identities() -> Rows {
    vec![
        ("AwsEc2Instance", "i-0abc", vec![
            config("EC2::Instance", "i-0abc"),
            asff("AwsEc2Instance", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc"),
            ocsf("AWS::EC2::Instance", "i-0abc"),
            guardduty("Instance", r#""instanceDetails":{"instanceId":"i-0abc"}"#),
            trail("ec2", "RunInstances", r#"{"instancesSet":{"items":[{"instanceId":"i-0abc"}]}}"#),
            trail("ec2", "ModifyInstanceMetadataOptions", r#"{"ModifyInstanceMetadataOptionsRequest":{"InstanceId":"i-0abc"}}"#),
            trail("ssm", "StartSession", r#"{"target":"i-0abc"}"#),
            config("SSM::PatchCompliance", "AWS::SSM::ManagedInstanceInventory/i-0abc"),
            ("inspector", r#"{"resources":[{"type":"AWS_EC2_INSTANCE","id":"i-0abc"}]}"#.into()),
        ]),
        ("AwsEc2SecurityGroup", "sg-1", vec![
            config("EC2::SecurityGroup", "sg-1"),
            asff("AwsEc2SecurityGroup", "arn:aws:ec2:eu-west-1:111122223333:security-group/sg-1"),
            trail("ec2", "AuthorizeSecurityGroupIngress", r#"{"groupId":"sg-1","ipPermissions":{"items":[{"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}]}}"#),
            trail("ec2", "ModifySecurityGroupRules", r#"{"ModifySecurityGroupRulesRequest":{"GroupId":"sg-1"}}"#),
        ]),
        ("AwsEc2Volume", "vol-1", vec![
            config("EC2::Volume", "vol-1"), asff("AwsEc2Volume", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1"),
        ]),
        ("AwsEc2Snapshot", "snap-1", vec![
            trail("ec2", "ModifySnapshotAttribute", r#"{"snapshotId":"snap-1"}"#),
            guardduty("EBSSnapshot", r#""ebsSnapshotDetails":{"snapshotArn":"arn:aws:ec2:eu-west-1::snapshot/snap-1"}"#),
            asff("Other", "arn:aws:ec2:eu-west-1:111122223333:snapshot/snap-1"),
        ]),
        ("AwsEc2Vpc", "vpc-1", vec![
            config("EC2::VPC", "vpc-1"), ocsf("AWS::EC2::VPC", "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1"),
            trail("ec2", "DeleteVpc", r#"{"vpcId":"vpc-1"}"#),
        ]),
        ("AwsEc2NetworkAcl", "acl-1", vec![
            config("EC2::NetworkAcl", "acl-1"), trail("ec2", "CreateNetworkAclEntry", r#"{"networkAclId":"acl-1"}"#),
        ]),
        ("AwsS3Bucket", "logs", vec![
            config("S3::Bucket", "logs"), asff("AwsS3Bucket", "arn:aws:s3:::logs"), ocsf("AWS::S3::Bucket", "logs"),
            guardduty("S3Bucket", r#""s3BucketDetails":[{"arn":"arn:aws:s3:::logs","name":"logs"}],"accessKeyDetails":{"userType":"IAMUser","userName":"bob"}"#),
            trail("s3", "PutBucketPolicy", r#"{"bucketName":"logs","policy":""}"#),
            ("macie", r#"{"resourcesAffected":{"s3Bucket":{"arn":"arn:aws:s3:::logs","name":"logs"}}}"#.into()),
            ("access-analyzer", r#"{"resource":"arn:aws:s3:::logs","resourceType":"AWS::S3::Bucket"}"#.into()),
        ]),
        ("AwsS3Object", "logs/a/b.txt", vec![
            asff("AwsS3Object", "arn:aws:s3:::logs/a/b.txt"),
            ("guardduty-object-scan", r#"{"s3ObjectDetails":{"bucketName":"logs","objectKey":"a/b.txt"}}"#.into()),
            trail("s3", "PutObject", r#"{"bucketName":"logs","key":"a/b.txt"}"#),
            guardduty("S3Object", r#""s3BucketDetails":[{"name":"logs","s3ObjectDetails":[{"objectArn":"arn:aws:s3:::logs/a/b.txt"}]}]"#),
            ("macie", r#"{"resourcesAffected":{"s3Bucket":{"name":"logs"},"s3Object":{"key":"a/b.txt","bucketArn":"arn:aws:s3:::logs"}}}"#.into()),
        ]),
        ("AwsAccount", "111122223333", vec![
            config("::Account", "111122223333"), config("S3::AccountPublicAccessBlock", "111122223333"),
            asff("AwsAccount", "AWS::::Account:111122223333"), ocsf("AwsAccount", "111122223333"),
            asff("AwsAccount", "arn:aws:iam::111122223333:root"),
            trail("sts", "AssumeRoot", r#"{"targetPrincipal":"111122223333"}"#),
            key(r#""userType":"Root","userName":"Root""#, ""),
            ("config", r#"{"resourceType":"AWS::::Account"}"#.into()),
        ]),
        ("AwsIamUser", "bob", vec![
            item("IAM::User", "AIDAEXAMPLE", "bob"), asff("AwsIamUser", "arn:aws:iam::111122223333:user/team/bob"),
            ocsf("AWS::IAM::User", "arn:aws:iam::111122223333:user/bob"),
            trail("iam", "CreateAccessKey", r#"{"userName":"bob"}"#),
            key(r#""userType":"IAMUser","userName":"bob","principalId":"AIDAEXAMPLE""#, "AKIAEXAMPLE"),
            ("asff", r#"{"findings":[{"Resources":[{"Type":"AwsIamAccessKey","Id":"AWS::IAM::AccessKey:AKIAEXAMPLE","Details":{"AwsIamAccessKey":{"PrincipalName":"bob","PrincipalType":"IAMUser"}}}]}]}"#.into()),
            ("ocsf", r#"{"findings":[{"resources":[{"type":"AWS::IAM::AccessKey","uid":"AKIAEXAMPLE","user":{"name":"bob"}}]}]}"#.into()),
            ("cloudtrail", r#"{"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"bob","accountId":"111122223333"},"requestParameters":null}"#.into()),
        ]),
        ("AwsIamRole", "deploy", vec![
            item("IAM::Role", "AROAEXAMPLE", "deploy"), asff("AwsIamRole", "arn:aws:iam::111122223333:role/path/deploy"),
            trail("iam", "UpdateAssumeRolePolicy", r#"{"roleName":"deploy"}"#),
            trail("sts", "AssumeRole", r#"{"roleArn":"arn:aws:iam::111122223333:role/path/deploy","roleSessionName":"x"}"#),
            key(r#""userType":"AssumedRole","userName":"deploy","principalId":"AROAEXAMPLE:alice""#, "ASIAEXAMPLE"),
            key(r#""userName":"deploy","principalId":"AROAEXAMPLE:alice""#, "ASIAEXAMPLE"),
        ]),
        ("AwsIamPolicy", "p", vec![
            item("IAM::Policy", "ANPAEXAMPLE", "p"), asff("AwsIamPolicy", "arn:aws:iam::111122223333:policy/p"),
            trail("iam", "CreatePolicyVersion", r#"{"policyArn":"arn:aws:iam::111122223333:policy/p"}"#),
        ]),
    ]
}

#[rustfmt::skip]
fn keys_watching_databases_and_compute() -> Rows {
    vec![
        ("AwsKmsKey", "0-1-2", vec![
            config("KMS::Key", "0-1-2"), asff("AwsKmsKey", "arn:aws:kms:eu-west-1:111122223333:key/0-1-2"),
            trail("kms", "DisableKey", r#"{"keyId":"0-1-2"}"#),
            ("cloudtrail", r#"{"eventSource":"kms.amazonaws.com","eventName":"CreateGrant","requestParameters":{"keyId":"alias/app"},"resources":[{"ARN":"arn:aws:kms:eu-west-1:111122223333:key/0-1-2","type":"AWS::KMS::Key"}]}"#.into()),
        ]),
        ("AwsCloudTrailTrail", "main", vec![
            config("CloudTrail::Trail", "main"), asff("AwsCloudTrailTrail", "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"),
            trail("cloudtrail", "StopLogging", r#"{"name":"main"}"#),
            trail("cloudtrail", "DeleteTrail", r#"{"name":"arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"}"#),
        ]),
        ("AwsGuardDutyDetector", "d1", vec![
            trail("guardduty", "DeleteDetector", r#"{"detectorId":"d1"}"#), config("GuardDuty::Detector", "d1"),
            asff("AwsGuardDutyDetector", "arn:aws:guardduty:eu-west-1:111122223333:detector/d1"),
        ]),
        ("AwsRdsDbInstance", "db1", vec![
            item("RDS::DBInstance", "db-ABC", "db1"), asff("AwsRdsDbInstance", "arn:aws:rds:eu-west-1:111122223333:db:db1"),
            trail("rds", "ModifyDBInstance", r#"{"dBInstanceIdentifier":"db1"}"#),
            guardduty("RDSDBInstance", r#""rdsDbInstanceDetails":{"dbInstanceIdentifier":"db1","dbInstanceArn":"arn:aws:rds:eu-west-1:111122223333:db:db1"}"#),
        ]),
        ("AwsRdsDbSnapshot", "rds:db1-2026", vec![
            config("RDS::DBSnapshot", "rds:db1-2026"), asff("AwsRdsDbSnapshot", "arn:aws:rds:eu-west-1:111122223333:snapshot:rds:db1-2026"),
            trail("rds", "ModifyDBSnapshotAttribute", r#"{"dBSnapshotIdentifier":"rds:db1-2026"}"#),
        ]),
        ("AwsRedshiftCluster", "dw", vec![
            config("Redshift::Cluster", "dw"), asff("AwsRedshiftCluster", "arn:aws:redshift:eu-west-1:111122223333:cluster:dw"),
            trail("redshift", "ModifyCluster", r#"{"clusterIdentifier":"dw"}"#),
        ]),
        ("AwsDynamoDbTable", "t", vec![
            config("DynamoDB::Table", "t"), asff("AwsDynamoDbTable", "arn:aws:dynamodb:eu-west-1:111122223333:table/t"),
            trail("dynamodb", "DeleteTable", r#"{"tableName":"t"}"#),
        ]),
        ("AwsLambdaFunction", "f", vec![
            config("Lambda::Function", "f"), asff("AwsLambdaFunction", "arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST"),
            trail("lambda", "AddPermission20150331v2", r#"{"functionName":"arn:aws:lambda:eu-west-1:111122223333:function:f"}"#),
            trail("lambda", "UpdateFunctionCode20150331v2", r#"{"functionName":"111122223333:function:f:live"}"#),
            guardduty("Lambda", r#""lambdaDetails":{"functionArn":"arn:aws:lambda:eu-west-1:111122223333:function:f:7","functionName":"f"}"#),
        ]),
        ("AwsEksCluster", "k", vec![
            config("EKS::Cluster", "k"), asff("AwsEksCluster", "arn:aws:eks:eu-west-1:111122223333:cluster/k"),
            trail("eks", "UpdateClusterConfig", r#"{"name":"k"}"#), trail("eks", "CreateAccessEntry", r#"{"name":"k"}"#),
            guardduty("EKSCluster", r#""eksClusterDetails":{"name":"k","arn":"arn:aws:eks:eu-west-1:111122223333:cluster/k"}"#),
        ]),
        ("AwsEcsCluster", "c", vec![
            config("ECS::Cluster", "arn:aws:ecs:eu-west-1:111122223333:cluster/c"), trail("ecs", "ExecuteCommand", r#"{"cluster":"c"}"#),
            guardduty("ECSCluster", r#""ecsClusterDetails":{"name":"c","arn":"arn:aws:ecs:eu-west-1:111122223333:cluster/c"}"#),
        ]),
    ]
}

#[rustfmt::skip]
fn messaging_edge_and_the_rest() -> Rows {
    vec![
        ("AwsEcrContainerImage", "team/app@sha256:0f", vec![
            asff("AwsEcrContainerImage", "arn:aws:ecr:eu-west-1:111122223333:repository/team/app/sha256:0f"),
            ("inspector", r#"{"resources":[{"type":"AWS_ECR_CONTAINER_IMAGE","id":"arn:aws:ecr:eu-west-1:111122223333:repository/team/app/sha256:0f"}]}"#.into()),
        ]),
        ("AwsSecretsManagerSecret", "app/db", vec![
            config("SecretsManager::Secret", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app/db-AbCdEf"),
            trail("secretsmanager", "DeleteSecret", r#"{"secretId":"app/db"}"#),
            asff("AwsSecretsManagerSecret", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app/db-AbCdEf"),
        ]),
        ("AwsSnsTopic", "t", vec![
            config("SNS::Topic", "arn:aws:sns:eu-west-1:111122223333:t"), asff("AwsSnsTopic", "arn:aws:sns:eu-west-1:111122223333:t"),
            trail("sns", "SetTopicAttributes", r#"{"topicArn":"arn:aws:sns:eu-west-1:111122223333:t"}"#),
        ]),
        ("AwsSqsQueue", "q", vec![
            config("SQS::Queue", "https://sqs.eu-west-1.amazonaws.com/111122223333/q"), asff("AwsSqsQueue", "arn:aws:sqs:eu-west-1:111122223333:q"),
            trail("sqs", "PurgeQueue", r#"{"queueUrl":"https://sqs.eu-west-1.amazonaws.com/111122223333/q"}"#),
        ]),
        ("AwsElbv2LoadBalancer", "web", vec![
            config("ElasticLoadBalancingV2::LoadBalancer", "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/web/50dc"),
            trail("elasticloadbalancing", "SetSecurityGroups", r#"{"loadBalancerArn":"arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/web/50dc"}"#),
        ]),
        ("AwsElbLoadBalancer", "old", vec![
            config("ElasticLoadBalancing::LoadBalancer", "old"), asff("AwsElbLoadBalancer", "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/old"),
            trail("elasticloadbalancing", "ApplySecurityGroupsToLoadBalancer", r#"{"loadBalancerName":"old"}"#),
        ]),
        ("AwsCloudFrontDistribution", "E1", vec![
            config("CloudFront::Distribution", "arn:aws:cloudfront::111122223333:distribution/E1"), config("CloudFront::Distribution", "E1"),
        ]),
        ("AwsApiGatewayStage", "api/prod", vec![
            config("ApiGateway::Stage", "arn:aws:apigateway:eu-west-1::/restapis/api/stages/prod"),
            trail("apigateway", "UpdateStage", r#"{"restApiId":"api","stageName":"prod"}"#),
        ]),
        ("AwsCodeBuildProject", "build", vec![
            config("CodeBuild::Project", "arn:aws:codebuild:eu-west-1:111122223333:project/build"), trail("codebuild", "StartBuild", r#"{"projectName":"build"}"#),
        ]),
        ("AwsOpenSearchServiceDomain", "s", vec![
            config("OpenSearch::Domain", "s"), config("Elasticsearch::Domain", "s"), asff("AwsElasticsearchDomain", "arn:aws:es:eu-west-1:111122223333:domain/s"),
            trail("es", "UpdateDomainConfig", r#"{"domainName":"s"}"#),
        ]),
        ("AwsEfsFileSystem", "fs-1", vec![
            config("EFS::FileSystem", "fs-1"), trail("elasticfilesystem", "DeleteFileSystem", r#"{"fileSystemId":"fs-1"}"#),
        ]),
        ("AwsLogsLogGroup", "/app", vec![
            config("Logs::LogGroup", "/app"), asff("Other", "arn:aws:logs:eu-west-1:111122223333:log-group:/app:*"),
            trail("logs", "DeleteLogGroup", r#"{"logGroupName":"/app"}"#),
        ]),
        ("AwsEventsRule", "bus/r", vec![
            asff("Other", "arn:aws:events:eu-west-1:111122223333:rule/bus/r"), trail("events", "DisableRule", r#"{"name":"r","eventBusName":"bus"}"#),
        ]),
        ("AwsEventsRule", "r", vec![
            asff("Other", "arn:aws:events:eu-west-1:111122223333:rule/r"), trail("events", "DisableRule", r#"{"name":"r","eventBusName":"default"}"#),
            trail("events", "RemoveTargets", r#"{"rule":"r"}"#),
        ]),
        ("AwsAutoScalingAutoScalingGroup", "g", vec![
            config("AutoScaling::AutoScalingGroup", "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:0-1:autoScalingGroupName/g"),
            trail("autoscaling", "UpdateAutoScalingGroup", r#"{"autoScalingGroupName":"g"}"#),
        ]),
        ("AwsWafv2WebAcl", "0-1", vec![
            asff("AwsWafv2WebAcl", "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/w/0-1"), trail("wafv2", "DeleteWebACL", r#"{"name":"w","id":"0-1"}"#),
        ]),
    ]
}

#[test]
fn the_same_resource_has_one_name_whoever_reports_it() {
    let rows = [ec2_s3_and_identities(), keys_watching_databases_and_compute(), messaging_edge_and_the_rest()];
    for (kind, id, sayings) in rows.into_iter().flatten() {
        for (reader, detail) in sayings {
            let (found, _) = read(reader, &event(&detail));
            let told: Vec<_> = found.iter().map(|r| (r.kind.as_ref(), r.id.as_str(), r.account.as_deref())).collect();
            assert_eq!(told.first(), Some(&(kind, id, None)), "{reader}: {detail}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn the_same_actor_has_one_id_whoever_reports_it() {
    let asff_key = |details: &str| ("asff", format!(r#"{{"findings":[{{"AwsAccountId":"111122223333","Region":"eu-west-1","Resources":[{{"Type":"AwsIamAccessKey","Id":"AWS::IAM::AccessKey:X","Details":{{"AwsIamAccessKey":{{{details}}}}}}}]}}]}}"#));
    let trail = |identity: &str| ("cloudtrail", format!(r#"{{"userIdentity":{{"accountId":"111122223333",{identity}}}}}"#));
    let ocsf = |user: &str| ("ocsf", format!(r#"{{"findings":[{{"cloud":{{"account":{{"uid":"111122223333"}}}},"actor":{{"user":{{{user}}}}}}}]}}"#));
    let rows: Rows = vec![
        ("arn:aws:iam::111122223333:root", "root", vec![
            key(r#""userType":"Root","userName":"Root","principalId":"111122223333""#, ""),
            trail(r#""type":"Root","arn":"arn:aws:iam::111122223333:root""#),
            asff_key(r#""PrincipalType":"Root","PrincipalName":"Root""#), ocsf(r#""type":"Root","name":"root""#),
        ]),
        ("arn:aws:iam::111122223333:user/bob", "user/bob", vec![
            key(r#""userType":"IAMUser","userName":"bob","principalId":"AIDAEXAMPLE""#, "AKIAEXAMPLE"),
            trail(r#""type":"IAMUser","userName":"bob","arn":"arn:aws:iam::111122223333:user/team/bob""#),
            asff_key(r#""PrincipalType":"IAMUser","PrincipalName":"bob""#),
            ocsf(r#""type":"IAMUser","name":"bob""#), ocsf(r#""uid":"arn:aws:iam::111122223333:user/team/bob""#),
        ]),
        ("arn:aws:iam::111122223333:role/deploy", "role/deploy (alice)", vec![
            key(r#""userType":"AssumedRole","userName":"deploy","principalId":"AROAEXAMPLE:alice""#, "ASIAEXAMPLE"),
            trail(r#""type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/deploy/alice","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111122223333:role/path/deploy"}}"#),
            trail(r#""type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/deploy/alice""#),
            asff_key(r#""PrincipalType":"AssumedRole","PrincipalName":"deploy","PrincipalId":"AROAEXAMPLE:alice""#),
            ocsf(r#""type":"AssumedRole","uid":"arn:aws:sts::111122223333:assumed-role/deploy/alice""#),
        ]),
        ("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0f/eve@example.com", "eve@example.com (Admin)", vec![
            key(r#""userType":"AssumedRole","userName":"AWSReservedSSO_Admin_0f","principalId":"AROAX:eve@example.com""#, "ASIAEXAMPLE"),
            trail(r#""type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0f/eve@example.com","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0f"}}"#),
            asff_key(r#""PrincipalType":"AssumedRole","PrincipalName":"AWSReservedSSO_Admin_0f","PrincipalId":"AROAX:eve@example.com""#),
        ]),
        ("arn:aws:sts::111122223333:federated-user/fed", "federated-user/fed", vec![
            key(r#""userType":"FederatedUser","userName":"fed","principalId":"111122223333:fed""#, "ASIAEXAMPLE"),
            trail(r#""type":"FederatedUser","arn":"arn:aws:sts::111122223333:federated-user/fed","principalId":"111122223333:fed""#),
        ]),
        ("anonymous", "anonymous", vec![
            key(r#""userType":"AWSAccount","userName":"ANONYMOUS_PRINCIPAL""#, ""),
            ("cloudtrail", r#"{"userIdentity":{"type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL"}}"#.into()),
        ]),
    ];
    for (id, name, sayings) in rows {
        for (reader, detail) in sayings {
            let (_, actor) = read(reader, &event(&detail));
            let told = actor.map(|a| (a.id, a.name));
            assert_eq!(told, Some((id.to_owned(), name.to_owned())), "{reader}: {detail}");
        }
    }
}
