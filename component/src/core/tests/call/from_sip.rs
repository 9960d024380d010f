use super::*;

#[test]
fn a_call_by_messages_from_ringing_to_the_end() {
    let mut bench = Bench::befriended();
    let call = CallId(CALL.into());
    let round = bench.far_offer();
    assert!(matches!(&round.actions[0], Action::Store(Record::Call(_))));
    assert_eq!(
        round.said(),
        ["presence : c", "message : propose(description)"]
    );
    let propose = round.stanza("propose");
    assert_eq!(
        (propose.attr("from"), propose.attr("to")),
        (Some(FULL), Some("juliet@example.com"))
    );
    for (name, ns) in [
        ("request", crate::xml::RECEIPTS),
        ("store", crate::xml::HINTS),
    ] {
        assert!(propose.has_child(name, ns));
    }
    let id = propose.attr("id").unwrap().to_owned();
    let received = format!("<received xmlns='urn:xmpp:receipts' id='{id}'/>");
    let round = bench.message_from("juliet@example.com/tablet", FULL, "r", &received);
    assert_eq!(round.facts(), [Fact::Ringing]);
    assert!(
        bench.answer(USER, "ringing", "").facts().is_empty(),
        "it is told once"
    );

    let round = bench.answer(USER, "proceed", "");
    let [Fact::Ready(ready)] = &round.facts()[..] else {
        panic!("{round:?}");
    };
    assert!(ready.answered);
    assert_eq!(
        ready.device.as_ref().unwrap().device.as_deref(),
        Some("phone")
    );
    let second = bench.answer("juliet@example.com/tablet", "proceed", "");
    assert!(second.facts().is_empty() && second.said().is_empty());
    let late = bench.answer("juliet@example.com/tablet", "reject", "");
    assert!(late.facts().is_empty(), "the first word counts");

    let round = bench.far_describes(&call, Role::Offer, ours());
    assert_eq!(round.said(), ["iq /phone: session-initiate(content)"]);
    let jingle = round.jingle();
    assert_eq!(
        (jingle.attr("sid"), jingle.attr("initiator")),
        (Some(CALL), Some(FULL))
    );
    let round = bench.jingle(CALL, "session-accept", CONTENT);
    assert_eq!(round.said(), ["iq /phone: result"]);
    assert_eq!(round.described().role, Role::Answer);

    let round = bench.jingle(CALL, "session-terminate", "<reason><success/></reason>");
    assert_eq!(round.end(), EndReason::Success);
    assert_eq!(
        round.said(),
        ["iq /phone: result", "message /phone: finish(success)"]
    );
    bench.expect_nothing_left(&round);
}

#[test]
fn nobody_answers() {
    let mut bench = Bench::befriended();
    bench.far_offer();
    assert!(bench.after_ms(1999).facts().is_empty());
    assert_eq!(
        bench.after_ms(1).facts(),
        [Fact::Ringing],
        "the caller hears something"
    );
    assert!(bench.after(57).facts().is_empty());
    let round = bench.after(1);
    assert_eq!(round.end(), EndReason::NoAnswer);
    assert_eq!(round.said(), ["message : retract(timeout)"]);
    bench.expect_nothing_left(&round);
}

#[test]
fn a_device_rejects() {
    let reason =
        |condition: &str| format!("<reason xmlns='urn:xmpp:jingle:1'><{condition}/></reason>");
    for (after, inside, expected) in [
        (5, String::new(), EndReason::Busy),
        (5, reason("busy"), EndReason::Busy),
        (5, reason("decline"), EndReason::Declined),
        (30, String::new(), EndReason::NoAnswer),
        (30, reason("decline"), EndReason::Declined),
        (40, String::new(), EndReason::Busy),
    ] {
        let mut bench = Bench::befriended();
        bench.far_offer();
        bench.after(after);
        let round = bench.answer(USER, "reject", &inside);
        assert_eq!(
            (round.end(), round.said()),
            (expected, vec![]),
            "{after} {inside}"
        );
        bench.expect_nothing_left(&round);
    }
}

