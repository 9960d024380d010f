//! The XMPP users who send, and the ledger of what they did and were told.
//!
//! Behind every message its sender pings the gateway. The component answers what it reads in order
//! and only after the commit, so the answer to the ping is the promise for the message.
//!
//! Invariant: a message enters the ledger before it is sent, and is sent once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::plan::{Line, Plan, WRITERS};
use crate::server::Server;
use crate::xmpp::{Session, Stanza, Xmpp, escape};

/// What happened to the messages from XMPP as far as their senders know; keyed by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When each was sent, in seconds since 1970.
    pub sent: BTreeMap<usize, f64>,
    /// When it was learnt that the gateway had taken charge, in seconds since 1970.
    pub promised: BTreeMap<usize, f64>,
    /// The errors that came for them, as condition and words.
    pub errors: BTreeMap<usize, Vec<String>>,
}

/// Sends the lines of a plan.
#[derive(Debug)]
pub struct Writer<'a> {
    plan: &'a Plan,
    xmpp: &'a Xmpp,
    server: Server,
    ledger: Mutex<Ledger>,
    stopped: AtomicBool,
    logins: AtomicUsize,
}

impl<'a> Writer<'a> {
    /// Will send the lines of `plan`.
    pub fn new(plan: &'a Plan, xmpp: &'a Xmpp, server: Server) -> Self {
        Self {
            plan,
            xmpp,
            server,
            ledger: Mutex::default(),
            stopped: AtomicBool::new(false),
            logins: AtomicUsize::new(0),
        }
    }

    /// Sends everything, then listens until [`Writer::stop`]. A user whose stream ends logs in
    /// again, for as long as it takes.
    pub fn run(&self) {
        let mut sessions: [Option<Session>; 2] = [None, None];
        let mut lines = self.plan.lines.iter().enumerate().peekable();
        while !self.stopped.load(Ordering::Relaxed) {
            for (session, user) in sessions.iter_mut().zip(WRITERS) {
                self.listen(session, user);
            }
            if sessions.iter().all(Option::is_some)
                && let Some((number, line)) = lines.peek()
                && self.write(&sessions, *number, **line)
            {
                lines.next();
            }
            sleep(PACE);
        }
        for session in sessions.into_iter().flatten() {
            // One that a dead server ended is gone already.
            let _ = session.log_out();
        }
    }

    /// Ends [`Writer::run`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> Ledger {
        self.lock().clone()
    }

    /// False when the sender's stream is known to be gone, so that nothing was sent.
    fn write(&self, sessions: &[Option<Session>], number: usize, line: Line) -> bool {
        let Some(session) = sessions.get(line.writer).and_then(Option::as_ref) else {
            return false;
        };
        let gateway = self.server.gateway();
        let to = format!("{}\\40sip.test@{gateway}", reader_name(line.reader));
        let stanzas = format!(
            "<message to='{}' id='{}' type='chat'><body>{}</body></message>\
             <iq to='{gateway}' id='{}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
            escape(&to),
            message_id(self.plan.seed, number),
            self.plan.line_text(number),
            ping_id(self.plan.seed, number),
        );
        self.lock().sent.insert(number, now());
        let sent = session.send(&stanzas).is_ok();
        if !sent {
            self.lock().sent.remove(&number);
        }
        sent
    }

    /// Enters what came, and replaces a session whose stream has ended.
    fn listen(&self, session: &mut Option<Session>, user: &str) {
        if let Some(open) = session {
            // Asked first: what came before the end is still in the queue.
            let ended = open.has_ended();
            for stanza in open.drain() {
                self.enter(&stanza);
            }
            if ended && let Some(gone) = session.take() {
                // It would connect again by itself, unseen.
                let _ = gone.vanish();
            }
        }
        if session.is_none() {
            // A resource of its own, so that what is left of an old stream cannot meet it.
            let resource = format!("desk{}", self.logins.fetch_add(1, Ordering::Relaxed));
            // Nobody is there yet, or not ready yet: the next round tries again.
            *session = self.xmpp.log_in(self.server, user, &resource).ok();
        }
    }

    fn enter(&self, stanza: &Stanza) {
        let mut ledger = self.lock();
        let seed = self.plan.seed;
        for number in 0..self.plan.lines.len() {
            if stanza.name == "iq"
                && stanza.kind() == "result"
                && stanza.id() == ping_id(seed, number)
            {
                ledger.promised.entry(number).or_insert_with(now);
            }
            if stanza.kind() == "error" && stanza.id() == message_id(seed, number) {
                let words = format!("{}: {}", stanza.condition(), stanza.error_text());
                ledger.errors.entry(number).or_default().push(words);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the stanza that carries the message `number`.
pub fn message_id(seed: u64, number: usize) -> String {
    format!("x-{seed}-{number}")
}

/// The name of the SIP peer's user `reader`.
pub fn reader_name(reader: usize) -> String {
    format!("reader{reader}")
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

fn ping_id(seed: u64, number: usize) -> String {
    format!("p-{seed}-{number}")
}

/// The pause between two messages.
const PACE: Duration = Duration::from_millis(5);
