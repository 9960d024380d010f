//! Everything the bus can say.
//!
//! Events are facts about the sender's side; either side may send any of them. An event of a kind
//! this node does not know decodes as [`Event::Unknown`] and never ends a session.

use crate::message::{Message, MessageId, Outcome};
use crate::refusal::Refusal;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message to deliver.
    Message(Box<Message>),
    /// How a message ended.
    MessageOutcome(MessageOutcome),
    /// The life of the two nodes themselves.
    Control(Control),
    /// A kind of event that a newer node knows.
    Unknown(String),
}

/// How the message `id` ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MessageOutcome {
    /// Which message.
    pub id: MessageId,
    /// Absent when it was handed over for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

impl MessageOutcome {
    /// The outcome of `id`.
    #[must_use]
    pub fn new(id: MessageId, outcome: Outcome) -> Self {
        Self {
            id,
            refusal: outcome.err(),
        }
    }
}

/// What nodes tell each other about themselves.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Control {
    /// The first event on every link.
    Hello(Hello),
    /// Still here.
    Heartbeat,
    /// Leaving in order; what is open stays with the sender.
    Goodbye,
    /// Something a newer node knows.
    #[serde(other)]
    Unknown,
}

/// Who is at the other end, and whether both ends agree.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hello {
    /// Said because the other end greeted; such a greeting is not answered again.
    #[serde(default)]
    pub answer: bool,
    /// Envelope versions the sender speaks.
    pub versions: Vec<u16>,
    /// A digest for each key of `[mapping]`; both ends must agree on all of them.
    pub mapping: BTreeMap<String, String>,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("Event", 2)?;
        match self {
            Self::Message(body) => {
                event.serialize_field("kind", "message")?;
                event.serialize_field("body", body)?;
            }
            Self::MessageOutcome(body) => {
                event.serialize_field("kind", "message-outcome")?;
                event.serialize_field("body", body)?;
            }
            Self::Control(body) => {
                event.serialize_field("kind", "control")?;
                event.serialize_field("body", body)?;
            }
            Self::Unknown(kind) => {
                event.serialize_field("kind", kind)?;
                event.serialize_field("body", &())?;
            }
        }
        event.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            kind: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            body: &'a RawValue,
        }
        let raw = Raw::deserialize(deserializer)?;
        let body = raw.body.get();
        match raw.kind.as_ref() {
            "message" => serde_json::from_str(body).map(Self::Message),
            "message-outcome" => serde_json::from_str(body).map(Self::MessageOutcome),
            "control" => serde_json::from_str(body).map(Self::Control),
            kind => Ok(Self::Unknown(kind.chars().take(64).collect())),
        }
        .map_err(D::Error::custom)
    }
}
