//! Knowing that the server has what was written to it.
//!
//! A component stream has no acknowledgements, but the server handles it in order: when it answers
//! a ping, it has handled every stanza written before that ping. One ping covers all stanzas since
//! the one before (docs/ARCHITECTURE.md, "The promise").

use crate::call::closing::OpenKey;
use crate::stanza::{set, stanza};
use crate::xml;
use jid::Jid;
use minidom::Element;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tandem_shared::message::MessageId;
use tandem_shared::mint::Mint;

/// How long the server may say nothing while it owes an answer before the stream counts as dead.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long it may owe an answer while it says other things: ejabberd reads what we write only
/// behind all it has to hand us, and what waits in the stream would be lost with it.
pub const ANSWER_AT_LAST: Duration = Duration::from_secs(300);
/// A stream on which nothing was heard for this long is pinged.
pub const QUIET: Duration = Duration::from_secs(60);

/// What waits for the server to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A message from SIP, and which writing of it.
    Message(MessageId, u8),
    /// The error stanza that ends a message from XMPP.
    Error(MessageId),
    /// The stanzas that close the id of a call.
    Call(OpenKey),
}

#[derive(Debug)]
struct Ping {
    id: String,
    covers: Vec<Written>,
    sent: Instant,
}

/// The pings in flight and what they cover.
#[derive(Debug)]
pub struct Confirm {
    from: Jid,
    to: Jid,
    waiting: Vec<Written>,
    pings: VecDeque<Ping>,
    heard: Option<Instant>,
}

impl Confirm {
    /// Pings go from `from`, the gateway's domain, to `to`, the server's.
    #[must_use]
    pub fn new(from: Jid, to: Jid) -> Self {
        Self {
            from,
            to,
            waiting: Vec::new(),
            pings: VecDeque::new(),
            heard: None,
        }
    }

    /// A stream is open.
    pub fn handle_opened(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// The stream is gone; returns what nobody will confirm any more.
    pub fn handle_closed(&mut self) -> Vec<Written> {
        self.heard = None;
        let pings = self.pings.drain(..).flat_map(|ping| ping.covers);
        let mut lost: Vec<Written> = pings.collect();
        lost.append(&mut self.waiting);
        lost
    }

    /// Something was heard from the server.
    pub fn handle_heard(&mut self, now: Instant) {
        if self.heard.is_some() {
            self.heard = Some(now);
        }
    }

    /// `written` was given to the stream and waits for the next ping.
    pub fn add(&mut self, written: Written) {
        self.waiting.push(written);
    }

    /// How many stanzas wait to be confirmed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
            + self
                .pings
                .iter()
                .map(|ping| ping.covers.len())
                .sum::<usize>()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ping to write behind the stanzas of this round, if one is due.
    pub fn poll_ping(&mut self, mint: &mut Mint, now: Instant) -> Option<Element> {
        let heard = self.heard?;
        let quiet = self.pings.is_empty() && now >= heard + QUIET;
        if self.waiting.is_empty() && !quiet {
            return None;
        }
        let id = mint.token();
        let mut ping = stanza("iq", &self.from, &self.to);
        set(&mut ping, "type", "get");
        set(&mut ping, "id", &id);
        ping.append_child(Element::bare("ping", xml::PING));
        self.pings.push_back(Ping {
            id,
            covers: std::mem::take(&mut self.waiting),
            sent: now,
        });
        Some(ping)
    }

    /// An answer to an iq came from `from`; returns what is confirmed by it. An error is as good
    /// as a result: the server has handled what was before it.
    pub fn handle_answer(&mut self, from: &Jid, id: &str) -> Vec<Written> {
        let Some(at) = self.pings.iter().position(|ping| ping.id == id) else {
            return Vec::new();
        };
        if *from != self.to {
            return Vec::new();
        }
        self.pings
            .drain(..=at)
            .flat_map(|ping| ping.covers)
            .collect()
    }

    /// Whether the server owes an answer for too long.
    #[must_use]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.answer_due().is_some_and(|due| now >= due)
    }

    /// When a ping is due or overdue next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.answer_due() {
            Some(due) => Some(due),
            None => self.heard.map(|heard| heard + QUIET),
        }
    }

    /// When the oldest ping in flight has waited for too long.
    fn answer_due(&self) -> Option<Instant> {
        let ping = self.pings.front()?;
        let heard = self.heard.map_or(ping.sent, |heard| heard.max(ping.sent));
        Some((heard + ANSWER_WITHIN).min(ping.sent + ANSWER_AT_LAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirm() -> (Confirm, Mint, Instant) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let jid = |text: &str| Jid::new(text).unwrap();
        let mut confirm = Confirm::new(jid("sip.localhost"), jid("localhost"));
        confirm.handle_opened(now);
        (confirm, Mint::new([0; 16]), now)
    }

    fn message(name: &str) -> Written {
        Written::Message(MessageId(name.into()), 0)
    }

    #[test]
    fn one_answer_confirms_everything_before_its_ping() {
        let (mut confirm, mut mint, now) = confirm();
        let server = Jid::new("localhost").unwrap();
        confirm.add(message("1"));
        confirm.add(message("2"));
        let first = confirm.poll_ping(&mut mint, now).unwrap();
        confirm.add(message("3"));
        let second = confirm.poll_ping(&mut mint, now).unwrap();
        confirm.add(message("4"));
        assert!(confirm.handle_answer(&server, "other").is_empty());
        let evil = Jid::new("evil@localhost").unwrap();
        assert!(
            confirm
                .handle_answer(&evil, second.attr("id").unwrap())
                .is_empty()
        );
        let covered = confirm.handle_answer(&server, second.attr("id").unwrap());
        assert_eq!(covered, [message("1"), message("2"), message("3")]);
        assert!(
            confirm
                .handle_answer(&server, first.attr("id").unwrap())
                .is_empty()
        );
        assert_eq!(confirm.len(), 1);
    }

    #[test]
    fn a_quiet_stream_is_pinged_and_a_dead_one_noticed() {
        let (mut confirm, mut mint, now) = confirm();
        assert_eq!(confirm.poll_ping(&mut mint, now), None);
        let later = now + QUIET;
        assert_eq!(confirm.poll_timeout(), Some(later));
        assert!(confirm.poll_ping(&mut mint, later).is_some());
        assert!(!confirm.is_overdue(later));
        assert!(confirm.is_overdue(later + ANSWER_WITHIN));
    }

    #[test]
    fn a_server_with_much_to_say_may_answer_late() {
        let (mut confirm, mut mint, now) = confirm();
        confirm.add(message("1"));
        confirm.poll_ping(&mut mint, now);
        let later = now + ANSWER_WITHIN;
        confirm.handle_heard(later);
        assert!(!confirm.is_overdue(later));
        assert_eq!(confirm.poll_timeout(), Some(later + ANSWER_WITHIN));
        confirm.handle_heard(now + ANSWER_AT_LAST);
        assert!(confirm.is_overdue(now + ANSWER_AT_LAST));
    }

    #[test]
    fn a_closed_stream_gives_back_what_it_left_open() {
        let (mut confirm, mut mint, now) = confirm();
        confirm.add(message("1"));
        confirm.poll_ping(&mut mint, now);
        confirm.add(message("2"));
        assert_eq!(confirm.handle_closed(), [message("1"), message("2")]);
        assert_eq!(confirm.poll_ping(&mut mint, now), None);
        assert!(confirm.is_empty());
    }
}