#[test]
fn a_proposal_comes_back() {
    for (from, condition, expected) in [
        (
            "juliet@example.com",
            "service-unavailable",
            Some(EndReason::Unreachable),
        ),
        (
            "juliet@example.com",
            "item-not-found",
            Some(EndReason::NotFound),
        ),
        (USER, "service-unavailable", None),
        ("romeo@example.com", "service-unavailable", None),
    ] {
        let mut bench = Bench::befriended();
        bench.far_offer();
        bench.stanza(&format!(
            "<message from='{from}' to='{FULL}' id='propose-{CALL}' type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
        let round = bench.round();
        match expected {
            None => assert!(round.facts().is_empty(), "{from}"),
            Some(reason) => {
                assert_eq!(round.end(), reason);
                bench.expect_nothing_left(&round);
            }
        }
    }
}

#[test]
fn sip_gives_up() {
    for (reason, condition) in [
        (EndReason::Cancelled, "cancel"),
        (EndReason::AnsweredElsewhere, "success"),
    ] {
        let mut bench = Bench::befriended();
        let call = CallId(CALL.into());
        bench.far_offer();
        let round = bench.far(&call, end(reason));
        assert_eq!(round.said(), [format!("message : retract({condition})")]);
        bench.expect_nothing_left(&round);
        assert!(bench.answer(USER, "proceed", "").facts().is_empty());
    }
    let mut bench = Bench::befriended();
    let call = CallId(CALL.into());
    bench.far_offer();
    bench.answer(USER, "proceed", "");
    let round = bench.far(&call, end(EndReason::Cancelled));
    assert_eq!(
        round.said(),
        [
            "message : retract(cancel)",
            "message /phone: finish(cancel)"
        ]
    );
    bench.expect_nothing_left(&round);

    bench.far_offer();
    bench.answer(USER, "proceed", "");
    bench.far_describes(&call, Role::Offer, ours());
    let round = bench.far(&call, end(EndReason::Cancelled));
    let said = [
        "iq /phone: session-terminate(cancel)",
        "message /phone: finish(cancel)",
    ];
    assert_eq!(round.said(), said);
    bench.expect_nothing_left(&round);
}

/// A device that shows capabilities, asked for and answered.
pub(super) fn show(bench: &mut Bench, resource: &str, features: &[&str]) -> Round {
    bench.stanza(&format!(
        "<presence from='juliet@example.com/{resource}' to='{CONTACT}'>\
         <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{resource}'/></presence>"
    ));
    let round = bench.round();
    let question = round.stanza("query");
    assert_eq!(question.attr("from"), Some(FULL));
    let id = question.attr("id").unwrap().to_owned();
    if features.is_empty() {
        return round;
    }
    let features: String = features
        .iter()
        .map(|var| format!("<feature var='{var}'/>"))
        .collect();
    bench.stanza(&format!(
        "<iq from='juliet@example.com/{resource}' to='{FULL}' type='result' id='{id}'>\
         <query xmlns='http://jabber.org/protocol/disco#info'>{features}</query></iq>"
    ));
    bench.round()
}

pub(super) const SESSION: [&str; 5] = [
    crate::xml::JINGLE,
    crate::xml::RTP,
    crate::xml::RTP_AUDIO,
    crate::xml::ICE_UDP,
    crate::xml::DTLS,
];

#[test]
fn a_device_that_knows_no_messages_is_called_by_a_session() {
    let mut bench = Bench::befriended();
    let call = CallId(CALL.into());
    show(&mut bench, "phone", &SESSION);
    let round = bench.far_offer();
    assert_eq!(round.said(), [""; 0]);
    let [Fact::Ready(ready)] = &round.facts()[..] else {
        panic!("{round:?}");
    };
    assert!(!ready.answered, "it has to ring first");
    let round = bench.far_describes(&call, Role::Offer, ours());
    assert_eq!(round.said(), ["iq /phone: session-initiate(content)"]);
    let ringing = "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>";
    assert_eq!(
        bench.jingle(CALL, "session-info", ringing).facts(),
        [Fact::Ringing]
    );
    let round = bench.jingle(CALL, "session-accept", CONTENT);
    assert_eq!(round.described().role, Role::Answer);
    let round = bench.far(&call, end(EndReason::Success));
    assert_eq!(round.said(), ["iq /phone: session-terminate(success)"]);
    bench.expect_nothing_left(&round);
}

#[test]
fn a_device_that_declines_a_session() {
    let mut bench = Bench::befriended();
    let call = CallId(CALL.into());
    show(&mut bench, "phone", &SESSION);
    bench.far_offer();
    bench.far_describes(&call, Role::Offer, ours());
    let round = bench.jingle(CALL, "session-terminate", "<reason><decline/></reason>");
    assert_eq!(round.end(), EndReason::Declined);
    bench.expect_nothing_left(&round);
}

#[test]
fn who_is_slow_to_say_what_it_can_is_called_by_messages() {
    let mut bench = Bench::befriended();
    show(&mut bench, "phone", &[]);
    let round = bench.far_offer();
    assert!(round.said().is_empty() && round.facts().is_empty());
    let round = bench.after(1);
    assert_eq!(
        round.said(),
        ["presence : c", "message : propose(description)"]
    );
}

#[test]
fn an_answer_in_time_decides_how_a_device_is_called() {
    let mut bench = Bench::befriended();
    let round = show(&mut bench, "phone", &[]);
    let id = round.stanza("query").attr("id").unwrap().to_owned();
    bench.far_offer();
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' type='result' id='{id}'>\
         <query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:jingle-message:0'/></query></iq>"
    ));
    assert_eq!(
        bench.round().said(),
        ["presence : c", "message : propose(description)"]
    );
}

