//! `b2bua.toml`: what stands in it, and the [`Settings`] that follow from it.
//!
//! Every value is checked while it is read or in [`Schema::finish`]; what passes cannot fail later.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_shared::address::Mapping;
use tandem_shared::bus::url::Url;
use tandem_shared::config::{
    BusSection, ConfigError, Fault, Findings, LogSection, Places, Schema, Secret,
};

use crate::emergency::Emergency;
use crate::number::{Numbers, Row};
use crate::settings::{NatSettings, Settings};
use crate::shell::transport::{Dial, Limits, TransportConfig};
use crate::sip::Transport;
use crate::sip::endpoint::{Admission, EndpointConfig, SentBy};
use crate::sip::hop::Profile;
use crate::sip::transaction::Timers;
use crate::sip::uri::{Host, HostPort};
use crate::trunk::{NextHop, Trunks};

pub mod accounts;
pub mod call;
mod examine;
mod guest;
pub mod listen;
pub mod message;
pub mod numbering;
pub mod policy;
pub mod process;
pub mod trunk;

pub use accounts::AccountsSection;
pub use call::{CallSection, MediaSection};
pub use guest::DigestName;
pub use listen::{ListenRow, SipSection, TransportName};
pub use message::{EmergencySection, MessageSection};
pub use numbering::{NumberRow, NumberingSection};
pub use policy::PolicySection;
pub use process::{AdminSection, Durability, LimitsSection, StoreSection, StrangersSection};
pub use trunk::{Patterns, TrunkRow};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[mapping]`
    pub mapping: Mapping,
    /// `[bus]`
    #[serde(default)]
    pub bus: BusSection,
    /// `[log]`
    #[serde(default)]
    pub log: LogSection,
    /// `[sip]`
    #[serde(default)]
    pub sip: SipSection,
    /// `[message]`
    #[serde(default)]
    pub message: MessageSection,
    /// `[call]`
    #[serde(default)]
    pub call: CallSection,
    /// `[media]`
    #[serde(default)]
    pub media: MediaSection,
    /// `[emergency]`
    #[serde(default)]
    pub emergency: EmergencySection,
    /// `[store]`
    #[serde(default)]
    pub store: StoreSection,
    /// `[strangers]`
    #[serde(default)]
    pub strangers: StrangersSection,
    /// `[admin]`
    #[serde(default)]
    pub admin: AdminSection,
    /// `[limits]`
    #[serde(default)]
    pub limits: LimitsSection,
    /// `[[listen]]`
    #[serde(default = "listen::loopback")]
    pub listen: Vec<ListenRow>,
    /// `[[trunk]]`
    #[serde(default)]
    pub trunk: Vec<TrunkRow>,
    /// `[numbering]`
    #[serde(default)]
    pub numbering: NumberingSection,
    /// `[policy]`
    #[serde(default)]
    pub policy: PolicySection,
    /// `[accounts]`
    #[serde(default)]
    pub accounts: AccountsSection,
    /// `[[number]]`
    #[serde(default)]
    pub number: Vec<NumberRow>,
}

/// What files in `conf.d` may add.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropIn {
    /// `[[trunk]]`
    #[serde(default)]
    pub trunk: Vec<TrunkRow>,
    /// `[[number]]`
    #[serde(default)]
    pub number: Vec<NumberRow>,
}

impl Schema for Config {
    const TABLES: &'static [&'static str] = &[
        "accounts",
        "admin",
        "bus",
        "call",
        "emergency",
        "limits",
        "listen",
        "log",
        "mapping",
        "media",
        "message",
        "number",
        "numbering",
        "policy",
        "trunk",
        "sip",
        "store",
        "strangers",
    ];
    const FOREIGN_TABLES: &'static [&'static str] = &["xmpp"];
    const DEFAULT_PATH: &'static str = "/etc/tandem/b2bua.toml";
    const FORMER_TABLES: &'static [(&'static str, &'static str)] = &[(
        "route",
        "[[route]] is called [[trunk]] now, with the same keys",
    )];

    type DropIn = DropIn;

    fn place(&mut self, places: &Places) {
        for (at, row) in self.listen.iter_mut().enumerate() {
            row.origin = places.row("listen", at);
        }
        place(&mut self.trunk, &mut self.number, places);
    }

    fn absorb(&mut self, mut drop_in: DropIn, places: &Places) {
        place(&mut drop_in.trunk, &mut drop_in.number, places);
        self.trunk.extend(drop_in.trunk);
        self.number.extend(drop_in.number);
    }

    fn examine(&self) -> Result<Findings, Fault> {
        examine::examine(self)
    }

    fn finish(mut self) -> Result<Self, Fault> {
        self.mapping = self.mapping.normalised().map_err(|refusal| {
            let text = refusal.text.unwrap_or_default();
            ConfigError(format!("mapping.domain, mapping.user_domains: {text}"))
        })?;
        listen::check(&self.listen, &self.sip)?;
        for at in 0..self.trunk.len() {
            self.finish_trunk(at)?;
        }
        guest::check(&self.trunk, &self.sip, &self.listen)?;
        self.message.check()?;
        self.call.check()?;
        self.media.check(&self.listen)?;
        self.numbering.finish()?;
        self.accounts.finish()?;
        self.policy.check(&self.mapping)?;
        self.strangers.check()?;
        self.limits.check()?;
        self.admin.check(&self.bus.url, &self.store)?;
        self.admin.socket = Some(self.admin_socket());
        self.emergency.check(&self.trunk)?;
        self.numbers()?;
        Ok(self)
    }
}

/// Notes where rows stand.
fn place(trunks: &mut [TrunkRow], numbers: &mut [NumberRow], places: &Places) {
    for (at, row) in trunks.iter_mut().enumerate() {
        row.origin = places.row("trunk", at);
    }
    for (at, row) in numbers.iter_mut().enumerate() {
        row.origin = places.row("number", at);
    }
}

impl Config {
    /// Reads the secrets of a trunk and checks it.
    fn finish_trunk(&mut self, at: usize) -> Result<(), Fault> {
        let (before, rest) = self.trunk.split_at_mut(at);
        let Some(row) = rest.first_mut() else {
            return Ok(());
        };
        if let Some(other) = before.iter().find(|other| other.name == row.name) {
            let first = other.origin.place();
            let first = first.map_or_else(String::new, |place| format!(", first at {place}"));
            let text = format!("trunk.name: {:?} is there twice{first}", row.name);
            return Err(row.origin.fault(ConfigError(text)));
        }
        row.finish(&self.listen).map_err(|ConfigError(text)| {
            // What knows the key alone does not know of which trunk.
            let named = match text.strip_prefix("trunk.") {
                Some(rest) => format!("trunk {:?}: {rest}", row.name),
                None => text,
            };
            row.origin.fault(ConfigError(named))
        })
    }

    /// What the core is told, now that it is known where the sockets listen. `trunks` are those the
    /// sockets ask whom to let in: where one registers, its registrar is let in from then on.
    ///
    /// # Errors
    /// None after [`Schema::finish`] went well.
    pub fn settings(
        &self,
        trunks: &Arc<Trunks>,
        listening: &[(Transport, SocketAddr)],
    ) -> Result<Settings, ConfigError> {
        let admission = self.admission(trunks);
        let sockets = self.sockets(listening);
        let sent_by = self.sent_by(&sockets);
        let other = sent_by_other(&sent_by, &sockets);
        let mut endpoint = EndpointConfig::new(sent_by, admission);
        endpoint.sent_by_other = Some(other);
        endpoint.timers = Timers {
            t1: Duration::from_millis(self.sip.t1_ms),
            ..Timers::default()
        };
        endpoint.accounts = trunks.accounts();
        endpoint.realm = self.mapping.domain.as_str().into();
        endpoint.digests = self.sip.digests.iter().map(|name| (*name).into()).collect();
        endpoint.strangers = self.strangers.strangers();
        endpoint.max_open_client = self.limits.transactions;
        endpoint.max_open_server = self.limits.transactions;
        endpoint.max_finished = self.limits.answered;
        let endpoint = endpoint.with_calls();
        Ok(Settings {
            mapping: self.mapping.clone(),
            trunks: Arc::clone(trunks),
            numbers: self.numbers().map_err(|fault| fault.error)?,
            numbering: self.numbering.numbering(),
            accounts: self.accounts.settings(),
            policy: self.policy.policy(&self.numbering, &self.mapping),
            emergency: Emergency::new(self.emergency.numbers.iter().cloned())
                .with_trunk(self.emergency.trunk.clone()),
            endpoint,
            message: self.message.settings(),
            call: self.call.settings(),
            nat: NatSettings {
                learns: listen::learns(&self.listen, &self.sip),
                stun: self.sip.stun.as_ref().map(|place| NextHop {
                    host: place.0.host.clone(),
                    port: place.0.port,
                }),
            },
            global_failures: self.sip.global_failures,
        })
    }

    /// The trunks.
    ///
    /// # Errors
    /// Names the key and the fix.
    pub fn trunks(&self) -> Result<Arc<Trunks>, ConfigError> {
        let plan = self.numbering.plan();
        let dials = self.dials();
        let trunk = |row: &TrunkRow| {
            let mut trunk = row.trunk(&plan, &self.call)?;
            let own = row.dial(&self.sip);
            let profile = dials.iter().position(|dial| *dial == own);
            trunk.profile = Profile(profile.and_then(|at| at.try_into().ok()).unwrap_or(0));
            Ok(trunk)
        };
        let rows: Result<Vec<_>, _> = self.trunk.iter().map(trunk).collect();
        Ok(Arc::new(Trunks::new(rows?)))
    }

    /// How trunks are connected to, each way once; the first is the usual one.
    fn dials(&self) -> Vec<Dial> {
        let mut dials = vec![trunk::usual_dial(&self.sip)];
        for row in &self.trunk {
            let dial = row.dial(&self.sip);
            if !dials.contains(&dial) {
                dials.push(dial);
            }
        }
        dials
    }

    /// Where admins ask.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        let Url::Local(bus) = &self.bus.url;
        let beside = || bus.with_file_name("b2bua-admin.sock");
        self.admin.socket.clone().unwrap_or_else(beside)
    }

    /// What media is told.
    #[must_use]
    pub fn media(&self) -> crate::shell::media::Settings {
        self.media.settings(self.call.max)
    }

    /// Who may come in: the sources of all trunks.
    #[must_use]
    pub fn admission(&self, trunks: &Arc<Trunks>) -> Admission {
        let (passwords, certificates) = (!trunks.accounts().is_empty(), trunks.has_certified());
        let (gate, same) = (trunks.gate(), trunks.gate());
        Admission::new(move |source| gate.admits(source))
            .with_trust(move |source| same.trusts(source))
            .with_strangers(passwords, certificates)
    }

    /// What the sockets are told.
    #[must_use]
    pub fn transport(&self, admission: Admission) -> TransportConfig {
        let is_udp = |row: &&ListenRow| row.transport == TransportName::Udp;
        let (udp, streams): (Vec<&ListenRow>, _) = self.listen.iter().partition(is_udp);
        TransportConfig {
            udp: udp.into_iter().map(|row| row.address).collect(),
            streams: streams.into_iter().map(ListenRow::listener).collect(),
            dials: self.dials(),
            admission,
            limits: Limits {
                connections: self.limits.connections,
                connections_per_source: self.limits.connections_per_source,
                first: Duration::from_secs(self.limits.first_message),
                ..Limits::default()
            },
        }
    }

    fn numbers(&self) -> Result<Numbers, Fault> {
        let mut all: Vec<Vec<Row>> = Vec::new();
        let mut seen: HashMap<String, &NumberRow> = HashMap::new();
        for row in &self.number {
            let rows = row.rows(&self.mapping);
            let rows = rows.map_err(|error| row.origin.fault(error))?;
            let number = rows.first().map(|row| row.number.clone());
            let twice = number.and_then(|number| seen.insert(number, row));
            if let Some(other) = twice {
                let first = other.origin.place();
                let first = first.map_or_else(String::new, |place| format!(", first at {place}"));
                let text = format!(
                    "number.number: {:?} is there twice{first}; give it one jid = [...]",
                    row.number
                );
                return Err(row.origin.fault(ConfigError(text)));
            }
            all.push(rows);
        }
        Ok(Numbers::with_rows(all.into_iter().flatten()))
    }

    /// What listens where, with the row of each: listeners of one transport are in its order.
    fn sockets(&self, listening: &[(Transport, SocketAddr)]) -> Vec<Socket> {
        let mut sockets: Vec<Socket> = Vec::new();
        for &(transport, address) in listening {
            let before = sockets.iter().filter(|other| other.transport == transport);
            let mut rows = self.listen.iter();
            let mut rows = rows
                .by_ref()
                .filter(|row| Transport::from(row.transport) == transport);
            let row = rows.nth(before.count());
            sockets.push(Socket {
                transport,
                address,
                public: row.and_then(|row| Some(row.public.clone()?.0)),
            });
        }
        sockets
    }

    fn sent_by(&self, sockets: &[Socket]) -> SentBy {
        let of = |wanted: Transport| {
            let local = sockets.iter().find(|socket| socket.transport == wanted);
            let socket = local.or(sockets.first());
            let public = socket.and_then(|socket| socket.public.as_ref());
            let ip = socket.map_or(std::net::Ipv4Addr::LOCALHOST.into(), |it| it.address.ip());
            let host = self.sip.host.as_ref().map(|host| &host.0);
            HostPort {
                host: public
                    .map(|public| &public.host)
                    .or(host)
                    .cloned()
                    .unwrap_or(Host::Ip(ip)),
                port: local.map(Socket::port),
            }
        };
        SentBy {
            udp: of(Transport::Udp),
            tcp: of(Transport::Tcp),
            tls: of(Transport::Tls),
            ws: of(Transport::Ws),
            wss: of(Transport::Wss),
        }
    }
}

/// One listener.
struct Socket {
    transport: Transport,
    address: SocketAddr,
    public: Option<HostPort>,
}

impl Socket {
    /// The port peers reach it by.
    fn port(&self) -> u16 {
        let public = self.public.as_ref().and_then(|public| public.port);
        public.unwrap_or(self.address.port())
    }
}

/// Where peers reach us whose address is of the other family than `usual`: the listeners there.
fn sent_by_other(usual: &SentBy, sockets: &[Socket]) -> SentBy {
    let of = |wanted: Transport| {
        let usual = usual.of(wanted);
        let is_other = |socket: &&Socket| {
            let other = |ip: std::net::IpAddr| ip.is_ipv4() != socket.address.is_ipv4();
            let is_named = socket.public.is_some() || !socket.address.ip().is_unspecified();
            usual.host.ip().is_some_and(other) && is_named
        };
        let mut found = sockets.iter().filter(|socket| socket.transport == wanted);
        let Some(socket) = found.find(is_other) else {
            return usual.clone();
        };
        let host = socket.public.as_ref().map(|public| public.host.clone());
        HostPort {
            host: host.unwrap_or(Host::Ip(socket.address.ip())),
            port: Some(socket.port()),
        }
    };
    SentBy {
        udp: of(Transport::Udp),
        tcp: of(Transport::Tcp),
        tls: of(Transport::Tls),
        ws: of(Transport::Ws),
        wss: of(Transport::Wss),
    }
}

/// A secret of a row of `table`, from its value or its file; none when neither is there.
fn optional_secret(
    key: &str,
    value: &Secret,
    path: Option<&std::path::Path>,
) -> Result<Option<Secret>, ConfigError> {
    if value.is_empty() && path.is_none() {
        return Ok(None);
    }
    Secret::from_value_or_file(key, value, path).map(Some)
}

#[cfg(test)]
mod tests;
