//! The floor: one stanza in, one datagram out, and the reverse, and nothing else.
//!
//! No store, no bus, no transactions, no answers, no checks: what is left is what the sockets and
//! the two grammars cost anybody. Every figure of Tandem is also told as a ratio to it.
//!
//! Invariant: it stands where Tandem stands, attached to the same server with the same name.

use std::io::Write as _;
use std::os::fd::AsFd as _;

use anyhow::Result;
use memchr::memmem;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::datagrams::{Datagrams, Queue};
use super::sip::{self, LOAD};
use super::stream::Stream;
use super::text;
use crate::server::{COMPONENTS, SECRET};

/// Where it listens for SIP.
pub const ADDRESS: &str = "127.0.0.1:5070";

/// Forwards between the server and [`LOAD`] until the stream ends.
pub fn run(gateway: &str) -> Result<()> {
    let mut stream = Stream::attach(COMPONENTS, gateway, SECRET)?;
    let mut datagrams = Datagrams::connect(ADDRESS, LOAD)?;
    let mut count = 0;
    loop {
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, stream.is_waiting());
        let mut ends = [
            PollFd::new(stream.as_fd(), flags),
            PollFd::new(datagrams.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut ends, PollTimeout::NONE)?;
        let queue = datagrams.queue();
        stream.read(|stanza, _| {
            count += 1;
            // What is no message of a person is passed over.
            let _ = to_sip(stanza, gateway, count, queue);
        })?;
        datagrams.flush()?;
        let out = stream.out();
        datagrams.receive(|datagram, _| {
            let _ = to_xmpp(datagram, gateway, out);
        })?;
        stream.flush()?;
    }
}

fn to_sip(stanza: &[u8], gateway: &str, count: u64, queue: &mut Queue) -> Option<()> {
    let from = text::attribute(stanza, "from")?;
    let to = text::attribute(stanza, "to")?;
    let body = text::body(stanza)?;
    let (user, domain) = split_at(from.split(|byte| *byte == b'/').next()?, b"@")?;
    let (contact, _) = split_at(to, b"@")?;
    let (phone, host) = split_at(contact, b"\\40")?;
    let out = queue.push();
    put(out, &[b"MESSAGE sip:", phone, b"@", host]);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        " SIP/2.0\r\nVia: SIP/2.0/UDP {ADDRESS};branch=z9hG4bK{count};rport\r\nMax-Forwards: 70\r\n"
    );
    put(
        out,
        &[
            b"From: <sip:",
            user,
            b"%40",
            domain,
            b"@",
            gateway.as_bytes(),
        ],
    );
    put(
        out,
        &[
            b">;tag=1\r\nTo: <sip:",
            phone,
            b"@",
            host,
            b">\r\nCall-ID: ",
            user,
        ],
    );
    let body = plain(body);
    let _ = write!(
        out,
        "\r\nCSeq: {count} MESSAGE\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(&body);
    Some(())
}

fn to_xmpp(datagram: &[u8], gateway: &str, out: &mut Vec<u8>) -> Option<()> {
    let uri = datagram.strip_prefix(b"MESSAGE sip:")?;
    let (user, rest) = split_at(uri, b"%40")?;
    let (domain, _) = split_at(rest, b"@")?;
    let (head, body) = sip::split(datagram)?;
    let (_, from) = split_at(head, b"\r\nFrom: <sip:")?;
    let (phone, rest) = split_at(from, b"@")?;
    let (host, _) = split_at(rest, b">")?;
    put(
        out,
        &[
            b"<message from='",
            phone,
            b"\\40",
            host,
            b"@",
            gateway.as_bytes(),
        ],
    );
    put(
        out,
        &[b"' to='", user, b"@", domain, b"' type='chat'><body>"],
    );
    for byte in body {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    put(out, &[b"</body></message>"]);
    Some(())
}

/// Text without the entities of XML; a reference it does not know stays.
fn plain(text: &[u8]) -> Vec<u8> {
    const ENTITIES: [(&[u8], u8); 5] = [
        (b"&amp;", b'&'),
        (b"&lt;", b'<'),
        (b"&gt;", b'>'),
        (b"&quot;", b'"'),
        (b"&apos;", b'\''),
    ];
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let (before, from) = rest.split_at(at);
        plain.extend_from_slice(before);
        let entity = ENTITIES.iter().find(|(name, _)| from.starts_with(name));
        let (byte, length) = entity.map_or((b'&', 1), |(name, byte)| (*byte, name.len()));
        plain.push(byte);
        rest = from.get(length..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    plain
}

fn split_at<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_becomes_a_stanza() {
        let datagram = b"MESSAGE sip:u1%40x.test@sip.localhost SIP/2.0\r\nFrom: <sip:s1@y.test>;tag=1\r\n\r\na<b";
        let mut out = Vec::new();
        to_xmpp(datagram, "sip.localhost", &mut out).unwrap();
        let expected = r"<message from='s1\40y.test@sip.localhost' to='u1@x.test' type='chat'><body>a&lt;b</body></message>";
        assert_eq!(out, expected.as_bytes());
    }

    #[test]
    fn entities_become_text() {
        assert_eq!(plain(b"a &amp;&lt; b &#38;"), b"a &< b &#38;");
    }
}
