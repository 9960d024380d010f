//! Identifiers for a core that may not draw random numbers itself.
//!
//! The shell seeds a [`Mint`] once from the operating system; every token after that is the
//! SipHash-2-4-128 of a counter under that seed, so a core stays deterministic under test and its
//! tokens stay unguessable in service.

use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

/// Makes unguessable, unique tokens from a secret seed.
#[derive(Clone)]
pub struct Mint {
    key: [u8; 16],
    drawn: u64,
}

impl Mint {
    /// A mint whose tokens follow from `seed`; two mints with one seed make the same tokens.
    #[must_use]
    pub fn new(seed: [u8; 16]) -> Self {
        Self {
            key: seed,
            drawn: 0,
        }
    }

    /// The next token: 26 characters of lower-case base 32, 128 bits, safe in a SIP token, a
    /// Call-ID, an XML attribute and a file name.
    pub fn token(&mut self) -> String {
        base32(self.number())
    }

    /// The next 128-bit number.
    pub fn number(&mut self) -> u128 {
        self.drawn += 1;
        hash(&self.key, &[&self.drawn.to_le_bytes()])
    }

    /// A token that follows from `parts` alone under this mint's seed: the same parts give the
    /// same token, in this process and, with a stored seed, in the next.
    #[must_use]
    pub fn derive(&self, parts: &[&[u8]]) -> String {
        base32(hash(&self.key, parts))
    }
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mint").finish_non_exhaustive()
    }
}

/// The keyed 128-bit hash of `parts`; each part's length is hashed too, so that moving a boundary
/// changes the result.
#[must_use]
pub fn hash(key: &[u8; 16], parts: &[&[u8]]) -> u128 {
    let mut hasher = SipHasher24::new_with_key(key);
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish128().as_u128()
}

/// Lower-case base 32 (RFC 4648 alphabet, no padding) of a 128-bit number.
#[must_use]
pub fn base32(mut number: u128) -> String {
    let mut text = [0; 26];
    for place in &mut text {
        let digit = (number & 31) as u8;
        *place = if digit < 26 {
            b'a' + digit
        } else {
            b'2' + digit - 26
        };
        number >>= 5;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_follow_from_the_seed() {
        let (mut a, mut b) = (Mint::new([7; 16]), Mint::new([7; 16]));
        let first = a.token();
        assert_eq!(first, b.token());
        assert_ne!(first, a.token());
        assert_eq!(first.len(), 26);
    }

    #[test]
    fn digits_are_those_of_rfc_4648_lowest_first() {
        assert_eq!(base32(0), "a".repeat(26));
        assert_eq!(
            base32(25 | 26 << 5 | 31 << 10),
            format!("z27{}", "a".repeat(23))
        );
        assert_eq!(base32(u128::MAX), format!("{}h", "7".repeat(25)));
    }

    #[test]
    fn a_moved_boundary_changes_the_hash() {
        let mint = Mint::new([1; 16]);
        assert_ne!(mint.derive(&[b"ab", b"c"]), mint.derive(&[b"a", b"bc"]));
    }
}
