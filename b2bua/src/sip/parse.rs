//! Reading requests and responses (RFC 3261 §7, §18.3), tolerantly.
//!
//! Whatever cannot be read comes back as [`Malformed`] with the header fields that could be, so
//! that the sender can be told what is wrong. Caps: [`MAX_MESSAGE`], [`MAX_HEAD`], [`MAX_LINES`].

use std::borrow::Cow;

use bytes::Bytes;

use super::grammar;
use super::header::{Headers, Known, Name};
use super::message::{Message, Request, Response};
use super::method::Method;
use super::status::Status;
use super::uri::Uri;

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
    let bytes = skip_line_ends(bytes);
    let (head, body) = split_head(bytes);
    let too_large = bytes.len() > MAX_MESSAGE || head.len() > MAX_HEAD;
    let head = head.get(..MAX_HEAD).unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(head),
    };
    let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let start = Start::read(line.strip_suffix('\r').unwrap_or(line));

    let mut fields = Fields::new(text.len());
    fields.read(rest);
    let body = match body {
        Some(body) => cut_body(body, &fields, framing),
        None => Err(Defect::Incomplete),
    };
    let defect = match &start {
        _ if too_large => Some(Defect::TooLarge),
        Start::Bad { defect, .. } => Some(*defect),
        Start::Request(..) | Start::Response(..) => fields.defect,
    };
    match (defect, body, start) {
        (None, Ok(body), Start::Request(method, uri)) => Ok(Message::Request(Request {
            method,
            uri,
            headers: fields.headers,
            body,
        })),
        (None, Ok(body), Start::Response(status, reason)) => {
            let reason = match reason == status.reason() {
                true => Cow::Borrowed(status.reason()),
                false => Cow::Owned(grammar::clean(reason).into_owned()),
            };
            Ok(Message::Response(Response {
                status,
                reason,
                headers: fields.headers,
                body,
            }))
        }
        (defect, body, start) => Err(Box::new(Malformed {
            defect: defect.or(body.err()).unwrap_or(Defect::StartLine),
            is_request: start.is_request(),
            is_ack: start.is_ack(),
            headers: fields.headers,
        })),
    }
}

/// Where the head ends: the length of the head, and where the body begins, counted from the start
/// of `bytes`. `None` while the empty line is missing.
pub(super) fn find_head_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let tail = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| {
        let end = from + at + 1;
        match bytes.get(end..)? {
            [b'\n', ..] => Some((end, end + 1)),
            [b'\r', b'\n', ..] => Some((end, end + 2)),
            _ => None,
        }
    })
}

/// The bytes after any leading line ends (RFC 3261 §7.5).
pub(super) fn skip_line_ends(bytes: &[u8]) -> &[u8] {
    let skip = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    bytes.get(skip..).unwrap_or_default()
}

fn split_head(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match find_head_end(bytes, 0) {
        Some((head, body)) => (bytes.get(..head).unwrap_or_default(), bytes.get(body..)),
        None => (bytes, None),
    }
}

/// RFC 3261 §18.3.
fn cut_body(rest: &[u8], fields: &Fields, framing: Framing) -> Result<Bytes, Defect> {
    let length = match (fields.length, framing) {
        (Some(length), _) => length,
        (None, Framing::Datagram) => rest.len(),
        (None, Framing::Stream) => return Err(Defect::Missing("Content-Length")),
    };
    match rest.get(..length) {
        Some(body) => Ok(Bytes::copy_from_slice(body)),
        None if length > MAX_MESSAGE => Err(Defect::TooLarge),
        None => Err(Defect::ShortBody),
    }
}

/// The first line.
enum Start<'a> {
    Request(Method, Uri),
    Response(Status, &'a str),
    Bad {
        defect: Defect,
        is_request: bool,
        is_ack: bool,
    },
}

impl<'a> Start<'a> {
    fn read(line: &'a str) -> Self {
        let line = grammar::trim(line);
        if line
            .get(..4)
            .is_some_and(|word| word.eq_ignore_ascii_case("SIP/"))
        {
            return Self::read_response(line).unwrap_or(Self::Bad {
                defect: Defect::StartLine,
                is_request: false,
                is_ack: false,
            });
        }
        Self::read_request(line).unwrap_or_else(|defect| Self::Bad {
            defect,
            is_request: true,
            is_ack: line.starts_with("ACK "),
        })
    }

