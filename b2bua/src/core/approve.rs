//! What is said to the gateway itself, and what it says.

use tandem_shared::bus::SessionId;
use tandem_shared::event::{Event as BusEvent, MessageOutcome};
use tandem_shared::message::Message;
use tandem_shared::refusal::{Reason, Refusal};

use super::Core;
use crate::clock::Now;
use crate::notice::Ended;

impl Core {
    /// Somebody writes to the gateway itself. Only admins are listened to.
    pub(super) fn hear_word(&mut self, message: &Message, session: SessionId, now: Now) {
        let policy = &self.settings.policy;
        let listens = policy.approve_abroad && policy.admins.contains(&message.from.account());
        let outcome = match listens {
            true => {
                tracing::debug!(from = %message.from, "an admin says a word");
                self.approvals.hear(message, &self.settings);
                Ok(())
            }
            false => {
                Err(Refusal::new(Reason::JidMalformed).with_text("The address names no contact."))
            }
        };
        // What was decided is on disk before it is known to be heard.
        self.drain_notices(now);
        let outcome = MessageOutcome::new(message.id.clone(), outcome);
        self.publish(session, BusEvent::MessageOutcome(outcome));
    }

    /// A notice came to its user, or did not.
    pub(super) fn hear_of_notice(&mut self, outcome: &MessageOutcome, now: Now) {
        if let Some(refusal) = &outcome.refusal {
            tracing::info!(id = %outcome.id, reason = ?refusal.reason, "a notice was not taken");
        }
        let ended = self.notices.handle_outcome(outcome, now.instant);
        if let Some(Ended {
            asks: Some(id),
            told,
        }) = ended
        {
            self.approvals.handle_asked(id, told);
        }
    }

    /// Hands on what is to be stored and said about approvals and spellings.
    pub(super) fn drain_notices(&mut self, now: Now) {
        while let Some(action) = self.approvals.poll_action() {
            self.actions.push_back(action);
        }
        while let Some(action) = self.aliases.poll_action() {
            self.actions.push_back(action);
        }
        while let Some(notice) = self
            .approvals
            .poll_notice()
            .or_else(|| self.aliases.poll_notice())
        {
            let asks = notice.asks;
            let taken = self.notices.tell(notice, &mut self.mint, now.instant);
            if let (false, Some(id)) = (taken, asks) {
                self.approvals.handle_asked(id, false);
            }
        }
        while self.link.is_up()
            && let Some(message) = self.notices.poll(now.instant)
        {
            let session = SessionId::conversation(&message.from, &message.to);
            self.publish(session, BusEvent::Message(Box::new(message)));
        }
    }
}
