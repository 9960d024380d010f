//! SRTP of an end of a call, both ways.
//!
//! Invariant: keys are never used for a second call.

use anyhow::{Result, anyhow};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::RingCrypto;
use rtc_srtp::protection_profile::ProtectionProfile;

/// What packets of one end go through; nothing in plain RTP.
#[derive(Default)]
pub struct Protection(Option<Box<Both>>);

struct Both {
    out: Context,
    back: Context,
}

impl Protection {
    /// From master keys, each followed by its salt: ours and theirs.
    pub fn new(profile: ProtectionProfile, ours: &[u8], theirs: &[u8]) -> Result<Self> {
        let context = |key: &[u8]| -> Result<Context> {
            let (key, salt) = key
                .split_at_checked(profile.key_len())
                .ok_or_else(|| anyhow!("a key of {} bytes", key.len()))?;
            Ok(Context::new(key, salt, profile, None, None, &RingCrypto)?)
        };
        let (out, back) = (context(ours)?, context(theirs)?);
        Ok(Self(Some(Box::new(Both { out, back }))))
    }

    /// Hands the packet as it goes onto the wire to `send`.
    pub fn seal<T>(&mut self, packet: &[u8], send: impl FnOnce(&[u8]) -> T) -> Result<T> {
        Ok(match &mut self.0 {
            None => send(packet),
            Some(both) => send(&both.out.encrypt_rtp(packet)?),
        })
    }

    /// Hands the packet as it was before the wire to `read`; nothing if it is not authentic.
    pub fn open<T>(&mut self, packet: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        match &mut self.0 {
            None => Some(read(packet)),
            Some(both) => Some(read(&both.back.decrypt_rtp(packet).ok()?)),
        }
    }

    /// Whether there are keys.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}
