//! What became of every message of a simulated run, and what must have become of it.
//!
//! To SIP: from the commit of its row a message is delivered, or its sender hears an error. To
//! XMPP: a request is answered 2xx only if the server had its message. In doubt a message may come
//! twice, once for each interruption; nothing changes places within a conversation.

use std::collections::BTreeMap;
use std::time::Duration;

mod verdict;

pub use verdict::Tally;

/// How many XMPP users there are.
pub const USERS: usize = 3;
/// How many SIP parties there are.
pub const CONTACTS: usize = 3;

/// The body of the message to SIP with this number.
#[must_use]
pub fn body(number: u32) -> String {
    format!("x{number}")
}

/// The body of the message from SIP with this number.
#[must_use]
pub fn from_sip(number: u32) -> String {
    format!("y{number}")
}

/// The number in a body.
#[must_use]
pub fn number(body: &str) -> u32 {
    body.get(1..)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// Who wrote and who reads: an index on each side.
type Conversation = (usize, usize);

/// What is known of a message to SIP.
#[derive(Debug, Default)]
struct ToSip {
    conversation: Conversation,
    id: u32,
    /// Whether it may be written to disk.
    stored: bool,
    committed: bool,
    /// It was in the window that no promise covers.
    uncovered: bool,
    /// When a request for it reached the peer, whatever was answered.
    seen: Vec<Duration>,
    delivered: Vec<Duration>,
    errors: Vec<String>,
}

/// What is known of a message from SIP.
#[derive(Debug, Default)]
struct ToXmpp {
    conversation: Conversation,
    since: Duration,
    until: Option<Duration>,
    status: Option<u16>,
    given_up: bool,
    arrived: Vec<Duration>,
}

/// The ledger of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    to_sip: BTreeMap<u32, ToSip>,
    to_xmpp: BTreeMap<u32, ToXmpp>,
    /// When a process died or a link broke.
    interruptions: Vec<Duration>,
    kills: usize,
    lost_envelopes: usize,
    violations: Vec<String>,
}

impl Ledger {
    /// A user writes a message with the stanza id `id`.
    pub fn write(&mut self, number: u32, conversation: Conversation, id: u32, stored: bool) {
        let message = ToSip {
            conversation,
            id,
            stored,
            ..ToSip::default()
        };
        self.to_sip.insert(number, message);
    }

    /// The row of a message to SIP is on disk.
    pub fn commit(&mut self, number: u32) {
        if let Some(message) = self.to_sip.get_mut(&number) {
            message.committed = true;
        }
    }

    /// The server itself told the sender that there is no gateway.
    pub fn bounce(&mut self, number: u32) {
        if let Some(message) = self.to_sip.get_mut(&number) {
            message.errors.push("bounced by the server".to_owned());
        }
    }

    /// A message to SIP was on a stream that broke.
    pub fn lose(&mut self, number: u32) {
        if let Some(message) = self.to_sip.get_mut(&number) {
            message.uncovered = true;
        }
    }

    /// The component died: what it had taken and not committed is uncovered.
    pub fn lose_uncommitted(&mut self) {
        for message in self
            .to_sip
            .values_mut()
            .filter(|message| !message.committed)
        {
            message.uncovered = true;
        }
    }

    /// A request for a message reached the peer.
    pub fn see(&mut self, number: u32, at: Duration) {
        if let Some(message) = self.to_sip.get_mut(&number) {
            message.seen.push(at);
        }
    }

    /// A SIP party has a message.
    pub fn deliver(&mut self, number: u32, at: Duration) {
        match self.to_sip.get_mut(&number) {
            Some(message) => message.delivered.push(at),
            None => self.accuse(format!("x{number} was delivered and never written")),
        }
    }

    /// A user hears an error for its stanza with this id.
    pub fn refuse(&mut self, user: usize, id: &str, condition: &str) {
        let id = id.parse().unwrap_or(0);
        let found = self
            .to_sip
            .values_mut()
            .find(|message| message.conversation.0 == user && message.id == id);
        match found {
            Some(message) => message.errors.push(condition.to_owned()),
            None => self.accuse(format!(
                "user {user} heard an error for {id}, which it never wrote"
            )),
        }
    }

    /// A SIP party sends a request.
    pub fn ask(&mut self, number: u32, conversation: Conversation, now: Duration) {
        let request = ToXmpp {
            conversation,
            since: now,
            ..ToXmpp::default()
        };
        self.to_xmpp.insert(number, request);
    }

    /// The server has a message from SIP.
    pub fn arrive(&mut self, number: u32, at: Duration) {
        match self.to_xmpp.get_mut(&number) {
            Some(request) => request.arrived.push(at),
            None => self.accuse(format!("y{number} arrived and was never sent")),
        }
    }

    /// A request has its final answer.
    pub fn answer(&mut self, number: u32, status: u16, now: Duration) {
        let Some(request) = self.to_xmpp.get_mut(&number) else {
            return;
        };
        request.status = Some(status);
        request.until = Some(now);
        let arrived = !request.arrived.is_empty();
        let exists = request.conversation.1 < USERS;
        if status < 300 && !(arrived && exists) {
            self.accuse(format!(
                "y{number} was answered {status} and the server did not have it"
            ));
        }
    }

    /// A request was never answered.
    pub fn give_up(&mut self, number: u32) {
        if let Some(request) = self.to_xmpp.get_mut(&number) {
            request.given_up = true;
        }
    }

    /// A link broke or, with `kill`, a process died.
    pub fn interrupt(&mut self, kill: bool, now: Duration) {
        self.interruptions.push(now);
        self.kills += usize::from(kill);
    }

    /// The bus lost an envelope in silence.
    pub fn note_lost_envelope(&mut self) {
        self.lost_envelopes += 1;
    }

    /// Something is wrong.
    pub fn accuse(&mut self, what: String) {
        self.violations.push(what);
    }
}
