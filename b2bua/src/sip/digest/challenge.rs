//! One challenge (RFC 7616 §3.3), read with bounds.
//!
//! Quoted strings are unescaped; a control character anywhere makes the challenge unreadable.

use super::Denied;
use crate::sip::grammar;

/// What a peer wants to see hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whom the credential is for.
    pub realm: Box<str>,
    /// What has to go into the hash.
    pub nonce: Box<str>,
    /// What has to be sent back as it is.
    pub opaque: Option<Box<str>>,
    /// The last nonce was only too old.
    pub stale: bool,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether the algorithm is a `-sess` one.
    pub session: bool,
    /// What of a request the hash is to cover.
    pub protection: Protection,
}

/// What of a request the hash covers (RFC 7616 §3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Nothing is said of it: the peer speaks RFC 2069 (MD5 only).
    Legacy,
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: the body as well. A middlebox that rewrites SDP breaks it, so it is taken only
    /// where nothing else is offered.
    AuthInt,
}

/// The hashes we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, the default.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512Of256,
}

impl Algorithm {
    /// Its name in a challenge.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512Of256 => "SHA-512-256",
        }
    }
}

impl Challenge {
    /// Reads the value of one `WWW-Authenticate` or `Proxy-Authenticate`.
    ///
    /// # Errors
    /// [`Denied::Unreadable`] or [`Denied::Unsupported`].
    pub fn parse(text: &str) -> Result<Self, Denied> {
        if text.len() > MAX_LEN || text.contains(grammar::is_forbidden) {
            return Err(Denied::Unreadable);
        }
        let (scheme, rest) = grammar::trim(text)
            .split_once([' ', '\t'])
            .ok_or(Denied::Unreadable)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(Denied::Unsupported);
        }
        let field = |name: &str| find(rest, name);
        let (algorithm, session) = read_algorithm(field("algorithm").as_deref().unwrap_or("MD5"))?;
        let qop = field("qop");
        let offers = |wanted: &str| {
            qop.as_deref().is_some_and(|list| {
                list.split(',')
                    .any(|item| grammar::trim(item).eq_ignore_ascii_case(wanted))
            })
        };
        let protection = match (offers("auth"), offers("auth-int")) {
            (true, _) => Protection::Auth,
            (false, true) => Protection::AuthInt,
            // RFC 8760 §2.6: the new algorithms need a quality of protection; only old peers lack one.
            (false, false) if qop.is_none() && algorithm == Algorithm::Md5 && !session => {
                Protection::Legacy
            }
            (false, false) => return Err(Denied::Unsupported),
        };
        Ok(Self {
            realm: field("realm").ok_or(Denied::Unreadable)?,
            nonce: field("nonce")
                .filter(|nonce| !nonce.is_empty())
                .ok_or(Denied::Unreadable)?,
            opaque: field("opaque"),
            stale: field("stale").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            algorithm,
            session,
            protection,
        })
    }
}

/// An algorithm, and whether it is a `-sess` one.
pub(super) fn read_algorithm(name: &str) -> Result<(Algorithm, bool), Denied> {
    let upper = name.to_ascii_uppercase();
    let (base, session) = match upper.strip_suffix("-SESS") {
        Some(base) => (base, true),
        None => (upper.as_str(), false),
    };
    match base {
        "MD5" => Ok((Algorithm::Md5, session)),
        "SHA-256" => Ok((Algorithm::Sha256, session)),
        "SHA-512-256" => Ok((Algorithm::Sha512Of256, session)),
        _ => Err(Denied::Unsupported),
    }
}

/// The value of a field, unquoted.
pub(super) fn find(text: &str, name: &str) -> Option<Box<str>> {
    grammar::split_list(text).take(MAX_FIELDS).find_map(|item| {
        let (known, value) = item.split_once('=')?;
        if !grammar::trim(known).eq_ignore_ascii_case(name) {
            return None;
        }
        let value = grammar::trim(value);
        match value.strip_prefix('"') {
            Some(rest) => rest
                .strip_suffix('"')
                .map(|inside| grammar::unquote(inside).into()),
            None => Some(value.into()),
        }
    })
}

/// Longest challenge read, in bytes.
const MAX_LEN: usize = 4096;
/// Most parameters looked at.
const MAX_FIELDS: usize = 32;
/// Most challenges of one response looked at.
pub const MAX_CHALLENGES: usize = 16;
