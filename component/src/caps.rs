//! What presence says about who sends it (XEP-0115 §6.1).
//!
//! The verification string is computed from what [`disco`] answers, so it verifies
//! whatever is advertised.

use crate::disco::{self, Entity};
use crate::stanza::set;
use crate::xml;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;

/// Names this program, not this version of it: the string beside it says that.
pub const NODE: &str = "urn:tandem:gateway";

/// The `<c/>` of available presence.
#[must_use]
pub fn element(entity: Entity) -> Element {
    let mut caps = Element::bare("c", xml::CAPS);
    set(&mut caps, "hash", "sha-1");
    set(&mut caps, "node", NODE);
    set(&mut caps, "ver", &ver(entity));
    caps
}

/// The answer to a `disco#info` query for `node`, if presence ever named it (XEP-0030 §3.2).
///
/// A contact's account answers for its resource too: some ask the address they talk to.
#[must_use]
pub fn answer(entity: Entity, node: &str) -> Option<Element> {
    let asked = node.strip_prefix(NODE)?.strip_prefix('#')?;
    let shown = match entity {
        Entity::Gateway => Entity::Gateway,
        Entity::Account | Entity::Device => Entity::Device,
    };
    (asked == ver(shown)).then(|| {
        let mut info = disco::info(shown);
        set(&mut info, "node", node);
        info
    })
}

fn ver(entity: Entity) -> String {
    verification(disco::identities(entity), disco::features(entity))
}

/// The verification string (XEP-0115 §5) of identities without a language.
fn verification(identities: &[(&str, &str, &str)], features: &[&str]) -> String {
    let identities: BTreeSet<String> = identities
        .iter()
        .map(|(category, kind, name)| format!("{category}/{kind}//{name}<"))
        .collect();
    // Sorted before the separator is put behind: it sorts after some characters of a name.
    let features: BTreeSet<&str> = features.iter().copied().collect();
    let mut hash = Sha1::new();
    for identity in identities {
        hash.update(identity);
    }
    for feature in features {
        hash.update(feature);
        hash.update("<");
    }
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_verify() {
        // The simple example of XEP-0115, and one of specs 13.
        let exodus = [
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
            "http://jabber.org/protocol/caps",
        ];
        let client = [("client", "pc", "Exodus 0.9.1")];
        assert_eq!(
            verification(&client, &exodus),
            "QgayPKawpkPSDYmwT/WM94uAlu0="
        );
        let phone = [
            xml::CAPS,
            xml::DISCO_INFO,
            xml::VERSION,
            xml::OOB,
            xml::RFC_5576,
            xml::RFC_5888,
            xml::JINGLE_MESSAGE,
            xml::JINGLE,
            xml::DTLS,
            xml::RTP,
            xml::RTP_AUDIO,
            xml::RTCP_FB,
            xml::HDREXT,
            xml::SSMA,
            xml::ICE_UDP,
            xml::PING,
            xml::RECEIPTS,
            "vcard-temp",
        ];
        let client = [("client", "phone", "SIP gateway")];
        assert_eq!(
            verification(&client, &phone),
            "N2hkm+9dbRfL1nlALLp7M1O8AxA="
        );
    }

    /// Hashes an answer as a peer does: from the XML alone.
    fn as_a_peer(info: &Element) -> String {
        let mut identities = Vec::new();
        let mut features = Vec::new();
        for child in info.children() {
            let attr = |name| child.attr(name).unwrap_or_default();
            match child.name() {
                "identity" => identities.push((attr("category"), attr("type"), attr("name"))),
                _ => features.push(attr("var")),
            }
        }
        verification(&identities, &features)
    }

    #[test]
    fn what_presence_says_is_what_disco_answers() {
        for (entity, asked) in [
            (Entity::Gateway, Entity::Gateway),
            (Entity::Device, Entity::Device),
            (Entity::Device, Entity::Account),
        ] {
            let said = element(entity);
            let ver = said.attr("ver").unwrap();
            let node = format!("{NODE}#{ver}");
            let info = answer(asked, &node).unwrap();
            assert_eq!(info.attr("node"), Some(&*node));
            assert_eq!(as_a_peer(&info), ver);
            assert_eq!(as_a_peer(&disco::info(entity)), ver);
        }
        assert_ne!(ver(Entity::Gateway), ver(Entity::Device));
    }

    #[test]
    fn other_nodes_do_not_exist() {
        let gateway = format!("{NODE}#{}", ver(Entity::Gateway));
        assert!(answer(Entity::Device, &gateway).is_none());
        for node in [NODE, "urn:tandem:gateway#", "x#y", ""] {
            assert!(answer(Entity::Gateway, node).is_none(), "{node}");
        }
    }

    #[test]
    fn callers_may_trickle_and_nothing_unbuilt_is_promised() {
        let features = disco::features(Entity::Device);
        for never in ["urn:ietf:rfc:3264", "urn:xmpp:jingle:apps:rtp:video"] {
            assert!(!features.contains(&never));
        }
        for must in [
            xml::JINGLE,
            xml::ICE_UDP,
            xml::RTP,
            xml::RTP_AUDIO,
            xml::DTLS,
            xml::JINGLE_MESSAGE,
        ] {
            assert!(features.contains(&must));
        }
    }
}
