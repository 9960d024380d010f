//! Why something was not done, in words that neither protocol owns.
//!
//! One refusal has several renderings: SIP 486 is `<recipient-unavailable/>` for a message but
//! `<busy/>` for a call, and a condition becomes a 4xx or its 6xx twin by whether a device or an
//! account refused (RFC 7247 §7.1). Each process renders it in its own `refusal.rs`.

use crate::address::Address;
use serde::{Deserialize, Serialize};

/// The cause: the conditions of RFC 6120 §8.3.3 and what SIP tells apart beyond them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "each is the RFC 6120 condition or SIP cause of its name"
)]
pub enum Reason {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    Redirect,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
    /// SIP 486, 600.
    Busy,
    /// SIP 603.
    Declined,
    /// SIP 487.
    Cancelled,
    /// SIP 482, 483.
    Looped,
    /// SIP 413, 513: the content is larger than the path carries.
    TooLarge,
    /// SIP 415, 488: no common content type.
    UnsupportedMedia,
    /// SIP 416: the address scheme is not ours.
    UnsupportedScheme,
    /// A number that reaches emergency services; never carried (specs 10.8).
    Emergency,
    /// The request was sent and no final answer came: it may or may not have been delivered.
    InDoubt,
    /// A cause that a newer node knows.
    #[serde(other)]
    Unknown,
}

/// Who refused: one device or the whole account (RFC 7247 §7.1, footnotes 1 and 2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One device: a full JID, or a 4xx.
    #[default]
    Device,
    /// The account: a bare JID, or a 6xx.
    Account,
}

/// A refusal on its way to the party that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The cause.
    pub reason: Reason,
    /// Who refused.
    #[serde(default)]
    pub scope: Scope,
    /// Where the party is now, with `Gone` or `Redirect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_address: Option<Address>,
    /// Seconds after which a retry may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Words for a person, at most [`Refusal::TEXT_MAX`] characters, no control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The SIP status the far side gave, shown to people who debug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Refusal {
    /// The longest `text`, in characters.
    pub const TEXT_MAX: usize = 200;

    /// A refusal for `reason` and nothing more.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            scope: Scope::default(),
            new_address: None,
            retry_after: None,
            text: None,
            status: None,
        }
    }

    /// The same refusal with words for a person; control characters are dropped and the text is
    /// cut at [`Refusal::TEXT_MAX`].
    #[must_use]
    pub fn with_text(mut self, text: impl AsRef<str>) -> Self {
        let clean: String = text
            .as_ref()
            .chars()
            .filter(|c| !c.is_control())
            .take(Self::TEXT_MAX)
            .collect();
        self.text = (!clean.is_empty()).then_some(clean);
        self
    }

    /// The same refusal with a time to retry after, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same refusal by the whole account.
    #[must_use]
    pub fn by_account(mut self) -> Self {
        self.scope = Scope::Account;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_a_newer_node_still_decodes() {
        let refusal: Refusal = serde_json::from_str(r#"{"reason":"eclipsed"}"#).unwrap();
        assert_eq!(refusal.reason, Reason::Unknown);
    }

    #[test]
    fn text_is_cut_and_cleaned() {
        let refusal = Refusal::new(Reason::Busy).with_text("a\r\nb".repeat(200));
        let text = refusal.text.unwrap();
        assert!(text.starts_with("abab") && text.chars().count() == Refusal::TEXT_MAX);
    }
}
