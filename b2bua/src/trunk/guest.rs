//! Trunks that are known by what they show, not by their address.

use super::{Trunk, TrunkId, Trunks};
use crate::sip::digest::Account;

impl Trunks {
    /// The accounts by which trunks come in from anywhere.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let account = |(TrunkId(number), trunk): (TrunkId, &Trunk)| {
            let credential = trunk.inbound_account.as_ref()?;
            Some(Account {
                number,
                user: credential.user.clone(),
                password: credential.password.clone(),
            })
        };
        self.iter().filter_map(account).collect()
    }
}
