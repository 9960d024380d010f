//! The parties of a request to SIP (RFC 7247 §6): whom it goes to, and who our user is there.

use std::fmt::Write as _;

use tandem_shared::address::{Address, number, uri};
use tandem_shared::refusal::{Reason, Refusal};

use crate::settings::Settings;
use crate::sip::Transport;
use crate::sip::uri::{Host, Uri};
use crate::spelling::Spellings;
use crate::trunk::{Identity, Trunk, TrunkId, host_of};

/// Where a contact may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The trunks that fit best.
    pub trunks: Vec<TrunkId>,
    /// The user part as it is spelled.
    pub user: String,
}

/// Finds the trunks for a request to the contact `to`, which may pass `hops` more gateways.
///
/// # Errors
/// The refusal to answer with when it may go nowhere: emergency numbers, loops, no trunk.
pub fn find(
    to: &Address,
    hops: u8,
    spellings: &Spellings,
    settings: &Settings,
) -> Result<Found, Refusal> {
    settings.emergency.check(&to.user)?;
    if hops == 0 {
        return Err(Refusal::new(Reason::Looped).with_text("This went in circles."));
    }
    if settings.mapping.serves(&to.host) {
        return Err(Refusal::new(Reason::Looped)
            .with_text("This is an XMPP user; use that address directly."));
    }
    let trunks = settings.trunks.find(to, settings.mapping.domain.as_str())?;
    let user = spellings.spell(to);
    settings.emergency.check(user)?;
    let user = user.to_owned();
    Ok(Found { trunks, user })
}

/// Who a request goes to, as SIP writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The Request-URI's user and host, without device.
    pub to: String,
    /// The Request-URI.
    pub uri: Uri,
}

impl Target {
    /// The party `contact`, whose user part is spelled `user`, on `trunk`.
    ///
    /// # Errors
    /// When the contact has no SIP form.
    pub fn new(contact: &Address, user: &str, trunk: &Trunk, own: &str) -> Result<Self, Refusal> {
        let mut to = String::with_capacity(64);
        if contact.host == own {
            let (host, port) = match (&trunk.domain, &trunk.next_hop) {
                (Some(domain), _) => (domain, None),
                (None, Some(hop)) => (&hop.host, hop.port),
                (None, None) => return Err(Refusal::new(Reason::ItemNotFound)),
            };
            let transport = trunk.transport.unwrap_or(Transport::Udp);
            let usual = |port: &u16| *port == transport.default_port();
            write_uri(&mut to, user, host, port.filter(|port| !usual(port)));
            if number::parse(user).is_some() {
                to.push_str(";user=phone");
            }
        } else {
            write_uri(&mut to, user, &host_of(contact)?, None);
        }
        let mut full = to.clone();
        if let Some(device) = &contact.device {
            let _ = write!(full, ";gr={}", uri::device_to_gr(device));
        }
        let uri = Uri::parse(&full).map_err(|_| {
            Refusal::new(Reason::JidMalformed).with_text("The address has no SIP form.")
        })?;
        Ok(Self { to, uri })
    }
}

/// Writes the URI `from` has on `trunk`.
///
/// # Errors
/// When the user may not use the trunk.
pub fn write_identity(
    line: &mut String,
    from: &Address,
    trunk: &Trunk,
    settings: &Settings,
) -> Result<(), Refusal> {
    let own = &settings.mapping.domain;
    match &trunk.identity {
        Identity::User => {
            let _ = write!(line, "sip:{}@{own}", settings.mapping.user_to_sip(from));
        }
        Identity::Number => {
            let number = settings.numbers.number(from).ok_or_else(|| {
                Refusal::new(Reason::NotAllowed)
                    .with_text("You have no telephone number of your own to send this from.")
            })?;
            match &trunk.domain {
                Some(domain) => write_uri(line, number, domain, None),
                None => {
                    let _ = write!(line, "sip:{}@{own}", uri::user_to_sip(number));
                }
            }
            line.push_str(";user=phone");
        }
        Identity::Fixed(uri) => {
            let _ = write!(line, "{uri}");
        }
    }
    Ok(())
}

fn write_uri(out: &mut String, user: &str, host: &Host, port: Option<u16>) {
    let _ = write!(out, "sip:{}@{host}", uri::user_to_sip(user));
    if let Some(port) = port {
        let _ = write!(out, ":{port}");
    }
}
