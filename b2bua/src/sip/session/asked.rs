//! Their requests within the dialog, and the offers some of them hold (RFC 3261 §12.2.2, §14.2;
//! RFC 3311 §5.2).

use std::time::Duration;

use super::called::{Reply, too_small, unsupported};
use super::event::{Body, End, Fork, OfferToken, SessionEvent};
use super::exchange::{Clash, Exchange, Step};
use super::peer::Peer;
use super::refresh::{self, Refresh};
use super::usage::{Input, Usage};
use super::{Context, Session, ended, respond};
use crate::sip::dialog::tag_of;
use crate::sip::endpoint::{ClientToken, ServerToken};
use crate::sip::header::{Headers, Name, Reason};
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::status::Status;

/// Their offer, or their wish for one.
#[derive(Debug)]
pub(super) struct Asked {
    token: OfferToken,
    /// Whose it is.
    pub(super) fork: Fork,
    carrier: Carrier,
    /// They want the offer from us.
    wants_offer: bool,
}

/// What their offer came in: our answer goes in its counterpart.
#[derive(Debug)]
pub(super) enum Carrier {
    /// An INVITE or UPDATE within the dialog: in its 2xx.
    Request {
        token: ServerToken,
        request: Box<Request>,
        refresh: Option<Refresh>,
    },
    /// A PRACK: in its 2xx.
    Prack {
        token: ServerToken,
        request: Box<Request>,
    },
    /// A 2xx to our INVITE: in the ACK.
    Accepted(ClientToken),
    /// A reliable provisional response: in the PRACK.
    Ring { rseq: u32 },
}

impl Session {
    /// Takes note of their offer and tells our side.
    pub(super) fn ask(&mut self, fork: Fork, carrier: Carrier, body: Option<Body>) {
        let token = self.next_offer();
        self.asked = Some(Asked {
            token,
            fork,
            carrier,
            wants_offer: body.is_none(),
        });
        self.events.push_back(match body {
            Some(body) => SessionEvent::Offer { token, body },
            None => SessionEvent::OfferWanted { token },
        });
    }

    /// Answers their offer, or makes the offer they want; an error refuses and leaves the session
    /// as it was.
    pub fn respond_offer(
        &mut self,
        token: OfferToken,
        reply: Result<Body, Status>,
        cx: &mut Context<'_>,
    ) {
        let Some(asked) = self.asked.take_if(|asked| asked.token == token) else {
            return;
        };
        let step = match (&reply, asked.wants_offer) {
            (Ok(_), true) => Step::Offer,
            (Ok(_), false) => Step::GiveAnswer,
            (Err(_), _) => Step::Drop,
        };
        let fork = asked.fork;
        self.take_step_of(fork, step);
        let is_invite = |request: &Request| request.method == Method::Invite;
        match (asked.carrier, reply) {
            (
                Carrier::Request {
                    token,
                    request,
                    refresh,
                },
                Ok(body),
            ) => {
                self.retarget(fork, &request.headers);
                match is_invite(&request) {
                    true => {
                        let reply = Reply {
                            token,
                            request: &request,
                            refresh,
                            body: Some(body),
                            offers: asked.wants_offer,
                        };
                        self.send_answer(reply, cx);
                    }
                    false => self.send_ok(token, &request, refresh, Some(body), cx),
                }
            }
            (Carrier::Prack { token, request }, Ok(body)) => {
                self.send_ok(token, &request, self.refresh, Some(body), cx);
                self.say_next(cx);
            }
            (Carrier::Request { token, request, .. }, Err(status)) => {
                respond(token, &request, status, cx);
            }
            (Carrier::Prack { token, request }, Err(status)) => {
                respond(token, &request, status, cx);
                self.say_next(cx);
            }
            (Carrier::Accepted(token), reply) => {
                self.acknowledge(token, reply.as_ref().ok(), cx);
                self.described = reply.clone().ok().or(self.described.take());
                if let Err(status) = reply {
                    self.reasons = vec![Reason::sip(status)];
                    self.step(Input::HangUp, Some(ended(End::Ours)), cx);
                }
            }
            (Carrier::Ring { rseq }, reply) => {
                self.send_prack(fork, rseq, reply.as_ref().ok(), cx);
                self.described = reply.clone().ok().or(self.described.take());
                if let Err(status) = reply {
                    self.reasons = vec![Reason::sip(status)];
                    self.step(Input::HangUp, Some(ended(End::Ours)), cx);
                }
            }
        }
        self.advance(cx);
    }

