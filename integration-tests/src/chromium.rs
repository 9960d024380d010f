//! Chromium: real browsers that call with stanza.js, driven through `js/driver.mjs`.
//!
//! Each client is a page of one headless browser. It signals with Jingle over WebSocket or BOSH, sends an
//! oscillator's tone, and hands out the sound it would play.
//!
//! Invariant: the browser gets no display, no microphone and no profile; all it has ends with it.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bench::Bench;
use crate::dialogue::Dialogue;
use crate::jingle::{Client, Setup};
use crate::program;
use crate::server::Server;

/// A running browser.
#[derive(Debug)]
pub struct Chromium {
    dialogue: Arc<Dialogue>,
}

impl Chromium {
    /// Starts the browser.
    pub fn start(bench: &Bench) -> Result<Self> {
        let scripts = program::source_dir().join("js");
        ensure!(
            scripts.join("node_modules/stanza").is_dir(),
            "{}/node_modules is missing: run `.ci/deps test`",
            scripts.display()
        );
        let mut command = Command::new(program::find("node", "nodejs")?);
        command
            .arg(scripts.join("driver.mjs"))
            .arg(program::find("chromium", "chromium")?)
            .arg(ORIGIN);
        let home = bench.make_dir("chromium")?;
        command.env("HOME", home);
        Ok(Self {
            dialogue: Arc::new(Dialogue::start(bench, "chromium", command)?),
        })
    }

    /// Opens a page and logs in.
    pub fn log_in(&self, server: Server, setup: Setup<'_>) -> Result<Client> {
        let (websocket, bosh) = match server {
            Server::Prosody => ("xmpp-websocket", "http-bind"),
            Server::Ejabberd => ("ws", "bosh"),
        };
        let address = if setup.bosh {
            json!({ "bosh": format!("{ORIGIN}/{bosh}") })
        } else {
            json!({ "websocket": format!("{}/{websocket}", ORIGIN.replacen("http", "ws", 1)) })
        };
        Client::log_in(&self.dialogue, server, setup, address)
    }
}

/// Where both servers listen for HTTP; Prosody knows itself by this name only.
const ORIGIN: &str = "http://localhost:5280";
