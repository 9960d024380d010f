//! What the ends of calls speak, and so what is to be done in between.

use super::sound::Speech;

/// A way from clients to phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Plain RTP at both ends: no call of Tandem is like that, only its rivals are measured.
    Plain,
    /// DTLS-SRTP at clients, plain RTP at phones, PCMU at both.
    DtlsToRtp,
    /// DTLS-SRTP at clients, SRTP with keys from SDP at phones, PCMU at both.
    DtlsToSdes,
    /// DTLS-SRTP and Opus at clients, plain RTP and PCMU at phones.
    Transcoded,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Plain,
        Self::DtlsToRtp,
        Self::DtlsToSdes,
        Self::Transcoded,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::DtlsToRtp => "rtp",
            Self::DtlsToSdes => "sdes",
            Self::Transcoded => "transcoded",
        }
    }

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Plain => "RTP, RTP",
            Self::DtlsToRtp => "DTLS-SRTP, RTP",
            Self::DtlsToSdes => "DTLS-SRTP, SDES",
            Self::Transcoded => "opus (DTLS-SRTP), PCMU (RTP)",
        }
    }

    /// Whether clients use DTLS-SRTP.
    pub fn has_dtls(self) -> bool {
        self != Self::Plain
    }

    /// Whether phones use keys from SDP.
    pub fn has_sdes(self) -> bool {
        self == Self::DtlsToSdes
    }

    /// Whether packets arrive as they were sent.
    pub fn is_relayed(self) -> bool {
        self != Self::Transcoded
    }

    /// What clients speak.
    pub fn at_client(self) -> Speech {
        match self {
            Self::Transcoded => Speech::Opus,
            Self::Plain | Self::DtlsToRtp | Self::DtlsToSdes => Speech::Pcmu,
        }
    }

    /// What phones speak.
    pub fn at_phone(self) -> Speech {
        Speech::Pcmu
    }
}
