//! Envelopes as bytes: a length of four octets, big endian, then JSON.

use super::{Envelope, SendError};

/// The longest JSON text of one envelope, in bytes.
pub const MAX: usize = 1024 * 1024;

/// Why a stream of frames cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced length is over [`MAX`].
    #[error("a frame announces more than {MAX} bytes")]
    TooLarge,
    /// The frame is not an envelope.
    #[error("a frame holds no envelope")]
    NotAnEnvelope,
}

/// Appends `envelope` to `out`.
///
/// # Errors
/// [`SendError::TooLarge`]; `out` is then as it was.
pub fn encode(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), SendError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = serde_json::to_writer(&mut *out, envelope);
    let length = out.len() - start - 4;
    let header = u32::try_from(length).ok().filter(|_| length <= MAX);
    match (written, header, out.get_mut(start..start + 4)) {
        (Ok(()), Some(length), Some(place)) => {
            place.copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(SendError::TooLarge)
        }
    }
}

/// Reads one envelope from the start of `bytes`: it and the bytes it took, or nothing while the
/// frame is incomplete.
///
/// # Errors
/// When the stream cannot be followed any further.
pub fn decode(bytes: &[u8]) -> Result<Option<(Envelope, usize)>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
    if length > MAX {
        return Err(FrameError::TooLarge);
    }
    let Some(json) = rest.get(..length) else {
        return Ok(None);
    };
    // Checked as a whole, the texts inside need no check of their own.
    let json = std::str::from_utf8(json).map_err(|_| FrameError::NotAnEnvelope)?;
    let envelope = serde_json::from_str(json).map_err(|_| FrameError::NotAnEnvelope)?;
    Ok(Some((envelope, 4 + length)))
}
