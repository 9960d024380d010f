use std::time::Duration;

use crate::action::Action;
use crate::core::bench::{Bench, hop};
use crate::core::heard::heard;
use crate::dns::{Answer, Query, Records};
use crate::message::request::tests::message;
use crate::registration::tests::{account, begin};
use crate::sip::frame::PING;
use crate::sip::hop::{ConnectionId, NotSent, Target, Transmit};
use crate::sip::{Flow, Request, Response, Status, Transport};
use crate::trunk::{FlowId, NextHop, Register, Registered, Trunk};

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);
const KEEPS: &str = "path, outbound";

/// A trunk with two flows over TCP, whose name has these addresses.
fn open(addresses: &[&str]) -> Bench {
    let trunk = account();
    let register = trunk.register.clone().unwrap();
    let mut bench = begin(vec![Trunk {
        register: Some(Register {
            flows: 2,
            ..register
        }),
        next_hop: Some(NextHop {
            host: crate::sip::uri::Host::parse("edges.example").unwrap(),
            port: Some(5060),
        }),
        transport: Some(Transport::Tcp),
        ..trunk
    }]);
    let query = Query::Addresses("edges.example".into());
    let found = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    let answer = Answer::Found(Records::Addresses(found), Duration::from_secs(86_400));
    bench.core.handle_dns(query, answer, bench.now);
    bench.pass(0);
    bench
}

/// Grants it on `connection`.
fn grant(
    bench: &mut Bench,
    (request, transmit): &(Request, Transmit),
    connection: ConnectionId,
    require: &str,
) {
    let id = transmit.id.unwrap();
    bench.core.handle_sip_bound(id, connection);
    let contact = request.headers.get("Contact").unwrap();
    let response = Response::to(request, Status::OK)
        .with("Contact", &format!("{contact};expires=3600"))
        .with(
            "Service-Route",
            &format!("<sip:edge{}.example;lr>", connection.0),
        )
        .with("Require", require);
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet("192.0.2.1:5060", &bytes);
}

/// Two flows that are up.
fn both() -> Bench {
    let mut bench = open(&["192.0.2.1", "192.0.2.2"]);
    let first = bench.request();
    grant(&mut bench, &first, FIRST, KEEPS);
    let second = bench.request();
    grant(&mut bench, &second, SECOND, KEEPS);
    assert!(bench.requests().is_empty());
    bench
}

fn flow(bench: &Bench, number: u8) -> Registered {
    let (trunk, _) = bench.core.trunks().iter().next().unwrap();
    let flow = bench.core.states().flow(FlowId { trunk, number });
    flow.map_or(Registered::No, |flow| flow.registered.clone())
}

fn is_up(bench: &Bench, number: u8) -> bool {
    matches!(flow(bench, number), Registered::Until { .. })
}

fn reg_id(request: &Request) -> String {
    let contact = request.headers.get("Contact").unwrap();
    let rest = contact.split("reg-id=").nth(1).unwrap();
    rest.split(';').next().unwrap().to_owned()
}

/// Whether a message that comes from `peer` by our Contact goes to the user.
fn lets_in(bench: &mut Bench, peer: &str) -> bool {
    let (_, trunk) = bench.core.trunks().iter().next().unwrap();
    let text = format!(
        "MESSAGE sip:{}@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK{peer}\r\nMax-Forwards: 70\r\n\
         From: <sip:+15559@192.0.2.1>;tag=x\r\nTo: <sip:+15550001@192.0.2.1>\r\nCall-ID: {peer}\r\n\
         CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        trunk.line
    );
    bench.packet(&format!("{peer}:5060"), text.as_bytes());
    bench.messages().len() == 1
}

/// Where a message of a user goes, and through whom.
fn goes(bench: &mut Bench, number: u32) -> (String, String) {
    let mut message = message(
        ("juliet", "example.com"),
        ("+15559", "sip.example.com"),
        "hello",
    );
    message.ordinal.number = number;
    message.id.0 = format!("m{number}");
    bench.send(message);
    let (request, transmit) = bench.request();
    bench.answer(&request, 200, None);
    let route = request.headers.get("Route").unwrap_or_default();
    (hop(&transmit), route.to_owned())
}

