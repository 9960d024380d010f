//! Configuration files: any text is a configuration or one line that says what is wrong.

use std::path::Path;

use serde::Deserialize;
use tandem_shared::config::{ConfigError, Schema, parse};

/// Reads text as the component's configuration.
pub fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse::<Whole>(Path::new("x.toml"), &text) {
        Ok(Whole(config)) => assert!(!config.mapping.user_domains.is_empty()),
        Err(ConfigError(words)) => assert!(words.starts_with("x.toml")),
    }
}

/// The component's configuration without the tables only its shell reads.
#[derive(Deserialize)]
#[serde(transparent)]
struct Whole(tandem_component::config::Config);

impl Schema for Whole {
    const TABLES: &'static [&'static str] = &["mapping", "xmpp", "message", "store"];
    const FOREIGN_TABLES: &'static [&'static str] = &["bus", "log", "listen", "sip", "trunk"];
    const DEFAULT_PATH: &'static str = "/etc/tandem/component.toml";

    type DropIn = tandem_shared::config::NoDropIns;

    fn absorb(&mut self, none: tandem_shared::config::NoDropIns) {
        match none {}
    }

    fn finish(self) -> Result<Self, ConfigError> {
        self.0.normalised().map(Self).map_err(ConfigError)
    }
}
