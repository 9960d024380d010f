//! One message for all who share a number: what became of it at each, and what its sender hears then.
//!
//! Whoever has it keeps it. Its sender hears 202 when every user has it, or at least one has and the
//! others never will; it is asked to come again while one of them could have it later, and those who
//! have it do not get it twice then, for each copy has an id of its own that stays the same. Only when
//! nobody has it and nobody will, it hears a refusal.

use tandem_shared::message::{MessageId, Outcome};
use tandem_shared::refusal::{Reason, Refusal};

/// The copies of one message.
#[derive(Debug)]
pub(super) struct Shares(Vec<Share>);

#[derive(Debug)]
struct Share {
    id: MessageId,
    /// How it ended, once that is known.
    outcome: Option<Outcome>,
}

impl Shares {
    /// Copies of which nothing is known yet.
    pub(super) fn new(ids: impl IntoIterator<Item = MessageId>) -> Self {
        let open = |id| Share { id, outcome: None };
        Self(ids.into_iter().map(open).collect())
    }

    /// Whether the copy `id` is still on its way.
    pub(super) fn is_open(&self, id: &MessageId) -> bool {
        let mut open = self.0.iter().filter(|share| share.outcome.is_none());
        open.any(|share| share.id == *id)
    }

    /// The copy `id` ended so. Returns what the sender hears when all have.
    pub(super) fn settle(&mut self, id: &MessageId, outcome: Outcome) -> Option<Outcome> {
        let share = self.0.iter_mut().find(|share| share.id == *id)?;
        if share.outcome.is_some() {
            return None;
        }
        share.outcome = Some(outcome);
        let outcomes: Option<Vec<&Outcome>> =
            self.0.iter().map(|share| share.outcome.as_ref()).collect();
        let outcomes = outcomes?;
        let refusals = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        let later = refusals().find(|refusal| refusal.retry_after.is_some());
        if later.is_none() && outcomes.iter().any(|outcome| outcome.is_ok()) {
            for refusal in refusals() {
                tracing::warn!(id = %id, reason = ?refusal.reason,
                    "a message is with some of those who share a number, not with all");
            }
            return Some(Ok(()));
        }
        // That an account does not exist says the least about the number.
        let exists = |refusal: &&Refusal| refusal.reason != Reason::ItemNotFound;
        let worst = later.or_else(|| refusals().find(exists));
        worst.or_else(|| refusals().next()).cloned().map(Err)
    }
}
