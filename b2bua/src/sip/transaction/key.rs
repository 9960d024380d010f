//! Which transaction a request or response belongs to (RFC 3261 §17.1.3, §17.2.3).
//!
//! Keys are 128-bit keyed hashes: of fixed size, and not to be steered by a peer.

use std::hash::{BuildHasherDefault, Hasher};

use tandem_shared::mint;

use crate::sip::header::Name;
use crate::sip::message::Request;
use crate::sip::method::Method;
use crate::sip::via::{MAGIC_COOKIE, Via};

/// The key of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

/// Makes keys under one secret.
#[derive(Clone)]
pub struct Keys([u8; 16]);

impl Keys {
    /// Keys under this secret.
    pub fn new(secret: u128) -> Self {
        Self(secret.to_le_bytes())
    }

    /// The key of an incoming request, as if it had this method: ACK and CANCEL look for others.
    pub fn server(&self, request: &Request, via: &Via, method: &Method) -> Key {
        let sent_by = via.sent_by.to_string();
        let branch = via.branch().unwrap_or_default();
        if branch.starts_with(MAGIC_COOKIE) {
            let parts = [
                &b"s"[..],
                branch.as_bytes(),
                sent_by.as_bytes(),
                method.as_str().as_bytes(),
            ];
            return self.hash(&parts);
        }
        // RFC 2543 peers: the branch promises nothing, so everything else has to match.
        let uri = request.uri.to_string();
        let cseq = request.cseq().map_or(0, |cseq| cseq.number).to_le_bytes();
        self.hash(&[
            b"o",
            uri.as_bytes(),
            request
                .headers
                .get(Name::From)
                .unwrap_or_default()
                .as_bytes(),
            request.headers.get(Name::To).unwrap_or_default().as_bytes(),
            request.call_id().as_bytes(),
            &cseq,
            via.to_string().as_bytes(),
            method.as_str().as_bytes(),
        ])
    }

    /// What two copies of one request have in common that came by different ways
    /// (RFC 3261 §8.2.2.2).
    pub fn merge(&self, request: &Request, from_tag: &str) -> Key {
        self.hash(&[
            b"m",
            from_tag.as_bytes(),
            request.call_id().as_bytes(),
            request
                .headers
                .get(Name::CSeq)
                .unwrap_or_default()
                .as_bytes(),
        ])
    }

    /// The key of a request of ours.
    pub fn client(&self, branch: &str, method: &Method) -> Key {
        self.hash(&[b"c", branch.as_bytes(), method.as_str().as_bytes()])
    }

    /// The To tag of our answers to the transaction `key`: the same for every copy of a request.
    pub fn tag(&self, key: Key) -> String {
        let Key(number) = self.hash(&[b"t", &key.0.to_le_bytes()]);
        shortened(number, TAG_LEN)
    }

    /// A short mark of a Request-URI, to tell a loop from a spiral.
    pub fn uri_mark(&self, uri: &[u8]) -> String {
        let Key(number) = self.hash(&[b"u", uri]);
        shortened(number, MARK_LEN)
    }

    fn hash(&self, parts: &[&[u8]]) -> Key {
        Key(mint::hash(&self.0, parts))
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

fn shortened(number: u128, length: usize) -> String {
    let mut text = mint::base32(number);
    text.truncate(length);
    text
}

/// Tables keyed by hashes need no second hash.
pub type ByKey = BuildHasherDefault<Truncate>;

/// Takes the low half of a key as its hash.
#[derive(Debug, Default)]
pub struct Truncate(u64);

impl Hasher for Truncate {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    /// Numbers that were counted, not drawn: spread over all bits.
    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
    }
}

/// 80 bits.
const TAG_LEN: usize = 16;
/// Characters of a URI mark: 40 bits.
pub const MARK_LEN: usize = 8;
