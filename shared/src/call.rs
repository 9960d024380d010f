//! Calls: what the two legs tell each other about themselves.
//!
//! Every event is a fact about the sender's leg. Media toward the XMPP leg ends in the b2bua, so the
//! component carries that leg's descriptions both ways and decides nothing about them.
//!
//! From XMPP: `Offer`, then from the SIP side `Ringing`, `Ready` (somebody answered, or there is
//! something to hear already), and now the XMPP leg `Describe`s itself and gets its answer. From SIP:
//! `Offer`, `Ringing`, `Ready` (a device takes the call and wants a description), a `Describe` with
//! an offer, and the device's answer, which is what answers the call. Either side ends it with `End`.

use crate::address::Address;
use crate::media::{Description, Media, Trickle};
use crate::mint::Mint;
use crate::newer::{self, Newer};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Names a call on the bus: a version 4 UUID of the side where it began (RFC 9562).
///
/// It never comes off the wire: two users may both propose a call with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub String);

impl CallId {
    /// A new one.
    #[must_use]
    pub fn mint(mint: &mut Mint) -> Self {
        let mut bytes = mint.number().to_be_bytes();
        let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::pii::printable(&self.0))
    }
}

/// One fact about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// Which call.
    pub call: CallId,
    /// The fact.
    #[serde(deserialize_with = "newer::read")]
    pub fact: Fact,
}

/// What happened on the sender's leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", content = "of", rename_all = "kebab-case")]
pub enum Fact {
    /// A party calls.
    Offer(Box<Offer>),
    /// The called party is being told: a device rings.
    Ringing,
    /// The leg wants to exchange descriptions now. From XMPP: this device took the call, or needs a
    /// description to ring at all. From SIP: answered, or early media is there to be heard.
    Ready(Ready),
    /// A description of the XMPP leg: from the component what the device said, from the b2bua what
    /// it is told.
    Describe(Box<Describe>),
    /// Candidates of the XMPP leg found later, either way.
    Trickle(Trickle),
    /// The other party holds the call, or no longer does.
    Hold(bool),
    /// A key was pressed.
    Dtmf(Dtmf),
    /// The call is over, or never came about.
    End(End),
    /// Something a newer node knows.
    #[serde(other)]
    Unknown,
}

/// The beginning of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Who calls, with the device where it is known.
    pub from: Address,
    /// Who is called.
    pub to: Address,
    /// The caller's name as it may be shown; one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the call is to carry.
    pub media: Vec<Media>,
    /// The XMPP leg's offer, where the caller began with one (XEP-0166 without XEP-0353).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// How many more gateways it may pass (RFC 3261 §8.1.1.6).
    pub hops: u8,
}

/// A leg that wants to exchange descriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether the party has answered; otherwise it is early.
    pub answered: bool,
    /// The device, where one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Address>,
}

/// One half of an exchange of descriptions (RFC 3264).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// Offer, answer, or the refusal of an offer that leaves the call as it was.
    pub role: Role,
    /// The description; empty in a refusal.
    #[serde(default)]
    pub description: Description,
}

/// What a description is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An offer: the first, or a change.
    Offer,
    /// The answer to the offer before it.
    Answer,
    /// The offer before it is not taken; what was agreed holds.
    Refusal,
}

/// A pressed key (RFC 4733 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtmf {
    /// One of `0`-`9`, `*`, `#`, `A`-`D`.
    pub key: char,
    /// How long it was held, in milliseconds.
    pub milliseconds: u16,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// Words for a person, cleaned and cut as [`crate::refusal::Refusal::with_text`] does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The SIP status the far side gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl End {
    /// An end for `reason` and nothing more.
    #[must_use]
    pub fn new(reason: EndReason) -> Self {
        Self {
            reason,
            text: None,
            status: None,
        }
    }

    /// The same end with words for a person.
    #[must_use]
    pub fn with_text(mut self, text: impl AsRef<str>) -> Self {
        use crate::refusal::{Reason, Refusal};
        self.text = Refusal::new(Reason::Unknown).with_text(text).text;
        self
    }

    /// The same end with the SIP status it came from.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

/// Why a call ended: the reasons of XEP-0166 §7.4 and what SIP tells apart beyond them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Somebody hung up after an answer.
    Success,
    /// The called party is in another call.
    Busy,
    /// The called party does not want it.
    Declined,
    /// The caller gave up.
    Cancelled,
    /// Another device took it; not a missed call.
    AnsweredElsewhere,
    /// Nobody answered in time.
    NoAnswer,
    /// No device can be reached now.
    Unreachable,
    /// There is no such party, or its number is incomplete.
    NotFound,
    /// The call is not allowed.
    Forbidden,
    /// A number that reaches emergency services; never carried.
    Emergency,
    /// The legs have no codec or no kind of media in common.
    UnsupportedMedia,
    /// Encryption is missing, or a certificate is not the announced one.
    Security,
    /// The media path could not be made, or went silent.
    Connectivity,
    /// Too many calls, or the gateway is full.
    ResourceConstraint,
    /// What was sent cannot be understood.
    BadRequest,
    /// The call ran in a circle.
    Looped,
    /// Another call of the same parties took its place.
    Replaced,
    /// Something failed.
    Failed,
    /// A reason that a newer node knows.
    #[serde(other)]
    Unknown,
}

impl Newer for Fact {
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_4_uuid() {
        let mut mint = Mint::new([5; 16]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let CallId(id) = CallId::mint(&mut mint);
            let groups: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12]);
            assert_eq!(id.as_bytes()[14], b'4');
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn facts_keep_their_spelling() {
        let facts = [
            (Fact::Ringing, r#"{"what":"ringing"}"#),
            (Fact::Hold(true), r#"{"what":"hold","of":true}"#),
            (
                Fact::End(End::new(EndReason::AnsweredElsewhere)),
                r#"{"what":"end","of":{"reason":"answered-elsewhere"}}"#,
            ),
        ];
        for (fact, text) in facts {
            assert_eq!(serde_json::to_string(&fact).unwrap(), text);
            assert_eq!(serde_json::from_str::<Fact>(text).unwrap(), fact);
        }
    }

    #[test]
    fn a_fact_of_a_newer_node_still_decodes() {
        for text in [
            r#"{"call":"c","fact":{"what":"sneeze"}}"#,
            r#"{"call":"c","fact":{"what":"sneeze","of":{"loud":[1]}}}"#,
        ] {
            let event: CallEvent = serde_json::from_str(text).unwrap();
            assert_eq!(event.fact, Fact::Unknown);
        }
    }
}
