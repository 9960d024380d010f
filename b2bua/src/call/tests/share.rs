//! A trunk that calls and calls leaves others their places.

use super::*;
use crate::settings::tests::settings_of_two_peers;

/// So many INVITEs by the party at `peer`; how many are put off.
fn put_off(bench: &mut Bench, peer: &str, name: &str, count: usize) -> usize {
    for number in 0..count {
        let invite = invite(&format!("{name}{number}"), PCMU);
        let invite = String::from_utf8(invite).unwrap().replace(PEER, peer);
        bench.packet(peer, invite.as_bytes());
    }
    let codes = bench.codes();
    codes.iter().filter(|code| **code == 480).count()
}

fn bench(max: usize) -> Bench {
    let mut settings = settings_of_two_peers();
    settings.call.max = max;
    Bench::with(settings)
}

#[test]
fn calls_that_ring_leave_as_many_places_as_they_take() {
    let mut bench = bench(7);
    assert_eq!(put_off(&mut bench, PEER, "a", 10), 6);
    assert_eq!(put_off(&mut bench, "192.0.2.1:5060", "b", 10), 8);
    assert_eq!(put_off(&mut bench, PEER, "c", 10), 10);
    // Users call all the same.
    bench.fact(offer(None));
    assert_eq!(bench.core.calls().0, 7);
}

#[test]
fn calls_that_are_up_take_nothing_from_those_that_ring() {
    let mut bench = bench(2);
    bench.call_from_sip(PCMU);
    bench.facts();
    let call = bench.called.clone();
    let ready = Ready {
        answered: true,
        device: None,
    };
    bench.fact_of(&call, Fact::Ready(ready));
    let description = description("y", Setup::Active);
    bench.fact_of(&call, answered(Role::Answer, description));
    assert!(bench.codes().contains(&200));
    assert_eq!(put_off(&mut bench, PEER, "b", 2), 1);
}
