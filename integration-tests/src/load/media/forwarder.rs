//! The floor: datagrams in at one port and out at another, and nothing else.
//!
//! Invariant: two sockets for each call, as any relay has that tells calls apart by their ports.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::client::Client;
use super::line::{Line, Phone};
use super::path::Path;
use super::phones::Phones;
use super::protection::Protection;
use super::subject::{Placed, memory, pinned};
use crate::bench::Bench;
use crate::process::Process;

/// Forwards `count` calls until it is killed; phones are at `phones`.
pub fn run(count: &str, phones: &str) -> Result<()> {
    let (count, phones): (u16, SocketAddr) = (count.parse()?, phones.parse()?);
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let mut sockets = Vec::new();
    for place in 0..count * 2 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, BASE + place))?;
        socket.set_nonblocking(true)?;
        epoll.add(
            &socket,
            EpollEvent::new(EpollFlags::EPOLLIN, u64::from(place)),
        )?;
        sockets.push(socket);
    }
    let mut clients = vec![phones; sockets.len()];
    let mut events = vec![EpollEvent::empty(); 256];
    let mut buffer = vec![0; 2048];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(count) {
            let place = usize::try_from(event.data())?;
            let other = place ^ 1;
            let pair = sockets.get(place).zip(sockets.get(other));
            let (inward, outward) = pair.context("no such socket")?;
            let Ok((length, from)) = inward.recv_from(&mut buffer) else {
                continue;
            };
            let to = if other < place {
                clients.get(other)
            } else {
                Some(&phones)
            };
            let to = to.copied().unwrap_or(phones);
            // What is not taken is lost, as on any network.
            let _ = outward.send_to(buffer.get(..length).unwrap_or_default(), to);
            if other > place
                && let Some(client) = clients.get_mut(place)
            {
                *client = from;
            }
        }
    }
}

/// Starts it, in a process of its own.
pub fn place(bench: &Bench, count: usize) -> Result<Placed> {
    let phones = Phones::bind(Path::Plain)?;
    let mut command = pinned(std::env::current_exe()?);
    command.args([
        "forward",
        &count.to_string(),
        &phones.socket.local_addr()?.to_string(),
    ]);
    let mut process = Process::start(bench, "forwarder", command)?;
    let last = BASE + u16::try_from(count)? * 2 - 1;
    process.wait_udp(last)?;
    let before = memory(process.id())?;
    let mut lines = Vec::new();
    for number in 0..count {
        let mut client = Client::bind(number)?;
        let at = BASE + u16::try_from(number)? * 2;
        client.remote = SocketAddr::from((Ipv4Addr::LOCALHOST, at));
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, at + 1));
        let protection = Protection::default();
        lines.push(Line {
            client,
            phone: Phone { remote, protection },
        });
    }
    Ok(Placed {
        pid: process.id(),
        process,
        kept: Box::new(()),
        phones,
        lines,
        before,
    })
}

const BASE: u16 = 20_000;
