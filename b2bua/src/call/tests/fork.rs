//! Calls to a number that several users share.

use super::*;
use crate::number::Numbers;
use tandem_shared::media::Trickle;

/// A bench where juliet and romeo share a number, and a phone that calls it; the branches to both.
fn shared() -> (Bench, CallId, CallId) {
    let mut settings = settings();
    let users = ["juliet", "romeo"].map(|user| address(user, "example.com"));
    settings.numbers = Numbers::new(users.map(|user| ("+15550002".to_owned(), user)));
    let mut bench = Bench::with(settings);
    let text = String::from_utf8(invite("a", PCMU)).unwrap();
    let line = "INVITE sip:juliet%40example.com@";
    let text = text.replace(line, "INVITE sip:+15550002@");
    bench.packet(PEER, text.as_bytes());
    bench.open_media();
    let told = bench.told();
    let [(juliet, Fact::Offer(one)), (romeo, Fact::Offer(two))] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!((&*one.to.user, &*two.to.user), ("juliet", "romeo"));
    assert_eq!((&one.from, &one.media), (&two.from, &two.media));
    assert_ne!(juliet, romeo);
    assert!(bench.codes().is_empty());
    (bench, juliet.clone(), romeo.clone())
}

impl Bench {
    /// What was told of which call.
    fn told(&mut self) -> Vec<(CallId, Fact)> {
        let mut found = Vec::new();
        self.actions.retain(|action| {
            if let Action::Publish(envelope) = action
                && let BusEvent::Call(event) = &envelope.event
            {
                found.push((event.call.clone(), event.fact.clone()));
                return false;
            }
            true
        });
        found
    }

    fn end_of(&mut self, call: &CallId, reason: EndReason) {
        self.fact_of(call, Fact::End(End::new(reason)));
    }
}

fn ready(answered: bool) -> Fact {
    let device = None;
    Fact::Ready(Ready { answered, device })
}

fn elsewhere(call: &CallId) -> (CallId, Fact) {
    (
        call.clone(),
        Fact::End(End::new(EndReason::AnsweredElsewhere)),
    )
}

#[test]
fn all_ring_and_the_first_who_takes_the_call_has_it() {
    let (mut bench, juliet, romeo) = shared();
    bench.fact_of(&romeo, Fact::Ringing);
    bench.fact_of(&juliet, Fact::Ringing);
    assert_eq!(bench.codes(), [180]);
    bench.fact_of(&romeo, ready(true));
    let told = bench.told();
    assert_eq!(told[0], elsewhere(&juliet));
    assert!(
        matches!(&told[1..], [(id, Fact::Describe(it))] if *id == romeo && it.role == Role::Offer)
    );
    // Too late.
    bench.fact_of(&juliet, ready(true));
    bench.end_of(&juliet, EndReason::Busy);
    assert_eq!((bench.told(), bench.codes()), (vec![], vec![]));
    bench.fact_of(
        &romeo,
        answered(Role::Answer, description("x", Setup::Active)),
    );
    assert_eq!(bench.codes(), [200]);
    bench.fact_of(&romeo, Fact::Hold(true));
    bench.end_of(&romeo, EndReason::Success);
    assert_eq!((bench.told(), bench.core.calls().0), (vec![], 0));
}

#[test]
fn the_call_rings_on_until_the_last_has_refused_and_the_best_reason_is_told() {
    for (reasons, code) in [
        ([EndReason::Declined, EndReason::NoAnswer], 603),
        ([EndReason::Declined, EndReason::Busy], 486),
        ([EndReason::NotFound, EndReason::Unreachable], 480),
        ([EndReason::NotFound, EndReason::NotFound], 404),
    ] {
        let (mut bench, juliet, romeo) = shared();
        bench.end_of(&juliet, reasons[0]);
        assert_eq!((bench.told(), bench.codes()), (vec![], vec![]));
        bench.end_of(&romeo, reasons[1]);
        assert_eq!((bench.told(), bench.codes()), (vec![], vec![code]));
        assert_eq!(bench.core.calls().0, 0);
    }
}

#[test]
fn a_caller_who_gives_up_ends_it_for_all_who_still_ring() {
    let (mut bench, juliet, romeo) = shared();
    bench.end_of(&juliet, EndReason::Busy);
    let cancel = String::from_utf8(invite("a", "")).unwrap();
    let cancel = cancel
        .replace("INVITE", "CANCEL")
        .replace("sip:juliet%40example.com@sip", "sip:+15550002@sip")
        .replace(
            "To: <sip:+15550002@sip",
            "To: <sip:juliet%40example.com@sip",
        );
    bench.packet(PEER, cancel.as_bytes());
    let told = bench.told();
    assert!(
        matches!(told.as_slice(), [(id, Fact::End(end))] if *id == romeo && end.reason == EndReason::Cancelled),
        "{told:?}"
    );
    assert_eq!(bench.codes(), [200, 487]);
}

#[test]
fn nobody_answers_in_time_and_all_are_told() {
    let (mut bench, juliet, romeo) = shared();
    bench.pass(121);
    let told = bench.told();
    let ended: Vec<_> = told.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ended, [juliet, romeo]);
    assert_eq!(end_of(&[told[0].1.clone()]), Some(EndReason::NoAnswer));
    assert!(bench.codes().contains(&480));
}

#[test]
fn devices_that_need_the_description_to_ring_have_not_taken_the_call() {
    let (mut bench, juliet, romeo) = shared();
    bench.fact_of(&juliet, ready(false));
    bench.fact_of(&romeo, ready(false));
    let told = bench.told();
    let [(one, Fact::Describe(first)), (two, Fact::Describe(second))] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (one, two, &first.description),
        (&juliet, &romeo, &second.description)
    );
    bench.commands();
    for device in [&juliet, &romeo] {
        let trickle = Trickle {
            mid: "audio".into(),
            ufrag: Some(device.0.clone()),
            candidates: Vec::new(),
            end: false,
        };
        bench.fact_of(device, Fact::Trickle(trickle));
    }
    assert_eq!(bench.commands(), []);
    let answer = answered(Role::Answer, description("x", Setup::Active));
    bench.fact_of(&romeo, answer);
    assert_eq!(bench.told(), [elsewhere(&juliet)]);
    assert_eq!(bench.codes(), [200]);
    let commands = bench.commands();
    let ufrags: Vec<_> = commands
        .iter()
        .filter_map(|command| {
            let Command::Candidates { ufrag, .. } = command else {
                return None;
            };
            ufrag.clone()
        })
        .collect();
    assert_eq!(ufrags, [romeo.0]);
}

#[test]
fn nothing_is_left_of_a_call_that_is_over() {
    let (mut bench, juliet, romeo) = shared();
    bench.end_of(&juliet, EndReason::Busy);
    bench.end_of(&romeo, EndReason::Busy);
    assert_eq!(bench.core.forks(), (0, 0));
    let (mut bench, _, _) = shared();
    assert_eq!(bench.core.forks(), (1, 2));
    bench
        .core
        .handle_bus(tandem_shared::bus::Incoming::Disconnected, bench.now);
    bench.pass(0);
    assert_eq!(bench.core.forks(), (0, 0));
    let (mut bench, juliet, _) = shared();
    bench.fact_of(&juliet, ready(true));
    bench.end_of(&juliet, EndReason::Connectivity);
    assert_eq!(bench.core.forks(), (0, 0));
}
