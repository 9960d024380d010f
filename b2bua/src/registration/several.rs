//! Several flows of one account, each to another server, so that calls still come in when one of them
//! dies (RFC 5626 §4.2.1).
//!
//! The first flow goes ahead. The others follow once the registrar has shown that it keeps flows;
//! else each REGISTER would only take the place of the one before.

use super::{Context, Registration, Registrations, Stage};
use crate::sip::uri::Host;
use crate::trunk::{FlowId, TrunkId};

impl Registrations {
    /// A flow is registered: the others of its trunk follow, if the registrar keeps several.
    pub(super) fn settle(&mut self, id: FlowId, cx: &mut Context<'_>) {
        if self.closed {
            return;
        }
        let kept = self.rows.get(&id).is_some_and(|row| row.kept);
        let flows = self.of_trunk(id.trunk);
        if let Some(row) = self.rows.get_mut(&id) {
            let alone = !kept && flows.len() > 1;
            if alone && !std::mem::replace(&mut row.alone, alone) {
                tracing::warn!(
                    trunk = cx.settings.trunks.name(id.trunk),
                    wanted = flows.len(),
                    "the registrar keeps no flows (RFC 5626): there is only one, and calls come in as \
                    long as its server lives; flows = 1 says so in advance"
                );
            }
            row.alone = alone;
        }
        for other in flows {
            let stage = self.rows.get(&other).map(|row| row.stage);
            let waits = stage == Some(Stage::Waiting);
            match kept {
                true if waits => self.start(other, cx),
                false if !waits && other.number > 1 && other != id => self.put_off(other, cx),
                true | false => {}
            }
        }
    }

    /// A flow that nobody keeps.
    fn put_off(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let register = cx.settings.trunks.get(id.trunk);
        let register = register.and_then(|trunk| trunk.register.as_ref());
        let fresh = Registration::new(id, register, cx.mint);
        self.rows.insert(id, fresh);
        self.timers.cancel(&id);
        self.patience.cancel(&id);
        cx.states.remove_flow(id);
        self.unwelcome(id, cx);
    }

    /// The flows of a trunk.
    pub(super) fn of_trunk(&self, trunk: TrunkId) -> Vec<FlowId> {
        let flows = self.rows.keys().filter(|id| id.trunk == trunk);
        flows.copied().collect()
    }

    /// The servers that other flows of the same trunk lead to.
    pub(super) fn taken(&self, id: FlowId) -> Vec<Host> {
        let others = self.others(id);
        others
            .filter_map(|row| Some(row.hop.as_ref()?.host.clone()))
            .collect()
    }

    /// Whether another flow of the same trunk is alive.
    pub(super) fn others_hold(&self, id: FlowId) -> bool {
        self.others(id).any(|row| row.held)
    }

    fn others(&self, id: FlowId) -> impl Iterator<Item = &Registration> {
        let rows = self.rows.iter();
        let rows = rows.filter(move |(other, _)| other.trunk == id.trunk && **other != id);
        rows.map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests;
