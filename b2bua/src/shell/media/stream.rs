//! One leg's RTP session: what flows, its protection, its numbers, its reports and its silence.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tandem_shared::media::Codec;
use tandem_shared::mint::Mint;

use super::dtmf::{self, Change, Hearing, Playing};
use super::packet::Header;
use super::rtcp::{self, Item, WallClock};
use super::sequence::{Arrival, Receiving, Sending};
use super::settings::Timing;
use super::srtp::Guard;
use crate::media::{Flow, Measured};

/// A leg's session.
pub(super) struct Stream {
    flow: Option<Flow>,
    pub(super) guard: Guard,
    /// For packets until they are sent.
    room: BytesMut,
    receiving: Receiving,
    pub(super) sending: Sending,
    hearing: Hearing,
    pub(super) hearing_clock: u32,
    pub(super) playing: Playing,
    pub(super) cname: String,
    /// Packets that were not wanted.
    pub(super) dropped: u64,
    round_trip: Option<Duration>,
    mint: Mint,
    report_at: Option<Instant>,
    reported: u64,
    heard: Instant,
    silence_at: Option<Instant>,
}

/// A packet that came, understood.
pub(super) enum Incoming {
    /// Sound in one of the agreed codecs.
    Sound {
        header: Header,
        number: u64,
        /// Whether its source is new.
        first: bool,
    },
    /// Keys, by their own clock.
    Keys {
        number: u64,
        clock: u32,
        changes: Vec<Change>,
    },
    /// Nothing to carry on, though it took a number.
    Other(u64),
    /// Nothing at all.
    Nothing,
}

impl Stream {
    pub(super) fn new(mut mint: Mint, now: Instant) -> Self {
        let random = mint.number();
        let sending = Sending::new(random as u32, (random >> 32) as u16, (random >> 64) as u32);
        Self {
            flow: None,
            guard: Guard::Closed,
            room: BytesMut::new(),
            receiving: Receiving::default(),
            sending,
            hearing: Hearing::Idle(None),
            hearing_clock: 8000,
            playing: Playing::default(),
            cname: mint.token(),
            dropped: 0,
            round_trip: None,
            mint,
            report_at: None,
            reported: 0,
            heard: now,
            silence_at: None,
        }
    }

    /// What flows from now on; whether that is something new.
    pub(super) fn agree(&mut self, flow: Flow, timing: &Timing, now: Instant) -> bool {
        let is_new = self.flow.as_ref() != Some(&flow);
        if self.flow.is_none() {
            self.heard = now;
            self.report_at = Some(self.next_report(timing, now));
        }
        self.flow = Some(flow);
        self.silence_at = Some(self.heard.max(now) + self.patience(timing));
        is_new
    }

    pub(super) fn flow(&self) -> Option<&Flow> {
        self.flow.as_ref()
    }

    /// Whether sound may be sent to this leg.
    pub(super) fn takes(&self) -> bool {
        let sends = |flow: &Flow| flow.direction.ways().0;
        self.guard.is_ready() && self.flow.as_ref().is_some_and(sends)
    }

    /// The agreed codec of a payload type.
    pub(super) fn codec(&self, payload_type: u8) -> Option<&Codec> {
        let flow = self.flow.as_ref()?;
        let mut all = flow.receive.iter().chain(&flow.events);
        all.find(|codec| codec.id == payload_type)
    }

    /// Takes in an unprotected packet.
    pub(super) fn receive(&mut self, packet: &[u8], now: Instant) -> Incoming {
        let Some(header) = Header::read(packet) else {
            self.dropped += 1;
            return Incoming::Nothing;
        };
        let Some(codec) = self.codec(header.payload_type) else {
            self.dropped += 1;
            return Incoming::Nothing;
        };
        let (is_events, is_noise) = (is_events(codec), codec.name.eq_ignore_ascii_case("CN"));
        let clock = codec.clock;
        self.heard = now;
        let timed = (!is_events && !is_noise).then_some(clock);
        let wanted = self
            .flow
            .as_ref()
            .is_some_and(|flow| flow.direction.ways().1);
        let (number, first) = match self.receiving.note(&header, timed, now) {
            Arrival::First(number) => (number, true),
            Arrival::New(number) => (number, false),
            Arrival::Repeated => return Incoming::Nothing,
        };
        if !wanted || is_noise {
            return Incoming::Other(number);
        }
        if !is_events {
            return Incoming::Sound {
                header,
                number,
                first,
            };
        }
        let mut changes = Vec::new();
        match packet
            .get(header.payload.clone())
            .and_then(dtmf::Payload::read)
        {
            Some(payload) => self
                .hearing
                .handle(header.timestamp, payload, now, &mut changes),
            None => self.dropped += 1,
        }
        self.hearing_clock = clock;
        Incoming::Keys {
            number,
            clock,
            changes,
        }
    }

    /// Takes in an unprotected compound of reports.
    pub(super) fn receive_reports(&mut self, packet: &[u8], clock: &WallClock, now: Instant) {
        for item in rtcp::read(packet) {
            // Only what is a report keeps the leg alive.
            self.heard = now;
            match item {
                Item::Sender { ssrc, middle } => self.receiving.note_report(ssrc, middle, now),
                Item::Heard {
                    about,
                    sender_report,
                    delay,
                } => {
                    if about == self.sending.ssrc {
                        let trip = rtcp::round_trip(clock.middle(now), sender_report, delay);
                        self.round_trip = trip.or(self.round_trip);
                    }
                }
            }
        }
    }

