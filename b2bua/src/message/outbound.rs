//! Messages on their way to SIP: one queue for each destination, one request at a time in each
//! (RFC 3428 §8).
//!
//! A message ends in exactly one outcome. What was surely not delivered is sent again as the same
//! request until its time is over; after a request nobody answered, its destination has to answer
//! an OPTIONS before the next message goes out. Other destinations never wait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tandem_shared::bus::SessionId;
use tandem_shared::event::MessageOutcome;
use tandem_shared::message::{Message, Outcome};
use tandem_shared::mint::{self, Mint};
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason, Refusal};
use tandem_shared::timers::Timers;

use super::thread::Threads;
use crate::alias::Aliases;
use crate::counters::Counters;
use crate::dns::{Dns, PENALTY};
use crate::last_number::LastNumbers;
use crate::policy::{Approvals, Usage};
use crate::settings::Settings;
use crate::sip::digest::Digest;
use crate::sip::endpoint::{ClientToken, Failure};
use crate::sip::hop::NotSent;
use crate::sip::transaction::key::ByKey;
use crate::sip::{Endpoint, Response};
use crate::spelling::Spellings;
use crate::target::{self, Kind};
use crate::trunk::{States, TrunkId};

pub mod backoff;
pub mod job;
pub mod register;

mod destination;
mod trouble;

use destination::{Destination, Next, State};
use job::{Answer, Job};
use register::{Progress, Register};

/// All queues.
#[derive(Debug, Default)]
pub struct Outbound {
    destinations: HashMap<u128, Destination, ByKey>,
    by_token: HashMap<ClientToken, u128, ByKey>,
    timers: Timers<u128, ByKey>,
    register: Register,
    /// Destinations whose next message waits for the component.
    paused: Vec<u128>,
    /// Destinations whose next message waits for a name.
    locating: Vec<u128>,
    waiting: usize,
    tokens: u64,
    closed: bool,
}

/// The accounts that answer challenges, each for its trunk's next hop alone.
pub type Accounts = HashMap<TrunkId, Digest>;

/// What the queues work with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What sends requests.
    pub endpoint: &'a mut Endpoint,
    /// What was configured.
    pub settings: &'a Settings,
    /// The installation key.
    pub key: &'a [u8; 16],
    /// How users are spelled.
    pub spellings: &'a Spellings,
    /// Which threads were sent as which Call-ID.
    pub threads: &'a mut Threads,
    /// For what must not be guessed.
    pub mint: &'a mut Mint,
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// How trunks are.
    pub states: &'a States,
    /// What users have used.
    pub usage: &'a mut Usage,
    /// Who may reach numbers abroad.
    pub approvals: &'a mut Approvals,
    /// Who was told where answers come from.
    pub aliases: &'a mut Aliases,
    /// By which numbers contacts wrote last.
    pub last_numbers: &'a LastNumbers,
    /// The accounts at next hops.
    pub accounts: &'a mut Accounts,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// Whether the component is there to hear outcomes.
    pub linked: bool,
    /// Where outcomes go.
    pub outcomes: &'a mut Vec<(SessionId, MessageOutcome)>,
    /// The time.
    pub now: Instant,
}

