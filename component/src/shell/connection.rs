//! The XMPP stream and its life: connecting, proving the secret, connecting again.

use crate::config::Xmpp;
use crate::stream::{Defect, Input, Reader, handshake};
use crate::xml;
use minidom::Element;
use std::io;
use std::time::Duration;
use tandem_shared::mint::Mint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long connecting and proving the secret may take together.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
/// The first wait after a failed try; it doubles up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// The wait while the server still holds our old, half-open link.
const CONFLICT: Duration = Duration::from_secs(2);
/// Bytes read with one system call.
const READ: usize = 64 * 1024;
/// Unwritten bytes over which the server counts as dead: 400,000 refusals. A server under load reads
/// them only behind what it has to hand us, which is lost if we hang up.
const UNWRITTEN_MAX: usize = 128 * 1024 * 1024;

/// What the stream tells its owner.
#[derive(Debug)]
pub(super) enum News {
    Opened,
    Closed,
    Stanza(Box<Element>),
    Skipped(Box<Element>, Defect),
}

/// Why a try to open a stream failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer within {} seconds", OPEN_WITHIN.as_secs())]
    Timeout,
    #[error("the server broke the stream: {0}")]
    Broken(String),
    #[error("the server refuses us: {0}")]
    Refused(String),
    #[error("the server still has our old link")]
    Conflict,
}

/// The stream, open or on its way to be.
#[derive(Debug)]
pub(super) struct Connection {
    settings: Xmpp,
    domain: String,
    mint: Mint,
    state: State,
    failures: u32,
    /// Whether we said that we close.
    finishing: bool,
    told: Option<&'static str>,
}

#[derive(Debug)]
enum State {
    Closed {
        wait: Duration,
    },
    Opening(JoinHandle<Result<Open, Failure>>),
    Open(Box<Open>),
    /// Closed by the owner, who knows.
    Lost,
}

#[derive(Debug)]
struct Open {
    socket: TcpStream,
    reader: Reader,
    /// Where bytes are read to.
    input: Box<[u8]>,
    output: Vec<u8>,
    written: usize,
}

impl Connection {
    pub(super) fn new(settings: Xmpp, domain: String, mint: Mint) -> Self {
        Self {
            settings,
            domain,
            mint,
            state: State::Closed {
                wait: Duration::ZERO,
            },
            failures: 0,
            finishing: false,
            told: None,
        }
    }

