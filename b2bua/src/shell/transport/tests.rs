use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::*;
use crate::sip::endpoint::Admission;

mod tls;

pub(super) const ONE: &str =
    "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 5\r\n\r\nhello";

pub(super) fn config() -> TransportConfig {
    TransportConfig {
        udp: Vec::new(),
        tcp: Vec::new(),
        tls: Vec::new(),
        certificate: None,
        authorities: None,
        admission: Admission::new(|_| true),
        limits: Limits { message: Duration::from_millis(300), ..Limits::default() },
    }
}

pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) fn hop(address: SocketAddr, transport: Protocol) -> Hop {
    Hop { host: Host::Ip(address.ip()), port: address.port(), transport, server_name: None }
}

pub(super) fn transmit(id: u64, hop: &Hop) -> Transmit {
    Transmit {
        id: Some(TransmitId(id)),
        target: Target::Hop(hop.clone()),
        bytes: Bytes::from_static(ONE.as_bytes()),
    }
}

pub(super) async fn next(transport: &mut Transport) -> TransportEvent {
    let mut events = Vec::new();
    timeout(Duration::from_secs(5), transport.recv_many(&mut events, 1)).await.unwrap();
    events.pop().unwrap()
}

fn tcp() -> (Transport, SocketAddr) {
    let transport = Transport::bind(TransportConfig { tcp: vec![loopback()], ..config() }).unwrap();
    let address = transport.listening()[0].1;
    (transport, address)
}

fn packet(event: TransportEvent) -> (Flow, Bytes) {
    match event {
        TransportEvent::Packet { flow, bytes } => (flow, bytes),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn datagrams_come_and_go_in_batches() {
    let mut transport = Transport::bind(TransportConfig { udp: vec![loopback()], ..config() }).unwrap();
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let to = hop(peer.local_addr().unwrap(), Protocol::Udp);
    for id in 0..200 {
        assert_eq!(transport.send(transmit(id, &to)), None);
    }
    transport.flush();
    let mut buffer = [0; 2000];
    for _ in 0..200 {
        let (length, from) = peer.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], ONE.as_bytes());
        peer.send_to(&buffer[..length], from).await.unwrap();
    }
    let mut events = Vec::new();
    while events.len() < 200 {
        transport.recv_many(&mut events, 100).await;
    }
    let (flow, bytes) = packet(events.remove(0));
    assert_eq!(bytes, ONE.as_bytes());
    assert_eq!(flow, Flow::Udp { socket: 0, peer: peer.local_addr().unwrap() });
}

#[tokio::test]
async fn an_icmp_error_does_not_end_the_socket() {
    let mut transport = Transport::bind(TransportConfig { udp: vec![loopback()], ..config() }).unwrap();
    let gone = UdpSocket::bind(loopback()).await.unwrap().local_addr().unwrap();
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    for to in [gone, gone, peer.local_addr().unwrap()] {
        transport.send(transmit(1, &hop(to, Protocol::Udp)));
        transport.flush();
    }
    let mut buffer = [0; 2000];
    let (_, from) = peer.recv_from(&mut buffer).await.unwrap();
    peer.send_to(b"x", from).await.unwrap();
    assert_eq!(packet(next(&mut transport).await).1, "x");
}

#[tokio::test]
async fn a_name_without_address_is_surely_not_sent() {
    let mut transport = Transport::bind(TransportConfig { udp: vec![loopback()], ..config() }).unwrap();
    let host = Host::parse("nowhere.invalid").unwrap();
    for (id, protocol) in [(1, Protocol::Udp), (2, Protocol::Tcp)] {
        let to = Hop { host: host.clone(), port: 5060, transport: protocol, server_name: None };
        let bound = transport.send(transmit(id, &to));
        let event = next(&mut transport).await;
        match bound {
            None => assert_eq!(event, TransportEvent::SendFailed { id: TransmitId(1), reason: NotSent::Resolve }),
            Some(connection) => {
                let (reason, unsent) = (NotSent::Resolve, vec![TransmitId(2)]);
                assert_eq!(event, TransportEvent::Closed { connection, reason, unsent });
            }
        }
    }
}

