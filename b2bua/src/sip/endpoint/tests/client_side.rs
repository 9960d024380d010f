use super::*;

pub(super) fn hop(transport: Transport) -> Hop {
    let host = Host::Ip(IpAddr::from([203, 0, 113, 5]));
    Hop {
        host,
        port: 5060,
        transport,
        server_name: None,
        profile: Default::default(),
    }
}

fn send(bench: &mut Bench, token: u64, transport: Transport) -> Transmit {
    let mut request = Request::new(Method::Message, Uri::parse("sip:bob@far.example").unwrap());
    for (name, value) in [
        (Name::From, "<sip:a@tandem.example>;tag=1"),
        (Name::To, "<sip:bob@far.example>"),
        (Name::CallId, "x"),
        (Name::CSeq, "1 MESSAGE"),
    ] {
        request.headers.push(name, value);
    }
    bench
        .endpoint
        .request(ClientToken(token), request, hop(transport), bench.now)
        .unwrap();
    bench.transmits().remove(0)
}

fn respond(bench: &mut Bench, sent: &Transmit, status: u16) {
    respond_from(bench, sent, status, udp([203, 0, 113, 5], 5060));
}

pub(super) fn respond_from(bench: &mut Bench, sent: &Transmit, status: u16, flow: Flow) {
    let Ok(Message::Request(request)) = parse::parse(&sent.bytes, Framing::Datagram) else {
        panic!()
    };
    let mut bytes = Vec::new();
    Response::to(&request, Status::new(status).unwrap()).print(&mut bytes);
    bench.endpoint.handle_packet(flow, &bytes, bench.now);
}

pub(super) fn outcomes(bench: &mut Bench) -> Vec<String> {
    let show = |event| match event {
        Event::Provisional { token, response } => {
            format!("{} provisional {}", token.0, response.status)
        }
        Event::Response { token, response } => format!("{} final {}", token.0, response.status),
        Event::Failed { token, failure } => format!("{} {failure:?}", token.0),
        Event::Over { token } => format!("{} over", token.0),
        Event::Request { .. } => "request".to_owned(),
        Event::Ack { .. } => "ack".to_owned(),
        Event::Cancelled { .. } => "cancelled".to_owned(),
    };
    bench.events().into_iter().map(show).collect()
}

#[test]
fn a_request_carries_via_max_forwards_and_user_agent() {
    let mut bench = Bench::new();
    let sent = send(&mut bench, 1, Transport::Tls);
    let Ok(Message::Request(request)) = parse::parse(&sent.bytes, Framing::Stream) else {
        panic!()
    };
    let via = request.top_via().unwrap();
    assert_eq!(
        (&*via.transport, via.sent_by.to_string()),
        ("TLS", "tandem.example".to_owned())
    );
    assert!(via.branch().unwrap().starts_with(MAGIC_COOKIE) && via.params.has("rport"));
    assert_eq!(request.max_forwards(), Some(70));
    assert!(request.headers.get(Name::UserAgent).is_some());
    assert!(request.wire_len() >= sent.bytes.len());
}

#[test]
fn a_lost_request_is_sent_eleven_times_and_then_given_up() {
    let mut bench = Bench::new();
    let first = send(&mut bench, 1, Transport::Udp);
    bench.pass(Duration::from_millis(3500));
    assert_eq!(bench.transmits(), vec![first.clone(); 3]);
    bench.pass(Duration::from_millis(28_499));
    assert_eq!(bench.transmits().len(), 7);
    assert!(outcomes(&mut bench).is_empty());
    bench.pass(Duration::from_millis(1));
    assert_eq!(outcomes(&mut bench), ["1 Timeout"]);
    assert_eq!(bench.endpoint.open(), (0, 0));
}

#[test]
fn nothing_is_sent_twice_over_a_stream() {
    let mut bench = Bench::new();
    send(&mut bench, 1, Transport::Tcp);
    bench.pass(Duration::from_secs(33));
    assert!(bench.transmits().is_empty());
    assert_eq!(outcomes(&mut bench), ["1 Timeout"]);
}

