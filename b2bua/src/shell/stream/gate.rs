//! How many connections there may be: at once, and from one address.
//!
//! A [`Permit`] gives its place back when it is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counts.
pub(super) struct Gate {
    max: usize,
    max_per_source: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One place.
pub(super) struct Permit {
    gate: Arc<Gate>,
    source: Option<IpAddr>,
}

impl Gate {
    pub(super) fn new(max: usize, max_per_source: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_source,
            counts: Mutex::default(),
        })
    }

    /// A place for a connection we open, or for one that comes from `source`.
    pub(super) fn enter(self: &Arc<Self>, source: Option<IpAddr>) -> Option<Permit> {
        let mut counts = self.counts();
        if counts.all >= self.max {
            return None;
        }
        if let Some(source) = source {
            let count = counts.by_source.entry(source).or_default();
            if *count >= self.max_per_source {
                return None;
            }
            *count += 1;
        }
        counts.all += 1;
        Some(Permit {
            gate: Arc::clone(self),
            source,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(source) = self.source {
            let left = counts.by_source.get_mut(&source).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                counts.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_source_and_given_back() {
        let gate = Gate::new(3, 1);
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = gate.enter(Some(a));
        assert!(first.is_some());
        assert!(gate.enter(Some(a)).is_none());
        let _second = gate.enter(Some(b));
        let _third = gate.enter(None);
        assert!(gate.enter(None).is_none());
        drop(first);
        assert!(gate.enter(Some(a)).is_some());
        assert_eq!(gate.counts().by_source.len(), 1);
    }
}