#[tokio::test]
async fn a_name_is_resolved_and_its_datagram_sent() {
    let mut transport = Transport::bind(TransportConfig { udp: vec![loopback()], ..config() }).unwrap();
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let port = peer.local_addr().unwrap().port();
    let host = Host::parse("localhost").unwrap();
    transport.send(transmit(1, &Hop { host, port, transport: Protocol::Udp, server_name: None }));
    let (mut buffer, mut events) = ([0; 2000], Vec::new());
    tokio::select! {
        () = transport.recv_many(&mut events, 1) => panic!("no event expected"),
        received = peer.recv_from(&mut buffer) => assert_eq!(received.unwrap().0, ONE.len()),
    }
}

#[tokio::test]
async fn a_request_split_at_any_byte_is_read_and_answered_on_its_stream() {
    let (mut transport, address) = tcp();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for at in 0..ONE.len() {
        let (first, second) = ONE.as_bytes().split_at(at);
        stream.write_all(first).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(second).await.unwrap();
        let (flow, bytes) = packet(next(&mut transport).await);
        assert_eq!(bytes, ONE.as_bytes());
        let target = Target::Flow { flow, fallback: None };
        transport.send(Transmit { id: None, target, bytes: Bytes::from_static(b"ok") });
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ok");
    }
}

#[tokio::test]
async fn a_double_line_end_is_answered_with_one() {
    let (mut transport, address) = tcp();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let (mut answer, mut events) = ([0; 2], Vec::new());
    tokio::select! {
        () = transport.recv_many(&mut events, 1) => panic!("no event expected"),
        read = stream.read_exact(&mut answer) => assert_eq!(read.unwrap(), 2),
    }
    assert_eq!(&answer, b"\r\n");
}

