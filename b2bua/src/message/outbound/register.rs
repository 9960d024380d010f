//! Which messages are under way and how the finished ones ended.
//!
//! The component sends a message again until it hears its outcome; here a repeat is told from a
//! new message, so that nobody reads it twice.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tandem_shared::message::{MessageId, Outcome};
use tandem_shared::mint;

use crate::sip::transaction::key::ByKey;

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Its outcome will be told.
    Pending,
    /// It ended so.
    Finished(Outcome),
}

/// Every message of the last day, bounded; the oldest finished go first.
#[derive(Debug, Default)]
pub struct Register {
    known: HashMap<u128, Slot, ByKey>,
    finished: VecDeque<(Instant, u128)>,
}

#[derive(Debug)]
enum Slot {
    Pending,
    Ok,
    Refused(Box<Outcome>),
}

impl Register {
    /// What is known of `id`.
    #[must_use]
    pub fn get(&self, id: &MessageId) -> Option<Progress> {
        self.known.get(&key(id)).map(|slot| match slot {
            Slot::Pending => Progress::Pending,
            Slot::Ok => Progress::Finished(Ok(())),
            Slot::Refused(outcome) => Progress::Finished(Outcome::clone(outcome)),
        })
    }

    /// `id` is under way.
    pub fn begin(&mut self, id: &MessageId) {
        self.known.insert(key(id), Slot::Pending);
    }

    /// `id` ended.
    pub fn finish(&mut self, id: &MessageId, outcome: &Outcome, now: Instant) {
        let slot = match outcome {
            Ok(()) => Slot::Ok,
            refused => Slot::Refused(Box::new(refused.clone())),
        };
        let key = key(id);
        self.known.insert(key, slot);
        self.finished.push_back((now, key));
        let old = |at: &Instant| now.saturating_duration_since(*at) > KEEP;
        while self.finished.len() > MAX || self.finished.front().is_some_and(|(at, _)| old(at)) {
            if let Some((_, oldest)) = self.finished.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

fn key(id: &MessageId) -> u128 {
    mint::hash(&[0; 16], &[id.0.as_bytes()])
}

/// How long an outcome is remembered.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many outcomes are remembered.
const MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_shared::refusal::{Reason, Refusal};

    #[test]
    fn an_outcome_is_remembered_for_a_day() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let start = Instant::now();
        let mut register = Register::default();
        let (a, b) = (MessageId("a".into()), MessageId("b".into()));
        register.begin(&a);
        assert_eq!(register.get(&a), Some(Progress::Pending));
        let refused: Outcome = Err(Refusal::new(Reason::Busy));
        register.finish(&a, &refused, start);
        assert_eq!(register.get(&a), Some(Progress::Finished(refused)));
        register.begin(&b);
        register.finish(&b, &Ok(()), start + KEEP + Duration::from_secs(1));
        assert_eq!(register.get(&a), None);
        assert_eq!(register.get(&b), Some(Progress::Finished(Ok(()))));
    }
}
