use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::core::bench::Bench;
use crate::settings::tests::settings;
use crate::sip::frame::PING;
use crate::sip::hop::{ConnectionId, Flow, NotSent, Target, Transmit};
use crate::sip::stun::{self, Stun, TransactionId};
use crate::sip::{Request, Response, Status, Transport};
use crate::trunk::tests::trunk;
use crate::trunk::{Register, Registered, Trunk, Trunks};

const REGISTRAR: &str = "192.0.2.1:5060";
const STREAM: ConnectionId = ConnectionId(7);

/// A core with one trunk that registers over `transport`; who is told of `nat_keepalive`.
fn begin(transport: Transport) -> Bench {
    let provider = Trunk {
        register: Some(Register {
            user: "4711".into(),
            expires: 3600,
            outbound: true,
            flows: 1,
        }),
        transport: Some(transport),
        nat_keepalive: Some(Duration::from_secs(25)),
        inbound: Vec::new(),
        ..trunk("provider", &["+*"], Some("192.0.2.1"))
    };
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![provider]));
    let gate = settings.trunks.gate();
    settings.endpoint.admission =
        crate::sip::endpoint::Admission::new(move |source| gate.admits(source));
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(0);
    bench
}

/// The registrar grants what is asked for, on [`STREAM`] if it is one, with these fields.
fn grant(bench: &mut Bench, fields: &[(&str, &str)]) {
    let (request, transmit) = bench.request();
    if transmit.target.transport() != Transport::Udp {
        bench.core.handle_sip_bound(transmit.id.unwrap(), STREAM);
    }
    answer(bench, &request, fields);
    assert!(is_registered(bench));
}

fn answer(bench: &mut Bench, request: &Request, fields: &[(&str, &str)]) {
    let contact = request.headers.get("Contact").unwrap();
    let mut response =
        Response::to(request, Status::OK).with("Contact", &format!("{contact};expires=3600"));
    for (name, value) in fields {
        response = response.with(*name, value);
    }
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet(REGISTRAR, &bytes);
}

const OUTBOUND: (&str, &str) = ("Require", "outbound");

fn is_registered(bench: &Bench) -> bool {
    let (id, _) = bench.core.trunks().iter().next().unwrap();
    let state = bench.core.states().get(id).unwrap();
    matches!(state.registered(), Registered::Until { .. })
}

/// Lets pass up to `seconds`, until something else than SIP is sent, and returns it with its time.
fn wait_sign(bench: &mut Bench, seconds: u64) -> Option<(Transmit, Duration)> {
    let begun: Instant = bench.now.instant;
    for _ in 0..=seconds * 10 {
        let sign = |action: &mut Action| {
            matches!(action, Action::Transmit(transmit)
                if transmit.bytes == PING || stun::is_stun(&transmit.bytes))
        };
        let found = bench.actions.extract_if(.., sign).next();
        if let Some(Action::Transmit(transmit)) = found {
            return Some((transmit, bench.now.instant - begun));
        }
        tick(bench);
    }
    None
}

/// A tenth of a second.
fn tick(bench: &mut Bench) {
    let step = Duration::from_millis(100);
    bench.now.instant += step;
    bench.now.wall += step;
    let now = bench.now;
    bench.core.handle_timeout(now);
    bench.pass(0);
}

fn closed(bench: &Bench) -> bool {
    bench.actions.contains(&Action::Close(STREAM))
}

fn pong(bench: &mut Bench) {
    let flow = Flow::Stream {
        connection: STREAM,
        transport: Transport::Tcp,
        peer: REGISTRAR.parse().unwrap(),
    };
    let now = bench.now;
    bench.core.handle_sip_pong(flow, now);
}

