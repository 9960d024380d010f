//! One call: two legs and the two ways between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dtmf::{self, Change};
use super::packet::{self, Kind};
use super::shard::{Context, Output};
use super::sip::{self, Port, SipLeg};
use super::stream::Incoming;
use super::way::Way;
use super::xmpp::{self, XmppLeg};
use crate::media::{AnchorId, Event, Failure, Flow, Leg, Report, SipPeer, XmppPeer};

/// A call's media.
pub(super) struct Anchor {
    pub(super) id: AnchorId,
    pub(super) xmpp: XmppLeg,
    pub(super) sip: SipLeg,
    to_sip: Way,
    to_xmpp: Way,
    /// Handshake packets of this second, against floods.
    costly: (Instant, u32),
}

impl Anchor {
    pub(super) fn new(id: AnchorId, xmpp: XmppLeg, sip: SipLeg, now: Instant) -> Self {
        Self {
            id,
            xmpp,
            sip,
            to_sip: Way::default(),
            to_xmpp: Way::default(),
            costly: (now, 0),
        }
    }

    pub(super) fn connect_xmpp(
        &mut self,
        peer: XmppPeer,
        flow: Flow,
        cx: &Context<'_>,
        out: &mut Output,
    ) {
        let mut steps = Vec::new();
        if self.xmpp.connect(peer, flow, cx, &mut steps) {
            self.reset_ways();
        }
        self.take_xmpp(steps, out);
    }

    pub(super) fn connect_sip(
        &mut self,
        peer: SipPeer,
        flow: Flow,
        cx: &Context<'_>,
        out: &mut Output,
    ) {
        let mut steps = Vec::new();
        if self.sip.connect(peer, flow, cx, &mut steps) {
            self.reset_ways();
        }
        self.take_sip(steps, out);
    }

    /// Plays a key toward a leg.
    pub(super) fn press(
        &mut self,
        leg: Leg,
        key: char,
        duration: Duration,
        cx: &Context<'_>,
        out: &mut Output,
    ) {
        let stream = match leg {
            Leg::Xmpp => &mut self.xmpp.stream,
            Leg::Sip => &mut self.sip.stream,
        };
        if let Some(event) = dtmf::event(key).filter(|_| stream.plays_events()) {
            stream.playing.press(event, duration);
            self.handle_keys(leg, cx, out);
        }
    }

    /// A packet on the port of XMPP legs, found to be for this one.
    pub(super) fn handle_xmpp(
        &mut self,
        local: usize,
        from: SocketAddr,
        bytes: &[u8],
        cx: &Context<'_>,
        out: &mut Output,
    ) {
        let mut steps = Vec::new();
        match packet::classify(bytes) {
            Kind::Stun if self.afford(cx.now) => {
                self.xmpp.handle_stun(local, from, bytes, cx, &mut steps);
            }
            Kind::Dtls if self.afford(cx.now) => {
                self.xmpp.handle_record(local, from, bytes, cx, &mut steps);
            }
            Kind::Rtp => match self.xmpp.stream.guard.open_rtp(bytes) {
                Some(packet) => self.carry(Leg::Xmpp, &packet, cx, out),
                None => self.xmpp.stream.dropped += 1,
            },
            Kind::Rtcp => match self.xmpp.stream.guard.open_rtcp(bytes) {
                Some(packet) => self.xmpp.stream.receive_reports(&packet, cx.clock, cx.now),
                None => self.xmpp.stream.dropped += 1,
            },
            Kind::Stun | Kind::Dtls | Kind::Other => self.xmpp.stream.dropped += 1,
        }
        self.take_xmpp(steps, out);
    }

