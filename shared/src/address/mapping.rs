//! Which JIDs stand for which SIP parties.
//!
//! Two kinds of party cross the gateway. A **contact** is a SIP party as XMPP sees it: a JID in the
//! gateway's own domain, `+15551234567@sip.example.com` or `user\40sip.domain@sip.example.com`. A
//! **user** is an XMPP party as SIP sees it: `sip:juliet%40example.com@sip.example.com`. Whatever
//! the SIP side says, a contact's JID is always inside the gateway's domain and its localpart
//! always leaves the XEP-0106 encoder, so no SIP party can speak as an XMPP user (specs T5).

use super::{Address, escape, host_from_text, host_to_ascii, number, uri};
use crate::refusal::{Reason, Refusal};
use jid::{BareJid, DomainPart, Jid, NodePart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The table `[mapping]`, which stands in both configurations and must be the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The gateway's own XMPP domain, the component's.
    pub domain: String,
    /// The domains whose users the gateway serves; the parent of `domain` when left empty.
    #[serde(default)]
    pub user_domains: Vec<String>,
}

impl Mapping {
    /// The same table with its domains in the form [`Address::host`] has and `user_domains` filled.
    ///
    /// # Errors
    /// Names the domain that is not one.
    pub fn normalised(&self) -> Result<Self, Refusal> {
        let domain = host_from_text(&self.domain)?;
        let mut user_domains = self
            .user_domains
            .iter()
            .map(|host| host_from_text(host))
            .collect::<Result<Vec<_>, _>>()?;
        if user_domains.is_empty()
            && let Some((_, parent)) = domain.split_once('.')
        {
            user_domains.push(parent.to_owned());
        }
        Ok(Self {
            domain,
            user_domains,
        })
    }

