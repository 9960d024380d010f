//! How trunks are at the moment.

use std::collections::HashMap;

use super::TrunkId;

/// The states of all trunks.
#[derive(Debug, Default)]
pub struct States {
    rows: HashMap<TrunkId, State>,
}

/// The state of one trunk.
#[derive(Debug, Default)]
struct State {
    down: bool,
}

impl States {
    /// Whether nothing speaks against sending by it.
    #[must_use]
    pub fn is_up(&self, id: TrunkId) -> bool {
        self.rows.get(&id).is_none_or(|state| !state.down)
    }

    /// It does not answer, or answers again.
    pub fn set_down(&mut self, id: TrunkId, down: bool) {
        self.rows.entry(id).or_default().down = down;
    }
}
