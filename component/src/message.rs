//! Pager-mode messages as XMPP sees them (RFC 7572).
//!
//! [`outbox`] holds messages on their way to SIP until their outcome is final, [`inbox`] those from
//! SIP until the server has them; [`translate`] turns stanzas into messages and back.

pub mod degrade;
pub mod inbox;
pub mod numbering;
pub mod outbox;
pub mod recent;
pub mod translate;

use crate::config::MessageSection;
use crate::confirm::Written;
use crate::context::Context;
use crate::stanza::Frame;
use inbox::{Ended, Inbox};
use jid::Jid;
use minidom::Element;
use numbering::Numbering;
use outbox::{Outbox, Row};
use recent::Recent;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tandem_shared::bus::SessionId;
use tandem_shared::event::MessageOutcome;
use tandem_shared::message::{Message, MessageId};
use tandem_shared::mint;
use tandem_shared::refusal::Refusal;
use translate::Content;

/// How long a stanza is known, so that one sent again after a stream was resumed is not delivered
/// twice (specs 2.10). Servers resume within minutes; longer, and a client that counts its ids from
/// one again would lose what it says twice.
const DUPLICATES_KEEP: Duration = Duration::from_secs(15 * 60);
/// How many stanzas are known.
const DUPLICATES_MAX: usize = 100_000;

/// What happened to messages, for the log.
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
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 6] {
        let Self {
            accepted,
            refused,
            duplicates,
            late_outcomes,
            delivered,
            bounced,
        } = self;
        [
            ("accepted", *accepted),
            ("refused", *refused),
            ("duplicates", *duplicates),
            ("late_outcomes", *late_outcomes),
            ("delivered", *delivered),
            ("bounced", *bounced),
        ]
    }
}

/// Messages in both directions.
#[derive(Debug)]
pub struct Messages {
    outbox: Outbox,
    inbox: Inbox,
    numbering: Numbering,
    duplicates: Recent<u128, ()>,
    outcomes: VecDeque<Ended>,
    counters: Counters,
}

