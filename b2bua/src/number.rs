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

/// Which number belongs to whom. A user may have several, and the first that may be is used as sender; a
/// number may be several users'.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    users: HashMap<String, Vec<Address>>,
    /// Blocks of numbers, by what they begin with, the longest first.
    blocks: Vec<(String, Owner)>,
    lines: HashMap<(String, String), Line>,
}

/// One row of the table: a number and one of those whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number, normalised; behind a `*` whatever follows it.
    pub number: String,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it is kept from those who are called.
    pub hidden: bool,
    /// Whether the user may be known by it to those who are called.
    pub outgoing: bool,
    /// What its user dials before a number to be known by it; empty for nothing.
    pub select: String,
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
    /// How many numbers reach the user.
    pub count: usize,
    /// What the user dials before a number to be known by another one than usual, and that one.
    pub choices: Vec<(String, String)>,
    /// The numbers and blocks the user may be known by, and whether each is hidden.
    pub shown: Vec<(String, bool)>,
}

impl Line {
    /// The number the user wants to be known by, where `dialled` begins with what chooses it, and what
    /// is behind it.
    #[must_use]
    pub fn choose<'a>(&self, dialled: &'a str) -> (Option<&str>, &'a str) {
        let chosen = self.choices.iter().find_map(|(before, number)| {
            let rest = dialled.strip_prefix(before.as_str())?;
            (!rest.is_empty()).then_some((number.as_str(), rest))
        });
        match chosen {
            Some((number, rest)) => (Some(number), rest),
            None => (None, dialled),
        }
    }

    /// Whether `number` is hidden; nothing when the user may not be known by it.
    fn hides(&self, number: &str) -> Option<bool> {
        let fits = |(known, _): &&(String, bool)| match known.strip_suffix('*') {
            Some(begin) => number.starts_with(begin),
            None => known == number,
        };
        let longest = self.shown.iter().filter(fits);
        let longest = longest.max_by_key(|(known, _)| known.len());
        longest.map(|(_, hidden)| *hidden)
    }
}

impl Numbers {
    /// A table of single numbers.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = (String, Address)>) -> Self {
        Self::with_rows(rows.into_iter().map(|(number, user)| Row {
            number,
            owner: Owner::User(user),
            hidden: false,
            outgoing: true,
            select: String::new(),
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
                if row.outgoing {
                    line.shown.push((row.number.clone(), row.hidden));
                }
                if row.outgoing && line.number.is_none() {
                    line.number = number;
                    line.hidden = row.hidden;
                }
                line.country = line.country.take().or(row.country);
                line.count += 1;
                if !row.select.is_empty() && block.is_none() {
                    line.choices.push((row.select, row.number.clone()));
                    // "2*" must not take what begins with "2*1*".
                    let length = |(before, _): &(String, String)| std::cmp::Reverse(before.len());
                    line.choices.sort_by_key(length);
                }
            }
            match (block, row.owner) {
                (Some(begin), owner) => table.blocks.push((begin, owner)),
                (None, Owner::User(user)) => {
                    let users = table.users.entry(row.number).or_default();
                    add(users, user.account());
                }
                (None, Owner::Rest { .. }) => {}
            }
        }
        let length = |(begin, _): &(String, Owner)| std::cmp::Reverse(begin.len());
        table.blocks.sort_by_key(length);
        table
    }

    /// Whose number it is: all of them in the order of the table, nobody when it is nobody's.
    #[must_use]
    pub fn users(&self, number: &str) -> Vec<Address> {
        if let Some(users) = self.users.get(number) {
            return users.clone();
        }
        let (mut found, mut longest) = (Vec::new(), 0);
        for (begin, owner) in &self.blocks {
            if begin.len() < longest {
                break;
            }
            let Some(rest) = number.strip_prefix(begin.as_str()) else {
                continue;
            };
            let user = match owner {
                Owner::User(user) => Some(user.account()),
                Owner::Rest { before, host } => Address::new(&format!("{before}{rest}"), host).ok(),
            };
            if let Some(user) = user {
                longest = begin.len();
                add(&mut found, user);
            }
        }
        found
    }

