//! Pressed keys as RTP events (RFC 4733 §2.5): heard from one leg, played to another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What an event's packet says (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) event: u8,
    pub(super) end: bool,
    pub(super) volume: u8,
    pub(super) duration: u16,
}

impl Payload {
    /// Reads a payload; only keys are known.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *bytes.first_chunk::<4>()?;
        (usize::from(event) < KEYS.len()).then_some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    pub(super) fn write(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        let flags = u8::from(self.end) << 7 | self.volume & 0x3f;
        [self.event, flags, high, low]
    }
}

/// The key an event stands for.
pub(super) fn key(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).copied()
}

/// The event of a key.
pub(super) fn event(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    let place = KEYS.iter().position(|known| *known == key)?;
    u8::try_from(place).ok()
}

/// A key on the leg it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    /// None is pressed; the timestamp of the last one, whose last packets may still come.
    Idle(Option<u32>),
    /// One is.
    Held {
        timestamp: u32,
        payload: Payload,
        at: Instant,
    },
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Pressed, or still held: since when is in the payload.
    Down { first: bool, payload: Payload },
    /// Let go.
    Up(Payload),
}

impl Hearing {
    /// A packet of an event. Two changes when the end of the key before it was lost.
    pub(super) fn handle(
        &mut self,
        timestamp: u32,
        payload: Payload,
        now: Instant,
        out: &mut Vec<Change>,
    ) {
        let held = Self::Held {
            timestamp,
            payload,
            at: now,
        };
        match *self {
            Self::Idle(Some(last)) if last == timestamp => return,
            Self::Held { timestamp: t, .. } if older(timestamp, t) => return,
            Self::Held {
                timestamp: t,
                payload: before,
                ..
            } if t == timestamp => {
                // Packets may come out of order.
                if payload.duration < before.duration && !payload.end {
                    return;
                }
                if !payload.end {
                    let first = false;
                    out.push(Change::Down { first, payload });
                }
            }
            Self::Held {
                payload: before, ..
            } => {
                out.push(Change::Up(before));
                out.push(Change::Down {
                    first: true,
                    payload,
                });
            }
            Self::Idle(_) => out.push(Change::Down {
                first: true,
                payload,
            }),
        }
        if payload.end {
            out.push(Change::Up(payload));
            *self = Self::Idle(Some(timestamp));
        } else {
            *self = held;
        }
    }

    /// Lets go of a key whose end was lost.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Change>) {
        if let Self::Held {
            timestamp, payload, ..
        } = *self
            && self.deadline().is_some_and(|at| at <= now)
        {
            out.push(Change::Up(payload));
            *self = Self::Idle(Some(timestamp));
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Idle(_) => None,
            Self::Held { at, .. } => Some(*at + LOST_AFTER),
        }
    }
}

fn older(timestamp: u32, than: u32) -> bool {
    timestamp.wrapping_sub(than).cast_signed() < 0
}

/// Keys on the leg they are played to.
#[derive(Debug, Default)]
pub(super) struct Playing {
    queue: VecDeque<(u8, Duration)>,
    now: Option<Played>,
    rest_until: Option<Instant>,
}

/// The key being played.
#[derive(Debug)]
struct Played {
    timestamp: u32,
    payload: Payload,
    began: Instant,
    /// How long it is to last; nothing: until the other leg lets go.
    length: Option<Duration>,
    first: bool,
    ends: u8,
    next: Option<Instant>,
}

/// A packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    pub(super) payload: Payload,
}

impl Playing {
    /// Queues a key; refuses when far too many wait.
    pub(super) fn press(&mut self, event: u8, length: Duration) {
        if self.queue.len() < QUEUE {
            let length = length.clamp(SHORTEST, LONGEST);
            self.queue.push_back((event, length));
        }
    }

    /// Whether sound gives way to a key.
    pub(super) fn is_busy(&self) -> bool {
        self.now.is_some()
    }

    /// Follows a key of the other leg, whose clock is `from`. `timestamp` is that of this moment.
    pub(super) fn follow(
        &mut self,
        change: Change,
        clocks: (u32, u32),
        timestamp: u32,
        now: Instant,
        out: &mut Vec<Packet>,
    ) {
        let scaled = |payload: Payload| {
            let (from, to) = clocks;
            let duration = u64::from(payload.duration) * u64::from(to) / u64::from(from.max(1));
            Payload {
                duration: u16::try_from(duration).unwrap_or(u16::MAX),
                end: false,
                ..payload
            }
        };
        match change {
            Change::Down { first, payload } => {
                if first || self.now.is_none() {
                    self.now = Some(Played::new(timestamp, scaled(payload), None, now));
                }
                if let Some(played) = self.now.as_mut().filter(|it| it.length.is_none()) {
                    played.payload = scaled(payload);
                    played.next = None;
                    out.push(played.packet());
                }
            }
            Change::Up(payload) => {
                if let Some(played) = self.now.as_mut().filter(|it| it.length.is_none()) {
                    played.payload = scaled(payload);
                    played.next = Some(now);
                    played.payload.end = true;
                }
                self.handle_timeout(clocks.1, timestamp, now, out);
            }
        }
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(
        &mut self,
        clock: u32,
        timestamp: u32,
        now: Instant,
        out: &mut Vec<Packet>,
    ) {
        if self.now.is_none() && self.rest_until.is_none_or(|until| until <= now) {
            self.rest_until = None;
            if let Some((event, length)) = self.queue.pop_front() {
                let payload = Payload {
                    event,
                    end: false,
                    volume: VOLUME,
                    duration: 0,
                };
                self.now = Some(Played::new(timestamp, payload, Some(length), now));
            }
        }
        let Some(played) = &mut self.now else {
            return;
        };
        if played.next.is_none_or(|next| next > now) {
            return;
        }
        if let Some(length) = played.length {
            let until = (now.saturating_duration_since(played.began) + STEP).min(length);
            let ticks = until.as_millis() * u128::from(clock) / 1000;
            played.payload.duration = u16::try_from(ticks).unwrap_or(u16::MAX);
            played.payload.end |= until == length;
        }
        out.push(played.packet());
        played.next = Some(now + STEP);
        if played.payload.end {
            played.ends += 1;
        }
        if played.ends == ENDS {
            let generated = played.length.is_some();
            self.now = None;
            self.rest_until = generated.then(|| now + PAUSE);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.now {
            Some(played) => played.next,
            None if self.queue.is_empty() => None,
            None => self.rest_until,
        }
    }

    /// Whether a key waits that could begin at once.
    pub(super) fn is_due(&self) -> bool {
        self.now.is_none() && self.rest_until.is_none() && !self.queue.is_empty()
    }
}

impl Played {
    fn new(timestamp: u32, payload: Payload, length: Option<Duration>, now: Instant) -> Self {
        Self {
            timestamp,
            payload,
            began: now,
            length,
            first: true,
            ends: 0,
            next: length.map(|_| now),
        }
    }

    fn packet(&mut self) -> Packet {
        Packet {
            marker: std::mem::take(&mut self.first),
            timestamp: self.timestamp,
            payload: self.payload,
        }
    }
}

const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];
/// A key that nothing is heard of for so long was let go.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// Between two packets of a key.
const STEP: Duration = Duration::from_millis(20);
/// Between two keys, so that they are told apart.
const PAUSE: Duration = Duration::from_millis(60);
/// How often the end is sent.
const ENDS: u8 = 3;
/// In dBm0 below zero.
const VOLUME: u8 = 10;
const QUEUE: usize = 32;
const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
