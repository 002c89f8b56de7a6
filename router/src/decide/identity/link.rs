//! Pages of the AWS console: built from a template per kind, percent-encoded, because ids come from events.
//!
//! The console has no documented URLs; the templates are the ones seen in the field (C).
use super::{
    arn::{is_account, partition},
    kinds,
};
use crate::values::finding::Resource;
use std::fmt::Write;

/// The resource's page in the AWS console of its Region's partition; `None` where there is none that we know.
pub fn console_link(resource: &Resource, account: &str, region: &str) -> Option<String> {
    let template = kinds::named(&resource.kind)?.link.as_deref()?;
    let region_ok = !region.is_empty() && region.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
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
            "id" => encoded(&resource.id),
            "region" => region.to_owned(),
            "partition" => partition.to_owned(),
            "suffix" => suffix.to_owned(),
            "account" if is_account(account) => account.to_owned(),
            "arn" => encoded(resource.arn.as_deref()?),
            "head" => encoded(head?),
            "tail" => encoded(tail?),
            "logs" => encoded(&encoded(&resource.id)).replace('%', "$"),
            _ => return None,
        });
        rest = after;
    }
    link.push_str(rest);
    Some(link)
}

/// RFC 3986 percent-encoding: everything but unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, b| {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(b.into()),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{b:02X}")),
        }
        out
    })
}
