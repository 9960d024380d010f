//! Packets back in order before they are decoded.
//!
//! Nothing is delayed while everything comes in order: the far end levels jitter out anyway, as it
//! does for sound that is not transcoded. A missing packet is waited for as long as lateness was seen
//! lately, within bounds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Packets of one source, waiting for those before them.
#[derive(Debug)]
pub(super) struct Reorder<P> {
    next: Option<u64>,
    held: BTreeMap<u64, P>,
    wait: Duration,
    bounds: RangeInclusive<Duration>,
    deadline: Option<Instant>,
}

/// A packet in its place, and how many before it never came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ordered<P> {
    pub(super) missing: u64,
    pub(super) packet: P,
}

impl<P> Reorder<P> {
    pub(super) fn new(bounds: RangeInclusive<Duration>) -> Self {
        Self {
            next: None,
            held: BTreeMap::new(),
            wait: *bounds.start(),
            bounds,
            deadline: None,
        }
    }

    /// A packet came.
    pub(super) fn push(&mut self, number: u64, packet: P, now: Instant, out: &mut Vec<Ordered<P>>) {
        let next = *self.next.get_or_insert(number);
        if number < next {
            // Given up too early.
            self.wait = (self.wait * 2).min(*self.bounds.end());
            return;
        }
        self.held.insert(number, packet);
        self.release(out);
        if self.held.is_empty() {
            self.deadline = None;
            self.wait = (self.wait - self.wait / 256).max(*self.bounds.start());
        } else if self.held.len() > MOST {
            self.give_up(now, out);
        } else {
            self.deadline.get_or_insert(now + self.wait);
        }
    }

    /// No longer waits for what is missing.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Ordered<P>>) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.give_up(now, out);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn give_up(&mut self, now: Instant, out: &mut Vec<Ordered<P>>) {
        if let (Some(next), Some((number, packet))) = (self.next, self.held.pop_first()) {
            let missing = number - next;
            out.push(Ordered { missing, packet });
            self.next = Some(number + 1);
        }
        self.release(out);
        self.deadline = (!self.held.is_empty()).then(|| now + self.wait);
    }

    fn release(&mut self, out: &mut Vec<Ordered<P>>) {
        while let Some(next) = self.next
            && let Some(packet) = self.held.remove(&next)
        {
            let missing = 0;
            out.push(Ordered { missing, packet });
            self.next = Some(next + 1);
            self.deadline = None;
        }
    }
}

/// Packets held back at once.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn reorder() -> Reorder<u64> {
        Reorder::new(Duration::from_millis(20)..=Duration::from_millis(120))
    }

    fn push(reorder: &mut Reorder<u64>, number: u64, now: Instant) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        reorder.push(number, number, now, &mut out);
        out.iter().map(|it| (it.missing, it.packet)).collect()
    }

    #[test]
    fn in_order_nothing_waits() {
        let (now, mut reorder) = (Instant::now(), reorder());
        for number in 5..50 {
            assert_eq!(push(&mut reorder, number, now), [(0, number)]);
            assert_eq!(reorder.deadline(), None);
        }
    }

    #[test]
    fn a_late_packet_comes_in_its_place() {
        let (now, mut reorder) = (Instant::now(), reorder());
        push(&mut reorder, 1, now);
        assert_eq!(push(&mut reorder, 3, now), []);
        assert_eq!(push(&mut reorder, 2, now), [(0, 2), (0, 3)]);
        assert_eq!(reorder.deadline(), None);
    }

    #[test]
    fn a_lost_packet_is_given_up_and_patience_grows_with_lateness() {
        let (now, mut reorder) = (Instant::now(), reorder());
        push(&mut reorder, 1, now);
        push(&mut reorder, 4, now);
        push(&mut reorder, 6, now);
        let mut out = Vec::new();
        reorder.handle_timeout(now + Duration::from_millis(19), &mut out);
        assert_eq!(out, []);
        reorder.handle_timeout(now + Duration::from_millis(20), &mut out);
        assert_eq!(
            out,
            [Ordered {
                missing: 2,
                packet: 4
            }]
        );
        assert!(reorder.deadline().is_some(), "5 is still missing");
        assert_eq!(push(&mut reorder, 2, now), []);
        assert_eq!(reorder.wait, Duration::from_millis(40));
    }

    #[test]
    fn no_more_than_a_handful_is_held() {
        let (now, mut reorder) = (Instant::now(), reorder());
        push(&mut reorder, 1, now);
        let released: Vec<_> = (3..100).flat_map(|n| push(&mut reorder, n, now)).collect();
        assert_eq!(released.len(), 97);
        assert_eq!(released[0], (1, 3));
    }
}
