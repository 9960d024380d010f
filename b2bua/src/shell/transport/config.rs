//! What the sockets are told at their start, and what they count.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::shell::tls;
use crate::sip::endpoint::Admission;
use crate::sip::hop::Transport;

/// What to listen on and what to allow.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// UDP sockets; [`Flow::Udp`](crate::sip::Flow::Udp) counts them in this order.
    pub udp: Vec<SocketAddr>,
    /// Listeners for streams.
    pub streams: Vec<Listener>,
    /// How we connect, as [`Profile`](crate::sip::hop::Profile) counts them; the first is the usual way.
    pub dials: Vec<Dial>,
    /// Who may connect to us.
    pub admission: Admission,
    /// What is allowed to grow how far.
    pub limits: Limits,
}

/// What a stream socket listens for.
#[derive(Debug, Clone)]
pub struct Listener {
    /// What is spoken there.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Our certificate chain and key; TLS needs them.
    pub certificate: Option<CertificateFiles>,
    /// PEM file of the authorities of which clients must show a certificate; they need none when
    /// absent. TLS only.
    pub client_authorities: Option<PathBuf>,
}

impl Listener {
    /// Reads its files, as listening would.
    ///
    /// # Errors
    /// Which file is wrong, and why; or that TLS lacks a certificate.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.transport.is_secure() {
            true => tls::acceptor(self).map(drop),
            false => Ok(()),
        }
    }
}

/// How we connect over TLS and WebSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dial {
    /// PEM file of the authorities we trust; the common web authorities when absent.
    pub authorities: Option<PathBuf>,
    /// What we show a server that asks who we are.
    pub certificate: Option<CertificateFiles>,
    /// The path that a WebSocket is asked for, from its slash on.
    pub path: String,
}

impl Dial {
    /// Reads its files, as connecting would.
    ///
    /// # Errors
    /// Which file is wrong, and why.
    pub fn check(&self) -> anyhow::Result<()> {
        tls::connector(self).map(drop)
    }
}

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Most messages waiting: to be written on one connection, for the address of one name, or to
    /// be sent on a UDP socket that is busy.
    pub queue: usize,
    /// Most received messages of all streams waiting for the core.
    pub received: usize,
    /// Longest wait for a name and a TCP connection.
    pub connect: Duration,
    /// Longest TLS handshake, either direction.
    pub handshake: Duration,
    /// Longest wait for a peer to take what we write.
    pub write: Duration,
    /// A message begun must be complete within this.
    pub message: Duration,
    /// Whoever connects to us and has said nothing whole within this is closed.
    pub first: Duration,
    /// A connection without traffic is closed after this.
    pub idle: Duration,
    /// How long the address of a name is believed.
    pub name: Duration,
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
            first: Duration::from_secs(30),
            idle: Duration::from_secs(15 * 60),
            name: Duration::from_secs(60),
        }
    }
}

/// Counts since the start, of what nobody else sees.
#[derive(Debug, Default)]
pub struct Drops {
    /// Datagrams not sent: the socket stayed busy, or the network refused them.
    pub datagrams: AtomicU64,
    /// Responses not sent: their connection was gone or its queue full.
    pub responses: AtomicU64,
    /// Inbound connections closed at once: unknown source, or too many.
    pub connections: AtomicU64,
    /// Connections closed for slowness: handshake, half a message, or a full window.
    pub slow: AtomicU64,
}

impl Drops {
    /// All of them by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        let Self {
            datagrams,
            responses,
            connections,
            slow,
        } = self;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("datagrams", count(datagrams)),
            ("responses", count(responses)),
            ("connections", count(connections)),
            ("slow", count(slow)),
        ]
    }

    pub(in crate::shell) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
