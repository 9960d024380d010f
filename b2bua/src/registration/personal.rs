//! Registrations that come and go while the process runs: those of users' own accounts.

use super::{Context, Registrations, Stage};
use crate::trunk::{Registered, TrunkId, Ways};

impl Registrations {
    /// Registers at one more trunk.
    pub fn add(&mut self, id: TrunkId, cx: &mut Context<'_>) {
        self.enter(id, cx);
    }

    /// Ends a registration; where the registrar is to be told, the row stays until it was.
    pub fn leave(&mut self, id: TrunkId, tell: bool, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        self.timers.cancel(&id);
        self.patience.cancel(&id);
        let asking = matches!(row.stage, Stage::Asking(_));
        if !tell || !(row.held || asking) {
            self.rows.remove(&id);
        } else {
            row.leaving = true;
            if !asking {
                self.take_back(id, cx);
            }
        }
        cx.states.set_registered(id, Registered::No);
    }

    /// Whether a trunk has a registration, if only one that ends.
    #[must_use]
    pub fn has(&self, id: TrunkId) -> bool {
        self.rows.contains_key(&id)
    }

    /// Takes our binding back.
    pub(super) fn take_back(&mut self, id: TrunkId, cx: &mut Context<'_>) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.expires = 0;
            row.ways = Ways::by(id);
        }
        self.send(id, cx);
    }
}
