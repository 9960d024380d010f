use super::*;

#[test]
fn a_proposed_call_from_ringing_to_the_end() {
    let mut bench = Bench::befriended();
    let round = bench.propose();
    let stored = matches!(&round.actions[0], Action::Store(Record::Call(_)));
    assert!(stored, "{round:?}");
    let call = round.call();
    let [Fact::Offer(offer)] = &round.facts()[..] else {
        panic!("{round:?}");
    };
    assert_eq!(offer.from.device.as_deref(), Some("phone"));
    assert_eq!(
        offer.to,
        Address::new("+15551234567", "sip.example.com").unwrap()
    );
    assert_eq!((&offer.description, offer.hops), (&None, 70));
    assert_eq!(round.said(), [""; 0]);

    let round = bench.far(&call, Fact::Ringing);
    assert_eq!(
        round.said(),
        ["message /phone: ringing", "message /phone: received"]
    );
    assert_eq!(round.stanza("ringing").attr("from"), Some(FULL));
    let receipt = round
        .stanza("received")
        .get_child("received", crate::xml::RECEIPTS);
    assert_eq!(
        receipt.unwrap().attr("id"),
        Some(&*format!("jm-propose-{SID}"))
    );
    assert_eq!(bench.far(&call, Fact::Ringing).said(), [""; 0]);

    let round = bench.far(&call, Fact::Ready(Ready::default()));
    assert_eq!(round.said(), ["message /phone: proceed"]);
    assert_eq!(round.stanza("proceed").attr("from"), Some(FULL));

    let round = bench.jingle(SID, "session-initiate", CONTENT);
    assert_eq!(round.said(), ["iq /phone: result"]);
    let describe = round.described();
    assert_eq!(
        (describe.role, describe.description.streams.len()),
        (Role::Offer, 1)
    );

    let round = bench.far_describes(&call, Role::Answer, ours());
    assert_eq!(round.said(), ["iq /phone: session-accept(content)"]);
    assert_eq!(round.jingle().attr("responder"), Some(FULL));
    let content = round
        .jingle()
        .get_child("content", crate::xml::JINGLE)
        .unwrap();
    assert_eq!(
        (content.attr("creator"), content.attr("name")),
        (Some("initiator"), Some("0"))
    );

    let round = bench.far(&call, end(EndReason::Success));
    let said = [
        "iq /phone: session-terminate(success)",
        "message /phone: finish(success)",
    ];
    assert_eq!(round.said(), said);
    assert!(round.facts().is_empty());
    bench.expect_nothing_left(&round);
}

#[test]
fn a_session_without_a_proposal() {
    let mut bench = Bench::befriended();
    let round = bench.jingle_as((USER, CONTACT), SID, "session-initiate", CONTENT);
    assert_eq!(round.said(), ["iq /phone: result"]);
    let call = round.call();
    let [Fact::Offer(offer)] = &round.facts()[..] else {
        panic!("{round:?}");
    };
    assert!(offer.description.is_some());
    let round = bench.far(&call, Fact::Ringing);
    assert_eq!(round.said(), ["iq /phone: session-info(ringing)"]);
    assert_eq!(
        round.stanza("jingle").attr("from"),
        Some(CONTACT),
        "as it was addressed"
    );
    assert_eq!(
        bench.far(&call, Fact::Ready(Ready::default())).said(),
        [""; 0]
    );
    let round = bench.far_describes(&call, Role::Answer, ours());
    assert_eq!(round.said(), ["iq /phone: session-accept(content)"]);
    let hang_up = "<reason><success/></reason>";
    let round = bench.jingle_as((USER, CONTACT), SID, "session-terminate", hang_up);
    assert_eq!(
        (round.said(), round.end()),
        (vec!["iq /phone: result".to_owned()], EndReason::Success)
    );
    bench.expect_nothing_left(&round);
}

#[test]
fn sip_refuses_before_anything_else() {
    for (reason, condition) in [
        (EndReason::Busy, "busy"),
        (EndReason::Declined, "decline"),
        (EndReason::NotFound, "gone"),
        (EndReason::NoAnswer, "timeout"),
        (EndReason::Failed, "general-error"),
    ] {
        let mut bench = Bench::befriended();
        let call = bench.propose().call();
        let round = bench.far(&call, Fact::End(End::new(reason).with_status(486)));
        assert_eq!(
            round.said(),
            [format!("message /phone: reject({condition})")]
        );
        let text = String::from(round.stanza("reject"));
        assert!(text.contains("(SIP 486)"), "{text}");
        bench.expect_nothing_left(&round);
    }
}

