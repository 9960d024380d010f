//! What the gateway and its contacts say they are (XEP-0030 §3; specs 9.3).
//!
//! Only what is built is advertised.

use crate::stanza::set;
use crate::xml;
use minidom::Element;

/// Who is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// The gateway's own domain.
    Gateway,
    /// A contact, without a resource.
    Account,
    /// A contact's resource.
    Device,
}

/// The answer to a `disco#info` query.
#[must_use]
pub fn info(entity: Entity) -> Element {
    let mut query = Element::bare("query", xml::DISCO_INFO);
    for (category, kind, name) in identities(entity) {
        let mut identity = Element::bare("identity", xml::DISCO_INFO);
        set(&mut identity, "category", category);
        set(&mut identity, "type", kind);
        set(&mut identity, "name", name);
        query.append_child(identity);
    }
    for feature in features(entity) {
        let mut element = Element::bare("feature", xml::DISCO_INFO);
        set(&mut element, "var", feature);
        query.append_child(element);
    }
    query
}

/// The answer to a `disco#items` query: nothing is below the gateway yet.
#[must_use]
pub fn items() -> Element {
    Element::bare("query", xml::DISCO_ITEMS)
}

/// Category, type and name of each identity.
#[must_use]
pub fn identities(entity: Entity) -> &'static [(&'static str, &'static str, &'static str)] {
    match entity {
        Entity::Gateway => &[
            ("gateway", "sip", "SIP gateway"),
            ("gateway", "pstn", "SIP gateway"),
            ("gateway", "sms", "SIP gateway"),
        ],
        Entity::Account => &[
            ("account", "registered", "SIP contact"),
            ("client", "phone", "SIP contact"),
        ],
        Entity::Device => &[("client", "phone", "SIP contact")],
    }
}

/// Each feature.
///
/// `urn:ietf:rfc:3264` is not among them: it would make callers collect all their candidates
/// before they offer, and the gateway takes them as they come (specs 6.8).
#[must_use]
pub fn features(entity: Entity) -> &'static [&'static str] {
    match entity {
        Entity::Gateway => &[
            xml::CAPS,
            xml::DISCO_INFO,
            xml::DISCO_ITEMS,
            xml::LAST,
            xml::VERSION,
            xml::JID_ESCAPING,
            xml::PING,
            xml::TIME,
        ],
        Entity::Account | Entity::Device => &[
            xml::CAPS,
            xml::DISCO_INFO,
            xml::LAST,
            xml::VERSION,
            xml::PING,
            xml::JINGLE,
            xml::JINGLE_MESSAGE,
            xml::RTP,
            xml::RTP_AUDIO,
            xml::ICE_UDP,
            xml::DTLS,
            xml::DTMF,
            xml::RTCP_FB,
            xml::HDREXT,
            xml::SSMA,
            xml::RFC_5576,
            xml::RFC_5888,
        ],
    }
}
