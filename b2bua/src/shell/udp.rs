//! SIP over UDP, in batches ([`batch`]).
//!
//! An error of one datagram, such as an ICMP answer to an earlier one, never ends the socket.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::batch::{self, BATCH};
use super::stream::Shared;
use super::transport::{Drops, TransportEvent};
use crate::sip::hop::{Flow, NotSent, TransmitId};

/// One socket, with what it has to send.
pub(super) struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
    buffers: Vec<Vec<u8>>,
    queue: VecDeque<Datagram>,
    max_queue: usize,
    shared: Arc<Shared>,
}

/// A datagram to send.
pub(super) struct Datagram {
    pub(super) id: Option<TransmitId>,
    pub(super) peer: SocketAddr,
    pub(super) bytes: Bytes,
}

impl Udp {
    pub(super) fn bind(
        address: SocketAddr,
        max_queue: usize,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let socket =
            open(address).with_context(|| format!("cannot listen on {address} over UDP"))?;
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            // Zeroed memory is not touched, so an idle socket costs next to nothing.
            buffers: (0..BATCH).map(|_| vec![0; MAX_DATAGRAM]).collect(),
            queue: VecDeque::new(),
            max_queue,
            shared: Arc::clone(shared),
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Queues a datagram; drops it when the socket has been busy for too long, as the network may.
    pub(super) fn push(&mut self, datagram: Datagram) {
        if self.queue.len() < self.max_queue.max(BATCH) * 16 {
            self.queue.push_back(datagram);
        } else {
            Drops::count(&self.shared.drops.datagrams);
        }
    }

    /// Sends what is queued, as far as the socket takes it.
    pub(super) fn flush(&mut self, events: &mut VecDeque<TransportEvent>) {
        // Not through `try_io`: it tries nothing before the socket was polled for the first time.
        self.send_queue(events, |udp| udp.send_batch());
    }

    fn send_queue(
        &mut self,
        events: &mut VecDeque<TransportEvent>,
        send: impl Fn(&Self) -> io::Result<usize>,
    ) {
        while !self.queue.is_empty() {
            match send(self) {
                Ok(sent) => {
                    self.queue.drain(..sent.min(self.queue.len()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Left over from an earlier datagram of anybody's; this one was not tried.
                Err(error) if is_echo(&error) => {}
                Err(error) => self.refuse_first(&error, events),
            }
        }
    }

    /// Reads what has come, and sends what waits, until both would block or `end` is reached.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        index: u16,
        events: &mut Vec<TransportEvent>,
        end: usize,
        early: &mut VecDeque<TransportEvent>,
    ) {
        while !self.queue.is_empty() && self.socket.poll_send_ready(cx).is_ready() {
            self.send_queue(early, |udp| {
                udp.socket.try_io(Interest::WRITABLE, || udp.send_batch())
            });
        }
        while events.len() < end && self.socket.poll_recv_ready(cx).is_ready() {
            // An echo of ICMP is read away like a datagram.
            let _ = self.receive_batch(index, events, end - events.len());
        }
    }

    fn receive_batch(
        &mut self,
        index: u16,
        events: &mut Vec<TransportEvent>,
        max: usize,
    ) -> io::Result<()> {
        let Self {
            socket, buffers, ..
        } = self;
        let count = max.min(BATCH);
        let buffers = buffers.get_mut(..count).unwrap_or_default();
        let mut received: Vec<(usize, SocketAddr)> = Vec::with_capacity(count);
        socket.try_io(Interest::READABLE, || {
            batch::receive(socket, buffers, &mut received)
        })?;
        for ((length, peer), buffer) in received.into_iter().zip(&*buffers) {
            if let Some(bytes) = buffer.get(..length) {
                let flow = Flow::Udp {
                    socket: index,
                    peer,
                };
                let bytes = Bytes::copy_from_slice(bytes);
                events.push(TransportEvent::Packet { flow, bytes });
            }
        }
        Ok(())
    }

    fn send_batch(&self) -> io::Result<usize> {
        let next = self.queue.iter().take(BATCH);
        batch::send(
            &self.socket,
            next.map(|datagram| (&*datagram.bytes, datagram.peer)),
        )
    }

    fn refuse_first(&mut self, error: &io::Error, events: &mut VecDeque<TransportEvent>) {
        let Some(datagram) = self.queue.pop_front() else {
            return;
        };
        Drops::count(&self.shared.drops.datagrams);
        tracing::debug!(%error, "a datagram was refused by the network");
        let reason = NotSent::Unreachable;
        events.extend(
            datagram
                .id
                .map(|id| TransportEvent::SendFailed { id, reason }),
        );
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(batch::open(address, RECEIVE_BUFFER)?.into())
}

fn is_echo(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

const MAX_DATAGRAM: usize = 65_535;
/// Room for a burst of some thousand datagrams while the core is busy.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
