use super::*;
use crate::action::Action;
use crate::admin::Ask;
use crate::core::bench::Bench;
use crate::message::request::tests::message;
use crate::number::Numbers;
use crate::policy::{Allowance, Policy};
use crate::settings::tests::settings;
use tandem_shared::bus::SessionId;
use tandem_shared::event::{Event, MessageOutcome};
use tandem_shared::message::Outcome;

const ABROAD: &str = "+4930123456";

/// A gateway in America whose admin is asked.
fn guarded() -> Settings {
    let mut settings = settings();
    let user = |name| Address::new(name, "example.com").unwrap();
    let (juliet, romeo, admin) = (user("juliet"), user("romeo"), user("admin"));
    settings.policy = Policy::new(Some("1"), &["+*".to_owned(), "+1876*".to_owned()], &[])
        .with_allowance(Allowance::unlimited())
        .with_approval(true, vec![admin.clone()]);
    settings.numbers = Numbers::new([
        ("+15550001".to_owned(), juliet),
        ("+15550002".to_owned(), romeo),
        ("+15550003".to_owned(), admin),
    ]);
    settings
}

struct Scene {
    bench: Bench,
    count: u32,
}

impl Scene {
    fn new(settings: Settings) -> Self {
        let bench = Bench::with(settings);
        Self { bench, count: 0 }
    }

    /// `user` writes to a number; the refusal's words, or nothing when it goes out.
    fn write(&mut self, user: &str, number: &str) -> Option<String> {
        self.count += 1;
        let mut sent = message((user, "example.com"), (number, "sip.example.com"), "hello");
        sent.id = MessageId(format!("{user}{}", self.count));
        self.bench.send(sent);
        match self.bench.requests().pop() {
            Some((request, _)) => {
                self.bench.answer(&request, 200, None);
                self.bench.outcomes();
                None
            }
            None => self.bench.outcomes().pop().unwrap().1.unwrap().text,
        }
    }

    /// `user` says something to the gateway; the outcome.
    fn say(&mut self, user: &str, text: &str) -> Option<Refusal> {
        self.count += 1;
        let id = format!("word{}", self.count);
        self.say_as(&id, user, text)
    }

    fn say_as(&mut self, id: &str, user: &str, text: &str) -> Option<Refusal> {
        let mut word = message((user, "example.com"), ("x", "sip.example.com"), text);
        word.to.user = String::new();
        word.id = MessageId(id.to_owned());
        self.bench.send(word);
        let outcomes = self.bench.outcomes();
        assert_eq!((outcomes.len(), outcomes[0].0.as_str()), (1, id));
        outcomes.into_iter().next().unwrap().1
    }

    /// What the gateway says, as who hears it and the text; each is heard.
    fn told(&mut self) -> Vec<(String, String)> {
        self.told_with(&Ok(()))
    }

    fn told_with(&mut self, outcome: &Outcome) -> Vec<(String, String)> {
        let messages = self.bench.messages();
        let mut told = Vec::new();
        for message in messages {
            assert!(settings().mapping.is_gateway(&message.from));
            let outcome = MessageOutcome::new(message.id.clone(), outcome.clone());
            self.bench
                .say(SessionId("s".into()), Event::MessageOutcome(outcome));
            told.push((message.to.user.clone(), message.body.clone()));
        }
        told
    }

    fn ask(&mut self, ask: &Ask) -> String {
        let now = self.bench.now;
        self.bench.core.ask(ask, now).text
    }

    /// The same gateway after a kill.
    fn restarted(&mut self) -> Self {
        let mut fresh = Bench::unlinked(guarded());
        let mut rows: Vec<Approval> = Vec::new();
        for action in self.bench.actions.drain(..) {
            if let Action::Store(Record::Approval(row)) = action {
                rows.retain(|known| known.id != row.id);
                rows.push(*row);
            }
        }
        let rows = rows.into_iter().map(|row| Record::Approval(Box::new(row)));
        let now = fresh.now;
        fresh.core.restore(rows, now);
        fresh.link();
        Self {
            bench: fresh,
            count: self.count + 1000,
        }
    }
}

#[test]
fn the_first_call_abroad_waits_for_an_admin_and_others_do_not() {
    let mut scene = Scene::new(guarded());
    assert_eq!(scene.write("juliet", "+15559001"), None);
    assert_eq!(scene.write("admin", ABROAD), None);
    assert!(scene.told().is_empty());
    let refused = scene.write("juliet", ABROAD).unwrap();
    assert!(refused.contains("An admin was asked"), "{refused}");
    let told = scene.told();
    assert_eq!((told.len(), told[0].0.as_str()), (1, "admin"));
    for part in [
        "juliet@example.com wants to write to +4930123456",
        "approve 1",
        "deny 1",
    ] {
        assert!(told[0].1.contains(part), "{part}: {}", told[0].1);
    }
    // Once is enough.
    assert!(scene.write("juliet", "+442012345").is_some());
    assert!(scene.told().is_empty());
    assert_eq!(scene.say("admin", "approve"), None);
    let told = scene.told();
    let to: Vec<&str> = told.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, ["juliet", "admin"]);
    assert!(told[0].1.contains("has approved"), "{}", told[0].1);
    assert!(
        told[1].1.contains("juliet@example.com may reach"),
        "{}",
        told[1].1
    );
    assert_eq!(scene.write("juliet", ABROAD), None);
    // An island of the American plan is abroad.
    assert!(scene.write("romeo", "+18765551234").is_some());
    assert!(scene.told()[0].1.contains("approve 2"));
}

