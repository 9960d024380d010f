//! Registrations at trunks: who calls us has to know where we are (RFC 3261 §10.2; RFC 5626 §4.2;
//! specs 10.4).
//!
//! One REGISTER at a time for each flow of an account. What went well is refreshed before it is over, what
//! went wrong is tried again, each time later; a password that is not accepted is tried again so
//! seldom that nobody takes us for a burglar.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tandem_shared::mint::{self, Mint};
use tandem_shared::timers::Timers;

use crate::dns::{Dns, PENALTY};
use crate::message::outbound::Accounts;
use crate::settings::Settings;
use crate::sip::endpoint::{ClientToken, Failure};
use crate::sip::hop::{ConnectionId, NotSent};
use crate::sip::{Endpoint, Response};
use crate::trunk::{FlowId, Health, Registered, States, TrunkId};

mod asking;
mod flow;
mod pause;
mod personal;
mod reply;
mod request;
mod row;
mod several;
mod spread;
mod welcome;

use pause::refresh_after;
use reply::Reply;
use row::{Registration, Stage};
use welcome::Welcomes;

/// All registrations.
#[derive(Debug, Default)]
pub struct Registrations {
    rows: BTreeMap<FlowId, Registration>,
    timers: Timers<FlowId>,
    /// When a REGISTER nobody has answered goes elsewhere.
    patience: Timers<FlowId>,
    welcomes: Welcomes,
    tokens: u64,
    closed: bool,
}

/// What registrations work with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What sends requests.
    pub endpoint: &'a mut Endpoint,
    /// What was configured.
    pub settings: &'a Settings,
    /// The installation key.
    pub key: &'a [u8; 16],
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// How trunks are.
    pub states: &'a mut States,
    /// The accounts at next hops.
    pub accounts: &'a mut Accounts,
    /// For what must not be guessed.
    pub mint: &'a mut Mint,
    /// The time.
    pub now: Instant,
}

impl Registrations {
    /// Registers at one more trunk, by its first flow.
    pub fn add(&mut self, trunk: TrunkId, cx: &mut Context<'_>) {
        self.enter(trunk, cx);
        self.start(FlowId { trunk, number: 1 }, cx);
    }

    /// Makes room for the flows of one more trunk.
    fn enter(&mut self, trunk: TrunkId, cx: &mut Context<'_>) {
        let register = cx.settings.trunks.get(trunk);
        let register = register.and_then(|trunk| trunk.register.as_ref());
        for number in 1..=register.map_or(0, |register| register.flows) {
            let id = FlowId { trunk, number };
            self.rows
                .insert(id, Registration::new(id, register, cx.mint));
        }
    }

