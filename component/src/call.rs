//! Calls as XMPP sees them: the legs toward the users (specs 6).
//!
//! [`leg`] is the machine of one leg; `propose`, `session` and `change` hear the user, `far` hears
//! SIP, `speak` says what the machine wants said, and `table` is the life of legs from their first
//! word to their last. Nothing here decides about media.

mod change;
pub mod closing;
pub mod devices;
mod far;
pub mod leg;
mod past;
mod propose;
mod session;
mod speak;
mod table;
pub mod translate;
pub mod wrong;

use crate::config::{CallSection, Config};
use crate::context::Context;
use crate::jingle::propose::of_stanza_id;
use crate::message::recent::Recent;
use crate::presence::RESOURCE;
use crate::stanza::{Frame, Kind};
use closing::{Closings, Open, OpenKey};
use devices::{Devices, Way};
use jid::{BareJid, Jid};
use leg::{Input, Leg, State};
use minidom::Element;
use past::{Past, Used};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use tandem_shared::call::{CallEvent, CallId, End, EndReason, Fact};
use tandem_shared::timers::Timers;

/// After how long a caller hears ringing although no device said that it rings.
const RINGBACK: Duration = Duration::from_secs(2);
/// How long SIP may take to make the offer it was asked for, or to answer a change.
const OFFERED_WITHIN: Duration = Duration::from_secs(30);
/// How long a device may be away before its call ends.
const AWAY: Duration = Duration::from_secs(10);
/// How long the session may take in which a user said a call goes on.
const MOVED_WITHIN: Duration = Duration::from_secs(10);
/// How often a user is told in words why calls are not allowed.
const WORDS_EVERY: Duration = Duration::from_secs(60);

/// Facts that wait for room on the bus.
const FACTS_MAX: usize = 1024;

/// What a leg waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wait {
    /// Something that takes it out of its state.
    Next,
    /// Word that a device rings.
    Ringback,
    /// Word that a device has our `session-initiate`.
    Acknowledged,
    /// SIP's answer to a change.
    Change,
    /// The device's return.
    Return,
    /// The session in which the user goes on.
    Move,
}

const WAITS: [Wait; 6] = [
    Wait::Next,
    Wait::Ringback,
    Wait::Acknowledged,
    Wait::Change,
    Wait::Return,
    Wait::Move,
];

/// What happened to calls, for the log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Legs that began.
    pub begun: u64,
    /// Legs on which both sides answered.
    pub answered: u64,
    /// Legs that are over.
    pub ended: u64,
    /// Calls that were too many.
    pub too_many: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        let Self {
            begun,
            answered,
            ended,
            too_many,
        } = self;
        [
            ("begun", *begun),
            ("answered", *answered),
            ("ended", *ended),
            ("too_many", *too_many),
        ]
    }
}

/// All legs.
#[derive(Debug)]
pub struct Calls {
    section: CallSection,
    allowed: Vec<String>,
    legs: BTreeMap<CallId, Leg>,
    keys: BTreeMap<OpenKey, CallId>,
    timers: Timers<(CallId, Wait)>,
    devices: Devices,
    closings: Closings,
    past: Past,
    told: Recent<BareJid, ()>,
    events: VecDeque<CallEvent>,
    /// Calls of which something could not be told.
    unheard: BTreeSet<CallId>,
    /// Whether SIP can be reached.
    up: bool,
    counters: Counters,
}