/// The other end of `connection` gives the sign of life that it owes, if it owes one.
fn pong(bench: &mut Bench, connection: ConnectionId) {
    let flow = Flow::Stream {
        connection,
        transport: Transport::Tcp,
        peer: "192.0.2.1:5060".parse().unwrap(),
    };
    bench.core.handle_sip_pong(flow, bench.now);
}

/// The request that is sent, within so many seconds, and after how many.
fn wait(bench: &mut Bench, seconds: u64) -> (u64, (Request, Transmit)) {
    for passed in 1..=seconds {
        bench.pass(1);
        for connection in 1..=3 {
            pong(bench, ConnectionId(connection));
        }
        if let Some(found) = bench.requests().pop() {
            return (passed, found);
        }
    }
    panic!("nothing was sent");
}

#[test]
fn the_second_flow_follows_to_another_server() {
    let mut bench = open(&["192.0.2.1", "192.0.2.2"]);
    let first = bench.request();
    assert_eq!(
        (reg_id(&first.0), hop(&first.1)),
        ("1".into(), "TCP 192.0.2.1:5060".into())
    );
    assert!(!is_up(&bench, 1) && !lets_in(&mut bench, "192.0.2.1"));
    grant(&mut bench, &first, FIRST, KEEPS);
    let second = bench.request();
    assert_eq!(
        (reg_id(&second.0), hop(&second.1)),
        ("2".into(), "TCP 192.0.2.2:5060".into())
    );
    let instance = |request: &Request| {
        let contact = request.headers.get("Contact").unwrap();
        contact.split(";reg-id").next().unwrap().to_owned()
    };
    assert_eq!(instance(&first.0), instance(&second.0));
    grant(&mut bench, &second, SECOND, KEEPS);
    assert!(is_up(&bench, 1) && is_up(&bench, 2));
    assert!(lets_in(&mut bench, "192.0.2.1") && lets_in(&mut bench, "192.0.2.2"));
    assert!(!lets_in(&mut bench, "192.0.2.3"));
    let text = bench.core.ask(&crate::admin::Ask::Trunks, bench.now).text;
    assert!(
        text.contains("flow 1 registered") && text.contains("flow 2 registered"),
        "{text}"
    );
}

#[test]
fn without_a_registrar_that_keeps_flows_there_is_one() {
    let mut bench = open(&["192.0.2.1", "192.0.2.2"]);
    let first = bench.request();
    let said = heard(|| grant(&mut bench, &first, FIRST, "path"));
    let warned = |said: &[String]| {
        let mut said = said.iter();
        said.any(|line| line.starts_with("WARN") && line.contains("flows = 1 says so"))
    };
    assert!(warned(&said), "{said:?}");
    assert!(is_up(&bench, 1) && bench.requests().is_empty());
    let shown = |bench: &mut Bench| bench.core.ask(&crate::admin::Ask::Trunks, bench.now).text;
    let text = shown(&mut bench);
    assert!(
        text.contains(", 1 of 2 flows, as the registrar keeps none (RFC 5626), 0 calls"),
        "{text}"
    );
    bench.pass(1000);
    assert!(bench.requests().is_empty());
    // That is said once.
    let (_, again) = wait(&mut bench, 3600);
    let said = heard(|| grant(&mut bench, &again, FIRST, "path"));
    assert!(!warned(&said), "{said:?}");
    // It learnt to, and forgets it again.
    let (_, again) = wait(&mut bench, 3600);
    grant(&mut bench, &again, FIRST, KEEPS);
    let second = bench.request();
    grant(&mut bench, &second, SECOND, KEEPS);
    assert!(is_up(&bench, 2));
    let text = shown(&mut bench);
    assert!(!text.contains("keeps none"), "{text}");
    let (_, again) = wait(&mut bench, 3600);
    grant(&mut bench, &again, FIRST, "path");
    assert!(is_up(&bench, reg_id(&again.0).parse().unwrap()));
}

