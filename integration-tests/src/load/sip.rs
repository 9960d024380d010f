//! The SIP users' end: one UDP socket for all of them (RFC 3261 §17, RFC 3428).
//!
//! Invariant: a request is a function of its number and conversation, so sending it again after
//! Timer E is a retransmission, byte for byte.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use memchr::memmem;

use super::datagrams::Datagrams;
use super::end::{End, Heard};
use super::text::{self, Number, PHONES, USERS};

/// Where the load's SIP users are.
pub const LOAD: &str = "127.0.0.1:5080";

/// The end of users such as `s17@sip.test`.
#[derive(Debug)]
pub struct Sip {
    datagrams: Datagrams,
    gateway: String,
    is_silent: bool,
    /// Digests of the branches that brought a message: one names one transaction (RFC 3261 §8.1.1.7).
    branches: HashSet<u64>,
    hasher: RandomState,
}

impl Sip {
    /// The end at [`LOAD`] of users who know the XMPP users as users of the domain `gateway`, at
    /// the address `peer`.
    pub fn new(peer: &str, gateway: &str) -> Result<Self> {
        Ok(Self {
            datagrams: Datagrams::connect(LOAD, peer)?,
            gateway: gateway.to_owned(),
            is_silent: false,
            branches: HashSet::new(),
            hasher: RandomState::new(),
        })
    }

    /// The same end, which answers no request.
    pub fn silent(mut self) -> Self {
        self.is_silent = true;
        self
    }
}

impl End for Sip {
    fn send(&mut self, number: Number, conversation: u32) {
        let out = self.datagrams.queue().push();
        let user = format!("u{conversation}%40{USERS}@{}", self.gateway);
        let mut body = Vec::with_capacity(96);
        text::write_body(&mut body, number);
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "MESSAGE sip:{user} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {LOAD};branch=z9hG4bKm{number:012};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:s{conversation}@{PHONES}>;tag=t{conversation}\r\n\
             To: <sip:{user}>\r\n\
             Call-ID: load-{conversation}\r\n\
             CSeq: {number} MESSAGE\r\n\
             Content-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(&body);
    }

    fn flush(&mut self) -> Result<()> {
        self.datagrams.flush()
    }

    fn hear(&mut self, into: &mut Vec<Heard>) -> Result<()> {
        let Self {
            datagrams,
            is_silent,
            branches,
            hasher,
            ..
        } = self;
        datagrams.receive(|datagram, queue| {
            if datagram.starts_with(b"SIP/2.0 ") {
                into.extend(hear_response(datagram));
            } else if let Some((head, body)) = split(datagram) {
                let is_new = branches.insert(hasher.hash_one(branch(head)));
                let arrived = match is_new {
                    true => Heard::Delivered,
                    false => Heard::Retransmitted,
                };
                into.extend(text::read_number(body).map(arrived));
                if !*is_silent {
                    answer(head, queue.push());
                }
            }
        })
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.datagrams.as_fd()
    }

    fn is_waiting(&self) -> bool {
        false
    }

    /// Timer E until Timer F (RFC 3261 §17.1.2.2); the last is when to give up.
    fn retries(&self) -> &'static [f64] {
        &[0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 0.5]
    }
}

/// A final response; its branch tells which request it answers.
fn hear_response(datagram: &[u8]) -> Option<Heard> {
    let status = datagram.get(8..11)?;
    let at = memmem::find(datagram, BRANCH)? + BRANCH.len();
    let number = text::read_number(datagram.get(at..)?)?;
    match status {
        [b'1', ..] => None,
        [b'2', ..] => Some(Heard::Answered(number)),
        _ => Some(Heard::Refused(
            number,
            String::from_utf8_lossy(status).into_owned(),
        )),
    }
}

/// The branch of the topmost Via, without its cookie.
fn branch(head: &[u8]) -> &[u8] {
    let at = memmem::find(head, BRANCH).map_or(0, |at| at + BRANCH.len());
    let rest = head.get(at..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b';' | b',' | b'\r'))
        .unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// The head of a request or response, with the end of its last line, and the body.
pub fn split(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memmem::find(datagram, b"\r\n\r\n")?;
    Some((datagram.get(..end + 2)?, datagram.get(end + 4..)?))
}

/// 200, whatever the request says, with the fields RFC 3261 §8.2.6.2 wants back.
fn answer(head: &[u8], answer: &mut Vec<u8>) {
    answer.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = memchr::memchr(b':', line).and_then(|colon| line.get(..colon));
        match name {
            Some(b"Via" | b"From" | b"Call-ID" | b"CSeq") => answer.extend_from_slice(line),
            Some(b"To") => {
                answer.extend_from_slice(line.trim_ascii_end());
                answer.extend_from_slice(b";tag=load\r\n");
            }
            Some(_) | None => {}
        }
    }
    answer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

const BRANCH: &[u8] = b"branch=z9hG4bK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_read_to_its_end() {
        for via in [
            "z9hG4bKab;rport",
            "z9hG4bKab",
            "z9hG4bKab, SIP/2.0/UDP h;branch=z9hG4bKcd",
        ] {
            let head = format!("MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch={via}\r\n");
            assert_eq!(branch(head.as_bytes()), b"ab");
        }
    }

    #[test]
    fn a_request_is_answered_with_its_own_fields() {
        let request =
            b"MESSAGE sip:a@b SIP/2.0\r\nVia: v\r\nTo: <sip:a@b>\r\nX: y\r\n\r\nm000000000007 x";
        let (head, body) = split(request).unwrap();
        let mut out = Vec::new();
        answer(head, &mut out);
        let expected =
            "SIP/2.0 200 OK\r\nVia: v\r\nTo: <sip:a@b>;tag=load\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(out, expected.as_bytes());
        assert_eq!(text::read_number(body), Some(7));
    }
}
