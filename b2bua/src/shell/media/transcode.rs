//! Sound from one codec to another, packet by packet.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use audio_codec::resampler::BoxedResampler;
use tandem_shared::media::Codec;

use super::codec::{self, Decoder, Encoder, Kind};
use super::reorder::{Ordered, Reorder};

/// One way of a call whose legs have no codec in common.
pub(super) struct Transcoder {
    decoder: Decoder,
    resampler: Option<BoxedResampler>,
    encoder: Encoder,
    reorder: Reorder<Received>,
    clocks: Clocks,
    /// Samples of a packet that we send.
    frame: usize,
    /// Samples that do not fill a packet yet.
    samples: Vec<i16>,
    /// Of the first of them.
    timestamp: Option<u32>,
    /// What the next packet's timestamp should be.
    expected: Option<u32>,
}

/// Ticks and samples per second, before and after.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    from: u32,
    to: u32,
    decoded: u32,
    encoded: u32,
}

struct Received {
    timestamp: u32,
    payload: Vec<u8>,
}

/// A packet to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    /// After a pause.
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    pub(super) payload: Vec<u8>,
}

impl Transcoder {
    /// From what is received to what is sent; nothing if one of them is not known.
    pub(super) fn new(
        from: &Codec,
        to: &Codec,
        ptime: u16,
        wait: RangeInclusive<Duration>,
    ) -> Option<Self> {
        let (source, target) = (Kind::of(from)?, Kind::of(to)?);
        let (decoded, encoded) = codec::rates(source, target);
        let resampler = if decoded == encoded {
            None
        } else {
            Some(BoxedResampler::new(decoded as usize, encoded as usize).ok()?)
        };
        // Opus knows 10, 20, 40 and 60 of these.
        let ptime = match ptime {
            0..=14 => 10,
            15..=29 => 20,
            30..=39 if target != Kind::Opus => 30,
            30..=49 => 40,
            50.. => 60,
        };
        Some(Self {
            decoder: Decoder::new(source, decoded)?,
            resampler,
            encoder: Encoder::new(target, encoded, to)?,
            reorder: Reorder::new(wait),
            clocks: Clocks {
                from: from.clock,
                to: to.clock,
                decoded,
                encoded,
            },
            frame: encoded as usize * ptime / 1000,
            samples: Vec::new(),
            timestamp: None,
            expected: None,
        })
    }

    /// A packet came. `begin` is the timestamp to go on with if nothing was sent before.
    pub(super) fn push(
        &mut self,
        number: u64,
        timestamp: u32,
        payload: &[u8],
        begin: u32,
        now: Instant,
        out: &mut Vec<Encoded>,
    ) {
        let payload = payload.to_vec();
        let mut ordered = Vec::new();
        let received = Received { timestamp, payload };
        self.reorder.push(number, received, now, &mut ordered);
        self.transcode(ordered, begin, out);
    }

    /// No longer waits for what is missing.
    pub(super) fn handle_timeout(&mut self, begin: u32, now: Instant, out: &mut Vec<Encoded>) {
        let mut ordered = Vec::new();
        self.reorder.handle_timeout(now, &mut ordered);
        self.transcode(ordered, begin, out);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.reorder.deadline()
    }

    fn transcode(&mut self, ordered: Vec<Ordered<Received>>, begin: u32, out: &mut Vec<Encoded>) {
        for Ordered { missing, packet } in ordered {
            let mut pause = self.timestamp.is_none();
            self.timestamp.get_or_insert(begin);
            if let Some(expected) = self.expected {
                let gap = packet.timestamp.wrapping_sub(expected).cast_signed();
                pause |= self.bridge(gap, missing, &packet.payload, out);
            }
            let Some(samples) = self.decoder.decode(&packet.payload) else {
                self.expected = None;
                continue;
            };
            let ticks = scale(samples.len() as u32, self.clocks.decoded, self.clocks.from);
            self.expected = Some(packet.timestamp.wrapping_add(ticks));
            self.append(&samples);
            self.flush(pause, out);
        }
    }

    /// Fills what is missing; a longer pause is one for the other side, too. Tells whether it was.
    fn bridge(&mut self, gap: i32, missing: u64, next: &[u8], out: &mut Vec<Encoded>) -> bool {
        let Ok(gap) = u32::try_from(gap) else {
            // The source's clock was set anew: sound goes on without a break.
            return false;
        };
        if gap == 0 {
            return false;
        }
        if missing > 0 && gap <= self.clocks.from / 1000 * CONCEALED {
            let count = scale(gap, self.clocks.from, self.clocks.decoded);
            let samples = self.decoder.conceal(count as usize, next);
            self.append(&samples);
            self.flush(false, out);
            return false;
        }
        if !self.samples.is_empty() {
            self.samples.resize(self.frame, 0);
            self.flush(false, out);
        }
        // Longer than that is not a pause but nonsense.
        let gap = gap.min(self.clocks.from * PAUSE);
        let ticks = scale(gap, self.clocks.from, self.clocks.to);
        self.timestamp = self.timestamp.map(|at| at.wrapping_add(ticks));
        true
    }

    fn append(&mut self, samples: &[i16]) {
        match &mut self.resampler {
            Some(resampler) => self.samples.extend(resampler.resample(samples)),
            None => self.samples.extend_from_slice(samples),
        }
    }

    fn flush(&mut self, mut marker: bool, out: &mut Vec<Encoded>) {
        let ticks = scale(self.frame as u32, self.clocks.encoded, self.clocks.to);
        while self.samples.len() >= self.frame {
            let rest = self.samples.split_off(self.frame);
            let frame = std::mem::replace(&mut self.samples, rest);
            let timestamp = self.timestamp.unwrap_or_default();
            self.timestamp = Some(timestamp.wrapping_add(ticks));
            if let Some(payload) = self.encoder.encode(&frame) {
                out.push(Encoded {
                    marker: std::mem::take(&mut marker),
                    timestamp,
                    payload,
                });
            }
        }
    }
}

fn scale(count: u32, from: u32, to: u32) -> u32 {
    (u64::from(count) * u64::from(to) / u64::from(from.max(1))) as u32
}

/// Milliseconds of missing sound that are made up.
const CONCEALED: u32 = 100;
/// Seconds that a pause may last.
const PAUSE: u32 = 60;

#[cfg(test)]
mod tests;
