//! Trunks of users' own: each carries calls and messages of its owner alone.

use std::collections::{BTreeMap, HashMap};

use tandem_shared::address::Address;

use super::{Trunk, TrunkId};
use crate::dns::Whose;

/// All of them. They come and go while the process runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    trunks: BTreeMap<TrunkId, Trunk>,
    by_owner: HashMap<(String, String), Vec<TrunkId>>,
    by_line: HashMap<String, TrunkId>,
    given: usize,
}

impl Own {
    /// Takes one in. Without an owner nobody calls by it; what comes to its Contact finds it all the same.
    pub(super) fn add(&mut self, trunk: Trunk) -> TrunkId {
        let id = TrunkId(FIRST + self.given);
        self.given += 1;
        if let Some(owner) = &trunk.owner {
            self.by_owner.entry(key(owner)).or_default().push(id);
        }
        self.by_line.insert(trunk.line.clone(), id);
        self.trunks.insert(id, trunk);
        id
    }

    /// From now on nothing new goes or comes by it.
    pub(super) fn retire(&mut self, id: TrunkId) {
        let Some(trunk) = self.trunks.get(&id) else {
            return;
        };
        if let Some(owner) = &trunk.owner
            && let Some(ids) = self.by_owner.get_mut(&key(owner))
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_owner.remove(&key(owner));
            }
        }
        if self.by_line.get(&trunk.line) == Some(&id) {
            self.by_line.remove(&trunk.line);
        }
    }

    pub(super) fn forget(&mut self, id: TrunkId) {
        self.retire(id);
        self.trunks.remove(&id);
    }

    pub(super) fn get(&self, id: TrunkId) -> Option<&Trunk> {
        self.trunks.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TrunkId, &Trunk)> {
        self.trunks.iter().map(|(id, trunk)| (*id, trunk))
    }

    /// Those of a user that are in use.
    pub(super) fn of(&self, owner: &Address) -> impl Iterator<Item = (TrunkId, &Trunk)> {
        let ids = match self.by_owner.is_empty() {
            true => None,
            false => self.by_owner.get(&key(owner)),
        };
        let ids = ids.into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.trunks.get(id)?)))
    }

    /// The one whose Contact has this user part.
    pub(super) fn by_line(&self, line: &str) -> Option<(TrunkId, &Trunk)> {
        let id = self.by_line.get(line)?;
        Some((*id, self.trunks.get(id)?))
    }
}

impl TrunkId {
    /// For whom it counts what it finds out of places.
    #[must_use]
    pub fn whose(self) -> Whose {
        match is_own(self) {
            true => Whose::Own(self),
            false => Whose::All,
        }
    }
}

/// Whether it is one of a user's own.
pub(super) fn is_own(id: TrunkId) -> bool {
    id.0 >= FIRST
}

fn key(owner: &Address) -> (String, String) {
    (owner.user.clone(), owner.host.clone())
}

/// The first number given; those below are of the configuration.
const FIRST: usize = 1 << 24;
