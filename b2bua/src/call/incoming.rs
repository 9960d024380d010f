//! Calls from SIP to XMPP users: whom the INVITE is for, and how its answer comes about.

use std::time::Duration;

use tandem_shared::address::Address;
use tandem_shared::call::{CallId, Describe, End, EndReason, Fact, Offer, Ready, Role};
use tandem_shared::media::Media;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason, Refusal};

use super::leg::{SipLeg, XmppLeg};
use super::negotiate::{NoAgreement, sip as sdp, xmpp};
use super::outgoing::{local, name};
use super::{Beginning, Call, Calls, Context, Stage, ending, sip, tell};
use crate::body::sdp::Sdp;
use crate::caller_name;
use crate::party;
use crate::refusal;
use crate::sip::endpoint::{ServerToken, Source};
use crate::sip::grammar;
use crate::sip::header::Name;
use crate::sip::session::Body;
use crate::sip::{Request, Response, Status};
use crate::trunk::{TrunkId, is_full};

impl Calls {
    /// Takes an INVITE that begins a call.
    pub fn handle_invite(
        &mut self,
        token: ServerToken,
        request: Box<Request>,
        source: Source,
        cx: &mut Context<'_>,
    ) {
        match self.admit(&request, source, cx) {
            Ok(Admitted::New(offer, users)) => {
                self.begin_to_xmpp(token, request, source, (offer, users), cx);
            }
            Ok(Admitted::Replaces(id)) => self.replace(&id, token, request, source, cx),
            Err(response) => {
                tracing::info!(from = %Pii(source.flow.source()), status = %response.status,
                    "call from SIP refused");
                cx.endpoint.respond(token, *response, cx.now);
            }
        }
        self.settle(cx);
    }

    fn admit(
        &self,
        request: &Request,
        source: Source,
        cx: &mut Context<'_>,
    ) -> Result<Admitted, Box<Response>> {
        let settings = cx.settings;
        let refuse = |refusal: &Refusal| {
            let global = settings.global_failures;
            Box::new(refusal::to_sip(refusal, request, &settings.mapping, global))
        };
        if !cx.linked || self.closed {
            return Err(refuse(&refusal::not_now("The XMPP side is away")));
        }
        let replaced = self.sessions.replaced_by(request);
        let replaced = replaced.map_err(|status| Box::new(Response::to(request, status)))?;
        if let Some(key) = replaced {
            let gone = || Box::new(Response::to(request, Status::NO_SUCH_TRANSACTION));
            let id = self.by_session.get(&key).cloned();
            return id.map(Admitted::Replaces).ok_or_else(gone);
        }
        if !self.has_room(cx) {
            return Err(refuse(&refusal::not_now("Too many calls at once")));
        }
        let Some((id, trunk)) = settings.trunks.of(request, source) else {
            return Err(refuse(&party::stranger()));
        };
        if is_full(trunk, id, cx.states) {
            return Err(refuse(&refusal::not_now("Too many calls on this trunk")));
        }
        if self.has_share(id, cx.settings.call.max) {
            return Err(refuse(&refusal::not_now(
                "Too many calls of this trunk ring",
            )));
        }
        let trunk = Some(trunk);
        let users = party::recipients(request, trunk, settings);
        let users = users.map_err(|refusal| refuse(&refusal))?;
        let to = users.first().cloned();
        let to = to.ok_or_else(|| refuse(&Refusal::new(Reason::ItemNotFound)))?;
        let from = party::sender(request, trunk, settings).map_err(|refusal| refuse(&refusal))?;
        let called = party::called_number(request, trunk, &to, settings);
        let name = caller_name::with_called(caller_name::of(request, trunk), called.as_deref());
        if let Some(trunk) = trunk {
            if trunk.knows_spelling(&from) {
                cx.spellings.hear(&from, cx.actions);
            }
            for user in &users {
                cx.last_numbers
                    .hear((user, &from), request, trunk, settings, cx.actions);
            }
        }
        let offer = Offer {
            from,
            to,
            name,
            media: vec![Media::Audio],
            description: None,
            hops: request.max_forwards().unwrap_or(HOPS).saturating_sub(1),
        };
        Ok(Admitted::New(Box::new(offer), users))
    }

    /// Whether as many calls by a trunk wait for an answer as there are places free: one that calls and calls leaves
    /// others as many as it has (specs T14).
    fn has_share(&self, trunk: TrunkId, max: usize) -> bool {
        let free = max.saturating_sub(self.calls.len());
        // Cheap first: hardly ever is half of them taken.
        if self.calls.len() < free {
            return false;
        }
        let calls = self.calls.values();
        let rings = calls.filter(|call| {
            call.sip.is_called && call.stage != Stage::Up && call.trunk == Some(trunk)
        });
        rings.count() >= free
    }