impl Outbound {
    /// Takes a message from the bus: into its queue, or back with a refusal.
    pub fn handle_message(
        &mut self,
        message: Box<Message>,
        session: SessionId,
        cx: &mut Context<'_>,
    ) {
        match self.register.get(&message.id) {
            Some(Progress::Pending) => {
                cx.counters.repeated += 1;
                return;
            }
            Some(Progress::Finished(outcome)) => {
                cx.counters.repeated += 1;
                cx.outcomes
                    .push((session, MessageOutcome::new(message.id, outcome)));
                return;
            }
            None => {}
        }
        let to = &message.to;
        let parties = (&message.from, to);
        let found = target::find(
            Kind::Message,
            parties,
            message.hops,
            cx.spellings,
            cx.settings,
        );
        // A user's own account is a way of that user alone: who waits for it holds up nobody else.
        let first = found.as_ref().ok().and_then(|found| found.trunks.first());
        let trunk = first.and_then(|id| cx.settings.trunks.get(*id));
        let owner = trunk.and_then(|trunk| trunk.owner.as_ref());
        let (user, host) = owner.map_or(("", ""), |owner| (&*owner.user, &*owner.host));
        let parts = [&*to.user, &*to.host, user, host].map(str::as_bytes);
        let key = mint::hash(cx.key, &parts);
        let found = found.and_then(|found| {
            self.check_room(key, cx)?;
            let from = &message.from;
            let approved = cx.approvals.check(from, Kind::Message, &found, cx.settings);
            approved.map(|()| found)
        });
        let allowance = &cx.settings.policy.allowance;
        match found.and_then(|found| {
            let taken = cx.usage.take_message(&message.from, allowance, cx.now);
            taken.map(|()| found)
        }) {
            Ok(mut found) => {
                let (from, to) = (&message.from, &message.to);
                cx.aliases.reach(from, to, &found, cx.settings);
                cx.last_numbers.choose(from, to, &mut found, cx.settings);
                self.register.begin(&message.id);
                cx.counters.taken += 1;
                self.waiting += 1;
                let deadline = cx.now + cx.settings.message.retry_for;
                let destination = self.destinations.entry(key).or_default();
                destination
                    .queue
                    .push_back(Job::new(message, session, found, deadline));
                if destination.state == State::Doubtful {
                    self.timers.set(key, cx.now);
                }
                self.advance(key, cx);
            }
            Err(refusal) => {
                tracing::info!(id = %message.id, from = %Pii(&message.from), to = %Pii(&message.to),
                    reason = ?refusal.reason, "message refused");
                cx.counters.refused += 1;
                cx.outcomes
                    .push((session, MessageOutcome::new(message.id, Err(refusal))));
            }
        }
    }

    /// The component is there (again): what waited for it goes on.
    pub fn handle_up(&mut self, cx: &mut Context<'_>) {
        for key in std::mem::take(&mut self.paused) {
            self.advance(key, cx);
        }
    }

    /// A name server answered, or nobody did: who waits for a name goes on.
    pub fn handle_located(&mut self, cx: &mut Context<'_>) {
        for key in std::mem::take(&mut self.locating) {
            self.advance(key, cx);
        }
    }

    /// A final response came.
    pub fn handle_response(
        &mut self,
        token: ClientToken,
        response: &Response,
        cx: &mut Context<'_>,
    ) {
        let Some(key) = self.by_token.remove(&token) else {
            return;
        };
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        match destination.state {
            State::Sending(open) if open == token => {
                destination.state = State::Ready;
                let answer = destination
                    .queue
                    .front_mut()
                    .map(|job| job.hear(response, cx));
                match answer {
                    Some(Answer::Done(outcome)) => self.finish_head(key, outcome, cx),
                    Some(Answer::Next { after }) => self.pass(key, after, cx),
                    Some(Answer::NextTrunk) => self.pass_trunk(key, cx),
                    Some(Answer::Retry { after }) => self.rest(key, after, cx),
                    Some(Answer::Continue) | None => {}
                }
                self.advance(key, cx);
            }
            State::Probing(open) if open == token => {
                let silent = matches!(response.status.code(), 408 | 502..=504);
                if silent {
                    self.doubt(key, cx);
                } else {
                    destination.state = State::Ready;
                    destination.failures = 0;
                    self.timers.cancel(&key);
                    self.advance(key, cx);
                }
            }
            State::Ready
            | State::Resting
            | State::Doubtful
            | State::Sending(_)
            | State::Probing(_) => {}
        }
    }

    /// No final response will come.
    pub fn handle_failed(&mut self, token: ClientToken, failure: Failure, cx: &mut Context<'_>) {
        let Some(key) = self.by_token.remove(&token) else {
            return;
        };
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        match (destination.state, failure) {
            (State::Sending(open), Failure::NotSent(reason)) if open == token => {
                destination.state = State::Ready;
                let head = destination.queue.front_mut();
                if head.is_some_and(|job| !job.note_not_sent(reason, cx)) {
                    self.pass_unsent(key, cx);
                } else {
                    self.rest(key, None, cx);
                }
                self.advance(key, cx);
            }
            (State::Sending(open), Failure::Timeout | Failure::Lost) if open == token => {
                cx.counters.in_doubt += 1;
                let head = destination.queue.front();
                if let Some((whose, hop)) = head.and_then(Job::tried) {
                    cx.dns.penalise(whose, hop, PENALTY, cx.now);
                }
                let doubt = head.map(Job::doubt);
                destination.failures = 0;
                self.doubt(key, cx);
                if let Some(refusal) = doubt {
                    self.finish_head(key, Err(refusal), cx);
                }
            }
            (State::Probing(open), _) if open == token => self.doubt(key, cx),
            (
                State::Ready
                | State::Resting
                | State::Doubtful
                | State::Sending(_)
                | State::Probing(_),
                _,
            ) => {}
        }
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(key) = self.timers.pop(cx.now) {
            self.expire(key, cx);
            let Some(destination) = self.destinations.get_mut(&key) else {
                continue;
            };
            match destination.wake(cx.now) {
                Next::Send => self.advance(key, cx),
                Next::Probe => self.probe(key, cx),
                Next::Forget => {
                    self.destinations.remove(&key);
                }
                Next::Wait(at) => self.timers.set(key, at),
                Next::Nothing => {}
            }
        }
    }