#[tokio::test]
async fn half_a_message_is_not_waited_for() {
    let (mut transport, address) = tcp();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&ONE.as_bytes()[..20]).await.unwrap();
    let drip = async {
        for byte in &ONE.as_bytes()[20..] {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let ((), event) = tokio::join!(drip, next(&mut transport));
    assert!(matches!(event, TransportEvent::Closed { .. }), "{event:?}");
    assert_eq!(transport.drops().slow.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_silent_peer_holds_up_nobody() {
    let (mut transport, address) = tcp();
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(ONE.as_bytes()).await.unwrap();
    assert_eq!(packet(next(&mut transport).await).1, ONE.as_bytes());
}

#[tokio::test]
async fn connections_are_bounded_per_source_and_strangers_are_closed() {
    let limits = Limits { connections_per_source: 2, ..Limits::default() };
    let mut transport =
        Transport::bind(TransportConfig { tcp: vec![loopback()], limits, ..config() }).unwrap();
    let address = transport.listening()[0].1;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(ONE.as_bytes()).await;
        streams.push(stream);
    }
    packet(next(&mut transport).await);
    packet(next(&mut transport).await);
    let mut nothing = [0; 1];
    assert!(matches!(streams[2].read(&mut nothing).await, Ok(0) | Err(_)));

    let admission = Admission::new(|_| false);
    let transport =
        Transport::bind(TransportConfig { tcp: vec![loopback()], admission, ..config() }).unwrap();
    let mut stranger = TcpStream::connect(transport.listening()[0].1).await.unwrap();
    assert!(matches!(stranger.read(&mut nothing).await, Ok(0) | Err(_)));
    assert_eq!(transport.drops().connections.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_flood_that_is_not_read_is_held_back() {
    let limits = Limits { received: 8, ..Limits::default() };
    let mut transport =
        Transport::bind(TransportConfig { tcp: vec![loopback()], limits, ..config() }).unwrap();
    let mut stream = TcpStream::connect(transport.listening()[0].1).await.unwrap();
    let mut written = 0;
    // Until the windows are full; nothing is taken in beyond the queue and one buffer.
    while timeout(Duration::from_millis(200), stream.write_all(ONE.as_bytes())).await.is_ok() {
        written += 1;
        assert!(written < 1_000_000);
    }
    drop(stream);
    let mut events = Vec::new();
    while !events.iter().any(|event| matches!(event, TransportEvent::Closed { .. })) {
        transport.recv_many(&mut events, 16).await;
    }
    assert!(events.len() > 100);
}

#[tokio::test]
async fn one_connection_serves_a_hop_and_its_end_is_reported_once() {
    let mut transport = Transport::bind(config()).unwrap();
    let peer = TcpListener::bind(loopback()).await.unwrap();
    let to = hop(peer.local_addr().unwrap(), Protocol::Tcp);
    let first = transport.send(transmit(1, &to));
    assert!(first.is_some());
    assert_eq!(transport.send(transmit(2, &to)), first);
    let (mut stream, _) = peer.accept().await.unwrap();
    let mut both = vec![0; ONE.len() * 2];
    stream.read_exact(&mut both).await.unwrap();
    drop(stream);
    let TransportEvent::Closed { connection, unsent, .. } = next(&mut transport).await else { panic!() };
    assert_eq!((Some(connection), unsent), (first, Vec::new()));
    let again = transport.send(transmit(3, &to));
    assert!(again.is_some() && again != first);
    peer.accept().await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_leaves_its_requests_surely_unsent() {
    let mut transport = Transport::bind(config()).unwrap();
    let gone = TcpListener::bind(loopback()).await.unwrap().local_addr().unwrap();
    let to = hop(gone, Protocol::Tcp);
    let connection = transport.send(transmit(1, &to)).unwrap();
    transport.send(transmit(2, &to));
    let unsent = vec![TransmitId(1), TransmitId(2)];
    let expected = TransportEvent::Closed { connection, reason: NotSent::Connect, unsent };
    assert_eq!(next(&mut transport).await, expected);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up_and_its_queue_stays_bounded() {
    let limits = Limits { queue: 64, write: Duration::from_millis(300), ..Limits::default() };
    let mut transport = Transport::bind(TransportConfig { limits, ..config() }).unwrap();
    let peer = TcpListener::bind(loopback()).await.unwrap();
    let to = hop(peer.local_addr().unwrap(), Protocol::Tcp);
    let large = Bytes::from(vec![b'x'; 60_000]);
    let (mut bound, mut refused) = (0, 0);
    for id in 0..1000 {
        let transmit = Transmit { bytes: large.clone(), ..transmit(id, &to) };
        match transport.send(transmit) {
            Some(_) => bound += 1,
            None => refused += 1,
        }
        tokio::task::yield_now().await;
    }
    let _unread = peer.accept().await.unwrap();
    assert!(bound > 0 && refused > 0);
    let mut unsent_seen = 0;
    loop {
        match next(&mut transport).await {
            TransportEvent::SendFailed { reason: NotSent::Closed, .. } => refused -= 1,
            TransportEvent::Closed { unsent, .. } => {
                unsent_seen += unsent.len();
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(unsent_seen <= 64);
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_response_whose_stream_is_gone_goes_to_the_sender_anew() {
    let (mut transport, _) = tcp();
    let peer = TcpListener::bind(loopback()).await.unwrap();
    let address = peer.local_addr().unwrap();
    let flow = Flow::Stream { connection: ConnectionId(999), transport: Protocol::Tcp, peer: address };
    let target = Target::Flow { flow, fallback: Some(hop(address, Protocol::Tcp)) };
    transport.send(Transmit { id: None, target, bytes: Bytes::from_static(b"ok") });
    let (mut stream, _) = peer.accept().await.unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ok");
}
