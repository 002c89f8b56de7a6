//! What `probe` finds.
use super::{
    connected,
    double::{Double, Say},
    settings,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_probe_names_what_is_wrong_and_what_to_do() {
    let test =
        |scopes| Say::Http(200, Some(("x-oauth-scopes", scopes)), r#"{"ok":true,"user":"router","team":"Example"}"#);
    let all = "chat:write,channels:history,groups:history,channels:read,groups:read";
    let info = |channel: Value| ("conversations.info", vec![Say::Ok(json!({ "channel": channel }))]);
    let list = |says: Vec<Say>| ("conversations.list", says);
    let channels = Say::Ok(json!({ "channels": [{ "id": "C012345678", "name": "security", "is_member": true }] }));
    for (row, (scopes, script, destination, ok, want)) in [
        (test(all), info(json!({ "is_member": true })), "slack:C012345678", true, "the app is in it"),
        (
            test(all),
            info(json!({ "is_member": false })),
            "slack:C012345678",
            false,
            "/invite @app in C012345678, or give it",
        ),
        (test(all), info(json!({ "is_private": true })), "slack:C012345678", false, "/invite @app in C012345678"),
        (test(all), info(json!({ "is_archived": true })), "slack:C012345678", false, "unarchive"),
        (
            test("chat:write,chat:write.public"),
            info(json!({})),
            "slack:C012345678",
            true,
            "may post in public channels",
        ),
        (
            test("chat:write"),
            info(json!({ "is_member": true })),
            "slack:C012345678",
            true,
            "recommended scope channels:history",
        ),
        (test("channels:read"), info(json!({ "is_member": true })), "slack:C012345678", false, "add chat:write"),
        (test(all), list(vec![channels.clone()]), "slack:#security", true, "the app is in it"),
        (test(all), list(vec![channels.clone()]), "slack:#securty", false, "there is no channel #securty"),
        (
            test("chat:write,channels:read"),
            list(vec![Say::No("missing_scope"), channels]),
            "slack:#secret",
            true,
            "private ones cannot be seen",
        ),
        (
            test("chat:write"),
            list(vec![Say::No("missing_scope"), Say::No("missing_scope")]),
            "slack:#security",
            true,
            "it cannot be told",
        ),
        (test(all), list(vec![Say::Http(500, None, "")]), "slack:#security", false, "try again"),
        (Say::No("invalid_auth"), list(vec![]), "slack:#security", false, "install the app again"),
        (Say::Http(502, None, ""), list(vec![]), "slack:#security", false, "slack-status.com"),
    ]
    .into_iter()
    .enumerate()
    {
        let double = Double::start(&[("auth.test", &[scopes]), (script.0, &script.1)]).await;
        let probes = connected(&double, settings(&double.address)).probe(&[destination.to_owned()]).await;
        assert_eq!(probes.iter().all(|p| p.ok), ok, "row {row}: {probes:#?}");
        let mut said = probes.iter().filter(|p| p.ok == ok).map(|p| format!("{}; {}", p.what, p.remedy));
        assert!(said.any(|s| s.contains(want)), "row {row}: {probes:#?}");
    }
}
