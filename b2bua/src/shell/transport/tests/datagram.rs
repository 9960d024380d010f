use super::*;

#[tokio::test]
async fn datagrams_come_and_go_in_batches() {
    let mut transport = Transport::bind(TransportConfig {
        udp: vec![loopback()],
        ..config()
    })
    .unwrap();
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
    assert_eq!(
        flow,
        Flow::Udp {
            socket: 0,
            peer: peer.local_addr().unwrap()
        }
    );
}

#[tokio::test]
async fn an_icmp_error_does_not_end_the_socket() {
    let mut transport = Transport::bind(TransportConfig {
        udp: vec![loopback()],
        ..config()
    })
    .unwrap();
    let gone = UdpSocket::bind(loopback())
        .await
        .unwrap()
        .local_addr()
        .unwrap();
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
    let mut transport = Transport::bind(TransportConfig {
        udp: vec![loopback()],
        ..config()
    })
    .unwrap();
    let host = Host::parse("nowhere.invalid").unwrap();
    for (id, protocol) in [(1, Protocol::Udp), (2, Protocol::Tcp)] {
        let to = Hop {
            host: host.clone(),
            port: 5060,
            transport: protocol,
            server_name: None,
            profile: Default::default(),
        };
        let bound = transport.send(transmit(id, &to));
        let event = next(&mut transport).await;
        match bound {
            None => assert_eq!(
                event,
                TransportEvent::SendFailed {
                    id: TransmitId(1),
                    reason: NotSent::Resolve
                }
            ),
            Some(connection) => {
                let (reason, unsent) = (NotSent::Resolve, vec![TransmitId(2)]);
                assert_eq!(
                    event,
                    TransportEvent::Closed {
                        connection,
                        reason,
                        unsent
                    }
                );
            }
        }
    }
}

#[tokio::test]
async fn a_name_is_resolved_and_its_datagram_sent() {
    let mut transport = Transport::bind(TransportConfig {
        udp: vec![loopback()],
        ..config()
    })
    .unwrap();
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let port = peer.local_addr().unwrap().port();
    let host = Host::parse("localhost").unwrap();
    transport.send(transmit(
        1,
        &Hop {
            host,
            port,
            transport: Protocol::Udp,
            server_name: None,
            profile: Default::default(),
        },
    ));
    let (mut buffer, mut events) = ([0; 2000], Vec::new());
    tokio::select! {
        () = transport.recv_many(&mut events, 1) => panic!("no event expected"),
        received = peer.recv_from(&mut buffer) => assert_eq!(received.unwrap().0, ONE.len()),
    }
}
