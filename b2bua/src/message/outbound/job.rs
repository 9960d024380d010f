//! One message in a queue: its request, its parts, and what was said about it so far.

use std::time::Instant;

use tandem_shared::bus::SessionId;
use tandem_shared::message::{Message, Outcome};
use tandem_shared::refusal::{Reason, Refusal};

use super::Context;
use crate::dns::Whose;
use crate::message::request::{self, Attempt};
use crate::message::split;
use crate::refusal;
use crate::sip::digest::{Denied, Rounds};
use crate::sip::endpoint::ClientToken;
use crate::sip::header::Name;
use crate::sip::hop::NotSent;
use crate::sip::{Hop, Request, Response, Transport};
use crate::target::{self, Found, Target};
use crate::trunk::{Guide, Step, Trunk, TrunkId, Ways};

/// A message that has no outcome yet.
#[derive(Debug)]
pub struct Job {
    pub(super) message: Box<Message>,
    pub(super) session: SessionId,
    found: Found,
    /// The ways that are left in this round of tries; none before the first.
    ways: Option<Ways>,
    /// The way in use.
    way: Option<Way>,
    /// Until when it is tried.
    pub(super) deadline: Instant,
    /// Its parts when it does not fit one request.
    parts: Vec<String>,
    /// Which part is on its way; those before arrived.
    part: usize,
    /// How many requests of this part were challenged.
    round: u32,
    rounds: Rounds,
    /// The request on its way, kept where it may be challenged; answered, it is the next to go.
    sent: Option<Request>,
    challenged: bool,
    large: Large,
    /// What was said last about why it does not arrive.
    last: Option<Refusal>,
    /// How much that says, among the failures of this round of tries.
    weight: u8,
}

/// A way to its contact.
#[derive(Debug)]
struct Way {
    trunk: TrunkId,
    hop: Hop,
    /// The contact as the trunk writes it.
    target: Target,
}

/// What is known of sending it whole although it is too large for its trunk's transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Large {
    Unknown,
    /// It went by another transport.
    Tried,
    /// The peer has no other transport.
    Impossible,
}

/// What a final response means for a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It ended.
    Done(Outcome),
    /// It did not arrive, and may later.
    Retry {
        /// Seconds the peer asked for.
        after: Option<u32>,
    },
    /// Send the next request for it.
    Continue,
    /// It did not arrive this way; try the next one.
    Next {
        /// Seconds this peer asked for.
        after: Option<u32>,
    },
    /// It did not arrive, and will not by this trunk.
    NextTrunk,
}

/// Why a request was not sent.
#[derive(Debug)]
pub(super) enum NotNow {
    /// Too many requests are open.
    Full,
    /// A name is being asked for.
    Locating,
    /// All ways were tried.
    NoWay,
    /// The ways that are left cannot carry it, and one that was tried may later.
    Later {
        /// Seconds that one asked for.
        after: Option<u32>,
    },
    /// It cannot be sent at all.
    Refused(Refusal),
}

impl Job {
    /// A message on its way to a contact that was found, to be tried until `deadline`.
    pub(super) fn new(
        message: Box<Message>,
        session: SessionId,
        found: Found,
        deadline: Instant,
    ) -> Self {
        Self {
            message,
            session,
            found,
            ways: None,
            way: None,
            deadline,
            parts: Vec::new(),
            part: 0,
            round: 0,
            rounds: Rounds::default(),
            sent: None,
            challenged: false,
            large: Large::Unknown,
            last: None,
            weight: 0,
        }
    }

