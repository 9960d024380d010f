//! Refusals as SIP responses, both ways (RFC 7247 §7.1, §7.2, as specs 1.8 and 1.9 correct it).
//!
//! The only place that decides which status a SIP peer sees. No refusal of the XMPP side ever
//! becomes 503, which would make peers take the whole gateway for dead, nor a 401 or 407 without a
//! challenge, which no client can answer.

use tandem_shared::address::{Address, Mapping, uri};
use tandem_shared::refusal::{Reason, Refusal, Scope};

use crate::body;
use crate::sip::address::NameAddr;
use crate::sip::header::Name;
use crate::sip::uri::Uri;
use crate::sip::{Request, Response, Status};

/// The refusal a final response stands for; never called for a 2xx.
#[must_use]
pub fn from_sip(response: &Response) -> Refusal {
    let status = response.status;
    let mut refusal = Refusal::new(reason(status.code())).with_text(text(response));
    if status.class() == 6 {
        refusal.scope = Scope::Account;
    }
    refusal.status = Some(status.code());
    refusal.retry_after = response.retry_after();
    if matches!(refusal.reason, Reason::Gone | Reason::Redirect) {
        refusal.new_address = new_address(response);
    }
    refusal
}

/// RFC 7247 §7.2, Table 3; the codes it does not list as specs 1.9 refines them.
fn reason(code: u16) -> Reason {
    match code {
        301 | 410 => Reason::Gone,
        380 | 406 | 421 | 494 | 505 | 580 | 606 => Reason::NotAcceptable,
        300..400 => Reason::Redirect,
        401 | 424 | 428 | 429 | 436..=438 => Reason::NotAuthorized,
        403 | 433 | 607 | 608 => Reason::Forbidden,
        404 | 481 | 484 | 485 | 604 => Reason::ItemNotFound,
        405 | 420 | 439 | 501 => Reason::FeatureNotImplemented,
        407 => Reason::RegistrationRequired,
        408 | 504 => Reason::RemoteServerTimeout,
        413 | 513 => Reason::TooLarge,
        414 | 440 | 470 | 489 => Reason::PolicyViolation,
        415 | 488 => Reason::UnsupportedMedia,
        416 => Reason::UnsupportedScheme,
        423 => Reason::ResourceConstraint,
        430 | 480 => Reason::RecipientUnavailable,
        482 | 483 => Reason::Looped,
        486 | 600 => Reason::Busy,
        487 => Reason::Cancelled,
        491 => Reason::UnexpectedRequest,
        502 => Reason::RemoteServerNotFound,
        555 => Reason::ServiceUnavailable,
        603 => Reason::Declined,
        400..500 => Reason::BadRequest,
        500..600 => Reason::InternalServerError,
        _ => Reason::RecipientUnavailable,
    }
}

fn text(response: &Response) -> &str {
    match response.status.code() {
        433 => "The recipient wants to know your number.",
        _ => &response.reason,
    }
}

fn new_address(response: &Response) -> Option<Address> {
    let contact = response.headers.values(Name::Contact).next()?;
    let Uri::Sip(uri) = NameAddr::parse(contact).ok()?.uri else {
        return None;
    };
    let user = uri::user_from_sip(uri.raw_user()?).ok()?;
    Address::new(&user, &uri.host.to_string()).ok()
}

