use super::*;

fn target(transmit: &Transmit) -> SocketAddr {
    match &transmit.target {
        Target::Flow { flow, .. } => flow.peer(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_goes_to_the_source_whatever_the_request_claims() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    let (token, request) = bench.request();
    bench
        .endpoint
        .respond(token, Response::to(&request, Status::OK), bench.now);
    let sent = bench.transmits();
    assert_eq!(target(&sent[0]), known().peer());
    let via = answer(&sent[0]).top_via().unwrap();
    assert_eq!(
        (via.received(), via.rport()),
        (Some(known().source()), Some(40_000))
    );
}

#[test]
fn without_rport_the_answer_goes_to_the_port_of_the_via() {
    let mut bench = Bench::new();
    bench.receive(&message("a").replace(";rport", ""));
    let (token, request) = bench.request();
    bench
        .endpoint
        .respond(token, Response::to(&request, Status::OK), bench.now);
    assert_eq!(
        target(&bench.transmits()[0]),
        SocketAddr::from(([192, 0, 2, 1], 5062))
    );
}

#[test]
fn an_answer_over_a_stream_knows_where_to_go_when_it_is_gone() {
    let mut bench = Bench::new();
    let peer = SocketAddr::from(([192, 0, 2, 1], 40_000));
    let flow = Flow::Stream {
        connection: ConnectionId(7),
        transport: Transport::Tcp,
        peer,
    };
    bench.endpoint.handle_packet(
        flow,
        message("a").replace("UDP", "TCP").as_bytes(),
        bench.now,
    );
    let (token, request) = bench.request();
    bench
        .endpoint
        .respond(token, Response::to(&request, Status::OK), bench.now);
    let Target::Flow {
        flow: back,
        fallback,
    } = bench.transmits().remove(0).target
    else {
        panic!()
    };
    assert_eq!(back, flow);
    let fallback = fallback.unwrap();
    assert_eq!((fallback.host, fallback.port), (Host::Ip(peer.ip()), 5062));
}

#[test]
fn a_copy_of_an_answered_request_gets_the_very_same_bytes_until_timer_j() {
    for (status, header) in [
        (Status::OK, None),
        (Status::TEMPORARILY_UNAVAILABLE, Some("30")),
    ] {
        let mut bench = Bench::new();
        bench.receive(&message("a"));
        let (token, request) = bench.request();
        let mut response = Response::to(&request, status);
        if let Some(seconds) = header {
            response = response
                .with(Name::RetryAfter, seconds)
                .with_reason("Later");
        }
        bench.endpoint.respond(token, response, bench.now);
        let first = bench.transmits();
        bench.pass(Duration::from_secs(31));
        bench.receive(&message("a"));
        assert_eq!(bench.transmits(), first);
        assert!(bench.events().is_empty());
        bench.pass(Duration::from_secs(2));
        bench.receive(&message("a"));
        assert_eq!(bench.events().len(), 1);
    }
}

#[test]
fn a_finished_transaction_costs_tens_of_bytes() {
    // Key and answer in the table, the key once more for its expiry.
    assert!(size_of::<Key>() * 2 + server::ANSWER_SIZE <= 64);
}

#[test]
fn copies_are_absorbed_while_the_core_thinks_and_get_the_last_provisional_answer() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    let (token, request) = bench.request();
    bench.receive(&message("a"));
    assert!(bench.events().is_empty() && bench.transmits().is_empty());
    let trying = Status::new(100).unwrap();
    bench
        .endpoint
        .respond(token, Response::to(&request, trying), bench.now);
    bench.receive(&message("a"));
    assert_eq!(bench.statuses(), [100, 100]);
    assert_eq!(bench.endpoint.counters().request_copies, 2);
}

#[test]
fn a_second_final_answer_is_ignored() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    let (token, request) = bench.request();
    for status in [Status::OK, Status::NOT_FOUND] {
        bench
            .endpoint
            .respond(token, Response::to(&request, status), bench.now);
    }
    assert_eq!(bench.statuses(), [200]);
}

#[test]
fn every_answer_carries_a_to_tag_and_the_same_for_every_copy() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.receive(&message("a").replace("MESSAGE", "INVITE"));
    }
    let sent = bench.transmits();
    let tag = |transmit: &Transmit| {
        let response = answer(transmit);
        crate::sip::NameAddr::parse(response.headers.get(Name::To).unwrap())
            .unwrap()
            .tag()
    };
    assert!(tag(&sent[0]).is_some());
    assert_eq!(tag(&sent[0]), tag(&sent[1]));
}

