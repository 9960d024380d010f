//! The phones' end of calls: they call, and are called, on one UDP socket (RFC 3261 §13, §15).
//!
//! Invariant: nothing is sent twice, for nothing gets lost on loopback; what does is a failure.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::Result;
use memchr::memmem;

use super::drive::{Number, Word, number_after};
use crate::load::datagrams::{Datagrams, Queue};
use crate::load::floor::ADDRESS;
use crate::load::sip::{LOAD, split};
use crate::load::text::{PHONES, USERS};

/// The end of phones such as `s17@sip.test`.
pub struct Phones {
    datagrams: Datagrams,
    gateway: String,
    /// What is needed to end a call of ours: where it went and how its other end is named.
    dialogs: HashMap<Number, (String, String)>,
}

impl Phones {
    /// Phones that know users as users of the domain `gateway`.
    pub fn new(gateway: &str) -> Result<Self> {
        Ok(Self {
            datagrams: Datagrams::connect(LOAD, ADDRESS)?,
            gateway: gateway.to_owned(),
            dialogs: HashMap::new(),
        })
    }

    /// Calls a user.
    pub fn call(&mut self, call: Number) {
        let user = format!("u{call}%40{USERS}@{}", self.gateway);
        let out = self.datagrams.queue().push();
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "INVITE sip:{user} SIP/2.0\r\nVia: SIP/2.0/UDP {LOAD};branch=z9hG4bKi{call};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:s{call}@{PHONES}>;tag=t{call}\r\nTo: <sip:{user}>\r\n\
             Call-ID: call-{call}\r\nCSeq: 1 INVITE\r\nContact: <sip:s{call}@{LOAD}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
    }

    /// Ends a call of ours.
    pub fn end(&mut self, call: Number) {
        if let Some((target, to)) = self.dialogs.remove(&call) {
            let out = self.datagrams.queue().push();
            within(out, call, "BYE", 2, &target, &to);
        }
    }

    /// Lets leave what is queued.
    pub fn flush(&mut self) -> Result<()> {
        self.datagrams.flush()
    }

    /// What to wait on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.datagrams.as_fd()
    }

    /// Answers what came; what it means goes to `each`.
    pub fn hear(&mut self, mut each: impl FnMut(Number, Word)) -> Result<()> {
        let dialogs = &mut self.dialogs;
        self.datagrams.receive(|datagram, queue| {
            if let Some((call, word)) = hear(datagram, queue, dialogs) {
                each(call, word);
            }
        })
    }
}

fn hear(
    datagram: &[u8],
    queue: &mut Queue,
    dialogs: &mut HashMap<Number, (String, String)>,
) -> Option<(Number, Word)> {
    let (head, _) = split(datagram)?;
    if let Some(status) = datagram.strip_prefix(b"SIP/2.0 ") {
        let call = number_after(field(head, b"Call-ID")?, b"call-")?;
        let of_invite = field(head, b"CSeq")?.ends_with(b"INVITE");
        return match (status.first()?, of_invite) {
            (b'1', _) => None,
            (b'2', true) => {
                let contact = text(field(head, b"Contact")?);
                let target = contact.split(['<', '>']).nth(1)?.to_owned();
                let to = text(field(head, b"To")?);
                within(queue.push(), call, "ACK", 1, &target, &to);
                dialogs.insert(call, (target, to));
                Some((call, Word::Answered))
            }
            (b'2', false) => Some((call, Word::Ended)),
            _ => Some((call, Word::Refused)),
        };
    }
    let uri = datagram.get(..memchr::memchr(b'\r', datagram)?)?;
    if datagram.starts_with(b"INVITE ") {
        let call = number_after(uri, b"sip:s")?;
        answer(head, queue.push(), SDP);
        return Some((call, Word::Begun));
    }
    if datagram.starts_with(b"BYE ") {
        answer(head, queue.push(), "");
        // The number is the phone's, who is called here and calls there.
        let named = [field(head, b"To"), field(head, b"From")];
        let call = named
            .into_iter()
            .flatten()
            .find_map(|it| number_after(it, b"sip:s"));
        return Some((call?, Word::Ended));
    }
    None
}

fn within(out: &mut Vec<u8>, call: Number, method: &str, number: u8, target: &str, to: &str) {
    let _ = write!(
        out,
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {LOAD};branch=z9hG4bK{method}{call};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:s{call}@{PHONES}>;tag=t{call}\r\nTo: {to}\r\n\
         Call-ID: call-{call}\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
    );
}

fn answer(head: &[u8], out: &mut Vec<u8>, body: &str) {
    out.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = memchr::memchr(b':', line).and_then(|colon| line.get(..colon));
        match name {
            Some(b"Via" | b"From" | b"Call-ID" | b"CSeq") => out.extend_from_slice(line),
            Some(b"To") => {
                out.extend_from_slice(line.trim_ascii_end());
                let tagged = memmem::find(line, b";tag=").is_some();
                out.extend_from_slice(if tagged { b"\r\n" } else { b";tag=phone\r\n" });
            }
            Some(_) | None => {}
        }
    }
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    let _ = write!(
        out,
        "Contact: <sip:phone@{LOAD}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// The value of the first header field of this name.
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let lines = head.split(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(b": "));
    values.next().map(<[u8]>::trim_ascii_end)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What every phone says; nobody listens at the address.
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
