//! What an endpoint is told once, at its start.

use std::net::{IpAddr, SocketAddr};

use super::{Admission, Strangers};
use crate::sip::digest::{Account, Algorithm};
use crate::sip::hop::Transport;
use crate::sip::method::Method;
use crate::sip::transaction::Timers;
use crate::sip::uri::HostPort;

/// What an endpoint needs to know.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// What stands in our Via.
    pub sent_by: SentBy,
    /// The same toward peers whose address is of the other family, where `sent_by` has addresses.
    pub sent_by_other: Option<SentBy>,
    /// The methods handed to the core; other known ones get 405 with this list.
    pub allow: Vec<Method>,
    /// The option tags of `Require` we fulfil; any other gets 420.
    pub supported: Vec<Box<str>>,
    /// `Server` and `User-Agent`, for example `Tandem/0.1.0`.
    pub product: Box<str>,
    /// Whose requests are read at all.
    pub admission: Admission,
    /// Who else is heard, with these credentials, wherever they come from.
    pub accounts: Vec<Account>,
    /// What they are credentials for.
    pub realm: Box<str>,
    /// How they are proved, the best first.
    pub digests: Vec<Algorithm>,
    /// What everybody else hears.
    pub strangers: Strangers,
    /// The timers of RFC 3261 §17.
    pub timers: Timers,
    /// Most client transactions waiting for a final response.
    pub max_open_client: usize,
    /// Most requests handed to the core and not answered yet. Beyond it a request over UDP is
    /// dropped, since its retransmission comes by itself; one over a stream gets 480 with
    /// `Retry-After`. Not 503: that makes peers take the whole node for dead.
    pub max_open_server: usize,
    /// Most answered requests remembered for their retransmissions; the oldest go first.
    pub max_finished: usize,
}

/// Our own host and port in a Via, per transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentBy {
    /// Over UDP.
    pub udp: HostPort,
    /// Over TCP.
    pub tcp: HostPort,
    /// Over TLS.
    pub tls: HostPort,
    /// Over WebSocket.
    pub ws: HostPort,
    /// Over WebSocket under TLS.
    pub wss: HostPort,
}

impl SentBy {
    /// The one for this transport.
    pub fn of(&self, transport: Transport) -> &HostPort {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls,
            Transport::Ws => &self.ws,
            Transport::Wss => &self.wss,
        }
    }
}

impl EndpointConfig {
    /// The usual limits, for `MESSAGE` and `OPTIONS`.
    pub fn new(sent_by: SentBy, admission: Admission) -> Self {
        Self {
            sent_by,
            sent_by_other: None,
            allow: vec![Method::Message, Method::Options],
            supported: Vec::new(),
            product: concat!("Tandem/", env!("CARGO_PKG_VERSION")).into(),
            admission,
            accounts: Vec::new(),
            realm: Box::default(),
            digests: vec![Algorithm::Sha256, Algorithm::Md5],
            strangers: Strangers::default(),
            timers: Timers::default(),
            max_open_client: 100_000,
            max_open_server: 100_000,
            max_finished: 1_000_000,
        }
    }

    /// The same for an owner that keeps calls as well: [`crate::sip::session`].
    #[must_use]
    pub fn with_calls(mut self) -> Self {
        self.allow.extend(CALL_METHODS);
        self.supported.extend(CALL_EXTENSIONS.map(Into::into));
        self
    }

    /// How a peer at this address, if it is known, reaches us over this transport.
    pub fn sent_by(&self, transport: Transport, peer: Option<IpAddr>) -> &HostPort {
        let usual = self.sent_by.of(transport);
        let fits = |ours: &HostPort| match (ours.host.ip(), peer) {
            (Some(ours), Some(peer)) => ours.is_ipv4() == peer.is_ipv4(),
            (_, _) => true,
        };
        let other = self.sent_by_other.as_ref().map(|other| other.of(transport));
        match other.filter(|other| !fits(usual) && fits(other)) {
            Some(other) => other,
            None => usual,
        }
    }

    /// From now on peers of its family reach us there over UDP; true when that is news.
    pub fn move_udp(&mut self, public: SocketAddr) -> bool {
        let is_other = |ours: &HostPort| {
            ours.host
                .ip()
                .is_some_and(|ip| ip.is_ipv4() != public.is_ipv4())
        };
        let place = match &mut self.sent_by_other {
            Some(other) if is_other(&self.sent_by.udp) => &mut other.udp,
            Some(_) | None => &mut self.sent_by.udp,
        };
        let public = HostPort::from(public);
        std::mem::replace(place, public.clone()) != public
    }

    /// Whether requests within dialogs are handed up.
    pub(super) fn takes_calls(&self) -> bool {
        self.allow.contains(&Method::Invite)
    }
}

/// The methods of calls.
const CALL_METHODS: [Method; 8] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Prack,
    Method::Update,
    Method::Info,
    Method::Refer,
];
/// RFC 3262, RFC 4028 and RFC 3891.
const CALL_EXTENSIONS: [&str; 3] = ["100rel", "timer", "replaces"];