#[test]
fn a_request_that_came_two_ways_is_merged_while_it_is_open() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    let (token, request) = bench.request();
    bench.receive(&message("b"));
    assert_eq!(bench.statuses(), [482]);
    bench
        .endpoint
        .respond(token, Response::to(&request, Status::OK), bench.now);
    bench.transmits();
    // Finished: the core knows its outcome and is asked.
    bench.receive(&message("b"));
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn our_own_request_coming_back_is_a_loop_and_with_another_uri_a_spiral() {
    let mut bench = Bench::new();
    let uri = Uri::parse("sip:juliet@tandem.example").unwrap();
    let request = Request::new(Method::Message, uri);
    let hop = Hop {
        host: known().source().into(),
        port: 5060,
        transport: Transport::Udp,
        server_name: None,
        profile: Default::default(),
    };
    bench
        .endpoint
        .request(ClientToken(1), request, hop, bench.now)
        .unwrap();
    let wire = bench.transmits().remove(0).bytes;
    let Ok(Message::Request(ours)) = parse::parse(&wire, Framing::Datagram) else {
        panic!()
    };
    let via = ours.headers.get(Name::Via).unwrap();
    let back = message("x").replacen(
        "Via:",
        &format!("Via: SIP/2.0/UDP proxy;branch=z9hG4bKp;rport\r\nVia: {via}\r\nVia:"),
        1,
    );
    bench.receive(&back);
    assert_eq!(bench.statuses(), [482]);
    bench.receive(
        &back
            .replace(
                "sip:juliet@tandem.example SIP",
                "sip:nurse@tandem.example SIP",
            )
            .replace("4bKp", "4bKq"),
    );
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn strangers_are_not_read_and_not_answered() {
    let mut bench = Bench::new();
    let stranger = udp([198, 51, 100, 9], 5060);
    for text in [
        message("a"),
        "garbage".to_owned(),
        message("a").replace("MESSAGE sip", "INVITE sip"),
    ] {
        bench
            .endpoint
            .handle_packet(stranger, text.as_bytes(), bench.now);
    }
    assert!(bench.events().is_empty() && bench.transmits().is_empty());
    assert_eq!(bench.endpoint.counters().unknown_source, 3);
}

#[test]
fn refusals_say_what_is_wrong_and_what_is_allowed() {
    let mut bench = Bench::new();
    bench.receive(&message("a").replace("MESSAGE", "INVITE"));
    bench.receive(
        &message("b").replace("Call-ID: c\r\n", "Call-ID: c\r\nRequire: 100rel, timer\r\n"),
    );
    bench.receive(&message("c").replace("CSeq: 1 ", "CSeq: 1x "));
    let answers: Vec<_> = bench.transmits().iter().map(answer).collect();
    assert_eq!(
        answers[0].headers.get(Name::Allow),
        Some("MESSAGE, OPTIONS")
    );
    assert_eq!(
        answers[1].headers.get(Name::Unsupported),
        Some("100rel, timer")
    );
    assert_eq!(
        (answers[2].status.code(), &*answers[2].reason),
        (400, "Bad CSeq")
    );
    assert!(
        answers[0]
            .headers
            .get(Name::Server)
            .unwrap()
            .starts_with("Tandem/")
    );
}

/// RFC 3323 §5.
#[test]
fn a_privacy_that_cannot_be_had_is_refused_where_it_is_critical() {
    let mut bench = Bench::with(|config| *config = config.clone().with_calls());
    let with = |text: String, privacy: &str| {
        text.replace("Call-ID", &format!("Privacy: {privacy}\r\nCall-ID"))
    };
    bench.receive(&with(message("a"), "id;stealth;critical"));
    let sent = bench.transmits();
    let refusal = answer(&sent[0]);
    assert_eq!(refusal.status.code(), 500);
    assert_eq!(&*refusal.reason, "Privacy not provided: stealth");
    assert!(bench.events().is_empty());
    for (number, fine) in ["id;critical", "id;stealth", "none;critical"]
        .iter()
        .enumerate()
    {
        let text = message(&format!("f{number}"));
        let text = text.replace("Call-ID: c", &format!("Call-ID: f{number}"));
        bench.receive(&with(text, fine));
        assert_eq!(
            (bench.statuses(), bench.events().len()),
            (vec![], 1),
            "{fine}"
        );
    }
    // Whoever wants to leave is let go.
    let bye = with(message("b"), "stealth;critical").replace("MESSAGE", "BYE");
    bench.receive(&bye.replace(
        "To: <sip:juliet@tandem.example>",
        "To: <sip:juliet@tandem.example>;tag=x",
    ));
    assert_eq!((bench.statuses(), bench.events().len()), (vec![], 1));
}

#[test]
fn a_cancel_of_a_known_request_is_answered_and_stops_nothing() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    let (token, request) = bench.request();
    bench.receive(&message("a").replace("MESSAGE", "CANCEL"));
    assert_eq!(bench.statuses(), [200]);
    bench
        .endpoint
        .respond(token, Response::to(&request, Status::OK), bench.now);
    assert_eq!(bench.statuses(), [200]);
}

#[test]
fn a_full_table_drops_datagrams_and_puts_streams_off() {
    let mut bench = Bench::with(|config| config.max_open_server = 1);
    bench.receive(&message("a"));
    let other = message("b").replace("Call-ID: c", "Call-ID: d");
    bench.receive(&other);
    assert!(bench.transmits().is_empty());
    let peer = SocketAddr::from(([192, 0, 2, 1], 40_000));
    let flow = Flow::Stream {
        connection: ConnectionId(7),
        transport: Transport::Tcp,
        peer,
    };
    bench
        .endpoint
        .handle_packet(flow, other.as_bytes(), bench.now);
    let sent = bench.transmits();
    let response = answer(&sent[0]);
    assert_eq!(
        (response.status.code(), response.retry_after()),
        (480, Some(5))
    );
    assert_eq!(
        (
            bench.endpoint.counters().full,
            bench.endpoint.counters().refused
        ),
        (1, 1)
    );
}

#[test]
fn what_the_core_never_answers_is_forgotten_after_timer_f() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.counters().unanswered, 1);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_core_cannot_inject_lines_into_an_answer() {
    let mut bench = Bench::new();
    bench.receive(&message("a"));
    let (token, request) = bench.request();
    let response = Response::to(&request, Status::NOT_FOUND)
        .with_reason("No\r\nRoute: <sip:evil>")
        .with(Name::Warning, "399 x \"a\r\n\r\nbody\"");
    bench.endpoint.respond(token, response, bench.now);
    let sent = bench.transmits();
    let headers: Headers = answer(&sent[0]).headers;
    assert_eq!(headers.get(Name::Route), None);
    assert!(answer(&sent[0]).body.is_empty());
}
