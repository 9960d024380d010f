//! A gateway, a browser and a phone on a network and a clock that are made up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_shared::media::{Codec, Direction, Setup};

use super::browser::{Browser, Packet};
use super::phone::Phone;
use super::*;
use crate::media::{Failure, Flow, Leg, Protection, Report};
use crate::shell::media::tone::events;

pub(super) const ANCHOR: AnchorId = AnchorId(1);

pub(super) struct World {
    pub(super) now: Instant,
    start: Instant,
    pub(super) shard: Shard,
    pub(super) browser: Browser,
    pub(super) phone: Phone,
    pub(super) xmpp: XmppLocal,
    pub(super) sip: SipLocal,
    pub(super) events: Vec<Event>,
    /// On their way: due, and what.
    network: Vec<(Instant, u64, Packet)>,
    /// What nobody here has an address for.
    pub(super) astray: Vec<Packet>,
    /// Of 100 packets of sound, how many are lost; whether they overtake each other.
    pub(super) loss: u64,
    pub(super) disorder: bool,
    random: u64,
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn flow(codec: &Codec) -> Flow {
    let (id, clock) = match codec.clock {
        48_000 => (110, 48_000),
        _ => (126, 8000),
    };
    Flow {
        direction: Direction::Both,
        send: codec.clone(),
        receive: vec![codec.clone(), events(110, 48_000), events(126, 8000)],
        events: Some(events(id, clock)),
        ptime: 20,
    }
}

impl World {
    /// An open call, nobody connected.
    pub(super) fn new(browser: Codec, phone: Codec) -> Self {
        let now = Instant::now();
        let clock = WallClock::new(now, Duration::from_secs(1_700_000_000));
        let locals = vec![address("203.0.113.1:5000")];
        let certificate = Certificate::generate().unwrap();
        let mint = Mint::new([7; 16]);
        let mut shard = Shard::new(certificate, Timing::default(), clock, locals, mint);
        let (rtp, rtcp) = (address("203.0.113.1:20000"), address("203.0.113.1:20001"));
        shard.open(ANCHOR, rtp, rtcp, now);
        let Some(Event::Opened { xmpp, sip, .. }) = shard.output.events.pop() else {
            panic!("not opened");
        };
        Self {
            now,
            start: now,
            shard,
            browser: Browser::new(address("192.0.2.10:40000"), browser, now),
            phone: Phone::new(address("198.51.100.5:4000"), phone),
            xmpp: *xmpp,
            sip: *sip,
            events: Vec::new(),
            network: Vec::new(),
            astray: Vec::new(),
            loss: 0,
            disorder: false,
            random: 1,
        }
    }

    /// The same, connected: the browser in that role of DTLS, the phone in plain RTP.
    pub(super) fn connected(browser: Codec, phone: Codec) -> Self {
        let mut world = Self::new(browser.clone(), phone.clone());
        world.connect_browser(Setup::Active, flow(&browser));
        world.connect_phone(Protection::Plain, flow(&phone));
        world.run(Duration::from_secs(2));
        world
    }

    pub(super) fn connect_browser(&mut self, setup: Setup, flow: Flow) {
        let peer = Box::new(self.browser.describe(setup));
        self.browser.connect(&self.xmpp, setup == Setup::Active);
        let (anchor, flow) = (ANCHOR, Box::new(flow));
        self.order(Command::ConnectXmpp { anchor, peer, flow });
    }

    pub(super) fn connect_phone(&mut self, protection: Protection, flow: Flow) {
        self.phone.remote = Some(self.sip.rtp);
        let peer = Box::new(self.phone.describe(protection));
        let (anchor, flow) = (ANCHOR, Box::new(flow));
        self.order(Command::ConnectSip { anchor, peer, flow });
    }

    pub(super) fn order(&mut self, command: Command) {
        self.shard.handle(command, self.now);
        self.collect();
    }

