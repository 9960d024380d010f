//! One media thread: the sockets around a shard.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::ports::Ports;
use super::settings::Interface;
use super::shard::{Shard, Socket, Transmit};
use super::socket::{self, Buffers};
use crate::media::{AnchorId, Command, Event};

/// What all threads share.
pub(super) struct Shared {
    pub(super) ports: Mutex<Ports>,
    pub(super) calls: AtomicUsize,
    pub(super) max_calls: usize,
    pub(super) strangers: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) sink: Box<dyn Fn(Event) + Send + Sync>,
}

/// The thread's own.
pub(super) struct Worker {
    poll: Poll,
    shard: Shard,
    /// Those of XMPP legs first, then those of SIP legs; a free place is nothing.
    sockets: Vec<Option<Open>>,
    free: Vec<usize>,
    calls: HashMap<AnchorId, Pair>,
    commands: Receiver<Command>,
    shared: Arc<Shared>,
    buffers: Buffers,
}

struct Open {
    socket: UdpSocket,
    name: Socket,
}

/// A SIP leg's sockets.
struct Pair {
    interface: Interface,
    port: u16,
    rtp: usize,
    rtcp: usize,
}

impl Worker {
    /// A thread over sockets of XMPP legs; `waker` tells it of commands.
    pub(super) fn new(
        poll: Poll,
        shard: Shard,
        xmpp: Vec<UdpSocket>,
        commands: Receiver<Command>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let mut worker = Self {
            poll,
            shard,
            sockets: Vec::new(),
            free: Vec::new(),
            calls: HashMap::new(),
            commands,
            shared,
            buffers: Buffers::new(),
        };
        for (index, socket) in xmpp.into_iter().enumerate() {
            worker.register(socket, Socket::Xmpp(index))?;
        }
        Ok(worker)
    }

