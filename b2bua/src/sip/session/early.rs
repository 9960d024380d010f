//! What comes before the answer to our INVITE: ringing, early media, and the PRACKs they may want
//! (RFC 3261 §13.2.2; RFC 3262 §4).

use super::asked::Carrier;
use super::event::{Body, SessionEvent};
use super::exchange::{Exchange, Step};
use super::peer::Turn;
use super::usage::Usage;
use super::{Context, Session};
use crate::sip::header::{CSeq, Name, RAck};
use crate::sip::message::Response;
use crate::sip::method::Method;
use crate::sip::status::Status;

impl Session {
    /// A provisional response to our INVITE.
    pub(super) fn progress(&mut self, response: &Response, cx: &mut Context<'_>) {
        // Whatever rings is of no interest any more once we gave up.
        if self.usage != Usage::Calling {
            return;
        }
        let status = response.status;
        // 100 is the word of the next hop alone, whatever tag it bears.
        let peer = match status == Status::TRYING {
            true => None,
            false => self.find_peer(response),
        };
        let Some(at) = peer else {
            let fork = super::Fork(0);
            self.events
                .push_back(SessionEvent::Progress { status, fork });
            return;
        };
        let Some(peer) = self.peers.get_mut(at) else {
            return;
        };
        let rseq = response.headers.rseq();
        let rseq = rseq.filter(|_| response.headers.has_option(Name::Require, "100rel"));
        if let Some(rseq) = rseq
            && peer.turn(rseq) == Turn::Other
        {
            return;
        }
        peer.note(&response.headers);
        peer.dialog.refresh_target(&response.headers);
        let fork = peer.fork;
        self.events
            .push_back(SessionEvent::Progress { status, fork });
        let body = Body::read(&response.headers, &response.body).unwrap_or_default();
        let reliable = rseq.is_some();
        match (peer.exchange, body) {
            (Exchange::Offered { agreed: false }, Some(body)) => {
                let told = peer.preview.replace(body.clone());
                if reliable {
                    let _ = peer.exchange.take(Step::HearAnswer);
                    peer.preview = None;
                }
                if reliable || told.as_ref() != Some(&body) {
                    self.events.push_back(SessionEvent::EarlyAnswer {
                        fork,
                        body,
                        reliable,
                    });
                }
            }
            (Exchange::Empty, Some(offer)) => {
                // Their offer in an unreliable response counts for nothing: it could be lost.
                if let Some(rseq) = rseq
                    && self.asked.is_none()
                    && peer.exchange.take(Step::Ask).is_ok()
                {
                    return self.ask(fork, Carrier::Ring { rseq }, Some(offer));
                }
            }
            (
                Exchange::Empty
                | Exchange::Agreed
                | Exchange::Offered { .. }
                | Exchange::Asked { .. },
                _,
            ) => {}
        }
        if let Some(rseq) = rseq {
            self.send_prack(fork, rseq, None, cx);
        }
    }

    /// Acknowledges a reliable response; `answer` is that to its offer.
    pub(super) fn send_prack(
        &mut self,
        fork: super::Fork,
        rseq: u32,
        answer: Option<&Body>,
        cx: &mut Context<'_>,
    ) {
        let number = self.calling.as_ref().and_then(|calling| {
            let cseq = calling.request.cseq()?;
            Some(cseq.number)
        });
        let peer = self.peers.iter_mut().find(|peer| peer.fork == fork);
        let (Some(number), Some(peer)) = (number, peer) else {
            return;
        };
        let mut prack = peer.dialog.request(Method::Prack);
        let method = Method::Invite;
        let cseq = CSeq { number, method };
        let rack = RAck { rseq, cseq };
        prack.headers.push(Name::RAck, &rack.to_string());
        if let Some(answer) = answer {
            answer.attach(&mut prack.headers, &mut prack.body);
        }
        let way = peer.dialog.way(&cx.endpoint.config().admission);
        self.send_within(super::requests::Kind::Prack, prack, way, cx);
    }
}