    fn begin_to_xmpp(
        &mut self,
        token: ServerToken,
        request: Box<Request>,
        source: Source,
        (offer, users): (Box<Offer>, Vec<Address>),
        cx: &mut Context<'_>,
    ) {
        let address = source.flow.source();
        let Some((trunk_id, trunk)) = cx.settings.trunks.of(&request, source) else {
            return;
        };
        let policy = trunk.media.clone();
        let way = (source.flow.transport(), Some(address));
        let local = local((trunk_id, trunk), way, cx.states, cx.settings);
        let patience = patience(&request);
        let taken = self
            .sessions
            .take(token, request, source, local, &mut sip(cx));
        let Some(key) = taken else {
            return;
        };
        let id = CallId::mint(cx.mint);
        tracing::info!(call = %id, from = %Pii(&offer.from), to = %Pii(&offer.to), "call from SIP");
        let mut leg = SipLeg::new(name(cx), address);
        (leg.session, leg.is_called, leg.patience) = (Some(key), true, patience);
        let call = Call {
            anchor: self.next_anchor(),
            stage: Stage::Opening,
            policy,
            sip: leg,
            xmpp: XmppLeg::default(),
            trunk: Some(trunk_id),
            user: None,
            emergency: false,
            lasting: None,
            search: None,
            beginning: Some(Beginning::ToXmpp(offer)),
            told_ringing: false,
            told_ready: false,
            id: id.clone(),
        };
        cx.states.add_call(trunk_id);
        if users.len() > 1 {
            self.forks.open(&id, users, cx.mint);
        }
        self.enter(call, cx);
        self.open_place(&id, cx);
    }

    /// The session has read the INVITE's body.
    pub(super) fn handle_invited(
        &mut self,
        id: &CallId,
        offer: Option<Body>,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(body) = offer else {
            return;
        };
        let end = match Sdp::read(&body.kind, &body.bytes) {
            Ok(offer) if sdp::codecs(&offer, &call.policy).is_empty() => {
                ending::of_disagreement(NoAgreement::Codec)
            }
            Ok(offer) => {
                call.sip.offered = Some(offer);
                return;
            }
            Err(error) => {
                tracing::info!(call = %id, %error, "an offer cannot be read");
                End::new(EndReason::BadRequest).with_text(error.to_string())
            }
        };
        self.end_both(id, end, cx);
    }

    /// Tells the component of a call, unless its offer cannot be answered anyway: then nobody need ring.
    pub(super) fn ask_xmpp(&mut self, id: &CallId, offer: Box<Offer>, cx: &mut Context<'_>) {
        let hopeless = self.calls.get(id).and_then(|call| {
            let (terms, offered) = (call.sip_terms()?, call.sip.offered.as_ref()?);
            sdp::answer(&terms, offered).err()
        });
        match hopeless {
            Some(problem) => self.end_both(id, ending::of_disagreement(problem), cx),
            None => tell(id, Fact::Offer(offer), cx),
        }
    }

    /// A device of the called user rings.
    pub(super) fn ring(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if let Some(key) = call.sip.session.filter(|_| call.sip.is_called)
            && !std::mem::replace(&mut call.told_ringing, true)
        {
            self.sessions.with(key, &mut sip(cx), |session, cx| {
                session.ring(Status::RINGING, None, cx);
            });
        }
    }

    /// A device takes the call, or needs a description to ring at all.
    pub(super) fn describe_to_device(&mut self, id: &CallId, ready: &Ready, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if !call.sip.is_called || call.xmpp.sent.is_some() || call.xmpp.agreed.is_some() {
            return;
        }
        tracing::debug!(call = %id, answered = ready.answered, "a device wants the description");
        let codecs = call.offered_codecs();
        let Some(description) = call.xmpp_terms(&codecs).map(|terms| xmpp::offer(&terms)) else {
            return;
        };
        call.xmpp.sent = Some(description.clone());
        let role = Role::Offer;
        tell(
            id,
            Fact::Describe(Box::new(Describe { role, description })),
            cx,
        );
    }

    /// The device answered: so does the call.
    pub(super) fn handle_device_answer(
        &mut self,
        id: &CallId,
        answer: &tandem_shared::media::Description,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(ours) = call.xmpp.sent.take() else {
            return;
        };
        let codecs = call.offered_codecs();
        let Some(terms) = call.xmpp_terms(&codecs) else {
            return;
        };
        match xmpp::accept(&terms, ours, answer) {
            Ok(agreed) => {
                call.connect_xmpp(agreed, cx);
                self.answer_sip(id, cx);
            }
            Err(problem) => self.end_both(id, ending::of_disagreement(problem), cx),
        }
    }

    /// Accepts the INVITE: with the answer to its offer, or with an offer of ours.
    pub(super) fn answer_sip(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(key) = call.sip.session.filter(|_| call.stage != Stage::Up) else {
            return;
        };
        let Some(terms) = call.sip_terms() else {
            return;
        };
        let ours = match &call.sip.offered {
            Some(offer) => match sdp::answer(&terms, offer) {
                Ok(agreed) => {
                    let ours = agreed.ours.clone();
                    call.sip.offered = None;
                    call.connect_sip(agreed, cx);
                    ours
                }
                Err(problem) => return self.end_both(id, ending::of_disagreement(problem), cx),
            },
            None => sdp::offer(&terms),
        };
        let body = Body::sdp(ours.to_string());
        call.sip.sent = Some(ours);
        self.set_up(id, cx);
        tracing::info!(call = %id, "answered");
        self.sessions.with(key, &mut sip(cx), |session, cx| {
            session.answer(Some(body), cx);
        });
    }
}

/// How long the sender of this INVITE waits for the answer (RFC 3261 §13).
fn patience(request: &Request) -> Option<Duration> {
    let seconds = request.headers.get(Name::Expires)?;
    grammar::parse_number(seconds).map(Duration::from_secs)
}

/// What an INVITE amounts to.
enum Admitted {
    /// A call to somebody, or to all of these.
    New(Box<Offer>, Vec<Address>),
    /// A new party for this call.
    Replaces(CallId),
}

/// Hops of a request that does not count them.
const HOPS: u8 = 70;
