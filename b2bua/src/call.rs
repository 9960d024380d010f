//! Calls (RFC 3261 §13; docs/ARCHITECTURE.md): two legs and the anchor their media runs through.
//!
//! The SIP leg is a [`Session`](crate::sip::session::Session); of the XMPP leg the component tells
//! what happened and carries the descriptions that are negotiated here. `outgoing` and
//! `incoming` begin calls to and from SIP, `fork` rings several users, `within` changes them, `replacing` puts another SIP party into
//! them, [`ending`] says why they end.
//! A call that is over is forgotten at once: what its SIP leg still has to say it says by itself.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tandem_shared::address::Address;
use tandem_shared::bus::SessionId;
use tandem_shared::call::{CallEvent, CallId, End, EndReason, Fact};
use tandem_shared::event::Event as BusEvent;
use tandem_shared::mint::Mint;
use tandem_shared::timers::Timers;

use crate::action::Action;
use crate::alias::Aliases;
use crate::dns::Dns;
use crate::last_number::LastNumbers;
use crate::media::{AnchorId, Command};
use crate::policy::{Approvals, Usage};
use crate::settings::Settings;
use crate::sip::Endpoint;
use crate::sip::Status;
use crate::sip::endpoint;
use crate::sip::header::Headers;
use crate::sip::session::{self, SessionEvent, SessionKey, Sessions};
use crate::spelling::Spellings;
use crate::trunk::{States, TrunkId};

pub mod ending;
pub mod negotiate;

mod anchor;
mod fork;
mod incoming;
mod lasting;
mod leg;
mod outgoing;
mod replacing;
mod search;
mod within;

use anchor::order;
use fork::Forks;
use lasting::Lasting;
use leg::{SipLeg, XmppLeg};
use negotiate::Policy;
use search::Search;

/// All calls.
#[derive(Debug, Default)]
pub struct Calls {
    /// Each in a box: a table that grows keeps much room free.
    calls: HashMap<CallId, Box<Call>>,
    by_session: HashMap<SessionKey, CallId>,
    by_anchor: HashMap<AnchorId, CallId>,
    sessions: Sessions,
    timers: Timers<CallId>,
    /// When an INVITE nobody has answered goes elsewhere.
    patience: Timers<CallId>,
    /// Calls that are for several users.
    forks: Forks,
    /// Calls that wait for a name.
    locating: Vec<CallId>,
    anchors: u64,
    closed: bool,
}

/// What calls work with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What sends requests and answers.
    pub endpoint: &'a mut Endpoint,
    /// What was configured.
    pub settings: &'a Settings,
    /// How users are spelled.
    pub spellings: &'a mut Spellings,
    /// For what must not be guessed.
    pub mint: &'a mut Mint,
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// How trunks are.
    pub states: &'a mut States,
    /// What users have used.
    pub usage: &'a mut Usage,
    /// Who may reach numbers abroad.
    pub approvals: &'a mut Approvals,
    /// Who was told where answers come from.
    pub aliases: &'a mut Aliases,
    /// By which numbers contacts called last.
    pub last_numbers: &'a mut LastNumbers,
    /// What media is asked for, and what is to be stored.
    pub actions: &'a mut VecDeque<Action>,
    /// What is to be published.
    pub events: &'a mut Vec<(SessionId, BusEvent)>,
    /// Whether the XMPP side is there.
    pub linked: bool,
    /// The time.
    pub now: Instant,
}

/// How calls are treated.
#[derive(Debug, Clone)]
pub struct CallSettings {
    /// Most calls at once.
    pub max: usize,
    /// How long a called party may ring.
    pub ring: Duration,
    /// How long a call may last once it is answered.
    pub longest: Option<Duration>,
    /// How long a session may go unrefreshed, in seconds (RFC 4028).
    pub session_expires: u32,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            max: 1000,
            ring: Duration::from_secs(120),
            longest: None,
            session_expires: 1800,
        }
    }
}

