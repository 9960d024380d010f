//! By which of a user's numbers a contact called or wrote last: what goes to that contact goes out by the
//! same one, as people expect of somebody with two telephones.
//!
//! Kept where it is another number than others see anyway, so users with one number cost nothing:
//! as the hash of user and contact, by days, bounded; the oldest go first.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tandem_shared::address::Address;
use tandem_shared::mint;

use crate::action::{Action, Key, Record};
use crate::party;
use crate::settings::Settings;
use crate::sip::Request;
use crate::target::Found;
use crate::trunk::Trunk;

/// The numbers that contacts used last.
#[derive(Debug, Default)]
pub struct LastNumbers {
    rows: HashMap<u128, LastNumber>,
    by_age: BTreeSet<(i64, u128)>,
    /// Days since 1970.
    today: i64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastNumber {
    /// The hash of user and contact.
    pub pair: u128,
    /// The user's number.
    pub number: String,
    /// The name of the trunk it was used by.
    pub trunk: String,
    /// When, in days since 1970.
    pub day: i64,
}

impl LastNumbers {
    /// Takes back what the store held.
    pub fn restore(&mut self, row: LastNumber) {
        self.by_age.insert((row.day, row.pair));
        if let Some(former) = self.rows.insert(row.pair, row.clone())
            && former.day != row.day
        {
            self.by_age.remove(&(former.day, former.pair));
        }
    }

    /// It is this time, in milliseconds since 1970.
    pub fn set_time(&mut self, unix_ms: i64) {
        self.today = unix_ms.div_euclid(DAY_MS);
    }

    /// `contact` calls `user`, or writes, by `request`. What a provider says that no admin has chosen does
    /// not count.
    pub fn hear(
        &mut self,
        (user, contact): (&Address, &Address),
        request: &Request,
        trunk: &Trunk,
        settings: &Settings,
        actions: &mut VecDeque<Action>,
    ) {
        if trunk.owner.is_some() {
            return;
        }
        let Some(number) = party::called_number(request, Some(trunk), user, settings) else {
            return;
        };
        let pair = pair(user, contact);
        let numbers = &settings.numbers;
        let usual = numbers.number(user) == Some(number.as_str());
        if usual || !numbers.may_show(user, &number) {
            if self.rows.contains_key(&pair) {
                self.forget(pair, actions);
            }
            return;
        }
        let row = LastNumber {
            pair,
            number,
            trunk: trunk.name.clone(),
            day: self.today,
        };
        // A day more or less is not worth a write for each message.
        let is_known = |known: &LastNumber| {
            let age = row.day - known.day;
            (0..FRESH).contains(&age) && (&known.number, &known.trunk) == (&row.number, &row.trunk)
        };
        if self.rows.get(&pair).is_some_and(is_known) {
            return;
        }
        actions.push_back(Action::Store(Record::LastNumber(row.clone())));
        self.restore(row);
        while let Some((day, oldest)) = self.by_age.first().copied()
            && (self.rows.len() > MAX || self.is_over(day))
        {
            self.forget(oldest, actions);
        }
    }

    /// By which number `from` is known to `to`, which was `found`, unless something else is chosen.
    pub fn choose(&self, from: &Address, to: &Address, found: &mut Found, settings: &Settings) {
        if self.rows.is_empty() || found.chosen.is_some() || found.emergency {
            return;
        }
        let contact = Address {
            user: found.user.clone(),
            ..to.account()
        };
        let row = self.rows.get(&pair(from, &contact));
        let Some(row) = row.filter(|row| !self.is_over(row.day)) else {
            return;
        };
        if settings.numbers.may_show(from, &row.number) {
            found.chosen = Some(row.number.clone());
            found.via = settings.trunks.named(&row.trunk);
        }
    }

    fn is_over(&self, day: i64) -> bool {
        self.today - day > KEEP
    }

    fn forget(&mut self, pair: u128, actions: &mut VecDeque<Action>) {
        if let Some(row) = self.rows.remove(&pair) {
            self.by_age.remove(&(row.day, pair));
            actions.push_back(Action::Forget(Key::LastNumber(pair)));
        }
    }
}

/// The hash of a user and a contact, however that is spelled.
fn pair(user: &Address, contact: &Address) -> u128 {
    let folded = contact.user.to_lowercase();
    let parts = [&user.user, &user.host, &folded, &contact.host];
    mint::hash(&[0; 16], &parts.map(|part| part.as_bytes()))
}

/// For how many days one is remembered.
const KEEP: i64 = 365;
/// For how many days it need not be written again.
const FRESH: i64 = 7;
/// How many are remembered.
const MAX: usize = 50_000;
const DAY_MS: i64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests;
