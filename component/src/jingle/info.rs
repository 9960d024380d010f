//! What a `session-info` tells (XEP-0167 §8, XEP-0181 §2).

use super::number;
use crate::xml;
use minidom::Element;
use tandem_shared::call::Dtmf;

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// Nothing: a ping.
    Nothing,
    /// A device rings.
    Ringing,
    /// The session goes on.
    Active,
    /// The other party holds the call.
    Hold,
    /// No longer.
    Unhold,
    /// The other party is silent for now, or no longer; nobody on the SIP side can be told.
    Mute,
    /// A key.
    Dtmf(Dtmf),
    /// Something we do not know.
    Unknown,
}

impl Info {
    pub(super) fn read(element: &Element) -> Self {
        if element.is("dtmf", xml::DTMF) {
            return read_key(element).map_or(Self::Unknown, Self::Dtmf);
        }
        if !element.has_ns(xml::RTP_INFO) {
            return Self::Unknown;
        }
        match element.name() {
            "ringing" => Self::Ringing,
            "active" => Self::Active,
            "hold" => Self::Hold,
            "unhold" => Self::Unhold,
            "mute" | "unmute" => Self::Mute,
            _ => Self::Unknown,
        }
    }

    pub(super) fn write(&self) -> Option<Element> {
        let name = match self {
            Self::Ringing => "ringing",
            Self::Active => "active",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            // Never ours to say.
            Self::Nothing | Self::Mute | Self::Dtmf(_) | Self::Unknown => return None,
        };
        Some(Element::bare(name, xml::RTP_INFO))
    }
}

fn read_key(element: &Element) -> Option<Dtmf> {
    let mut code = element.attr("code")?.chars();
    let (key, None) = (code.next()?.to_ascii_uppercase(), code.next()) else {
        return None;
    };
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then(|| Dtmf {
        key,
        milliseconds: number(element, "duration").unwrap_or(100),
    })
}
