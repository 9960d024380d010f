//! Where a called party finds us on a trunk we are registered at (RFC 5626 §4.3).

use super::*;
use crate::sip::NameAddr;
use crate::sip::header::Name;
use crate::trunk::tests::trunk;
use crate::trunk::{Register, Trunk};

/// A core whose registrar has granted with these headers, and saw us at `rport`.
fn registered(granted: &[(&str, &str)], rport: &str) -> Bench {
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![Trunk {
        register: Some(Register {
            user: "4711".into(),
            expires: 3600,
            outbound: true,
            flows: 1,
        }),
        ..trunk("pbx", &["*@pbx.example.net"], Some("192.0.2.2:5070"))
    }]));
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(0);
    // The second one, if there is one, says where we were seen.
    while let Some((request, _)) = bench.requests().pop() {
        let via = request.headers.get(Name::Via).unwrap();
        let via = via.replace(";rport", &format!(";received=198.51.100.1;rport={rport}"));
        let contact = request.headers.get(Name::Contact).unwrap().to_owned();
        let mut response = Response::to(&request, Status::OK);
        response.headers.set(Name::Via, &via);
        let mut response = response.with("Contact", &contact);
        for (name, value) in granted {
            response = response.with(*name, value);
        }
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        bench.packet(PEER, &bytes);
    }
    bench
}

/// The INVITE of a call to the phone.
fn invite(bench: &mut Bench) -> Request {
    bench.fact(offer(Some(description("t", Setup::Actpass))));
    bench.open_media();
    bench.request().0
}

/// The Contact of an INVITE, once the registrar granted with `Require` and saw us at `rport`.
fn contact(require: &str, rport: &str) -> String {
    let mut bench = registered(&[("Require", require)], rport);
    let invite = invite(&mut bench);
    let contact = NameAddr::parse(invite.headers.get(Name::Contact).unwrap()).unwrap();
    contact.uri.to_string()
}

#[test]
fn a_flow_that_is_kept_is_named_in_the_contact() {
    assert_eq!(
        contact("outbound", "5060"),
        "sip:tandem@198.51.100.1:5060;ob"
    );
    assert_eq!(contact("path", "5060"), "sip:tandem@198.51.100.1:5060");
}

#[test]
fn where_the_registrar_sees_us_calls_find_us() {
    assert_eq!(contact("path", "40000"), "sip:tandem@198.51.100.1:40000");
    assert_eq!(
        contact("outbound", "40000"),
        "sip:tandem@198.51.100.1:40000;ob"
    );
}

/// RFC 3608 §6.1: through whom calls go, and no longer than the registration lasts.
#[test]
fn calls_go_by_the_service_route_while_the_registration_lasts() {
    let route = "<sip:edge.example.net;lr>, <sip:core.example.net;lr>";
    let routes = |invite: &Request| -> Vec<String> {
        let values = invite.headers.values(Name::Route);
        values.map(str::to_owned).collect()
    };
    for lost in [false, true] {
        let mut bench = registered(&[("Service-Route", route)], "5060");
        if lost {
            bench.pass(1799);
            let refresh = (0..1800).find_map(|_| {
                bench.pass(1);
                bench.requests().pop()
            });
            let (refresh, _) = refresh.unwrap();
            bench.respond(&refresh, 403, "");
        }
        let invite = invite(&mut bench);
        assert_eq!(routes(&invite).join(", "), if lost { "" } else { route });
    }
}
