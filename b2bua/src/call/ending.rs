//! Why calls end, in the words of both sides (RFC 3261 §21, RFC 3326, RFC 7247 §7; specs 6.5).

use tandem_shared::call::{End, EndReason};
use tandem_shared::refusal::{Reason as Cause, Refusal};

use super::negotiate::NoAgreement;
use crate::media::{Failure as MediaFailure, Leg};
use crate::sip::endpoint::Failure;
use crate::sip::header::{Headers, Name, Protocol, Reason};
use crate::sip::session;
use crate::sip::{Response, Status};

/// The end a final response to our INVITE means. What the telephone network says beside it is
/// more exact than many a status.
#[must_use]
pub fn of_response(response: &Response) -> End {
    let code = response.status.code();
    let reasons = response.headers.reasons();
    let by_status = match code {
        300..=399 => EndReason::NotFound,
        401 | 407 | 428 | 433 | 436..=438 => EndReason::Security,
        403 | 607 | 608 => EndReason::Declined,
        404 | 410 | 416 | 484 | 485 | 604 => EndReason::NotFound,
        408 | 480 | 504 => EndReason::NoAnswer,
        486 => EndReason::Busy,
        487 => EndReason::Cancelled,
        415 | 488 | 606 => EndReason::UnsupportedMedia,
        482 | 483 => EndReason::Looped,
        502 | 503 => EndReason::Connectivity,
        603 => EndReason::Declined,
        // RFC 3261 §8.1.3.2: what is not known counts as the x00 of its class.
        600..=699 => EndReason::Busy,
        _ => EndReason::Failed,
    };
    let vague = matches!(by_status, EndReason::NoAnswer | EndReason::Failed);
    let reason = match cause(&reasons, Protocol::Q850) {
        Some(cause) if vague => of_q850(cause),
        Some(_) | None => by_status,
    };
    let text = match code {
        300..=399 => "The called party is at another address.",
        401 | 407 => "The gateway could not authenticate to the called party's server.",
        _ => &response.reason,
    };
    End::new(reason).with_status(code).with_text(text)
}

/// The end of a call whose INVITE nobody answered.
#[must_use]
pub fn of_no_response(failure: Failure) -> End {
    let text = match failure {
        Failure::Timeout => "The called party's server does not answer.",
        Failure::Lost => "The connection to the called party's server was lost.",
        Failure::NotSent(_) => "The called party's server cannot be reached.",
    };
    End::new(EndReason::Connectivity).with_text(text)
}

/// The end of a call whose SIP leg ended.
#[must_use]
pub fn of_session(end: session::End, reasons: &[Reason]) -> End {
    let by_sip = cause(reasons, Protocol::Sip);
    let words = reasons.iter().find_map(|reason| reason.text.as_deref());
    let (reason, text) = match end {
        // RFC 3326 §2: 200 beside a CANCEL says that somebody else answered.
        session::End::Cancelled if by_sip == Some(200) => {
            (EndReason::AnsweredElsewhere, "Answered elsewhere.")
        }
        session::End::Cancelled => (EndReason::Cancelled, "The caller gave up."),
        session::End::Theirs | session::End::Ours => {
            let reason = cause(reasons, Protocol::Q850).map(of_q850);
            (
                reason.unwrap_or(EndReason::Success),
                words.unwrap_or_default(),
            )
        }
        session::End::NoAck | session::End::Gone | session::End::Expired => (
            EndReason::Connectivity,
            "The other side of the call does not answer any more.",
        ),
        session::End::NoDescription => (
            EndReason::UnsupportedMedia,
            "The other side never said what it can send.",
        ),
    };
    End::new(reason).with_text(text)
}

/// The end of a call that may not begin.
#[must_use]
pub fn of_refusal(refusal: &Refusal) -> End {
    let reason = match refusal.reason {
        Cause::Emergency => EndReason::Emergency,
        Cause::ItemNotFound
        | Cause::Gone
        | Cause::Redirect
        | Cause::JidMalformed
        | Cause::RemoteServerNotFound
        | Cause::UnsupportedScheme => EndReason::NotFound,
        Cause::Looped => EndReason::Looped,
        Cause::ResourceConstraint => EndReason::ResourceConstraint,
        Cause::Busy => EndReason::Busy,
        Cause::Declined => EndReason::Declined,
        Cause::BadRequest => EndReason::BadRequest,
        Cause::Forbidden
        | Cause::NotAllowed
        | Cause::NotAuthorized
        | Cause::PolicyViolation
        | Cause::RegistrationRequired
        | Cause::SubscriptionRequired => EndReason::Forbidden,
        Cause::Conflict
        | Cause::FeatureNotImplemented
        | Cause::InternalServerError
        | Cause::NotAcceptable
        | Cause::RecipientUnavailable
        | Cause::RemoteServerTimeout
        | Cause::ServiceUnavailable
        | Cause::UndefinedCondition
        | Cause::UnexpectedRequest
        | Cause::Cancelled
        | Cause::TooLarge
        | Cause::UnsupportedMedia
        | Cause::InDoubt
        | Cause::Unknown => EndReason::Failed,
    };
    End::new(reason).with_text(refusal.text.as_deref().unwrap_or_default())
}

