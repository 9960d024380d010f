//! MESSAGE requests as messages (RFC 7572 §5; RFC 7247 §6; specs 1.1, 1.3, 2.1).
//!
//! Whoever the sender says it is, it becomes a contact inside the gateway's own domain and never
//! one of the gateway's users.

use std::net::IpAddr;

use tandem_shared::address::{Address, number, uri};
use tandem_shared::message::{Message, MessageId, Ordinal};
use tandem_shared::refusal::{Reason, Refusal};

use super::thread::Threads;
use crate::body;
use crate::clock::{self, Now};
use crate::emergency;
use crate::route::Route;
use crate::settings::Settings;
use crate::sip::Request;
use crate::sip::address::NameAddr;
use crate::sip::grammar;
use crate::sip::header::Name;
use crate::sip::uri::{SipUri, Uri};

/// What a request amounts to.
#[derive(Debug, PartialEq, Eq)]
pub enum Translated {
    /// A message to deliver.
    Message(Box<Message>),
    /// Nothing to deliver, and nothing wrong: no text, or its time is over (RFC 3428 §4).
    Nothing,
}

/// What `request`, which came from `source`, says.
///
/// # Errors
/// The refusal its sender hears.
pub fn from_sip(
    request: &Request,
    source: IpAddr,
    id: MessageId,
    settings: &Settings,
    threads: &Threads,
    now: Now,
) -> Result<Translated, Refusal> {
    let to = recipient(&request.uri, settings)?;
    let from = sender(request, settings.routes.of_source(source), settings)?;
    let headers = &request.headers;
    let Some(body) = body::read(headers, &request.body)? else {
        return Ok(Translated::Nothing);
    };
    let date = headers.get(Name::Date).and_then(clock::from_date);
    let seconds = headers.get(Name::Expires).and_then(grammar::parse_number);
    if let (Some(date), Some(seconds)) = (date, seconds)
        && i64::try_from(seconds)
            .is_ok_and(|seconds| date.saturating_add(seconds.saturating_mul(1000)) < now.unix_ms())
    {
        return Ok(Translated::Nothing);
    }
    let thread = threads.of(request.call_id()).map(str::to_owned);
    Ok(Translated::Message(Box::new(Message {
        id,
        from,
        to,
        body,
        subject: headers
            .get(Name::Subject)
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        lang: language(headers.get(Name::ContentLanguage)),
        thread,
        wire_id: None,
        sent: date.filter(|date| date.saturating_add(DELAY_MS) < now.unix_ms()),
        hops: request
            .max_forwards()
            .unwrap_or(Message::HOPS)
            .saturating_sub(1),
        ordinal: Ordinal::default(),
    })))
}

/// The XMPP user a Request-URI names.
fn recipient(uri: &Uri, settings: &Settings) -> Result<Address, Refusal> {
    let nobody = || Refusal::new(Reason::ItemNotFound);
    let unknown = |text: &str| Refusal::new(Reason::UnsupportedScheme).with_text(text);
    match uri {
        // XMPP cannot promise TLS on every hop (RFC 7247 §8).
        Uri::Sip(uri) if uri.secure => Err(unknown("A sips URI cannot be kept secure here.")),
        Uri::Sip(uri) => {
            let part = uri.raw_user().ok_or_else(nobody)?;
            let mut address = recipient_by_user(part, &uri.host.to_string(), settings)?;
            if let Some(value) = uri.params.get("gr").filter(|value| !value.is_empty()) {
                address.device = Some(uri::device_from_gr(&value)?);
                settings.mapping.user_to_jid(&address)?;
            }
            Ok(address)
        }
        Uri::Tel(rest) => {
            let number = rest.as_str().split(';').next().unwrap_or_default();
            settings.emergency.check(number)?;
            by_number(number, settings).ok_or_else(nobody)
        }
        Uri::Other { scheme, rest } if matches!(&**scheme, "im" | "pres") => {
            let (part, host) = rest.as_str().rsplit_once('@').ok_or_else(nobody)?;
            let host = host.split(['?', ';']).next().unwrap_or_default();
            recipient_by_user(part, host, settings)
        }
        Uri::Other { scheme, rest } if emergency::is_urn(scheme, rest.as_str()) => {
            settings.emergency.check("sos")?;
            Err(nobody())
        }
        Uri::Other { .. } => Err(unknown("This kind of address is not known here.")),
    }
}

