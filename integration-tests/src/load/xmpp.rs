//! The XMPP users' end: one component stream for all of them.
//!
//! Invariant: every query that comes is answered, so that whoever confirms by pings can.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use memchr::memmem;

use super::end::{End, Heard};
use super::stream::Stream;
use super::text::{self, Number, PHONES, USERS};

/// The end of users such as `u17@users.localhost`.
#[derive(Debug)]
pub struct Xmpp {
    stream: Stream,
    gateway: String,
}

impl Xmpp {
    /// The end behind `stream`, whose contacts are in the domain `gateway`.
    pub fn new(stream: Stream, gateway: &str) -> Self {
        Self {
            stream,
            gateway: gateway.to_owned(),
        }
    }
}

impl End for Xmpp {
    fn send(&mut self, number: Number, conversation: u32) {
        let out = self.stream.out();
        // Writing to a vector cannot fail.
        let _ = write!(
            out,
            "<message from='u{conversation}@{USERS}/desk' to='s{conversation}\\40{PHONES}@{}' type='chat' id='",
            self.gateway
        );
        text::write_id(out, number);
        out.extend_from_slice(b"'><body>");
        text::write_body(out, number);
        out.extend_from_slice(b"</body></message>");
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }

    fn hear(&mut self, into: &mut Vec<Heard>) -> Result<()> {
        self.stream.read(|stanza, out| {
            if stanza.starts_with(b"<message") {
                into.extend(hear_message(stanza));
            } else if stanza.starts_with(b"<iq") {
                answer(stanza, out);
            }
        })
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn is_waiting(&self) -> bool {
        self.stream.is_waiting()
    }

    fn retries(&self) -> &'static [f64] {
        &[]
    }
}

fn hear_message(stanza: &[u8]) -> Option<Heard> {
    if text::attribute(stanza, "type") == Some(b"error") {
        let number = text::attribute(stanza, "id").and_then(text::read_number)?;
        return Some(Heard::Refused(number, condition(stanza)));
    }
    text::body(stanza)
        .and_then(text::read_number)
        .map(Heard::Delivered)
}

/// The first of the conditions that the gateway, a server or the load's own peer may give.
fn condition(stanza: &[u8]) -> String {
    let known = CONDITIONS.iter().find(|condition| {
        let tag = format!("<{condition}");
        memmem::find(stanza, tag.as_bytes()).is_some()
    });
    known.map_or_else(
        || String::from_utf8_lossy(stanza).into_owned(),
        |condition| (*condition).to_owned(),
    )
}

fn answer(stanza: &[u8], out: &mut Vec<u8>) {
    if !matches!(text::attribute(stanza, "type"), Some(b"get" | b"set")) {
        return;
    }
    let names = ["to", "from", "id"].map(|name| text::attribute(stanza, name));
    let [Some(to), Some(from), Some(id)] = names else {
        return;
    };
    for part in [
        b"<iq type='result' from='",
        to,
        b"' to='",
        from,
        b"' id='",
        id,
        b"'/>",
    ] {
        out.extend_from_slice(part);
    }
}

const CONDITIONS: [&str; 8] = [
    "resource-constraint",
    "recipient-unavailable",
    "remote-server-timeout",
    "remote-server-not-found",
    "service-unavailable",
    "item-not-found",
    "policy-violation",
    "internal-server-error",
];
