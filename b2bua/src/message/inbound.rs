//! Messages from SIP: each is answered when its outcome is known (RFC 3428 §7).
//!
//! A request gets a 2xx only after the XMPP server has its message, and never two different final
//! responses: what was answered is stored before it is sent, and a repeat hears it again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tandem_shared::bus::SessionId;
use tandem_shared::event::{Event, MessageOutcome};
use tandem_shared::message::{Message, MessageId, Outcome};
use tandem_shared::pii::Pii;
use tandem_shared::refusal::Refusal;
use tandem_shared::timers::Timers;

use super::join::Joins;
use super::thread::Threads;
use super::translate::{self, Translated};
use crate::action::{Action, Key, Record};
use crate::clock::Now;
use crate::counters::Counters;
use crate::counts::Counts;
use crate::fingerprint::Fingerprint;
use crate::last_number::LastNumbers;
use crate::party;
use crate::refusal;
use crate::settings::Settings;
use crate::sip::endpoint::{ServerToken, Source};
use crate::sip::transaction::key::ByKey;
use crate::sip::{Endpoint, Request, Response, Status};
use crate::spelling::Spellings;
use crate::trunk::{Trunk, TrunkId};

mod shares;

use shares::Shares;

/// Requests that wait for their outcome, and those that had one.
#[derive(Debug, Default)]
pub struct Inbound {
    pending: HashMap<Fingerprint, Pending, ByKey>,
    /// How many of them each trunk has.
    waiting: Counts<TrunkId>,
    timers: Timers<Fingerprint, ByKey>,
    /// Given up, but perhaps delivered later.
    late: VecDeque<(Fingerprint, Option<Shares>)>,
    answered: HashMap<Fingerprint, Status, ByKey>,
    order: VecDeque<(i64, Fingerprint)>,
    pruned: Option<Instant>,
    joins: Joins,
    places: u64,
    closed: bool,
}

#[derive(Debug)]
struct Pending {
    /// The same request may come by several transactions.
    tokens: Vec<ServerToken>,
    request: Box<Request>,
    source: Source,
    /// The trunk it came by.
    trunk: Option<TrunkId>,
    /// Its place among all that came.
    place: u64,
    /// Its copies, where it is for several users.
    shares: Option<Shares>,
}

/// What inbound messages work with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What sends responses.
    pub endpoint: &'a mut Endpoint,
    /// What was configured.
    pub settings: &'a Settings,
    /// The installation key.
    pub key: &'a [u8; 16],
    /// How users are spelled.
    pub spellings: &'a mut Spellings,
    /// Which threads were sent as which Call-ID.
    pub threads: &'a Threads,
    /// By which numbers contacts wrote last.
    pub last_numbers: &'a mut LastNumbers,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// What is to be stored.
    pub actions: &'a mut VecDeque<Action>,
    /// What is to be published.
    pub events: &'a mut Vec<(SessionId, Event)>,
    /// Whether the XMPP side is there.
    pub linked: bool,
    /// The time.
    pub now: Now,
}

impl Inbound {
    /// Takes back what the store held.
    pub fn restore(&mut self, request: Fingerprint, status: Status, at: i64) {
        if self.answered.insert(request, status).is_none() {
            self.order.push_back((at, request));
        }
    }

