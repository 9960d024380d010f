//! `[store]`, `[admin]`, `[strangers]` and `[limits]`: the process itself.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_shared::bounds::{MANY, YEAR, within};
use tandem_shared::bus::url::Url;
use tandem_shared::config::ConfigError;

use crate::sip::endpoint::Strangers;

/// `[store]`: what survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The database file.
    pub path: PathBuf,
    /// What it must survive.
    pub durability: Durability,
}

/// What the store must survive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process.
    #[default]
    Process,
    /// A power failure; slower.
    Power,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/tandem/b2bua.sqlite"),
            durability: Durability::Process,
        }
    }
}

/// `[admin]`: who asks the running process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSection {
    /// The Unix socket for `tandem-b2bua trunks` and its like; beside that of the bus when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

impl AdminSection {
    /// Checks that it is a path, and one of its own.
    pub(super) fn check(&self, bus: &Url, store: &StoreSection) -> Result<(), ConfigError> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let Url::Local(bus) = bus;
        let text = socket.display();
        if socket.to_string_lossy().starts_with("local:") {
            return Err(ConfigError(format!(
                "admin.socket: \"{text}\" must be a path, without \"local:\""
            )));
        }
        if socket == bus {
            return Err(ConfigError(format!(
                "admin.socket: \"{text}\" is the socket of the bus; name another one"
            )));
        }
        if *socket == store.path {
            return Err(ConfigError(format!(
                "admin.socket: \"{text}\" is the database of [store]; name another path"
            )));
        }
        Ok(())
    }
}

/// `[strangers]`: what sources hear that no trunk names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrangersSection {
    /// What they hear over UDP.
    pub answer: StrangersAnswer,
    /// Requests in a minute after which a source is not looked at any more; 0 for never.
    pub ban_after: u32,
    /// For how many seconds.
    pub ban_for: u64,
}

/// What strangers hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StrangersAnswer {
    /// Nothing.
    #[default]
    Silence,
    /// 403.
    Forbid,
}

impl Default for StrangersSection {
    fn default() -> Self {
        let usual = Strangers::default();
        Self {
            answer: StrangersAnswer::Silence,
            ban_after: usual.ban_after,
            ban_for: usual.ban_for.as_secs(),
        }
    }
}

impl StrangersSection {
    /// Checks that a ban begins and ends.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("strangers.ban_for", self.ban_for, 1..=YEAR, "seconds")
            .map_err(|text| ConfigError(format!("{text}; strangers.ban_after = 0 bans nobody")))
    }

    pub(super) fn strangers(&self) -> Strangers {
        Strangers {
            answer: self.answer == StrangersAnswer::Forbid,
            ban_after: self.ban_after,
            ban_for: Duration::from_secs(self.ban_for),
        }
    }
}

/// `[limits]`: how far what peers cause may grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Most stream connections, both directions.
    pub connections: usize,
    /// Most inbound stream connections from one address, or one /64 of IPv6.
    pub connections_per_source: usize,
    /// Seconds in which whoever connects has to say something whole.
    pub first_message: u64,
    /// Most open SIP transactions, each direction.
    pub transactions: usize,
    /// Most answered requests kept for their retransmissions.
    pub answered: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_source: 32,
            first_message: 30,
            transactions: 32_768,
            answered: 65_536,
        }
    }
}

impl LimitsSection {
    /// Checks that something is left of each.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let first = within(
            "limits.first_message",
            self.first_message,
            1..=3600,
            "seconds",
        );
        let counts = [
            ("limits.connections", self.connections),
            ("limits.connections_per_source", self.connections_per_source),
            ("limits.transactions", self.transactions),
            ("limits.answered", self.answered),
        ];
        let mut counts = counts.into_iter();
        first
            .and_then(|()| counts.try_for_each(|(key, count)| within(key, count, 1..=MANY, "")))
            .map_err(ConfigError)
    }
}
