use super::bench::Bench;
use super::*;
use crate::settings::tests::settings;
use crate::sip::Name;
use tandem_shared::event::Control;

const OPTIONS: &[u8] =
    b"OPTIONS sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKo\r\n\
    Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:198.51.100.1>\r\nCall-ID: o\r\n\
    CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

#[test]
fn options_are_answered_with_what_is_built() {
    let mut bench = Bench::unlinked(settings());
    bench.packet("192.0.2.1:5060", OPTIONS);
    let response = bench.responses().remove(0);
    assert_eq!(response.status, Status::OK);
    assert_eq!(response.headers.get(Name::Allow), Some(refusal::ALLOW));
    assert!(
        response
            .headers
            .get(Name::Accept)
            .unwrap()
            .contains("text/plain")
    );
}

#[test]
fn strangers_hear_nothing() {
    let mut bench = Bench::new();
    bench.packet("203.0.113.1:5060", OPTIONS);
    assert!(bench.actions.is_empty());
    assert_eq!(bench.core.counters().1.unknown_source, 1);
}

#[test]
fn a_component_with_another_mapping_is_turned_away() {
    let mut other = settings();
    other.mapping.domain = "other.example.com".into();
    let mut bench = Bench::unlinked(other);
    bench.core.handle_bus(Incoming::Connected, bench.now);
    let mapping = settings().mapping.digests();
    let hello = tandem_shared::event::Hello {
        answer: false,
        versions: vec![1],
        mapping,
    };
    bench.say(
        SessionId::control(),
        BusEvent::Control(Control::Hello(hello)),
    );
    assert!(bench.actions.contains(&Action::CloseBus));
}

#[test]
fn the_end_says_goodbye() {
    let mut bench = Bench::new();
    bench.core.end(bench.now);
    let last = std::iter::from_fn(|| bench.core.poll_action()).last();
    let Some(Action::Publish(envelope)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(envelope.event, BusEvent::Control(Control::Goodbye));
}
