//! Every time that runs on the XMPP leg: nothing a millisecond before, the whole of it then.

use super::from_sip::{SESSION, show};
use super::*;

/// How a wait begins, how long it is in milliseconds, and what comes of it: what is said, and what
/// SIP is told.
struct Row {
    what: &'static str,
    begin: fn(&mut Bench),
    lasts: u64,
    said: &'static [&'static str],
    told: &'static [Told],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Ringing,
    End(EndReason),
}

const TABLE: &[Row] = &[
    // The user calls.
    Row {
        what: "SIP decides about a proposal",
        begin: |bench| drop(bench.propose()),
        lasts: 300_000,
        said: &["message /phone: reject(timeout)"],
        told: &[Told::End(EndReason::NoAnswer)],
    },
    Row {
        what: "the device begins the session it may begin",
        begin: |bench| drop(proceeded(bench)),
        lasts: 60_000,
        said: &["message /phone: finish(timeout)"],
        told: &[Told::End(EndReason::Unreachable)],
    },
    Row {
        what: "the device begins a session that SIP has left",
        begin: |bench| {
            let call = proceeded(bench);
            bench.far(&call, end(EndReason::Busy));
        },
        lasts: 60_000,
        said: &[],
        told: &[],
    },
    Row {
        what: "SIP answers a session that was proposed",
        begin: |bench| {
            proceeded(bench);
            bench.jingle(SID, "session-initiate", CONTENT);
        },
        lasts: 300_000,
        said: &[
            "iq /phone: session-terminate(timeout)",
            "message /phone: finish(timeout)",
        ],
        told: &[Told::End(EndReason::NoAnswer)],
    },
    Row {
        what: "SIP answers a session that was not proposed",
        begin: |bench| drop(bench.jingle(SID, "session-initiate", CONTENT)),
        lasts: 300_000,
        said: &["iq /phone: session-terminate(timeout)"],
        told: &[Told::End(EndReason::NoAnswer)],
    },
    Row {
        what: "a device that calls comes back",
        begin: |bench| {
            bench.propose();
            leave(bench);
        },
        lasts: 10_000,
        said: &["message /phone: reject(cancel)"],
        told: &[Told::End(EndReason::Cancelled)],
    },
    // The user is called.
    Row {
        what: "a device says what it can do",
        begin: |bench| {
            show(bench, "phone", &[]);
            bench.far_offer();
        },
        lasts: 1_000,
        said: &["presence : c", "message : propose(description)"],
        told: &[],
    },
    Row {
        what: "a device says that it rings",
        begin: |bench| drop(bench.far_offer()),
        lasts: 2_000,
        said: &[],
        told: &[Told::Ringing],
    },
    Row {
        what: "a device takes the call",
        begin: |bench| {
            bench.far_offer();
            bench.answer(USER, "ringing", "");
        },
        lasts: 60_000,
        said: &["message : retract(timeout)"],
        told: &[Told::End(EndReason::NoAnswer)],
    },
    Row {
        what: "SIP makes an offer for the device that took the call",
        begin: |bench| {
            bench.far_offer();
            bench.answer(USER, "proceed", "");
        },
        lasts: 30_000,
        said: &[
            "message : retract(general-error)",
            "message /phone: finish(general-error)",
        ],
        told: &[Told::End(EndReason::Failed)],
    },
    Row {
        what: "SIP makes an offer for a device that is called outright",
        begin: |bench| {
            show(bench, "phone", &SESSION);
            bench.far_offer();
        },
        lasts: 30_000,
        said: &[],
        told: &[Told::End(EndReason::Failed)],
    },
    Row {
        what: "the device has our session",
        begin: |bench| drop(initiated(bench)),
        lasts: 10_000,
        said: &[
            "iq /phone: session-terminate(timeout)",
            "message /phone: finish(timeout)",
        ],
        told: &[Told::End(EndReason::Unreachable)],
    },
    Row {
        what: "the device that took the call accepts the session",
        begin: |bench| {
            let id = initiated(bench);
            acknowledge(bench, &id);
        },
        lasts: 20_000,
        said: &[
            "iq /phone: session-terminate(connectivity-error)",
            "message /phone: finish(connectivity-error)",
        ],
        told: &[Told::End(EndReason::Connectivity)],
    },
    Row {
        what: "the device that is called outright accepts the session",
        begin: |bench| {
            show(bench, "phone", &SESSION);
            bench.far_offer();
            let round = bench.far_describes(&CallId(CALL.into()), Role::Offer, ours());
            let id = round.stanza("jingle").attr("id").unwrap().to_owned();
            acknowledge(bench, &id);
        },
        lasts: 60_000,
        said: &["iq /phone: session-terminate(timeout)"],
        told: &[Told::End(EndReason::NoAnswer)],
    },
    Row {
        what: "a device that is called comes back",
        begin: |bench| {
            let id = initiated(bench);
            acknowledge(bench, &id);
            leave(bench);
        },
        lasts: 10_000,
        said: &[
            "iq /phone: session-terminate(timeout)",
            "message /phone: finish(timeout)",
        ],
        told: &[Told::End(EndReason::Unreachable)],
    },
    // Both have answered.
    Row {
        what: "a device in a call comes back",
        begin: |bench| {
            bench.active_from_user();
            leave(bench);
        },
        lasts: 10_000,
        said: &[
            "iq /phone: session-terminate(connectivity-error)",
            "message /phone: finish(connectivity-error)",
        ],
        told: &[Told::End(EndReason::Connectivity)],
    },
    Row {
        what: "the session comes in which a call is said to go on",
        begin: |bench| {
            bench.active_from_sip();
            bench.answer(USER, "finish", "<migrated to='new'/>");
        },
        lasts: 10_000,
        said: &["message /phone: finish(success)"],
        told: &[Told::End(EndReason::Success)],
    },
];

