//! Sends a packet of every call every 20 ms each way, and counts what comes out.
//!
//! Invariant: packets are due by the clock, not by what was carried: who is slow falls behind.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::line::Line;
use super::path::Path;
use super::phones::Phones;
use super::sound::{CLIENT, PHONE, Speech};
use crate::audio::Heard;
use crate::load::latency::Latencies;

/// What was sent and what came out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Packets that clients sent, and phones.
    pub sent: [u64; 2],
    /// Packets that came out at phones, and at clients.
    pub carried: [u64; 2],
    /// Packets that were not what was said, of those looked at.
    pub spoilt: u64,
    /// From client to phone, where packets are passed on.
    pub latency: Latencies,
    /// What the first call sounded like at its phone and at its client.
    pub heard: [Option<Heard>; 2],
    /// Packets that were due and went out more than 20 ms late, or not at all: the load is too slow.
    pub late: u64,
}

impl Outcome {
    /// The share of packets that did not come out.
    pub fn loss(&self) -> f64 {
        let sent: u64 = self.sent.iter().sum();
        let carried: u64 = self.carried.iter().sum();
        1.0 - carried as f64 / sent.max(1) as f64
    }
}

/// The load on calls that are up.
pub struct Pump<'a> {
    path: Path,
    phones: &'a Phones,
    lines: &'a mut [Line],
    epoll: Epoll,
    by_remote: HashMap<SocketAddr, usize>,
    speech: [Vec<Vec<u8>>; 2],
    /// Packets of each call so far.
    round: u64,
    begun: Instant,
    buffer: Vec<u8>,
    recorded: [Vec<Vec<u8>>; 2],
    outcome: Outcome,
}

impl<'a> Pump<'a> {
    /// Nothing flows yet.
    pub fn new(path: Path, phones: &'a Phones, lines: &'a mut [Line]) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut by_remote = HashMap::new();
        for (number, line) in lines.iter().enumerate() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
            epoll.add(&line.client.socket, event)?;
            by_remote.insert(line.phone.remote, number);
        }
        Ok(Self {
            speech: [
                path.at_client().payloads(CLIENT)?,
                path.at_phone().payloads(PHONE)?,
            ],
            path,
            phones,
            lines,
            epoll,
            by_remote,
            round: 0,
            begun: Instant::now(),
            buffer: vec![0; 2048],
            recorded: Default::default(),
            outcome: Outcome::default(),
        })
    }

    /// Lets sound flow for so long.
    pub fn run(&mut self, time: Duration) -> Result<Outcome> {
        let start = Instant::now();
        let mut tick = 0;
        while tick < time.as_millis() {
            let due = start + Duration::from_millis(tick as u64);
            let now = Instant::now();
            if now < due {
                self.receive((due - now).min(NAP))?;
                continue;
            }
            if now - due > Duration::from_millis(20) {
                self.outcome.late += 1;
            }
            self.send(tick as usize % SLOTS)?;
            tick += 1;
            self.receive(Duration::ZERO)?;
        }
        let end = Instant::now() + DRAIN;
        while Instant::now() < end {
            self.receive(Duration::from_millis(1))?;
        }
        let mut outcome = std::mem::take(&mut self.outcome);
        let ends = [self.path.at_phone(), self.path.at_client()];
        for ((heard, speech), recorded) in outcome.heard.iter_mut().zip(ends).zip(&self.recorded) {
            let sound = speech.listen(recorded)?.last(Duration::from_millis(500));
            *heard = (!sound.samples.is_empty()).then(|| sound.measure());
        }
        self.recorded = Default::default();
        Ok(outcome)
    }

    /// Sends what is due in one of the milliseconds of a packet.
    fn send(&mut self, slot: usize) -> Result<()> {
        if slot == 0 {
            self.round += 1;
        }
        let stamp = self.begun.elapsed().as_nanos() as u64;
        let stamp = self.path.is_relayed().then_some(stamp);
        let [of_client, of_phone] = [self.path.at_client(), self.path.at_phone()];
        let (round, now) = (self.round, Instant::now());
        let [client_says, phone_says] = &self.speech;
        let mut packet = Vec::with_capacity(256);
        for (number, line) in self.lines.iter_mut().enumerate().skip(slot).step_by(SLOTS) {
            let Line { client, phone } = line;
            write(&mut packet, of_client, client_says, round, number, stamp);
            let (socket, to) = (&client.socket, client.remote);
            let sent = client
                .protection
                .seal(&packet, |it| socket.send_to(it, to))?;
            note(sent, self.outcome.sent.first_mut())?;
            write(&mut packet, of_phone, phone_says, round, number, stamp);
            let (socket, to) = (&self.phones.socket, phone.remote);
            let sent = phone
                .protection
                .seal(&packet, |it| socket.send_to(it, to))?;
            note(sent, self.outcome.sent.last_mut())?;
            // Consent has to be asked for now and then (RFC 7675).
            if round.is_multiple_of(25) {
                client.advance(now)?;
            }
        }
        Ok(())
    }

    /// Takes in what came, after waiting for it so long.
    fn receive(&mut self, wait: Duration) -> Result<()> {
        std::thread::sleep(wait);
        let now = Instant::now();
        loop {
            let (length, from) = match self.phones.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error).context("receiving as phones"),
            };
            let (path, begun) = (self.path, self.begun);
            let packet = self.buffer.get(..length).unwrap_or_default();
            let Some(number) = self.by_remote.get(&from) else {
                continue;
            };
            let Some(line) = self.lines.get_mut(*number) else {
                continue;
            };
            if !is_sound(packet) {
                continue;
            }
            let end = End::of(&mut self.outcome, &mut self.recorded, 0);
            let says = self.speech.first().map(Vec::as_slice).unwrap_or_default();
            end.hear(
                &mut line.phone.protection,
                packet,
                *number,
                path,
                says,
                begun,
            );
        }
        let mut events = [EpollEvent::empty(); 128];
        loop {
            let count = self.epoll.wait(&mut events, EpollTimeout::ZERO)?;
            for event in events.iter().take(count) {
                let number = usize::try_from(event.data())?;
                let Some(line) = self.lines.get_mut(number) else {
                    continue;
                };
                let (path, begun) = (self.path, self.begun);
                let (outcome, recorded) = (&mut self.outcome, &mut self.recorded);
                let says = self.speech.last().map(Vec::as_slice).unwrap_or_default();
                line.client
                    .receive(&mut self.buffer, now, |protection, packet| {
                        let end = End::of(outcome, recorded, 1);
                        end.hear(protection, packet, number, path, says, begun);
                    })?;
            }
            if count < events.len() {
                return Ok(());
            }
        }
    }
}