    /// A short digest for each key, to be compared with the other node's.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, String> {
        let digest = |parts: &[&[u8]]| format!("{:032x}", crate::mint::hash(&[0; 16], parts));
        let domains: Vec<&[u8]> = self.user_domains.iter().map(String::as_bytes).collect();
        BTreeMap::from([
            (
                "mapping.domain".to_owned(),
                digest(&[self.domain.as_bytes()]),
            ),
            ("mapping.user_domains".to_owned(), digest(&domains)),
        ])
    }

    /// Whether `host` is one whose users the gateway serves.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        self.user_domains.iter().any(|served| served == host)
    }

    /// The gateway itself, as a party of messages: nobody in particular at its own domain.
    #[must_use]
    pub fn gateway(&self) -> Address {
        Address {
            user: String::new(),
            host: self.domain.clone(),
            device: None,
        }
    }

    /// Whether `address` is the gateway itself.
    #[must_use]
    pub fn is_gateway(&self, address: &Address) -> bool {
        address.user.is_empty() && address.host == self.domain
    }

    /// The user that somebody writes as a JID; nothing for whoever is not served.
    #[must_use]
    pub fn user_from_text(&self, text: &str) -> Option<Address> {
        let user = self.user_from_jid(&Jid::new(text).ok()?).ok()?;
        self.serves(&user.host).then_some(user)
    }

    /// The SIP party that a JID in the gateway's domain stands for.
    ///
    /// # Errors
    /// `jid-malformed` when the JID has no localpart or stands for nobody.
    pub fn contact_from_jid(&self, jid: &Jid) -> Result<Address, Refusal> {
        let malformed = |text: &str| Refusal::new(Reason::JidMalformed).with_text(text);
        let node = jid
            .node()
            .ok_or_else(|| malformed("The address names no contact."))?;
        let text = escape::unescape(node.as_str());
        let mut address = match text.rsplit_once('@') {
            Some((user, host)) if !host.contains(':') || host.starts_with('[') => {
                let address = Address::new(user, host)?;
                if address.host == self.domain {
                    return Err(malformed(
                        "A contact of the gateway is written without its domain.",
                    ));
                }
                address
            }
            Some(_) => return Err(malformed("A port cannot be part of an address.")),
            None => {
                let user = number::parse(&text).map_or(text, |number| number.as_str().to_owned());
                Address {
                    host: self.domain.clone(),
                    ..Address::new(&user, "invalid")?
                }
            }
        };
        address.device = jid.resource().map(|resource| resource.as_str().to_owned());
        Ok(address)
    }

    /// The JID that stands for a SIP party, always in the gateway's domain.
    ///
    /// # Errors
    /// `item-not-found` when no JID can stand for it: too long, not allowed by nodeprep, or a user
    /// part that would read as somebody else's address.
    pub fn contact_to_jid(&self, address: &Address) -> Result<Jid, Refusal> {
        let nobody =
            || Refusal::new(Reason::ItemNotFound).with_text("No JID can stand for this address.");
        let own = address.host == self.domain;
        if own && address.user.contains('@') {
            return Err(nobody());
        }
        let spell = |host: Option<&str>| {
            let text = match host {
                None => address.user.clone(),
                Some(host) => format!("{}@{host}", address.user),
            };
            let localpart = escape::escape(&text).ok_or_else(nobody)?;
            NodePart::new(&localpart)
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| nobody())
        };
        let host = (!own).then_some(address.host.as_str());
        let mut node = spell(host)?;
        if let Some(host) = host {
            let spelled = escape::unescape(node.as_str());
            // nodeprep makes another domain of some: of "straße", "strasse". A-labels it leaves.
            if !spelled.ends_with(&format!("@{host}")) {
                node = spell(Some(&host_to_ascii(host)?))?;
            }
        } else if escape::unescape(node.as_str()).contains('@') {
            // What nodeprep drops had kept an escape from being one.
            return Err(nobody());
        }
        let domain = DomainPart::new(&self.domain).map_err(|_| nobody())?;
        with_device(
            BareJid::from_parts(Some(&node), &domain),
            address.device.as_deref(),
        )
        .ok_or_else(nobody)
    }

    /// The address of an XMPP user.
    ///
    /// # Errors
    /// `jid-malformed` without a localpart, or when the localpart holds an escape that does not
    /// come back: two accounts could then share one SIP address.
    pub fn user_from_jid(&self, jid: &Jid) -> Result<Address, Refusal> {
        let malformed = |text: &str| Refusal::new(Reason::JidMalformed).with_text(text);
        let node = jid
            .node()
            .ok_or_else(|| malformed("Only users can use the gateway."))?;
        let user = escape::unescape(node.as_str());
        if escape::escape(&user).as_deref() != Some(node.as_str()) {
            return Err(malformed(
                "The escape sequences in your address have no SIP form.",
            ));
        }
        let mut address = Address::new(&user, jid.domain().as_str())?;
        address.device = jid.resource().map(|resource| resource.as_str().to_owned());
        Ok(address)
    }

    /// The JID of an XMPP user.
    ///
    /// # Errors
    /// `item-not-found` when the host is not served or no such JID can exist.
    pub fn user_to_jid(&self, address: &Address) -> Result<Jid, Refusal> {
        let nobody = || Refusal::new(Reason::ItemNotFound);
        if !self.serves(&address.host) {
            return Err(nobody());
        }
        let localpart = escape::escape(&address.user).ok_or_else(nobody)?;
        let node = NodePart::new(&localpart).map_err(|_| nobody())?;
        let domain = DomainPart::new(&address.host).map_err(|_| nobody())?;
        with_device(
            BareJid::from_parts(Some(&node), &domain),
            address.device.as_deref(),
        )
        .ok_or_else(nobody)
    }

    /// The user part, percent-encoded, under which SIP knows an XMPP user in the gateway's domain.
    #[must_use]
    pub fn user_to_sip(&self, address: &Address) -> String {
        uri::user_to_sip(&format!("{}@{}", address.user, address.host))
    }

    /// The XMPP user that a SIP user part and host stand for: `user%40served.domain` at any host
    /// that reached us, or `user` at a served domain (RFC 7247 §6.4; specs 1.1).
    ///
    /// # Errors
    /// `item-not-found` for anybody else, `bad-request` when the user part is malformed.
    pub fn user_from_sip(&self, part: &str, host: &str) -> Result<Address, Refusal> {
        let user = uri::user_from_sip(part)?;
        let address = match user.rsplit_once('@') {
            Some((user, host)) => Address::new(user, host),
            None => Address::new(&user, host),
        };
        address
            .ok()
            .filter(|address| self.serves(&address.host))
            .filter(|address| self.user_to_jid(address).is_ok())
            .ok_or_else(|| Refusal::new(Reason::ItemNotFound))
    }
}

fn with_device(bare: BareJid, device: Option<&str>) -> Option<Jid> {
    match device {
        Some(device) => bare.with_resource_str(device).ok().map(Jid::from),
        None => Some(Jid::from(bare)),
    }
}
