//! baresip, a phone without sound devices: registers, writes messages, and makes calls.
//!
//! It is steered over `ctrl_tcp` (JSON in netstrings), where it tells of its calls too. It reports no
//! received MESSAGE there, so those are read from the SIP trace in its log. It sends a tone of its own
//! into every call and records what it hears.
//!
//! Invariant: it speaks from 10.77.0.1, for it does not register from loopback alone.

mod call;
mod control;
mod setup;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Bench;
use crate::process::Process;
use crate::program;
use crate::sip::Message;
use crate::sip_trace::{self, Direction};
use control::Control;
pub use control::Event;
pub use setup::{Answer, Codec, Encryption, Setup, Transport};

/// A running phone.
#[derive(Debug)]
pub struct Baresip {
    /// To kill or stop it.
    pub process: Process,
    /// Where it listens, as in its trace.
    address: String,
    control: Control,
    contacts: usize,
    recordings: PathBuf,
}

impl Baresip {
    /// Starts the phone number `index` (0 to 9; it decides the ports) of `user`, who may write to `contacts` (SIP URIs),
    /// and waits until it is registered with Kamailio.
    pub fn start(bench: &Bench, index: u16, user: &str, contacts: &[&str]) -> Result<Self> {
        Self::start_over(Transport::Udp, bench, index, user, contacts)
    }

    /// As [`Self::start`], over another transport.
    pub fn start_over(
        transport: Transport,
        bench: &Bench,
        index: u16,
        user: &str,
        contacts: &[&str],
    ) -> Result<Self> {
        let setup = Setup {
            index,
            user,
            contacts,
            transport,
            ..Setup::default()
        };
        Self::start_with(bench, setup)
    }

    /// As [`Self::start`], with everything else a phone can be told.
    pub fn start_with(bench: &Bench, setup: Setup<'_>) -> Result<Self> {
        setup.write(bench, Path::new(find_modules()?))?;
        let name = setup.name();
        let mut command = Command::new(program::find("baresip", "baresip-core")?);
        command.arg("-s").arg("-f").arg(bench.path(&name));
        let mut process = Process::start(bench, &name, command)?;
        process.wait_tcp(&format!("127.0.0.1:{}", setup.control_port()))?;
        process.wait_log(&format!("{}@sip.test: {{", setup.user))?;
        // Over TLS it listens beside its other port.
        let port = setup.sip_port() + u16::from(setup.transport == Transport::Tls);
        Ok(Self {
            process,
            address: format!("{}:{port}", setup.host()),
            control: Control::connect(setup.control_port())?,
            contacts: setup.contacts.len(),
            recordings: bench.path(&name).join(setup::RECORDINGS),
        })
    }

    /// Sends `text` to `uri`, one of its contacts; the outcome is to be read from [`Self::wait_status`].
    pub fn send_message(&mut self, uri: &str, text: &str) -> Result<()> {
        self.choose_contact(uri)?;
        self.command("message", text).map(drop)
    }

    /// Makes `uri` the current contact, to whom the phone writes.
    fn choose_contact(&mut self, uri: &str) -> Result<()> {
        // The list does not wrap around: to one end of it, then to the other.
        for step in ["contact_prev", "contact_next"] {
            for _ in 0..=self.contacts {
                if self.command(step, "")?.contains(&format!("<{uri}>")) {
                    return Ok(());
                }
            }
        }
        bail!("{uri} is no contact of this phone")
    }

    /// Waits for a received MESSAGE with this body.
    pub fn wait_message(&mut self, body: &str) -> Result<Message> {
        self.wait_traced(
            &format!("a MESSAGE saying {body:?}"),
            Direction::Received,
            |message| message.method() == Some("MESSAGE") && message.text() == body,
        )
    }

    /// Waits for the final response to the MESSAGE the phone sent with this body, and returns its status.
    pub fn wait_status(&mut self, body: &str) -> Result<u16> {
        let request = self.wait_traced(
            &format!("the MESSAGE saying {body:?}"),
            Direction::Sent,
            |message| message.method() == Some("MESSAGE") && message.text() == body,
        )?;
        let call_id = request.header("Call-ID");
        let response = self.wait_traced("its final response", Direction::Received, |message| {
            // A challenge is answered by the phone itself.
            let is_final = message
                .status()
                .is_some_and(|status| status >= 200 && status != 401 && status != 407);
            is_final && message.header("Call-ID") == call_id
        })?;
        response.status().context("a response has a status")
    }

    /// All messages of its trace, in order.
    pub fn trace(&self) -> Result<Vec<(Direction, Message)>> {
        Ok(sip_trace::read(
            self.process.read_log()?.as_bytes(),
            &self.address,
        ))
    }

    /// Waits for a message of its trace.
    pub fn wait_traced(
        &mut self,
        what: &str,
        direction: Direction,
        condition: impl Fn(&Message) -> bool,
    ) -> Result<Message> {
        let (log, own) = (self.process.log_path().to_owned(), self.address.clone());
        self.process.wait_for(what, || {
            let trace = sip_trace::read(&fs::read(&log)?, &own);
            Ok(trace
                .into_iter()
                .find(|(way, message)| *way == direction && condition(message))
                .map(|(_, m)| m))
        })
    }

    /// Gives a command of its menu, and returns what it printed.
    pub fn command(&mut self, command: &str, parameters: &str) -> Result<String> {
        self.control.command(command, parameters)
    }
}

/// Debian's place of the modules.
fn find_modules() -> Result<&'static str> {
    ensure!(
        Path::new(MODULES).is_dir(),
        "baresip's modules are not installed: run `.ci/deps test`, or \
         `sudo apt-get install --no-install-recommends baresip-core`"
    );
    Ok(MODULES)
}

const MODULES: &str = "/usr/lib/baresip/modules";
