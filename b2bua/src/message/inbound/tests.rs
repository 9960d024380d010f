use crate::action::{Action, Record};
use crate::core::bench::Bench;
use crate::settings::tests::{settings, settings_of_two_peers};
use tandem_shared::event::{Event, MessageOutcome};
use tandem_shared::message::{MessageId, Outcome};
use tandem_shared::refusal::{Reason, Refusal};

mod shares;

fn packet(branch: &str, cseq: u32, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "MESSAGE sip:juliet%40example.com@sip.example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:Romeo@pbx.example.net>;tag=1\r\nTo: <sip:juliet%40example.com@sip.example.com>\r\n\
         Call-ID: c\r\nCSeq: {cseq} MESSAGE\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const PEER: &str = "192.0.2.1:5060";
const PLAIN: &str = "Content-Type: text/plain\r\n";

fn tell(bench: &mut Bench, id: &MessageId, outcome: Outcome) {
    let outcome = MessageOutcome::new(id.clone(), outcome);
    let session = tandem_shared::bus::SessionId("s".into());
    bench.say(session, Event::MessageOutcome(outcome));
}

/// A bench with one message on the bus.
fn published() -> (Bench, MessageId) {
    let mut bench = Bench::new();
    bench.packet(PEER, &packet("1", 1, PLAIN, "hello"));
    let messages = bench.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body, "hello");
    assert!(bench.codes().is_empty());
    let id = messages[0].id.clone();
    (bench, id)
}

#[test]
fn the_answer_follows_the_record() {
    let (mut bench, id) = published();
    bench.actions.clear();
    tell(&mut bench, &id, Ok(()));
    let stored = |action: &Action| matches!(action, Action::Store(Record::Answered { .. }));
    let store = bench.actions.iter().position(stored).unwrap();
    let sent = bench
        .actions
        .iter()
        .position(|action| matches!(action, Action::Transmit(_)))
        .unwrap();
    assert!(store < sent);
    assert_eq!(bench.codes(), [202]);
}

#[test]
fn a_refusal_is_the_answer() {
    let (mut bench, id) = published();
    tell(
        &mut bench,
        &id,
        Err(Refusal::new(Reason::ItemNotFound)
            .by_account()
            .with_text("No such user")),
    );
    let response = bench.responses().remove(0);
    assert_eq!(
        (response.status.code(), &*response.reason),
        (404, "No such user")
    );
}

#[test]
fn a_sender_that_was_asked_to_come_again_is_heard_again() {
    let (mut bench, id) = published();
    let later = Refusal::new(Reason::RecipientUnavailable).with_retry_after(30);
    tell(&mut bench, &id, Err(later));
    assert_eq!(bench.codes(), [480]);
    bench.packet(PEER, &packet("2", 1, PLAIN, "hello"));
    assert_eq!(bench.messages().len(), 1);
    assert!(bench.codes().is_empty());
}

#[test]
fn a_repeat_hears_the_recorded_answer_even_after_a_restart() {
    let (mut bench, id) = published();
    tell(&mut bench, &id, Ok(()));
    assert_eq!(bench.codes(), [202]);
    bench.packet(PEER, &packet("2", 1, PLAIN, "hello"));
    assert_eq!(bench.codes(), [202]);
    assert!(bench.messages().is_empty());
    let mut records: Vec<Record> = Vec::new();
    for action in &bench.actions {
        if let Action::Store(record) = action {
            records.push(record.clone());
        }
    }
    let mut after = Bench::new();
    after.core.restore(records, after.now);
    after.packet(PEER, &packet("3", 1, PLAIN, "hello"));
    assert_eq!(after.codes(), [202]);
    assert!(after.messages().is_empty());
    after.packet(PEER, &packet("4", 2, PLAIN, "hello"));
    assert_eq!(after.messages().len(), 1);
}

#[test]
fn no_outcome_in_time_is_480_and_the_repeat_of_a_late_success_is_told() {
    let (mut bench, id) = published();
    bench.pass(19);
    assert!(bench.codes().is_empty());
    bench.pass(2);
    let response = bench.responses().remove(0);
    assert_eq!(response.status.code(), 480);
    assert!(response.retry_after().is_some());
    tell(&mut bench, &id, Ok(()));
    bench.packet(PEER, &packet("2", 1, PLAIN, "hello"));
    assert_eq!(bench.codes(), [202]);
}

