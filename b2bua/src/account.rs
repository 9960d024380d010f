//! Users' own accounts at SIP providers: each is a trunk that belongs to one user.
//!
//! The b2bua registers there; what comes by it is for its owner, and its owner calls and writes by
//! it before any trunk of all users. Passwords are sealed in the database and never told again.

use std::collections::BTreeMap;
use std::time::Instant;

use tandem_shared::account::{Account, AccountState};
use tandem_shared::address::Address;
use tandem_shared::refusal::{Reason, Refusal};

use crate::trunk::{Registered, State, States, TrunkId};

mod check;

pub use check::{Checked, check};

/// What users may do with accounts (the configuration's `[accounts]`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// Whether there is a key to keep them by; without one there are none.
    pub open: bool,
    /// Most accounts in all.
    pub max: usize,
    /// Most accounts of one user.
    pub per_user: usize,
    /// The domains they may be at: `provider.example`, `*.provider.example` or `*`.
    pub providers: Vec<String>,
    /// Whether their servers may be in the own network.
    pub allow_private: bool,
}

/// All accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By address.
    rows: BTreeMap<String, Row>,
    /// Trunks of accounts that are gone, until they are no longer registered.
    retired: Vec<TrunkId>,
}

/// One account that is kept.
#[derive(Debug)]
struct Row {
    user: Address,
    account: Account,
    trunk: TrunkId,
}

impl Accounts {
    /// Whether one more fits beside those there are.
    ///
    /// # Errors
    /// `conflict` when it is somebody else's, `policy-violation` when there are too many.
    pub fn check_room(
        &self,
        user: &Address,
        address: &str,
        settings: &AccountSettings,
    ) -> Result<(), Refusal> {
        if let Some(row) = self.rows.get(address) {
            return match row.user == *user {
                true => Ok(()),
                false => Err(Refusal::new(Reason::Conflict)
                    .with_text("Another user keeps an account of this address.")),
            };
        }
        let own = self.rows.values().filter(|row| row.user == *user).count();
        let full = if own >= settings.per_user {
            format!("of one user as are allowed ({own}, accounts.per_user)")
        } else if self.rows.len() >= settings.max {
            format!("as are allowed in all ({}, accounts.max)", self.rows.len())
        } else {
            return Ok(());
        };
        let text = format!("There are as many accounts {full}; remove one first.");
        Err(Refusal::new(Reason::PolicyViolation).with_text(text))
    }

    /// Enters one; returns the trunk of the one whose place it takes.
    pub fn enter(&mut self, user: Address, account: Account, trunk: TrunkId) -> Option<TrunkId> {
        let address = account.address.clone();
        let row = Row {
            user,
            account,
            trunk,
        };
        let former = self.rows.insert(address, row)?;
        Some(former.trunk)
    }

    /// Takes one out: of this user alone, where one is named.
    ///
    /// # Errors
    /// `item-not-found` when there is none.
    pub fn remove(&mut self, user: Option<&Address>, address: &str) -> Result<TrunkId, Refusal> {
        let row = self.rows.get(address);
        let own = row.filter(|row| user.is_none_or(|user| row.user == *user));
        if own.is_none() {
            let text = "There is no account of this address.";
            return Err(Refusal::new(Reason::ItemNotFound).with_text(text));
        }
        let row = self.rows.remove(address);
        row.map(|row| row.trunk)
            .ok_or_else(|| Refusal::new(Reason::ItemNotFound))
    }

    /// How accounts are, with whose they are: those of `user`, or all.
    #[must_use]
    pub fn show(
        &self,
        user: Option<&Address>,
        states: &States,
        now: Instant,
    ) -> Vec<(Address, AccountState)> {
        let wanted = |row: &&Row| user.is_none_or(|user| row.user == *user);
        let rows = self.rows.values().filter(wanted);
        rows.map(|row| (row.user.clone(), row.show(states, now)))
            .collect()
    }

    /// A trunk that is gone once its registration is.
    pub fn retire(&mut self, trunk: TrunkId) {
        self.retired.push(trunk);
    }

    /// Takes out the retired trunks that nothing holds any more.
    pub fn over(&mut self, held: impl Fn(TrunkId) -> bool) -> Vec<TrunkId> {
        if self.retired.is_empty() {
            return Vec::new();
        }
        self.retired.extract_if(.., |id| !held(*id)).collect()
    }
}

impl Row {
    fn show(&self, states: &States, now: Instant) -> AccountState {
        let state = states.get(self.trunk);
        let (registered, problem) = match state.map(State::registered) {
            Some(Registered::Until { at, .. }) => {
                let left = at.saturating_duration_since(now);
                (Some(left.as_secs()), None)
            }
            Some(Registered::Failed { why }) => (None, Some(why.clone())),
            Some(Registered::No | Registered::Trying) | None => (None, None),
        };
        AccountState {
            address: self.account.address.clone(),
            outgoing: self.account.outgoing,
            registered,
            problem,
        }
    }
}

#[cfg(test)]
mod tests;
