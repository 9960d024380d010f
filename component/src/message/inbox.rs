//! Messages from SIP, from the bus until the server has them.
//!
//! The outcome `Ok` goes back only when the server has answered a ping written behind the stanza; a
//! bounce comes before that answer and is the outcome then. A message that comes again is answered
//! with what became of it.

use super::recent::Recent;
use super::translate;
use crate::confirm::Written;
use crate::context::Context;
use crate::refusal::from_xmpp;
use crate::stanza::Frame;
use minidom::Element;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tandem_shared::bus::SessionId;
use tandem_shared::event::MessageOutcome;
use tandem_shared::message::{Message, MessageId, Outcome};
use tandem_shared::refusal::{Reason, Refusal};

/// How long an outcome is kept for a message that comes again.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many outcomes are kept.
const KEEP_MAX: usize = 100_000;
/// What a SIP sender is told to wait, in seconds, when the server is not there.
pub const RETRY_AFTER: u32 = 30;

#[derive(Debug)]
struct Pending {
    message: Message,
    session: SessionId,
    /// Which writing of it the confirmation must be for.
    attempt: u8,
}

/// An outcome to publish.
pub type Ended = (SessionId, MessageOutcome);

/// All messages the server is not known to have.
#[derive(Debug)]
pub struct Inbox {
    max: usize,
    pending: HashMap<MessageId, Pending>,
    /// The ids of finished ones; absent refusal means delivered.
    finished: Recent<MessageId, Option<Refusal>>,
}

impl Inbox {
    /// An inbox for `max` unconfirmed messages.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            pending: HashMap::new(),
            finished: Recent::new(KEEP, KEEP_MAX),
        }
    }

    /// How many messages are not confirmed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether all are confirmed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// A message came over the bus.
    pub fn handle_message(
        &mut self,
        session: SessionId,
        message: Message,
        context: &mut Context,
    ) -> Option<Ended> {
        let id = message.id.clone();
        if self.pending.contains_key(&id) {
            return None;
        }
        if let Some(refusal) = self.finished.get(&id, context.now) {
            let refusal = refusal.clone();
            return Some((session, MessageOutcome { id, refusal }));
        }
        if context.confirm.is_none() {
            let refusal = come_back("The XMPP server cannot be reached");
            return Some((session, MessageOutcome::new(id, Err(refusal))));
        }
        if self.pending.len() >= self.max {
            let refusal = come_back("The XMPP server is busy");
            return Some((session, MessageOutcome::new(id, Err(refusal))));
        }
        match translate::to_xmpp(&message, &id.0, context.mapping) {
            Err(refusal) => Some(self.finish(session, id, Err(refusal), context.now)),
            Ok(stanza) => {
                context.send_confirmed(stanza, Written::Message(id.clone(), 0));
                let pending = Pending {
                    message,
                    session,
                    attempt: 0,
                };
                self.pending.insert(id, pending);
                None
            }
        }
    }

    /// An error stanza came for something we sent.
    pub fn handle_bounce(
        &mut self,
        frame: &Frame,
        stanza: &Element,
        context: &mut Context,
    ) -> Option<Ended> {
        let id = MessageId(frame.id.clone()?);
        let pending = self.pending.get_mut(&id)?;
        let recipient = context.mapping.user_to_jid(&pending.message.to).ok()?;
        if recipient.to_bare() != frame.from.to_bare() {
            return None;
        }
        let refusal = from_xmpp(stanza, &frame.from, context.mapping);
        let gone = matches!(
            refusal.reason,
            Reason::RecipientUnavailable | Reason::ServiceUnavailable
        );
        // The device went away: the account may still have another (specs 2.4).
        if gone && pending.message.to.device.take().is_some() {
            let again = translate::to_xmpp(&pending.message, &id.0, context.mapping).ok()?;
            pending.attempt += 1;
            context.send_confirmed(again, Written::Message(id, pending.attempt));
            return None;
        }
        let pending = self.pending.remove(&id)?;
        Some(self.finish(pending.session, id, Err(refusal), context.now))
    }

    /// The server has the stanza of `id` as written in `attempt`.
    pub fn handle_confirmed(&mut self, id: MessageId, attempt: u8, now: Instant) -> Option<Ended> {
        self.pending
            .get(&id)
            .filter(|pending| pending.attempt == attempt)?;
        let pending = self.pending.remove(&id)?;
        Some(self.finish(pending.session, id, Ok(()), now))
    }

    /// The stream went away before the server confirmed `id`: whether it has it is not known, so
    /// its sender is asked to send it again and it is not remembered.
    pub fn handle_unconfirmed(&mut self, id: MessageId) -> Option<Ended> {
        let pending = self.pending.remove(&id)?;
        let refusal = come_back("The XMPP server went away");
        Some((pending.session, MessageOutcome::new(id, Err(refusal))))
    }

    fn finish(
        &mut self,
        session: SessionId,
        id: MessageId,
        outcome: Outcome,
        now: Instant,
    ) -> Ended {
        let ended = MessageOutcome::new(id.clone(), outcome);
        self.finished.insert(id, ended.refusal.clone(), now);
        (session, ended)
    }
}

/// "Not now": what SIP shows as 480 with a time to retry after.
fn come_back(text: &str) -> Refusal {
    Refusal::new(Reason::RecipientUnavailable)
        .with_text(text)
        .with_retry_after(RETRY_AFTER)
}
