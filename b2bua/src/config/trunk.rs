//! `[[trunk]]`: a way out to SIP, and who may come in by it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_shared::bounds::MANY;
use tandem_shared::config::{ConfigError, Origin, Secret};

mod text;

pub(super) use text::OneOrMany;
pub use text::{FromText, Networks, NextHopText, Patterns};

use super::call::{CallSection, EarlyMedia};
use super::listen::{HostName, ListenRow, SipSection, TransportName};
use super::numbering::{NO_COUNTRY, is_country};
use super::optional_secret;
use crate::call::negotiate::{Demand, Encoding, Keys, Policy, Srtp};
use crate::number::{Format, Plan};
use crate::shell::transport::{CertificateFiles, Dial};
use crate::sip::Transport;
use crate::sip::digest::Credential;
use crate::sip::uri::{Host, HostPort};
use crate::trunk::{Asserts, NextHop, Pattern, Privacy, Register, Trunk};

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkRow {
    /// Where it stands.
    #[serde(skip)]
    pub origin: Origin,
    /// What logs, `register` and `[emergency] trunk` call it; our Contact there follows from it.
    pub name: String,
    /// Which contacts it takes; none when it is for inbound requests only.
    #[serde(default, rename = "match")]
    pub patterns: Patterns,
    /// `sip:host:port` or `host:port`; the contact's own domain when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHopText>,
    /// Lowest first among trunks that fit equally well.
    #[serde(default)]
    pub priority: u16,
    /// Its share among those of the same priority.
    #[serde(default = "weight")]
    pub weight: u16,
    /// How requests go; as DNS says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportName>,
    /// The name its certificate must bear, if not that of the next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// PEM file of the authorities that may vouch for it; those of `[sip]` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// PEM file of the certificate chain shown to it; none is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The path that its WebSocket is asked for.
    #[serde(default = "ws_path")]
    pub ws_path: String,
    /// The host in URIs of numbers; that of the next hop when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<HostName>,
    /// Whether, without a next hop, names may lead into the own network.
    #[serde(default)]
    pub allow_private: bool,
    /// Who users are there.
    #[serde(default)]
    pub from: FromText,
    /// How it is told who calls, beside From.
    #[serde(default)]
    pub identity: IdentityHeader,
    /// What it learns of callers that are hidden.
    #[serde(default)]
    pub privacy: Privacy,
    /// How numbers are written toward it.
    #[serde(default)]
    pub number_format: NumberFormat,
    /// How it writes numbers; the same when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound_format: Option<NumberFormat>,
    /// The code of the country it is in; that of `[numbering]` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Digits before every number that is called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Ranges of addresses inbound requests may come from.
    #[serde(default)]
    pub inbound: Networks,
    /// The domain whose certificate lets in requests, wherever they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_name: Option<HostName>,
    /// Whether requests with its password are let in, wherever they come from.
    #[serde(default)]
    pub inbound_auth: bool,
    /// Its user name there, with `inbound_password`; `username` when absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub inbound_username: String,
    /// The password, or else `inbound_password_file`.
    #[serde(default, skip_serializing_if = "Secret::is_empty")]
    pub inbound_password: Secret,
    /// A file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound_password_file: Option<PathBuf>,
    /// Whether P-Asserted-Identity names the sender.
    #[serde(default)]
    pub trust_identity: bool,
    /// Answers challenges, with `password`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password, or else `password_file`.
    #[serde(default, skip_serializing_if = "Secret::is_empty")]
    pub password: Secret,
    /// A file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The only realm the account is for; any realm of the next hop when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// Whether it has to be told where we are.
    #[serde(default)]
    pub register: bool,
    /// The user whose address is registered; that of the account when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// For how many seconds.
    #[serde(default = "expires")]
    pub expires: u32,
    /// Whether flows are asked for (RFC 5626).
    #[serde(default = "outbound")]
    pub outbound: bool,
    /// How many flows are kept at once, each to another server of the next hop (RFC 5626 §4.2).
    #[serde(default = "flows")]
    pub flows: u8,
    /// Seconds between two questions whether it is there; 0 for none.
    #[serde(default = "keepalive")]
    pub keepalive: u64,
    /// Seconds between two datagrams that keep the way through a NAT open; 0 for none.
    #[serde(default = "nat_keepalive")]
    pub nat_keepalive: u64,
    /// Most calls on it; 0 for no bound.
    #[serde(default)]
    pub channels: usize,
    /// Whether texts that are too long go in parts.
    #[serde(default)]
    pub split: bool,
    /// Whether parts of a text that come from it are joined.
    #[serde(default = "join")]
    pub join: bool,
    /// Most bytes of a request over a stream.
    #[serde(default = "max_size")]
    pub max_size: usize,
    /// How requests go that are too large for UDP.
    #[serde(default)]
    pub large: Large,
    /// Codecs of its calls, best first.
    #[serde(default = "codecs")]
    pub codecs: Vec<Encoding>,
    /// How the sound of its calls is protected.
    #[serde(default = "srtp")]
    pub srtp: Srtp,
    /// What becomes of a call whose other side does not protect it.
    #[serde(default = "srtp_demand")]
    pub srtp_demand: Demand,
    /// Milliseconds of sound in a packet, where the other side has no wish.
    #[serde(default = "ptime")]
    pub ptime: u16,
    /// How it hears pressed keys.
    #[serde(default)]
    pub dtmf: Keys,
    /// What is done with sound before the answer; what `[call]` says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_media: Option<EarlyMedia>,
}