#[test]
fn without_the_xmpp_side_the_answer_is_480_and_never_503() {
    let mut bench = Bench::unlinked(settings());
    bench.packet(PEER, &packet("1", 1, PLAIN, "hello"));
    let response = bench.responses().remove(0);
    assert_eq!(response.status.code(), 480);
    assert!(response.retry_after().is_some());
    bench.link();
    bench.packet(PEER, &packet("2", 1, PLAIN, "hello"));
    assert_eq!(
        bench.messages().len(),
        1,
        "a temporary refusal is not recorded"
    );
}

#[test]
fn too_many_waiting_are_asked_to_come_back() {
    let mut settings = settings();
    settings.message.pending = 1;
    let mut bench = Bench::with(settings);
    bench.packet(PEER, &packet("1", 1, PLAIN, "a"));
    bench.packet(PEER, &packet("2", 2, PLAIN, "b"));
    assert_eq!((bench.messages().len(), bench.codes()), (1, vec![480]));
}

/// A trunk that sends more than is taken leaves others as many places as it has; what was answered makes room.
#[test]
fn a_trunk_has_no_more_than_its_share_of_those_that_wait() {
    let mut settings = settings_of_two_peers();
    settings.message.pending = 7;
    let mut bench = Bench::with(settings);
    let mut flood = |peer: &str, numbers: std::ops::Range<u32>| {
        for number in numbers {
            bench.packet(
                peer,
                &packet(&format!("{peer}{number}"), number, PLAIN, "x"),
            );
        }
        (bench.messages(), bench.codes().len())
    };
    let (messages, refused) = flood(PEER, 0..20);
    assert_eq!((messages.len(), refused), (4, 16));
    assert_eq!(flood("192.0.2.2:5070", 20..40).0.len(), 2);
    assert_eq!(flood(PEER, 40..60).0.len(), 0);
    for message in &messages {
        tell(&mut bench, &message.id, Ok(()));
    }
    bench.codes();
    bench.packet(PEER, &packet("again", 99, PLAIN, "x"));
    assert_eq!((bench.messages().len(), bench.codes().len()), (1, 0));
}

#[test]
fn what_waits_is_said_again_in_order_to_a_component_that_comes_back() {
    let (mut bench, id) = published();
    let mut ids = vec![id];
    for cseq in 2..12 {
        bench.packet(PEER, &packet(&cseq.to_string(), cseq, PLAIN, "and"));
        ids.extend(
            bench
                .messages()
                .into_iter()
                .map(|message| message.id.clone()),
        );
    }
    bench
        .core
        .handle_bus(tandem_shared::bus::Incoming::Disconnected, bench.now);
    bench
        .core
        .handle_bus(tandem_shared::bus::Incoming::Connected, bench.now);
    let mapping = settings().mapping.digests();
    let hello = tandem_shared::event::Hello {
        answer: false,
        versions: vec![1],
        mapping,
    };
    bench.say(
        tandem_shared::bus::SessionId::control(),
        Event::Control(tandem_shared::event::Control::Hello(hello)),
    );
    let again: Vec<MessageId> = bench.messages().into_iter().map(|m| m.id.clone()).collect();
    assert_eq!((again.len(), again), (11, ids));
}

#[test]
fn what_the_bus_does_not_take_is_answered_480() {
    let mut bench = Bench::new();
    bench.packet(PEER, &packet("1", 1, PLAIN, "hello"));
    let message = bench.messages().remove(0);
    bench
        .core
        .handle_bus_refused(&Event::Message(Box::new(message)), bench.now);
    bench.pass(0);
    assert_eq!(bench.codes(), [480]);
}

#[test]
fn nothing_to_deliver_is_accepted_and_odd_bodies_are_not() {
    let mut bench = Bench::new();
    bench.packet(PEER, &packet("1", 1, "", ""));
    bench.packet(
        PEER,
        &packet("2", 2, "Content-Type: message/imdn+xml\r\n", "<imdn/>"),
    );
    assert_eq!(bench.codes(), [202, 415]);
    assert!(bench.messages().is_empty());
}

