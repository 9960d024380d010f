//! G.711, written from the recommendation's tables and kept apart from the product's own.
//!
//! Invariant: decoding what was encoded is within one step of the sample.

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// µ-law, payload type 0.
    Mu,
    /// A-law, payload type 8.
    A,
}

impl Law {
    /// The static payload type (RFC 3551).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Mu => 0,
            Self::A => 8,
        }
    }

    /// The law of a static payload type.
    pub fn from_payload_type(number: u8) -> Option<Self> {
        [Self::Mu, Self::A]
            .into_iter()
            .find(|law| law.payload_type() == number)
    }

    /// As SDP names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mu => "PCMU",
            Self::A => "PCMA",
        }
    }

    /// One sample as a byte.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => {
                let magnitude = i32::from(sample).abs().min(32_635) + 132;
                let (exponent, mantissa) = split(magnitude, 7);
                !(sign(sample >= 0, 0, 0x80) | exponent << 4 | mantissa)
            }
            Self::A => {
                // Negative numbers are counted from -1.
                let magnitude = i32::from(if sample < 0 { !sample } else { sample });
                let (exponent, mantissa) = if magnitude < 256 {
                    (0, low_bits(magnitude >> 4))
                } else {
                    split(magnitude, 7)
                };
                (sign(sample >= 0, 0x80, 0) | exponent << 4 | mantissa) ^ 0x55
            }
        }
    }

    /// One byte as a sample.
    pub fn decode(self, byte: u8) -> i16 {
        let (negative, magnitude) = match self {
            Self::Mu => {
                let byte = !byte;
                let steps = (i32::from(byte & 0x0f) << 3) + 132;
                (byte & 0x80 != 0, (steps << (byte >> 4 & 7)) - 132)
            }
            Self::A => {
                let byte = byte ^ 0x55;
                let steps = (i32::from(byte & 0x0f) << 4) + 8;
                let exponent = byte >> 4 & 7;
                let magnitude = match exponent {
                    0 => steps,
                    _ => (steps + 256) << (exponent - 1),
                };
                (byte & 0x80 == 0, magnitude)
            }
        };
        let value = if negative { -magnitude } else { magnitude };
        i16::try_from(value).unwrap_or(i16::MAX)
    }
}

fn sign(positive: bool, if_positive: u8, if_negative: u8) -> u8 {
    if positive { if_positive } else { if_negative }
}

/// Exponent and mantissa of a magnitude whose highest bit is at least `lowest`.
fn split(magnitude: i32, lowest: u32) -> (u8, u8) {
    let highest = 31 - magnitude.leading_zeros();
    let exponent = highest.saturating_sub(lowest);
    (
        low_bits(i32::try_from(exponent).unwrap_or(0)),
        low_bits(magnitude >> (exponent + 3)),
    )
}

fn low_bits(value: i32) -> u8 {
    u8::try_from(value & 0x0f).unwrap_or(0)
}
