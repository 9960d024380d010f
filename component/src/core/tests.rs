//! Inputs in, exact actions out, on a clock that stands still until it is moved.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind")]

use super::*;
use crate::action::Key;
use std::time::SystemTime;
use tandem_shared::address::{Address, Mapping};
use tandem_shared::bus::Envelope;
use tandem_shared::event::{Control, Hello, MessageOutcome};
use tandem_shared::message::Ordinal;
use tandem_shared::message::{Message, MessageId};

const CONTACT: &str = "+15551234567@sip.example.com";

/// A component with the clock and the other end of its bus.
struct Bench {
    core: Core,
    now: Now,
    far: Link,
}

fn start() -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Now {
        instant: Instant::now(),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_585_600),
    }
}

fn config() -> Config {
    let text = r#"{"mapping":{"domain":"sip.example.com"},"xmpp":{"secret":"x"},
        "message":{"outbox_max":3,"inbox_max":2}}"#;
    serde_json::from_str::<Config>(text)
        .unwrap()
        .normalised()
        .unwrap()
}

impl Bench {
    fn new() -> Self {
        let now = start();
        let config = config();
        let far = Link::new(NodeId("far".into()), 9, config.mapping.digests());
        let core = Core::new(config, Mint::new([1; 16]), 1, now).unwrap();
        Self { core, now, far }
    }

    fn open() -> Self {
        let mut bench = Self::new();
        bench.core.handle_stream_opened(bench.now);
        bench.link_up();
        bench
    }

    fn link_up(&mut self) {
        self.core.handle_bus(Incoming::Connected, self.now);
        let hello = Event::Control(Control::Hello(Hello {
            answer: true,
            versions: vec![1],
            mapping: config().mapping.digests(),
        }));
        self.far_says(SessionId::control(), hello);
        self.drain();
    }

    fn far_says(&mut self, session: SessionId, event: Event) {
        let envelope = self.far.envelope(session, event);
        self.core.handle_bus(Incoming::Envelope(envelope), self.now);
    }

    fn stanza(&mut self, text: &str) {
        let text = text.replacen(' ', " xmlns='jabber:component:accept' ", 1);
        self.core.handle_stanza(&text.parse().unwrap(), self.now);
    }

    fn drain(&mut self) -> Vec<Action> {
        self.core.handle_bus_room(100);
        std::iter::from_fn(|| self.core.poll_action()).collect()
    }

    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.core.handle_timeout(self.now);
    }

    fn say(&mut self, id: &str) {
        self.stanza(&format!(
            "<message from='juliet@example.com/b' to='{CONTACT}' type='chat' id='{id}'><body>{id}</body></message>"
        ));
    }

    /// Answers every ping among `actions`.
    fn pong(&mut self, actions: &[Action]) {
        for id in actions.iter().filter_map(ping_id) {
            self.stanza(&format!(
                "<iq from='example.com' to='sip.example.com' type='result' id='{id}'/>"
            ));
        }
    }
}

fn sent(actions: &[Action]) -> Vec<&Element> {
    fn stanza(action: &Action) -> Option<&Element> {
        match action {
            Action::Send(stanza) if stanza.name() != "iq" => Some(stanza),
            _ => None,
        }
    }
    actions.iter().filter_map(stanza).collect()
}

fn ping_id(action: &Action) -> Option<String> {
    match action {
        Action::Send(stanza) if stanza.has_child("ping", crate::xml::PING) => {
            stanza.attr("id").map(str::to_owned)
        }
        _ => None,
    }
}

fn published(actions: &[Action]) -> Vec<&Envelope> {
    fn envelope(action: &Action) -> Option<&Envelope> {
        match action {
            Action::Publish(envelope) => Some(envelope),
            _ => None,
        }
    }
    actions.iter().filter_map(envelope).collect()
}

fn messages(actions: &[Action]) -> Vec<Message> {
    let message = |envelope: &Envelope| match &envelope.event {
        Event::Message(message) => Some((**message).clone()),
        _ => None,
    };
    published(actions).into_iter().filter_map(message).collect()
}

fn outcomes(actions: &[Action]) -> Vec<MessageOutcome> {
    let outcome = |envelope: &Envelope| match &envelope.event {
        Event::MessageOutcome(outcome) => Some(outcome.clone()),
        _ => None,
    };
    published(actions).into_iter().filter_map(outcome).collect()
}

