//! RTP packets (RFC 3550) and the keys they may carry (RFC 4733).

/// A packet without contributing sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Beginning of a talk spurt or a key.
    pub marker: bool,
    /// What the payload is.
    pub payload_type: u8,
    /// Counts packets.
    pub sequence: u16,
    /// Counts samples.
    pub timestamp: u32,
    /// The synchronisation source.
    pub source: u32,
    /// The rest, without padding; header extensions are passed over.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Reads a datagram; `None` if it is no RTP.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<12>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *head;
        // RTCP lies in this range of payload types (RFC 5761).
        if first >> 6 != 2 || (64..=95).contains(&(second & 0x7f)) {
            return None;
        }
        let mut rest = rest.get(4 * usize::from(first & 0x0f)..)?;
        if first & 0x10 != 0 {
            let (extension, behind) = rest.split_first_chunk::<4>()?;
            let [_, _, high, low] = *extension;
            rest = behind.get(4 * usize::from(u16::from_be_bytes([high, low]))..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            rest = rest.get(..rest.len().checked_sub(padding)?)?;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            source: u32::from_be_bytes([i0, i1, i2, i3]),
            payload: rest.to_vec(),
        })
    }

    /// As it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, u8::from(self.marker) << 7 | self.payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.source.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A key of a telephone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub key: char,
    /// Whether its end has been told.
    pub ended: bool,
    /// So many packets told of it.
    pub packets: u32,
    /// How long it was pressed, in samples.
    pub duration: u16,
}

impl Press {
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (event, _) = payload.split_first_chunk::<4>()?;
        let [key, flags, high, low] = *event;
        Some(Self {
            key: KEYS.chars().nth(usize::from(key))?,
            ended: flags & 0x80 != 0,
            packets: 1,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    pub(super) fn merge(&mut self, later: Self) {
        self.ended |= later.ended;
        self.packets += 1;
        self.duration = self.duration.max(later.duration);
    }

    /// The payload that tells of `key`.
    pub(super) fn payload(key: char, ended: bool, duration: u16) -> Option<Vec<u8>> {
        let event = u8::try_from(KEYS.find(key)?).ok()?;
        let [high, low] = duration.to_be_bytes();
        // 10 is a usual volume: -10 dBm0.
        Some(vec![event, u8::from(ended) << 7 | 10, high, low])
    }
}

/// In the order of their numbers.
const KEYS: &str = "0123456789*#ABCD";
