//! An XMPP client's media on another implementation's session and SRTP (str0m).

use std::net::SocketAddr;
use std::time::Instant;

use str0m::config::Fingerprint as TheirFingerprint;
use str0m::format::{Codec as TheirCodec, FormatParams};
use str0m::media::{Frequency, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate as TheirCandidate, Event as TheirEvent, IceCreds, Input, Output, Rtc};
use tandem_shared::media::{Codec, Dtls, Setup};

use super::*;
use crate::media::XmppPeer;
use crate::shell::media::dtmf;
use crate::shell::media::tone::Tone;

pub(super) struct Browser {
    rtc: Rtc,
    pub(super) address: SocketAddr,
    pub(super) tone: Tone,
    codec: Codec,
    start: Instant,
    due: Instant,
    sequence: u64,
    timestamp: u64,
    pub(super) keys: Vec<(bool, dtmf::Payload, u32)>,
    pub(super) sequences: Vec<u16>,
    pub(super) timestamps: Vec<u32>,
    pub(super) sources: Vec<u32>,
    pub(super) payload_types: Vec<u8>,
    pub(super) connected: bool,
}

pub(super) struct Packet {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl Browser {
    pub(super) fn new(address: SocketAddr, codec: Codec, now: Instant) -> Self {
        let mut config = Rtc::builder().clear_codecs().set_rtp_mode(true);
        let formats = config.codec_config();
        let mut add = |id: u8, codec, clock, channels| {
            let format = FormatParams::default();
            formats.add_config(id.into(), None, codec, clock, channels, format);
        };
        match codec.name.as_str() {
            "opus" => add(
                codec.id,
                TheirCodec::Opus,
                Frequency::FORTY_EIGHT_KHZ,
                Some(2),
            ),
            "PCMU" => add(codec.id, TheirCodec::PCMU, Frequency::EIGHT_KHZ, None),
            "PCMA" => add(codec.id, TheirCodec::PCMA, Frequency::EIGHT_KHZ, None),
            _ => add(codec.id, TheirCodec::G722, Frequency::SIXTEEN_KHZ, None),
        }
        add(110, TheirCodec::Tele, Frequency::FORTY_EIGHT_KHZ, None);
        add(126, TheirCodec::Tele, Frequency::EIGHT_KHZ, None);
        let mut rtc = config.build(now);
        rtc.add_local_candidate(TheirCandidate::host(address, "udp").unwrap());
        let mid = Mid::from("0");
        rtc.direct_api().declare_media(mid, MediaKind::Audio);
        rtc.direct_api()
            .declare_stream_tx(77.into(), None, mid, None);
        Self {
            rtc,
            address,
            tone: Tone::new(&codec, 20),
            codec,
            start: now,
            due: now,
            sequence: 65_500,
            timestamp: 0,
            keys: Vec::new(),
            sequences: Vec::new(),
            timestamps: Vec::new(),
            sources: Vec::new(),
            payload_types: Vec::new(),
            connected: false,
        }
    }

    /// What it tells of itself; `setup` is its role.
    pub(super) fn describe(&mut self, setup: Setup) -> XmppPeer {
        let api = self.rtc.direct_api();
        let ice = api.local_ice_credentials();
        let fingerprint = api.local_dtls_fingerprint().to_string();
        let value = fingerprint.split(' ').next_back().unwrap().to_owned();
        XmppPeer {
            ice: IceCredentials {
                ufrag: ice.ufrag,
                pwd: ice.pass,
            },
            dtls: Dtls {
                hash: "sha-256".into(),
                fingerprint: value,
                setup,
            },
            controlling: setup == Setup::Active,
            candidates: vec![self.candidate()],
        }
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            foundation: "1".into(),
            component: 1,
            priority: 2_130_706_431,
            ip: self.address.ip(),
            port: self.address.port(),
            kind: CandidateKind::Host,
            related: None,
            generation: 0,
        }
    }

