//! What a peer sends: a tone, every 20 ms, with keys in between.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Packet, Press, lock};
use crate::audio::Law;

/// A stream of packets to one address; the fields may be set to anything before it is sent.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Whereto.
    pub to: SocketAddr,
    /// The codec.
    pub law: Law,
    /// The tone, in Hz; 0 is silence.
    pub hertz: u32,
    /// The payload type, which need not be that of the codec.
    pub payload_type: u8,
    /// The payload type of keys.
    pub key_type: u8,
    /// How far the clock goes in a packet.
    pub ticks: u16,
    /// What is sent in the place of the tone, for a codec that this end cannot speak.
    pub fixed: Option<Vec<u8>>,
    /// Number of the next packet.
    pub sequence: u16,
    /// Timestamp of the next packet.
    pub timestamp: u32,
    /// The synchronisation source.
    pub source: u32,
    keys: VecDeque<Packet>,
    phase: f64,
    spurt: bool,
}

impl Stream {
    /// A tone for `to`.
    pub fn tone(to: SocketAddr, law: Law, hertz: u32) -> Self {
        Self {
            to,
            law,
            hertz,
            payload_type: law.payload_type(),
            key_type: 101,
            ticks: SAMPLES,
            fixed: None,
            sequence: 1_000,
            timestamp: 50_000,
            source: 0x7e57_0000 + hertz,
            keys: VecDeque::new(),
            phase: 0.0,
            spurt: true,
        }
    }

    /// Silence in opus, for keys by its clock.
    pub fn opus_silence(to: SocketAddr, payload_type: u8) -> Self {
        Self {
            payload_type,
            ticks: 6 * SAMPLES,
            // 20 ms of CELT, in which nothing is coded (RFC 6716).
            fixed: Some(vec![0xf8, 0xff, 0xfe]),
            ..Self::tone(to, Law::Mu, 0)
        }
    }

    /// Puts keys into the queue: each 100 ms long, its end told three times (RFC 4733), then a pause.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        for key in keys.chars() {
            for step in 1..=7_u16 {
                let duration = step.min(5) * self.ticks;
                let payload = Press::payload(key, step >= 5, duration).context("no such key")?;
                self.keys.push_back(Packet {
                    marker: step == 1,
                    payload_type: self.key_type,
                    sequence: 0,
                    // Counted from the beginning of this key.
                    timestamp: u32::from(step - 1) * u32::from(self.ticks),
                    source: self.source,
                    payload,
                });
            }
            // A packet without payload stands for silence between keys.
            let silence = vec![self.law.encode(0); usize::from(SAMPLES)];
            let silence = self.fixed.clone().unwrap_or(silence);
            self.keys.extend((0..3).map(|_| Packet {
                marker: false,
                payload_type: self.payload_type,
                sequence: 0,
                timestamp: 0,
                source: self.source,
                payload: silence.clone(),
            }));
        }
        Ok(())
    }

    /// The next packet.
    pub(super) fn advance(&mut self) -> Packet {
        let packet = match self.keys.pop_front() {
            Some(planned) => Packet {
                sequence: self.sequence,
                timestamp: self.timestamp.wrapping_sub(planned.timestamp),
                ..planned
            },
            None => Packet {
                marker: std::mem::take(&mut self.spurt),
                payload_type: self.payload_type,
                sequence: self.sequence,
                timestamp: self.timestamp,
                source: self.source,
                payload: self.sound(),
            },
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(u32::from(self.ticks));
        packet
    }

    fn sound(&mut self) -> Vec<u8> {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        let step = TAU * f64::from(self.hertz) / 8_000.0;
        let mut payload = Vec::with_capacity(usize::from(SAMPLES));
        for _ in 0..SAMPLES {
            let sample = PEAK * f64::from(i16::MAX) * self.phase.sin();
            payload.push(self.law.encode(sample as i16));
            self.phase = (self.phase + step) % TAU;
        }
        payload
    }
}

/// Sends until it is over; what is sent is looked up before each packet.
pub(super) fn run(socket: &UdpSocket, stream: &Mutex<Option<Stream>>, over: &AtomicBool) {
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let next = lock(stream)
            .as_mut()
            .map(|stream| (stream.to, stream.advance()));
        if let Some((to, packet)) = next {
            // Nobody may listen there yet.
            let _ = socket.send_to(&packet.to_bytes(), to);
        }
        due += PACE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

const PACE: Duration = Duration::from_millis(20);
/// Samples of a packet.
const SAMPLES: u16 = 160;
/// Half of what fits: -6 dB.
const PEAK: f64 = 0.5;
