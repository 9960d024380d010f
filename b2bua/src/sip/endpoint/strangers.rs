//! Requests of sources that no trunk names: counted, told of in the log, and answered with 403 where
//! the configuration wants that (specs T13).
//!
//! A source in the log is written in full, because whoever reads it may want to lock it out. What is
//! remembered of strangers is bounded; a source that knocks too often hears nothing, but for what
//! [`super::guests`] finds out; the addresses of one IPv6 network, of which anybody has 2^64, are one
//! source. When too many come at once, addresses are forged: then the
//! memory makes room, so that whoever is new can show who it is, and the log says no more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::admission::network;

/// What strangers hear, and when they hear nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strangers {
    /// Whether they hear 403 instead of nothing.
    pub answer: bool,
    /// Requests in a minute after which a source is banned; 0 for never.
    pub ban_after: u32,
    /// For how long.
    pub ban_for: Duration,
}

impl Default for Strangers {
    fn default() -> Self {
        Self {
            answer: false,
            ban_after: 10,
            ban_for: Duration::from_secs(3600),
        }
    }
}

/// Those who knocked.
#[derive(Debug, Default)]
pub(super) struct Seen {
    sources: HashMap<IpAddr, Visitor>,
    /// How often each network was asked for credentials, and since when that is counted.
    networks: HashMap<IpAddr, (Instant, u32)>,
    /// Since when lines of the log are counted, and how many they are.
    log: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct Visitor {
    since: Instant,
    count: u32,
    /// How often it was asked for credentials.
    asked: u32,
    banned: Option<Instant>,
}

/// What is to be done about a request of a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Nothing: it is banned.
    Ignore,
    /// Look at it, and answer if strangers are answered.
    Look,
}

impl Seen {
    /// `source` has sent something that begins with `bytes`.
    pub(super) fn note(
        &mut self,
        source: IpAddr,
        bytes: &[u8],
        rules: &Strangers,
        now: Instant,
    ) -> Treatment {
        let Some(visitor) = self.visitor(source, now) else {
            return Treatment::Ignore;
        };
        visitor.count = visitor.count.saturating_add(1);
        let requests = visitor.count;
        let is_banned = rules.ban_after > 0 && requests >= rules.ban_after;
        if is_banned {
            visitor.banned = Some(now + rules.ban_for);
        }
        if requests == 1 && self.may_tell(now) {
            tracing::info!(%source, method = method(bytes), "a stranger was turned away");
        }
        if is_banned && self.may_tell(now) {
            tracing::warn!(%source, requests, seconds = rules.ban_for.as_secs(),
                "a stranger is banned");
        }
        Treatment::Look
    }

    /// Whether `source` may be asked for credentials once more. Whoever has a false address hears no
    /// more than this, nor does its network if the addresses of all its neighbours are forged in turn.
    pub(super) fn may_ask(&mut self, source: IpAddr, now: Instant) -> bool {
        let may_ask = self.visitor(source, now).is_some_and(|visitor| {
            visitor.asked = visitor.asked.saturating_add(1);
            visitor.asked <= ASKED
        });
        may_ask && self.may_ask_around(neighbourhood(source), now)
    }

    fn may_ask_around(&mut self, network: IpAddr, now: Instant) -> bool {
        if self.networks.len() >= MAX_SOURCES && !self.networks.contains_key(&network) {
            self.networks
                .retain(|_, (since, _)| now.duration_since(*since) <= WINDOW);
            // Addresses are forged everywhere: whoever is new can still show who it is.
            if self.networks.len() > MAX_SOURCES / 2 {
                self.networks.clear();
            }
        }
        let (since, asked) = self.networks.entry(network).or_insert((now, 0));
        if now.duration_since(*since) > WINDOW {
            (*since, *asked) = (now, 0);
        }
        *asked = asked.saturating_add(1);
        *asked <= NETWORK_ASKED
    }

    /// Whether the log may have one more line.
    fn may_tell(&mut self, now: Instant) -> bool {
        let (since, told) = self.log.get_or_insert((now, 0));
        if now.duration_since(*since) > WINDOW {
            (*since, *told) = (now, 0);
        }
        *told = told.saturating_add(1);
        *told <= MAX_TOLD
    }

    /// `source` has shown credentials: it is no stranger.
    pub(super) fn forgive(&mut self, source: IpAddr) {
        self.sources.remove(&network(source));
    }

    /// Whether `source` is banned.
    pub(super) fn is_banned(&self, source: IpAddr, now: Instant) -> bool {
        let banned = self.sources.get(&network(source));
        let banned = banned.and_then(|it| it.banned);
        banned.is_some_and(|until| until > now)
    }

    /// What is remembered of `source`; nothing when it is banned.
    fn visitor(&mut self, source: IpAddr, now: Instant) -> Option<&mut Visitor> {
        let source = network(source);
        if !self.sources.contains_key(&source) && self.sources.len() >= MAX_SOURCES {
            let old = |visitor: &Visitor| match visitor.banned {
                Some(until) => until <= now,
                None => now.duration_since(visitor.since) > WINDOW,
            };
            self.sources.retain(|_, visitor| !old(visitor));
            // Half at least, so that this is seldom done; first those that have done little.
            if self.sources.len() > MAX_SOURCES / 2 {
                self.sources.retain(|_, visitor| visitor.banned.is_some());
            }
            if self.sources.len() > MAX_SOURCES / 2 {
                self.sources.clear();
            }
        }
        let new = || Visitor {
            since: now,
            count: 0,
            asked: 0,
            banned: None,
        };
        let visitor = self.sources.entry(source).or_insert_with(new);
        if visitor.banned.is_some_and(|until| until > now) {
            return None;
        }
        if visitor.banned.is_some() || now.duration_since(visitor.since) > WINDOW {
            *visitor = new();
        }
        Some(visitor)
    }
}

