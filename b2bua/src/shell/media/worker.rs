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
use super::socket::{self, BATCH, Buffers};
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
    /// How many are of XMPP legs.
    shared_ports: usize,
    free: Vec<usize>,
    calls: HashMap<AnchorId, Pair>,
    commands: Receiver<Command>,
    shared: Arc<Shared>,
    buffers: Buffers,
    /// What is being sent; kept for its room.
    outgoing: Vec<Transmit>,
}

struct Open {
    socket: UdpSocket,
    name: Socket,
    /// Datagrams to ask for next: as many as came of late.
    most: usize,
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
            shared_ports: xmpp.len(),
            free: Vec::new(),
            calls: HashMap::new(),
            commands,
            shared,
            buffers: Buffers::new(),
            outgoing: Vec::new(),
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
            let Some(Some(open)) = self.sockets.get_mut(place) else {
                return false;
            };
            let (name, asked) = (open.name, open.most);
            let received = self.buffers.receive(&open.socket, asked);
            open.most = (received.count * 2).clamp(LEAST, BATCH);
            let now = Instant::now();
            for (from, bytes) in self.buffers.datagrams() {
                self.shard.handle_packet(name, from, bytes, now);
            }
            // What goes out to XMPP legs waits for its like: they share a port, and so a system call.
            if self.shard.output.transmits.len() >= FLUSH {
                self.flush();
            }
            if !received.more {
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
        let most = LEAST;
        let open = Some(Open { socket, name, most });
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
        std::mem::swap(&mut output.transmits, &mut self.outgoing);
        let events = std::mem::take(&mut output.events);
        let mut refused = 0;
        for (index, open) in self.sockets.iter().take(self.shared_ports).enumerate() {
            let own = self.outgoing.iter();
            let own = own.filter(|transmit| transmit.socket == Socket::Xmpp(index));
            refused += open
                .as_ref()
                .map_or(0, |open| socket::send(&open.socket, own));
        }
        // Packets of one call often follow each other; those of two never share a socket.
        for batch in self.outgoing.chunk_by(|a, b| a.socket == b.socket) {
            refused += self.send_to_sip(batch);
        }
        self.outgoing.clear();
        let strangers = std::mem::take(&mut self.shard.strangers);
        // Written by all threads: only when there is something to tell.
        for (counter, count) in [
            (&self.shared.refused, refused),
            (&self.shared.strangers, strangers),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
        for event in events {
            self.note(&event);
            (self.shared.sink)(event);
        }
    }

    /// Sends packets of one SIP leg; how many were not taken.
    fn send_to_sip(&self, batch: &[Transmit]) -> u64 {
        let pair = |anchor| self.calls.get(&anchor);
        let place = match batch.first().map(|transmit| transmit.socket) {
            Some(Socket::Rtp(anchor)) => pair(anchor).map(|pair| pair.rtp),
            Some(Socket::Rtcp(anchor)) => pair(anchor).map(|pair| pair.rtcp),
            Some(Socket::Xmpp(_)) | None => return 0,
        };
        match place.and_then(|place| self.sockets.get(place)) {
            Some(Some(open)) => socket::send(&open.socket, batch.iter()),
            Some(None) | None => batch.len() as u64,
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
/// Datagrams asked for at least: with one more than came it is clear that no more are there.
const LEAST: usize = 2;
/// Packets that wait for a system call at most.
const FLUSH: usize = 256;
/// Pairs that are tried for a call before it is refused.
const TRIES: usize = 16;
/// Bytes of a SIP leg's packets that may wait: half a second.
const ROOM: usize = 64 * 1024;
