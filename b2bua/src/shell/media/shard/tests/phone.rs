//! A SIP phone's media: RTP on two ports, protected or not.

use std::net::SocketAddr;
use std::time::Instant;

use tandem_shared::media::Codec;

use super::browser::Packet;
use crate::media::{Protection, SipLocal, SipPeer};
use crate::shell::media::dtls::{Certificate, Handshake, Step};
use crate::shell::media::dtmf;
use crate::shell::media::packet::{self, Header, Kind};
use crate::shell::media::srtp::{Guard, Master};
use crate::shell::media::tone::Tone;

pub(super) struct Phone {
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    pub(super) tone: Tone,
    pub(super) codec: Codec,
    pub(super) guard: Guard,
    pub(super) handshake: Option<Handshake>,
    pub(super) remote: Option<SocketAddr>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    pub(super) talks: bool,
    pub(super) keys: Vec<(bool, dtmf::Payload, u32)>,
    pub(super) sequences: Vec<u16>,
    pub(super) timestamps: Vec<u32>,
    pub(super) sources: Vec<u32>,
    pub(super) payload_types: Vec<u8>,
    pub(super) reports: Vec<Vec<u8>>,
}

impl Phone {
    pub(super) fn new(rtp: SocketAddr, codec: Codec) -> Self {
        let mut rtcp = rtp;
        rtcp.set_port(rtp.port() + 1);
        Self {
            rtp,
            rtcp,
            tone: Tone::new(&codec, 20),
            codec,
            guard: Guard::Open,
            handshake: None,
            remote: None,
            ssrc: 99,
            sequence: 65_000,
            timestamp: 0,
            talks: true,
            keys: Vec::new(),
            sequences: Vec::new(),
            timestamps: Vec::new(),
            sources: Vec::new(),
            payload_types: Vec::new(),
            reports: Vec::new(),
        }
    }

    /// What it tells of itself.
    pub(super) fn describe(&self, protection: Protection) -> SipPeer {
        SipPeer {
            rtp: Some(self.rtp),
            rtcp: Some(self.rtcp),
            signalling: self.rtp.ip(),
            protection,
        }
    }

    /// Keys for SDES; what the gateway is told.
    pub(super) fn with_keys(&mut self, local: &SipLocal, suite: &str) -> Protection {
        let ours = local
            .keys
            .iter()
            .find(|key| key.suite == suite)
            .unwrap()
            .clone();
        let mut theirs = ours.clone();
        theirs.bytes.reverse();
        let (own, gateway) = (
            Master::from_sdp(&theirs).unwrap(),
            Master::from_sdp(&ours).unwrap(),
        );
        self.guard = Guard::protected(&own, gateway).unwrap();
        Protection::Sdes { ours, theirs }
    }

    /// DTLS; what the gateway is told.
    pub(super) fn with_dtls(&mut self, local: &SipLocal, active: bool) -> Protection {
        let certificate = Certificate::generate().unwrap();
        let handshake = Handshake::new(&certificate, local.fingerprint.clone(), active);
        self.handshake = Some(handshake);
        self.guard = Guard::Closed;
        Protection::Dtls {
            fingerprint: certificate.fingerprint,
            setup: if active {
                tandem_shared::media::Setup::Active
            } else {
                tandem_shared::media::Setup::Passive
            },
        }
    }

    pub(super) fn receive(&mut self, packet: &Packet, now: Instant, out: &mut Vec<Packet>) {
        match packet::classify(&packet.bytes) {
            Kind::Dtls => {
                let mut steps = Vec::new();
                if let Some(handshake) = &mut self.handshake {
                    handshake.handle_packet(&packet.bytes, now, &mut steps);
                }
                self.take(steps, out);
            }
            Kind::Rtp => {
                assert_eq!(packet.to, self.rtp);
                if let Some(packet) = self.guard.open_rtp(&packet.bytes) {
                    self.hear(&packet);
                }
            }
            Kind::Rtcp => {
                if let Some(report) = self.guard.open_rtcp(&packet.bytes) {
                    self.reports.push(report.to_vec());
                }
            }
            Kind::Stun | Kind::Other => panic!("a phone gets no such thing"),
        }
    }

    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let mut steps = Vec::new();
        if let Some(handshake) = &mut self.handshake {
            handshake.handle_timeout(now, &mut steps);
        }
        self.take(steps, out);
    }

    pub(super) fn talk(&mut self, out: &mut Vec<Packet>) {
        let (Some(to), true) = (self.remote, self.talks) else {
            return;
        };
        let (_, payload) = self.tone.packet();
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock / 50);
        let bytes = self.packet(self.codec.id, false, self.timestamp, &payload);
        let from = self.rtp;
        out.extend(bytes.map(|bytes| Packet { from, to, bytes }));
    }

    /// Sends an event: a press of `steps` packets and three ends.
    pub(super) fn press(&mut self, id: u8, event: u8, steps: u16, out: &mut Vec<Packet>) {
        let (from, to) = (self.rtp, self.remote.unwrap());
        for step in 1..=steps + 3 {
            let payload = dtmf::Payload {
                event,
                end: step > steps,
                volume: 10,
                duration: 160 * step.min(steps),
            };
            let bytes = self.packet(id, step == 1, self.timestamp, &payload.write());
            out.extend(bytes.map(|bytes| Packet { from, to, bytes }));
        }
    }

    /// Another device behind the same address: other source, other numbers.
    pub(super) fn change_source(&mut self) {
        self.ssrc += 1;
        self.sequence = self.sequence.wrapping_add(20_000);
        self.timestamp = self.timestamp.wrapping_add(0x4000_0000);
    }

    fn packet(&mut self, id: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Option<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header {
            marker,
            payload_type: id,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            payload: 0..0,
        };
        Some(
            self.guard
                .seal_rtp(header.packet(payload, &mut bytes::BytesMut::new()))?
                .to_vec(),
        )
    }

    fn hear(&mut self, packet: &[u8]) {
        let header = Header::read(packet).unwrap();
        let payload = &packet[header.payload.clone()];
        self.sequences.push(header.sequence);
        self.timestamps.push(header.timestamp);
        self.sources.push(header.ssrc);
        self.payload_types.push(header.payload_type);
        if header.payload_type == self.codec.id {
            self.tone.hear(payload);
        } else {
            let payload = dtmf::Payload::read(payload).unwrap();
            self.keys.push((header.marker, payload, header.timestamp));
        }
    }

    fn take(&mut self, steps: Vec<Step>, out: &mut Vec<Packet>) {
        for step in steps {
            match step {
                Step::Packet(bytes) => {
                    let (from, bytes) = (self.rtp, bytes.to_vec());
                    out.extend(self.remote.map(|to| Packet { from, to, bytes }));
                }
                Step::Keys(guard) => self.guard = guard,
                Step::Failed(_) => {}
            }
        }
    }
}
