//! How many connections there may be: at once, and from one address. Whoever comes leaves a quarter
//! of all to those we open ourselves, those whom nobody but a user has chosen, and strangers, leave room to
//! those whom the admin knows, and the addresses of one IPv6 network, of which anybody has 2^64, count
//! as one.
//!
//! A [`Permit`] gives its place back when it is dropped.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counts::Counts;
use crate::sip::endpoint::{Admission, network};

/// The counts.
pub(super) struct Gate {
    max: usize,
    max_per_source: usize,
    counts: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    all: usize,
    inbound: usize,
    strangers: usize,
    accounts: usize,
    by_source: Counts<IpAddr>,
}

/// Who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A trunk of the configuration lets it in.
    Known,
    /// A user's own account alone does: at most every fourth place in all.
    Account,
    /// Nobody knows it, and it has yet to show who it is: at most every second one.
    Stranger,
}

impl Class {
    /// Who comes from `source` to where clients are asked for certificates, or not; nobody who is let in
    /// where it is nothing.
    pub(super) fn of(source: IpAddr, asks: bool, admission: &Admission) -> Option<Self> {
        match admission.admits(source) {
            true if admission.trusts(source) => Some(Self::Known),
            // A guest may be at the same address; it counts as what its address is.
            true => Some(Self::Account),
            false => admission.hears_strangers(asks).then_some(Self::Stranger),
        }
    }
}

/// One place.
pub(super) struct Permit {
    gate: Arc<Gate>,
    /// Whence it came; nothing of those we opened.
    source: Option<(IpAddr, Class)>,
}

impl Gate {
    pub(super) fn new(max: usize, max_per_source: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_source,
            counts: Mutex::default(),
        })
    }

    /// A place for a connection we open.
    pub(super) fn open(self: &Arc<Self>) -> Option<Permit> {
        self.take(None)
    }

    /// A place for a connection that comes from `source`.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr, class: Class) -> Option<Permit> {
        self.take(Some((network(source), class)))
    }

    fn take(self: &Arc<Self>, source: Option<(IpAddr, Class)>) -> Option<Permit> {
        let mut counts = self.counts();
        if counts.all >= self.max {
            return None;
        }
        if let Some((source, class)) = source {
            let is_full = match class {
                Class::Known => false,
                Class::Account => counts.accounts >= self.max / 4,
                Class::Stranger => counts.strangers >= self.max / 2,
            };
            if is_full || counts.inbound >= self.max - self.max / 4 {
                return None;
            }
            if counts.by_source.of(&source) >= self.max_per_source {
                return None;
            }
            counts.by_source.add(source);
            counts.inbound += 1;
            counts.accounts += usize::from(class == Class::Account);
            counts.strangers += usize::from(class == Class::Stranger);
        }
        counts.all += 1;
        Some(Permit {
            gate: Arc::clone(self),
            source,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Places> {
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
        if let Some((source, class)) = self.source {
            let (accounts, strangers) = (class == Class::Account, class == Class::Stranger);
            counts.accounts = counts.accounts.saturating_sub(accounts.into());
            counts.strangers = counts.strangers.saturating_sub(strangers.into());
            counts.inbound = counts.inbound.saturating_sub(1);
            counts.by_source.remove(&source);
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
        let enter = |source| gate.enter(source, Class::Known);
        let first = enter(a);
        assert!(first.is_some());
        assert!(enter(a).is_none());
        let _second = enter(b);
        let _own = [gate.open(), gate.open()];
        assert!(gate.open().is_none());
        drop(first);
        assert!(enter(a).is_some());
        assert_eq!(gate.counts().by_source.kinds(), 1);
    }

    #[test]
    fn whoever_comes_leaves_a_quarter_to_ourselves() {
        let gate = Gate::new(8, 2);
        let enter = |network: u16| {
            let source = [0x2001, 0xdb8, 0, network, 0, 0, 0, 1 + network];
            gate.enter(IpAddr::from(source), Class::Known)
        };
        let mut inside: Vec<_> = (0..10).filter_map(enter).collect();
        assert_eq!(inside.len(), 6);
        let own = [gate.open(), gate.open(), gate.open()];
        assert_eq!(own.map(|one| one.is_some()), [true, true, false]);
        inside.truncate(5);
        assert!(enter(20).is_some());
    }

    #[test]
    fn one_network_is_one_source() {
        let gate = Gate::new(100, 3);
        let enter = |network: u16, last: u16| {
            let source = [0x2001, 0xdb8, 0, network, 7, 7, 7, last];
            gate.enter(IpAddr::from(source), Class::Known)
        };
        let inside: Vec<_> = (0..10).filter_map(|last| enter(1, last)).collect();
        assert_eq!(inside.len(), 3);
        assert!(enter(2, 1).is_some());
    }

    #[test]
    fn strangers_leave_half_the_room_to_those_who_are_known() {
        let gate = Gate::new(4, 4);
        let (stranger, known) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let held: Vec<_> = (0..3)
            .map(|_| gate.enter(stranger, Class::Stranger))
            .collect();
        assert_eq!(held.iter().flatten().count(), 2);
        assert!(gate.enter(known, Class::Known).is_some());
        drop(held);
        assert!(gate.enter(stranger, Class::Stranger).is_some());
    }

    /// Whoever has accounts at many places of its own takes neither the room of trunks nor that of guests.
    #[test]
    fn those_whom_users_have_chosen_have_a_share_of_their_own() {
        let gate = Gate::new(16, 16);
        let enter = |last: u8, class| gate.enter(IpAddr::from([192, 0, 2, last]), class);
        let mut held: Vec<_> = (0..16).filter_map(|at| enter(at, Class::Account)).collect();
        assert_eq!(held.len(), 4);
        let strangers = (20..40).filter_map(|at| enter(at, Class::Stranger));
        let strangers: Vec<_> = strangers.collect();
        assert_eq!(strangers.len(), 8);
        assert!(enter(50, Class::Known).is_none(), "a quarter is ours");
        drop(strangers);
        let known = (50..70).filter_map(|at| enter(at, Class::Known));
        let known: Vec<_> = known.collect();
        assert_eq!(known.len(), 8);
        held.pop();
        assert!(enter(60, Class::Account).is_some());
        drop((held, known));
        let counts = gate.counts();
        assert_eq!((counts.all, counts.accounts, counts.inbound), (0, 0, 0));
    }

    #[test]
    fn an_address_is_of_a_class() {
        let is = |last: u8| move |source: IpAddr| source == IpAddr::from([192, 0, 2, last]);
        let (trunk, account) = (is(1), is(2));
        let admission = Admission::new(move |source| trunk(source) || account(source))
            .with_trust(is(1))
            .with_strangers(false, true);
        let of = |last: u8, asks| Class::of(IpAddr::from([192, 0, 2, last]), asks, &admission);
        assert_eq!(of(1, false), Some(Class::Known));
        assert_eq!(of(2, true), Some(Class::Account));
        assert_eq!((of(3, true), of(3, false)), (Some(Class::Stranger), None));
    }
}
