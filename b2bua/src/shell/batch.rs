//! Datagrams in batches: up to [`BATCH`] with one system call, either way. System calls are most of
//! the cost of a datagram.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams of one system call.
pub(super) const BATCH: usize = 64;

/// A UDP socket that does not wait, with room for so many bytes of unread datagrams.
pub(super) fn open(address: SocketAddr, room: usize) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Beyond net.core.rmem_max where this process may. The system may grant less; it says nothing then.
    if setsockopt(&socket, RcvBufForce, &room).is_err() {
        let _ = socket.set_recv_buffer_size(room);
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Reads a datagram into each buffer, as far as there are any; appends their lengths and senders.
pub(super) fn receive(
    socket: &impl AsRawFd,
    buffers: &mut [Vec<u8>],
    into: &mut Vec<(usize, SocketAddr)>,
) -> io::Result<()> {
    // The system writes the length of each address into it, so it is good but once.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(buffers.len(), None);
    let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers
        .iter_mut()
        .map(|buffer| [IoSliceMut::new(buffer)])
        .collect();
    let (descriptor, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
    let messages = recvmmsg(descriptor, &mut headers, slices.iter_mut(), flags, None)?;
    into.extend(messages.map(|message| (message.bytes, peer(message.address.as_ref()))));
    Ok(())
}

/// Sends datagrams, at most [`BATCH`]; how many were taken.
pub(super) fn send<'a>(
    socket: &impl AsRawFd,
    datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)> + Clone,
) -> io::Result<usize> {
    let slices: Vec<[IoSlice<'_>; 1]> = datagrams
        .clone()
        .map(|(bytes, _)| [IoSlice::new(bytes)])
        .collect();
    let peers: Vec<Option<SockaddrStorage>> = datagrams
        .map(|(_, peer)| Some(SockaddrStorage::from(peer)))
        .collect();
    let mut headers = MultiHeaders::preallocate(slices.len(), None);
    let (descriptor, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
    let sent = sendmmsg(descriptor, &mut headers, &slices, &peers, [], flags)?;
    Ok(sent.count())
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
