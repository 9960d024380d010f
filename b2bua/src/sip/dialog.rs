//! Dialogs (RFC 3261 §12): what two user agents share while requests go both ways between them.
//!
//! A dialog here has no state beyond its numbers: whether it is early or confirmed is known by
//! whoever keeps it.

use std::net::IpAddr;

use super::address::NameAddr;
use super::endpoint::Admission;
use super::header::{CSeq, Headers, Name};
use super::hop::{Hop, Profile, Target, Transport};
use super::message::{Request, Response};
use super::method::Method;
use super::status::Status;
use super::uri::{Host, Uri};
use crate::trunk::network::is_public;

/// One dialog, seen from our side.
#[derive(Clone, PartialEq, Eq)]
pub struct Dialog {
    call_id: Box<str>,
    /// Our From, with its tag.
    local: Box<str>,
    /// Our To, with its tag, if there is one.
    remote: Box<str>,
    local_tag: Box<str>,
    /// Empty for peers of RFC 2543.
    remote_tag: Box<str>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    routes: Vec<NameAddr>,
    target: Uri,
    way: Target,
    /// The peer itself is at the other end of `way`, no proxy.
    is_direct: bool,
}

impl Dialog {
    /// The dialog a response to our INVITE makes (RFC 3261 §12.1.2). Peers of RFC 2543 send no To
    /// tag: their 2xx makes a dialog all the same, or a call that is paid for could not be ended; what
    /// they say before it makes none.
    pub fn from_response(invite: &Request, response: &Response, way: Target) -> Option<Self> {
        let remote = response.headers.get(Name::To)?;
        let mut routes = read_routes(&response.headers);
        routes.reverse();
        Some(Self {
            call_id: invite.call_id().into(),
            local: invite.headers.get(Name::From)?.into(),
            remote: remote.into(),
            local_tag: tag_of(invite.headers.get(Name::From)?).into(),
            remote_tag: Some(tag_of(remote))
                .filter(|tag| !tag.is_empty() || response.status.is_success())?
                .into(),
            local_cseq: invite.cseq()?.number,
            remote_cseq: None,
            routes,
            target: contact(&response.headers).unwrap_or_else(|| invite.uri.clone()),
            way,
            is_direct: false,
        })
    }

    /// The dialog that our answer with this To tag makes (RFC 3261 §12.1.1).
    ///
    /// # Errors
    /// 400 without a usable Contact.
    pub fn from_request(invite: &Request, local_tag: &str, way: Target) -> Result<Self, Status> {
        let header = |name| invite.headers.get(name).ok_or(Status::BAD_REQUEST);
        let remote = header(Name::From)?;
        Ok(Self {
            call_id: invite.call_id().into(),
            local: format!("{};tag={local_tag}", header(Name::To)?).into(),
            remote: remote.into(),
            local_tag: local_tag.into(),
            remote_tag: tag_of(remote).into(),
            local_cseq: 0,
            remote_cseq: invite.cseq().map(|cseq| cseq.number),
            routes: read_routes(&invite.headers),
            target: contact(&invite.headers).ok_or(Status::BAD_REQUEST)?,
            way,
            is_direct: invite.headers.values(Name::Via).nth(1).is_none(),
        })
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Where the peer wants its requests.
    pub fn remote_target(&self) -> &Uri {
        &self.target
    }

    /// The To of our answers.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// A new request, with the next CSeq (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.build(method, self.local_cseq)
    }

    /// The ACK of a 2xx to our INVITE of that number.
    pub fn ack(&self, number: u32) -> Request {
        self.build(Method::Ack, number)
    }

    /// Gives a request that was challenged the next CSeq.
    pub fn renumber(&mut self, request: &mut Request) {
        self.local_cseq += 1;
        let (number, method) = (self.local_cseq, request.method.clone());
        let cseq = CSeq { number, method };
        request.headers.set(Name::CSeq, &cseq.to_string());
    }