fn condition(stanza: &Element) -> String {
    let error = stanza.get_child("error", crate::xml::COMPONENT).unwrap();
    error.children().next().unwrap().name().to_owned()
}

fn refused(id: &MessageId, reason: Reason) -> Event {
    Event::MessageOutcome(MessageOutcome::new(id.clone(), Err(Refusal::new(reason))))
}

fn from_sip(id: &str) -> Message {
    Message {
        id: MessageId(id.into()),
        from: Address::new("+15551234567", "sip.example.com").unwrap(),
        to: Address::new("juliet", "example.com").unwrap(),
        body: "hi".into(),
        subject: None,
        lang: None,
        thread: None,
        wire_id: None,
        replaces: None,
        sent: None,
        hops: 69,
        ordinal: Ordinal::default(),
    }
}

#[test]
fn a_message_is_stored_before_the_bus_sees_it_and_forgotten_after_its_outcome() {
    let mut bench = Bench::open();
    bench.say("1");
    let actions = bench.drain();
    assert!(matches!(actions[0], Action::Store(Record::Message(_))));
    let message = messages(&actions).remove(0);
    assert_eq!(
        message.to,
        Address::new("+15551234567", "sip.example.com").unwrap()
    );
    assert_eq!(message.ordinal.number, 1);
    let done = Event::MessageOutcome(MessageOutcome::new(message.id.clone(), Ok(())));
    bench.far_says(SessionId::control(), done);
    assert_eq!(bench.drain(), [Action::Forget(Key::Message(message.id))]);
}

#[test]
fn a_refused_message_is_forgotten_only_when_the_server_has_the_error() {
    let mut bench = Bench::open();
    bench.say("1");
    let id = messages(&bench.drain())[0].id.clone();
    bench.far_says(SessionId::control(), refused(&id, Reason::ItemNotFound));
    let actions = bench.drain();
    let error = sent(&actions)[0];
    assert_eq!(condition(error), "item-not-found");
    assert_eq!(
        (error.attr("id"), error.attr("to")),
        (Some("1"), Some("juliet@example.com/b"))
    );
    assert_eq!(error.attr("from"), Some(CONTACT));
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Forget(_)))
    );
    bench.pong(&actions);
    assert_eq!(bench.drain(), [Action::Forget(Key::Message(id))]);
}

#[test]
fn an_error_the_server_never_confirmed_is_sent_on_the_next_stream() {
    let mut bench = Bench::open();
    bench.say("1");
    let id = messages(&bench.drain())[0].id.clone();
    bench.far_says(SessionId::control(), refused(&id, Reason::Busy));
    bench.drain();
    bench.core.handle_stream_closed(bench.now);
    bench.core.handle_stream_opened(bench.now);
    let actions = bench.drain();
    assert_eq!(condition(sent(&actions)[0]), "recipient-unavailable");
    bench.pong(&actions);
    assert_eq!(bench.drain(), [Action::Forget(Key::Message(id))]);
}

#[test]
fn a_new_run_of_the_sip_side_gets_everything_open_again_in_order() {
    let mut bench = Bench::open();
    bench.say("1");
    bench.say("2");
    let before = messages(&bench.drain());
    bench.core.handle_bus(Incoming::Disconnected, bench.now);
    bench.say("3");
    bench.far = Link::new(NodeId("far".into()), 10, config().mapping.digests());
    assert!(messages(&bench.drain()).is_empty());
    bench.core.handle_bus(Incoming::Connected, bench.now);
    let hello = Event::Control(Control::Hello(Hello {
        answer: true,
        versions: vec![1],
        mapping: config().mapping.digests(),
    }));
    bench.far_says(SessionId::control(), hello);
    let again = messages(&bench.drain());
    assert_eq!(again[..2], before[..]);
    assert_eq!(again[2].wire_id.as_deref(), Some("3"));
}

