//! Sequence numbers and timestamps of both ways of a leg (RFC 3550 §5.1).
//!
//! What is received is counted; what is sent has a source of its own whose numbers go on without a
//! break however often the source behind it changes.

use std::time::{Duration, Instant};

use super::packet::Header;

/// What came from the other side of a leg.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    source: Option<Source>,
    /// Packets of all sources.
    pub(super) received: u64,
    lost_before: u64,
}

/// One source while it lasts.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    clock: u32,
    first: u64,
    highest: u64,
    received: u64,
    reported: (u64, u64),
    seen: u128,
    arrival: (Instant, u32),
    jitter: f64,
    sender_report: Option<(u32, Instant)>,
}

/// What a packet is among those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first of a source; its number counts from here on without wrapping.
    First(u64),
    /// New, with its number.
    New(u64),
    /// Came already, or too late to tell.
    Repeated,
}

/// What is told to the other side about its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reception {
    pub(super) ssrc: u32,
    pub(super) fraction: u8,
    pub(super) lost: u32,
    pub(super) highest: u32,
    pub(super) jitter: u32,
    pub(super) sender_report: u32,
    pub(super) delay: u32,
}

impl Receiving {
    /// Counts a packet; one without a clock of its own, as a pressed key, says nothing about jitter.
    pub(super) fn note(&mut self, header: &Header, clock: Option<u32>, now: Instant) -> Arrival {
        if let Some(source) = &mut self.source
            && source.ssrc == header.ssrc
            && clock.is_none_or(|clock| clock == source.clock)
        {
            match source.note(header, clock.is_some(), now) {
                Some(Arrival::Repeated) => return Arrival::Repeated,
                Some(arrival) => {
                    self.received += 1;
                    return arrival;
                }
                None => {}
            }
        }
        self.lost_before += self.source.as_ref().map_or(0, Source::lost);
        self.received += 1;
        let source = Source::new(header, clock.unwrap_or(8000), now);
        let first = source.highest;
        self.source = Some(source);
        Arrival::First(first)
    }

    /// A report of the sender itself came; the middle of its time is told back.
    pub(super) fn note_report(&mut self, ssrc: u32, middle: u32, now: Instant) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc) {
            source.sender_report = Some((middle, now));
        }
    }

    /// What to tell about the time since the last call.
    pub(super) fn reception(&mut self, now: Instant) -> Option<Reception> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let (expected_before, received_before) = source.reported;
        source.reported = (expected, source.received);
        let expected_since = expected - expected_before;
        let lost_since = expected_since.saturating_sub(source.received - received_before);
        let fraction = (lost_since * 256).checked_div(expected_since).unwrap_or(0);
        let (sender_report, delay) = source.sender_report.map_or((0, 0), |(middle, at)| {
            let delay = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        Some(Reception {
            ssrc: source.ssrc,
            fraction: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: u32::try_from(source.lost())
                .unwrap_or(u32::MAX)
                .min(0x7f_ffff),
            highest: low32(source.highest),
            jitter: source.jitter as u32,
            sender_report,
            delay,
        })
    }

    /// Packets that never came.
    pub(super) fn lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, Source::lost)
    }

    /// Interarrival jitter.
    pub(super) fn jitter(&self) -> Duration {
        let seconds = |source: &Source| source.jitter / f64::from(source.clock.max(1));
        let seconds = self.source.as_ref().map_or(0.0, seconds);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

impl Source {
    fn new(header: &Header, clock: u32, now: Instant) -> Self {
        // Far from zero, so that what was sent before the first packet has a number, too.
        let first = (1 << 32) + u64::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            clock,
            first,
            highest: first,
            received: 1,
            reported: (0, 0),
            seen: 1,
            arrival: (now, header.timestamp),
            jitter: 0.0,
            sender_report: None,
        }
    }

    /// Nothing: the number is so far off that the source must have begun anew.
    fn note(&mut self, header: &Header, timed: bool, now: Instant) -> Option<Arrival> {
        let ahead = i64::from(
            header
                .sequence
                .wrapping_sub(low16(self.highest))
                .cast_signed(),
        );
        if ahead.abs() > JUMP {
            return None;
        }
        let number = self.highest.checked_add_signed(ahead)?;
        if ahead > 0 {
            self.seen = self.seen.checked_shl(ahead.try_into().ok()?).unwrap_or(0) | 1;
            self.highest = number;
        } else {
            let bit = 1u128.checked_shl((-ahead).try_into().ok()?).unwrap_or(0);
            if bit == 0 || self.seen & bit != 0 {
                return Some(Arrival::Repeated);
            }
            self.seen |= bit;
        }
        self.received += 1;
        self.first = self.first.min(number);
        if timed {
            self.note_arrival(header.timestamp, now);
        }
        Some(Arrival::New(number))
    }

    fn note_arrival(&mut self, timestamp: u32, now: Instant) {
        let (at, before) = std::mem::replace(&mut self.arrival, (now, timestamp));
        let elapsed = now.saturating_duration_since(at).as_secs_f64() * f64::from(self.clock);
        let sent = f64::from(timestamp.wrapping_sub(before).cast_signed());
        self.jitter += ((elapsed - sent).abs() - self.jitter) / 16.0;
    }

    fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }
}

/// What is sent to the other side of a leg.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) ssrc: u32,
    highest: u64,
    used: u128,
    timestamp: u32,
    at: Option<Instant>,
    /// Packets and bytes of payload.
    pub(super) sent: (u64, u64),
}

impl Sending {
    /// Begins at unguessable numbers.
    pub(super) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            // The upper half of the first round would wrap while receivers still have nothing to compare with.
            highest: (1 << 32) + u64::from(sequence >> 1),
            used: 0,
            timestamp,
            at: None,
            sent: (0, 0),
        }
    }

    /// The number of the newest packet.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Takes a number for a packet; none twice: with one keystream for two packets both could be read.
    pub(super) fn claim(&mut self, number: u64) -> Option<u16> {
        if number > self.highest {
            let ahead = u32::try_from(number - self.highest).unwrap_or(u32::MAX);
            self.used = self.used.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = number;
        } else {
            let behind = u32::try_from(self.highest - number).unwrap_or(u32::MAX);
            let bit = 1u128.checked_shl(behind).unwrap_or(0);
            if bit == 0 || self.used & bit != 0 {
                return None;
            }
            self.used |= bit;
        }
        Some(low16(number))
    }

    /// The timestamp of this moment, going on from the last one sent.
    pub(super) fn timestamp(&self, clock: u32, now: Instant) -> u32 {
        let elapsed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let ticks = elapsed.as_micros() * u128::from(clock) / 1_000_000;
        self.timestamp.wrapping_add(ticks as u32)
    }

    /// A packet goes out with this timestamp.
    pub(super) fn note(&mut self, timestamp: u32, payload: usize, now: Instant) {
        // A late packet does not turn the time back, and all packets of a pressed key have one.
        let ahead = timestamp.wrapping_sub(self.timestamp).cast_signed();
        if self.at.is_none() || ahead > 0 {
            self.timestamp = timestamp;
            self.at = Some(now);
        }
        self.sent.0 += 1;
        self.sent.1 += payload as u64;
    }
}

fn low16(number: u64) -> u16 {
    (number & 0xffff) as u16
}

fn low32(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}

/// A sequence number this far off belongs to something new.
const JUMP: i64 = 3000;

#[cfg(test)]
mod tests;