    /// Takes a MESSAGE request.
    pub fn handle_request(
        &mut self,
        token: ServerToken,
        request: Box<Request>,
        source: Source,
        cx: &mut Context<'_>,
    ) {
        let print = Fingerprint::of(cx.key, source.address(), &request);
        if let Some(pending) = self.pending.get_mut(&print) {
            if pending.tokens.len() < MAX_COPIES {
                pending.tokens.push(token);
            }
            return;
        }
        if let Some(status) = self.answered.get(&print) {
            cx.counters.recorded += 1;
            return cx.respond(token, Response::to(&request, *status));
        }
        if self.closed {
            return cx.refuse(
                token,
                &request,
                &refusal::not_now("The gateway is restarting"),
            );
        }
        if !cx.linked {
            return cx.refuse(token, &request, &refusal::not_now("The XMPP side is away"));
        }
        if self.pending.len() >= cx.settings.message.pending {
            return cx.refuse(
                token,
                &request,
                &refusal::not_now("Too many messages are waiting"),
            );
        }
        let trunk = cx.settings.trunks.of(&request, source);
        if trunk.is_some_and(|trunk| self.has_share(trunk, cx.settings)) {
            return cx.refuse(
                token,
                &request,
                &refusal::not_now("Too many messages of this trunk are waiting"),
            );
        }
        let (id, trunk) = trunk.unzip();
        match cx.translate(print, &request, source) {
            Ok(Translated::Message(mut message)) => {
                cx.join(&mut self.joins, &mut message, trunk);
                cx.hear(&message, &request, trunk);
                cx.publish(message);
                self.wait(print, (token, request, source), (id, None), cx);
            }
            Ok(Translated::Shared(messages)) => {
                let ids = messages.iter().map(|message| message.id.clone());
                let shares = Shares::new(ids);
                for mut message in messages {
                    cx.hear(&message, &request, trunk);
                    cx.join(&mut self.joins, &mut message, trunk);
                    cx.publish(Box::new(message));
                }
                self.wait(print, (token, request, source), (id, Some(shares)), cx);
            }
            Ok(Translated::Nothing) => {
                cx.counters.ignored += 1;
                cx.respond(token, Response::to(&request, Status::ACCEPTED));
            }
            Err(refusal) => {
                tracing::info!(id = %print.message_id(), from = %Pii(source.address()), reason = ?refusal.reason,
                    "message from SIP refused");
                cx.counters.spoofed += u64::from(refusal == party::spoofed());
                cx.refuse(token, &request, &refusal);
            }
        }
    }

    /// Keeps a request until its outcome is known.
    fn wait(
        &mut self,
        print: Fingerprint,
        (token, request, source): (ServerToken, Box<Request>, Source),
        (trunk, shares): (Option<TrunkId>, Option<Shares>),
        cx: &Context<'_>,
    ) {
        self.timers
            .set(print, cx.now.instant + cx.settings.message.confirm_for);
        self.places += 1;
        let pending = Pending {
            tokens: vec![token],
            request,
            source,
            trunk,
            place: self.places,
            shares,
        };
        if let Some(trunk) = trunk {
            self.waiting.add(trunk);
        }
        self.pending.insert(print, pending);
    }

    /// It waits no longer.
    fn take(&mut self, print: Fingerprint) -> Option<Pending> {
        let pending = self.pending.remove(&print)?;
        if let Some(trunk) = pending.trunk {
            self.waiting.remove(&trunk);
        }
        Some(pending)
    }

    /// Whether a trunk has its share of what may wait: one that sends more than the XMPP side takes leaves others as
    /// many places as it has (specs T14).
    fn has_share(&self, (id, trunk): (TrunkId, &Trunk), settings: &Settings) -> bool {
        let free = settings.message.pending.saturating_sub(self.pending.len());
        let most = match trunk.owner {
            Some(_) => free.min(MAX_OWN),
            None => free,
        };
        self.waiting.of(&id) >= most
    }

    /// The outcome of a message came.
    pub fn handle_outcome(&mut self, outcome: MessageOutcome, cx: &mut Context<'_>) {
        let MessageOutcome { id, refusal } = outcome;
        let Some(print) = Fingerprint::from_message_id(&id) else {
            return;
        };
        if refusal.is_some() {
            self.joins.forget(|first| *first == id);
        }
        let outcome = refusal.map_or(Ok(()), Err);
        let Some(pending) = self.pending.get_mut(&print) else {
            // The sender heard 480 and may repeat: then it is told that it arrived.
            let late = self.late.iter_mut().find(|(late, _)| *late == print);
            let ended = late.and_then(|(_, shares)| settle(shares.as_mut(), &id, outcome));
            if ended == Some(Ok(())) {
                self.record(print, Status::ACCEPTED, cx);
            }
            return;
        };
        let Some(outcome) = settle(pending.shares.as_mut(), &id, outcome) else {
            return;
        };
        let Some(pending) = self.take(print) else {
            return;
        };
        self.timers.cancel(&print);
        let response = match &outcome {
            Ok(()) => {
                cx.counters.accepted += 1;
                Response::to(&pending.request, Status::ACCEPTED)
            }
            Err(refusal) => {
                tracing::info!(id = %id, reason = ?refusal.reason, "message from SIP refused");
                cx.counters.rejected += 1;
                let (mapping, global) = (&cx.settings.mapping, cx.settings.global_failures);
                refusal::to_sip(refusal, &pending.request, mapping, global)
            }
        };
        // A sender that was asked to come again is heard again.
        let comes_again = outcome.is_err_and(|refusal| refusal.retry_after.is_some());
        if !comes_again {
            self.record(print, response.status, cx);
        }
        cx.answer(pending, response);
    }

