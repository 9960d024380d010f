//! Media: carries out what [`crate::media`] asks for.
//!
//! A few threads share the calls. Each has one port for all its XMPP legs and a pair of ports for
//! every SIP leg; everything but the sockets (`worker`) is handed packets and the time and has
//! neither. From the outside in: `worker`, `shard` (all calls of a thread), `anchor` (a call),
//! its two legs `xmpp` and `sip`, and the two `way`s between them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use mio::{Poll, Waker};
use tandem_shared::mint::Mint;

use self::dtls::Certificate;
use self::ports::Ports;
use self::rtcp::WallClock;
use self::shard::Shard;
use self::worker::{Shared, Worker};
use crate::media::{Command, Event};

pub use self::packet::{Kind, classify};
pub use self::settings::{Interface, Settings, Timing};

#[doc(hidden)]
pub mod trial;

mod anchor;
mod codec;
mod dtls;
mod dtmf;
mod ice;
mod latch;
mod packet;
mod ports;
mod reorder;
mod rtcp;
mod sequence;
mod settings;
mod shard;
mod sip;
mod socket;
mod srtp;
mod stream;
#[cfg(test)]
mod tone;
mod transcode;
mod way;
mod worker;
mod xmpp;

#[cfg(test)]
mod tests;

/// The media threads; dropped, they end and every call with them.
pub struct Media {
    threads: Vec<Thread>,
    shared: Arc<Shared>,
}

struct Thread {
    commands: Option<Sender<Command>>,
    waker: Waker,
    handle: Option<JoinHandle<()>>,
}

/// What is counted over all threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that have media now.
    pub calls: usize,
    /// Pairs of ports that are free for SIP legs.
    pub free_pairs: usize,
    /// Packets on the ports of XMPP legs that belonged to no call.
    pub strangers: u64,
    /// Packets that the system did not take.
    pub refused: u64,
}

impl Counters {
    /// All of them by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        [
            ("calls", count(self.calls)),
            ("free_pairs", count(self.free_pairs)),
            ("strangers", self.strangers),
            ("refused", self.refused),
        ]
    }
}

impl Media {
    /// Opens the ports and starts the threads; `sink` is called from them with every event and must
    /// not wait.
    ///
    /// # Errors
    ///
    /// If an address cannot be listened on or there is none.
    pub fn start(
        settings: &Settings,
        sink: impl Fn(Event) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(!settings.xmpp.is_empty(), "no address for XMPP legs");
        anyhow::ensure!(!settings.sip.is_empty(), "no address for SIP legs");
        let mut mint = Mint::new(seed()?);
        let shared = Arc::new(Shared {
            ports: Mutex::new(Ports::new(&settings.sip, &settings.ports, &mut mint)),
            calls: AtomicUsize::new(0),
            max_calls: settings.max_calls,
            strangers: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            sink: Box::new(sink),
        });
        let certificate = Certificate::generate().context("cannot make a certificate")?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let clock = WallClock::new(Instant::now(), since_1970);
        let threads = (0..settings.threads.max(1)).map(|index| {
            let mint = Mint::new(seed()?);
            Thread::start(index, settings, &certificate, clock, mint, &shared)
        });
        Ok(Self {
            threads: threads.collect::<anyhow::Result<_>>()?,
            shared,
        })
    }

    /// Passes a command to the thread of its call.
    pub fn perform(&self, command: Command) {
        let anchor = shard::anchor(&command);
        let count = self.threads.len().max(1) as u64;
        let index = usize::try_from(anchor.0 % count).unwrap_or(0);
        let thread = self.threads.get(index);
        let sent = thread.and_then(|thread| {
            thread.commands.as_ref()?.send(command.clone()).ok()?;
            thread.waker.wake().ok()
        });
        if sent.is_none() {
            tracing::error!(anchor = anchor.0, "a media thread is gone");
            if let Command::Open { .. } = command {
                (self.shared.sink)(Event::NotOpened { anchor });
            }
        }
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let ports = self.shared.ports.lock();
        Counters {
            calls: self.shared.calls.load(Ordering::Relaxed),
            free_pairs: ports.unwrap_or_else(PoisonError::into_inner).len(),
            strangers: self.shared.strangers.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }
}

impl Thread {
    fn start(
        index: usize,
        settings: &Settings,
        certificate: &Certificate,
        clock: WallClock,
        mint: Mint,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let offset = u16::try_from(index).context("too many media threads")?;
        let port = match settings.xmpp_port {
            0 => 0,
            port => port.checked_add(offset).context("no port is left")?,
        };
        let (mut sockets, mut locals) = (Vec::new(), Vec::new());
        for interface in &settings.xmpp {
            let address = SocketAddr::new(interface.bind, port);
            let socket = socket::open(address, XMPP_ROOM)
                .with_context(|| format!("cannot listen on {address} for media"))?;
            let port = socket.local_addr()?.port();
            locals.push(SocketAddr::new(interface.public, port));
            sockets.push(socket);
        }
        let timing = settings.timing.clone();
        let shard = Shard::new(certificate.clone(), timing, clock, locals, mint);
        let (commands, orders) = mpsc::channel();
        let poll = Poll::new()?;
        let waker = worker::waker(&poll)?;
        let worker = Worker::new(poll, shard, sockets, orders, Arc::clone(shared))?;
        let name = format!("media-{index}");
        let handle = std::thread::Builder::new()
            .name(name)
            .spawn(|| worker.run())?;
        Ok(Self {
            commands: Some(commands),
            waker,
            handle: Some(handle),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.commands = None;
        let woken = self.waker.wake().is_ok();
        if let Some(handle) = self.handle.take().filter(|_| woken)
            && handle.join().is_err()
        {
            tracing::error!("a media thread ended by a panic");
        }
    }
}

fn seed() -> anyhow::Result<[u8; 16]> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).context("the system gives no random numbers")?;
    Ok(seed)
}

/// Bytes of XMPP legs' packets that may wait: all calls of a thread share them.
const XMPP_ROOM: usize = 4 * 1024 * 1024;
