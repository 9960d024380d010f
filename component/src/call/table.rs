//! The life of a leg in the table: how it begins, hears, waits and ends.

use super::closing::{Open, OpenKey};
use super::devices::{Choice, Way};
use super::leg::{Input, Leg, State};
use super::{Calls, FACTS_MAX, OFFERED_WITHIN, WAITS, Wait, speak};
use crate::action::{Action, Record};
use crate::context::Context;
use jid::BareJid;
use minidom::Element;
use std::time::{Duration, Instant};
use tandem_shared::call::{CallEvent, CallId, End, EndReason, Fact};

/// How long SIP may take to decide about a call; it has shorter times of its own.
const DECIDED_WITHIN: Duration = Duration::from_secs(300);
/// How long a device may take to say what it can do.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

impl Calls {
    /// Whether one more call with `user` may begin, and if not, why.
    pub(super) fn admit(&mut self, user: &BareJid, context: &Context) -> Result<(), End> {
        if !self.up || context.confirm.is_none() {
            let text = "Calls are not possible at the moment.";
            return Err(End::new(EndReason::Failed).with_text(text));
        }
        let held = self.legs.len() + self.closings.len();
        if held >= self.section.max || self.events.len() >= FACTS_MAX {
            self.counters.too_many += 1;
            return Err(End::new(EndReason::ResourceConstraint));
        }
        if self.of_user(user).count() >= self.section.per_user {
            self.counters.too_many += 1;
            let end = End::new(EndReason::ResourceConstraint);
            return Err(end.with_text("You have too many calls at once."));
        }
        Ok(())
    }

    /// The legs with `user`.
    pub(super) fn of_user(&self, user: &BareJid) -> impl Iterator<Item = &Leg> {
        let first = OpenKey {
            user: user.clone(),
            sid: String::new(),
        };
        let user = user.clone();
        self.keys
            .range(first..)
            .take_while(move |(key, _)| key.user == user)
            .filter_map(|(_, call)| self.legs.get(call))
    }

    pub(super) fn find(&self, key: &OpenKey) -> Option<&Leg> {
        self.keys.get(key).and_then(|call| self.legs.get(call))
    }

    /// Takes a leg out, to be given to [`Calls::step`] or [`Calls::remove`].
    pub(super) fn take(&mut self, key: &OpenKey) -> Option<Leg> {
        let call = self.keys.get(key)?;
        self.legs.remove(call)
    }

    /// Has the leg of `key`, if there is one, hear `input`.
    pub(super) fn input(&mut self, key: &OpenKey, input: Input, context: &mut Context) {
        if let Some(leg) = self.take(key) {
            self.step(leg, input, &End::new(EndReason::Unknown), context);
        }
    }

    /// A new leg.
    pub(super) fn open(&mut self, mut leg: Leg, context: &mut Context) {
        let key = OpenKey::new(&leg.user, &leg.sid);
        self.closings.reopen(&key);
        self.keys.insert(key, leg.call.clone());
        self.counters.begun += 1;
        note(&mut leg, context);
        self.arm(&leg, context.now);
        self.legs.insert(leg.call.clone(), leg);
    }

    /// Has `leg`, which was taken out, hear `input`; what ends by it ends with `end`.
    pub(super) fn step(&mut self, mut leg: Leg, input: Input, end: &End, context: &mut Context) {
        let mut out = Vec::new();
        let before = leg.state;
        leg.state = before.handle(input, &mut out);
        if leg.state != State::Ended {
            note(&mut leg, context);
        }
        let mut closing = Vec::new();
        for output in out {
            let ends = (&leg.contact, &leg.user);
            match speak::closer(output, &leg.sid, ends, end, context) {
                Some(stanza) => closing.push(stanza),
                None => self.say(&mut leg, output, end, context),
            }
        }
        if leg.state == State::Ended {
            tracing::info!(call = %leg.call, ?before, reason = ?end.reason, "a call is over");
            self.remove(leg, closing, context);
            return;
        }
        closing.into_iter().for_each(|stanza| context.send(stanza));
        if leg.state != before {
            tracing::debug!(call = %leg.call, ?before, now = ?leg.state, "a call goes on");
            let active = leg.state.is_active();
            self.counters.answered += u64::from(active);
            self.arm(&leg, context.now);
        }
        self.legs.insert(leg.call.clone(), leg);
    }