    /// Queues a stanza; without an open stream it is dropped, and the core knows.
    pub(super) fn send(&mut self, stanza: &Element) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        let before = open.output.len();
        if let Err(error) = stanza.write_to(&mut open.output) {
            open.output.truncate(before);
            tracing::error!(%error, "a stanza could not be written");
        }
    }

    /// Writes what can be written without waiting.
    pub(super) fn flush(&mut self) {
        if let State::Open(open) = &mut self.state
            && let Err(error) = open.write()
        {
            tracing::debug!(%error, "the stream broke while writing");
        }
    }

    /// Ends the stream in order: says so to the server, which then closes it (RFC 6120 §4.4).
    /// Returns whether there is a stream to end.
    pub(super) fn finish(&mut self) -> bool {
        let State::Open(open) = &mut self.state else {
            return false;
        };
        open.output.extend_from_slice(b"</stream:stream>");
        self.finishing = true;
        self.flush();
        true
    }

    /// Whether everything sent has left the process.
    pub(super) fn is_flushed(&self) -> bool {
        match &self.state {
            State::Open(open) => open.output.is_empty(),
            State::Closed { .. } | State::Opening(_) | State::Lost => true,
        }
    }

    /// Ends the stream, to begin again.
    pub(super) fn close(&mut self) {
        self.state = State::Lost;
    }

    /// Appends at least one and about `max` news to `into`. Cancel-safe.
    pub(super) async fn recv(&mut self, into: &mut Vec<News>, max: usize) {
        loop {
            match &mut self.state {
                State::Lost => {
                    self.state = State::Closed { wait: BACKOFF };
                }
                State::Closed { wait } => {
                    let opening = open(self.settings.clone(), self.domain.clone(), *wait);
                    self.state = State::Opening(tokio::spawn(opening));
                }
                State::Opening(task) => {
                    let opened = task.await;
                    let opened =
                        opened.unwrap_or_else(|error| Err(Failure::Broken(error.to_string())));
                    if self.handle_opened(opened) {
                        into.push(News::Opened);
                        return;
                    }
                }
                State::Open(open) => {
                    let before = into.len();
                    match open.recv(into, max).await {
                        Ok(()) if into.len() > before => return,
                        Ok(()) => {}
                        Err(why) if self.finishing => {
                            tracing::debug!(%why, "the XMPP stream ended");
                            self.state = State::Lost;
                            into.push(News::Closed);
                            return;
                        }
                        Err(why) => {
                            tracing::warn!(%why, "the XMPP stream ended; connecting again");
                            let wait = self.backoff();
                            self.state = State::Closed { wait };
                            into.push(News::Closed);
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Takes the result of a try; true when the stream is open.
    fn handle_opened(&mut self, opened: Result<Open, Failure>) -> bool {
        let failure = match opened {
            Ok(open) => {
                tracing::info!(
                    server = self.settings.server,
                    domain = self.domain,
                    "connected to the XMPP server"
                );
                (self.failures, self.told) = (0, None);
                self.state = State::Open(Box::new(open));
                return true;
            }
            Err(failure) => failure,
        };
        let wait = match &failure {
            Failure::Conflict => CONFLICT,
            Failure::Refused(_) => BACKOFF_MAX,
            Failure::Io(_) | Failure::Timeout | Failure::Broken(_) => self.backoff(),
        };
        self.tell(&failure);
        self.state = State::Closed { wait };
        false
    }

    /// Says what is wrong once, until something else is wrong or it works.
    fn tell(&mut self, failure: &Failure) {
        let kind = match failure {
            Failure::Refused(_) => "refused",
            Failure::Conflict => "conflict",
            Failure::Io(_) | Failure::Timeout | Failure::Broken(_) => "unreachable",
        };
        if self.told.replace(kind) == Some(kind) {
            tracing::debug!(%failure, "still no XMPP stream");
            return;
        }
        let server = &self.settings.server;
        match failure {
            Failure::Refused(_) => tracing::error!(
                %failure, server, domain = self.domain,
                "check that xmpp.secret and mapping.domain are those of the server's component block; trying again every minute"
            ),
            Failure::Conflict => tracing::warn!(
                server,
                "the server still holds an earlier link of this component; trying until it lets go"
            ),
            Failure::Io(_) | Failure::Timeout | Failure::Broken(_) => {
                tracing::warn!(%failure, server, "the XMPP server cannot be reached; trying again");
            }
        }
    }

    /// The next wait: doubling, with between half and all of it drawn by lot, so that the
    /// components of a restarted server do not come back in step.
    fn backoff(&mut self) -> Duration {
        let full = BACKOFF
            .saturating_mul(1 << self.failures.min(6))
            .min(BACKOFF_MAX);
        self.failures += 1;
        let lot = u32::try_from(self.mint.number() & 0xffff).unwrap_or(0);
        full / 2 + (full / 2).mul_f64(f64::from(lot) / 65536.0)
    }
}

impl Open {
    /// Waits for stanzas, writing meanwhile; an error is the reason the stream ended.
    async fn recv(&mut self, into: &mut Vec<News>, max: usize) -> Result<(), Failure> {
        loop {
            while into.len() < max
                && let Some(input) = self.reader.next_input()
            {
                match input {
                    Input::Stanza(stanza) if stanza.is("error", xml::STREAM) => {
                        return Err(Failure::Broken(condition(&stanza)));
                    }
                    Input::Stanza(stanza) => into.push(News::Stanza(stanza)),
                    Input::Skipped(tag, defect) => into.push(News::Skipped(tag, defect)),
                    Input::Opened { .. } => {}
                    Input::Closed if into.is_empty() => {
                        return Err(Failure::Broken("closed by the server".to_owned()));
                    }
                    Input::Closed => return Ok(()),
                }
            }
            if !into.is_empty() {
                return Ok(());
            }
            if self.output.len() > UNWRITTEN_MAX {
                return Err(Failure::Broken("the server does not read".to_owned()));
            }
            let readable = tokio::select! {
                ready = self.socket.readable() => { ready?; true }
                ready = self.socket.writable(), if !self.output.is_empty() => { ready?; false }
            };
            if readable {
                self.read()?;
            } else {
                self.write()?;
            }
        }
    }

    fn read(&mut self) -> Result<(), Failure> {
        match self.socket.try_read(&mut self.input) {
            Ok(0) => Err(Failure::Broken("closed by the server".to_owned())),
            Ok(read) => self
                .reader
                .read(self.input.get(..read).unwrap_or_default())
                .map_err(|error| Failure::Broken(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self
            .output
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match self.socket.try_write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.output.drain(..self.written);
                    self.written = 0;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

/// Waits, connects, opens the stream and proves the secret.
async fn open(settings: Xmpp, domain: String, wait: Duration) -> Result<Open, Failure> {
    tokio::time::sleep(wait).await;
    let opening = async {
        let mut socket = TcpStream::connect(&settings.server).await?;
        socket.set_nodelay(true)?;
        socket
            .write_all(handshake::opening(&domain).as_bytes())
            .await?;
        let mut reader = Reader::new(settings.max_stanza);
        loop {
            match next(&mut socket, &mut reader).await? {
                Input::Opened { id } => {
                    let proof = handshake::element(&id, settings.secret.reveal());
                    socket.write_all(proof.as_bytes()).await?;
                }
                Input::Stanza(stanza) if stanza.is("handshake", xml::COMPONENT) => break,
                Input::Stanza(stanza) if stanza.is("error", xml::STREAM) => {
                    return Err(refusal(&condition(&stanza)));
                }
                Input::Closed => return Err(Failure::Broken("closed by the server".to_owned())),
                Input::Stanza(_) | Input::Skipped(..) => {}
            }
        }
        Ok(Open {
            socket,
            reader,
            input: vec![0; READ].into(),
            output: Vec::new(),
            written: 0,
        })
    };
    tokio::time::timeout(OPEN_WITHIN, opening)
        .await
        .map_err(|_| Failure::Timeout)?
}

async fn next(socket: &mut TcpStream, reader: &mut Reader) -> Result<Input, Failure> {
    loop {
        if let Some(input) = reader.next_input() {
            return Ok(input);
        }
        // Small reads: what follows the handshake in one segment stays in the reader's queue.
        let mut bytes = [0; 4096];
        let read = socket.read(&mut bytes).await?;
        if read == 0 {
            return Err(Failure::Broken("closed by the server".to_owned()));
        }
        reader
            .read(bytes.get(..read).unwrap_or_default())
            .map_err(|error| Failure::Broken(error.to_string()))?;
    }
}

fn refusal(condition: &str) -> Failure {
    match condition {
        "conflict" => Failure::Conflict,
        "not-authorized" | "host-unknown" | "not-allowed" | "policy-violation" => {
            Failure::Refused(condition.to_owned())
        }
        other => Failure::Broken(other.to_owned()),
    }
}

/// The condition of a stream error (RFC 6120 §4.9.3).
fn condition(error: &Element) -> String {
    error
        .children()
        .find(|child| child.has_ns(xml::STREAM_ERRORS) && child.name() != "text")
        .map_or("undefined-condition", Element::name)
        .to_owned()
}
