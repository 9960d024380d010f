//! A registration moves while a call goes on that began where it was.

use std::time::Duration;

use super::*;
use crate::dns::{Answer, Query, Records};
use crate::sip::endpoint::Admission;
use crate::trunk::Register;
use crate::trunk::tests::trunk;

const OLD: &str = "9.0.0.1:5060";
const NEW: &str = "9.0.0.2:5060";

/// A trunk at a name with both addresses, which registers.
fn begin() -> Bench {
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![Trunk {
        register: Some(Register {
            user: "4711".into(),
            expires: 3600,
            outbound: false,
            flows: 1,
        }),
        inbound: Vec::new(),
        ..trunk("provider", &["+*"], Some("edges.test:5060"))
    }]));
    let gate = settings.trunks.gate();
    settings.endpoint.admission = Admission::new(move |source| gate.admits(source));
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    let addresses = [OLD, NEW].map(|it| it.split(':').next().unwrap().parse().unwrap());
    let found = Records::Addresses(addresses.to_vec());
    let answer = Answer::Found(found, Duration::from_secs(86_400));
    let query = Query::Addresses("edges.test".into());
    bench.core.handle_dns(query, answer, bench.now);
    bench.pass(0);
    bench
}

/// The next REGISTER within a minute.
fn register(bench: &mut Bench) -> Request {
    for _ in 0..60 {
        let sent = bench.requests().into_iter().map(|(request, _)| request);
        let mut sent = sent.filter(|request| request.method == Method::Register);
        if let Some(found) = sent.next() {
            return found;
        }
        bench.pass(1);
    }
    panic!("no REGISTER");
}

fn answer(bench: &mut Bench, from: &str, request: &Request, code: u16, seconds: u32) {
    let contact = request.headers.get("Contact").unwrap();
    let contact = contact.split(", ").next().unwrap();
    let response = Response::to(request, Status::new(code).unwrap())
        .with("Contact", &format!("{contact};expires={seconds}"));
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet(from, &bytes);
}

fn ask(bench: &mut Bench, from: &str, branch: &str) -> Vec<u16> {
    bench.codes();
    let options = format!(
        "OPTIONS sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:198.51.100.1>\r\nCall-ID: {branch}\r\n\
        CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    bench.packet(from, options.as_bytes());
    bench.codes()
}

#[test]
fn a_call_that_began_where_it_was_registered_ends_there() {
    let mut bench = begin();
    let first = register(&mut bench);
    answer(&mut bench, OLD, &first, 200, 60);
    let called = |branch: &str| {
        let text = String::from_utf8(invite(branch, PCMU)).unwrap();
        text.replace(PEER, OLD).into_bytes()
    };
    bench.packet(OLD, &called("w1"));
    bench.open_media();
    bench.facts();
    let call = bench.called.clone();
    bench.fact_of(
        &call,
        Fact::Ready(Ready {
            answered: true,
            device: None,
        }),
    );
    bench.facts();
    let device = answered(Role::Answer, description("y", Setup::Active));
    bench.fact_of(&call, device);
    let responses = bench.responses();
    let ok = responses.iter().find(|r| r.status == Status::OK).unwrap();
    let tagged = ok.headers.get("To").unwrap().to_owned();
    // A request of that call, from where it began.
    let within = |method: &str, number: u8| {
        let text = String::from_utf8(called("w1")).unwrap();
        let (head, _) = text.split_once("Content-Type").unwrap();
        head.replace("z9hG4bKw1", &format!("z9hG4bK{method}"))
            .replace("INVITE", method)
            .replace("CSeq: 1", &format!("CSeq: {number}"))
            .replace(
                "To: <sip:juliet%40example.com@sip.example.com>",
                &format!("To: {tagged}"),
            )
            + "Content-Length: 0\r\n\r\n"
    };
    bench.packet(OLD, within("ACK", 1).as_bytes());
    // It registers elsewhere.
    let second = register(&mut bench);
    answer(&mut bench, OLD, &second, 503, 60);
    let third = register(&mut bench);
    answer(&mut bench, NEW, &third, 200, 3600);
    // So long that it was looked whether the former place is needed.
    bench.pass(65);
    assert_eq!(bench.core.calls().0, 1, "{:?}", bench.codes());
    bench.codes();
    bench.packet(OLD, &called("w2"));
    assert_eq!(bench.codes(), [403], "nothing new begins there");
    bench.packet(OLD, within("BYE", 2).as_bytes());
    assert_eq!(bench.codes(), [200], "what began there ends there");
    bench.pass(120);
    assert_eq!(bench.core.calls().0, 0);
    assert_eq!(
        ask(&mut bench, OLD, "o1"),
        [0; 0],
        "nothing needs it any more"
    );
    assert_eq!(ask(&mut bench, NEW, "o2"), [200]);
}
