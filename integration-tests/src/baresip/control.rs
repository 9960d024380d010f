//! baresip's `ctrl_tcp`: commands, their answers, and the events that come between them.
//!
//! Invariant: an event is kept until somebody takes it.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::wait::GENEROUS;

/// Something that happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Such as `CALL_INCOMING`, `CALL_RINGING`, `CALL_PROGRESS`, `CALL_ESTABLISHED`, `CALL_CLOSED`.
    pub kind: String,
    /// The other end.
    pub peer: String,
    /// A reason, a key, or whatever belongs to the kind.
    pub parameter: String,
}

#[derive(Debug)]
pub(super) struct Control {
    stream: TcpStream,
    events: Vec<Event>,
}

impl Control {
    pub(super) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(GENEROUS))?;
        let mut control = Self {
            stream,
            events: Vec::new(),
        };
        // Events go to the connection it knows, and until it has answered that may be an older one.
        control.command("reginfo", "")?;
        Ok(control)
    }

    /// Gives a command of its menu, and returns what it printed.
    pub(super) fn command(&mut self, command: &str, parameters: &str) -> Result<String> {
        let request =
            json!({ "command": command, "params": parameters, "token": "test" }).to_string();
        write!(self.stream, "{}:{request},", request.len())?;
        loop {
            let answer = self.read_netstring()?;
            if answer["response"] == json!(true) {
                ensure!(
                    answer["ok"] == json!(true),
                    "baresip refused {command}: {answer}"
                );
                return Ok(answer["data"].as_str().unwrap_or_default().to_owned());
            }
            self.keep(&answer);
        }
    }

    /// Takes the first event that satisfies `condition`, and waits for it if need be.
    pub(super) fn wait_event(
        &mut self,
        what: &str,
        condition: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        loop {
            if let Some(place) = self.events.iter().position(&condition) {
                return Ok(self.events.remove(place));
            }
            let next = self.read_netstring();
            let next =
                next.with_context(|| format!("waiting for {what}; there were {:?}", self.events))?;
            self.keep(&next);
        }
    }

    fn keep(&mut self, record: &Value) {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        self.events.push(Event {
            kind: text("type"),
            peer: text("peeruri"),
            parameter: text("param"),
        });
    }

    fn read_netstring(&mut self) -> Result<Value> {
        let mut length = 0;
        loop {
            match self.read_byte()? {
                digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
                b':' => break,
                other => bail!("not a netstring: {other}"),
            }
        }
        let mut text = vec![0; length];
        self.stream
            .read_exact(&mut text)
            .context("reading from baresip")?;
        self.read_byte()?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn read_byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.stream
            .read_exact(&mut byte)
            .context("reading from baresip")?;
        let [byte] = byte;
        Ok(byte)
    }
}
