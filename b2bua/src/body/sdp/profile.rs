//! How a stream is carried: the third word of an `m=` line.

use std::fmt;

/// A transport profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// Plain RTP; with keys it is opportunistic (RFC 8643 §3).
    Avp,
    /// The same with early feedback (RFC 4585).
    Avpf,
    /// SRTP, keys in the description (RFC 3711, RFC 4568) or by DTLS.
    Savp,
    /// The same with early feedback (RFC 5124).
    Savpf,
    /// SRTP with keys by DTLS (RFC 5764 §8).
    DtlsSavp,
    /// The same with early feedback.
    DtlsSavpf,
    /// Not RTP over UDP.
    Other(String),
}

impl Profile {
    pub(super) fn parse(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "RTP/AVP" => Self::Avp,
            "RTP/AVPF" => Self::Avpf,
            "RTP/SAVP" => Self::Savp,
            "RTP/SAVPF" => Self::Savpf,
            "UDP/TLS/RTP/SAVP" => Self::DtlsSavp,
            "UDP/TLS/RTP/SAVPF" => Self::DtlsSavpf,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
            Self::DtlsSavp => "UDP/TLS/RTP/SAVP",
            Self::DtlsSavpf => "UDP/TLS/RTP/SAVPF",
            Self::Other(name) => name,
        }
    }

    /// Whether it is RTP over UDP.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether it demands protected packets.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        match self {
            Self::Savp | Self::Savpf | Self::DtlsSavp | Self::DtlsSavpf => true,
            Self::Avp | Self::Avpf | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
