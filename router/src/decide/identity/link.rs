//! Pages of the AWS console: built from a template per kind, percent-encoded, because ids come from events.
//!
//! The console has no documented URLs; the templates are the ones seen in the field (C).
use super::{
    arn::{is_account, partition},
    kinds,
};
use crate::values::{finding::Resource, text::percent_encode};

/// The resource's page in the AWS console of its Region's partition; `None` where there is none that we know.
pub fn console_link(resource: &Resource, account: &str, region: &str) -> Option<String> {
    let template = kinds::named(&resource.kind)?.link.as_deref()?;
    // AWS Health says `global` for what is in no Region.
    let region_ok = region.contains('-') && region.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if resource.id.is_empty() || (template.contains("{region}") && !region_ok) {
        return None;
    }
    let partition = partition(region);
    let (host, suffix) = match partition {
        "aws-cn" => ("console.amazonaws.cn", "amazonaws.com.cn"),
        "aws-us-gov" => ("console.amazonaws-us-gov.com", "amazonaws.com"),
        _ => ("console.aws.amazon.com", "amazonaws.com"),
    };
    let account = resource.account.as_deref().unwrap_or(account);
    let (head, tail) = resource.id.split_once("@sha256:").or_else(|| resource.id.split_once('/')).unzip();
    let mut link = format!("https://{host}");
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        link.push_str(text);
        link.push_str(&match name {
            "id" => percent_encode(&resource.id),
            "region" => region.to_owned(),
            "partition" => partition.to_owned(),
            "suffix" => suffix.to_owned(),
            "account" if is_account(account) => account.to_owned(),
            "arn" => percent_encode(resource.arn.as_deref()?),
            "head" => percent_encode(head?),
            "tail" => percent_encode(tail?),
            "logs" => percent_encode(&percent_encode(&resource.id)).replace('%', "$"),
            _ => return None,
        });
        rest = after;
    }
    link.push_str(rest);
    Some(link)
}
