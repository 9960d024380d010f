//! How trunks are at the moment.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::TrunkId;
use crate::sip::hop::ConnectionId;
use crate::sip::{Hop, Transport};

/// The states of all trunks.
#[derive(Debug, Default)]
pub struct States {
    rows: HashMap<TrunkId, State>,
    /// How often a registration has changed.
    changes: u64,
}

/// The state of one trunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Whether it answers.
    pub health: Health,
    /// Whether it knows where we are.
    pub registered: Registered,
    /// Through whom requests outside of dialogs go (RFC 3608).
    pub service_route: Vec<String>,
    /// How its registrar sees us over UDP, where that is not our own address.
    pub seen: Option<SocketAddr>,
    /// Calls on it.
    pub calls: usize,
}

/// Whether a trunk answers OPTIONS or anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody has asked.
    #[default]
    Unknown,
    /// It does.
    Up,
    /// It does not.
    Down {
        /// What is seen of it, for people.
        why: String,
    },
}

/// Whether a trunk knows where we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Registered {
    /// It does not have to.
    #[default]
    No,
    /// It is being told.
    Trying,
    /// It does.
    Until {
        /// When it forgets us.
        at: Instant,
        /// Where it was told.
        hop: Option<Hop>,
        /// The stream it was told on.
        connection: Option<ConnectionId>,
        /// Whether it keeps that flow as the way to us (RFC 5626 §4.2.1).
        outbound: bool,
        /// How often it wants to hear from us on that flow, in seconds (RFC 5626 §4.4).
        flow_timer: Option<u32>,
    },
    /// It does not.
    Failed {
        /// Why not, in its own words.
        why: String,
    },
}

impl States {
    /// The state of a trunk.
    #[must_use]
    pub fn get(&self, id: TrunkId) -> Option<&State> {
        self.rows.get(&id)
    }

    /// Whether nothing speaks against sending by it.
    #[must_use]
    pub fn is_up(&self, id: TrunkId) -> bool {
        self.rows.get(&id).is_none_or(|state| {
            !matches!(state.health, Health::Down { .. })
                && !matches!(state.registered, Registered::Failed { .. })
        })
    }

    /// Through whom requests outside of dialogs go.
    #[must_use]
    pub fn service_route(&self, id: TrunkId) -> &[String] {
        self.rows
            .get(&id)
            .map_or(&[], |state| state.service_route.as_slice())
    }

    /// How its registrar sees us over UDP, where that is not our own address.
    #[must_use]
    pub fn seen(&self, id: TrunkId) -> Option<SocketAddr> {
        self.rows.get(&id)?.seen
    }

    /// Whether it keeps the flow to `peer` over `transport` as the way to us (RFC 5626 §4.2.1).
    #[must_use]
    pub fn keeps_flow(&self, id: TrunkId, transport: Transport, peer: Option<IpAddr>) -> bool {
        let registered = self.rows.get(&id).map(|state| &state.registered);
        match registered {
            Some(Registered::Until {
                hop: Some(hop),
                outbound: true,
                ..
            }) => hop.transport == transport && peer.is_some() && hop.host.ip() == peer,
            _ => false,
        }
    }

    /// It sees us there.
    pub fn set_seen(&mut self, id: TrunkId, seen: Option<SocketAddr>) {
        self.rows.entry(id).or_default().seen = seen;
    }

    /// It answers, or not; tells whether that is news.
    pub fn set_health(&mut self, id: TrunkId, health: Health) -> bool {
        let state = self.rows.entry(id).or_default();
        let down = |health: &Health| matches!(health, Health::Down { .. });
        let news = down(&state.health) != down(&health);
        state.health = health;
        news
    }

    /// It knows where we are, or not.
    pub fn set_registered(&mut self, id: TrunkId, registered: Registered) {
        self.changes += 1;
        let state = self.rows.entry(id).or_default();
        if matches!(registered, Registered::Failed { .. }) {
            // RFC 3608 §6.1: what a registration brought ends with it.
            state.service_route.clear();
        }
        state.registered = registered;
    }

    /// The stream it was told on is gone, and that changes nothing.
    pub fn forget_connection(&mut self, id: TrunkId) {
        let state = self.rows.entry(id).or_default();
        if let Registered::Until { connection, .. } = &mut state.registered {
            *connection = None;
            self.changes += 1;
        }
    }

    /// A number that is another one whenever any registration has changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Through whom requests outside of dialogs go from now on.
    pub fn set_route(&mut self, id: TrunkId, route: Vec<String>) {
        self.rows.entry(id).or_default().service_route = route;
    }

    /// A call on it began.
    pub fn add_call(&mut self, id: TrunkId) {
        self.rows.entry(id).or_default().calls += 1;
    }

    /// A call on it ended.
    pub fn remove_call(&mut self, id: TrunkId) {
        if let Some(state) = self.rows.get_mut(&id) {
            state.calls = state.calls.saturating_sub(1);
        }
    }

    /// The trunk is no more.
    pub fn forget(&mut self, id: TrunkId) {
        self.rows.remove(&id);
    }

    /// How many calls are on it.
    #[must_use]
    pub fn calls(&self, id: TrunkId) -> usize {
        self.rows.get(&id).map_or(0, |state| state.calls)
    }
}
