//! The SIP sockets (RFC 3261 §18): UDP, TCP and TLS, inbound and outbound.
//!
//! Every queue is bounded, and nothing here waits for one peer on behalf of another. UDP is read
//! and written by the caller's own task, in batches; each stream has a task of its own.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::stream::{self, Outgoing, Report, Shared};
use super::udp::{Datagram, Udp};
use crate::sip::endpoint::Endpoint;
use crate::sip::hop::{
    ConnectionId, Flow, Hop, NotSent, Target, Transmit, TransmitId, Transport as Protocol,
};
use crate::sip::uri::Host;

mod config;
mod names;

pub use config::{CertificateFiles, Dial, Drops, Limits, Listener, TransportConfig};

use names::Names;

/// What the sockets report.
#[derive(Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// One datagram, or one message of a stream: for `Endpoint::handle_packet`.
    Packet {
        /// Where it came in.
        flow: Flow,
        /// All of it.
        bytes: Bytes,
    },
    /// For `Core::handle_sip_certified`.
    Certified {
        /// A connection that was accepted.
        connection: ConnectionId,
        /// The domains its certificate speaks for.
        domains: Vec<String>,
    },
    /// The answer to a keep-alive of ours on a stream.
    Pong {
        /// Where it came in.
        flow: Flow,
    },
    /// For `Endpoint::handle_send_failed`.
    SendFailed {
        /// The request nothing was written of.
        id: TransmitId,
        /// Why.
        reason: NotSent,
    },
    /// For `Endpoint::handle_closed`.
    Closed {
        /// The connection that is gone.
        connection: ConnectionId,
        /// Why it never came to be, or [`NotSent::Closed`].
        reason: NotSent,
        /// The requests that were never written.
        unsent: Vec<TransmitId>,
    },
}

/// The length of a packet, never its bytes: they hold addresses and bodies.
impl std::fmt::Debug for TransportEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packet { flow, bytes } => write!(f, "Packet({flow:?}, {} bytes)", bytes.len()),
            Self::Certified {
                connection,
                domains,
            } => write!(f, "Certified({connection:?}, {} domains)", domains.len()),
            Self::Pong { flow } => write!(f, "Pong({flow:?})"),
            Self::SendFailed { id, reason } => write!(f, "SendFailed({id:?}, {reason:?})"),
            Self::Closed {
                connection,
                reason,
                unsent,
            } => {
                write!(
                    f,
                    "Closed({connection:?}, {reason:?}, {} unsent)",
                    unsent.len()
                )
            }
        }
    }
}

/// All sockets of the b2bua.
pub struct Transport {
    udp: Vec<Udp>,
    names: Names,
    connections: HashMap<ConnectionId, mpsc::Sender<Outgoing>>,
    by_hop: HashMap<Hop, ConnectionId>,
    hops: HashMap<ConnectionId, Hop>,
    reports: mpsc::Receiver<Report>,
    /// Events that arose while sending.
    early: VecDeque<TransportEvent>,
    shared: Arc<Shared>,
    listening: Vec<(Protocol, SocketAddr)>,
}

impl Transport {
    /// Binds every socket and starts every listener. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be bound or a certificate cannot be read; the error says which.
    pub fn bind(config: TransportConfig) -> anyhow::Result<Self> {
        let (sender, reports) = mpsc::channel(config.limits.received.max(1));
        let shared = Shared::new(&config, sender)?;
        let mut listening = Vec::new();
        let udp: Vec<Udp> = config
            .udp
            .iter()
            .map(|&address| Udp::bind(address, config.limits.queue, &shared))
            .collect::<Result<_, _>>()?;
        for socket in &udp {
            listening.push((Protocol::Udp, socket.local()));
        }
        for listener in &config.streams {
            listening.push((listener.transport, stream::listen(listener, &shared)?));
        }
        Ok(Self {
            udp,
            names: Names::new(config.limits.queue, config.limits.name),
            connections: HashMap::new(),
            by_hop: HashMap::new(),
            hops: HashMap::new(),
            reports,
            early: VecDeque::new(),
            shared,
            listening,
        })
    }

