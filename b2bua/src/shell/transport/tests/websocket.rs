use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::tls::{Files, named};
use super::*;
use crate::sip::parse::MAX_MESSAGE;

fn ws() -> (Transport, SocketAddr) {
    let transport = Transport::bind(TransportConfig {
        streams: vec![listener(Protocol::Ws)],
        ..config()
    })
    .unwrap();
    let address = transport.listening()[0].1;
    (transport, address)
}

/// A client of another make.
async fn dial(address: SocketAddr, protocol: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(address).await.unwrap();
    let uri: Uri = format!("ws://{address}/").parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(protocol);
    Ok(client_async(request, stream).await?.0)
}

async fn told(socket: &mut WebSocketStream<TcpStream>) -> Option<Message> {
    let next = timeout(Duration::from_secs(5), socket.next());
    next.await.unwrap().and_then(Result::ok)
}

#[tokio::test]
async fn requests_and_answers_go_over_one_websocket() {
    let (mut server, address) = ws();
    let mut client = Transport::bind(config()).unwrap();
    let to = hop(address, Protocol::Ws);
    let used = client.send(transmit(1, &to));
    assert_eq!(client.send(transmit(2, &to)), used);
    let (flow, bytes) = packet(next(&mut server).await);
    assert_eq!(bytes, ONE.as_bytes());
    assert_eq!(flow.transport(), Protocol::Ws);
    packet(next(&mut server).await);
    // No text, so it goes as bytes.
    let answer = Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n\xff\x00");
    let target = Target::Flow {
        flow,
        fallback: None,
    };
    server.send(Transmit {
        id: None,
        target,
        bytes: answer.clone(),
    });
    assert_eq!(packet(next(&mut client).await).1, answer);
}

#[tokio::test]
async fn over_tls_the_name_counts_as_everywhere() {
    let files = Files::new("ws.example.com");
    let mut with_tls = files.config();
    with_tls.streams[0].transport = Protocol::Wss;
    let mut server = Transport::bind(with_tls.clone()).unwrap();
    let mut client = Transport::bind(with_tls).unwrap();
    let to = |name| Hop {
        transport: Protocol::Wss,
        ..named(server.listening()[0].1, name)
    };
    let (right, wrong) = (to("ws.example.com"), to("example.com"));
    client.send(transmit(1, &wrong)).unwrap();
    assert!(matches!(
        next(&mut client).await,
        TransportEvent::Closed {
            reason: NotSent::Tls,
            ..
        }
    ));
    client.send(transmit(2, &right)).unwrap();
    let (flow, _) = packet(next(&mut server).await);
    assert_eq!(flow.transport(), Protocol::Wss);
}

#[tokio::test]
async fn what_browsers_do_is_understood() {
    let (mut server, address) = ws();
    let mut socket = dial(address, "sip").await.unwrap();
    let plain = "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WS x.invalid\r\n\r\nhello";
    for message in [
        Message::text(plain),
        Message::binary(plain.as_bytes().to_vec()),
    ] {
        socket.send(message).await.unwrap();
        assert_eq!(packet(next(&mut server).await).1, plain);
    }
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    let ping = async |server: &mut Transport, socket: &mut WebSocketStream<TcpStream>| {
        tokio::select! {
            told = told(socket) => told,
            event = next(server) => panic!("{event:?}"),
        }
    };
    let pong = ping(&mut server, &mut socket).await;
    assert_eq!(pong, Some(Message::text("\r\n")));
    let payload = Bytes::from_static(b"x");
    socket.send(Message::Ping(payload.clone())).await.unwrap();
    let pong = ping(&mut server, &mut socket).await;
    assert_eq!(pong, Some(Message::Pong(payload)));
}

#[tokio::test]
async fn who_does_not_speak_sip_is_refused() {
    let (_server, address) = ws();
    let refused = dial(address, "xmpp").await.unwrap_err();
    assert!(matches!(refused, Error::Http(answer) if answer.status() == 400));
}

#[tokio::test]
async fn giants_and_halves_end_the_connection() {
    let (_server, address) = ws();
    let mut giant = dial(address, "sip").await.unwrap();
    let _ = giant
        .send(Message::binary(vec![b'x'; MAX_MESSAGE + 1]))
        .await;
    assert_eq!(told(&mut giant).await, None);
    let mut half = dial(address, "sip").await.unwrap();
    // The head of a frame of five bytes, masked, and one of them.
    let raw = half.get_mut();
    raw.write_all(&[0x81, 0x85, 0, 0, 0, 0, b'x'])
        .await
        .unwrap();
    let mut nothing = [0; 1];
    let end = timeout(Duration::from_secs(2), raw.read(&mut nothing)).await;
    assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_server_without_websocket_gets_nothing() {
    let silent = TcpListener::bind(loopback()).await.unwrap();
    let address = silent.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.unwrap();
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await;
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    let mut client = Transport::bind(config()).unwrap();
    let connection = client
        .send(transmit(1, &hop(address, Protocol::Ws)))
        .unwrap();
    let expected = TransportEvent::Closed {
        connection,
        reason: NotSent::Connect,
        unsent: vec![TransmitId(1)],
    };
    assert_eq!(next(&mut client).await, expected);
}

#[tokio::test]
async fn our_keep_alive_is_a_ping_and_is_answered() {
    let (mut server, address) = ws();
    let mut client = Transport::bind(config()).unwrap();
    let connection = client
        .send(transmit(1, &hop(address, Protocol::Ws)))
        .unwrap();
    packet(next(&mut server).await);
    let flow = Flow::Stream {
        connection,
        transport: Protocol::Ws,
        peer: address,
    };
    client.send(Transmit {
        id: None,
        target: Target::Flow {
            flow,
            fallback: None,
        },
        bytes: Bytes::from_static(b"\r\n\r\n"),
    });
    let answered = tokio::select! {
        event = next(&mut client) => event,
        event = next(&mut server) => panic!("{event:?}"),
    };
    assert_eq!(answered, TransportEvent::Pong { flow });
}