#[test]
fn a_flow_that_dies_leaves_the_other_and_is_made_again_in_its_time() {
    let mut bench = both();
    assert_eq!(
        goes(&mut bench, 1),
        ("TCP 192.0.2.1:5060".into(), "<sip:edge1.example;lr>".into())
    );
    bench
        .core
        .handle_sip_closed(FIRST, NotSent::Closed, &[], bench.now);
    bench.pass(0);
    assert!(!is_up(&bench, 1) && is_up(&bench, 2));
    // What goes out takes the flow that is alive, though its server comes second.
    assert_eq!(
        goes(&mut bench, 2),
        ("TCP 192.0.2.2:5060".into(), "<sip:edge2.example;lr>".into())
    );
    // At once, and then after the pauses for a flow beside one that is alive: 90 s, twice as long each
    // time, of which at least half; the server of the other flow is never asked for it.
    let (_, (request, transmit)) = wait(&mut bench, 2);
    assert_eq!(
        (reg_id(&request), hop(&transmit)),
        ("1".into(), "TCP 192.0.2.1:5060".into())
    );
    bench.fail(&transmit);
    for most in [90, 180, 360] {
        let Registered::Failed { why } = flow(&bench, 1) else {
            panic!("{:?}", flow(&bench, 1));
        };
        assert!(why.contains("cannot be reached"), "{why}");
        assert!(is_up(&bench, 2));
        let (passed, (request, transmit)) = wait(&mut bench, most + 1);
        assert!(
            (most / 2..=most + 1).contains(&passed),
            "{passed} of {most}"
        );
        assert_eq!(
            (reg_id(&request), hop(&transmit)),
            ("1".into(), "TCP 192.0.2.1:5060".into())
        );
        if most < 360 {
            bench.fail(&transmit);
        } else {
            grant(&mut bench, &(request, transmit), ConnectionId(3), KEEPS);
        }
    }
    assert!(is_up(&bench, 1) && is_up(&bench, 2));
    assert_eq!(goes(&mut bench, 3).0, "TCP 192.0.2.1:5060");
}

#[test]
fn when_all_flows_are_dead_each_is_tried_sooner() {
    let mut bench = both();
    for connection in [FIRST, SECOND] {
        bench
            .core
            .handle_sip_closed(connection, NotSent::Closed, &[], bench.now);
    }
    bench.pass(2);
    for (_, transmit) in bench.requests() {
        bench.fail(&transmit);
    }
    // Whichever comes first takes what there is.
    for (_, transmit) in bench.requests() {
        bench.fail(&transmit);
    }
    assert!(!is_up(&bench, 1) && !is_up(&bench, 2));
    let (passed, _) = wait(&mut bench, 31);
    assert!(passed >= 14, "{passed}");
}

#[test]
fn every_flow_is_kept_alive_and_taken_back() {
    let mut bench = both();
    let mut pinged = Vec::new();
    for _ in 0..120 {
        bench.pass(1);
        let actions: Vec<Action> = bench.actions.drain(..).collect();
        for action in actions {
            if let Action::Transmit(transmit) = action
                && transmit.bytes == PING
                && let Target::Flow {
                    flow: Flow::Stream { connection, .. },
                    ..
                } = transmit.target
            {
                pinged.push(connection);
                pong(&mut bench, connection);
            }
        }
    }
    pinged.sort_by_key(|connection| connection.0);
    assert_eq!(pinged, [FIRST, SECOND]);
    assert!(is_up(&bench, 1) && is_up(&bench, 2));
    let now = bench.now;
    bench.core.close(now);
    bench.pass(0);
    let mut last: Vec<(String, String)> = bench
        .requests()
        .iter()
        .map(|(request, transmit)| {
            assert_eq!(request.headers.get("Expires"), Some("0"));
            (reg_id(request), hop(transmit))
        })
        .collect();
    last.sort();
    let expected = [("1", "TCP 192.0.2.1:5060"), ("2", "TCP 192.0.2.2:5060")];
    assert_eq!(
        last,
        expected.map(|(id, hop)| (id.to_owned(), hop.to_owned()))
    );
}

#[test]
fn where_there_is_one_server_there_is_one_flow() {
    let mut bench = open(&["192.0.2.1"]);
    let first = bench.request();
    grant(&mut bench, &first, FIRST, KEEPS);
    assert!(bench.requests().is_empty());
    let Registered::Failed { why } = flow(&bench, 2) else {
        panic!("{:?}", flow(&bench, 2));
    };
    assert!(why.contains("no further server"), "{why}");
    assert!(is_up(&bench, 1));
}
