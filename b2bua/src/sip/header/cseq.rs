//! The CSeq header field (RFC 3261 §20.16).
//!
//! The number is below 2^31 (§8.1.1.5), so that adding one never overflows.

use std::fmt;

use crate::sip::grammar;
use crate::sip::method::Method;

/// Sequence number and method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method, as in the request line.
    pub method: Method,
}

impl CSeq {
    /// Reads `number method`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, method) = grammar::trim(text).split_once([' ', '\t'])?;
        let number = u32::try_from(grammar::parse_number(number)?).ok()?;
        let method = Method::parse(grammar::trim(method))?;
        (number < LIMIT).then_some(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// One more than the largest number.
const LIMIT: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_spaces_are_fine() {
        let cseq = CSeq::parse(" 0009   MESSAGE ").unwrap();
        assert_eq!((cseq.number, cseq.method), (9, Method::Message));
    }

    #[test]
    fn the_largest_u32_is_refused_and_does_not_panic() {
        for text in [
            "4294967295 MESSAGE",
            "2147483648 MESSAGE",
            "36893488147419103232 X",
            "-1 X",
            "1",
            "",
            "x MESSAGE",
        ] {
            assert_eq!(CSeq::parse(text), None, "{text}");
        }
        assert!(CSeq::parse("2147483647 MESSAGE").is_some());
    }
}
