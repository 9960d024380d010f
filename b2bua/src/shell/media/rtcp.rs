//! Reports about sound (RFC 3550 §6): what we write and the little of them we read.
//!
//! A crate that reads all of RTCP exists; here nothing but fixed places of two packets is wanted, and
//! everything else comes from whoever can guess a port.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};

use super::packet::{number16, number32};
use super::sequence::Reception;

/// Wall-clock time in the form reports carry it: seconds since 1900 and fractions.
#[derive(Debug, Clone, Copy)]
pub(super) struct WallClock {
    start: Instant,
    at_start: u64,
}

impl WallClock {
    /// `since_1970` is the time at `start`.
    pub(super) fn new(start: Instant, since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs().wrapping_add(2_208_988_800);
        let at_start = seconds << 32 | fraction(since_1970);
        Self { start, at_start }
    }

    pub(super) fn at(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        let elapsed = elapsed.as_secs() << 32 | fraction(elapsed);
        self.at_start.wrapping_add(elapsed)
    }

    /// The 32 bits in the middle.
    pub(super) fn middle(&self, now: Instant) -> u32 {
        (self.at(now) >> 16) as u32
    }
}

fn fraction(duration: Duration) -> u64 {
    (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000
}

/// What a sender tells about itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) time: u64,
    pub(super) timestamp: u32,
    pub(super) packets: u32,
    pub(super) bytes: u32,
}

/// A compound packet of `ssrc`: what it sent, what it heard, its name, and its farewell.
pub(super) fn compound(
    ssrc: u32,
    sent: Option<Sent>,
    heard: Option<Reception>,
    name: &str,
    farewell: bool,
) -> BytesMut {
    let mut out = BytesMut::with_capacity(128);
    let blocks = u8::from(heard.is_some());
    let words = 1 + u16::from(blocks) * 6;
    match sent {
        Some(sent) => {
            head(&mut out, blocks, SENDER_REPORT, words + 5, ssrc);
            out.put_u64(sent.time);
            out.put_u32(sent.timestamp);
            out.put_u32(sent.packets);
            out.put_u32(sent.bytes);
        }
        None => head(&mut out, blocks, RECEIVER_REPORT, words, ssrc),
    }
    if let Some(heard) = heard {
        out.put_u32(heard.ssrc);
        out.put_u32(u32::from(heard.fraction) << 24 | heard.lost & 0xff_ffff);
        out.put_u32(heard.highest);
        out.put_u32(heard.jitter);
        out.put_u32(heard.sender_report);
        out.put_u32(heard.delay);
    }
    let name = name
        .as_bytes()
        .get(..name.len().min(255))
        .unwrap_or_default();
    // Type, length, the text, and at least one zero up to the next word.
    let words = (2 + name.len()) / 4 + 1;
    head(&mut out, 1, SOURCE_DESCRIPTION, 1 + words as u16, ssrc);
    out.put_u8(1);
    out.put_u8(name.len() as u8);
    out.put_slice(name);
    out.put_bytes(0, words * 4 - 2 - name.len());
    if farewell {
        head(&mut out, 1, GOODBYE, 1, ssrc);
    }
    out
}

fn head(out: &mut BytesMut, count: u8, kind: u8, words: u16, ssrc: u32) {
    out.put_u8(0x80 | count);
    out.put_u8(kind);
    out.put_u16(words);
    out.put_u32(ssrc);
}

/// What we want to know from a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// The other side sends; the middle of its time.
    Sender { ssrc: u32, middle: u32 },
    /// What it heard of `about`.
    Heard {
        about: u32,
        sender_report: u32,
        delay: u32,
    },
}

/// Reads a compound packet; stops at what makes no sense.
pub(super) fn read(bytes: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = bytes;
    while let (Some([first, kind, ..]), Some(words)) = (rest.first_chunk::<4>(), number16(rest, 2))
    {
        let length = 4 + usize::from(words) * 4;
        let (true, Some(packet)) = (first >> 6 == 2, rest.get(..length)) else {
            break;
        };
        read_packet(packet, first & 0x1f, *kind, &mut items);
        rest = rest.get(length..).unwrap_or_default();
    }
    items
}

fn read_packet(packet: &[u8], count: u8, kind: u8, items: &mut Vec<Item>) {
    let blocks = match kind {
        SENDER_REPORT => {
            if let (Some(ssrc), Some(seconds), Some(fraction)) = (
                number32(packet, 4),
                number32(packet, 8),
                number32(packet, 12),
            ) {
                let middle = seconds << 16 | fraction >> 16;
                items.push(Item::Sender { ssrc, middle });
            }
            28
        }
        RECEIVER_REPORT => 8,
        _ => return,
    };
    for block in packet
        .get(blocks..)
        .unwrap_or_default()
        .chunks_exact(24)
        .take(count.into())
    {
        if let (Some(about), Some(sender_report), Some(delay)) =
            (number32(block, 0), number32(block, 16), number32(block, 20))
        {
            items.push(Item::Heard {
                about,
                sender_report,
                delay,
            });
        }
    }
}

/// The way there and back: what has passed since our report was sent, less what it lay there.
pub(super) fn round_trip(now: u32, sender_report: u32, delay: u32) -> Option<Duration> {
    let units = now.wrapping_sub(sender_report).checked_sub(delay)?;
    let plausible = sender_report != 0 && units < 60 << 16;
    plausible.then(|| Duration::from_secs_f64(f64::from(units) / 65_536.0))
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let sent = Sent {
            time: 0x1111_2222_3333_4444,
            timestamp: 5,
            packets: 6,
            bytes: 7,
        };
        let heard = Reception {
            ssrc: 9,
            fraction: 1,
            lost: 2,
            highest: 3,
            jitter: 4,
            sender_report: 5,
            delay: 6,
        };
        for name in ["a", "ab", "abc", "abcd", ""] {
            let packet = compound(1, Some(sent), Some(heard), name, true);
            assert_eq!(packet.len() % 4, 0);
            assert_eq!(packet[packet.len() - 8..], [0x81, 203, 0, 1, 0, 0, 0, 1]);
            assert_eq!(
                read(&packet),
                [
                    Item::Sender {
                        ssrc: 1,
                        middle: 0x2222_3333
                    },
                    Item::Heard {
                        about: 9,
                        sender_report: 5,
                        delay: 6
                    }
                ]
            );
        }
        assert_eq!(read(&compound(1, None, None, "a", false)), []);
    }

    #[test]
    fn lengths_that_lie_read_nothing() {
        let packet = compound(1, None, None, "a", false);
        for end in 0..packet.len() {
            let _ = read(&packet[..end]);
        }
        assert_eq!(read(&[0x9f, 200, 0xff, 0xff, 0, 0, 0, 1]), []);
        assert_eq!(read(&[0x9f, 201, 0, 1, 0, 0, 0, 1]), []);
    }

    #[test]
    fn the_round_trip_leaves_out_the_stay() {
        let start = Instant::now();
        let clock = WallClock::new(start, Duration::from_secs(1_700_000_000));
        let sent = clock.middle(start);
        let now = clock.middle(start + Duration::from_millis(1080));
        let trip = round_trip(now, sent, 65_536).unwrap();
        assert!(trip > Duration::from_millis(79) && trip < Duration::from_millis(81));
        assert_eq!(round_trip(now, 0, 0), None);
        assert_eq!(round_trip(sent, sent, 65_536), None);
    }
}