    /// A packet on one of the SIP leg's ports.
    pub(super) fn handle_sip(
        &mut self,
        port: Port,
        from: SocketAddr,
        bytes: &[u8],
        cx: &Context<'_>,
        out: &mut Output,
    ) {
        let mut steps = Vec::new();
        match (packet::classify(bytes), port) {
            (Kind::Rtp, Port::Rtp) => {
                let packet = self.sip.open_rtp(from, bytes, cx, &mut steps);
                self.take_sip(std::mem::take(&mut steps), out);
                if let Some(packet) = packet {
                    self.carry(Leg::Sip, &packet, cx, out);
                }
            }
            (Kind::Rtcp, _) => {
                if let Some(packet) = self.sip.open_rtcp(port, from, bytes, cx) {
                    self.sip.stream.receive_reports(&packet, cx.clock, cx.now);
                }
            }
            (Kind::Dtls, Port::Rtp) if self.afford(cx.now) => {
                self.sip.handle_record(from, bytes, cx, &mut steps);
            }
            (Kind::Rtp | Kind::Stun | Kind::Dtls | Kind::Other, _) => self.sip.stream.dropped += 1,
        }
        self.take_sip(steps, out);
    }

    pub(super) fn handle_timeout(&mut self, cx: &Context<'_>, out: &mut Output) {
        let (mut xmpp, mut sip) = (Vec::new(), Vec::new());
        self.xmpp.handle_timeout(cx, &mut xmpp);
        self.sip.handle_timeout(cx, &mut sip);
        self.take_xmpp(xmpp, out);
        self.take_sip(sip, out);
        for leg in [Leg::Xmpp, Leg::Sip] {
            self.handle_keys(leg, cx, out);
            let mut packets = Vec::new();
            let (stream, way) = match leg {
                Leg::Xmpp => (&mut self.xmpp.stream, &mut self.to_xmpp),
                Leg::Sip => (&mut self.sip.stream, &mut self.to_sip),
            };
            way.handle_timeout(stream, cx.now, &mut packets);
            let report = stream.report(cx.clock, cx.timing, cx.now);
            let silent = stream.is_silent(cx.timing, cx.now);
            self.send(leg, packets, out);
            self.send_report(leg, report, out);
            if silent {
                self.fail(leg, Failure::Silent, out);
            }
        }
    }

