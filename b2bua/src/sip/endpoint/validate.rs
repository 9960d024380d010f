//! What a request must be before the core sees it (RFC 3261 §8.1.1, §8.2, §16.3).
//!
//! The order of the checks is that of the RFC: method, header fields, extensions, dialog.

use super::EndpointConfig;
use super::answer::Rejection;
use crate::sip::address;
use crate::sip::header::{CSeq, Headers, Name, unmet_privacy};
use crate::sip::message::Request;
use crate::sip::method::Method;
use crate::sip::parse::Defect;
use crate::sip::status::Status;
use crate::sip::transaction::key::Keys;
use crate::sip::uri::Uri;
use crate::sip::via::Via;

/// Checks everything that needs no memory of other requests. Returns the From tag, empty for
/// peers of RFC 2543.
pub(super) fn check(request: &Request, config: &EndpointConfig) -> Result<String, Rejection> {
    let from_tag = check_fields(request)?;
    check_method(&request.method, config)?;
    check_scheme(&request.uri)?;
    check_hops(request)?;
    check_extensions(&request.headers, config)?;
    check_privacy(request)?;
    Ok(from_tag)
}

/// RFC 3261 §16.3 step 4, RFC 5393 §4.2.2: a Via of ours comes back with the same Request-URI. With another
/// one it is a spiral, and allowed.
pub(super) fn is_loop(request: &Request, prefix: &str, keys: &Keys) -> bool {
    // Cheap first: hardly any Via is ours.
    let ours = request
        .headers
        .values(Name::Via)
        .filter(|text| text.contains(prefix));
    let mut mark = None;
    ours.filter_map(|text| Via::parse(text).ok()).any(|via| {
        let mark = mark.get_or_insert_with(|| keys.uri_mark(request.uri.to_string().as_bytes()));
        via.branch().is_some_and(|branch| {
            let rest = branch
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.starts_with(mark.as_str()))
        })
    })
}

/// Whether a request claims to belong to a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Dialog,
    Nothing,
}

/// RFC 3261 §12.2.2: a To tag names a dialog; which there are, only the owner of calls knows. A
/// MESSAGE is never part of one here.
pub(super) fn check_dialog(
    request: &Request,
    config: &EndpointConfig,
) -> Result<Within, Rejection> {
    match request.headers.get(Name::To).is_some_and(address::has_tag) {
        true if config.takes_calls() && request.method != Method::Message => Ok(Within::Dialog),
        true => Err(Rejection::new(Status::NO_SUCH_TRANSACTION)),
        false if needs_dialog(&request.method) => Err(Rejection::new(Status::NO_SUCH_TRANSACTION)),
        false => Ok(Within::Nothing),
    }
}

/// Whether an ACK can be handed up: it cannot be refused.
pub(super) fn check_ack(request: &Request, config: &EndpointConfig) -> bool {
    config.takes_calls()
        && check_fields(request).is_ok()
        && request.headers.get(Name::To).is_some_and(address::has_tag)
}

/// Methods that mean nothing outside a dialog.
fn needs_dialog(method: &Method) -> bool {
    matches!(
        method,
        Method::Bye | Method::Prack | Method::Update | Method::Info
    )
}

/// The mandatory fields, once each and readable.
fn check_fields(request: &Request) -> Result<String, Rejection> {
    for (name, text) in SINGLE {
        match request.headers.count(name) {
            1 => {}
            0 => return Err(Defect::Missing(text).into()),
            _ => return Err(Defect::Field(text).into()),
        }
    }
    let from = request.from().map_err(|_| Defect::Field("From"))?;
    request.to().map_err(|_| Defect::Field("To"))?;
    if request.call_id().is_empty() {
        return Err(Defect::Field("Call-ID").into());
    }
    let cseq = request.headers.get(Name::CSeq).and_then(CSeq::parse);
    let cseq = cseq.ok_or(Defect::Field("CSeq"))?;
    if cseq.method != request.method {
        return Err(Defect::CSeqMethod.into());
    }
    Ok(from.tag().unwrap_or_default())
}

fn check_method(method: &Method, config: &EndpointConfig) -> Result<(), Rejection> {
    if config.allow.contains(method) {
        return Ok(());
    }
    if *method == Method::Register {
        let mut rejection = Rejection::new(Status::FORBIDDEN);
        rejection.reason = "No registrations here; register at your PBX or provider".into();
        return Err(rejection);
    }
    let status = match method.is_known() {
        true => Status::METHOD_NOT_ALLOWED,
        false => Status::NOT_IMPLEMENTED,
    };
    Err(Rejection::new(status).with(Name::Allow, list(config.allow.iter().map(Method::as_str))))
}

/// `urn:service:` is let through: the core refuses emergency calls with words of its own.
fn check_scheme(uri: &Uri) -> Result<(), Rejection> {
    match uri {
        Uri::Sip(_) | Uri::Tel(_) => Ok(()),
        Uri::Other { scheme, .. } if matches!(&**scheme, "im" | "pres") => Ok(()),
        Uri::Other { scheme, rest }
            if &**scheme == "urn" && rest.as_str().starts_with("service:") =>
        {
            Ok(())
        }
        Uri::Other { .. } => Err(Rejection::new(Status::UNSUPPORTED_URI_SCHEME)),
    }
}

/// An absent `Max-Forwards` is tolerated (RFC 3261 §16.3 step 3); OPTIONS at zero is for whoever
/// it has reached (§11).
fn check_hops(request: &Request) -> Result<(), Rejection> {
    match request.headers.count(Name::MaxForwards) {
        0 => Ok(()),
        1 => match request.max_forwards() {
            None => Err(Defect::Field("Max-Forwards").into()),
            Some(0) if request.method != Method::Options => {
                Err(Rejection::new(Status::TOO_MANY_HOPS))
            }
            Some(_) => Ok(()),
        },
        _ => Err(Defect::Field("Max-Forwards").into()),
    }
}

fn check_extensions(headers: &Headers, config: &EndpointConfig) -> Result<(), Rejection> {
    let known = |tag: &str| {
        config
            .supported
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(tag))
    };
    let mut unknown = headers
        .values(Name::Require)
        .filter(|tag| !known(tag))
        .peekable();
    if unknown.peek().is_none() {
        return Ok(());
    }
    Err(Rejection::new(Status::BAD_EXTENSION).with(Name::Unsupported, list(unknown)))
}

/// RFC 3323 §5: a request that must not go on without a privacy nobody here can provide. A BYE shows nobody
/// anything, and whoever wants to leave is let go.
fn check_privacy(request: &Request) -> Result<(), Rejection> {
    let unmet = unmet_privacy(&request.headers);
    if unmet.is_empty() || request.method == Method::Bye {
        return Ok(());
    }
    let mut rejection = Rejection::new(Status::SERVER_INTERNAL_ERROR);
    rejection.reason = format!("Privacy not provided: {}", unmet.join(", ")).into();
    Err(rejection)
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

const SINGLE: [(Name<'static>, &str); 4] = [
    (Name::From, "From"),
    (Name::To, "To"),
    (Name::CallId, "Call-ID"),
    (Name::CSeq, "CSeq"),
];
