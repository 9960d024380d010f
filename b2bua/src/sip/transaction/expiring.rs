//! A bounded table whose entries live equally long: the memory of finished transactions.
//!
//! An entry costs its key twice and its value, nothing else: expiry goes by buckets of
//! [`GRAIN`], so an entry lives at most that much too long. When the table is full the oldest goes.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::key::{ByKey, Key};

/// The table.
#[derive(Debug)]
pub struct Expiring<T> {
    map: HashMap<Key, T, ByKey>,
    buckets: VecDeque<Bucket>,
    max: usize,
}

#[derive(Debug)]
struct Bucket {
    until: Instant,
    keys: VecDeque<Key>,
}

impl<T> Expiring<T> {
    /// An empty table of at most `max` entries.
    pub fn new(max: usize) -> Self {
        Self {
            map: HashMap::default(),
            buckets: VecDeque::new(),
            max: max.max(1),
        }
    }

    /// Keeps `value` until `until`, which never decreases from call to call. True when an older
    /// entry had to go.
    pub fn insert(&mut self, key: Key, value: T, until: Instant) -> bool {
        let full = self.map.len() >= self.max;
        if full {
            self.drop_oldest();
        }
        self.map.insert(key, value);
        match self.buckets.back_mut() {
            Some(bucket) if bucket.until >= until => bucket.keys.push_back(key),
            _ => self.buckets.push_back(Bucket {
                until: until + GRAIN,
                keys: VecDeque::from([key]),
            }),
        }
        full
    }

    /// The value of `key`.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.map.get(&key)
    }

    /// Drops what has lived long enough.
    pub fn expire(&mut self, now: Instant) {
        while self
            .buckets
            .front()
            .is_some_and(|bucket| bucket.until <= now)
        {
            for key in self
                .buckets
                .pop_front()
                .into_iter()
                .flat_map(|bucket| bucket.keys)
            {
                self.map.remove(&key);
            }
        }
        if self.map.is_empty() {
            self.map.shrink_to_fit();
        }
    }

    /// When [`Expiring::expire`] has something to do next.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.buckets.front().map(|bucket| bucket.until)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    fn drop_oldest(&mut self) {
        while let Some(bucket) = self.buckets.front_mut() {
            match bucket.keys.pop_front() {
                Some(key) => {
                    self.map.remove(&key);
                    return;
                }
                None => {
                    self.buckets.pop_front();
                }
            }
        }
    }
}

/// How coarse expiry is.
pub const GRAIN: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    #[test]
    fn entries_go_soon_after_their_time_and_not_before() {
        let t0 = start();
        let life = Duration::from_secs(32);
        let mut table = Expiring::new(10_000);
        for step in 0..1000_u32 {
            table.insert(
                Key(step.into()),
                step,
                t0 + life + step * Duration::from_millis(1),
            );
        }
        table.expire(t0 + life);
        assert_eq!(table.len(), 1000);
        table.expire(t0 + life + Duration::from_secs(1) + GRAIN);
        assert!(table.is_empty());
        assert_eq!(table.next_expiry(), None);
    }

    #[test]
    fn a_full_table_forgets_the_oldest() {
        let t0 = start();
        let mut table = Expiring::new(2);
        assert!(!table.insert(Key(1), 1, t0));
        assert!(!table.insert(Key(2), 2, t0));
        assert!(table.insert(Key(3), 3, t0));
        assert_eq!(
            (table.get(Key(1)), table.get(Key(2)), table.len()),
            (None, Some(&2), 2)
        );
    }
}
