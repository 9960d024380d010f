//! Registrations that come and go while the process runs: those of users' own accounts.

use super::{Context, Registrations, Stage};
use crate::trunk::{FlowId, Registered, TrunkId, Ways};

impl Registrations {
    /// Ends a registration; where the registrar is to be told, its rows stay until it was.
    pub fn leave(&mut self, trunk: TrunkId, tell: bool, cx: &mut Context<'_>) {
        for id in self.of_trunk(trunk) {
            let Some(row) = self.rows.get_mut(&id) else {
                continue;
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
    }

    /// Whether a trunk has a registration, if only one that ends.
    #[must_use]
    pub fn has(&self, trunk: TrunkId) -> bool {
        self.rows.keys().any(|id| id.trunk == trunk)
    }

    /// Whether it is not known yet what becomes of a registration.
    #[must_use]
    pub fn is_asking(&self, trunk: TrunkId) -> bool {
        let asks = |stage| matches!(stage, Stage::Asking(_) | Stage::Locating);
        let mut rows = self.rows.iter();
        rows.any(|(id, row)| id.trunk == trunk && asks(row.stage))
    }

    /// Takes our binding back.
    pub(super) fn take_back(&mut self, id: FlowId, cx: &mut Context<'_>) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.expires = 0;
            row.ways = Ways::by(id.trunk);
        }
        self.send(id, cx);
    }
}