/// The user's call that may go on; SIP waits for its session.
fn proceeded(bench: &mut Bench) -> CallId {
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    call
}

/// SIP's call that the user took; the id of our session.
fn initiated(bench: &mut Bench) -> String {
    bench.far_offer();
    bench.answer(USER, "proceed", "");
    let round = bench.far_describes(&CallId(CALL.into()), Role::Offer, ours());
    round.stanza("jingle").attr("id").unwrap().to_owned()
}

fn acknowledge(bench: &mut Bench, id: &str) {
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' type='result' id='{id}'/>"
    ));
}

fn leave(bench: &mut Bench) {
    bench.stanza(&format!(
        "<presence from='{USER}' to='{CONTACT}' type='unavailable'/>"
    ));
    bench.round();
}

fn told(round: &Round) -> Vec<Told> {
    let facts = round.facts();
    let told = facts.iter().filter_map(|fact| match fact {
        Fact::Ringing => Some(Told::Ringing),
        Fact::End(end) => Some(Told::End(end.reason)),
        _ => None,
    });
    told.collect()
}

/// Lets a long time pass without anything but the two peers' being there.
fn wait(bench: &mut Bench, milliseconds: u64) -> Round {
    let mut actions = bench.after(milliseconds / 1000).actions;
    actions.extend(bench.after_ms(milliseconds % 1000).actions);
    Round { actions }
}

#[test]
fn every_wait_ends_when_it_should_and_not_before() {
    for row in TABLE {
        let mut bench = Bench::befriended();
        (row.begin)(&mut bench);
        // What is told of earlier waits on the way, that the phone rings, is not what this one ends in.
        let before = wait(&mut bench, row.lasts - 1);
        let said = before.said();
        assert!(said.is_empty(), "{}: {said:?}", row.what);
        let ended = told(&before)
            .iter()
            .any(|told| matches!(told, Told::End(_)));
        assert!(!ended, "{}: {:?}", row.what, told(&before));
        let then = wait(&mut bench, 1);
        assert_eq!(then.said(), row.said, "{}", row.what);
        assert_eq!(told(&then), row.told, "{}", row.what);
        let goes_on = row.told == [Told::Ringing] || row.lasts == 1_000;
        if !goes_on {
            bench.pong(&then.actions);
            assert_eq!(bench.core.calls_held(), (0, 0), "{}", row.what);
        }
    }
}

#[test]
fn a_call_that_both_answered_has_no_end_of_its_own() {
    for from_user in [true, false] {
        let mut bench = Bench::befriended();
        match from_user {
            true => bench.active_from_user(),
            false => bench.active_from_sip(),
        };
        let round = wait(&mut bench, 4 * 3_600_000);
        assert!(round.said().is_empty() && round.facts().is_empty());
        assert_eq!(bench.core.calls_held(), (1, 0));
    }
}

#[test]
fn a_change_has_thirty_seconds() {
    let mut bench = Bench::befriended();
    bench.active_from_user();
    let senders = |bench: &mut Bench, senders: &str| {
        let content = format!("<content creator='initiator' name='0' senders='{senders}'/>");
        bench.jingle(SID, "content-modify", &content).facts().len()
    };
    assert_eq!(senders(&mut bench, "none"), 1);
    wait(&mut bench, 29_999);
    assert_eq!(
        senders(&mut bench, "both"),
        0,
        "SIP may answer the first yet"
    );
    wait(&mut bench, 1);
    assert_eq!(senders(&mut bench, "initiator"), 1);
}

#[test]
fn a_rejection_after_half_a_minute_is_nobodys_decision() {
    for (after, reason) in [
        (28_999, EndReason::Busy),
        (29_000, EndReason::NoAnswer),
        (32_000, EndReason::NoAnswer),
        (32_001, EndReason::Busy),
    ] {
        let mut bench = Bench::befriended();
        bench.far_offer();
        wait(&mut bench, after);
        assert_eq!(bench.answer(USER, "reject", "").end(), reason, "{after}");
    }
}