/// Where packets come out: at phones or at clients.
struct End<'a> {
    carried: &'a mut u64,
    spoilt: &'a mut u64,
    latency: Option<&'a mut Latencies>,
    recorded: &'a mut Vec<Vec<u8>>,
}

impl<'a> End<'a> {
    fn of(outcome: &'a mut Outcome, recorded: &'a mut [Vec<Vec<u8>>; 2], place: usize) -> Self {
        let [at_phone, at_client] = &mut outcome.carried;
        let [of_phone, of_client] = recorded;
        let (carried, recorded) = match place {
            0 => (at_phone, of_phone),
            _ => (at_client, of_client),
        };
        Self {
            carried,
            spoilt: &mut outcome.spoilt,
            latency: (place == 0).then_some(&mut outcome.latency),
            recorded,
        }
    }

    fn hear(
        self,
        protection: &mut super::protection::Protection,
        packet: &[u8],
        number: usize,
        path: Path,
        says: &[Vec<u8>],
        begun: Instant,
    ) {
        *self.carried += 1;
        // Taking off protection is work, and so only some are looked into.
        if protection.is_some() && number != 0 && !self.carried.is_multiple_of(16) {
            return;
        }
        let is_right = protection.open(packet, |packet| {
            let payload = packet.get(HEAD..).unwrap_or_default();
            if number == 0 {
                self.recorded.push(payload.to_vec());
            }
            if !path.is_relayed() {
                return !payload.is_empty();
            }
            let (stamp, rest) = payload.split_at_checked(STAMP).unwrap_or_default();
            let (time, place) = stamp.split_at_checked(8).unwrap_or_default();
            let sent = time.try_into().map_or(0, u64::from_be_bytes);
            if let Some(latency) = self.latency {
                let now = begun.elapsed().as_nanos() as u64;
                latency.add(Duration::from_nanos(now.saturating_sub(sent)));
            }
            let said = place
                .first()
                .and_then(|place| says.get(usize::from(*place)));
            said.and_then(|said| said.get(STAMP..)) == Some(rest)
        });
        if is_right != Some(true) {
            *self.spoilt += 1;
        }
    }
}

fn write(
    packet: &mut Vec<u8>,
    speech: Speech,
    says: &[Vec<u8>],
    round: u64,
    number: usize,
    stamp: Option<u64>,
) {
    let place = round as usize % says.len().max(1);
    packet.clear();
    packet.extend_from_slice(&[0x80, speech.payload_type()]);
    packet.extend_from_slice(&(round as u16).to_be_bytes());
    packet.extend_from_slice(&(round as u32).wrapping_mul(speech.ticks()).to_be_bytes());
    packet.extend_from_slice(&(number as u32 + 1).to_be_bytes());
    packet.extend_from_slice(says.get(place).map(Vec::as_slice).unwrap_or_default());
    if let (Some(stamp), Some(free)) = (stamp, packet.get_mut(HEAD..HEAD + STAMP)) {
        let (time, last) = free.split_at_mut(8);
        time.copy_from_slice(&stamp.to_be_bytes());
        last.fill(place as u8);
    }
}

fn note(sent: std::io::Result<usize>, count: Option<&mut u64>) -> Result<()> {
    match sent {
        Ok(_) => *count.context("two ends")? += 1,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(error).context("sending sound"),
    }
    Ok(())
}

fn is_sound(packet: &[u8]) -> bool {
    matches!(packet, [128..=191, 0..=191 | 224.., ..])
}

/// Milliseconds of a packet: a twentieth of the calls speaks in each.
const SLOTS: usize = 20;
const HEAD: usize = 12;
/// The time a packet was sent, and which one of the second it is.
const STAMP: usize = 9;
/// How long what came may wait to be looked at: it is part of every latency.
const NAP: Duration = Duration::from_micros(200);
/// How long the last packets may take.
const DRAIN: Duration = Duration::from_millis(300);
