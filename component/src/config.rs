//! The component's configuration (`configs/component.toml` explains every key).

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tandem_shared::address::{Mapping, host_from_text};
use tandem_shared::bounds::{DAY, MANY, within};

/// Seconds beyond `message.retry_for` that the SIP side has to say how a message ended.
const GRACE: u64 = 90;

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose users are served, under which domain.
    pub mapping: Mapping,
    /// The XMPP server.
    pub xmpp: Xmpp,
    /// Messages on their way.
    #[serde(default)]
    pub message: MessageSection,
    /// Calls.
    #[serde(default)]
    pub call: CallSection,
    /// What survives a restart.
    #[serde(default)]
    pub store: Store,
    /// The other process.
    #[cfg(feature = "shell")]
    #[serde(default)]
    pub bus: tandem_shared::config::BusSection,
    /// Logs.
    #[cfg(feature = "shell")]
    #[serde(default)]
    pub log: tandem_shared::config::LogSection,
}

/// `[xmpp]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xmpp {
    /// Host and port of the server's component listener.
    #[serde(default = "server")]
    pub server: String,
    /// The secret shared with the server.
    #[cfg(feature = "shell")]
    #[serde(default)]
    pub secret: tandem_shared::config::Secret,
    /// A file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Domains whose users may use the gateway; those of `[mapping]` when left empty.
    #[serde(default)]
    pub allowed_domains: Vec<String>,
    /// Which address of the server is pinged; the first allowed domain when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<String>,
    /// The largest stanza that is read, in bytes.
    #[serde(default = "max_stanza")]
    pub max_stanza: usize,
}

fn server() -> String {
    "127.0.0.1:5347".to_owned()
}

fn max_stanza() -> usize {
    256 * 1024
}

/// `[message]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageSection {
    /// Seconds for which the SIP side retries; the same as in its configuration.
    pub retry_for: u64,
    /// Messages on their way to SIP at once.
    pub outbox_max: usize,
    /// Messages from SIP that the server has not confirmed at once.
    pub inbox_max: usize,
}

impl Default for MessageSection {
    fn default() -> Self {
        Self {
            retry_for: 600,
            outbox_max: 10_000,
            inbox_max: 4096,
        }
    }
}

impl MessageSection {
    /// How long a message may go without an outcome.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.retry_for.saturating_add(GRACE))
    }
}

/// `[call]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSection {
    /// Seconds for which the devices of a user ring.
    pub ring: u64,
    /// Seconds that a device which took a call has to accept its session.
    pub connect: u64,
    /// Seconds that a calling device has to begin the session it was told to proceed with.
    pub begin: u64,
    /// Calls at once.
    pub max: usize,
    /// Calls of one user at once.
    pub per_user: usize,
}

impl Default for CallSection {
    fn default() -> Self {
        Self {
            ring: 60,
            connect: 20,
            begin: 60,
            max: 4000,
            per_user: 4,
        }
    }
}

/// `[store]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/tandem/component.sqlite"),
            durability: Durability::Process,
        }
    }
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process.
    Process,
    /// The loss of power: every commit waits for the disk.
    Power,
}

impl Config {
    /// Whether users of `domain` may use the gateway.
    #[must_use]
    pub fn allows(&self, domain: &str) -> bool {
        self.xmpp
            .allowed_domains
            .iter()
            .any(|allowed| allowed == domain)
    }

    /// The same configuration with domains in one form and defaults that follow from other keys.
    ///
    /// # Errors
    /// One line that names the key and the fix.
    pub fn normalised(mut self) -> Result<Self, String> {
        let words = |text: Option<String>| text.unwrap_or_default();
        self.mapping = self
            .mapping
            .normalised()
            .map_err(|refusal| format!("mapping: {}", words(refusal.text)))?;
        if self.mapping.user_domains.is_empty() {
            return Err(
                "mapping.user_domains: name the domains whose users the gateway serves".to_owned(),
            );
        }
        if self.xmpp.allowed_domains.is_empty() {
            self.xmpp.allowed_domains = self.mapping.user_domains.clone();
        }
        for domain in &mut self.xmpp.allowed_domains {
            *domain = host_from_text(domain)
                .map_err(|refusal| format!("xmpp.allowed_domains: {}", words(refusal.text)))?;
            if !self.mapping.serves(domain) {
                return Err(format!(
                    "xmpp.allowed_domains: {domain} is not in mapping.user_domains; add it there in both files"
                ));
            }
        }
        if self.xmpp.max_stanza < 10_000 {
            return Err("xmpp.max_stanza: must be at least 10000 (RFC 6120 §13.12)".to_owned());
        }
        if self.xmpp.max_stanza > 1024 * 1024 {
            return Err("xmpp.max_stanza: must be at most 1048576".to_owned());
        }
        if self
            .xmpp
            .server
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok())
            .is_none()
        {
            return Err(format!(
                "xmpp.server: \"{}\" has no port; write host:port, as 127.0.0.1:5347",
                self.xmpp.server
            ));
        }
        let (message, call) = (&self.message, &self.call);
        within("message.retry_for", message.retry_for, 0..=DAY, "seconds")?;
        for (key, count) in [
            ("message.outbox_max", message.outbox_max),
            ("message.inbox_max", message.inbox_max),
            ("call.max", call.max),
            ("call.per_user", call.per_user),
        ] {
            within(key, count, 1..=MANY, "")?;
        }
        for (key, time) in [
            ("call.ring", call.ring),
            ("call.connect", call.connect),
            ("call.begin", call.begin),
        ] {
            within(key, time, 1..=3600, "seconds")?;
        }
        Ok(self)
    }
}

#[cfg(feature = "shell")]
impl tandem_shared::config::Schema for Config {
    const TABLES: &'static [&'static str] =
        &["mapping", "xmpp", "message", "call", "store", "bus", "log"];
    const FOREIGN_TABLES: &'static [&'static str] = &[
        "accounts",
        "admin",
        "emergency",
        "limits",
        "listen",
        "media",
        "number",
        "numbering",
        "policy",
        "sip",
        "strangers",
        "trunk",
    ];
    const DEFAULT_PATH: &'static str = "/etc/tandem/component.toml";

    type DropIn = tandem_shared::config::NoDropIns;

    fn absorb(
        &mut self,
        none: tandem_shared::config::NoDropIns,
        _: &tandem_shared::config::Places,
    ) {
        match none {}
    }

    fn finish(self) -> Result<Self, tandem_shared::config::Fault> {
        let mut config = self
            .normalised()
            .map_err(tandem_shared::config::ConfigError)?;
        config.xmpp.secret = tandem_shared::config::Secret::from_value_or_file(
            "xmpp.secret",
            &config.xmpp.secret,
            config.xmpp.secret_file.as_deref(),
        )?;
        Ok(config)
    }
}

#[cfg(all(test, feature = "shell"))]
mod tests;