#[test]
fn a_forbidden_number_is_explained_once_in_words() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    let round = bench.far(&call, end(EndReason::Emergency));
    assert_eq!(
        round.said(),
        ["message /phone: body", "message /phone: reject(decline)"]
    );
    assert_eq!(round.stanza("body").attr("from"), Some(CONTACT));
    bench.pong(&round.actions);
    let call = bench.propose_as("second").call();
    let round = bench.far(&call, end(EndReason::Emergency));
    assert_eq!(round.said(), ["message /phone: reject(decline)"]);
    bench.pong(&round.actions);
    bench.after(61);
    let call = bench.propose_as("third").call();
    assert_eq!(bench.far(&call, end(EndReason::Forbidden)).said().len(), 2);
}

#[test]
fn the_caller_gives_up_at_every_state() {
    let retract = |bench: &mut Bench| bench.jmi(USER, CONTACT, "retract", "");
    let mut bench = Bench::befriended();
    bench.propose();
    let round = retract(&mut bench);
    assert_eq!((round.end(), round.said()), (EndReason::Cancelled, vec![]));
    bench.expect_nothing_left(&round);

    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    let round = retract(&mut bench);
    assert_eq!((round.end(), round.said()), (EndReason::Cancelled, vec![]));
    bench.expect_nothing_left(&round);

    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    bench.jingle(SID, "session-initiate", CONTENT);
    let round = bench.jingle(SID, "session-terminate", "<reason><cancel/></reason>");
    assert_eq!(round.end(), EndReason::Cancelled);
    assert_eq!(
        round.said(),
        ["iq /phone: result", "message /phone: finish(cancel)"]
    );
    bench.expect_nothing_left(&round);
}

#[test]
fn somebody_else_cannot_give_up_the_call() {
    let mut bench = Bench::befriended();
    bench.propose();
    for other in ["juliet@example.com/tablet", "romeo@example.com/phone"] {
        let round = bench.jmi(other, CONTACT, "retract", "");
        assert!(round.facts().is_empty() && round.said().is_empty());
    }
}

#[test]
fn a_session_that_comes_after_sip_hung_up_is_told_why() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    let round = bench.far(&call, end(EndReason::Busy));
    assert_eq!(round.said(), ["message /phone: finish(busy)"]);
    let round = bench.jingle(SID, "session-initiate", CONTENT);
    assert_eq!(
        round.said(),
        ["iq /phone: result", "iq /phone: session-terminate(busy)"]
    );
    assert!(round.facts().is_empty());
    bench.expect_nothing_left(&round);
}

#[test]
fn a_device_that_never_begins_its_session_loses_the_call() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    assert!(bench.after(59).facts().is_empty());
    let round = bench.after(1);
    assert_eq!(round.end(), EndReason::Unreachable);
    assert_eq!(round.said(), ["message /phone: finish(timeout)"]);
    bench.expect_nothing_left(&round);
}

#[test]
fn a_proceed_that_comes_back_ends_the_call() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    bench.stanza(&format!(
        "<message from='{USER}' to='{FULL}' id='proceed-{SID}' type='error'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    let round = bench.round();
    assert_eq!(round.end(), EndReason::Cancelled);
    bench.expect_nothing_left(&round);
}

#[test]
fn a_proposal_that_comes_twice_is_one_call() {
    let mut bench = Bench::befriended();
    bench.propose();
    let again = bench.propose();
    assert!(again.facts().is_empty() && again.said().is_empty());
    assert_eq!(bench.core.calls_held(), (1, 0));
}

#[test]
fn a_call_without_sound_is_rejected() {
    let mut bench = Bench::befriended();
    let video = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/>";
    let round = bench.jmi(USER, CONTACT, "propose", video);
    assert_eq!(
        round.said(),
        ["message /phone: reject(incompatible-parameters)"]
    );
    assert!(round.facts().is_empty());
}

#[test]
fn strangers_and_impossible_contacts_are_refused() {
    let mut bench = Bench::befriended();
    let audio = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    let round = bench.jmi("evil@example.org/x", CONTACT, "propose", audio);
    assert_eq!(round.said(), ["message evil@example.org/x: forbidden+text"]);
    let round = bench.jmi(USER, r"a\40@sip.example.com", "propose", audio);
    assert_eq!(round.said(), ["message /phone: jid-malformed+text"]);
    let round = bench.jingle_as(
        ("evil@example.org/x", FULL),
        SID,
        "session-initiate",
        CONTENT,
    );
    assert_eq!(round.said(), ["iq evil@example.org/x: forbidden+text"]);
}

#[test]
fn too_many_calls_are_rejected_in_words() {
    let mut bench = Bench::befriended();
    for id in 0..5 {
        let word = format!(
            "<propose xmlns='urn:xmpp:jingle-message:0' id='{id}'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose>"
        );
        let round = bench.message_from(USER, CONTACT, "m", &word);
        let rejected = round.said() == ["message /phone: reject(general-error)"];
        assert_eq!(rejected, id == 4, "{round:?}");
    }
    let round = bench.jingle(SID, "session-initiate", CONTENT);
    let said = [
        "iq /phone: result",
        "iq /phone: session-terminate(general-error)",
    ];
    assert_eq!(round.said(), said);
    assert_eq!(bench.core.counters().calls.too_many, 2);
}
