//! Ranges of addresses requests may come from: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.

use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address range; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
pub struct InvalidNetwork(String);

impl Network {
    /// Whether `address` is in the range; an IPv4-mapped one counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                prefix(u128::from(base.to_bits()) << 96, self.bits)
                    == prefix(u128::from(other.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => {
                prefix(base.to_bits(), self.bits) == prefix(other.to_bits(), self.bits)
            }
            _ => false,
        }
    }

    /// How many leading bits its addresses share.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

impl Network {
    /// Whether it is more of the public network than anybody has of it.
    #[must_use]
    pub fn is_vast(&self) -> bool {
        match self.base {
            IpAddr::V4(_) => self.bits < 8,
            // Private ones, fc00::/7, may be given as a whole.
            IpAddr::V6(base) => self.bits < 7 || (self.bits < 16 && is_public(base.into())),
        }
    }
}

fn prefix(address: u128, bits: u8) -> u128 {
    match bits {
        0 => 0,
        bits => address >> (128 - u32::from(bits.min(128))),
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most),
            None => Some(most),
        };
        let bits: u8 = bits.ok_or_else(invalid)?;
        let canonical = base.to_canonical();
        // Of an IPv4-mapped address the last 32 bits count; a range beyond those is no IPv4.
        Ok(match canonical.is_ipv4() && base.is_ipv6() {
            true => Self {
                base: canonical,
                bits: bits.checked_sub(96).ok_or_else(invalid)?,
            },
            false => Self {
                base: canonical,
                bits,
            },
        })
    }
}

/// Whether an address belongs to the public network: none of ours, of this machine, or of a link.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                // Shared by providers (RFC 6598), and for measurements (RFC 2544).
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let embedded = |high: u16, low: u16| {
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                IpAddr::from([a, b, c, d])
            };
            let [.., high, low] = v6.segments();
            let embeds_private = match (first, second) {
                // NAT64 and 6to4 lead to the address inside.
                (0x64, 0xff9b) => !is_public(embedded(high, low)),
                (0x2002, _) => !is_public(embedded(second, v6.segments()[2])),
                _ => false,
            };
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || first & 0xffc0 == 0xfec0
                || first == 0
                || embeds_private)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_hold_their_addresses_only() {
        assert!(contains("10.0.0.0/8", "10.255.1.2"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("2001:db8::/32", "10.0.0.1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        for (inside, outside) in [
            ("203.0.113.0", "203.0.114.0"),
            ("203.0.113.255", "203.0.112.255"),
        ] {
            let mapped = "::ffff:203.0.113.0/120";
            assert!(contains(mapped, inside) && !contains(mapped, outside));
        }
        assert!(contains("::ffff:203.0.113.1", "203.0.113.1"));
        assert!(!contains("::ffff:203.0.113.1", "203.0.113.0"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10/8",
            "::/129",
            "example.com",
            "1.2.3.4/x",
            "::ffff:203.0.113.0/24",
            "::ffff:0.0.0.0/95",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_own_network_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd77::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "8.8.8.8",
            "203.0.113.9",
            "2001:db8::1",
            "2a00::1",
            "64:ff9b::808:808",
            "100.128.0.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
