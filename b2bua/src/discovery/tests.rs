use crate::action::Action;
use crate::core::bench::Bench;
use crate::dns::{Answer, Query, Records};
use crate::settings::tests::settings;
use crate::sip::hop::{Target, Transmit};
use crate::sip::stun::{self, Stun, TransactionId};
use crate::sip::uri::Host;
use crate::sip::{Request, Transport};
use crate::trunk::tests::trunk;
use crate::trunk::{NextHop, Register, Trunk, Trunks};
use std::sync::Arc;
use std::time::Duration;

const SERVER: &str = "192.0.2.99:3478";

/// A core that asks `host`.
fn begin(host: &str) -> Bench {
    let mut settings = settings();
    settings.nat.stun = Some(NextHop {
        host: Host::parse(host).unwrap(),
        port: None,
    });
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(0);
    bench
}

/// The questions asked since the last look, and where they went.
fn asked(bench: &mut Bench) -> Vec<(TransactionId, Target)> {
    let mut found = Vec::new();
    bench.actions.retain(|action| {
        if let Action::Transmit(Transmit { bytes, target, .. }) = action
            && let Some(Stun::Request(id)) = stun::read(bytes)
        {
            found.push((id, target.clone()));
            return false;
        }
        true
    });
    found
}

/// The Via of what a message brings.
fn via(bench: &mut Bench) -> String {
    let mut message = crate::message::request::tests::message(
        ("juliet", "example.com"),
        ("+15559", "sip.example.com"),
        "hello",
    );
    message.ordinal.number = 1;
    bench.send(message);
    let (request, _) = bench.request();
    let via = request.top_via().unwrap();
    via.sent_by.to_string()
}

#[test]
fn what_a_stun_server_says_stands_in_via() {
    let mut bench = begin("stun.example.org");
    assert!(asked(&mut bench).is_empty());
    let query = Query::Addresses("stun.example.org".into());
    assert!(bench.actions.contains(&Action::Resolve(query.clone())));
    let found = ["2001:db8::9", "192.0.2.99"].map(|ip| ip.parse().unwrap());
    let found = Answer::Found(Records::Addresses(found.to_vec()), Duration::from_secs(60));
    let now = bench.now;
    bench.core.handle_dns(query, found, now);
    bench.pass(0);
    let mut questions = asked(&mut bench);
    let (id, Target::Hop(hop)) = questions.remove(0) else {
        panic!();
    };
    assert_eq!(
        (hop.host.to_string().as_str(), hop.port),
        ("192.0.2.99", 3478)
    );
    let seen = "203.0.113.5:40000".parse().unwrap();
    // Whoever guesses, or answers from elsewhere, is not believed.
    bench.packet("192.0.2.98:3478", &stun::answer(id, seen));
    let other = TransactionId::mint(&mut tandem_shared::mint::Mint::new([9; 16]));
    bench.packet(SERVER, &stun::answer(other, seen));
    assert!(bench.core.discovery().is_none());
    bench.packet(SERVER, &stun::answer(id, seen));
    assert_eq!(bench.core.discovery(), Some(seen));
    assert_eq!(via(&mut bench), "203.0.113.5:40000");
}

#[test]
fn it_is_asked_every_minute_and_repeats_itself_when_nothing_comes() {
    let mut bench = begin("192.0.2.99");
    let (id, _) = asked(&mut bench).remove(0);
    let seen = "203.0.113.5:40000".parse().unwrap();
    bench.packet(SERVER, &stun::answer(id, seen));
    bench.pass(59);
    assert!(asked(&mut bench).is_empty());
    bench.pass(1);
    // Seven times within 39.5 s, then again a minute later; what was known holds on.
    bench.pass(39);
    let repeats = asked(&mut bench);
    assert_eq!(repeats.len(), 7);
    assert!(
        repeats
            .iter()
            .all(|(other, _)| *other == repeats[0].0 && *other != id)
    );
    bench.pass(60);
    assert!(asked(&mut bench).is_empty());
    bench.pass(1);
    assert!(!asked(&mut bench).is_empty());
    assert_eq!(bench.core.discovery(), Some(seen));
}

#[test]
fn nobody_is_asked_by_default() {
    let mut bench = Bench::new();
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(200);
    assert!(asked(&mut bench).is_empty());
    assert_eq!(via(&mut bench), "198.51.100.1:5060");
}

#[test]
fn who_was_told_another_address_is_told_the_new_one() {
    let account = |name: &str, transport, next_hop| Trunk {
        register: Some(Register {
            user: "4711".into(),
            expires: 3600,
            outbound: false,
            flows: 1,
        }),
        transport: Some(transport),
        ..trunk(name, &["+*"], Some(next_hop))
    };
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![
        account("udp", Transport::Udp, "192.0.2.1"),
        account("tcp", Transport::Tcp, "192.0.2.2"),
    ]));
    settings.nat.stun = Some(NextHop {
        host: Host::parse("192.0.2.99").unwrap(),
        port: None,
    });
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(1);
    for (register, _) in bench.requests() {
        let contact = register.headers.get("Contact").unwrap().to_owned();
        bench.answer(&register, 200, Some(("Contact", &contact)));
    }
    let tell = |bench: &mut Bench, seen: &str| {
        let (id, _) = asked(bench).remove(0);
        bench.packet(SERVER, &stun::answer(id, seen.parse().unwrap()));
        bench.pass(5);
        let told = bench.requests();
        let contact = |request: &Request| request.headers.get("Contact").unwrap().to_owned();
        let mut contacts = Vec::new();
        for (request, _) in &told {
            contacts.push(contact(request));
            bench.answer(request, 200, Some(("Contact", &contact(request))));
        }
        bench.pass(55);
        contacts
    };
    let told = tell(&mut bench, "203.0.113.5:40000");
    assert!(
        told.len() == 1 && told[0].contains("@203.0.113.5:40000>"),
        "{told:?}"
    );
    assert!(tell(&mut bench, "203.0.113.5:40000").is_empty());
    let told = tell(&mut bench, "203.0.113.6:40000");
    assert!(
        told.len() == 1 && told[0].contains("@203.0.113.6:40000>"),
        "{told:?}"
    );
}
