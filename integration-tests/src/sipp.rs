//! sipp: runs a scenario, which succeeds or fails as a whole.
//!
//! Invariant: a scenario that does not end counts as failed.

mod scenario;

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::audio::{Law, Sound};
use crate::bench::Bench;
use crate::process::Process;
use crate::sip::Message;
use crate::sip_trace::{self, Direction};
use crate::{program, wait};
pub use scenario::{Scenario, own_media};

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Where sipp listens.
    pub port: u16,
    /// Where it sends (`host:port`); `None` for a scenario that waits.
    pub target: Option<&'a str>,
    /// Calls to complete.
    pub calls: u32,
    /// Calls per second.
    pub rate: u32,
    /// Values for `[key]` in the scenario.
    pub keys: &'a [(&'a str, &'a str)],
    /// Rows for `[field0]`, `[field1]`..., separated by `;`, one per call and then again from the first.
    pub rows: &'a [&'a str],
    /// Whether to use one TCP connection instead of UDP.
    pub tcp: bool,
    /// When sipp gives up.
    pub limit: Duration,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            port: 5080,
            target: None,
            calls: 1,
            rate: 10,
            keys: &[],
            rows: &[],
            tcp: false,
            limit: Duration::from_secs(30),
        }
    }
}

/// A scenario that was started.
#[derive(Debug)]
pub struct Sipp {
    /// To kill it.
    pub process: Process,
    name: String,
    messages: std::path::PathBuf,
    limit: Duration,
}

impl Sipp {
    /// Starts `scenario` (XML) under a name; waits until it listens.
    pub fn start(bench: &Bench, name: &str, scenario: &str, setup: Setup<'_>) -> Result<Self> {
        let name = format!("sipp-{name}");
        let messages = bench.log(&format!("{name}-messages"));
        // The media port is taken even by scenarios without media: kept away from other ports.
        let media = 40_000 + 4 * (setup.port % 1_000);
        let mut command = Command::new(program::find("sipp", "sip-tester")?);
        command
            .arg("-sf")
            .arg(bench.write(&format!("{name}/scenario.xml"), scenario)?);
        command.args([
            "-i",
            "127.0.0.1",
            "-nostdin",
            "-trace_msg",
            "-trace_err",
            "-trace_logs",
            "-timeout_error",
        ]);
        command
            .arg("-p")
            .arg(setup.port.to_string())
            .arg("-mp")
            .arg(media.to_string());
        command
            .arg("-m")
            .arg(setup.calls.to_string())
            .arg("-r")
            .arg(setup.rate.to_string());
        command
            .arg("-timeout")
            .arg(format!("{}s", setup.limit.as_secs()));
        command.arg("-message_file").arg(&messages);
        command
            .arg("-error_file")
            .arg(bench.log(&format!("{name}-errors")));
        command
            .arg("-log_file")
            .arg(bench.log(&format!("{name}-notes")));
        command.args(["-t", if setup.tcp { "t1" } else { "u1" }]);
        for (key, value) in setup.keys {
            command.args(["-key", key, value]);
        }
        if !setup.rows.is_empty() {
            let rows = format!("SEQUENTIAL\n{}\n", setup.rows.join("\n"));
            command
                .arg("-inf")
                .arg(bench.write(&format!("{name}/rows.csv"), &rows)?);
        }
        command.args(setup.target);
        let mut process = Process::start(bench, &name, command)?;
        // One that sends may be done before it is looked at.
        match (setup.target, setup.tcp) {
            (Some(_), _) => {}
            (None, false) => process.wait_udp(setup.port)?,
            (None, true) => process.wait_tcp(&format!("127.0.0.1:{}", setup.port))?,
        }
        Ok(Self {
            process,
            name,
            messages,
            limit: setup.limit,
        })
    }

    /// Waits until all calls are done; an error unless all succeeded.
    pub fn finish(&mut self) -> Result<()> {
        let status = self.process.wait_exit(self.limit + wait::GENEROUS)?;
        ensure!(
            status.success(),
            "the scenario {} failed ({status}); see {0}-errors.log",
            self.name
        );
        Ok(())
    }

    /// Starts and finishes a scenario.
    pub fn run(bench: &Bench, name: &str, scenario: &str, setup: Setup<'_>) -> Result<Self> {
        let mut sipp = Self::start(bench, name, scenario, setup)?;
        sipp.finish()?;
        Ok(sipp)
    }

    /// Writes the second of a tone that [`Scenario::play`] repeats, and returns the file's path.
    pub fn write_tone(bench: &Bench, law: Law, hertz: u32) -> Result<String> {
        // sipp sends the bytes of the file as they are.
        let tone = Sound::tone(hertz, -6.0, 8_000, Duration::from_secs(1));
        let bytes: Vec<u8> = tone
            .samples
            .iter()
            .map(|sample| law.encode(*sample))
            .collect();
        let name = format!("tone-{hertz}-{}.raw", law.payload_type());
        fs::write(bench.path(&name), bytes)?;
        Ok(bench.text_path(&name))
    }

    /// All messages sent and received so far.
    pub fn trace(&self) -> Result<Vec<(Direction, Message)>> {
        Ok(sip_trace::read(&fs::read(&self.messages)?, ""))
    }
}

/// A scenario that accepts every MESSAGE with 200.
pub const ACCEPT_MESSAGES: &str = include_str!("../peers/sipp-accept-messages.xml");
/// A scenario that registers a user of `sip.test` with digest: rows `user;[authentication username=user password=...]`.
pub const REGISTER: &str = include_str!("../peers/sipp-register.xml");
/// A scenario that writes to `[to]` with a password (row: `[authentication username=user password=...]`), and hears
/// `[status]` in the end.
pub const GUEST_MESSAGE: &str = include_str!("../peers/sipp-guest-message.xml");
/// A scenario that calls `[to]` with such a password, and hangs up.
pub const GUEST_CALL: &str = include_str!("../peers/sipp-guest-call.xml");