/// The end of a call whose legs have nothing in common.
#[must_use]
pub fn of_disagreement(problem: NoAgreement) -> End {
    End::new(problem.end()).with_text(problem.to_string())
}

/// The end of a call whose media failed on `leg`.
#[must_use]
pub fn of_failure(leg: Leg, failure: MediaFailure) -> End {
    let reason = match failure {
        MediaFailure::Dtls | MediaFailure::Fingerprint => EndReason::Security,
        MediaFailure::Ice | MediaFailure::Silent | MediaFailure::Socket => EndReason::Connectivity,
    };
    let whose = match leg {
        Leg::Xmpp => "XMPP",
        Leg::Sip => "SIP",
    };
    let what = match failure {
        MediaFailure::Ice => "no way for sound was found",
        MediaFailure::Dtls => "encryption could not be agreed on",
        MediaFailure::Fingerprint => "the certificate is not the announced one",
        MediaFailure::Silent => "nothing was heard for too long",
        MediaFailure::Socket => "the network failed",
    };
    End::new(reason).with_text(format!("On the {whose} side {what}."))
}

/// The final response that refuses an INVITE of theirs.
#[must_use]
pub fn to_refusal(end: &End) -> (Status, Headers) {
    let code = match end.reason {
        EndReason::Success
        | EndReason::Cancelled
        | EndReason::AnsweredElsewhere
        | EndReason::NoAnswer
        | EndReason::Unreachable
        | EndReason::Connectivity
        | EndReason::ResourceConstraint
        | EndReason::Replaced
        | EndReason::Unknown => 480,
        EndReason::Busy => 486,
        EndReason::Declined => 603,
        EndReason::NotFound => 404,
        EndReason::Forbidden | EndReason::Emergency => 403,
        EndReason::UnsupportedMedia | EndReason::Security => 488,
        EndReason::BadRequest => 400,
        EndReason::Looped => 482,
        EndReason::Failed => 500,
    };
    let status = Status::new(code).unwrap_or(Status::SERVER_INTERNAL_ERROR);
    let mut headers = Headers::new();
    if code == 488 {
        let warning = if end.reason == EndReason::Security {
            399
        } else {
            305
        };
        // Our own words: quoted-string without quotes and backslashes.
        let text = end.text.as_deref().unwrap_or("Not acceptable");
        let text: String = text.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
        headers.push(Name::Warning, &format!("{warning} tandem \"{text}\""));
    }
    if end.reason == EndReason::ResourceConstraint {
        headers.push(Name::RetryAfter, RETRY_AFTER);
    }
    (status, headers)
}

/// What a CANCEL or BYE of ours says.
#[must_use]
pub fn to_reasons(end: &End) -> Vec<Reason> {
    let cause = match end.reason {
        EndReason::Success => Some(16),
        EndReason::NoAnswer => Some(19),
        EndReason::Connectivity => Some(41),
        EndReason::UnsupportedMedia => Some(88),
        EndReason::Security => Some(65),
        EndReason::Failed | EndReason::ResourceConstraint => Some(127),
        EndReason::Busy
        | EndReason::Declined
        | EndReason::Cancelled
        | EndReason::AnsweredElsewhere
        | EndReason::Unreachable
        | EndReason::NotFound
        | EndReason::Forbidden
        | EndReason::Emergency
        | EndReason::BadRequest
        | EndReason::Looped
        | EndReason::Replaced
        | EndReason::Unknown => None,
    };
    cause.map(Reason::q850).into_iter().collect()
}

fn cause(reasons: &[Reason], protocol: Protocol) -> Option<u16> {
    let mut found = reasons.iter().filter(|reason| reason.protocol == protocol);
    found.find_map(|reason| reason.cause)
}

/// Causes of the telephone network (RFC 3398 §7.2.4.1, read backwards).
fn of_q850(cause: u16) -> EndReason {
    match cause {
        16 => EndReason::Success,
        17 => EndReason::Busy,
        18..=20 | 102 => EndReason::NoAnswer,
        21 => EndReason::Declined,
        1 | 22 | 28 => EndReason::NotFound,
        34 | 38 | 41 | 42 | 47 => EndReason::Connectivity,
        65 | 79 | 88 => EndReason::UnsupportedMedia,
        _ => EndReason::Failed,
    }
}

/// Seconds a caller is asked to wait.
const RETRY_AFTER: &str = "10";
