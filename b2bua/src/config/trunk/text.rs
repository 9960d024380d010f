//! What of a `[[trunk]]` is one text or a list of them: patterns, addresses, a next hop, who users are.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::sip::uri::{Host, HostPort, Uri};
use crate::trunk::{Identity, Network, Pattern};

/// One pattern, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "Vec<String>")]
pub struct Patterns(pub(in crate::config) Vec<(String, Pattern)>);

/// A list of address ranges, or one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "Vec<String>")]
pub struct Networks(pub(in crate::config) Vec<(String, Network)>);

/// One text, or a list of them.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "is neither a text nor a list of texts; write \"...\" or [\"...\", \"...\"]"
)]
pub(in crate::config) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub(in crate::config) fn into_texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        self,
    ) -> Result<Vec<(String, T)>, String> {
        let parse = |text: String| match text.parse::<T>() {
            Ok(value) => Ok((text, value)),
            Err(error) => Err(error.to_string()),
        };
        self.into_texts().into_iter().map(parse).collect()
    }
}

impl TryFrom<OneOrMany> for Patterns {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        texts.parse().map(Self)
    }
}

impl TryFrom<OneOrMany> for Networks {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        texts.parse().map(Self)
    }
}

impl From<Patterns> for Vec<String> {
    fn from(patterns: Patterns) -> Self {
        patterns.0.into_iter().map(|(text, _)| text).collect()
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        networks.0.into_iter().map(|(text, _)| text).collect()
    }
}

/// A next hop as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NextHopText(pub(super) HostPort);

impl TryFrom<String> for NextHopText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rest = text.strip_prefix("sip:").unwrap_or(&text);
        let place = match rest.parse::<IpAddr>() {
            Ok(ip) => Ok(HostPort {
                host: Host::Ip(ip),
                port: None,
            }),
            Err(_) => HostPort::parse(rest),
        };
        place
            .map(Self)
            .map_err(|_| {
                format!(
                    "{text:?} is no next hop; write \"sip:pbx.example.com:5060\", and how to get there as \
                    transport = \"tls\""
                )
            })
    }
}

impl From<NextHopText> for String {
    fn from(text: NextHopText) -> Self {
        format!("sip:{}", text.0)
    }
}

/// `user`, `number` or a SIP URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FromText(pub(super) Identity);

impl Default for FromText {
    fn default() -> Self {
        Self(Identity::User)
    }
}

impl TryFrom<String> for FromText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "user" => Ok(Self(Identity::User)),
            "number" => Ok(Self(Identity::Number)),
            _ => match Uri::parse(&text) {
                Ok(uri @ Uri::Sip(_)) => Ok(Self(Identity::Fixed(uri))),
                Ok(Uri::Tel(_) | Uri::Other { .. }) | Err(_) => Err(format!(
                    "{text:?} is no identity; write \"user\", \"number\" or a sip: URI"
                )),
            },
        }
    }
}

impl From<FromText> for String {
    fn from(text: FromText) -> Self {
        match text.0 {
            Identity::User => "user".to_owned(),
            Identity::Number => "number".to_owned(),
            Identity::Fixed(uri) => uri.to_string(),
        }
    }
}