fn asked(transmit: &Transmit) -> TransactionId {
    match stun::read(&transmit.bytes) {
        Some(Stun::Request(id)) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_is_pinged_and_its_pong_expected() {
    let mut bench = begin(Transport::Tcp);
    grant(&mut bench, &[OUTBOUND]);
    for _ in 0..20 {
        let (ping, after) = wait_sign(&mut bench, 125).unwrap();
        assert!((95..=121).contains(&after.as_secs()), "{after:?}");
        assert_eq!(ping.bytes, PING);
        let Target::Flow {
            flow: Flow::Stream { connection, .. },
            fallback: None,
        } = ping.target
        else {
            panic!("{ping:?}");
        };
        assert_eq!(connection, STREAM);
        pong(&mut bench);
        let _ = bench.requests();
    }
    assert!(!closed(&bench) && is_registered(&bench));
}

#[test]
fn without_a_pong_the_stream_is_closed_and_the_account_registers_again() {
    let mut bench = begin(Transport::Tcp);
    grant(&mut bench, &[OUTBOUND, ("Flow-Timer", "60")]);
    let (_, after) = wait_sign(&mut bench, 125).unwrap();
    assert!((48..=60).contains(&after.as_secs()), "{after:?}");
    bench.pass(9);
    assert!(!closed(&bench) && is_registered(&bench));
    bench.pass(2);
    assert!(closed(&bench));
    let (request, transmit) = bench.request();
    assert_eq!(request.method.as_str(), "REGISTER");
    assert_eq!(transmit.target.transport(), Transport::Tcp);
    let now = bench.now;
    bench
        .core
        .handle_sip_bound(transmit.id.unwrap(), ConnectionId(8));
    bench
        .core
        .handle_sip_closed(STREAM, NotSent::Closed, &[], now);
    answer(&mut bench, &request, &[OUTBOUND]);
    assert!(is_registered(&bench));
    // What is late for the old flow means nothing for the new one.
    pong(&mut bench);
    assert!(wait_sign(&mut bench, 121).is_some());
}

#[test]
fn a_registrar_that_keeps_no_flow_owes_no_pong() {
    let mut bench = begin(Transport::Tcp);
    grant(&mut bench, &[("Flow-Timer", "10")]);
    for _ in 0..3 {
        let (_, after) = wait_sign(&mut bench, 125).unwrap();
        assert!((95..=121).contains(&after.as_secs()), "{after:?}");
    }
    assert!(!closed(&bench) && is_registered(&bench));
}

#[test]
fn a_refresh_that_is_lost_with_its_stream_is_sent_again_at_once() {
    let mut bench = begin(Transport::Tcp);
    grant(&mut bench, &[OUTBOUND]);
    let mut refresh = Vec::new();
    while refresh.is_empty() {
        bench.pass(10);
        pong(&mut bench);
        refresh = bench.requests();
    }
    let (_, transmit) = refresh.remove(0);
    let now = bench.now;
    bench.core.handle_sip_bound(transmit.id.unwrap(), STREAM);
    bench
        .core
        .handle_sip_closed(STREAM, NotSent::Closed, &[], now);
    bench.pass(1);
    assert_eq!(bench.requests().len(), 1);
}

#[test]
fn over_udp_the_registrar_is_asked_by_stun() {
    let mut bench = begin(Transport::Udp);
    grant(&mut bench, &[OUTBOUND]);
    for _ in 0..10 {
        let (asking, after) = wait_sign(&mut bench, 40).unwrap();
        assert!((23..=29).contains(&after.as_secs()), "{after:?}");
        let id = asked(&asking);
        // An answer from elsewhere, or to something else, is none.
        let seen = "203.0.113.5:5060".parse().unwrap();
        bench.packet("192.0.2.9:5060", &stun::answer(id, seen));
        let other = asked(&asking_of(&mut bench));
        assert_eq!(id, other);
        bench.packet(REGISTRAR, &stun::answer(id, seen));
        bench.actions.clear();
    }
    assert!(is_registered(&bench));
}

/// The repeat of what is asked.
fn asking_of(bench: &mut Bench) -> Transmit {
    wait_sign(bench, 1).unwrap().0
}

#[test]
fn another_address_means_that_the_flow_is_dead() {
    let mut bench = begin(Transport::Udp);
    grant(&mut bench, &[OUTBOUND, ("Flow-Timer", "10")]);
    let seen = ["203.0.113.5:5060", "203.0.113.5:5061"];
    let (asking, _) = wait_sign(&mut bench, 10).unwrap();
    bench.packet(
        REGISTRAR,
        &stun::answer(asked(&asking), seen[0].parse().unwrap()),
    );
    assert!(is_registered(&bench));
    let (asking, after) = wait_sign(&mut bench, 10).unwrap();
    assert!((7..=10).contains(&after.as_secs()), "{after:?}");
    bench.packet(
        REGISTRAR,
        &stun::answer(asked(&asking), seen[1].parse().unwrap()),
    );
    assert!(!is_registered(&bench));
    bench.pass(1);
    grant(&mut bench, &[OUTBOUND]);
    // From now on it is the new one that must not change.
    let (asking, _) = wait_sign(&mut bench, 30).unwrap();
    bench.packet(
        REGISTRAR,
        &stun::answer(asked(&asking), seen[1].parse().unwrap()),
    );
    assert!(is_registered(&bench));
}

#[test]
fn a_flow_that_answered_and_falls_silent_is_dead() {
    let mut bench = begin(Transport::Udp);
    grant(&mut bench, &[OUTBOUND]);
    let (asking, _) = wait_sign(&mut bench, 30).unwrap();
    let seen = "203.0.113.5:5060".parse().unwrap();
    bench.packet(REGISTRAR, &stun::answer(asked(&asking), seen));
    let (_, _) = wait_sign(&mut bench, 30).unwrap();
    let mut repeats = 0;
    while let Some((repeat, _)) = wait_sign(&mut bench, 20) {
        assert!(stun::is_stun(&repeat.bytes));
        repeats += 1;
    }
    assert_eq!(repeats, 6);
    assert!(!is_registered(&bench));
    // It is still asked by STUN when it is back.
    grant(&mut bench, &[OUTBOUND]);
    let (asking, _) = wait_sign(&mut bench, 30).unwrap();
    assert!(stun::is_stun(&asking.bytes));
}

#[test]
fn who_keeps_flows_and_knows_no_stun_gets_bare_datagrams() {
    let mut bench = begin(Transport::Udp);
    grant(&mut bench, &[OUTBOUND]);
    while is_registered(&bench) {
        tick(&mut bench);
    }
    bench.actions.clear();
    bench.pass(1);
    grant(&mut bench, &[OUTBOUND]);
    for _ in 0..3 {
        let (sign, after) = wait_sign(&mut bench, 30).unwrap();
        assert_eq!(sign.bytes, PING);
        assert!((24..=25).contains(&after.as_secs()), "{after:?}");
    }
    assert!(is_registered(&bench));
    // It was away: whoever is there now may know it.
    let mut refresh = Vec::new();
    while refresh.is_empty() {
        bench.pass(10);
        refresh = bench.requests();
    }
    bench.answer(&refresh[0].0, 500, None);
    assert!(!is_registered(&bench));
    bench.actions.clear();
    bench.pass(31);
    grant(&mut bench, &[OUTBOUND]);
    let (sign, _) = wait_sign(&mut bench, 30).unwrap();
    assert!(stun::is_stun(&sign.bytes));
}

#[test]
fn over_udp_without_flows_a_datagram_keeps_the_way_open() {
    let mut bench = begin(Transport::Udp);
    grant(&mut bench, &[]);
    for _ in 0..3 {
        let (sign, after) = wait_sign(&mut bench, 30).unwrap();
        assert_eq!(sign.bytes, PING);
        assert!((24..=25).contains(&after.as_secs()), "{after:?}");
        assert_eq!(sign.id, None);
    }
    // Whoever ends says nothing more.
    let now = bench.now;
    bench.core.close(now);
    assert!(wait_sign(&mut bench, 60).is_none());
}

#[test]
fn only_who_is_let_in_is_told_how_we_see_it() {
    let mut bench = begin(Transport::Udp);
    let id = TransactionId::mint(&mut tandem_shared::mint::Mint::new([3; 16]));
    bench.actions.clear();
    bench.packet(REGISTRAR, &stun::request(id));
    assert!(bench.actions.is_empty());
    bench.pass(4);
    grant(&mut bench, &[]);
    bench.packet(REGISTRAR, &stun::request(id));
    let (answer, _) = wait_sign(&mut bench, 0).unwrap();
    let seen = REGISTRAR.parse().unwrap();
    assert_eq!(
        stun::read(&answer.bytes),
        Some(Stun::Success(id, Some(seen)))
    );
    // An answer to nothing.
    bench.packet(REGISTRAR, &stun::answer(id, seen));
    assert!(wait_sign(&mut bench, 0).is_none() && is_registered(&bench));
}

/// A registrar that closes the stream behind each response, and would be registered at for ever.
#[test]
fn a_stream_that_is_closed_behind_each_response_makes_no_loop() {
    for (fields, registers) in [(&[][..], 8), (&[OUTBOUND][..], 8)] {
        let mut bench = begin(Transport::Tcp);
        let mut asked = 0;
        for _ in 0..3600 {
            if let Some((request, transmit)) = bench.requests().pop() {
                asked += 1;
                bench.core.handle_sip_bound(transmit.id.unwrap(), STREAM);
                answer(&mut bench, &request, fields);
                let now = bench.now;
                bench
                    .core
                    .handle_sip_closed(STREAM, NotSent::Closed, &[], now);
            }
            bench.pass(1);
        }
        // It is found at its Contact; one that was to keep the flow is not reached without.
        assert!((2..=registers + 2).contains(&asked), "{asked} in an hour");
        if fields.is_empty() {
            assert!(is_registered(&bench));
        }
    }
}
