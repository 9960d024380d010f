//! Session descriptions (RFC 8866 §5): read from whatever phones write, written strictly.
//!
//! Reading skips what it does not know and refuses only what cannot be answered line by line; what
//! a session says for all of its media is copied into each. Writing leaves out every value that
//! does not fit the grammar, so no text from elsewhere can begin a line of its own.

use std::fmt;
use std::net::IpAddr;

use tandem_shared::media::{
    Candidate, Codec, Direction, Extension, IceCredentials, Setup, Source, bounds,
};

use crate::media::Fingerprint;

mod attribute;
mod crypto;
mod payload;
mod print;
mod profile;
mod read;
mod text;

pub use crypto::{Crypto, SUITES};
pub use profile::Profile;

/// The content type of what [`Sdp`] reads and writes.
pub const CONTENT_TYPE: &str = "application/sdp";

/// A longer body is not read.
pub const MAX_LENGTH: usize = 64 * 1024;

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdp {
    /// Who wrote it, and which version of it this is.
    pub origin: Origin,
    /// The session's name, `-` for none.
    pub name: String,
    /// Mids of the lines that share one transport (RFC 9143).
    pub bundle: Vec<String>,
    /// The streams; their order and number never change but by growing (RFC 3264).
    pub media: Vec<MediaLine>,
}

/// The `o=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// A login name; `-` here.
    pub user: String,
    /// Names the session.
    pub session: u64,
    /// Grows by one whenever the description changes.
    pub version: u64,
    /// Where it was made.
    pub address: IpAddr,
}

/// One `m=` line and all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`, `video`, `image`, ...
    pub media: String,
    /// Where it is received; 0 when it is rejected or over.
    pub port: u16,
    /// How it is carried.
    pub profile: Profile,
    /// What can be received, best first; empty where this is not RTP.
    pub codecs: Vec<Codec>,
    /// Formats that are no codec, or that nothing explains.
    pub formats: Vec<String>,
    /// Where it is received; nothing when it is given as a name.
    pub connection: Option<IpAddr>,
    /// Its name within the session.
    pub mid: Option<String>,
    /// Which way it flows.
    pub direction: Direction,
    /// Milliseconds of media in a packet, and the most of them.
    pub ptime: Option<u16>,
    /// The most milliseconds of media in a packet.
    pub maxptime: Option<u16>,
    /// Where RTCP is received, if not at the next port (RFC 3605).
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// Whether RTCP shares the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// Keys in the description (RFC 4568), best first.
    pub crypto: Vec<Crypto>,
    /// Digests of the certificate (RFC 8122).
    pub fingerprints: Vec<Fingerprint>,
    /// Who begins the DTLS handshake (RFC 4145).
    pub setup: Option<Setup>,
    /// ICE credentials (RFC 8839).
    pub ice: Option<IceCredentials>,
    /// ICE candidates over UDP.
    pub candidates: Vec<Candidate>,
    /// Header extensions (RFC 8285).
    pub extensions: Vec<Extension>,
    /// Announced sources (RFC 5576).
    pub sources: Vec<Source>,
}

/// Why a description is not read: the line, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SDP line {line}: {problem}")]
pub struct InvalidSdp {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is longer than [`MAX_LENGTH`].
    #[error("the description is longer than {MAX_LENGTH} bytes; shorten it")]
    TooLong,
    /// It does not begin as a description.
    #[error("a description begins with `v=0`")]
    Version,
    /// An `m=` line is incomplete.
    #[error("write `m=<media> <port> <profile> <format>`")]
    Media,
    /// A port is not one.
    #[error("a port is a number from 0 to 65535")]
    Port,
    /// There are too many streams.
    #[error("at most {} `m=` lines are taken; leave some out", bounds::STREAMS)]
    Streams,
    /// A line lists too many formats.
    #[error(
        "at most {} formats are taken in an `m=` line; leave some out",
        bounds::CODECS
    )]
    Formats,
    /// A stream has too many candidates.
    #[error(
        "at most {} candidates are taken for a stream; leave some out",
        bounds::CANDIDATES
    )]
    Candidates,
}

impl Sdp {
    /// Reads a body.
    ///
    /// # Errors
    /// Only for what keeps a line from being answered; everything else is tolerated.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidSdp> {
        read::sdp(body)
    }

    /// Reads the description in a body of `kind`, which may have other parts beside it (RFC 2046 §5.1).
    ///
    /// # Errors
    /// As [`Sdp::parse`]; a body without a description begins as none.
    pub fn read(kind: &str, body: &[u8]) -> Result<Self, InvalidSdp> {
        let part = super::multipart::part(kind, body, KIND);
        Self::parse(part.unwrap_or_default())
    }
}

/// The content type.
const KIND: &str = "application/sdp";

impl MediaLine {
    /// Whether this is sound over RTP.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        self.media.eq_ignore_ascii_case("audio") && self.profile.is_rtp()
    }

    /// This line as an answer or a later offer turns it down: the port is 0, one format stays
    /// because the grammar wants one.
    #[must_use]
    pub fn rejected(&self) -> Self {
        let mut line = Self::empty(&self.media, self.profile.clone());
        line.codecs.extend(self.codecs.first().cloned());
        if line.codecs.is_empty() {
            line.formats.extend(self.formats.first().cloned());
        }
        line.mid.clone_from(&self.mid);
        line.direction = Direction::None;
        line
    }

    /// A line with nothing in it.
    #[must_use]
    pub fn empty(media: &str, profile: Profile) -> Self {
        Self {
            media: media.to_owned(),
            port: 0,
            profile,
            codecs: Vec::new(),
            formats: Vec::new(),
            connection: None,
            mid: None,
            direction: Direction::Both,
            ptime: None,
            maxptime: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
            fingerprints: Vec::new(),
            setup: None,
            ice: None,
            candidates: Vec::new(),
            extensions: Vec::new(),
            sources: Vec::new(),
        }
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::sdp(self, f)
    }
}

#[cfg(test)]
mod tests;
