//! `[[listen]]` and `[sip]`: where we are.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_shared::config::{ConfigError, Fault, Origin};

use super::guest::DigestName;
use crate::shell::transport::{CertificateFiles, Listener};
use crate::sip::Transport;
use crate::sip::uri::{Host, HostPort};

/// `[[listen]]`: one socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenRow {
    /// Where it stands.
    #[serde(skip)]
    pub origin: Origin,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: TransportName,
    /// Address and port.
    pub address: SocketAddr,
    /// The host and port peers reach it by, where that is not the address; overrides `[sip] host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<PlaceText>,
    /// PEM file of the certificate chain; TLS and WSS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of the private key; TLS and WSS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// PEM file of the authorities of which clients must show a certificate; TLS and WSS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
}

impl ListenRow {
    /// What the sockets are told of it.
    pub(super) fn listener(&self) -> Listener {
        let files = self.certificate.clone().zip(self.key.clone());
        Listener {
            transport: self.transport.into(),
            address: self.address,
            certificate: files.map(|(chain, key)| CertificateFiles { chain, key }),
            client_authorities: self.client_authorities.clone(),
        }
    }
}

/// A transport in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportName {
    /// Datagrams.
    #[default]
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// A WebSocket in the clear.
    Ws,
    /// A WebSocket under TLS.
    Wss,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Udp => Self::Udp,
            TransportName::Tcp => Self::Tcp,
            TransportName::Tls => Self::Tls,
            TransportName::Ws => Self::Ws,
            TransportName::Wss => Self::Wss,
        }
    }
}

/// A host name or address in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(pub(super) Host);

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let host = match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Host::Ip(ip)),
            Err(_) => Host::parse(&text),
        };
        host.map(Self)
            .map_err(|_| format!("{text:?} is neither a host name nor an address"))
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0.to_string()
    }
}

/// `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlaceText(pub(super) HostPort);

impl TryFrom<String> for PlaceText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let place = match text.parse::<IpAddr>() {
            Ok(ip) => Ok(HostPort {
                host: Host::Ip(ip),
                port: None,
            }),
            Err(_) => HostPort::parse(&text),
        };
        let place = place.ok().filter(|place| place.port != Some(0));
        place.map(Self).ok_or_else(|| {
            format!("{text:?} is no host with a port; write \"203.0.113.5:5060\" or \"host:5060\"")
        })
    }
}

impl From<PlaceText> for String {
    fn from(text: PlaceText) -> Self {
        text.0.to_string()
    }
}

/// `[sip]`: who we are to SIP peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipSection {
    /// The name or address peers reach us by; the address of the listener when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The STUN server that is asked how the world sees the UDP listener; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stun: Option<PlaceText>,
    /// PEM file of the authorities whose certificates we trust; the common ones when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// Name servers; those of the system when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<SocketAddr>,
    /// Round-trip estimate in milliseconds, from which all SIP timers follow (RFC 3261 §17.1.1.1).
    pub t1_ms: u64,
    /// Whether a refusal by a whole account becomes a 6xx.
    pub global_failures: bool,
    /// How trunks with `inbound_auth` may prove that they know the password, the best first.
    pub digests: Vec<DigestName>,
}

impl Default for SipSection {
    fn default() -> Self {
        Self {
            host: None,
            stun: None,
            authorities: None,
            nameservers: Vec::new(),
            t1_ms: 500,
            global_failures: false,
            digests: vec![DigestName::Sha256, DigestName::Md5],
        }
    }
}

/// What is listened on unless the file says otherwise: nobody else's address.
pub(super) fn loopback() -> Vec<ListenRow> {
    let row = |transport| ListenRow {
        origin: Origin::default(),
        transport,
        address: SocketAddr::from(([127, 0, 0, 1], 5060)),
        public: None,
        certificate: None,
        key: None,
        client_authorities: None,
    };
    vec![row(TransportName::Udp), row(TransportName::Tcp)]
}

pub(super) fn check(rows: &[ListenRow], sip: &SipSection) -> Result<(), Fault> {
    let wrong = |text: &str| Err(ConfigError(text.to_owned()).into());
    if !(10..=10_000).contains(&sip.t1_ms) {
        return wrong("sip.t1_ms: must be from 10 to 10000");
    }
    for (at, row) in rows.iter().enumerate() {
        let others = rows.iter().take(at);
        row.check(sip, others)
            .map_err(|error| row.origin.fault(error))?;
    }
    let mut udp = rows
        .iter()
        .filter(|row| row.transport == TransportName::Udp);
    if sip.stun.is_some() && udp.all(|row| row.public.is_some()) {
        return wrong("sip.stun: has no use without a udp listener that has no public address");
    }
    Ok(())
}

impl ListenRow {
    fn check<'a>(
        &self,
        sip: &SipSection,
        mut before: impl Iterator<Item = &'a Self>,
    ) -> Result<(), ConfigError> {
        let wrong = |text: &str| Err(ConfigError(text.to_owned()));
        if self.address.ip().is_unspecified() && sip.host.is_none() && self.public.is_none() {
            return wrong(
                "sip.host: is missing; name the host or address peers reach us by, or give listen.public",
            );
        }
        if let Some(PlaceText(HostPort {
            host: Host::Ip(public),
            ..
        })) = &self.public
        {
            if public.is_unspecified() || public.is_multicast() {
                return wrong("listen.public: must be an address or name peers can reach");
            }
            if public.is_ipv4() != self.address.is_ipv4() {
                return wrong("listen.public: must be of the same family as address");
            }
        }
        let files = (&self.certificate, &self.key, &self.client_authorities);
        match (Transport::from(self.transport).is_secure(), files) {
            (true, (Some(_), Some(_), _)) | (false, (None, None, None)) => {}
            (true, _) => {
                return wrong("listen.certificate and listen.key: both are needed for tls and wss");
            }
            (false, _) => {
                return wrong(
                    "listen.certificate, listen.key and listen.client_authorities: only for transport = \"tls\" \
                     or \"wss\"",
                );
            }
        }
        if let Some(other) = before.find(|other| other.takes(self.is_udp(), self.address)) {
            let own = Transport::from(self.transport).as_str().to_lowercase();
            let first = Transport::from(other.transport).as_str().to_lowercase();
            return Err(ConfigError(format!(
                "listen.address: {} over {own} is taken by the [[listen]] at {} over {first}; \
                give it another port",
                self.address, other.address
            )));
        }
        Ok(())
    }

    fn is_udp(&self) -> bool {
        self.transport == TransportName::Udp
    }

    /// Whether it leaves nobody else this address and port. UDP has ports of its own, all streams share
    /// theirs.
    pub(super) fn takes(&self, udp: bool, address: SocketAddr) -> bool {
        let (own, other) = (self.address.ip(), address.ip());
        let meets = own == other || own.is_unspecified() || other.is_unspecified();
        let same_port = self.address.port() == address.port() && address.port() != 0;
        self.is_udp() == udp && same_port && own.is_ipv4() == other.is_ipv4() && meets
    }
}

/// Whether nothing in the file says where the world reaches our first UDP listener, so that others
/// may tell us: `host` counts when it can be meant for the world.
pub(super) fn learns(rows: &[ListenRow], sip: &SipSection) -> bool {
    let mut udp = rows
        .iter()
        .filter(|row| row.transport == TransportName::Udp);
    let private = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => {
            let shared = matches!(ip.octets(), [100, 64..=127, _, _]);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    };
    let open = match &sip.host {
        None => true,
        Some(HostName(host)) => host.ip().is_some_and(|ip| private(&ip)),
    };
    open && udp.next().is_some_and(|row| row.public.is_none())
}
