//! Refusals as stanza errors, both ways (RFC 6120 §8.3; RFC 7247 §7).
//!
//! The only place that decides which error an XMPP user sees. The SIP side's `refusal` holds the
//! two tables of RFC 7247; here every [`Reason`] has one condition and one error type.

use crate::stanza::{set, text_element};
use crate::xml;
use jid::Jid;
use minidom::Element;
use tandem_shared::address::Mapping;
use tandem_shared::refusal::{Reason, Refusal, Scope};

/// The namespace of the child that tells people who debug which status the SIP side gave.
pub const SIP_ERROR: &str = "urn:tandem:sip-error:0";

/// The stanza error of one refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    condition: &'static str,
    kind: &'static str,
    text: Option<String>,
    new_address: Option<String>,
    status: Option<u16>,
}

impl Defined {
    /// The `<error/>` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut error = Element::bare("error", xml::COMPONENT);
        set(&mut error, "type", self.kind);
        let mut condition = Element::bare(self.condition, xml::STANZAS);
        if let Some(address) = &self.new_address {
            condition.append_text(address.clone());
        }
        error.append_child(condition);
        if let Some(text) = &self.text {
            let mut text = text_element("text", xml::STANZAS, text);
            crate::stanza::set_lang(&mut text, "en");
            error.append_child(text);
        }
        if let Some(status) = self.status {
            let mut code = Element::bare("sip-error", SIP_ERROR);
            set(&mut code, "code", &status.to_string());
            error.append_child(code);
        }
        error
    }
}

/// The stanza error for `refusal`; a new address is named if it has a JID under `mapping`.
#[must_use]
pub fn to_xmpp(refusal: &Refusal, mapping: &Mapping) -> Defined {
    let (condition, kind) = match (refusal.reason, refusal.status) {
        // 484: digits are missing, so another address may do.
        (Reason::ItemNotFound, Some(484)) => ("item-not-found", "modify"),
        (reason, _) => condition(reason),
    };
    let new_address = refusal
        .new_address
        .as_ref()
        .filter(|_| matches!(condition, "gone" | "redirect"))
        .and_then(|address| mapping.contact_to_jid(address).ok())
        .map(|jid| format!("xmpp:{jid}"));
    let mut text = refusal.text.clone();
    if let Some(seconds) = refusal.retry_after {
        let words = text.take().unwrap_or_default();
        let again = format!("Try again in {seconds} seconds.");
        text = Some(format!("{words} {again}").trim_start().to_owned());
    }
    Defined {
        condition,
        kind,
        text,
        new_address,
        status: refusal.status,
    }
}

/// Condition and error type (RFC 6120 §8.3.3; the types as specs 1.9 corrects them).
fn condition(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::BadRequest => ("bad-request", "modify"),
        Reason::Conflict => ("conflict", "cancel"),
        Reason::FeatureNotImplemented => ("feature-not-implemented", "cancel"),
        Reason::Forbidden => ("forbidden", "auth"),
        Reason::Gone => ("gone", "cancel"),
        Reason::InternalServerError => ("internal-server-error", "wait"),
        Reason::ItemNotFound => ("item-not-found", "cancel"),
        Reason::JidMalformed => ("jid-malformed", "modify"),
        Reason::NotAcceptable | Reason::UnsupportedMedia | Reason::UnsupportedScheme => {
            ("not-acceptable", "modify")
        }
        Reason::Looped => ("not-acceptable", "cancel"),
        Reason::NotAllowed | Reason::Emergency => ("not-allowed", "cancel"),
        Reason::NotAuthorized => ("not-authorized", "auth"),
        Reason::PolicyViolation | Reason::TooLarge => ("policy-violation", "modify"),
        Reason::RecipientUnavailable | Reason::Busy | Reason::Cancelled => {
            ("recipient-unavailable", "wait")
        }
        Reason::Declined => ("recipient-unavailable", "cancel"),
        Reason::Redirect => ("redirect", "modify"),
        Reason::RegistrationRequired => ("registration-required", "auth"),
        Reason::RemoteServerNotFound => ("remote-server-not-found", "cancel"),
        Reason::RemoteServerTimeout | Reason::InDoubt => ("remote-server-timeout", "wait"),
        Reason::ResourceConstraint => ("resource-constraint", "wait"),
        Reason::ServiceUnavailable => ("service-unavailable", "cancel"),
        Reason::SubscriptionRequired => ("subscription-required", "auth"),
        Reason::UndefinedCondition | Reason::Unknown => ("undefined-condition", "cancel"),
        Reason::UnexpectedRequest => ("unexpected-request", "wait"),
    }
}

