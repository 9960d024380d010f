//! Where an INVITE of ours goes, and where it goes next when nobody there takes it
//! (RFC 3263 §4.3; specs 10.2).
//!
//! Each try is a session of its own. One that is left behind is cancelled and, should it be answered
//! all the same, ends by itself with ACK and BYE.

use std::net::IpAddr;
use std::time::Duration;

use tandem_shared::address::Address;
use tandem_shared::call::{CallId, End, EndReason};
use tandem_shared::pii::Pii;

use super::outgoing::prepare;
use super::{Beginning, Calls, Context, Stage, ending, sip};
use crate::dns::PENALTY;
use crate::sip::endpoint::Failure;
use crate::sip::header::Name;
use crate::sip::{Hop, Response};
use crate::target::{Found, Target};
use crate::trunk::{Guide, PATIENCE, Step, Ways, is_full};

/// What is known while a call of an XMPP user looks for somebody who takes it.
#[derive(Debug)]
pub(super) struct Search {
    /// Who calls.
    pub(super) from: Address,
    /// Whom.
    pub(super) to: Address,
    /// How many more gateways it may pass.
    pub(super) hops: u8,
    found: Found,
    ways: Option<Ways>,
    /// The place tried last.
    hop: Option<Hop>,
    /// Why the last try came to nothing.
    last: Option<End>,
}

/// Why a try came to nothing.
#[derive(Debug)]
pub(super) enum Cause<'a> {
    /// It was refused.
    Response(&'a Response),
    /// There is no final response.
    Failure(Failure),
    /// There was no response at all for a while.
    Silence,
}

/// What is left to try after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another place; this one comes last for so long.
    Place(Duration),
    /// Another trunk.
    Trunk,
    /// Nothing: the call is refused.
    Nothing,
}

impl Search {
    pub(super) fn new(from: Address, to: Address, hops: u8, found: Found) -> Self {
        Self {
            from,
            to,
            hops,
            found,
            ways: None,
            hop: None,
            last: None,
        }
    }
}

impl Cause<'_> {
    fn next(&self) -> Next {
        let response = match self {
            Self::Failure(_) | Self::Silence => return Next::Place(PENALTY),
            Self::Response(response) => response,
        };
        match response.status.code() {
            503 => {
                let after = response.headers.get(Name::RetryAfter);
                let digits = after.map(|text| text.trim().split(|c: char| !c.is_ascii_digit()));
                let seconds = digits.and_then(|mut parts| parts.next()?.parse().ok());
                Next::Place(seconds.map_or(PENALTY, Duration::from_secs))
            }
            // The provider is in trouble, or does not know us.
            401 | 407 | 500 | 502 | 504 => Next::Trunk,
            _ => Next::Nothing,
        }
    }

    fn end(&self) -> End {
        match self {
            Self::Response(response) => ending::of_response(response),
            Self::Failure(failure) => ending::of_no_response(*failure),
            Self::Silence => ending::of_no_response(Failure::Timeout),
        }
    }
}

impl Calls {
    /// Tries the best way that is left.
    pub(super) fn search(&mut self, id: &CallId, cx: &mut Context<'_>) {
        loop {
            let Some(call) = self.calls.get_mut(id) else {
                return;
            };
            let Some(search) = &mut call.search else {
                return;
            };
            let mut guide = Guide::new(cx.settings, cx.states, cx.dns, cx.mint, cx.now);
            let mut ways = match search.ways.take() {
                Some(ways) => ways,
                None => search.found.ways(&mut guide),
            };
            let step = ways.step(&search.to, &mut guide);
            let ways = search.ways.insert(ways);
            let (trunk_id, hop) = match step {
                Step::Go(trunk, hop) => (trunk, hop),
                Step::Wait => {
                    call.stage = Stage::Locating;
                    self.locating.push(id.clone());
                    return;
                }
                Step::End => {
                    let nowhere = || {
                        End::new(EndReason::NotFound)
                            .with_text("The called party's server has no address.")
                    };
                    let end = search.last.take().unwrap_or_else(nowhere);
                    return self.over(id, end, cx);
                }
            };
            let Some(trunk) = cx.settings.trunks.get(trunk_id) else {
                ways.pass_trunk();
                continue;
            };
            if call.trunk != Some(trunk_id) && is_full(trunk, trunk_id, cx.states) {
                let end = End::new(EndReason::ResourceConstraint)
                    .with_text("All lines are in use. Try again later.");
                search.last.get_or_insert(end);
                ways.pass_trunk();
                continue;
            }
            let target = Target::new(&search.to, &search.found, trunk, cx.settings);
            let prepared = target.and_then(|target| {
                let known = (&*cx.states, cx.settings);
                prepare(id, search, (trunk_id, trunk), target, &hop, known)
            });
            let (invite, local) = match prepared {
                Ok(prepared) => prepared,
                Err(refusal) => {
                    search.last = Some(ending::of_refusal(&refusal));
                    search.ways.as_mut().map(Ways::pass_trunk);
                    continue;
                }
            };
            tracing::info!(call = %id, trunk = trunk.name, host = %Pii(&hop.host), "a way was found");
            let peer = hop.host.ip();
            search.hop = Some(hop);
            if let Some(before) = call.trunk.replace(trunk_id) {
                cx.states.remove_call(before);
            }
            cx.states.add_call(trunk_id);
            call.policy = trunk.media.clone();
            call.beginning = Some(Beginning::ToSip(Box::new(invite), Box::new(local)));
            return self.reach(id, peer, cx);
        }
    }