    /// What a user is to the telephone network.
    #[must_use]
    pub fn line(&self, user: &Address) -> Option<&Line> {
        if self.lines.is_empty() {
            return None;
        }
        self.lines.get(&(user.user.clone(), user.host.clone()))
    }

    /// Whether a user may be known by this number.
    #[must_use]
    pub fn may_show(&self, user: &Address, number: &str) -> bool {
        let line = self.line(user);
        let may = line.and_then(|line| line.hides(number)).is_some();
        may && self.users(number).contains(&user.account())
    }

    /// Whether those who are called do not see the number of a user, the `chosen` one where there is one.
    #[must_use]
    pub fn hides(&self, user: &Address, chosen: Option<&str>) -> bool {
        let hides = |line: &Line| {
            let chosen = chosen.and_then(|number| line.hides(number));
            chosen.unwrap_or(line.hidden)
        };
        self.line(user).is_some_and(hides)
    }

    /// The number of a user.
    #[must_use]
    pub fn number(&self, user: &Address) -> Option<&str> {
        self.line(user)?.number.as_deref()
    }
}

/// Adds a user who is not there yet.
fn add(users: &mut Vec<Address>, user: Address) {
    if !users.contains(&user) {
        users.push(user);
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
        assert_eq!(numbers.users("+15552"), [juliet()]);
        assert_eq!(numbers.users("+15553"), []);
    }

    #[test]
    fn a_number_is_chosen_by_what_stands_before_what_is_dialled() {
        let row = |number: &str, select: &str| Row {
            number: number.into(),
            owner: Owner::User(juliet()),
            hidden: false,
            outgoing: true,
            select: select.into(),
            country: None,
        };
        let numbers = Numbers::with_rows([
            row("+15551", ""),
            row("+15552", "*2"),
            row("+15553", "*2*1"),
        ]);
        let line = numbers.line(&juliet()).unwrap();
        assert_eq!(line.choose("+4930"), (None, "+4930"));
        assert_eq!(line.choose("*2+4930"), (Some("+15552"), "+4930"));
        assert_eq!(line.choose("*2*1+4930"), (Some("+15553"), "+4930"));
        assert_eq!(line.choose("*2"), (None, "*2"));
        assert_eq!(line.count, 3);
    }

    #[test]
    fn blocks_belong_to_a_user_or_to_users_named_by_the_rest() {
        let row = |number: &str, owner| Row {
            number: number.into(),
            owner,
            hidden: true,
            outgoing: true,
            select: String::new(),
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
        let users = |number: &str| -> Vec<String> {
            let users = numbers.users(number).into_iter();
            users.map(|user| user.user).collect()
        };
        assert_eq!(users("+15551"), ["juliet"]);
        assert_eq!(users("+15559007"), ["u007"]);
        assert_eq!(users("+15559"), ["u"]);
        assert_eq!(users("+1666"), [""; 0]);
        let line = numbers.line(&juliet()).unwrap();
        assert_eq!(line.number.as_deref(), Some("+1777"));
        assert!(line.hidden && line.country.as_deref() == Some("49"));
    }

    #[test]
    fn a_number_may_be_several_users_and_the_sender_of_those_who_may_use_it() {
        let romeo = || Address::new("romeo", "example.com").unwrap();
        let row = |number: &str, user, outgoing| Row {
            number: number.into(),
            owner: Owner::User(user),
            hidden: true,
            outgoing,
            select: String::new(),
            country: None,
        };
        let numbers = Numbers::with_rows([
            row("+1555", juliet(), false),
            row("+1555", romeo(), true),
            row("+1555", romeo(), true),
            row("+1777", juliet(), true),
            row("+18*", juliet(), true),
            row("+18*", romeo(), true),
            row("+1*", romeo(), true),
        ]);
        assert_eq!(numbers.users("+1555"), [juliet(), romeo()]);
        assert_eq!(numbers.users("+1812"), [juliet(), romeo()]);
        assert_eq!(numbers.users("+1912"), [romeo()]);
        assert_eq!(numbers.number(&juliet()), Some("+1777"));
        assert_eq!(numbers.number(&romeo()), Some("+1555"));
    }
}
