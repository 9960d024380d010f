//! Why a session ends (XEP-0166 §7.4), and what that means to SIP (specs 6.5).

use crate::stanza::{set_lang, text_element};
use crate::xml;
use minidom::Element;
use tandem_shared::call::{End, EndReason};

/// The longest text that is read, in characters.
const TEXT_MAX: usize = 200;

/// A `<reason/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The condition's name, as it was read or as XEP-0166 spells it.
    pub condition: String,
    /// Words for a person.
    pub text: Option<String>,
}

impl Reason {
    /// A reason without words.
    #[must_use]
    pub fn new(condition: &str) -> Self {
        Self {
            condition: condition.to_owned(),
            text: None,
        }
    }

    /// The reason a person is shown for `end`.
    #[must_use]
    pub fn from_end(end: &End) -> Self {
        let (condition, words) = shown(end.reason);
        let mut text = end.text.clone().unwrap_or_else(|| words.to_owned());
        if let Some(status) = end.status {
            text = format!("{text} (SIP {status})").trim_start().to_owned();
        }
        Self {
            condition: condition.to_owned(),
            text: (!text.is_empty()).then_some(text),
        }
    }

    /// What a party means by it before anybody answered.
    #[must_use]
    pub fn before_answer(&self) -> EndReason {
        match self.condition.as_str() {
            "busy" => EndReason::Busy,
            "decline" => EndReason::Declined,
            "cancel" => EndReason::Cancelled,
            "timeout" | "expired" => EndReason::NoAnswer,
            "gone" | "success" => EndReason::Unreachable,
            "alternative-session" => EndReason::Replaced,
            _ => self.fault(),
        }
    }

    /// What a party means by it in a call that was answered.
    #[must_use]
    pub fn after_answer(&self) -> EndReason {
        match self.condition.as_str() {
            "success" | "cancel" | "decline" | "busy" | "gone" => EndReason::Success,
            "timeout" | "expired" => EndReason::Connectivity,
            "alternative-session" => EndReason::Replaced,
            _ => self.fault(),
        }
    }

    fn fault(&self) -> EndReason {
        match self.condition.as_str() {
            "connectivity-error" | "failed-transport" => EndReason::Connectivity,
            "failed-application"
            | "incompatible-parameters"
            | "unsupported-applications"
            | "unsupported-transports"
            | "media-error" => EndReason::UnsupportedMedia,
            "security-error" => EndReason::Security,
            _ => EndReason::Failed,
        }
    }

    /// Reads a `<reason/>`; its first child that is not a text is the condition.
    #[must_use]
    pub fn read(element: &Element) -> Self {
        let known = |child: &&Element| child.has_ns(xml::JINGLE) && child.name() != "text";
        let condition = element.children().find(known);
        let text = element.get_child("text", xml::JINGLE).map(Element::text);
        let text: Option<String> = text.map(|text| {
            let printable = text.chars().filter(|c| !c.is_control());
            printable.take(TEXT_MAX).collect()
        });
        Self {
            condition: condition.map_or_else(String::new, |child| child.name().to_owned()),
            text: text.filter(|text| !text.is_empty()),
        }
    }

    /// The element.
    #[must_use]
    pub fn write(&self) -> Element {
        let mut element = Element::bare("reason", xml::JINGLE);
        if !self.condition.is_empty() {
            element.append_child(Element::bare(&*self.condition, xml::JINGLE));
        }
        if let Some(text) = &self.text {
            let mut text = text_element("text", xml::JINGLE, text);
            set_lang(&mut text, "en");
            element.append_child(text);
        }
        element
    }
}

/// The condition that makes clients show the right thing, and words where SIP has none (specs 6.5:
/// a client shows "declined" for `decline` and `busy`, and a fault of the network for what it does
/// not know).
fn shown(reason: EndReason) -> (&'static str, &'static str) {
    match reason {
        EndReason::Success => ("success", ""),
        EndReason::Busy => ("busy", "The other party is in a call."),
        EndReason::Declined => ("decline", "The call was declined."),
        EndReason::Cancelled => ("cancel", "The call was cancelled."),
        EndReason::AnsweredElsewhere => ("success", "The call was answered elsewhere."),
        EndReason::NoAnswer => ("timeout", "Nobody answered."),
        EndReason::Unreachable => ("timeout", "The other party cannot be reached now."),
        EndReason::NotFound => ("gone", "This number or address does not exist."),
        EndReason::Forbidden => ("decline", "This call is not allowed."),
        EndReason::Emergency => (
            "decline",
            "Emergency calls are not possible here. Use a telephone.",
        ),
        EndReason::UnsupportedMedia => (
            "incompatible-parameters",
            "The two sides have no kind of sound in common.",
        ),
        EndReason::Security => ("security-error", "The call could not be encrypted."),
        EndReason::Connectivity => ("connectivity-error", "There is no connection for sound."),
        EndReason::ResourceConstraint => (
            "general-error",
            "There are too many calls now. Try again later.",
        ),
        EndReason::BadRequest => (
            "general-error",
            "The other side did not understand the call.",
        ),
        EndReason::Looped => ("general-error", "The call ran in a circle."),
        EndReason::Replaced => ("expired", "Another call took the place of this one."),
        EndReason::Failed | EndReason::Unknown => ("general-error", "The call failed."),
    }
}
