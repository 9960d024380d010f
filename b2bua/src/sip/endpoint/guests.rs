//! Guests: whom no address lets in, but a password (RFC 3261 §22.1) or a certificate (RFC 5922 §7.4).
//!
//! Where some account may come from anywhere, a request of a stranger is read, and asked once for
//! credentials; all requests are, within dialogs too, but ACK and CANCEL, which cannot be asked. Those and
//! copies are heard of a source that has shown credentials lately. Whoever has none hears a few
//! challenges a minute and then what all strangers hear.
//!
//! Anybody can write another's address on a datagram, so nothing that comes without an answer to a
//! challenge of ours counts against one who has shown credentials, and whoever answers one is heard even
//! when its address is banned. A wrong password counts only with such an answer; it bans everybody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::strangers::{Seen, Treatment, WINDOW};
use super::{Endpoint, LINE, answer, is_keepalive};
use crate::sip::digest::{Guard, Verdict};
use crate::sip::header::Name;
use crate::sip::hop::{ConnectionId, Flow};
use crate::sip::message::{Message, Request, Response};
use crate::sip::method::Method;
use crate::sip::parse::{self, Framing};
use crate::sip::status::Status;
use crate::sip::uri::SipUri;

/// Whom a request is of, by what it or its connection has shown: a number of the endpoint's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guest(pub usize);

/// Who came in without being known by its address.
#[derive(Debug)]
pub(super) struct Guests {
    guard: Guard,
    /// Connections whose certificate was one of a guest's.
    certified: HashMap<ConnectionId, Guest>,
    /// Sources that have shown credentials.
    friends: HashMap<IpAddr, Friend>,
    /// Sources that have answered a challenge of ours in vain: nobody has forged their address.
    failed: Seen,
}

#[derive(Debug)]
struct Friend {
    /// When it has shown credentials last.
    shown: Instant,
    /// Since when its challenges are counted, and how many they are.
    since: Instant,
    asked: u32,
}

impl Guests {
    pub(super) fn new(guard: Guard) -> Self {
        Self {
            guard,
            certified: HashMap::new(),
            friends: HashMap::new(),
            failed: Seen::default(),
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
                .retain(|_, friend| now.duration_since(friend.shown) < MEMORY);
            let oldest = self.friends.iter().min_by_key(|(_, friend)| friend.shown);
            if self.friends.len() >= MAX_FRIENDS
                && let Some(oldest) = oldest.map(|(source, _)| *source)
            {
                self.friends.remove(&oldest);
            }
        }
        let new = || Friend {
            shown: now,
            since: now,
            asked: 0,
        };
        self.friends.entry(source).or_insert_with(new).shown = now;
    }

    /// Whether `source` has shown credentials so lately that what cannot be asked is heard of it.
    fn is_friend(&self, source: IpAddr, now: Instant) -> bool {
        self.has_shown(source, FRIENDSHIP, now)
    }

    /// Whether `source` has ever shown credentials, as far as anybody remembers.
    fn is_remembered(&self, source: IpAddr, now: Instant) -> bool {
        self.has_shown(source, MEMORY, now)
    }

    fn has_shown(&self, source: IpAddr, within: Duration, now: Instant) -> bool {
        let friend = self.friends.get(&source);
        friend.is_some_and(|friend| now.duration_since(friend.shown) < within)
    }

    /// Whether one that is remembered may be answered once more: it has many calls perhaps, and others
    /// may send in its name.
    fn may_answer(&mut self, source: IpAddr, now: Instant) -> bool {
        let Some(friend) = self.friends.get_mut(&source) else {
            return false;
        };
        if now.duration_since(friend.since) > WINDOW {
            (friend.since, friend.asked) = (now, 0);
        }
        friend.asked = friend.asked.saturating_add(1);
        friend.asked <= FRIEND_ASKED
    }
}

