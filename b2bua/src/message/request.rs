//! Messages of XMPP users as MESSAGE requests (RFC 7572 §4; RFC 3428 §4).
//!
//! Call-ID, From tag and CSeq follow from the message alone under the installation key, so a
//! message that is sent again after a restart is the same request. No Contact: RFC 3428 §4 forbids
//! it outside dialogs. No device in From or To: peers compare them literally.

use std::fmt::Write as _;

use bytes::Bytes;
use tandem_shared::message::Message;
use tandem_shared::mint::{self, Mint};
use tandem_shared::refusal::{Reason, Refusal};

use crate::clock;
use crate::settings::Settings;
use crate::sip::header::Name;
use crate::sip::{Method, Request, Transport};
use crate::target::Target;
use crate::trunk::Trunk;

/// One try of one part of a message.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The text of this part.
    pub text: &'a str,
    /// Which part, from 0; always 0 of a message sent whole.
    pub part: usize,
    /// How many challenges were answered before, fewer than four.
    pub round: u32,
}

/// The request for `attempt` to bring `message` to `target`.
///
/// # Errors
/// When the sender may not use the trunk.
pub fn compose(
    message: &Message,
    target: &Target,
    trunk: &Trunk,
    attempt: Attempt<'_>,
    settings: &Settings,
    key: &[u8; 16],
) -> Result<Request, Refusal> {
    let mut request = Request::new(Method::Message, target.uri.clone());
    let headers = &mut request.headers;
    let mut line = String::with_capacity(96);

    let caller = target.caller(&message.from, trunk, settings)?;
    let _ = write!(line, "{};tag=", caller.from);
    line.push_str(&derive(key, b"tag", message, attempt.part));
    headers.push(Name::From, &line);

    line.clear();
    let _ = write!(line, "<{}>", target.to);
    headers.push(Name::To, &line);

    match message
        .thread
        .as_deref()
        .filter(|thread| may_be_call_id(thread, message))
    {
        Some(thread) => headers.push(Name::CallId, thread),
        None => headers.push(Name::CallId, &derive(key, b"call", message, attempt.part)),
    }

    headers.push(Name::CSeq, &cseq(message, attempt.round));
    for (name, value) in caller.headers.iter() {
        headers.push(name, value);
    }

    line.clear();
    let _ = write!(line, "{}", message.hops);
    headers.push(Name::MaxForwards, &line);
    headers.push(Name::ContentType, "text/plain;charset=UTF-8");
    if let Some(lang) = message.lang.as_deref().filter(|lang| is_language(lang)) {
        headers.push(Name::ContentLanguage, lang);
    }
    if let Some(subject) = message.subject.as_deref().filter(|_| attempt.part == 0) {
        headers.push(Name::Subject, cut(subject, MAX_SUBJECT));
    }
    if let Some(date) = message.sent.and_then(clock::to_date) {
        headers.push(Name::Date, &date);
    }
    request.body = Bytes::copy_from_slice(attempt.text.as_bytes());
    Ok(request)
}

/// The CSeq of a message after `round` answered challenges.
#[must_use]
pub fn cseq(message: &Message, round: u32) -> String {
    let number = message.ordinal.number & NUMBERS;
    format!("{} MESSAGE", number * ROUNDS + round.min(ROUNDS - 1) + 1)
}

/// An OPTIONS that asks whether `target` answers again.
#[must_use]
pub fn probe(target: &Target, settings: &Settings, mint: &mut Mint) -> Request {
    let mut request = Request::new(Method::Options, target.uri.clone());
    let headers = &mut request.headers;
    let own = &settings.mapping.domain;
    headers.push(Name::From, &format!("<sip:{own}>;tag={}", mint.token()));
    headers.push(Name::To, &format!("<{}>", target.to));
    headers.push(Name::CallId, &mint.token());
    headers.push(Name::CSeq, "1 OPTIONS");
    headers.push(Name::Accept, "text/plain");
    request
}

/// Whether the request for `text` fits a datagram by a rough count, which spares printing it.
#[must_use]
pub fn is_surely_small(message: &Message, text: &str) -> bool {
    let subject = message.subject.as_ref().map_or(0, String::len);
    let users = message.from.user.len()
        + message.from.host.len()
        + message.to.user.len()
        + message.to.host.len()
        + message.to.device.as_ref().map_or(0, String::len)
        + message.thread.as_ref().map_or(0, String::len);
    text.len() + subject + users * 6 + 600 <= MAX_DATAGRAM
}

/// The transport for a request of `size` bytes whose hop has `usual`.
///
/// # Errors
/// `TooLarge` when the trunk has none for it.
pub fn transport(trunk: &Trunk, usual: Transport, size: usize) -> Result<Transport, Refusal> {
    let transport = match usual {
        Transport::Udp if size <= MAX_DATAGRAM => return Ok(Transport::Udp),
        Transport::Udp => trunk.large,
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => Some(usual),
    };
    transport.filter(|_| size <= trunk.max_size).ok_or_else(|| {
        Refusal::new(Reason::TooLarge).with_text("The message is too long for this contact.")
    })
}

/// A token that names the conversation of `message` and the counting it is in.
fn derive(key: &[u8; 16], what: &[u8], message: &Message, part: usize) -> String {
    let (from, to) = (&message.from, &message.to);
    // The device may change within a conversation; the counting goes by accounts and thread.
    let hash = mint::hash(
        key,
        &[
            what,
            from.user.as_bytes(),
            from.host.as_bytes(),
            to.user.as_bytes(),
            to.host.as_bytes(),
            message.thread.as_deref().unwrap_or_default().as_bytes(),
            &message.ordinal.epoch.to_le_bytes(),
            &(message.ordinal.number & !NUMBERS).to_le_bytes(),
            &u64::try_from(part).unwrap_or(u64::MAX).to_le_bytes(),
        ],
    );
    mint::base32(hash)
}

/// Whether a thread can be a Call-ID as it is (RFC 3261 §25.1 `word [ "@" word ]`), and tells
/// nobody who sent it (specs 2.3).
fn may_be_call_id(thread: &str, message: &Message) -> bool {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~()/:?".contains(&b))
    };
    let (local, host) = thread.split_once('@').unwrap_or((thread, "-"));
    (MIN_CALL_ID..=MAX_CALL_ID).contains(&thread.len())
        && word(local)
        && word(host)
        && !thread.contains(&message.from.user)
}

/// BCP 47 §2.1, loosely.
fn is_language(text: &str) -> bool {
    text.len() <= 35
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The largest request for UDP, in bytes (RFC 3261 §18.1.1).
pub const MAX_DATAGRAM: usize = 1300;
/// CSeq numbers kept for each message: one for each answered challenge.
const ROUNDS: u32 = 4;
/// The part of an ordinal's number that fits in a CSeq; the rest goes into the tag.
const NUMBERS: u32 = (1 << 28) - 1;
/// Shorter threads could meet by chance.
const MIN_CALL_ID: usize = 8;
/// Longer ones fill the datagram.
const MAX_CALL_ID: usize = 128;
/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 200;

#[cfg(test)]
pub(crate) mod tests;
