//! Everything the bus can say.
//!
//! Events are facts about the sender's side; either side may send any of them. An event of a kind
//! this node does not know decodes as [`Event::Unknown`] and never ends a session.

use crate::account::AccountEvent;
use crate::call::CallEvent;
use crate::message::{Message, MessageId, Outcome};
use crate::refusal::Refusal;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message to deliver.
    Message(Box<Message>),
    /// How a message ended.
    MessageOutcome(MessageOutcome),
    /// A fact about a call.
    Call(Box<CallEvent>),
    /// A question about a user's own accounts, or its answer.
    Account(Box<AccountEvent>),
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

impl Event {
    fn unknown(kind: &str) -> Self {
        Self::Unknown(kind.chars().take(64).collect())
    }
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
            Self::Call(body) => {
                event.serialize_field("kind", "call")?;
                event.serialize_field("body", body)?;
            }
            Self::Account(body) => {
                event.serialize_field("kind", "account")?;
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
        deserializer.deserialize_map(Reading)
    }
}

/// Reads an event in one pass where `kind` stands before `body`, as this program writes it.
struct Reading;

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Kind,
    Body,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for Reading {
    type Value = Event;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event with kind and body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let mut kind: Option<Cow<'de, str>> = None;
        let mut event = None;
        let mut early: Option<&'de RawValue> = None;
        while let Some(field) = map.next_key()? {
            match (field, kind.as_deref()) {
                (Field::Kind, None) => kind = Some(map.next_value()?),
                (Field::Body, None) if early.is_none() => early = Some(map.next_value()?),
                (Field::Body, Some(kind)) if event.is_none() && early.is_none() => {
                    event = Some(match kind {
                        "message" => Event::Message(map.next_value()?),
                        "message-outcome" => Event::MessageOutcome(map.next_value()?),
                        "call" => Event::Call(map.next_value()?),
                        "account" => Event::Account(map.next_value()?),
                        "control" => Event::Control(map.next_value()?),
                        kind => {
                            map.next_value::<IgnoredAny>()?;
                            Event::unknown(kind)
                        }
                    });
                }
                (Field::Kind, Some(_)) => return Err(A::Error::duplicate_field("kind")),
                (Field::Body, _) => return Err(A::Error::duplicate_field("body")),
                (Field::Other, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let Some(event) = event {
            return Ok(event);
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        let body = early.ok_or_else(|| A::Error::missing_field("body"))?.get();
        match &*kind {
            "message" => serde_json::from_str(body).map(Event::Message),
            "message-outcome" => serde_json::from_str(body).map(Event::MessageOutcome),
            "call" => serde_json::from_str(body).map(Event::Call),
            "account" => serde_json::from_str(body).map(Event::Account),
            "control" => serde_json::from_str(body).map(Event::Control),
            kind => Ok(Event::unknown(kind)),
        }
        .map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_kind_and_body_does_not_matter() {
        let body = r#"{"id":"x"}"#;
        let first: Event = serde_json::from_str(&format!(
            r#"{{"kind":"message-outcome","new":[1],"body":{body}}}"#
        ))
        .unwrap();
        let last: Event =
            serde_json::from_str(&format!(r#"{{"body":{body},"kind":"message-outcome"}}"#))
                .unwrap();
        assert_eq!(first, last);
        assert_eq!(
            first,
            Event::MessageOutcome(MessageOutcome::new(MessageId("x".into()), Ok(())))
        );
    }

    #[test]
    fn an_unknown_kind_is_an_event_whatever_its_body() {
        for text in [
            r#"{"kind":"sneeze","body":{"loud":true}}"#,
            r#"{"body":7,"kind":"sneeze"}"#,
        ] {
            let event: Event = serde_json::from_str(text).unwrap();
            assert_eq!(event, Event::Unknown("sneeze".into()));
        }
    }

    #[test]
    fn what_is_missing_or_doubled_is_an_error() {
        for text in [
            r#"{"kind":"control"}"#,
            r#"{"body":{"what":"heartbeat"}}"#,
            r#"{"kind":"control","kind":"control","body":{"what":"heartbeat"}}"#,
            r#"{"kind":"control","body":{"what":"heartbeat"},"body":{}}"#,
            r#"{"kind":"message","body":{}}"#,
            r#"[]"#,
        ] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }
}