    /// Ends the call; what is told to the other sides comes out.
    pub(super) fn release(mut self, cx: &Context<'_>, out: &mut Output) {
        for leg in [Leg::Xmpp, Leg::Sip] {
            let stream = match leg {
                Leg::Xmpp => &mut self.xmpp.stream,
                Leg::Sip => &mut self.sip.stream,
            };
            let farewell = stream.farewell(cx.clock, cx.now);
            self.send_report(leg, farewell, out);
        }
        let mut steps = Vec::new();
        self.xmpp.close(cx.now, &mut steps);
        self.take_xmpp(steps, out);
        let path = [self.to_sip.path, self.to_xmpp.path];
        let path = path.into_iter().find(|path| !path.is_empty());
        out.events.push(Event::Released {
            anchor: self.id,
            report: Box::new(Report {
                xmpp: self.xmpp.measured(),
                sip: self.sip.measured(),
                path: path.unwrap_or_default(),
            }),
        });
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let all = [
            self.xmpp.deadline(),
            self.sip.deadline(),
            self.xmpp.stream.deadline(now),
            self.sip.stream.deadline(now),
            self.to_sip.deadline(),
            self.to_xmpp.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    fn reset_ways(&mut self) {
        self.to_sip.reset();
        self.to_xmpp.reset();
    }

    /// Carries an unprotected packet of `leg` to the other one.
    fn carry(&mut self, leg: Leg, packet: &[u8], cx: &Context<'_>, out: &mut Output) {
        let (other, from, to, way) = match leg {
            Leg::Xmpp => (
                Leg::Sip,
                &mut self.xmpp.stream,
                &mut self.sip.stream,
                &mut self.to_sip,
            ),
            Leg::Sip => (
                Leg::Xmpp,
                &mut self.sip.stream,
                &mut self.xmpp.stream,
                &mut self.to_xmpp,
            ),
        };
        match from.receive(packet, cx.now) {
            Incoming::Sound {
                header,
                number,
                first,
            } => {
                let mut packets = std::mem::take(&mut out.packets);
                let payload = packet.get(header.payload.clone()).unwrap_or_default();
                let place = (&header, number, first);
                way.carry(place, payload, from, to, cx.timing, cx.now, &mut packets);
                self.send(other, packets, out);
            }
            Incoming::Keys {
                number,
                clock,
                changes,
            } => {
                way.skip(number);
                self.carry_keys(leg, clock, changes, cx, out);
            }
            Incoming::Other(number) => way.skip(number),
            Incoming::Nothing => {}
        }
    }

    /// Carries keys of `leg` to the other one and tells of those that were let go.
    fn carry_keys(
        &mut self,
        leg: Leg,
        clock: u32,
        changes: Vec<Change>,
        cx: &Context<'_>,
        out: &mut Output,
    ) {
        let (other, to) = match leg {
            Leg::Xmpp => (Leg::Sip, &mut self.sip.stream),
            Leg::Sip => (Leg::Xmpp, &mut self.xmpp.stream),
        };
        let mut packets = Vec::new();
        for change in changes {
            let relayed = Way::carry_key(change, clock, to, cx.now, &mut packets);
            if let Change::Up(payload) = change
                && let Some(key) = dtmf::key(payload.event)
            {
                let millis = u64::from(payload.duration) * 1000 / u64::from(clock.max(1));
                out.events.push(Event::Dtmf {
                    anchor: self.id,
                    leg,
                    key,
                    duration: Duration::from_millis(millis),
                    relayed,
                });
            }
        }
        self.send(other, packets, out);
    }

    fn handle_keys(&mut self, leg: Leg, cx: &Context<'_>, out: &mut Output) {
        let stream = match leg {
            Leg::Xmpp => &mut self.xmpp.stream,
            Leg::Sip => &mut self.sip.stream,
        };
        let mut packets = Vec::new();
        let changes = stream.handle_keys(cx.now, &mut packets);
        let clock = stream.hearing_clock;
        self.send(leg, packets, out);
        self.carry_keys(leg, clock, changes, cx, out);
    }

    fn send(&self, leg: Leg, mut packets: Vec<Bytes>, out: &mut Output) {
        for packet in packets.drain(..) {
            out.transmits.extend(match leg {
                Leg::Xmpp => self.xmpp.transmit(packet),
                Leg::Sip => self.sip.transmit(packet),
            });
        }
        out.packets = packets;
    }

    fn send_report(&self, leg: Leg, report: Option<Bytes>, out: &mut Output) {
        if let Some(report) = report {
            out.transmits.extend(match leg {
                Leg::Xmpp => self.xmpp.transmit(report),
                Leg::Sip => self.sip.transmit_report(report),
            });
        }
    }

    pub(super) fn take_xmpp(&mut self, steps: Vec<xmpp::Step>, out: &mut Output) {
        for step in steps {
            match step {
                xmpp::Step::Send(transmit) => out.transmits.push(transmit),
                xmpp::Step::Source(local, source) => out.sources.push((self.id, local, source)),
                xmpp::Step::Connected => out.events.push(Event::Connected {
                    anchor: self.id,
                    leg: Leg::Xmpp,
                }),
                xmpp::Step::Failed(failure) => self.fail(Leg::Xmpp, failure, out),
            }
        }
    }

    fn take_sip(&mut self, steps: Vec<sip::Step>, out: &mut Output) {
        for step in steps {
            match step {
                sip::Step::Send(transmit) => out.transmits.push(transmit),
                sip::Step::Connected => out.events.push(Event::Connected {
                    anchor: self.id,
                    leg: Leg::Sip,
                }),
                sip::Step::Failed(failure) => self.fail(Leg::Sip, failure, out),
            }
        }
    }

    fn fail(&self, leg: Leg, failure: Failure, out: &mut Output) {
        out.events.push(Event::Failed {
            anchor: self.id,
            leg,
            failure,
        });
    }

    /// Whether one more packet that costs much work is allowed this second.
    fn afford(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.costly;
        if now.saturating_duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= COSTLY
    }
}

/// Checks and records of one call in a second; an honest handshake needs some dozen.
const COSTLY: u32 = 200;
