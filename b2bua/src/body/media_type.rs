//! The value of a `Content-Type` (RFC 2045 §5.1).

use crate::sip::grammar;
use crate::sip::params::Params;

/// `type/subtype` with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaType {
    /// In lower case.
    pub(super) name: String,
    pub(super) params: Params,
}

impl MediaType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, params) = text.split_once(';').unwrap_or((text, ""));
        let name = grammar::trim(name).to_ascii_lowercase();
        let (kind, subtype) = name.split_once('/')?;
        if !grammar::is_token(kind) || !grammar::is_token(subtype) {
            return None;
        }
        let params = Params::parse(params)?;
        Some(Self { name, params })
    }
}
