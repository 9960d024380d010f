//! The media of one call without sockets and clock, for fuzz targets: any datagram from anywhere at any time.
//!
//! Invariant: what a stranger sends is not answered, and nothing that comes breaks the call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tandem_shared::media::{
    Candidate, CandidateKind, Codec, Direction, Dtls, IceCredentials, Setup,
};
use tandem_shared::mint::Mint;

use super::dtls::Certificate;
use super::rtcp::WallClock;
use super::settings::Timing;
use super::shard::{Shard, Socket};
use crate::media::{
    AnchorId, Command, Event, Failure, Fingerprint, Flow, Protection, SipLocal, SipPeer, XmppPeer,
};

/// One call.
pub struct Trial {
    shard: Shard,
    now: Instant,
}

/// How the phone protects its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phone {
    /// Not at all.
    Plain,
    /// With keys of its description.
    Keys,
    /// By DTLS, as the one that begins or as the one that waits.
    Dtls {
        /// Whether it begins.
        active: bool,
    },
}

/// Where a datagram comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// From the phone to the port for sound.
    Sound,
    /// From the phone to the port for reports.
    Reports,
    /// From a stranger to the port for sound.
    Stranger,
    /// From the client's address to the port of XMPP legs.
    Client,
    /// From a stranger to it.
    StrangerAtClient,
}

impl Trial {
    /// A call that both sides have described.
    ///
    /// # Panics
    /// When there is no certificate to be had, or no call.
    #[must_use]
    pub fn new(phone: Phone, now: Instant) -> Self {
        static CERTIFICATE: OnceLock<Option<Certificate>> = OnceLock::new();
        let certificate = CERTIFICATE.get_or_init(|| Certificate::generate().ok());
        let certificate = certificate.clone();
        assert!(certificate.is_some(), "no certificate");
        let clock = WallClock::new(now, Duration::from_secs(1_700_000_000));
        let shard = certificate.map(|certificate| {
            let mint = Mint::new([7; 16]);
            Shard::new(certificate, Timing::default(), clock, vec![at(5_000)], mint)
        });
        let mut trial = match shard {
            Some(shard) => Self { shard, now },
            None => unreachable!("it was there a moment ago"),
        };
        trial.shard.open(ANCHOR, at(20_000), at(20_001), now);
        let opened = trial.shard.output.events.pop();
        if let Some(Event::Opened { sip, .. }) = opened {
            trial.connect(phone, &sip);
        }
        trial.check();
        trial
    }

    fn connect(&mut self, phone: Phone, local: &SipLocal) {
        let fingerprint = || ["AB"; 32].join(":");
        let protection = match (phone, local.keys.first()) {
            (Phone::Keys, Some(key)) => Protection::Sdes {
                ours: key.clone(),
                theirs: key.clone(),
            },
            (Phone::Plain | Phone::Keys, _) => Protection::Plain,
            (Phone::Dtls { active }, _) => Protection::Dtls {
                fingerprint: Fingerprint {
                    hash: "sha-256".to_owned(),
                    value: fingerprint(),
                },
                setup: if active {
                    Setup::Active
                } else {
                    Setup::Passive
                },
            },
        };
        let sip = SipPeer {
            rtp: Some(PHONE),
            rtcp: Some(SocketAddr::new(PHONE.ip(), PHONE.port() + 1)),
            signalling: PHONE.ip(),
            protection,
        };
        let xmpp = XmppPeer {
            ice: IceCredentials {
                ufrag: "them".to_owned(),
                pwd: "a-password-that-is-long".to_owned(),
            },
            dtls: Dtls {
                hash: "sha-256".to_owned(),
                fingerprint: fingerprint(),
                setup: Setup::Active,
            },
            controlling: false,
            candidates: vec![Candidate {
                foundation: "1".to_owned(),
                component: 1,
                priority: 1,
                ip: CLIENT.ip(),
                port: CLIENT.port(),
                kind: CandidateKind::Host,
                related: None,
                generation: 0,
            }],
        };
        let anchor = ANCHOR;
        for command in [
            Command::ConnectSip {
                anchor,
                peer: Box::new(sip),
                flow: Box::new(flow("PCMU", 0, 8_000)),
            },
            Command::ConnectXmpp {
                anchor,
                peer: Box::new(xmpp),
                flow: Box::new(flow("opus", 111, 48_000)),
            },
        ] {
            self.shard.handle(command, self.now);
        }
    }

    /// Something comes.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub fn receive(&mut self, place: Place, bytes: &[u8]) {
        let (socket, from) = match place {
            Place::Sound => (Socket::Rtp(ANCHOR), PHONE),
            Place::Reports => {
                let from = SocketAddr::new(PHONE.ip(), PHONE.port() + 1);
                (Socket::Rtcp(ANCHOR), from)
            }
            Place::Stranger => (Socket::Rtp(ANCHOR), STRANGER),
            Place::Client => (Socket::Xmpp(0), CLIENT),
            Place::StrangerAtClient => (Socket::Xmpp(0), STRANGER),
        };
        self.shard.handle_packet(socket, from, bytes, self.now);
        self.check();
    }

    /// Time passes.
    ///
    /// # Panics
    /// As [`Self::receive`].
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.shard.handle_timeout(self.now);
        self.check();
    }

    /// The call ends.
    ///
    /// # Panics
    /// As [`Self::receive`].
    pub fn release(mut self) {
        self.shard
            .handle(Command::Release { anchor: ANCHOR }, self.now);
        let last = self.shard.output.events.pop();
        assert!(matches!(last, Some(Event::Released { .. })), "{last:?}");
        self.check();
    }

    fn check(&mut self) {
        let output = &mut self.shard.output;
        for transmit in output.transmits.drain(..) {
            assert_ne!(transmit.to.ip(), STRANGER.ip(), "a stranger was answered");
        }
        for event in output.events.drain(..) {
            let broken = matches!(
                event,
                Event::Failed {
                    failure: Failure::Socket,
                    ..
                }
            );
            assert!(!broken, "a panic went through the call");
        }
    }
}

fn flow(name: &str, id: u8, clock: u32) -> Flow {
    let codec = |name: &str, id| Codec {
        id,
        name: name.to_owned(),
        clock,
        channels: if name == "opus" { 2 } else { 1 },
        parameters: Vec::new(),
        feedback: Vec::new(),
        ptime: None,
        maxptime: None,
    };
    let events = codec("telephone-event", 101);
    Flow {
        direction: Direction::Both,
        send: codec(name, id),
        receive: vec![codec(name, id), events.clone()],
        events: Some(events),
        ptime: 20,
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), port)
}

const ANCHOR: AnchorId = AnchorId(1);
const PHONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 5)), 4_000);
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 40_000);
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 66)), 4_000);
