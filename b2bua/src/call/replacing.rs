//! Another SIP party takes the place of the one in a call (RFC 3891 §3), answered or still ringing: the
//! XMPP leg stays.

use tandem_shared::call::CallId;

use super::leg::SipLeg;
use super::negotiate::{Policy, sip as sdp};
use super::outgoing::{local, name};
use super::{Call, Calls, Context, Stage, ending, sip};
use crate::body::sdp::Sdp;
use crate::sip::endpoint::{ServerToken, Source};
use crate::sip::header::Name;
use crate::sip::session::SessionKey;
use crate::sip::{Request, Response, Status};
use crate::trunk::TrunkId;

impl Calls {
    /// Lets the sender of this INVITE into the call; what it cannot do leaves the call as it is.
    pub(super) fn replace(
        &mut self,
        id: &CallId,
        token: ServerToken,
        request: Box<Request>,
        source: Source,
        cx: &mut Context<'_>,
    ) {
        let address = source.flow.source();
        let trunk = cx.settings.trunks.of(&request, source);
        // A call by a user's own account is no business of others, nor are their calls its own.
        let is_own = |id: TrunkId| {
            let trunk = cx.settings.trunks.get(id);
            trunk.is_some_and(|trunk| trunk.owner.is_some())
        };
        let call = self.calls.get_mut(id);
        let (Some((trunk_id, trunk)), Some(call)) = (trunk, call) else {
            return refuse(token, &request, cx);
        };
        let crosses = call
            .trunk
            .is_some_and(|its| its != trunk_id && (is_own(its) || is_own(trunk_id)));
        if crosses {
            return refuse(token, &request, cx);
        }
        let leg = SipLeg::new(name(cx), address);
        let before = call.enter(leg, trunk.media.clone());
        if let Err(refusal) = call.can_take(&request) {
            call.leave_again(before);
            tracing::info!(call = %id, status = %refusal.status, "another SIP party cannot take the call");
            return cx.endpoint.respond(token, *refusal, cx.now);
        }
        let way = (source.flow.transport(), Some(address));
        let local = local((trunk_id, trunk), way, cx.states, cx.settings);
        let taken = self
            .sessions
            .take(token, request, source, local, &mut sip(cx));
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(key) = taken else {
            return call.leave_again(before);
        };
        tracing::info!(call = %id, "another SIP party takes the call over");
        call.sip.session = Some(key);
        self.by_session.insert(key, id.clone());
        self.settle(cx);
        self.answer_sip(id, cx);
        if before.stage != Stage::Up {
            self.make_ready(id, true, cx);
        }
        if let Some(key) = before.leg.session {
            self.by_session.remove(&key);
            self.leave(key, cx);
        }
    }

    fn leave(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        self.sessions.with(key, &mut sip(cx), |session, cx| {
            session.hang_up(Vec::new(), cx)
        });
    }
}

/// The SIP side of a call before somebody took its place.
struct Before {
    leg: SipLeg,
    policy: Policy,
    stage: Stage,
}

impl Call {
    /// Puts a leg that called into the place of the one there is.
    fn enter(&mut self, mut leg: SipLeg, policy: Policy) -> Before {
        leg.is_called = true;
        leg.local.clone_from(&self.sip.local);
        leg.told_hold = self.sip.told_hold;
        Before {
            leg: std::mem::replace(&mut self.sip, leg),
            policy: std::mem::replace(&mut self.policy, policy),
            stage: std::mem::replace(&mut self.stage, Stage::Asking),
        }
    }

    fn leave_again(&mut self, before: Before) {
        (self.sip, self.policy, self.stage) = (before.leg, before.policy, before.stage);
    }

    /// Whether the offer of this INVITE could be answered; without one the offer is ours.
    fn can_take(&self, request: &Request) -> Result<(), Box<Response>> {
        if request.body.is_empty() {
            return Ok(());
        }
        let kind = request.headers.get(Name::ContentType).unwrap_or_default();
        let Ok(offer) = Sdp::read(kind, &request.body) else {
            let is_description = kind.to_ascii_lowercase().starts_with("application/sdp");
            let status = match is_description {
                true => Status::BAD_REQUEST,
                false => Status::UNSUPPORTED_MEDIA_TYPE,
            };
            return Err(Box::new(Response::to(request, status)));
        };
        let Some(terms) = self.sip_terms() else {
            let status = Status::NO_SUCH_TRANSACTION;
            return Err(Box::new(Response::to(request, status)));
        };
        sdp::answer(&terms, &offer).map(drop).map_err(|problem| {
            let (status, headers) = ending::to_refusal(&ending::of_disagreement(problem));
            let mut response = Response::to(request, status);
            for (name, value) in headers.iter() {
                response.headers.push(name, value);
            }
            Box::new(response)
        })
    }
}

/// What somebody hears who names a call that is not there for it.
fn refuse(token: ServerToken, request: &Request, cx: &mut Context<'_>) {
    let response = Response::to(request, Status::NO_SUCH_TRANSACTION);
    cx.endpoint.respond(token, response, cx.now);
}
