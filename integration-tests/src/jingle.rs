//! XMPP clients that make calls: what a browser and a script can both be told, and what both tell.
//!
//! [`crate::chromium`] and [`crate::aiortc`] start them. Both do Jingle over ICE with DTLS and real sound;
//! messages of XEP-0353, which neither library knows, are written here.
//!
//! Invariant: an event or stanza is handed out once, and those a search passes over stay in order.

mod calls;
mod proposal;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::dialogue::Dialogue;
use crate::server::{Server, password_of};
use crate::wait::{self, GENEROUS};
use crate::xmpp::{Stanza, escape};
pub use calls::{Event, Stats};
pub use proposal::Proposal;

/// How a client logs in and what it does in calls.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The account's local part; its password is [`password_of`].
    pub user: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The tone it sends, in Hz.
    pub tone: u32,
    /// Codecs it offers and answers with, best first, such as `opus`, `PCMU`; `None` for its own choice.
    pub codecs: Option<&'a [&'a str]>,
    /// Features it announces besides its own.
    pub features: &'a [&'a str],
    /// STUN and TURN servers, as WebRTC knows them: objects with `urls`, `username`, `credential`.
    pub ice_servers: &'a [Value],
    /// Whether it asks its server for more of them (XEP-0215); only a browser does.
    pub discover: bool,
    /// Whether its media goes through a TURN server or not at all.
    pub relay_only: bool,
    /// Whether it speaks BOSH instead of WebSocket; only a browser has the choice.
    pub bosh: bool,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            user: "alice",
            resource: "web",
            tone: 550,
            codecs: None,
            features: &[PROPOSALS],
            ice_servers: &[],
            discover: false,
            relay_only: false,
            bosh: false,
        }
    }
}

/// A client that is logged in.
#[derive(Debug)]
pub struct Client {
    dialogue: Arc<Dialogue>,
    name: String,
    jid: String,
}

impl Client {
    /// Logs in; `more` is what only this kind of client needs to know.
    pub(crate) fn log_in(
        dialogue: &Arc<Dialogue>,
        server: Server,
        setup: Setup<'_>,
        more: Value,
    ) -> Result<Self> {
        let mut client = Self {
            dialogue: Arc::clone(dialogue),
            name: dialogue.mint_name(),
            jid: format!("{}/{}", server.jid(setup.user), setup.resource),
        };
        let mut request = json!({
            "jid": client.jid,
            "password": password_of(setup.user),
            "tone": setup.tone,
            "codecs": setup.codecs,
            "features": setup.features,
            "ice_servers": setup.ice_servers,
            "discover": setup.discover,
            "relay_only": setup.relay_only,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        let answer = client.ask_client("log_in", request)?;
        let jid = answer["jid"].as_str().context("no JID was bound")?;
        jid.clone_into(&mut client.jid);
        Ok(client)
    }

    /// The full JID the server bound.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// The JID without resource.
    pub fn bare(&self) -> &str {
        self.jid.split_once('/').map_or(&self.jid, |(bare, _)| bare)
    }

    /// Sends `xml` as it is.
    pub fn send(&self, xml: &str) -> Result<()> {
        self.ask_client("send", json!({ "xml": xml })).map(drop)
    }

    /// Sends a query of `kind` (`get`, `set`) with `payload` to `to`, and waits for its result or error.
    pub fn ask(&self, kind: &str, to: &str, payload: &str) -> Result<Stanza> {
        let id = self.dialogue.mint_name();
        let to = escape(to);
        self.send(&format!(
            "<iq to='{to}' id='{id}' type='{kind}'>{payload}</iq>"
        ))?;
        self.expect("the answer to the query", |stanza| {
            stanza.name == "iq" && stanza.id() == id && matches!(stanza.kind(), "result" | "error")
        })
    }

    /// Lets `contact` see this device, and waits until the gateway has asked what it can do.
    pub fn make_known(&self, contact: &str) -> Result<()> {
        let to = escape(contact);
        self.send(&format!("<presence to='{to}' type='subscribe'/>"))?;
        self.expect("the contact's own wish to see", |stanza| {
            stanza.kind() == "subscribe" && stanza.from() == contact
        })?;
        self.send(&format!("<presence to='{to}' type='subscribed'/>"))?;
        // Where the server shows presence to the gateway itself (XEP-0356), that has asked already.
        let gateway = contact.rsplit('@').next().unwrap_or(contact);
        self.expect("the question what the device can do", |stanza| {
            let from = stanza.from().split('/').next().unwrap_or_default();
            stanza.kind() == "get"
                && (from == contact || from == gateway)
                && stanza.child_in("query", DISCO_INFO).is_some()
        })
        .map(drop)
    }

    /// Waits for a stanza that satisfies `condition`, and takes it.
    pub fn expect(&self, what: &str, condition: impl Fn(&Stanza) -> bool) -> Result<Stanza> {
        self.expect_event(what, |event| {
            let stanza = Stanza::from_event(event)?;
            condition(&stanza).then_some(stanza)
        })
    }

    /// An error if a stanza that satisfies `condition` has come or comes before the server answers a ping.
    pub fn expect_none(&self, what: &str, condition: impl Fn(&Stanza) -> bool) -> Result<()> {
        let domain = self
            .bare()
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        self.ask("get", &domain, "<ping xmlns='urn:xmpp:ping'/>")?;
        let found = self.dialogue.take(&self.name, |event| {
            let stanza = Stanza::from_event(event)?;
            condition(&stanza).then_some(stanza)
        })?;
        match found {
            Some(stanza) => bail!("unwanted {what}: {}", stanza.xml),
            None => Ok(()),
        }
    }

    /// Forgets what came by now.
    pub fn forget(&self) -> Result<()> {
        while self.dialogue.take(&self.name, |_| Some(()))?.is_some() {}
        Ok(())
    }

    /// Lets the program do `op`; what it can do is in `js/page.js` and `py/call_peer.py`.
    pub(crate) fn ask_client(&self, op: &str, mut request: Value) -> Result<Value> {
        request["op"] = json!(op);
        request["session"] = json!(self.name);
        let answer = self.dialogue.request(request);
        answer.with_context(|| self.jid.clone())
    }

    fn expect_event<T>(&self, what: &str, pick: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let found = wait::until(what, GENEROUS, || self.dialogue.take(&self.name, &pick));
        found.with_context(|| {
            let passed_over: Vec<String> = self
                .dialogue
                .waiting(&self.name)
                .iter()
                .map(ToString::to_string)
                .collect();
            format!("{} has met:\n  {}", self.jid, passed_over.join("\n  "))
        })
    }
}

const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// The feature of those who know proposals (XEP-0353).
pub const PROPOSALS: &str = "urn:xmpp:jingle-message:0";