    /// Works until the other end of the commands is gone.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut unread: Vec<usize> = Vec::new();
        loop {
            let wait = match self.shard.deadline() {
                _ if !unread.is_empty() => Some(Duration::ZERO),
                Some(at) => Some(at.saturating_duration_since(Instant::now())),
                None => None,
            };
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a media thread cannot wait for packets");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            let ready = events.iter().map(|event| event.token());
            unread.extend(ready.filter(|token| *token != WAKER).map(|token| token.0));
            unread.sort_unstable();
            unread.dedup();
            for place in std::mem::take(&mut unread) {
                if self.receive(place) {
                    unread.push(place);
                }
            }
            if !self.obey() {
                return;
            }
            self.shard.handle_timeout(Instant::now());
            self.flush();
        }
    }

    /// Reads some of what came on a socket; whether there may be more.
    fn receive(&mut self, place: usize) -> bool {
        for _ in 0..BATCHES {
            let Some(Some(open)) = self.sockets.get(place) else {
                return false;
            };
            let most = match open.name {
                Socket::Xmpp(_) => socket::BATCH,
                Socket::Rtp(_) | Socket::Rtcp(_) => FEW,
            };
            let more = self.buffers.receive(&open.socket, most);
            let now = Instant::now();
            for (from, bytes) in self.buffers.datagrams() {
                self.shard.handle_packet(open.name, from, bytes, now);
            }
            self.flush();
            if !more {
                return false;
            }
        }
        true
    }

    /// Does what it is told; false: nobody is there any more to tell.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Open { anchor, sip }) => self.open(anchor, sip),
                Ok(command) => self.shard.handle(command, Instant::now()),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
            self.flush();
        }
    }

    fn open(&mut self, anchor: AnchorId, sip: std::net::IpAddr) {
        let counted = self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let room = counted < self.shared.max_calls && !self.calls.contains_key(&anchor);
        let opened = room.then(|| self.open_pair(anchor, sip)).flatten();
        let Some((rtp, rtcp)) = opened else {
            self.shared.calls.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(anchor = anchor.0, "no room for another call's media");
            (self.shared.sink)(Event::NotOpened { anchor });
            return;
        };
        self.shard.open(anchor, rtp, rtcp, Instant::now());
    }

    /// Opens both sockets of a SIP leg; their addresses as others see them.
    fn open_pair(
        &mut self,
        anchor: AnchorId,
        sip: std::net::IpAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let interface = self.ports(|ports| ports.interface(sip))?;
        for _ in 0..TRIES {
            let port = self.ports(|ports| ports.take(interface))?;
            match self.bind_pair(anchor, interface, port) {
                Ok(()) => {
                    let at = |port| SocketAddr::new(interface.public, port);
                    return Some((at(port), at(port + 1)));
                }
                // Somebody else on this machine has it: later perhaps.
                Err(error) => {
                    tracing::debug!(%error, port, "a pair of media ports is not free");
                    self.ports(|ports| ports.give(interface, port));
                }
            }
        }
        None
    }

    fn bind_pair(&mut self, anchor: AnchorId, interface: Interface, port: u16) -> io::Result<()> {
        let bind = |port| socket::open(SocketAddr::new(interface.bind, port), ROOM);
        let (rtp, rtcp) = (bind(port)?, bind(port + 1)?);
        let rtp = self.register(rtp, Socket::Rtp(anchor))?;
        let rtcp = match self.register(rtcp, Socket::Rtcp(anchor)) {
            Ok(rtcp) => rtcp,
            Err(error) => {
                self.close(rtp);
                return Err(error);
            }
        };
        self.calls.insert(
            anchor,
            Pair {
                interface,
                port,
                rtp,
                rtcp,
            },
        );
        Ok(())
    }

    fn register(&mut self, mut socket: UdpSocket, name: Socket) -> io::Result<usize> {
        let place = self.free.last().copied().unwrap_or(self.sockets.len());
        let registry = self.poll.registry();
        registry.register(&mut socket, Token(place), Interest::READABLE)?;
        let open = Some(Open { socket, name });
        if self.free.pop().is_some() {
            if let Some(free) = self.sockets.get_mut(place) {
                *free = open;
            }
        } else {
            self.sockets.push(open);
        }
        Ok(place)
    }

    fn close(&mut self, place: usize) {
        if let Some(mut open) = self.sockets.get_mut(place).and_then(Option::take) {
            // Closing the socket takes it off the list anyway.
            let _ = self.poll.registry().deregister(&mut open.socket);
            self.free.push(place);
        }
    }

    /// Sends and tells what came out of the shard.
    fn flush(&mut self) {
        let output = &mut self.shard.output;
        let (mut transmits, events) = (
            std::mem::take(&mut output.transmits),
            std::mem::take(&mut output.events),
        );
        // Stable: the packets of each socket stay in order.
        transmits.sort_by_key(|transmit| match transmit.socket {
            Socket::Xmpp(index) => (0, index as u64),
            Socket::Rtp(anchor) => (1, anchor.0),
            Socket::Rtcp(anchor) => (2, anchor.0),
        });
        for batch in transmits.chunk_by(|a, b| a.socket == b.socket) {
            let refused = self.send(batch) as u64;
            self.shared.refused.fetch_add(refused, Ordering::Relaxed);
        }
        let strangers = std::mem::take(&mut self.shard.strangers);
        self.shared
            .strangers
            .fetch_add(strangers, Ordering::Relaxed);
        for event in events {
            self.note(&event);
            (self.shared.sink)(event);
        }
    }

    fn send(&self, batch: &[Transmit]) -> usize {
        let place = batch.first().and_then(|transmit| match transmit.socket {
            Socket::Xmpp(index) => Some(index),
            Socket::Rtp(anchor) => Some(self.calls.get(&anchor)?.rtp),
            Socket::Rtcp(anchor) => Some(self.calls.get(&anchor)?.rtcp),
        });
        match place.and_then(|place| self.sockets.get(place)) {
            Some(Some(open)) => socket::send(&open.socket, batch),
            Some(None) | None => batch.len(),
        }
    }

    /// Gives back what a call had that is over.
    fn note(&mut self, event: &Event) {
        let (Event::Released { anchor, .. } | Event::NotOpened { anchor }) = event else {
            return;
        };
        if let Some(pair) = self.calls.remove(anchor) {
            self.close(pair.rtp);
            self.close(pair.rtcp);
            self.ports(|ports| ports.give(pair.interface, pair.port));
            self.shared.calls.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn ports<T>(&self, act: impl FnOnce(&mut Ports) -> T) -> T {
        let ports = self.shared.ports.lock();
        act(&mut ports.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes a thread for commands.
pub(super) fn waker(poll: &Poll) -> io::Result<Waker> {
    Waker::new(poll.registry(), WAKER)
}

const WAKER: Token = Token(usize::MAX);
/// Batches of one socket before others have their turn.
const BATCHES: usize = 4;
/// Datagrams read at once of a port that carries one call.
const FEW: usize = 8;
/// Pairs that are tried for a call before it is refused.
const TRIES: usize = 16;
/// Bytes of a SIP leg's packets that may wait: half a second.
const ROOM: usize = 64 * 1024;
