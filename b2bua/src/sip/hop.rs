//! Where bytes go and where they came from: the words endpoint and sockets share.
//!
//! A [`Hop`] is a place to reach, a [`Flow`] a way that exists: answers take the flow of their
//! request (RFC 3261 §18.2.2, RFC 3581 §4).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::uri::Host;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// A WebSocket in the clear (RFC 7118).
    Ws,
    /// A WebSocket under TLS.
    Wss,
}

impl Transport {
    /// The name in a Via.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The parameter of a URI that asks for it, where it must be asked for (RFC 7118 §5.2).
    pub fn param(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws | Self::Wss => Some("ws"),
        }
    }

    /// Whether messages come as one run of bytes, and have to be cut out of it.
    pub fn is_run(self) -> bool {
        match self {
            Self::Tcp | Self::Tls => true,
            Self::Udp | Self::Ws | Self::Wss => false,
        }
    }

    /// Whether certificates are shown.
    pub fn is_secure(self) -> bool {
        match self {
            Self::Tls | Self::Wss => true,
            Self::Udp | Self::Tcp | Self::Ws => false,
        }
    }

    /// Whether it delivers by itself, so that nothing is sent twice (RFC 3261 §17.1.2.1).
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// 5060, or 5061 for TLS (RFC 3261 §19.1.2); those of the web for WebSocket (RFC 7118 §5.5).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// A next hop: what a request is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hop {
    /// A name to resolve, or an address.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// How to get there.
    pub transport: Transport,
    /// The name its certificate must bear (RFC 5922 §7), and that a WebSocket is asked for; `host` when
    /// absent. TLS and WebSocket only.
    pub server_name: Option<Box<str>>,
    /// How we show ourselves there and whom we trust. TLS and WebSocket only.
    pub profile: Profile,
}

/// One of the ways to connect that the configuration knows; the first is the usual one. Connections
/// of different ones are never shared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Profile(pub u16);

/// One stream connection; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Where a request or response came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Between one of our UDP sockets and a peer.
    Udp {
        /// Which of our sockets, in the order of the configuration.
        socket: u16,
        /// The other end.
        peer: SocketAddr,
    },
    /// On a stream.
    Stream {
        /// Which one.
        connection: ConnectionId,
        /// Any but [`Transport::Udp`].
        transport: Transport,
        /// The other end.
        peer: SocketAddr,
    },
}

impl Flow {
    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        match self {
            Self::Udp { peer, .. } | Self::Stream { peer, .. } => *peer,
        }
    }

    /// The other end's address, IPv4-mapped ones as IPv4.
    pub fn source(&self) -> IpAddr {
        self.peer().ip().to_canonical()
    }

    /// The transport.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Udp { .. } => Transport::Udp,
            Self::Stream { transport, .. } => *transport,
        }
    }
}

/// Where a transmit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A request: to be resolved and connected.
    Hop(Hop),
    /// A response, back the way of its request, or a request within a dialog that came that way.
    /// For a stream that is gone, `fallback` names the sender as RFC 3261 §18.2.2 finds it.
    Flow {
        /// The way the request came; for UDP with the port the answer goes to.
        flow: Flow,
        /// Where to connect when the stream is gone.
        fallback: Option<Hop>,
    },
}

impl Target {
    /// The transport that is used.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Hop(hop) => hop.transport,
            Self::Flow { flow, .. } => flow.transport(),
        }
    }

    /// The address at the other end, where it is known without asking for a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Hop(hop) => hop.host.ip(),
            Self::Flow { flow, .. } => Some(flow.source()),
        }
    }

    /// The stream that is used, if it is known already.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Flow {
                flow: Flow::Stream { connection, .. },
                ..
            } => Some(*connection),
            Self::Hop(_)
            | Self::Flow {
                flow: Flow::Udp { .. },
                ..
            } => None,
        }
    }
}

impl From<Hop> for Target {
    fn from(hop: Hop) -> Self {
        Self::Hop(hop)
    }
}

/// Names one client transaction to the sockets, so that they can say what became of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransmitId(pub u64);

/// Bytes to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Set for requests only.
    pub id: Option<TransmitId>,
    /// Where they go.
    pub target: Target,
    /// One whole request or response.
    pub bytes: Bytes,
}

/// The length of the bytes, never the bytes: they hold addresses and bodies.
impl std::fmt::Debug for Transmit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, target, bytes } = self;
        write!(f, "Transmit({id:?}, {target:?}, {} bytes)", bytes.len())
    }
}

/// Why a request was surely not delivered: no byte of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotSent {
    /// The name has no address.
    Resolve,
    /// Nobody listens, or nobody answered in time.
    Connect,
    /// The handshake failed: certificate, name or version.
    Tls,
    /// The stream closed, or its queue was full, before the first byte.
    Closed,
    /// No socket of ours can reach it, for example no UDP socket of its address family.
    Unreachable,
}
