//! Accepting connections.
//!
//! The accept loop does nothing but accept: handshakes run in the connections' own tasks, so a
//! silent client holds up nobody; an error of accept is waited out, never spun upon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::gate::Class;
use super::{Established, Permit, Report, Shared, websocket};
use crate::shell::tls;
use crate::shell::transport::{Drops, Listener};
use crate::sip::hop::Transport;

/// Starts a listener. Returns the bound address.
pub(in crate::shell) fn listen(
    listener: &Listener,
    shared: &Arc<Shared>,
) -> anyhow::Result<SocketAddr> {
    let (address, transport) = (listener.address, listener.transport);
    let asks_for_certificates = listener.client_authorities.is_some();
    let tls = match transport {
        Transport::Tls | Transport::Wss => Some(tls::acceptor(listener)?),
        Transport::Udp | Transport::Tcp | Transport::Ws => None,
    };
    let listener = bind(address).with_context(|| format!("cannot listen on {address} over TCP"))?;
    let local = listener.local_addr()?;
    let asks = asks_for_certificates;
    let spoken = Spoken {
        transport,
        tls,
        asks,
    };
    tokio::spawn(accept(listener, spoken, Arc::clone(shared)));
    Ok(local)
}

/// What is spoken with those who connect.
#[derive(Clone)]
struct Spoken {
    transport: Transport,
    tls: Option<TlsAcceptor>,
    /// Whether clients must show a certificate.
    asks: bool,
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, spoken: Spoken, shared: Arc<Shared>) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let source = peer.ip().to_canonical();
        let class = Class::of(source, spoken.asks, &shared.admission);
        match class.and_then(|class| shared.gate.enter(source, class)) {
            Some(permit) => {
                tokio::spawn(serve(
                    stream,
                    peer,
                    spoken.clone(),
                    permit,
                    Arc::clone(&shared),
                ));
            }
            None => Drops::count(&shared.drops.connections),
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    spoken: Spoken,
    permit: Permit,
    shared: Arc<Shared>,
) {
    // Requests are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let connection = shared.new_id();
    let (sender, outgoing) = mpsc::channel(shared.limits.queue.max(1));
    let established = Established {
        connection,
        transport: spoken.transport,
        peer,
        outgoing,
        own: sender.downgrade(),
        permit,
    };
    let opened = |domains| Report::Opened {
        connection,
        sender,
        domains,
    };
    let Some(tls) = spoken.tls else {
        return run(established, stream, opened(Vec::new()), &shared).await;
    };
    if let Some(stream) = secure(stream, peer, &tls, &shared).await {
        let opened = opened(domains(&stream));
        run(established, stream, opened, &shared).await;
    }
}

/// Tells that the connection is there, as soon as it is one of the transport, and serves it.
async fn run<S: AsyncRead + AsyncWrite + Send + Unpin>(
    established: Established,
    stream: S,
    opened: Report,
    shared: &Shared,
) {
    match established.transport {
        Transport::Udp | Transport::Tcp | Transport::Tls => {
            shared.report(opened).await;
            established.run(stream, shared).await;
        }
        Transport::Ws | Transport::Wss => {
            match timeout(shared.limits.handshake, websocket::accept(stream)).await {
                Ok(Ok(socket)) => {
                    shared.report(opened).await;
                    established.run_websocket(socket, shared).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, peer = %established.peer, "no WebSocket with a client");
                }
                Err(_) => Drops::count(&shared.drops.slow),
            }
        }
    }
}

/// The domains that the certificate of a client, verified by now, speaks for.
fn domains(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().unwrap_or_default();
    chain
        .first()
        .map_or_else(Vec::new, |it| tls::identity::domains(it))
}

/// Shakes hands as the server; says why when that fails.
async fn secure(
    stream: TcpStream,
    peer: SocketAddr,
    tls: &TlsAcceptor,
    shared: &Shared,
) -> Option<TlsStream<TcpStream>> {
    let known_as = peer.ip().to_canonical().to_string();
    match timeout(shared.limits.handshake, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            shared.complaints.forget(&known_as);
            return Some(stream);
        }
        Ok(Err(error)) if tls::reason::is_tls(&error) => {
            shared.complain(&known_as, &tls::reason::of_client(&error));
        }
        Ok(Err(_)) => {}
        Err(_) => Drops::count(&shared.drops.slow),
    }
    None
}

const BACKLOG: i32 = 1024;
const AFTER_ERROR: Duration = Duration::from_millis(100);
