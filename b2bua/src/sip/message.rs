//! Requests and responses (RFC 3261 §7).
//!
//! `Content-Length` is never kept as a header field: the body says it, the printer writes it.

use std::borrow::Cow;

use bytes::Bytes;

use super::address::NameAddr;
use super::grammar;
use super::header::{CSeq, Headers, Name};
use super::method::Method;
use super::status::Status;
use super::uri::{InvalidUri, Uri};
use super::via::Via;

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Begins with a method.
    Request(Request),
    /// Begins with `SIP/2.0`.
    Response(Response),
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// Without `Content-Length`.
    pub headers: Headers,
    /// The body; empty when there is none.
    pub body: Bytes,
}

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: Status,
    /// The Reason-Phrase; printed without control characters.
    pub reason: Cow<'static, str>,
    /// Without `Content-Length`.
    pub headers: Headers,
    /// The body; empty when there is none.
    pub body: Bytes,
}

impl Request {
    /// A request without header fields or body.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Headers::with_capacity(16, 768),
            body: Bytes::new(),
        }
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Option<Via> {
        top_via(&self.headers)
    }

    /// The From address.
    pub fn from(&self) -> Result<NameAddr, InvalidUri> {
        NameAddr::parse(self.headers.get(Name::From).unwrap_or_default())
    }

    /// The To address.
    pub fn to(&self) -> Result<NameAddr, InvalidUri> {
        NameAddr::parse(self.headers.get(Name::To).unwrap_or_default())
    }

    /// The Call-ID; empty when absent.
    pub fn call_id(&self) -> &str {
        self.headers.get(Name::CallId).unwrap_or_default()
    }

    /// The CSeq.
    pub fn cseq(&self) -> Option<CSeq> {
        self.headers.get(Name::CSeq).and_then(CSeq::parse)
    }

    /// Gives it the next number, as one that is sent again with credentials needs (RFC 3261 §22.2).
    pub fn renumber(&mut self) {
        if let Some(CSeq { number, method }) = self.cseq() {
            let number = number.saturating_add(1);
            let cseq = CSeq { number, method }.to_string();
            self.headers.set(Name::CSeq, &cseq);
        }
    }

    /// Hops left; `None` when the header is absent or no number up to 255.
    pub fn max_forwards(&self) -> Option<u8> {
        let text = self.headers.get(Name::MaxForwards)?;
        grammar::parse_number(text).and_then(|number| u8::try_from(number).ok())
    }

    /// Bytes on the wire at most, with the fields the endpoint adds: what RFC 3261 §18.1.1 compares with
    /// 1,300.
    pub fn wire_len(&self) -> usize {
        let mut out = Vec::with_capacity(1024);
        self.print(&mut out);
        out.len() + ADDED
    }
}

impl Response {
    /// A response to `request`, with the fields RFC 3261 §8.2.6.2 copies: all Via, From, To,
    /// Call-ID, CSeq, and Timestamp. The endpoint adds the To tag and `Server`.
    pub fn to(request: &Request, status: Status) -> Self {
        Self::from_headers(&request.headers, status)
    }

    /// As [`Response::to`], from whatever could be read of a request.
    pub fn from_headers(request: &Headers, status: Status) -> Self {
        let mut headers = Headers::with_capacity(12, 768);
        for name in [
            Name::Via,
            Name::From,
            Name::To,
            Name::CallId,
            Name::CSeq,
            Name::Timestamp,
        ] {
            let only_first = name != Name::Via;
            for value in request
                .all(name)
                .take(if only_first { 1 } else { usize::MAX })
            {
                headers.push(name, value);
            }
        }
        Self {
            status,
            reason: Cow::Borrowed(status.reason()),
            headers,
            body: Bytes::new(),
        }
    }

    /// With this Reason-Phrase.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// With one more header field.
    #[must_use]
    pub fn with<'n>(mut self, name: impl Into<Name<'n>>, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Option<Via> {
        top_via(&self.headers)
    }

    /// The CSeq.
    pub fn cseq(&self) -> Option<CSeq> {
        self.headers.get(Name::CSeq).and_then(CSeq::parse)
    }

    /// Seconds of `Retry-After` (RFC 3261 §20.33), its comment and parameters left out.
    pub fn retry_after(&self) -> Option<u32> {
        let text = self.headers.get(Name::RetryAfter)?;
        let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
        grammar::parse_number(digits).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

fn top_via(headers: &Headers) -> Option<Via> {
    headers
        .values(Name::Via)
        .next()
        .and_then(|text| Via::parse(text).ok())
}

/// Method, status and the names of the fields: never addresses or bodies.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            method,
            uri: _,
            headers,
            body,
        } = self;
        write!(
            f,
            "Request({method}, {headers:?}, {} body bytes)",
            body.len()
        )
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            status,
            reason: _,
            headers,
            body,
        } = self;
        write!(
            f,
            "Response({status:?}, {headers:?}, {} body bytes)",
            body.len()
        )
    }
}

/// Room for what the endpoint adds to a request: Via with host, port, branch and `rport`,
/// `Max-Forwards`, `User-Agent`.
const ADDED: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_address_and_no_body() {
        let mut request = Request::new(
            Method::Message,
            Uri::parse("sip:secret@example.com").unwrap(),
        );
        request.headers.push(Name::From, "<sip:hidden@example.com>");
        request.body = Bytes::from_static(b"private");
        let response = Response::to(&request, Status::OK).with_reason("quiet");
        let shown = format!("{request:?} {response:?}");
        for word in ["secret", "hidden", "private", "quiet"] {
            assert!(!shown.contains(word), "{shown}");
        }
    }

    #[test]
    fn a_response_copies_every_via_and_one_of_each_other_field() {
        let mut request = Request::new(Method::Message, Uri::parse("sip:a@b").unwrap());
        for (name, value) in [
            ("Via", "1, 2"),
            ("v", "3"),
            ("From", "f"),
            ("To", "t"),
            ("i", "c"),
            ("Subject", "s"),
            ("CSeq", "1 X"),
            ("Timestamp", "9"),
        ] {
            request.headers.push(name, value);
        }
        let response = Response::to(&request, Status::OK);
        assert_eq!(
            response.headers.values(Name::Via).collect::<Vec<_>>(),
            ["1", "2", "3"]
        );
        assert_eq!(response.headers.len(), 7);
        assert_eq!(response.headers.get(Name::Subject), None);
    }

    #[test]
    fn retry_after_may_carry_a_comment() {
        let request = Request::new(Method::Message, Uri::parse("sip:a@b").unwrap());
        let after = |text| {
            Response::to(&request, Status::OK)
                .with(Name::RetryAfter, text)
                .retry_after()
        };
        assert_eq!(after("120 (in a meeting);duration=60"), Some(120));
        assert_eq!(after("99999999999999999999"), None);
        assert_eq!(after("soon"), None);
    }
}
