//! The parties of a request from SIP (RFC 7247 §6; specs 1.1, 1.3).
//!
//! Whoever the sender says it is, it becomes a contact inside the gateway's own domain and never
//! one of the gateway's users.

use tandem_shared::address::{Address, number, uri};
use tandem_shared::refusal::{Reason, Refusal};

use crate::emergency;
use crate::settings::Settings;
use crate::sip::Request;
use crate::sip::address::NameAddr;
use crate::sip::header::{Name, Privacy};
use crate::sip::uri::{SipUri, Uri};
use crate::trunk::Trunk;

/// The XMPP users a request is for, by the trunk it came in: the one its Request-URI names, or all who
/// share its number; at least one. Where that is our own Contact there, the number that was called
/// stands in P-Called-Party-ID (RFC 7315 §4.2) or in To. What comes by a user's own account is for that
/// user, whatever it names.
///
/// # Errors
/// The refusal the sender hears.
pub fn recipients(
    request: &Request,
    trunk: Option<&Trunk>,
    settings: &Settings,
) -> Result<Vec<Address>, Refusal> {
    if let Some(owner) = trunk.and_then(|trunk| trunk.owner.as_ref()) {
        return Ok(vec![owner.account()]);
    }
    match called(request, trunk) {
        Some(uri) => recipients_by_uri(&uri, trunk, settings),
        None => Err(Refusal::new(Reason::ItemNotFound)),
    }
}

/// What was called: the Request-URI, or what it stands for where it is our own Contact.
fn called(request: &Request, trunk: Option<&Trunk>) -> Option<Uri> {
    let user = request.uri.as_sip().and_then(SipUri::raw_user);
    if trunk.is_none_or(|trunk| user != Some(trunk.line.as_str())) {
        return Some(request.uri.clone());
    }
    let called = request.headers.values(Name::PCalledPartyId).next();
    let called = called.and_then(|text| NameAddr::parse(text).ok());
    let called = called.or_else(|| request.to().ok());
    called.map(|called| called.uri)
}

/// The number that was called, where its user has several and has to be told which.
#[must_use]
pub fn called_number(
    request: &Request,
    trunk: Option<&Trunk>,
    user: &Address,
    settings: &Settings,
) -> Option<String> {
    let line = settings.numbers.line(user);
    if line.is_none_or(|line| line.count < 2) {
        return None;
    }
    let text = match called(request, trunk)? {
        Uri::Sip(uri) => uri::user_from_sip(uri.raw_user()?).ok()?,
        Uri::Tel(rest) => rest.as_str().to_owned(),
        Uri::Other { .. } => return None,
    };
    let number = number_of(text.split(';').next()?, trunk)?;
    let theirs = settings.numbers.users(number.as_str());
    let is_theirs = theirs.contains(&user.account());
    is_theirs.then(|| number.as_str().to_owned())
}

fn recipients_by_uri(
    uri: &Uri,
    trunk: Option<&Trunk>,
    settings: &Settings,
) -> Result<Vec<Address>, Refusal> {
    let nobody = || Refusal::new(Reason::ItemNotFound);
    let unknown = |text: &str| Refusal::new(Reason::UnsupportedScheme).with_text(text);
    match uri {
        // XMPP cannot promise TLS on every hop (RFC 7247 §8).
        Uri::Sip(uri) if uri.secure => Err(unknown("A sips URI cannot be kept secure here.")),
        Uri::Sip(uri) => {
            let part = uri.raw_user().ok_or_else(nobody)?;
            let mut found = recipients_by_user(part, &uri.host.to_string(), trunk, settings)?;
            // A device is one user's: those who share a number have none in common.
            if let Some(value) = uri.params.get("gr").filter(|value| !value.is_empty())
                && let [address] = found.as_mut_slice()
            {
                address.device = Some(uri::device_from_gr(&value)?);
                settings.mapping.user_to_jid(address)?;
            }
            Ok(found)
        }
        Uri::Tel(rest) => {
            let number = rest.as_str().split(';').next().unwrap_or_default();
            settings.emergency.check(number)?;
            by_number(number, trunk, settings).ok_or_else(nobody)
        }
        Uri::Other { scheme, rest } if matches!(&**scheme, "im" | "pres") => {
            let (part, host) = rest.as_str().rsplit_once('@').ok_or_else(nobody)?;
            let host = host.split(['?', ';']).next().unwrap_or_default();
            recipients_by_user(part, host, trunk, settings)
        }
        Uri::Other { scheme, rest } if emergency::is_urn(scheme, rest.as_str()) => {
            settings.emergency.check("sos")?;
            Err(nobody())
        }
        Uri::Other { .. } => Err(unknown("This kind of address is not known here.")),
    }
}

fn recipients_by_user(
    part: &str,
    host: &str,
    trunk: Option<&Trunk>,
    settings: &Settings,
) -> Result<Vec<Address>, Refusal> {
    let user = uri::user_from_sip(part)?;
    settings.emergency.check(&user)?;
    match settings.mapping.user_from_sip(part, host) {
        Err(refusal) if refusal.reason == Reason::ItemNotFound => {
            let number = user.split(';').next().unwrap_or_default();
            by_number(number, trunk, settings).ok_or(refusal)
        }
        found => found.map(|user| vec![user]),
    }
}

