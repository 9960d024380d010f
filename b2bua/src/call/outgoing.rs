//! Calls of XMPP users to SIP: the INVITE, and what is said to it.

use std::net::{IpAddr, Ipv4Addr};

use tandem_shared::call::{CallId, Describe, End, EndReason, Fact, Offer, Ready, Role};
use tandem_shared::media::Media;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::Refusal;

use super::anchor::order;
use super::leg::{SipLeg, XmppLeg};
use super::negotiate::{Policy, sip as sdp, xmpp};
use super::search::Search;
use super::{Call, Calls, Context, Stage, ending, sip, tell};
use crate::body::sdp::Sdp;
use crate::contact;
use crate::media::Command;
use crate::settings::Settings;
use crate::sip::header::{Headers, Name};
use crate::sip::hop::Target as Way;
use crate::sip::session::{Body, Fork, Local, Outgoing, Wish};
use crate::sip::uri::Uri;
use crate::sip::{Hop, NameAddr, Status, Transport};
use crate::target::{self, Kind, Target};
use crate::trunk::{States, Trunk, TrunkId};

impl Calls {
    pub(super) fn begin_to_sip(&mut self, id: CallId, offer: Offer, cx: &mut Context<'_>) {
        if self.calls.contains_key(&id) {
            return;
        }
        tracing::info!(call = %id, from = %Pii(&offer.from), to = %Pii(&offer.to), "call to SIP");
        if !self.has_room(cx) {
            tracing::warn!(call = %id, "call refused: too many at once");
            let end = End::new(EndReason::ResourceConstraint)
                .with_text("Too many calls at once. Try again later.");
            return tell(&id, Fact::End(end), cx);
        }
        if !offer.media.contains(&Media::Audio) {
            tracing::info!(call = %id, "call refused: without sound");
            let end = End::new(EndReason::UnsupportedMedia).with_text("Calls here need sound.");
            return tell(&id, Fact::End(end), cx);
        }
        let parties = (&offer.from, &offer.to);
        let found = target::find(Kind::Call, parties, offer.hops, cx.spellings, cx.settings);
        let allowance = &cx.settings.policy.allowance;
        let found = found.and_then(|found| {
            let from = &offer.from;
            cx.approvals.check(from, Kind::Call, &found, cx.settings)?;
            // Nobody has talked too much to call for help.
            if !found.emergency {
                cx.usage.begin_call(from, allowance, cx.now)?;
            }
            Ok(found)
        });
        match found {
            Ok(mut found) => {
                let (from, to) = parties;
                cx.aliases.reach(from, to, &found, cx.settings);
                cx.last_numbers.choose(from, to, &mut found, cx.settings);
                let call = Call {
                    anchor: self.next_anchor(),
                    stage: Stage::Locating,
                    policy: Policy::default(),
                    trunk: None,
                    user: (!found.emergency).then(|| Box::new(offer.from.account())),
                    emergency: found.emergency,
                    lasting: None,
                    sip: SipLeg::new(name(cx), IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                    xmpp: XmppLeg {
                        offered: offer.description,
                        ..XmppLeg::default()
                    },
                    search: Some(Box::new(Search::new(
                        offer.from, offer.to, offer.hops, found,
                    ))),
                    beginning: None,
                    told_ringing: false,
                    told_ready: false,
                    id: id.clone(),
                };
                self.enter(call, cx);
                self.search(&id, cx);
            }
            Err(refusal) => {
                tracing::info!(call = %id, reason = ?refusal.reason, "call refused");
                tell(&id, Fact::End(ending::of_refusal(&refusal)), cx);
            }
        }
    }

    /// Media has ports: the INVITE goes out.
    pub(super) fn invite(
        &mut self,
        id: &CallId,
        mut invite: Outgoing,
        local: Local,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(offer) = call.sip_terms().map(|terms| sdp::offer(&terms)) else {
            return;
        };
        invite.offer = Some(Body::sdp(offer.to_string()));
        call.sip.sent = Some(offer);
        let key = self.sessions.call(invite, local, &mut sip(cx));
        call.sip.session = Some(key);
        self.by_session.insert(key, id.clone());
        self.be_patient(id, cx);
    }

    pub(super) fn handle_progress(&mut self, id: &CallId, status: Status, cx: &mut Context<'_>) {
        self.hear_life(id, cx);
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let rings = status.code() > Status::TRYING.code();
        if rings && !std::mem::replace(&mut call.told_ringing, true) {
            tell(id, Fact::Ringing, cx);
        }
    }

    /// There may be something to hear before the answer.
    pub(super) fn handle_early(
        &mut self,
        id: &CallId,
        fork: Fork,
        body: &Body,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Ok(answer) = Sdp::read(&body.kind, &body.bytes) else {
            return;
        };
        if call.sip.early.len() < FORKS {
            call.sip.early.insert(fork, answer.clone());
        }
        if !call.policy.early_media || call.sip.agreed.is_some() {
            return;
        }
        if self.connect_sip(id, &answer, cx).is_ok() {
            self.make_ready(id, false, cx);
        }
    }

    pub(super) fn handle_answered(
        &mut self,
        id: &CallId,
        fork: Fork,
        answer: Option<&Body>,
        cx: &mut Context<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.search = None;
        self.patience.cancel(id);
        tracing::info!(call = %id, "answered");
        self.set_up(id, cx);
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let early = std::mem::take(&mut call.sip.early);
        let answer = match answer {
            Some(body) => Sdp::read(&body.kind, &body.bytes).ok(),
            None => early.get(&fork).cloned(),
        };
        let Some(answer) = answer else {
            let end = End::new(EndReason::UnsupportedMedia)
                .with_text("The called party's description of the call cannot be read.");
            return self.end_both(id, end, cx);
        };
        match self.connect_sip(id, &answer, cx) {
            Ok(()) => self.make_ready(id, true, cx),
            Err(end) => self.end_both(id, end, cx),
        }
    }

    /// Takes an answer of the SIP leg to our description, and lets media flow there.
    pub(super) fn connect_sip(
        &mut self,
        id: &CallId,
        answer: &Sdp,
        cx: &mut Context<'_>,
    ) -> Result<(), End> {
        let gone = || End::new(EndReason::Failed);
        let call = self.calls.get_mut(id).ok_or_else(gone)?;
        let ours = call.sip.sent.clone().ok_or_else(gone)?;
        let terms = call.sip_terms().ok_or_else(gone)?;
        let agreed = sdp::accept(&terms, ours, answer).map_err(ending::of_disagreement)?;
        call.connect_sip(agreed, cx);
        Ok(())
    }

    /// Tells the component that descriptions are wanted, or answers the one we have.
    pub(super) fn make_ready(&mut self, id: &CallId, answered: bool, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if !std::mem::replace(&mut call.told_ready, true) {
            let device = None;
            tell(id, Fact::Ready(Ready { answered, device }), cx);
            if call.xmpp.offered.is_some() {
                self.answer_xmpp(id, cx);
            }
        }
    }

    /// Answers the XMPP leg's offer, the first or a change.
    pub(super) fn answer_xmpp(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(offer) = call.xmpp.offered.take() else {
            return;
        };
        let codecs = call.offered_codecs();
        let Some(terms) = call.xmpp_terms(&codecs) else {
            return;
        };
        match xmpp::answer(&terms, &offer) {
            Ok(agreed) => {
                let description = agreed.ours.clone();
                call.connect_xmpp(agreed, cx);
                let role = Role::Answer;
                tell(
                    id,
                    Fact::Describe(Box::new(Describe { role, description })),
                    cx,
                );
                self.follow_direction(id, cx);
            }
            Err(problem) if call.xmpp.agreed.is_some() => {
                tracing::info!(call = %id, %problem, "a change was refused");
                let (role, description) = (Role::Refusal, Default::default());
                tell(
                    id,
                    Fact::Describe(Box::new(Describe { role, description })),
                    cx,
                );
            }
            Err(problem) => {
                let end = ending::of_disagreement(problem);
                self.end_both(id, end, cx);
            }
        }
    }
}

impl Call {
    /// Media flows on the SIP leg as agreed.
    pub(super) fn connect_sip(&mut self, agreed: sdp::Agreed, cx: &mut Context<'_>) {
        order(
            Command::ConnectSip {
                anchor: self.anchor,
                peer: Box::new(agreed.peer.clone()),
                flow: Box::new(agreed.flow.clone()),
            },
            cx,
        );
        self.sip.agreed = Some(agreed);
    }

