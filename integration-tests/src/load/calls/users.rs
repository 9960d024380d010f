//! The XMPP users' end of calls: Jingle (XEP-0166), and proposals (XEP-0353) where phones call.
//!
//! Invariant: every request is answered, and a call's number is in its sid or its user.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use memchr::memmem;

use super::drive::{Number, Word, number_after};
use crate::load::stream::Stream;
use crate::load::text::{PHONES, USERS, attribute};

/// The end of users such as `u17@users.localhost`.
pub struct Users {
    stream: Stream,
    gateway: String,
}

impl Users {
    /// The end behind `stream`, whose contacts are in the domain `gateway`.
    pub fn new(stream: Stream, gateway: &str) -> Self {
        let gateway = gateway.to_owned();
        Self { stream, gateway }
    }

    /// Calls a phone outright.
    pub fn call(&mut self, call: Number) {
        let (gateway, description) = (&self.gateway, content(call, "actpass"));
        // Writing to a vector cannot fail.
        let _ = write!(
            self.stream.out(),
            "<iq type='set' id='i{call}' from='u{call}@{USERS}/desk' to='s{call}\\40{PHONES}@{gateway}/sip'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='load-{call}' \
             initiator='u{call}@{USERS}/desk'>{description}</jingle></iq>"
        );
    }

    /// Ends the session `sid` of a call.
    pub fn end(&mut self, call: Number, sid: &str) {
        let gateway = &self.gateway;
        let _ = write!(
            self.stream.out(),
            "<iq type='set' id='e{call}' from='u{call}@{USERS}/desk' to='s{call}\\40{PHONES}@{gateway}/sip'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'>\
             <reason><success/></reason></jingle></iq>"
        );
    }

    /// Lets leave what is queued.
    pub fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }

    /// Whether something waits for the socket.
    pub fn is_waiting(&self) -> bool {
        self.stream.is_waiting()
    }

    /// What to wait on.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Answers what came; what it means goes to `each`.
    pub fn hear(&mut self, mut each: impl FnMut(Number, Word)) -> Result<()> {
        self.stream.read(|stanza, out| {
            if let Some((call, word)) = hear(stanza, out) {
                each(call, word);
            }
        })
    }
}

fn hear(stanza: &[u8], out: &mut Vec<u8>) -> Option<(Number, Word)> {
    let (from, to) = (attribute(stanza, "from")?, attribute(stanza, "to")?);
    let call = number_after(to, b"u");
    if stanza.starts_with(b"<message") {
        // A proposal is taken by the one device of its user.
        let at = memmem::find(stanza, b"<propose")?;
        let sid = attribute(stanza.get(at..)?, "id")?;
        put(
            out,
            &[b"<message type='chat' from='", to, b"/desk' to='", from],
        );
        put(
            out,
            &[
                b"'><proceed xmlns='urn:xmpp:jingle-message:0' id='",
                sid,
                b"'/></message>",
            ],
        );
        return None;
    }
    if !stanza.starts_with(b"<iq") {
        return None;
    }
    match attribute(stanza, "type") {
        Some(b"get" | b"set") => {}
        Some(b"error") => return Some((call?, Word::Refused)),
        _ => return None,
    }
    let id = attribute(stanza, "id")?;
    put(
        out,
        &[
            b"<iq type='result' from='",
            to,
            b"' to='",
            from,
            b"' id='",
            id,
            b"'/>",
        ],
    );
    let jingle = stanza.get(memmem::find(stanza, b"<jingle")?..)?;
    let sid = attribute(jingle, "sid")?;
    match attribute(jingle, "action")? {
        b"session-initiate" => {
            let (call, sid) = (call?, String::from_utf8_lossy(sid).into_owned());
            put(
                out,
                &[
                    b"<iq type='set' id='a' from='",
                    to,
                    b"' to='",
                    from,
                    b"'><jingle ",
                ],
            );
            put(
                out,
                &[
                    b"xmlns='urn:xmpp:jingle:1' action='session-accept' sid='",
                    sid.as_bytes(),
                ],
            );
            let mid = attribute(jingle.get(memmem::find(jingle, b"<content")?..)?, "name")?;
            let content = content(call, "active");
            let content = content.replace(
                "name='0'",
                &format!("name='{}'", String::from_utf8_lossy(mid)),
            );
            put(out, &[b"'>", content.as_bytes(), b"</jingle></iq>"]);
            Some((call, Word::Begun))
        }
        b"session-accept" => Some((call?, Word::Answered)),
        b"session-terminate" => Some((call?, Word::Ended)),
        _ => None,
    }
}

/// What a user says of itself; nobody listens at the address.
fn content(call: Number, setup: &str) -> String {
    let digest = ["AB"; 32].join(":");
    format!(
        "<content creator='initiator' name='0' senders='both'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
         <payload-type id='111' name='opus' clockrate='48000' channels='2'/>\
         <payload-type id='0' name='PCMU' clockrate='8000'/><rtcp-mux/></description>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='u{call}' pwd='a-password-of-22-letters'>\
         <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='{setup}'>{digest}</fingerprint>\
         <candidate component='1' foundation='1' generation='0' id='c' ip='127.0.0.1' network='0' port='9' \
         priority='2130706431' protocol='udp' type='host'/></transport></content>"
    )
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
