//! Who acted, as each reporter tells it: a sentence, an event, kind, id and name.
use super::{event, read};
use crate::values::finding::ActorKind::{self, *};

type Expected = Option<(ActorKind, &'static str, &'static str)>;

#[rustfmt::skip]
const ROWS: &[(&str, &str, &str, Expected)] = &[
    ("no identity, no actor", "cloudtrail", r#"{"eventName":"X"}"#, None),
    ("an empty identity neither", "cloudtrail", r#"{"userIdentity":{}}"#, None),
    ("an identity of the wrong type neither", "cloudtrail", r#"{"userIdentity":"root"}"#, None),
    ("a service by itself", "cloudtrail", r#"{"userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}}"#,
        Some((AwsService, "ec2.amazonaws.com", "ec2.amazonaws.com"))),
    ("a service that is told only by where it called from", "cloudtrail", r#"{"userIdentity":{"type":"AWSService"},"sourceIPAddress":"config.amazonaws.com"}"#,
        Some((AwsService, "config.amazonaws.com", "config.amazonaws.com"))),
    ("a service event without a type", "cloudtrail", r#"{"userIdentity":{"accountId":"111122223333","invokedBy":"kms.amazonaws.com"}}"#,
        Some((AwsService, "kms.amazonaws.com", "kms.amazonaws.com"))),
    ("a service on somebody's behalf names both", "cloudtrail",
        r#"{"userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/deploy/ci","invokedBy":"cloudformation.amazonaws.com"},"sourceIPAddress":"cloudformation.amazonaws.com"}"#,
        Some((AwsService, "cloudformation.amazonaws.com", "cloudformation.amazonaws.com for role/deploy (ci)"))),
    ("a person at the console is no service", "cloudtrail",
        r#"{"userIdentity":{"type":"IAMUser","userName":"bob","accountId":"111122223333","invokedBy":"signin.amazonaws.com"},"sourceIPAddress":"AWS Internal"}"#,
        Some((IamUser, "arn:aws:iam::111122223333:user/bob", "user/bob"))),
    ("China is a partition of its own", "cloudtrail", r#"{"awsRegion":"cn-north-1","userIdentity":{"type":"IAMUser","userName":"bob","accountId":"111122223333"}}"#,
        Some((IamUser, "arn:aws-cn:iam::111122223333:user/bob", "user/bob"))),
    ("a user told by ARN alone", "cloudtrail", r#"{"userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a/bob"}}"#,
        Some((IamUser, "arn:aws:iam::111122223333:user/bob", "user/bob"))),
    ("a sign-in with a name that does not exist", "cloudtrail",
        r#"{"userIdentity":{"type":"IAMUser","accountId":"111122223333","userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}}"#,
        Some((Unknown, "unknown-user/111122223333", "unknown user"))),
    ("a person of Identity Center", "cloudtrail",
        r#"{"userIdentity":{"type":"IdentityCenterUser","accountId":"111122223333","onBehalfOf":{"userId":"0-1","identityStoreArn":"arn:aws:identitystore::111122223333:identitystore/d-1"}}}"#,
        Some((IdentityCenterUser, "identity-center/0-1", "identity-center/0-1"))),
    ("a person of Identity Center who signs in", "cloudtrail",
        r#"{"userIdentity":{"type":"IdentityCenterUser","onBehalfOf":{"userId":"0-1"}},"additionalEventData":{"UserName":"eve@example.com"}}"#,
        Some((IdentityCenterUser, "identity-center/0-1", "eve@example.com"))),
    ("… who is named", "cloudtrail",
        r#"{"userIdentity":{"type":"Unknown","userName":"eve","onBehalfOf":{"userId":"0-1"}}}"#,
        Some((IdentityCenterUser, "identity-center/0-1", "eve"))),
    ("another account, which tells no ARN", "cloudtrail", r#"{"recipientAccountId":"111122223333","userIdentity":{"type":"AWSAccount","principalId":"AROAX:s","accountId":"444455556666"}}"#,
        Some((OtherAccount, "444455556666", "account/444455556666"))),
    ("a caller of no account at all", "cloudtrail", r#"{"userIdentity":{"type":"AWSAccount","principalId":"","accountId":"anonymous"}}"#,
        Some((Anonymous, "anonymous", "anonymous"))),
    ("web identity", "cloudtrail", r#"{"userIdentity":{"type":"WebIdentityUser","principalId":"accounts.google.com:app:u1","userName":"u1","identityProvider":"accounts.google.com"}}"#,
        Some((FederatedUser, "accounts.google.com:u1", "u1"))),
    ("SAML", "cloudtrail", r#"{"userIdentity":{"type":"SAMLUser","principalId":"SAMPLE:eve","userName":"eve"}}"#,
        Some((FederatedUser, "SAMLUser:eve", "eve"))),
    ("a kind that nobody knows", "cloudtrail", r#"{"userIdentity":{"type":"Directory","userName":"dave"}}"#, Some((Unknown, "dave", "dave"))),
    ("a kind and nothing else", "cloudtrail", r#"{"userIdentity":{"type":"Unknown"}}"#, Some((Unknown, "unknown", "unknown"))),
    ("a role without a name", "cloudtrail", r#"{"userIdentity":{"type":"AssumedRole","principalId":"AROAX:s","accountId":"111122223333"}}"#,
        Some((RoleSession, "arn:aws:iam::111122223333:role/AROAX", "role/AROAX (s)"))),
    ("a network finding of GuardDuty tells nobody", "guardduty", r#"{"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-1"}}}"#, None),
    ("the first actor of an attack sequence", "guardduty",
        r#"{"accountId":"111122223333","resource":{"resourceType":"AttackSequence"},"service":{"detection":{"sequence":{"actors":[{"id":"a"},{"user":{"name":"bob","type":"IAMUser","account":{"uid":"111122223333"}}}]}}}}"#,
        Some((IamUser, "arn:aws:iam::111122223333:user/bob", "user/bob"))),
    ("ASFF without a key tells nobody", "asff", r#"{"findings":[{"Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::b"}]}]}"#, None),
    ("OCSF: the key's owner", "ocsf", r#"{"findings":[{"cloud":{"account":{"uid":"111122223333"}},"resources":[{"type":"AWS::IAM::AccessKey","uid":"AKIAX","user":{"name":"bob"}}]}]}"#,
        Some((IamUser, "arn:aws:iam::111122223333:user/bob", "user/bob"))),
    ("OCSF without anybody", "ocsf", r#"{"findings":[{"resources":[{"type":"AWS::S3::Bucket","uid":"b"}]}]}"#, None),
];

#[test]
fn each_reader_names_who_acted() {
    for (sentence, reader, detail, expected) in ROWS {
        let (_, actor) = read(reader, &event(detail));
        let told = actor.as_ref().map(|a| (a.kind, a.id.as_str(), a.name.as_str()));
        assert_eq!(told, *expected, "{sentence}");
    }
}

#[test]
fn session_key_account_and_address_are_told_besides() {
    let cloudtrail = r#"{"sourceIPAddress":"198.51.100.7","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/deploy/alice","accessKeyId":"ASIAX"}}"#;
    let guardduty = r#"{"accountId":"111122223333","resource":{"resourceType":"AccessKey","accessKeyDetails":{"accessKeyId":"ASIAX","principalId":"AROAX:alice","userName":"deploy","userType":"AssumedRole"}},"service":{"action":{"awsApiCallAction":{"remoteIpDetails":{"ipAddressV4":"198.51.100.7"}}}}}"#;
    let asff = r#"{"findings":[{"AwsAccountId":"111122223333","Action":{"AwsApiCallAction":{"RemoteIpDetails":{"IpAddressV4":"198.51.100.7"}}},"Resources":[{"Type":"AwsIamAccessKey","Id":"AWS::IAM::AccessKey:ASIAX","Details":{"AwsIamAccessKey":{"PrincipalId":"AROAX:alice","PrincipalName":"deploy","PrincipalType":"AssumedRole"}}}]}]}"#;
    let [one, two, three] = [("cloudtrail", cloudtrail), ("guardduty", guardduty), ("asff", asff)]
        .map(|(reader, detail)| read(reader, &event(detail)).1.unwrap());
    assert_eq!(one.session.as_deref(), Some("alice"));
    assert_eq!(one.access_key.as_deref(), Some("ASIAX"));
    assert_eq!(one.account.as_deref(), Some("111122223333"));
    assert_eq!(one.source_ip.as_deref(), Some("198.51.100.7"));
    assert_eq!(one, two, "GuardDuty tells the whole actor alike");
    assert_eq!(one, three, "and ASFF");
}
