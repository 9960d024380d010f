use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn count(of: &AtomicU64) -> u64 {
    of.load(Ordering::Relaxed)
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
        let target = Target::Flow {
            flow,
            fallback: None,
        };
        transport.send(Transmit {
            id: None,
            target,
            bytes: Bytes::from_static(b"ok"),
        });
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
    assert_eq!(count(&transport.drops().slow), 1);
}

/// Whoever connects and says nothing, or nothing whole, is not kept; who did say something is.
#[tokio::test]
async fn who_comes_has_to_say_something() {
    let (mut transport, address) = tcp_within(Limits {
        first: Duration::from_millis(300),
        message: Duration::from_secs(60),
        ..Limits::default()
    });
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"\r\n\r\n").await.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut blank = TcpStream::connect(address).await.unwrap();
    // Half a keep-alive is none.
    blank.write_all(b"\r\n").await.unwrap();
    let mut nothing = [0; 1];
    let read = async {
        for stream in [&mut silent, &mut blank] {
            assert!(matches!(stream.read(&mut nothing).await, Ok(0) | Err(_)));
        }
    };
    let mut events = Vec::new();
    let receive = async {
        while events.len() < 2 {
            transport.recv_many(&mut events, 4).await;
        }
    };
    let both = async { tokio::join!(read, receive) };
    timeout(Duration::from_secs(5), both).await.unwrap();
    assert_eq!(count(&transport.drops().slow), 2);
    kept.write_all(ONE.as_bytes()).await.unwrap();
    assert_eq!(packet(next(&mut transport).await).1, ONE.as_bytes());
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
    let (mut transport, address) = tcp_within(Limits {
        connections_per_source: 2,
        ..Limits::default()
    });
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(ONE.as_bytes()).await;
        streams.push(stream);
    }
    packet(next(&mut transport).await);
    packet(next(&mut transport).await);
    let mut nothing = [0; 1];
    assert!(matches!(
        streams[2].read(&mut nothing).await,
        Ok(0) | Err(_)
    ));

    let admission = Admission::new(|_| false);
    let (transport, address) = tcp_with(TransportConfig {
        admission,
        ..config()
    });
    let mut stranger = TcpStream::connect(address).await.unwrap();
    assert!(matches!(stranger.read(&mut nothing).await, Ok(0) | Err(_)));
    assert_eq!(count(&transport.drops().connections), 1);
}

#[tokio::test]
async fn a_flood_that_is_not_read_is_held_back() {
    let (mut transport, address) = tcp_within(Limits {
        received: 8,
        ..Limits::default()
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut written = 0;
    // Until the windows are full; nothing is taken in beyond the queue and one buffer.
    while timeout(Duration::from_millis(200), stream.write_all(ONE.as_bytes()))
        .await
        .is_ok()
    {
        written += 1;
        assert!(written < 1_000_000);
    }
    drop(stream);
    let mut events = Vec::new();
    while !events
        .iter()
        .any(|event| matches!(event, TransportEvent::Closed { .. }))
    {
        transport.recv_many(&mut events, 16).await;
    }
    assert!(events.len() > 100);
}

#[tokio::test]
async fn requests_of_one_stream_keep_their_order() {
    let (mut transport, address) = tcp();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let numbered = |number: u32| ONE.replace("z9hG4bK1", &format!("z9hG4bK{number}"));
    let all: String = (0..500).map(numbered).collect();
    let send = async { stream.write_all(all.as_bytes()).await.unwrap() };
    let mut events = Vec::new();
    let receive = async {
        while events.len() < 500 {
            transport.recv_many(&mut events, 64).await;
        }
    };
    tokio::join!(send, receive);
    for (number, event) in (0..).zip(events) {
        assert_eq!(packet(event).1, numbered(number));
    }
}
