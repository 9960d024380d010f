use super::*;

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
    let TransportEvent::Closed {
        connection, unsent, ..
    } = next(&mut transport).await
    else {
        panic!()
    };
    assert_eq!((Some(connection), unsent), (first, Vec::new()));
    let again = transport.send(transmit(3, &to));
    assert!(again.is_some() && again != first);
    peer.accept().await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_by_a_pong_and_a_dead_connection_is_closed() {
    let mut transport = Transport::bind(config()).unwrap();
    let peer = TcpListener::bind(loopback()).await.unwrap();
    let address = peer.local_addr().unwrap();
    let connection = transport
        .send(transmit(1, &hop(address, Protocol::Tcp)))
        .unwrap();
    let (mut stream, _) = peer.accept().await.unwrap();
    let flow = Flow::Stream {
        connection,
        transport: Protocol::Tcp,
        peer: address,
    };
    let ping = Transmit {
        id: None,
        target: Target::Flow {
            flow,
            fallback: None,
        },
        bytes: Bytes::from_static(crate::sip::frame::PING),
    };
    let mut read = vec![0; ONE.len()];
    stream.read_exact(&mut read).await.unwrap();
    for _ in 0..2 {
        transport.send(ping.clone());
        stream.read_exact(&mut read[..4]).await.unwrap();
        assert_eq!(&read[..4], b"\r\n\r\n");
        stream.write_all(b"\r\n").await.unwrap();
        assert_eq!(next(&mut transport).await, TransportEvent::Pong { flow });
    }
    transport.close(connection);
    let expected = TransportEvent::Closed {
        connection,
        reason: NotSent::Closed,
        unsent: Vec::new(),
    };
    assert_eq!(next(&mut transport).await, expected);
    assert_eq!(stream.read(&mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_connection_leaves_its_requests_surely_unsent() {
    let mut transport = Transport::bind(config()).unwrap();
    let gone = TcpListener::bind(loopback())
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let to = hop(gone, Protocol::Tcp);
    let connection = transport.send(transmit(1, &to)).unwrap();
    transport.send(transmit(2, &to));
    let unsent = vec![TransmitId(1), TransmitId(2)];
    let expected = TransportEvent::Closed {
        connection,
        reason: NotSent::Connect,
        unsent,
    };
    assert_eq!(next(&mut transport).await, expected);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up_and_its_queue_stays_bounded() {
    let limits = Limits {
        queue: 64,
        write: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut transport = Transport::bind(TransportConfig { limits, ..config() }).unwrap();
    let peer = TcpListener::bind(loopback()).await.unwrap();
    let to = hop(peer.local_addr().unwrap(), Protocol::Tcp);
    let large = Bytes::from(vec![b'x'; 60_000]);
    let (mut bound, mut refused) = (0, 0);
    for id in 0..1000 {
        let transmit = Transmit {
            bytes: large.clone(),
            ..transmit(id, &to)
        };
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
            TransportEvent::SendFailed {
                reason: NotSent::Closed,
                ..
            } => refused -= 1,
            TransportEvent::Closed { unsent, .. } => {
                unsent_seen += unsent.len();
                break;
            }
            other @ (TransportEvent::SendFailed { .. }
            | TransportEvent::Packet { .. }
            | TransportEvent::Certified { .. }
            | TransportEvent::Pong { .. }) => {
                panic!("{other:?}")
            }
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
    let flow = Flow::Stream {
        connection: ConnectionId(999),
        transport: Protocol::Tcp,
        peer: address,
    };
    let target = Target::Flow {
        flow,
        fallback: Some(hop(address, Protocol::Tcp)),
    };
    transport.send(Transmit {
        id: None,
        target,
        bytes: Bytes::from_static(b"ok"),
    });
    let (mut stream, _) = peer.accept().await.unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ok");
}