/// How a trunk is told who calls, beside From.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityHeader {
    /// Not at all.
    #[default]
    None,
    /// P-Asserted-Identity.
    Asserted,
    /// P-Preferred-Identity.
    Preferred,
    /// Remote-Party-ID.
    RemoteParty,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberFormat {
    /// `+15551234567`
    #[default]
    #[serde(rename = "+e164")]
    Plus,
    /// `15551234567`
    #[serde(rename = "e164")]
    Bare,
    /// As people of the country dial.
    #[serde(rename = "national")]
    National,
}

impl From<NumberFormat> for Format {
    fn from(format: NumberFormat) -> Self {
        match format {
            NumberFormat::Plus => Self::Plus,
            NumberFormat::Bare => Self::Bare,
            NumberFormat::National => Self::National,
        }
    }
}

/// How requests go that are too large for UDP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Large {
    /// Over TCP to the same hop.
    #[default]
    Tcp,
    /// Over TLS to the same host.
    Tls,
    /// Not at all.
    Off,
}

impl TrunkRow {
    /// What is wrong with what it says about calls.
    fn sound(&self) -> Option<&'static str> {
        if self.codecs.is_empty() {
            return Some("codecs: must name at least one of opus, g722, pcma, pcmu");
        }
        let mut named = HashSet::new();
        if !self.codecs.iter().all(|codec| named.insert(*codec)) {
            return Some("codecs: names one twice");
        }
        if self.srtp == Srtp::Off && self.srtp_demand == Demand::Require {
            return Some("srtp_demand: \"require\" needs srtp = \"sdes\" or \"dtls\"");
        }
        if ![10, 20, 30, 40, 60].contains(&self.ptime) {
            return Some("ptime: must be 10, 20, 30, 40 or 60 milliseconds");
        }
        None
    }

    /// What is wrong with what it says about TLS and WebSocket.
    fn secured(&self) -> Option<&'static str> {
        if self.certificate.is_some() != self.key.is_some() {
            return Some("certificate and key belong together");
        }
        let says = self.tls_name.is_some() || self.authorities.is_some() || self.key.is_some();
        let may = self
            .transport
            .is_none_or(|name| Transport::from(name).is_secure());
        if says && !may && self.large != Large::Tls {
            return Some(
                "tls_name, authorities, certificate and key: only for transport = \"tls\" or \"wss\", or large = \"tls\"",
            );
        }
        let is_path = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        let readable = self.ws_path.starts_with('/') && self.ws_path.bytes().all(is_path);
        (!readable).then_some("ws_path: must begin with a slash; write \"/\" or \"/ws\"")
    }

    /// How it is connected to.
    pub(super) fn dial(&self, sip: &SipSection) -> Dial {
        let usual = usual_dial(sip);
        let files = self.certificate.clone().zip(self.key.clone());
        Dial {
            authorities: self.authorities.clone().or(usual.authorities),
            certificate: files.map(|(chain, key)| CertificateFiles { chain, key }),
            path: self.ws_path.clone(),
        }
    }

    /// Reads its secret and checks what must fit together.
    pub(super) fn finish(&mut self, listen: &[ListenRow]) -> Result<(), ConfigError> {
        let name = self.name.clone();
        let wrong = |text: &str| Err(ConfigError(format!("trunk {name:?}: {text}")));
        for (key, text) in [
            ("name", Some(&self.name)),
            ("account", self.account.as_ref()),
            ("realm", self.realm.as_ref()),
            ("tls_name", self.tls_name.as_ref()),
        ] {
            if text.is_some_and(String::is_empty) {
                return wrong(&format!("{key}: must not be empty"));
            }
        }
        let password = optional_secret(
            "trunk.password",
            &self.password,
            self.password_file.as_deref(),
        )?;
        if password.is_some() == self.username.is_empty() {
            return wrong("username and password (or password_file) belong together");
        }
        self.password = password.unwrap_or_default();
        self.password_file = None;
        self.finish_guest()?;
        if !self.username.is_empty() && self.next_hop.is_none() {
            return wrong("username: only with a next_hop, so that no other host is ever answered");
        }
        let by_host = |pattern: &Pattern| matches!(pattern, Pattern::Host(_));
        if !self
            .prefix
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
        {
            return wrong("prefix: must be digits, * and #");
        }
        if !self.country.as_deref().is_none_or(is_country) {
            return wrong(NO_COUNTRY);
        }
        if self.register && self.username.is_empty() && self.account.is_none() {
            return wrong("register: needs an account; give username and password, or account");
        }
        if self.register && self.next_hop.is_none() {
            return wrong("register: needs a next_hop, the provider's registrar");
        }
        if !(60..=604_800).contains(&self.expires) {
            return wrong("expires: must be from 60 to 604800 seconds");
        }
        if !(1..=4).contains(&self.flows) {
            return wrong("flows: must be from 1 to 4");
        }
        if self.flows > 1 && !(self.register && self.outbound) {
            return wrong("flows: more than one needs register = true, and outbound");
        }
        let hop = self.next_hop.as_ref().map(|hop| &hop.0.host);
        if self.flows > 1 && hop.is_some_and(|host| host.ip().is_some()) {
            return wrong(
                "flows: an address is one server, and each flow leads to another one; \
                name the provider in next_hop, or write flows = 1",
            );
        }
        if self.keepalive != 0 && !(5..=3600).contains(&self.keepalive) {
            return wrong("keepalive: must be 0, or from 5 to 3600 seconds");
        }
        if self.nat_keepalive > 3600 {
            return wrong("nat_keepalive: must be from 0 to 3600 seconds");
        }
        if self.channels > MANY {
            return wrong(&format!("channels: must be from 0 to {MANY}"));
        }
        if self.next_hop.is_none() && !self.patterns.0.iter().all(|(_, pattern)| by_host(pattern)) {
            return wrong(
                "next_hop: is missing; only patterns like \"*@domain\" lead anywhere by themselves",
            );
        }
        if let Some(text) = self.secured() {
            return wrong(text);
        }
        if !(1300..=65_535).contains(&self.max_size) {
            return wrong("max_size: must be from 1300 to 65535 bytes");
        }
        if let Some(text) = self.sound() {
            return wrong(text);
        }
        if let Some(NextHopText(HostPort {
            host: Host::Ip(ip),
            port,
        })) = &self.next_hop
        {
            let transport = self.transport.map_or(Transport::Udp, Transport::from);
            let default = transport.default_port();
            let (ip, port) = (*ip, port.unwrap_or(default));
            if listen
                .iter()
                .any(|row| row.address.ip() == ip && row.address.port() == port)
            {
                return wrong("next_hop: leads back to a listener of this process");
            }
        }
        Ok(())
    }

    /// The trunk it describes.
    pub(super) fn trunk(&self, plan: &Plan, call: &CallSection) -> Result<Trunk, ConfigError> {
        let credentials = (!self.username.is_empty()).then(|| Credential {
            user: self.username.as_str().into(),
            password: self.password.reveal().into(),
            realm: self.realm.as_deref().map(Into::into),
        });
        Ok(Trunk {
            patterns: self
                .patterns
                .0
                .iter()
                .map(|(_, pattern)| pattern.clone())
                .collect(),
            next_hop: self
                .next_hop
                .clone()
                .map(|NextHopText(HostPort { host, port })| NextHop { host, port }),
            priority: self.priority,
            weight: self.weight,
            transport: self.transport.map(Transport::from),
            tls_name: self.tls_name.as_deref().map(Into::into),
            domain: self.domain.clone().map(|HostName(host)| host),
            allow_private: self.allow_private,
            identity: self.from.0.clone(),
            asserts: match self.identity {
                IdentityHeader::None => Asserts::Nothing,
                IdentityHeader::Asserted => Asserts::Asserted,
                IdentityHeader::Preferred => Asserts::Preferred,
                IdentityHeader::RemoteParty => Asserts::RemoteParty,
            },
            privacy: self.privacy,
            format: self.number_format.into(),
            inbound_format: self.inbound_format.unwrap_or(self.number_format).into(),
            plan: plan.of(self.country.as_deref()),
            prefix: self.prefix.clone(),
            credentials,
            split: self.split,
            join: self.join,
            max_size: self.max_size,
            large: match self.large {
                Large::Tcp => Some(Transport::Tcp),
                Large::Tls => Some(Transport::Tls),
                Large::Off => None,
            },
            register: self.register.then(|| Register {
                user: self.account.clone().unwrap_or(self.username.clone()),
                expires: self.expires,
                outbound: self.outbound,
                flows: self.flows,
            }),
            keepalive: (self.keepalive > 0).then(|| Duration::from_secs(self.keepalive)),
            nat_keepalive: (self.nat_keepalive > 0)
                .then(|| Duration::from_secs(self.nat_keepalive)),
            channels: self.channels,
            inbound: self.inbound.0.iter().map(|(_, network)| *network).collect(),
            peer_name: self.peer_name.clone().map(|name| String::from(name).into()),
            inbound_account: self.inbound_account(),
            media: Policy {
                codecs: self.codecs.clone(),
                srtp: self.srtp,
                demand: self.srtp_demand,
                ptime: self.ptime,
                keys: self.dtmf,
                early_media: self.early_media.unwrap_or(call.early_media) == EarlyMedia::Connect,
            },
            trust_identity: self.trust_identity,
            ..Trunk::new(&self.name)
        })
    }
}

/// How a trunk is connected to that says nothing about it.
pub(super) fn usual_dial(sip: &SipSection) -> Dial {
    Dial {
        authorities: sip.authorities.clone(),
        certificate: None,
        path: ws_path(),
    }
}

fn ws_path() -> String {
    "/".to_owned()
}

fn expires() -> u32 {
    3600
}

fn outbound() -> bool {
    true
}

fn flows() -> u8 {
    1
}

fn keepalive() -> u64 {
    30
}

fn nat_keepalive() -> u64 {
    25
}

fn weight() -> u16 {
    1
}

fn codecs() -> Vec<Encoding> {
    Policy::default().codecs
}

fn srtp() -> Srtp {
    Policy::default().srtp
}

fn srtp_demand() -> Demand {
    Policy::default().demand
}

fn ptime() -> u16 {
    Policy::default().ptime
}

fn join() -> bool {
    true
}

fn max_size() -> usize {
    8192
}
