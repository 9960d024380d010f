//! The calls of one media thread: commands and packets in, packets and events out.
//!
//! No sockets and no clock in here. Packets on the port that XMPP legs share are told apart by the
//! name in a check, the transaction in an answer, or an address that an authentic check came from.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::Bytes;
use tandem_shared::media::{Candidate, CandidateKind, IceCredentials};
use tandem_shared::mint::Mint;
use tandem_shared::timers::Timers;

use super::anchor::Anchor;
use super::dtls::Certificate;
use super::ice::{self, Ice, Recipient};
use super::packet::{self, Kind};
use super::rtcp::WallClock;
use super::settings::Timing;
use super::sip::{Port, SipLeg};
use super::srtp::Suite;
use super::stream::Stream;
use super::xmpp::XmppLeg;
use crate::media::{AnchorId, Command, Event, Failure, Key, Leg, SipLocal, XmppLocal};

/// A socket, as the calls name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Socket {
    /// One of those shared by XMPP legs.
    Xmpp(usize),
    /// A SIP leg's port for sound.
    Rtp(AnchorId),
    /// A SIP leg's port for reports.
    Rtcp(AnchorId),
}

/// A datagram to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transmit {
    pub(super) socket: Socket,
    pub(super) to: SocketAddr,
    pub(super) bytes: Bytes,
}

/// What comes out; the shell empties it.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) transmits: Vec<Transmit>,
    /// Packets on their way to a leg; empty in between, kept for its room.
    pub(super) packets: Vec<Bytes>,
    pub(super) events: Vec<Event>,
    /// Addresses of XMPP legs, for the shard itself.
    pub(super) sources: Vec<(AnchorId, usize, SocketAddr)>,
}

/// What everything in a call may look at.
pub(super) struct Context<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) timing: &'a Timing,
    pub(super) clock: &'a WallClock,
    pub(super) now: Instant,
}

/// The calls of a thread.
pub(super) struct Shard {
    certificate: Certificate,
    timing: Timing,
    clock: WallClock,
    /// Where XMPP legs are reached, as others see it.
    locals: Vec<SocketAddr>,
    mint: Mint,
    /// Each in a box: a table that grows keeps much room free.
    calls: HashMap<AnchorId, Box<Call>>,
    names: HashMap<String, AnchorId>,
    sources: HashMap<(usize, SocketAddr), AnchorId>,
    transactions: HashMap<[u8; 12], AnchorId>,
    timers: Timers<AnchorId>,
    pub(super) output: Output,
    /// Packets from nobody known.
    pub(super) strangers: u64,
}

/// A call and what the tables know of it.
struct Call {
    anchor: Anchor,
    credentials: IceCredentials,
    sip: SipLocal,
    names: Vec<String>,
    sources: VecDeque<(usize, SocketAddr)>,
    transactions: VecDeque<[u8; 12]>,
    deadline: Option<Instant>,
    generation: u32,
    /// A panic went through it: it only waits for its release.
    broken: bool,
}

impl Shard {
    pub(super) fn new(
        certificate: Certificate,
        timing: Timing,
        clock: WallClock,
        locals: Vec<SocketAddr>,
        mint: Mint,
    ) -> Self {
        Self {
            certificate,
            timing,
            clock,
            locals,
            mint,
            calls: HashMap::new(),
            names: HashMap::new(),
            sources: HashMap::new(),
            transactions: HashMap::new(),
            timers: Timers::default(),
            output: Output::default(),
            strangers: 0,
        }
    }

    /// A new call whose SIP leg is reached at these addresses.
    pub(super) fn open(&mut self, id: AnchorId, rtp: SocketAddr, rtcp: SocketAddr, now: Instant) {
        let Some(keys) = keys().filter(|_| !self.calls.contains_key(&id)) else {
            self.output.events.push(Event::NotOpened { anchor: id });
            return;
        };
        let credentials = self.credentials();
        let tie_breaker = self.mint.number() as u64;
        let ice = Ice::new(&credentials, self.locals.clone(), tie_breaker);
        let stream = |mint: &mut Mint| Stream::new(Mint::new(mint.number().to_le_bytes()), now);
        let mut xmpp = XmppLeg::new(stream(&mut self.mint), ice);
        let sip = SipLeg::new(id, stream(&mut self.mint), now);
        xmpp.stream.cname.clone_from(&sip.stream.cname);
        let local = SipLocal {
            rtp,
            rtcp,
            keys,
            fingerprint: self.certificate.fingerprint.clone(),
            ssrc: sip.stream.sending.ssrc,
        };
        let call = Call {
            anchor: Anchor::new(id, xmpp, sip, now),
            credentials,
            sip: local.clone(),
            names: Vec::new(),
            sources: VecDeque::new(),
            transactions: VecDeque::new(),
            deadline: None,
            generation: 0,
            broken: false,
        };
        self.output.events.push(Event::Opened {
            anchor: id,
            xmpp: Box::new(self.xmpp_local(&call)),
            sip: Box::new(call.sip.clone()),
        });
        self.calls.insert(id, Box::new(call));
        self.settle(id, now);
    }

