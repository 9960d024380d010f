//! A tone for tests: made, encoded, decoded, and recognised by its frequency (Goertzel).

use std::f64::consts::TAU;

use tandem_shared::media::Codec;

use super::codec::{Decoder, Encoder, Kind};

/// A codec by its name, with a payload type.
pub(super) fn codec(name: &str, id: u8) -> Codec {
    let (clock, channels) = match name {
        "opus" => (48_000, 2),
        _ => (8000, 1),
    };
    Codec {
        id,
        name: name.to_owned(),
        clock,
        channels,
        parameters: Vec::new(),
        feedback: Vec::new(),
        ptime: None,
        maxptime: None,
    }
}

/// Telephone events with a payload type.
pub(super) fn events(id: u8, clock: u32) -> Codec {
    Codec {
        clock,
        channels: 1,
        ..codec("telephone-event", id)
    }
}

/// One end of a way: sends 440 Hz and listens for it.
pub(super) struct Tone {
    encoder: Encoder,
    decoder: Decoder,
    rate: u32,
    clock: u32,
    ptime: u32,
    sample: u32,
    timestamp: u32,
    heard: Vec<i16>,
}

impl Tone {
    pub(super) fn new(codec: &Codec, ptime: u16) -> Self {
        let kind = Kind::of(codec).unwrap();
        let rate = match kind {
            Kind::Opus => 48_000,
            Kind::G722 => 16_000,
            Kind::Pcmu | Kind::Pcma => 8000,
        };
        Self {
            encoder: Encoder::new(kind, rate, codec).unwrap(),
            decoder: Decoder::new(kind, rate).unwrap(),
            rate,
            clock: codec.clock,
            ptime: ptime.into(),
            sample: 0,
            timestamp: 0xffff_f000,
            heard: Vec::new(),
        }
    }

    /// The next packet and its timestamp.
    pub(super) fn packet(&mut self) -> (u32, Vec<u8>) {
        let samples: Vec<i16> = (0..self.rate * self.ptime / 1000)
            .map(|n| {
                let time = f64::from(self.sample + n) / f64::from(self.rate);
                ((TAU * 440.0 * time).sin() * 8000.0) as i16
            })
            .collect();
        self.sample += samples.len() as u32;
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.clock * self.ptime / 1000);
        (timestamp, self.encoder.encode(&samples).unwrap())
    }

    /// A packet was heard.
    pub(super) fn hear(&mut self, payload: &[u8]) {
        self.heard.extend(self.decoder.decode(payload).unwrap());
    }

    /// Forgets what was heard.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }

    /// The share of 440 Hz in what was heard, the first fifth left out.
    pub(super) fn purity(&self) -> f64 {
        let heard = &self.heard[self.heard.len() / 5..];
        let energy: f64 = heard.iter().map(|it| f64::from(*it).powi(2)).sum();
        // Window by window: what is made up for lost packets may be out of phase.
        let window = self.rate as usize / 10;
        let tone: f64 = heard
            .chunks_exact(window)
            .map(|part| goertzel(part, 440.0 / f64::from(self.rate)))
            .sum();
        tone / energy.max(1.0)
    }

    /// Nothing but the tone, and loud enough.
    pub(super) fn is_clean(&self) -> bool {
        self.purity() > 0.95 && self.loudness() > 3000.0
    }

    /// The tone above all else.
    pub(super) fn is_audible(&self) -> bool {
        self.purity() > 0.6 && self.loudness() > 2000.0
    }

    fn loudness(&self) -> f64 {
        let energy: f64 = self.heard.iter().map(|it| f64::from(*it).powi(2)).sum();
        (energy / (self.heard.len() as f64).max(1.0)).sqrt()
    }
}

/// The energy of one frequency, as a share of the sampling rate.
fn goertzel(samples: &[i16], frequency: f64) -> f64 {
    let coefficient = 2.0 * (TAU * frequency).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power / samples.len() as f64
}
