use super::*;

fn transport(ufrag: &str, port: u16) -> String {
    format!(
        "<content creator='initiator' name='0'>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{ufrag}' pwd='pppppppppppppppppppppp'>\
         <candidate component='1' foundation='1' generation='0' ip='192.0.2.7' port='{port}' \
         priority='1' protocol='udp' type='host'/></transport></content>"
    )
}

#[test]
fn candidates_go_both_ways() {
    for from_user in [true, false] {
        let mut bench = Bench::befriended();
        let (call, sid) = match from_user {
            true => (bench.active_from_user(), SID),
            false => (bench.active_from_sip(), CALL),
        };
        let round = bench.jingle(sid, "transport-info", &transport("uuuu", 9));
        assert_eq!(round.said(), ["iq /phone: result"]);
        let [Fact::Trickle(trickle)] = &round.facts()[..] else {
            panic!("{round:?}");
        };
        assert_eq!((&*trickle.mid, trickle.candidates[0].port), ("0", 9));
        let trickle = Trickle {
            mid: "0".into(),
            ufrag: None,
            candidates: vec![candidate(40001)],
            end: false,
        };
        let round = bench.far(&call, Fact::Trickle(trickle));
        assert_eq!(round.said(), ["iq /phone: transport-info(content)"]);
        let content = round
            .jingle()
            .get_child("content", crate::xml::JINGLE)
            .unwrap();
        let transport = content.get_child("transport", crate::xml::ICE_UDP).unwrap();
        assert_eq!(transport.attr("ufrag"), Some("gggg"));
        assert!(transport.attr("pwd").is_some());
    }
}

#[test]
fn candidates_may_come_before_the_answer() {
    let mut bench = Bench::befriended();
    bench.far_offer();
    bench.answer(USER, "proceed", "");
    bench.far_describes(&CallId(CALL.into()), Role::Offer, ours());
    let round = bench.jingle(CALL, "transport-info", &transport("uuuu", 9));
    assert!(matches!(&round.facts()[..], [Fact::Trickle(_)]));
    let done = "<content creator='initiator' name='0'>\
        <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='uuuu'><gathering-complete/></transport></content>";
    let round = bench.jingle(CALL, "transport-info", done);
    assert!(matches!(&round.facts()[..], [Fact::Trickle(trickle)] if trickle.end));
}

#[test]
fn new_credentials_begin_ice_anew() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    let round = bench.jingle(SID, "transport-info", &transport("vvvv", 7));
    assert_eq!(round.said(), ["iq /phone: result"]);
    let describe = round.described();
    let stream = &describe.description.streams[0];
    assert_eq!(describe.role, Role::Offer);
    assert_eq!(stream.transport.ice.as_ref().unwrap().ufrag, "vvvv");
    assert_eq!(stream.transport.candidates[0].port, 7);
    assert!(
        stream.transport.dtls.is_some() && !stream.codecs.is_empty(),
        "the whole of it"
    );

    // Another change meanwhile waits for its turn.
    let mute = "<content creator='initiator' name='0' senders='responder'/>";
    assert!(bench.jingle(SID, "content-modify", mute).facts().is_empty());
    let mut new = ours();
    new.streams[0].transport.ice.as_mut().unwrap().ufrag = "hhhh".into();
    let round = bench.far_describes(&call, Role::Answer, new);
    assert_eq!(round.said(), ["iq /phone: transport-info(content)"]);
    assert!(String::from(round.jingle()).contains("hhhh"));
    let next = round.described();
    assert_eq!(next.role, Role::Offer);
    assert_eq!(next.description.streams[0].direction, Direction::Receive);
    let round = bench.far_describes(&call, Role::Answer, ours());
    assert!(round.said().is_empty() && round.facts().is_empty());
}