#[test]
fn calls_are_asked_about_too() {
    let mut scene = Scene::new(guarded());
    let call = tandem_shared::call::CallId("c".into());
    let offer = tandem_shared::call::Offer {
        from: Address::new("juliet", "example.com").unwrap(),
        to: Address::new(ABROAD, "sip.example.com").unwrap(),
        name: None,
        media: vec![tandem_shared::media::Media::Audio],
        description: None,
        hops: 69,
    };
    let fact = tandem_shared::call::Fact::Offer(Box::new(offer));
    let event = tandem_shared::call::CallEvent {
        call: call.clone(),
        fact,
    };
    scene
        .bench
        .say(SessionId::call(&call), Event::Call(Box::new(event)));
    assert!(scene.bench.requests().is_empty());
    let told = scene.told();
    assert!(told[0].1.contains("wants to call +4930123456"), "{told:?}");
    assert_eq!(scene.bench.core.calls(), (0, 0));
}

#[test]
fn nobody_else_decides_and_several_are_told_apart() {
    let mut scene = Scene::new(guarded());
    scene.write("juliet", ABROAD);
    scene.write("romeo", ABROAD);
    scene.told();
    for user in ["juliet", "romeo"] {
        let refusal = scene.say(user, "approve 1").unwrap();
        assert_eq!(refusal.reason, Reason::JidMalformed);
    }
    assert_eq!(scene.say("admin", "approve"), None);
    let told = scene.told();
    assert!(
        told[0].1.contains("1. juliet") && told[0].1.contains("2. romeo"),
        "{told:?}"
    );
    scene.say("admin", "approve 7");
    scene.say("admin", "what?");
    let told = scene.told();
    assert!(
        told[0].1.starts_with("Nobody has number 7.\n1. juliet"),
        "{told:?}"
    );
    assert!(told[1].1.starts_with("Say \"approve\""));
    assert!(scene.write("juliet", ABROAD).is_some());
    scene.say("admin", "deny romeo@example.com");
    scene.say("admin", "approve");
    scene.told();
    assert_eq!(scene.write("juliet", ABROAD), None);
    let refused = scene.write("romeo", ABROAD).unwrap();
    assert!(refused.contains("has decided"), "{refused}");
    assert!(scene.told().is_empty());
}

#[test]
fn nothing_is_heard_where_nobody_is_asked() {
    let mut settings = guarded();
    settings.policy.approve_abroad = false;
    let mut scene = Scene::new(settings);
    assert_eq!(scene.write("juliet", ABROAD), None);
    assert!(scene.say("admin", "list").is_some());
    assert!(scene.told().is_empty());
}

#[test]
fn what_was_asked_and_decided_survives_a_restart() {
    let mut scene = Scene::new(guarded());
    scene.write("juliet", ABROAD);
    scene.told();
    let mut scene = scene.restarted();
    assert!(scene.write("juliet", ABROAD).is_some());
    assert!(scene.told().is_empty(), "the admin knows");
    scene.say_as("w", "admin", "approve");
    scene.told();
    let mut scene = scene.restarted();
    assert_eq!(scene.write("juliet", ABROAD), None);
    // The same word again: it was heard, though whoever waits now was not meant.
    scene.write("romeo", ABROAD);
    scene.told();
    scene.say_as("w", "admin", "approve");
    assert!(scene.told()[0].1.contains("juliet@example.com may"));
    assert!(scene.write("romeo", ABROAD).is_some());
}

#[test]
fn an_admin_who_was_not_told_is_asked_again() {
    let mut scene = Scene::new(guarded());
    scene.write("juliet", ABROAD);
    let nobody = Err(Refusal::new(Reason::ItemNotFound));
    assert_eq!(scene.told_with(&nobody).len(), 1);
    assert!(scene.write("juliet", ABROAD).is_some());
    // Under way when the process dies.
    assert_eq!(scene.bench.messages().len(), 1);
    let mut scene = scene.restarted();
    scene.write("juliet", ABROAD);
    assert_eq!(scene.told().len(), 1);
    scene.write("juliet", ABROAD);
    assert!(scene.told().is_empty());
}

