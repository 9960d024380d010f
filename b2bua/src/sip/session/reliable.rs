//! Provisional answers to their INVITE, reliable where that is wanted (RFC 3262 §3).
//!
//! One reliable answer is out at a time; the next waits for its PRACK.

use std::collections::VecDeque;
use std::time::Duration;

use super::asked::Carrier;
use super::event::{Body, End, Fork, SessionEvent};
use super::exchange::{Exchange, Step};
use super::usage::{Input, Usage};
use super::{Context, Session, Timer, respond};
use crate::sip::endpoint::ServerToken;
use crate::sip::header::{Headers, Name, RAck};
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::status::Status;

/// The reliable answers to one INVITE.
#[derive(Debug)]
pub(super) struct Reliable {
    wanted: Wanted,
    /// The number of the last one.
    rseq: u32,
    sent: Option<Sent>,
    queue: VecDeque<(Status, Option<Body>)>,
}

/// Whether provisional answers are to be reliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The peer insists, or can and we want to.
    Always,
    /// The peer can: where a description must not be lost.
    Possible,
    /// The peer cannot.
    Never,
}

#[derive(Debug)]
struct Sent {
    response: Response,
    pause: Duration,
    described: bool,
}

impl Reliable {
    pub(super) fn new(invite: &Headers, wish: bool, first: u32) -> Self {
        let supports = invite.has_option(Name::Supported, TAG);
        let wanted = match invite.has_option(Name::Require, TAG) || (supports && wish) {
            true => Wanted::Always,
            false if supports => Wanted::Possible,
            false => Wanted::Never,
        };
        Self {
            wanted,
            rseq: first,
            sent: None,
            queue: VecDeque::new(),
        }
    }

    /// Whether a description of ours waits for its PRACK: before that there is no 2xx and no other
    /// offer (RFC 3262 §5).
    pub(super) fn holds(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.described)
    }
}

impl Session {
    /// Says how far their call has come: 180, 183 and the like. `body` is the answer to their
    /// offer, or our offer where they made none; an offer is left out when it cannot be reliable.
    pub fn ring(&mut self, status: Status, body: Option<Body>, cx: &mut Context<'_>) {
        let Some(called) = &mut self.called else {
            return;
        };
        if !status.is_provisional() || status == Status::TRYING {
            return;
        }
        if called.reliable.sent.is_some() {
            // What rings twice rings once.
            if called.reliable.queue.len() < MAX_QUEUE {
                called.reliable.queue.push_back((status, body));
            }
            return;
        }
        self.say(status, body, cx);
    }

    fn say(&mut self, status: Status, body: Option<Body>, cx: &mut Context<'_>) {
        let (Some(called), Some(peer)) = (&mut self.called, self.peers.first_mut()) else {
            return;
        };
        let offers = peer.exchange == Exchange::Empty;
        let reliable = match called.reliable.wanted {
            Wanted::Always => true,
            Wanted::Possible => offers && body.is_some(),
            Wanted::Never => false,
        };
        let usable = match peer.exchange {
            Exchange::Asked { .. } => true,
            Exchange::Empty => reliable,
            Exchange::Agreed | Exchange::Offered { .. } => false,
        };
        let body = body.filter(|_| usable);
        if let Some(body) = &body {
            if reliable {
                let step = match offers {
                    true => Step::Offer,
                    false => Step::GiveAnswer,
                };
                let _ = peer.exchange.take(step);
            } else {
                called.preview = Some(body.clone());
            }
            self.described = Some(body.clone());
        }
        called.said = Some(status);
        let Some(called) = &self.called else {
            return;
        };
        let (token, rseq) = (called.token, called.reliable.rseq.wrapping_add(1));
        let mut response = self.accept(&called.request, status, cx.endpoint);
        if let Some(body) = &body {
            body.attach(&mut response.headers, &mut response.body);
        }
        let timers = cx.endpoint.config().timers;
        if reliable {
            response.headers.push(Name::Require, TAG);
            response.headers.push(Name::RSeq, &rseq.to_string());
            self.timers.set(Timer::RepeatRing, cx.now + timers.t1);
            self.timers.set(Timer::NoPrack, cx.now + timers.give_up());
            let sent = Sent {
                response: response.clone(),
                pause: timers.t1,
                described: body.is_some(),
            };
            if let Some(called) = &mut self.called {
                called.reliable.rseq = rseq;
                called.reliable.sent = Some(sent);
            }
        }
        cx.endpoint.respond(token, response, cx.now);
        self.timers.set(Timer::Remind, cx.now + REMIND);
    }

