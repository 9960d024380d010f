//! `[call]` and `[media]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_shared::bounds::{DAY, MANY, YEAR, within, zero_or_within};
use tandem_shared::config::ConfigError;

use super::ListenRow;
use crate::call::CallSettings;
use crate::shell::media::{Interface, Settings, Timing};

/// `[call]`: how calls are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSection {
    /// Most calls at once.
    pub max: usize,
    /// Seconds a called party may ring.
    pub ring: u64,
    /// What is done with sound before the answer by trunks that say nothing of it.
    pub early_media: EarlyMedia,
    /// Seconds a session may go unrefreshed; 0 asks for no timer.
    pub session_expires: u32,
    /// Seconds an answered call may last; 0 for no bound.
    pub longest: u64,
}

/// What is done with sound before the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyMedia {
    /// The XMPP user is connected to hear it.
    #[default]
    Connect,
    /// The XMPP user waits for the answer.
    Ignore,
}

impl Default for CallSection {
    fn default() -> Self {
        let defaults = CallSettings::default();
        Self {
            max: defaults.max,
            ring: defaults.ring.as_secs(),
            early_media: EarlyMedia::Connect,
            session_expires: defaults.session_expires,
            longest: 14_400,
        }
    }
}

impl CallSection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: &str| Err(ConfigError(format!("call.{text}")));
        match self {
            _ if !(1..=170).contains(&self.ring) => {
                wrong("ring: must be from 1 to 170 seconds; proxies give up after 180")
            }
            _ => within("call.max", self.max, 0..=MANY, "")
                .and_then(|()| {
                    let (key, seconds) = ("call.session_expires", self.session_expires);
                    zero_or_within(key, u64::from(seconds), 90..=DAY, "seconds")
                })
                .and_then(|()| zero_or_within("call.longest", self.longest, 1..=YEAR, "seconds"))
                .map_err(ConfigError),
        }
    }

    pub(super) fn settings(&self) -> CallSettings {
        CallSettings {
            max: self.max,
            ring: Duration::from_secs(self.ring),
            session_expires: self.session_expires,
            longest: (self.longest > 0).then(|| Duration::from_secs(self.longest)),
        }
    }
}

/// `[media]`: where the sound of calls is received, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaSection {
    /// Addresses of this machine for XMPP clients.
    pub addresses: Vec<IpAddr>,
    /// The same as others see them, in the same order; empty: no difference.
    pub public: Vec<IpAddr>,
    /// The UDP port for XMPP clients; each further thread has the next one.
    pub port: u16,
    /// Addresses of this machine for SIP; empty: `addresses`.
    pub sip_addresses: Vec<IpAddr>,
    /// The same as others see them; empty: `public`, or no difference.
    pub sip_public: Vec<IpAddr>,
    /// UDP ports for SIP.
    pub sip_ports: PortRange,
    /// Threads; 0: one for each core.
    pub threads: usize,
    /// Seconds ICE and DTLS may take.
    pub connect: u64,
    /// Seconds a leg may be silent before the call ends.
    pub silence: u64,
    /// The same while the call is held.
    pub hold_silence: u64,
}

impl Default for MediaSection {
    fn default() -> Self {
        let (settings, timing) = (Settings::default(), Timing::default());
        Self {
            addresses: vec![Ipv4Addr::LOCALHOST.into()],
            public: Vec::new(),
            port: 10_000,
            sip_addresses: Vec::new(),
            sip_public: Vec::new(),
            sip_ports: PortRange(settings.ports),
            threads: 0,
            connect: timing.connect.as_secs(),
            silence: timing.silence.as_secs(),
            hold_silence: timing.hold.as_secs(),
        }
    }
}

