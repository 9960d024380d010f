//! What both ends say: a tone, in packets of 20 ms made once.
//!
//! Invariant: a packet's first octets are free for the time it was sent, where sound is only passed on.

use std::time::Duration;

use anyhow::Result;

use crate::audio::{Law, Sound};

/// How an end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// G.711 µ-law as payload type 0.
    Pcmu,
    /// Opus as payload type 111.
    Opus,
}

impl Speech {
    /// Its payload type.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Opus => 111,
        }
    }

    /// Ticks of a packet.
    pub fn ticks(self) -> u32 {
        match self {
            Self::Pcmu => 160,
            Self::Opus => 960,
        }
    }

    /// A second of a tone, packet by packet.
    pub fn payloads(self, hertz: u32) -> Result<Vec<Vec<u8>>> {
        let second = |rate| Sound::tone(hertz, LEVEL, rate, Duration::from_secs(1)).samples;
        match self {
            Self::Pcmu => {
                let frames = second(8000);
                let frames = frames.chunks_exact(160);
                let encode = |frame: &[i16]| frame.iter().map(|it| Law::Mu.encode(*it)).collect();
                Ok(frames.map(encode).collect())
            }
            Self::Opus => {
                let (mono, voice) = (opus::Channels::Mono, opus::Application::Voip);
                let mut encoder = opus::Encoder::new(48_000, mono, voice)?;
                let frames = second(48_000);
                let frames = frames.chunks_exact(960);
                Ok(frames
                    .map(|frame| encoder.encode_vec(frame, 1275))
                    .collect::<Result<_, _>>()?)
            }
        }
    }

    /// Packets as sound again.
    pub fn listen(self, payloads: &[Vec<u8>]) -> Result<Sound> {
        match self {
            Self::Pcmu => {
                let bytes = payloads.iter().flatten();
                let samples = bytes.map(|byte| Law::Mu.decode(*byte)).collect();
                Ok(Sound {
                    rate: 8000,
                    samples,
                })
            }
            Self::Opus => {
                let mut decoder = opus::Decoder::new(8000, opus::Channels::Mono)?;
                let mut sound = Sound::empty(8000);
                for payload in payloads {
                    let mut samples = vec![0; 960];
                    // What cannot be decoded is not heard.
                    let count = decoder.decode(payload, &mut samples, false).unwrap_or(0);
                    sound.samples.extend(samples.into_iter().take(count));
                }
                Ok(sound)
            }
        }
    }
}

/// What clients say, in Hz.
pub const CLIENT: u32 = 440;
/// What phones say.
pub const PHONE: u32 = 880;
const LEVEL: f64 = -12.0;
