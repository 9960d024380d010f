//! What is sent to do harm: in floods, or in the name of others.

use super::*;

/// A request of the known peer number so and so.
fn known_as(number: u8) -> Flow {
    udp([192, 0, 2, number], 40_000)
}

fn two_peers(config: &mut EndpointConfig) {
    *config = config.clone().with_calls();
    let peers = [1, 2].map(|number| IpAddr::from([192, 0, 2, number]));
    config.admission = Admission::new(move |source| peers.contains(&source));
    config.max_open_server = 9;
}

/// A request of its own.
fn number(method: &str, number: usize) -> String {
    message(&number.to_string())
        .replace("MESSAGE", method)
        .replace("Call-ID: c", &format!("Call-ID: c{number}"))
}

/// However many a peer sends, and never acknowledges, others have room, and all is forgotten in the end.
#[test]
fn a_peer_gone_mad_leaves_others_as_much_as_it_takes() {
    for method in ["MESSAGE", "INVITE"] {
        let mut bench = Bench::with(two_peers);
        let mut send = |from: u8, numbers: std::ops::Range<usize>| {
            for at in numbers {
                let text = number(method, at);
                bench
                    .endpoint
                    .handle_packet(known_as(from), text.as_bytes(), bench.now);
            }
            bench.events().len()
        };
        // Of nine places five, then half of the rest.
        assert_eq!(send(1, 0..1000), 5, "{method}");
        assert_eq!(send(2, 1000..2000), 2, "{method}");
        assert_eq!(send(1, 2000..3000), 0, "{method}");
        if method == "MESSAGE" {
            bench.pass(Duration::from_secs(64));
            assert_eq!(bench.endpoint.held(), 0);
        }
    }
}

#[test]
fn what_a_peer_was_answered_no_longer_counts() {
    let mut bench = Bench::with(two_peers);
    for at in 0..100 {
        bench.receive(&number("MESSAGE", at));
        let (token, request) = bench.request();
        let response = Response::to(&request, Status::OK);
        bench.endpoint.respond(token, response, bench.now);
    }
    for at in 0..20 {
        let text = number("INVITE", at);
        bench.receive(&text);
        let (token, request) = bench.request();
        let response = Response::to(&request, Status::NOT_FOUND);
        bench.endpoint.respond(token, response, bench.now);
        let refusal = bench.transmits().pop().unwrap();
        let to = answer(&refusal).headers.get(Name::To).unwrap().to_owned();
        let ack = text.replace("INVITE", "ACK");
        bench.receive(&ack.replace("To: <sip:juliet@tandem.example>", &format!("To: {to}")));
        bench.pass(Duration::from_secs(6));
    }
    bench.pass(Duration::from_secs(64));
    assert_eq!(bench.endpoint.held(), 0);
}

/// Whoever forges an address cannot have its owner flooded, nor talked to at a port where nobody speaks SIP.
#[test]
fn a_stranger_hears_no_more_than_it_said_and_not_at_the_port_of_another_service() {
    let mut bench = Bench::with(|config| config.strangers.answer = true);
    let mut hear = |port: u16, text: &str| {
        let flow = udp([203, 0, 113, 9], port);
        bench
            .endpoint
            .handle_packet(flow, text.as_bytes(), bench.now);
        bench.transmits()
    };
    let short = message("a");
    let long = message("a").replace(
        "Call-ID",
        "User-Agent: some phone, of its many versions the newest\r\nSubject: x\r\nCall-ID",
    );
    assert_eq!(hear(5060, &short), []);
    let sent = hear(5060, &long);
    assert_eq!(answer(&sent[0]).status, Status::FORBIDDEN);
    assert!(sent[0].bytes.len() <= long.len(), "{}", sent[0].bytes.len());
    for low in [0, 7, 19, 53, 123, 1023] {
        assert_eq!(hear(low, &long), [], "{low}");
    }
    // Without rport it is the Via that names the port.
    let long = long.replace(";rport", "");
    assert_eq!(hear(5060, &long).len(), 1);
    assert_eq!(hear(5060, &long.replace("5062", "53")), []);
}
