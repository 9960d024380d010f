//! What a datagram is, and the head of an RTP packet (RFC 3550).
//!
//! Nothing here trusts a length that came from the network.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

/// What a datagram on a media port is, by its first bytes (RFC 7983, RFC 5761).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message of ICE.
    Stun,
    /// A record of DTLS.
    Dtls,
    /// Sound, protected or not.
    Rtp,
    /// Reports about sound.
    Rtcp,
    /// Nothing we know.
    Other,
}

/// Tells what a datagram is.
#[must_use]
pub fn classify(bytes: &[u8]) -> Kind {
    match (bytes.first(), bytes.get(1)) {
        (Some(0..=3), _) => Kind::Stun,
        (Some(20..=63), _) => Kind::Dtls,
        (Some(128..=191), Some(192..=223)) => Kind::Rtcp,
        (Some(128..=191), Some(_)) => Kind::Rtp,
        _ => Kind::Other,
    }
}

/// The head of an RTP packet and where its payload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// Where the payload is, without padding. In a protected packet the end is not known yet.
    pub(super) payload: Range<usize>,
}

impl Header {
    /// Reads the head of an unprotected packet, and its padding.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::read_protected(bytes)?;
        if bytes.first()? & 0x20 != 0 {
            let padding = usize::from(*bytes.last()?);
            let end = bytes.len().checked_sub(padding)?;
            if padding == 0 || end < header.payload.start {
                return None;
            }
            header.payload.end = end;
        }
        Some(header)
    }

    /// Reads the head of a packet whose rest is encrypted.
    pub(super) fn read_protected(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..FIXED)?;
        let [first, second, ..] = *fixed else {
            return None;
        };
        if first >> 6 != 2 {
            return None;
        }
        let mut start = FIXED + usize::from(first & 0x0f) * 4;
        if first & 0x10 != 0 {
            let words = number16(bytes, start + 2)?;
            start += 4 + usize::from(words) * 4;
        }
        if start > bytes.len() {
            return None;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: number16(bytes, 2)?,
            timestamp: number32(bytes, 4)?,
            ssrc: number32(bytes, 8)?,
            payload: start..bytes.len(),
        })
    }

    /// A packet with this head, without extensions, and `payload`, in some of the `room`. What was
    /// taken from it before and is no longer held is used again.
    pub(super) fn packet(&self, payload: &[u8], room: &mut BytesMut) -> BytesMut {
        if room.capacity() < FIXED + payload.len() {
            room.reserve(ROOM.max(FIXED + payload.len()));
        }
        let packet = &mut *room;
        packet.put_u8(0x80);
        packet.put_u8(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        packet.put_u16(self.sequence);
        packet.put_u32(self.timestamp);
        packet.put_u32(self.ssrc);
        packet.put_slice(payload);
        room.split()
    }
}

pub(super) fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(part.try_into().ok()?))
}

pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(part.try_into().ok()?))
}

/// Bytes for a handful of packets: each is gone with the system call that sends it.
const ROOM: usize = 1024;
/// Length of a head without sources and extension.
pub(super) const FIXED: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_the_first_bytes() {
        let kinds = [
            (vec![0, 1], Kind::Stun),
            (vec![22, 254], Kind::Dtls),
            (vec![0x80, 111], Kind::Rtp),
            (vec![0x80, 0x80 | 111], Kind::Rtp),
            (vec![0x80, 200], Kind::Rtcp),
            (vec![0x80], Kind::Other),
            (vec![64, 0], Kind::Other),
            (vec![], Kind::Other),
        ];
        for (bytes, kind) in kinds {
            assert_eq!(classify(&bytes), kind, "{bytes:?}");
        }
    }

    fn header() -> Header {
        Header {
            marker: true,
            payload_type: 101,
            sequence: 65_535,
            timestamp: 7,
            ssrc: 0xdead_beef,
            payload: 12..15,
        }
    }

    #[test]
    fn a_head_reads_as_it_was_written() {
        let header = header();
        assert_eq!(
            Header::read(&header.packet(b"abc", &mut BytesMut::new())),
            Some(header)
        );
    }

    #[test]
    fn room_is_used_again() {
        let (mut room, header) = (BytesMut::new(), header());
        let first = header.packet(&[1; 160], &mut room).as_ptr();
        let places: Vec<_> = (0..100)
            .map(|_| header.packet(&[2; 160], &mut room).as_ptr())
            .collect();
        assert!(
            places.contains(&first),
            "each packet took memory of its own"
        );
        let held: Vec<_> = (0..100)
            .map(|n| header.packet(&[n; 160], &mut room))
            .collect();
        assert!((0u8..100).zip(&held).all(|(n, it)| it.ends_with(&[n; 160])));
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let mut packet = vec![0xb1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend([9, 9, 9, 9]);
        packet.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        packet.extend(*b"xy");
        packet.extend([0, 0, 3]);
        let header = Header::read(&packet).unwrap();
        assert_eq!(&packet[header.payload], b"xy");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let head = [0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        for (first, tail) in [
            (0x8f, &[][..]),
            (0x90, &[0, 0, 255, 255][..]),
            (0x90, &[0, 0, 255][..]),
            (0xa0, &[0][..]),
            (0xa0, &[200][..]),
            (0x40, &[1][..]),
        ] {
            let mut packet = head.to_vec();
            packet[0] = first;
            packet.extend_from_slice(tail);
            assert_eq!(Header::read(&packet), None, "{packet:?}");
        }
        assert_eq!(Header::read(&head[..11]), None);
    }
}
