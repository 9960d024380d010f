//! Opening connections: name, address, handshake, each with its own time limit.
//!
//! Until the connection stands, nothing is written; whatever fails here is surely undelivered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::{Established, Outgoing, Permit, Report, Shared, close, websocket};
use crate::shell::tls;
use crate::sip::hop::{ConnectionId, Hop, NotSent, Transport};
use crate::sip::uri::Host;

/// Begins to open a connection to `hop`; bytes may be queued at once. `None` when there are too
/// many connections.
pub(in crate::shell) fn open(
    hop: Hop,
    shared: &Arc<Shared>,
) -> Option<(ConnectionId, mpsc::Sender<Outgoing>)> {
    let permit = shared.gate.open()?;
    let connection = shared.new_id();
    let (sender, outgoing) = mpsc::channel(shared.limits.queue.max(1));
    let own = sender.downgrade();
    tokio::spawn(run(
        hop,
        connection,
        outgoing,
        own,
        permit,
        Arc::clone(shared),
    ));
    Some((connection, sender))
}

/// Looks a name up for UDP; the answer comes as a report.
pub(in crate::shell) fn resolve_name(host: Box<str>, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let found = timeout(shared.limits.connect, resolve(&Host::Name(host.clone()), 0)).await;
        let address = reachable(&found.unwrap_or_default(), &shared.datagrams);
        shared.report(Report::Resolved { host, address }).await;
    });
}

/// The best address to which one of our sockets can send, or else the best of all.
fn reachable(addresses: &[SocketAddr], sockets: &[SocketAddr]) -> Option<IpAddr> {
    let mut candidates = addresses.iter();
    let fits = |address: &&SocketAddr| {
        let mut sockets = sockets.iter();
        sockets.any(|socket| socket.is_ipv4() == address.is_ipv4())
    };
    let fitting = candidates.find(fits);
    fitting.or(addresses.first()).map(SocketAddr::ip)
}

/// The addresses of a host, best first; none when there are none. The one place where names are
/// resolved.
async fn resolve(host: &Host, port: u16) -> Vec<SocketAddr> {
    match host {
        Host::Ip(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => match tokio::net::lookup_host((name.as_ref(), port)).await {
            Ok(addresses) => addresses
                .map(|address| (canonical(address.ip()), port).into())
                .collect(),
            Err(_) => Vec::new(),
        },
    }
}

async fn run(
    hop: Hop,
    connection: ConnectionId,
    outgoing: mpsc::Receiver<Outgoing>,
    own: mpsc::WeakSender<Outgoing>,
    permit: Permit,
    shared: Arc<Shared>,
) {
    let (stream, peer) = match connect(&hop, &shared).await {
        Ok(connected) => connected,
        Err(reason) => return close(connection, reason, outgoing, &shared).await,
    };
    let established = Established {
        connection,
        transport: hop.transport,
        peer,
        outgoing,
        own,
        permit,
    };
    match hop.transport {
        Transport::Udp | Transport::Tcp => established.run(stream, &shared).await,
        Transport::Ws => run_websocket(established, &hop, stream, &shared).await,
        Transport::Tls | Transport::Wss => match secure(&hop, stream, peer, &shared).await {
            Some(stream) if hop.transport == Transport::Wss => {
                run_websocket(established, &hop, stream, &shared).await;
            }
            Some(stream) => established.run(stream, &shared).await,
            None => established.close(NotSent::Tls, &shared).await,
        },
    }
}

/// Asks for a WebSocket; says why when there is none.
async fn run_websocket<S: AsyncRead + AsyncWrite + Send + Unpin>(
    established: Established,
    hop: &Hop,
    stream: S,
    shared: &Shared,
) {
    let known_as = format!("WebSocket of {}", established.peer);
    let path = shared
        .connector(hop.profile)
        .map_or("/", |(_, path)| path.as_str());
    let invited = timeout(
        shared.limits.handshake,
        websocket::invite(stream, hop, path),
    );
    let why = match invited.await {
        Ok(Ok(socket)) => {
            shared.complaints.forget(&known_as);
            return established.run_websocket(socket, shared).await;
        }
        Ok(Err(why)) => why,
        Err(_) => "it does not answer in time".to_owned(),
    };
    shared.complain(&known_as, &why);
    established.close(NotSent::Connect, shared).await;
}

/// Shakes hands as the client; says why when that fails.
async fn secure(
    hop: &Hop,
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
) -> Option<TlsStream<TcpStream>> {
    let name = tls::server_name(hop)?;
    let known_as = format!("{} at {peer}", name.to_str());
    let connecting = shared.connector(hop.profile)?.0.connect(name, stream);
    match timeout(shared.limits.handshake, connecting).await {
        Ok(Ok(stream)) => {
            shared.complaints.forget(&known_as);
            return Some(stream);
        }
        Ok(Err(error)) => shared.complain(&known_as, &tls::reason::of_server(&error)),
        Err(_) => shared.complain(&known_as, "it does not speak TLS, or not in time"),
    }
    None
}

/// Tries every address in turn, each with its share of the time for one connection.
async fn connect(hop: &Hop, shared: &Shared) -> Result<(TcpStream, SocketAddr), NotSent> {
    let limit = shared.limits.connect;
    let Ok(addresses) = timeout(limit, resolve(&hop.host, hop.port)).await else {
        return Err(NotSent::Resolve);
    };
    if addresses.is_empty() {
        return Err(NotSent::Resolve);
    }
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for peer in addresses {
        if let Ok(Ok(stream)) = timeout(share, TcpStream::connect(peer)).await {
            let _ = stream.set_nodelay(true);
            return Ok((stream, peer));
        }
    }
    Err(NotSent::Connect)
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_family_we_send_from_is_taken() {
        let all: Vec<SocketAddr> = ["[2001:db8::1]:0", "192.0.2.1:0", "192.0.2.2:0"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let chosen = |sockets: &[&str]| {
            let sockets: Vec<SocketAddr> = sockets.iter().map(|it| it.parse().unwrap()).collect();
            reachable(&all, &sockets).map(|ip| ip.to_string())
        };
        assert_eq!(chosen(&["0.0.0.0:5060"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(chosen(&["[::]:5060"]).as_deref(), Some("2001:db8::1"));
        let both = chosen(&["0.0.0.0:5060", "[::]:5060"]);
        assert_eq!(both.as_deref(), Some("2001:db8::1"));
        assert_eq!(chosen(&[]).as_deref(), Some("2001:db8::1"));
        assert_eq!(reachable(&[], &all), None);
    }
}
