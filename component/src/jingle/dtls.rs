//! Certificate and role of a DTLS endpoint (XEP-0320 §2).

use crate::stanza::set;
use crate::xml;
use minidom::Element;
use tandem_shared::media::{Dtls, Setup};

/// The longest digest: that of SHA-512, in pairs with colons.
const DIGEST_MAX: usize = 64 * 3 - 1;
/// Hashes that are strong enough, best first: the first one is what the other side of the bus checks.
const HASHES: [&str; 3] = ["sha-256", "sha-384", "sha-512"];

/// A `<fingerprint/>`, or nothing when it is none. Without a role either may begin.
pub(super) fn read(element: &Element) -> Option<Dtls> {
    let hash = element.attr("hash")?.to_ascii_lowercase();
    let fingerprint = element.text().trim().to_ascii_uppercase();
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_digest = fingerprint.len() <= DIGEST_MAX && fingerprint.split(':').all(is_pair);
    (super::is_token(&hash, 16) && is_digest).then(|| Dtls {
        hash,
        fingerprint,
        setup: match element.attr("setup") {
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            Some("holdconn") => Setup::Holdconn,
            _ => Setup::Actpass,
        },
    })
}

/// The one of two by which a certificate is rather recognised: clients may announce it under several
/// hashes, in any order (RFC 8122). Of equal ones the first.
pub(super) fn better(known: Option<Dtls>, other: Option<Dtls>) -> Option<Dtls> {
    let rank = |dtls: &Dtls| HASHES.iter().position(|hash| *hash == dtls.hash);
    let rank = |dtls: &Option<Dtls>| dtls.as_ref().map(|dtls| rank(dtls).unwrap_or(HASHES.len()));
    match (rank(&known), rank(&other)) {
        (Some(known), Some(new)) if new < known => other,
        (None, _) => other,
        (Some(_), _) => known,
    }
}

pub(super) fn write(dtls: &Dtls) -> Element {
    let mut element = Element::bare("fingerprint", xml::DTLS);
    let setup = match dtls.setup {
        Setup::Active => "active",
        Setup::Passive => "passive",
        Setup::Actpass => "actpass",
        Setup::Holdconn => "holdconn",
    };
    set(&mut element, "hash", &dtls.hash);
    set(&mut element, "setup", setup);
    element.append_text(xml::clean(&dtls.fingerprint));
    element
}
