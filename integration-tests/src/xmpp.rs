//! XMPP clients and components of the tests: slixmpp behind `py/driver.py`.
//!
//! All matching of stanzas is done here; the driver only carries them. What a client received stays
//! in its queue until a test takes it.
//!
//! Invariant: a stanza is handed out once, and stanzas that a search passes over stay in order.

mod driver;
mod stanza;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::bench::Bench;
use crate::server::{CLIENTS, COMPONENTS, SECRET, Server, password_of};
use crate::wait::{self, GENEROUS};
use driver::Driver;
pub use stanza::{Stanza, escape};

/// One driver process; any number of sessions run in it.
#[derive(Debug)]
pub struct Xmpp {
    driver: Arc<Driver>,
}

/// One stream: a client or a component.
#[derive(Debug)]
pub struct Session {
    driver: Arc<Driver>,
    name: String,
    jid: String,
}

impl Xmpp {
    /// Starts the driver.
    pub fn start(bench: &Bench) -> Result<Self> {
        Ok(Self {
            driver: Arc::new(Driver::start(bench)?),
        })
    }

    /// Logs `user` in with a resource, and sends initial presence.
    pub fn log_in(&self, server: Server, user: &str, resource: &str) -> Result<Session> {
        let client = self.log_in_silently(server, user, resource)?;
        client.send("<presence/>")?;
        Ok(client)
    }

    /// Logs `user` in without sending presence.
    pub fn log_in_silently(&self, server: Server, user: &str, resource: &str) -> Result<Session> {
        let jid = format!("{}/{resource}", server.jid(user));
        self.open(
            json!({ "op": "client", "jid": jid, "password": password_of(user) }),
            CLIENTS,
        )
    }

    /// Connects as the component `domain` (XEP-0114) in the place of Tandem.
    pub fn attach(&self, domain: &str) -> Result<Session> {
        self.attach_with(domain, SECRET)
    }

    /// As [`Self::attach`], with another secret.
    pub fn attach_with(&self, domain: &str, secret: &str) -> Result<Session> {
        self.open(
            json!({ "op": "component", "domain": domain, "secret": secret }),
            COMPONENTS,
        )
    }

    /// As [`Self::attach`], for a domain whose every stanza the test itself answers, pings too.
    pub fn attach_mute(&self, domain: &str) -> Result<Session> {
        self.open(
            json!({ "op": "component", "domain": domain, "secret": SECRET, "mute": true }),
            COMPONENTS,
        )
    }

    fn open(&self, mut request: serde_json::Value, address: &str) -> Result<Session> {
        let name = self.driver.mint_name();
        let (host, port) = address.split_once(':').unwrap_or((address, ""));
        request["session"] = json!(name);
        request["host"] = json!(host);
        request["port"] = json!(port.parse::<u16>()?);
        let answer = self.driver.request(request)?;
        let jid = answer["jid"].as_str().unwrap_or_default().to_owned();
        Ok(Session {
            driver: Arc::clone(&self.driver),
            name,
            jid,
        })
    }
}

impl Session {
    /// The full JID the server bound, or the component's domain.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// The JID without resource.
    pub fn bare(&self) -> &str {
        self.jid.split_once('/').map_or(&self.jid, |(bare, _)| bare)
    }

    /// Sends `xml` as it is.
    pub fn send(&self, xml: &str) -> Result<()> {
        self.driver
            .request(json!({ "op": "send", "session": self.name, "xml": xml }))?;
        Ok(())
    }

    /// Sends a chat message with an id of the caller's choice.
    pub fn send_chat(&self, to: &str, id: &str, body: &str) -> Result<()> {
        let (to, id, body) = (escape(to), escape(id), escape(body));
        self.send(&format!(
            "<message to='{to}' id='{id}' type='chat'><body>{body}</body></message>"
        ))
    }

    /// Sends a query of `kind` (`get`, `set`) with `payload` to `to`, and waits for its result or error.
    pub fn ask(&self, kind: &str, to: &str, payload: &str) -> Result<Stanza> {
        let id = self.driver.mint_name();
        self.send(&format!(
            "<iq to='{}' id='{id}' type='{kind}'>{payload}</iq>",
            escape(to)
        ))?;
        self.expect("the answer to the query", |stanza| {
            stanza.name == "iq" && stanza.id() == id && matches!(stanza.kind(), "result" | "error")
        })
    }

