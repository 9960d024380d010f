//! The bus takes nothing for a while, and calls go on saying things.

use super::*;

const ROOM: usize = 1024;

/// The user holds the call `count` times, and the bus takes nothing.
fn hold(bench: &mut Bench, count: usize) {
    for _ in 0..count {
        bench.stanza(&format!(
            "<iq from='{USER}' to='{FULL}' id='i' type='set'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='{SID}'>\
             <hold xmlns='urn:xmpp:jingle:apps:rtp:info:1'/></jingle></iq>"
        ));
    }
}

/// What is said while the bus has no room, but for answers.
fn said_without_room(bench: &mut Bench) -> Vec<String> {
    bench.core.handle_bus_room(0);
    let actions = std::iter::from_fn(|| bench.core.poll_action()).collect();
    let mut said = Round { actions }.said();
    said.retain(|said| said != "iq /phone: result");
    said
}

/// All that waits for the bus.
fn waiting(bench: &mut Bench) -> Vec<CallEvent> {
    bench.core.handle_bus_room(10_000);
    let actions = std::iter::from_fn(|| bench.core.poll_action()).collect();
    Round { actions }.events()
}

#[test]
fn a_call_that_has_more_to_say_than_the_bus_takes_ends_in_words() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    hold(&mut bench, ROOM);
    assert_eq!(said_without_room(&mut bench), [""; 0]);
    hold(&mut bench, 1);
    let said = [
        "iq /phone: session-terminate(general-error)",
        "message /phone: finish(general-error)",
    ];
    assert_eq!(said_without_room(&mut bench), said);
    let events = waiting(&mut bench);
    let [event] = &events[..] else {
        panic!("{} events", events.len());
    };
    assert_eq!(
        (&event.call, &event.fact),
        (&call, &end(EndReason::ResourceConstraint))
    );
    let another = bench.propose_as("another");
    assert!(
        matches!(&another.facts()[..], [Fact::Offer(_)]),
        "there is room again"
    );
}

#[test]
fn no_call_begins_while_the_bus_is_full() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    hold(&mut bench, ROOM);
    bench.stanza(&format!(
        "<message from='{USER}' to='+15550000000@sip.example.com' id='m' type='chat'>\
         <propose xmlns='urn:xmpp:jingle-message:0' id='another'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose></message>"
    ));
    assert_eq!(
        said_without_room(&mut bench),
        ["message /phone: reject(general-error)"]
    );
    let offer = Fact::Offer(Box::new(offer()));
    let call = CallId(CALL.into());
    let session = SessionId(call.0.clone());
    bench.far_says(
        session,
        Event::Call(Box::new(CallEvent {
            call: call.clone(),
            fact: offer,
        })),
    );
    assert_eq!(said_without_room(&mut bench), [""; 0]);
    let last = waiting(&mut bench).pop().unwrap();
    assert_eq!(
        (last.call, last.fact),
        (call, end(EndReason::ResourceConstraint))
    );
}

#[test]
fn what_sip_never_heard_of_need_not_end_there() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    hold(&mut bench, ROOM - 1);
    let session = |action: &str| {
        format!(
            "<iq from='{USER}' to='+15550000000@sip.example.com/sip' id='i' type='set'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='other'>{}</jingle></iq>",
            CONTENT.replace(
                "</transport>",
                "<candidate component='1' foundation='1' ip='192.0.2.7' port='9' priority='1' type='host'/></transport>"
            )
        )
    };
    bench.stanza(&session("session-initiate"));
    bench.stanza(&session("transport-info"));
    assert_eq!(
        said_without_room(&mut bench),
        ["iq /phone: session-terminate(general-error)"]
    );
    let events = waiting(&mut bench);
    assert_eq!(events.len(), ROOM - 1);
    assert!(events.iter().all(|event| event.fact == Fact::Hold(true)));
}
