//! The SIP sockets (RFC 3261 §18): UDP, TCP and TLS, inbound and outbound.
//!
//! Every queue is bounded. Nothing here waits for one peer on behalf of another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use crate::sip::endpoint::Admission;
use crate::sip::hop::{ConnectionId, Flow, NotSent, TransmitId};

/// What to listen on and what to allow.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// UDP sockets; [`Flow::Udp`] counts them in this order.
    pub udp: Vec<SocketAddr>,
    /// TCP listeners.
    pub tcp: Vec<SocketAddr>,
    /// TLS listeners; they need `certificate`.
    pub tls: Vec<SocketAddr>,
    /// Our certificate chain and key, as PEM files.
    pub certificate: Option<CertificateFiles>,
    /// PEM file of the authorities we trust as a client; the common web authorities when absent.
    pub authorities: Option<PathBuf>,
    /// Who may connect to us, and whose datagrams are taken.
    pub admission: Admission,
    /// What is allowed to grow how far.
    pub limits: Limits,
}

/// Where certificate and key lie.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The chain, our own certificate first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Caps and patience of the sockets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most stream connections at once, both directions.
    pub connections: usize,
    /// Most inbound connections of one address.
    pub connections_per_source: usize,
    /// Most messages waiting to be written on one connection.
    pub queue: usize,
    /// Most received messages of all streams waiting for the core.
    pub received: usize,
    /// Longest wait for a TCP connection.
    pub connect: Duration,
    /// Longest TLS handshake, either direction.
    pub handshake: Duration,
    /// Longest wait for a peer to take what we write.
    pub write: Duration,
    /// A message begun must be complete within this.
    pub message: Duration,
    /// A connection without traffic is closed after this.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_source: 32,
            queue: 1024,
            received: 4096,
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            write: Duration::from_secs(5),
            message: Duration::from_secs(10),
            idle: Duration::from_secs(15 * 60),
        }
    }
}

/// What the sockets report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// One datagram, or one message of a stream: for `Endpoint::handle_packet`.
    Packet {
        /// Where it came in.
        flow: Flow,
        /// All of it.
        bytes: Bytes,
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