    /// Forgets `leg`, which was taken out, when the server has `closing`.
    pub(super) fn remove(&mut self, leg: Leg, mut closing: Vec<Element>, context: &mut Context) {
        self.counters.ended += 1;
        for wait in WAITS {
            self.timers.cancel(&(leg.call.clone(), wait));
        }
        self.past.remember_leg(&leg, context.now);
        let key = OpenKey::new(&leg.user, &leg.sid);
        self.keys.remove(&key);
        // Another call may need it still.
        let needs = |other: &Leg| other.contact == leg.contact && other.shown == leg.shown;
        let needed = self.of_user(&key.user).any(needs);
        if !needed {
            closing.extend(speak::hide(&leg, context));
        }
        if leg.stored.is_some() || !closing.is_empty() {
            self.closings.close(key, closing, context);
        }
    }

    /// Sets the time by which `leg` must have left its state.
    pub(super) fn arm(&mut self, leg: &Leg, now: Instant) {
        let key = (leg.call.clone(), Wait::Next);
        let section = &self.section;
        let within = match leg.state {
            State::Proposed | State::Offered(_) => DECIDED_WITHIN,
            State::Proceeded | State::Lapsed => Duration::from_secs(section.begin),
            State::Choosing => KNOWN_WITHIN,
            State::Proposing => Duration::from_secs(section.ring),
            // The time of the proposal goes on.
            State::Rung => return,
            State::Taken(_) => OFFERED_WITHIN,
            State::Initiated(Way::Proposed) => Duration::from_secs(section.connect),
            State::Initiated(Way::Direct) => Duration::from_secs(section.ring),
            State::Active(_) | State::Ended => {
                self.timers.cancel(&key);
                self.timers.cancel(&(key.0, Wait::Acknowledged));
                return;
            }
        };
        self.timers.set(key, now + within);
    }

    pub(super) fn publish(&mut self, leg: &Leg, fact: Fact) {
        self.publish_about(leg.call.clone(), fact);
    }

    pub(super) fn publish_about(&mut self, call: CallId, fact: Fact) {
        if !self.up {
            return;
        }
        let most = match fact {
            // Every call has one, so that they are no more than calls.
            Fact::End(_) => FACTS_MAX + self.section.max,
            Fact::Offer(_)
            | Fact::Ringing
            | Fact::Ready(_)
            | Fact::Describe(_)
            | Fact::Trickle(_)
            | Fact::Hold(_)
            | Fact::Dtmf(_)
            | Fact::Unknown => FACTS_MAX,
        };
        if self.events.len() < most {
            self.events.push_back(CallEvent { call, fact });
        } else {
            self.unheard.insert(call);
        }
    }

    pub(super) fn fail_all(
        &mut self,
        end: &End,
        context: &mut Context,
        which: impl Fn(&Leg) -> bool,
    ) {
        let legs = self.legs.values().filter(|leg| which(leg));
        let calls: Vec<CallId> = legs.map(|leg| leg.call.clone()).collect();
        for call in calls {
            if let Some(leg) = self.legs.remove(&call) {
                self.step(leg, Input::Fail, end, context);
            }
        }
    }

    /// What a device of `user` can do is known now.
    pub(super) fn choose_again(&mut self, user: &BareJid, context: &mut Context) {
        let choosing = |leg: &&Leg| leg.state == State::Choosing;
        let legs = self.of_user(user).filter(choosing);
        let calls: Vec<CallId> = legs.map(|leg| leg.call.clone()).collect();
        for call in calls {
            self.choose(&call, context);
        }
    }

    /// Calls the user's devices as they want it, unless that is still being asked.
    pub(super) fn choose(&mut self, call: &CallId, context: &mut Context) {
        let Some(leg) = self.legs.get_mut(call) else {
            return;
        };
        let way = match self.devices.choose(&leg.user, context.now) {
            Choice::Wait => return,
            Choice::Propose => Way::Proposed,
            Choice::Direct(device) => {
                leg.user = device;
                Way::Direct
            }
        };
        if let Some(leg) = self.legs.remove(call) {
            let nothing = End::new(EndReason::Unknown);
            self.step(leg, Input::Choose(way), &nothing, context);
        }
    }
}

/// Remembers that the id of `leg` is open, as far as that is new.
fn note(leg: &mut Leg, context: &mut Context) {
    let known = leg.stored.map(State::closers);
    if leg.state.closers().is_empty() || known == Some(leg.state.closers()) {
        return;
    }
    leg.stored = Some(leg.state);
    let open = Open {
        sid: leg.sid.clone(),
        contact: leg.contact.clone(),
        user: leg.user.clone(),
        state: leg.state,
    };
    let record = Record::Call(Box::new(open));
    context.actions.push_back(Action::Store(record));
}
