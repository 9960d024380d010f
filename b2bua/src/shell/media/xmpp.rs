//! The XMPP leg's endpoint: ICE below, DTLS-SRTP on it, one stream in it.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use tandem_shared::media::{Candidate, IceCredentials, Setup};

use super::dtls::{self, Handshake};
use super::ice::{self, Ice, Path};
use super::shard::{Context, Socket, Transmit};
use super::stream::Stream;
use crate::media::{Failure, Fingerprint, Flow, Measured, XmppPeer};

/// The leg.
pub(super) struct XmppLeg {
    pub(super) stream: Stream,
    pub(super) ice: Ice,
    handshake: Option<Handshake>,
    /// Where the other side's records come from while no pair is chosen.
    records: Option<Path>,
    connect_by: Option<Instant>,
    announced: bool,
}

/// What the leg tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Transmit),
    Source(usize, SocketAddr),
    Connected,
    Failed(Failure),
}

impl XmppLeg {
    pub(super) fn new(stream: Stream, ice: Ice) -> Self {
        Self {
            stream,
            ice,
            handshake: None,
            records: None,
            connect_by: None,
            announced: false,
        }
    }

    /// The other side's description; whether what flows has changed.
    pub(super) fn connect(
        &mut self,
        peer: XmppPeer,
        flow: Flow,
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) -> bool {
        let credentials: IceCredentials = peer.ice;
        self.ice
            .connect(&credentials, peer.controlling, peer.candidates);
        let expected = Fingerprint {
            hash: peer.dtls.hash,
            value: peer.dtls.fingerprint,
        };
        let active = peer.dtls.setup == Setup::Passive;
        // A role told anew changes nothing about an association that exists (RFC 8842).
        let keeps = |handshake: &Handshake| handshake.is_with(&expected, active);
        if !self.handshake.as_ref().is_some_and(keeps) {
            self.handshake = Some(Handshake::new(cx.certificate, expected, active));
            self.announced = false;
        }
        let is_new = self.stream.agree(flow, cx.timing, cx.now);
        if self.ice.is_connecting() {
            self.announced = false;
        }
        if !self.announced {
            self.connect_by = Some(cx.now + cx.timing.connect);
        }
        self.advance(cx, out);
        self.begin(cx, out);
        is_new
    }

    /// Candidates found later.
    pub(super) fn add(
        &mut self,
        ufrag: Option<String>,
        candidates: Vec<Candidate>,
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) {
        self.ice.add(ufrag, candidates);
        self.advance(cx, out);
    }

    /// A STUN message that may be for this leg.
    pub(super) fn handle_stun(
        &mut self,
        local: usize,
        from: SocketAddr,
        message: &[u8],
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) {
        if self.ice.handle_packet(local, from, message, cx.now) {
            self.advance(cx, out);
        } else {
            self.stream.dropped += 1;
        }
    }

    /// A record of DTLS from an address that answered checks.
    pub(super) fn handle_record(
        &mut self,
        local: usize,
        remote: SocketAddr,
        record: &[u8],
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) {
        let mut steps = Vec::new();
        if let Some(handshake) = &mut self.handshake {
            self.records = Some(Path { local, remote });
            handshake.handle_packet(record, cx.now, &mut steps);
        }
        self.take(steps, cx, out);
    }

    pub(super) fn handle_timeout(&mut self, cx: &Context<'_>, out: &mut Vec<Step>) {
        if self.ice.deadline().is_none_or(|at| at <= cx.now) {
            self.advance(cx, out);
        }
        if let Some(handshake) = &mut self.handshake
            && handshake.deadline().is_some_and(|at| at <= cx.now)
        {
            let mut steps = Vec::new();
            handshake.handle_timeout(cx.now, &mut steps);
            self.take(steps, cx, out);
        }
        if self.connect_by.is_some_and(|at| at <= cx.now) {
            self.connect_by = None;
            let reached = self.ice.path().is_some() && !self.ice.is_connecting();
            out.push(Step::Failed(if reached {
                Failure::Dtls
            } else {
                Failure::Ice
            }));
        }
    }

    /// A packet of the stream, to where the other side is now.
    pub(super) fn transmit(&self, bytes: Bytes) -> Option<Transmit> {
        Some(transmit(self.ice.path()?, bytes))
    }

    /// Says farewell to the other side.
    pub(super) fn close(&mut self, now: Instant, out: &mut Vec<Step>) {
        let mut steps = Vec::new();
        if let Some(handshake) = &mut self.handshake {
            handshake.close(now, &mut steps);
        }
        for step in steps {
            if let dtls::Step::Packet(bytes) = step {
                out.extend(self.transmit(bytes).map(Step::Send));
            }
        }
    }

    /// What was measured.
    pub(super) fn measured(&self) -> Measured {
        let protocol = self.handshake.as_ref().map(Handshake::protocol);
        Measured {
            protection: protocol.unwrap_or("none"),
            ..self.stream.measured()
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let handshake = self.handshake.as_ref().and_then(Handshake::deadline);
        let all = [self.ice.deadline(), handshake, self.connect_by];
        all.into_iter().flatten().min()
    }

    fn advance(&mut self, cx: &Context<'_>, out: &mut Vec<Step>) {
        let mut steps = Vec::new();
        self.ice.advance(cx.now, &mut steps);
        for step in steps {
            match step {
                ice::Step::Packet(path, bytes) => out.push(Step::Send(transmit(path, bytes))),
                ice::Step::Source(local, source) => out.push(Step::Source(local, source)),
                ice::Step::Connected => {
                    self.begin(cx, out);
                    self.announce(out);
                }
                ice::Step::Lost => {
                    self.connect_by = None;
                    out.push(Step::Failed(Failure::Ice));
                }
            }
        }
    }

    /// The side that begins the handshake does so when there is a way.
    fn begin(&mut self, cx: &Context<'_>, out: &mut Vec<Step>) {
        let mut steps = Vec::new();
        if let Some(handshake) = &mut self.handshake
            && self.ice.path().is_some()
        {
            handshake.handle_timeout(cx.now, &mut steps);
        }
        self.take(steps, cx, out);
    }

    fn take(&mut self, steps: Vec<dtls::Step>, cx: &Context<'_>, out: &mut Vec<Step>) {
        for step in steps {
            match step {
                dtls::Step::Packet(bytes) => {
                    let path = self.ice.path().or(self.records);
                    out.extend(path.map(|path| Step::Send(transmit(path, bytes))));
                }
                dtls::Step::Keys(guard) => {
                    self.stream.guard = guard;
                    self.announce(out);
                }
                dtls::Step::Failed(failure) => {
                    tracing::debug!(?failure, at = ?cx.now, "no keys for an XMPP leg");
                    self.connect_by = None;
                    out.push(Step::Failed(failure));
                }
            }
        }
    }

    fn announce(&mut self, out: &mut Vec<Step>) {
        let secure = self.handshake.as_ref().is_some_and(Handshake::is_connected);
        let reached = self.ice.path().is_some() && !self.ice.is_connecting();
        if secure && reached && !self.announced {
            self.announced = true;
            self.connect_by = None;
            out.push(Step::Connected);
        }
    }
}

fn transmit(path: Path, bytes: Bytes) -> Transmit {
    Transmit {
        socket: Socket::Xmpp(path.local),
        to: path.remote,
        bytes,
    }
}