fn recipient_by_user(part: &str, host: &str, settings: &Settings) -> Result<Address, Refusal> {
    let user = uri::user_from_sip(part)?;
    settings.emergency.check(&user)?;
    match settings.mapping.user_from_sip(part, host) {
        Err(refusal) if refusal.reason == Reason::ItemNotFound => {
            let number = user.split(';').next().unwrap_or_default();
            by_number(number, settings).ok_or(refusal)
        }
        found => found,
    }
}

fn by_number(text: &str, settings: &Settings) -> Option<Address> {
    let number = number::parse(text)?;
    settings.numbers.user(number.as_str()).cloned()
}

/// The contact a request comes from.
fn sender(
    request: &Request,
    route: Option<&Route>,
    settings: &Settings,
) -> Result<Address, Refusal> {
    let asserted = request
        .headers
        .values(Name::PAssertedIdentity)
        .next()
        .filter(|_| route.is_some_and(|route| route.trust_identity))
        .and_then(|text| NameAddr::parse(text).ok());
    let from = match asserted {
        Some(asserted) => Some(asserted),
        None => request.from().ok(),
    };
    match from.map(|from| from.uri) {
        Some(Uri::Sip(uri)) => sender_by_uri(&uri, settings),
        Some(Uri::Tel(rest)) => {
            let number = number::parse(rest.as_str().split(';').next().unwrap_or_default());
            Ok(number.map_or_else(
                || anonymous(settings),
                |number| contact(number.as_str(), &settings.mapping.domain, settings),
            ))
        }
        Some(Uri::Other { .. }) | None => Ok(anonymous(settings)),
    }
}

fn sender_by_uri(from: &SipUri, settings: &Settings) -> Result<Address, Refusal> {
    let own = settings.mapping.domain.as_str();
    let Some(part) = from.raw_user() else {
        return Ok(anonymous(settings));
    };
    let user = uri::user_from_sip(part)?;
    let number = number::parse(user.split(';').next().unwrap_or_default());
    let given = Address::new(&user, &from.host.to_string())?;
    if given.host == own && number.is_none() || settings.mapping.serves(&given.host) {
        return Err(spoofed());
    }
    if given.host == ANONYMOUS_HOST {
        return Ok(anonymous(settings));
    }
    let Some(number) = number else {
        return Ok(contact(&user, &given.host, settings));
    };
    // A global number is the same party whichever host it comes by; an extension belongs to its
    // exchange, unless replies can only go out as to a number.
    let global = matches!(number, number::Number::Global(_));
    let at_home = contact(number.as_str(), own, settings);
    let answerable = |address: &Address| settings.routes.find(address, own).is_ok();
    if given.host == own || answerable(&at_home) && (global || !answerable(&given)) {
        return Ok(at_home);
    }
    match global && !answerable(&given) {
        true => Ok(at_home),
        false => Ok(contact(&user, &given.host, settings)),
    }
}

/// The contact `user` at `host`, or the anonymous one where no JID could stand for it.
fn contact(user: &str, host: &str, settings: &Settings) -> Address {
    let Ok(address) = Address::new(user, host) else {
        return anonymous(settings);
    };
    let plain = user.len() <= 64
        && user
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-._*#".contains(&b));
    match plain || settings.mapping.contact_to_jid(&address).is_ok() {
        true => address,
        false => anonymous(settings),
    }
}

/// Whoever does not say who it is (RFC 3323 §4.1.1.3; specs 1.1).
fn anonymous(settings: &Settings) -> Address {
    Address {
        user: ANONYMOUS.to_owned(),
        host: settings.mapping.domain.clone(),
        device: None,
    }
}

/// What somebody hears who claims to be a user of ours (specs T5).
#[must_use]
pub fn spoofed() -> Refusal {
    Refusal::new(Reason::Forbidden).with_text("This sender belongs to the gateway itself.")
}

fn language(header: Option<&str>) -> Option<String> {
    let first = header?.split(',').next()?.trim();
    let valid = first
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (valid && (1..=35).contains(&first.len())).then(|| first.to_owned())
}

/// The user of whoever does not say who it is.
const ANONYMOUS: &str = "anonymous";
const ANONYMOUS_HOST: &str = "anonymous.invalid";
/// A message older than this is shown with its own time.
const DELAY_MS: i64 = 10_000;

#[cfg(test)]
mod tests;