#[test]
fn a_user_is_spelled_as_it_spells_itself() {
    let (mut bench, _) = published();
    let answer = crate::message::request::tests::message(
        ("juliet", "example.com"),
        ("romeo", "pbx.example.net"),
        "hi",
    );
    bench.send(answer);
    assert_eq!(
        bench.request().0.uri.to_string(),
        "sip:Romeo@pbx.example.net"
    );
}

/// Each part is answered when the XMPP side has it, alone; a carrier sends no other before that.
#[test]
fn parts_of_a_text_are_delivered_one_by_one_and_joined() {
    let mut bench = Bench::new();
    let mut first = None;
    for (cseq, part, so_far) in [
        (1, "(1/3) one", "(1/3) one"),
        (2, "(3/3) three", "one [...] three"),
        (3, "(2/3) two", "one two three"),
    ] {
        bench.packet(PEER, &packet(&cseq.to_string(), cseq, PLAIN, part));
        let said = bench.messages().remove(0);
        assert_eq!((&*said.body, &said.replaces), (so_far, &first));
        assert!(bench.codes().is_empty());
        // A component that has forgotten everything hears the same.
        for bus in [
            tandem_shared::bus::Incoming::Disconnected,
            tandem_shared::bus::Incoming::Connected,
        ] {
            bench.core.handle_bus(bus, bench.now);
        }
        bench.greet();
        assert_eq!(bench.messages(), std::slice::from_ref(&said));
        tell(&mut bench, &said.id, Ok(()));
        assert_eq!(bench.codes(), [202]);
        first = first.or(Some(said.id));
    }
}

/// Its carrier sends the first part again as another message; no client has the one of before.
#[test]
fn a_text_whose_first_part_was_not_delivered_begins_anew() {
    let refuse = |bench: &mut Bench, id: &MessageId| {
        let later = Refusal::new(Reason::RecipientUnavailable).with_retry_after(30);
        tell(bench, id, Err(later));
    };
    let give_up = |bench: &mut Bench, _: &MessageId| bench.pass(21);
    let refuse_bus = |bench: &mut Bench, id: &MessageId| {
        let mut message = crate::message::request::tests::message(
            ("romeo", "pbx.example.net"),
            ("juliet", "example.com"),
            "(1/2) one",
        );
        message.id = id.clone();
        let event = Event::Message(Box::new(message));
        bench.core.handle_bus_refused(&event, bench.now);
        bench.pass(0);
    };
    type Way<'a> = &'a dyn Fn(&mut Bench, &MessageId);
    let ways: [Way<'_>; 3] = [&refuse, &give_up, &refuse_bus];
    for lose in ways {
        let mut bench = Bench::new();
        bench.packet(PEER, &packet("1", 1, PLAIN, "(1/2) one"));
        let lost = bench.messages().remove(0);
        lose(&mut bench, &lost.id);
        assert_eq!(bench.codes(), [480]);
        bench.packet(PEER, &packet("2", 2, PLAIN, "(1/2) one"));
        let first = bench.messages().remove(0);
        assert_eq!((&*first.body, first.replaces), ("(1/2) one", None));
        tell(&mut bench, &first.id, Ok(()));
        bench.packet(PEER, &packet("3", 3, PLAIN, "(2/2) two"));
        let whole = bench.messages().remove(0);
        assert_eq!((&*whole.body, whole.replaces), ("one two", Some(first.id)));
    }
}

#[test]
fn a_trunk_may_leave_parts_as_they_are() {
    let mut settings = settings();
    let trunks = settings.trunks.iter().map(|(_, trunk)| {
        let mut trunk = trunk.clone();
        trunk.join = false;
        trunk
    });
    settings.trunks = std::sync::Arc::new(crate::trunk::Trunks::new(trunks.collect()));
    let mut bench = Bench::with(settings);
    bench.packet(PEER, &packet("1", 1, PLAIN, "(1/2) one"));
    bench.packet(PEER, &packet("2", 2, PLAIN, "(2/2) two"));
    let bodies: Vec<_> = bench.messages().into_iter().map(|m| m.body).collect();
    assert_eq!(bodies, ["(1/2) one", "(2/2) two"]);
}

#[test]
fn the_end_answers_whoever_waits() {
    let (mut bench, _) = published();
    bench.core.end(bench.now);
    bench.pass(0);
    assert_eq!(bench.codes(), [480]);
}