    /// Everything but opening, which needs sockets.
    pub(super) fn handle(&mut self, command: Command, now: Instant) {
        let id = anchor(&command);
        if let Command::Release { .. } = command {
            return self.release(id, now);
        }
        if let Command::Restart { .. } = command {
            return self.restart(id, now);
        }
        self.with(id, now, |call, cx, out| match command {
            Command::ConnectXmpp { peer, flow, .. } => {
                call.anchor.connect_xmpp(*peer, *flow, cx, out);
            }
            Command::Candidates {
                ufrag, candidates, ..
            } => {
                let mut steps = Vec::new();
                call.anchor.xmpp.add(ufrag, candidates, cx, &mut steps);
                call.anchor.take_xmpp(steps, out);
            }
            Command::ConnectSip { peer, flow, .. } => {
                call.anchor.connect_sip(*peer, *flow, cx, out);
            }
            Command::Dtmf {
                leg, key, duration, ..
            } => call.anchor.press(leg, key, duration, cx, out),
            Command::Open { .. } | Command::Restart { .. } | Command::Release { .. } => {}
        });
    }

    /// A datagram came on a socket of ours. Whatever its bytes are, nothing here panics.
    pub(super) fn handle_packet(
        &mut self,
        socket: Socket,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) {
        let known = match socket {
            Socket::Xmpp(local) => self.recipient(local, from, bytes),
            Socket::Rtp(id) | Socket::Rtcp(id) => Some(id),
        };
        let Some(id) = known.filter(|id| self.calls.contains_key(id)) else {
            self.strangers += 1;
            return;
        };
        self.with(id, now, |call, cx, out| match socket {
            Socket::Xmpp(local) => call.anchor.handle_xmpp(local, from, bytes, cx, out),
            Socket::Rtp(_) => call.anchor.handle_sip(Port::Rtp, from, bytes, cx, out),
            Socket::Rtcp(_) => call.anchor.handle_sip(Port::Rtcp, from, bytes, cx, out),
        });
    }

