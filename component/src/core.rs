//! The component without its sockets: stanzas, envelopes and time in, actions out.
//!
//! The owner calls one `handle_*`, then [`Core::poll_action`] until it returns nothing, then waits
//! for the next input or for [`Core::poll_timeout`]. This file and `route` only route; what a
//! stanza means is decided in the module of its feature.

mod route;

use crate::action::{Action, Record};
use crate::call::{self, Calls};
use crate::clock::Now;
use crate::config::Config;
use crate::confirm::Confirm;
use crate::context::Context;
use crate::iq::Answers;
use crate::message::{self, Messages};
use crate::presence::Pairs;
use crate::refusal::to_xmpp;
use crate::stanza::{Frame, Kind};
use crate::stream::Defect;
use jid::Jid;
use minidom::Element;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tandem_shared::bus::link::{Link, Mismatch, Output};
use tandem_shared::bus::{Incoming, NodeId, SessionId};
use tandem_shared::call::CallEvent;
use tandem_shared::event::Event;
use tandem_shared::mint::Mint;
use tandem_shared::refusal::{Reason, Refusal};

/// Presences sent at once when a stream opens.
const ANNOUNCE: usize = 200;
/// Time between two such groups.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(20);
/// What happened, for the log and for people who debug.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// To messages.
    pub messages: message::Counters,
    /// To calls.
    pub calls: call::Counters,
    /// Stanzas without valid addresses or over a bound.
    pub unusable: u64,
}

/// The component.
#[derive(Debug)]
pub struct Core {
    config: Config,
    mint: Mint,
    link: Link,
    stream_open: bool,
    confirm: Confirm,
    answers: Answers,
    pairs: Pairs,
    announce_at: Option<Instant>,
    messages: Messages,
    calls: Calls,
    actions: VecDeque<Action>,
    unusable: u64,
    now: Now,
}

impl Core {
    /// A component that is not connected to anything. `config` is normalised; `epoch` differs in
    /// every run of the process.
    ///
    /// # Errors
    /// When a domain of `config` is no JID.
    pub fn new(config: Config, mut mint: Mint, epoch: u64, now: Now) -> Result<Self, jid::Error> {
        let domain = Jid::new(&config.mapping.domain)?;
        let ping = config.xmpp.ping.as_deref();
        let server = ping.or(config.xmpp.allowed_domains.first().map(String::as_str));
        let server = Jid::new(server.unwrap_or_default())?;
        let node = NodeId(format!("component-{}", mint.token()));
        Ok(Self {
            link: Link::new(node, epoch, config.mapping.digests()),
            confirm: Confirm::new(domain, server),
            answers: Answers::new(now.instant),
            messages: Messages::new(&config.message),
            calls: Calls::new(&config),
            stream_open: false,
            pairs: Pairs::default(),
            announce_at: None,
            actions: VecDeque::new(),
            unusable: 0,
            config,
            mint,
            now,
        })
    }

    /// Takes what the store held, in the order it was stored.
    pub fn restore(&mut self, records: Vec<Record>, now: Now) {
        self.now = now;
        for record in records {
            match record {
                Record::Message(row) => self.messages.restore(*row, now.instant),
                Record::Pair(pair) => self.pairs.restore(pair),
                Record::Call(open) => {
                    let (calls, mut context) = self.calls();
                    calls.restore(&open, &mut context);
                }
            }
        }
        let (messages, pairs) = (self.messages.held().0, self.pairs.len());
        let calls = self.calls.held().1;
        tracing::info!(messages, pairs, calls, "state restored");
    }

    /// The server accepted us.
    pub fn handle_stream_opened(&mut self, now: Now) {
        self.now = now;
        self.stream_open = true;
        self.confirm.handle_opened(now.instant);
        self.pairs.announce_all();
        self.announce_at = Some(now.instant);
        let (messages, mut context) = self.messages();
        messages.handle_stream_opened(&mut context);
        let (calls, mut context) = self.calls();
        calls.handle_stream_opened(&mut context);
    }

    /// The stream is gone.
    pub fn handle_stream_closed(&mut self, now: Now) {
        self.now = now;
        self.stream_open = false;
        self.announce_at = None;
        let unconfirmed = self.confirm.handle_closed();
        self.messages.handle_stream_closed(unconfirmed);
        let (calls, mut context) = self.calls();
        calls.handle_stream_closed(&mut context);
    }

