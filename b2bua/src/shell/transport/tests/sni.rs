//! Whose certificate is asked for: the server name in the first message of TLS (RFC 6066), from the next
//! hop as it is configured.

use std::time::Instant;

use tandem_shared::address::Address;
use tandem_shared::mint::Mint;
use tokio_rustls::LazyConfigAcceptor;

use super::tls::Files;
use super::*;
use crate::dns::{Answer, Dns, Located, Query, Records, Srv, Whose};
use crate::trunk::Trunk;
use crate::trunk::tests::trunk;

/// The hop a trunk leads to, where names lead to `address`.
fn hop_of(trunk: &Trunk, address: SocketAddr) -> Hop {
    let contact = Address::new("+15550001", "sip.example.com").unwrap();
    let place = trunk.place(&contact).unwrap();
    let (mut dns, mut mint) = (Dns::default(), Mint::new([4; 16]));
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    let now = Instant::now();
    for _ in 0..5 {
        if let Located::Hops(hops) = dns.locate(Whose::All, &place, &mut mint, now) {
            return hops[0].clone();
        }
        while let Some(query) = dns.poll_query() {
            let records = match &query {
                Query::Naptr(_) => Records::Naptr(Vec::new()),
                // What DNS leads to is nobody that was asked for (RFC 5922 §7.1).
                Query::Srv(_) => Records::Srv(vec![Srv {
                    priority: 1,
                    weight: 1,
                    port: address.port(),
                    target: "elsewhere.example.net".into(),
                }]),
                Query::Addresses(_) => Records::Addresses(vec![address.ip()]),
            };
            dns.handle_answer(query, Answer::Found(records, Duration::from_secs(60)), now);
        }
    }
    panic!("nothing is known of {place:?}");
}

/// The server name that whoever a trunk to `next_hop` connects to hears.
async fn heard(transport: Protocol, next_hop: &str, tls_name: Option<&str>) -> Option<String> {
    let server = TcpListener::bind(loopback()).await.unwrap();
    let address = server.local_addr().unwrap();
    let next_hop = next_hop.replace("PORT", &address.port().to_string());
    let trunk = Trunk {
        transport: Some(transport),
        tls_name: tls_name.map(Into::into),
        ..trunk("t", &["+*"], Some(&next_hop))
    };
    let files = Files::new("sni.example.com");
    let mut client = Transport::bind(files.config()).unwrap();
    client.send(transmit(1, &hop_of(&trunk, address))).unwrap();
    let accepted = timeout(Duration::from_secs(5), server.accept()).await;
    let (stream, _) = accepted.unwrap().unwrap();
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let hello = timeout(Duration::from_secs(5), hello).await;
    let hello = hello.unwrap().unwrap();
    hello.client_hello().server_name().map(str::to_owned)
}

#[tokio::test]
async fn the_server_hears_the_name_that_is_configured() {
    let provider = "provider.example.com";
    assert_eq!(
        heard(Protocol::Tls, provider, None).await.as_deref(),
        Some(provider)
    );
    for transport in [Protocol::Tls, Protocol::Wss] {
        let heard = |next_hop, tls_name| heard(transport, next_hop, tls_name);
        let named = heard("provider.example.com:PORT", None).await;
        assert_eq!(named.as_deref(), Some(provider));
        let other = heard("provider.example.com:PORT", Some("other.example.com")).await;
        assert_eq!(other.as_deref(), Some("other.example.com"));
        // An address is no name, but may have one.
        assert_eq!(heard("127.0.0.1:PORT", None).await, None, "{transport:?}");
        let named = heard("127.0.0.1:PORT", Some(provider)).await;
        assert_eq!(named.as_deref(), Some(provider));
    }
}
