//! SSM Automation and STS, played by `tests/ssm` on loopback: it really runs our own documents, against moto.
use super::{
    aws::{Aws, running},
    http::{ask, status},
};
use serde_json::{Value, json};
use std::{process::Child, sync::OnceLock};

/// Names a server that runs already; else the first test of a process starts one.
const SERVER: &str = "FINDINGS_ROUTER_TEST_SSM";
pub(crate) const REGION: &str = "ap-northeast-1";

/// The SSM of one account.
pub(crate) struct Ssm {
    pub(crate) url: String,
    pub(crate) account: String,
}

impl Ssm {
    /// The SSM of the router's own account.
    pub(crate) fn of(aws: &Aws) -> Self {
        static SERVER_OF_THIS: OnceLock<(String, Option<Child>)> = OnceLock::new();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ssm/server.py");
        let url = SERVER_OF_THIS.get_or_init(|| running(SERVER, script, "outside-ssm")).0.clone();
        Self { url, account: aws.account().to_owned() }
    }

    /// Where a program meets it, beside what it meets elsewhere.
    pub(crate) fn env(&self) -> [(&str, &str); 2] {
        [("AWS_ENDPOINT_URL_SSM", &self.url), ("AWS_ENDPOINT_URL_STS", &self.url)]
    }

    /// Asks the server for something; `account` is this one where nothing is said.
    #[track_caller]
    pub(crate) fn control(&self, name: &str, mut body: Value) -> Value {
        if body.get("account").is_none() && !["role", "wait"].contains(&name) {
            body["account"] = json!(self.account);
        }
        let at = self.url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
        let path = format!("/_test/{name}");
        let json = [("content-type", "application/json")];
        let (head, said) = ask(at, "POST", &path, &json, &body.to_string()).expect("the server answers");
        assert_eq!(status(&head), 200, "{name} {body}: {said}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// One call in the emulated account.
    #[track_caller]
    pub(crate) fn aws(&self, service: &str, api: &str, inputs: &Value) -> Value {
        let call = json!({ "region": REGION, "service": service, "api": api, "inputs": inputs });
        let answer = self.control("aws", call);
        assert!(answer["error"].is_null(), "{service} {api}: {answer}");
        answer["output"].clone()
    }

    /// What an operation meets the next times.
    #[track_caller]
    pub(crate) fn meets(&self, operation: &str, what: &Value) {
        let mut script = what.clone();
        script["operation"] = json!(operation);
        self.control("script", script);
    }

    /// Every execution, oldest first.
    pub(crate) fn executions(&self) -> Vec<Value> {
        let all = self.control("executions", json!({}));
        all["executions"].as_array().or(all.as_array()).cloned().unwrap_or_default()
    }

    /// Every call of an operation, oldest first.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Value> {
        let all = self.control("calls", json!({ "operation": operation }));
        all["calls"].as_array().or(all.as_array()).cloned().unwrap_or_default()
    }
}