#[test]
fn few_wait_and_the_oldest_decision_is_forgotten_first() {
    let settings = guarded();
    let mut approvals = Approvals::default();
    let found = Found {
        trunks: Vec::new(),
        user: ABROAD.into(),
        hidden: false,
        chosen: None,
        via: None,
        abroad: true,
        emergency: false,
    };
    let user = |count: usize| Address::new(&format!("u{count}"), "example.com").unwrap();
    for count in 0..MAX_WAITING {
        let refusal = approvals
            .check(&user(count), Kind::Call, &found, &settings)
            .unwrap_err();
        assert_eq!(refusal.text.as_deref(), Some(ASKED));
    }
    let refusal = approvals
        .check(&user(MAX), Kind::Call, &found, &settings)
        .unwrap_err();
    assert_eq!(refusal.text.as_deref(), Some(CROWDED));
    assert_eq!(approvals.iter().count(), MAX_WAITING);
    for count in 0..MAX {
        approvals.decide(&user(count), true, &settings).unwrap();
    }
    assert_eq!(approvals.iter().count(), MAX);
    approvals.decide(&user(MAX), true, &settings).unwrap();
    assert_eq!(approvals.iter().count(), MAX);
    let gone = std::iter::from_fn(|| approvals.poll_action()).last();
    assert!(matches!(gone, Some(Action::Store(_))), "{gone:?}");
    assert!(approvals.of(&user(0)).is_none() && approvals.of(&user(1)).is_some());
}

#[test]
fn the_command_line_lists_and_decides() {
    let mut scene = Scene::new(guarded());
    assert!(scene.ask(&Ask::Approvals).contains("nobody has asked"));
    scene.write("juliet", ABROAD);
    scene.told();
    let shown = scene.ask(&Ask::RouteTest {
        to: ABROAD.into(),
        from: Some("juliet@example.com".into()),
    });
    assert!(
        shown.contains("approval: needed, policy.approve_abroad: the admins were asked"),
        "{shown}"
    );
    assert!(
        shown.contains("call: refused: NotAllowed: An admin"),
        "{shown}"
    );
    assert_eq!(
        scene.ask(&Ask::Approvals),
        "1. juliet@example.com: waits, wanted +4930123456\n"
    );
    let user = "juliet@example.com".to_owned();
    scene.ask(&Ask::Approve { user: user.clone() });
    scene.bench.pass(0);
    assert_eq!(scene.told()[0].0, "juliet");
    assert_eq!(scene.write("juliet", ABROAD), None);
    let shown = scene.ask(&Ask::RouteTest {
        to: ABROAD.into(),
        from: Some(user.clone()),
    });
    assert!(
        shown.contains("approved of") && shown.contains("call: allowed"),
        "{shown}"
    );
    scene.ask(&Ask::Deny { user });
    assert!(scene.write("juliet", ABROAD).unwrap().contains("decided"));
    let wrong = scene.ask(&Ask::Approve {
        user: "x@other.example".into(),
    });
    assert!(wrong.contains("no user"), "{wrong}");
}

#[test]
fn a_decision_that_would_change_nothing_is_refused() {
    let deny = |user: &str| Ask::Deny { user: user.into() };
    let mut scene = Scene::new(guarded());
    let needless = "admin@example.com is named in policy.admins and needs no approval";
    let shown = scene.ask(&deny("admin@example.com"));
    assert!(shown.contains(needless), "{shown}");
    scene.say("admin", "deny admin@example.com");
    let told = scene.told();
    assert!(told[0].1.contains(needless), "{told:?}");
    assert!(scene.ask(&Ask::Approvals).contains("nobody has asked"));
    let mut settings = guarded();
    settings.policy.approve_abroad = false;
    let mut scene = Scene::new(settings);
    let approve = Ask::Approve {
        user: "juliet@example.com".into(),
    };
    for ask in [deny("juliet@example.com"), approve] {
        let shown = scene.ask(&ask);
        assert!(
            shown.contains("policy.approve_abroad is off: this would change nothing"),
            "{shown}"
        );
    }
    assert!(scene.ask(&Ask::Approvals).contains("nobody has asked"));
    assert!(scene.told().is_empty());
}

#[test]
fn the_other_admins_hear_who_decided() {
    let mut settings = guarded();
    let second = Address::new("second", "example.com").unwrap();
    settings.policy.admins.push(second);
    let mut scene = Scene::new(settings);
    let told = |scene: &mut Scene, to: &str| {
        let mut told = scene.told();
        told.retain(|(user, _)| user == to);
        told.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    scene.say("admin", "approve juliet@example.com");
    assert_eq!(
        told(&mut scene, "second"),
        ["admin@example.com has decided: juliet@example.com may reach numbers abroad."]
    );
    // Nothing new is no news.
    scene.say("second", "approve juliet@example.com");
    assert!(told(&mut scene, "admin").is_empty());
    scene.ask(&Ask::Deny {
        user: "juliet@example.com".into(),
    });
    scene.bench.pass(0);
    assert_eq!(
        told(&mut scene, "admin"),
        [
            "Somebody at the command line has decided: juliet@example.com may not reach numbers abroad."
        ]
    );
}