    /// Numbers and protects a packet.
    pub(super) fn send(
        &mut self,
        (payload_type, marker): (u8, bool),
        number: u64,
        timestamp: u32,
        payload: &[u8],
        now: Instant,
    ) -> Option<Bytes> {
        if !self.guard.is_ready() {
            return None;
        }
        let header = Header {
            marker,
            payload_type,
            sequence: self.sending.claim(number)?,
            timestamp,
            ssrc: self.sending.ssrc,
            payload: 0..0,
        };
        let packet = header.packet(payload, &mut self.room);
        let packet = self.guard.seal_rtp(packet)?;
        self.sending.note(timestamp, payload.len(), now);
        Some(packet)
    }

    /// Sends packets of pressed keys.
    pub(super) fn send_keys(
        &mut self,
        keys: Vec<dtmf::Packet>,
        now: Instant,
        out: &mut Vec<Bytes>,
    ) {
        let Some(events) = self.flow.as_ref().and_then(|flow| flow.events.as_ref()) else {
            return;
        };
        let id = events.id;
        for key in keys {
            let number = self.sending.highest() + 1;
            let payload = key.payload.write();
            out.extend(self.send((id, key.marker), number, key.timestamp, &payload, now));
        }
    }

    /// Whether keys can be played to this leg as events.
    pub(super) fn plays_events(&self) -> bool {
        self.takes() && self.flow.as_ref().is_some_and(|flow| flow.events.is_some())
    }

    /// The clock of what we send, and what it shows.
    pub(super) fn clock(&self, now: Instant) -> (u32, u32) {
        let clock = self.flow.as_ref().map_or(8000, |flow| flow.send.clock);
        (clock, self.sending.timestamp(clock, now))
    }

    /// Our own keys that are due, and those of the other end whose end was lost.
    pub(super) fn handle_keys(&mut self, now: Instant, out: &mut Vec<Bytes>) -> Vec<Change> {
        if self.playing.is_due() || self.playing.deadline().is_some_and(|at| at <= now) {
            let (clock, timestamp) = self.clock(now);
            let mut packets = Vec::new();
            self.playing
                .handle_timeout(clock, timestamp, now, &mut packets);
            self.send_keys(packets, now, out);
        }
        let mut changes = Vec::new();
        self.hearing.handle_timeout(now, &mut changes);
        changes
    }

    /// A report, if one is due.
    pub(super) fn report(
        &mut self,
        clock: &WallClock,
        timing: &Timing,
        now: Instant,
    ) -> Option<Bytes> {
        if self.report_at.is_none_or(|at| at > now) {
            return None;
        }
        self.report_at = Some(self.next_report(timing, now));
        self.compound(clock, now, false)
    }

    /// The last report: with a farewell.
    pub(super) fn farewell(&mut self, clock: &WallClock, now: Instant) -> Option<Bytes> {
        self.flow.as_ref()?;
        self.compound(clock, now, true)
    }

    fn compound(&mut self, clock: &WallClock, now: Instant, farewell: bool) -> Option<Bytes> {
        if !self.guard.is_ready() {
            return None;
        }
        let (packets, bytes) = self.sending.sent;
        let sent = (packets > self.reported).then(|| rtcp::Sent {
            time: clock.at(now),
            timestamp: self.clock(now).1,
            packets: packets as u32,
            bytes: bytes as u32,
        });
        self.reported = packets;
        let heard = self.receiving.reception(now);
        let packet = rtcp::compound(self.sending.ssrc, sent, heard, &self.cname, farewell);
        self.guard.seal_rtcp(packet)
    }

    fn next_report(&mut self, timing: &Timing, now: Instant) -> Instant {
        // Half to one and a half of the mean, so that calls do not report in step.
        let share = (self.mint.number() % 1000) as u32;
        now + timing.report / 2 + timing.report * share / 1000
    }

    /// Whether the leg has been silent for too long; said again only after the same time.
    pub(super) fn is_silent(&mut self, timing: &Timing, now: Instant) -> bool {
        if self.silence_at.is_none_or(|at| at > now) {
            return false;
        }
        let patience = self.patience(timing);
        let silent = now.saturating_duration_since(self.heard) >= patience;
        let from = if silent { now } else { self.heard };
        self.silence_at = Some(from + patience);
        silent
    }

    fn patience(&self, timing: &Timing) -> Duration {
        let held = |flow: &Flow| flow.direction != tandem_shared::media::Direction::Both;
        if self.flow.as_ref().is_some_and(held) {
            timing.hold
        } else {
            timing.silence
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let due = self.playing.is_due().then_some(now);
        let own = [due, self.report_at, self.silence_at];
        let keys = [self.hearing.deadline(), self.playing.deadline()];
        own.into_iter().chain(keys).flatten().min()
    }

    /// What was measured.
    pub(super) fn measured(&self) -> Measured {
        Measured {
            received: self.receiving.received,
            sent: self.sending.sent.0,
            lost: self.receiving.lost(),
            dropped: self.dropped,
            jitter: self.receiving.jitter(),
            round_trip: self.round_trip,
            protection: "",
        }
    }
}

pub(super) fn is_events(codec: &Codec) -> bool {
    codec.name.eq_ignore_ascii_case("telephone-event")
}
