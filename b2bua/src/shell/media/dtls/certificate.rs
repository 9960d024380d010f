//! This process's certificate, one for both versions of DTLS, and the comparison of others'.

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::crypto_provider::providers::RingProvider;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{thirteen, twelve};
use crate::media::Fingerprint;

/// A new one at each start, with a key on P-256.
#[derive(Clone)]
pub(in crate::shell::media) struct Certificate {
    pub(super) active: Arc<HandshakeConfig>,
    pub(super) passive: Arc<HandshakeConfig>,
    pub(super) thirteen: Arc<thirteen::Settings>,
    /// Its digest as descriptions tell it.
    pub(in crate::shell::media) fingerprint: Fingerprint,
}

impl Certificate {
    pub(in crate::shell::media) fn generate() -> anyhow::Result<Self> {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(RingProvider::new());
        let names = vec!["tandem".to_owned()];
        let own = rtc_dtls::crypto::Certificate::generate_self_signed(names, provider.crypto())?;
        let der = own.certificate.first().map(AsRef::<[u8]>::as_ref);
        let der = der.context("no certificate was made")?.to_vec();
        let fingerprint = Fingerprint {
            hash: "sha-256".to_owned(),
            value: colons(&Sha256::digest(&der)),
        };
        let key = key_of(&own.serialize_pem()?).context("the certificate has no key")?;
        let config = twelve::config(provider, own);
        Ok(Self {
            active: Arc::new(config.clone().build(true, None)?),
            passive: Arc::new(config.build(false, None)?),
            thirteen: Arc::new(thirteen::Settings::new(der, key)?),
            fingerprint,
        })
    }
}

/// The private key in a file of PEM.
fn key_of(pem: &str) -> Option<Vec<u8>> {
    let mut lines = pem.lines().skip_while(|line| !line.contains("PRIVATE"));
    lines.next()?;
    let body: String = lines.take_while(|line| !line.starts_with("---")).collect();
    STANDARD.decode(body.trim()).ok()
}

/// Whether a certificate is the announced one (RFC 8122).
pub(super) fn matches(expected: &Fingerprint, certificate: &[u8]) -> bool {
    let digest = match expected.hash.to_ascii_lowercase().as_str() {
        "sha-256" => colons(&Sha256::digest(certificate)),
        "sha-384" => colons(&Sha384::digest(certificate)),
        "sha-512" => colons(&Sha512::digest(certificate)),
        _ => return false,
    };
    digest.eq_ignore_ascii_case(&expected.value)
}

fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The SHA-256 of a certificate, as descriptions tell it.
    pub(in crate::shell::media::dtls) fn digest(certificate: &[u8]) -> String {
        colons(&Sha256::digest(certificate))
    }

    #[test]
    fn digests_are_compared_by_their_own_hash() {
        let certificate = b"certificate";
        let fingerprint = |hash: &str, value: String| Fingerprint {
            hash: hash.into(),
            value,
        };
        let longer = colons(&Sha384::digest(certificate));
        assert!(matches(
            &fingerprint("SHA-384", longer.to_lowercase()),
            certificate
        ));
        assert!(!matches(&fingerprint("sha-256", longer), certificate));
        assert!(!matches(&fingerprint("md5", String::new()), certificate));
    }
}
