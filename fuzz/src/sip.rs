//! The SIP side's readers: what is read can be written and reads back as the same.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tandem_b2bua::sip::digest::{Credential, Digest, Rounds};
use tandem_b2bua::sip::endpoint::{Admission, ClientToken, EndpointConfig, SentBy};
use tandem_b2bua::sip::frame::{Frame, Framer};
use tandem_b2bua::sip::grammar;
use tandem_b2bua::sip::header::Name;
use tandem_b2bua::sip::hop::{ConnectionId, NotSent, Transmit, TransmitId};
use tandem_b2bua::sip::parse::{Framing, parse};
use tandem_b2bua::sip::uri::{Host, HostPort};
use tandem_b2bua::sip::{
    Endpoint, Event, Flow, Hop, Message, Method, NameAddr, Request, Response, Status, Transport,
    Uri, Via,
};
use tandem_shared::mint::Mint;

use super::script::{Step, steps};

/// A request or response that was read is written as one that reads the same.
pub fn message(data: &[u8]) {
    for framing in [Framing::Datagram, Framing::Stream] {
        if let Ok(mut message) = parse(data, framing) {
            // A reason keeps the space that a control character at its end became.
            if let Message::Response(response) = &mut message {
                response.reason = response.reason.trim_end().to_owned().into();
            }
            let written = print(&message);
            let again = parse(&written, Framing::Stream).expect("what was written can be read");
            assert_eq!(again, message);
            if let Message::Request(request) = &message {
                let _ = (
                    request.from(),
                    request.to(),
                    request.top_via(),
                    request.max_forwards(),
                );
            }
        }
    }
}

/// A URI that was read is written as one line that reads the same.
pub fn uri(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(uri) = Uri::parse(&text) {
        let written = uri.to_string();
        assert!(!written.contains(grammar::is_forbidden));
        assert_eq!(Uri::parse(&written).as_ref(), Ok(&uri));
        if let Some(sip) = uri.as_sip() {
            let _ = (sip.raw_user(), sip.user());
        }
    }
    if let Ok(host) = HostPort::parse(&text) {
        assert_eq!(HostPort::parse(&host.to_string()), Ok(host));
    }
}

/// The same for the value of a From, To or Contact, but that a display name loses its control
/// characters.
pub fn name_addr(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(address) = NameAddr::parse(&text) {
        let written = address.to_string();
        assert!(!written.contains(grammar::is_forbidden));
        let again = NameAddr::parse(&written).expect("what was written can be read");
        assert_eq!(again.to_string(), written);
        assert_eq!((again.tag(), again.uri), (address.tag(), address.uri));
    }
}

/// The same for a Via.
pub fn via(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(via) = Via::parse(&text) {
        let written = via.to_string();
        assert!(!written.contains(grammar::is_forbidden));
        assert_eq!(Via::parse(&written).as_ref(), Ok(&via));
        let _ = (via.branch(), via.received(), via.rport(), via.host());
    }
}

/// A challenge is answered by header lines that do not end early, or not at all; so is the request
/// after it.
pub fn challenge(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut request = own_request();
    let response = Response::to(&request, Status::UNAUTHORIZED).with(Name::WwwAuthenticate, &text);
    let mut digest = Digest::new(credential());
    let mut mint = Mint::new([3; 16]);
    let mut rounds = Rounds::default();
    let answered = digest.answer(&response, &mut request, &mut rounds, &mut mint);
    let mut next = own_request();
    digest.authorize(&mut next, &mut mint);
    for request in [&request, &next] {
        let value = request.headers.get(Name::Authorization);
        assert_eq!(value.is_some(), answered.is_ok());
        if let Some(value) = value {
            assert!(value.starts_with("Digest ") && !value.contains(grammar::is_forbidden));
        }
        let mut out = Vec::new();
        request.print(&mut out);
        assert!(parse(&out, Framing::Stream).is_ok());
    }
}

/// An account for every realm.
pub fn credential() -> Credential {
    Credential {
        user: "tandem".into(),
        password: "secret".into(),
        realm: None,
    }
}

