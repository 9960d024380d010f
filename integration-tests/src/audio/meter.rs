//! The strongest tone of a sound: its frequency, its level, and how much of the sound it is.
//!
//! Invariant: a tone keeps its level whatever else sounds, and noise spreads so that no tone stands out.

use std::f64::consts::TAU;
use std::fmt;

use anyhow::{Result, ensure};

use super::Sound;

/// What a sound is, as far as one tone can say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// The strongest tone; 0 in silence.
    pub hertz: f64,
    /// Its level; 0 is the loudest sine that fits, -120 is nothing at all.
    pub decibel: f64,
    /// Its part of the power of the whole sound, 0 to 1: noise has no tone that is much of it.
    pub share: f64,
}

impl Heard {
    /// Whether it is a tone of `hertz`, give or take what codecs and clocks do to it.
    pub fn is_tone(&self, hertz: u32) -> bool {
        let wanted = f64::from(hertz);
        let near = (self.hertz - wanted).abs() <= (0.02 * wanted).max(8.0);
        near && self.decibel > AUDIBLE && self.share > MOST
    }

    /// Whether there is nothing to be heard; comfort noise counts as nothing.
    pub fn is_silence(&self) -> bool {
        self.decibel < AUDIBLE
    }

    /// An error that says what was heard, unless it is a tone of `hertz`.
    pub fn expect_tone(&self, hertz: u32) -> Result<()> {
        ensure!(
            self.is_tone(hertz),
            "wanted a tone of {hertz} Hz, but heard {self}"
        );
        Ok(())
    }

    /// An error that says what was heard, unless the level is within 3 dB of `decibel`.
    pub fn expect_level(&self, decibel: f64) -> Result<()> {
        ensure!(
            (self.decibel - decibel).abs() <= 3.0,
            "wanted {decibel} dB, but heard {self}"
        );
        Ok(())
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_silence() {
            return write!(f, "silence ({:.0} dB)", self.decibel);
        }
        write!(
            f,
            "{:.0} Hz at {:.0} dB, {:.0} % of the sound",
            self.hertz,
            self.decibel,
            100.0 * self.share
        )
    }
}

impl Sound {
    /// Measures the whole sound; a tone that changes on the way is none.
    pub fn measure(&self) -> Heard {
        let window = windowed(&self.samples);
        let step = f64::from(self.rate) / window.len().max(1) as f64;
        let bins = (HIGHEST.min(f64::from(self.rate) / 2.0) / step) as usize;
        let power = |hertz: f64| power_at(&window, hertz / f64::from(self.rate));
        // A coarse look at every other bin, which the window makes wide enough, then a fine one around the best.
        let coarse = strongest((4..bins).step_by(2).map(|bin| bin as f64 * step), power);
        let fine = strongest(
            (-20..=20).map(|tenth| coarse.0 + f64::from(tenth) * step / 10.0),
            power,
        );
        let total = mean_square(&self.samples);
        Heard {
            hertz: if fine.1 > 0.0 { fine.0 } else { 0.0 },
            decibel: (10.0 * fine.1.log10()).max(FLOOR),
            // The square of a sine's peak is twice its mean square.
            share: if total > 0.0 {
                (fine.1 / 2.0 / total).min(1.0)
            } else {
                0.0
            },
        }
    }

    /// The level of one frequency, whatever else sounds.
    pub fn level_at(&self, hertz: u32) -> f64 {
        let power = power_at(
            &windowed(&self.samples),
            f64::from(hertz) / f64::from(self.rate),
        );
        (10.0 * power.log10()).max(FLOOR)
    }
}

fn strongest(places: impl Iterator<Item = f64>, power: impl Fn(f64) -> f64) -> (f64, f64) {
    places
        .map(|hertz| (hertz, power(hertz)))
        .fold(
            (0.0, 0.0),
            |best, next| if next.1 > best.1 { next } else { best },
        )
}

/// The samples from -1 to 1 under a Hann window of mean 1, which keeps a tone from leaking into all bins.
fn windowed(samples: &[i16]) -> Vec<f64> {
    let length = samples.len() as f64;
    samples
        .iter()
        .enumerate()
        .map(|(n, sample)| {
            let weight = 1.0 - (TAU * (n as f64 + 0.5) / length).cos();
            weight * f64::from(*sample) / f64::from(i16::MAX)
        })
        .collect()
}

/// The square of the peak of the sine of this frequency (cycles per sample), by Goertzel's recurrence.
fn power_at(window: &[f64], frequency: f64) -> f64 {
    let factor = 2.0 * (TAU * frequency).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in window {
        (last, before) = (sample + factor * last - before, last);
    }
    let squared = last * last + before * before - factor * last * before;
    let half = window.len().max(1) as f64 / 2.0;
    squared / (half * half)
}

fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples
        .iter()
        .map(|sample| (f64::from(*sample) / f64::from(i16::MAX)).powi(2))
        .sum();
    sum / samples.len().max(1) as f64
}

/// The level of nothing.
const FLOOR: f64 = -120.0;
/// Below this is silence.
const AUDIBLE: f64 = -45.0;
/// The share of a sound that makes it a tone; codecs and lost packets take a little of it.
const MOST: f64 = 0.6;
/// No tone of the tests is higher.
const HIGHEST: f64 = 4_000.0;
