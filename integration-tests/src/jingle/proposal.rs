//! Calls that are proposed first (XEP-0353), message by message.

use anyhow::Result;

use super::{Client, PROPOSALS};
use crate::xmpp::{Stanza, escape};

/// A proposal that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The sid of the call to be.
    pub id: String,
    /// Who proposes, with resource.
    pub from: String,
}

impl Client {
    /// Proposes an audio call to `to`, and returns its id, the sid of the call to be.
    pub fn propose(&self, to: &str) -> Result<String> {
        let id = format!("{}-{}", self.dialogue.mint_name(), std::process::id());
        let media = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
        self.say(to, "propose", &id, media)?;
        Ok(id)
    }

    /// Calls `to` as clients do that know proposals: proposes, waits until somebody wants it, and initiates.
    pub fn call_by_proposal(&self, to: &str) -> Result<String> {
        let id = self.propose(to)?;
        let proceed = self.wait_said("proceed", &id)?;
        self.begin(proceed.from(), &id)
    }

    /// Initiates the session of a proposal that `to` took.
    pub fn begin(&self, to: &str, id: &str) -> Result<String> {
        self.initiate(to, Some(id))
    }

    /// Sends one of the messages: `ringing`, `proceed`, `reject`, `retract`, `finish`, with what stands inside.
    pub fn say(&self, to: &str, what: &str, id: &str, inside: &str) -> Result<()> {
        let (to, id) = (escape(to), escape(id));
        self.send(&format!(
            "<message to='{to}' type='chat' id='{what}-{id}'><{what} xmlns='{PROPOSALS}' id='{id}'>{inside}</{what}>\
             <store xmlns='urn:xmpp:hints'/></message>"
        ))
    }

    /// Waits for one of the messages about a call, and returns the whole stanza.
    pub fn wait_said(&self, what: &str, id: &str) -> Result<Stanza> {
        self.expect(&format!("{what} of {id}"), |stanza| {
            stanza
                .child_in(what, PROPOSALS)
                .is_some_and(|child| child.id() == id)
        })
    }

    /// Waits for a proposal.
    pub fn wait_proposal(&self) -> Result<Proposal> {
        let stanza = self.expect("a proposal", |stanza| {
            stanza.child_in("propose", PROPOSALS).is_some()
        })?;
        let id = stanza.child("propose").map_or("", Stanza::id).to_owned();
        Ok(Proposal {
            id,
            from: stanza.from().to_owned(),
        })
    }

    /// Takes a proposal: rings, lets the caller proceed, waits for the call, and answers it.
    pub fn take_proposal(&self, proposal: &Proposal) -> Result<()> {
        self.say(&proposal.from, "ringing", &proposal.id, "")?;
        self.say(&proposal.from, "proceed", &proposal.id, "")?;
        self.wait_event("incoming", &proposal.id)?;
        self.accept(&proposal.id)
    }
}