/// A stream is cut the same however it is read, and nothing that comes out of it is too large.
/// The first byte says how it is read.
pub fn frame(data: &[u8]) {
    let Some((&chunk, bytes)) = data.split_first() else {
        return;
    };
    let cut = |chunk: usize| -> Vec<Frame> {
        let mut framer = Framer::default();
        let mut frames = Vec::new();
        for piece in bytes.chunks(chunk) {
            framer.push(piece);
            frames.extend(std::iter::from_fn(|| framer.next()));
        }
        // What a broken stream still holds depends on where its last read ended.
        frames.retain(|frame| !matches!(frame, Frame::Broken(_)));
        frames
    };
    let frames = cut(usize::from(chunk).max(1));
    assert_eq!(frames, cut(bytes.len().max(1)));
    for frame in frames {
        if let Frame::Message(message) = frame {
            let _ = parse(&message, Framing::Stream);
        }
    }
}

/// Runs a script of datagrams against an endpoint with a request of its own open: whatever it
/// sends reads back, every request it hands up can be answered, and nothing stays open for ever.
pub fn endpoint(data: &[u8]) {
    let host = |text: &str| HostPort::parse(text).expect("a valid host");
    let own = host("192.0.2.9:5060");
    let sent_by = SentBy {
        udp: own.clone(),
        tcp: own.clone(),
        tls: own.clone(),
        ws: own.clone(),
        wss: own,
    };
    let known = IpAddr::from([192, 0, 2, 1]);
    let config = EndpointConfig::new(sent_by, Admission::new(move |source| source == known));
    let mut endpoint = Endpoint::new(config, Mint::new([1; 16]));
    let mut now = Instant::now();
    let _full = endpoint.request(ClientToken(1), own_request(), hop(), now);
    for step in steps(data) {
        match step {
            Step::Pass(time) => now += time,
            Step::Happens(_) => endpoint.handle_send_failed(TransmitId(1), NotSent::Connect, now),
            Step::Envelope(bytes) | Step::Bytes(bytes) => {
                endpoint.handle_packet(flow(), bytes, now)
            }
        }
        endpoint.handle_timeout(now);
        drain(&mut endpoint, now);
    }
    endpoint.handle_closed(ConnectionId(1), NotSent::Closed, &[], now);
    for _ in 0..64 {
        now += Duration::from_secs(64);
        endpoint.handle_timeout(now);
        drain(&mut endpoint, now);
    }
    assert_eq!(endpoint.open(), (0, 0));
    assert_eq!(endpoint.poll_timeout(), None);
}

fn drain(endpoint: &mut Endpoint, now: Instant) {
    while let Some(event) = endpoint.poll_event() {
        if let Event::Request { token, request, .. } = event {
            endpoint.respond(token, Response::to(&request, Status::OK), now);
        }
    }
    while let Some(transmit) = endpoint.poll_transmit() {
        check_ours(&transmit);
    }
}

/// What goes out reads back, and is written again as the same bytes.
pub fn check_ours(transmit: &Transmit) {
    let message = parse(&transmit.bytes, Framing::Stream).expect("what is sent can be read");
    assert_eq!(print(&message), transmit.bytes);
}

/// Where the datagrams of all targets come from.
pub fn flow() -> Flow {
    Flow::Udp {
        socket: 0,
        peer: ([192, 0, 2, 1], 5060).into(),
    }
}

fn hop() -> Hop {
    Hop {
        host: Host::parse("192.0.2.1").expect("a valid host"),
        port: 5060,
        transport: Transport::Udp,
        server_name: None,
        profile: Default::default(),
    }
}

fn own_request() -> Request {
    let mut request = Request::new(
        Method::Message,
        Uri::parse("sip:bob@192.0.2.1").expect("a valid URI"),
    );
    request.headers.push(
        Name::From,
        "<sip:juliet%40example.com@sip.example.com>;tag=a",
    );
    request.headers.push(Name::To, "<sip:bob@192.0.2.1>");
    request.headers.push(Name::CallId, "c");
    request.headers.push(Name::CSeq, "1 MESSAGE");
    request
}

fn print(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    match message {
        Message::Request(request) => request.print(&mut out),
        Message::Response(response) => response.print(&mut out),
    }
    out
}
