use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::sip::header::Headers;
use crate::sip::hop::Hop;
use crate::sip::method::Method;
use crate::sip::status::Status;
use crate::sip::uri::{Host, HostPort, Uri};

mod abuse;
mod client_side;
mod guests;
mod invite_client;
mod invite_server;
mod server_side;

/// An endpoint, a clock and the wire.
struct Bench {
    endpoint: Endpoint,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let ours = HostPort::parse("tandem.example").unwrap();
        let sent_by = SentBy {
            udp: ours.clone(),
            tcp: ours.clone(),
            tls: ours.clone(),
            ws: ours.clone(),
            wss: ours,
        };
        let known = IpAddr::from([192, 0, 2, 1]);
        let mut config =
            EndpointConfig::new(sent_by, Admission::new(move |source| source == known));
        change(&mut config);
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        Self {
            endpoint: Endpoint::new(config, Mint::new([5; 16])),
            now,
        }
    }

    fn receive(&mut self, text: &str) {
        self.endpoint
            .handle_packet(known(), text.as_bytes(), self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.endpoint.poll_transmit()).collect()
    }

    /// The statuses of all answers sent since the last look.
    fn statuses(&mut self) -> Vec<u16> {
        self.transmits()
            .iter()
            .map(|transmit| answer(transmit).status.code())
            .collect()
    }

    /// The one request handed up since the last look.
    fn request(&mut self) -> (ServerToken, Request) {
        match self.events().pop() {
            Some(Event::Request { token, request, .. }) => (token, *request),
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = end;
    }
}

fn known() -> Flow {
    udp([192, 0, 2, 1], 40_000)
}

fn udp(address: [u8; 4], port: u16) -> Flow {
    Flow::Udp {
        socket: 0,
        peer: SocketAddr::from((address, port)),
    }
}

fn answer(transmit: &Transmit) -> Response {
    match parse::parse(&transmit.bytes, Framing::Stream) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn message(branch: &str) -> String {
    format!(
        "MESSAGE sip:juliet@tandem.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP phone.example:5062;branch=z9hG4bK{branch};rport\r\n\
         From: <sip:romeo@phone.example>;tag=1\r\n\
         To: <sip:juliet@tandem.example>\r\n\
         Call-ID: c\r\nCSeq: 1 MESSAGE\r\nContent-Length: 2\r\n\r\nhi"
    )
}
