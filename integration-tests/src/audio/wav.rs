//! WAV files of 16 bit: what phones play and what they record.
//!
//! Invariant: a recording still being written is readable; its header tells no length yet.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::Sound;

impl Sound {
    /// Writes it as a mono file.
    pub fn write_wav(&self, path: &Path) -> Result<()> {
        let size = u32::try_from(2 * self.samples.len())?;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + size).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend((2 * self.rate).to_le_bytes());
        bytes.extend(b"\x02\0\x10\0data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
    }

    /// Reads a file; of several channels the first.
    pub fn read_wav(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse_wav(&bytes).with_context(|| format!("in {}", path.display()))
    }

    pub(super) fn parse_wav(bytes: &[u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(b"RIFF").context("no RIFF")?;
        let mut rest = rest
            .get(4..)
            .and_then(|rest| rest.strip_prefix(b"WAVE"))
            .context("no WAVE")?;
        let mut format = None;
        while let (Some(name), Some(size)) = (rest.get(..4), rest.get(4..8)) {
            let size = usize::try_from(u32::from_le_bytes(size.try_into()?))?;
            let body = rest.get(8..).unwrap_or_default();
            if name == b"data" {
                let (channels, rate) = format.context("samples before their format")?;
                // Until the file is closed its header says 0, or some size of the past.
                return Ok(Self {
                    rate,
                    samples: first_channel(body, channels),
                });
            }
            if name == b"fmt " {
                format = Some(parse_format(body)?);
            }
            rest = body.get(size + size % 2..).unwrap_or_default();
        }
        bail!("no samples")
    }
}

/// Channels and rate.
fn parse_format(body: &[u8]) -> Result<(usize, u32)> {
    let short = |at: usize| -> Result<u16> {
        Ok(u16::from_le_bytes(
            body.get(at..at + 2).context("a short format")?.try_into()?,
        ))
    };
    let (kind, channels, bits) = (short(0)?, short(2)?, short(14)?);
    // 0xfffe is the extended form, whose first sixteen bytes are the same.
    ensure!(
        matches!(kind, 1 | 0xfffe) && bits == 16 && channels > 0,
        "not 16 bit PCM: kind {kind}, {bits} bit, {channels} channels"
    );
    let rate = u32::from_le_bytes(body.get(4..8).context("a short format")?.try_into()?);
    Ok((usize::from(channels), rate))
}

fn first_channel(body: &[u8], channels: usize) -> Vec<i16> {
    body.chunks_exact(2 * channels)
        .filter_map(|frame| Some(i16::from_le_bytes(frame.get(..2)?.try_into().ok()?)))
        .collect()
}