impl Endpoint {
    /// Whether a request of a source that users' own accounts alone let in is none of theirs: it may be
    /// of a guest who is at the same address, and has to show a password.
    pub(super) fn may_be_guest(&self, flow: Flow, guest: Option<Guest>, request: &Request) -> bool {
        if guest.is_some() || !self.guests.is_open() || self.config.admission.trusts(flow.source())
        {
            return false;
        }
        let user = request.uri.as_sip().and_then(SipUri::raw_user);
        let is_ours = user.is_some_and(|user| user.starts_with(LINE));
        let within = request.to().is_ok_and(|to| to.tag().is_some());
        !is_ours && !within
    }

    /// Something came of a source that no trunk names, where credentials let in.
    pub(super) fn examine(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        let source = flow.source();
        if self.guests.failed.is_banned(source, now) {
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
            return self.send_away(flow, bytes, now);
        };
        self.guests.guard.begin(now);
        let has_reached = self.guests.guard.has_reached(&request, source, now);
        let is_remembered = self.guests.is_remembered(source, now);
        if !is_remembered && !has_reached && self.strangers.is_banned(source, now) {
            return self.turn_away(flow, bytes, now);
        }
        match self.sort(&request, is_friend) {
            Sort::Handle => return self.handle_request(flow, None, request, now),
            Sort::Ignore => return,
            Sort::TurnAway => return self.send_away(flow, bytes, now),
            Sort::Ask => {}
        }
        match self.guests.guard.check(&request, source, now) {
            Verdict::Known(number) => {
                self.strangers.forgive(source);
                self.guests.failed.forgive(source);
                self.guests.befriend(source, now);
                self.handle_request(flow, Some(Guest(number)), request, now);
            }
            Verdict::Wrong if has_reached => {
                self.out.counters.wrong_credentials += 1;
                tracing::info!(%source, "wrong credentials");
                let rules = self.config.strangers;
                if self.guests.failed.note(source, bytes, &rules, now) == Treatment::Look {
                    self.challenge(flow, &request, false, now);
                }
            }
            verdict @ (Verdict::Nothing | Verdict::Stale | Verdict::Wrong) => {
                let may_ask = if is_remembered {
                    self.guests.may_answer(source, now)
                } else if has_reached {
                    self.guests.failed.may_ask(source, now)
                } else {
                    self.strangers.may_ask(source, now)
                };
                // Whether the password was right is told to those only whose attempts are counted.
                match may_ask {
                    true => self.challenge(flow, &request, verdict != Verdict::Nothing, now),
                    false => self.send_away(flow, bytes, now),
                }
            }
        }
    }

    /// Nothing of it goes further. Who has shown credentials is not banned for it, since others may send
    /// in its name.
    fn send_away(&mut self, flow: Flow, bytes: &[u8], now: Instant) {
        let source = flow.source();
        if !self.guests.is_remembered(source, now) {
            return self.turn_away(flow, bytes, now);
        }
        self.out.counters.unknown_source += 1;
        if self.config.strangers.answer
            && self.guests.may_answer(source, now)
            && let Ok(Message::Request(request)) = parse::parse(bytes, Framing::Datagram)
        {
            self.forbid(flow, &request, bytes.len());
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
        answer::amend(&mut via, flow);
        let target = answer::route(flow, &via);
        if answer::hits_others(&target) {
            return;
        }
        self.out.counters.challenged += 1;
        let mut headers = request.headers.clone();
        headers.set_first(Name::Via, &via.to_string());
        let key = self.keys.server(request, &via, &request.method);
        let mut response = Response::from_headers(&headers, Status::UNAUTHORIZED);
        for challenge in self.guests.guard.challenge(flow.source(), stale, now) {
            response.headers.push(Name::WwwAuthenticate, &challenge);
        }
        self.refuse(key, response, target);
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
/// How long what cannot be asked is heard of them: from the INVITE to the ACK of its answer, and its
/// copies.
const FRIENDSHIP: Duration = Duration::from_secs(3600);
/// How long they are not banned for what others may have sent: over quiet nights and weekends.
const MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often one of them is answered in a minute without having shown anything.
const FRIEND_ASKED: u32 = 6000;