#[test]
fn a_device_that_does_not_take_the_session_is_unreachable() {
    let call = CallId(CALL.into());
    let begin = |bench: &mut Bench| {
        bench.far_offer();
        bench.answer(USER, "proceed", "");
        let round = bench.far_describes(&call, Role::Offer, ours());
        round.stanza("jingle").attr("id").unwrap().to_owned()
    };
    let mut bench = Bench::befriended();
    let id = begin(&mut bench);
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' type='error' id='{id}'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    let round = bench.round();
    assert_eq!(round.end(), EndReason::Unreachable);
    assert_eq!(round.said(), ["message /phone: finish(timeout)"]);
    bench.expect_nothing_left(&round);

    begin(&mut bench);
    let round = bench.after(10);
    assert_eq!(
        round.end(),
        EndReason::Unreachable,
        "it said nothing at all"
    );
    bench.expect_nothing_left(&round);

    let id = begin(&mut bench);
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' type='result' id='{id}'/>"
    ));
    assert!(bench.after(19).facts().is_empty());
    let round = bench.after(1);
    assert_eq!(round.end(), EndReason::Connectivity, "it never accepted");
    bench.expect_nothing_left(&round);
}

#[test]
fn sip_that_makes_no_offer_loses_the_call() {
    let mut bench = Bench::befriended();
    bench.far_offer();
    bench.answer(USER, "proceed", "");
    let round = bench.after(30);
    assert_eq!(round.end(), EndReason::Failed);
    assert_eq!(
        round.said(),
        [
            "message : retract(general-error)",
            "message /phone: finish(general-error)"
        ]
    );
    bench.expect_nothing_left(&round);
}

#[test]
fn calls_that_cannot_be_placed_end_at_once() {
    let mut bench = Bench::befriended();
    let call = CallId(CALL.into());
    let mut place = |change: &dyn Fn(&mut Offer)| {
        let mut offer = offer();
        change(&mut offer);
        bench.far(&call, Fact::Offer(Box::new(offer))).end()
    };
    let elsewhere = |offer: &mut Offer| offer.to.host = "example.org".into();
    assert_eq!(place(&elsewhere), EndReason::NotFound);
    assert_eq!(
        place(&|offer| offer.media = vec![Media::Video]),
        EndReason::UnsupportedMedia
    );
    assert_eq!(
        place(&|offer| offer.from.user = "a@b".into()),
        EndReason::BadRequest
    );
    let round = bench.far(&CallId("a b".into()), Fact::Offer(Box::new(offer())));
    assert_eq!(round.end(), EndReason::BadRequest);
    for id in 0..5 {
        let round = bench.far(&CallId(id.to_string()), Fact::Offer(Box::new(offer())));
        assert_eq!(round.facts().is_empty(), id < 4, "the fifth is busy");
    }
    bench.core.handle_stream_closed(bench.now);
    bench.round();
    assert_eq!(bench.far_offer().end(), EndReason::Unreachable);
}

#[test]
fn facts_about_a_call_that_is_over_are_answered() {
    let mut bench = Bench::befriended();
    let call = CallId("gone".into());
    assert_eq!(bench.far(&call, Fact::Ringing).end(), EndReason::Failed);
    assert!(bench.far(&call, end(EndReason::Success)).facts().is_empty());
    assert!(bench.far(&call, Fact::Unknown).facts().is_empty());
}
