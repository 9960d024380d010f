//! Opening the stream and proving that we know the secret (XEP-0114 §3).

use crate::xml;
use sha1::{Digest, Sha1};

/// The opening tag for the component `domain`.
#[must_use]
pub fn opening(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='{}'>",
        xml::COMPONENT,
        xml::STREAM,
        escape_attribute(domain)
    )
}

/// The proof for a stream whose id is `id`: SHA-1 of id and secret in lower-case hexadecimal.
#[must_use]
pub fn proof(id: &str, secret: &str) -> String {
    use std::fmt::Write;
    let digest = Sha1::new()
        .chain_update(id.as_bytes())
        .chain_update(secret.as_bytes())
        .finalize();
    let mut hex = String::with_capacity(40);
    for byte in digest {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The element that carries the proof.
#[must_use]
pub fn element(id: &str, secret: &str) -> String {
    format!("<handshake>{}</handshake>", proof(id, secret))
}

fn escape_attribute(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_one_servers_expect() {
        assert_eq!(
            proof("3BF96D32", "s3cret"),
            "a984b871214a298f0f743fcd25f99b10838ba12b"
        );
    }
}
