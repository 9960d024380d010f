//! Configuration files: any text is a configuration or one line that says what is wrong.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tandem_shared::config::{ConfigError, Fault, Places, Schema, parse, parse_all};

/// Reads text as the component's configuration.
pub fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse::<Whole>(Path::new("x.toml"), &text) {
        Ok(Whole(config)) => assert!(!config.mapping.user_domains.is_empty()),
        Err(ConfigError(words)) => assert!(words.starts_with("x.toml")),
    }
}

/// Reads texts, divided by a line that holds `--`, as the files of the b2bua's `conf.d`: what passes makes
/// trunks, what does not names its file. Files that they name are not read.
pub fn drop_ins(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.contains("_file") || text.contains('\\') {
        return;
    }
    let path = |at: usize| PathBuf::from(format!("conf.d/{at}.toml"));
    let texts = text.split("\n--\n").take(8).enumerate();
    let texts: Vec<_> = texts
        .map(|(at, text)| (path(at), text.to_owned()))
        .collect();
    match parse_all::<tandem_b2bua::config::Config>(Path::new("x.toml"), B2BUA, &texts) {
        Ok(config) => {
            let trunks = config.trunks().expect("what passes cannot fail later");
            assert_eq!(trunks.iter().count(), config.trunk.len());
            assert!(config.settings(&trunks, &[]).is_ok());
        }
        Err(ConfigError(words)) => {
            assert!(
                words.starts_with("x.toml") || words.starts_with("conf.d/"),
                "{words}"
            );
        }
    }
}

const B2BUA: &str = "[mapping]\ndomain = \"sip.example.com\"\n";

/// The component's configuration without the tables only its shell reads.
#[derive(Deserialize)]
#[serde(transparent)]
struct Whole(tandem_component::config::Config);

impl Schema for Whole {
    const TABLES: &'static [&'static str] = &["mapping", "xmpp", "message", "store"];
    const FOREIGN_TABLES: &'static [&'static str] = &["bus", "log", "listen", "sip", "trunk"];
    const DEFAULT_PATH: &'static str = "/etc/tandem/component.toml";

    type DropIn = tandem_shared::config::NoDropIns;

    fn absorb(&mut self, none: tandem_shared::config::NoDropIns, _: &Places) {
        match none {}
    }

    fn finish(self) -> Result<Self, Fault> {
        let done = self.0.normalised().map(Self);
        done.map_err(|words| ConfigError(words).into())
    }
}