    /// A stanza came from the server.
    pub fn handle_stanza(&mut self, stanza: &Element, now: Now) {
        self.now = now;
        self.confirm.handle_heard(now.instant);
        let Some(frame) = Frame::read(stanza) else {
            self.unusable += 1;
            tracing::debug!(
                name = stanza.name(),
                "a stanza without a usable frame was dropped"
            );
            return;
        };
        match frame.kind {
            Kind::Message => self.handle_message(&frame, stanza),
            Kind::Presence => self.handle_presence(&frame, stanza),
            Kind::Iq => self.handle_iq(&frame, stanza),
        }
    }

    /// A stanza came that broke a bound; only its tag is left.
    pub fn handle_skipped(&mut self, tag: &Element, defect: Defect, now: Now) {
        self.now = now;
        self.confirm.handle_heard(now.instant);
        self.unusable += 1;
        let Some(frame) = Frame::read(tag).filter(Frame::may_be_refused) else {
            return;
        };
        let text = match defect {
            Defect::TooDeep => "The stanza is nested too deeply.",
            Defect::TooLarge => "The stanza is too large.",
        };
        self.refuse(
            &frame,
            &Refusal::new(Reason::PolicyViolation).with_text(text),
        );
    }

    /// Something came over the bus.
    pub fn handle_bus(&mut self, incoming: Incoming, now: Now) {
        self.now = now;
        match incoming {
            Incoming::Connected => self.link.handle_connected(now.instant),
            Incoming::Disconnected => self.link.handle_disconnected(),
            Incoming::Envelope(envelope) => {
                if let Some((session, event)) = self.link.handle_envelope(*envelope, now.instant) {
                    self.handle_event(session, event);
                }
            }
        }
        self.follow_link();
    }

    /// The bus takes `room` more envelopes than were published so far.
    pub fn handle_bus_room(&mut self, mut room: usize) {
        let (calls, mut context) = self.calls();
        calls.end_unheard(&mut context);
        while room > 0
            && self.link.is_up()
            && let Some(event) = self.calls.poll_event()
        {
            self.publish_call(event);
            room -= 1;
        }
        while room > 0
            && self.link.is_up()
            && let Some((session, outcome)) = self.messages.poll_outcome()
        {
            let envelope = self.link.envelope(session, Event::MessageOutcome(outcome));
            self.actions.push_back(Action::Publish(envelope));
            room -= 1;
        }
        while room > 0 && self.link.is_up() {
            let Some(message) = self.messages.poll_queued() else {
                return;
            };
            let session = SessionId::conversation(&message.from, &message.to);
            let event = Event::Message(Box::new(message.clone()));
            let envelope = self.link.envelope(session, event);
            self.actions.push_back(Action::Publish(envelope));
            room -= 1;
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.link.handle_timeout(now.instant);
        self.follow_link();
        if self.stream_open && self.confirm.is_overdue(now.instant) {
            tracing::warn!("the XMPP server does not answer; connecting again");
            self.actions.push_back(Action::CloseStream);
            self.handle_stream_closed(now);
        }
        let (messages, mut context) = self.messages();
        messages.handle_timeout(&mut context);
        let (calls, mut context) = self.calls();
        calls.handle_timeout(&mut context);
        if self.announce_at.is_some_and(|at| now.instant >= at) {
            let presences = self.pairs.poll_announcements(ANNOUNCE);
            let send = |presence| Action::Send(Box::new(presence));
            self.actions.extend(presences.into_iter().map(send));
            self.announce_at = self
                .pairs
                .is_announcing()
                .then_some(now.instant + ANNOUNCE_EVERY);
        }
    }

    /// When [`Core::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let confirm = self.stream_open.then(|| self.confirm.poll_timeout());
        [
            self.link.poll_timeout(),
            confirm.flatten(),
            self.messages.poll_timeout(),
            self.calls.poll_timeout(),
            self.announce_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do. The ping that confirms a round comes when nothing else is left.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| {
            let ping = self.confirm.poll_ping(&mut self.mint, self.now.instant)?;
            Some(Action::Send(Box::new(ping)))
        })
    }

