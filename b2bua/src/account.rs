//! Users' own accounts at SIP providers: each is a trunk that belongs to one user.
//!
//! The b2bua registers there; what comes by it is for its owner, and its owner calls and writes by
//! it before any trunk of all users. Passwords are sealed in the database and never told again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tandem_shared::account::{Account, AccountState};
use tandem_shared::address::Address;
use tandem_shared::mint;
use tandem_shared::refusal::{Reason, Refusal};

use crate::trunk::{Registered, State, States, TrunkId};

mod check;

pub use check::{Checked, check, spell};

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

/// All accounts. Several users may bring the same one: who has not its password blocks nobody.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By address and user.
    rows: BTreeMap<(String, Address), Row>,
    /// Rows of the store that cannot be opened.
    locked: BTreeSet<u128>,
    /// Trunks of accounts that are gone, until they are no longer registered.
    retired: Vec<TrunkId>,
}

/// One account that is kept.
#[derive(Debug)]
struct Row {
    outgoing: bool,
    /// What it became, or why it cannot be used.
    trunk: Result<TrunkId, String>,
}

/// The row of an account in the store, which does not tell its address; `key` is the installation's.
#[must_use]
pub fn row_id(key: &[u8; 16], user: &Address, address: &str) -> u128 {
    let parts = ["account", &user.user, &user.host, address];
    mint::hash(key, &parts.map(str::as_bytes))
}

impl Accounts {
    /// Whether one more fits beside those there are.
    ///
    /// # Errors
    /// `policy-violation` when there are too many.
    pub fn check_room(
        &self,
        user: &Address,
        address: &str,
        settings: &AccountSettings,
    ) -> Result<(), Refusal> {
        if self.rows.contains_key(&(address.to_owned(), user.clone())) {
            return Ok(());
        }
        let own = self.rows.keys().filter(|(_, of)| of == user).count();
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
    pub fn enter(&mut self, user: Address, account: &Account, trunk: TrunkId) -> Option<TrunkId> {
        self.insert(user, account, Ok(trunk))
    }

    /// Enters one that cannot be used, and why.
    pub fn enter_unusable(&mut self, user: Address, account: &Account, why: String) {
        self.insert(user, account, Err(why));
    }

    fn insert(
        &mut self,
        user: Address,
        account: &Account,
        trunk: Result<TrunkId, String>,
    ) -> Option<TrunkId> {
        let row = Row {
            outgoing: account.outgoing,
            trunk,
        };
        let former = self.rows.insert((account.address.clone(), user), row)?;
        former.trunk.ok()
    }

    /// Whether somebody has an account of exactly this address.
    #[must_use]
    pub fn has(&self, address: &str) -> bool {
        self.rows.keys().any(|(known, _)| known == address)
    }

    /// Takes one out: of this user, or of the only one who has it. Returns whose it was, and its trunk
    /// where it has one.
    ///
    /// # Errors
    /// `item-not-found` when there is none, `conflict` when it could be several users'.
    pub fn remove(
        &mut self,
        user: Option<&Address>,
        address: &str,
    ) -> Result<(Address, Option<TrunkId>), Refusal> {
        let of = |(known, owner): &&(String, Address)| {
            known == address && user.is_none_or(|user| owner == user)
        };
        let mut found: Vec<_> = self.rows.keys().filter(of).cloned().collect();
        let Some(key) = found.pop() else {
            let text = "There is no account of this address.";
            return Err(Refusal::new(Reason::ItemNotFound).with_text(text));
        };
        if !found.is_empty() {
            let text = "Several users have an account of this address; say whose.";
            return Err(Refusal::new(Reason::Conflict).with_text(text));
        }
        let row = self.rows.remove(&key);
        Ok((key.1, row.and_then(|row| row.trunk.ok())))
    }

    /// Whose accounts there are.
    pub fn users(&self) -> impl Iterator<Item = &Address> {
        self.rows.keys().map(|(_, user)| user)
    }

    /// A row of the store cannot be opened.
    pub fn lock(&mut self, id: u128) {
        self.locked.insert(id);
    }

    /// It is gone, or another one is in its place; false when there was none.
    pub fn unlock(&mut self, id: u128) -> bool {
        self.locked.remove(&id)
    }

    /// The rows of the store that cannot be opened.
    pub fn locked(&self) -> impl Iterator<Item = u128> {
        self.locked.iter().copied()
    }

    /// How accounts are, with whose they are: those of `user`, or all.
    #[must_use]
    pub fn show(
        &self,
        user: Option<&Address>,
        states: &States,
        now: Instant,
    ) -> Vec<(Address, AccountState)> {
        let wanted = |((_, of), _): &(&(String, Address), &Row)| user.is_none_or(|user| of == user);
        let rows = self.rows.iter().filter(wanted);
        rows.map(|((address, of), row)| (of.clone(), row.show(address, states, now)))
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
    fn show(&self, address: &str, states: &States, now: Instant) -> AccountState {
        let (registered, problem) = match &self.trunk {
            Ok(trunk) => registration(*trunk, states, now),
            Err(why) => (None, Some(format!("It cannot be used here: {why}"))),
        };
        AccountState {
            address: address.to_owned(),
            outgoing: self.outgoing,
            registered,
            problem,
        }
    }
}

/// For how many seconds a trunk is registered, or why it is not.
fn registration(trunk: TrunkId, states: &States, now: Instant) -> (Option<u64>, Option<String>) {
    match states.get(trunk).map(State::registered) {
        Some(Registered::Until { at, .. }) => {
            let left = at.saturating_duration_since(now);
            (Some(left.as_secs()), None)
        }
        Some(Registered::Failed { why }) => (None, Some(why.clone())),
        Some(Registered::No | Registered::Trying) | None => (None, None),
    }
}

#[cfg(test)]
pub(crate) mod tests;
