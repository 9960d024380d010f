use super::*;
use crate::sip::Method;

fn response(code: u16) -> Response {
    let request = Request::new(Method::Message, Uri::parse("sip:a@b").unwrap());
    Response::to(&request, Status::new(code).unwrap())
}

/// Rows of specs 1.9: codes and the reason each becomes.
const FROM_SIP: [(&[u16], Reason); 30] = [
    (&[300, 302, 305, 399], Reason::Redirect),
    (&[301, 410], Reason::Gone),
    (&[380], Reason::NotAcceptable),
    (&[400, 402, 417, 422, 493, 499], Reason::BadRequest),
    (&[401], Reason::NotAuthorized),
    (&[403], Reason::Forbidden),
    (&[404, 481, 484, 485, 604], Reason::ItemNotFound),
    (&[405, 420, 439, 501], Reason::FeatureNotImplemented),
    (&[406, 421, 505, 606], Reason::NotAcceptable),
    (&[407], Reason::RegistrationRequired),
    (&[408, 504], Reason::RemoteServerTimeout),
    (&[413, 513], Reason::TooLarge),
    (&[414, 440, 489], Reason::PolicyViolation),
    (&[415, 488], Reason::UnsupportedMedia),
    (&[416], Reason::UnsupportedScheme),
    (&[423], Reason::ResourceConstraint),
    (&[430, 480], Reason::RecipientUnavailable),
    (&[482, 483], Reason::Looped),
    (&[486, 600], Reason::Busy),
    (&[487], Reason::Cancelled),
    (&[491], Reason::UnexpectedRequest),
    (&[500, 503, 599], Reason::InternalServerError),
    (&[502], Reason::RemoteServerNotFound),
    (&[603], Reason::Declined),
    (&[699, 601], Reason::RecipientUnavailable),
    (&[424, 428, 429, 436, 437, 438], Reason::NotAuthorized),
    (&[433, 607, 608], Reason::Forbidden),
    (&[470], Reason::PolicyViolation),
    (&[494, 580], Reason::NotAcceptable),
    (&[555], Reason::ServiceUnavailable),
];

#[test]
fn every_status_has_its_reason() {
    for (codes, expected) in FROM_SIP {
        for code in codes {
            let refusal = from_sip(&response(*code));
            assert_eq!(refusal.reason, expected, "{code}");
            assert_eq!(refusal.status, Some(*code));
            assert_eq!(refusal.scope == Scope::Account, *code >= 600, "{code}");
        }
    }
}

/// Rows of specs 1.8: reason, and the status for a device, an account, and an account where 6xx
/// are allowed.
const TO_SIP: [(Reason, u16, u16, u16); 31] = [
    (Reason::BadRequest, 400, 400, 400),
    (Reason::Conflict, 400, 400, 400),
    (Reason::FeatureNotImplemented, 405, 501, 501),
    (Reason::Forbidden, 403, 403, 603),
    (Reason::Gone, 410, 410, 410),
    (Reason::InternalServerError, 500, 500, 500),
    (Reason::ItemNotFound, 404, 404, 604),
    (Reason::JidMalformed, 400, 400, 400),
    (Reason::NotAcceptable, 406, 406, 606),
    (Reason::NotAllowed, 403, 403, 403),
    (Reason::NotAuthorized, 403, 403, 403),
    (Reason::PolicyViolation, 403, 403, 403),
    (Reason::RecipientUnavailable, 480, 480, 600),
    (Reason::Redirect, 480, 480, 480),
    (Reason::RegistrationRequired, 403, 403, 403),
    (Reason::RemoteServerNotFound, 404, 404, 404),
    (Reason::RemoteServerTimeout, 504, 504, 504),
    (Reason::ResourceConstraint, 500, 500, 500),
    (Reason::ServiceUnavailable, 480, 480, 480),
    (Reason::SubscriptionRequired, 400, 400, 400),
    (Reason::UndefinedCondition, 400, 400, 400),
    (Reason::UnexpectedRequest, 400, 400, 400),
    (Reason::Busy, 486, 486, 600),
    (Reason::Declined, 403, 403, 603),
    (Reason::Cancelled, 487, 487, 487),
    (Reason::Looped, 482, 482, 482),
    (Reason::TooLarge, 513, 513, 513),
    (Reason::UnsupportedMedia, 415, 415, 415),
    (Reason::UnsupportedScheme, 416, 416, 416),
    (Reason::Emergency, 403, 403, 403),
    (Reason::InDoubt, 504, 504, 504),
];

#[test]
fn every_reason_has_its_status_and_none_is_503_or_a_challenge() {
    for (reason, device, account, global) in TO_SIP {
        let refusal = Refusal::new(reason);
        assert_eq!(status(&refusal, true).code(), device, "{reason:?}");
        let refusal = refusal.by_account();
        assert_eq!(status(&refusal, false).code(), account, "{reason:?}");
        assert_eq!(status(&refusal, true).code(), global, "{reason:?}");
        assert!(![401, 407, 503].contains(&account));
    }
}

fn mapping() -> Mapping {
    Mapping {
        domain: "sip.example.com".into(),
        user_domains: vec!["example.com".into()],
    }
}

fn told(refusal: &Refusal) -> String {
    let request = Request::new(Method::Message, Uri::parse("sip:a@b").unwrap());
    let mut out = Vec::new();
    to_sip(refusal, &request, &mapping(), false).print(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_moved_user_is_named_by_its_own_address() {
    let mut refusal = Refusal::new(Reason::Gone);
    refusal.new_address = Address::new("juliet", "example.com").ok();
    let text = told(&refusal);
    assert!(text.starts_with("SIP/2.0 301 "), "{text}");
    assert!(
        text.contains("Contact: <sip:juliet%40example.com@sip.example.com>\r\n"),
        "{text}"
    );
}

#[test]
fn a_redirect_leads_to_the_new_contact() {
    let response = response(302).with(
        Name::Contact,
        "\"R\" <sip:romeo@other.example;transport=tcp>;q=1",
    );
    let refusal = from_sip(&response);
    assert_eq!(
        refusal.new_address,
        Address::new("romeo", "other.example").ok()
    );
}

#[test]
fn waiting_times_cross_both_ways() {
    let refusal = from_sip(&response(480).with(Name::RetryAfter, "17 (lunch);duration=3"));
    assert_eq!(refusal.retry_after, Some(17));
    assert!(told(&refusal).contains("\r\nRetry-After: 17\r\n"));
    assert!(told(&Refusal::new(Reason::ResourceConstraint)).contains("\r\nRetry-After: 10\r\n"));
}

#[test]
fn words_of_the_xmpp_side_cannot_inject_a_header() {
    let mut refusal = Refusal::new(Reason::Forbidden);
    refusal.text = Some("no\r\nRoute: <sip:evil>\r\n\r\nbody".into());
    let text = told(&refusal);
    assert!(text.starts_with("SIP/2.0 403 no"), "{text}");
    assert!(!text.contains("\r\nRoute:"), "{text}");
}

#[test]
fn emergencies_are_refused_in_words_and_with_a_warning() {
    let text = told(&Refusal::new(Reason::Emergency));
    assert!(
        text.starts_with("SIP/2.0 403 No emergency service\r\n"),
        "{text}"
    );
    assert!(text.contains("Warning: 399 "), "{text}");
}

#[test]
fn an_unknown_content_type_is_told_what_is_known() {
    let text = told(&Refusal::new(Reason::UnsupportedMedia));
    assert!(text.contains("\r\nAccept: text/plain"), "{text}");
    assert!(text.contains("\r\nAccept-Encoding: identity\r\n"), "{text}");
}
