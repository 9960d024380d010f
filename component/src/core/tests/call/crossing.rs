//! Both sides call each other at once, or one goes on in a new session.

use super::from_sip::{SESSION, show};
use super::*;

#[test]
fn both_call_each_other_at_once() {
    // The lower id wins: the user's.
    let mut bench = Bench::open();
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
    let mut bench = Bench::open();
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
        let mut bench = Bench::open();
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
        let mut bench = Bench::open();
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
        let mut bench = Bench::open();
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
