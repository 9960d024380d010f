//! Offer and answer (RFC 3264) on both legs of a call, as pure functions.
//!
//! Each leg negotiates by itself, but is told what the other leg has: where both can meet on one
//! codec they do, and packets are relayed undecoded. A negotiation ends in what media needs to know
//! (a peer and a flow) and in the description we gave, from which the next one follows.

use serde::{Deserialize, Serialize};
use tandem_shared::call::EndReason;

pub mod encoding;
mod protection;
mod role;
pub mod sip;
pub mod xmpp;

pub use encoding::Encoding;

/// What a trunk allows on its SIP leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Codecs, best first.
    pub codecs: Vec<Encoding>,
    /// How packets are to be protected.
    pub srtp: Srtp,
    /// Whether a call may go on without protection.
    pub demand: Demand,
    /// Milliseconds of sound in a packet, where the other side has no wish.
    pub ptime: u16,
    /// How it hears pressed keys.
    pub keys: Keys,
    /// Whether what is to be heard before an answer connects the XMPP user.
    pub early_media: bool,
}

/// How pressed keys go to the SIP leg; whatever comes from there is heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    /// As telephone events where both sides have them, else by INFO.
    #[default]
    Auto,
    /// As telephone events (RFC 4733) or not at all.
    Rfc4733,
    /// By INFO; telephone events are neither offered nor taken.
    Info,
}

/// How we propose to protect packets. What the other side proposes is taken where we can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
    /// We propose nothing; a phone that insists on SRTP gets it.
    Off,
    /// With keys in the description (RFC 4568).
    Sdes,
    /// With keys by DTLS (RFC 5763).
    Dtls,
}

/// What becomes of a call whose other side does not protect packets; nothing to [`Srtp::Off`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Demand {
    /// It goes on: the offer is plain RTP with keys beside it (RFC 8643).
    Prefer,
    /// It is refused.
    Require,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            codecs: Encoding::ALL.to_vec(),
            srtp: Srtp::Off,
            demand: Demand::Prefer,
            ptime: PTIME,
            keys: Keys::Auto,
            early_media: true,
        }
    }
}

impl Policy {
    /// Whether a call without protection is refused.
    fn requires(&self) -> bool {
        self.srtp != Srtp::Off && self.demand == Demand::Require
    }
}

/// Why two descriptions make no call. An offer within a call is refused and changes nothing, but
/// [`NoAgreement::Audio`] there means that the other side gave up its only sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAgreement {
    /// There is no sound in it, or no longer.
    #[error("a call needs an audio stream")]
    Audio,
    /// No codec is known to both.
    #[error("no codec in common: offer opus, G.722, PCMA or PCMU")]
    Codec,
    /// Packets are not protected, or in no way that we know.
    #[error("no way to encrypt in common: offer a SHA-256 fingerprint or a known SRTP suite")]
    Security,
    /// There is no ICE, or RTCP has a port of its own, which the XMPP leg does not do.
    #[error("the stream needs ICE credentials and rtcp-mux")]
    Transport,
}

impl NoAgreement {
    /// How a call ends that fails by it.
    #[must_use]
    pub fn end(self) -> EndReason {
        match self {
            Self::Audio | Self::Codec | Self::Transport => EndReason::UnsupportedMedia,
            Self::Security => EndReason::Security,
        }
    }

    /// The code for the Warning beside a 488 (RFC 3261 §20.43); its text is `self`.
    #[must_use]
    pub fn warning(self) -> u16 {
        match self {
            Self::Audio => 304,
            Self::Codec => 305,
            Self::Transport => 302,
            Self::Security => 399,
        }
    }
}

/// Milliseconds of sound in a packet, if nobody has a wish.
const PTIME: u16 = 20;

/// What an answerer's wish becomes: the longest packet of a common length that it takes.
fn ptime(wish: Option<u16>, most: Option<u16>, usual: u16) -> u16 {
    let wish = wish.unwrap_or(usual).min(most.unwrap_or(u16::MAX));
    let fits = [60, 40, 30, 20].into_iter().find(|length| *length <= wish);
    fits.unwrap_or(10)
}

#[cfg(test)]
mod tests;
