//! What breaks, and how it comes back.

use std::time::Duration;

use super::super::plan::Fault;
use super::super::stage::{Happening, Side};
use super::World;

impl World {
    pub(super) fn fail(&mut self, fault: Fault) {
        self.stage.note(&format!("fault: {fault:?}"));
        match fault {
            Fault::Kill(side) => self.kill(side),
            Fault::KillAfterCommit(Side::Component) => self.component.doomed = true,
            Fault::KillAfterCommit(Side::B2bua) => self.b2bua.doomed = true,
            Fault::CutBus => {
                self.stage.ledger.interrupt(false, self.stage.now);
                self.bus.cut(None, &mut self.stage);
            }
            Fault::CloseStream => self.close_stream(),
            Fault::Stall => self.server.stall(&mut self.stage),
            Fault::Unreachable => {
                let time = self.stage.random.up_to(Duration::from_secs(30));
                self.stage.unreachable_until = self.stage.now + time;
            }
        }
    }

    pub(super) fn kill(&mut self, side: Side) {
        let alive = match side {
            Side::Component => self.component.core.is_some(),
            Side::B2bua => self.b2bua.core.is_some(),
        };
        if !alive {
            return;
        }
        self.stage.note(&format!("{side:?} is killed"));
        self.stage.ledger.interrupt(true, self.stage.now);
        match side {
            Side::Component => {
                self.component.die();
                self.stage.ledger.lose_uncommitted();
                self.stream = None;
                self.server.close(true, &mut self.stage);
            }
            Side::B2bua => self.b2bua.die(),
        }
        self.bus.cut(Some(side), &mut self.stage);
        // Some stay away for longer than a SIP client waits.
        let long = self.stage.random.chance(200);
        let away = Duration::from_secs(if long { 45 } else { 10 });
        self.stage.within(away, Happening::Start(side));
    }

    pub(super) fn start(&mut self, side: Side) {
        self.stage.note(&format!("{side:?} starts"));
        match side {
            Side::Component => {
                self.component.start(&self.stage);
                self.stage
                    .within(Duration::from_secs(1), Happening::OpenStream);
            }
            Side::B2bua => self.b2bua.start(&self.stage),
        }
        self.stage
            .within(Duration::from_secs(1), Happening::JoinBus);
    }

    pub(super) fn close_stream(&mut self) {
        if self.stream.take().is_some() {
            self.stage.ledger.interrupt(false, self.stage.now);
            self.server.close(false, &mut self.stage);
            self.xmpp(|core, now| core.handle_stream_closed(now));
        }
    }

    /// Both links go for good, so that heartbeats and pings end too.
    pub(super) fn leave(&mut self) {
        self.left = true;
        self.stage.note("everybody leaves");
        self.close_stream();
        self.bus.cut(None, &mut self.stage);
    }
}
