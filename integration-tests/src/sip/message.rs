//! A request or response as it was on the wire, and the few questions tests ask of it.
//!
//! Invariant: reading never fails; what is absent reads as the empty string.

use std::fmt;

use anyhow::{Context, Result};

/// Exactly the bytes of one SIP message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    raw: Vec<u8>,
    head_length: usize,
}

impl Message {
    /// A datagram: the whole is one message.
    pub fn from_datagram(raw: &[u8]) -> Self {
        let head_length = head_end(raw).unwrap_or(raw.len());
        Self {
            raw: raw.to_vec(),
            head_length,
        }
    }

    /// The first message of a byte stream and its length, once it is there as a whole
    /// (RFC 3261 §18.3: the body is as long as Content-Length says).
    pub fn split_first(stream: &[u8]) -> Option<(Self, usize)> {
        let head_length = head_end(stream)?;
        let head = Self {
            raw: stream.get(..head_length)?.to_vec(),
            head_length,
        };
        let length = head_length + head.header("Content-Length").parse::<usize>().unwrap_or(0);
        let raw = stream.get(..length)?.to_vec();
        Some((Self { raw, head_length }, length))
    }

    /// The first line.
    pub fn start_line(&self) -> String {
        self.head().lines().next().unwrap_or_default().to_owned()
    }

    /// The method, of a request.
    pub fn method(&self) -> Option<&str> {
        let line = std::str::from_utf8(self.raw.get(..self.head_length)?)
            .ok()?
            .lines()
            .next()?;
        let (method, _) = line.split_once(' ')?;
        (!method.starts_with("SIP/")).then_some(method)
    }

    /// The Request-URI, of a request.
    pub fn uri(&self) -> String {
        self.start_line()
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    }

    /// The status code, of a response.
    pub fn status(&self) -> Option<u16> {
        let line = self.start_line();
        let (version, rest) = line.split_once(' ')?;
        if !version.starts_with("SIP/") {
            return None;
        }
        rest.split(' ').next()?.parse().ok()
    }

    /// The value of the first header field `name`, in any case or in its compact form.
    pub fn header(&self, name: &str) -> String {
        self.headers(name).into_iter().next().unwrap_or_default()
    }

    /// The values of all header fields `name`, one for each line, unfolded.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let wanted = long_name(name).to_ascii_lowercase();
        let head = self
            .head()
            .replace("\r\n", "\n")
            .replace("\n ", " ")
            .replace("\n\t", " ");
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields
            .filter(|(field, _)| long_name(field.trim()).eq_ignore_ascii_case(&wanted))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        self.raw.get(self.head_length..).unwrap_or_default()
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body()).into_owned()
    }

    /// The bytes as they were.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The message as `rsip` reads it. It lacks compact forms, folding and IPv6 references.
    pub fn reparse(&self) -> Result<rsip::SipMessage> {
        rsip::SipMessage::try_from(self.raw.clone())
            .with_context(|| format!("rsip does not read\n{self}"))
    }

    fn head(&self) -> String {
        String::from_utf8_lossy(self.raw.get(..self.head_length).unwrap_or_default()).into_owned()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the body begins. Some traces end lines with LF alone.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| at + 4);
    let lf = bytes.windows(2).position(|w| w == b"\n\n").map(|at| at + 2);
    match (crlf, lf) {
        (Some(crlf), Some(lf)) => Some(crlf.min(lf)),
        (either, other) => either.or(other),
    }
}

/// RFC 3261 §7.3.3, and RFC 3515, 3841, 6665 for the later ones.
fn long_name(name: &str) -> &str {
    match name {
        "i" | "I" => "Call-ID",
        "m" | "M" => "Contact",
        "e" | "E" => "Content-Encoding",
        "l" | "L" => "Content-Length",
        "c" | "C" => "Content-Type",
        "f" | "F" => "From",
        "s" | "S" => "Subject",
        "k" | "K" => "Supported",
        "t" | "T" => "To",
        "v" | "V" => "Via",
        "r" | "R" => "Refer-To",
        "o" | "O" => "Event",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "MESSAGE sip:b@x SIP/2.0\r\nv: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\nSubject: one\r\n two\r\n\
                           l: 2\r\n\r\nhi";

    #[test]
    fn reads_compact_and_folded_fields() {
        let message = Message::from_datagram(REQUEST.as_bytes());
        assert_eq!(
            (message.method(), message.status()),
            (Some("MESSAGE"), None)
        );
        assert_eq!(message.headers("via"), ["SIP/2.0/UDP a", "SIP/2.0/UDP b"]);
        assert_eq!(
            (message.header("s").as_str(), message.text().as_str()),
            ("one two", "hi")
        );
    }

    #[test]
    fn cuts_messages_out_of_a_stream() {
        let stream = format!("{REQUEST}{REQUEST}");
        let (first, length) = Message::split_first(stream.as_bytes()).unwrap();
        assert_eq!((first.text().as_str(), length), ("hi", REQUEST.len()));
        assert!(Message::split_first(&stream.as_bytes()[..REQUEST.len() - 1]).is_none());
    }
}
