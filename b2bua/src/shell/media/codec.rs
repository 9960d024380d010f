//! Sound as numbers and back: Opus, G.711 and G.722, always one channel.

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder as _, Encoder as _};
use tandem_shared::media::Codec;

/// A codec that can be transcoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Opus,
    Pcmu,
    Pcma,
    G722,
}

impl Kind {
    pub(super) fn of(codec: &Codec) -> Option<Self> {
        match (codec.name.to_ascii_lowercase().as_str(), codec.clock) {
            ("opus", 48_000) => Some(Self::Opus),
            ("pcmu", 8000) => Some(Self::Pcmu),
            ("pcma", 8000) => Some(Self::Pcma),
            ("g722", 8000) => Some(Self::G722),
            _ => None,
        }
    }

    /// Samples per second, where the codec has but one rate.
    fn rate(self) -> Option<u32> {
        match self {
            Self::Opus => None,
            Self::Pcmu | Self::Pcma => Some(8000),
            Self::G722 => Some(16_000),
        }
    }
}

/// The rates to decode and to encode at: Opus takes that of the other side.
pub(super) fn rates(from: Kind, to: Kind) -> (u32, u32) {
    let shared = from.rate().or(to.rate()).unwrap_or(48_000);
    (
        from.rate().or(to.rate()).unwrap_or(shared),
        to.rate().unwrap_or(shared),
    )
}

/// From packets to samples.
pub(super) struct Decoder {
    inner: Decoding,
    rate: u32,
    /// The last samples, repeated ever more quietly where packets are missing.
    last: Vec<i16>,
    fade: i32,
}

enum Decoding {
    Opus(Box<opus::Decoder>),
    Pcmu(PcmuDecoder),
    Pcma(PcmaDecoder),
    G722(Box<G722Decoder>),
}

impl Decoder {
    pub(super) fn new(kind: Kind, rate: u32) -> Option<Self> {
        let inner = match kind {
            Kind::Opus => Decoding::Opus(Box::new(
                opus::Decoder::new(rate, opus::Channels::Mono).ok()?,
            )),
            Kind::Pcmu => Decoding::Pcmu(PcmuDecoder::new()),
            Kind::Pcma => Decoding::Pcma(PcmaDecoder::new()),
            Kind::G722 => Decoding::G722(Box::new(G722Decoder::new())),
        };
        Some(Self {
            inner,
            rate,
            last: Vec::new(),
            fade: 256,
        })
    }

    /// The samples of a packet; nothing if it makes no sense or holds more than [`LONGEST`].
    pub(super) fn decode(&mut self, payload: &[u8]) -> Option<Vec<i16>> {
        let most = self.rate as usize * LONGEST / 1000;
        let mut samples = vec![0; most];
        let count = match &mut self.inner {
            Decoding::Opus(decoder) => decoder.decode(payload, &mut samples, false).ok()?,
            Decoding::Pcmu(decoder) => decoder.decode_into(payload, &mut samples).ok()?,
            Decoding::Pcma(decoder) => decoder.decode_into(payload, &mut samples).ok()?,
            Decoding::G722(decoder) => decoder.decode_into(payload, &mut samples).ok()?,
        };
        samples.truncate(count);
        if count == 0 {
            return None;
        }
        self.last.clone_from(&samples);
        self.fade = 256;
        Some(samples)
    }

    /// Samples in place of missing ones; Opus may find them in the packet after.
    pub(super) fn conceal(&mut self, count: usize, next: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; count];
        if let Decoding::Opus(decoder) = &mut self.inner {
            // Whole multiples of 2.5 ms only.
            let unit = (self.rate as usize / 400).max(1);
            let whole = count - count % unit;
            let frame = decoder.get_nb_samples(next).unwrap_or(0).min(whole);
            let (early, late) = samples.split_at_mut(whole - frame);
            for part in early.chunks_mut(unit * 8) {
                let _ = decoder.decode(&[], part, false);
            }
            if let Some(late) = late.get_mut(..frame).filter(|late| !late.is_empty()) {
                let _ = decoder.decode(next, late, true);
            }
            return samples;
        }
        for (place, sample) in samples.iter_mut().enumerate() {
            let Some(from) = place.checked_rem(self.last.len()) else {
                break;
            };
            if from == 0 {
                self.fade = self.fade * 3 / 5;
            }
            let before = self.last.get(from).copied().unwrap_or_default();
            *sample = (i32::from(before) * self.fade / 256) as i16;
        }
        samples
    }
}

/// From samples to packets.
pub(super) struct Encoder {
    inner: Encoding,
}

enum Encoding {
    Opus(Box<opus::Encoder>),
    Pcmu(PcmuEncoder),
    Pcma(PcmaEncoder),
    G722(Box<G722Encoder>),
}

impl Encoder {
    /// An encoder as `codec`'s parameters want it.
    pub(super) fn new(kind: Kind, rate: u32, codec: &Codec) -> Option<Self> {
        let inner = match kind {
            Kind::Opus => Encoding::Opus(Box::new(opus_encoder(rate, codec)?)),
            Kind::Pcmu => Encoding::Pcmu(PcmuEncoder::new()),
            Kind::Pcma => Encoding::Pcma(PcmaEncoder::new()),
            Kind::G722 => Encoding::G722(Box::new(G722Encoder::new())),
        };
        Some(Self { inner })
    }

    pub(super) fn encode(&mut self, samples: &[i16]) -> Option<Vec<u8>> {
        let mut payload = vec![0; MOST];
        let length = match &mut self.inner {
            Encoding::Opus(encoder) => encoder.encode(samples, &mut payload).ok()?,
            Encoding::Pcmu(encoder) => encoder.encode_into(samples, &mut payload).ok()?,
            Encoding::Pcma(encoder) => encoder.encode_into(samples, &mut payload).ok()?,
            Encoding::G722(encoder) => encoder.encode_into(samples, &mut payload).ok()?,
        };
        payload.truncate(length);
        Some(payload)
    }
}

fn opus_encoder(rate: u32, codec: &Codec) -> Option<opus::Encoder> {
    let parameter = |name: &str| {
        let found = codec
            .parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.trim().parse::<i32>().ok())
    };
    let mut encoder =
        opus::Encoder::new(rate, opus::Channels::Mono, opus::Application::Voip).ok()?;
    let bits = parameter("maxaveragebitrate")
        .unwrap_or(BITS)
        .clamp(6000, BITS);
    encoder.set_bitrate(opus::Bitrate::Bits(bits)).ok()?;
    encoder.set_complexity(COMPLEXITY).ok()?;
    encoder.set_vbr(parameter("cbr") != Some(1)).ok()?;
    if parameter("useinbandfec") == Some(1) {
        encoder.set_inband_fec(true).ok()?;
        encoder.set_packet_loss_perc(EXPECTED_LOSS).ok()?;
    }
    Some(encoder)
}

/// Milliseconds that a packet may hold.
const LONGEST: usize = 120;
/// Bytes that an encoded packet may have: 120 ms of G.711, and room.
const MOST: usize = 1275;
/// Bits per second: more is not heard in a telephone call.
const BITS: i32 = 32_000;
/// Of 10; beyond this the ear gains nothing and the processor loses much.
const COMPLEXITY: i32 = 5;
/// Percent.
const EXPECTED_LOSS: i32 = 5;
