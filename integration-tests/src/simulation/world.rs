//! One run: everything that happens is routed to the part it concerns.

use std::time::Duration;

use tandem_b2bua::sip::hop::NotSent;
use tandem_shared::bus::Incoming;

use super::b2bua::{self, B2bua};
use super::bus::Bus;
use super::component::Component;
use super::peer::Peer;
use super::plan::{BUSY, Plan};
use super::server::Server;
use super::stage::{Happening, Side, Stage};
use crate::model::{self, Tally};

mod fault;
mod perform;

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// What should not have happened; empty in a good run.
    pub violations: Vec<String>,
    /// How often things happened.
    pub tally: Tally,
    /// What happened, in order.
    pub trace: Vec<String>,
}

/// Runs `plan` until nothing is left to happen.
#[must_use]
pub fn run(plan: &Plan) -> Report {
    let mut world = World::new(plan.clone());
    world.play(CALM + SETTLED);
    world.leave();
    world.play(CALM + SETTLED + DAY);
    world.check_rest();
    let kind = plan.faults.is_empty()
        && plan.datagrams_lost + plan.datagrams_copied + plan.envelopes_lost + plan.unkind == 0;
    let (violations, tally) = world.stage.ledger.verdict(kind);
    Report {
        violations,
        tally,
        trace: world.stage.trace,
    }
}

struct World {
    stage: Stage,
    component: Component,
    b2bua: B2bua,
    bus: Bus,
    server: Server,
    peer: Peer,
    /// The stream the component is on.
    stream: Option<u64>,
    /// Nothing comes back any more.
    left: bool,
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut stage = Stage::new(plan);
        for write in [Happening::UserWrites, Happening::PeerWrites] {
            let count = stage.plan.messages;
            let mut times: Vec<_> = (0..count).map(|_| writing_time(&mut stage)).collect();
            times.sort_unstable();
            for (number, at) in (1..=count).zip(times) {
                stage.at(at, write(number));
            }
        }
        for (at, fault) in stage.plan.faults.clone() {
            stage.at(at, Happening::Fault(fault));
        }
        stage.at(CALM, Happening::Calm);
        stage.at(Duration::ZERO, Happening::Start(Side::Component));
        stage.at(Duration::ZERO, Happening::Start(Side::B2bua));
        stage.at(Duration::ZERO, Happening::OpenStream);
        stage.at(Duration::ZERO, Happening::JoinBus);
        Self {
            stage,
            component: Component::new(),
            b2bua: B2bua::new(),
            bus: Bus::default(),
            server: Server::default(),
            peer: Peer::default(),
            stream: None,
            left: false,
        }
    }

    /// Lets everything happen that is due until `end`.
    fn play(&mut self, end: Duration) {
        for _ in 0..STEPS {
            let component = self
                .component
                .core
                .as_ref()
                .and_then(|core| core.poll_timeout());
            let b2bua = self
                .b2bua
                .core
                .as_ref()
                .and_then(|core| core.poll_timeout());
            let component = component.map(|at| self.stage.since_start(at));
            let b2bua = b2bua.map(|at| self.stage.since_start(at));
            let due = [component, b2bua, self.stage.next()]
                .into_iter()
                .flatten()
                .min();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.stage.now = end;
                return;
            };
            self.stage.now = self.stage.now.max(due);
            if component == Some(due) {
                self.xmpp(|core, now| core.handle_timeout(now));
            } else if b2bua == Some(due) {
                self.sip(|core, now| core.handle_timeout(now));
            } else if let Some(happening) = self.stage.pop() {
                self.happen(happening);
            }
        }
        self.stage
            .ledger
            .accuse("the run does not come to rest".to_owned());
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::UserWrites(number) => self.server.handle_user(number, &mut self.stage),
            Happening::PeerWrites(number) => self.peer.write(number, &mut self.stage),
            Happening::PeerTimer(number) => self.peer.handle_timer(number, &mut self.stage),
            Happening::ToServer(stream, stanza) => {
                self.server.handle(stream, &stanza, &mut self.stage)
            }
            Happening::ToComponent(stream, stanza) => {
                if self.stream == Some(stream) && self.server.is_open(stream) {
                    self.xmpp(|core, now| core.handle_stanza(&stanza, now));
                } else if let Some(body) = stanza.children().find(|child| child.name() == "body") {
                    self.stage.ledger.lose(model::number(&body.text()));
                }
            }
            Happening::ToPeer(bytes) => self.peer.handle(&bytes, &mut self.stage),
            Happening::ToB2bua(bytes) => {
                self.sip(|core, now| core.handle_sip_packet(b2bua::flow(), &bytes, now));
            }
            Happening::NotSent(run, id) => {
                if self.b2bua.run == run {
                    self.sip(|core, now| {
                        core.handle_sip_send_failed(id, NotSent::Unreachable, now)
                    });
                }
            }
            Happening::FromBus(side, link, incoming) => self.hear(side, link, incoming),
            Happening::Committed(side, run) => self.commit(side, run),
            Happening::Perform(side, run) => self.perform(side, run),
            Happening::Fault(fault) => self.fail(fault),
            Happening::Start(side) => self.start(side),
            Happening::JoinBus => {
                if self.component.core.is_some() && self.b2bua.core.is_some() && !self.left {
                    self.bus.join(&mut self.stage);
                }
            }
            Happening::OpenStream => {
                if self.component.core.is_some() && !self.left && self.server.open(&mut self.stage)
                {
                    self.stream = self.server.current();
                    self.xmpp(|core, now| core.handle_stream_opened(now));
                }
            }
            Happening::Calm => self.stage.calm = true,
        }
    }

    fn hear(&mut self, side: Side, link: u64, incoming: Incoming) {
        if !self.bus.carries(side, link) {
            return;
        }
        match side {
            Side::Component => self.xmpp(|core, now| core.handle_bus(incoming, now)),
            Side::B2bua => self.sip(|core, now| core.handle_bus(incoming, now)),
        }
    }

    /// Nothing is held, stored or armed.
    fn check_rest(&mut self) {
        let (component, b2bua) = (&self.component, &self.b2bua);
        let held = component
            .core
            .as_ref()
            .map(|core| (core.held(), core.poll_timeout()));
        let waiting = b2bua
            .core
            .as_ref()
            .map(|core| (core.waiting(), core.poll_timeout()));
        if held != Some(((0, 0, 0), None)) || component.rows() != 0 {
            let rows = component.rows();
            self.stage
                .ledger
                .accuse(format!("the component holds {held:?} and {rows} rows"));
        }
        if waiting != Some((0, None)) {
            self.stage
                .ledger
                .accuse(format!("the b2bua holds {waiting:?}"));
        }
    }
}

/// Half of all messages are written just before something breaks.
fn writing_time(stage: &mut Stage) -> Duration {
    let fault = stage.random.below(stage.plan.faults.len() * 2);
    match stage.plan.faults.get(fault) {
        Some((at, _)) => at.saturating_sub(stage.random.up_to(JUST_BEFORE)),
        None => BEGIN + stage.random.up_to(BUSY),
    }
}

/// When both links have been there for a moment.
const BEGIN: Duration = Duration::from_secs(1);
/// What is still in flight when something breaks.
const JUST_BEFORE: Duration = Duration::from_millis(600);
/// From when on nothing goes wrong.
const CALM: Duration = Duration::from_secs(100);
/// How long it may take until every message has ended: both processes' patience and more.
const SETTLED: Duration = Duration::from_secs(400);
const DAY: Duration = Duration::from_secs(25 * 3600);
/// More steps than any run takes.
const STEPS: usize = 200_000;
