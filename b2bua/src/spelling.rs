//! How SIP users are really written, whose JIDs fold case (specs 1.3).
//!
//! `Bob` and `bob` may be two users to a SIP domain but are one JID. What a user called itself last
//! is what messages to its JID go to. Only spellings that differ from their folded form are kept.

use std::collections::{HashMap, VecDeque};

use tandem_shared::address::Address;

use crate::action::{Action, Key, Record};

/// The spellings heard, bounded; the oldest go first.
#[derive(Debug, Default)]
pub struct Spellings {
    users: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Spellings {
    /// Takes back what the store held.
    pub fn restore(&mut self, folded: String, user: String) {
        if self.users.insert(folded.clone(), user).is_none() {
            self.order.push_back(folded);
        }
    }

    /// Notes how `address` was written, as the SIP side wrote it.
    pub fn hear(&mut self, address: &Address, actions: &mut VecDeque<Action>) {
        let plain = |c: char| !c.is_uppercase();
        if address.user.chars().all(plain) && (self.users.is_empty() || !self.knows(address)) {
            return;
        }
        let folded = fold(address);
        if self.users.get(&folded) == Some(&address.user) {
            return;
        }
        actions.push_back(Action::Store(Record::Spelling {
            folded: folded.clone(),
            user: address.user.clone(),
        }));
        self.restore(folded, address.user.clone());
        while self.order.len() > MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.users.remove(&oldest);
                actions.push_back(Action::Forget(Key::Spelling(oldest)));
            }
        }
    }

    /// The user part to write to `address`.
    #[must_use]
    pub fn spell<'a>(&'a self, address: &'a Address) -> &'a str {
        if self.users.is_empty() {
            return &address.user;
        }
        self.users
            .get(&fold(address))
            .map_or(address.user.as_str(), String::as_str)
    }

    fn knows(&self, address: &Address) -> bool {
        self.users.contains_key(&fold(address))
    }
}

fn fold(address: &Address) -> String {
    format!("{}@{}", address.user.to_lowercase(), address.host)
}

/// How many are kept.
const MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_spelling_heard_is_used_and_stored() {
        let (mut spellings, mut actions) = (Spellings::default(), VecDeque::new());
        let big = Address::new("BobSmith", "pbx.example.com").unwrap();
        let small = Address::new("bobsmith", "pbx.example.com").unwrap();
        spellings.hear(&big, &mut actions);
        spellings.hear(&big, &mut actions);
        assert_eq!(actions.len(), 1);
        assert_eq!(spellings.spell(&small), "BobSmith");
        spellings.hear(&small, &mut actions);
        assert_eq!(spellings.spell(&small), "bobsmith");
    }

    #[test]
    fn lower_case_costs_nothing() {
        let (mut spellings, mut actions) = (Spellings::default(), VecDeque::new());
        let small = Address::new("bob", "pbx.example.com").unwrap();
        spellings.hear(&small, &mut actions);
        assert!(actions.is_empty());
        assert_eq!(spellings.spell(&small), "bob");
    }
}
