//! What the cores ask for is carried out in rounds, as the shells do it.

use std::time::Duration;

use tandem_b2bua::action::Action as SipAction;
use tandem_component::action::Action as XmppAction;
use tandem_component::xml;

use super::super::b2bua::{self, B2bua};
use super::super::component::{self, Component};
use super::super::plan::Sabotage;
use super::super::rounds::Round;
use super::super::stage::{Happening, Side};
use super::World;

impl World {
    pub(super) fn xmpp(
        &mut self,
        work: impl FnOnce(&mut tandem_component::core::Core, tandem_component::clock::Now),
    ) {
        let now = component::now(&self.stage);
        self.component.with(ROOM, |core| work(core, now));
        match self.component.rounds.begin(Component::is_row) {
            Round::Nothing => {}
            Round::Storing => {
                let stored = Happening::Committed(Side::Component, self.component.run);
                self.stage.within(COMMIT, stored);
            }
            Round::Perform(actions) => self.perform_xmpp(actions),
        }
    }

    pub(super) fn sip(
        &mut self,
        work: impl FnOnce(&mut tandem_b2bua::core::Core, tandem_b2bua::clock::Now),
    ) {
        let now = b2bua::now(&self.stage);
        self.b2bua.with(|core| work(core, now));
        match self.b2bua.rounds.begin(B2bua::is_row) {
            Round::Nothing => {}
            Round::Storing => {
                let stored = Happening::Committed(Side::B2bua, self.b2bua.run);
                self.stage.within(COMMIT, stored);
            }
            Round::Perform(actions) => self.perform_sip(actions),
        }
    }

    /// Rows reach the disk; what follows them leaves a moment later.
    pub(super) fn commit(&mut self, side: Side, run: u64) {
        let doomed = match side {
            Side::Component if self.component.run == run => {
                self.component.commit(&mut self.stage);
                self.component.doomed
            }
            Side::B2bua if self.b2bua.run == run => {
                self.b2bua.commit();
                self.b2bua.doomed
            }
            Side::Component | Side::B2bua => return,
        };
        if doomed {
            return self.kill(side);
        }
        let soon = Duration::from_millis(2);
        self.stage.within(soon, Happening::Perform(side, run));
    }

    pub(super) fn perform(&mut self, side: Side, run: u64) {
        match side {
            Side::Component if self.component.run == run => {
                let actions = self.component.rounds.take_rest();
                self.perform_xmpp(actions);
                self.xmpp(|_, _| {});
            }
            Side::B2bua if self.b2bua.run == run => {
                let actions = self.b2bua.rounds.take_rest();
                self.perform_sip(actions);
                self.sip(|_, _| {});
            }
            Side::Component | Side::B2bua => {}
        }
    }

    pub(super) fn perform_xmpp(&mut self, actions: Vec<XmppAction>) {
        let early = self.stage.plan.sabotage == Some(Sabotage::ConfirmEarly);
        for action in actions {
            match action {
                XmppAction::Send(stanza) if early && stanza.has_child("ping", xml::PING) => {
                    self.server.answer_early(&stanza, &mut self.stage);
                }
                XmppAction::Send(stanza) => self.server.write(stanza, &mut self.stage),
                XmppAction::Publish(envelope) => {
                    self.component.forget_early(&envelope.event, &self.stage);
                    self.bus.send(Side::Component, *envelope, &mut self.stage);
                }
                XmppAction::CloseStream => self.close_stream(),
                XmppAction::CloseBus => self.bus.cut(None, &mut self.stage),
                XmppAction::Store(_) | XmppAction::Forget(_) => {}
            }
        }
    }

    /// The bus comes first, so that an outcome has left before the request that follows it.
    pub(super) fn perform_sip(&mut self, actions: Vec<SipAction>) {
        let mut transmits = Vec::new();
        for action in actions {
            match action {
                SipAction::Publish(envelope) => {
                    let event = envelope.event.clone();
                    if !self.bus.send(Side::B2bua, *envelope, &mut self.stage) {
                        let now = b2bua::now(&self.stage);
                        self.b2bua.with(|core| core.handle_bus_refused(&event, now));
                    }
                }
                SipAction::Transmit(transmit) => transmits.push(transmit),
                SipAction::CloseBus => self.bus.cut(None, &mut self.stage),
                SipAction::Store(_)
                | SipAction::Forget(_)
                | SipAction::Media(_)
                | SipAction::Resolve(_)
                | SipAction::Close(_) => {}
            }
        }
        for transmit in transmits {
            match transmit.id {
                Some(id) if self.stage.now < self.stage.unreachable_until => {
                    let soon = Duration::from_millis(5);
                    self.stage
                        .within(soon, Happening::NotSent(self.b2bua.run, id));
                }
                _ => self.stage.datagram(&transmit.bytes, Happening::ToPeer),
            }
        }
    }
}

/// How long a commit takes.
const COMMIT: Duration = Duration::from_millis(30);
/// Envelopes the bus takes at once.
const ROOM: usize = 64;
