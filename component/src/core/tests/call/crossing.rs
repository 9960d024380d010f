//! Both sides call each other at once, or one goes on in a new session.

use super::from_sip::{SESSION, show};
use super::*;

#[test]
fn both_call_each_other_at_once() {
    // The lower id wins: the user's.
    let mut bench = Bench::befriended();
    bench.far_offer();
    let round = bench.propose_as("00000000-low");
    assert_eq!(round.said(), ["message : retract(expired)"]);
    assert!(
        round
            .stanza("retract")
            .children()
            .any(|child| child.has_child("tie-break", crate::xml::JINGLE_MESSAGE))
    );
    let facts = round.facts();
    assert_eq!(facts[0], end(EndReason::Replaced));
    assert!(matches!(facts[1], Fact::Offer(_)) && facts.len() == 2);

    // Ours.
    let mut bench = Bench::befriended();
    bench.far_offer();
    let round = bench.propose_as("ffffffff-high");
    assert_eq!(round.said(), ["message /phone: reject(expired)"]);
    assert!(round.facts().is_empty());
    assert_eq!(bench.core.calls_held(), (1, 0));

    // The user saw it first.
    let round = bench.answer(USER, "reject", "<tie-break/>");
    assert_eq!(round.end(), EndReason::Replaced);
}

#[test]
fn both_begin_a_session_at_once() {
    for (id, ours_wins) in [("00-low", false), ("ff-high", true)] {
        let mut bench = Bench::befriended();
        show(&mut bench, "phone", &SESSION);
        bench.far_offer();
        bench.far_describes(&CallId(CALL.into()), Role::Offer, ours());
        let round = bench.jingle(id, "session-initiate", CONTENT);
        if ours_wins {
            assert_eq!(round.said(), ["iq /phone: conflict+tie-break"]);
        } else {
            assert_eq!(
                round.said(),
                ["iq /phone: session-terminate(expired)", "iq /phone: result"]
            );
            assert_eq!(round.facts()[0], end(EndReason::Replaced));
        }
    }
}

/// A call from SIP whose number sorts after the user's name, or before it.
fn offer_from(user: &str) -> Offer {
    Offer {
        from: Address::new(user, "sip.example.com").unwrap(),
        ..offer()
    }
}

#[test]
fn of_equal_ids_that_of_the_lower_jid_wins() {
    for (number, theirs_wins) in [("+15551234567", false), ("zoe", true)] {
        let mut bench = Bench::befriended();
        let call = CallId(CALL.into());
        bench.far(&call, Fact::Offer(Box::new(offer_from(number))));
        let word = format!(
            "<propose xmlns='urn:xmpp:jingle-message:0' id='{CALL}'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose>"
        );
        let contact = format!("{number}@sip.example.com");
        let round = bench.message_from(USER, &contact, "m", &word);
        if !theirs_wins {
            assert_eq!(round.said(), ["message /phone: reject(expired)"]);
            assert!(round.facts().is_empty());
            assert_eq!(bench.core.calls_held(), (1, 0));
            continue;
        }
        assert_eq!(round.said(), ["message : retract(expired)"]);
        let events = round.events();
        let [ours, theirs] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!((&ours.call, &ours.fact), (&call, &end(EndReason::Replaced)));
        assert!(theirs.call != call && matches!(theirs.fact, Fact::Offer(_)));
        bench.pong(&round.actions);
        assert!(
            bench.round().actions.is_empty(),
            "the id is open still, with another call"
        );
        let round = bench.far(&theirs.call, Fact::Ready(Ready::default()));
        assert_eq!(round.said(), ["message /phone: proceed"]);
        let round = bench.far(&theirs.call, end(EndReason::Success));
        bench.pong(&round.actions);
    }
}

#[test]
fn of_equal_sessions_that_of_the_lower_jid_wins() {
    for (number, theirs_wins) in [("+15551234567", false), ("zoe", true)] {
        let mut bench = Bench::befriended();
        let call = CallId(CALL.into());
        show(&mut bench, "phone", &SESSION);
        bench.far(&call, Fact::Offer(Box::new(offer_from(number))));
        bench.far_describes(&call, Role::Offer, ours());
        let contact = format!("{number}@sip.example.com/sip");
        let round = bench.jingle_as((USER, &contact), CALL, "session-initiate", CONTENT);
        if theirs_wins {
            assert_eq!(round.said(), ["iq /phone: result"], "and nothing ends it");
            let facts = round.facts();
            assert_eq!(facts[0], end(EndReason::Replaced));
            assert!(matches!(facts[1], Fact::Offer(_)) && facts.len() == 2);
        } else {
            assert_eq!(round.said(), ["iq /phone: conflict+tie-break"]);
            assert!(round.facts().is_empty());
        }
    }
}

