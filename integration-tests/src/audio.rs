//! Sound: tones that peers send, and what is heard at the other end of a call.
//!
//! One meter for every peer: whatever a phone recorded or a browser played becomes a [`Sound`], and the
//! test says which tone it expects. A tone that came through a codec is still the strongest by far;
//! noise, silence and a mixture have no tone at all.
//!
//! Invariant: a measurement never depends on when it was made, only on the samples.

mod g711;
mod meter;
mod wav;

use std::f64::consts::TAU;
use std::time::Duration;

use anyhow::Result;

pub use g711::Law;
pub use meter::Heard;

use crate::wait::{self, GENEROUS};

/// Mono samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// Samples per second.
    pub rate: u32,
    /// 16 bit, linear.
    pub samples: Vec<i16>,
}

impl Sound {
    /// Nothing yet.
    pub fn empty(rate: u32) -> Self {
        Self {
            rate,
            samples: Vec::new(),
        }
    }

    /// Samples as they stand in files: the lower byte first.
    pub fn from_bytes(rate: u32, bytes: &[u8]) -> Self {
        let pairs = bytes.chunks_exact(2);
        Self {
            rate,
            samples: pairs
                .flat_map(<[u8; 2]>::try_from)
                .map(i16::from_le_bytes)
                .collect(),
        }
    }

    /// A sine; 0 `decibel` is the loudest that fits.
    pub fn tone(hertz: u32, decibel: f64, rate: u32, length: Duration) -> Self {
        let count = length.as_millis() * u128::from(rate) / 1_000;
        let peak = f64::from(i16::MAX) * 10_f64.powf(decibel / 20.0);
        let step = TAU * f64::from(hertz) / f64::from(rate);
        let samples = (0..u32::try_from(count).unwrap_or(u32::MAX))
            .map(|n| clamp(peak * (step * f64::from(n)).sin()))
            .collect();
        Self { rate, samples }
    }

    /// Both at once; the longer one decides the length. The rates have to be equal.
    #[must_use]
    pub fn mixed_with(&self, other: &Self) -> Self {
        assert_eq!(
            self.rate, other.rate,
            "sounds of different rates do not mix"
        );
        let at = |sound: &Self, n: usize| sound.samples.get(n).copied().unwrap_or(0);
        let length = self.samples.len().max(other.samples.len());
        let samples = (0..length)
            .map(|n| at(self, n).saturating_add(at(other, n)))
            .collect();
        Self {
            rate: self.rate,
            samples,
        }
    }

    /// How long it lasts.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate.max(1)))
    }

    /// The end of it, at most `length`.
    #[must_use]
    pub fn last(&self, length: Duration) -> Self {
        let count = (length.as_secs_f64() * f64::from(self.rate)) as usize;
        let start = self.samples.len().saturating_sub(count);
        Self {
            rate: self.rate,
            samples: self.samples.get(start..).unwrap_or_default().to_vec(),
        }
    }
}

/// Waits until the newest sound is a pure tone of `hertz`; the failure says what was heard instead.
///
/// `listen` returns what was recorded so far, or a part of it at its end.
pub fn wait_tone(
    who: &str,
    hertz: u32,
    mut listen: impl FnMut() -> Result<Sound>,
) -> Result<Heard> {
    wait_heard(
        &format!("a tone of {hertz} Hz at {who}"),
        &mut listen,
        |heard| heard.is_tone(hertz),
    )
}

/// Waits until the newest sound is silence, which is something else than no sound at all.
pub fn wait_silence(who: &str, mut listen: impl FnMut() -> Result<Sound>) -> Result<Heard> {
    wait_heard(&format!("silence at {who}"), &mut listen, Heard::is_silence)
}

fn wait_heard(
    what: &str,
    listen: &mut impl FnMut() -> Result<Sound>,
    wanted: impl Fn(&Heard) -> bool,
) -> Result<Heard> {
    let mut latest = None;
    let mut measured = Sound::default();
    let outcome = wait::until(what, GENEROUS, || {
        let newest = listen()?.last(WINDOW);
        // Less than a window is too little to tell a tone by, and no news is nothing new.
        if newest.length() < WINDOW.mul_f64(0.9) || newest == measured {
            return Ok(None);
        }
        let heard = newest.measure();
        latest = Some(heard);
        measured = newest;
        Ok(wanted(&heard).then_some(heard))
    });
    outcome.map_err(|error| match latest {
        Some(heard) => error.context(format!("heard last: {heard}")),
        None => error.context("there was no sound to measure"),
    })
}

/// Rounds and clips.
fn clamp(value: f64) -> i16 {
    // The cast saturates.
    value.round() as i16
}

/// What one measurement looks at.
const WINDOW: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
