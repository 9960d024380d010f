//! The penalty box: places that did not answer, or said 503, come last for a while (RFC 3263 §4.3).
//!
//! What all trunks of the configuration find out counts for all of them. A user's own account has a box
//! of its own: its owner chooses the places, and could otherwise have those of the provider of all shut out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{MAX_ENTRIES, MIN_LIFE};
use crate::sip::{Hop, Transport};
use crate::trunk::TrunkId;

/// Who finds out that a place does not answer, and for whom it then comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All trunks of the configuration.
    All,
    /// A user's own account, and that alone.
    Own(TrunkId),
}

/// The boxes.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    all: HashMap<Spot, Instant>,
    own: HashMap<(TrunkId, Spot), Instant>,
}

type Spot = (SocketAddr, Transport);

impl Penalties {
    pub(super) fn set(&mut self, whose: Whose, hop: &Hop, pause: Duration, now: Instant) {
        let Some(spot) = spot(hop) else {
            return;
        };
        let until = now + pause.clamp(MIN_LIFE, MAX_PENALTY);
        match whose {
            Whose::All => insert(&mut self.all, spot, until, now),
            Whose::Own(trunk) => insert(&mut self.own, (trunk, spot), until, now),
        }
    }

    pub(super) fn lift(&mut self, whose: Whose, hop: &Hop) {
        if let Some(spot) = spot(hop) {
            match whose {
                Whose::All => self.all.remove(&spot),
                Whose::Own(trunk) => self.own.remove(&(trunk, spot)),
            };
        }
    }

    pub(super) fn holds(&self, whose: Whose, hop: &Hop, now: Instant) -> bool {
        let until = spot(hop).and_then(|spot| match whose {
            Whose::All => self.all.get(&spot),
            Whose::Own(trunk) => self.own.get(&(trunk, spot)),
        });
        until.is_some_and(|until| *until > now)
    }
}

fn insert<K: Eq + Hash>(table: &mut HashMap<K, Instant>, key: K, until: Instant, now: Instant) {
    if table.len() >= MAX_ENTRIES {
        table.retain(|_, until| *until > now);
    }
    if table.len() < MAX_ENTRIES {
        table.insert(key, until);
    }
}

fn spot(hop: &Hop) -> Option<Spot> {
    let ip = hop.host.ip()?;
    Some((SocketAddr::new(ip, hop.port), hop.transport))
}

const MAX_PENALTY: Duration = Duration::from_secs(3600);
