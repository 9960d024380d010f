//! Names of nodes and sessions.

use crate::address::Address;
use crate::call::CallId;
use serde::{Deserialize, Serialize};

/// One running process on the bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub String);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::pii::printable(&self.0))
    }
}

/// What an envelope is about: a conversation, a call, a user, later a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub String);

impl SessionId {
    /// The session of the link itself.
    #[must_use]
    pub fn control() -> Self {
        Self("control".to_owned())
    }

    /// A call.
    #[must_use]
    pub fn call(id: &CallId) -> Self {
        Self(["c", &*id.0].concat())
    }

    /// What a user asks about itself.
    #[must_use]
    pub fn user(user: &Address) -> Self {
        let hash = crate::mint::hash(&[0; 16], &[user.user.as_bytes(), user.host.as_bytes()]);
        Self(["u", &*crate::mint::base32(hash)].concat())
    }

    /// The conversation of two accounts: the same for both directions, so that it stays on one
    /// node and in order.
    #[must_use]
    pub fn conversation(one: &Address, other: &Address) -> Self {
        let text = |address: &Address| [&*address.user, "@", &*address.host].concat();
        let (a, b) = (text(one), text(other));
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        let hash = crate::mint::hash(&[0; 16], &[a.as_bytes(), b.as_bytes()]);
        Self(["m", &*crate::mint::base32(hash)].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_the_same_from_both_ends() {
        let a = Address::new("juliet", "example.com").unwrap();
        let mut b = Address::new("+1555", "sip.example.com").unwrap();
        let there = SessionId::conversation(&a, &b);
        b.device = Some("phone".into());
        assert_eq!(there, SessionId::conversation(&b, &a));
    }
}
