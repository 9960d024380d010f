//! A scripted end of a media stream: sends a tone and keys, keeps what comes, and may lie about itself.
//!
//! It knows G.711 and telephone events (RFC 4733) in plain RTP, and shares no code with the product.
//! Signalling is somebody else's: the test puts [`Peer::address`] into a description.
//!
//! Invariant: nothing is sent that the test has not asked for, and everything received is kept.

mod packet;
mod sender;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::audio::{self, Heard, Law, Sound};
use crate::wait::{self, GENEROUS};
pub use packet::{Packet, Press};
pub use sender::Stream;

/// A UDP socket that speaks RTP.
#[derive(Debug)]
pub struct Peer {
    socket: Arc<UdpSocket>,
    inbox: Arc<Mutex<Vec<Received>>>,
    sender: Arc<Mutex<Option<Stream>>>,
    over: Arc<AtomicBool>,
}

/// A datagram that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// From where.
    pub source: SocketAddr,
    /// The packet; `None` if it is no RTP: RTCP, STUN, DTLS, or rubbish.
    pub packet: Option<Packet>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Peer {
    /// Binds `address` (port 0: any).
    pub fn bind(address: &str) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("binding {address}"))?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let peer = Self {
            socket: Arc::new(socket),
            inbox: Arc::default(),
            sender: Arc::default(),
            over: Arc::default(),
        };
        let (socket, inbox, over) = (
            Arc::clone(&peer.socket),
            Arc::clone(&peer.inbox),
            Arc::clone(&peer.over),
        );
        thread::spawn(move || receive(&socket, &inbox, &over));
        let (socket, stream, over) = (
            Arc::clone(&peer.socket),
            Arc::clone(&peer.sender),
            Arc::clone(&peer.over),
        );
        thread::spawn(move || sender::run(&socket, &stream, &over));
        Ok(peer)
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// A description that asks for its media here: one stream of G.711 with telephone events as 101.
    pub fn describe(&self, law: Law, direction: &str) -> Result<String> {
        let (address, name) = (self.address()?, law.name());
        let (ip, port, number) = (address.ip(), address.port(), law.payload_type());
        let kind = if ip.is_ipv4() { "IP4" } else { "IP6" };
        Ok(format!(
            "v=0\r\no=- 1 1 IN {kind} {ip}\r\ns=-\r\nc=IN {kind} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number} 101\r\n\
             a=rtpmap:{number} {name}/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
             a=ptime:20\r\na={direction}\r\n"
        ))
    }

    /// Begins to send, in the place of what it sent before.
    pub fn send(&self, stream: Stream) {
        *lock(&self.sender) = Some(stream);
    }

    /// Stops sending.
    pub fn pause(&self) {
        *lock(&self.sender) = None;
    }

    /// Presses keys (RFC 4733) in the midst of what it sends.
    pub fn press(&self, keys: &str) -> Result<()> {
        lock(&self.sender)
            .as_mut()
            .context("it sends nothing")?
            .press(keys)
    }

    /// Sends one datagram, whatever it is.
    pub fn send_raw(&self, to: SocketAddr, bytes: &[u8]) -> Result<()> {
        self.socket.send_to(bytes, to)?;
        Ok(())
    }

    /// What it would send next, so that another peer can pretend to be this one.
    pub fn stream(&self) -> Option<Stream> {
        lock(&self.sender).clone()
    }

    /// All that came so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.inbox).clone()
    }

    /// Forgets what came so far.
    pub fn forget(&self) {
        lock(&self.inbox).clear();
    }

    /// Waits until `count` packets of RTP have come since it last forgot.
    pub fn wait_packets(&self, count: usize) -> Result<Vec<Packet>> {
        wait::until(&format!("{count} packets"), GENEROUS, || {
            let packets = self.packets();
            Ok((packets.len() >= count).then_some(packets))
        })
    }

    /// The newest sound that came, by the order of its packets.
    pub fn listen(&self) -> Sound {
        let mut packets: Vec<(Law, Packet)> = self
            .packets()
            .into_iter()
            .rev()
            .take(NEWEST)
            .filter_map(|packet| Some((Law::from_payload_type(packet.payload_type)?, packet)))
            .collect();
        // Of several streams the newest counts; its timestamps are near each other, so that they wrap together.
        let Some((_, newest)) = packets.first().cloned() else {
            return Sound::empty(8_000);
        };
        packets.retain(|(_, packet)| packet.source == newest.source);
        packets.sort_by_key(|(_, packet)| {
            newest
                .timestamp
                .wrapping_sub(packet.timestamp)
                .cast_signed()
        });
        let samples = packets
            .iter()
            .rev()
            .flat_map(|(law, packet)| packet.payload.iter().map(|byte| law.decode(*byte)))
            .collect();
        Sound {
            rate: 8_000,
            samples,
        }
    }

    /// Waits until it hears this tone, and nothing else.
    pub fn wait_tone(&self, hertz: u32) -> Result<Heard> {
        audio::wait_tone("the RTP peer", hertz, || Ok(self.listen()))
    }

    /// Waits for these keys, in order and each once; `payload_type` is what was agreed for them.
    pub fn wait_keys(&self, keys: &str, payload_type: u8) -> Result<Vec<Press>> {
        let outcome = wait::until(&format!("the keys {keys}"), GENEROUS, || {
            let pressed = self.pressed(payload_type);
            let so_far: String = pressed.iter().map(|press| press.key).collect();
            let complete = so_far == keys && pressed.iter().all(|press| press.ended);
            Ok(complete.then_some(pressed))
        });
        outcome.with_context(|| format!("pressed were {:?}", self.pressed(payload_type)))
    }

    /// The keys that came: packets of one timestamp are one key, however often it was sent.
    pub fn pressed(&self, payload_type: u8) -> Vec<Press> {
        let mut pressed: Vec<(u32, Press)> = Vec::new();
        let packets = self.packets().into_iter();
        for packet in packets.filter(|packet| packet.payload_type == payload_type) {
            let Some(press) = Press::read(&packet.payload) else {
                continue;
            };
            match pressed
                .iter_mut()
                .find(|(start, _)| *start == packet.timestamp)
            {
                Some((_, known)) => known.merge(press),
                None => pressed.push((packet.timestamp, press)),
            }
        }
        pressed.into_iter().map(|(_, press)| press).collect()
    }

    /// From where RTP came.
    pub fn sources(&self) -> BTreeSet<SocketAddr> {
        let inbox = lock(&self.inbox);
        let rtp = inbox.iter().filter(|received| received.packet.is_some());
        rtp.map(|received| received.source).collect()
    }

    fn packets(&self) -> Vec<Packet> {
        let inbox = lock(&self.inbox);
        inbox
            .iter()
            .filter_map(|received| received.packet.clone())
            .collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Where a description wants the media of its first stream.
pub fn media_address(description: &str) -> Option<SocketAddr> {
    let line = |start: &str| {
        description
            .lines()
            .find_map(|line| line.strip_prefix(start))
    };
    let port = line("m=")?.split(' ').nth(1)?;
    let ip = line("c=IN IP4 ").or_else(|| line("c=IN IP6 "))?;
    Some(SocketAddr::new(ip.trim().parse().ok()?, port.parse().ok()?))
}

fn receive(socket: &UdpSocket, inbox: &Mutex<Vec<Received>>, over: &AtomicBool) {
    let mut buffer = [0; 2_048];
    while !over.load(Ordering::Relaxed) {
        // A timeout is the moment to look whether it is over; a refused datagram says nothing.
        let Ok((length, source)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let packet = Packet::read(&bytes);
        lock(inbox).push(Received {
            source,
            packet,
            bytes,
        });
    }
}

/// A test that panicked while holding the lock has failed already; its data are still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Packets that make the newest sound.
const NEWEST: usize = 15;

#[cfg(test)]
mod tests;
