//! linphone's console: the same phone, which can play files into calls and record them.
//!
//! Invariant: it needs no sound device; files stand for microphone and loudspeaker.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Encryption, Site, wait_traced, write_config};
use crate::audio::{self, Heard, Sound};
use crate::bench::Bench;
use crate::process::Process;
use crate::program;
use crate::sip::Message;
use crate::sip_trace::Direction;

/// A phone for calls.
#[derive(Debug)]
pub struct Caller {
    /// To kill or stop it.
    pub process: Process,
    input: ChildStdin,
    trace: PathBuf,
    recording: PathBuf,
}

impl Caller {
    /// Starts the phone of `user`, which sends a tone of `hertz` into every call, and waits until it is
    /// registered with Kamailio.
    pub fn start(bench: &Bench, user: &str, hertz: u32) -> Result<Self> {
        Self::start_protected(bench, user, hertz, Encryption::None)
    }

    /// As [`Self::start`], with its media protected.
    pub fn start_protected(
        bench: &Bench,
        user: &str,
        hertz: u32,
        encryption: Encryption,
    ) -> Result<Self> {
        let name = format!("linphone-{user}");
        let home = bench.make_dir(&name)?;
        let config = write_config(bench, &name, user, encryption, Site::REGISTRAR)?;
        let trace = bench.log(&format!("{name}-trace"));
        let (tone, recording) = (home.join("tone.wav"), home.join("heard.wav"));
        // It begins again at the end of the file.
        Sound::tone(hertz, -6.0, 16_000, Duration::from_secs(60)).write_wav(&tone)?;
        let mut command = Command::new(program::find("linphonec", "linphone-cli")?);
        command
            .args(["-S", "-d", "6", "-l"])
            .arg(&trace)
            .arg("-c")
            .arg(config);
        command
            .env("HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("XDG_CONFIG_HOME", &home);
        let (process, input) = Process::start_with_input(bench, &name, command)?;
        let mut caller = Self {
            process,
            input,
            trace,
            recording,
        };
        caller.wait_traced("the registration", Direction::Received, |message| {
            message.status() == Some(200) && message.header("CSeq").ends_with("REGISTER")
        })?;
        caller.say("soundcard use files")?;
        caller.say(&format!("play {}", tone.display()))?;
        let recording = caller.recording.display().to_string();
        caller.say(&format!("record {recording}"))?;
        Ok(caller)
    }

    /// Calls `uri`.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.say(&format!("call {uri}"))
    }

    /// Answers the call that came.
    pub fn accept(&mut self) -> Result<()> {
        self.say("answer")
    }

    /// Ends the call in whatever state.
    pub fn hang_up(&mut self) -> Result<()> {
        self.say("terminate")
    }

    /// Puts the call on hold.
    pub fn hold(&mut self) -> Result<()> {
        self.say("pause")
    }

    /// Takes it from hold again.
    pub fn resume(&mut self) -> Result<()> {
        self.say("resume")
    }

    /// Waits for a request it receives.
    pub fn wait_request(&mut self, method: &str) -> Result<Message> {
        self.wait_traced(method, Direction::Received, |message| {
            message.method() == Some(method)
        })
    }

    /// Waits for a response it receives to an INVITE.
    pub fn wait_status(&mut self, status: u16) -> Result<Message> {
        self.wait_traced(
            &format!("a response {status}"),
            Direction::Received,
            |message| {
                message.status() == Some(status) && message.header("CSeq").ends_with("INVITE")
            },
        )
    }

    /// Waits for a message of its trace.
    pub fn wait_traced(
        &mut self,
        what: &str,
        direction: Direction,
        condition: impl Fn(&Message) -> bool,
    ) -> Result<Message> {
        wait_traced(&mut self.process, &self.trace, what, direction, condition)
    }

    /// Waits until it hears this tone, and nothing else.
    pub fn wait_tone(&mut self, hertz: u32) -> Result<Heard> {
        let name = self.recording.display().to_string();
        audio::wait_tone(&name, hertz, || {
            ensure!(!self.process.has_ended()?, "the phone has ended");
            read_unfinished(&self.recording, &self.trace)
        })
    }

    /// Types a line into its console.
    pub fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").context("writing to linphone")?;
        self.input.flush()?;
        Ok(())
    }
}

/// The recording of a call that goes on: the head of the file is empty until the call ends, but the trace
/// tells the rate. There is no file before there is a call.
fn read_unfinished(recording: &Path, trace: &Path) -> Result<Sound> {
    let trace = String::from_utf8_lossy(&fs::read(trace)?).into_owned();
    let rate = trace.lines().rev().find_map(|line| {
        let (_, behind) = line.split_once("-->MSFileRec:")?;
        let (_, rate) = behind.split_once(" to rate [")?;
        rate.split_once(']')?.0.parse().ok()
    });
    let (Some(rate), Ok(bytes)) = (rate, fs::read(recording)) else {
        return Ok(Sound::empty(8_000));
    };
    Ok(Sound::from_bytes(
        rate,
        bytes.get(HEAD..).unwrap_or_default(),
    ))
}

/// Bytes before the samples.
const HEAD: usize = 44;
