//! Amazon Resource Names taken apart, because most reporters name a resource by one and people by its last piece.

/// An ARN's parts (General Reference, "Amazon Resource Names": `arn:partition:service:region:account:resource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub(super) partition: &'a str,
    /// `ec2`, `s3`, …
    pub(super) service: &'a str,
    /// Empty for global services.
    pub(super) region: &'a str,
    /// Empty for S3 buckets and API Gateway, `aws` for what AWS manages.
    pub(super) account: &'a str,
    /// The rest, colons included.
    pub(super) resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads an ARN; `None` for everything that is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let mut next = || parts.next();
        let arn = Self { partition: next()?, service: next()?, region: next()?, account: next()?, resource: next()? };
        (arn.partition.starts_with("aws") && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }

    /// The account, where the ARN tells a customer's.
    pub(super) fn owner(&self) -> Option<&'a str> {
        Some(self.account).filter(|a| is_account(a))
    }
}

/// Twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The partition that a Region belongs to.
pub(super) fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