    /// Registers now, whatever was planned; false when the trunk has no registration.
    pub fn force(&mut self, trunk: TrunkId, cx: &mut Context<'_>) -> bool {
        let flows = self.of_trunk(trunk);
        for id in &flows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.failures = 0;
            if matches!(row.stage, Stage::Resting | Stage::Locating) {
                self.start(*id, cx);
            }
        }
        !flows.is_empty()
    }

    /// A name server answered, or nobody did.
    pub fn handle_located(&mut self, cx: &mut Context<'_>) {
        let waits = |row: &Registration| row.stage == Stage::Locating;
        let waiting: Vec<FlowId> = self.of(waits);
        for id in waiting {
            self.go_on(id, cx);
        }
    }

    /// A REGISTER was given to this stream.
    pub fn handle_bound(&mut self, token: ClientToken, connection: ConnectionId) {
        let asks = |row: &Registration| row.stage == Stage::Asking(token);
        for id in self.of(asks) {
            if let Some(row) = self.rows.get_mut(&id) {
                row.connection = Some(connection);
            }
        }
    }

    /// A final response came.
    pub fn handle_response(
        &mut self,
        token: ClientToken,
        response: &Response,
        cx: &mut Context<'_>,
    ) {
        let Some(id) = self.of_token(token) else {
            return;
        };
        self.patience.cancel(&id);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let leaving = row.stage == Stage::Leaving(token);
        match reply::read(response, row.contact.as_ref(), row.expires) {
            Reply::Challenge if leaving => self.answer(id, response, cx),
            _ if leaving => {
                self.rows.remove(&id);
            }
            Reply::Granted(_) if row.leaving => self.take_back(id, cx),
            Reply::Granted(granted) => {
                self.succeed(id, &granted, cx);
                self.learn(id, response, cx);
            }
            Reply::Challenge => self.answer(id, response, cx),
            Reply::TooShort(seconds) if seconds > row.expires && !row.raised => {
                row.expires = seconds;
                row.raised = true;
                self.send(id, cx);
            }
            Reply::NoOutbound if row.outbound && id.number == 1 => {
                row.outbound = false;
                self.send(id, cx);
            }
            Reply::Elsewhere(after) => {
                if let Some(hop) = &row.hop {
                    cx.dns
                        .penalise(id.trunk.whose(), hop, after.unwrap_or(PENALTY), cx.now);
                }
                if row.ways.pass() {
                    self.go_on(id, cx);
                } else {
                    self.fail(id, &reply::words(response), after, cx);
                }
            }
            Reply::Refused | Reply::Failed(_) if row.forget_former() => self.send(id, cx),
            Reply::Refused => self.give_in(id, &reply::words(response), cx),
            Reply::Failed(after) => self.fail(id, &reply::words(response), after, cx),
            Reply::Nothing => {
                self.fail(id, "The registrar keeps no registration.", None, cx);
            }
            Reply::TooShort(_) | Reply::NoOutbound => {
                self.fail(id, &reply::words(response), None, cx);
            }
        }
    }

    /// No final response will come.
    pub fn handle_failed(&mut self, token: ClientToken, failure: Failure, cx: &mut Context<'_>) {
        let Some(id) = self.of_token(token) else {
            return;
        };
        self.patience.cancel(&id);
        match self.rows.get(&id).map(|row| row.stage) {
            Some(Stage::Leaving(_)) => {
                self.rows.remove(&id);
            }
            // Its flow is dead, not the registrar.
            Some(Stage::Asking(_)) if failure == Failure::Lost && self.holds(id) => {
                self.renew(id, "The connection ended.", cx);
            }
            Some(Stage::Asking(_)) => {
                let why = match failure {
                    Failure::Timeout | Failure::Lost => "The registrar does not answer.",
                    Failure::NotSent(NotSent::Tls) => {
                        "There is no secure connection with the registrar."
                    }
                    Failure::NotSent(_) => "The registrar cannot be reached.",
                };
                self.pass(id, why, cx);
            }
            Some(Stage::Waiting | Stage::Locating | Stage::Resting) | None => {}
        }
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.timers.pop(cx.now) {
            let stage = self.rows.get(&id).map(|row| row.stage);
            if stage == Some(Stage::Resting) && !self.closed {
                self.start(id, cx);
            }
        }
        while let Some(id) = self.patience.pop(cx.now) {
            self.pass(id, "The registrar does not answer.", cx);
        }
        self.review_welcomes(cx);
    }

    /// When [`Registrations::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let welcomes = self.welcomes.poll_timeout();
        let all = [self.timers.next(), self.patience.next(), welcomes];
        all.into_iter().flatten().min()
    }

    /// The process ends: our own bindings, and no others, are taken back.
    pub fn close(&mut self, cx: &mut Context<'_>) {
        self.closed = true;
        let held = |row: &Registration| row.held && row.stage == Stage::Resting;
        for id in self.of(held) {
            self.take_back(id, cx);
        }
    }

    /// How many requests wait for their final response.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let open = |row: &&Registration| matches!(row.stage, Stage::Leaving(_));
        self.rows.values().filter(open).count()
    }

    fn succeed(&mut self, id: FlowId, granted: &reply::Granted, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let first = !std::mem::replace(&mut row.held, true);
        row.stage = Stage::Resting;
        row.failures = 0;
        row.sent = None;
        row.since = Some(cx.now);
        row.bound.clone_from(&row.contact);
        row.kept = granted.outbound && row.outbound;
        let life = Duration::from_secs(granted.seconds.into());
        let refresh = refresh_after(granted.seconds, cx.mint);
        row.due = Some(cx.now + refresh);
        self.timers.set(id, cx.now + refresh);
        if let Some(hop) = &row.hop {
            cx.dns.pardon(id.trunk.whose(), hop);
        }
        let place = row.hop.as_ref().and_then(|hop| hop.host.ip());
        cx.states.set_route(id, granted.service_route.clone());
        cx.states.set_registered(
            id,
            Registered::Until {
                at: cx.now + life,
                hop: row.hop.clone(),
                connection: row.connection,
                outbound: row.kept,
                flow_timer: granted.flow_timer,
            },
        );
        if cx.states.set_health(id.trunk, Health::Up) {
            tracing::info!(
                trunk = cx.settings.trunks.name(id.trunk),
                "the trunk answers again"
            );
        }
        self.welcome(id, place, life, cx);
        let (seconds, trunk) = (granted.seconds, cx.settings.trunks.name(id.trunk));
        let flow = id.number;
        match first {
            true => tracing::info!(trunk, seconds, flow, "registered"),
            false => tracing::debug!(trunk, seconds, flow, "registered again"),
        }
        self.settle(id, cx);
    }

    fn holds(&self, id: FlowId) -> bool {
        self.rows.get(&id).is_some_and(|row| row.held)
    }

    fn of(&self, wanted: impl Fn(&Registration) -> bool) -> Vec<FlowId> {
        let found = self.rows.iter().filter(|(_, row)| wanted(row));
        found.map(|(id, _)| *id).collect()
    }

    fn of_token(&self, token: ClientToken) -> Option<FlowId> {
        let open = |row: &Registration| matches!(row.stage, Stage::Asking(open) | Stage::Leaving(open) if open == token);
        self.of(open).first().copied()
    }
}

/// Whether a request is one of ours.
#[must_use]
pub fn owns(token: ClientToken) -> bool {
    token.0 >> 61 == MARK >> 61
}

/// Our name for ourselves at the registrar, the same in every run (RFC 5626 §4.1); another one for each user's
/// own account, since two users may have the same one.
#[must_use]
pub fn instance(key: &[u8; 16], own: Option<&str>) -> String {
    let bits = match own {
        Some(own) => mint::hash(key, &[b"instance", own.as_bytes()]),
        None => mint::hash(key, &[b"instance"]),
    };
    // Version 4, variant 1, as RFC 4122 draws random ones.
    let bits = bits & !(0xF << 76) | 0x4 << 76;
    let bits = bits & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

/// Marks our tokens among those of messages and sessions.
const MARK: u64 = 1 << 62;
#[cfg(test)]
mod tests;
