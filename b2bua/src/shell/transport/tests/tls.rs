use std::path::PathBuf;

use super::*;

pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// A certificate for `name` that signs itself, and its key.
    pub(super) fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("tandem-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = Self { directory };
        std::fs::write(files.chain(), made.cert.pem()).unwrap();
        std::fs::write(files.key(), made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn chain(&self) -> PathBuf {
        self.directory.join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    fn own(&self) -> Option<CertificateFiles> {
        Some(CertificateFiles {
            chain: self.chain(),
            key: self.key(),
        })
    }

    /// Trusts this certificate.
    fn dial(&self) -> Dial {
        Dial {
            authorities: Some(self.chain()),
            ..Dial::default()
        }
    }

    pub(super) fn config(&self) -> TransportConfig {
        let limits = Limits {
            handshake: Duration::from_millis(500),
            ..Limits::default()
        };
        TransportConfig {
            streams: vec![Listener {
                certificate: self.own(),
                ..listener(Protocol::Tls)
            }],
            dials: vec![self.dial()],
            limits,
            ..config()
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(super) fn named(address: SocketAddr, name: &str) -> Hop {
    Hop {
        server_name: Some(name.into()),
        ..hop(address, Protocol::Tls)
    }
}

#[tokio::test]
async fn a_request_goes_over_tls_and_its_answer_comes_back() {
    let files = Files::new("sip.example.com");
    let mut server = Transport::bind(files.config()).unwrap();
    let mut client = Transport::bind(files.config()).unwrap();
    let to = named(server.listening()[0].1, "sip.example.com");
    assert!(client.send(transmit(1, &to)).is_some());
    let (flow, bytes) = packet(next(&mut server).await);
    assert_eq!(bytes, ONE.as_bytes());
    assert_eq!(flow.transport(), Protocol::Tls);
    let target = Target::Flow {
        flow,
        fallback: None,
    };
    let answer = "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    server.send(Transmit {
        id: None,
        target,
        bytes: Bytes::from_static(answer.as_bytes()),
    });
    assert_eq!(packet(next(&mut client).await).1, answer);
}

#[tokio::test]
async fn a_server_with_another_name_is_not_spoken_to() {
    let files = Files::new("other.example.com");
    let server = Transport::bind(files.config()).unwrap();
    let mut client = Transport::bind(files.config()).unwrap();
    let to = named(server.listening()[0].1, "sip.example.com");
    let connection = client.send(transmit(1, &to)).unwrap();
    let expected = TransportEvent::Closed {
        connection,
        reason: NotSent::Tls,
        unsent: vec![TransmitId(1)],
    };
    assert_eq!(next(&mut client).await, expected);
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let files = Files::new("mine.example.com");
    let server = Transport::bind(files.config()).unwrap();
    let mut client = Transport::bind(config()).unwrap();
    let to = named(server.listening()[0].1, "mine.example.com");
    client.send(transmit(1, &to)).unwrap();
    assert!(matches!(
        next(&mut client).await,
        TransportEvent::Closed {
            reason: NotSent::Tls,
            ..
        }
    ));
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_blocks_no_other() {
    let files = Files::new("slow.example.com");
    let mut server = Transport::bind(files.config()).unwrap();
    let mut silent = TcpStream::connect(server.listening()[0].1).await.unwrap();
    let mut client = Transport::bind(files.config()).unwrap();
    client
        .send(transmit(
            1,
            &named(server.listening()[0].1, "slow.example.com"),
        ))
        .unwrap();
    packet(next(&mut server).await);
    let mut nothing = [0; 1];
    let closed = timeout(Duration::from_secs(2), silent.read(&mut nothing))
        .await
        .unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
}

#[test]
fn a_missing_certificate_is_named_in_the_error() {
    let certificate = Some(CertificateFiles {
        chain: "/nowhere/a.pem".into(),
        key: "/nowhere/b.pem".into(),
    });
    let listener = Listener {
        certificate,
        ..listener(Protocol::Tls)
    };
    let error = crate::shell::tls::acceptor(&listener).err().unwrap();
    assert!(error.to_string().contains("/nowhere/a.pem"));
}

/// A server that wants to see who comes: it trusts `clients` alone.
fn asking(files: &Files, clients: &Files) -> TransportConfig {
    let mut config = files.config();
    config.streams[0].client_authorities = Some(clients.chain());
    config
}

#[tokio::test]
async fn a_client_shows_the_certificate_of_its_profile() {
    let (files, ours) = (Files::new("asks.example.com"), Files::new("gw.example.com"));
    let mut server = Transport::bind(asking(&files, &ours)).unwrap();
    let shown = Dial {
        certificate: ours.own(),
        ..files.dial()
    };
    let dials = vec![files.dial(), shown];
    let mut client = Transport::bind(TransportConfig { dials, ..config() }).unwrap();
    let usual = named(server.listening()[0].1, "asks.example.com");
    let shown = Hop {
        profile: Profile(1),
        ..usual.clone()
    };
    let without = client.send(transmit(1, &usual)).unwrap();
    assert!(matches!(
        next(&mut client).await,
        TransportEvent::Closed { connection, .. } if connection == without
    ));
    let with = client.send(transmit(2, &shown)).unwrap();
    assert_ne!(with, without);
    // Whom it is of is told before anything that comes by it.
    let TransportEvent::Certified {
        connection,
        domains,
    } = next(&mut server).await
    else {
        panic!("no certificate was told of");
    };
    assert_eq!(domains, ["gw.example.com"]);
    let (flow, bytes) = packet(next(&mut server).await);
    assert_eq!(bytes, ONE.as_bytes());
    assert!(matches!(flow, Flow::Stream { connection: it, .. } if it == connection));
}

#[tokio::test]
async fn connections_of_different_profiles_are_not_shared() {
    let files = Files::new("two.example.com");
    let mut server = Transport::bind(files.config()).unwrap();
    let dials = vec![files.dial(), files.dial()];
    let mut client = Transport::bind(TransportConfig { dials, ..config() }).unwrap();
    let one = named(server.listening()[0].1, "two.example.com");
    let other = Hop {
        profile: Profile(1),
        ..one.clone()
    };
    let used = [&one, &one, &other].map(|hop| client.send(transmit(1, hop)).unwrap());
    assert_eq!(used[0], used[1]);
    assert_ne!(used[0], used[2]);
    for _ in 0..3 {
        packet(next(&mut server).await);
    }
}

#[tokio::test]
async fn a_client_of_another_authority_is_not_let_in() {
    let (files, ours) = (
        Files::new("strict.example.com"),
        Files::new("known.example.com"),
    );
    let other = Files::new("other.example.net");
    let server = Transport::bind(asking(&files, &ours)).unwrap();
    let dials = vec![Dial {
        certificate: other.own(),
        ..files.dial()
    }];
    let mut client = Transport::bind(TransportConfig { dials, ..config() }).unwrap();
    client.send(transmit(
        1,
        &named(server.listening()[0].1, "strict.example.com"),
    ));
    assert!(matches!(
        next(&mut client).await,
        TransportEvent::Closed { .. }
    ));
}
