//! Instant messages between the two protocols.

use crate::address::Address;
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Names a message for as long as anybody may ask about it.
///
/// It never comes raw off the wire: two users may both send a stanza with the id `1`. Messages of
/// XMPP origin get a minted one, those of SIP origin the keyed hash of what makes a request a
/// repeat (source, Call-ID, CSeq, From tag, body).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub String);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::pii::printable(&self.0))
    }
}

/// A message's place in its conversation, given by the process that accepted it.
///
/// The SIP side derives Call-ID, CSeq and From tag from it and from the conversation alone, so a
/// message that is sent again after a restart is the same request (RFC 3261 §8.1.1.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordinal {
    /// Which run of the accepting process numbered it.
    pub epoch: u64,
    /// 1 for the first message of the conversation in that run, then one more for each.
    pub number: u32,
}

/// One instant message (RFC 7572).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// Who sent it.
    pub from: Address,
    /// Whom it is for.
    pub to: Address,
    /// Plain text, lines separated by LF.
    pub body: String,
    /// Subject, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Language of body and subject (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// The XMPP thread, or the Call-ID of a SIP conversation that is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The id it had on the wire it came from, for replies and corrections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_id: Option<String>,
    /// The earlier message from the same party that it takes the place of (XEP-0308).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<MessageId>,
    /// When it was sent, in milliseconds since 1970 (UTC), if it was delayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<i64>,
    /// How many more gateways it may pass (RFC 3261 §8.1.1.6).
    pub hops: u8,
    /// Its place in its conversation.
    #[serde(default)]
    pub ordinal: Ordinal,
}

impl Message {
    /// Hops a fresh message starts with (RFC 3261 §8.1.1.6).
    pub const HOPS: u8 = 70;
}

/// How a message ended: handed over for good, or refused.
pub type Outcome = Result<(), Refusal>;