impl Messages {
    /// No messages.
    #[must_use]
    pub fn new(section: &MessageSection) -> Self {
        Self {
            outbox: Outbox::new(section.outbox_max, section.patience()),
            inbox: Inbox::new(section.inbox_max),
            numbering: Numbering::default(),
            duplicates: Recent::new(DUPLICATES_KEEP, DUPLICATES_MAX),
            outcomes: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a row the store held.
    pub fn restore(&mut self, row: Row, now: Instant) {
        self.outbox.restore(row, now);
    }

    /// How many are held: on their way to SIP, and from SIP but unconfirmed.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.outbox.len(), self.inbox.len())
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A message stanza came from a user who may use the gateway.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn handle_stanza(
        &mut self,
        frame: &Frame,
        stanza: &Element,
        context: &mut Context,
    ) -> Result<(), Refusal> {
        let read = translate::from_xmpp(frame, stanza, context.mapping);
        let taken = match read {
            Ok(None) => return Ok(()),
            Ok(Some(content)) => self.accept(frame, content, context),
            Err(refusal) => Err(refusal),
        };
        self.counters.refused += u64::from(taken.is_err());
        taken
    }

    /// An error stanza came for something the gateway sent.
    pub fn handle_bounce(&mut self, frame: &Frame, stanza: &Element, context: &mut Context) {
        let ended = self.inbox.handle_bounce(frame, stanza, context);
        self.end(ended);
    }

    /// A message came from SIP.
    pub fn handle_message(&mut self, session: SessionId, message: Message, context: &mut Context) {
        tracing::debug!(id = %message.id, from = %message.from, to = %message.to, "message from SIP");
        let ended = self.inbox.handle_message(session, message, context);
        self.end(ended);
    }

    /// The SIP side said how a message ended.
    pub fn handle_outcome(&mut self, outcome: MessageOutcome, context: &mut Context) {
        let id = outcome.id.clone();
        match outcome.refusal.as_ref().map(|refusal| refusal.reason) {
            Some(reason) => tracing::info!(id = %id, ?reason, "message refused by SIP"),
            None => tracing::debug!(id = %id, "message delivered to SIP"),
        }
        let held = self.outbox.handle_outcome(outcome, context);
        self.forget_refused();
        if !held {
            self.counters.late_outcomes += 1;
            tracing::debug!(id = %id, "an outcome came for a message that had ended");
        }
    }

    /// The server has something that was written to it.
    pub fn handle_confirmed(&mut self, written: Written, context: &mut Context) {
        match written {
            Written::Message(id, attempt) => {
                let ended = self.inbox.handle_confirmed(id, attempt, context.now);
                self.end(ended);
            }
            Written::Error(id) => self.outbox.handle_error_confirmed(&id, context.actions),
            Written::Call(_) => {}
        }
    }

    /// The XMPP stream is open (again).
    pub fn handle_stream_opened(&mut self, context: &mut Context) {
        self.outbox.handle_stream_opened(context);
    }

    /// The XMPP stream is gone, and with it the confirmation of `unconfirmed`.
    pub fn handle_stream_closed(&mut self, unconfirmed: Vec<Written>) {
        for written in unconfirmed {
            if let Written::Message(id, _) = written {
                let ended = self.inbox.handle_unconfirmed(id);
                self.end(ended);
            }
        }
    }

    /// The SIP side can be reached (again).
    pub fn handle_up(&mut self) {
        self.outbox.handle_up();
    }

    /// The SIP side is gone: nobody waits for outcomes. A message that comes again is answered
    /// again.
    pub fn handle_lost(&mut self) {
        self.outcomes.clear();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, context: &mut Context) {
        self.outbox.handle_timeout(context);
        self.forget_refused();
    }

    /// When [`Messages::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outbox.poll_timeout()
    }

    /// The next outcome for the bus.
    pub fn poll_outcome(&mut self) -> Option<Ended> {
        self.outcomes.pop_front()
    }

    /// The next message for the bus.
    pub fn poll_queued(&mut self) -> Option<&Message> {
        self.outbox.poll_queued()
    }

    fn accept(
        &mut self,
        frame: &Frame,
        content: Content,
        context: &mut Context,
    ) -> Result<(), Refusal> {
        // A stanza without an id is never a duplicate: there is nothing to know it by.
        let key = frame
            .id
            .as_deref()
            .map(|id| fingerprint(&frame.from, &frame.to, id, &content.body));
        if let Some(key) = key
            && self.duplicates.get(&key, context.now).is_some()
        {
            self.counters.duplicates += 1;
            tracing::debug!(from = %frame.from, "a stanza that came before was dropped");
            return Ok(());
        }
        let ordinal = self.numbering.next(
            &content.from,
            &content.to,
            content.thread.as_deref(),
            context.mint,
            context.now,
        );
        let id = MessageId(context.mint.token());
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
                replaces: None,
                sent: content.sent,
                hops: Message::HOPS,
                ordinal,
            },
        };
        self.outbox.accept(row, content.store, context)?;
        self.counters.accepted += 1;
        if let Some(key) = key {
            self.duplicates.insert(key, (), context.now);
        }
        tracing::debug!(id = %id, from = %frame.from, to = %frame.to, "message to SIP");
        Ok(())
    }

    /// A refused message may be sent again, with the same id too.
    fn forget_refused(&mut self) {
        for row in self.outbox.take_refused() {
            if let Some(id) = &row.message.wire_id {
                let key = fingerprint(&row.from, &row.to, id, &row.message.body);
                self.duplicates.remove(&key);
            }
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
        self.outcomes.push_back((session, outcome));
    }
}

/// What a stanza is known by when it comes again.
fn fingerprint(from: &Jid, to: &Jid, id: &str, body: &str) -> u128 {
    let parts = [
        user_of(from),
        from.domain().as_str(),
        user_of(to),
        to.domain().as_str(),
        id,
        body,
    ];
    mint::hash(&[0; 16], &parts.map(str::as_bytes))
}

fn user_of(jid: &Jid) -> &str {
    jid.node().map_or("", |node| node.as_str())
}
