//! Which XMPP threads stand behind the Call-IDs we sent (specs 2.3).
//!
//! Only such a Call-ID becomes a thread again: carriers reuse one Call-ID for ever or take a new one
//! for each message, and clients would tear a conversation apart at that.

use std::collections::{HashMap, VecDeque};

use tandem_shared::mint;

/// The threads of conversations seen lately, bounded; the oldest go first.
#[derive(Debug, Default)]
pub struct Threads {
    by_call: HashMap<u128, Box<str>>,
    order: VecDeque<u128>,
}

impl Threads {
    /// Notes that `thread` was sent as `call_id`.
    pub fn sent(&mut self, call_id: &str, thread: &str) {
        let key = hash(call_id);
        if self.by_call.insert(key, thread.into()).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_call.remove(&oldest);
            }
        }
    }

    /// The thread that was sent as `call_id`.
    #[must_use]
    pub fn of(&self, call_id: &str) -> Option<&str> {
        if self.by_call.is_empty() {
            return None;
        }
        self.by_call.get(&hash(call_id)).map(AsRef::as_ref)
    }
}

fn hash(call_id: &str) -> u128 {
    mint::hash(&[0; 16], &[call_id.as_bytes()])
}

/// How many threads are remembered.
const MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_call_ids_we_sent_are_threads() {
        let mut threads = Threads::default();
        threads.sent("abc", "the thread");
        assert_eq!(threads.of("abc"), Some("the thread"));
        assert_eq!(threads.of("abd"), None);
        for n in 0..MAX {
            threads.sent(&n.to_string(), "t");
        }
        assert_eq!(threads.of("abc"), None);
    }
}
