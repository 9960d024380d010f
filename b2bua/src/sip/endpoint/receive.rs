//! What becomes of a message once it is read (RFC 3261 §8.1.3, §8.2, §17.2.3).
//!
//! A request is a copy of one we know, is refused here, or reaches the core; an answer given here
//! keeps no state.

use std::time::Instant;

use bytes::Bytes;

use super::answer::{self, Rejection};
use super::invite_servers::Cancelled;
use super::validate::Within;
use super::{Endpoint, Event, Guest, ServerToken, Source, validate};
use crate::sip::header::Name;
use crate::sip::hop::{Flow, Target, Transmit};
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::parse::Malformed;
use crate::sip::status::Status;
use crate::sip::transaction::key::Key;
use crate::sip::via::Via;

impl Endpoint {
    /// A request of whoever may be heard, by its address or as a `guest`.
    pub(super) fn handle_request(
        &mut self,
        flow: Flow,
        guest: Option<Guest>,
        mut request: Request,
        now: Instant,
    ) {
        let Some(mut via) = request.top_via() else {
            self.out.counters.unreadable += 1;
            return;
        };
        let key = self.keys.server(&request, &via, &request.method);
        let invite = if matches!(request.method, Method::Ack | Method::Cancel) {
            self.keys.server(&request, &via, &Method::Invite)
        } else {
            key
        };
        answer::amend(&mut via, flow);
        request.headers.set_first(Name::Via, &via.to_string());
        if request.method == Method::Ack {
            return self.handle_ack(flow, invite, request, now);
        }
        let target = answer::route(flow, &via);
        if self.invite_servers.knows(key) {
            return self.invite_servers.repeat(key, now, &mut self.out);
        }
        if self.servers.knows(key) {
            return self.servers.repeat(key, &request, target, &mut self.out);
        }
        if request.method == Method::Cancel {
            return self.handle_cancel(key, invite, request, &via, target);
        }
        match self.admit(flow, &request) {
            Ok(merge) => {
                if request.method == Method::Invite {
                    self.invite_servers.start(key, merge, &request, target, now);
                } else {
                    self.servers.start(key, merge, target, now);
                }
                self.out.counters.requests += 1;
                let (token, request) = (ServerToken(key.0), Box::new(request));
                self.out.events.push_back(Event::Request {
                    token,
                    request,
                    source: Source {
                        guest,
                        ..Source::of(flow)
                    },
                });
            }
            Err(Refused::Drop) => self.out.counters.full += 1,
            Err(Refused::Answer(rejection)) => {
                self.refuse(key, rejection.answer(&request.headers), target);
            }
        }
    }

    /// Answers a stranger with 403 and keeps nothing of it. Over UDP the answer is never longer than the
    /// request of so many bytes, so that nobody can have a third party flooded.
    pub(super) fn forbid(&mut self, flow: Flow, request: &Request, size: usize) {
        let Some(mut via) = request.top_via() else {
            return;
        };
        if request.method == Method::Ack {
            return;
        }
        answer::amend(&mut via, flow);
        let mut headers = request.headers.clone();
        headers.set_first(Name::Via, &via.to_string());
        let key = self.keys.server(request, &via, &request.method);
        let target = answer::route(flow, &via);
        let response = Rejection::new(Status::FORBIDDEN).answer(&headers);
        let bytes = self.print(key, response);
        let is_short = bytes.len() <= size || flow.transport().is_reliable();
        if is_short && !answer::hits_others(&target) {
            self.send_refusal(bytes, target);
        }
    }

    /// An ACK of a refusal ends there; one of a 2xx goes up (RFC 3261 §17.2.1, §13.3.1.4).
    fn handle_ack(&mut self, flow: Flow, invite: Key, request: Request, now: Instant) {
        if self.invite_servers.knows(invite) {
            if !self.invite_servers.acknowledge(invite, now, &mut self.out) {
                return;
            }
        } else if request.to().ok().and_then(|to| to.tag()) == Some(self.keys.tag(invite)) {
            return; // For an answer given here, without a transaction.
        }
        let is_readable = validate::check_ack(&request, &self.config);
        if !is_readable {
            self.out.counters.stray_ack += 1;
            return;
        }
        self.out.events.push_back(Event::Ack {
            request: Box::new(request),
            source: Source::of(flow),
        });
    }

    /// RFC 3261 §9.2: a CANCEL is answered, but stops nothing that is no INVITE.
    fn handle_cancel(
        &mut self,
        key: Key,
        invite: Key,
        request: Request,
        via: &Via,
        target: Target,
    ) {
        let mut methods = self.config.allow.iter();
        let found = self.invite_servers.cancel(invite);
        let known = found != Cancelled::Unknown
            || methods.any(|method| self.servers.knows(self.keys.server(&request, via, method)));
        let status = match known {
            true => Status::OK,
            false => Status::NO_SUCH_TRANSACTION,
        };
        let response = Rejection::new(status).answer(&request.headers);
        self.refuse(key, response, target);
        if found == Cancelled::First {
            self.out.events.push_back(Event::Cancelled {
                token: ServerToken(invite.0),
                request: Box::new(request),
            });
        }
    }