    /// A request within a dialog of this session, whose To tag is ours.
    pub(super) fn handle_request(
        &mut self,
        token: ServerToken,
        request: Box<Request>,
        cx: &mut Context<'_>,
    ) {
        let tag = tag_of(request.headers.get(Name::From).unwrap_or_default());
        let known = |peer: &Peer| peer.dialog.remote_tag() == tag;
        let Some(at) = self.peers.iter().position(known) else {
            return respond(token, &request, Status::NO_SUCH_TRANSACTION, cx);
        };
        let taken = match self.peers.get_mut(at) {
            Some(peer) => peer.dialog.receive(&request),
            None => Ok(()),
        };
        if let Err(status) = taken {
            return respond(token, &request, status, cx);
        }
        let gone = matches!(self.usage, Usage::Leaving | Usage::Over);
        let method = &request.method;
        if *method == Method::Bye && self.usage != Usage::Over {
            self.handle_bye(at, token, &request, cx);
        } else if gone {
            respond(token, &request, Status::NO_SUCH_TRANSACTION, cx);
        } else if *method == Method::Prack {
            self.handle_prack(token, request, cx);
        } else if matches!(method, Method::Invite | Method::Update) {
            self.handle_change(at, token, request, cx);
        } else {
            self.events
                .push_back(SessionEvent::Request { token, request });
        }
    }

    /// RFC 3261 §15.1.2. A BYE from one of several early dialogs ends only that.
    fn handle_bye(
        &mut self,
        at: usize,
        token: ServerToken,
        request: &Request,
        cx: &mut Context<'_>,
    ) {
        respond(token, request, Status::OK, cx);
        match matches!(self.usage, Usage::Calling | Usage::Cancelling) {
            true => {
                let fork = self.peers.remove(at).fork;
                self.withdraw_if(|asked| asked.fork == fork, cx);
            }
            false => self.left(request, cx),
        }
    }

    /// An INVITE or UPDATE within the dialog.
    fn handle_change(
        &mut self,
        at: usize,
        token: ServerToken,
        request: Box<Request>,
        cx: &mut Context<'_>,
    ) {
        let is_invite = request.method == Method::Invite;
        if is_invite {
            let ours = matches!(self.usage, Usage::Calling | Usage::Cancelling)
                || self.change.as_ref().is_some_and(super::Change::is_invite);
            let theirs = self.asked.is_some() || self.unacked.is_some() || self.called.is_some();
            if ours || theirs {
                let clash = match theirs {
                    true => Clash::Unanswered,
                    false => Clash::Glare,
                };
                return refuse(clash, token, &request, cx);
            }
        }
        let Ok(body) = Body::read(&request.headers, &request.body) else {
            return cx.endpoint.respond(token, unsupported(&request), cx.now);
        };
        let refresh = match refresh::answer(&request.headers, self.local.timer) {
            Ok(refresh) => refresh,
            Err(small) => {
                let response = too_small(&request, small);
                return cx.endpoint.respond(token, response, cx.now);
            }
        };
        let Some(peer) = self.peers.get_mut(at) else {
            return;
        };
        let clash = match (&body, is_invite) {
            (Some(_), _) if self.asked.is_some() => Err(Clash::Unanswered),
            (Some(_), _) => peer.exchange.take(Step::Ask),
            (None, true) => peer.exchange.after(Step::Offer).map(|_| ()),
            (None, false) => Ok(()),
        };
        if let Err(clash) = clash {
            return refuse(clash, token, &request, cx);
        }
        peer.note(&request.headers);
        let fork = peer.fork;
        if body.is_none() && !is_invite {
            self.retarget(fork, &request.headers);
            return self.send_ok(token, &request, refresh, None, cx);
        }
        let carrier = Carrier::Request {
            token,
            request,
            refresh,
        };
        self.ask(fork, carrier, body);
    }