#[test]
fn restored_rows_are_the_same_messages() {
    let mut bench = Bench::open();
    bench.say("1");
    let actions = bench.drain();
    let Action::Store(record) = actions[0].clone_record() else {
        panic!("nothing stored");
    };
    let mut next = Bench::new();
    next.core.restore(vec![record], next.now);
    next.core.handle_stream_opened(next.now);
    next.link_up();
    // link_up drained what was published; another run of the far end gets it again.
    next.core.handle_bus(Incoming::Disconnected, next.now);
    next.core.handle_bus(Incoming::Connected, next.now);
    let hello = Event::Control(Control::Hello(Hello {
        answer: true,
        versions: vec![1],
        mapping: config().mapping.digests(),
    }));
    next.far_says(SessionId::control(), hello);
    assert_eq!(messages(&next.drain()), messages(&actions));
}

impl Action {
    /// A copy of a `Store`, for tests that restart.
    fn clone_record(&self) -> Self {
        match self {
            Self::Store(record) => Self::Store(record.clone()),
            Self::Send(_)
            | Self::Publish(_)
            | Self::Forget(_)
            | Self::CloseStream
            | Self::CloseBus => Self::CloseBus,
        }
    }
}

#[test]
fn past_the_limit_messages_are_refused_and_none_is_lost() {
    let mut bench = Bench::open();
    for id in ["1", "2", "3", "4"] {
        bench.say(id);
    }
    let actions = bench.drain();
    assert_eq!(messages(&actions).len(), 3);
    let error = sent(&actions)[0];
    assert_eq!(
        (condition(error).as_str(), error.attr("id")),
        ("resource-constraint", Some("4"))
    );
}

#[test]
fn no_store_keeps_a_message_off_the_disk() {
    let mut bench = Bench::open();
    bench.stanza(&format!(
        "<message from='juliet@example.com/b' to='{CONTACT}' id='1'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>"
    ));
    let actions = bench.drain();
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Store(_)))
    );
    let id = messages(&actions)[0].id.clone();
    let done = Event::MessageOutcome(MessageOutcome::new(id, Ok(())));
    bench.far_says(SessionId::control(), done);
    assert_eq!(bench.drain(), []);
    assert_eq!(bench.core.held().0, 0);
}

#[test]
fn a_stanza_that_comes_twice_is_delivered_once_and_one_without_id_always() {
    let mut bench = Bench::open();
    bench.say("1");
    bench.say("1");
    let nameless =
        format!("<message from='juliet@example.com/b' to='{CONTACT}'><body>x</body></message>");
    bench.stanza(&nameless);
    bench.stanza(&nameless);
    assert_eq!(messages(&bench.drain()).len(), 3);
    assert_eq!(bench.core.counters().messages.duplicates, 1);
}

#[test]
fn a_refused_message_can_be_sent_again_with_its_id() {
    let mut bench = Bench::open();
    bench.say("1");
    let id = messages(&bench.drain())[0].id.clone();
    bench.far_says(SessionId::control(), refused(&id, Reason::InDoubt));
    bench.drain();
    bench.say("1");
    assert_eq!(messages(&bench.drain()).len(), 1);
}

#[test]
fn strangers_are_turned_away() {
    let mut bench = Bench::open();
    bench.stanza(&format!(
        "<message from='evil@example.org/b' to='{CONTACT}' id='1'><body>x</body></message>"
    ));
    let actions = bench.drain();
    assert_eq!(condition(sent(&actions)[0]), "forbidden");
    assert!(published(&actions).is_empty());
}

#[test]
fn the_gateway_itself_hears_and_speaks() {
    let mut bench = Bench::open();
    bench.stanza(
        "<message from='juliet@example.com/b' to='sip.example.com' type='chat' id='1'><body>approve 1</body></message>",
    );
    let heard = messages(&bench.drain()).remove(0);
    let gateway = config().mapping.gateway();
    assert_eq!((&heard.to, heard.body.as_str()), (&gateway, "approve 1"));
    assert_eq!(heard.from.device.as_deref(), Some("b"));
    let said = Message {
        from: gateway,
        ..from_sip("n")
    };
    bench.far_says(SessionId("s".into()), Event::Message(Box::new(said)));
    let actions = bench.drain();
    let stanza = sent(&actions)[0];
    assert_eq!(stanza.attr("from"), Some("sip.example.com"));
    assert_eq!(stanza.attr("to"), Some("juliet@example.com"));
}

