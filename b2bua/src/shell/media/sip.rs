//! The SIP leg's endpoint: two ports, an address to believe in, and one of three protections.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use tandem_shared::media::Setup;

use super::dtls::{self, Handshake};
use super::latch::Latch;
use super::shard::{Context, Socket, Transmit};
use super::srtp::{Guard, Master, Opened};
use super::stream::Stream;
use crate::media::{AnchorId, Failure, Fingerprint, Flow, Measured, Protection, SipPeer};

/// The leg.
pub(super) struct SipLeg {
    anchor: AnchorId,
    pub(super) stream: Stream,
    rtp: Latch,
    rtcp: Latch,
    /// Reports share the port of sound.
    mux: bool,
    protection: Option<Protection>,
    handshake: Option<Handshake>,
    /// Where the other side's records come from.
    records: Option<SocketAddr>,
    connect_by: Option<Instant>,
    announced: bool,
}

/// What the leg tells.
pub(super) enum Step {
    Send(Transmit),
    Connected,
    Failed(Failure),
}

/// One of the leg's two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Rtp,
    Rtcp,
}

impl SipLeg {
    pub(super) fn new(anchor: AnchorId, stream: Stream, now: Instant) -> Self {
        Self {
            anchor,
            stream,
            rtp: Latch::closed(now),
            rtcp: Latch::closed(now),
            mux: false,
            protection: None,
            handshake: None,
            records: None,
            connect_by: None,
            announced: false,
        }
    }

    /// The other side's description; whether what flows has changed.
    pub(super) fn connect(
        &mut self,
        peer: SipPeer,
        flow: Flow,
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) -> bool {
        let window = cx.timing.latch;
        let signalling: IpAddr = peer.signalling;
        self.mux = peer.rtp.is_some() && peer.rtp == peer.rtcp;
        self.rtp.describe(peer.rtp, signalling, cx.now, window);
        self.rtcp.describe(peer.rtcp, signalling, cx.now, window);
        // The same keys go on: begun anew, their packet counts would repeat.
        if self.protection.as_ref() != Some(&peer.protection) {
            self.protect(&peer.protection, cx, out);
            self.protection = Some(peer.protection);
        }
        self.stream.agree(flow, cx.timing, cx.now)
    }

