//! The Session-Expires and Min-SE header fields (RFC 4028).

use std::fmt;

use super::{Headers, Name};
use crate::sip::grammar;
use crate::sip::params::Params;

/// How long a session lives without a refresh, and who refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// Its life.
    pub seconds: u32,
    /// Who refreshes, if it is said.
    pub refresher: Option<Refresher>,
}

/// A side of the request that carries a Session-Expires, not of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// Whoever sent the request.
    Uac,
    /// Whoever answered it.
    Uas,
}

impl SessionExpires {
    /// Reads `seconds;refresher=uac`.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, params) = text.split_once(';').unwrap_or((text, ""));
        let refresher = match Params::parse(params)?.get("refresher").as_deref() {
            Some(name) if name.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(name) if name.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) | None => None,
        };
        Some(Self {
            seconds: read_seconds(seconds)?,
            refresher,
        })
    }
}

impl Headers {
    /// The Session-Expires, if it can be read.
    pub fn session_expires(&self) -> Option<SessionExpires> {
        self.get(Name::SessionExpires)
            .and_then(SessionExpires::parse)
    }

    /// The Min-SE, if it can be read.
    pub fn min_se(&self) -> Option<u32> {
        let text = self.get(Name::MinSe)?;
        read_seconds(text.split(';').next()?)
    }

    /// Whether an option tag stands in a list such as Supported or Require.
    pub fn has_option(&self, name: Name<'_>, tag: &str) -> bool {
        self.values(name)
            .any(|known| known.eq_ignore_ascii_case(tag))
    }
}

fn read_seconds(text: &str) -> Option<u32> {
    u32::try_from(grammar::parse_number(grammar::trim(text))?).ok()
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        f.write_str(match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
            None => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_header_fields() {
        let mut headers = Headers::new();
        headers.push("x", " 1800 ; refresher=UAS");
        headers.push("Min-SE", "90;x=y");
        headers.push("k", "100rel, timer");
        let expires = headers.session_expires().unwrap();
        assert_eq!(expires.to_string(), "1800;refresher=uas");
        assert_eq!(headers.min_se(), Some(90));
        assert!(headers.has_option(Name::Supported, "Timer"));
        for text in ["", "x", "-1", "99999999999", ";refresher=uac"] {
            assert_eq!(SessionExpires::parse(text), None, "{text}");
        }
    }
}
