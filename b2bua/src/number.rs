//! The telephone numbers of XMPP users, both directions (the configuration's `[[number]]`).

use std::collections::HashMap;

use tandem_shared::address::Address;

pub mod plan;

pub use plan::{Format, Plan};

/// How users dial (the configuration's `[numbering]`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbering {
    /// The plan of those who have no other.
    pub plan: Plan,
    /// What hides the caller when it stands before a number: `*67`, `#31#`.
    pub hide: Vec<String>,
}

impl Numbering {
    /// Whether `user` begins with what hides the caller, and what is behind it.
    #[must_use]
    pub fn unhide<'a>(&self, user: &'a str) -> (bool, &'a str) {
        let mut hiding = self.hide.iter().filter(|prefix| !prefix.is_empty());
        let rest = hiding.find_map(|prefix| user.strip_prefix(prefix.as_str()));
        match rest.filter(|rest| !rest.is_empty()) {
            Some(rest) => (true, rest),
            None => (false, user),
        }
    }
}

/// Which number belongs to whom. A user may have several; the first one is used as sender.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    users: HashMap<String, Address>,
    /// Blocks of numbers, by what they begin with, the longest first.
    blocks: Vec<(String, Owner)>,
    lines: HashMap<(String, String), Line>,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number, normalised; behind a `*` whatever follows it.
    pub number: String,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it is kept from those who are called.
    pub hidden: bool,
    /// The code of the country whose plan the user dials by.
    pub country: Option<String>,
}

/// Whose a number or a block of numbers is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A user's.
    User(Address),
    /// Of the user at this host whose name is what follows the block's beginning, behind a prefix.
    Rest {
        /// What the name begins with.
        before: String,
        /// The host.
        host: String,
    },
}

/// What a user is to the telephone network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The number others see.
    pub number: Option<String>,
    /// Whether they do not see it.
    pub hidden: bool,
    /// The code of the country whose plan the user dials by.
    pub country: Option<String>,
}

impl Numbers {
    /// A table of single numbers.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = (String, Address)>) -> Self {
        Self::with_rows(rows.into_iter().map(|(number, user)| Row {
            number,
            owner: Owner::User(user),
            hidden: false,
            country: None,
        }))
    }

    /// A table of these rows.
    #[must_use]
    pub fn with_rows(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut table = Self::default();
        for row in rows {
            let block = row.number.strip_suffix('*').map(str::to_owned);
            if let Owner::User(user) = &row.owner {
                let number = block.is_none().then(|| row.number.clone());
                let key = (user.user.clone(), user.host.clone());
                let line = table.lines.entry(key).or_default();
                if line.number.is_none() {
                    line.number = number;
                    line.hidden = row.hidden;
                }
                line.country = line.country.take().or(row.country);
            }
            match (block, row.owner) {
                (Some(begin), owner) => table.blocks.push((begin, owner)),
                (None, Owner::User(user)) => {
                    table.users.insert(row.number, user.account());
                }
                (None, Owner::Rest { .. }) => {}
            }
        }
        let length = |(begin, _): &(String, Owner)| std::cmp::Reverse(begin.len());
        table.blocks.sort_by_key(length);
        table
    }

    /// Whose number it is.
    #[must_use]
    pub fn user(&self, number: &str) -> Option<Address> {
        if let Some(user) = self.users.get(number) {
            return Some(user.clone());
        }
        self.blocks.iter().find_map(|(begin, owner)| {
            let rest = number.strip_prefix(begin.as_str())?;
            match owner {
                Owner::User(user) => Some(user.account()),
                Owner::Rest { before, host } => Address::new(&format!("{before}{rest}"), host).ok(),
            }
        })
    }

    /// What a user is to the telephone network.
    #[must_use]
    pub fn line(&self, user: &Address) -> Option<&Line> {
        if self.lines.is_empty() {
            return None;
        }
        self.lines.get(&(user.user.clone(), user.host.clone()))
    }

    /// The number of a user.
    #[must_use]
    pub fn number(&self, user: &Address) -> Option<&str> {
        self.line(user)?.number.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn juliet() -> Address {
        Address::new("juliet", "example.com").unwrap()
    }

    #[test]
    fn the_first_number_of_a_user_is_its_sender() {
        let rows = ["+15551", "+15552"].map(|number| (number.to_owned(), juliet()));
        let numbers = Numbers::new(rows);
        assert_eq!(numbers.number(&juliet()), Some("+15551"));
        assert_eq!(numbers.user("+15552"), Some(juliet()));
        assert_eq!(numbers.user("+15553"), None);
    }

    #[test]
    fn blocks_belong_to_a_user_or_to_users_named_by_the_rest() {
        let row = |number: &str, owner| Row {
            number: number.into(),
            owner,
            hidden: true,
            country: Some("49".into()),
        };
        let rest = Owner::Rest {
            before: "u".into(),
            host: "example.com".into(),
        };
        let numbers = Numbers::with_rows([
            row("+1555*", Owner::User(juliet())),
            row("+15559*", rest),
            row("+1777", Owner::User(juliet())),
        ]);
        assert_eq!(numbers.user("+15551"), Some(juliet()));
        assert_eq!(numbers.user("+15559007").unwrap().user, "u007");
        assert_eq!(
            numbers.user("+15559"),
            Address::new("u", "example.com").ok()
        );
        assert_eq!(numbers.user("+1666"), None);
        let line = numbers.line(&juliet()).unwrap();
        assert_eq!(line.number.as_deref(), Some("+1777"));
        assert!(line.hidden && line.country.as_deref() == Some("49"));
    }
}
