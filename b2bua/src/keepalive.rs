//! Keeping the flows of registrations alive, and noticing when one is dead (RFC 5626 §4.4, §4.4.2;
//! specs 10.3).
//!
//! Streams get a double line end, datagrams a STUN request where the registrar keeps flows and four
//! bytes where it does not. Only a registrar that keeps flows owes an answer; without it the flow
//! is dead, and whoever is registered over it has to register again.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_shared::mint::Mint;
use tandem_shared::timers::Timers;

use crate::action::Action;
use crate::settings::Settings;
use crate::sip::Hop;
use crate::sip::frame::PING;
use crate::sip::hop::{ConnectionId, Flow, Target, Transmit, Transport};
use crate::sip::stun::{Asking, Stun, TransactionId};
use crate::trunk::{FlowId, Registered, States, Trunk};

/// All flows that are kept alive.
#[derive(Debug, Default)]
pub struct Keepalives {
    rows: BTreeMap<FlowId, Row>,
    timers: Timers<FlowId>,
    /// Registrars that keep flows and never answered STUN.
    deaf: BTreeMap<FlowId, SocketAddr>,
    failed: VecDeque<Dead>,
    /// [`States::changes`] when registrations were looked at last.
    followed: u64,
    closed: bool,
}

/// A flow that is dead.
#[derive(Debug, PartialEq, Eq)]
pub struct Dead {
    /// Which.
    pub flow: FlowId,
    /// What is seen of it, for people.
    pub why: &'static str,
}

/// What keeping alive works with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What was configured.
    pub settings: &'a Settings,
    /// Who is registered, and where.
    pub states: &'a States,
    /// For what must not be guessed, and not be the same for all.
    pub mint: &'a mut Mint,
    /// What is to be done.
    pub actions: &'a mut VecDeque<Action>,
    /// The time.
    pub now: Instant,
}

#[derive(Debug)]
struct Row {
    way: Way,
    stage: Stage,
    /// When the next one is due, whatever becomes of this one.
    next: Instant,
    /// How the registrar saw us last.
    seen: Option<SocketAddr>,
}

/// How one is kept alive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// A double line end, every so many seconds where the registrar says so.
    Stream {
        flow: Flow,
        answers: bool,
        every: Option<u32>,
    },
    /// A STUN request.
    Stun { hop: Hop, every: Option<u32> },
    /// A datagram that is not answered.
    Bare { hop: Hop, every: Duration },
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is under way.
    Resting,
    /// A pong is owed.
    Pinged,
    /// The answer to a STUN request is owed.
    Asking(Asking),
}

impl Keepalives {
    /// Registrations are what they are now: each that has a flow has it kept alive.
    pub fn follow(&mut self, cx: &mut Context<'_>) {
        if std::mem::replace(&mut self.followed, cx.states.changes()) == cx.states.changes() {
            return;
        }
        for (id, trunk) in cx.settings.trunks.iter() {
            let flows = trunk.register.as_ref().map_or(0, |it| it.flows);
            for number in 1..=flows {
                self.follow_one(FlowId { trunk: id, number }, trunk, cx);
            }
        }
    }

    fn follow_one(&mut self, id: FlowId, trunk: &Trunk, cx: &mut Context<'_>) {
        let way = self.way(id, trunk, cx.states);
        if self.rows.get(&id).map(|row| &row.way) == way.as_ref() {
            return;
        }
        self.timers.cancel(&id);
        let former = self.rows.remove(&id);
        if way.is_none() && former.is_some_and(|row| matches!(row.way, Way::Bare { .. })) {
            // Whoever is there next time may know STUN.
            self.deaf.remove(&id);
        }
        if let Some(way) = way {
            let next = cx.now + pause(&way, cx.mint);
            self.timers.set(id, next);
            let (stage, seen) = (Stage::Resting, None);
            self.rows.insert(
                id,
                Row {
                    way,
                    stage,
                    next,
                    seen,
                },
            );
        }
    }

    /// A pong came.
    pub fn handle_pong(&mut self, connection: ConnectionId, cx: &Context<'_>) {
        let pinged = |row: &Row| {
            row.stage == Stage::Pinged
                && matches!(row.way, Way::Stream { flow: Flow::Stream { connection: its, .. }, .. }
                    if its == connection)
        };
        let found = self.rows.iter().find(|(_, row)| pinged(row));
        if let Some(id) = found.map(|(id, _)| *id) {
            self.rest(id, cx);
        }
    }

    /// A STUN answer came; only one of ours means anything.
    pub fn handle_stun(&mut self, source: SocketAddr, stun: Stun, cx: &mut Context<'_>) {
        let (answered, seen) = match stun {
            Stun::Request(_) => return,
            Stun::Success(id, seen) => (id, seen),
            Stun::Failure(id) => (id, None),
        };
        let asked = |row: &Row| {
            let is_server = matches!(&row.way, Way::Stun { hop, .. } if place(hop) == Some(source));
            is_server && matches!(&row.stage, Stage::Asking(asking) if asking.is(answered))
        };
        let found = self.rows.iter_mut().find(|(_, row)| asked(row));
        let Some((&id, row)) = found else {
            return;
        };
        match (row.seen, seen) {
            (_, None) => self.fail(id, "The registrar refuses STUN.", cx),
            (Some(before), Some(seen)) if before != seen => {
                self.fail(id, "The registrar sees us at another address.", cx);
            }
            (_, Some(_)) => {
                row.seen = seen;
                self.rest(id, cx);
            }
        }
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.timers.pop(cx.now) {
            let stage = self.rows.get(&id).map(|row| &row.stage);
            match stage {
                Some(_) | None if self.closed => {}
                Some(Stage::Resting) => self.begin(id, cx),
                Some(Stage::Pinged) => self.fail(id, "The registrar does not answer pings.", cx),
                Some(Stage::Asking(_)) => self.ask(id, cx),
                None => {}
            }
        }
    }

