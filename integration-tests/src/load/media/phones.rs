//! All phones: one socket for their sound, one for SIP, on which every INVITE is answered at once.
//!
//! Invariant: a phone's number is the end of the user it is called by.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::line::Phone;
use super::path::Path;
use super::protection::Protection;
use crate::load::datagrams::make_room;
use crate::sip::Message;
use crate::wait::GENEROUS;

/// Where phones are called.
pub const SIGNALLING: &str = "127.0.0.1:5080";

/// All phones.
pub struct Phones {
    /// Their sound.
    pub socket: UdpSocket,
    path: Path,
    called: Receiver<(usize, Phone)>,
    answering: Option<JoinHandle<Result<()>>>,
    over: Arc<AtomicBool>,
}

impl Phones {
    /// Phones that nobody calls: they are told where to send.
    pub fn bind(path: Path) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        make_room(&socket)?;
        let (_, called) = channel();
        Ok(Self {
            socket,
            path,
            called,
            answering: None,
            over: Arc::default(),
        })
    }

    /// Phones that answer at [`SIGNALLING`].
    pub fn start(path: Path) -> Result<Self> {
        let mut phones = Self::bind(path)?;
        let signalling = UdpSocket::bind(SIGNALLING)?;
        let (tell, called) = channel();
        phones.called = called;
        let address = phones.socket.local_addr()?;
        signalling.set_read_timeout(Some(Duration::from_millis(50)))?;
        let over = Arc::clone(&phones.over);
        let answering = move || {
            let mut buffer = vec![0; 65_536];
            while !over.load(Ordering::Relaxed) {
                // Nobody has called for a while.
                if let Ok((length, from)) = signalling.recv_from(&mut buffer) {
                    let request = buffer.get(..length).unwrap_or_default();
                    if let Some(answer) = answer(request, path, address, &tell)? {
                        signalling.send_to(answer.as_bytes(), from)?;
                    }
                }
            }
            Ok(())
        };
        phones.answering = Some(thread::spawn(answering));
        Ok(phones)
    }

    /// The next phone that was called, with its number.
    pub fn next_called(&self) -> Result<(usize, Phone)> {
        self.called
            .recv_timeout(GENEROUS)
            .context("no phone was called")
    }

    /// What a phone says of itself.
    pub fn describe(&self) -> Result<String> {
        Ok(describe(self.path, self.socket.local_addr()?, "1"))
    }
}

/// A description of a phone; its key goes with the offered one `tag`.
fn describe(path: Path, address: SocketAddr, tag: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (profile, crypto) = if path.has_sdes() {
        let line = format!("a=crypto:{tag} {SUITE} inline:{}\r\n", STANDARD.encode(KEY));
        ("RTP/SAVP", line)
    } else {
        ("RTP/AVP", String::new())
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n{crypto}"
    )
}

/// The phone that was offered this description, and the tag of the key it takes.
pub fn read(path: Path, description: &str) -> Result<(Phone, String)> {
    let line = |start: &str| {
        description
            .lines()
            .find_map(|line| line.strip_prefix(start))
    };
    let port = line("m=audio ").and_then(|rest| rest.split(' ').next());
    let port: u16 = port.context("no port in a description")?.parse()?;
    let remote = SocketAddr::from(([127, 0, 0, 1], port));
    if !path.has_sdes() {
        let protection = Protection::default();
        return Ok((Phone { remote, protection }, String::new()));
    }
    let keys = description
        .lines()
        .filter_map(|line| line.strip_prefix("a=crypto:"));
    for key in keys {
        let mut words = key.split_whitespace();
        let (tag, suite) = (words.next().unwrap_or_default(), words.next());
        let inline = words.next().and_then(|word| word.strip_prefix("inline:"));
        if suite == Some(SUITE) {
            let theirs = inline
                .unwrap_or_default()
                .split('|')
                .next()
                .unwrap_or_default();
            let theirs = STANDARD.decode(theirs)?;
            let profile = ProtectionProfile::Aes128CmHmacSha1_80;
            let protection = Protection::new(profile, &KEY, &theirs)?;
            return Ok((Phone { remote, protection }, tag.to_owned()));
        }
    }
    bail!("no key for {SUITE} in a description")
}

/// The answer to a request; none to an ACK. Whoever is called is told of.
fn answer(
    request: &[u8],
    path: Path,
    address: SocketAddr,
    called: &Sender<(usize, Phone)>,
) -> Result<Option<String>> {
    let request = Message::from_datagram(request);
    let body = match request.method() {
        Some("INVITE") => {
            let (phone, tag) = read(path, &request.text())?;
            let uri = request.uri();
            let user = uri.split('@').next().unwrap_or_default();
            let digits = user.get(user.len().saturating_sub(6)..);
            called
                .send((digits.unwrap_or_default().parse()?, phone))
                .ok();
            describe(path, address, &tag)
        }
        Some("ACK") | None => return Ok(None),
        Some(_) => String::new(),
    };
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        for value in request.headers(name) {
            answer += &format!("{name}: {value}\r\n");
        }
    }
    let to = request.header("To");
    let tag = if to.contains(";tag=") {
        ""
    } else {
        ";tag=phone"
    };
    answer += &format!("To: {to}{tag}\r\nContact: <sip:phone@{SIGNALLING}>\r\n");
    if !body.is_empty() {
        answer += "Content-Type: application/sdp\r\n";
    }
    answer += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    Ok(Some(answer))
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(answering) = self.answering.take() {
            // A phone that failed has made the calls fail that needed it.
            let _ = answering.join();
        }
    }
}

const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
/// Key and salt of every phone.
const KEY: [u8; 30] = *b"thirty bytes of key, and salt.";
