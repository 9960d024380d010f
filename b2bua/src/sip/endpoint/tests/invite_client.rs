use super::client_side::{hop, outcomes};
use super::*;

fn start(bench: &mut Bench, token: u64, transport: Transport) -> Request {
    let mut request = Request::new(Method::Invite, Uri::parse("sip:bob@far.example").unwrap());
    for (name, value) in [
        (Name::Route, "<sip:proxy.example;lr>"),
        (Name::From, "<sip:a@tandem.example>;tag=1"),
        (Name::To, "<sip:bob@far.example>"),
        (Name::CallId, "x"),
        (Name::CSeq, "7 INVITE"),
    ] {
        request.headers.push(name, value);
    }
    request.body = bytes::Bytes::from_static(b"offer");
    let token = ClientToken(token);
    bench
        .endpoint
        .request(token, request, hop(transport), bench.now)
        .unwrap();
    let sent = bench.requests();
    assert_eq!(sent.len(), 1);
    sent.into_iter().next().unwrap()
}

impl Bench {
    /// The requests sent since the last look.
    fn requests(&mut self) -> Vec<Request> {
        let read = |transmit: Transmit| match parse::parse(&transmit.bytes, Framing::Stream) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        };
        self.transmits().into_iter().map(read).collect()
    }

    fn methods(&mut self) -> Vec<String> {
        let requests = self.requests();
        requests.iter().map(|r| r.method.to_string()).collect()
    }

    fn answer(&mut self, request: &Request, status: u16, tag: &str) {
        let mut response = Response::to(request, Status::new(status).unwrap());
        let to = format!("<sip:bob@far.example>;tag={tag}");
        response.headers.set(Name::To, &to);
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        self.endpoint
            .handle_packet(udp([203, 0, 113, 5], 5060), &bytes, self.now);
    }
}

#[test]
fn an_invite_nobody_answers_is_sent_seven_times() {
    let mut bench = Bench::new();
    start(&mut bench, 1, Transport::Udp);
    bench.pass(Duration::from_millis(31_999));
    assert_eq!(bench.requests().len(), 6);
    assert!(outcomes(&mut bench).is_empty());
    bench.pass(Duration::from_millis(1));
    assert_eq!(outcomes(&mut bench), ["1 Timeout"]);
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_refusal_is_acknowledged_each_time_and_told_once() {
    let mut bench = Bench::new();
    let invite = start(&mut bench, 1, Transport::Udp);
    bench.answer(&invite, 100, "");
    bench.pass(Duration::from_secs(40));
    assert!(bench.requests().is_empty());
    for _ in 0..2 {
        bench.answer(&invite, 486, "b");
    }
    let acks = bench.requests();
    assert_eq!(acks.len(), 2);
    let ack = &acks[1];
    assert_eq!(ack.method, Method::Ack);
    assert_eq!(ack.uri, invite.uri);
    assert_eq!(ack.top_via(), invite.top_via());
    assert_eq!(ack.to().unwrap().tag().as_deref(), Some("b"));
    assert_eq!(ack.cseq().unwrap().to_string(), "7 ACK");
    assert_eq!(ack.headers.get(Name::Route), Some("<sip:proxy.example;lr>"));
    assert!(ack.body.is_empty());
    assert_eq!(outcomes(&mut bench), ["1 provisional 100", "1 final 486"]);
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn every_2xx_goes_up_until_timer_m() {
    let mut bench = Bench::new();
    let invite = start(&mut bench, 1, Transport::Udp);
    for (status, tag) in [(180, "b"), (200, "b"), (200, "c"), (200, "b"), (486, "d")] {
        bench.answer(&invite, status, tag);
    }
    assert_eq!(
        outcomes(&mut bench),
        [
            "1 provisional 180",
            "1 final 200",
            "1 final 200",
            "1 final 200"
        ]
    );
    assert!(bench.requests().is_empty());
    bench.pass(Duration::from_secs(32));
    assert_eq!(outcomes(&mut bench), ["1 over"]);
    assert_eq!(bench.endpoint.open(), (0, 0));
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_bears_the_same_via() {
    let mut bench = Bench::new();
    let invite = start(&mut bench, 1, Transport::Udp);
    let mut reason = Headers::new();
    reason.push(Name::Reason, "SIP;cause=200");
    bench.endpoint.cancel(ClientToken(1), reason, bench.now);
    assert!(bench.requests().is_empty());
    bench.answer(&invite, 100, "");
    let cancel = bench.requests().remove(0);
    assert_eq!(cancel.method, Method::Cancel);
    assert_eq!(cancel.top_via(), invite.top_via());
    assert_eq!(cancel.cseq().unwrap().to_string(), "7 CANCEL");
    assert_eq!(cancel.headers.get(Name::Reason), Some("SIP;cause=200"));
    assert_eq!(cancel.headers.get(Name::To), invite.headers.get(Name::To));
    // Lost: it is sent again like any other request.
    bench.pass(Duration::from_millis(500));
    assert_eq!(bench.methods(), ["CANCEL"]);
    bench.answer(&cancel, 200, "b");
    bench.answer(&invite, 487, "b");
    assert_eq!(bench.methods(), ["ACK"]);
    assert_eq!(outcomes(&mut bench), ["1 provisional 100", "1 final 487"]);
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.endpoint.open(), (0, 0));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_cancelled_invite_that_stays_silent_is_given_up() {
    let mut bench = Bench::new();
    let invite = start(&mut bench, 1, Transport::Udp);
    bench.answer(&invite, 180, "b");
    bench
        .endpoint
        .cancel(ClientToken(1), Headers::new(), bench.now);
    bench.pass(Duration::from_secs(33));
    assert_eq!(outcomes(&mut bench), ["1 provisional 180", "1 Timeout"]);
    assert_eq!(bench.endpoint.open(), (0, 0));
}

#[test]
fn a_peer_that_rings_for_ever_is_cancelled_by_timer_c() {
    let mut bench = Bench::new();
    let invite = start(&mut bench, 1, Transport::Udp);
    bench.answer(&invite, 180, "b");
    bench.pass(Duration::from_secs(170));
    bench.answer(&invite, 180, "b");
    bench.pass(Duration::from_secs(180));
    assert!(bench.requests().is_empty());
    bench.pass(Duration::from_secs(3));
    assert_eq!(bench.methods(), ["CANCEL"]);
    bench.answer(&invite, 487, "b");
    assert_eq!(outcomes(&mut bench).last().unwrap(), "1 final 487");
}

#[test]
fn over_a_stream_a_refusal_ends_at_once_and_a_lost_stream_is_a_failure() {
    let mut bench = Bench::new();
    let invite = start(&mut bench, 1, Transport::Tcp);
    bench.answer(&invite, 503, "b");
    assert_eq!(bench.methods(), ["ACK"]);
    assert_eq!(bench.endpoint.open(), (0, 0));
    start(&mut bench, 2, Transport::Tcp);
    let connection = ConnectionId(7);
    bench.endpoint.handle_bound(TransmitId(2), connection);
    bench
        .endpoint
        .handle_closed(connection, NotSent::Closed, &[], bench.now);
    assert_eq!(outcomes(&mut bench), ["1 final 503", "2 Lost"]);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}
