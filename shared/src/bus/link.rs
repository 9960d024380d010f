//! The life of a link between two nodes, without its transport.
//!
//! Both ends say `Hello` when the transport connects, then a `Heartbeat` every five seconds. An end
//! that is silent for fifteen seconds is lost, as is one whose transport went away. Two ends whose
//! `[mapping]` differs do not work together: the link is closed and tried again.

use super::{Envelope, NodeId, SessionId, VERSION};
use crate::event::{Control, Event, Hello};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How often a node that says nothing else says it is here.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a silent peer counts as alive.
pub const DEAD: Duration = Duration::from_secs(15);
/// How long a peer that does not fit is left alone.
pub const RETRY: Duration = Duration::from_secs(5);

/// What the link asks of its owner, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Put this on the transport.
    Send(Box<Envelope>),
    /// The peer is there; what it should know must be said (again) now.
    Up(NodeId),
    /// The peer is gone.
    Lost(NodeId),
    /// End the transport's link; it will connect again. Why, unless that was said before.
    Close(Option<Mismatch>),
}

/// Why two nodes do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// No envelope version is spoken by both.
    Version,
    /// These keys of the configuration differ.
    Mapping(Vec<String>),
}

#[derive(Debug)]
enum State {
    Down,
    Greeting,
    Up {
        peer: NodeId,
        epoch: u64,
    },
    /// The last peer did not fit; nothing is said or heard until the given time.
    Shunned {
        until: Instant,
    },
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    node: NodeId,
    epoch: u64,
    mapping: BTreeMap<String, String>,
    state: State,
    /// Whether the transport reaches the other end.
    connected: bool,
    /// Whether the peer has greeted first on this connection.
    greeted: bool,
    /// The last mismatch that was told.
    told: Option<Mismatch>,
    heard: Option<Instant>,
    speak: Option<Instant>,
    output: VecDeque<Output>,
}

impl Link {
    /// A link end that is not connected; `epoch` differs in every run of the process.
    #[must_use]
    pub fn new(node: NodeId, epoch: u64, mapping: BTreeMap<String, String>) -> Self {
        Self {
            node,
            epoch,
            mapping,
            state: State::Down,
            connected: false,
            greeted: false,
            told: None,
            heard: None,
            speak: None,
            output: VecDeque::new(),
        }
    }

    /// Whether the peer is there.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Which run of this process speaks.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// `event` about `session`, addressed to the peer.
    #[must_use]
    pub fn envelope(&self, session: SessionId, event: Event) -> Box<Envelope> {
        let to = match &self.state {
            State::Up { peer, .. } => peer.clone(),
            State::Down | State::Greeting | State::Shunned { .. } => NodeId::default(),
        };
        Box::new(Envelope {
            version: VERSION,
            from: self.node.clone(),
            to,
            epoch: self.epoch,
            session,
            event,
        })
    }

    /// The transport reached the other end.
    pub fn handle_connected(&mut self, now: Instant) {
        self.handle_disconnected();
        self.connected = true;
        self.greeted = false;
        if matches!(self.state, State::Shunned { until } if now < until) {
            return;
        }
        self.state = State::Greeting;
        self.greet(false, now);
        self.heard = Some(now);
    }