    /// Answers an UPDATE or a PRACK with 200.
    fn send_ok(
        &mut self,
        token: ServerToken,
        request: &Request,
        refresh: Option<Refresh>,
        body: Option<Body>,
        cx: &mut Context<'_>,
    ) {
        let mut response = Response::to(request, Status::OK);
        if request.method == Method::Update {
            self.introduce(&mut response.headers, cx.endpoint);
            if let Some(refresh) = refresh.filter(|_| self.is_up()) {
                refresh::confirm(&mut response.headers, refresh, &request.headers);
                self.set_refresh(Some(refresh), cx.now);
            }
        }
        if let Some(body) = body {
            body.attach(&mut response.headers, &mut response.body);
            self.described = Some(body);
        }
        cx.endpoint.respond(token, response, cx.now);
    }

    /// Their INVITE within the dialog is no longer wanted (RFC 3261 §9.2).
    pub(super) fn withdraw(&mut self, invite: ServerToken, cx: &mut Context<'_>) {
        let is_it = |asked: &Asked| matches!(&asked.carrier, Carrier::Request { token, .. } if *token == invite);
        self.withdraw_if(is_it, cx);
        self.advance(cx);
    }

    /// Drops their offer where it is one of these.
    pub(super) fn withdraw_if(&mut self, these: impl Fn(&Asked) -> bool, cx: &mut Context<'_>) {
        if let Some(asked) = self.asked.take_if(|asked| these(asked)) {
            let token = asked.token;
            self.take_step_of(asked.fork, Step::Drop);
            self.let_go(asked, cx);
            self.events
                .push_back(SessionEvent::OfferWithdrawn { token });
        }
    }

    /// Ends what waits for our side, which will not answer any more (RFC 3261 §15.1.2).
    pub(super) fn let_go(&mut self, asked: Asked, cx: &mut Context<'_>) {
        match asked.carrier {
            Carrier::Request { token, request, .. } | Carrier::Prack { token, request } => {
                respond(token, &request, Status::REQUEST_TERMINATED, cx);
            }
            Carrier::Accepted(token) => self.acknowledge(token, None, cx),
            Carrier::Ring { .. } => {}
        }
    }

    fn retarget(&mut self, fork: Fork, headers: &Headers) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.fork == fork) {
            peer.dialog.refresh_target(headers);
        }
    }

    pub(super) fn take_step_of(&mut self, fork: Fork, step: Step) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.fork == fork) {
            let _ = peer.exchange.take(step);
        }
    }

    /// Whether nothing stands in the way of an offer of ours.
    pub(super) fn is_quiet(&self) -> bool {
        let exchange = self.peers.first().map(|peer| peer.exchange);
        let called = self.called.as_ref();
        self.asked.is_none()
            && !called.is_some_and(|called| called.reliable.holds())
            && self.unacked.is_none()
            && self.change.is_none()
            && matches!(exchange, Some(Exchange::Agreed | Exchange::Empty))
    }
}

/// RFC 3261 §14.2: 491, or 500 with a pause drawn up to ten seconds.
fn refuse(clash: Clash, token: ServerToken, request: &Request, cx: &mut Context<'_>) {
    let mut response = Response::to(request, clash.status());
    if clash == Clash::Unanswered {
        let pause = cx.pause(Duration::from_secs(10)).as_secs();
        response = response.with(Name::RetryAfter, &pause.to_string());
    }
    cx.endpoint.respond(token, response, cx.now);
}