impl Calls {
    /// No calls.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            section: config.call.clone(),
            allowed: config.xmpp.allowed_domains.clone(),
            legs: BTreeMap::new(),
            keys: BTreeMap::new(),
            timers: Timers::default(),
            devices: Devices::default(),
            closings: Closings::default(),
            past: Past::default(),
            told: Recent::new(WORDS_EVERY, 10_000),
            events: VecDeque::new(),
            unheard: BTreeSet::new(),
            up: false,
            counters: Counters::default(),
        }
    }

    /// How many legs there are, and how many ended ones the server is not known to know of.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.legs.len(), self.closings.len())
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes an id that the store held: whoever had it open is gone.
    pub fn restore(&mut self, open: &Open, context: &mut Context) {
        let used = match open.state.has_session() {
            true => Used::Session,
            false => Used::Proposal,
        };
        self.past
            .remember(open.key(), &open.user, used, context.now);
        self.closings.restore(open, context);
    }

    /// The server has what closes an id.
    pub fn handle_confirmed(&mut self, key: OpenKey, context: &mut Context) {
        self.closings.handle_confirmed(key, context);
    }

    /// The stream is open (again).
    pub fn handle_stream_opened(&mut self, context: &mut Context) {
        self.closings.handle_stream_opened(context);
    }

    /// The stream is gone. Answered calls go on without it; what is being said for the others is
    /// lost.
    pub fn handle_stream_closed(&mut self, context: &mut Context) {
        let end = End::new(EndReason::Unreachable).with_text("The XMPP server went away.");
        self.fail_all(&end, context, |leg| !leg.state.is_active());
        self.devices.handle_stream_closed();
    }

    /// SIP can be reached.
    pub fn handle_up(&mut self) {
        self.up = true;
    }

    /// SIP is gone, and the media of all calls with it.
    pub fn handle_lost(&mut self, context: &mut Context) {
        self.up = false;
        let end = End::new(EndReason::Failed).with_text("The gateway lost its SIP side.");
        self.fail_all(&end, context, |_| true);
        self.events.clear();
        self.unheard.clear();
    }

    /// Ends the calls of which SIP could not be told something: the bus takes less than there is to say.
    pub fn end_unheard(&mut self, context: &mut Context) {
        while let Some(call) = self.unheard.pop_first() {
            let offered =
                |event: &CallEvent| event.call == call && matches!(event.fact, Fact::Offer(_));
            let known = !self.events.iter().any(offered);
            self.events.retain(|event| event.call != call);
            tracing::warn!(%call, "a call ends because the bus is full");
            if let Some(leg) = self.legs.remove(&call) {
                let end = End::new(EndReason::ResourceConstraint);
                self.step(leg, Input::Fail, &end, context);
            }
            if !known {
                // What SIP has not heard of need not end there.
                self.events.retain(|event| event.call != call);
            }
        }
    }

    /// The process ends in order.
    pub fn say_goodbye(&mut self, context: &mut Context) {
        let end = End::new(EndReason::Failed).with_text("The gateway is being restarted.");
        self.fail_all(&end, context, |_| true);
    }

    /// A device of a user comes or goes.
    pub fn handle_presence(&mut self, frame: &Frame, stanza: &Element, context: &mut Context) {
        let user = frame.from.to_bare();
        let here = match frame.form.as_str() {
            "" => true,
            "unavailable" => false,
            _ => return,
        };
        let away: Vec<CallId> = self
            .of_user(&user)
            .filter(|leg| leg.user == frame.from)
            .map(|leg| leg.call.clone())
            .collect();
        for call in away {
            match here {
                true => self.timers.cancel(&(call, Wait::Return)),
                false => self.timers.set((call, Wait::Return), context.now + AWAY),
            }
        }
        if !here {
            self.devices.handle_unavailable(&frame.from);
            return;
        }
        let contact = contact_at(&frame.to).unwrap_or_else(|| frame.to.clone());
        let ends = (&frame.from, &contact);
        let id = context.mint.token();
        let question = self.devices.handle_available(stanza, ends, id, context.now);
        question
            .into_iter()
            .for_each(|question| context.send(question));
    }

    /// An answer came to an iq of ours, a result or an error.
    pub fn handle_answer(&mut self, frame: &Frame, stanza: &Element, context: &mut Context) {
        let id = frame.id.as_deref().unwrap_or_default();
        if self
            .devices
            .handle_answer(&frame.from, id, stanza, context.now)
        {
            self.choose_again(&frame.from.to_bare(), context);
            return;
        }
        let Some((word, call)) = of_stanza_id(id) else {
            return;
        };
        let call = CallId(call.to_owned());
        let Some(leg) = self.legs.get(&call) else {
            return;
        };
        if leg.user != frame.from || leg.contact != frame.to {
            return;
        }
        self.timers.cancel(&(call.clone(), Wait::Acknowledged));
        if frame.form != "error" {
            return;
        }
        // What is merely told may go unheard, but not by somebody who knows of no session.
        let error = stanza.children().find(|child| child.name() == "error");
        let unknown = error
            .is_some_and(|error| error.has_child("unknown-session", crate::xml::JINGLE_ERRORS));
        let (input, reason) = match (leg.state.is_active(), word) {
            (true, _) if unknown => (Input::Bounce, EndReason::Connectivity),
            // It refuses our acceptance, but has the session open still.
            (true, "session") => (Input::Fail, EndReason::Failed),
            (false, _) if word == "session" || unknown => (Input::Bounce, EndReason::Unreachable),
            (true | false, _) => return,
        };
        if let Some(leg) = self.legs.remove(&call) {
            self.step(leg, input, &End::new(reason), context);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, context: &mut Context) {
        while let Some((call, wait)) = self.timers.pop(context.now) {
            let Some(mut leg) = self.legs.remove(&call) else {
                continue;
            };
            let (input, reason) = match (wait, leg.state) {
                (Wait::Next, State::Choosing) => (Input::Choose(Way::Proposed), EndReason::Failed),
                (Wait::Next, state) => (Input::Fail, state.expiry()),
                (Wait::Ringback, _) => (Input::Ringing, EndReason::Unknown),
                (Wait::Acknowledged, _) => (Input::Fail, EndReason::Unreachable),
                (Wait::Move, _) => (Input::Finish, EndReason::Success),
                (Wait::Return, _) if leg.moves => {
                    self.legs.insert(call, leg);
                    continue;
                }
                (Wait::Return, State::Active(_)) => (Input::Fail, EndReason::Connectivity),
                (Wait::Return, _) if leg.role == crate::jingle::Party::Responder => {
                    (Input::Fail, EndReason::Cancelled)
                }
                (Wait::Return, _) => (Input::Fail, EndReason::Unreachable),
                (Wait::Change, _) => {
                    leg.change = None;
                    leg.next_change = None;
                    self.legs.insert(call, leg);
                    continue;
                }
            };
            self.step(leg, input, &End::new(reason), context);
        }
    }

    /// When [`Calls::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next fact for the bus.
    pub fn poll_event(&mut self) -> Option<CallEvent> {
        self.events.pop_front()
    }
}

/// The resource under which the contact `jid` takes and places calls.
fn contact_at(jid: &Jid) -> Option<Jid> {
    jid.node()?;
    let full = jid.to_bare().with_resource_str(RESOURCE).ok()?;
    Some(full.into())
}

/// Whether `frame`, an iq, is for a contact as one that takes calls.
#[must_use]
pub fn is_callable(frame: &Frame) -> bool {
    let resource = frame.to.resource().map(|resource| resource.as_str());
    frame.kind == Kind::Iq
        && frame.to.node().is_some()
        && resource.is_none_or(|resource| resource == RESOURCE)
}
