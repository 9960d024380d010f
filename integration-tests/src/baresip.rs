//! baresip, a phone without sound: registers, sends MESSAGE, and shows what it received.
//!
//! It is steered over `ctrl_tcp` (JSON in netstrings). It reports no received MESSAGE there, so those
//! are read from the SIP trace in its log.
//!
//! Invariant: it speaks from 10.77.0.1, for it does not register from loopback alone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::net::ADDRESS;
use crate::process::Process;
use crate::server::password_of;
use crate::sip::Message;
use crate::sip_trace::{self, Direction};
use crate::wait::GENEROUS;
use crate::{kamailio, program, template};

/// How a phone reaches its registrar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
}

/// A running phone.
#[derive(Debug)]
pub struct Baresip {
    /// To kill or stop it.
    pub process: Process,
    /// Where it listens, as in its trace.
    address: String,
    control: TcpStream,
    contacts: usize,
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
        ensure!(index < 10, "phones are numbered 0 to 9");
        let name = format!("baresip-{user}");
        let port = 15_060 + 10 * index;
        let control = 4_440 + index;
        let media = 10_000 + 100 * index;
        let config = template::fill(
            include_str!("../peers/baresip.config"),
            &[
                ("SIP_PORT", &port.to_string()),
                ("CONTROL_PORT", &control.to_string()),
                ("RTP_PORTS", &format!("{media}-{}", media + 98)),
                ("MODULES", find_modules()?),
            ],
        )?;
        bench.write(&format!("{name}/config"), &config)?;
        let transport = match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let account = format!(
            "<sip:{user}@sip.test;transport={transport}>;outbound=\"sip:{};transport={transport}\";auth_user={user};\
             auth_pass={};regint=600\n",
            kamailio::ADDRESS,
            password_of(user)
        );
        bench.write(&format!("{name}/accounts"), &account)?;
        let list: String = contacts
            .iter()
            .map(|uri| format!("\"Peer\" <{uri}>\n"))
            .collect();
        bench.write(&format!("{name}/contacts"), &list)?;

        let mut command = Command::new(program::find("baresip", "baresip-core")?);
        command.arg("-s").arg("-f").arg(bench.path(&name));
        let mut process = Process::start(bench, &name, command)?;
        let control = format!("127.0.0.1:{control}");
        process.wait_tcp(&control)?;
        process.wait_log(&format!("{user}@sip.test: {{"))?;
        let control = TcpStream::connect(control)?;
        control.set_read_timeout(Some(GENEROUS))?;
        Ok(Self {
            process,
            address: format!("{ADDRESS}:{port}"),
            control,
            contacts: contacts.len(),
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

    fn wait_traced(
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
        let request =
            json!({ "command": command, "params": parameters, "token": "test" }).to_string();
        write!(self.control, "{}:{request},", request.len())?;
        loop {
            let answer = self.read_netstring()?;
            // Events come on the same connection.
            if answer["response"] == json!(true) {
                ensure!(
                    answer["ok"] == json!(true),
                    "baresip refused {command}: {answer}"
                );
                return Ok(answer["data"].as_str().unwrap_or_default().to_owned());
            }
        }
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
        self.control
            .read_exact(&mut text)
            .context("reading from baresip")?;
        self.read_byte()?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn read_byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.control
            .read_exact(&mut byte)
            .context("reading from baresip")?;
        let [byte] = byte;
        Ok(byte)
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