#[test]
fn errors_never_answer_errors_and_every_question_is_answered() {
    let mut bench = Bench::open();
    for silent in [
        format!("<message from='juliet@example.com/b' to='{CONTACT}' type='error' id='1'><body>x</body></message>"),
        format!("<presence from='juliet@example.com/b' to='{CONTACT}' type='error'/>"),
        format!("<iq from='juliet@example.com/b' to='{CONTACT}' type='error' id='1'/>"),
        format!("<iq from='juliet@example.com/b' to='{CONTACT}' type='result' id='1'/>"),
        "<message from='example.com' to='sip.example.com'><privilege xmlns='urn:xmpp:privilege:1'/></message>".to_owned(),
    ] {
        bench.stanza(&silent);
        assert_eq!(bench.drain(), [], "{silent}");
    }
    for (to, kind, child, answer) in [
        (
            CONTACT,
            "get",
            "<x xmlns='unknown'/>",
            "service-unavailable",
        ),
        (
            CONTACT,
            "set",
            "<query xmlns='jabber:iq:version'/>",
            "service-unavailable",
        ),
        (CONTACT, "get", "", "bad-request"),
        (
            "sip.example.com",
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>",
            "item-not-found",
        ),
        (
            "sip.example.com",
            "get",
            "<ping xmlns='urn:xmpp:ping'/>",
            "result",
        ),
        (CONTACT, "get", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        (
            "sip.example.com",
            "get",
            "<time xmlns='urn:xmpp:time'/>",
            "result",
        ),
        (
            CONTACT,
            "get",
            "<time xmlns='urn:xmpp:time'/>",
            "service-unavailable",
        ),
        (CONTACT, "get", "<query xmlns='jabber:iq:last'/>", "result"),
    ] {
        bench.stanza(&format!(
            "<iq from='juliet@example.com/b' to='{to}' type='{kind}' id='q'>{child}</iq>"
        ));
        let actions = bench.drain();
        let [Action::Send(reply)] = &actions[..] else {
            panic!("{child} {actions:?}");
        };
        assert_eq!(reply.attr("id"), Some("q"));
        if answer == "result" {
            assert_eq!(reply.attr("type"), Some("result"), "{child}");
        } else {
            assert_eq!(condition(reply), answer, "{child}");
        }
    }
}

#[test]
fn a_message_from_sip_is_done_when_the_server_answers_the_ping_behind_it() {
    let mut bench = Bench::open();
    let session = SessionId("s".into());
    bench.far_says(session.clone(), Event::Message(Box::new(from_sip("m1"))));
    let actions = bench.drain();
    assert_eq!(sent(&actions)[0].attr("to"), Some("juliet@example.com"));
    assert!(ping_id(&actions[1]).is_some() && outcomes(&actions).is_empty());
    bench.pong(&actions);
    let actions = bench.drain();
    assert_eq!(
        outcomes(&actions),
        [MessageOutcome::new(MessageId("m1".into()), Ok(()))]
    );
    assert_eq!(published(&actions)[0].session, session);
    bench.far_says(session, Event::Message(Box::new(from_sip("m1"))));
    let again = bench.drain();
    assert!(sent(&again).is_empty());
    assert_eq!(outcomes(&again).len(), 1);
}

#[test]
fn a_bounce_before_the_pong_is_the_outcome() {
    let mut bench = Bench::open();
    bench.far_says(
        SessionId("s".into()),
        Event::Message(Box::new(from_sip("m1"))),
    );
    let actions = bench.drain();
    let bounce = |from: &str| {
        format!(
            "<message from='{from}' to='{CONTACT}' type='error' id='m1'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    bench.stanza(&bounce("romeo@example.com"));
    assert!(
        outcomes(&bench.drain()).is_empty(),
        "somebody else cannot bounce it"
    );
    bench.stanza(&bounce("juliet@example.com"));
    bench.pong(&actions);
    let ended = outcomes(&bench.drain());
    assert_eq!(ended.len(), 1);
    assert_eq!(
        ended[0].refusal.as_ref().unwrap().reason,
        Reason::ItemNotFound
    );
}

#[test]
fn a_device_that_is_gone_leaves_the_account() {
    let mut bench = Bench::open();
    let mut message = from_sip("m1");
    message.to.device = Some("phone".into());
    bench.far_says(SessionId("s".into()), Event::Message(Box::new(message)));
    let first = bench.drain();
    assert_eq!(sent(&first)[0].attr("to"), Some("juliet@example.com/phone"));
    bench.stanza(&format!(
        "<message from='juliet@example.com/phone' to='{CONTACT}' type='error' id='m1'><error type='wait'>\
         <recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    let second = bench.drain();
    assert_eq!(sent(&second)[0].attr("to"), Some("juliet@example.com"));
    bench.pong(&first);
    assert!(
        outcomes(&bench.drain()).is_empty(),
        "the first writing's pong says nothing of the second"
    );
    bench.pong(&second);
    assert_eq!(outcomes(&bench.drain()).len(), 1);
}

#[test]
fn without_a_stream_sip_is_told_to_come_back() {
    let mut bench = Bench::open();
    bench.far_says(
        SessionId("s".into()),
        Event::Message(Box::new(from_sip("m1"))),
    );
    bench.drain();
    bench.core.handle_stream_closed(bench.now);
    bench.far_says(
        SessionId("s".into()),
        Event::Message(Box::new(from_sip("m2"))),
    );
    let ended = outcomes(&bench.drain());
    assert_eq!(ended.len(), 2);
    for outcome in ended {
        let refusal = outcome.refusal.unwrap();
        assert_eq!(refusal.reason, Reason::RecipientUnavailable);
        assert!(refusal.retry_after.is_some());
    }
}

#[test]
fn too_many_unconfirmed_messages_are_sent_back() {
    let mut bench = Bench::open();
    for id in ["m1", "m2", "m3"] {
        bench.far_says(
            SessionId("s".into()),
            Event::Message(Box::new(from_sip(id))),
        );
    }
    let ended = outcomes(&bench.drain());
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].id.0, "m3");
}

#[test]
fn a_message_without_any_outcome_comes_back_as_doubt() {
    let mut bench = Bench::open();
    bench.say("1");
    bench.drain();
    bench.pass(690);
    let actions = bench.drain();
    assert_eq!(condition(sent(&actions)[0]), "remote-server-timeout");
}

#[test]
fn a_server_that_does_not_answer_is_left() {
    let mut bench = Bench::open();
    bench.pass(60);
    assert!(bench.drain().iter().any(|action| ping_id(action).is_some()));
    bench.pass(30);
    assert!(bench.drain().contains(&Action::CloseStream));
}

#[test]
fn a_new_stream_tells_everybody_again() {
    let mut bench = Bench::open();
    bench.stanza(&format!(
        "<presence from='juliet@example.com/b' to='{CONTACT}' type='subscribe'/>"
    ));
    let actions = bench.drain();
    assert!(matches!(actions[0], Action::Store(Record::Pair(_))));
    assert_eq!(sent(&actions).len(), 3);
    bench.core.handle_stream_closed(bench.now);
    bench.core.handle_stream_opened(bench.now);
    bench.core.handle_timeout(bench.now);
    let actions = bench.drain();
    let forms: Vec<_> = sent(&actions)
        .iter()
        .map(|stanza| stanza.attr("type"))
        .collect();
    assert_eq!(forms, [None, Some("probe")], "and asks who is there");
}

#[test]
fn oversized_stanzas_are_answered() {
    let mut bench = Bench::open();
    let tag = format!(
        "<message xmlns='jabber:component:accept' from='juliet@example.com/b' to='{CONTACT}' id='1'/>"
    );
    let tag: Element = tag.parse().unwrap();
    bench.core.handle_skipped(&tag, Defect::TooLarge, bench.now);
    assert_eq!(condition(sent(&bench.drain())[0]), "policy-violation");
}

#[test]
fn a_different_mapping_closes_the_bus() {
    let mut bench = Bench::new();
    bench.core.handle_bus(Incoming::Connected, bench.now);
    let other = Mapping {
        domain: "other.example.com".into(),
        user_domains: vec!["example.com".into()],
    };
    let hello = Event::Control(Control::Hello(Hello {
        answer: true,
        versions: vec![1],
        mapping: other.digests(),
    }));
    bench.far_says(SessionId::control(), hello);
    assert!(bench.drain().contains(&Action::CloseBus));
}

mod call;
