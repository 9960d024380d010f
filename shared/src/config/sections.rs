//! Tables that both processes have.

use crate::bus::url::Url;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// `[bus]`: how the two processes reach each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSection {
    /// Where the bus is.
    pub url: Url,
}

impl Default for BusSection {
    fn default() -> Self {
        Self {
            url: Url::Local(PathBuf::from("/run/tandem/bus.sock")),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as `info,tandem_b2bua=debug`.
    #[serde(deserialize_with = "level")]
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// A level that is one: `check` has to say what starting would.
fn level<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    crate::telemetry::check_level(&text).map_err(serde::de::Error::custom)?;
    Ok(text)
}