    /// Media flows on the XMPP leg as agreed.
    pub(super) fn connect_xmpp(&mut self, agreed: xmpp::Agreed, cx: &mut Context<'_>) {
        order(
            Command::ConnectXmpp {
                anchor: self.anchor,
                peer: Box::new(agreed.peer.clone()),
                flow: Box::new(agreed.flow.clone()),
            },
            cx,
        );
        self.xmpp.agreed = Some(agreed);
    }
}

/// The INVITE to `hop` of `trunk`, still without a description, and who we are in it.
pub(super) fn prepare(
    id: &CallId,
    search: &Search,
    (trunk_id, trunk): (TrunkId, &Trunk),
    target: Target,
    hop: &Hop,
    (states, settings): (&States, &Settings),
) -> Result<(Outgoing, Local), Refusal> {
    let mut headers = Headers::new();
    for proxy in states.service_route(trunk_id, hop.host.ip()) {
        headers.push(Name::Route, proxy);
    }
    let caller = target.caller(&search.from, trunk, settings)?;
    for (name, value) in caller.headers.iter() {
        headers.push(name, value);
    }
    let uri = |text: &str| Uri::parse(text).map_err(|_| malformed());
    let invite = Outgoing {
        from: caller.from,
        to: NameAddr::new(uri(&target.to)?),
        uri: target.uri,
        call_id: Some(id.0.clone()),
        max_forwards: search.hops,
        target: Way::Hop(hop.clone()),
        headers,
        offer: None,
    };
    let way = (hop.transport, hop.host.ip());
    let local = local((trunk_id, trunk), way, states, settings);
    Ok((invite, local))
}

/// Who we are on a trunk to a peer that speaks `transport`, from this address if it is known.
pub(super) fn local(
    (id, trunk): (TrunkId, &Trunk),
    (transport, peer): (Transport, Option<IpAddr>),
    states: &States,
    settings: &Settings,
) -> Local {
    let seen = states.seen(id, peer);
    let mut uri = contact::uri(CONTACT, (transport, peer), seen, &settings.endpoint);
    if states.keeps_flow(id, transport, peer) {
        // RFC 5626 §4.3: what follows in the dialog takes the same flow.
        uri.params.set("ob", None);
    }
    Local {
        contact: NameAddr::new(Uri::Sip(uri)),
        credential: trunk.credentials.clone(),
        reliable: false,
        timer: Wish {
            seconds: settings.call.session_expires,
            min: MIN_SE,
        },
    }
}

/// A number no other call has in its descriptions.
pub(super) fn name(cx: &mut Context<'_>) -> u64 {
    u64::try_from(cx.mint.number() & u128::from(u64::MAX)).unwrap_or_default()
}

fn malformed() -> Refusal {
    Refusal::new(tandem_shared::refusal::Reason::JidMalformed)
        .with_text("The address has no SIP form.")
}

/// The user of our Contact; who the user is stands in From.
const CONTACT: &str = "tandem";
/// The shortest life of a session we accept, in seconds (RFC 4028 §5).
const MIN_SE: u32 = 90;
/// Parties of a forked call whose early answers are kept.
const FORKS: usize = 16;