    fn read_request(line: &str) -> Result<Self, Defect> {
        let (method, rest) = line.split_once(' ').ok_or(Defect::StartLine)?;
        let (uri, version) = rest.rsplit_once(' ').ok_or(Defect::StartLine)?;
        let method = Method::parse(method).ok_or(Defect::StartLine)?;
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            let other = version
                .get(..4)
                .is_some_and(|word| word.eq_ignore_ascii_case("SIP/"));
            return Err(if other {
                Defect::Version
            } else {
                Defect::StartLine
            });
        }
        let uri = Uri::parse(grammar::trim(uri)).map_err(|_| Defect::RequestUri)?;
        Ok(Self::Request(method, uri))
    }

    fn read_response(line: &'a str) -> Option<Self> {
        let (version, rest) = line.split_once(' ')?;
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let code = grammar::parse_number(code).filter(|_| code.len() == 3)?;
        let status = Status::new(u16::try_from(code).ok()?)?;
        version
            .eq_ignore_ascii_case("SIP/2.0")
            .then_some(Self::Response(status, reason))
    }

    fn is_request(&self) -> bool {
        match self {
            Self::Request(..) => true,
            Self::Response(..) => false,
            Self::Bad { is_request, .. } => *is_request,
        }
    }

    fn is_ack(&self) -> bool {
        match self {
            Self::Request(method, _) => *method == Method::Ack,
            Self::Response(..) => false,
            Self::Bad { is_ack, .. } => *is_ack,
        }
    }
}

/// The header lines read so far, and the first defect among them.
struct Fields {
    headers: Headers,
    length: Option<usize>,
    defect: Option<Defect>,
}

impl Fields {
    fn new(bytes: usize) -> Self {
        Self {
            headers: Headers::with_capacity(16, bytes + 64),
            length: None,
            defect: None,
        }
    }

    fn read(&mut self, text: &str) {
        let mut lines = text.split_terminator('\n').peekable();
        let mut unfolded = String::new();
        while let Some(line) = lines.next() {
            if self.headers.len() >= MAX_LINES {
                self.note(Defect::TooLarge);
                return;
            }
            if !lines
                .peek()
                .is_some_and(|next| next.starts_with([' ', '\t']))
            {
                self.read_line(line);
                continue;
            }
            unfolded.clear();
            unfolded.push_str(grammar::trim(line));
            while let Some(more) = lines.next_if(|next| next.starts_with([' ', '\t'])) {
                unfolded.push(' ');
                unfolded.push_str(grammar::trim(more));
            }
            self.read_line(&unfolded);
        }
    }

    fn read_line(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else {
            return self.note(Defect::HeaderLine);
        };
        let name = name.trim_end_matches([' ', '\t']);
        // The line's end is cut here: inside a value it would be a character to be replaced.
        let value = value.trim_end_matches('\r');
        match Name::new(name) {
            Name::Known(Known::ContentLength) => self.read_length(grammar::trim(value)),
            Name::Other(text) if !grammar::is_token(text) => self.note(Defect::HeaderLine),
            known @ (Name::Known(_) | Name::Other(_)) => self.headers.push(known, value),
        }
    }

    fn read_length(&mut self, value: &str) {
        let number = grammar::parse_number(value).and_then(|number| usize::try_from(number).ok());
        match number {
            Some(length) if self.length.is_none_or(|known| known == length) => {
                self.length = Some(length);
            }
            _ => self.note(Defect::ContentLength),
        }
    }

    fn note(&mut self, defect: Defect) {
        self.defect.get_or_insert(defect);
    }
}

/// Longest request or response taken, in bytes: a UDP datagram can be no longer.
pub const MAX_MESSAGE: usize = 65_535;
/// Longest head taken, in bytes.
pub const MAX_HEAD: usize = 16_384;
/// Most header lines taken.
pub const MAX_LINES: usize = 128;

#[cfg(test)]
mod tests;
