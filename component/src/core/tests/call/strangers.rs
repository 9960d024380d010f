//! Users who do not see the contact's presence are shown it for the time of a call.

use super::*;

const SHOWN: &str = "presence /phone: c";
const HIDDEN: &str = "presence /phone: ";

/// Lets the user ask to see the contact.
fn subscribe(bench: &mut Bench) {
    bench.stanza(&format!(
        "<presence from='juliet@example.com' to='{CONTACT}' type='subscribe'/>"
    ));
    bench.round();
}

#[test]
fn a_strange_caller_is_shown_the_contact_before_anything_is_said() {
    let mut bench = Bench::open();
    let call = bench.propose().call();
    let round = bench.far(&call, Fact::Ringing);
    let said = [SHOWN, "message /phone: ringing", "message /phone: received"];
    assert_eq!(round.said(), said);
    let presence = all(&round.actions)[0];
    assert_eq!(presence.attr("from"), Some(FULL));
    let round = bench.far(&call, Fact::Ready(Ready::default()));
    assert_eq!(round.said(), ["message /phone: proceed"], "once is enough");
    let round = bench.far(&call, end(EndReason::Busy));
    assert_eq!(round.said(), ["message /phone: finish(busy)"]);
    let round = bench.after(60);
    assert_eq!(round.said(), [HIDDEN]);
    bench.expect_nothing_left(&round);

    let mut bench = Bench::open();
    let call = bench.propose().call();
    let round = bench.far(&call, Fact::Ready(Ready::default()));
    assert_eq!(round.said(), [SHOWN, "message /phone: proceed"]);
    bench.jingle(SID, "session-initiate", CONTENT);
    bench.far_describes(&call, Role::Answer, ours());
    let round = bench.far(&call, end(EndReason::Success));
    let said = [
        "iq /phone: session-terminate(success)",
        "message /phone: finish(success)",
        HIDDEN,
    ];
    assert_eq!(round.said(), said);
    let presence = *all(&round.actions)
        .iter()
        .find(|stanza| stanza.name() == "presence")
        .unwrap();
    assert_eq!(presence.attr("type"), Some("unavailable"));
    bench.expect_nothing_left(&round);
}

#[test]
fn a_called_stranger_is_shown_the_contact_too() {
    let mut bench = Bench::open();
    let round = bench.far_offer();
    assert_eq!(round.said()[0], "presence : c");
    let round = bench.answer(USER, "reject", "");
    assert_eq!(round.said(), ["presence : "]);
    bench.expect_nothing_left(&round);
}

#[test]
fn who_sees_the_contact_anyway_goes_on_seeing_it() {
    for before in [true, false] {
        let mut bench = Bench::open();
        if before {
            subscribe(&mut bench);
        }
        let call = bench.propose().call();
        let round = bench.far(&call, Fact::Ready(Ready::default()));
        assert_eq!(round.said().len(), if before { 1 } else { 2 });
        if !before {
            subscribe(&mut bench);
        }
        let round = bench.jmi(USER, CONTACT, "retract", "");
        assert_eq!(round.said(), [""; 0]);
    }
}

#[test]
fn the_contact_stays_for_a_second_call() {
    let mut bench = Bench::open();
    let first = CallId(CALL.into());
    let second = CallId("second".into());
    bench.far_offer();
    bench.far(&second, Fact::Offer(Box::new(offer())));
    let round = bench.far(&first, end(EndReason::Cancelled));
    assert_eq!(round.said(), ["message : retract(cancel)"]);
    let round = bench.far(&second, end(EndReason::Cancelled));
    assert_eq!(round.said(), ["message : retract(cancel)", "presence : "]);
}

#[test]
fn the_contact_is_taken_away_when_the_stream_is_back() {
    let mut bench = Bench::open();
    let call = bench.active_from_user();
    bench.core.handle_stream_closed(bench.now);
    assert_eq!(bench.far(&call, end(EndReason::Success)).said(), [""; 0]);
    bench.core.handle_stream_opened(bench.now);
    let round = bench.round();
    assert_eq!(round.said().last().map(String::as_str), Some(HIDDEN));
    bench.expect_nothing_left(&round);
}

#[test]
fn a_caller_is_shown_with_its_name() {
    let mut bench = Bench::open();
    let named = Offer {
        name: Some("Eve <b>\u{1} (number verified)".into()),
        ..offer()
    };
    let round = bench.far(&CallId(CALL.into()), Fact::Offer(Box::new(named)));
    let shown = all(&round.actions);
    for stanza in &shown {
        let nick = stanza.get_child("nick", crate::xml::NICK).unwrap();
        assert!(nick.text().starts_with("Eve <b>") && nick.text().ends_with("(number verified)"));
        assert!(!nick.text().contains('\u{1}'));
    }
    assert_eq!(shown.len(), 2, "presence and proposal");
    let mut bench = Bench::open();
    let round = bench.far_offer();
    assert!(
        all(&round.actions)
            .iter()
            .all(|stanza| !stanza.has_child("nick", crate::xml::NICK))
    );
}
