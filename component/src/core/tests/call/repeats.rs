//! What a client sends again after its stream was resumed leads to nothing new.

use super::*;

#[test]
fn a_proposal_that_comes_again_after_its_end_is_no_call() {
    let mut bench = Bench::befriended();
    let call = bench.propose().call();
    let round = bench.far(&call, end(EndReason::Busy));
    bench.expect_nothing_left(&round);
    let nothing = |round: Round| assert!(round.facts().is_empty() && round.said().is_empty());
    nothing(bench.propose());
    bench.after(15 * 60 - 1);
    nothing(bench.propose());
    bench.after(1);
    assert!(matches!(&bench.propose().facts()[..], [Fact::Offer(_)]));
}

#[test]
fn a_proposal_that_was_refused_is_not_refused_again() {
    let mut bench = Bench::befriended();
    let video = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/>";
    assert_eq!(bench.jmi(USER, CONTACT, "propose", video).said().len(), 1);
    assert!(bench.jmi(USER, CONTACT, "propose", video).said().is_empty());
}

#[test]
fn a_session_that_comes_again_is_acknowledged_and_no_call() {
    let again = |bench: &mut Bench| {
        let round = bench.jingle(SID, "session-initiate", CONTENT);
        assert_eq!(round.said(), ["iq /phone: result"]);
        assert!(round.facts().is_empty(), "{round:?}");
    };
    for proposed in [false, true] {
        let mut bench = Bench::befriended();
        let call = if proposed {
            bench.active_from_user()
        } else {
            bench.jingle(SID, "session-initiate", CONTENT).call()
        };
        again(&mut bench);
        let round = bench.far(&call, end(EndReason::Success));
        bench.expect_nothing_left(&round);
        again(&mut bench);
        let tablet = ("juliet@example.com/tablet", FULL);
        let round = bench.jingle_as(tablet, SID, "session-initiate", CONTENT);
        assert!(
            matches!(&round.facts()[..], [Fact::Offer(_)]),
            "another device means another call"
        );
    }
}

#[test]
fn a_session_that_was_turned_down_is_turned_down_once() {
    let mut bench = Bench::befriended();
    let open = CONTENT.replace("fingerprint", "other");
    let first = bench.jingle(SID, "session-initiate", &open);
    assert_eq!(first.said().len(), 2);
    let again = bench.jingle(SID, "session-initiate", &open);
    assert_eq!(again.said(), ["iq /phone: result"]);
}

#[test]
fn a_session_that_comes_after_its_proposal_is_over_is_unknown() {
    let mut bench = Bench::befriended();
    bench.propose();
    bench.jmi(USER, CONTACT, "retract", "");
    let round = bench.jingle(SID, "session-initiate", CONTENT);
    assert_eq!(round.said(), ["iq /phone: item-not-found+unknown-session"]);
    assert!(round.facts().is_empty());
}

#[test]
fn what_was_open_before_a_restart_is_known_after_it() {
    let mut bench = Bench::befriended();
    let rows = bench
        .propose()
        .actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Store(record) => Some(record),
            _ => None,
        });
    let mut next = Bench::new();
    next.core.restore(rows.collect(), next.now);
    next.core.handle_stream_opened(next.now);
    next.link_up();
    next.round();
    let round = next.propose();
    assert!(round.facts().is_empty() && round.said().is_empty());
}
