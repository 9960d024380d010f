//! The REGISTER itself (RFC 3261 §10.2; RFC 5626 §4.2).

use std::net::IpAddr;

use tandem_shared::address::Address;

use super::{Registration, instance};
use crate::settings::Settings;
use crate::sip::header::{CSeq, Name};
use crate::sip::uri::{Host, SipUri, Uri};
use crate::sip::{Method, NameAddr, Request};
use crate::trunk::{FlowId, Trunk};

/// Whom a registering trunk belongs to, as an address to look its place up by.
pub(super) fn registrar(trunk: &Trunk) -> Address {
    Address {
        user: String::new(),
        host: domain(trunk).to_string(),
        device: None,
    }
}

/// The registrar's domain.
fn domain(trunk: &Trunk) -> Host {
    let next = trunk.next_hop.as_ref().map(|next| next.host.clone());
    let nowhere = Host::Ip(IpAddr::from([0, 0, 0, 0]));
    trunk.domain.clone().or(next).unwrap_or(nowhere)
}

/// The next REGISTER of `row`, for `contact`.
pub(super) fn compose(
    (id, trunk): (FlowId, &Trunk),
    row: &Registration,
    contact: &SipUri,
    settings: &Settings,
    key: &[u8; 16],
) -> Request {
    let domain = domain(trunk);
    let mut request = Request::new(Method::Register, Uri::Sip(SipUri::new(domain.clone())));
    let user = trunk
        .register
        .as_ref()
        .map_or("", |register| &register.user);
    let aor = NameAddr::new(Uri::Sip(SipUri::new(domain).with_user(user)));
    let headers = &mut request.headers;
    headers.push(Name::From, &format!("{aor};tag={}", row.tag));
    headers.push(Name::To, &aor.to_string());
    headers.push(Name::CallId, &row.call_id);
    let (number, method) = (row.cseq, Method::Register);
    headers.push(Name::CSeq, &CSeq { number, method }.to_string());
    let mut contact = NameAddr::new(Uri::Sip(contact.clone()));
    if row.outbound {
        let own = trunk.owner.is_some().then_some(trunk.line.as_str());
        let instance = format!("<{}>", instance(key, own));
        contact.params.set("+sip.instance", Some(&instance));
        contact.params.set("reg-id", Some(&id.number.to_string()));
    }
    headers.push(Name::Contact, &contact.to_string());
    if let Some(former) = row.former(&contact.uri) {
        headers.push(Name::Contact, &format!("<{former}>;expires=0"));
    }
    headers.push(Name::Expires, &row.expires.to_string());
    let supported = match row.outbound {
        true => "path, outbound",
        false => "path",
    };
    headers.push(Name::Supported, supported);
    let allow = settings.endpoint.allow.iter().map(Method::as_str);
    headers.push(Name::Allow, &allow.collect::<Vec<_>>().join(", "));
    request
}

/// Gives a request its next number.
pub(super) fn renumber(request: &mut Request, number: u32) {
    let method = Method::Register;
    request
        .headers
        .set(Name::CSeq, &CSeq { number, method }.to_string());
}