/// The status of a refusal; an account refuses with a 6xx only where `global` allows it.
#[must_use]
pub fn status(refusal: &Refusal, global: bool) -> Status {
    let account = refusal.scope == Scope::Account;
    let twin = |four: u16, six: u16| if account && global { six } else { four };
    let code = match refusal.reason {
        Reason::BadRequest
        | Reason::Conflict
        | Reason::JidMalformed
        | Reason::SubscriptionRequired
        | Reason::UndefinedCondition
        | Reason::UnexpectedRequest => 400,
        Reason::FeatureNotImplemented if account => 501,
        Reason::FeatureNotImplemented => 405,
        Reason::Forbidden | Reason::Declined => twin(403, 603),
        Reason::Emergency
        | Reason::NotAllowed
        | Reason::NotAuthorized
        | Reason::PolicyViolation
        | Reason::RegistrationRequired => 403,
        Reason::Gone if refusal.new_address.is_some() => 301,
        Reason::Gone => 410,
        Reason::ItemNotFound => twin(404, 604),
        Reason::RemoteServerNotFound => 404,
        Reason::NotAcceptable => twin(406, 606),
        Reason::Redirect if refusal.new_address.is_some() => 302,
        Reason::RecipientUnavailable => twin(480, 600),
        // A 302 that leads nowhere helps nobody.
        Reason::Redirect | Reason::ServiceUnavailable => 480,
        Reason::Busy => twin(486, 600),
        Reason::Cancelled => 487,
        Reason::Looped => 482,
        Reason::TooLarge => 513,
        Reason::UnsupportedMedia => 415,
        Reason::UnsupportedScheme => 416,
        // 408 would make the sender's proxies try again (RFC 4320 §4.2).
        Reason::RemoteServerTimeout | Reason::InDoubt => 504,
        Reason::InternalServerError | Reason::ResourceConstraint | Reason::Unknown => 500,
    };
    Status::new(code).unwrap_or(Status::SERVER_INTERNAL_ERROR)
}

/// The response that tells the sender of `request`.
#[must_use]
pub fn to_sip(refusal: &Refusal, request: &Request, mapping: &Mapping, global: bool) -> Response {
    let status = status(refusal, global);
    let mut response = Response::to(request, status);
    if refusal.reason == Reason::Emergency {
        response = response
            .with_reason("No emergency service")
            .with(Name::Warning, "399 tandem \"No emergency service\"");
    } else if let Some(text) = &refusal.text {
        response = response.with_reason(text.clone());
    }
    let wait = (refusal.reason == Reason::ResourceConstraint).then_some(OVERLOAD_WAIT);
    if let Some(seconds) = refusal.retry_after.or(wait) {
        response = response.with(Name::RetryAfter, &seconds.to_string());
    }
    match status.code() {
        301 | 302 => match &refusal.new_address {
            Some(address) => {
                let user = mapping.user_to_sip(address);
                response.with(Name::Contact, &format!("<sip:{user}@{}>", mapping.domain))
            }
            None => response,
        },
        405 => response.with(Name::Allow, ALLOW),
        415 => response
            .with(Name::Accept, body::ACCEPT)
            .with(Name::AcceptEncoding, "identity"),
        416 => response.with(
            Name::Warning,
            "399 tandem \"Only sip, tel, im and pres are known here\"",
        ),
        _ => response,
    }
}

/// The answer to OPTIONS (RFC 3261 §11.2).
#[must_use]
pub fn capabilities(request: &Request) -> Response {
    Response::to(request, Status::OK)
        .with(Name::Allow, ALLOW)
        .with(Name::Accept, ACCEPT)
        .with(Name::AcceptEncoding, "identity")
        .with(Name::Supported, "100rel, replaces, timer")
}

/// "Not now, but soon": what is said when the XMPP side cannot be asked.
#[must_use]
pub fn not_now(text: &str) -> Refusal {
    Refusal::new(Reason::RecipientUnavailable)
        .with_text(text)
        .with_retry_after(RETRY_AFTER)
}

/// The methods we take, for `Allow`.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER, MESSAGE, OPTIONS";
/// The content types we take anywhere, for the `Accept` of an OPTIONS.
const ACCEPT: &str = "application/sdp, application/dtmf-relay, text/plain, text/html, \
    multipart/mixed, multipart/alternative";
/// Seconds a sender is asked to wait when the XMPP side is away.
const RETRY_AFTER: u32 = 30;
/// Seconds a sender is asked to wait when somebody has too much to do.
const OVERLOAD_WAIT: u32 = 10;

#[cfg(test)]
mod tests;