    /// Sends its next request.
    pub(super) fn send(&mut self, token: ClientToken, cx: &mut Context<'_>) -> Result<(), NotNow> {
        let trunk = self.find_way(cx)?;
        let usual = self.hop().map_or(Transport::Udp, |hop| hop.transport);
        let answered = self
            .sent
            .take()
            .filter(|_| std::mem::take(&mut self.challenged));
        let mut request = match answered {
            Some(answered) => answered,
            None => self.compose(trunk, cx).map_err(NotNow::Refused)?,
        };
        let mut transport = usual;
        let account = trunk.credentials.is_some();
        if account || !request::is_surely_small(&self.message, self.text()) {
            let allowed = match self.large {
                Large::Impossible if self.parts.is_empty() => {
                    request::transport(trunk, usual, usize::MAX)
                }
                // Each part was cut to fit.
                Large::Impossible => Ok(usual),
                Large::Unknown | Large::Tried => {
                    request::transport(trunk, usual, request.wire_len())
                }
            };
            transport = match allowed {
                Ok(transport) => transport,
                Err(_) if trunk.split && self.parts.is_empty() => {
                    self.cut(trunk, cx).map_err(NotNow::Refused)?;
                    cx.counters.split += 1;
                    request = self.compose(trunk, cx).map_err(NotNow::Refused)?;
                    usual
                }
                Err(refusal) => return Err(NotNow::Refused(self.with_parts(refusal))),
            };
        }
        if transport != usual {
            self.large = Large::Tried;
        }
        if let Some(thread) = &self.message.thread {
            cx.threads.sent(request.call_id(), thread);
        }
        let hop = self.hop().cloned().ok_or(NotNow::NoWay)?;
        let hop = match transport == usual {
            true => hop,
            false => trunk.over(&hop, transport),
        };
        tracing::debug!(id = %self.message.id, to = %self.message.to, trunk = trunk.name,
            host = %hop.host, port = hop.port, part = self.part, round = self.round,
            "sending a message");
        self.sent = account.then(|| request.clone());
        cx.endpoint
            .request(token, request, hop, cx.now)
            .map_err(|_| NotNow::Full)
    }

    /// Takes a final response to its last request.
    pub(super) fn hear(&mut self, response: &Response, cx: &mut Context<'_>) -> Answer {
        if response.status.is_success() {
            self.begin();
            self.part += 1;
            return match self.part < self.parts.len() {
                true => Answer::Continue,
                false => Answer::Done(Ok(())),
            };
        }
        let refusal = refusal::from_sip(response);
        match response.status.code() {
            401 | 407 => match self.answer(response, cx) {
                Ok(()) => Answer::Continue,
                Err(denied) => {
                    tracing::warn!(id = %self.message.id, %denied, status = response.status.code(),
                        "the next hop does not accept the trunk's account");
                    self.begin();
                    self.last = Some(unauthenticated(refusal));
                    Answer::NextTrunk
                }
            },
            503 => {
                let after = refusal.retry_after;
                self.begin();
                self.last = Some(refusal);
                Answer::Next { after }
            }
            480 if refusal.retry_after.is_some() => {
                let after = refusal.retry_after;
                self.begin();
                self.last = Some(refusal);
                Answer::Retry { after }
            }
            _ => Answer::Done(Err(self.with_parts(refusal))),
        }
    }

    /// Its last request was surely not delivered.
    /// Tells whether the place it went to is to be tried once more.
    pub(super) fn note_not_sent(&mut self, reason: NotSent, cx: &Context<'_>) -> bool {
        let trunk = self.way.as_ref().map(|way| way.trunk);
        let trunk = trunk.and_then(|id| cx.settings.trunks.get(id));
        let splits = trunk.is_some_and(|trunk| trunk.split);
        let again = self.large == Large::Tried && self.parts.is_empty() && splits;
        if again {
            self.large = Large::Impossible;
        }
        // Of several places that failed, the one that was reached says most.
        let weight = match reason {
            NotSent::Tls => 3,
            NotSent::Resolve => 1,
            NotSent::Connect | NotSent::Closed | NotSent::Unreachable => 2,
        };
        if weight < self.weight {
            return again;
        }
        self.weight = weight;
        self.last = Some(match reason {
            NotSent::Resolve => Refusal::new(Reason::RemoteServerNotFound)
                .with_text("The contact's server has no address."),
            NotSent::Tls => Refusal::new(Reason::RemoteServerTimeout)
                .with_text("The contact's server cannot be reached securely."),
            NotSent::Connect | NotSent::Closed | NotSent::Unreachable => {
                Refusal::new(Reason::RemoteServerTimeout)
                    .with_text("The contact's server cannot be reached.")
            }
        });
        again
    }

    /// Why it is given up, its time being over.
    pub(super) fn expired(&self) -> Refusal {
        let refusal = self.last.clone().unwrap_or_else(|| {
            Refusal::new(Reason::RemoteServerTimeout)
                .with_text("The contact's server does not answer.")
        });
        self.with_parts(refusal)
    }

