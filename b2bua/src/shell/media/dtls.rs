//! DTLS-SRTP (RFC 5764 §5): a handshake whose keys are used only if the certificate is the announced one.
//!
//! As server we take the version that the client's first message asks for; as client we speak 1.2.

mod certificate;
mod hello;
mod thirteen;
mod twelve;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::srtp::{Guard, Master, Suite};
use crate::media::{Failure, Fingerprint};
pub(super) use certificate::Certificate;
use thirteen::Thirteen;
use twelve::Twelve;

/// One handshake and, after it, the association that keeps answering.
pub(super) struct Handshake {
    certificate: Certificate,
    engine: Engine,
    expected: Fingerprint,
    active: bool,
    budget: usize,
    state: State,
}

/// What speaks: it depends on the version.
enum Engine {
    /// Nothing but these datagrams has come yet, which do not tell.
    Undecided(Vec<Vec<u8>>),
    Twelve(Box<Twelve>),
    Thirteen(Box<Thirteen>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Connected,
    Failed,
}

/// What an engine tells.
enum Told {
    Packet(Bytes),
    Established(Established),
    Failed,
}

/// What both ends have in common now.
struct Established {
    certificate: Vec<u8>,
    suite: Suite,
    /// Exported for SRTP (RFC 5764 §4.2).
    material: Vec<u8>,
}

/// What comes out of a handshake.
pub(super) enum Step {
    /// To be sent to the other side.
    Packet(Bytes),
    /// Done: what packets go through from now on.
    Keys(Guard),
    /// Over.
    Failed(Failure),
}

impl Handshake {
    /// A handshake with the side that has the certificate `expected`; `active`: we begin, at the first
    /// [`Self::handle_timeout`].
    pub(super) fn new(certificate: &Certificate, expected: Fingerprint, active: bool) -> Self {
        Self {
            engine: match active {
                true => Engine::Twelve(Box::new(Twelve::new(certificate, true))),
                false => Engine::Undecided(Vec::new()),
            },
            certificate: certificate.clone(),
            expected,
            active,
            budget: BUDGET,
            state: State::Running,
        }
    }

    /// Whether this handshake will do for that certificate and role.
    pub(super) fn is_with(&self, expected: &Fingerprint, active: bool) -> bool {
        let role = self.active == active || self.state == State::Connected;
        role && self.state != State::Failed && self.expected == *expected
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// What is spoken, as it is told to people.
    pub(super) fn protocol(&self) -> &'static str {
        match self.engine {
            Engine::Undecided(_) => "DTLS",
            Engine::Twelve(_) => "DTLS 1.2",
            Engine::Thirteen(_) => "DTLS 1.3",
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.engine, self.state) {
            (Engine::Twelve(engine), State::Running) => engine.deadline(),
            (Engine::Thirteen(engine), State::Running) => engine.deadline(),
            (Engine::Undecided(_), _) | (_, State::Connected | State::Failed) => None,
        }
    }

    /// A record came.
    pub(super) fn handle_packet(&mut self, packet: &[u8], now: Instant, out: &mut Vec<Step>) {
        // What is not yet authentic is kept, and put together by recursion: not without end.
        let Some(left) = self.budget.checked_sub(packet.len()) else {
            return;
        };
        self.budget = left;
        if self.state == State::Failed {
            return;
        }
        let mut told = Vec::new();
        let mut first = Vec::new();
        if let Engine::Undecided(waiting) = &mut self.engine {
            waiting.push(packet.to_vec());
            let Some(thirteen) = hello::offers_thirteen(waiting) else {
                return;
            };
            first = std::mem::take(waiting);
            self.engine = match thirteen {
                true => Engine::Thirteen(Box::new(Thirteen::new(&self.certificate.thirteen, now))),
                false => Engine::Twelve(Box::new(Twelve::new(&self.certificate, false))),
            };
        }
        let packets = match first.is_empty() {
            true => vec![packet],
            false => first.iter().map(Vec::as_slice).collect(),
        };
        for packet in packets {
            match &mut self.engine {
                Engine::Undecided(_) => {}
                Engine::Twelve(engine) => engine.handle_packet(packet, now, &mut told),
                Engine::Thirteen(engine) => engine.handle_packet(packet, now, &mut told),
            }
        }
        self.take(told, out);
    }

    /// Begins, or repeats what was lost.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Step>) {
        if self.state != State::Running {
            return;
        }
        let mut told = Vec::new();
        match &mut self.engine {
            Engine::Undecided(_) => {}
            Engine::Twelve(engine) => engine.handle_timeout(now, &mut told),
            Engine::Thirteen(engine) => engine.handle_timeout(now, &mut told),
        }
        self.take(told, out);
    }

    /// Says farewell.
    pub(super) fn close(&mut self, now: Instant, out: &mut Vec<Step>) {
        if self.state != State::Connected {
            return;
        }
        let mut told = Vec::new();
        match &mut self.engine {
            Engine::Undecided(_) => {}
            Engine::Twelve(engine) => engine.close(now, &mut told),
            Engine::Thirteen(engine) => engine.close(now, &mut told),
        }
        self.take(told, out);
    }

    fn take(&mut self, told: Vec<Told>, out: &mut Vec<Step>) {
        for told in told {
            match told {
                Told::Packet(bytes) => out.push(Step::Packet(bytes)),
                Told::Established(established) => self.complete(&established, out),
                Told::Failed => self.fail(Failure::Dtls, out),
            }
        }
    }

    fn complete(&mut self, established: &Established, out: &mut Vec<Step>) {
        if !certificate::matches(&self.expected, &established.certificate) {
            return self.fail(Failure::Fingerprint, out);
        }
        let Some(guard) = guard(established, self.active) else {
            return self.fail(Failure::Dtls, out);
        };
        self.state = State::Connected;
        out.push(Step::Keys(guard));
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Step>) {
        if self.state != State::Failed {
            self.state = State::Failed;
            out.push(Step::Failed(failure));
        }
    }
}

/// Both master keys from the exported bytes: keys first, then salts, the client's before the server's
/// (RFC 5764 §4.2).
fn guard(established: &Established, active: bool) -> Option<Guard> {
    let Established {
        suite, material, ..
    } = established;
    let (key, salt) = suite.lengths();
    let part = |from: usize, length: usize| material.get(from..from + length);
    let client = Master::new(*suite, part(0, key)?, part(2 * key, salt)?);
    let server = Master::new(*suite, part(key, key)?, part(2 * key + salt, salt)?);
    if active {
        Guard::protected(&client, server)
    } else {
        Guard::protected(&server, client)
    }
}

/// Records fit into any path, tunnels included.
const MTU: usize = 1150;
/// Between two tries. RFC 6347 has a second, but paths of calls are faster, and seven are made.
const REPEAT: Duration = Duration::from_millis(500);
/// Handshakes of four seconds each.
const TRIES: u8 = 6;
/// Bytes of handshake that one peer may send: certificates are one or two thousand.
const BUDGET: usize = 32 * 1024;

#[cfg(test)]
mod tests;
