//! Which contacts a trunk takes.
//!
//! `+1555*` takes numbers that begin so, `+15551234567` or `*97` one number, `*` every number;
//! `*@pbx.example.com` and `@pbx.example.com` take everybody at that host.

use std::fmt;
use std::str::FromStr;

use tandem_shared::address::{Address, host_from_text, number};

/// One pattern of a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// One number.
    Number(String),
    /// Numbers that begin with these characters.
    Prefix(String),
    /// Everybody at a host, as [`Address::host`] writes it.
    Host(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern; write \"+1555*\", \"*\" for every number, or \"*@pbx.example.com\"")]
pub struct InvalidPattern(String);

impl Pattern {
    /// How well it fits `contact`, the longer the better; nothing when it does not fit. Numbers
    /// are users of `own`, the gateway's domain.
    #[must_use]
    pub fn fit(&self, contact: &Address, own: &str) -> Option<usize> {
        let at_home = contact.host == own;
        let user = contact.user.as_str();
        match self {
            Self::Host(host) => (!at_home && *host == contact.host).then_some(usize::MAX),
            Self::Number(number) => (at_home && number == user).then_some(usize::MAX),
            Self::Prefix(prefix) => {
                (at_home && user.starts_with(prefix) && is_number(user)).then_some(prefix.len())
            }
        }
    }
}

fn is_number(user: &str) -> bool {
    !user.starts_with(|c: char| c.is_ascii_alphabetic()) && number::parse(user).is_some()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(number),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Host(host) => write!(f, "*@{host}"),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        if let Some((user, host)) = text.rsplit_once('@') {
            return match user {
                "" | "*" => host_from_text(host).map(Self::Host).map_err(|_| invalid()),
                _ => Err(invalid()),
            };
        }
        let prefix = text.strip_suffix('*').filter(|_| text != "**");
        let digits = prefix.unwrap_or(text);
        let known = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
        let rest = digits.strip_prefix('+').unwrap_or(digits);
        match prefix {
            _ if !rest.chars().all(known) => Err(invalid()),
            Some(prefix) => Ok(Self::Prefix(prefix.to_owned())),
            None if rest.is_empty() => Err(invalid()),
            None => Ok(Self::Number(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, user: &str, host: &str) -> bool {
        let pattern: Pattern = pattern.parse().unwrap();
        let contact = Address::new(user, host).unwrap();
        pattern.fit(&contact, "sip.example.com").is_some()
    }

    #[test]
    fn number_patterns_take_numbers_of_the_gateway_only() {
        let own = "sip.example.com";
        assert!(fits("+1555*", "+15551234567", own) && !fits("+1555*", "+49301", own));
        assert!(fits("*", "+49301", own) && fits("*", "1234", own) && fits("*", "*97", own));
        assert!(!fits("*", "juliet", own) && !fits("*", "1234", "pbx.example.com"));
        assert!(fits("*97", "*97", own) && !fits("*97", "*98", own));
        assert!(fits("+*", "+49301", own) && !fits("+*", "1234", own));
    }

    #[test]
    fn host_patterns_take_everybody_there() {
        assert!(fits("*@PBX.example.com", "alice", "pbx.example.com"));
        assert!(fits("@192.0.2.1", "1001", "192.0.2.1"));
        assert!(!fits("*@pbx.example.com", "alice", "x.pbx.example.com"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "+", "+1?5", "abc", "alice@pbx", "*@", "+1 555", "1*5x"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
