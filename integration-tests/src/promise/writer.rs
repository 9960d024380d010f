//! The XMPP users who send, and the ledger of what they did and were told.
//!
//! Behind every message its sender pings the gateway. The component answers what it reads in order
//! and only after the commit, so the answer to the ping is the promise for the message.
//!
//! Invariant: a message enters the ledger before it is sent, and is sent once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::plan::{Line, Plan, WRITERS};
use crate::server::Server;
use crate::xmpp::{Session, Stanza, Xmpp, escape};

/// What happened to the messages from XMPP as far as their senders know; keyed by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// When each was sent, in seconds since 1970.
    pub sent: BTreeMap<usize, f64>,
    /// Which the gateway has taken charge of.
    pub promised: BTreeSet<usize>,
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
        }
    }

    /// Sends everything, then listens until [`Writer::stop`]. A user whose stream ends logs in
    /// again, for as long as it takes.
    pub fn run(&self) -> Result<()> {
        let mut sessions: [Option<Session>; 2] = [None, None];
        let mut lines = self.plan.lines.iter().enumerate();
        while !self.stopped.load(Ordering::Relaxed) {
            for (session, user) in sessions.iter_mut().zip(WRITERS) {
                self.listen(session, user);
            }
            if sessions.iter().all(Option::is_some)
                && let Some((number, line)) = lines.next()
            {
                self.write(&sessions, number, *line)?;
            }
            sleep(PACE);
        }
        for session in sessions.into_iter().flatten() {
            // One that a dead server ended is gone already.
            let _ = session.log_out();
        }
        Ok(())
    }

    /// Ends [`Writer::run`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> Ledger {
        self.lock().clone()
    }

    fn write(&self, sessions: &[Option<Session>], number: usize, line: Line) -> Result<()> {
        let Some(session) = sessions.get(line.writer).and_then(Option::as_ref) else {
            return Ok(());
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
        session.send(&stanzas)
    }

    /// Enters what came, and replaces a session whose stream has ended.
    fn listen(&self, session: &mut Option<Session>, user: &str) {
        if let Some(open) = session {
            // Asked first: what came before the end is still in the queue.
            let ended = open.has_ended();
            for stanza in open.drain() {
                self.enter(&stanza);
            }
            if ended {
                *session = None;
            }
        }
        if session.is_none() {
            // Nobody is there yet, or not ready yet: the next round tries again.
            *session = self.xmpp.log_in(self.server, user, "desk").ok();
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
                ledger.promised.insert(number);
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
