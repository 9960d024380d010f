//! Whose packets are looked at: sources that trunks name, and where we are registered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{FlowId, Network, TrunkId, own};

/// Asked by the sockets for each packet, and told by the core where trunks are registered.
#[derive(Debug, Default)]
pub struct Gate {
    named: Vec<Network>,
    /// Where trunks are registered: their requests come from there.
    welcome: Mutex<BTreeMap<FlowId, IpAddr>>,
}

impl Gate {
    /// A gate for the sources that trunks name.
    #[must_use]
    pub fn new(named: Vec<Network>) -> Self {
        let welcome = Mutex::default();
        Self { named, welcome }
    }

    /// Whether any trunk lets in what comes from `source`.
    #[must_use]
    pub fn admits(&self, source: IpAddr) -> bool {
        self.named.iter().any(|network| network.contains(source))
            || self.welcome().values().any(|known| *known == source)
    }

    /// Whether a trunk of the configuration lets it in, and not a user's own account alone.
    #[must_use]
    pub fn trusts(&self, source: IpAddr) -> bool {
        let welcome = self.welcome();
        let mut places = welcome.iter();
        self.named.iter().any(|network| network.contains(source))
            || places.any(|(flow, known)| *known == source && !own::is_own(flow.trunk))
    }

    /// Whether this trunk is registered at `source`.
    pub(super) fn is_welcome(&self, id: TrunkId, source: IpAddr) -> bool {
        let welcome = self.welcome();
        let mut places = welcome.iter();
        places.any(|(flow, place)| flow.trunk == id && *place == source)
    }

    /// The trunks that are registered at `source`.
    pub(super) fn registered_at(&self, source: IpAddr) -> Vec<TrunkId> {
        let welcome = self.welcome();
        let there = welcome.iter().filter(|(_, known)| **known == source);
        there.map(|(flow, _)| flow.trunk).collect()
    }

    pub(super) fn open(&self, id: FlowId, source: IpAddr) {
        self.welcome().insert(id, source.to_canonical());
    }

    pub(super) fn shut(&self, id: TrunkId) {
        self.welcome().retain(|flow, _| flow.trunk != id);
    }

    fn welcome(&self) -> MutexGuard<'_, BTreeMap<FlowId, IpAddr>> {
        self.welcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