    /// Nobody knows whether it arrived.
    pub(super) fn doubt(&self) -> Refusal {
        let refusal = Refusal::new(Reason::InDoubt)
            .with_text("There was no answer. The message may not have been delivered.");
        self.with_parts(refusal)
    }

    /// Where its requests go at present.
    pub(super) fn hop(&self) -> Option<&Hop> {
        self.way.as_ref().map(|way| &way.hop)
    }

    /// The same, and for whom it counts how it answers.
    pub(super) fn tried(&self) -> Option<(Whose, &Hop)> {
        let way = self.way.as_ref()?;
        Some((way.trunk.whose(), &way.hop))
    }

    /// The contact as the trunk in use writes it.
    pub(super) fn target(&self) -> Option<&Target> {
        self.way.as_ref().map(|way| &way.target)
    }

    /// Gives up the place in use; true when another one is left.
    pub(super) fn pass(&mut self) -> bool {
        self.leave();
        self.ways.as_mut().is_some_and(Ways::pass)
    }

    /// Gives up the trunk in use; true when another one is left.
    pub(super) fn pass_trunk(&mut self) -> bool {
        self.leave();
        self.ways.as_mut().is_some_and(Ways::pass_trunk)
    }

    /// What one place does not take the next one may.
    fn leave(&mut self) {
        self.way = None;
        if self.parts.is_empty() {
            self.large = Large::Unknown;
        }
    }

    /// All ways are open again.
    pub(super) fn start_over(&mut self) {
        self.weight = 0;
        self.ways = None;
        self.way = None;
    }

