//! Incoming webhooks.
use super::{
    CARD, connected,
    double::{Double, Say},
    notify, post, send, settings,
};
use crate::{ends::slack::Settings, values::action::NotifyMode};
use findings_formatters::view::Kind;
use secrecy::SecretString;
use std::collections::BTreeMap;

#[tokio::test]
async fn webhooks_only_post() {
    use NotifyMode::{Broadcast, Post, Thread, Update};
    for (row, (mode, kind, target, says, want)) in [
        (Post, Kind::Card, None, vec![], "done webhook"),
        (Update, Kind::Card, Some("webhook"), vec![], "nothing"),
        (Update, Kind::Card, Some(CARD), vec![], "nothing"),
        (Thread, Kind::StormLine, Some("webhook"), vec![], "nothing"),
        (Thread, Kind::Resolved, Some("webhook"), vec![], "done webhook"),
        (Broadcast, Kind::Escalated, None, vec![], "done webhook"),
        (Post, Kind::Card, None, vec![Say::Http(400, None, "invalid_blocks")], "done webhook"),
        (Post, Kind::Card, None, vec![Say::Http(403, None, "action_prohibited")], "failed"),
        (Post, Kind::Card, None, vec![Say::Http(404, None, "no_service")], "failed"),
        (Post, Kind::Card, None, vec![Say::Http(429, Some(("retry-after", "12")), "")], "later 12"),
        (Post, Kind::Card, None, vec![Say::Http(500, None, "rollup_error")], "later 10 unsure"),
        (Post, Kind::Card, None, vec![Say::Hang], "later 10 unsure"),
    ]
    .into_iter()
    .enumerate()
    {
        let double = Double::start(&[("hook", &says)]).await;
        let hook = SecretString::from(format!("{}hook", double.address));
        // Its own webhook goes before the token; one for every channel comes after it.
        let own = Settings { webhooks: [("#security".to_owned(), hook.clone())].into(), ..settings(&double.address) };
        let any = Settings { token: None, any_webhook: Some(hook), ..settings(&double.address) };
        let slack = connected(&double, if row % 2 == 0 { own } else { any });
        let outcome = send(&slack, &notify("slack:#security", mode, kind, target), false).await;
        assert_eq!(outcome.split(": ").next(), Some(want), "row {row}: {outcome}");
        assert!(
            double.asked().iter().all(|a| a.method == "hook" && a.token.is_empty()),
            "row {row}: {}",
            double.methods()
        );
        if want == "nothing" {
            assert_eq!(double.methods(), "", "row {row}");
        }
    }
}

#[tokio::test]
async fn one_webhook_is_one_channel() {
    for (any, want) in [(true, "later 40"), (false, "done webhook")] {
        let double = Double::start(&[("hook", &[Say::Http(429, Some(("retry-after", "40")), "")])]).await;
        let hook = SecretString::from(format!("{}hook", double.address));
        let own = ["#a", "#b"].map(|c| (c.to_owned(), hook.clone())).into();
        let (webhooks, any_webhook) = if any { (BTreeMap::new(), Some(hook)) } else { (own, None) };
        let slack = connected(&double, Settings { token: None, webhooks, any_webhook, ..settings(&double.address) });
        assert!(post(&slack, "slack:#a").await.starts_with("later 40"));
        assert_eq!(post(&slack, "slack:#b").await.split(": ").next(), Some(want));
    }
}
