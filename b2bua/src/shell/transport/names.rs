//! The addresses of names UDP requests go to, and the requests that wait for one.
//!
//! A name once resolved keeps its last address while it is asked for again, so a request that was
//! sent is never reported as one that could not be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sip::hop::TransmitId;

/// The names.
#[derive(Debug)]
pub(super) struct Names {
    entries: HashMap<Box<str>, Entry>,
    queue: usize,
    life: Duration,
}

type Waiting = (Option<TransmitId>, u16, Bytes);

#[derive(Debug)]
enum Entry {
    Asked(Vec<Waiting>),
    Known {
        address: IpAddr,
        until: Instant,
        asking: bool,
    },
}

/// What is known of a name.
pub(super) enum Found {
    /// Use this address; ask again when `true`.
    Address(IpAddr, bool),
    /// Wait; `ask` when nobody has yet.
    Nothing { ask: bool },
}

impl Names {
    pub(super) fn new(queue: usize, life: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            queue,
            life,
        }
    }

    pub(super) fn find(&mut self, name: &str, now: Instant) -> Found {
        match self.entries.get_mut(name) {
            Some(Entry::Known {
                address,
                until,
                asking,
            }) => {
                let refresh = *until <= now && !*asking;
                *asking |= refresh;
                Found::Address(*address, refresh)
            }
            Some(Entry::Asked(_)) => Found::Nothing { ask: false },
            None => {
                // Names come from the configuration; a bound all the same.
                if self.entries.len() >= MAX_NAMES {
                    self.entries
                        .retain(|_, entry| matches!(entry, Entry::Asked(_)));
                }
                self.entries.insert(name.into(), Entry::Asked(Vec::new()));
                Found::Nothing { ask: true }
            }
        }
    }

    /// Queues a request until the name is resolved; false when too many wait. A retransmission of
    /// one that waits already is left out.
    pub(super) fn wait(
        &mut self,
        name: &str,
        id: Option<TransmitId>,
        port: u16,
        bytes: Bytes,
    ) -> bool {
        let Some(Entry::Asked(waiting)) = self.entries.get_mut(name) else {
            return false;
        };
        if id.is_some() && waiting.iter().any(|(known, ..)| *known == id) {
            return true;
        }
        if waiting.len() >= self.queue {
            return false;
        }
        waiting.push((id, port, bytes));
        true
    }

    /// Takes the answer and returns who waited for it.
    pub(super) fn resolved(
        &mut self,
        name: &str,
        answer: Option<IpAddr>,
        now: Instant,
    ) -> Vec<Waiting> {
        let until = now + self.life;
        match (self.entries.remove(name), answer) {
            (Some(Entry::Asked(waiting)), Some(address)) => {
                let known = Entry::Known {
                    address,
                    until,
                    asking: false,
                };
                self.entries.insert(name.into(), known);
                waiting
            }
            (Some(Entry::Asked(waiting)), None) => waiting,
            (Some(Entry::Known { address, .. }), answer) => {
                let address = answer.unwrap_or(address);
                let known = Entry::Known {
                    address,
                    until,
                    asking: false,
                };
                self.entries.insert(name.into(), known);
                Vec::new()
            }
            (None, _) => Vec::new(),
        }
    }
}

const MAX_NAMES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Names, Instant) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        (Names::new(2, Duration::from_secs(60)), now)
    }

    #[test]
    fn who_waits_goes_in_order_and_once() {
        let (mut names, now) = names();
        let found = names.find("pbx", now);
        assert!(matches!(found, Found::Nothing { ask: true }));
        let wait = |names: &mut Names, id: u64| {
            names.wait("pbx", Some(TransmitId(id)), 5060, Bytes::new())
        };
        assert!(wait(&mut names, 1) && wait(&mut names, 2));
        assert!(wait(&mut names, 1), "its retransmission waits already");
        assert!(!wait(&mut names, 3), "the queue is full");
        let address = IpAddr::from([192, 0, 2, 1]);
        let sent = names.resolved("pbx", Some(address), now);
        let ids: Vec<_> = sent.iter().filter_map(|(id, ..)| *id).collect();
        assert_eq!(ids, [TransmitId(1), TransmitId(2)]);
        assert!(matches!(names.find("pbx", now), Found::Address(known, false) if known == address));
    }

    #[test]
    fn an_old_address_serves_while_it_is_asked_for_again() {
        let (mut names, now) = names();
        names.find("pbx", now);
        let address = IpAddr::from([192, 0, 2, 1]);
        names.resolved("pbx", Some(address), now);
        let later = now + Duration::from_secs(60);
        assert!(matches!(names.find("pbx", later), Found::Address(_, true)));
        assert!(matches!(names.find("pbx", later), Found::Address(_, false)));
        names.resolved("pbx", None, later);
        assert!(
            matches!(names.find("pbx", later), Found::Address(known, false) if known == address)
        );
    }
}
