//! `[accounts]`: accounts of users' own at SIP providers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_shared::address::host_from_text;
use tandem_shared::config::{ConfigError, Secret};

use super::optional_secret;
use crate::account::AccountSettings;

/// What users may keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountsSection {
    /// What their passwords are sealed with in the database; no accounts without it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub key: Secret,
    /// A file that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Most accounts in all.
    pub max: usize,
    /// Most accounts of one user.
    pub per_user: usize,
    /// The domains they may be at.
    pub providers: Vec<String>,
    /// Whether their servers may be in the own network.
    pub allow_private: bool,
}

impl Default for AccountsSection {
    fn default() -> Self {
        Self {
            key: Secret::default(),
            key_file: None,
            max: 1000,
            per_user: 5,
            providers: vec!["*".to_owned()],
            allow_private: false,
        }
    }
}

impl AccountsSection {
    /// Reads the key and checks what can be wrong.
    pub(super) fn finish(&mut self) -> Result<(), ConfigError> {
        let key = optional_secret("accounts.key", &self.key, self.key_file.as_deref())?;
        self.key = key.unwrap_or_default();
        self.key_file = None;
        if !self.key.is_empty() && self.key.reveal().len() < LEAST_KEY {
            return Err(ConfigError(format!(
                "accounts.key: must have {LEAST_KEY} characters or more; \
                \"openssl rand -hex 32\" makes a good one"
            )));
        }
        match self.providers.iter().find(|text| provider(text).is_none()) {
            Some(text) => Err(ConfigError(format!(
                "accounts.providers: {text:?} is no domain; \
                write \"provider.example\", \"*.provider.example\" or \"*\""
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn settings(&self) -> AccountSettings {
        AccountSettings {
            open: !self.key.is_empty(),
            max: self.max,
            per_user: self.per_user,
            providers: self
                .providers
                .iter()
                .filter_map(|it| provider(it))
                .collect(),
            allow_private: self.allow_private,
        }
    }
}

/// A domain accounts may be at, in the form in which that of an account is compared with it.
fn provider(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let (star, domain) = match text.strip_prefix("*.") {
        Some(domain) => ("*.", domain),
        None => ("", text),
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let domain = Some(domain).filter(|it| !it.is_empty() && it.chars().all(plain))?;
    Some(format!("{star}{}", host_from_text(domain).ok()?))
}

/// Fewer characters could be guessed by whoever has the database.
const LEAST_KEY: usize = 32;