impl MediaSection {
    pub(super) fn check(&self, listen: &[ListenRow]) -> Result<(), ConfigError> {
        let wrong = |text: &str| Err(ConfigError(format!("media.{text}")));
        match self {
            _ if self.addresses.is_empty() => wrong("addresses: must name at least one address"),
            _ if !pairs(&self.addresses, &self.public) => {
                wrong("public: must be empty or as long as addresses")
            }
            _ if unspecified(&self.addresses) || unspecified(&self.public) => wrong(
                "addresses, public: must be addresses that clients can reach, not 0.0.0.0 or ::",
            ),
            _ if unspecified(&self.sip_addresses) || unspecified(&self.sip_public) => wrong(
                "sip_addresses, sip_public: must be addresses that SIP peers can reach, not 0.0.0.0 or ::",
            ),
            _ if self.port != 0 && self.port.checked_add(self.last_thread()).is_none() => {
                wrong("port: must leave a port for each thread below 65536")
            }
            _ if self.collides() => {
                wrong("port: must not lie in sip_ports, nor those of further threads")
            }
            _ if self.meets(listen) => wrong(
                "port: is that of a [[listen]] over udp, or of a further thread; take another one",
            ),
            _ if !pairs(self.for_sip(), &self.sip_public) => {
                wrong("sip_public: must be empty or as long as sip_addresses")
            }
            _ => {
                let mut times = [
                    ("media.connect", self.connect),
                    ("media.silence", self.silence),
                    ("media.hold_silence", self.hold_silence),
                ]
                .into_iter();
                times
                    .try_for_each(|(key, time)| within(key, time, 1..=DAY, "seconds"))
                    .and_then(|()| within("media.threads", self.threads, 0..=MOST_THREADS, ""))
                    .map_err(ConfigError)
            }
        }
    }

    /// How many threads there are besides the first.
    fn last_thread(&self) -> u16 {
        u16::try_from(self.threads().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    fn collides(&self) -> bool {
        let last = self.port.saturating_add(self.last_thread());
        let PortRange(sip) = &self.sip_ports;
        self.port != 0 && self.port <= *sip.end() && *sip.start() <= last
    }

    /// Whether a listener has taken one of its ports.
    fn meets(&self, listen: &[ListenRow]) -> bool {
        let ports = self.port..=self.port.saturating_add(self.last_thread());
        let taken = |address: SocketAddr| listen.iter().any(|row| row.takes(true, address));
        let mut all = self.addresses.iter().flat_map(|ip| {
            let ports = ports.clone();
            ports.map(|port| SocketAddr::new(*ip, port))
        });
        self.port != 0 && all.any(taken)
    }

    fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }

    pub(super) fn settings(&self, max_calls: usize) -> Settings {
        let sip_public = match (self.sip_addresses.is_empty(), self.sip_public.is_empty()) {
            (true, true) => &self.public,
            (true, false) | (false, _) => &self.sip_public,
        };
        Settings {
            threads: self.threads(),
            xmpp: interfaces(&self.addresses, &self.public),
            xmpp_port: self.port,
            sip: interfaces(self.for_sip(), sip_public),
            ports: self.sip_ports.0.clone(),
            max_calls,
            timing: Timing {
                connect: Duration::from_secs(self.connect),
                silence: Duration::from_secs(self.silence),
                hold: Duration::from_secs(self.hold_silence),
                ..Timing::default()
            },
        }
    }

    fn for_sip(&self) -> &[IpAddr] {
        match self.sip_addresses.is_empty() {
            true => &self.addresses,
            false => &self.sip_addresses,
        }
    }
}

/// `20000-29999`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange(RangeInclusive<u16>);

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port >= 1024);
        let ends = text.split_once('-');
        match ends.and_then(|(low, high)| Some((port(low)?, port(high)?))) {
            Some((low, high)) if low < high => Ok(Self(low..=high)),
            Some(_) | None => Err(format!(
                "{text:?} is no range of ports; write \"20000-29999\", all above 1023"
            )),
        }
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        format!("{}-{}", range.0.start(), range.0.end())
    }
}

/// More than any machine has cores.
const MOST_THREADS: usize = 1024;

fn pairs(addresses: &[IpAddr], public: &[IpAddr]) -> bool {
    public.is_empty() || public.len() == addresses.len()
}

/// Whether one of them names no address of its own: nobody could be told where to send.
fn unspecified(addresses: &[IpAddr]) -> bool {
    addresses.iter().any(IpAddr::is_unspecified)
}

fn interfaces(addresses: &[IpAddr], public: &[IpAddr]) -> Vec<Interface> {
    let addresses = addresses.iter().enumerate();
    addresses
        .map(|(at, bind)| Interface {
            bind: *bind,
            public: *public.get(at).unwrap_or(bind),
        })
        .collect()
}
