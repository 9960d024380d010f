//! Whose bytes are read: the addresses of configured routes, and where others may show who they are, theirs.
//!
//! Asked before anything is parsed, so that a stranger's flood costs a table look-up each.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What the user part of our Contact at a registrar begins with.
pub const LINE: &str = "tandem-";

/// What a source is counted as: its IPv4 address, or the first address of its /64, since whoever has one
/// address of IPv6 mostly has them all.
#[must_use]
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
    }
}

/// A shared answer to "is this source known?".
#[derive(Clone)]
pub struct Admission {
    check: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Whether it is let in for more than users' own accounts; where nobody says otherwise, it is.
    trust: Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>,
    by_password: bool,
    by_certificate: bool,
}

impl Admission {
    /// Asks `check` for every source; IPv4-mapped addresses arrive there as IPv4.
    pub fn new(check: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self {
            check: Arc::new(check),
            trust: None,
            by_password: false,
            by_certificate: false,
        }
    }

    /// The same where strangers, too, may connect, to show who they are by a password or a certificate.
    #[must_use]
    pub fn with_strangers(mut self, by_password: bool, by_certificate: bool) -> Self {
        (self.by_password, self.by_certificate) = (by_password, by_certificate);
        self
    }

    /// The same where only sources that `trust` knows are let in for more than users' own accounts.
    #[must_use]
    pub fn with_trust(mut self, trust: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.trust = Some(Arc::new(trust));
        self
    }

    /// Whether this source, which is let in, is so for more than users' own accounts.
    pub fn trusts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.trust.as_ref().is_none_or(|trust| trust(source))
    }

    /// Whether strangers may connect to where one `asks_for_certificates`, or does not.
    #[must_use]
    pub fn hears_strangers(&self, asks_for_certificates: bool) -> bool {
        self.by_password || (self.by_certificate && asks_for_certificates)
    }

    /// Whether requests of this source are read.
    pub fn admits(&self, source: IpAddr) -> bool {
        (self.check)(source.to_canonical())
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_counts_as_its_ipv4_address() {
        let admission = Admission::new(|address| address == IpAddr::from([192, 0, 2, 1]));
        assert!(admission.admits("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!admission.admits("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn one_network_is_one_source() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:0:1:7:7:7:7"), "2001:db8:0:1::");
        assert_eq!(of("2001:db8:0:1::"), "2001:db8:0:1::");
        assert_eq!(of("2001:db8:0:2::1"), "2001:db8:0:2::");
    }
}