    /// Hears of the gateway; `active`: it begins DTLS.
    pub(super) fn connect(&mut self, local: &XmppLocal, active: bool) {
        self.restart_with(local);
        let mut api = self.rtc.direct_api();
        api.set_ice_controlling(!active);
        let ssrc = local.ssrc.into();
        api.expect_stream_rx(ssrc, None, Mid::from("0"), None);
        let bytes = local.fingerprint.value.split(':');
        api.set_remote_fingerprint(TheirFingerprint {
            hash_func: local.fingerprint.hash.clone(),
            bytes: bytes
                .map(|it| u8::from_str_radix(it, 16).unwrap())
                .collect(),
        });
        api.start_dtls(active).unwrap();
    }

    /// Hears of the gateway's credentials and candidates.
    pub(super) fn restart_with(&mut self, local: &XmppLocal) {
        self.due = self.start;
        self.rtc.direct_api().set_remote_ice_credentials(IceCreds {
            ufrag: local.ice.ufrag.clone(),
            pass: local.ice.pwd.clone(),
        });
        for candidate in &local.candidates {
            let address = SocketAddr::new(candidate.ip, candidate.port);
            let candidate = TheirCandidate::host(address, "udp").unwrap();
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// New credentials of its own.
    pub(super) fn new_credentials(&mut self) {
        let credentials = IceCreds::new();
        self.rtc.direct_api().set_local_ice_credentials(credentials);
    }

    pub(super) fn receive(&mut self, packet: &Packet, now: Instant, out: &mut Vec<Packet>) {
        if let Ok(receive) = Receive::new(Protocol::Udp, packet.from, self.address, &packet.bytes) {
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
            self.poll(out);
        }
    }

    /// Sends what it has.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Packet>) {
        if self.due <= now {
            let _ = self.rtc.handle_input(Input::Timeout(now));
            self.poll(out);
        }
    }

    fn poll(&mut self, out: &mut Vec<Packet>) {
        // A handshake that failed is an error at every call.
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Timeout(at) => {
                    self.due = at;
                    return;
                }
                Output::Transmit(transmit) => out.push(Packet {
                    from: transmit.source,
                    to: transmit.destination,
                    bytes: transmit.contents.to_vec(),
                }),
                Output::Event(event) => self.note(event),
            }
        }
    }

    pub(super) fn talk(&mut self, now: Instant) {
        if self.connected {
            let (_, payload) = self.tone.packet();
            self.timestamp += u64::from(self.codec.clock) / 50;
            self.write(self.codec.id, false, self.timestamp as u32, &payload, now);
        }
    }

    /// Sends an event of 8000 or 48000 ticks: a press of `steps` packets and three ends.
    pub(super) fn press(&mut self, id: u8, event: u8, steps: u16, now: Instant) {
        let unit = if id == 110 { 960 } else { 160 };
        for step in 1..=steps + 3 {
            let payload = dtmf::Payload {
                event,
                end: step > steps,
                volume: 10,
                duration: unit * step.min(steps),
            };
            self.write(id, step == 1, self.timestamp as u32, &payload.write(), now);
        }
    }

    fn write(&mut self, id: u8, marker: bool, timestamp: u32, payload: &[u8], now: Instant) {
        self.sequence += 1;
        let sequence = self.sequence.into();
        let write = RtpWrite::new(id.into(), sequence, timestamp, now, payload).marker(marker);
        let mut api = self.rtc.direct_api();
        api.stream_tx(&77.into()).unwrap().write_rtp(write);
        self.due = now;
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "their enum is long and open"
    )]
    fn note(&mut self, event: TheirEvent) {
        match event {
            TheirEvent::Connected => self.connected = true,
            TheirEvent::RtpPacket(packet) => {
                let header = &packet.header;
                self.sequences.push(header.sequence_number);
                self.timestamps.push(header.timestamp);
                self.sources.push(*header.ssrc);
                let id = *header.payload_type;
                self.payload_types.push(id);
                if id == self.codec.id {
                    self.tone.hear(&packet.payload);
                } else {
                    let payload = dtmf::Payload::read(&packet.payload).unwrap();
                    self.keys.push((header.marker, payload, header.timestamp));
                }
            }
            _ => {}
        }
    }
}
