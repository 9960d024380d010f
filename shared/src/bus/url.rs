//! Where the bus is: the transport chosen by a URL.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A place on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Url {
    /// `local:/path`: a Unix socket; the b2bua listens, the component dials.
    Local(PathBuf),
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("local", path)) if path.starts_with('/') && path.len() <= 100 => {
                Ok(Self::Local(PathBuf::from(path)))
            }
            Some(("local", path)) if path.len() > 100 => {
                Err("the socket's path is over 100 bytes; use a shorter one".to_owned())
            }
            Some(("local", _)) => {
                Err("a local bus needs an absolute path: local:/run/tandem/bus.sock".to_owned())
            }
            Some(("nats", _)) => {
                Err("NATS is not supported yet; use local:/run/tandem/bus.sock".to_owned())
            }
            _ => Err(format!(
                "unknown bus {text:?}; use local:/run/tandem/bus.sock"
            )),
        }
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        match url {
            Url::Local(path) => format!("local:{}", path.display()),
        }
    }
}