    /// Everything between reading a request and handing it up. Returns what it shares with copies
    /// that come by other ways; within a dialog there are none.
    fn admit(&self, flow: Flow, request: &Request) -> Result<Option<Key>, Refused> {
        let from_tag = validate::check(request, &self.config)?;
        if validate::is_loop(request, &self.prefix, &self.keys) {
            return Err(Rejection::new(Status::LOOP_DETECTED).into());
        }
        let merge = match validate::check_dialog(request, &self.config)? {
            Within::Dialog => None,
            Within::Nothing => Some(self.keys.merge(request, &from_tag)),
        };
        if merge.is_some_and(|merge| {
            self.servers.is_merged(merge) || self.invite_servers.is_merged(merge)
        }) {
            return Err(Rejection::new(Status::LOOP_DETECTED).into());
        }
        let open = self.servers.len() + self.invite_servers.len();
        let free = self.config.max_open_server.saturating_sub(open);
        let source = flow.source();
        if self.servers.of(source) + self.invite_servers.of(source) < free {
            return Ok(merge);
        }
        // Over UDP the request comes again by itself, over a stream it would wait for nothing.
        match flow.transport().is_reliable() {
            false => Err(Refused::Drop),
            true => Err(Rejection::new(Status::TEMPORARILY_UNAVAILABLE)
                .with(Name::RetryAfter, RETRY_AFTER.to_owned())
                .into()),
        }
    }

    pub(super) fn handle_malformed(&mut self, flow: Flow, malformed: Malformed) {
        let Malformed {
            defect,
            is_request,
            is_ack,
            mut headers,
        } = malformed;
        let via = headers
            .values(Name::Via)
            .next()
            .and_then(|text| Via::parse(text).ok());
        let (Some(mut via), true) = (via, is_request && !is_ack) else {
            self.out.counters.unreadable += 1;
            return;
        };
        if headers.get(Name::CallId).is_none() || headers.get(Name::CSeq).is_none() {
            self.out.counters.unreadable += 1;
            return;
        }
        let key = self.keys.client(&via.to_string(), &Method::Options);
        answer::amend(&mut via, flow);
        headers.set_first(Name::Via, &via.to_string());
        let response = Rejection::from(defect).answer(&headers);
        self.refuse(key, response, answer::route(flow, &via));
    }

    /// Answers without keeping a transaction (RFC 3261 §8.2.7): a copy gets the same answer.
    pub(super) fn refuse(&mut self, key: Key, response: Response, target: Target) {
        let bytes = self.print(key, response);
        self.send_refusal(bytes, target);
    }

    fn print(&self, key: Key, mut response: Response) -> Bytes {
        answer::complete(&mut response, &self.keys.tag(key), &self.config.product);
        let mut bytes = Vec::with_capacity(1024);
        response.print(&mut bytes);
        bytes.into()
    }

    fn send_refusal(&mut self, bytes: Bytes, target: Target) {
        self.out.counters.refused += 1;
        self.out.transmits.push_back(Transmit {
            id: None,
            target,
            bytes,
        });
    }

    /// RFC 3261 §8.1.3.3, §17.1.3: exactly one Via, with a branch of ours.
    pub(super) fn handle_response(&mut self, response: Response, now: Instant) {
        match self.response_key(&response) {
            Some(key) => {
                let response = Box::new(response);
                let back = self
                    .invite_clients
                    .respond(key, response, now, &mut self.out);
                if let Some(response) = back {
                    self.clients.respond(key, response, now, &mut self.out);
                }
                self.start_cancels(now);
            }
            None => self.out.counters.stray_response += 1,
        }
    }

    fn response_key(&self, response: &Response) -> Option<Key> {
        let mut vias = response.headers.values(Name::Via);
        let via = vias.next().filter(|_| vias.next().is_none())?;
        let method = response.cseq()?.method;
        if let Some(branch) = Via::find_branch(via) {
            return Some(self.keys.client(branch, &method));
        }
        let via = Via::parse(via).ok()?;
        Some(self.keys.client(&via.branch()?, &method))
    }

    /// Cheap, for strangers: a response that holds the start of our branches. Whether it belongs
    /// to a request of ours is decided by the whole branch, which nobody can guess.
    pub(super) fn may_answer_us(&self, bytes: &[u8]) -> bool {
        let head = bytes.get(..SEARCHED).unwrap_or(bytes);
        bytes.starts_with(b"SIP/2.0 ")
            && memchr::memmem::find(head, self.prefix.as_bytes()).is_some()
    }
}

/// How a request is kept from the core.
enum Refused {
    Answer(Rejection),
    Drop,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Answer(rejection)
    }
}

/// Seconds after which a request put off may come again.
const RETRY_AFTER: &str = "5";
/// Where our Via has to begin in a response from an address no route knows, in bytes.
const SEARCHED: usize = 2048;
