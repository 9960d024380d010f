use super::*;
use proptest::prelude::*;

#[test]
fn a_session_is_between_two_exact_jids() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    for ends in [
        ("juliet@example.com/tablet", FULL),
        (USER, CONTACT),
        ("romeo@example.com/phone", FULL),
    ] {
        let round = bench.jingle_as(ends, SID, "session-terminate", "");
        let [said] = &round.said()[..] else {
            panic!("{round:?}");
        };
        assert!(said.ends_with("item-not-found+unknown-session"), "{said}");
        assert!(round.facts().is_empty());
    }
    let round = bench.jingle("other", "session-info", "");
    assert_eq!(round.said(), ["iq /phone: item-not-found+unknown-session"]);
}

#[test]
fn a_session_before_its_time_is_unknown() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    let round = bench.jingle(SID, "session-initiate", CONTENT);
    assert_eq!(round.said(), ["iq /phone: item-not-found+unknown-session"]);
    bench.far(&call, Fact::Ready(Ready::default()));
    let round = bench.jingle_as(
        ("juliet@example.com/tablet", FULL),
        SID,
        "session-initiate",
        CONTENT,
    );
    assert_eq!(round.said(), ["iq /tablet: item-not-found+unknown-session"]);
    bench.jingle(SID, "session-initiate", CONTENT);
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' id='i2' type='set'>\
         <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{SID}'>{CONTENT}</jingle></iq>"
    ));
    let round = bench.round();
    assert_eq!(round.said(), ["iq /phone: unexpected-request+out-of-order"]);
}

#[test]
fn sessions_that_make_no_call() {
    let open = CONTENT.replace("fingerprint", "other");
    let foreign = CONTENT.replace(
        "urn:xmpp:jingle:apps:rtp:1",
        "urn:xmpp:jingle:apps:file-transfer:5",
    );
    let raw = CONTENT.replace("ice-udp", "raw-udp");
    for (content, condition) in [
        (&*open, "security-error"),
        (&*foreign, "unsupported-applications"),
        (&*raw, "unsupported-transports"),
    ] {
        let mut bench = Bench::befriended();
        let round = bench.jingle(SID, "session-initiate", content);
        let terminate = format!("iq /phone: session-terminate({condition})");
        assert_eq!(round.said(), ["iq /phone: result", &*terminate]);
        assert!(round.facts().is_empty());

        let mut bench = Bench::befriended();
        let call = bench.propose().call();
        bench.far(&call, Fact::Ready(Ready::default()));
        let round = bench.jingle(SID, "session-initiate", content);
        let finish = match condition {
            "security-error" => "message /phone: finish(security-error)",
            _ => "message /phone: finish(incompatible-parameters)",
        };
        assert_eq!(round.said(), ["iq /phone: result", &*terminate, finish]);
        assert!(matches!(
            round.end(),
            EndReason::Security | EndReason::UnsupportedMedia
        ));
        bench.expect_nothing_left(&round);
    }
    let twice = [CONTENT, CONTENT].concat();
    for content in ["", &*twice] {
        let mut bench = Bench::befriended();
        let round = bench.jingle(SID, "session-initiate", content);
        assert_eq!(round.said(), ["iq /phone: bad-request+text"]);
        let call = bench.propose().call();
        bench.far(&call, Fact::Ready(Ready::default()));
        let round = bench.jingle(SID, "session-initiate", content);
        assert_eq!(round.end(), EndReason::BadRequest);
        bench.expect_nothing_left(&round);
    }
}

#[test]
fn an_answer_without_encryption_ends_the_call() {
    let mut bench = Bench::befriended();
    bench.far_offer();
    bench.answer(USER, "proceed", "");
    bench.far_describes(&CallId(CALL.into()), Role::Offer, ours());
    let open = CONTENT.replace("fingerprint", "other");
    let round = bench.jingle(CALL, "session-accept", &open);
    let said = [
        "iq /phone: result",
        "iq /phone: session-terminate(security-error)",
        "message /phone: finish(security-error)",
    ];
    assert_eq!(
        (round.said(), round.end()),
        (said.map(String::from).to_vec(), EndReason::Security)
    );
    bench.expect_nothing_left(&round);
}