    /// Takes a request of the peer's (RFC 3261 §12.2.2).
    ///
    /// # Errors
    /// 500 when it comes after a later one.
    pub fn receive(&mut self, request: &Request) -> Result<(), Status> {
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(Status::SERVER_INTERNAL_ERROR);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Takes the new Contact of an INVITE, an UPDATE or a 2xx to one.
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Some(uri) = contact(headers) {
            self.target = uri;
        }
    }

    /// The last word on the route set is that of the 2xx (RFC 3261 §13.2.2).
    pub fn set_routes(&mut self, accepted: &Headers) {
        self.routes = read_routes(accepted);
        self.routes.reverse();
    }

    /// Where its requests go: to the first route or the remote target where that is an address the
    /// configuration knows, and a public one if the dialog's own way leads to one: no peer outside
    /// leads us into our own network. Else back the way the dialog began: a Contact behind a NAT leads
    /// nowhere, and a foreign one may lead where nothing of ours should go. A stream is kept, and
    /// so is the way to a peer without a proxy between.
    pub fn way(&self, admission: &Admission) -> Target {
        if self.is_direct || self.way.transport().is_reliable() {
            return self.way.clone();
        }
        let next = self.routes.first().map_or(&self.target, |route| &route.uri);
        let is_outside = self.way.address().is_some_and(is_public);
        let may_go = |address| admission.admits(address) && (!is_outside || is_public(address));
        known_hop(next, may_go).map_or_else(|| self.way.clone(), Target::Hop)
    }

    /// RFC 3261 §12.2.1.1: with a strict router first, it stands in the Request-URI.
    fn build(&self, method: Method, number: u32) -> Request {
        let strict = self
            .routes
            .first()
            .filter(|route| route.uri.as_sip().is_some_and(|uri| !uri.params.has("lr")));
        let uri = strict.map_or(&self.target, |route| &route.uri);
        let mut request = Request::new(method, uri.clone());
        let skipped = usize::from(strict.is_some());
        for route in self.routes.iter().skip(skipped) {
            request.headers.push(Name::Route, &route.to_string());
        }
        if strict.is_some() {
            let target = NameAddr::new(self.target.clone());
            request.headers.push(Name::Route, &target.to_string());
        }
        request.headers.push(Name::From, &self.local);
        request.headers.push(Name::To, &self.remote);
        request.headers.push(Name::CallId, &self.call_id);
        let method = request.method.clone();
        let cseq = CSeq { number, method };
        request.headers.push(Name::CSeq, &cseq.to_string());
        request
    }
}

/// The tag of a From or To; empty when there is none.
pub fn tag_of(text: &str) -> String {
    let address = NameAddr::parse(text).ok();
    address
        .and_then(|address| address.tag())
        .unwrap_or_default()
}

fn contact(headers: &Headers) -> Option<Uri> {
    let first = headers.values(Name::Contact).next()?;
    let uri = NameAddr::parse(first).ok()?.uri;
    uri.as_sip().is_some().then_some(uri)
}

/// A route that cannot be read would lead astray; without it the peer's proxy finds the rest.
fn read_routes(headers: &Headers) -> Vec<NameAddr> {
    headers
        .values(Name::RecordRoute)
        .filter_map(|text| NameAddr::parse(text).ok())
        .filter(|route| route.uri.as_sip().is_some())
        .take(MAX_ROUTES)
        .collect()
}

fn known_hop(uri: &Uri, may_go: impl FnOnce(IpAddr) -> bool) -> Option<Hop> {
    let uri = uri.as_sip().filter(|uri| !uri.secure)?;
    let address = uri.host.ip()?;
    if !may_go(address) {
        return None;
    }
    let transport = match uri.params.get("transport").as_deref() {
        None => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(_) => return None,
    };
    Some(Hop {
        host: Host::Ip(address),
        port: uri.port.unwrap_or(transport.default_port()),
        transport,
        server_name: None,
        profile: Profile::default(),
    })
}

/// Its Call-ID may be another node's secret; its addresses are people's.
impl std::fmt::Debug for Dialog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialog(cseq {})", self.local_cseq)
    }
}

/// Most routes kept.
const MAX_ROUTES: usize = 32;

#[cfg(test)]
mod tests;