    /// Where we listen, with the ports the system chose where 0 was asked for.
    pub fn listening(&self) -> &[(Protocol, SocketAddr)] {
        &self.listening
    }

    /// What was dropped so far.
    pub fn drops(&self) -> &Drops {
        &self.shared.drops
    }

    /// Sends all an endpoint has to send.
    pub fn send_all(&mut self, endpoint: &mut Endpoint) {
        while let Some(transmit) = endpoint.poll_transmit() {
            let id = transmit.id;
            if let (Some(connection), Some(id)) = (self.send(transmit), id) {
                endpoint.handle_bound(id, connection);
            }
        }
        self.flush();
    }

    /// Sends, or queues to send, without waiting. Returns the connection a stream request was
    /// given to, for `Endpoint::handle_bound`. Datagrams leave with [`Transport::flush`].
    pub fn send(&mut self, transmit: Transmit) -> Option<ConnectionId> {
        let Transmit { id, target, bytes } = transmit;
        match target {
            Target::Flow {
                flow: Flow::Udp { socket, peer },
                ..
            } => {
                if let Some(socket) = self.udp.get_mut(usize::from(socket)) {
                    socket.push(Datagram { id, peer, bytes });
                }
                None
            }
            Target::Flow {
                flow: Flow::Stream { connection, .. },
                fallback,
            } => {
                if let Err(bytes) = self.send_on(connection, id, bytes)
                    && fallback.is_none_or(|hop| self.send_to(hop, id, bytes).is_none())
                {
                    Drops::count(&self.shared.drops.responses);
                }
                None
            }
            Target::Hop(hop) if hop.transport == Protocol::Udp => {
                self.send_datagram(&hop, id, bytes);
                None
            }
            Target::Hop(hop) => {
                let connection = self.send_to(hop, id, bytes);
                if let (None, Some(id)) = (connection, id) {
                    self.early.push_back(TransportEvent::SendFailed {
                        id,
                        reason: NotSent::Closed,
                    });
                }
                connection
            }
        }
    }

    /// Ends a connection; its [`TransportEvent::Closed`] follows. Nothing is sent on it any more.
    pub fn close(&mut self, connection: ConnectionId) {
        // Without a sender its task has nothing left to do.
        self.connections.remove(&connection);
        if let Some(hop) = self.hops.remove(&connection)
            && self.by_hop.get(&hop) == Some(&connection)
        {
            self.by_hop.remove(&hop);
        }
    }

    /// Hands queued datagrams to the network, 64 with one system call.
    pub fn flush(&mut self) {
        for socket in &mut self.udp {
            socket.flush(&mut self.early);
        }
    }

