//! Parties, and the two ways of writing them (RFC 7247 §6).
//!
//! An [`Address`] is unescaped and belongs to neither protocol. [`mapping`] says which JIDs stand
//! for which SIP parties; [`escape`] is the codec of JID localparts (XEP-0106), [`uri`] that of SIP
//! user parts. Both live here, in one crate, because only their composition can be checked:
//! JID to address to SIP to address to JID is the identity.

pub mod escape;
pub mod mapping;
pub mod number;
pub mod uri;

use crate::refusal::{Reason, Refusal};
use serde::{Deserialize, Serialize};

pub use mapping::Mapping;

/// One party, in neither protocol's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Who, unescaped: `juliet`, `+15551234567`, `o'malley`.
    pub user: String,
    /// Where: a domain in lower case and Unicode, or an IP address (IPv6 in brackets).
    pub host: String,
    /// Which device: an XMPP resource or the value of a SIP `gr` parameter (RFC 7247 §6.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl Address {
    /// Longest `user`, in bytes: what a JID localpart can hold (RFC 7622 §3.3).
    pub const USER_MAX: usize = 1023;

    /// An address without a device.
    ///
    /// # Errors
    /// `jid-malformed` when either part is empty, too long or holds control characters, or the
    /// host is neither a domain nor an IP address.
    pub fn new(user: &str, host: &str) -> Result<Self, Refusal> {
        if user.is_empty() || user.len() > Self::USER_MAX || user.chars().any(char::is_control) {
            return Err(Refusal::new(Reason::JidMalformed)
                .with_text("The user part of the address is empty, too long or not printable."));
        }
        Ok(Self {
            user: user.to_owned(),
            host: host_from_text(host)?,
            device: None,
        })
    }

    /// The same party without its device.
    #[must_use]
    pub fn account(&self) -> Self {
        Self {
            user: self.user.clone(),
            host: self.host.clone(),
            device: None,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (user, host) = (&self.user, &self.host);
        write!(f, "{}@{}", crate::pii::printable(user), host)
    }
}

/// The host of an address as [`Address::host`] keeps it: A-labels become Unicode, case is folded,
/// an IPv6 address is bracketed (RFC 7247 §6.4; RFC 5891 §5).
///
/// # Errors
/// `jid-malformed` when `text` is neither a domain nor an IP address.
pub fn host_from_text(text: &str) -> Result<String, Refusal> {
    let malformed = || {
        Refusal::new(Reason::JidMalformed)
            .with_text("The host part of the address is neither a domain nor an IP address.")
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    if is_plain(bare) {
        return Ok(bare.to_owned());
    }
    let unbracketed = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(v6) = unbracketed {
        let ip: std::net::Ipv6Addr = v6.parse().map_err(|_| malformed())?;
        return Ok(format!("[{ip}]"));
    }
    if let Ok(ip) = bare.parse::<std::net::IpAddr>() {
        return Ok(match ip {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        });
    }
    let ascii = host_to_ascii(bare)?;
    let (unicode, result) = idna::domain_to_unicode(&ascii);
    result.map_err(|_| malformed())?;
    Ok(unicode)
}

/// The host as DNS and SIP write it: A-labels, lower case (RFC 5891 §5).
///
/// # Errors
/// `jid-malformed` when `host` is not a domain of letters, digits and hyphens in that form.
pub fn host_to_ascii(host: &str) -> Result<String, Refusal> {
    if is_plain(host) {
        return Ok(host.to_owned());
    }
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let v6 = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    if bracketed.is_some_and(v6) || host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(host.to_owned());
    }
    let plain = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    idna::domain_to_ascii(host)
        .ok()
        .filter(|ascii| ascii.len() <= 253 && ascii.split('.').all(plain))
        .ok_or_else(|| {
            Refusal::new(Reason::JidMalformed).with_text("The domain in the address is not valid.")
        })
}

/// Whether `host` is a domain that is the same in every form, as nearly all are: lower-case letters,
/// digits and hyphens, no A-label, and a last label that cannot be part of an IP address.
fn is_plain(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.starts_with("xn--")
            && label
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    host.len() <= 253
        && host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()))
        && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
