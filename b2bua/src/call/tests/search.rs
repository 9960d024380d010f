//! Where INVITEs go when nobody takes them (RFC 3263 §4.3).

use super::*;
use crate::core::bench::hop;
use crate::dns::{Answer, Query, Records};
use crate::sip::hop::Transmit;
use crate::trunk::Trunk;
use crate::trunk::tests::trunk;

/// A gateway with these trunks, all for the same contacts.
fn bench(trunks: Vec<Trunk>) -> Bench {
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(trunks));
    Bench::with(settings)
}

fn two() -> Bench {
    let to = |name, priority, at| Trunk {
        priority,
        ..trunk(name, &["*@pbx.example.net"], Some(at))
    };
    bench(vec![
        to("second", 20, "192.0.2.2:5070"),
        to("first", 10, "192.0.2.1"),
    ])
}

/// The INVITE of a call that has just begun.
fn begin(bench: &mut Bench) -> (Request, Transmit) {
    let _ = (bench.commands(), bench.requests());
    bench.fact(offer(Some(description("t", Setup::Actpass))));
    bench.open_media();
    bench.request()
}

/// Requests that are no copies of `known`.
fn news(bench: &mut Bench, known: &Transmit) -> Vec<(Request, Transmit)> {
    let all = bench.requests().into_iter();
    all.filter(|(_, transmit)| transmit.bytes != known.bytes)
        .collect()
}

#[test]
fn whoever_says_nothing_at_all_is_left_and_cancelled() {
    let mut bench = two();
    let (first, sent) = begin(&mut bench);
    assert_eq!(hop(&sent), "UDP 192.0.2.1:5060");
    bench.pass(3);
    let (second, transmit) = news(&mut bench, &sent).pop().unwrap();
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5070");
    assert_eq!(first.call_id(), second.call_id());
    assert_ne!(first.headers.get("From"), second.headers.get("From"));
    bench.respond(&second, 200, PCMU);
    assert!(bench.facts().contains(&Fact::Ready(Ready {
        answered: true,
        device: None
    })));
    let _ack = bench.request();
    // The first one wakes up: it is answered, thanked and left.
    bench.respond(&first, 200, PCMU);
    let methods: Vec<_> = bench
        .requests()
        .iter()
        .map(|(request, transmit)| (request.method.clone(), hop(transmit)))
        .collect();
    assert_eq!(methods.len(), 2, "{methods:?}");
    assert_eq!((&methods[0].0, &methods[1].0), (&Method::Ack, &Method::Bye));
    assert_eq!(bench.core.calls().0, 1);
}

#[test]
fn a_late_provisional_answer_is_cancelled() {
    let mut bench = two();
    let (first, sent) = begin(&mut bench);
    bench.pass(3);
    assert_eq!(news(&mut bench, &sent).len(), 1);
    bench.respond(&first, 180, "");
    let (cancel, _) = bench.request();
    assert_eq!(cancel.method, Method::Cancel);
    assert_eq!(bench.facts(), [], "the other one does not ring yet");
}

#[test]
fn whoever_says_anything_is_waited_for() {
    let mut bench = two();
    let (first, sent) = begin(&mut bench);
    bench.respond(&first, 100, "");
    bench.pass(60);
    assert!(news(&mut bench, &sent).is_empty());
}

#[test]
fn the_only_way_is_waited_for() {
    let mut bench = bench(vec![trunk(
        "only",
        &["*@pbx.example.net"],
        Some("192.0.2.1"),
    )]);
    let (_, sent) = begin(&mut bench);
    bench.pass(30);
    assert!(news(&mut bench, &sent).is_empty());
    bench.pass(4);
    assert_eq!(end_of(&bench.facts()), Some(EndReason::Connectivity));
    assert!(bench.is_empty());
}

#[test]
fn who_is_unavailable_or_unreachable_is_followed_by_the_next() {
    for refuse in [503, 500, 407] {
        let mut bench = two();
        let (first, _) = begin(&mut bench);
        bench.respond(&first, refuse, "");
        let second = bench.requests().pop().unwrap();
        assert_eq!(hop(&second.1), "UDP 192.0.2.2:5070", "{refuse}");
        bench.respond(&second.0, 486, "");
        assert_eq!(end_of(&bench.facts()), Some(EndReason::Busy));
        assert!(bench.is_empty());
    }
    let mut bench = two();
    let (_, transmit) = begin(&mut bench);
    bench.fail(&transmit);
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.2:5070");
}

#[test]
fn who_refuses_the_call_itself_has_the_last_word() {
    for (code, reason) in [
        (486, EndReason::Busy),
        (404, EndReason::NotFound),
        (603, EndReason::Declined),
    ] {
        let mut bench = two();
        let (first, _) = begin(&mut bench);
        bench.respond(&first, code, "");
        assert_eq!(end_of(&bench.facts()), Some(reason));
        assert!(bench.is_empty());
    }
}

#[test]
fn a_name_is_asked_for_before_anything_else_happens() {
    let mut bench = bench(vec![trunk(
        "named",
        &["*@pbx.example.net"],
        Some("pbx.example:5060"),
    )]);
    bench.fact(offer(Some(description("t", Setup::Actpass))));
    assert!(bench.commands().is_empty());
    let query = Query::Addresses("pbx.example".into());
    assert!(bench.actions.contains(&Action::Resolve(query.clone())));
    let found = ["192.0.2.7", "192.0.2.8"].map(|ip| ip.parse().unwrap());
    let answer = Answer::Found(
        Records::Addresses(found.to_vec()),
        std::time::Duration::from_secs(60),
    );
    bench.core.handle_dns(query, answer, bench.now);
    bench.pass(0);
    bench.open_media();
    let (first, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.7:5060");
    bench.respond(&first, 503, "");
    let second = bench.requests().pop().unwrap();
    assert_eq!(hop(&second.1), "UDP 192.0.2.8:5060");
    bench.respond(&second.0, 486, "");
    let _ = bench.facts();
    // The next call begins with the one that works.
    let (_, transmit) = begin(&mut bench);
    assert_eq!(hop(&transmit), "UDP 192.0.2.8:5060");
}

#[test]
fn an_unknown_name_ends_the_call_in_words() {
    let mut bench = bench(vec![trunk(
        "named",
        &["*@pbx.example.net"],
        Some("pbx.example:5060"),
    )]);
    bench.fact(offer(Some(description("t", Setup::Actpass))));
    let query = Query::Addresses("pbx.example".into());
    bench.core.handle_dns(query, Answer::Failed, bench.now);
    bench.pass(0);
    assert_eq!(end_of(&bench.facts()), Some(EndReason::NotFound));
    assert!(bench.is_empty());
}

#[test]
fn a_place_of_the_other_family_gets_other_ports() {
    let to = |name, priority, at| Trunk {
        priority,
        ..trunk(name, &["*@pbx.example.net"], Some(at))
    };
    let mut bench = bench(vec![to("a", 1, "192.0.2.1"), to("b", 2, "[2001:db8::1]")]);
    let (first, _) = begin(&mut bench);
    bench.respond(&first, 503, "");
    let commands = bench.commands();
    let [Command::Release { .. }, Command::Open { anchor, sip }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert!(sip.is_ipv6());
    let anchor = *anchor;
    let _ack = bench.requests();
    bench.media(opened(anchor));
    assert_eq!(hop(&bench.request().1), "UDP [2001:db8::1]:5060");
}
