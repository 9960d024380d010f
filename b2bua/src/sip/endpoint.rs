//! The SIP endpoint: bytes in, requests and responses out, and the reverse; no I/O, no clock.
//!
//! After every `handle_*`, `request` or `respond`, drain [`Endpoint::poll_transmit`] and
//! [`Endpoint::poll_event`], and call [`Endpoint::handle_timeout`] at [`Endpoint::poll_timeout`].

use std::collections::VecDeque;
use std::time::Instant;

use tandem_shared::mint::Mint;

use super::hop::{ConnectionId, Flow, Hop, NotSent, Transmit, TransmitId, Transport};
use super::message::{Request, Response};
use super::method::Method;
use super::transaction::Timers;
use super::uri::HostPort;

pub mod admission;

pub use admission::Admission;

/// What an endpoint needs to know.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// What stands in our Via over UDP, TCP and TLS.
    pub sent_by: SentBy,
    /// The methods handed to the core; all other known ones get 405 with this list.
    pub allow: Vec<Method>,
    /// The option tags of `Require` we fulfil; any other gets 420.
    pub supported: Vec<Box<str>>,
    /// `Server` and `User-Agent`, for example `Tandem/0.1.0`.
    pub product: Box<str>,
    /// Whose requests are read at all.
    pub admission: Admission,
    /// The timers of RFC 3261 §17.
    pub timers: Timers,
    /// Most client transactions waiting for a final response.
    pub max_open_client: usize,
    /// Most requests handed to the core and not answered yet.
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
}

/// Names a client transaction; the caller chooses it and never uses it twice at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientToken(pub u64);

/// Names a request that waits for our answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerToken(pub(super) u128);

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The way it came; its [`Flow::source`] decides the route.
    pub flow: Flow,
    /// The transport.
    pub transport: Transport,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A valid request of an allowed method; answer it with [`Endpoint::respond`].
    Request {
        /// For the answer.
        token: ServerToken,
        /// The request; its topmost Via holds `received` and `rport`.
        request: Box<Request>,
        /// Where it came from.
        source: Source,
    },
    /// A provisional response; more follow.
    Provisional {
        /// The request it answers.
        token: ClientToken,
        /// The response, without our Via.
        response: Box<Response>,
    },
    /// The final response: the last event of its token.
    Response {
        /// The request it answers.
        token: ClientToken,
        /// The response, without our Via.
        response: Box<Response>,
    },
    /// No final response will come: the last event of its token.
    Failed {
        /// The request that failed.
        token: ClientToken,
        /// How.
        failure: Failure,
    },
}

/// Why there is no final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Timer F: the request may or may not have arrived.
    Timeout,
    /// The stream died after the request was written: it may or may not have arrived.
    Lost,
    /// Surely not delivered.
    NotSent(NotSent),
}

/// The table of client transactions is full; the request is handed back.
#[derive(Debug, thiserror::Error)]
#[error("too many open client transactions")]
pub struct Full(pub Box<Request>);

/// The endpoint.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    mint: Mint,
    events: VecDeque<Event>,
    transmits: VecDeque<Transmit>,
}

impl Endpoint {
    /// A fresh endpoint.
    pub fn new(config: EndpointConfig, mint: Mint) -> Self {
        Self {
            config,
            mint,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Takes one datagram, or one message cut out of a stream.
    pub fn handle_packet(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        let _ = (flow, bytes, now, &self.config, &mut self.mint);
    }

    /// The sockets gave a request to this connection: its end is the request's end.
    pub fn handle_bound(&mut self, id: TransmitId, connection: ConnectionId) {
        let _ = (id, connection);
    }

    /// The sockets could not send a request; nothing of it was written.
    pub fn handle_send_failed(&mut self, id: TransmitId, reason: NotSent, now: Instant) {
        let _ = (id, reason, now);
    }

    /// A connection ended; of the requests bound to it, `unsent` were never written.
    pub fn handle_closed(
        &mut self,
        connection: ConnectionId,
        reason: NotSent,
        unsent: &[TransmitId],
        now: Instant,
    ) {
        let _ = (connection, reason, unsent, now);
    }

    /// Lets every timer due at `now` fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// When [`Endpoint::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Sends a request without Via to a hop; adds Via, `Max-Forwards` and `User-Agent`.
    ///
    /// # Errors
    /// [`Full`] when too many are open.
    pub fn request(
        &mut self,
        token: ClientToken,
        request: Request,
        hop: Hop,
        now: Instant,
    ) -> Result<(), Full> {
        let _ = (token, request, hop, now);
        Ok(())
    }

    /// Answers a request; a second final answer is ignored. Adds the To tag and `Server`.
    pub fn respond(&mut self, token: ServerToken, response: Response, now: Instant) {
        let _ = (token, response, now);
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is to be sent next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
}
