//! The Reason header field (RFC 3326): why a request was sent, beyond its method.

use std::fmt;

use super::{Headers, Name};
use crate::sip::grammar;
use crate::sip::params::Params;
use crate::sip::status::Status;

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Whose numbers the cause is of.
    pub protocol: Protocol,
    /// The number, if there is one.
    pub cause: Option<u16>,
    /// Words for a person.
    pub text: Option<Box<str>>,
}

/// Whose numbers a cause is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A SIP status code.
    Sip,
    /// A cause value of the telephone network.
    Q850,
}

impl Reason {
    /// A SIP status as a reason.
    pub fn sip(status: Status) -> Self {
        Self {
            protocol: Protocol::Sip,
            cause: Some(status.code()),
            text: Some(status.reason().into()),
        }
    }

    /// A cause of the telephone network.
    pub fn q850(cause: u16) -> Self {
        Self {
            protocol: Protocol::Q850,
            cause: Some(cause),
            text: None,
        }
    }

    /// With these words.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Reads one reason; `None` for protocols nobody here understands.
    pub fn parse(text: &str) -> Option<Self> {
        let (protocol, params) = text.split_once(';').unwrap_or((text, ""));
        let protocol = match grammar::trim(protocol).to_ascii_uppercase().as_str() {
            "SIP" => Protocol::Sip,
            "Q.850" => Protocol::Q850,
            _ => return None,
        };
        let params = Params::parse(params)?;
        let cause = params.get("cause");
        let cause = cause.and_then(|cause| grammar::parse_number(&cause));
        let text = params.get("text").filter(|text| !text.is_empty());
        Some(Self {
            protocol,
            cause: cause.and_then(|cause| u16::try_from(cause).ok()),
            text: text.map(|text| text.into_owned().into()),
        })
    }
}

impl Headers {
    /// The reasons given, at most eight.
    pub fn reasons(&self) -> Vec<Reason> {
        self.values(Name::Reason)
            .filter_map(Reason::parse)
            .take(MAX)
            .collect()
    }

    /// Adds reasons.
    pub fn push_reasons(&mut self, reasons: &[Reason]) {
        for reason in reasons {
            self.push(Name::Reason, &reason.to_string());
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.protocol {
            Protocol::Sip => "SIP",
            Protocol::Q850 => "Q.850",
        })?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            let mut quoted = String::with_capacity(text.len() + 2);
            grammar::push_quoted(&mut quoted, text);
            write!(f, ";text={quoted}")?;
        }
        Ok(())
    }
}

/// Most reasons read from one request.
const MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds_and_leaves_others_out() {
        let mut headers = Headers::new();
        headers.push(
            Name::Reason,
            r#"Q.850 ;cause=16 ;text="Terminated", SIP;cause=200;text="a, \"b\"", X;cause=1"#,
        );
        headers.push(Name::Reason, "sip");
        let reasons = headers.reasons();
        assert_eq!(reasons[0], Reason::q850(16).with_text("Terminated"));
        assert_eq!(reasons[1], Reason::sip(Status::OK).with_text("a, \"b\""));
        assert_eq!((reasons[2].cause, reasons.len()), (None, 3));
    }

    #[test]
    fn a_cause_that_is_no_number_is_none() {
        for text in ["SIP;cause=x", "SIP;cause=-1", "SIP;cause=70000", "SIP"] {
            assert_eq!(Reason::parse(text).unwrap().cause, None, "{text}");
        }
        assert_eq!(Reason::parse("SIP;=1"), None);
        assert_eq!(Reason::parse(""), None);
    }

    #[test]
    fn what_prints_reads_back_the_same() {
        let reason = Reason::q850(17).with_text("busy \"now\"\r\nVia: x");
        let text = reason.to_string();
        assert!(!text.contains('\n'));
        assert_eq!(Reason::parse(&text).unwrap().to_string(), text);
    }
}
