use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::*;
use crate::sip::endpoint::Admission;
use crate::sip::hop::Profile;

mod datagram;
mod inbound;
mod outbound;
mod sni;
mod tls;
mod websocket;

const ONE: &str = "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 5\r\n\r\nhello";

fn config() -> TransportConfig {
    TransportConfig {
        udp: Vec::new(),
        streams: Vec::new(),
        dials: vec![Dial {
            path: "/".to_owned(),
            ..Dial::default()
        }],
        admission: Admission::new(|_| true),
        limits: Limits {
            message: Duration::from_millis(300),
            ..Limits::default()
        },
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn listener(transport: Protocol) -> Listener {
    Listener {
        transport,
        address: loopback(),
        certificate: None,
        client_authorities: None,
    }
}

fn hop(address: SocketAddr, transport: Protocol) -> Hop {
    Hop {
        host: Host::Ip(address.ip()),
        port: address.port(),
        transport,
        server_name: None,
        profile: Default::default(),
    }
}

fn transmit(id: u64, hop: &Hop) -> Transmit {
    Transmit {
        id: Some(TransmitId(id)),
        target: Target::Hop(hop.clone()),
        bytes: Bytes::from_static(ONE.as_bytes()),
    }
}

async fn next(transport: &mut Transport) -> TransportEvent {
    let mut events = Vec::new();
    timeout(Duration::from_secs(5), transport.recv_many(&mut events, 1))
        .await
        .unwrap();
    events.pop().unwrap()
}

fn tcp() -> (Transport, SocketAddr) {
    tcp_with(config())
}

/// The same within these limits.
fn tcp_within(limits: Limits) -> (Transport, SocketAddr) {
    tcp_with(TransportConfig { limits, ..config() })
}

fn tcp_with(config: TransportConfig) -> (Transport, SocketAddr) {
    let transport = Transport::bind(TransportConfig {
        streams: vec![listener(Protocol::Tcp)],
        ..config
    })
    .unwrap();
    let address = transport.listening()[0].1;
    (transport, address)
}

fn packet(event: TransportEvent) -> (Flow, Bytes) {
    let TransportEvent::Packet { flow, bytes } = event else {
        panic!("{event:?}")
    };
    (flow, bytes)
}
