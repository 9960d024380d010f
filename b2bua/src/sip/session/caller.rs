//! Our INVITE, from the first copy to the last 2xx (RFC 3261 §13.2).

use super::event::{Body, End, Fork, Local, OfferToken, Outgoing, SessionEvent};
use super::exchange::{Exchange, Step};
use super::peer::Peer;
use super::usage::{Input, Usage};
use super::{Context, Session, asked, ended, refresh};
use crate::sip::dialog::{Dialog, tag_of};
use crate::sip::digest::Rounds;
use crate::sip::endpoint::{ClientToken, Failure};
use crate::sip::header::{CSeq, Headers, Name, Reason};
use crate::sip::hop::{NotSent, Target, Transmit};
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::status::Status;

/// Our INVITE.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) token: ClientToken,
    /// As it was sent last.
    pub(super) request: Request,
    pub(super) target: Target,
    rounds: Rounds,
}

/// A 2xx of ours that was, or will be, acknowledged.
#[derive(Debug)]
pub(super) struct Acked {
    pub(super) token: ClientToken,
    pub(super) tag: Box<str>,
    /// The ACK; not there while our side thinks about the offer of the 2xx.
    pub(super) ack: Option<Transmit>,
}

impl Session {
    /// Calls somebody.
    pub(super) fn call(base: u64, call: Outgoing, local: Local, cx: &mut Context<'_>) -> Self {
        let mut session = Self::new(base, local, Usage::Calling);
        let mut request = Request::new(Method::Invite, call.uri);
        let mut from = call.from;
        from.params.set("tag", Some(&cx.mint.token()));
        let call_id = call.call_id.unwrap_or_else(|| cx.mint.token());
        let headers = &mut request.headers;
        headers.push(Name::From, &from.to_string());
        headers.push(Name::To, &call.to.to_string());
        headers.push(Name::CallId, &call_id);
        headers.push(Name::CSeq, "1 INVITE");
        headers.push(Name::MaxForwards, &call.max_forwards.to_string());
        session.introduce(headers, cx.endpoint);
        refresh::ask(headers, session.local.timer, None);
        for (name, value) in call.headers.iter() {
            headers.push(name, value);
        }
        if let Some(offer) = &call.offer {
            offer.attach(&mut request.headers, &mut request.body);
        }
        session.described = call.offer;
        let calling = Calling {
            token: session.tokens.next(),
            request,
            target: call.target,
            rounds: Rounds::default(),
        };
        session.send_invite(calling, cx);
        session
    }

    /// The Call-ID and our tag, by which requests of the other side find this session.
    pub(super) fn names(&self) -> (String, String) {
        if let Some(peer) = self.peers.first() {
            let (call_id, tag) = (peer.dialog.call_id(), peer.dialog.local_tag());
            return (call_id.to_owned(), tag.to_owned());
        }
        let request = self.calling.as_ref().map(|calling| &calling.request);
        request.map_or_else(Default::default, |request| {
            let from = request.headers.get(Name::From).unwrap_or_default();
            (request.call_id().to_owned(), tag_of(from))
        })
    }

    fn send_invite(&mut self, calling: Calling, cx: &mut Context<'_>) {
        let (request, target) = (calling.request.clone(), calling.target.clone());
        let sent = cx.endpoint.request(calling.token, request, target, cx.now);
        match sent {
            Ok(()) => self.calling = Some(calling),
            Err(_) => self.fail_invite(Failure::NotSent(NotSent::Closed), cx),
        }
    }

    pub(super) fn fail_invite(&mut self, failure: Failure, cx: &mut Context<'_>) {
        self.calling = None;
        let tell = match self.usage == Usage::Calling {
            true => SessionEvent::Failed { failure },
            false => ended(End::Ours),
        };
        self.step(Input::Refused, Some(tell), cx);
    }

    /// A final response to our INVITE.
    pub(super) fn conclude(&mut self, response: Box<Response>, cx: &mut Context<'_>) {
        if response.status.is_success() {
            return self.accepted(&response, cx);
        }
        let Some(calling) = self.calling.take() else {
            return;
        };
        if self.usage != Usage::Calling {
            let tell = SessionEvent::Ended {
                end: End::Ours,
                reasons: response.headers.reasons(),
            };
            return self.step(Input::Refused, Some(tell), cx);
        }
        match self.amend(calling, &response, cx) {
            Some(calling) => {
                self.peers.clear();
                self.withdraw_if(|_| true, cx);
                self.send_invite(calling, cx);
            }
            None => {
                let tell = match response.status.class() {
                    3 => SessionEvent::Redirected { response },
                    _ => SessionEvent::Refused { response },
                };
                self.step(Input::Refused, Some(tell), cx);
            }
        }
    }

