//! The SIP endpoint: bytes in, requests and responses out, and the reverse; no I/O, no clock.
//!
//! After every `handle_*`, `request` or `respond`, drain [`Endpoint::poll_transmit`] and
//! [`Endpoint::poll_event`], and call [`Endpoint::handle_timeout`] at [`Endpoint::poll_timeout`].

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use tandem_shared::mint::Mint;

use super::digest::Guard;
use super::header::{Headers, Name};
use super::hop::{ConnectionId, Flow, NotSent, Target, Transmit, TransmitId, Transport};
use super::message::{Message, Request, Response};
use super::method::Method;
use super::parse::{self, Framing};
use super::transaction::key::{Key, Keys, MARK_LEN};
use super::via::MAGIC_COOKIE;

mod admission;
mod answer;
mod client;
mod config;
mod counters;
mod guests;
mod invite_clients;
mod invite_servers;
mod load;
mod receive;
mod server;
mod strangers;
mod validate;

pub use admission::{Admission, LINE, network};
pub use config::{EndpointConfig, SentBy};
pub use counters::Counters;
pub use guests::Guest;
pub use strangers::Strangers;

use client::Clients;
use guests::Guests;
use invite_clients::{InviteClients, Start};
use invite_servers::InviteServers;
use server::Servers;
use strangers::{Seen, Treatment};

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
    /// Whose it is, where it or its connection has shown that; then its address does not count.
    pub guest: Option<Guest>,
}

impl Source {
    /// The source of what came by `flow`, which has shown nothing.
    #[must_use]
    pub fn of(flow: Flow) -> Self {
        let transport = flow.transport();
        let guest = None;
        Self {
            flow,
            transport,
            guest,
        }
    }

    /// The other end's address, IPv4-mapped ones as IPv4.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.flow.source()
    }
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
    /// The final response: the last event of its token, unless it accepts an INVITE. Then copies
    /// and the answers of other branches follow, each to be acknowledged, and `Over` is the last.
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
    /// No further 2xx of an accepted INVITE will come: the last event of its token.
    Over {
        /// The INVITE.
        token: ClientToken,
    },
    /// The ACK of a 2xx; there is nothing to answer.
    Ack {
        /// The request.
        request: Box<Request>,
        /// Where it came from.
        source: Source,
    },
    /// An INVITE that waits for our answer is no longer wanted; the CANCEL is answered already.
    Cancelled {
        /// The INVITE.
        token: ServerToken,
        /// The CANCEL; its `Reason` may say why.
        request: Box<Request>,
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
    keys: Keys,
    /// What every branch of ours begins with.
    prefix: String,
    clients: Clients,
    servers: Servers,
    invite_clients: InviteClients,
    invite_servers: InviteServers,
    strangers: Seen,
    guests: Guests,
    out: Outbox,
}

/// What waits to be polled.
#[derive(Debug, Default)]
struct Outbox {
    events: VecDeque<Event>,
    transmits: VecDeque<Transmit>,
    counters: Counters,
}

impl Outbox {
    fn fail(&mut self, token: ClientToken, failure: Failure) {
        self.events.push_back(Event::Failed { token, failure });
    }
}

impl Endpoint {
    /// A fresh endpoint.
    pub fn new(config: EndpointConfig, mut mint: Mint) -> Self {
        let keys = Keys::new(mint.number());
        let instance: String = mint.token().chars().take(INSTANCE_LEN).collect();
        let (timers, product) = (config.timers, config.product.clone());
        let secret = mint.number().to_le_bytes();
        let guard = Guard::new(config.accounts.clone(), &config.realm, secret)
            .with_algorithms(&config.digests);
        Self {
            prefix: format!("{MAGIC_COOKIE}{instance}"),
            clients: Clients::new(timers, config.max_finished),
            invite_clients: InviteClients::new(timers),
            invite_servers: InviteServers::new(timers, product.clone(), keys.clone()),
            servers: Servers::new(timers, config.max_finished, product, keys.clone()),
            strangers: Seen::default(),
            guests: Guests::new(guard),
            out: Outbox::default(),
            config,
            mint,
            keys,
        }
    }

