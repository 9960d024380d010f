//! The component without its sockets: stanzas, envelopes and time in, actions out.
//!
//! The owner calls one `handle_*`, then [`Core::poll_action`] until it returns nothing, then waits
//! for the next input or for [`Core::poll_timeout`]. This file routes; what a stanza means is
//! decided in the module of its feature.

use crate::action::{Action, Key, Record};
use crate::clock::Now;
use crate::config::Config;
use crate::confirm::{Confirm, Written};
use crate::iq::Answers;
use crate::message::inbox::{Ended, Inbox};
use crate::message::numbering::Numbering;
use crate::message::outbox::{Outbox, Row};
use crate::message::recent::Recent;
use crate::message::translate::{self, Content};
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
use tandem_shared::event::Event;
use tandem_shared::message::{Message, MessageId};
use tandem_shared::mint::{self, Mint};
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason, Refusal};

/// Presences sent at once when a stream opens.
const ANNOUNCE: usize = 200;
/// Time between two such groups.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(20);
/// How long a stanza is known, so that one sent again after a stream was resumed is not delivered
/// twice (specs 2.10).
const DUPLICATES_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many stanzas are known.
const DUPLICATES_MAX: usize = 100_000;

/// What happened, for the log and for people who debug.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Messages taken from XMPP.
    pub accepted: u64,
    /// Messages from XMPP that were refused before they were taken.
    pub refused: u64,
    /// Messages that came twice.
    pub duplicates: u64,
    /// Outcomes for messages that were no longer held.
    pub late_outcomes: u64,
    /// Messages from SIP that the server has.
    pub delivered: u64,
    /// Messages from SIP that ended with a refusal.
    pub bounced: u64,
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
    outbox: Outbox,
    inbox: Inbox,
    numbering: Numbering,
    duplicates: Recent<u128, ()>,
    outcomes: VecDeque<Ended>,
    actions: VecDeque<Action>,
    counters: Counters,
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
            outbox: Outbox::new(config.message.outbox_max, config.message.patience()),
            inbox: Inbox::new(config.message.inbox_max),
            stream_open: false,
            pairs: Pairs::default(),
            announce_at: None,
            numbering: Numbering::default(),
            duplicates: Recent::new(DUPLICATES_KEEP, DUPLICATES_MAX),
            outcomes: VecDeque::new(),
            actions: VecDeque::new(),
            counters: Counters::default(),
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
                Record::Message(row) => self.outbox.restore(*row, now.instant),
                Record::Pair(pair) => self.pairs.restore(pair),
            }
        }
        let (messages, pairs) = (self.outbox.len(), self.pairs.len());
        tracing::info!(messages, pairs, "state restored");
    }

    /// The server accepted us.
    pub fn handle_stream_opened(&mut self, now: Now) {
        self.now = now;
        self.stream_open = true;
        self.confirm.handle_opened(now.instant);
        self.pairs.announce_all();
        self.announce_at = Some(now.instant);
        self.outbox.handle_stream_opened(
            &self.config.mapping,
            &mut self.confirm,
            &mut self.actions,
        );
    }

    /// The stream is gone.
    pub fn handle_stream_closed(&mut self, now: Now) {
        self.now = now;
        self.stream_open = false;
        self.announce_at = None;
        for written in self.confirm.handle_closed() {
            if let Written::Message(id, _) = written {
                let ended = self.inbox.handle_unconfirmed(id);
                self.end(ended);
            }
        }
    }

    /// A stanza came from the server.
    pub fn handle_stanza(&mut self, stanza: &Element, now: Now) {
        self.now = now;
        self.confirm.handle_heard(now.instant);
        let Some(frame) = Frame::read(stanza) else {
            self.counters.unusable += 1;
            tracing::debug!(
                name = stanza.name(),
                "a stanza without a usable frame was dropped"
            );
            return;
        };
        match frame.kind {
            Kind::Message => self.handle_message(&frame, stanza),
            Kind::Presence => self.handle_presence(&frame),
            Kind::Iq => self.handle_iq(&frame, stanza),
        }
    }

    /// A stanza came that broke a bound; only its tag is left.
    pub fn handle_skipped(&mut self, tag: &Element, defect: Defect, now: Now) {
        self.now = now;
        self.confirm.handle_heard(now.instant);
        self.counters.unusable += 1;
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
        while room > 0
            && self.link.is_up()
            && let Some((session, outcome)) = self.outcomes.pop_front()
        {
            let envelope = self.link.envelope(session, Event::MessageOutcome(outcome));
            self.actions.push_back(Action::Publish(envelope));
            room -= 1;
        }
        while room > 0 && self.link.is_up() {
            let Some(message) = self.outbox.poll_queued() else {
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
        let confirm = self.stream_open.then_some(&mut self.confirm);
        self.outbox.handle_timeout(
            now.instant,
            &self.config.mapping,
            confirm,
            &mut self.actions,
        );
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
            self.outbox.poll_timeout(),
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
        self.counters
    }

    /// How much is held: messages to SIP, unconfirmed messages from SIP, presence pairs.
    #[must_use]
    pub fn held(&self) -> (usize, usize, usize) {
        (self.outbox.len(), self.inbox.len(), self.pairs.len())
    }

    fn handle_message(&mut self, frame: &Frame, stanza: &Element) {
        if frame.form == "error" {
            let ended = self.inbox.handle_bounce(
                frame,
                stanza,
                &self.config.mapping,
                &mut self.confirm,
                self.now.instant,
                &mut self.actions,
            );
            self.end(ended);
            return;
        }
        // The server itself speaks to us too, unasked (ejabberd's privileges, XEP-0356).
        if frame.from.node().is_none() {
            return;
        }
        let content = self
            .check_sender(frame)
            .and_then(|()| translate::from_xmpp(frame, stanza, &self.config.mapping));
        match content {
            Ok(None) => {}
            Ok(Some(content)) => self.accept(frame, content),
            Err(refusal) => {
                self.counters.refused += 1;
                self.refuse(frame, &refusal);
            }
        }
    }

    fn accept(&mut self, frame: &Frame, content: Content) {
        let now = self.now.instant;
        let duplicate = frame.id.as_ref().map(|id| {
            let (from, to) = (frame.from.to_bare(), frame.to.to_bare());
            let parts = [from.as_str(), to.as_str(), id, &content.body];
            mint::hash(&[0; 16], &parts.map(str::as_bytes))
        });
        if let Some(key) = duplicate
            && self.duplicates.get(&key, now).is_some()
        {
            self.counters.duplicates += 1;
            tracing::debug!(from = %frame.from, "a stanza that came before was dropped");
            return;
        }
        let ordinal = self.numbering.next(
            &content.from,
            &content.to,
            content.thread.as_deref(),
            &mut self.mint,
            now,
        );
        let id = MessageId(self.mint.token());
        let row = Row {
            from: frame.from.clone(),
            to: frame.to.clone(),
            message: Message {
                id: id.clone(),
                from: content.from,
                to: content.to,
                body: content.body,
                subject: content.subject,
                lang: content.lang,
                thread: content.thread,
                wire_id: frame.id.clone(),
                sent: content.sent,
                hops: Message::HOPS,
                ordinal,
            },
        };
        match self
            .outbox
            .accept(row, content.store, now, &mut self.actions)
        {
            Ok(()) => {
                self.counters.accepted += 1;
                if let Some(key) = duplicate {
                    self.duplicates.insert(key, (), now);
                }
                tracing::debug!(id = %id, from = %frame.from, to = %frame.to, "message to SIP");
            }
            Err(refusal) => {
                self.counters.refused += 1;
                self.refuse(frame, &refusal);
            }
        }
    }

    fn handle_presence(&mut self, frame: &Frame) {
        if self.check_sender(frame).is_err() {
            return;
        }
        let answer = self.pairs.handle(frame, &self.config.mapping);
        if let Some(pair) = answer.store {
            self.actions.push_back(Action::Store(Record::Pair(pair)));
        }
        if let Some(pair) = answer.forget {
            self.actions.push_back(Action::Forget(Key::Pair(pair)));
        }
        let send = |presence| Action::Send(Box::new(presence));
        self.actions.extend(answer.send.into_iter().map(send));
    }

    fn handle_iq(&mut self, frame: &Frame, stanza: &Element) {
        match frame.form.as_str() {
            "result" | "error" => {
                let id = frame.id.as_deref().unwrap_or_default();
                for written in self.confirm.handle_answer(&frame.from, id) {
                    self.handle_confirmed(written);
                }
            }
            "get" | "set" => match self.answers.answer(frame, stanza, self.now) {
                Ok(None) => self.send(frame.result()),
                Ok(Some(payload)) => self.send(frame.result_with(payload)),
                Err(refusal) => self.refuse(frame, &refusal),
            },
            _ => self.counters.unusable += 1,
        }
    }

    fn handle_confirmed(&mut self, written: Written) {
        match written {
            Written::Message(id, attempt) => {
                let ended = self.inbox.handle_confirmed(id, attempt, self.now.instant);
                self.end(ended);
            }
            Written::Error(id) => self.outbox.handle_error_confirmed(&id, &mut self.actions),
        }
    }

    fn handle_event(&mut self, session: SessionId, event: Event) {
        match event {
            Event::Message(message) => {
                let id = message.id.clone();
                let confirm = self.stream_open.then_some(&mut self.confirm);
                let ended = self.inbox.handle_message(
                    session,
                    *message,
                    &self.config.mapping,
                    confirm,
                    self.now.instant,
                    &mut self.actions,
                );
                tracing::debug!(id = %id, "message from SIP");
                self.end(ended);
            }
            Event::MessageOutcome(outcome) => {
                let id = outcome.id.clone();
                let reason = outcome.refusal.as_ref().map(|refusal| refusal.reason);
                match reason {
                    Some(reason) => tracing::info!(id = %id, ?reason, "message refused by SIP"),
                    None => tracing::debug!(id = %id, "message delivered to SIP"),
                }
                let confirm = self.stream_open.then_some(&mut self.confirm);
                let held = self.outbox.handle_outcome(
                    outcome,
                    &self.config.mapping,
                    confirm,
                    &mut self.actions,
                );
                if !held {
                    self.counters.late_outcomes += 1;
                    tracing::debug!(id = %id, "an outcome came for a message that had ended");
                }
            }
            Event::Unknown(kind) => tracing::debug!(kind, "an event of an unknown kind came"),
            Event::Control(_) => {}
        }
    }

    fn end(&mut self, ended: Option<Ended>) {
        let Some((session, outcome)) = ended else {
            return;
        };
        match &outcome.refusal {
            None => self.counters.delivered += 1,
            Some(refusal) => {
                self.counters.bounced += 1;
                tracing::info!(id = %outcome.id, reason = ?refusal.reason, "message refused by XMPP");
            }
        }
        // Without a link nobody waits for it; when the message comes again it is answered again.
        if self.link.is_up() {
            self.outcomes.push_back((session, outcome));
        }
    }

    fn follow_link(&mut self) {
        while let Some(output) = self.link.poll_output() {
            match output {
                Output::Send(envelope) => self.actions.push_back(Action::Publish(envelope)),
                Output::Up(node) => {
                    tracing::info!(%node, "the SIP side is there");
                    self.outbox.handle_up();
                }
                Output::Lost(node) => {
                    tracing::warn!(%node, "the SIP side is gone; messages to it wait");
                    self.outcomes.clear();
                }
                Output::Close(mismatch) => {
                    report(&mismatch);
                    self.actions.push_back(Action::CloseBus);
                }
            }
        }
    }

    /// Only users of the allowed domains may use the gateway.
    fn check_sender(&self, frame: &Frame) -> Result<(), Refusal> {
        if self.config.allows(frame.from.domain().as_str()) {
            return Ok(());
        }
        tracing::info!(from = %Pii(&frame.from), "a stranger was turned away");
        Err(Refusal::new(Reason::Forbidden).with_text("This gateway does not serve your domain."))
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