    /// The transport lost the other end.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        // A peer that does not fit stays shunned, or both would connect again at once for ever.
        if !matches!(self.state, State::Shunned { .. }) {
            self.leave(State::Down);
        }
    }

    /// Something came from the other end; what is for the owner is returned.
    pub fn handle_envelope(
        &mut self,
        envelope: Envelope,
        now: Instant,
    ) -> Option<(SessionId, Event)> {
        if matches!(self.state, State::Down | State::Shunned { .. }) || envelope.from == self.node {
            return None;
        }
        self.heard = Some(now);
        let Event::Control(control) = envelope.event else {
            let known = matches!(&self.state, State::Up { epoch, .. } if *epoch == envelope.epoch);
            return known.then_some((envelope.session, envelope.event));
        };
        match control {
            Control::Hello(hello) => self.handle_hello(envelope.from, envelope.epoch, &hello, now),
            Control::Goodbye => self.leave(State::Greeting),
            Control::Heartbeat | Control::Unknown => {}
        }
        None
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Down => return,
            State::Shunned { until } if now >= until && self.connected => {
                self.state = State::Greeting;
                self.greet(false, now);
                self.heard = Some(now);
            }
            State::Shunned { until } if now >= until => {
                self.state = State::Down;
                return;
            }
            State::Shunned { .. } => return,
            State::Greeting | State::Up { .. } => {}
        }
        if self.is_up() && self.heard.is_some_and(|heard| now >= heard + DEAD) {
            self.leave(State::Greeting);
            self.speak = Some(now);
        }
        if self.speak.is_some_and(|speak| now >= speak) {
            if self.is_up() {
                self.send(Control::Heartbeat);
                self.speak = Some(now + HEARTBEAT);
            } else {
                self.greet(false, now);
            }
        }
    }

    /// When [`Link::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Down => None,
            State::Shunned { until } => Some(until),
            State::Greeting => self.speak,
            State::Up { .. } => [self.speak, self.heard.map(|heard| heard + DEAD)]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// The next thing the link asks for.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Says that this node leaves in order.
    pub fn say_goodbye(&mut self) {
        if self.is_up() {
            self.send(Control::Goodbye);
        }
    }

    fn handle_hello(&mut self, peer: NodeId, epoch: u64, hello: &Hello, now: Instant) {
        if let Some(mismatch) = self.mismatch(hello) {
            // The peer must hear this Hello too, or it could not name the differing keys itself.
            if !hello.answer {
                self.greet(true, now);
            }
            self.leave(State::Shunned { until: now + RETRY });
            let new = self.told.as_ref() != Some(&mismatch);
            self.told = Some(mismatch.clone());
            self.output
                .push_back(Output::Close(new.then_some(mismatch)));
            return;
        }
        self.told = None;
        if !hello.answer {
            self.greet(true, now);
        }
        let known =
            matches!(&self.state, State::Up { epoch: e, peer: p } if *e == epoch && *p == peer);
        // A peer that greets anew had lost us meanwhile, and dropped what we said to it.
        let greets_anew = !hello.answer && std::mem::replace(&mut self.greeted, !hello.answer);
        if !known || greets_anew {
            self.leave(State::Up {
                peer: peer.clone(),
                epoch,
            });
            self.heard = Some(now);
            self.speak = Some(now + HEARTBEAT);
            self.output.push_back(Output::Up(peer));
        }
    }

    fn mismatch(&self, hello: &Hello) -> Option<Mismatch> {
        if !hello.versions.contains(&VERSION) {
            return Some(Mismatch::Version);
        }
        let mut keys: Vec<String> = self
            .mapping
            .iter()
            .filter(|(key, digest)| hello.mapping.get(*key) != Some(digest))
            .map(|(key, _)| key.clone())
            .collect();
        let foreign = |key: &&String| !self.mapping.contains_key(*key);
        keys.extend(hello.mapping.keys().filter(foreign).take(16).cloned());
        (!keys.is_empty()).then_some(Mismatch::Mapping(keys))
    }

    /// Goes to `state`, telling the owner when that loses a peer.
    fn leave(&mut self, state: State) {
        let before = std::mem::replace(&mut self.state, state);
        if let State::Up { peer, .. } = before {
            self.output.push_back(Output::Lost(peer));
        }
    }

    fn greet(&mut self, answer: bool, now: Instant) {
        self.send(Control::Hello(Hello {
            answer,
            versions: vec![VERSION],
            mapping: self.mapping.clone(),
        }));
        self.speak = Some(now + HEARTBEAT);
    }

    fn send(&mut self, control: Control) {
        let envelope = self.envelope(SessionId::control(), Event::Control(control));
        self.output.push_back(Output::Send(envelope));
    }
}

#[cfg(test)]
mod tests;
