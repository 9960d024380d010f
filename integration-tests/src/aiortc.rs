//! A scripted call client: aiortc carries sound, and Jingle is written by `py/call_peer.py`, right or wrong.
//!
//! It shares no code with browsers: OpenSSL does its DTLS, its ICE is Python. It says in words what it
//! should do wrong, and anything that has no word is sent as XML.
//!
//! Invariant: it misbehaves only where a test said so.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;

use crate::bench::Bench;
use crate::dialogue::Dialogue;
use crate::jingle::{Client, Setup};
use crate::program;
use crate::server::{CLIENTS, Server};

/// The process that plays any number of clients.
#[derive(Debug)]
pub struct Aiortc {
    dialogue: Arc<Dialogue>,
}

/// What a client does wrong in its descriptions and answers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Faults {
    /// Its certificate's fingerprint: `wrong`, or `none`, which also means no DTLS; else the right one.
    pub fingerprint: Option<&'static str>,
    /// The DTLS role it claims, in the place of its own.
    pub setup: Option<&'static str>,
    /// So many invented codecs besides its own.
    pub codecs: usize,
    /// Its candidates: `late`, only by [`Client::send_candidates`]; `none`, never; else in its descriptions.
    pub candidates: Option<&'static str>,
    /// Whether it acknowledges what it is sent.
    pub acknowledge: bool,
    /// Whether it multiplexes RTCP.
    pub mux: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            fingerprint: None,
            setup: None,
            codecs: 0,
            candidates: None,
            acknowledge: true,
            mux: true,
        }
    }
}

impl Aiortc {
    /// Starts the process.
    pub fn start(bench: &Bench) -> Result<Self> {
        let python = program::find_python()?;
        ensure!(
            program::source_dir()
                .join(".venv/requirements-calls.txt")
                .is_file(),
            "aiortc is not installed: run `.ci/deps test`"
        );
        let mut command = Command::new(python);
        command.arg(program::source_dir().join("py/call_peer.py"));
        Ok(Self {
            dialogue: Arc::new(Dialogue::start(bench, "aiortc", command)?),
        })
    }

    /// kill -9: every client is gone at once, with its stream and its media.
    pub fn kill(&self) -> Result<()> {
        self.dialogue.kill()
    }

    /// Logs in a client that does all things right.
    pub fn log_in(&self, server: Server, setup: Setup<'_>) -> Result<Client> {
        self.log_in_with(server, setup, Faults::default())
    }

    /// Logs in a client with faults; see also [`Client::misbehave`].
    pub fn log_in_with(&self, server: Server, setup: Setup<'_>, faults: Faults) -> Result<Client> {
        ensure!(
            !setup.relay_only && !setup.bosh && !setup.discover,
            "only a browser can be told that"
        );
        let (host, port) = CLIENTS.split_once(':').unwrap_or((CLIENTS, ""));
        let port: u16 = port.parse()?;
        Client::log_in(
            &self.dialogue,
            server,
            setup,
            json!({ "host": host, "port": port, "faults": faults }),
        )
    }
}

impl Client {
    /// Changes what a scripted client does wrong from now on.
    pub fn misbehave(&self, faults: Faults) -> Result<()> {
        self.ask_client("faults", json!({ "faults": faults }))
            .map(drop)
    }

    /// Sends the candidates a scripted client held back.
    pub fn send_candidates(&self, sid: &str) -> Result<()> {
        self.ask_client("candidates", json!({ "sid": sid }))
            .map(drop)
    }
}
