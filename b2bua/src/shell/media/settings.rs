//! What media is told at its start.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Where media is reached, and how patient it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads; calls are spread over them.
    pub threads: usize,
    /// Where XMPP legs are reached, one address family each or several.
    pub xmpp: Vec<Interface>,
    /// The first thread's port for XMPP legs, the next thread has the next one; 0: the system chooses.
    pub xmpp_port: u16,
    /// Where SIP legs are reached. The first of the family that fits is used where none is named.
    pub sip: Vec<Interface>,
    /// Ports of SIP legs; each call takes an even one and the next.
    pub ports: RangeInclusive<u16>,
    /// Most calls at once.
    pub max_calls: usize,
    /// Everything about time.
    pub timing: Timing,
}

/// An address packets come in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// The address of this machine.
    pub bind: IpAddr,
    /// The same as others see it: it differs behind a one-to-one NAT.
    pub public: IpAddr,
}

/// How patient media is.
#[derive(Debug, Clone)]
pub struct Timing {
    /// How long ICE and DTLS may take.
    pub connect: Duration,
    /// How long a leg may be silent.
    pub silence: Duration,
    /// How long a leg on hold may be silent.
    pub hold: Duration,
    /// How long after a description another port of the SIP side may show up.
    pub latch: Duration,
    /// Mean time between reports (RFC 3550).
    pub report: Duration,
    /// The least and the most time a missing packet is waited for when transcoding.
    pub wait: RangeInclusive<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: 1,
            xmpp: Vec::new(),
            xmpp_port: 0,
            sip: Vec::new(),
            ports: 20_000..=29_999,
            max_calls: 1000,
            timing: Timing::default(),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            silence: Duration::from_secs(60),
            hold: Duration::from_secs(300),
            latch: Duration::from_secs(5),
            report: Duration::from_secs(5),
            wait: Duration::from_millis(20)..=Duration::from_millis(120),
        }
    }
}

impl Interface {
    /// An address that others see as this machine does.
    #[must_use]
    pub fn plain(address: IpAddr) -> Self {
        Self {
            bind: address,
            public: address,
        }
    }
}
