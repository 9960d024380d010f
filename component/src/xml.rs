//! Namespaces, and text that is safe inside XML.

/// The default namespace of a component stream (XEP-0114 §3).
pub const COMPONENT: &str = "jabber:component:accept";
/// Stream elements (RFC 6120 §4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions (RFC 6120 §4.9).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions (RFC 6120 §8.3).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// The `xml:` prefix.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// XEP-0030.
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// XEP-0030.
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// XEP-0106 §6.
pub const JID_ESCAPING: &str = r"jid\20escaping";
/// XEP-0012.
pub const LAST: &str = "jabber:iq:last";
/// XEP-0092.
pub const VERSION: &str = "jabber:iq:version";
/// XEP-0199.
pub const PING: &str = "urn:xmpp:ping";
/// XEP-0202.
pub const TIME: &str = "urn:xmpp:time";
/// XEP-0203.
pub const DELAY: &str = "urn:xmpp:delay";
/// XEP-0066.
pub const OOB: &str = "jabber:x:oob";
/// XEP-0308.
pub const CORRECT: &str = "urn:xmpp:message-correct:0";
/// XEP-0334.
pub const HINTS: &str = "urn:xmpp:hints";
/// XEP-0359.
pub const SID: &str = "urn:xmpp:sid:0";
/// XEP-0424, newest first.
pub const RETRACT: [&str; 2] = ["urn:xmpp:message-retract:1", "urn:xmpp:message-retract:0"];
/// XEP-0422, which older retractions are wrapped in.
pub const FASTEN: &str = "urn:xmpp:fasten:0";
/// XEP-0444.
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
/// Elements whose presence means that the body is a placeholder for something encrypted: OMEMO
/// (XEP-0384), OpenPGP (XEP-0373), legacy OpenPGP (XEP-0027), and the hint of XEP-0380.
pub const ENCRYPTED: [(&str, &str); 5] = [
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
    ("encryption", "urn:xmpp:eme:0"),
];

/// `text` with every character that XML 1.0 cannot carry replaced by U+FFFD (XML 1.0 §2.2).
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if legal(c) { c } else { '\u{fffd}' })
        .collect()
}

fn legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_xml_can_carry_is_left() {
        assert_eq!(
            clean("a\u{0}b\u{1b}c\u{ffff}\td\né"),
            "a\u{fffd}b\u{fffd}c\u{fffd}\td\né"
        );
    }
}
