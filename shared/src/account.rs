//! Users' own accounts at SIP providers: what is asked of them on the bus, and what is answered.
//!
//! Unlike calls and messages these are questions: who asks chooses an id and asks again when no
//! answer comes. Each question may be asked twice without harm.

use crate::address::Address;
use crate::newer::{self, Newer};
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A question about the accounts of a user, or the answer to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEvent {
    /// Chosen by who asks; the answer bears it too.
    pub id: String,
    /// Whose accounts.
    pub user: Address,
    /// What is asked or answered.
    #[serde(deserialize_with = "newer::read")]
    pub what: AccountWhat,
}

/// What is asked or answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", content = "of", rename_all = "kebab-case")]
pub enum AccountWhat {
    /// Which are there?
    Show,
    /// Keep this one; one of the same address is replaced.
    Set(Box<Account>),
    /// Forget the one of this address.
    Remove(String),
    /// Done; these are there now.
    Accounts(Vec<AccountState>),
    /// Not done.
    Refused(Refusal),
    /// Something a newer node knows.
    #[serde(other)]
    Unknown,
}

impl Newer for AccountWhat {
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// A user's login at a SIP provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its address: `sip:alice@provider.example`, or without `sip:`.
    pub address: String,
    /// The name it logs in by; that of the address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Its password.
    pub password: Password,
    /// `host` or `host:port` that its requests go to; the host of the address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`; as DNS says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// How numbers are written there: `+e164`, `e164` or `national`; `+e164` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_format: Option<String>,
    /// Whether its owner calls and writes by it, too.
    #[serde(default = "yes")]
    pub outgoing: bool,
}

impl Account {
    /// An account with nothing but what it must have.
    #[must_use]
    pub fn new(address: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            login: None,
            password: Password(password.into()),
            server: None,
            transport: None,
            number_format: None,
            outgoing: true,
        }
    }
}

/// A password on its way to where it is kept; it prints as `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// How an account is; without its password, which never comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// Its address, as `sip:alice@provider.example`.
    pub address: String,
    /// Whether its owner calls and writes by it.
    pub outgoing: bool,
    /// Seconds for which it is still registered; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<u64>,
    /// Why it is not registered, in the provider's own words; absent while it is being tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn questions_and_answers_survive_the_bus_and_passwords_do_not_show() {
        let user = Address::new("juliet", "example.com").unwrap();
        let account = Account::new("sip:alice@provider.example", "s3cret-word");
        let whats = [
            AccountWhat::Show,
            AccountWhat::Set(Box::new(account)),
            AccountWhat::Remove("sip:alice@provider.example".into()),
            AccountWhat::Accounts(vec![AccountState {
                address: "sip:alice@provider.example".into(),
                outgoing: true,
                registered: Some(60),
                problem: None,
            }]),
        ];
        for what in whats {
            let event = Event::Account(Box::new(AccountEvent {
                id: "q1".into(),
                user: user.clone(),
                what,
            }));
            assert!(!format!("{event:?}").contains("s3cret-word"));
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }

    #[test]
    fn what_a_newer_node_asks_is_no_error() {
        let text = r#"{"id":"q","user":{"user":"a","host":"b"},"what":{"what":"praise","of":[1]}}"#;
        let event: AccountEvent = serde_json::from_str(text).unwrap();
        assert_eq!(event.what, AccountWhat::Unknown);
    }
}