    /// Waits for something to happen and appends up to `max` events. Cancel-safe. Flushes.
    pub async fn recv_many(&mut self, events: &mut Vec<TransportEvent>, max: usize) {
        self.flush();
        poll_fn(|cx| self.poll_events(cx, events, max)).await;
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<TransportEvent>,
        max: usize,
    ) -> Poll<()> {
        let end = events.len() + max.max(1);
        let before = events.len();
        // What became of our own requests, and streams, come before datagrams: a flood of those
        // must not hold them up. Streams have at most half a round, so neither do they.
        while events.len() < end
            && let Some(event) = self.early.pop_front()
        {
            events.push(event);
        }
        let half = before + (end - before).div_ceil(2);
        while events.len() < half {
            match self.reports.poll_recv(cx) {
                Poll::Ready(Some(report)) => events.extend(self.handle(report)),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        for (index, socket) in (0..).zip(&mut self.udp) {
            socket.poll(cx, index, events, end, &mut self.early);
        }
        if events.len() == before
            && let Some(event) = self.early.pop_front()
        {
            events.push(event);
        }
        match events.len() > before {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn handle(&mut self, report: Report) -> Option<TransportEvent> {
        match report {
            Report::Opened {
                connection,
                sender,
                domains,
            } => {
                self.connections.insert(connection, sender);
                (!domains.is_empty()).then_some(TransportEvent::Certified {
                    connection,
                    domains,
                })
            }
            Report::Packet { flow, bytes } => Some(TransportEvent::Packet { flow, bytes }),
            Report::Pong { flow } => Some(TransportEvent::Pong { flow }),
            Report::Closed {
                connection,
                reason,
                unsent,
            } => {
                self.close(connection);
                Some(TransportEvent::Closed {
                    connection,
                    reason,
                    unsent,
                })
            }
            Report::Resolved { host, address } => {
                for (id, port, bytes) in self.names.resolved(&host, address, stream::now()) {
                    match address {
                        Some(address) => {
                            self.push_datagram(SocketAddr::new(address, port), id, bytes)
                        }
                        None => self.fail(id, NotSent::Resolve),
                    }
                }
                self.flush();
                None
            }
        }
    }

    fn send_datagram(&mut self, hop: &Hop, id: Option<TransmitId>, bytes: Bytes) {
        let name = match &hop.host {
            Host::Ip(address) => {
                return self.push_datagram(SocketAddr::new(*address, hop.port), id, bytes);
            }
            Host::Name(name) => name,
        };
        match self.names.find(name, stream::now()) {
            names::Found::Address(address, refresh) => {
                if refresh {
                    stream::resolve_name(name.clone(), &self.shared);
                }
                self.push_datagram(SocketAddr::new(address, hop.port), id, bytes);
            }
            names::Found::Nothing { ask } => {
                if ask {
                    stream::resolve_name(name.clone(), &self.shared);
                }
                if !self.names.wait(name, id, hop.port, bytes) {
                    self.fail(id, NotSent::Closed);
                }
            }
        }
    }

    fn push_datagram(&mut self, peer: SocketAddr, id: Option<TransmitId>, bytes: Bytes) {
        let socket = self
            .udp
            .iter_mut()
            .find(|socket| socket.local().is_ipv4() == peer.is_ipv4());
        match socket {
            Some(socket) => socket.push(Datagram { id, peer, bytes }),
            None => self.fail(id, NotSent::Unreachable),
        }
    }

    fn fail(&mut self, id: Option<TransmitId>, reason: NotSent) {
        self.early
            .extend(id.map(|id| TransportEvent::SendFailed { id, reason }));
    }

    /// Gives bytes to the connection for this hop, opening it if need be.
    fn send_to(&mut self, hop: Hop, id: Option<TransmitId>, bytes: Bytes) -> Option<ConnectionId> {
        let mut bytes = bytes;
        if let Some(&connection) = self.by_hop.get(&hop) {
            match self.send_on(connection, id, bytes) {
                Ok(()) => return Some(connection),
                Err(back) => bytes = back,
            }
            // Full: the peer takes less than we send. Closed: its report is on the way.
            if self
                .connections
                .get(&connection)
                .is_some_and(|sender| !sender.is_closed())
            {
                return None;
            }
        }
        let (connection, sender) = stream::open(hop.clone(), &self.shared)?;
        self.connections.insert(connection, sender);
        self.by_hop.insert(hop.clone(), connection);
        self.hops.insert(connection, hop);
        self.send_on(connection, id, bytes)
            .ok()
            .map(|()| connection)
    }

    fn send_on(
        &self,
        connection: ConnectionId,
        id: Option<TransmitId>,
        bytes: Bytes,
    ) -> Result<(), Bytes> {
        let Some(sender) = self.connections.get(&connection) else {
            return Err(bytes);
        };
        sender
            .try_send(Outgoing { id, bytes })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(outgoing)
                | mpsc::error::TrySendError::Closed(outgoing) => outgoing.bytes,
            })
    }
}

#[cfg(test)]
mod tests;