    /// When [`Outbound::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Nothing more is sent.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How many requests wait for a final response.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.by_token.len()
    }

    /// How many messages have no outcome yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether one more message may wait for the destination `key`.
    fn check_room(&self, key: u128, cx: &Context<'_>) -> Result<(), Refusal> {
        let known = self.destinations.get(&key);
        let queued = known.map_or(0, |known| known.queue.len());
        let bounds = &cx.settings.message;
        if queued >= bounds.queue_per_destination || self.waiting >= bounds.queue_total {
            return Err(Refusal::new(Reason::ResourceConstraint)
                .with_text("Too many messages are waiting. Try again later."));
        }
        Ok(())
    }

    /// Sends the head of a queue that is ready, or drops the queue when it is empty.
    fn advance(&mut self, key: u128, cx: &mut Context<'_>) {
        loop {
            let Some(destination) = self.destinations.get_mut(&key) else {
                return;
            };
            if destination.state != State::Ready || self.closed {
                return;
            }
            let Some(job) = destination.queue.front_mut() else {
                self.destinations.remove(&key);
                self.timers.cancel(&key);
                return;
            };
            // An outcome nobody hears is lost if we die too, and the message would go out again: so
            // there is at most one such for each destination.
            if !cx.linked && job.deadline > cx.now {
                self.timers.set(key, job.deadline);
                self.paused.push(key);
                return;
            }
            // Its sender would hear of it too late.
            if !cx.linked || job.deadline + LATE < cx.now {
                let refusal = job.expired();
                self.finish_head(key, Err(refusal), cx);
                continue;
            }
            self.tokens += 1;
            let token = ClientToken(self.tokens);
            match job.send(token, cx) {
                Ok(()) => {
                    destination.state = State::Sending(token);
                    self.by_token.insert(token, key);
                    return;
                }
                Err(job::NotNow::Full) => self.rest(key, None, cx),
                Err(job::NotNow::Locating) => {
                    // Names are answered for sooner; this is for a shell that has forgotten us.
                    self.timers.set(key, job.deadline + 2 * LATE);
                    self.locating.push(key);
                    return;
                }
                Err(job::NotNow::NoWay) => {
                    job.note_not_sent(NotSent::Resolve, cx);
                    self.rest(key, None, cx);
                }
                Err(job::NotNow::Later { after }) => self.rest(key, after, cx),
                Err(job::NotNow::Refused(refusal)) => self.finish_head(key, Err(refusal), cx),
            }
        }
    }

    fn finish_head(&mut self, key: u128, outcome: Outcome, cx: &mut Context<'_>) {
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        let Some(Job {
            message, session, ..
        }) = destination.queue.pop_front()
        else {
            return;
        };
        self.waiting = self.waiting.saturating_sub(1);
        match &outcome {
            Ok(()) => {
                cx.counters.delivered += 1;
                destination.failures = 0;
                tracing::debug!(id = %message.id, to = %message.to, "message delivered");
            }
            Err(refusal) => {
                cx.counters.refused += 1;
                tracing::info!(id = %message.id, to = %Pii(&message.to), reason = ?refusal.reason,
                    status = refusal.status, "message not delivered");
            }
        }
        self.register.finish(&message.id, &outcome, cx.now);
        cx.outcomes
            .push((session, MessageOutcome::new(message.id, outcome)));
    }
}

/// How much later than its deadline a message's last try may begin.
const LATE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