#[test]
fn a_response_ends_the_transaction_and_its_copies_are_absorbed() {
    let mut bench = Bench::new();
    let sent = send(&mut bench, 1, Transport::Udp);
    for status in [100, 200, 200] {
        respond(&mut bench, &sent, status);
    }
    assert_eq!(outcomes(&mut bench), ["1 provisional 100", "1 final 200"]);
    assert_eq!(bench.endpoint.counters().response_copies, 1);
    bench.pass(Duration::from_secs(40));
    assert!(bench.transmits().is_empty());
    assert_eq!(bench.endpoint.poll_timeout(), None);
    respond(&mut bench, &sent, 200);
    assert_eq!(bench.endpoint.counters().stray_response, 1);
}

#[test]
fn a_response_may_come_from_an_address_no_route_knows() {
    let mut bench = Bench::new();
    let sent = send(&mut bench, 1, Transport::Udp);
    respond_from(&mut bench, &sent, 202, udp([198, 51, 100, 77], 9));
    assert_eq!(outcomes(&mut bench), ["1 final 202"]);
}

#[test]
fn a_guessed_branch_or_another_method_is_no_answer() {
    let mut bench = Bench::new();
    let sent = send(&mut bench, 1, Transport::Udp);
    let text = String::from_utf8(sent.bytes.to_vec()).unwrap();
    let branch = text
        .split("branch=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let mut guessed = branch.clone();
    guessed.pop();
    for (branch, method) in [(guessed.as_str(), "MESSAGE"), (branch.as_str(), "OPTIONS")] {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP tandem.example;branch={branch}\r\nCSeq: 1 {method}\r\n\r\n"
        );
        bench.receive(&text);
    }
    // Two Via fields: meant for somebody behind us (RFC 3261 §8.1.3.3).
    bench.receive(&format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP tandem.example;branch={branch}, SIP/2.0/UDP x;branch=z9hG4bKy\r\nCSeq: 1 MESSAGE\r\n\r\n"
    ));
    assert!(outcomes(&mut bench).is_empty());
    assert_eq!(bench.endpoint.counters().stray_response, 3);
}

#[test]
fn the_end_of_a_connection_tells_doubt_from_certainty() {
    let mut bench = Bench::new();
    for token in 1..=4 {
        send(&mut bench, token, Transport::Tcp);
        let connection = ConnectionId(if token == 4 { 8 } else { 7 });
        bench.endpoint.handle_bound(TransmitId(token), connection);
    }
    let (connection, unsent) = (ConnectionId(7), [TransmitId(2)]);
    bench
        .endpoint
        .handle_closed(connection, NotSent::Closed, &unsent, bench.now);
    assert_eq!(
        outcomes(&mut bench),
        ["2 NotSent(Closed)", "1 Lost", "3 Lost"]
    );
    assert_eq!(bench.endpoint.open(), (1, 0));
}

#[test]
fn a_retransmission_that_cannot_leave_does_not_make_a_sent_request_unsent() {
    let mut bench = Bench::new();
    send(&mut bench, 1, Transport::Udp);
    bench.pass(Duration::from_millis(600));
    bench
        .endpoint
        .handle_send_failed(TransmitId(1), NotSent::Unreachable, bench.now);
    assert!(outcomes(&mut bench).is_empty());
    bench
        .endpoint
        .handle_send_failed(TransmitId(1), NotSent::Resolve, bench.now);
    assert_eq!(outcomes(&mut bench), ["1 NotSent(Resolve)"]);
}

#[test]
fn a_full_table_hands_the_request_back() {
    let mut bench = Bench::with(|config| config.max_open_client = 1);
    send(&mut bench, 1, Transport::Udp);
    let request = Request::new(Method::Options, Uri::parse("sip:far.example").unwrap());
    let refused = bench
        .endpoint
        .request(ClientToken(2), request, hop(Transport::Udp), bench.now);
    assert_eq!(refused.unwrap_err().0.method, Method::Options);
}
