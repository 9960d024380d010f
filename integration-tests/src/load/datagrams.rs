//! Datagrams between two sockets, up to 64 with one system call.
//!
//! Invariant: the socket is connected, so nobody else's datagrams are seen.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg, setsockopt};

/// A connected socket and what it has to send.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    buffers: Vec<Vec<u8>>,
    queue: Queue,
}

/// Datagrams that wait to be sent.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Vec<Vec<u8>>,
    /// Memory to use again.
    spare: Vec<Vec<u8>>,
}

impl Queue {
    /// An empty datagram at the end of the queue, to be filled.
    pub fn push(&mut self) -> &mut Vec<u8> {
        let mut datagram = self.spare.pop().unwrap_or_default();
        datagram.clear();
        self.waiting.push_mut(datagram)
    }
}

impl Datagrams {
    /// A socket at `local` that speaks with `peer` alone.
    pub fn connect(local: &str, peer: &str) -> Result<Self> {
        let socket = UdpSocket::bind(local).with_context(|| format!("binding {local}"))?;
        socket.connect(peer)?;
        socket.set_nonblocking(true)?;
        make_room(&socket)?;
        Ok(Self {
            socket,
            buffers: vec![vec![0; LARGEST]; BATCH],
            queue: Queue::default(),
        })
    }

    /// What waits to be sent; it leaves with [`Datagrams::flush`].
    pub fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Sends what is queued. What the network does not take is lost, as on any network.
    pub fn flush(&mut self) -> Result<()> {
        let mut rest = self.queue.waiting.as_slice();
        while !rest.is_empty() {
            let batch = rest.iter().take(BATCH);
            let slices: Vec<_> = batch.map(|datagram| [IoSlice::new(datagram)]).collect();
            let mut headers = MultiHeaders::<()>::preallocate(slices.len(), None);
            let nobody = vec![None; slices.len()];
            let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
            let sent = match sendmmsg(socket, &mut headers, &slices, nobody, [], flags) {
                Ok(sent) => sent.count().max(1),
                // The peer is not there (yet), or a queue is full.
                Err(Errno::ECONNREFUSED | Errno::EAGAIN | Errno::ENOBUFS) => 1,
                Err(error) => return Err(error).context("sending datagrams"),
            };
            rest = rest.get(sent..).unwrap_or_default();
        }
        self.queue.spare.append(&mut self.queue.waiting);
        Ok(())
    }

    /// Hands every datagram that has come to `each`, with the queue for answers.
    pub fn receive(&mut self, mut each: impl FnMut(&[u8], &mut Queue)) -> Result<()> {
        loop {
            let lengths = match self.receive_batch() {
                Ok(lengths) => lengths,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::ECONNREFUSED) => continue,
                Err(error) => return Err(error).context("receiving datagrams"),
            };
            for (buffer, length) in self.buffers.iter().zip(&lengths) {
                each(buffer.get(..*length).unwrap_or_default(), &mut self.queue);
            }
            if lengths.len() < BATCH {
                return Ok(());
            }
        }
    }

    fn receive_batch(&mut self) -> nix::Result<Vec<usize>> {
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let buffers = self.buffers.iter_mut();
        let mut slices: Vec<_> = buffers.map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let received = recvmmsg(socket, &mut headers, slices.iter_mut(), flags, None)?;
        Ok(received.map(|message| message.bytes).collect())
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Room for a burst, beyond the system's limit where that is allowed: the load must not lose what it
/// measures.
pub fn make_room(socket: &UdpSocket) -> Result<()> {
    if setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
        setsockopt(socket, RcvBuf, &RECEIVE_BUFFER)?;
    }
    Ok(())
}

const BATCH: usize = 64;
/// Longer datagrams than the load's are cut off.
const LARGEST: usize = 2048;
const RECEIVE_BUFFER: usize = 16 * 1024 * 1024;
