//! What becomes of a registration whose flow is gone (RFC 5626 §4.5).

use std::time::Duration;

use super::{Context, Registration, Registrations, Stage, fraction};
use crate::sip::hop::ConnectionId;
use crate::trunk::{Registered, TrunkId};

impl Registrations {
    /// A stream ended: who was registered on it cannot be reached any more.
    pub fn handle_closed(&mut self, connection: ConnectionId, cx: &mut Context<'_>) {
        let was = |row: &Registration| row.connection == Some(connection);
        for id in self.of(was) {
            if let Some(row) = self.rows.get_mut(&id) {
                row.connection = None;
                if row.stage == Stage::Resting && row.held {
                    tracing::warn!(
                        trunk = super::name(id, cx),
                        "the connection of a registration ended"
                    );
                    self.renew(id, "The connection ended.", cx);
                }
            }
        }
    }

    /// The flow a trunk is registered over is dead.
    pub fn handle_dead(&mut self, id: TrunkId, why: &str, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        if row.stage == Stage::Resting && row.held {
            row.connection = None;
            self.renew(id, why, cx);
        }
    }

    /// It is registered no more, and registers from the beginning.
    pub(super) fn renew(&mut self, id: TrunkId, why: &str, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.stage = Stage::Resting;
        row.held = false;
        let why = why.to_owned();
        cx.states.set_registered(id, Registered::Failed { why });
        // Soon, but not everybody at the same moment.
        let soon = Duration::from_millis(fraction(cx.mint, 1000));
        self.timers.set(id, cx.now + soon);
    }
}