    /// The process is about to end: says goodbye on both sides.
    pub fn say_goodbye(&mut self) {
        let (calls, mut context) = self.calls();
        calls.say_goodbye(&mut context);
        while let Some(event) = self.calls.poll_event() {
            self.publish_call(event);
        }
        self.link.say_goodbye();
        self.follow_link();
        if self.stream_open {
            let send = |presence| Action::Send(Box::new(presence));
            self.actions
                .extend(self.pairs.farewell(10_000).into_iter().map(send));
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            messages: self.messages.counters(),
            calls: self.calls.counters(),
            unusable: self.unusable,
        }
    }

    /// How much is held: messages to SIP, unconfirmed messages from SIP, presence pairs.
    #[must_use]
    pub fn held(&self) -> (usize, usize, usize) {
        let (outbox, inbox) = self.messages.held();
        (outbox, inbox, self.pairs.len())
    }

    /// How many calls there are, and how many ended ones the server may not know of yet.
    #[must_use]
    pub fn calls_held(&self) -> (usize, usize) {
        self.calls.held()
    }

    fn handle_event(&mut self, session: SessionId, event: Event) {
        if let Event::Call(event) = event {
            let (calls, mut context) = self.calls();
            calls.handle_event(*event, &mut context);
            return;
        }
        let (messages, mut context) = self.messages();
        match event {
            Event::Message(message) => messages.handle_message(session, *message, &mut context),
            Event::MessageOutcome(outcome) => messages.handle_outcome(outcome, &mut context),
            Event::Unknown(kind) => tracing::debug!(kind, "an event of an unknown kind came"),
            Event::Call(_) | Event::Account(_) | Event::Control(_) => {}
        }
    }

    fn follow_link(&mut self) {
        while let Some(output) = self.link.poll_output() {
            match output {
                Output::Send(envelope) => self.actions.push_back(Action::Publish(envelope)),
                Output::Up(node) => {
                    tracing::info!(%node, "the SIP side is there");
                    self.messages.handle_up();
                    self.calls.handle_up();
                }
                Output::Lost(node) => {
                    tracing::warn!(%node, "the SIP side is gone; messages to it wait, calls end");
                    self.messages.handle_lost();
                    let (calls, mut context) = self.calls();
                    calls.handle_lost(&mut context);
                }
                Output::Close(mismatch) => {
                    mismatch.iter().for_each(report);
                    self.actions.push_back(Action::CloseBus);
                }
            }
        }
    }

    fn publish_call(&mut self, event: CallEvent) {
        let session = SessionId::call(&event.call);
        let envelope = self.link.envelope(session, Event::Call(Box::new(event)));
        self.actions.push_back(Action::Publish(envelope));
    }

    /// The messages and what they may use.
    fn messages(&mut self) -> (&mut Messages, Context<'_>) {
        let (messages, _, context) = self.features();
        (messages, context)
    }

    /// The calls and what they may use.
    fn calls(&mut self) -> (&mut Calls, Context<'_>) {
        let (_, calls, context) = self.features();
        (calls, context)
    }

    fn features(&mut self) -> (&mut Messages, &mut Calls, Context<'_>) {
        let context = Context {
            mapping: &self.config.mapping,
            pairs: &self.pairs,
            mint: &mut self.mint,
            confirm: self.stream_open.then_some(&mut self.confirm),
            now: self.now.instant,
            actions: &mut self.actions,
        };
        (&mut self.messages, &mut self.calls, context)
    }

    fn refuse(&mut self, frame: &Frame, refusal: &Refusal) {
        if frame.may_be_refused() {
            self.send(frame.refuse(&to_xmpp(refusal, &self.config.mapping)));
        }
    }

    fn send(&mut self, stanza: Element) {
        self.actions.push_back(Action::Send(Box::new(stanza)));
    }
}

/// One error that names what the two configurations disagree on.
fn report(mismatch: &Mismatch) {
    match mismatch {
        Mismatch::Version => {
            tracing::error!(
                "the SIP side speaks no common version of the bus; update both processes"
            );
        }
        Mismatch::Mapping(keys) => tracing::error!(
            keys = keys.join(", "),
            "the two configurations differ; make [mapping] the same in component.toml and b2bua.toml"
        ),
    }
}

#[cfg(test)]
mod tests;
