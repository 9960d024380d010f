use crate::core::bench::Bench;
use crate::registration::tests::{account, begin, state, wait_request};
use crate::sip::header::Name;
use crate::sip::{Request, Response, Status};
use crate::trunk::{Register, Registered, Trunk};

/// Grants `request`, seen from `seen` (`received=…;rport=…`).
fn grant(bench: &mut Bench, request: &Request, seen: &str, require: &str) {
    let contact = request.headers.values(Name::Contact).next().unwrap();
    let mut response = Response::to(request, Status::OK)
        .with("Contact", &format!("{contact};expires=3600"))
        .with("Require", require);
    let via = request.headers.get(Name::Via).unwrap();
    let via = via.replace(";rport", &format!(";{seen}"));
    response.headers.set(Name::Via, &via);
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet("192.0.2.1:5060", &bytes);
}

fn plain() -> Trunk {
    Trunk {
        register: Some(Register {
            user: "4711".into(),
            expires: 3600,
            outbound: false,
            flows: 1,
        }),
        ..account()
    }
}

/// Hosts of the Contacts, with a sign behind those to be forgotten.
fn contacts(request: &Request) -> Vec<String> {
    let contacts = request.headers.values(Name::Contact);
    let place = |text: &str| {
        let host = text.split(['@', '>', ';']).nth(1).unwrap_or_default();
        let over = if text.contains("expires=0") { " -" } else { "" };
        format!("{host}{over}")
    };
    contacts.map(place).collect()
}

const OWN: &str = "198.51.100.1:5060";
const SEEN: &str = "received=203.0.113.5;rport=40000";

#[test]
fn who_sees_us_behind_a_nat_is_told_that_address_once() {
    let mut bench = begin(vec![plain()]);
    let (first, _) = bench.request();
    assert_eq!(contacts(&first), [OWN]);
    grant(&mut bench, &first, SEEN, "path");
    let (second, _) = bench.request();
    assert_eq!(
        contacts(&second),
        ["203.0.113.5:40000", "198.51.100.1:5060 -"]
    );
    assert!(matches!(state(&bench), Registered::Until { .. }));
    grant(&mut bench, &second, SEEN, "path");
    assert!(bench.requests().is_empty());
    // A NAT that forgot, much later: the same again.
    let third = wait_request(&mut bench, 3600);
    assert_eq!(contacts(&third), ["203.0.113.5:40000"]);
    let other = "received=203.0.113.5;rport=40001";
    grant(&mut bench, &third, other, "path");
    let (fourth, _) = bench.request();
    assert_eq!(
        contacts(&fourth),
        ["203.0.113.5:40001", "203.0.113.5:40000 -"]
    );
}

#[test]
fn a_nat_that_shows_us_elsewhere_each_time_makes_no_loop() {
    let mut bench = begin(vec![plain()]);
    let (mut request, _) = bench.request();
    for port in 40_000..40_002 {
        let seen = format!("received=203.0.113.5;rport={port}");
        grant(&mut bench, &request, &seen, "path");
        if port == 40_000 {
            request = bench.request().0;
        }
    }
    assert!(bench.requests().is_empty());
    let refresh = wait_request(&mut bench, 3600);
    grant(
        &mut bench,
        &refresh,
        "received=203.0.113.5;rport=40009",
        "path",
    );
    assert!(bench.requests().is_empty());
}

#[test]
fn a_registrar_that_keeps_flows_forgets_the_former_contact_by_itself() {
    let mut bench = begin(vec![account()]);
    let (first, _) = bench.request();
    grant(&mut bench, &first, SEEN, "outbound");
    let (second, _) = bench.request();
    assert_eq!(contacts(&second), ["203.0.113.5:40000"]);
}

#[test]
fn a_registrar_that_takes_one_contact_gets_one() {
    let mut bench = begin(vec![plain()]);
    let (first, _) = bench.request();
    grant(&mut bench, &first, SEEN, "path");
    let (second, _) = bench.request();
    assert_eq!(contacts(&second).len(), 2);
    bench.answer(&second, 400, None);
    let (third, _) = bench.request();
    assert_eq!(contacts(&third), ["203.0.113.5:40000"]);
    bench.answer(&third, 400, None);
    assert!(matches!(state(&bench), Registered::Failed { .. }));
}

#[test]
fn what_cannot_be_our_address_is_not_believed() {
    for seen in [
        "received=0.0.0.0;rport=40000",
        "received=224.0.0.1;rport=40000",
        "received=203.0.113.5;rport=0",
        "received=[2001:db8::1];rport=40000",
        "received=nonsense",
        "rport",
    ] {
        let mut bench = begin(vec![plain()]);
        let (first, _) = bench.request();
        grant(&mut bench, &first, seen, "path");
        assert!(bench.requests().is_empty(), "{seen}");
    }
}