    /// Waits for a stanza that satisfies `condition`, and takes it out of the queue.
    pub fn expect(&self, what: &str, condition: impl Fn(&Stanza) -> bool) -> Result<Stanza> {
        self.expect_within(GENEROUS, what, condition)
    }

    /// As [`Self::expect`], with another limit.
    pub fn expect_within(
        &self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&Stanza) -> bool,
    ) -> Result<Stanza> {
        let found = wait::until(what, limit, || {
            match self.driver.take(&self.name, &condition)? {
                Some(stanza) => Ok(Some(stanza)),
                None => self.driver.check_alive().map(|()| None),
            }
        });
        found.map_err(|error| {
            let passed_over: Vec<String> = self
                .driver
                .waiting(&self.name)
                .iter()
                .map(|s| s.xml.clone())
                .collect();
            error.context(format!(
                "{} has received:\n  {}",
                self.jid,
                passed_over.join("\n  ")
            ))
        })
    }

    /// Waits for a message with this body.
    pub fn expect_body(&self, body: &str) -> Result<Stanza> {
        self.expect(&format!("a message saying {body:?}"), |stanza| {
            stanza.name == "message" && stanza.body() == Some(body)
        })
    }

    /// Waits for the error to the message or query that was sent with `id`.
    pub fn expect_error(&self, id: &str) -> Result<Stanza> {
        self.expect(&format!("an error to {id:?}"), |stanza| {
            stanza.kind() == "error" && stanza.id() == id
        })
    }

    /// Takes the first stanza that satisfies `condition` and came by now.
    pub fn take(&self, condition: impl Fn(&Stanza) -> bool) -> Result<Option<Stanza>> {
        self.driver.take(&self.name, condition)
    }

    /// Whether the stream has ended, in order or not.
    pub fn has_ended(&self) -> bool {
        self.driver.end_of(&self.name).is_some()
    }

    /// Takes all that came so far.
    pub fn drain(&self) -> Vec<Stanza> {
        self.driver.drain(&self.name)
    }

    /// Waits until the server has handled all this session sent, and delivered all it had for it
    /// (a ping to the own server, XEP-0199: a stream is in order).
    pub fn settle(&self) -> Result<()> {
        let domain = self.bare().rsplit('@').next().unwrap_or_default();
        self.ask("get", domain, "<ping xmlns='urn:xmpp:ping'/>")
            .map(drop)
    }

    /// An error if a stanza that satisfies `condition` has come or comes before the stream settles.
    pub fn expect_none(&self, what: &str, condition: impl Fn(&Stanza) -> bool) -> Result<()> {
        self.settle()?;
        match self.driver.take(&self.name, &condition)? {
            Some(stanza) => bail!("unwanted {what}: {}", stanza.xml),
            None => Ok(()),
        }
    }

    /// Waits until the stream is closed by the server, and returns the reason if one was seen.
    pub fn expect_end(&self) -> Result<String> {
        wait::until("the end of the stream", GENEROUS, || {
            Ok(self.driver.end_of(&self.name))
        })
    }

    /// Leaves in order.
    pub fn log_out(self) -> Result<()> {
        self.driver
            .request(json!({ "op": "close", "session": self.name }))?;
        self.expect_end().map(drop)
    }

    /// Breaks the connection without closing the stream.
    pub fn vanish(self) -> Result<()> {
        self.driver
            .request(json!({ "op": "abort", "session": self.name }))?;
        Ok(())
    }

    /// Subscribes to `contact`, and waits for its approval.
    pub fn subscribe(&self, contact: &str) -> Result<Stanza> {
        ensure!(
            !contact.contains('/'),
            "subscriptions are between bare JIDs"
        );
        self.send(&format!(
            "<presence to='{}' type='subscribe'/>",
            escape(contact)
        ))?;
        self.expect("the approval of the subscription", |stanza| {
            stanza.name == "presence" && stanza.kind() == "subscribed" && stanza.from() == contact
        })
    }
}