    /// Takes one datagram, or one message cut out of a stream.
    pub fn handle_packet(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        let guest = self.guests.certified(flow);
        let known = guest.is_some() || self.config.admission.admits(flow.source());
        if !known && !self.may_answer_us(bytes) {
            return match self.guests.is_open() {
                true => self.examine(flow, bytes, now),
                false => self.turn_away(flow, bytes, now),
            };
        }
        if is_keepalive(bytes) {
            return;
        }
        let framing = match flow.transport().is_run() {
            true => Framing::Stream,
            false => Framing::Datagram,
        };
        match parse::parse(bytes, framing) {
            Ok(Message::Response(response)) => self.handle_response(response, now),
            Ok(Message::Request(request)) if known => {
                match self.may_be_guest(flow, guest, &request) {
                    true => self.examine(flow, bytes, now),
                    false => self.handle_request(flow, guest, request, now),
                }
            }
            Err(malformed) if known => self.handle_malformed(flow, *malformed),
            Ok(Message::Request(_)) | Err(_) => self.turn_away(flow, bytes, now),
        }
    }

    /// Something of somebody no trunk names: nothing of it goes further than here.
    fn turn_away(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        self.out.counters.unknown_source += 1;
        let rules = self.config.strangers;
        let treatment = self.strangers.note(flow.source(), bytes, &rules, now);
        if treatment == Treatment::Ignore {
            self.out.counters.banned += 1;
            return;
        }
        if !rules.answer {
            return;
        }
        if let Ok(Message::Request(request)) = parse::parse(bytes, Framing::Datagram) {
            self.forbid(flow, &request, bytes.len());
        }
    }

    /// The peer of this connection has shown that it is this guest.
    pub fn handle_certified(&mut self, connection: ConnectionId, guest: Guest) {
        self.guests.certify(connection, guest);
    }

    /// The sockets gave a request to this connection: its end is the request's end.
    pub fn handle_bound(&mut self, id: TransmitId, connection: ConnectionId) {
        self.clients.bind(id, connection);
        self.invite_clients.bind(id, connection);
    }

    /// The sockets could not send a request; nothing of it was written. A retransmission that finds
    /// the network [`NotSent::Unreachable`] is no failure: the first one went out.
    pub fn handle_send_failed(&mut self, id: TransmitId, reason: NotSent, now: Instant) {
        let failure = Failure::NotSent(reason);
        self.clients.fail(id, failure, now, &mut self.out);
        self.invite_clients.fail(id, failure, now, &mut self.out);
    }

    /// A connection ended; of the requests bound to it, `unsent` were never written.
    pub fn handle_closed(
        &mut self,
        connection: ConnectionId,
        reason: NotSent,
        unsent: &[TransmitId],
        now: Instant,
    ) {
        self.guests.forget(connection);
        for &id in unsent {
            self.handle_send_failed(id, reason, now);
        }
        self.clients.lose(connection, now, &mut self.out);
        self.invite_clients.lose(connection, now, &mut self.out);
    }