    /// Proxies give up a call that shows no sign of life (RFC 3261 §13.3.1.1).
    pub(super) fn remind(&mut self, cx: &mut Context<'_>) {
        let Some(called) = &self.called else {
            return;
        };
        // One that waits for its PRACK is repeated anyway.
        if let (Some(status), None) = (called.said, &called.reliable.sent) {
            self.say(status, called.preview.clone(), cx);
        }
    }

    pub(super) fn repeat_ring(&mut self, cx: &mut Context<'_>) {
        let Some(called) = &mut self.called else {
            return;
        };
        if let Some(sent) = &mut called.reliable.sent {
            sent.pause *= 2;
            let (token, response) = (called.token, sent.response.clone());
            self.timers.set(Timer::RepeatRing, cx.now + sent.pause);
            cx.endpoint.respond(token, response, cx.now);
        }
    }

    pub(super) fn give_up_ring(&mut self, cx: &mut Context<'_>) {
        if self.usage == Usage::Called {
            self.reject_as(End::NoAck, Status::SERVER_TIMEOUT, &Headers::new(), cx);
        }
    }

    /// A PRACK, its CSeq already taken.
    pub(super) fn handle_prack(
        &mut self,
        token: ServerToken,
        request: Box<Request>,
        cx: &mut Context<'_>,
    ) {
        let unknown = Status::NO_SUCH_TRANSACTION;
        let rack = request.headers.get(Name::RAck).and_then(RAck::parse);
        let (Some(called), Some(rack)) = (&mut self.called, rack) else {
            return respond(token, &request, unknown, cx);
        };
        let matches = called.reliable.sent.is_some()
            && rack.rseq == called.reliable.rseq
            && rack.cseq.method == Method::Invite
            && called.request.cseq() == Some(rack.cseq);
        if !matches {
            return respond(token, &request, unknown, cx);
        }
        called.reliable.sent = None;
        self.timers.cancel(&Timer::RepeatRing);
        self.timers.cancel(&Timer::NoPrack);
        let body = Body::read(&request.headers, &request.body).unwrap_or_default();
        let exchange = self.peer().map(|peer| peer.exchange);
        match (exchange, body) {
            (Some(Exchange::Offered { .. }), Some(body)) => {
                self.take_step(Step::HearAnswer);
                self.events.push_back(SessionEvent::Answer {
                    body,
                    refresh: false,
                });
                respond(token, &request, Status::OK, cx);
            }
            (Some(Exchange::Offered { .. }), None) => {
                // The answer was theirs to make here (RFC 3262 §5).
                respond(token, &request, Status::OK, cx);
                let status = Status::NOT_ACCEPTABLE_HERE;
                return self.reject_as(End::NoDescription, status, &Headers::new(), cx);
            }
            (Some(Exchange::Agreed), Some(offer)) => {
                self.take_step(Step::Ask);
                self.ask(Fork(0), Carrier::Prack { token, request }, Some(offer));
            }
            (_, _) => respond(token, &request, Status::OK, cx),
        }
        self.say_next(cx);
        self.advance(cx);
    }

    /// What waited for the PRACK, or for the answer to its offer.
    pub(super) fn say_next(&mut self, cx: &mut Context<'_>) {
        let Some(called) = &mut self.called else {
            return;
        };
        if let Some(body) = called.held.take() {
            self.answer(body, cx);
        } else if let Some((status, body)) = called.reliable.queue.pop_front() {
            self.say(status, body, cx);
        }
    }

    pub(super) fn take_step(&mut self, step: Step) {
        if let Some(peer) = self.peer() {
            let _ = peer.exchange.take(step);
        }
    }

    /// Ends what their BYE to an early dialog ends.
    pub(super) fn left(&mut self, bye: &Request, cx: &mut Context<'_>) {
        let tell = SessionEvent::Ended {
            end: End::Theirs,
            reasons: bye.headers.reasons(),
        };
        self.step(Input::Bye, Some(tell), cx);
    }
}

const TAG: &str = "100rel";
/// How often a call that rings says so.
const REMIND: Duration = Duration::from_secs(60);
/// Most provisional answers that wait for the PRACK of another.
const MAX_QUEUE: usize = 8;