/// The wider network an address is of: what one customer of a provider has, or many small ones.
fn neighbourhood(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
        }
    }
}

/// The method a request begins with, if it looks like one.
fn method(bytes: &[u8]) -> &str {
    let word = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    let plain = (1..=16).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase);
    match plain {
        true => std::str::from_utf8(word).unwrap_or("?"),
        false => "?",
    }
}

/// Most sources remembered.
const MAX_SOURCES: usize = 4096;
/// How often a stranger is asked for credentials in a minute.
const ASKED: u32 = 10;
/// How often all of a /24, or of a /48 of IPv6, are.
const NETWORK_ASKED: u32 = 300;
/// Most lines of the log about strangers in a minute.
const MAX_TOLD: u32 = 1000;
/// What is counted together.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knocks_too_often_is_banned_for_a_while() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let (mut seen, rules) = (Seen::default(), Strangers::default());
        let source = IpAddr::from([203, 0, 113, 9]);
        let mut knock = |at| seen.note(source, b"OPTIONS sip:x SIP/2.0", &rules, at);
        for _ in 0..10 {
            assert_eq!(knock(now), Treatment::Look);
        }
        assert_eq!(knock(now), Treatment::Ignore);
        let later = now + rules.ban_for;
        assert_eq!(knock(later), Treatment::Look);
        // Now and then is not often.
        for minutes in 1..100 {
            assert_eq!(
                knock(later + minutes * 61 * Duration::from_secs(1)),
                Treatment::Look
            );
        }
    }

    #[test]
    fn a_network_is_banned_as_one_source() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let (mut seen, rules) = (Seen::default(), Strangers::default());
        let at = |network: u16, last: u16| {
            IpAddr::from([0x2001, 0xdb8, 0, network, last, 7, last, last])
        };
        for last in 0..10 {
            assert!(!seen.is_banned(at(1, last), now));
            let treatment = seen.note(at(1, last), b"INVITE x", &rules, now);
            assert_eq!(treatment, Treatment::Look);
        }
        assert_eq!(seen.sources.len(), 1);
        assert!(seen.is_banned(at(1, 77), now) && !seen.may_ask(at(1, 78), now));
        assert_eq!(
            seen.note(at(1, 79), b"INVITE x", &rules, now),
            Treatment::Ignore
        );
        assert!(!seen.is_banned(at(2, 0), now) && seen.may_ask(at(2, 0), now));
        seen.forgive(at(1, 80));
        assert!(!seen.is_banned(at(1, 0), now));
        // An address of IPv4 is one, however it is written.
        let (plain, mapped) = ("192.0.2.1", "::ffff:192.0.2.1");
        for _ in 0..10 {
            seen.note(mapped.parse().unwrap(), b"INVITE x", &rules, now);
        }
        assert!(seen.is_banned(plain.parse().unwrap(), now));
        assert!(!seen.is_banned("192.0.2.2".parse().unwrap(), now));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let (mut seen, rules) = (Seen::default(), Strangers::default());
        let banned = IpAddr::from([250, 1, 2, 2]);
        for _ in 0..rules.ban_after {
            seen.note(banned, b"INVITE x", &rules, now);
        }
        let mut most = 0;
        for number in 0..20_000_u32 {
            // Whoever is new has room.
            let source = IpAddr::from(number.to_be_bytes());
            assert_eq!(seen.note(source, b"INVITE x", &rules, now), Treatment::Look);
            assert!(seen.may_ask(source, now));
            most = most.max(seen.sources.len());
        }
        assert_eq!(most, MAX_SOURCES);
        assert!(seen.is_banned(banned, now), "who did little makes room");
        assert!(!seen.may_tell(now), "the log is not flooded");
        for number in 0..200_000_u32 {
            let source = IpAddr::from((number / 10).to_be_bytes());
            seen.note(source, b"INVITE x", &rules, now);
            most = most.max(seen.sources.len());
        }
        assert_eq!(most, MAX_SOURCES);
        let later = now + 2 * rules.ban_for;
        assert!(seen.may_tell(later));
    }

    /// Whoever forges the addresses of a whole network does not have it flooded with our questions.
    #[test]
    fn a_network_is_asked_only_so_often() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let mut seen = Seen::default();
        let mut asked = |network: u8, at| {
            let sources = (0..=255).map(|host| IpAddr::from([203, 0, network, host]));
            let sources: Vec<IpAddr> = sources.collect();
            let mut count = 0;
            for source in (0..10).flat_map(|_| &sources) {
                count += u32::from(seen.may_ask(*source, at));
            }
            count
        };
        assert_eq!(asked(113, now), NETWORK_ASKED);
        assert_eq!(asked(114, now), NETWORK_ASKED);
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!(asked(113, later), NETWORK_ASKED);
        let near = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|text| neighbourhood(text.parse().unwrap()));
            a == b
        };
        assert!(near("2001:db8:1::1", "2001:db8:1:ffff::2"));
        assert!(!near("2001:db8:1::1", "2001:db8:2::1"));
        assert!(near("::ffff:203.0.113.1", "203.0.113.2"));
        for number in 0..20_000_u32 {
            seen.may_ask(IpAddr::from((number << 8).to_be_bytes()), later);
            assert!(seen.networks.len() <= MAX_SOURCES);
        }
    }

    #[test]
    fn a_method_is_a_word_in_capitals() {
        assert_eq!(method(b"REGISTER sip:x SIP/2.0"), "REGISTER");
        assert_eq!(method(b"\x00\x01\x02 x"), "?");
        assert_eq!(method(b"inv\r\nforged line"), "?");
    }
}