#[test]
fn the_user_changes_who_sends() {
    for (from_user, senders, expected) in [
        (true, "initiator", Direction::Send),
        (true, "none", Direction::None),
        (false, "initiator", Direction::Receive),
    ] {
        let mut bench = Bench::befriended();
        let (call, sid) = match from_user {
            true => (bench.active_from_user(), SID),
            false => (bench.active_from_sip(), CALL),
        };
        let content = format!("<content creator='initiator' name='0' senders='{senders}'/>");
        let round = bench.jingle(sid, "content-modify", &content);
        assert_eq!(round.described().description.streams[0].direction, expected);
        let round = bench.far_describes(&call, Role::Refusal, Description::default());
        assert_eq!(round.said(), ["iq /phone: content-modify(content)"]);
        let content = round
            .jingle()
            .get_child("content", crate::xml::JINGLE)
            .unwrap();
        assert_eq!(content.attr("senders"), Some("both"), "what holds");
        assert!(bench.jingle(sid, "content-modify", "").facts().is_empty());
    }
}

#[test]
fn a_change_that_is_never_answered_does_not_block_the_next() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    bench.jingle(SID, "transport-info", &transport("vvvv", 7));
    bench.after(30);
    let round = bench.jingle(SID, "transport-info", &transport("xxxx", 7));
    assert_eq!(round.described().role, Role::Offer);
}

#[test]
fn sip_changes_who_sends_and_nothing_else() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    let mut held = ours();
    held.streams[0].direction = Direction::Send;
    let round = bench.far_describes(&call, Role::Offer, held);
    assert_eq!(round.said(), ["iq /phone: content-modify(content)"]);
    let content = round
        .jingle()
        .get_child("content", crate::xml::JINGLE)
        .unwrap();
    assert_eq!(
        content.attr("senders"),
        Some("responder"),
        "we are the responder"
    );
    let answer = round.described();
    assert_eq!(answer.role, Role::Answer);
    assert_eq!(answer.description.streams[0].direction, Direction::Receive);

    let mut other = ours();
    other.streams[0].codecs[0].id = 96;
    let round = bench.far_describes(&call, Role::Offer, other);
    assert_eq!(
        (round.described().role, round.said()),
        (Role::Refusal, vec![])
    );
}

#[test]
fn holding_is_told_both_ways() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    assert_eq!(
        bench.far(&call, Fact::Hold(true)).said(),
        ["iq /phone: session-info(hold)"]
    );
    assert_eq!(
        bench.far(&call, Fact::Hold(false)).said(),
        ["iq /phone: session-info(unhold)"]
    );
    let info = |bench: &mut Bench, name: &str| {
        let inside = format!("<{name} xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>");
        bench.jingle(SID, "session-info", &inside).facts()
    };
    assert_eq!(info(&mut bench, "hold"), [Fact::Hold(true)]);
    assert_eq!(info(&mut bench, "unhold"), [Fact::Hold(false)]);
    assert_eq!(info(&mut bench, "active"), [Fact::Hold(false)]);
    assert_eq!(info(&mut bench, "mute"), []);
}

#[test]
fn what_else_sessions_say() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    let key = "<dtmf xmlns='urn:xmpp:jingle:dtmf:0' code='#' duration='200'/>";
    let pressed = Dtmf {
        key: '#',
        milliseconds: 200,
    };
    assert_eq!(
        bench.jingle(SID, "session-info", key).facts(),
        [Fact::Dtmf(pressed.clone())]
    );
    assert!(bench.far(&call, Fact::Dtmf(pressed)).said().is_empty());
    for action in ["session-info", "description-info", "security-info"] {
        let round = bench.jingle(SID, action, "");
        assert_eq!(round.said(), ["iq /phone: result"], "{action}");
        assert!(round.facts().is_empty());
    }
    let round = bench.jingle(SID, "session-info", "<x xmlns='y'/>");
    assert_eq!(
        round.said(),
        ["iq /phone: feature-not-implemented+unsupported-info"]
    );
    let video = CONTENT
        .replace("name='0'", "name='video'")
        .replace("'audio'", "'video'");
    let round = bench.jingle(SID, "content-add", &video);
    assert_eq!(
        round.said(),
        ["iq /phone: result", "iq /phone: content-reject(content)"]
    );
    let round = bench.jingle(SID, "transport-replace", CONTENT);
    assert_eq!(
        round.said(),
        ["iq /phone: result", "iq /phone: transport-reject(content)"]
    );
    for action in [
        "content-accept",
        "content-reject",
        "transport-accept",
        "session-accept",
    ] {
        let round = bench.jingle(SID, action, CONTENT);
        assert_eq!(
            round.said(),
            ["iq /phone: unexpected-request+out-of-order"],
            "{action}"
        );
    }
}