    /// The XMPP side came back: what waits is said again in the order it
    /// came, since nobody may know of it any more.
    pub fn publish_again(&mut self, cx: &mut Context<'_>) {
        let mut waiting: Vec<_> = self.pending.iter().collect();
        waiting.sort_by_key(|(_, pending)| pending.place);
        for (print, pending) in waiting {
            let (request, source) = (&pending.request, pending.source);
            let trunk = cx
                .settings
                .trunks
                .of(request, source)
                .map(|(_, trunk)| trunk);
            let messages = match cx.translate(*print, request, source) {
                Ok(Translated::Message(message)) => vec![*message],
                Ok(Translated::Shared(messages)) => messages,
                Ok(Translated::Nothing) | Err(_) => Vec::new(),
            };
            // Who has it need not have it again.
            let open = |message: &Message| {
                let shares = pending.shares.as_ref();
                shares.is_none_or(|shares| shares.is_open(&message.id))
            };
            for mut message in messages.into_iter().filter(open) {
                cx.join(&mut self.joins, &mut message, trunk);
                let session = SessionId::conversation(&message.from, &message.to);
                cx.events.push((session, Event::Message(Box::new(message))));
            }
        }
    }

    /// A message could not be put on the bus.
    pub fn handle_unpublished(&mut self, id: &MessageId, cx: &mut Context<'_>) {
        let busy = "The XMPP side is busy";
        self.joins.forget(|first| first == id);
        if let Some(print) = Fingerprint::from_message_id(id)
            && let Some(pending) = self.pending.get_mut(&print)
            && settle(pending.shares.as_mut(), id, Err(refusal::not_now(busy))).is_some()
            && let Some(pending) = self.take(print)
        {
            self.timers.cancel(&print);
            cx.give_up(pending, busy);
        }
    }

    /// Nothing more is taken.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The process ends: everybody who waits is told to try again.
    pub fn end(&mut self, cx: &mut Context<'_>) {
        let prints: Vec<Fingerprint> = self.pending.keys().copied().collect();
        for pending in prints.into_iter().filter_map(|print| self.take(print)) {
            cx.give_up(pending, "The gateway is restarting");
        }
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(print) = self.timers.pop(cx.now.instant) {
            if let Some(mut pending) = self.take(print) {
                tracing::info!(id = %print.message_id(), "no outcome of a message from SIP in time");
                cx.counters.unconfirmed += 1;
                let open = |id: &MessageId| {
                    let shares = pending.shares.as_ref();
                    shares.is_none_or(|shares| shares.is_open(id))
                };
                let is_lost =
                    |id: &MessageId| Fingerprint::from_message_id(id) == Some(print) && open(id);
                self.joins.forget(is_lost);
                self.late.push_back((print, pending.shares.take()));
                if self.late.len() > MAX_LATE {
                    self.late.pop_front();
                }
                cx.give_up(pending, "The XMPP side does not answer");
            }
        }
        self.prune(cx);
    }

