//! How accounts of users lie in the database: sealed with the key of the configuration, so that the
//! file alone is worth nothing (XChaCha20-Poly1305).

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tandem_shared::account::Account;
use tandem_shared::address::Address;

/// Seals and opens.
pub(in crate::shell) struct Sealer(XChaCha20Poly1305);

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) user: Address,
    pub(super) account: Account,
}

impl Sealer {
    /// For the key of the configuration: any text that nobody guesses.
    pub(in crate::shell) fn new(key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(PURPOSE);
        hash.update(key.as_bytes());
        let key: [u8; 32] = hash.finalize().into();
        Self(XChaCha20Poly1305::new(&Key::from(key)))
    }

    /// Seals `contents` for the row `id`, and for no other.
    pub(super) fn seal(&self, id: &[u8], contents: &Contents) -> anyhow::Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        let plain = serde_json::to_vec(contents)?;
        let payload = Payload {
            msg: &plain,
            aad: id,
        };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| anyhow::anyhow!("an account cannot be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for the row `id`; nothing when it was sealed with another key, for
    /// another row, or changed.
    pub(super) fn open(&self, id: &[u8], sealed: &[u8]) -> Option<Contents> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: sealed,
            aad: id,
        };
        let plain = self.0.decrypt(&XNonce::from(*nonce), payload).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

const PURPOSE: &[u8] = b"tandem accounts 1:";
const NONCE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_and_the_row_open_it() {
        let contents = Contents {
            user: Address::new("juliet", "example.com").unwrap(),
            account: Account::new("sip:alice@provider.example", "s3cret-word"),
        };
        let sealer = Sealer::new("a key of the configuration, long enough");
        let sealed = sealer.seal(b"row", &contents).unwrap();
        let again = sealer.seal(b"row", &contents).unwrap();
        assert_ne!(sealed, again, "a nonce was used twice");
        for text in ["s3cret-word", "alice", "juliet"] {
            let found = sealed.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(!found, "{text} can be read");
        }
        let opened = sealer.open(b"row", &sealed).unwrap();
        assert_eq!(opened.account, contents.account);
        assert_eq!(opened.user, contents.user);
        assert!(sealer.open(b"other row", &sealed).is_none());
        assert!(Sealer::new("another key").open(b"row", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(b"row", &changed).is_none());
            assert!(sealer.open(b"row", &sealed[..at]).is_none());
        }
    }
}
