//! What becomes of a finding whose channel is gone: somebody else is told, or the message comes again.
use super::*;
use crate::{
    act::{
        router::{Handled, tests::policy_of},
        world::{World, handle, now_or_never},
    },
    testing::{at, guardduty},
    values::action::Disposition,
};
use std::sync::Mutex;

/// Channels that refuse for good, while they are named here; the others are the world's.
struct Refusing<'w> {
    world: &'w World,
    channels: Mutex<Vec<&'static str>>,
}

impl Messenger for &Refusing<'_> {
    async fn send(&self, notify: &Notify, message: &Message, delivery: Delivery<'_>) -> Outcome {
        if self.channels.lock().unwrap().iter().any(|c| notify.destination.ends_with(c)) {
            return Outcome::Failed(format!("{} is archived", notify.destination));
        }
        self.world.send(notify, message, delivery).await
    }
}

fn deliver(config: &str, ends: &Refusing<'_>, now: i64) -> Handled {
    let (policy, event) = (policy_of(config), guardduty("Test:EC2/Mining", 1, 0, "8", false));
    now_or_never(handle(&policy, (ends.world, ends, ends.world), &event, at(now))).expect("no crash").remove(0)
}

#[test]
fn what_nobody_could_be_told_comes_again_until_it_is_mended() {
    let (world, config) = (World::default(), "[[route]]\nto = ['slack:#a', 'slack:#b']\n");
    let ends = Refusing { world: &world, channels: Mutex::new(vec!["#a", "#b"]) };
    for minute in [0, 5, 10] {
        let handled = deliver(config, &ends, minute * 60);
        assert_eq!(handled.disposition(), Disposition::Retry(MEND_AFTER), "{handled:?}");
        assert!(handled.findings[0].error.as_deref().unwrap().contains("is archived"));
    }
    ends.channels.lock().unwrap().retain(|c| *c != "#a");
    assert_eq!(deliver(config, &ends, 900).disposition(), Disposition::Ack, "somebody knows");
    assert_eq!(world.sent(), ["post #a Card"]);
}

#[test]
fn those_who_can_mend_it_are_told_of_it_and_of_the_finding_once() {
    let world = World::default();
    let ends = Refusing { world: &world, channels: Mutex::new(vec!["#a"]) };
    let config = "operations = 'slack:#ops'\n[[route]]\nto = 'slack:#a'\n";
    let handled = deliver(config, &ends, 0);
    assert_eq!(handled.disposition(), Disposition::Ack);
    let error = handled.findings[0].error.as_deref().unwrap();
    assert!(error.contains("is archived (told in slack:#ops instead)"), "{error}");
    assert_eq!(world.sent(), ["post #ops Card", "post #ops Note"]);
    let note = world.channel.lock().unwrap()[1].text.clone();
    assert!(note.contains("slack:#a is archived"), "{note}");
    let cards = &handled.findings[0].entries.1.as_ref().unwrap().cards;
    assert_eq!(cards.iter().map(|c| c.destination.as_str()).collect::<Vec<_>>(), ["slack:#ops"], "kept true there");
}
