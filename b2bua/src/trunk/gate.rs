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
    welcome: Mutex<BTreeMap<FlowId, Places>>,
}

/// Where one flow is registered, and was.
#[derive(Debug, Default)]
struct Places {
    now: Option<IpAddr>,
    /// Whence requests of calls still come that began there; nothing new does. The latest last.
    before: Vec<IpAddr>,
}

impl Places {
    fn hold(&self, source: IpAddr) -> bool {
        self.now == Some(source) || self.before.contains(&source)
    }

    /// From now on it is registered there, or nowhere.
    fn be_at(&mut self, place: Option<IpAddr>) {
        let before = std::mem::replace(&mut self.now, place);
        self.before.extend(before);
        self.before.retain(|known| Some(*known) != place);
        let over = self.before.len().saturating_sub(MOST);
        self.before.drain(..over);
    }
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
            || self.welcome().values().any(|places| places.hold(source))
    }

    /// Whether a trunk of the configuration lets it in, and not a user's own account alone.
    #[must_use]
    pub fn trusts(&self, source: IpAddr) -> bool {
        let welcome = self.welcome();
        let mut places = welcome.iter();
        self.named.iter().any(|network| network.contains(source))
            || places.any(|(flow, known)| known.hold(source) && !own::is_own(flow.trunk))
    }

    /// Whether this trunk is registered at `source`.
    pub(super) fn is_welcome(&self, id: TrunkId, source: IpAddr) -> bool {
        let welcome = self.welcome();
        let mut places = welcome.iter();
        places.any(|(flow, places)| flow.trunk == id && places.now == Some(source))
    }

    /// The trunks that are registered at `source`.
    pub(super) fn registered_at(&self, source: IpAddr) -> Vec<TrunkId> {
        let welcome = self.welcome();
        let there = welcome
            .iter()
            .filter(|(_, places)| places.now == Some(source));
        there.map(|(flow, _)| flow.trunk).collect()
    }

    /// The flow is registered there. Whether it has moved, and whether there is a former place.
    pub(super) fn open(&self, id: FlowId, source: IpAddr) -> (bool, bool) {
        let source = Some(source.to_canonical());
        let mut welcome = self.welcome();
        let places = welcome.entry(id).or_default();
        let has_moved = places.now.is_some() && places.now != source;
        places.be_at(source);
        (has_moved, !places.before.is_empty())
    }

    /// The flow is registered still, or not, and calls begun where it was go on, or not. Whether there is
    /// such a place left.
    pub(super) fn review(&self, id: FlowId, is_registered: bool, has_calls: bool) -> bool {
        let mut welcome = self.welcome();
        let Some(places) = welcome.get_mut(&id) else {
            return false;
        };
        if !is_registered {
            places.be_at(None);
        }
        if !has_calls {
            places.before.clear();
        }
        let left = !places.before.is_empty();
        if !left && places.now.is_none() {
            welcome.remove(&id);
        }
        left
    }

    pub(super) fn shut(&self, id: TrunkId) {
        self.welcome().retain(|flow, _| flow.trunk != id);
    }

    fn welcome(&self) -> MutexGuard<'_, BTreeMap<FlowId, Places>> {
        self.welcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most former places of one flow.
const MOST: usize = 4;
