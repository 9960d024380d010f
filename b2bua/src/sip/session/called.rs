//! Their INVITE, from the first ringing to the ACK of our answer (RFC 3261 §13.3).

use std::time::Duration;

use super::event::{Body, End, Fork, Local, SessionEvent};
use super::exchange::{Exchange, Step};
use super::peer::Peer;
use super::refresh::{self, Refresh, TooSmall};
use super::reliable::Reliable;
use super::usage::{Input, Usage};
use super::{Context, Session, Timer, ended};
use crate::sip::dialog::Dialog;
use crate::sip::endpoint::{Endpoint, ServerToken, Source};
use crate::sip::header::{Headers, Name, Reason};
use crate::sip::message::{Request, Response};
use crate::sip::status::Status;

/// Their INVITE.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) token: ServerToken,
    pub(super) request: Box<Request>,
    /// What was said last before the answer.
    pub(super) said: Option<Status>,
    /// Our answer as told in an unreliable response; the 2xx repeats it.
    pub(super) preview: Option<Body>,
    pub(super) reliable: Reliable,
    /// Our answer, held back until they acknowledge what they must.
    pub(super) held: Option<Option<Body>>,
    refresh: Option<Refresh>,
}

/// A 2xx to be sent.
pub(super) struct Reply<'a> {
    pub(super) token: ServerToken,
    pub(super) request: &'a Request,
    pub(super) refresh: Option<Refresh>,
    pub(super) body: Option<Body>,
    /// The body is an offer.
    pub(super) offers: bool,
}

/// Our 2xx.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) token: ServerToken,
    response: Response,
    pause: Duration,
    cseq: u32,
    /// It holds an offer: the ACK has to hold the answer.
    offers: bool,
}

