//! What was seen within a while, bounded in number.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Keys seen within `keep`, each with what is known of it; the oldest go first when full.
#[derive(Debug)]
pub struct Recent<K, V> {
    keep: Duration,
    max: usize,
    known: HashMap<K, (Instant, V)>,
    order: VecDeque<(Instant, K)>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// Remembers at most `max` keys, each for `keep`.
    #[must_use]
    pub fn new(keep: Duration, max: usize) -> Self {
        Self {
            keep,
            max,
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// What is known of `key`.
    pub fn get(&mut self, key: &K, now: Instant) -> Option<&V> {
        self.expire(now);
        self.known.get(key).map(|(_, value)| value)
    }

    /// Remembers `key` from now on; one already known keeps its age.
    pub fn insert(&mut self, key: K, value: V, now: Instant) {
        self.expire(now);
        if let Some(slot) = self.known.get_mut(&key) {
            slot.1 = value;
            return;
        }
        if self.known.len() >= self.max {
            self.drop_oldest();
        }
        self.order.push_back((now, key.clone()));
        self.known.insert(key, (now, value));
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: &K) {
        self.known.remove(key);
    }

    /// How many keys are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn expire(&mut self, now: Instant) {
        while let Some((since, _)) = self.order.front()
            && now.saturating_duration_since(*since) >= self.keep
        {
            self.drop_oldest();
        }
    }

    /// Drops the oldest entry; one whose key was removed and seen again since is a leftover.
    fn drop_oldest(&mut self) {
        if let Some((since, key)) = self.order.pop_front()
            && self.known.get(&key).is_some_and(|(at, _)| *at == since)
        {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_age_and_the_oldest_make_room() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let t0 = Instant::now();
        let mut recent = Recent::new(Duration::from_secs(10), 2);
        recent.insert("a", 1, t0);
        recent.insert("b", 2, t0 + Duration::from_secs(1));
        recent.insert("c", 3, t0 + Duration::from_secs(2));
        assert_eq!(recent.get(&"a", t0 + Duration::from_secs(2)), None);
        assert_eq!(recent.get(&"b", t0 + Duration::from_secs(2)), Some(&2));
        assert_eq!(recent.get(&"b", t0 + Duration::from_secs(11)), None);
        assert_eq!(recent.len(), 1);
    }

    #[test]
    fn a_key_removed_and_seen_again_lives_its_full_time() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let t0 = Instant::now();
        let mut recent = Recent::new(Duration::from_secs(10), 9);
        recent.insert("a", 1, t0);
        recent.remove(&"a");
        recent.insert("a", 2, t0 + Duration::from_secs(9));
        assert_eq!(recent.get(&"a", t0 + Duration::from_secs(12)), Some(&2));
    }
}