    /// When [`Keepalives::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next flow that is dead.
    pub fn poll_dead(&mut self) -> Option<Dead> {
        self.failed.pop_front()
    }

    /// Nothing is kept alive any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How the flow of a trunk is kept alive, if it has one.
    fn way(&self, id: FlowId, trunk: &Trunk, states: &States) -> Option<Way> {
        let Registered::Until {
            hop: Some(hop),
            connection,
            outbound,
            flow_timer,
            ..
        } = &states.flow(id)?.registered
        else {
            return None;
        };
        let peer = place(hop)?;
        let every = flow_timer.filter(|_| *outbound);
        if hop.transport != Transport::Udp {
            let (connection, transport) = ((*connection)?, hop.transport);
            return Some(Way::Stream {
                flow: Flow::Stream {
                    connection,
                    transport,
                    peer,
                },
                answers: *outbound,
                every,
            });
        }
        let hop = hop.clone();
        if *outbound && self.deaf.get(&id) != Some(&peer) {
            return Some(Way::Stun { hop, every });
        }
        let every = trunk.nat_keepalive?;
        Some(Way::Bare { hop, every })
    }

    fn begin(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.next = cx.now + pause(&row.way, cx.mint);
        let ping = Bytes::from_static(PING);
        match &row.way {
            Way::Stream { flow, answers, .. } => {
                let fallback = None;
                send(
                    Target::Flow {
                        flow: *flow,
                        fallback,
                    },
                    ping,
                    cx,
                );
                if *answers {
                    row.stage = Stage::Pinged;
                    self.timers.set(id, cx.now + PONG);
                } else {
                    self.timers.set(id, row.next);
                }
            }
            Way::Bare { hop, .. } => {
                send(Target::Hop(hop.clone()), ping, cx);
                self.timers.set(id, row.next);
            }
            Way::Stun { .. } => {
                let rto = cx.settings.endpoint.timers.t1;
                row.stage = Stage::Asking(Asking::new(TransactionId::mint(cx.mint), rto));
                self.ask(id, cx);
            }
        }
    }

    /// Sends a STUN request, the first time or again.
    fn ask(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let (Stage::Asking(asking), Way::Stun { hop, .. }) = (&mut row.stage, &row.way) else {
            return;
        };
        match asking.send() {
            Some((bytes, pause)) => {
                send(Target::Hop(hop.clone()), bytes, cx);
                self.timers.set(id, cx.now + pause);
            }
            None => self.fail(id, "The registrar does not answer STUN.", cx),
        }
    }

    /// The flow is alive; the next look at its time.
    fn rest(&mut self, id: FlowId, cx: &Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.stage = Stage::Resting;
        self.timers.set(id, row.next.max(cx.now));
        tracing::debug!(
            trunk = cx.settings.trunks.name(id.trunk),
            flow = id.number,
            seen = row.seen.map(|seen| seen.to_string()),
            "the registrar keeps the flow"
        );
    }

    fn fail(&mut self, flow: FlowId, why: &'static str, cx: &mut Context<'_>) {
        self.timers.cancel(&flow);
        let Some(row) = self.rows.remove(&flow) else {
            return;
        };
        match row.way {
            Way::Stream {
                flow: Flow::Stream { connection, .. },
                ..
            } => cx.actions.push_back(Action::Close(connection)),
            Way::Stun { hop, .. } if row.seen.is_none() => {
                // The next registration tells whether the flow is dead, or only nobody there knows STUN.
                self.deaf.extend(place(&hop).map(|peer| (flow, peer)));
            }
            Way::Stream { .. } | Way::Stun { .. } | Way::Bare { .. } => {}
        }
        tracing::warn!(
            trunk = cx.settings.trunks.name(flow.trunk),
            flow = flow.number,
            why,
            "the flow of a registration is dead"
        );
        self.failed.push_back(Dead { flow, why });
    }
}

/// How long until the next sign of life on a flow that is kept alive in this `way`.
fn pause(way: &Way, mint: &mut Mint) -> Duration {
    let (least, most) = match way {
        Way::Bare { every, .. } => return *every,
        Way::Stream {
            every: Some(most), ..
        }
        | Way::Stun {
            every: Some(most), ..
        } => {
            let most = u64::from((*most).clamp(1, LONGEST));
            (most * 800, most * 1000)
        }
        Way::Stream { every: None, .. } => (95_000, 120_000),
        Way::Stun { every: None, .. } => (24_000, 29_000),
    };
    let spread = mint.number() % u128::from(most - least + 1);
    Duration::from_millis(least + u64::try_from(spread).unwrap_or_default())
}

fn send(target: Target, bytes: Bytes, cx: &mut Context<'_>) {
    let id = None;
    let transmit = Transmit { id, target, bytes };
    cx.actions.push_back(Action::Transmit(transmit));
}

fn place(hop: &Hop) -> Option<SocketAddr> {
    Some(SocketAddr::new(hop.host.ip()?, hop.port))
}

/// How long a pong may take.
const PONG: Duration = Duration::from_secs(10);
/// The most seconds between two signs of life: idle connections are closed after 15 minutes.
const LONGEST: u32 = 840;

#[cfg(test)]
mod tests;
