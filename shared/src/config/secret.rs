//! A value that is used and never shown.

use super::ConfigError;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::Path;

/// A password or shared secret. It prints as `***` everywhere.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that uses it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret of `key`, given in the configuration or in the file `key_file` names.
    ///
    /// # Errors
    /// When both or neither are given, or the file cannot be read or is empty.
    pub fn from_value_or_file(
        key: &str,
        value: &Self,
        path: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        match (value.is_empty(), path) {
            (false, None) => Ok(value.clone()),
            (false, Some(_)) => Err(ConfigError(format!(
                "{key} and {key}_file are both set; keep one of them"
            ))),
            (true, None) => Err(ConfigError(format!(
                "{key} is missing; set {key}, or {key}_file to a file that holds it"
            ))),
            (true, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    ConfigError(format!("{key}_file {}: {error}", path.display()))
                })?;
                let secret = text.trim_end_matches(['\r', '\n']);
                if secret.is_empty() {
                    return Err(ConfigError(format!(
                        "{key}_file {}: is empty",
                        path.display()
                    )));
                }
                Ok(Self::new(secret))
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "***" })
    }
}