#[test]
fn a_call_goes_on_on_another_device() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_sip();
    let tablet = "juliet@example.com/tablet";
    let audio = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    let round = bench.jmi(tablet, CONTACT, "propose", audio);
    let said = [
        "iq /phone: session-terminate(success)",
        "message /phone: finish(expired)",
        "message /tablet: proceed",
    ];
    assert_eq!(round.said(), said);
    assert!(
        String::from(round.stanza("finish")).contains(SID),
        "it names the new session"
    );
    assert!(round.facts().is_empty(), "SIP hears nothing yet");
    let round = bench.jingle_as((tablet, FULL), SID, "session-initiate", CONTENT);
    assert_eq!(
        (round.call(), round.described().role),
        (call.clone(), Role::Offer)
    );
    let round = bench.far_describes(&call, Role::Answer, ours());
    assert_eq!(round.said(), ["iq /tablet: session-accept(content)"]);
    let round = bench.far(&call, end(EndReason::Success));
    let said = [
        "iq /tablet: session-terminate(success)",
        "message /tablet: finish(success)",
    ];
    assert_eq!(round.said(), said);
}

/// The user says that SIP's call goes on in the session `to`.
fn says_moved(bench: &mut Bench, to: &str) -> Round {
    let inside =
        format!("<reason xmlns='urn:xmpp:jingle:1'><expired/></reason><migrated to='{to}'/>");
    bench.answer(USER, "finish", &inside)
}

#[test]
fn a_call_that_is_said_to_go_on_waits_for_its_new_session() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_sip();
    let round = says_moved(&mut bench, SID);
    assert!(round.facts().is_empty() && round.said().is_empty());
    // The old session may be closed now, and its device leave.
    let round = bench.jingle(CALL, "session-terminate", "<reason><expired/></reason>");
    assert_eq!(
        (round.said(), round.facts()),
        (vec!["iq /phone: result".into()], vec![])
    );
    bench.stanza(&format!(
        "<presence from='{USER}' to='{CONTACT}' type='unavailable'/>"
    ));
    bench.round();
    assert!(bench.after(9).facts().is_empty());
    let audio = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    let tablet = "juliet@example.com/tablet";
    let round = bench.jmi(tablet, CONTACT, "propose", audio);
    assert!(
        round
            .said()
            .contains(&"message /tablet: proceed".to_owned())
    );
    assert!(round.facts().is_empty());
    assert!(bench.after(9).facts().is_empty());
    let round = bench.jingle_as((tablet, FULL), SID, "session-initiate", CONTENT);
    assert_eq!((round.call(), round.described().role), (call, Role::Offer));
}

#[test]
fn a_call_whose_new_session_never_comes_is_hung_up() {
    let mut bench = Bench::befriended();
    bench.active_from_sip();
    says_moved(&mut bench, SID);
    assert!(bench.after(9).facts().is_empty());
    let round = bench.after(1);
    assert_eq!(round.end(), EndReason::Success, "and not lost");
    bench.expect_nothing_left(&round);
}

#[test]
fn a_call_that_goes_on_in_another_that_is_there_is_replaced_by_it() {
    // The same number calls a second time: to the client that is the first call, going on.
    let mut bench = Bench::befriended();
    let first = bench.active_from_sip();
    let second = CallId("second".into());
    bench.far(&second, Fact::Offer(Box::new(offer())));
    let round = says_moved(&mut bench, "second");
    assert_eq!((round.call(), round.end()), (first, EndReason::Replaced));
    assert_eq!(round.said(), ["message /phone: finish(expired)"]);
    assert_eq!(bench.core.calls_held().0, 1);
}

#[test]
fn a_call_that_nobody_took_and_that_goes_on_elsewhere_is_replaced() {
    let mut bench = Bench::befriended();
    bench.far_offer();
    assert_eq!(says_moved(&mut bench, SID).end(), EndReason::Replaced);
}
