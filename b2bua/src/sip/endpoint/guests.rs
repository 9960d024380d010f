//! Guests: whom no address lets in, but a password (RFC 3261 §22.1) or a certificate (RFC 5922 §7.4).
//!
//! Where some account may come from anywhere, a request of a stranger is read, and asked once for
//! credentials; all requests are, within dialogs too, but ACK and CANCEL, which cannot be asked. Those and
//! copies are heard of a source that has shown credentials lately. Whoever has none hears a few
//! challenges a minute and then what all strangers hear; a wrong password counts as knocking.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::strangers::Treatment;
use super::{Endpoint, answer, is_keepalive};
use crate::sip::digest::{Guard, Verdict};
use crate::sip::header::Name;
use crate::sip::hop::{ConnectionId, Flow};
use crate::sip::message::{Message, Request, Response};
use crate::sip::method::Method;
use crate::sip::parse::{self, Framing};
use crate::sip::status::Status;

/// Whom a request is of, by what it or its connection has shown: a number of the endpoint's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guest(pub usize);

/// Who came in without being known by its address.
#[derive(Debug)]
pub(super) struct Guests {
    guard: Guard,
    /// Connections whose certificate was one of a guest's.
    certified: HashMap<ConnectionId, Guest>,
    /// Sources that have shown credentials, and when.
    friends: HashMap<IpAddr, Instant>,
}

impl Guests {
    pub(super) fn new(guard: Guard) -> Self {
        Self {
            guard,
            certified: HashMap::new(),
            friends: HashMap::new(),
        }
    }

    /// Whose connection it is.
    pub(super) fn certified(&self, flow: Flow) -> Option<Guest> {
        match flow {
            Flow::Stream { connection, .. } => self.certified.get(&connection).copied(),
            Flow::Udp { .. } => None,
        }
    }

    /// The connection is this guest's, until it is closed; connections are few.
    pub(super) fn certify(&mut self, connection: ConnectionId, guest: Guest) {
        self.certified.insert(connection, guest);
    }

    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.certified.remove(&connection);
    }

    /// Whether anybody may show credentials.
    pub(super) fn is_open(&self) -> bool {
        !self.guard.is_closed()
    }

    fn befriend(&mut self, source: IpAddr, now: Instant) {
        if self.friends.len() >= MAX_FRIENDS && !self.friends.contains_key(&source) {
            self.friends
                .retain(|_, since| now.duration_since(*since) < FRIENDSHIP);
            let oldest = self.friends.iter().min_by_key(|(_, since)| **since);
            if self.friends.len() >= MAX_FRIENDS
                && let Some(oldest) = oldest.map(|(source, _)| *source)
            {
                self.friends.remove(&oldest);
            }
        }
        self.friends.insert(source, now);
    }

    fn is_friend(&self, source: IpAddr, now: Instant) -> bool {
        let since = self.friends.get(&source);
        since.is_some_and(|since| now.duration_since(*since) < FRIENDSHIP)
    }
}

impl Endpoint {
    /// Something came of a source that no trunk names, where credentials let in.
    pub(super) fn examine(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        let source = flow.source();
        if self.strangers.is_banned(source, now) {
            self.out.counters.unknown_source += 1;
            self.out.counters.banned += 1;
            return;
        }
        let is_friend = self.guests.is_friend(source, now);
        if is_friend && is_keepalive(bytes) {
            return;
        }
        let framing = match flow.transport().is_run() {
            true => Framing::Stream,
            false => Framing::Datagram,
        };
        let Ok(Message::Request(request)) = parse::parse(bytes, framing) else {
            return self.turn_away(flow, bytes, now);
        };
        match self.sort(&request, is_friend) {
            Sort::Handle => return self.handle_request(flow, None, request, now),
            Sort::Ignore => return,
            Sort::TurnAway => return self.turn_away(flow, bytes, now),
            Sort::Ask => {}
        }
        self.guests.guard.begin(now);
        match self.guests.guard.check(&request, source, now) {
            Verdict::Known(number) => {
                self.strangers.forgive(source);
                self.guests.befriend(source, now);
                self.handle_request(flow, Some(Guest(number)), request, now);
            }
            verdict @ (Verdict::Nothing | Verdict::Stale) => {
                match self.strangers.may_ask(source, is_friend, now) {
                    true => self.challenge(flow, &request, verdict == Verdict::Stale, now),
                    false => self.turn_away(flow, bytes, now),
                }
            }
            Verdict::Wrong => {
                self.out.counters.wrong_credentials += 1;
                tracing::info!(%source, "wrong credentials");
                let rules = self.config.strangers;
                if self.strangers.note(source, bytes, &rules, now) == Treatment::Look {
                    self.challenge(flow, &request, false, now);
                }
            }
        }
    }

    /// What becomes of a request before it is asked for credentials.
    fn sort(&self, request: &Request, is_friend: bool) -> Sort {
        let Some(via) = request.top_via() else {
            return Sort::TurnAway;
        };
        let of = |method: &Method| self.keys.server(request, &via, method);
        let knows = |key| self.invite_servers.knows(key) || self.servers.knows(key);
        let answered_here = || {
            let tag = request.to().ok().and_then(|to| to.tag());
            tag == Some(self.keys.tag(of(&Method::Invite)))
        };
        let method = &request.method;
        let cannot_be_asked = *method == Method::Ack || *method == Method::Cancel;
        if *method == Method::Ack && answered_here() {
            // It thanks for our challenge.
            Sort::Ignore
        } else if is_friend
            && (*method == Method::Ack
                || *method == Method::Cancel && knows(of(&Method::Invite))
                || knows(of(method)))
        {
            Sort::Handle
        } else if cannot_be_asked || !self.config.allow.contains(method) {
            Sort::TurnAway
        } else {
            Sort::Ask
        }
    }

    /// Asks for credentials and keeps nothing of it (RFC 3261 §8.2.7).
    fn challenge(&mut self, flow: Flow, request: &Request, stale: bool, now: Instant) {
        let Some(mut via) = request.top_via() else {
            return;
        };
        self.out.counters.challenged += 1;
        answer::amend(&mut via, flow);
        let mut headers = request.headers.clone();
        headers.set_first(Name::Via, &via.to_string());
        let key = self.keys.server(request, &via, &request.method);
        let mut response = Response::from_headers(&headers, Status::UNAUTHORIZED);
        for challenge in self.guests.guard.challenge(flow.source(), stale, now) {
            response.headers.push(Name::WwwAuthenticate, &challenge);
        }
        self.refuse(key, response, answer::route(flow, &via));
    }
}

/// What becomes of a request.
enum Sort {
    /// It is heard.
    Handle,
    /// It has to show credentials.
    Ask,
    /// Nothing.
    Ignore,
    /// It is of a stranger.
    TurnAway,
}

/// Sources that are remembered as friends.
const MAX_FRIENDS: usize = 4096;
/// How long: from the INVITE to the ACK of its answer, and its copies.
const FRIENDSHIP: Duration = Duration::from_secs(3600);
