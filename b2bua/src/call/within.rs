//! Changes within a call: offers of either side, holding, keys, candidates.

use std::time::Duration;

use tandem_shared::call::{CallId, Describe, Dtmf, Fact, Role};
use tandem_shared::media::{Candidate, Description, Trickle};

use super::anchor::order;
use super::negotiate::{Keys, NoAgreement, sip as sdp};
use super::{Call, Calls, Context, Stage, ending, sip, tell};
use crate::body::{dtmf, sdp::Sdp};
use crate::media::{AnchorId, Command, Leg};
use crate::sip::endpoint::ServerToken;
use crate::sip::header::{Headers, Name};
use crate::sip::session::{Body, OfferToken};
use crate::sip::{Method, Request, Response, Status};

impl Calls {
    /// A description of the XMPP leg came.
    pub(super) fn handle_describe(
        &mut self,
        id: &CallId,
        describe: Describe,
        cx: &mut Context<'_>,
    ) {
        let Describe { role, description } = describe;
        match role {
            Role::Offer => self.handle_xmpp_offer(id, description, cx),
            Role::Answer => self.handle_device_answer(id, &description, cx),
            Role::Refusal => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.xmpp.sent = None;
                }
            }
        }
    }

    fn handle_xmpp_offer(&mut self, id: &CallId, offer: Description, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let agreed = call.xmpp.agreed.as_ref();
        let restarts = agreed.is_some_and(|agreed| agreed.is_restarted_by(&offer));
        let is_begun = agreed.is_some() || call.told_ready;
        call.xmpp.offered = Some(offer);
        match (restarts, is_begun) {
            (true, _) => {
                let anchor = call.anchor;
                order(Command::Restart { anchor }, cx);
            }
            (false, true) => self.answer_xmpp(id, cx),
            // It is answered when there is something to hear.
            (false, false) => {}
        }
    }

    /// What the XMPP leg now sends and hears is told to the SIP leg.
    pub(super) fn follow_direction(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let (Some(key), Stage::Up, Some(agreed)) = (call.sip.session, call.stage, &call.sip.agreed)
        else {
            return;
        };
        let said = agreed.ours.media.iter().find(|line| line.port != 0);
        let wanted = call.direction_to_sip();
        if said.is_none_or(|line| line.direction == wanted) {
            return;
        }
        let Some(offer) = call.sip_terms().map(|terms| sdp::offer(&terms)) else {
            return;
        };
        let body = Body::sdp(offer.to_string());
        call.sip.sent = Some(offer);
        self.sessions
            .with(key, &mut sip(cx), |session, cx| session.offer(body, cx));
    }

    /// The XMPP user holds the call, or no longer.
    pub(super) fn hold(&mut self, id: &CallId, held: bool, cx: &mut Context<'_>) {
        if let Some(call) = self.calls.get_mut(id) {
            call.xmpp.holds = held;
            self.follow_direction(id, cx);
        }
    }

    /// The SIP side offers a change.
    pub(super) fn handle_offer(
        &mut self,
        id: &CallId,
        token: OfferToken,
        body: &Body,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let answered = Sdp::read(&body.kind, &body.bytes)
            .map_err(|error| {
                tracing::info!(call = %id, %error, "an offer cannot be read");
                Status::BAD_REQUEST
            })
            .and_then(|offer| {
                let terms = call.sip_terms().ok_or(Status::SERVER_INTERNAL_ERROR)?;
                sdp::answer(&terms, &offer).map_err(|problem| {
                    tracing::info!(call = %id, %problem, "a change was refused");
                    // A description of nothing at all gives nothing up.
                    let gives_up = problem == NoAgreement::Audio && !offer.media.is_empty();
                    if gives_up {
                        Status::OK
                    } else {
                        Status::NOT_ACCEPTABLE_HERE
                    }
                })
            });
        let reply = match answered {
            Ok(agreed) => {
                let body = Body::sdp(agreed.ours.to_string());
                call.sip.sent = Some(agreed.ours.clone());
                call.connect_sip(agreed, cx);
                call.tell_hold(cx);
                Ok(body)
            }
            // The call has lost its only sound.
            Err(Status::OK) => {
                return self.end_both(id, ending::of_disagreement(NoAgreement::Audio), cx);
            }
            Err(status) => Err(status),
        };
        self.respond_offer(id, token, reply, cx);
    }

    /// The SIP side wants an offer of ours.
    pub(super) fn make_offer(&mut self, id: &CallId, token: OfferToken, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let offer = call.sip_terms().map(|terms| sdp::offer(&terms));
        let reply = match offer {
            Some(offer) => {
                let body = Body::sdp(offer.to_string());
                call.sip.sent = Some(offer);
                Ok(body)
            }
            None => Err(Status::SERVER_INTERNAL_ERROR),
        };
        self.respond_offer(id, token, reply, cx);
    }

    fn respond_offer(
        &mut self,
        id: &CallId,
        token: OfferToken,
        reply: Result<Body, Status>,
        cx: &mut Context<'_>,
    ) {
        if let Some(key) = self.calls.get(id).and_then(|call| call.sip.session) {
            self.sessions.with(key, &mut sip(cx), |session, cx| {
                session.respond_offer(token, reply, cx);
            });
        }
    }

    /// The SIP side answered our offer.
    pub(super) fn handle_answer(&mut self, id: &CallId, body: &Body, cx: &mut Context<'_>) {
        let Ok(answer) = Sdp::read(&body.kind, &body.bytes) else {
            return tracing::info!(call = %id, "an answer cannot be read");
        };
        let first = self
            .calls
            .get(id)
            .is_some_and(|call| call.sip.agreed.is_none());
        match self.connect_sip(id, &answer, cx) {
            Ok(()) => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.tell_hold(cx);
                }
            }
            Err(end) if first => self.end_both(id, end, cx),
            Err(end) => tracing::info!(call = %id, reason = ?end.reason, "an answer does not fit"),
        }
    }

    /// A request within the call that only we can answer.
    pub(super) fn handle_request(
        &mut self,
        id: &CallId,
        token: ServerToken,
        request: &Request,
        cx: &mut Context<'_>,
    ) {
        let response = if request.method == Method::Info {
            self.handle_info(id, request, cx)
        } else if request.method == Method::Refer {
            Response::to(request, Status::DECLINE).with_reason("Transfers are not possible here")
        } else {
            crate::refusal::capabilities(request)
        };
        cx.endpoint.respond(token, response, cx.now);
    }

    /// Keys in both dialects; packages nobody asked for are refused (RFC 6086 §4.2.2).
    fn handle_info(&mut self, id: &CallId, request: &Request, cx: &mut Context<'_>) -> Response {
        if request.headers.get(Name::InfoPackage).is_some() {
            return Response::to(request, Status::BAD_INFO_PACKAGE).with(Name::RecvInfo, "");
        }
        let kind = request.headers.get(Name::ContentType).unwrap_or_default();
        match dtmf::read(kind, &request.body) {
            Ok(Some(pressed)) => {
                if let Some(call) = self.calls.get(id) {
                    order(
                        call.key_to(Leg::Xmpp, pressed.key, pressed.milliseconds),
                        cx,
                    );
                    tell(id, Fact::Dtmf(pressed), cx);
                }
                Response::to(request, Status::OK)
            }
            Ok(None) => Response::to(request, Status::OK),
            Err(dtmf::Unknown) => Response::to(request, Status::UNSUPPORTED_MEDIA_TYPE)
                .with(Name::Accept, dtmf::ACCEPT),
        }
    }

    /// The XMPP user pressed a key by a word of its own.
    pub(super) fn press(&mut self, id: &CallId, pressed: &Dtmf, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let events = call
            .sip
            .agreed
            .as_ref()
            .map(|agreed| agreed.flow.events.is_some());
        match events {
            Some(true) => order(call.key_to(Leg::Sip, pressed.key, pressed.milliseconds), cx),
            Some(false) => self.send_info(id, pressed, cx),
            None => {}
        }
    }

    /// A key was heard on a leg, and the other leg has no telephone events.
    pub(super) fn pass_key(
        &mut self,
        anchor: AnchorId,
        leg: Leg,
        key: char,
        duration: Duration,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.of_anchor(anchor) else {
            return;
        };
        let id = call.id.clone();
        let milliseconds = u16::try_from(duration.as_millis()).unwrap_or(u16::MAX);
        let pressed = Dtmf { key, milliseconds };
        match leg {
            Leg::Sip => tell(&id, Fact::Dtmf(pressed), cx),
            Leg::Xmpp => self.send_info(&id, &pressed, cx),
        }
    }

    fn send_info(&mut self, id: &CallId, pressed: &Dtmf, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        if call.policy.keys == Keys::Rfc4733 {
            return tracing::debug!(call = %id, "a key is not told: the other side has no events");
        }
        let Some(key) = call.sip.session else {
            return;
        };
        let mut headers = Headers::new();
        headers.push(Name::ContentType, dtmf::RELAY);
        let body = bytes::Bytes::from(dtmf::relay(pressed));
        self.sessions.with(key, &mut sip(cx), |session, cx| {
            session.request(Method::Info, &headers, body, cx);
        });
    }

    /// Candidates of the XMPP user's device.
    pub(super) fn handle_trickle(&mut self, id: &CallId, trickle: Trickle, cx: &mut Context<'_>) {
        if let Some(call) = self.calls.get(id) {
            let command = Command::Candidates {
                anchor: call.anchor,
                ufrag: trickle.ufrag,
                candidates: trickle.candidates,
            };
            order(command, cx);
        }
    }

    /// Candidates of ours that were found later.
    pub(super) fn send_candidates(
        &mut self,
        anchor: AnchorId,
        candidates: Vec<Candidate>,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.of_anchor(anchor) else {
            return;
        };
        let described = call.xmpp.agreed.as_ref().map(|agreed| &agreed.ours);
        let described = described.or(call.xmpp.sent.as_ref());
        let stream = described.and_then(|description| description.streams.first());
        let (Some(stream), Some(local)) = (stream, &call.xmpp.local) else {
            return;
        };
        let trickle = Trickle {
            mid: stream.mid.clone(),
            ufrag: Some(local.ice.ufrag.clone()),
            candidates,
            end: false,
        };
        let id = call.id.clone();
        tell(&id, Fact::Trickle(trickle), cx);
    }
}

impl Call {
    /// Tells the component when the SIP side begins or ends to hold the call.
    fn tell_hold(&mut self, cx: &mut Context<'_>) {
        let Some(agreed) = &self.sip.agreed else {
            return;
        };
        // They hold where they do not hear what we would send.
        let (hears, _) = agreed.flow.direction.ways();
        let (wanted, _) = self.direction_to_sip().ways();
        let held = wanted && !hears;
        if std::mem::replace(&mut self.sip.told_hold, held) != held {
            tell(&self.id, Fact::Hold(held), cx);
        }
    }

    fn key_to(&self, leg: Leg, key: char, milliseconds: u16) -> Command {
        Command::Dtmf {
            anchor: self.anchor,
            leg,
            key,
            duration: Duration::from_millis(u64::from(milliseconds)),
        }
    }
}
