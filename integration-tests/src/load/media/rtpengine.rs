//! Calls through `rtpengine-daemon`, in userspace: told of both descriptions over its control port.
//!
//! Invariant: it does for a call what the b2bua does for one on the same path.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::{self, Client, Identity};
use super::line::Line;
use super::path::Path;
use super::phones::{self, Phones};
use super::subject::{Placed, memory, pinned};
use crate::bench::Bench;
use crate::process::Process;
use crate::program;

/// Places `count` calls.
pub fn place(bench: &Bench, path: Path, count: usize) -> Result<Placed> {
    let phones = Phones::bind(path)?;
    let identity = Identity::make()?;
    let program = program::find("rtpengine", "rtpengine-daemon")?;
    let mut command = pinned(program);
    command.args([
        "--table=-1",
        "--no-fallback",
        "--interface=127.0.0.1",
        "--listen-ng=127.0.0.1:2223",
        "--port-min=20000",
        "--port-max=39999",
        "--num-threads=1",
        "--foreground",
        "--log-stderr",
        "--log-level=4",
        "--timeout=600",
        "--silent-timeout=600",
        "--delete-delay=0",
        "--dtls-passive",
    ]);
    command.arg(format!("--pidfile={}", bench.text_path("rtpengine.pid")));
    let mut process = Process::start(bench, "rtpengine", command)?;
    process.wait_udp(2223)?;
    let control = Control::connect()?;
    let before = memory(process.id())?;
    let mut lines = Vec::with_capacity(count);
    for number in 0..count {
        lines.push(call(&control, &phones, &identity, path, number)?);
    }
    client::connect(lines.iter_mut().map(|line| &mut line.client))?;
    Ok(Placed {
        pid: process.id(),
        process,
        kept: Box::new(()),
        phones,
        lines,
        before,
    })
}

fn call(
    control: &Control,
    phones: &Phones,
    identity: &Identity,
    path: Path,
    number: usize,
) -> Result<Line> {
    let mut client = Client::bind(number)?;
    let call = format!("call-{number}");
    let mut offer = BTreeMap::from([("call-id", text(&call)), ("from-tag", text("client"))]);
    offer.insert("ICE", text("remove"));
    offer.insert("flags", list(&["trust-address"]));
    offer.insert("rtcp-mux", list(&["demux"]));
    offer.insert("sdp", text(&describe(&client, identity, path)));
    let profile = if path.has_sdes() {
        "RTP/SAVP"
    } else {
        "RTP/AVP"
    };
    offer.insert("transport-protocol", text(profile));
    if path.has_sdes() {
        offer.insert("DTLS", text("off"));
    }
    if !path.is_relayed() {
        let codec = BTreeMap::from([("strip", list(&["opus"])), ("transcode", list(&["PCMU"]))]);
        offer.insert("codec", dictionary(codec));
    }
    let offered = control.ask("offer", offer)?;
    let (phone, tag) = phones::read(path, &offered)?;
    let answer = phones
        .describe()?
        .replace("a=crypto:1 ", &format!("a=crypto:{tag} "));
    let mut answered = BTreeMap::from([("call-id", text(&call)), ("from-tag", text("client"))]);
    answered.insert("to-tag", text("phone"));
    answered.insert("ICE", text("remove"));
    answered.insert("flags", list(&["trust-address"]));
    answered.insert("sdp", text(&answer));
    let answer = control.ask("answer", answered)?;
    let port = answer
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "));
    let port = port
        .and_then(|rest| rest.split(' ').next())
        .context("no port")?;
    client.remote = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    if path.has_dtls() {
        ensure!(
            answer.contains("a=setup:passive"),
            "rtpengine begins DTLS itself"
        );
        client.secure(identity, true);
    }
    Ok(Line { client, phone })
}

/// A client's offer, in SDP and without ICE.
fn describe(client: &Client, identity: &Identity, path: Path) -> String {
    let port = client.address.port();
    let (profile, secured) = if path.has_dtls() {
        let lines = format!(
            "a=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=rtcp-mux\r\n",
            identity.fingerprint
        );
        ("UDP/TLS/RTP/SAVPF", lines)
    } else {
        ("RTP/AVP", String::new())
    };
    let (number, map) = if path.is_relayed() {
        (0, "PCMU/8000")
    } else {
        (111, "opus/48000/2")
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} {profile} {number}\r\na=rtpmap:{number} {map}\r\na=ptime:20\r\na=sendrecv\r\n{secured}"
    )
}

/// Its control port ("ng"): a cookie that is never used again, then a dictionary.
struct Control {
    socket: UdpSocket,
    asked: Cell<u64>,
}

impl Control {
    fn connect() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect("127.0.0.1:2223")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let asked = Cell::new(0);
        Ok(Self { socket, asked })
    }

    /// The description in the answer.
    fn ask(&self, command: &str, mut words: BTreeMap<&str, Vec<u8>>) -> Result<String> {
        words.insert("command", text(command));
        let cookie = format!("load{} ", self.asked.replace(self.asked.get() + 1));
        let request = [cookie.as_bytes(), dictionary(words).as_slice()].concat();
        self.socket.send(&request)?;
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer)?;
        let answer = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        ensure!(answer.contains("6:result2:ok"), "rtpengine: {answer}");
        let (_, rest) = answer.split_once("3:sdp").context("no description")?;
        let (length, rest) = rest.split_once(':').context("no length")?;
        Ok(rest.get(..length.parse()?).context("cut off")?.to_owned())
    }
}

fn text(text: &str) -> Vec<u8> {
    format!("{}:{text}", text.len()).into_bytes()
}

fn list(texts: &[&str]) -> Vec<u8> {
    let all: Vec<u8> = texts.iter().flat_map(|it| text(it)).collect();
    [b"l".as_slice(), &all, b"e"].concat()
}

fn dictionary(words: BTreeMap<&str, Vec<u8>>) -> Vec<u8> {
    let pairs = words
        .into_iter()
        .flat_map(|(key, value)| [text(key), value].concat());
    let all: Vec<u8> = pairs.collect();
    [b"d".as_slice(), &all, b"e"].concat()
}
