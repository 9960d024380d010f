//! What a call carries, in words that neither SDP nor Jingle owns.
//!
//! A description says what its author sends and receives. SDP's grammar is known to the b2bua alone,
//! Jingle's to the component alone; both make this of it and this back into text.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The bounds of a description; what is larger is refused by whoever reads it from the wire.
pub mod bounds {
    /// Streams of a description.
    pub const STREAMS: usize = 8;
    /// Codecs of a stream.
    pub const CODECS: usize = 64;
    /// Candidates of a stream.
    pub const CANDIDATES: usize = 32;
}

/// An offer or an answer: its streams, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The streams; their order never changes within a call (RFC 3264 §8).
    pub streams: Vec<Stream>,
    /// Mids of the streams that share the first one's transport (RFC 9143).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundle: Vec<String>,
}

/// One stream: an m-line of SDP, a content of Jingle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name within the call: a token, at most 64 characters.
    pub mid: String,
    /// What flows.
    pub media: Media,
    /// Which way it flows, as its author sees it.
    #[serde(default)]
    pub direction: Direction,
    /// In an answer: the stream is not wanted. In a reoffer: it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
    /// What its author can receive, best first.
    #[serde(default)]
    pub codecs: Vec<Codec>,
    /// Whether RTCP shares the port of RTP (RFC 5761).
    #[serde(default)]
    pub rtcp_mux: bool,
    /// RTP header extensions (RFC 8285).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// Synchronisation sources its author announced (RFC 5576).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// How to reach its author.
    #[serde(default)]
    pub transport: Transport,
}

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Media {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Anything else; it is rejected.
    #[serde(other)]
    Other,
}

/// Which way a stream flows, as the author of the description sees it (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// The author sends only.
    Send,
    /// The author receives only.
    Receive,
    /// Neither.
    None,
}

impl Direction {
    /// Whether the author sends, and whether it receives.
    #[must_use]
    pub fn ways(self) -> (bool, bool) {
        match self {
            Self::Both => (true, true),
            Self::Send => (true, false),
            Self::Receive => (false, true),
            Self::None => (false, false),
        }
    }

    /// From whether the author sends and receives.
    #[must_use]
    pub fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::Both,
            (true, false) => Self::Send,
            (false, true) => Self::Receive,
            (false, false) => Self::None,
        }
    }

    /// The same flow as the other side sees it.
    #[must_use]
    pub fn reversed(self) -> Self {
        let (sends, receives) = self.ways();
        Self::of(receives, sends)
    }

    /// What is left of this direction where `other`, from the same point of view, is allowed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let ((a, b), (c, d)) = (self.ways(), other.ways());
        Self::of(a && c, b && d)
    }
}

/// One format of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codec {
    /// The payload type, 0 to 127.
    pub id: u8,
    /// The encoding name as its author wrote it; compared without case (RFC 4855 §3).
    pub name: String,
    /// The RTP clock in Hz: 8000 for G.722 (RFC 3551 §4.5.2).
    pub clock: u32,
    /// Channels.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub channels: u8,
    /// Format parameters in order; one without a name is a bare value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<(String, String)>,
    /// Feedback its author understands: type and subtype (RFC 4585 §4.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<(String, String)>,
    /// Milliseconds of media in a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ptime: Option<u16>,
    /// The most milliseconds of media in a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxptime: Option<u16>,
}

/// A header extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its number on the wire.
    pub id: u16,
    /// What it means.
    pub uri: String,
    /// Which way it is used, as the author sees it.
    #[serde(default)]
    pub direction: Direction,
}

/// A synchronisation source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number.
    pub ssrc: u32,
    /// Its attributes, `cname` first of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<(String, String)>,
}

/// How the author of a stream is reached: ICE and DTLS-SRTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transport {
    /// ICE credentials; a stream without cannot be connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ice: Option<IceCredentials>,
    /// Certificate and role; a stream without is not encrypted and refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtls: Option<Dtls>,
    /// Candidates known so far; more may follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// ICE credentials (RFC 8445 §5.3); never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceCredentials {
    /// The user name fragment.
    pub ufrag: String,
    /// The password.
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceCredentials({:?}, ..)", self.ufrag)
    }
}

/// What DTLS needs to know of its author (RFC 5763 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtls {
    /// The digest's name, in lower case: `sha-256`.
    pub hash: String,
    /// The digest in upper-case hexadecimal, pairs separated by colons.
    pub fingerprint: String,
    /// Who begins.
    pub setup: Setup,
}

/// Who begins the handshake (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setup {
    /// The author begins: it is the DTLS client.
    Active,
    /// The author waits.
    Passive,
    /// Either; only in an offer.
    Actpass,
    /// Not now; nothing is connected.
    Holdconn,
}

/// An address a stream may be reached at (RFC 8839 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Candidates of one base and server share it.
    pub foundation: String,
    /// 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// Always UDP here; others are ignored by the reader.
    pub priority: u32,
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
    /// Where it comes from.
    pub kind: CandidateKind,
    /// What it was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<(IpAddr, u16)>,
    /// Which round of ICE it belongs to, 0 for the first (XEP-0176 §5.4).
    #[serde(default)]
    pub generation: u32,
}

/// Where a candidate comes from (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// An own interface.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the peer.
    PeerReflexive,
    /// A TURN server's.
    Relayed,
}

/// Candidates found later (XEP-0176 §5.5, RFC 8838).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trickle {
    /// The stream.
    pub mid: String,
    /// The user name fragment they belong to, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ufrag: Option<String>,
    /// The candidates.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// No more will come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
}

fn one() -> u8 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_one(channels: &u8) -> bool {
    *channels == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_its_two_ways() {
        let all = [
            Direction::Both,
            Direction::Send,
            Direction::Receive,
            Direction::None,
        ];
        for direction in all {
            let (sends, receives) = direction.ways();
            assert_eq!(Direction::of(sends, receives), direction);
            assert_eq!(direction.reversed().reversed(), direction);
            assert_eq!(direction.and(Direction::Both), direction);
            assert_eq!(direction.and(Direction::None), Direction::None);
        }
        assert_eq!(Direction::Send.reversed(), Direction::Receive);
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = IceCredentials {
            ufrag: "frag".into(),
            pwd: "hidden".into(),
        };
        assert!(!format!("{credentials:?}").contains("hidden"));
    }
}