/// One call.
#[derive(Debug)]
struct Call {
    id: CallId,
    anchor: AnchorId,
    stage: Stage,
    /// What the trunk allows on the SIP leg.
    policy: Policy,
    /// The trunk of the SIP leg, once there is one.
    trunk: Option<TrunkId>,
    sip: SipLeg,
    xmpp: XmppLeg,
    /// How a call begins once media has its ports; gone afterwards.
    beginning: Option<Beginning>,
    /// The user whose call it is and who pays for it; none for calls from SIP, and for calls for help.
    user: Option<Box<Address>>,
    /// Whether it is a call for help, which no bound ends.
    emergency: bool,
    /// How long it lasts, once it is answered.
    lasting: Option<Lasting>,
    /// Where else an INVITE of ours may go, until somebody answers it.
    search: Option<Box<Search>>,
    /// Whether the component was told that it rings.
    told_ringing: bool,
    /// Whether the component was told that descriptions are wanted.
    told_ready: bool,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A name is being asked for.
    Locating,
    /// Media is asked for ports.
    Opening,
    /// The called party is asked.
    Asking,
    /// Answered.
    Up,
}

/// What a call is begun with.
enum Beginning {
    /// By this INVITE; its offer is added when there are ports.
    ToSip(Box<session::Outgoing>, Box<session::Local>),
    /// By telling the component.
    ToXmpp(Box<tandem_shared::call::Offer>),
}

/// Without the parties: they are nobody's business.
impl std::fmt::Debug for Beginning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ToSip(..) => "ToSip",
            Self::ToXmpp(_) => "ToXmpp",
        })
    }
}

impl Calls {
    /// A fact about a call came from the component.
    pub fn handle_fact(&mut self, event: CallEvent, cx: &mut Context<'_>) {
        for event in self.forks.hear(event, cx.events) {
            self.hear_fact(event, cx);
        }
        self.settle(cx);
    }

    fn hear_fact(&mut self, event: CallEvent, cx: &mut Context<'_>) {
        let CallEvent { call: id, fact } = event;
        match fact {
            Fact::Offer(offer) => self.begin_to_sip(id, *offer, cx),
            Fact::End(end) => {
                if let Some(call) = self.forget(&id, cx) {
                    tracing::info!(call = %id, reason = ?end.reason, "call ended by XMPP");
                    self.end_sip(&call, &end, cx);
                }
            }
            Fact::Ringing => self.ring(&id, cx),
            Fact::Ready(ready) => self.describe_to_device(&id, &ready, cx),
            Fact::Describe(describe) => self.handle_describe(&id, *describe, cx),
            Fact::Trickle(trickle) => self.handle_trickle(&id, trickle, cx),
            Fact::Hold(held) => self.hold(&id, held, cx),
            Fact::Dtmf(dtmf) => self.press(&id, &dtmf, cx),
            Fact::Unknown => tracing::debug!(call = %id, "a fact of a newer node"),
        }
    }

    /// Gives what the endpoint says to the call it is for; what is for none comes back.
    pub fn handle_sip(
        &mut self,
        event: endpoint::Event,
        cx: &mut Context<'_>,
    ) -> Option<endpoint::Event> {
        let rest = self.sessions.handle(event, &mut sip(cx));
        self.settle(cx);
        rest
    }

    /// The component is gone, and with it every XMPP leg.
    pub fn handle_lost(&mut self, cx: &mut Context<'_>) {
        self.end_all("The XMPP side of the gateway is gone.", cx);
        self.settle(cx);
    }

    /// Nothing new begins.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The process ends: every call is ended in order.
    pub fn end(&mut self, cx: &mut Context<'_>) {
        self.end_all("The gateway is restarting.", cx);
        self.settle(cx);
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.sessions.handle_timeout(&mut sip(cx));
        while let Some(id) = self.patience.pop(cx.now) {
            self.lose_patience(&id, cx);
        }
        while let Some(id) = self.timers.pop(cx.now) {
            let stage = self.calls.get(&id).map(|call| call.stage);
            if stage == Some(Stage::Up) {
                self.review(&id, cx);
                continue;
            }
            tracing::info!(call = %id, "nobody answered in time");
            let end = End::new(EndReason::NoAnswer).with_text("Nobody answered.");
            self.expire(&id, cx);
            self.end_both(&id, end, cx);
        }
        self.settle(cx);
    }

