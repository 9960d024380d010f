//! What a plain-text phone is told of the things only XMPP has (specs 2.9).
//!
//! Corrections, retractions and reactions become a line a person understands; a reply keeps its
//! quoted text, which is its only context; something encrypted is refused, because its body is a
//! placeholder and the SIP side has no end-to-end encryption.

use crate::xml;
use minidom::Element;
use tandem_shared::refusal::{Reason, Refusal};

/// The text to send for `stanza`, or nothing when it holds nothing for a person to read.
///
/// # Errors
/// `not-acceptable` for something encrypted.
pub fn readable(stanza: &Element) -> Result<Option<String>, Refusal> {
    if xml::ENCRYPTED
        .iter()
        .any(|(name, namespace)| stanza.has_child(name, *namespace))
    {
        return Err(Refusal::new(Reason::NotAcceptable).with_text(
            "Encrypted messages cannot reach a phone or SIP address. Turn encryption off for this contact.",
        ));
    }
    if let Some(text) = reaction(stanza) {
        return Ok(Some(text));
    }
    if is_retraction(stanza) {
        return Ok(Some("(An earlier message was withdrawn.)".to_owned()));
    }
    let Some(text) = body(stanza).or_else(|| link(stanza)) else {
        return Ok(None);
    };
    let corrected = stanza.has_child("replace", xml::CORRECT);
    Ok(Some(if corrected { format!("* {text}") } else { text }))
}

/// The body in the stanza's own language, else the one without a language, else the first
/// (RFC 6121 §5.2.3).
fn body(stanza: &Element) -> Option<String> {
    let own = crate::stanza::lang(stanza);
    let bodies = || {
        stanza
            .children()
            .filter(|child| child.is("body", xml::COMPONENT))
    };
    let body = bodies()
        .find(|body| own.is_some() && crate::stanza::lang(body) == own)
        .or_else(|| bodies().find(|body| crate::stanza::lang(body).is_none()))
        .or_else(|| bodies().next())?;
    Some(body.text()).filter(|text| !text.trim().is_empty())
}

/// A file's address, for clients that send no body beside it (XEP-0066 §3).
fn link(stanza: &Element) -> Option<String> {
    let url = stanza
        .get_child("x", xml::OOB)?
        .get_child("url", xml::OOB)?;
    Some(url.text()).filter(|text| !text.trim().is_empty())
}

/// XEP-0444.
fn reaction(stanza: &Element) -> Option<String> {
    let reactions = stanza.get_child("reactions", xml::REACTIONS)?;
    let emojis: Vec<String> = reactions
        .children()
        .filter(|child| child.is("reaction", xml::REACTIONS))
        .map(Element::text)
        .map(|text| text.chars().take(16).collect())
        .take(8)
        .collect();
    Some(if emojis.is_empty() {
        "(A reaction was taken back.)".to_owned()
    } else {
        format!("(Reacted with {})", emojis.join(" "))
    })
}

/// XEP-0424, also in the older form inside XEP-0422.
fn is_retraction(stanza: &Element) -> bool {
    let retracts = |element: &Element| {
        xml::RETRACT
            .iter()
            .any(|namespace| element.has_child("retract", *namespace))
    };
    retracts(stanza)
        || stanza
            .get_child("apply-to", xml::FASTEN)
            .is_some_and(retracts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Result<Option<String>, Refusal> {
        let text =
            format!("<message xmlns='jabber:component:accept' xml:lang='de'>{inside}</message>");
        readable(&text.parse().unwrap())
    }

    fn text(inside: &str) -> String {
        read(inside).unwrap().unwrap()
    }

    #[test]
    fn the_body_of_the_stanzas_language_wins() {
        assert_eq!(text("<body>x</body><body xml:lang='de'>y</body>"), "y");
        assert_eq!(text("<body xml:lang='fr'>x</body><body>y</body>"), "y");
        assert_eq!(
            text("<body xml:lang='fr'>x</body><body xml:lang='it'>y</body>"),
            "x"
        );
    }

    #[test]
    fn corrections_are_marked() {
        assert_eq!(
            text("<body>now</body><replace xmlns='urn:xmpp:message-correct:0' id='1'/>"),
            "* now"
        );
    }

    #[test]
    fn retractions_are_told_and_their_fallback_is_not() {
        for retract in [
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
            "<apply-to xmlns='urn:xmpp:fasten:0' id='1'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
        ] {
            let told = text(&format!("{retract}<body>/me retracted a message</body>"));
            assert_eq!(told, "(An earlier message was withdrawn.)");
        }
    }

    #[test]
    fn reactions_are_told() {
        let reactions = |inside| {
            text(&format!(
                "<reactions xmlns='urn:xmpp:reactions:0' id='1'>{inside}</reactions><body>x</body>"
            ))
        };
        assert_eq!(
            reactions("<reaction>👍</reaction><reaction>🎉</reaction>"),
            "(Reacted with 👍 🎉)"
        );
        assert_eq!(reactions(""), "(A reaction was taken back.)");
    }

    #[test]
    fn a_reply_keeps_its_quotation() {
        let reply = "<body>&gt; before\nafter</body><reply xmlns='urn:xmpp:reply:0' id='1'/>\
            <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='9'/></fallback>";
        assert_eq!(text(reply), "> before\nafter");
    }

    #[test]
    fn something_encrypted_is_refused() {
        let omemo = "<encrypted xmlns='eu.siacs.conversations.axolotl'/><body>I sent you an OMEMO encrypted message</body>";
        assert_eq!(read(omemo).unwrap_err().reason, Reason::NotAcceptable);
    }

    #[test]
    fn a_file_without_a_body_is_its_address() {
        assert_eq!(
            text("<x xmlns='jabber:x:oob'><url>https://example.com/a.jpg</url></x>"),
            "https://example.com/a.jpg"
        );
    }

    #[test]
    fn nothing_to_read_is_nothing() {
        for inside in [
            "",
            "<body/>",
            "<body> \n</body>",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<subject>only</subject>",
            "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></received>",
        ] {
            assert_eq!(read(inside), Ok(None), "{inside}");
        }
    }
}
