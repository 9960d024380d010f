//! Accepting connections.
//!
//! The accept loop does nothing but accept: handshakes run in the connections' own tasks, so a
//! silent client holds up nobody; an error of accept is waited out, never spun upon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{Established, Permit, Report, Shared};
use crate::shell::transport::Drops;
use crate::sip::hop::Transport;

/// Listens on `address`, over TLS where there is an acceptor. Returns the bound address.
pub(in crate::shell) fn listen(
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: &Arc<Shared>,
) -> anyhow::Result<SocketAddr> {
    let listener = bind(address).with_context(|| format!("cannot listen on {address} over TCP"))?;
    let local = listener.local_addr()?;
    tokio::spawn(accept(listener, tls, Arc::clone(shared)));
    Ok(local)
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

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
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
        let permit = match shared.admission.admits(source) {
            true => shared.gate.enter(Some(source)),
            false => None,
        };
        match permit {
            Some(permit) => {
                tokio::spawn(serve(
                    stream,
                    peer,
                    tls.clone(),
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
    tls: Option<TlsAcceptor>,
    permit: Permit,
    shared: Arc<Shared>,
) {
    // Requests are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let connection = shared.new_id();
    let (sender, outgoing) = mpsc::channel(shared.limits.queue.max(1));
    let own = sender.downgrade();
    let Some(tls) = tls else {
        shared.report(Report::Opened { connection, sender }).await;
        let transport = Transport::Tcp;
        let established = Established {
            stream,
            connection,
            transport,
            peer,
            outgoing,
            own,
            permit,
        };
        return established.run(&shared).await;
    };
    let Ok(Ok(stream)) = timeout(shared.limits.handshake, tls.accept(stream)).await else {
        Drops::count(&shared.drops.slow);
        return;
    };
    shared.report(Report::Opened { connection, sender }).await;
    let transport = Transport::Tls;
    let established = Established {
        stream,
        connection,
        transport,
        peer,
        outgoing,
        own,
        permit,
    };
    established.run(&shared).await;
}

const BACKLOG: i32 = 1024;
const AFTER_ERROR: Duration = Duration::from_millis(100);
