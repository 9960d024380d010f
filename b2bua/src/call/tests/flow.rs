//! Where a called party finds us on a trunk we are registered at (RFC 5626 §4.3).

use super::*;
use crate::sip::NameAddr;
use crate::sip::header::Name;
use crate::trunk::tests::trunk;
use crate::trunk::{Register, Trunk};

/// The Contact of an INVITE, once the registrar granted with `Require` and saw us at `rport`.
fn contact(require: &str, rport: &str) -> String {
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
        let response = response.with("Require", require).with("Contact", &contact);
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        bench.packet(PEER, &bytes);
    }
    bench.fact(offer(Some(description("t", Setup::Actpass))));
    bench.open_media();
    let (invite, _) = bench.request();
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