#[test]
fn a_session_without_contents_is_over() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    let round = bench.jingle(
        SID,
        "content-remove",
        "<content creator='initiator' name='0'/>",
    );
    assert_eq!(round.end(), EndReason::Success);
    let said = [
        "iq /phone: result",
        "iq /phone: session-terminate(success)",
        "message /phone: finish(success)",
    ];
    assert_eq!(round.said(), said);
    bench.expect_nothing_left(&round);
}

#[test]
fn a_device_that_goes_away_has_ten_seconds() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    let presence = |bench: &mut Bench, form: &str| {
        bench.stanza(&format!("<presence from='{USER}' to='{CONTACT}'{form}/>"));
        bench.round()
    };
    presence(&mut bench, " type='unavailable'");
    assert!(bench.after(9).facts().is_empty());
    presence(&mut bench, "");
    assert!(bench.after(9).facts().is_empty(), "it came back");
    presence(&mut bench, " type='unavailable'");
    let round = bench.after(10);
    assert_eq!(round.end(), EndReason::Connectivity);
    bench.expect_nothing_left(&round);
}

#[test]
fn who_knows_of_no_session_has_none() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    let round = bench.far(&call, Fact::Hold(true));
    let id = round.stanza("jingle").attr("id").unwrap().to_owned();
    let error = |bench: &mut Bench, from: &str, inside: &str| {
        bench.stanza(&format!(
            "<iq from='{from}' to='{FULL}' type='error' id='{id}'><error type='cancel'>{inside}</error></iq>"
        ));
        bench.round()
    };
    let odd = "<feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
    assert!(error(&mut bench, USER, odd).facts().is_empty());
    let unknown = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
        <unknown-session xmlns='urn:xmpp:jingle:errors:1'/>";
    assert!(
        error(&mut bench, "romeo@example.com/x", unknown)
            .facts()
            .is_empty()
    );
    let round = error(&mut bench, USER, unknown);
    assert_eq!(round.end(), EndReason::Connectivity);
    bench.expect_nothing_left(&round);
}

#[test]
fn a_device_that_refuses_our_acceptance_has_its_session_closed() {
    let accept = |bench: &mut Bench, proposed: bool| {
        let call = if proposed {
            let call = bench.propose().call();
            bench.far(&call, Fact::Ready(Ready::default()));
            bench.jingle(SID, "session-initiate", CONTENT);
            call
        } else {
            bench.jingle(SID, "session-initiate", CONTENT).call()
        };
        let round = bench.far_describes(&call, Role::Answer, ours());
        round.stanza("jingle").attr("id").unwrap().to_owned()
    };
    let error = |bench: &mut Bench, id: &str, inside: &str| {
        bench.stanza(&format!(
            "<iq from='{USER}' to='{FULL}' type='error' id='{id}'><error type='cancel'>{inside}</error></iq>"
        ));
        bench.round()
    };
    // A browser that cannot take the description says no more than this.
    let odd = "<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
    let unknown = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
        <unknown-session xmlns='urn:xmpp:jingle:errors:1'/>";
    let terminate = "iq /phone: session-terminate(general-error)";
    for (proposed, inside, reason, said) in [
        (
            true,
            odd,
            EndReason::Failed,
            &[terminate, "message /phone: finish(general-error)"][..],
        ),
        (false, odd, EndReason::Failed, &[terminate]),
        (
            true,
            unknown,
            EndReason::Connectivity,
            &["message /phone: finish(connectivity-error)"],
        ),
        (false, unknown, EndReason::Connectivity, &[]),
    ] {
        let mut bench = Bench::befriended();
        let id = accept(&mut bench, proposed);
        let round = error(&mut bench, &id, inside);
        assert_eq!(
            (round.end(), round.said()),
            (reason, said.iter().map(|said| (*said).to_owned()).collect())
        );
        bench.expect_nothing_left(&round);
    }
}
