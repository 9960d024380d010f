//! linphone's daemon: a phone that answers messages with delivery notifications (RFC 5438). For calls there
//! is [`Caller`], its console, because only that records.
//!
//! Invariant: its configuration is made anew for each start, because it rewrites the file.

mod caller;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::net::ADDRESS;
use crate::process::Process;
use crate::server::password_of;
use crate::sip::Message;
use crate::sip_trace::{self, Direction};
use crate::{kamailio, program, template};
pub use caller::Caller;

/// A running phone.
#[derive(Debug)]
pub struct Linphone {
    /// To kill or stop it.
    pub process: Process,
    input: ChildStdin,
    trace: PathBuf,
}

impl Linphone {
    /// Starts the phone of `user`, and waits until it is registered with Kamailio.
    pub fn start(bench: &Bench, user: &str) -> Result<Self> {
        let mut linphone = Self::start_at(bench, user, Site::REGISTRAR)?;
        linphone.wait_registered()?;
        Ok(linphone)
    }

    /// Starts the phone of `user` where it need not register.
    pub fn start_at(bench: &Bench, user: &str, site: Site<'_>) -> Result<Self> {
        let name = format!("linphone-{user}");
        let home = bench.make_dir(&name)?;
        let config = write_config(bench, &name, user, Encryption::None, site)?;
        let trace = bench.log(&format!("{name}-trace"));
        let mut command = Command::new(program::find("linphone-daemon", "linphone-cli")?);
        command
            .arg("--config")
            .arg(config)
            .arg("--log")
            .arg(&trace)
            .arg("--disable-stats-events");
        command
            .env("HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("XDG_CONFIG_HOME", &home);
        let (process, input) = Process::start_with_input(bench, &name, command)?;
        Ok(Self {
            process,
            input,
            trace,
        })
    }

    fn wait_registered(&mut self) -> Result<()> {
        self.wait_traced("the registration", Direction::Received, |message| {
            message.status() == Some(200) && message.header("CSeq").ends_with("REGISTER")
        })
        .map(drop)
    }

    /// Sends `text` (one line) to `uri`.
    pub fn send_message(&mut self, uri: &str, text: &str) -> Result<()> {
        writeln!(self.input, "message {uri} {text}").context("writing to linphone")?;
        self.input.flush()?;
        Ok(())
    }

    /// Waits for a received MESSAGE with this body.
    pub fn wait_message(&mut self, body: &str) -> Result<Message> {
        self.wait_traced(
            &format!("a MESSAGE saying {body:?}"),
            Direction::Received,
            |message| message.method() == Some("MESSAGE") && message.text() == body,
        )
    }

    /// Waits until it has sent a MESSAGE that satisfies `condition`, such as a delivery notification.
    pub fn wait_sent(
        &mut self,
        what: &str,
        condition: impl Fn(&Message) -> bool,
    ) -> Result<Message> {
        self.wait_traced(what, Direction::Sent, |message| {
            message.method() == Some("MESSAGE") && condition(message)
        })
    }

    /// Waits for the final response to the MESSAGE it sent with this body, and returns its status.
    pub fn wait_status(&mut self, body: &str) -> Result<u16> {
        let request = self.wait_sent(&format!("the MESSAGE saying {body:?}"), |message| {
            message.text() == body
        })?;
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

    fn wait_traced(
        &mut self,
        what: &str,
        direction: Direction,
        condition: impl Fn(&Message) -> bool,
    ) -> Result<Message> {
        wait_traced(&mut self.process, &self.trace, what, direction, condition)
    }
}

/// Where a phone sends its requests.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Its proxy: `host:port`.
    pub proxy: &'a str,
    /// What its password is for.
    pub realm: &'a str,
    /// Whether it registers there.
    pub registers: bool,
}

impl Site<'static> {
    /// Kamailio.
    pub(crate) const REGISTRAR: Self = Self {
        proxy: kamailio::ADDRESS,
        realm: "sip.test",
        registers: true,
    };
}

/// How a phone protects its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Plain RTP.
    None,
    /// Keys in SDP (RFC 4568).
    Keys,
    /// Keys by DTLS (RFC 5764).
    Dtls,
}

impl Encryption {
    /// As linphone names it.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Keys => "srtp",
            Self::Dtls => "dtls",
        }
    }
}

/// Writes the configuration of the phone `name`.
fn write_config(
    bench: &Bench,
    name: &str,
    user: &str,
    encryption: Encryption,
    site: Site<'_>,
) -> Result<PathBuf> {
    let registers = if site.registers { "1" } else { "0" };
    let config = template::fill(
        include_str!("../peers/linphonerc"),
        &[
            ("USER", user),
            ("PASSWORD", &password_of(user)),
            ("ADDRESS", ADDRESS),
            ("REGISTRAR", site.proxy),
            ("REALM", site.realm),
            ("REGISTERS", registers),
            ("ENCRYPTION", encryption.name()),
            ("STORE", &bench.text_path(&format!("{name}/store.db"))),
        ],
    )?;
    bench.write(&format!("{name}/linphonerc"), &config)
}

/// Waits for a message of the trace that `process` writes.
fn wait_traced(
    process: &mut Process,
    trace: &Path,
    what: &str,
    direction: Direction,
    condition: impl Fn(&Message) -> bool,
) -> Result<Message> {
    process.wait_for(what, || {
        let text = fs::read(trace).unwrap_or_default();
        let messages = sip_trace::read(&text, "");
        Ok(messages
            .into_iter()
            .find(|(way, message)| *way == direction && condition(message))
            .map(|(_, m)| m))
    })
}