    /// The INVITE again, as the response wants it, if that is possible.
    fn amend(
        &mut self,
        mut calling: Calling,
        response: &Response,
        cx: &mut Context<'_>,
    ) -> Option<Calling> {
        match response.status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                let digest = self.digest.as_mut()?;
                let (request, rounds) = (&mut calling.request, &mut calling.rounds);
                digest.answer(response, request, rounds, cx.mint).ok()?;
            }
            Status::INTERVAL_TOO_SMALL => {
                let min = response.headers.min_se()?;
                if min <= self.local.timer.min {
                    return None;
                }
                self.local.timer.min = min;
                refresh::ask(&mut calling.request.headers, self.local.timer, None);
            }
            _ => return None,
        }
        let number = calling.request.cseq().map_or(1, |cseq| cseq.number) + 1;
        let method = Method::Invite;
        let cseq = CSeq { number, method }.to_string();
        calling.request.headers.set(Name::CSeq, &cseq);
        calling.token = self.tokens.next();
        Some(calling)
    }

    /// RFC 3261 §13.2.2: the first 2xx makes the call; whoever else answers is thanked and left.
    fn accepted(&mut self, response: &Response, cx: &mut Context<'_>) {
        let Some(calling) = &self.calling else {
            return;
        };
        let token = calling.token;
        let tag = tag_of(response.headers.get(Name::To).unwrap_or_default());
        if self.acknowledge_copy(token, &tag, cx) {
            return;
        }
        if !matches!(self.usage, Usage::Calling | Usage::Cancelling) {
            return self.leave_fork(&tag, response, cx);
        }
        let Some(at) = self.find_peer(response) else {
            return; // Without a tag there is no dialog, and nobody to hang up on.
        };
        let mut peer = self.peers.swap_remove(at);
        peer.note(&response.headers);
        peer.dialog.refresh_target(&response.headers);
        peer.dialog.set_routes(&response.headers);
        let body = Body::read(&response.headers, &response.body).unwrap_or_default();
        let (fork, preview) = (peer.fork, peer.preview.take());
        let (step, answer, offer) = match (peer.exchange, body.or(preview.clone())) {
            (Exchange::Offered { agreed: false }, Some(body)) => {
                let news = Some(body).filter(|body| Some(body) != preview.as_ref());
                (Some(Step::HearAnswer), news, None)
            }
            (Exchange::Empty, Some(offer)) => (Some(Step::Ask), None, Some(offer)),
            (Exchange::Offered { agreed: false } | Exchange::Empty, None) => (None, None, None),
            // Agreed already, perhaps with a change under way.
            (Exchange::Agreed | Exchange::Asked { .. } | Exchange::Offered { agreed: true }, _) => {
                (None, None, None)
            }
        };
        if let Some(step) = step {
            let _ = peer.exchange.take(step);
        }
        let described = !matches!(
            peer.exchange,
            Exchange::Empty | Exchange::Offered { agreed: false }
        );
        self.peers.clear();
        self.peers.push(peer);
        self.withdraw_if(|asked| asked.fork != fork, cx);
        self.set_refresh(refresh::settle(&response.headers), cx.now);
        let cancelled = self.usage == Usage::Cancelling;
        let thinks = offer.is_some() && !cancelled;
        let tag = tag.into_boxed_str();
        self.acked.push(Acked {
            token,
            tag,
            ack: None,
        });
        if !thinks {
            self.acknowledge(token, None, cx);
        }
        if cancelled {
            return self.step(Input::Accepted, Some(ended(End::Ours)), cx);
        }
        let tell = SessionEvent::Answered { fork, answer };
        self.step(Input::Accepted, Some(tell), cx);
        if let Some(body) = offer {
            self.ask(fork, asked::Carrier::Accepted(token), Some(body));
        } else if !described {
            self.reasons = vec![Reason::sip(Status::NOT_ACCEPTABLE_HERE)];
            self.step(Input::Lost, Some(ended(End::NoDescription)), cx);
        }
        self.advance(cx);
    }

    /// A 2xx of a fork that lost the race: ACK, then BYE (RFC 3261 §13.2.2).
    fn leave_fork(&mut self, tag: &str, response: &Response, cx: &mut Context<'_>) {
        let Some(calling) = &self.calling else {
            return;
        };
        let target = calling.target.clone();
        let dialog = Dialog::from_response(&calling.request, response, target);
        let (Some(mut dialog), true) = (dialog, self.acked.len() < MAX_FORKS) else {
            return;
        };
        let number = calling.request.cseq().map_or(0, |cseq| cseq.number);
        let mut ack = dialog.ack(number);
        copy_credentials(&calling.request.headers, &mut ack.headers);
        let token = calling.token;
        let way = dialog.way(&cx.endpoint.config().admission);
        let ack = Some(cx.endpoint.acknowledge(ack, way.clone()));
        let tag = tag.into();
        self.acked.push(Acked { token, tag, ack });
        let bye = dialog.request(Method::Bye);
        self.send_farewell(bye, way, cx);
    }

    /// Sends the ACK of a copy again; false for the first copy of its kind.
    pub(super) fn acknowledge_copy(
        &mut self,
        token: ClientToken,
        tag: &str,
        cx: &mut Context<'_>,
    ) -> bool {
        let known = |acked: &&Acked| acked.token == token && &*acked.tag == tag;
        let Some(acked) = self.acked.iter().find(known) else {
            return false;
        };
        if let Some(ack) = &acked.ack {
            cx.endpoint.send(ack.clone());
        }
        true
    }

    /// Acknowledges the 2xx of an INVITE of ours to the party that is left.
    pub(super) fn acknowledge(
        &mut self,
        token: ClientToken,
        answer: Option<&Body>,
        cx: &mut Context<'_>,
    ) {
        let calling = self
            .calling
            .as_ref()
            .filter(|calling| calling.token == token);
        let invite = match (calling, &self.change) {
            (Some(calling), _) => &calling.request,
            (None, Some(change)) if change.token == Some(token) => &change.request,
            (None, _) => return,
        };
        let Some(peer) = self.peers.first() else {
            return;
        };
        let number = invite.cseq().map_or(0, |cseq| cseq.number);
        let mut ack = peer.dialog.ack(number);
        copy_credentials(&invite.headers, &mut ack.headers);
        if let Some(answer) = answer {
            answer.attach(&mut ack.headers, &mut ack.body);
        }
        let way = peer.dialog.way(&cx.endpoint.config().admission);
        let tag = peer.dialog.remote_tag();
        let known = |acked: &&mut Acked| acked.token == token && &*acked.tag == tag;
        if let Some(acked) = self.acked.iter_mut().find(known) {
            acked.ack = Some(cx.endpoint.acknowledge(ack, way));
        }
    }

    /// The party a response comes from, made known if it is new.
    pub(super) fn find_peer(&mut self, response: &Response) -> Option<usize> {
        let calling = self.calling.as_ref()?;
        let tag = tag_of(response.headers.get(Name::To)?);
        let known = |peer: &Peer| peer.dialog.remote_tag() == tag;
        if let Some(at) = self.peers.iter().position(known) {
            return Some(at);
        }
        let target = calling.target.clone();
        let dialog = Dialog::from_response(&calling.request, response, target)?;
        if self.peers.len() >= MAX_FORKS && !response.status.is_success() {
            return None;
        }
        let exchange = match calling.request.body.is_empty() {
            true => Exchange::Empty,
            false => Exchange::Offered { agreed: false },
        };
        self.forks = self.forks.saturating_add(1);
        let fork = Fork(self.forks);
        self.peers.push(Peer::new(fork, dialog, exchange));
        Some(self.peers.len() - 1)
    }

    pub(super) fn next_offer(&mut self) -> OfferToken {
        self.offers = self.offers.wrapping_add(1);
        OfferToken(self.offers)
    }
}

/// RFC 3261 §22.1: an ACK cannot be challenged, so it bears what its INVITE bore.
fn copy_credentials(invite: &Headers, ack: &mut Headers) {
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        for value in invite.all(name) {
            ack.push(name, value);
        }
    }
}

/// Most parties one INVITE is thought to reach.
const MAX_FORKS: usize = 16;
