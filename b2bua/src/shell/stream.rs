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

use super::transport::{Drops, Limits, TransportConfig};
use crate::sip::endpoint::Admission;
use crate::sip::hop::{ConnectionId, Flow, NotSent, TransmitId, Transport};

mod carry;
mod connect;
mod gate;
mod listen;

pub(super) use connect::{open, resolve_name};
pub(super) use listen::listen;

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
    connector: TlsConnector,
    reports: mpsc::Sender<Report>,
    next_id: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        config: &TransportConfig,
        connector: TlsConnector,
        reports: mpsc::Sender<Report>,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits: config.limits.clone(),
            drops: Drops::default(),
            admission: config.admission.clone(),
            gate: Gate::new(
                config.limits.connections,
                config.limits.connections_per_source,
            ),
            datagrams: config.udp.clone(),
            connector,
            reports,
            next_id: AtomicU64::new(1),
        })
    }

    fn new_id(&self) -> ConnectionId {
        ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits while the core has too much to read: the stream's window then fills up.
    async fn report(&self, report: Report) {
        // Without a receiver the process is ending.
        let _ = self.reports.send(report).await;
    }
}

/// A connection that stands.
struct Established<S> {
    stream: S,
    connection: ConnectionId,
    transport: Transport,
    peer: SocketAddr,
    outgoing: mpsc::Receiver<Outgoing>,
    /// For the answers to keep-alives, which the reader writes.
    own: mpsc::WeakSender<Outgoing>,
    permit: Permit,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Established<S> {
    async fn run(self, shared: &Shared) {
        let Self {
            stream,
            connection,
            transport,
            peer,
            mut outgoing,
            own,
            permit,
        } = self;
        let flow = Flow::Stream {
            connection,
            transport,
            peer,
        };
        carry::carry(stream, flow, &mut outgoing, &own, shared).await;
        close(connection, NotSent::Closed, outgoing, shared).await;
        drop(permit);
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
