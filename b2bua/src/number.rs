//! The telephone numbers of XMPP users, both directions (the configuration's `[[number]]`).

use std::collections::HashMap;

use tandem_shared::address::Address;

/// Which number belongs to whom. A user may have several; the first one is used as sender.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    users: HashMap<String, Address>,
    numbers: HashMap<(String, String), String>,
}

impl Numbers {
    /// A table of numbers, normalised, with their users.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = (String, Address)>) -> Self {
        let mut table = Self::default();
        for (number, user) in rows {
            table
                .numbers
                .entry((user.user.clone(), user.host.clone()))
                .or_insert_with(|| number.clone());
            table.users.insert(number, user.account());
        }
        table
    }

    /// Whose number it is.
    #[must_use]
    pub fn user(&self, number: &str) -> Option<&Address> {
        self.users.get(number)
    }

    /// The number of a user.
    #[must_use]
    pub fn number(&self, user: &Address) -> Option<&str> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers
            .get(&(user.user.clone(), user.host.clone()))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_user_is_its_sender() {
        let juliet = Address::new("juliet", "example.com").unwrap();
        let rows = ["+15551", "+15552"].map(|number| (number.to_owned(), juliet.clone()));
        let numbers = Numbers::new(rows);
        assert_eq!(numbers.number(&juliet), Some("+15551"));
        assert_eq!(numbers.user("+15552"), Some(&juliet));
        assert_eq!(numbers.user("+15553"), None);
    }
}
