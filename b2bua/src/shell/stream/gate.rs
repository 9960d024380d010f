//! How many connections there may be: at once, and from one address. Whoever comes leaves a quarter
//! of all to those we open ourselves, and the addresses of one IPv6 network, of which anybody has
//! 2^64, count as one.
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
    inbound: usize,
    strangers: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One place.
pub(super) struct Permit {
    gate: Arc<Gate>,
    source: Option<IpAddr>,
    is_stranger: bool,
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
        self.take(source, false)
    }

    /// A place for a connection of somebody who has yet to show who it is: at most every second one, so
    /// that those who are known always find room.
    pub(super) fn enter_stranger(self: &Arc<Self>, source: IpAddr) -> Option<Permit> {
        self.take(Some(source), true)
    }

    fn take(self: &Arc<Self>, source: Option<IpAddr>, is_stranger: bool) -> Option<Permit> {
        let mut counts = self.counts();
        if counts.all >= self.max || (is_stranger && counts.strangers >= self.max / 2) {
            return None;
        }
        let source = source.map(network);
        if let Some(source) = source {
            if counts.inbound >= self.max - self.max / 4 {
                return None;
            }
            let count = counts.by_source.entry(source).or_default();
            if *count >= self.max_per_source {
                return None;
            }
            *count += 1;
            counts.inbound += 1;
        }
        counts.all += 1;
        counts.strangers += usize::from(is_stranger);
        Some(Permit {
            gate: Arc::clone(self),
            source,
            is_stranger,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Whether it is for a connection that comes to us.
    pub(super) fn is_inbound(&self) -> bool {
        self.source.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.all = counts.all.saturating_sub(1);
        let strangers = usize::from(self.is_stranger);
        counts.strangers = counts.strangers.saturating_sub(strangers);
        if let Some(source) = self.source {
            counts.inbound = counts.inbound.saturating_sub(1);
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

/// The address itself, or the first of its /64.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_source_and_given_back() {
        let gate = Gate::new(4, 1);
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = gate.enter(Some(a));
        assert!(first.is_some());
        assert!(gate.enter(Some(a)).is_none());
        let _second = gate.enter(Some(b));
        let _own = [gate.enter(None), gate.enter(None)];
        assert!(gate.enter(None).is_none());
        drop(first);
        assert!(gate.enter(Some(a)).is_some());
        assert_eq!(gate.counts().by_source.len(), 1);
    }

    #[test]
    fn whoever_comes_leaves_a_quarter_to_ourselves() {
        let gate = Gate::new(8, 2);
        let enter = |network: u16| {
            let source = [0x2001, 0xdb8, 0, network, 0, 0, 0, 1 + network];
            gate.enter(Some(IpAddr::from(source)))
        };
        let mut inside: Vec<_> = (0..10).filter_map(enter).collect();
        assert_eq!(inside.len(), 6);
        let own = [gate.enter(None), gate.enter(None), gate.enter(None)];
        assert_eq!(own.map(|one| one.is_some()), [true, true, false]);
        inside.truncate(5);
        assert!(enter(20).is_some());
    }

    #[test]
    fn one_network_is_one_source() {
        let gate = Gate::new(100, 3);
        let enter =
            |last: u16| gate.enter(Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 7, 7, 7, last])));
        let inside: Vec<_> = (0..10).filter_map(enter).collect();
        assert_eq!(inside.len(), 3);
        assert!(
            gate.enter(Some(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])))
                .is_some()
        );
    }

    #[test]
    fn strangers_leave_half_the_room_to_those_who_are_known() {
        let gate = Gate::new(4, 4);
        let (stranger, known) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let held: Vec<_> = (0..3).map(|_| gate.enter_stranger(stranger)).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        assert!(gate.enter(Some(known)).is_some());
        drop(held);
        assert!(gate.enter_stranger(stranger).is_some());
    }
}