    /// Does everything that is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.timers.pop(now) {
            if let Some(call) = self.calls.get_mut(&id) {
                call.deadline = None;
            }
            self.with(id, now, |call, cx, out| call.anchor.handle_timeout(cx, out));
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Calls, and entries of all tables: nothing of either is left when all calls are released.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let tables = self.names.len() + self.sources.len() + self.transactions.len();
        (self.calls.len(), tables + self.timers.len())
    }

    fn recipient(&self, local: usize, from: SocketAddr, bytes: &[u8]) -> Option<AnchorId> {
        let found = match packet::classify(bytes) {
            Kind::Stun => match ice::recipient(bytes)? {
                Recipient::Name(name) => self.names.get(&name),
                Recipient::Transaction(id) => self.transactions.get(&id),
            },
            Kind::Dtls | Kind::Rtp | Kind::Rtcp => self.sources.get(&(local, from)),
            Kind::Other => None,
        };
        found.copied()
    }

    fn restart(&mut self, id: AnchorId, now: Instant) {
        let credentials = self.credentials();
        if let Some(call) = self.calls.get_mut(&id) {
            call.anchor.xmpp.ice.restart(&credentials);
            call.credentials = credentials;
            call.generation += 1;
        }
        if let Some(call) = self.calls.get(&id) {
            let xmpp = Box::new(self.xmpp_local(call));
            self.output
                .events
                .push(Event::Restarted { anchor: id, xmpp });
        }
        self.settle(id, now);
    }

    fn release(&mut self, id: AnchorId, now: Instant) {
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        self.timers.cancel(&id);
        for name in &call.names {
            self.names.remove(name);
        }
        for transaction in &call.transactions {
            self.transactions.remove(transaction);
        }
        for source in &call.sources {
            if self.sources.get(source) == Some(&id) {
                self.sources.remove(source);
            }
        }
        let cx = Context {
            certificate: &self.certificate,
            timing: &self.timing,
            clock: &self.clock,
            now,
        };
        let out = &mut self.output;
        if call.broken || contained(|| call.anchor.release(&cx, out)).is_none() {
            let report = Box::default();
            out.events.push(Event::Released { anchor: id, report });
        }
        self.output.sources.clear();
    }

    fn with(
        &mut self,
        id: AnchorId,
        now: Instant,
        act: impl FnOnce(&mut Call, &Context<'_>, &mut Output),
    ) {
        let cx = Context {
            certificate: &self.certificate,
            timing: &self.timing,
            clock: &self.clock,
            now,
        };
        let before = self.output.transmits.len();
        let out = &mut self.output;
        if let Some(call) = self.calls.get_mut(&id).filter(|call| !call.broken)
            && contained(|| act(call, &cx, out)).is_none()
        {
            call.broken = true;
            tracing::error!(
                anchor = id.0,
                "a call's media panicked and carries nothing any more"
            );
            let failed = |leg| Event::Failed {
                anchor: id,
                leg,
                failure: Failure::Socket,
            };
            out.events.extend([Leg::Xmpp, Leg::Sip].map(failed));
        }
        self.remember(id, before);
        self.settle(id, now);
    }

    /// Enters what came out into the tables: addresses, and checks whose answers will come.
    fn remember(&mut self, id: AnchorId, before: usize) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        for (anchor, local, source) in self.output.sources.drain(..) {
            let source = (local, source);
            self.sources.insert(source, anchor);
            call.sources.push_back(source);
            if call.sources.len() > SOURCES
                && let Some(oldest) = call.sources.pop_front()
                && self.sources.get(&oldest) == Some(&id)
                && !call.sources.contains(&oldest)
            {
                self.sources.remove(&oldest);
            }
        }
        for transmit in self.output.transmits.iter().skip(before) {
            if matches!(transmit.socket, Socket::Xmpp(_))
                && ice::is_request(&transmit.bytes)
                && let Some(transaction) = ice::transaction(&transmit.bytes)
                && self.transactions.insert(transaction, id).is_none()
            {
                call.transactions.push_back(transaction);
                if call.transactions.len() > TRANSACTIONS
                    && let Some(oldest) = call.transactions.pop_front()
                {
                    self.transactions.remove(&oldest);
                }
            }
        }
    }

    /// Brings names and the timer of a call up to date.
    fn settle(&mut self, id: AnchorId, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.anchor.xmpp.ice.names().eq(&call.names) {
            for name in call.names.drain(..) {
                self.names.remove(&name);
            }
            call.names = call.anchor.xmpp.ice.names().map(str::to_owned).collect();
            for name in &call.names {
                self.names.insert(name.clone(), id);
            }
        }
        let deadline = call.anchor.deadline(now).filter(|_| !call.broken);
        if deadline != call.deadline {
            call.deadline = deadline;
            match deadline {
                Some(at) => self.timers.set(id, at),
                None => self.timers.cancel(&id),
            }
        }
    }

    fn credentials(&mut self) -> IceCredentials {
        let mut ufrag = self.mint.token();
        ufrag.truncate(UFRAG);
        let pwd = self.mint.token();
        IceCredentials { ufrag, pwd }
    }

    fn xmpp_local(&self, call: &Call) -> XmppLocal {
        let candidates = self.locals.iter().enumerate().map(|(place, local)| {
            // Kind, then our own order, then the component (RFC 8445).
            let preference = 65_535 - u32::try_from(place).unwrap_or(u32::MAX).min(65_535);
            Candidate {
                foundation: (place + 1).to_string(),
                component: 1,
                priority: 126 << 24 | preference << 8 | 255,
                ip: local.ip(),
                port: local.port(),
                kind: CandidateKind::Host,
                related: None,
                generation: call.generation,
            }
        });
        XmppLocal {
            ice: call.credentials.clone(),
            fingerprint: self.certificate.fingerprint.clone(),
            candidates: candidates.collect(),
            ssrc: call.anchor.xmpp.stream.sending.ssrc,
            cname: call.anchor.xmpp.stream.cname.clone(),
        }
    }
}

/// Keeps a panic inside the call it happens in: the parsers of four protocols are not ours, and the
/// other calls of the thread have done nothing. What is left of the call is only released.
fn contained<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// A fresh key for each suite.
fn keys() -> Option<Vec<Key>> {
    let suites = Suite::OFFERED.into_iter();
    let keys = suites.map(|suite| {
        let (key, salt) = suite.lengths();
        let mut bytes = vec![0; key + salt];
        getrandom::fill(&mut bytes).ok()?;
        Some(Key {
            suite: suite.name().to_owned(),
            bytes,
        })
    });
    keys.collect()
}

/// The call a command is for.
pub(super) fn anchor(command: &Command) -> AnchorId {
    match command {
        Command::Open { anchor, .. }
        | Command::ConnectXmpp { anchor, .. }
        | Command::Candidates { anchor, .. }
        | Command::Restart { anchor }
        | Command::ConnectSip { anchor, .. }
        | Command::Dtmf { anchor, .. }
        | Command::Release { anchor } => *anchor,
    }
}

/// Characters of a local name: 40 bits tell calls apart, the password is the secret.
const UFRAG: usize = 8;
/// Addresses remembered for a call.
const SOURCES: usize = 64;
/// Checks of a call whose answers may still come.
const TRANSACTIONS: usize = 256;

#[cfg(test)]
mod tests;
