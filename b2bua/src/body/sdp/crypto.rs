//! `a=crypto` (RFC 4568): an SRTP key inside the description.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::text;
use crate::media::Key;

/// The suites that are known, with the length of key and salt together.
pub const SUITES: [(&str, usize); 3] = [
    ("AES_CM_128_HMAC_SHA1_80", 30),
    ("AES_CM_128_HMAC_SHA1_32", 30),
    ("AEAD_AES_128_GCM", 28),
];

/// One `a=crypto` attribute; the key is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Names it within its stream; an answer repeats it.
    pub tag: u32,
    /// The suite.
    pub suite: String,
    /// Key, lifetime, MKI and session parameters, as written.
    parameters: String,
}

impl Crypto {
    /// The attribute that announces `key`.
    #[must_use]
    pub fn of(tag: u32, key: &Key) -> Self {
        Self {
            tag,
            suite: key.suite.clone(),
            parameters: format!("inline:{}", BASE64.encode(&key.bytes)),
        }
    }

    /// The key, if it can be used: one key of a known suite, without MKI and without session
    /// parameters, which would all have to be honoured.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let known = |(name, _): &&(&str, usize)| name.eq_ignore_ascii_case(&self.suite);
        let (suite, length) = SUITES.iter().find(known)?;
        let inline = self.parameters.get(..7)?;
        if !inline.eq_ignore_ascii_case("inline:") {
            return None;
        }
        let mut parts = self.parameters.get(7..)?.split('|');
        let bytes = BASE64.decode(parts.next()?).ok()?;
        // The lifetime may stay: no call reaches it. What has a colon is an MKI.
        let plain = parts.all(|part| !part.contains([':', ';', ' ']));
        (plain && bytes.len() == *length).then(|| Key {
            suite: (*suite).to_owned(),
            bytes,
        })
    }

    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = words
            .next()
            .filter(|suite| text::is_token(suite))?
            .to_owned();
        let words: Vec<_> = words.collect();
        let parameters = words.join(" ");
        (!words.is_empty() && is_printable(&parameters)).then_some(Self {
            tag,
            suite,
            parameters,
        })
    }

    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if text::is_token(&self.suite) && is_printable(&self.parameters) {
            write!(
                f,
                "a=crypto:{} {} {}\r\n",
                self.tag, self.suite, self.parameters
            )?;
        }
        Ok(())
    }
}

fn is_printable(parameters: &str) -> bool {
    parameters.len() <= 512 && parameters.split(' ').all(text::is_visible)
}

/// Phones leave the padding out as often as not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {}, ..)", self.tag, self.suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn a_key_is_taken_with_or_without_a_lifetime_and_padding() {
        let gcm = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw";
        for (text, length) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), 30),
            (format!("1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^31"), 30),
            (
                format!("9 aes_cm_128_hmac_sha1_80  INLINE:{KEY}|2147483648"),
                30,
            ),
            (format!("1 AEAD_AES_128_GCM inline:{gcm}=="), 28),
            (format!("1 AEAD_AES_128_GCM inline:{gcm}"), 28),
        ] {
            let key = Crypto::parse(&text).and_then(|crypto| crypto.key());
            assert_eq!(key.map(|key| key.bytes.len()), Some(length), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_gives_no_key() {
        for text in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} -VENDOR"),
            format!("1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 AEAD_AES_128_GCM inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:!!".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 äääääää".to_owned(),
        ] {
            assert_eq!(Crypto::parse(&text).and_then(|c| c.key()), None, "{text}");
        }
    }

    #[test]
    fn an_announced_key_is_read_back_and_not_shown() {
        let key = Key {
            suite: "AEAD_AES_128_GCM".into(),
            bytes: (0..28).collect(),
        };
        let crypto = Crypto::of(3, &key);
        assert_eq!(crypto.key(), Some(key));
        assert_eq!(format!("{crypto:?}"), "Crypto(3 AEAD_AES_128_GCM, ..)");
    }
}
