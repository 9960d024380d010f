//! The sockets of media: what comes is read in batches, what is not taken at once is dropped.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use super::shard::Transmit;
use crate::shell::batch;

pub(super) use crate::shell::batch::BATCH;

/// Room for a batch of datagrams.
pub(super) struct Buffers {
    bytes: Vec<Vec<u8>>,
    received: Vec<(usize, SocketAddr)>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            bytes: (0..BATCH).map(|_| vec![0; MAX_DATAGRAM]).collect(),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Reads at most so many datagrams.
    pub(super) fn receive(&mut self, socket: &UdpSocket, most: usize) -> Received {
        self.received.clear();
        let buffers = self.bytes.get_mut(..most.min(BATCH)).unwrap_or_default();
        let asked = buffers.len();
        let more = match batch::receive(socket, buffers, &mut self.received) {
            Ok(()) => self.received.len() == asked,
            // Whatever else it is belongs to an earlier datagram; it is read away like one.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        let count = self.received.len();
        Received { count, more }
    }

    /// The datagrams of the last call and where they came from.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let pairs = self.received.iter().zip(&self.bytes);
        // One that fills the buffer was cut off.
        let whole = pairs.filter(|((length, _), _)| *length < MAX_DATAGRAM);
        whole.filter_map(|((length, from), buffer)| Some((*from, buffer.get(..*length)?)))
    }
}

/// What a read brought.
pub(super) struct Received {
    pub(super) count: usize,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// Sends datagrams, all over one socket; how many were not taken.
pub(super) fn send<'a>(
    socket: &UdpSocket,
    transmits: impl Iterator<Item = &'a Transmit> + Clone,
) -> u64 {
    let mut refused = 0;
    let mut rest = transmits;
    loop {
        let next = rest.clone().take(BATCH);
        match send_batch(socket, next) {
            Ok(0) => return refused,
            Ok(sent) => drop(rest.nth(sent - 1)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A sound that waits is worth nothing; the next one comes soon.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return refused + rest.count() as u64;
            }
            Err(_) => {
                refused += 1;
                rest.next();
            }
        }
    }
}

/// How many were taken, of some.
fn send_batch<'a>(
    socket: &UdpSocket,
    transmits: impl Iterator<Item = &'a Transmit> + Clone,
) -> io::Result<usize> {
    let mut first = transmits.clone();
    match (first.next(), first.next()) {
        (None, _) => Ok(0),
        (Some(only), None) => socket.send_to(&only.bytes, only.to).map(|_| 1),
        (Some(_), Some(_)) => {
            let sent = batch::send(socket, transmits.map(|it| (&*it.bytes, it.to)))?;
            Ok(sent.max(1))
        }
    }
}

/// A socket for sound.
pub(super) fn open(address: SocketAddr, room: usize) -> io::Result<UdpSocket> {
    let socket = batch::open(address, room)?;
    if address.is_ipv4() {
        // Expedited forwarding, where the network cares; no loss where it does not.
        let _ = socket.set_tos_v4(EXPEDITED);
    }
    Ok(UdpSocket::from_std(socket.into()))
}

/// No packet of a call is larger than an Ethernet frame.
const MAX_DATAGRAM: usize = 2048;
/// DSCP 46.
const EXPEDITED: u32 = 46 << 2;
