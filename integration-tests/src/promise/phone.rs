//! The SIP peer that may die (`py/sip_phone.py`), and the record it leaves.
//!
//! Invariant: a line of the record was written before the step it tells of was taken.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::process::Process;
use crate::program;

/// A conversation from SIP: its messages are sent in order, one at a time.
#[derive(Clone, Debug)]
pub struct Call {
    /// The caller's SIP URI.
    pub from: String,
    /// The SIP URI of the XMPP user.
    pub to: String,
    /// The texts.
    pub bodies: Vec<String>,
}

/// One line of the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It started.
    Started,
    /// It is about to answer a MESSAGE.
    Answered(Answered),
    /// It is about to send a MESSAGE.
    Asked(Attempt),
    /// It got a final response, or its Timer F ended the wait (status 0).
    Final {
        /// To which.
        attempt: Attempt,
        /// What.
        status: u16,
        /// The value of Retry-After.
        retry_after: String,
    },
    /// All its messages have their final response.
    Done,
}

/// A MESSAGE that came, and what it was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// Its text.
    pub body: String,
    /// The status of the answer.
    pub status: u16,
    /// The Request-URI.
    pub uri: String,
    /// From, with its tag.
    pub sender: String,
    /// The Call-ID.
    pub call_id: String,
    /// CSeq.
    pub cseq: String,
}

/// One of its own requests: a text that is sent again is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// Its text.
    pub body: String,
    /// Which run of the phone sent it.
    pub run: u64,
    /// The number in CSeq.
    pub cseq: u64,
}

/// An event and when, in seconds since 1970.
pub type Dated = (f64, Event);

/// The running phone.
#[derive(Debug)]
pub struct Phone {
    /// The program.
    pub process: Process,
    record: PathBuf,
}

impl Phone {
    /// Starts it at `listen`, beside a gateway at `gateway`; `name` stands in its Call-IDs.
    pub fn start(
        bench: &Bench,
        name: &str,
        listen: &str,
        gateway: &str,
        calls: &[Call],
    ) -> Result<Self> {
        let record = bench.path(&format!("{name}.record"));
        let calls: Vec<Value> = calls
            .iter()
            .map(|call| json!({ "from": call.from, "to": call.to, "bodies": call.bodies }))
            .collect();
        let settings = json!({
            "name": name, "listen": listen, "gateway": gateway, "record": record,
            "delay": DELAY, "pace": PACE, "calls": calls,
        });
        let mut command = Command::new(program::find_python()?);
        command
            .arg(program::source_dir().join("py/sip_phone.py"))
            .arg(settings.to_string());
        let mut process = Process::start(bench, name, command)?;
        let port = listen.rsplit(':').next().unwrap_or_default().parse()?;
        process.wait_udp(port)?;
        Ok(Self { process, record })
    }

    /// All that is recorded so far.
    pub fn read(&self) -> Result<Vec<Dated>> {
        let text = match fs::read_to_string(&self.record) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("reading {}", self.record.display()))?,
        };
        // What it is writing just now is not whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(read_line).collect()
    }
}

fn read_line(line: &str) -> Result<Dated> {
    let value: Value = serde_json::from_str(line).context("a line of the phone's record")?;
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| value[key].as_u64().unwrap_or_default();
    let status = u16::try_from(number("status"))?;
    let attempt = Attempt {
        body: text("body"),
        run: number("run"),
        cseq: number("cseq"),
    };
    let event = match text("what").as_str() {
        "started" => Event::Started,
        "asked" => Event::Asked(attempt),
        "final" => Event::Final {
            attempt,
            status,
            retry_after: text("retry"),
        },
        "answered" => Event::Answered(Answered {
            body: text("body"),
            status,
            uri: text("uri"),
            sender: text("sender"),
            call_id: text("call"),
            cseq: text("cseq"),
        }),
        _ => Event::Done,
    };
    Ok((value["at"].as_f64().unwrap_or_default(), event))
}

/// How long it takes to answer, in seconds: so that a queue stands behind every message.
const DELAY: f64 = 0.03;
/// The pause between two messages of a call, in seconds.
const PACE: f64 = 0.03;