    /// An RTP packet without its protection, if it is from the other side; whether it is the first.
    pub(super) fn open_rtp<'a>(
        &mut self,
        from: SocketAddr,
        packet: &'a [u8],
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) -> Option<Opened<'a>> {
        if !self.rtp.admits(from, cx.now) {
            return self.drop_packet();
        }
        let Some(packet) = self.stream.guard.open_rtp(packet) else {
            return self.drop_packet();
        };
        // Without protection anything may look like sound: only what was agreed is believed.
        let known = super::packet::Header::read(&packet)
            .is_some_and(|header| self.stream.codec(header.payload_type).is_some());
        if known && self.rtp.lock(from) {
            self.rtcp.expect(from.ip(), cx.now, cx.timing.latch);
        }
        if known && !self.announced {
            self.announced = true;
            out.push(Step::Connected);
        }
        Some(packet)
    }

    /// A compound of reports without its protection, if it is from the other side.
    pub(super) fn open_rtcp<'a>(
        &mut self,
        port: Port,
        from: SocketAddr,
        packet: &'a [u8],
        cx: &Context<'_>,
    ) -> Option<Opened<'a>> {
        let latch = match port {
            Port::Rtp => &mut self.rtp,
            Port::Rtcp => &mut self.rtcp,
        };
        if !latch.admits(from, cx.now) {
            return self.drop_packet();
        }
        let Some(packet) = self.stream.guard.open_rtcp(packet) else {
            return self.drop_packet();
        };
        if port == Port::Rtcp && !super::rtcp::read(&packet).is_empty() {
            self.rtcp.lock(from);
        }
        Some(packet)
    }

    /// A record of DTLS.
    pub(super) fn handle_record(
        &mut self,
        from: SocketAddr,
        record: &[u8],
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) {
        let mut steps = Vec::new();
        match &mut self.handshake {
            Some(handshake) if self.rtp.admits(from, cx.now) => {
                self.records = Some(from);
                handshake.handle_packet(record, cx.now, &mut steps);
            }
            Some(_) | None => self.stream.dropped += 1,
        }
        self.take(steps, out);
    }

    pub(super) fn handle_timeout(&mut self, cx: &Context<'_>, out: &mut Vec<Step>) {
        if let Some(handshake) = &mut self.handshake
            && handshake.deadline().is_some_and(|at| at <= cx.now)
        {
            let mut steps = Vec::new();
            handshake.handle_timeout(cx.now, &mut steps);
            self.take(steps, out);
        }
        if self.connect_by.is_some_and(|at| at <= cx.now) {
            self.connect_by = None;
            out.push(Step::Failed(Failure::Dtls));
        }
    }

    /// A packet of the stream, to where the other side is now.
    pub(super) fn transmit(&self, bytes: Bytes) -> Option<Transmit> {
        Some(self.over_rtp(self.rtp.target()?, bytes))
    }

    /// Reports, to where the other side wants them.
    pub(super) fn transmit_report(&self, bytes: Bytes) -> Option<Transmit> {
        if self.mux {
            return self.transmit(bytes);
        }
        Some(Transmit {
            socket: Socket::Rtcp(self.anchor),
            to: self.rtcp.target()?,
            bytes,
        })
    }

    /// What was measured.
    pub(super) fn measured(&self) -> Measured {
        let protocol = self.handshake.as_ref().map(Handshake::protocol);
        Measured {
            protection: match &self.protection {
                Some(Protection::Sdes { .. }) => "SDES",
                Some(Protection::Dtls { .. }) => protocol.unwrap_or("DTLS"),
                Some(Protection::Plain) | None => "none",
            },
            ..self.stream.measured()
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let handshake = self.handshake.as_ref().and_then(Handshake::deadline);
        [handshake, self.connect_by].into_iter().flatten().min()
    }

    fn protect(&mut self, protection: &Protection, cx: &Context<'_>, out: &mut Vec<Step>) {
        self.connect_by = None;
        match protection {
            Protection::Plain => {
                self.handshake = None;
                self.stream.guard = Guard::Open;
            }
            Protection::Sdes { ours, theirs } => {
                self.handshake = None;
                let guard = Master::from_sdp(ours)
                    .zip(Master::from_sdp(theirs))
                    .and_then(|(ours, theirs)| Guard::protected(&ours, theirs));
                if guard.is_none() {
                    out.push(Step::Failed(Failure::Dtls));
                }
                self.stream.guard = guard.unwrap_or(Guard::Closed);
            }
            Protection::Dtls { fingerprint, setup } => {
                self.secure(fingerprint, *setup, cx, out);
            }
        }
    }

    fn secure(
        &mut self,
        fingerprint: &Fingerprint,
        setup: Setup,
        cx: &Context<'_>,
        out: &mut Vec<Step>,
    ) {
        let active = setup == Setup::Passive;
        let keeps = |handshake: &Handshake| handshake.is_with(fingerprint, active);
        if self.handshake.as_ref().is_some_and(keeps) {
            return;
        }
        // What an unprotected description before this one let through ends here.
        self.stream.guard = Guard::Closed;
        self.connect_by = Some(cx.now + cx.timing.connect);
        let fingerprint = fingerprint.clone();
        let mut handshake = Handshake::new(cx.certificate, fingerprint, active);
        let mut steps = Vec::new();
        handshake.handle_timeout(cx.now, &mut steps);
        self.handshake = Some(handshake);
        self.records = None;
        self.take(steps, out);
    }

    fn take(&mut self, steps: Vec<dtls::Step>, out: &mut Vec<Step>) {
        for step in steps {
            match step {
                dtls::Step::Packet(bytes) => {
                    let to = self.records.or(self.rtp.target());
                    out.extend(to.map(|to| Step::Send(self.over_rtp(to, bytes))));
                }
                dtls::Step::Keys(guard) => {
                    self.stream.guard = guard;
                    self.connect_by = None;
                    if let Some(from) = self.records {
                        self.rtp.lock(from);
                    }
                }
                dtls::Step::Failed(failure) => {
                    self.connect_by = None;
                    out.push(Step::Failed(failure));
                }
            }
        }
    }

    fn over_rtp(&self, to: SocketAddr, bytes: Bytes) -> Transmit {
        Transmit {
            socket: Socket::Rtp(self.anchor),
            to,
            bytes,
        }
    }

    fn drop_packet<T>(&mut self) -> Option<T> {
        self.stream.dropped += 1;
        None
    }
}
