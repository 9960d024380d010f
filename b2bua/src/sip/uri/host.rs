//! Hosts of URIs and Via fields (RFC 3261 §25.1 `host`, `hostport`).
//!
//! A name holds letters, digits, hyphens, underscores and dots only, in lower case.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::InvalidUri;
use crate::sip::grammar;

/// A domain name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name, in lower case, without a final dot.
    Name(Box<str>),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// A host with an optional port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The domain or address.
    pub host: Host,
    /// The port, if written.
    pub port: Option<u16>,
}

impl Host {
    /// Reads a name, an IPv4 address or an IPv6 address in brackets.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        if let Some(inside) = text.strip_prefix('[') {
            let address = inside.strip_suffix(']').ok_or(InvalidUri::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| InvalidUri::Host)?;
            return Ok(Self::Ip(IpAddr::V6(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.starts_with(|first: char| first.is_ascii_digit())
            && let Ok(address) = name.parse::<Ipv4Addr>()
        {
            return Ok(Self::Ip(IpAddr::V4(address)));
        }
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(valid) {
            return Err(InvalidUri::Host);
        }
        if name
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
        {
            return Err(InvalidUri::Host);
        }
        let mut name: Box<str> = name.into();
        name.make_ascii_lowercase();
        Ok(Self::Name(name))
    }

    /// The address, if it is written as one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl HostPort {
    /// Reads `host` or `host:port`; white space around the colon is tolerated.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let text = grammar::trim(text);
        let after_host = match text.strip_prefix('[') {
            Some(inside) => inside.find(']').map_or(0, |end| end + 2),
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at_checked(after_host).ok_or(InvalidUri::Host)?;
        let host = Host::parse(grammar::trim(host))?;
        let rest = grammar::trim(rest);
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(read_port(grammar::trim(port))?),
            None if rest.is_empty() => None,
            None => return Err(InvalidUri::Host),
        };
        Ok(Self { host, port })
    }
}

fn read_port(text: &str) -> Result<u16, InvalidUri> {
    let number = grammar::parse_number(text).ok_or(InvalidUri::Port)?;
    match u16::try_from(number) {
        Ok(0) | Err(_) => Err(InvalidUri::Port),
        Ok(port) => Ok(port),
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Ip(address.ip()),
            port: Some(address.port()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_both_kinds_of_addresses() {
        for (text, printed) in [
            ("Example.ORG.", "example.org"),
            ("192.0.2.1:5070", "192.0.2.1:5070"),
            ("[2001:DB8::1]:5060", "[2001:db8::1]:5060"),
            ("[::1]", "[::1]"),
            ("host : 5060", "host:5060"),
        ] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_no_host_can_be() {
        for text in [
            "", ":5060", "a..b", "a b", "[::1", "[::1]x", "h:0", "h:65536", "h:-1", "ü.de", "[]",
        ] {
            assert!(HostPort::parse(text).is_err(), "{text}");
        }
    }
}