    /// Lets time pass, a millisecond after the other.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.deliver();
            let mut out = Vec::new();
            if self
                .now
                .duration_since(self.start)
                .as_millis()
                .is_multiple_of(20)
            {
                self.browser.talk(self.now);
                self.phone.talk(&mut out);
            }
            self.browser.advance(self.now, &mut out);
            self.phone.advance(self.now, &mut out);
            for packet in out {
                self.post(packet);
            }
            if self.shard.deadline().is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.now);
                self.collect();
            }
        }
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Puts a packet on the network.
    pub(super) fn post(&mut self, packet: Packet) {
        // What leaves the gateway arrives: listeners here do not order anything.
        let comes_in = packet.to.ip() == self.sip.rtp.ip();
        let is_sound = comes_in && packet::classify(&packet.bytes) == Kind::Rtp;
        let mut random = || {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            self.random >> 33
        };
        if is_sound && random() % 100 < self.loss {
            return;
        }
        let jitter = if self.disorder && is_sound {
            random() % 30
        } else {
            0
        };
        let due = self.now + Duration::from_millis(5 + jitter);
        let order = self.network.len() as u64;
        self.network.push((due, order, packet));
    }

    pub(super) fn connected_legs(&self) -> Vec<Leg> {
        let legs = self.events.iter().filter_map(|event| {
            let Event::Connected { leg, .. } = event else {
                return None;
            };
            Some(*leg)
        });
        legs.collect()
    }

    pub(super) fn failures(&self) -> Vec<(Leg, Failure)> {
        let failures = self.events.iter().filter_map(|event| {
            let Event::Failed { leg, failure, .. } = event else {
                return None;
            };
            Some((*leg, *failure))
        });
        failures.collect()
    }

    /// Ends the call and checks that nothing of it is left.
    pub(super) fn release(&mut self) -> Report {
        self.order(Command::Release { anchor: ANCHOR });
        assert_eq!(self.shard.sizes(), (0, 0), "something was left behind");
        match self.events.pop() {
            Some(Event::Released { report, .. }) => *report,
            other => panic!("no report but {other:?}"),
        }
    }

    fn deliver(&mut self) {
        let due: Vec<_> = {
            let now = self.now;
            let (mut due, later): (Vec<_>, Vec<_>) =
                self.network.drain(..).partition(|(at, ..)| *at <= now);
            self.network = later;
            due.sort_by_key(|(at, order, _)| (*at, *order));
            due
        };
        let mut out = Vec::new();
        for (_, _, packet) in due {
            let socket = if packet.to == self.sip.rtp {
                Some(Socket::Rtp(ANCHOR))
            } else if packet.to == self.sip.rtcp {
                Some(Socket::Rtcp(ANCHOR))
            } else if self
                .xmpp
                .candidates
                .iter()
                .any(|it| it.port == packet.to.port())
            {
                Some(Socket::Xmpp(0))
            } else {
                None
            };
            if let Some(socket) = socket {
                let (from, bytes) = (packet.from, &packet.bytes);
                self.shard.handle_packet(socket, from, bytes, self.now);
                self.collect();
            } else if packet.to == self.browser.address {
                self.browser.receive(&packet, self.now, &mut out);
            } else if packet.to == self.phone.rtp || packet.to == self.phone.rtcp {
                self.phone.receive(&packet, self.now, &mut out);
            } else {
                self.astray.push(packet);
            }
        }
        for packet in out {
            self.post(packet);
        }
    }

    fn collect(&mut self) {
        let output = std::mem::take(&mut self.shard.output);
        self.events.extend(output.events);
        for transmit in output.transmits {
            let from = match transmit.socket {
                Socket::Xmpp(_) => address("203.0.113.1:5000"),
                Socket::Rtp(_) => self.sip.rtp,
                Socket::Rtcp(_) => self.sip.rtcp,
            };
            let (to, bytes) = (transmit.to, transmit.bytes.to_vec());
            self.post(Packet { from, to, bytes });
        }
    }
}
