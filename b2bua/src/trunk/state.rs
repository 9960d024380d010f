//! How trunks are at the moment.

use std::collections::{BTreeMap, HashMap};
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
    /// The flows it is registered by, or is to be; none where it does not have to.
    pub flows: BTreeMap<u8, FlowState>,
    /// Calls on it.
    pub calls: usize,
}

/// One flow of a registration (RFC 5626 §4.2): whose, and its `reg-id`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId {
    /// Whose.
    pub trunk: TrunkId,
    /// Its number.
    pub number: u8,
}

/// The state of one flow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowState {
    /// Whether the trunk knows where we are.
    pub registered: Registered,
    /// Through whom requests outside of dialogs go (RFC 3608).
    pub service_route: Vec<String>,
    /// How its registrar sees us over UDP, where that is not our own address.
    pub seen: Option<SocketAddr>,
    /// When it is tried again, where it went wrong.
    pub again: Option<Instant>,
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

impl FlowState {
    /// Where it leads, if it does.
    fn hop(&self) -> Option<&Hop> {
        match &self.registered {
            Registered::Until { hop, .. } => hop.as_ref(),
            Registered::No | Registered::Trying | Registered::Failed { .. } => None,
        }
    }
}

impl State {
    /// Whether the trunk knows where we are: by any of its flows, the first one that works.
    #[must_use]
    pub fn registered(&self) -> &Registered {
        let rank = |registered: &&Registered| match registered {
            Registered::Until { .. } => 0_u8,
            Registered::Trying => 1,
            Registered::Failed { .. } => 2,
            Registered::No => 3,
        };
        let all = self.flows.values().map(|flow| &flow.registered);
        all.min_by_key(rank).unwrap_or(&Registered::No)
    }

    /// The flows that lead somewhere, the first one first.
    fn alive(&self) -> impl Iterator<Item = (&FlowState, &Hop)> {
        let flows = self.flows.values();
        flows.filter_map(|flow| Some((flow, flow.hop()?)))
    }

    /// The flow to `peer`, else the first one.
    fn toward(&self, peer: Option<IpAddr>) -> Option<&FlowState> {
        let there = |(_, hop): &(&FlowState, &Hop)| peer.is_some() && hop.host.ip() == peer;
        let first = || self.alive().next();
        let (flow, _) = self.alive().find(there).or_else(first)?;
        Some(flow)
    }
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
                && !matches!(state.registered(), Registered::Failed { .. })
        })
    }

    /// Through whom requests outside of dialogs to `peer` go.
    #[must_use]
    pub fn service_route(&self, id: TrunkId, peer: Option<IpAddr>) -> &[String] {
        let flow = self.rows.get(&id).and_then(|state| state.toward(peer));
        flow.map_or(&[], |flow| flow.service_route.as_slice())
    }

    /// How the registrar at `peer` sees us over UDP, where that is not our own address.
    #[must_use]
    pub fn seen(&self, id: TrunkId, peer: Option<IpAddr>) -> Option<SocketAddr> {
        self.rows.get(&id)?.toward(peer)?.seen
    }

    /// The state of a flow.
    #[must_use]
    pub fn flow(&self, id: FlowId) -> Option<&FlowState> {
        self.rows.get(&id.trunk)?.flows.get(&id.number)
    }

    /// Where a trunk is registered, the first flow first.
    pub fn registered_at(&self, id: TrunkId) -> impl Iterator<Item = &Hop> {
        let state = self.rows.get(&id);
        state
            .into_iter()
            .flat_map(|state| state.alive().map(|(_, hop)| hop))
    }

    /// Whether it keeps the flow to `peer` over `transport` as the way to us (RFC 5626 §4.2.1).
    #[must_use]
    pub fn keeps_flow(&self, id: TrunkId, transport: Transport, peer: Option<IpAddr>) -> bool {
        let keeps = |flow: &FlowState| {
            matches!(&flow.registered,
            Registered::Until { hop: Some(hop), outbound: true, .. }
                if hop.transport == transport && peer.is_some() && hop.host.ip() == peer)
        };
        let state = self.rows.get(&id);
        state.is_some_and(|state| state.flows.values().any(keeps))
    }

    /// It sees us there.
    pub fn set_seen(&mut self, id: FlowId, seen: Option<SocketAddr>) {
        self.flow_mut(id).seen = seen;
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
    pub fn set_registered(&mut self, id: FlowId, registered: Registered) {
        self.changes += 1;
        let flow = self.flow_mut(id);
        if matches!(registered, Registered::Failed { .. }) {
            // RFC 3608 §6.1: what a registration brought ends with it.
            flow.service_route.clear();
        }
        flow.registered = registered;
        flow.again = None;
    }

    /// It does not know where we are, for this reason, and is told then.
    pub fn set_failed(&mut self, id: FlowId, why: &str, again: Instant) {
        let why = why.to_owned();
        self.set_registered(id, Registered::Failed { why });
        self.flow_mut(id).again = Some(again);
    }

    /// There is no such flow any more.
    pub fn remove_flow(&mut self, id: FlowId) {
        self.changes += 1;
        self.rows
            .entry(id.trunk)
            .or_default()
            .flows
            .remove(&id.number);
    }

    fn flow_mut(&mut self, id: FlowId) -> &mut FlowState {
        let flows = &mut self.rows.entry(id.trunk).or_default().flows;
        flows.entry(id.number).or_default()
    }

    /// The stream it was told on is gone, and that changes nothing.
    pub fn forget_connection(&mut self, id: FlowId) {
        let flow = self.flow_mut(id);
        if let Registered::Until { connection, .. } = &mut flow.registered {
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
    pub fn set_route(&mut self, id: FlowId, route: Vec<String>) {
        self.flow_mut(id).service_route = route;
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