    /// When [`Inbound::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn record(&mut self, request: Fingerprint, status: Status, cx: &mut Context<'_>) {
        let at = cx.now.unix_ms();
        self.restore(request, status, at);
        cx.actions.push_back(Action::Store(Record::Answered {
            request,
            status,
            at,
        }));
        self.prune(cx);
    }

    /// Forgets what was answered too long ago, now and then.
    fn prune(&mut self, cx: &mut Context<'_>) {
        let oldest = cx.now.unix_ms() - KEEP_MS;
        while self.order.len() > MAX_ANSWERED
            || self.order.front().is_some_and(|(at, _)| *at < oldest)
        {
            if let Some((_, print)) = self.order.pop_front() {
                self.answered.remove(&print);
            }
        }
        let now = cx.now.instant;
        if self.pruned.is_none_or(|last| now >= last + PRUNE) {
            self.pruned = Some(now);
            let kept_from = self.order.front().map_or(oldest, |(at, _)| *at);
            cx.actions
                .push_back(Action::Forget(Key::AnsweredBefore(kept_from)));
        }
    }
}

impl Context<'_> {
    fn translate(
        &self,
        print: Fingerprint,
        request: &Request,
        source: Source,
    ) -> Result<Translated, Refusal> {
        translate::from_sip(
            request,
            source,
            print,
            self.settings,
            self.threads,
            self.now,
        )
    }

    fn publish(&mut self, message: Box<Message>) {
        tracing::debug!(id = %message.id, from = %message.from, to = %message.to,
            "message from SIP");
        self.counters.published += 1;
        let session = SessionId::conversation(&message.from, &message.to);
        self.events.push((session, Event::Message(message)));
    }

    /// How somebody is spelled, where whoever says it may know, and to which number it wrote.
    fn hear(&mut self, message: &Message, request: &Request, trunk: Option<&Trunk>) {
        let (from, Some(trunk)) = (&message.from, trunk) else {
            return;
        };
        if trunk.knows_spelling(from) {
            self.spellings.hear(from, self.actions);
        }
        let parties = (&message.to, from);
        self.last_numbers
            .hear(parties, request, trunk, self.settings, self.actions);
    }

    /// Makes of a part of a text the text so far, where its trunk says so.
    fn join(&self, joins: &mut Joins, message: &mut Message, trunk: Option<&Trunk>) {
        if trunk.is_some_and(|trunk| trunk.join) {
            joins.join(message, self.now.instant);
        }
    }

    fn refuse(&mut self, token: ServerToken, request: &Request, refusal: &Refusal) {
        self.counters.rejected += 1;
        let (mapping, global) = (&self.settings.mapping, self.settings.global_failures);
        self.respond(token, refusal::to_sip(refusal, request, mapping, global));
    }

    /// Tells the sender to try again later.
    fn give_up(&mut self, pending: Pending, text: &str) {
        self.counters.rejected += 1;
        let (mapping, refusal) = (&self.settings.mapping, refusal::not_now(text));
        let response = refusal::to_sip(&refusal, &pending.request, mapping, false);
        self.answer(pending, response);
    }

    fn answer(&mut self, pending: Pending, response: Response) {
        let mut tokens = pending.tokens.into_iter();
        let Some(first) = tokens.next() else {
            return;
        };
        for token in tokens {
            self.respond(token, response.clone());
        }
        self.respond(first, response);
    }

    fn respond(&mut self, token: ServerToken, response: Response) {
        self.endpoint.respond(token, response, self.now.instant);
    }
}

/// How a request ended whose message, or copy of it, `id` ended so: nothing while other copies are on
/// their way.
fn settle(shares: Option<&mut Shares>, id: &MessageId, outcome: Outcome) -> Option<Outcome> {
    match shares {
        Some(shares) => shares.settle(id, outcome),
        None => Some(outcome),
    }
}

/// Most messages that wait from one user's own account: its provider is nobody the admin has chosen.
const MAX_OWN: usize = 64;
/// Transactions with the same request that are answered together.
const MAX_COPIES: usize = 4;
/// Given-up messages whose outcome is still of interest.
const MAX_LATE: usize = 1024;
/// How long an answer is remembered.
const KEEP_MS: i64 = 24 * 3600 * 1000;
/// How many answers are remembered.
const MAX_ANSWERED: usize = 200_000;
/// How often the store is told what to forget.
const PRUNE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