#[test]
fn sip_that_takes_no_description_ends_the_call() {
    let mut bench = Bench::befriended();
    let call = bench.jingle(SID, "session-initiate", CONTENT).call();
    let round = bench.far_describes(&call, Role::Refusal, Description::default());
    assert_eq!(
        round.said(),
        ["iq /phone: session-terminate(incompatible-parameters)"]
    );
    assert_eq!(round.end(), EndReason::UnsupportedMedia);
    bench.expect_nothing_left(&round);
}

#[test]
fn offers_out_of_turn_are_refused() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    let round = bench.far_describes(&call, Role::Offer, ours());
    assert_eq!(round.described().role, Role::Refusal);
    assert!(round.said().is_empty());
}

#[test]
fn questions_that_are_no_requests_are_not_sessions() {
    let mut bench = Bench::befriended();
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' id='i' type='get'><jingle xmlns='urn:xmpp:jingle:1'/></iq>"
    ));
    assert_eq!(bench.round().said(), ["iq /phone: service-unavailable"]);
    let ends = (USER, "+15551234567@sip.example.com/other");
    let round = bench.jingle_as(ends, SID, "session-initiate", CONTENT);
    assert_eq!(round.said(), ["iq /phone: service-unavailable"]);
    let round = bench.jingle_as((USER, "sip.example.com"), SID, "session-initiate", CONTENT);
    assert_eq!(round.said(), ["iq /phone: service-unavailable"]);
}

proptest! {
    /// Damaged stanzas in every state: each request is answered once, and nothing panics.
    #[test]
    fn damaged_requests_are_answered(
        stage in 0..6u8,
        action in 0..ALL_ACTIONS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[a-z0-9:'<>/ =]{0,3}"), 0..4),
    ) {
        let mut content = CONTENT.to_owned();
        for (place, text) in damage {
            let place = place.index(content.len());
            content.replace_range(place..=place, &text);
        }
        let request = |sid: &str| format!(
            "<iq xmlns='jabber:component:accept' from='{USER}' to='{FULL}' id='i1' type='set'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='{}' sid='{sid}'>{content}</jingle></iq>",
            ALL_ACTIONS[action]
        );
        let mut bench = Bench::befriended();
        let sid = match stage {
            0 => SID,
            1 => {
                bench.propose();
                SID
            }
            2 => {
                let call = bench.propose().call();
                bench.far(&call, Fact::Ready(Ready::default()));
                SID
            }
            3 => {
                bench.active_from_user();
                SID
            }
            4 => {
                bench.far_offer();
                bench.answer(USER, "proceed", "");
                bench.far_describes(&CallId(CALL.into()), Role::Offer, ours());
                CALL
            }
            _ => {
                bench.active_from_sip();
                CALL
            }
        };
        if let Ok(stanza) = request(sid).parse::<Element>() {
            bench.core.handle_stanza(&stanza, bench.now);
            let round = bench.round();
            let answers = all(&round.actions).into_iter().filter(|stanza| {
                stanza.attr("id") == Some("i1") && matches!(stanza.attr("type"), Some("result" | "error"))
            });
            prop_assert_eq!(answers.count(), 1, "{:?}", round.said());
        }
    }
}

const ALL_ACTIONS: [&str; 15] = [
    "session-initiate",
    "session-accept",
    "session-terminate",
    "session-info",
    "content-add",
    "content-accept",
    "content-reject",
    "content-modify",
    "content-remove",
    "description-info",
    "security-info",
    "transport-info",
    "transport-replace",
    "transport-accept",
    "transport-reject",
];
