//! A bad line: datagrams that pass through it are lost, late, or out of order, by a seed.
//!
//! The ends send to the relay instead of to each other. One end is known, the other is learnt from
//! what it sends, as a NAT would.
//!
//! Invariant: which datagram suffers what depends on the seed and its number alone.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What happens to datagrams, in each direction alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// Of 1000 datagrams so many are lost.
    pub lost: u32,
    /// Of 1000 so many are held back until two others have passed.
    pub late: u32,
    /// Of 1000 so many come twice.
    pub twice: u32,
    /// What each takes.
    pub delay: Duration,
    /// What each takes besides, at most.
    pub jitter: Duration,
    /// Decides which.
    pub seed: u64,
}

/// A relay between a known end and one that is learnt.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Relay {
    /// Listens at `address` (port 0: any) for both ends; what the unknown end sends goes to `known`.
    pub fn start(address: &str, known: SocketAddr, line: Line) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("binding {address}"))?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        let relay = Self {
            address: socket.local_addr()?,
            over: Arc::default(),
            counts: Arc::default(),
        };
        let (over, counts) = (Arc::clone(&relay.over), Arc::clone(&relay.counts));
        thread::spawn(move || run(&socket, known, line, &over, &counts));
        Ok(relay)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams it let pass.
    pub fn passed(&self) -> u64 {
        self.counts.passed.load(Ordering::Relaxed)
    }

    /// Datagrams it lost.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What befalls one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fate {
    copies: u8,
    after: Duration,
}

impl Line {
    /// The fate of the datagram of this number.
    fn fate(&self, number: u64) -> Fate {
        let chance = |purpose: u64| scramble(self.seed ^ scramble(number ^ purpose << 56)) % 1_000;
        let copies = match () {
            () if chance(1) < u64::from(self.lost) => 0,
            () if chance(2) < u64::from(self.twice) => 2,
            () => 1,
        };
        let mut after = self.delay + self.jitter.mul_f64(chance(3) as f64 / 1_000.0);
        if chance(4) < u64::from(self.late) {
            after += HELD_BACK;
        }
        Fate { copies, after }
    }
}

fn run(socket: &UdpSocket, known: SocketAddr, line: Line, over: &AtomicBool, counts: &Counts) {
    let mut learnt = None;
    let mut number = 0;
    let mut due: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)> = BTreeMap::new();
    let mut buffer = [0; 2_048];
    while !over.load(Ordering::Relaxed) {
        while let Some(entry) = due.first_entry() {
            if entry.key().0 > Instant::now() {
                break;
            }
            let (to, bytes) = entry.remove();
            // An end that is gone loses what is for it.
            if socket.send_to(&bytes, to).is_ok() {
                counts.passed.fetch_add(1, Ordering::Relaxed);
            }
        }
        // The timeout is the pace at which late datagrams are looked after.
        let Ok((length, source)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let to = if source == known {
            learnt
        } else {
            learnt = Some(source);
            Some(known)
        };
        let fate = line.fate(number);
        let Some(to) = to.filter(|_| fate.copies > 0) else {
            number += 1;
            counts.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        for copy in 0..fate.copies {
            let place = (Instant::now() + fate.after, 2 * number + u64::from(copy));
            due.insert(place, (to, bytes.to_vec()));
        }
        number += 1;
    }
}

/// A number that looks like chance (the finaliser of splitmix64).
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Two packets of usual length, and a little more.
const HELD_BACK: Duration = Duration::from_millis(45);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Law;
    use crate::rtp::{Peer, Stream};

    #[test]
    fn a_seed_decides_the_fate_of_every_datagram() {
        let line = Line {
            lost: 100,
            late: 50,
            twice: 10,
            seed: 7,
            ..Line::default()
        };
        let fates: Vec<Fate> = (0..10_000).map(|number| line.fate(number)).collect();
        assert_eq!(
            fates,
            (0..10_000)
                .map(|number| line.fate(number))
                .collect::<Vec<_>>()
        );
        let count =
            |wanted: &dyn Fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        assert!((900..1_100).contains(&count(&|fate| fate.copies == 0)));
        assert!((50..150).contains(&count(&|fate| fate.copies == 2)));
        assert!((400..600).contains(&count(&|fate| !fate.after.is_zero())));
        let other = Line { seed: 8, ..line };
        assert_ne!(
            fates,
            (0..10_000)
                .map(|number| other.fate(number))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_tone_passes_a_bad_line_both_ways() {
        let here = Peer::bind("127.0.0.1:0").unwrap();
        let there = Peer::bind("127.0.0.1:0").unwrap();
        let line = Line {
            lost: 100,
            late: 100,
            seed: 3,
            ..Line::default()
        };
        let relay = Relay::start("127.0.0.1:0", there.address().unwrap(), line).unwrap();
        here.send(Stream::tone(relay.address(), Law::A, 440));
        there.wait_packets(5).unwrap();
        there.send(Stream::tone(relay.address(), Law::A, 880));
        let came = there.wait_packets(50).unwrap();
        here.wait_packets(5).unwrap();
        assert!(relay.lost() > 0 && relay.passed() > 0);
        let in_order = came
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence);
        assert!(!in_order, "nothing was late");
    }
}