    /// Sees that media has ports in the family of `peer`, and lets the call begin.
    fn reach(&mut self, id: &CallId, peer: Option<IpAddr>, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let peer = peer.unwrap_or(call.sip.signalling);
        let before = std::mem::replace(&mut call.sip.signalling, peer);
        call.stage = Stage::Opening;
        let opened = self.by_anchor.contains_key(&call.anchor);
        let ready = call.sip.local.is_some();
        match (opened, before.is_ipv4() == peer.is_ipv4()) {
            (true, true) if ready => self.begin(id, cx),
            (true, true) => {}
            (true, false) => self.move_place(id, peer, cx),
            (false, _) => self.open_place(id, cx),
        }
    }

    /// The INVITE is out: whoever says nothing at all is not waited for long where there is
    /// somebody else.
    pub(super) fn be_patient(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let search = self.calls.get(id).and_then(|call| call.search.as_ref());
        let ways = search.and_then(|search| search.ways.as_ref());
        if ways.is_some_and(Ways::has_more) {
            self.patience.set(id.clone(), cx.now + PATIENCE);
        }
    }

    /// Somebody answered our INVITE, if only with 100.
    pub(super) fn hear_life(&mut self, id: &CallId, cx: &mut Context<'_>) {
        self.patience.cancel(id);
        if let Some(call) = self.calls.get(id)
            && let (Some(trunk), Some(search)) = (call.trunk, &call.search)
            && let Some(hop) = &search.hop
        {
            cx.dns.pardon(trunk.whose(), hop);
        }
    }

    /// Nobody has said anything for a while.
    pub(super) fn lose_patience(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let session = self.calls.get(id).and_then(|call| call.sip.session);
        if let Some(key) = session
            && self.search_on(id, &Cause::Silence, cx)
        {
            self.sessions.with(key, &mut sip(cx), |session, cx| {
                session.hang_up(Vec::new(), cx);
            });
        }
    }

    /// A try came to nothing. Tries the next way; false when that is for the owner of the call to end.
    pub(super) fn search_on(
        &mut self,
        id: &CallId,
        cause: &Cause<'_>,
        cx: &mut Context<'_>,
    ) -> bool {
        self.patience.cancel(id);
        let Some(call) = self.calls.get_mut(id) else {
            return false;
        };
        let (told, trunk) = (call.told_ready, call.trunk);
        let Some(search) = call.search.as_mut().filter(|_| !told) else {
            return false;
        };
        let next = cause.next();
        if let (Next::Place(pause), Some(hop), Some(trunk)) = (next, &search.hop, trunk) {
            cx.dns.penalise(trunk.whose(), hop, pause, cx.now);
        }
        let ways = search.ways.get_or_insert_default();
        let more = match next {
            Next::Place(_) => ways.pass(),
            Next::Trunk => ways.pass_trunk(),
            Next::Nothing => false,
        };
        if !more {
            return false;
        }
        let end = cause.end();
        tracing::info!(call = %id, reason = ?end.reason, status = end.status, "another way is tried");
        search.last = Some(end);
        if let Some(key) = call.sip.session.take() {
            self.by_session.remove(&key);
        }
        call.sip.sent = None;
        call.sip.agreed = None;
        call.sip.early.clear();
        self.search(id, cx);
        true
    }

    /// A name server answered, or nobody did: calls that wait for a name go on.
    pub fn handle_located(&mut self, cx: &mut Context<'_>) {
        for id in std::mem::take(&mut self.locating) {
            let call = self.calls.get(&id);
            if call.is_some_and(|call| call.stage == Stage::Locating) {
                self.search(&id, cx);
            }
        }
        self.settle(cx);
    }
}