/// What the error stanza `stanza`, sent by `from`, says about something we had sent.
#[must_use]
pub fn from_xmpp(stanza: &Element, from: &Jid, mapping: &Mapping) -> Refusal {
    let error = stanza
        .children()
        .find(|child| child.name() == "error" && child.has_ns(xml::COMPONENT));
    let defined = error.and_then(|error| {
        error
            .children()
            .find(|child| child.has_ns(xml::STANZAS) && child.name() != "text")
    });
    let reason = defined.map_or(Reason::UndefinedCondition, |child| reason(child.name()));
    let mut refusal = Refusal::new(reason);
    if from.resource().is_none() {
        refusal.scope = Scope::Account;
    }
    if let Some(text) = error.and_then(|error| error.get_child("text", xml::STANZAS)) {
        refusal = refusal.with_text(text.text());
    }
    if matches!(reason, Reason::Gone | Reason::Redirect) {
        refusal.new_address = defined
            .map(Element::text)
            .and_then(|text| Jid::new(text.trim().trim_start_matches("xmpp:")).ok())
            .and_then(|jid| mapping.user_from_jid(&jid).ok())
            .filter(|address| mapping.serves(&address.host));
    }
    refusal
}

fn reason(condition: &str) -> Reason {
    match condition {
        "bad-request" => Reason::BadRequest,
        "conflict" => Reason::Conflict,
        "feature-not-implemented" => Reason::FeatureNotImplemented,
        "forbidden" => Reason::Forbidden,
        "gone" => Reason::Gone,
        "internal-server-error" => Reason::InternalServerError,
        "item-not-found" => Reason::ItemNotFound,
        "jid-malformed" => Reason::JidMalformed,
        "not-acceptable" => Reason::NotAcceptable,
        "not-allowed" => Reason::NotAllowed,
        "not-authorized" => Reason::NotAuthorized,
        "policy-violation" => Reason::PolicyViolation,
        "recipient-unavailable" => Reason::RecipientUnavailable,
        "redirect" => Reason::Redirect,
        "registration-required" => Reason::RegistrationRequired,
        "remote-server-not-found" => Reason::RemoteServerNotFound,
        "remote-server-timeout" => Reason::RemoteServerTimeout,
        "resource-constraint" => Reason::ResourceConstraint,
        "service-unavailable" => Reason::ServiceUnavailable,
        "subscription-required" => Reason::SubscriptionRequired,
        "unexpected-request" => Reason::UnexpectedRequest,
        _ => Reason::UndefinedCondition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            domain: "sip.example.com".into(),
            user_domains: Vec::new(),
        }
        .normalised()
        .unwrap()
    }

    const CONDITIONS: [&str; 22] = [
        "bad-request",
        "conflict",
        "feature-not-implemented",
        "forbidden",
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "not-acceptable",
        "not-allowed",
        "not-authorized",
        "policy-violation",
        "recipient-unavailable",
        "redirect",
        "registration-required",
        "remote-server-not-found",
        "remote-server-timeout",
        "resource-constraint",
        "service-unavailable",
        "subscription-required",
        "undefined-condition",
        "unexpected-request",
    ];

    #[test]
    fn every_condition_comes_back() {
        for condition in CONDITIONS {
            let defined = to_xmpp(&Refusal::new(reason(condition)), &mapping());
            assert_eq!(defined.condition, condition);
        }
    }

    #[test]
    fn a_full_jid_refuses_as_a_device_and_a_bare_one_as_the_account() {
        let stanza: Element =
            "<message xmlns='jabber:component:accept' type='error'><error type='cancel'>\
            <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
            <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no\nsuch</text></error></message>"
                .parse()
                .unwrap();
        let bare = from_xmpp(&stanza, &Jid::new("a@example.com").unwrap(), &mapping());
        assert_eq!(
            (bare.reason, bare.scope),
            (Reason::ItemNotFound, Scope::Account)
        );
        assert_eq!(bare.text.as_deref(), Some("nosuch"));
        let full = from_xmpp(&stanza, &Jid::new("a@example.com/x").unwrap(), &mapping());
        assert_eq!(full.scope, Scope::Device);
    }

    #[test]
    fn a_redirect_is_followed_only_inside_the_served_domains() {
        let to = |jid: &str| -> Option<String> {
            let text = format!(
                "<message xmlns='jabber:component:accept' type='error'><error type='cancel'>\
                 <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:{jid}</gone></error></message>"
            );
            let stanza: Element = text.parse().unwrap();
            from_xmpp(&stanza, &Jid::new("a@example.com").unwrap(), &mapping())
                .new_address
                .map(|address| address.to_string())
        };
        assert_eq!(to("b@example.com").as_deref(), Some("b@example.com"));
        assert_eq!(to("b@evil.example"), None);
    }

    #[test]
    fn an_incomplete_number_may_be_corrected() {
        let kind = |status| {
            let mut refusal = Refusal::new(Reason::ItemNotFound);
            refusal.status = status;
            to_xmpp(&refusal, &mapping()).kind
        };
        assert_eq!(kind(Some(484)), "modify");
        assert_eq!([kind(Some(404)), kind(None)], ["cancel", "cancel"]);
    }

    #[test]
    fn time_to_retry_and_status_are_told() {
        let mut refusal = Refusal::new(Reason::RecipientUnavailable).with_retry_after(30);
        refusal.status = Some(480);
        let error = to_xmpp(&refusal, &mapping()).to_element();
        assert_eq!(error.attr("type"), Some("wait"));
        let text = error.get_child("text", xml::STANZAS).unwrap().text();
        assert_eq!(text, "Try again in 30 seconds.");
        assert_eq!(
            error
                .get_child("sip-error", SIP_ERROR)
                .unwrap()
                .attr("code"),
            Some("480")
        );
    }
}
