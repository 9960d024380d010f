//! How many there are of each kind; a kind of which there are none takes no room.

use std::collections::HashMap;
use std::hash::Hash;

/// The counts.
#[derive(Debug)]
pub struct Counts<K> {
    counts: HashMap<K, usize>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self {
            counts: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// How many there are of `kind`.
    #[must_use]
    pub fn of(&self, kind: &K) -> usize {
        self.counts.get(kind).copied().unwrap_or_default()
    }

    /// There is one more.
    pub fn add(&mut self, kind: K) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// There is one less.
    pub fn remove(&mut self, kind: &K) {
        if let Some(count) = self.counts.get_mut(kind) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(kind);
            }
        }
    }

    /// Of how many kinds there are any.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_takes_no_room() {
        let mut counts = Counts::default();
        for kind in ["a", "a", "b"] {
            counts.add(kind);
        }
        counts.remove(&"a");
        counts.remove(&"c");
        assert_eq!(
            (counts.of(&"a"), counts.of(&"c"), counts.kinds()),
            (1, 0, 2)
        );
        counts.remove(&"a");
        assert_eq!((counts.of(&"a"), counts.kinds()), (0, 1));
    }
}
