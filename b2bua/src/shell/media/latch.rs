//! Where packets of a SIP leg may come from, and where they are sent to (specs T12).
//!
//! The description names an address; behind a NAT the packets come from another port, sometimes from
//! the address signalling comes from. That is believed once, shortly after the description, and then
//! nothing else until the next description: whoever guesses a port hears nothing and says nothing.
//! The announced address itself is always believed, or what is left of a party whose place another
//! has taken would keep the line.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The other end of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Latch {
    announced: Option<SocketAddr>,
    signalling: IpAddr,
    target: Option<SocketAddr>,
    /// Where authentic packets came from since the description.
    source: Option<SocketAddr>,
    until: Instant,
}

impl Latch {
    /// Nothing may come and nothing is sent.
    pub(super) fn closed(now: Instant) -> Self {
        Self {
            announced: None,
            signalling: IpAddr::from([0, 0, 0, 0]),
            target: None,
            source: None,
            until: now,
        }
    }

    /// A description came: its address, and where it came from.
    pub(super) fn describe(
        &mut self,
        announced: Option<SocketAddr>,
        signalling: IpAddr,
        now: Instant,
        window: Duration,
    ) {
        let unchanged = announced == self.announced && announced.is_some();
        *self = Self {
            announced,
            signalling,
            // Behind a NAT the announced address is worse than the one that worked.
            target: if unchanged { self.target } else { announced },
            source: None,
            until: now + window,
        };
    }

    /// Whether a packet from there may belong to this end. If it proves authentic: [`Self::lock`].
    pub(super) fn admits(&self, from: SocketAddr, now: Instant) -> bool {
        if self.source.is_some() {
            return self.source == Some(from) || self.announced == Some(from);
        }
        let ip = from.ip();
        let likely = ip == self.signalling || self.announced.is_some_and(|it| it.ip() == ip);
        self.announced == Some(from) || (now < self.until && likely)
    }

    /// An authentic packet came from there. Tells whether that is news.
    pub(super) fn lock(&mut self, from: SocketAddr) -> bool {
        let moves = self.announced.is_some() && self.target != Some(from);
        let news = self.source.is_none() || moves;
        self.source = Some(from);
        // Where the description wants nothing sent, nothing is sent.
        if self.announced.is_some() {
            self.target = Some(from);
        }
        news
    }

    /// The neighbouring port's packets came from there: ours will, too.
    pub(super) fn expect(&mut self, ip: IpAddr, now: Instant, window: Duration) {
        if self.source.is_none() {
            self.signalling = ip;
            self.until = now + window;
        }
    }

    /// Where packets are sent to.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        self.target
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(5);

    fn addresses() -> [(&'static str, SocketAddr); 5] {
        [
            ("announced", "192.0.2.1:4000".parse().unwrap()),
            ("announced, other port", "192.0.2.1:4002".parse().unwrap()),
            ("signalling", "198.51.100.7:5004".parse().unwrap()),
            (
                "signalling, later port",
                "198.51.100.7:6000".parse().unwrap(),
            ),
            ("stranger", "203.0.113.9:4000".parse().unwrap()),
        ]
    }

    fn described(now: Instant) -> Latch {
        let mut latch = Latch::closed(now);
        let [(_, announced), ..] = addresses();
        latch.describe(
            Some(announced),
            "198.51.100.7".parse().unwrap(),
            now,
            WINDOW,
        );
        latch
    }

    #[test]
    fn transitions() {
        let now = Instant::now();
        let late = now + WINDOW;
        let locked = |index: usize| {
            let mut latch = described(now);
            latch.lock(addresses()[index].1);
            latch
        };
        let states = [
            ("closed", Latch::closed(now), now),
            ("open", described(now), now),
            ("open, later", described(now), late),
            ("locked to announced", locked(0), now),
            ("locked to other port", locked(1), now),
            ("locked to signalling", locked(2), late),
        ];
        let mut table =
            "| state | from | admitted | then sent to |\n|---|---|---|---|\n".to_owned();
        for (name, latch, at) in states {
            for (from, address) in addresses() {
                let mut after = latch;
                let admitted = latch.admits(address, at);
                if admitted {
                    after.lock(address);
                }
                let target = after.target().map(|it| it.to_string());
                let target = target.unwrap_or("-".into());
                let _ = writeln!(table, "| {name} | {from} | {admitted} | {target} |");
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_new_description_opens_again_and_keeps_what_worked() {
        let now = Instant::now();
        let mut latch = described(now);
        let [(_, announced), (_, other), ..] = addresses();
        latch.lock(other);
        latch.describe(Some(announced), announced.ip(), now, WINDOW);
        assert_eq!(latch.target(), Some(other));
        assert!(latch.admits(announced, now));
        let moved = "192.0.2.50:4000".parse().unwrap();
        latch.describe(Some(moved), announced.ip(), now, WINDOW);
        assert_eq!(latch.target(), Some(moved));
    }

    #[test]
    fn without_an_address_nothing_is_sent() {
        let now = Instant::now();
        let mut latch = Latch::closed(now);
        let signalling: SocketAddr = "198.51.100.7:5004".parse().unwrap();
        latch.describe(None, signalling.ip(), now, WINDOW);
        assert!(latch.admits(signalling, now));
        latch.lock(signalling);
        assert_eq!(latch.target(), None);
        // Music for whoever is held goes on.
        assert!(latch.admits(signalling, now + 2 * WINDOW));
        assert!(!latch.admits("198.51.100.7:6000".parse().unwrap(), now));
    }
}
