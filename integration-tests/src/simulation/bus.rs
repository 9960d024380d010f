//! The bus between the processes: in order for each sender, late, sometimes broken.

use std::time::Duration;

use tandem_shared::bus::frame;
use tandem_shared::bus::{Envelope, Incoming};
use tandem_shared::event::Event;
use tandem_shared::message::MessageId;

use super::plan::Sabotage;
use super::stage::{Happening, Side, Stage};

/// The bus.
#[derive(Debug, Default)]
pub(super) struct Bus {
    joined: bool,
    /// Counts how often it was joined or cut.
    link: u64,
    /// What was sent before this was lost, on its way to the component, and to the b2bua.
    lost_before: [u64; 2],
    /// When the last thing sent reaches the component, and when the b2bua.
    last: [Duration; 2],
    /// The message that the id two messages share belonged to last: [`Sabotage::SharedId`].
    shared: Option<MessageId>,
}

impl Bus {
    /// Whether what was sent to `side` on `link` still arrives.
    pub(super) fn carries(&self, side: Side, link: u64) -> bool {
        let [component, b2bua] = self.lost_before;
        link >= match side {
            Side::Component => component,
            Side::B2bua => b2bua,
        }
    }

    /// Both ends can reach each other from now on.
    pub(super) fn join(&mut self, stage: &mut Stage) {
        if self.joined {
            return;
        }
        self.joined = true;
        self.link += 1;
        stage.note("the bus is joined");
        for side in [Side::Component, Side::B2bua] {
            self.deliver(side, Incoming::Connected, stage);
        }
    }

    /// The link is gone, with everything on it; whoever is alive hears of it. What a process had
    /// said before it died still arrives.
    pub(super) fn cut(&mut self, died: Option<Side>, stage: &mut Stage) {
        if !self.joined {
            return;
        }
        self.joined = false;
        self.link += 1;
        let [component, b2bua] = &mut self.lost_before;
        if died != Some(Side::B2bua) {
            *component = self.link;
        }
        if died != Some(Side::Component) {
            *b2bua = self.link;
        }
        stage.note("the bus is cut");
        for side in [Side::Component, Side::B2bua] {
            self.deliver(side, Incoming::Disconnected, stage);
        }
        let again =
            stage.now + Duration::from_millis(500) + stage.random.up_to(Duration::from_secs(4));
        stage.at(again, Happening::JoinBus);
    }

    /// Takes an envelope; false when nobody is at the other end.
    pub(super) fn send(&mut self, from: Side, mut envelope: Envelope, stage: &mut Stage) -> bool {
        if !self.joined {
            return false;
        }
        if !stage.calm && stage.random.chance(stage.plan.envelopes_lost) {
            stage.note("an envelope is lost");
            stage.ledger.note_lost_envelope();
            return true;
        }
        if stage.plan.sabotage == Some(Sabotage::SharedId) {
            self.share_id(from, &mut envelope);
        }
        let mut bytes = Vec::new();
        frame::encode(&envelope, &mut bytes).expect("an envelope fits a frame");
        let read = frame::decode(&bytes).expect("an envelope reads back");
        let (envelope, _) = read.expect("a frame is complete");
        let to = match from {
            Side::Component => Side::B2bua,
            Side::B2bua => Side::Component,
        };
        self.deliver(to, Incoming::Envelope(Box::new(envelope)), stage);
        true
    }

    fn deliver(&mut self, to: Side, incoming: Incoming, stage: &mut Stage) {
        let mut at = stage.now + stage.random.up_to(DELAY);
        let [component, b2bua] = &mut self.last;
        let last = match to {
            Side::Component => component,
            Side::B2bua => b2bua,
        };
        if stage.plan.sabotage != Some(Sabotage::Overtake) {
            at = at.max(*last);
        }
        *last = at;
        stage.at(at, Happening::FromBus(to, self.link, incoming));
    }

    /// Every message to SIP goes under one id, and its outcome is taken for the last one's.
    fn share_id(&mut self, from: Side, envelope: &mut Envelope) {
        match (&mut envelope.event, from) {
            (Event::Message(message), Side::Component) => {
                let last = message.ordinal.number % 2 == 0;
                let shared = MessageId(format!("shared-{last}"));
                self.shared = Some(std::mem::replace(&mut message.id, shared));
            }
            (Event::MessageOutcome(outcome), Side::B2bua) if outcome.id.0.starts_with("shared") => {
                if let Some(last) = &self.shared {
                    outcome.id = last.clone();
                }
            }
            _ => {}
        }
    }
}

/// How long an envelope takes.
const DELAY: Duration = Duration::from_millis(150);
