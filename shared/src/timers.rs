//! Deadlines by key, for cores that are told the time.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Instant;

/// At most one deadline for each key; setting a key again moves its deadline.
#[derive(Debug)]
pub struct Timers<K, S = RandomState> {
    by_time: BTreeMap<(Instant, u64), K>,
    by_key: HashMap<K, (Instant, u64), S>,
    set: u64,
}

impl<K, S: Default> Default for Timers<K, S> {
    fn default() -> Self {
        Self {
            by_time: BTreeMap::new(),
            by_key: HashMap::default(),
            set: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, S: BuildHasher> Timers<K, S> {
    /// Sets or moves the deadline of `key`.
    pub fn set(&mut self, key: K, at: Instant) {
        self.cancel(&key);
        self.set += 1;
        self.by_time.insert((at, self.set), key.clone());
        self.by_key.insert(key, (at, self.set));
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn cancel(&mut self, key: &K) {
        if let Some(slot) = self.by_key.remove(key) {
            self.by_time.remove(&slot);
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.keys().next().map(|slot| slot.0)
    }

    /// Takes one key whose deadline is not after `now`, earliest first.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// How many deadlines are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no deadline is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn start() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    #[test]
    fn keys_come_out_in_order_and_only_when_due() {
        let t0 = start();
        let mut timers: Timers<&str> = Timers::default();
        timers.set("late", t0 + Duration::from_secs(2));
        timers.set("soon", t0 + Duration::from_secs(1));
        assert_eq!(timers.pop(t0), None);
        assert_eq!(timers.pop(t0 + Duration::from_secs(3)), Some("soon"));
        assert_eq!(timers.pop(t0 + Duration::from_secs(3)), Some("late"));
        assert!(timers.is_empty());
    }

    #[test]
    fn setting_again_moves_and_cancel_forgets() {
        let t0 = start();
        let mut timers: Timers<u8> = Timers::default();
        timers.set(1, t0);
        timers.set(1, t0 + Duration::from_secs(5));
        assert_eq!(timers.pop(t0), None);
        timers.cancel(&1);
        assert_eq!(timers.next(), None);
        assert_eq!(timers.len(), 0);
    }
}