    /// Makes sure there is a way in use, and returns its trunk.
    pub(super) fn find_way<'a>(&mut self, cx: &mut Context<'a>) -> Result<&'a Trunk, NotNow> {
        let mut guide = Guide::new(cx.settings, cx.states, cx.dns, cx.mint, cx.now);
        // An account that was set anew is another trunk.
        let known = |id: &TrunkId| cx.settings.trunks.get(*id).is_some();
        if self.ways.is_none() && !self.found.trunks.iter().any(known) {
            let (kind, message) = (target::Kind::Message, &self.message);
            let parties = (&message.from, &message.to);
            let found = target::find(kind, parties, message.hops, cx.spellings, cx.settings);
            self.found = found.map_err(NotNow::Refused)?;
            let (from, to) = parties;
            cx.last_numbers
                .choose(from, to, &mut self.found, cx.settings);
        }
        let found = &self.found;
        let ways = self.ways.get_or_insert_with(|| found.ways(&mut guide));
        if let Some(way) = &self.way {
            return cx.settings.trunks.get(way.trunk).ok_or(NotNow::NoWay);
        }
        loop {
            let (id, hop) = match ways.step(&self.message.to, &mut guide) {
                Step::Go(trunk, hop) => (trunk, hop),
                Step::Wait => return Err(NotNow::Locating),
                Step::End => return Err(NotNow::NoWay),
            };
            let trunk = cx.settings.trunks.get(id).ok_or(NotNow::NoWay)?;
            let (from, to) = (&self.message.from, &self.message.to);
            let target = Target::new(to, &self.found, trunk, cx.settings).and_then(|target| {
                target.caller(from, trunk, cx.settings)?;
                Ok(target)
            });
            match target {
                Ok(target) => {
                    // Another peer knows nothing of what the last one asked for.
                    self.begin();
                    self.way = Some(Way {
                        trunk: id,
                        hop,
                        target,
                    });
                    return Ok(trunk);
                }
                Err(refusal) => {
                    let missed = ways.missed();
                    // What one trunk may not carry another may, as with calls; not the rest of a message.
                    if self.part == 0 && ways.pass_trunk() {
                        continue;
                    }
                    let after = self.last.as_ref().and_then(|last| last.retry_after);
                    return Err(match self.weight > 0 || after.is_some() {
                        true => NotNow::Later { after },
                        false if missed => NotNow::NoWay,
                        false => NotNow::Refused(self.with_parts(refusal)),
                    });
                }
            }
        }
    }

    fn text(&self) -> &str {
        self.parts
            .get(self.part)
            .map_or(&self.message.body, |part| part)
    }

    fn compose(&self, trunk: &Trunk, cx: &mut Context<'_>) -> Result<Request, Refusal> {
        let attempt = Attempt {
            text: self.text(),
            part: self.part,
            round: self.round,
        };
        let way = self.way.as_ref().ok_or_else(nowhere)?;
        let mut request = request::compose(
            &self.message,
            &way.target,
            trunk,
            attempt,
            cx.settings,
            cx.key,
        )?;
        for proxy in cx.states.service_route(way.trunk, way.hop.host.ip()) {
            request.headers.push(Name::Route, proxy);
        }
        if let Some(account) = cx.accounts.get_mut(&way.trunk) {
            account.authorize(&mut request, cx.mint);
        }
        Ok(request)
    }

    /// Answers the challenge to its last request.
    fn answer(&mut self, response: &Response, cx: &mut Context<'_>) -> Result<(), Denied> {
        let trunk = self.way.as_ref().map(|way| way.trunk);
        let account = trunk.and_then(|id| cx.accounts.get_mut(&id));
        let (Some(account), Some(mut request)) = (account, self.sent.take()) else {
            return Err(Denied::Unreadable);
        };
        account.answer(response, &mut request, &mut self.rounds, cx.mint)?;
        self.round += 1;
        request
            .headers
            .set(Name::CSeq, &request::cseq(&self.message, self.round));
        cx.counters.challenged += 1;
        self.sent = Some(request);
        self.challenged = true;
        Ok(())
    }

    /// Begins a part, or a part anew, as if it had never been challenged.
    fn begin(&mut self) {
        self.round = 0;
        self.rounds = Rounds::default();
        self.sent = None;
        self.challenged = false;
    }

    /// Cuts the text into parts that fit a datagram each.
    fn cut(&mut self, trunk: &Trunk, cx: &Context<'_>) -> Result<(), Refusal> {
        let attempt = Attempt {
            text: "",
            part: 0,
            round: 0,
        };
        let way = self.way.as_ref().ok_or_else(nowhere)?;
        let empty = request::compose(
            &self.message,
            &way.target,
            trunk,
            attempt,
            cx.settings,
            cx.key,
        )?;
        let answer = trunk.credentials.as_ref().map_or(0, |_| MAX_ANSWER);
        let room = request::MAX_DATAGRAM.saturating_sub(empty.wire_len() + answer);
        self.parts =
            split::split(&self.message.body, room, cx.settings.message.parts).ok_or_else(|| {
                Refusal::new(Reason::TooLarge)
                    .with_text("The message is too long for this contact.")
            })?;
        Ok(())
    }

    /// `refusal`, saying what of a message in parts arrived.
    fn with_parts(&self, refusal: Refusal) -> Refusal {
        if self.part == 0 {
            return refusal;
        }
        let text = refusal.text.clone().unwrap_or_default();
        let (arrived, all) = (self.part, self.parts.len());
        refusal.with_text(format!("{arrived} of {all} parts were delivered. {text}"))
    }
}

fn nowhere() -> Refusal {
    Refusal::new(Reason::RemoteServerNotFound).with_text("The contact's server has no address.")
}

/// The account was not accepted, which is the operator's business and not the user's.
fn unauthenticated(refusal: Refusal) -> Refusal {
    Refusal {
        reason: Reason::InternalServerError,
        ..refusal.with_text("The gateway could not authenticate to the contact's server.")
    }
}

/// Bytes the answer to a challenge may take.
const MAX_ANSWER: usize = 420;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::message::request::tests::message;
    use crate::settings::tests::settings;

    /// A job to be tried until `deadline`.
    pub(in crate::message::outbound) fn job(deadline: Instant) -> Job {
        let settings = settings();
        let message = message(
            ("juliet", "example.com"),
            ("romeo", "pbx.example.net"),
            "hello",
        );
        let own = settings.mapping.domain.as_str();
        let found = Found {
            trunks: settings.trunks.find(&message.to, own).unwrap(),
            user: "romeo".to_owned(),
            hidden: false,
            chosen: None,
            via: None,
            abroad: false,
            emergency: false,
        };
        let session = SessionId::conversation(&message.from, &message.to);
        Job::new(Box::new(message), session, found, deadline)
    }
}
