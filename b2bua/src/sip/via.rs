//! The Via header field (RFC 3261 §20.42, RFC 3581).
//!
//! A Via says where the response goes; what the peer wrote is never trusted over what the
//! transport saw (`received`, `rport`).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::grammar;
use super::params::{self, Params};
use super::uri::{Host, HostPort, InvalidUri};

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` or another token, in upper case.
    pub transport: Box<str>,
    /// Host and port of the sender as it knows itself.
    pub sent_by: HostPort,
    /// `branch`, `rport`, `received` and others.
    pub params: Params,
}

impl Via {
    /// Reads one value; the caller has split lists at their commas.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let text = grammar::trim(text);
        let (protocol, rest) = split_protocol(text).ok_or(InvalidUri::NoScheme)?;
        let (sent_by, params) = rest.split_once(';').unwrap_or((rest, ""));
        Ok(Self {
            transport: protocol.to_ascii_uppercase().into(),
            sent_by: HostPort::parse(sent_by)?,
            params: Params::parse(params).ok_or(InvalidUri::Params)?,
        })
    }

    /// The branch, if one is written.
    pub fn branch(&self) -> Option<Cow<'_, str>> {
        self.params
            .get("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// The branch in the text of a Via, when it stands there plainly: what we wrote ourselves and
    /// peers copy needs no more. Of other spellings [`Via::parse`] knows.
    pub fn find_branch(text: &str) -> Option<&str> {
        let params = text.get(text.find(';')?..)?;
        let plain = |branch: &&str| branch.starts_with(MAGIC_COOKIE) && grammar::is_token(branch);
        params::iterate(params)
            .find(|(name, _)| *name == "branch")
            .and_then(|(_, value)| value)
            .filter(plain)
    }

    /// Where the request came from, if the receiver noted it.
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_matches(['[', ']']).parse().ok()
    }

    /// The source port, if the receiver noted it (RFC 3581 §4).
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }
}

/// Splits `SIP / 2.0 / UDP host` into transport and the rest.
fn split_protocol(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('/')?;
    let (version, rest) = rest.split_once('/')?;
    if !grammar::trim(name).eq_ignore_ascii_case("SIP") || grammar::trim(version) != "2.0" {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let (transport, rest) = rest.split_once([' ', '\t'])?;
    grammar::is_token(transport).then_some((transport, rest))
}

impl Via {
    /// The host a peer gave for itself.
    pub fn host(&self) -> &Host {
        &self.sent_by.host
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SIP/2.0/{} {}{}",
            self.transport, self.sent_by, self.params
        )
    }
}

/// What a branch of RFC 3261 begins with (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_white_space_wherever_it_may_stand() {
        let via =
            Via::parse("SIP / 2.0 / UDP  192.0.2.1 : 5070 ; branch = z9hG4bKx ;rport").unwrap();
        assert_eq!(
            via.to_string(),
            "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport"
        );
        assert_eq!(via.branch().as_deref(), Some("z9hG4bKx"));
        assert_eq!(via.rport(), None);
    }

    #[test]
    fn a_plain_branch_is_found_without_reading_the_rest() {
        let find = |text| Via::find_branch(text);
        assert_eq!(
            find("SIP/2.0/UDP h;rport;branch=z9hG4bKx"),
            Some("z9hG4bKx")
        );
        assert_eq!(find("SIP/2.0/UDP h;branch=\"z9hG4bKx\""), None);
        assert_eq!(find("SIP/2.0/UDP h; branch = z9hG4bKx"), None);
        assert_eq!(find("SIP/2.0/UDP h;branch=1"), None);
        assert_eq!(find("SIP/2.0/UDP h"), None);
    }

    #[test]
    fn received_may_be_an_address_of_either_kind() {
        let via = Via::parse("SIP/2.0/TCP h;received=192.0.2.7;rport=9").unwrap();
        assert_eq!(via.received(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(via.rport(), Some(9));
        let via = Via::parse("SIP/2.0/TCP h;received=[::1]").unwrap();
        assert_eq!(via.received(), Some("::1".parse().unwrap()));
    }

    #[test]
    fn an_empty_or_broken_via_is_an_error_and_no_panic() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP ;branch=x",
            "SIP/3.0/UDP h",
            "XYZ/2.0/UDP h",
            "//",
            "SIP/2.0/U@P h",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_prints_reads_back_the_same(text in "SIP/2.0/[A-Z]{3} [a-z0-9.:\\[\\]]{1,12}(;[a-z]{1,4}(=[a-z0-9]{0,4})?){0,3}") {
            if let Ok(via) = Via::parse(&text) {
                prop_assert_eq!(Via::parse(&via.to_string()), Ok(via));
            }
        }
    }
}
