//! What a registrar says to a REGISTER (RFC 3261 §10.2.4; RFC 3608 §6.1; RFC 5626 §4.2.1).

use std::time::Duration;

use crate::caller_name;
use crate::sip::header::Name;
use crate::sip::uri::{SipUri, Uri};
use crate::sip::{NameAddr, Response, grammar};

/// What it means for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// We are registered.
    Granted(Granted),
    /// It wants to know that it is us.
    Challenge,
    /// It says yes and keeps nothing.
    Nothing,
    /// 423: so many seconds at least.
    TooShort(u32),
    /// 439: the proxy before the registrar knows no flows (RFC 5626 §6).
    NoOutbound,
    /// Another server of the same registrar may do.
    Elsewhere(Option<Duration>),
    /// It does not want us.
    Refused,
    /// It failed; again later.
    Failed(Option<Duration>),
}

/// What was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granted {
    /// For how long.
    pub(super) seconds: u32,
    /// Through whom requests outside of dialogs go.
    pub(super) service_route: Vec<String>,
    /// Whether the registrar keeps the flow as the way to us.
    pub(super) outbound: bool,
    /// Seconds after which a silent flow is taken for dead.
    pub(super) flow_timer: Option<u32>,
}

/// Reads `response` to a REGISTER for `contact`, for `asked` seconds.
pub(super) fn read(response: &Response, contact: Option<&SipUri>, asked: u32) -> Reply {
    let after = response.retry_after();
    let after = after.map(|seconds| Duration::from_secs(seconds.into()));
    match response.status.code() {
        200..300 if granted(response, contact) == Some(0) => Reply::Nothing,
        200..300 => Reply::Granted(Granted {
            seconds: granted(response, contact).unwrap_or(asked).min(MAX_EXPIRES),
            service_route: response
                .headers
                .values(Name::ServiceRoute)
                .filter(|route| NameAddr::parse(route).is_ok())
                .take(MAX_ROUTES)
                .map(str::to_owned)
                .collect(),
            outbound: response.headers.has_option(Name::Require, "outbound"),
            flow_timer: number(response.headers.get(Name::FlowTimer)),
        }),
        401 | 407 => Reply::Challenge,
        423 => match number(response.headers.get(Name::MinExpires)) {
            Some(seconds) if seconds <= MAX_EXPIRES => Reply::TooShort(seconds),
            Some(_) | None => Reply::Failed(after),
        },
        439 => Reply::NoOutbound,
        430 | 503 => Reply::Elsewhere(after),
        400 | 402..=406 | 410 | 413..=422 | 600..=699 => Reply::Refused,
        _ => Reply::Failed(after),
    }
}

/// How long our own contact is kept: its `expires`, else that of the response.
fn granted(response: &Response, contact: Option<&SipUri>) -> Option<u32> {
    let contacts = response.headers.values(Name::Contact).take(MAX_CONTACTS);
    let listed: Vec<NameAddr> = contacts
        .filter_map(|text| NameAddr::parse(text).ok())
        .collect();
    let find = |is_ours: fn(&SipUri, &SipUri) -> bool| {
        let mut listed = listed.iter();
        listed.find(|listed| match (&listed.uri, contact) {
            (Uri::Sip(uri), Some(ours)) => is_ours(uri, ours),
            (Uri::Sip(_) | Uri::Tel(_) | Uri::Other { .. }, _) => false,
        })
    };
    // An earlier process may be there under another address.
    let same_user = |uri: &SipUri, ours: &SipUri| uri.raw_user() == ours.raw_user();
    let same_place = |uri: &SipUri, ours: &SipUri| {
        uri.raw_user() == ours.raw_user() && (&uri.host, uri.port) == (&ours.host, ours.port)
    };
    let ours = find(same_place).or_else(|| find(same_user));
    let own = ours.and_then(|contact| number(contact.params.get("expires").as_deref()));
    own.or_else(|| number(response.headers.get(Name::Expires)))
}

/// The registrar's own words, for people.
pub(super) fn words(response: &Response) -> String {
    let reason = caller_name::visible(&response.reason, MAX_WORDS);
    let warning = response.headers.get(Name::Warning).unwrap_or_default();
    let warning = caller_name::visible(warning, MAX_WORDS);
    match warning.is_empty() {
        true => format!("{} {reason}", response.status.code()),
        false => format!("{} {reason}; {warning}", response.status.code()),
    }
}

fn number(text: Option<&str>) -> Option<u32> {
    grammar::parse_number(text?).and_then(|number| u32::try_from(number).ok())
}

/// Most bindings looked at, and proxies kept.
const MAX_CONTACTS: usize = 64;
const MAX_ROUTES: usize = 8;
/// The longest text of a registrar that is passed on, in characters.
const MAX_WORDS: usize = 200;
/// The longest registration a registrar may want, and the longest time one is believed.
const MAX_EXPIRES: u32 = 7 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Headers, Status};

    /// What a registrar says can neither move the cursor nor turn or hide what stands beside it.
    #[test]
    fn words_are_one_visible_line() {
        let mut response = Response::from_headers(&Headers::new(), Status::new(403).unwrap());
        response.reason = "No\u{1b}[31m \u{202e}\u{200b}way".into();
        let warning = format!("399 x \"gone\u{7}\u{2066}\" {}", "x".repeat(300));
        response.headers.push(Name::Warning, &warning);
        let words = words(&response);
        assert!(
            words.starts_with("403 No[31m way; 399 x \"gone \" x"),
            "{words}"
        );
        assert_eq!(words.chars().count(), "403 No[31m way; ".len() + MAX_WORDS);
    }
}
