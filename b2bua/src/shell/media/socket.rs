//! Datagrams in batches: up to 64 with one system call, either way.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};

use super::shard::Transmit;

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

    /// Reads at most so many datagrams, and whether there may be more.
    pub(super) fn receive(&mut self, socket: &UdpSocket, most: usize) -> bool {
        self.received.clear();
        let most = most.min(BATCH);
        let buffers = self.bytes.iter_mut().take(most);
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.map(|buffer| [IoSliceMut::new(buffer)]).collect();
        // The system writes the length of each address into it, so it is good but once.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(most, None);
        let flags = MsgFlags::MSG_DONTWAIT;
        let descriptor = socket.as_raw_fd();
        let messages = recvmmsg(descriptor, &mut headers, slices.iter_mut(), flags, None);
        match messages {
            Ok(messages) => {
                let messages = messages.map(|it| (it.bytes, peer(it.address.as_ref())));
                self.received.extend(messages);
                self.received.len() == most
            }
            // Whatever else it is belongs to an earlier datagram; it is read away like one.
            Err(error) => error != nix::errno::Errno::EAGAIN,
        }
    }

    /// The datagrams of the last call and where they came from.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let pairs = self.received.iter().zip(&self.bytes);
        // One that fills the buffer was cut off.
        let whole = pairs.filter(|((length, _), _)| *length < MAX_DATAGRAM);
        whole.filter_map(|((length, from), buffer)| Some((*from, buffer.get(..*length)?)))
    }
}

/// Sends datagrams, all over one socket; how many were not taken.
pub(super) fn send(socket: &UdpSocket, transmits: &[Transmit]) -> usize {
    let mut refused = 0;
    let mut rest = transmits;
    while !rest.is_empty() {
        let batch = rest.get(..rest.len().min(BATCH)).unwrap_or(rest);
        match send_batch(socket, batch) {
            Ok(sent) if sent > 0 => rest = rest.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A sound that waits is worth nothing; the next one comes soon.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return refused + rest.len(),
            Ok(_) | Err(_) => {
                refused += 1;
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    refused
}

fn send_batch(socket: &UdpSocket, batch: &[Transmit]) -> io::Result<usize> {
    if let [only] = batch {
        return socket.send_to(&only.bytes, only.to).map(|_| 1);
    }
    let slices: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|it| [IoSlice::new(&it.bytes)]).collect();
    let peers: Vec<Option<SockaddrStorage>> = batch
        .iter()
        .map(|it| Some(SockaddrStorage::from(it.to)))
        .collect();
    let mut headers = MultiHeaders::preallocate(slices.len(), None);
    let flags = MsgFlags::MSG_DONTWAIT;
    let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, &peers, [], flags)?;
    Ok(sent.count())
}

/// A socket for sound.
pub(super) fn open(address: SocketAddr, room: usize) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    } else {
        // Expedited forwarding, where the network cares; no loss where it does not.
        let _ = socket.set_tos_v4(EXPEDITED);
    }
    socket.set_nonblocking(true)?;
    // The system may grant less; neither can we do anything then.
    let _ = socket.set_recv_buffer_size(room);
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

fn peer(address: Option<&SockaddrStorage>) -> SocketAddr {
    let v4 = address
        .and_then(|a| a.as_sockaddr_in())
        .map(|a| SocketAddr::V4((*a).into()));
    let v6 = || {
        address
            .and_then(|a| a.as_sockaddr_in6())
            .map(|a| SocketAddr::V6((*a).into()))
    };
    v4.or_else(v6)
        .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
}

/// Datagrams of one system call.
pub(super) const BATCH: usize = 64;
/// No packet of a call is larger than an Ethernet frame.
const MAX_DATAGRAM: usize = 2048;
/// DSCP 46.
const EXPEDITED: u32 = 46 << 2;
