//! The effective configuration as text, for `print-config`.

use super::ConfigError;
use serde::Serialize;

/// `config` as TOML, with every default filled in and every secret masked.
///
/// # Errors
/// When the configuration has no TOML form, which would be a defect.
pub fn show<S: Serialize>(config: &S) -> Result<String, ConfigError> {
    toml::to_string_pretty(config).map_err(|error| ConfigError(error.to_string()))
}