    /// When [`Calls::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let all = [
            self.timers.next(),
            self.patience.next(),
            self.sessions.poll_timeout(),
        ];
        all.into_iter().flatten().min()
    }

    /// How many calls there are, and how many sessions of the SIP side, ending ones included.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        (self.calls.len(), self.sessions.len())
    }

    /// How many calls are for several users, and how many users those are.
    #[cfg(test)]
    pub(crate) fn forks(&self) -> (usize, usize) {
        self.forks.held()
    }

    /// Takes what sessions have to tell until they have nothing more; what is told of calls for several
    /// users goes to those it concerns.
    fn settle(&mut self, cx: &mut Context<'_>) {
        while let Some((key, event)) = self.sessions.poll_event() {
            match self.by_session.get(&key).cloned() {
                Some(id) => self.handle_session(&id, event, cx),
                None => refuse_late(event, cx),
            }
        }
        self.forks.spread(cx.events);
    }

    fn handle_session(&mut self, id: &CallId, event: SessionEvent, cx: &mut Context<'_>) {
        match event {
            SessionEvent::Invited { offer } => self.handle_invited(id, offer, cx),
            SessionEvent::Progress { status, .. } => self.handle_progress(id, status, cx),
            SessionEvent::EarlyAnswer { fork, body, .. } => {
                self.handle_early(id, fork, &body, cx);
            }
            SessionEvent::Answered { fork, answer } => {
                self.handle_answered(id, fork, answer.as_ref(), cx);
            }
            SessionEvent::Established => tracing::debug!(call = %id, "acknowledged"),
            SessionEvent::Offer { token, body } => self.handle_offer(id, token, &body, cx),
            SessionEvent::OfferWanted { token } => self.make_offer(id, token, cx),
            SessionEvent::OfferWithdrawn { .. } => {}
            SessionEvent::Answer { body, .. } => self.handle_answer(id, &body, cx),
            SessionEvent::OfferRefused { status } => {
                tracing::debug!(call = %id, %status, "the SIP side keeps what was agreed");
            }
            SessionEvent::Request { token, request } => {
                self.handle_request(id, token, &request, cx);
            }
            SessionEvent::Response { status, .. } => {
                tracing::debug!(call = %id, ?status, "INFO answered");
            }
            SessionEvent::Redirected { response } | SessionEvent::Refused { response } => {
                if !self.search_on(id, &search::Cause::Response(&response), cx) {
                    self.over(id, ending::of_response(&response), cx);
                }
            }
            SessionEvent::Failed { failure } => {
                if !self.search_on(id, &search::Cause::Failure(failure), cx) {
                    self.over(id, ending::of_no_response(failure), cx);
                }
            }
            SessionEvent::Ended { end, reasons } => {
                self.over(id, ending::of_session(end, &reasons), cx);
            }
        }
    }

    /// The SIP leg is over by itself.
    fn over(&mut self, id: &CallId, end: End, cx: &mut Context<'_>) {
        if let Some(call) = self.forget(id, cx) {
            let words = match self.by_anchor.contains_key(&call.anchor) {
                true => "call ended by SIP",
                // Nobody was asked.
                false => "call refused",
            };
            tracing::info!(call = %id, reason = ?end.reason, status = end.status, "{words}");
            tell(id, Fact::End(end), cx);
        }
    }

    /// Ends both legs for a reason of our own.
    fn end_both(&mut self, id: &CallId, end: End, cx: &mut Context<'_>) {
        if let Some(call) = self.forget(id, cx) {
            tracing::info!(call = %id, reason = ?end.reason, "call ended");
            self.end_sip(&call, &end, cx);
            tell(id, Fact::End(end), cx);
        }
    }

    /// Whoever said how long it waits for the answer hears 487 when that is over (RFC 3261 §13).
    fn expire(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let leg = self.calls.get(id).map(|call| &call.sip);
        let expired = leg.filter(|leg| leg.patience.is_some_and(|it| it <= cx.settings.call.ring));
        if let Some(key) = expired.and_then(|leg| leg.session) {
            self.sessions.with(key, &mut sip(cx), |session, cx| {
                session.reject(Status::REQUEST_TERMINATED, &Headers::new(), cx);
            });
        }
    }

    fn end_all(&mut self, text: &str, cx: &mut Context<'_>) {
        let mut ids: Vec<CallId> = self.calls.keys().cloned().collect();
        ids.sort_unstable();
        for id in ids {
            let end = End::new(EndReason::Failed).with_text(text);
            self.end_both(&id, end, cx);
        }
    }

    /// Ends the SIP leg: a final response, CANCEL or BYE.
    fn end_sip(&mut self, call: &Call, end: &End, cx: &mut Context<'_>) {
        let Some(key) = call.sip.session else {
            return;
        };
        let is_called = call.sip.is_called && call.stage != Stage::Up;
        self.sessions
            .with(key, &mut sip(cx), |session, cx| match is_called {
                true => {
                    let (status, headers) = ending::to_refusal(end);
                    session.reject(status, &headers, cx);
                }
                false => session.hang_up(ending::to_reasons(end), cx),
            });
    }

    /// Takes a call out of the tables and gives its media back.
    fn forget(&mut self, id: &CallId, cx: &mut Context<'_>) -> Option<Box<Call>> {
        let mut call = self.calls.remove(id)?;
        call.count(cx);
        self.timers.cancel(id);
        self.patience.cancel(id);
        if let Some(trunk) = call.trunk {
            cx.states.remove_call(trunk);
        }
        if let Some(user) = &call.user {
            cx.usage.end_call(user, cx.now);
        }
        if let Some(key) = call.sip.session {
            self.by_session.remove(&key);
        }
        // Until media has answered, `by_anchor` names the call for the log.
        if self.by_anchor.contains_key(&call.anchor) {
            let anchor = call.anchor;
            order(Command::Release { anchor }, cx);
        }
        Some(call)
    }

    /// Puts a call into the tables.
    fn enter(&mut self, call: Call, cx: &mut Context<'_>) {
        let id = call.id.clone();
        if let Some(key) = call.sip.session {
            self.by_session.insert(key, id.clone());
        }
        let ring = cx.settings.call.ring;
        let ring = call
            .sip
            .patience
            .map_or(ring, |patience| patience.min(ring));
        self.timers.set(id.clone(), cx.now + ring);
        self.calls.insert(id, Box::new(call));
    }

    /// Media has ports: the call begins.
    fn begin(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.stage = Stage::Asking;
        match call.beginning.take() {
            Some(Beginning::ToSip(invite, local)) => self.invite(id, *invite, *local, cx),
            Some(Beginning::ToXmpp(offer)) => self.ask_xmpp(id, offer, cx),
            None => {}
        }
    }

    /// Whether one more call may begin.
    fn has_room(&self, cx: &Context<'_>) -> bool {
        !self.closed && self.calls.len() < cx.settings.call.max
    }
}

/// What sessions work with, of what we work with.
fn sip<'a>(cx: &'a mut Context<'_>) -> session::Context<'a> {
    session::Context {
        endpoint: cx.endpoint,
        mint: cx.mint,
        now: cx.now,
    }
}

fn tell(id: &CallId, fact: Fact, cx: &mut Context<'_>) {
    let event = CallEvent {
        call: id.clone(),
        fact,
    };
    cx.events
        .push((SessionId::call(id), BusEvent::Call(Box::new(event))));
}

/// What a session asks whose call is over.
fn refuse_late(event: SessionEvent, cx: &mut Context<'_>) {
    if let SessionEvent::Request { token, request } = event {
        let status = Status::NO_SUCH_TRANSACTION;
        let response = crate::sip::Response::to(&request, status);
        cx.endpoint.respond(token, response, cx.now);
    }
}

#[cfg(test)]
mod tests;