impl Session {
    /// Takes an INVITE that begins a call, or answers it.
    pub(super) fn be_called(
        base: u64,
        token: ServerToken,
        request: Box<Request>,
        source: Source,
        local: Local,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        let refuse = |response: Response, cx: &mut Context<'_>| {
            cx.endpoint.respond(token, response, cx.now);
            None
        };
        let Ok(offer) = Body::read(&request.headers, &request.body) else {
            return refuse(unsupported(&request), cx);
        };
        let refresh = match refresh::answer(&request.headers, local.timer) {
            Ok(refresh) => refresh,
            Err(small) => return refuse(too_small(&request, small), cx),
        };
        let way = Endpoint::way_back(&request, source);
        let dialog = match Dialog::from_request(&request, &cx.mint.token(), way) {
            Ok(dialog) => dialog,
            Err(status) => return refuse(Response::to(&request, status), cx),
        };
        let mut session = Self::new(base, local, Usage::Called);
        let exchange = match offer.is_some() {
            true => Exchange::Asked { agreed: false },
            false => Exchange::Empty,
        };
        let mut peer = Peer::new(Fork(0), dialog, exchange);
        peer.note(&request.headers);
        session.peers.push(peer);
        let first = u32::try_from(cx.mint.number() % FIRST_RSEQ).unwrap_or(1);
        session.called = Some(Called {
            token,
            reliable: Reliable::new(&request.headers, session.local.reliable, first),
            request,
            said: None,
            preview: None,
            held: None,
            refresh,
        });
        session.events.push_back(SessionEvent::Invited { offer });
        Some(session)
    }

    /// Accepts the call. `body` is the answer to their offer, or our offer where they made none;
    /// it may be left out when it was given in an earlier answer.
    pub fn answer(&mut self, body: Option<Body>, cx: &mut Context<'_>) {
        if self.usage != Usage::Called {
            return;
        }
        let waits = self.asked.is_some();
        let (Some(called), Some(peer)) = (&mut self.called, self.peers.first_mut()) else {
            return;
        };
        if called.reliable.holds() || waits {
            called.held = Some(body);
            return;
        }
        let body = match peer.exchange {
            Exchange::Asked { .. } => body.or(called.preview.take()),
            Exchange::Empty => body,
            Exchange::Agreed | Exchange::Offered { .. } => None,
        };
        let offers = peer.exchange == Exchange::Empty;
        let step = match offers {
            true => Step::Offer,
            false => Step::GiveAnswer,
        };
        if body.is_some() {
            let _ = peer.exchange.take(step);
        } else if matches!(
            peer.exchange,
            Exchange::Empty | Exchange::Asked { agreed: false }
        ) {
            debug_assert!(false, "an answer needs a description");
            return self.reject(Status::SERVER_INTERNAL_ERROR, &Headers::new(), cx);
        }
        let Some(called) = self.called.take() else {
            return;
        };
        for timer in [Timer::RepeatRing, Timer::NoPrack, Timer::Remind] {
            self.timers.cancel(&timer);
        }
        let reply = Reply {
            token: called.token,
            request: &called.request,
            refresh: called.refresh,
            body,
            offers,
        };
        self.send_answer(reply, cx);
        self.step(Input::Answer, None, cx);
    }

    /// Refuses the call, with these further header fields.
    pub fn reject(&mut self, status: Status, headers: &Headers, cx: &mut Context<'_>) {
        self.reject_as(End::Ours, status, headers, cx);
    }

    pub(super) fn reject_as(
        &mut self,
        end: End,
        status: Status,
        headers: &Headers,
        cx: &mut Context<'_>,
    ) {
        if self.usage != Usage::Called {
            return;
        }
        if let Some(called) = self.called.take() {
            let mut response = self.refusal(&called.request, status);
            for (name, value) in headers.iter() {
                response.headers.push(name, value);
            }
            cx.endpoint.respond(called.token, response, cx.now);
        }
        self.step(Input::Reject, Some(ended(end)), cx);
    }

    /// They no longer want an answer.
    pub(super) fn cancelled(&mut self, cancel: &Request, cx: &mut Context<'_>) {
        let tell = SessionEvent::Ended {
            end: End::Cancelled,
            reasons: cancel.headers.reasons(),
        };
        self.step(Input::Cancelled, Some(tell), cx);
    }

    pub(super) fn terminate(&mut self, cx: &mut Context<'_>) {
        if let Some(called) = self.called.take() {
            let response = self.refusal(&called.request, Status::REQUEST_TERMINATED);
            cx.endpoint.respond(called.token, response, cx.now);
        }
    }

    fn refusal(&self, request: &Request, status: Status) -> Response {
        let mut response = Response::to(request, status);
        if let Some(peer) = self.peers.first() {
            response.headers.set(Name::To, peer.dialog.local());
        }
        response
    }

    /// Sends a 2xx to an INVITE, to be repeated until its ACK comes.
    pub(super) fn send_answer(&mut self, reply: Reply<'_>, cx: &mut Context<'_>) {
        let (token, request) = (reply.token, reply.request);
        let mut response = self.accept(request, Status::OK, cx.endpoint);
        if let Some(refresh) = reply.refresh {
            refresh::confirm(&mut response.headers, refresh, &request.headers);
        }
        if let Some(body) = &reply.body {
            body.attach(&mut response.headers, &mut response.body);
        }
        self.described = reply.body.or(self.described.take());
        self.set_refresh(reply.refresh, cx.now);
        cx.endpoint.respond(token, response.clone(), cx.now);
        let timers = cx.endpoint.config().timers;
        self.timers.set(Timer::RepeatAnswer, cx.now + timers.t1);
        self.timers.set(Timer::NoAck, cx.now + timers.give_up());
        self.unacked = Some(Unacked {
            token,
            response,
            pause: timers.t1,
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            offers: reply.offers,
        });
    }

    pub(super) fn repeat_answer(&mut self, cx: &mut Context<'_>) {
        let Some(unacked) = &mut self.unacked else {
            return;
        };
        unacked.pause = (unacked.pause * 2).min(cx.endpoint.config().timers.t2);
        let (token, response) = (unacked.token, unacked.response.clone());
        self.timers.set(Timer::RepeatAnswer, cx.now + unacked.pause);
        cx.endpoint.respond(token, response, cx.now);
    }

    pub(super) fn give_up_answer(&mut self, cx: &mut Context<'_>) {
        self.unacked = None;
        self.timers.cancel(&Timer::RepeatAnswer);
        let mut end = End::Ours;
        if self.usage != Usage::HangingUp {
            let reason = Reason::sip(Status::REQUEST_TIMEOUT);
            self.reasons = vec![reason.with_text("No ACK")];
            end = End::NoAck;
        }
        self.step(Input::NoAck, Some(ended(end)), cx);
    }

    /// The ACK of our 2xx.
    pub(super) fn handle_ack(&mut self, request: &Request, cx: &mut Context<'_>) {
        let number = request.cseq().map(|cseq| cseq.number);
        let expected = |unacked: &mut Unacked| Some(unacked.cseq) == number;
        let Some(unacked) = self.unacked.take_if(expected) else {
            return;
        };
        self.timers.cancel(&Timer::RepeatAnswer);
        self.timers.cancel(&Timer::NoAck);
        let answer = Body::read(&request.headers, &request.body).unwrap_or_default();
        let answer = answer.filter(|_| unacked.offers);
        let missing = unacked.offers && answer.is_none();
        if let Some(peer) = self.peer()
            && unacked.offers
        {
            let step = match missing {
                true => Step::Drop,
                false => Step::HearAnswer,
            };
            let _ = peer.exchange.take(step);
        }
        let tell = match self.usage == Usage::Answered {
            true => Some(SessionEvent::Established),
            false => Some(ended(End::Ours)),
        };
        self.step(Input::Ack, tell, cx);
        if !self.is_up() {
            return;
        }
        if let Some(body) = answer {
            self.events.push_back(SessionEvent::Answer {
                body,
                refresh: false,
            });
        } else if missing {
            self.reasons = vec![Reason::sip(Status::NOT_ACCEPTABLE_HERE)];
            self.step(Input::Lost, Some(ended(End::NoDescription)), cx);
        }
        self.advance(cx);
    }
}

/// A body we cannot take.
pub(super) fn unsupported(request: &Request) -> Response {
    Response::to(request, Status::UNSUPPORTED_MEDIA_TYPE)
        .with(Name::Accept, "application/sdp")
        .with(Name::AcceptEncoding, "identity")
}

/// A session life too short for us.
pub(super) fn too_small(request: &Request, TooSmall(min): TooSmall) -> Response {
    Response::to(request, Status::INTERVAL_TOO_SMALL).with(Name::MinSe, &min.to_string())
}

/// The first RSeq is at most this (RFC 3262 §3 allows twice as much).
const FIRST_RSEQ: u128 = 1 << 30;
