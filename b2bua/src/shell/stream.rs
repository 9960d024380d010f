//! Streams: each connection lives in one task that reads and writes side by side.
//!
//! A connection reports `Opened` before its first `Packet` and `Closed` as its last; requests it
//! never began to write are named there, so the core knows what is surely undelivered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::tls;
use super::transport::{Drops, Limits, TransportConfig};
use crate::sip::endpoint::Admission;
use crate::sip::hop::{ConnectionId, Flow, NotSent, Profile, TransmitId, Transport};

mod carry;
mod complaint;
mod connect;
mod gate;
mod listen;
mod watched;
mod websocket;

pub(super) use connect::{open, resolve_name};
pub(super) use listen::listen;

use complaint::Complaints;
use gate::{Gate, Permit};

/// Bytes for one connection.
pub(super) struct Outgoing {
    pub(super) id: Option<TransmitId>,
    pub(super) bytes: Bytes,
}

/// What tasks tell the transport.
pub(super) enum Report {
    /// An inbound connection is there; outbound ones are known before they open.
    Opened {
        connection: ConnectionId,
        sender: mpsc::Sender<Outgoing>,
        /// The domains its verified certificate speaks for.
        domains: Vec<String>,
    },
    /// A whole message.
    Packet { flow: Flow, bytes: Bytes },
    /// The answer to a keep-alive of ours.
    Pong { flow: Flow },
    /// The connection is gone.
    Closed {
        connection: ConnectionId,
        reason: NotSent,
        unsent: Vec<TransmitId>,
    },
    /// A name was looked up.
    Resolved {
        host: Box<str>,
        address: Option<std::net::IpAddr>,
    },
}

/// What every task needs.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) drops: Drops,
    admission: Admission,
    gate: Arc<Gate>,
    /// Where datagrams leave from.
    datagrams: Vec<SocketAddr>,
    /// By profile.
    connectors: Vec<(TlsConnector, String)>,
    complaints: Complaints,
    reports: mpsc::Sender<Report>,
    next_id: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        config: &TransportConfig,
        reports: mpsc::Sender<Report>,
    ) -> anyhow::Result<Arc<Self>> {
        let connectors = config.dials.iter();
        let connectors = connectors.map(|dial| Ok((tls::connector(dial)?, dial.path.clone())));
        Ok(Arc::new(Self {
            limits: config.limits.clone(),
            drops: Drops::default(),
            admission: config.admission.clone(),
            gate: Gate::new(
                config.limits.connections,
                config.limits.connections_per_source,
            ),
            datagrams: config.udp.clone(),
            connectors: connectors.collect::<anyhow::Result<_>>()?,
            complaints: Complaints::default(),
            reports,
            next_id: AtomicU64::new(1),
        }))
    }

    fn new_id(&self) -> ConnectionId {
        ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// How TLS is begun, and the path of a WebSocket.
    fn connector(&self, profile: Profile) -> Option<&(TlsConnector, String)> {
        self.connectors.get(usize::from(profile.0))
    }

    /// Says once what is wrong with `peer`.
    fn complain(&self, peer: &str, reason: &str) {
        match self.complaints.is_new(peer, reason) {
            true => tracing::warn!(peer, reason, "no connection"),
            false => tracing::debug!(peer, reason, "no connection"),
        }
    }

    /// A connection failed. Servers of TLS 1.3 refuse a client's certificate only so.
    fn broken(&self, flow: Flow, error: &std::io::Error) {
        if tls::reason::is_tls(error) {
            self.complain(&flow.peer().to_string(), &tls::reason::of_server(error));
        }
    }

    /// Waits while the core has too much to read: the stream's window then fills up.
    async fn report(&self, report: Report) {
        // Without a receiver the process is ending.
        let _ = self.reports.send(report).await;
    }
}

/// A connection that stands.
struct Established {
    connection: ConnectionId,
    transport: Transport,
    peer: SocketAddr,
    outgoing: mpsc::Receiver<Outgoing>,
    /// For the answers to keep-alives, which the reader writes.
    own: mpsc::WeakSender<Outgoing>,
    permit: Permit,
}

impl Established {
    async fn run<S: AsyncRead + AsyncWrite + Send + Unpin>(mut self, stream: S, shared: &Shared) {
        let (flow, first) = (self.flow(), self.first(shared));
        carry::carry(stream, (flow, first), &mut self.outgoing, &self.own, shared).await;
        self.close(NotSent::Closed, shared).await;
    }

    async fn run_websocket<S: AsyncRead + AsyncWrite + Send + Unpin>(
        mut self,
        socket: websocket::Socket<S>,
        shared: &Shared,
    ) {
        let (flow, first) = (self.flow(), self.first(shared));
        socket
            .carry((flow, first), &mut self.outgoing, &self.own, shared)
            .await;
        self.close(NotSent::Closed, shared).await;
    }

    fn flow(&self) -> Flow {
        Flow::Stream {
            connection: self.connection,
            transport: self.transport,
            peer: self.peer,
        }
    }

    /// Until when a peer that came to us has to say something whole.
    fn first(&self, shared: &Shared) -> Option<Instant> {
        let inbound = self.permit.is_inbound();
        inbound.then(|| now() + shared.limits.first)
    }

    async fn close(self, reason: NotSent, shared: &Shared) {
        close(self.connection, reason, self.outgoing, shared).await;
        drop(self.permit);
    }
}

/// Reports the end of a connection and what it never began to write.
async fn close(
    connection: ConnectionId,
    reason: NotSent,
    mut outgoing: mpsc::Receiver<Outgoing>,
    shared: &Shared,
) {
    outgoing.close();
    let mut unsent = Vec::new();
    while let Some(waiting) = outgoing.recv().await {
        unsent.extend(waiting.id);
    }
    shared
        .report(Report::Closed {
            connection,
            reason,
            unsent,
        })
        .await;
}

/// The clock of the sockets.
pub(super) fn now() -> Instant {
    Instant::now()
}
