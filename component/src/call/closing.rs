//! Every id that was opened toward a user is closed, whatever happens to us (XEP-0353 §3).
//!
//! A phone that comes back and finds a proposal without an end in its archive rings for it. So each
//! open id is a row in the store, and the row is forgotten only when the server has the stanzas
//! that close the id: those of a call that ends while the stream is down, or of a process that was
//! killed, go out when the stream opens.

use super::leg::State;
use super::speak;
use crate::action::{Action, Key};
use crate::confirm::Written;
use crate::context::Context;
use jid::{BareJid, Jid};
use minidom::Element;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_shared::call::{End, EndReason};

/// Names an open id: two users may have the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenKey {
    /// Whose it is.
    pub user: BareJid,
    /// The id.
    pub sid: String,
}

impl OpenKey {
    /// The key of `sid` toward `user`.
    #[must_use]
    pub fn new(user: &Jid, sid: &str) -> Self {
        Self {
            user: user.to_bare(),
            sid: sid.to_owned(),
        }
    }
}

/// What is needed to close an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The id.
    pub sid: String,
    /// Our JID in it.
    pub contact: Jid,
    /// The user.
    pub user: Jid,
    /// Where the leg stood.
    pub state: State,
}

impl Open {
    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> OpenKey {
        OpenKey::new(&self.user, &self.sid)
    }
}

/// Ids whose end the server is not known to have.
#[derive(Debug, Default)]
pub struct Closings {
    held: BTreeMap<OpenKey, Vec<Element>>,
}

impl Closings {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// An id that another run of this process left open.
    pub fn restore(&mut self, open: &Open, context: &mut Context) {
        let end = End::new(EndReason::Failed).with_text("The gateway was restarted.");
        let closers = open.state.closers().iter();
        let stanzas = closers.filter_map(|closer| {
            speak::closer(
                *closer,
                &open.sid,
                (&open.contact, &open.user),
                &end,
                context,
            )
        });
        let stanzas = stanzas.collect();
        self.close(open.key(), stanzas, context);
    }

    /// Has `stanzas` written, now or when the stream opens, and the id forgotten then.
    pub fn close(&mut self, key: OpenKey, stanzas: Vec<Element>, context: &mut Context) {
        if stanzas.is_empty() {
            context.actions.push_back(Action::Forget(Key::Call(key)));
            return;
        }
        write(&key, &stanzas, context);
        self.held.insert(key, stanzas);
    }

    /// The id begins anew: what closed it before must not be sent any more.
    pub fn reopen(&mut self, key: &OpenKey) {
        self.held.remove(key);
    }

    /// The server has what closes the id.
    pub fn handle_confirmed(&mut self, key: OpenKey, context: &mut Context) {
        if self.held.remove(&key).is_some() {
            context.actions.push_back(Action::Forget(Key::Call(key)));
        }
    }

    /// The stream is open: what the server may not have is sent (again).
    pub fn handle_stream_opened(&mut self, context: &mut Context) {
        for (key, stanzas) in &self.held {
            write(key, stanzas, context);
        }
    }
}

fn write(key: &OpenKey, stanzas: &[Element], context: &mut Context) {
    let Some((last, others)) = stanzas.split_last() else {
        return;
    };
    if context.confirm.is_none() {
        return;
    }
    for stanza in others {
        context.send(stanza.clone());
    }
    context.send_confirmed(last.clone(), Written::Call(key.clone()));
}
