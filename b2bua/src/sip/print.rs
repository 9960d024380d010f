//! Writing requests and responses (RFC 3261 §7).
//!
//! Names print in their long form; every value is already free of line ends, see
//! [`super::Headers`].

use super::grammar;
use super::header::Headers;
use super::message::{Message, Request, Response};

impl Message {
    /// Appends the wire form.
    pub fn print(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(request) => request.print(out),
            Self::Response(response) => response.print(out),
        }
    }
}

impl Request {
    /// Appends the wire form.
    pub fn print(&self, out: &mut Vec<u8>) {
        put(out, &[self.method.as_str(), " "]);
        put_display(out, &self.uri);
        put(out, &[" SIP/2.0\r\n"]);
        put_rest(out, &self.headers, &self.body);
    }

    /// Appends the wire form with one more Via on top; `uri` is the Request-URI, already printed.
    pub(super) fn print_with_via(&self, uri: &str, via: &str, out: &mut Vec<u8>) {
        let line = [
            self.method.as_str(),
            " ",
            uri,
            " SIP/2.0\r\nVia: ",
            via,
            "\r\n",
        ];
        put(out, &line);
        put_rest(out, &self.headers, &self.body);
    }
}

impl Response {
    /// Appends the wire form.
    pub fn print(&self, out: &mut Vec<u8>) {
        put(out, &["SIP/2.0 "]);
        put_display(out, &self.status);
        put(out, &[" ", &grammar::clean(&self.reason), "\r\n"]);
        put_rest(out, &self.headers, &self.body);
    }
}

fn put_rest(out: &mut Vec<u8>, headers: &Headers, body: &[u8]) {
    for (name, value) in headers.iter() {
        put(out, &[name.as_str(), ": ", value, "\r\n"]);
    }
    put(out, &["Content-Length: "]);
    put_display(out, &body.len());
    put(out, &["\r\n\r\n"]);
    out.extend_from_slice(body);
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn put_display(out: &mut Vec<u8>, value: &impl std::fmt::Display) {
    // Writing into a vector cannot fail.
    let _ = std::io::Write::write_fmt(out, format_args!("{value}"));
}
