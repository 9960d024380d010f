//! The calls of a phone: what it is told to do, what happened, and what it hears.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Baresip, Event};
use crate::audio::{self, Heard, Sound};

impl Baresip {
    /// Calls `uri`.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.command("dial", uri).map(drop)
    }

    /// Answers the call that came.
    pub fn accept(&mut self) -> Result<()> {
        self.command("accept", "").map(drop)
    }

    /// Ends the call in whatever state: cancels, refuses, or hangs up.
    pub fn hang_up(&mut self) -> Result<()> {
        self.command("hangup", "").map(drop)
    }

    /// Puts the call on hold with a new offer.
    pub fn hold(&mut self) -> Result<()> {
        self.command("hold", "").map(drop)
    }

    /// Takes it from hold again.
    pub fn resume(&mut self) -> Result<()> {
        self.command("resume", "").map(drop)
    }

    /// Presses keys, which go as telephone events (RFC 4733).
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.command("sndcode", keys).map(drop)
    }

    /// Transfers the call to `uri` with a REFER.
    pub fn transfer(&mut self, uri: &str) -> Result<()> {
        self.command("transfer", uri).map(drop)
    }

    /// Waits for a call, and returns who calls.
    pub fn wait_incoming(&mut self) -> Result<String> {
        Ok(self.wait_event("CALL_INCOMING")?.peer)
    }

    /// Waits until the other end rings.
    pub fn wait_ringing(&mut self) -> Result<()> {
        self.wait_event("CALL_RINGING").map(drop)
    }

    /// Waits until the other end describes its media before it answers.
    pub fn wait_progress(&mut self) -> Result<()> {
        self.wait_event("CALL_PROGRESS").map(drop)
    }

    /// Waits until the call is answered.
    pub fn wait_established(&mut self) -> Result<()> {
        self.wait_event("CALL_ESTABLISHED").map(drop)
    }

    /// Waits for the end of the call, and returns its reason: a response such as `486 Busy Here`, or words.
    pub fn wait_closed(&mut self) -> Result<String> {
        Ok(self.wait_event("CALL_CLOSED")?.parameter)
    }

    /// Waits for these keys of the other end, in order.
    pub fn wait_keys(&mut self, keys: &str) -> Result<()> {
        for key in keys.chars() {
            let key = key.to_string();
            self.control
                .wait_event(&format!("the key {key}"), |event| {
                    event.kind == "CALL_DTMF_START" && event.parameter == key
                })?;
        }
        Ok(())
    }

    /// Waits for an event, and takes it.
    pub fn wait_event(&mut self, kind: &str) -> Result<Event> {
        self.control.wait_event(kind, |event| event.kind == kind)
    }

    /// What it heard since its call began or was last resumed.
    pub fn listen(&self) -> Result<Sound> {
        Sound::read_wav(&self.newest_recording()?)
    }

    /// Waits until it hears this tone, and nothing else.
    pub fn wait_tone(&mut self, hertz: u32) -> Result<Heard> {
        let name = self.address.clone();
        audio::wait_tone(&name, hertz, || self.listen_if_any())
    }

    /// Waits until it hears nothing.
    pub fn wait_silence(&mut self) -> Result<Heard> {
        let name = self.address.clone();
        audio::wait_silence(&name, || self.listen_if_any())
    }

    /// A recording begins with the first packet.
    fn listen_if_any(&mut self) -> Result<Sound> {
        anyhow::ensure!(!self.process.has_ended()?, "the phone has ended");
        Ok(self.listen().unwrap_or_else(|_| Sound::empty(8_000)))
    }

    fn newest_recording(&self) -> Result<PathBuf> {
        let mut recordings = Vec::new();
        for entry in fs::read_dir(&self.recordings)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with("-dec.wav") {
                recordings.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        let newest = recordings.into_iter().max();
        newest.map(|(_, path)| path).context("nothing was recorded")
    }
}
