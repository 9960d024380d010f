//! The RAck header field (RFC 3262 §7.2): which reliable provisional response a PRACK is for.

use std::fmt;

use super::CSeq;
use crate::sip::grammar;

/// The response number and the CSeq of the request it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq of the INVITE.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads `rseq number method`.
    pub fn parse(text: &str) -> Option<Self> {
        let (rseq, cseq) = grammar::trim(text).split_once([' ', '\t'])?;
        Some(Self {
            rseq: read_rseq(rseq)?,
            cseq: CSeq::parse(cseq)?,
        })
    }
}

/// Reads an RSeq (RFC 3262 §7.1).
fn read_rseq(text: &str) -> Option<u32> {
    let number = grammar::parse_number(grammar::trim(text))?;
    u32::try_from(number).ok()
}

impl super::Headers {
    /// The RSeq of a reliable provisional response.
    pub fn rseq(&self) -> Option<u32> {
        self.get(super::Name::RSeq).and_then(read_rseq)
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_reads_back_the_same() {
        let rack = RAck::parse(" 776656  1 INVITE").unwrap();
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        assert_eq!(RAck::parse(&rack.to_string()), Some(rack));
        for text in ["", "1", "1 2", "x 1 INVITE", "4294967296 1 INVITE"] {
            assert_eq!(RAck::parse(text), None, "{text}");
        }
    }
}