    /// Lets every timer due at `now` fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clients.handle_timeout(now, &mut self.out);
        self.servers.handle_timeout(now, &mut self.out);
        self.invite_clients.handle_timeout(now, &mut self.out);
        self.invite_servers.handle_timeout(now, &mut self.out);
        self.start_cancels(now);
    }

    /// When [`Endpoint::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.clients.next_timeout(),
            self.servers.next_timeout(),
            self.invite_clients.next_timeout(),
            self.invite_servers.next_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sends a request without Via; adds Via and, where they are missing, `Max-Forwards` and
    /// `User-Agent`. From, To, Call-ID and CSeq are the caller's.
    ///
    /// # Errors
    /// [`Full`] when too many are open.
    pub fn request(
        &mut self,
        token: ClientToken,
        mut request: Request,
        target: impl Into<Target>,
        now: Instant,
    ) -> Result<(), Full> {
        if self.clients.len() + self.invite_clients.len() >= self.config.max_open_client {
            return Err(Full(Box::new(request)));
        }
        let target = target.into();
        let (branch, via, bytes) = self.dress(&mut request, &target);
        let key = self.keys.client(&branch, &request.method);
        if request.method == Method::Invite {
            let cancel = self.keys.client(&branch, &Method::Cancel);
            request.body = bytes::Bytes::new();
            let start = Start {
                token,
                request,
                via,
                target,
                bytes,
                cancel,
            };
            self.invite_clients.start(key, start, now, &mut self.out);
        } else {
            self.clients
                .start(key, Some(token), target, bytes, now, &mut self.out);
        }
        Ok(())
    }

    /// Sends the ACK of a 2xx, which no transaction repeats (RFC 3261 §13.2.2), and returns it as
    /// it was sent, to be sent again with [`Endpoint::send`].
    pub fn acknowledge(&mut self, mut ack: Request, target: Target) -> Transmit {
        let (_, _, bytes) = self.dress(&mut ack, &target);
        let transmit = Transmit {
            id: None,
            target,
            bytes,
        };
        self.send(transmit.clone());
        transmit
    }

    /// Sends what was sent before.
    pub fn send(&mut self, transmit: Transmit) {
        self.out.transmits.push_back(transmit);
    }

    /// Gives up an INVITE of ours: a CANCEL leaves as soon as a provisional response is there
    /// (RFC 3261 §9.1). Whatever its final response is, it still comes.
    pub fn cancel(&mut self, token: ClientToken, reason: Headers, now: Instant) {
        self.invite_clients
            .cancel(token, reason, now, &mut self.out);
        self.start_cancels(now);
    }

    fn start_cancels(&mut self, now: Instant) {
        for cancel in self.invite_clients.take_cancels() {
            let invite_clients::Cancel { key, target, bytes } = cancel;
            self.clients
                .start(key, None, target, bytes, now, &mut self.out);
        }
    }

    /// Completes a request with what every one carries; returns its branch, its Via and its bytes.
    fn dress(&mut self, request: &mut Request, target: &Target) -> (String, String, bytes::Bytes) {
        if request.headers.get(Name::MaxForwards).is_none() {
            request.headers.push(Name::MaxForwards, "70");
        }
        if request.headers.get(Name::UserAgent).is_none() {
            request.headers.push(Name::UserAgent, &self.config.product);
        }
        let uri = request.uri.to_string();
        let mark = self.keys.uri_mark(uri.as_bytes());
        let branch = [&self.prefix, ".", &mark, ".", &self.mint.token()].concat();
        let transport = target.transport();
        let sent_by = self.config.sent_by(transport, target.address());
        let name = transport.as_str();
        let via = format!("SIP/2.0/{name} {sent_by};branch={branch};rport");
        let mut bytes = Vec::with_capacity(1024 + request.body.len());
        request.print_with_via(&uri, &via, &mut bytes);
        (branch, via, bytes.into())
    }

    /// Answers a request; a second final answer is ignored, but a 2xx to an INVITE may be given again
    /// until it is acknowledged. Adds the To tag, where there is none, and `Server`.
    pub fn respond(&mut self, token: ServerToken, response: Response, now: Instant) {
        let key = Key(token.0);
        let back = self
            .invite_servers
            .respond(key, response, now, &mut self.out);
        if let Some(response) = back {
            self.servers.respond(key, response, now, &mut self.out);
        }
    }

    /// The way back to whoever sent a request: where requests within its dialog may go. Unlike an
    /// answer they always take the port the request came from.
    pub fn way_back(request: &Request, source: Source) -> Target {
        match (source.flow, request.top_via()) {
            (Flow::Stream { .. }, Some(via)) => answer::route(source.flow, &via),
            (flow, _) => Target::Flow {
                flow,
                fallback: None,
            },
        }
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// What is to be sent next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.transmits.pop_front()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.out.counters
    }

    /// From now on peers of its family reach us there over UDP.
    pub fn move_udp(&mut self, public: std::net::SocketAddr) {
        self.config.move_udp(public);
    }

    /// What it was told at its start.
    pub fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// Entries of all tables, the memory of what is finished included.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let invites = self.invite_clients.held() + self.invite_servers.held();
        self.clients.held() + self.servers.held() + invites
    }

    /// How many transactions are open, as (client, server).
    pub fn open(&self) -> (usize, usize) {
        (
            self.clients.len() + self.invite_clients.len(),
            self.servers.len() + self.invite_servers.len(),
        )
    }
}

/// Characters of a branch that name this endpoint: 40 bits.
const INSTANCE_LEN: usize = MARK_LEN;

/// A keep-alive of a peer behind a NAT.
fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests;