/// Whose number it is, as the trunk or anybody else writes it.
fn by_number(text: &str, trunk: Option<&Trunk>, settings: &Settings) -> Option<Vec<Address>> {
    let users = |number: &str| {
        let users = settings.numbers.users(number);
        (!users.is_empty()).then_some(users)
    };
    let global = trunk.and_then(|trunk| trunk.read_number(text));
    let owners = global.and_then(|number| users(&number));
    owners.or_else(|| users(number::parse(text)?.as_str()))
}

/// The contact a request comes from, by the trunk it came in: what a trusted one asserts
/// (RFC 3325 §9.1, Remote-Party-ID), else From; nobody in particular where privacy is asked for
/// (RFC 3323 §4.2).
///
/// # Errors
/// When it claims to be somebody of ours.
pub fn sender(
    request: &Request,
    trunk: Option<&Trunk>,
    settings: &Settings,
) -> Result<Address, Refusal> {
    if wants_privacy(request, trunk) {
        return Ok(anonymous(settings));
    }
    let from = match asserted(request, trunk) {
        Some(asserted) => Some(asserted),
        None => request.from().ok(),
    };
    match from.map(|from| from.uri) {
        Some(Uri::Sip(uri)) => sender_by_uri(&uri, trunk, settings),
        Some(Uri::Tel(rest)) => {
            let text = rest.as_str().split(';').next().unwrap_or_default();
            let number = number_of(text, trunk);
            Ok(number.map_or_else(
                || anonymous(settings),
                |number| contact(number.as_str(), &settings.mapping.domain, settings),
            ))
        }
        Some(Uri::Other { .. }) | None => Ok(anonymous(settings)),
    }
}

/// What a trusted trunk says who the sender is; a number where it gives several.
#[must_use]
pub fn asserted(request: &Request, trunk: Option<&Trunk>) -> Option<NameAddr> {
    if !trunk.is_some_and(|trunk| trunk.trust_identity) {
        return None;
    }
    let headers = &request.headers;
    let asserted = headers.values(Name::PAssertedIdentity);
    let asserted = asserted
        .take(2)
        .filter_map(|text| NameAddr::parse(text).ok());
    let mut all: Vec<NameAddr> = asserted.collect();
    if let Some(at) = all.iter().position(|one| matches!(one.uri, Uri::Tel(_))) {
        return Some(all.swap_remove(at));
    }
    let remote = || {
        let text = headers.values(Name::RemotePartyId).next()?;
        NameAddr::parse(text).ok()
    };
    all.into_iter().next().or_else(remote)
}

/// Whether nobody is to learn who the sender is: it says so itself, or a trusted trunk does.
#[must_use]
pub fn wants_privacy(request: &Request, trunk: Option<&Trunk>) -> bool {
    let headers = &request.headers;
    if Privacy::of(headers).caller {
        return true;
    }
    let trusted = trunk.is_some_and(|trunk| trunk.trust_identity);
    let remote = headers.get(Name::RemotePartyId).filter(|_| trusted);
    remote
        .and_then(|text| NameAddr::parse(text).ok())
        .and_then(|party| party.params.get("privacy").map(|value| value == "full"))
        .unwrap_or(false)
}

/// A number as a trunk, or anybody else, writes it.
fn number_of(text: &str, trunk: Option<&Trunk>) -> Option<number::Number> {
    let global = trunk.and_then(|trunk| trunk.read_number(text));
    global
        .map(number::Number::Global)
        .or_else(|| number::parse(text))
}

fn sender_by_uri(
    from: &SipUri,
    trunk: Option<&Trunk>,
    settings: &Settings,
) -> Result<Address, Refusal> {
    let own = settings.mapping.domain.as_str();
    let Some(part) = from.raw_user() else {
        return Ok(anonymous(settings));
    };
    let user = uri::user_from_sip(part)?;
    let number = number_of(user.split(';').next().unwrap_or_default(), trunk);
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
    let answerable = |address: &Address| {
        let found = match trunk.and_then(|trunk| trunk.owner.as_ref()) {
            Some(owner) => settings.trunks.find_for(owner, address, own),
            None => settings.trunks.find(address, own),
        };
        found.is_ok()
    };
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

/// What somebody hears who is let in, but by none of the trunks.
#[must_use]
pub fn stranger() -> Refusal {
    Refusal::new(Reason::Forbidden).with_text("No trunk of this gateway leads here.")
}

/// What somebody hears who claims to be a user of ours (specs T5).
#[must_use]
pub fn spoofed() -> Refusal {
    Refusal::new(Reason::Forbidden).with_text("This sender belongs to the gateway itself.")
}

/// The user of whoever does not say who it is.
const ANONYMOUS: &str = "anonymous";
const ANONYMOUS_HOST: &str = "anonymous.invalid";
