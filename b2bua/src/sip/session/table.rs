//! All sessions of an endpoint: who each event is for.
//!
//! Bounded by the transactions of the endpoint while calls begin, and by the owner's own limit on
//! calls afterwards.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use tandem_shared::timers::Timers;

use super::event::{Local, Outgoing, SessionEvent};
use super::{Context, Session, respond};
use crate::sip::dialog::tag_of;
use crate::sip::endpoint::{ClientToken, Event, ServerToken, Source};
use crate::sip::header::Name;
use crate::sip::message::Request;
use crate::sip::status::Status;

/// Names a session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(u64);

/// The sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    all: HashMap<SessionKey, Entry>,
    by_dialog: HashMap<(String, String), SessionKey>,
    by_invite: HashMap<ServerToken, SessionKey>,
    deadlines: Timers<SessionKey>,
    events: VecDeque<(SessionKey, SessionEvent)>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    session: Box<Session>,
    names: (String, String),
    invite: Option<ServerToken>,
}

impl Sessions {
    /// Calls somebody.
    pub fn call(&mut self, call: Outgoing, local: Local, cx: &mut Context<'_>) -> SessionKey {
        let key = self.next();
        let session = Session::call(base(key), call, local, cx);
        self.insert(key, session, None);
        key
    }

    /// Takes an INVITE that [`Sessions::handle`] gave back. None when it is answered already,
    /// because nothing can be made of it.
    pub fn take(
        &mut self,
        token: ServerToken,
        request: Box<Request>,
        source: Source,
        local: Local,
        cx: &mut Context<'_>,
    ) -> Option<SessionKey> {
        let key = self.next();
        let session = Session::be_called(base(key), token, request, source, local, cx)?;
        self.insert(key, session, Some(token));
        Some(key)
    }

    /// Gives an event to the session it is for; what is for none comes back. A request that
    /// belongs to no known dialog is answered here.
    pub fn handle(&mut self, event: Event, cx: &mut Context<'_>) -> Option<Event> {
        let key = match &event {
            Event::Provisional { token, .. }
            | Event::Response { token, .. }
            | Event::Failed { token, .. }
            | Event::Over { token } => match session_of(*token) {
                Some(key) => Some(key),
                None => return Some(event),
            },
            Event::Request { token, request, .. } => {
                let tag = tag_of(request.headers.get(Name::To).unwrap_or_default());
                if tag.is_empty() {
                    return Some(event);
                }
                let key = self.find(request, tag);
                if key.is_none() {
                    respond(*token, request, Status::NO_SUCH_TRANSACTION, cx);
                }
                key
            }
            Event::Ack { request, .. } => {
                let tag = tag_of(request.headers.get(Name::To).unwrap_or_default());
                self.find(request, tag)
            }
            Event::Cancelled { token, request } => {
                let tag = tag_of(request.headers.get(Name::To).unwrap_or_default());
                let begun = self.by_invite.get(token).copied();
                match begun.or_else(|| self.find(request, tag)) {
                    Some(key) => Some(key),
                    None => return Some(event),
                }
            }
        };
        if let Some(key) = key {
            self.with(key, cx, |session, cx| session.handle_event(event, cx));
        }
        None
    }

    /// Lets a session do something; none when there is no such session any more.
    pub fn with<R>(
        &mut self,
        key: SessionKey,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut Session, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let entry = self.all.get_mut(&key)?;
        let result = work(&mut entry.session, cx);
        self.settle(key);
        Some(result)
    }

    /// The session, to be looked at.
    pub fn get(&self, key: SessionKey) -> Option<&Session> {
        self.all.get(&key).map(|entry| &*entry.session)
    }

    /// The session an INVITE wants to replace, if it wants to (RFC 3891).
    ///
    /// # Errors
    /// What to refuse the INVITE with.
    pub fn replaced_by(&self, invite: &Request) -> Result<Option<SessionKey>, Status> {
        let Some(replaces) = invite.headers.replaces()? else {
            return Ok(None);
        };
        let names = (replaces.call_id.to_string(), replaces.to_tag.to_string());
        let key = self.by_dialog.get(&names).copied();
        let session = key.and_then(|key| Some((key, self.get(key)?)));
        match session.and_then(|(key, session)| Some((key, session.matches(&replaces)?))) {
            None => Err(Status::NO_SUCH_TRANSACTION),
            Some((key, matched)) => matched.map(|()| Some(key)),
        }
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(key) = self.deadlines.pop(cx.now) {
            self.with(key, cx, Session::handle_timeout);
        }
    }

    /// When [`Sessions::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What happened next, and to whom.
    pub fn poll_event(&mut self) -> Option<(SessionKey, SessionEvent)> {
        self.events.pop_front()
    }

    /// How many there are, those that only wait for copies included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let tables = self.all.len() + self.by_dialog.len() + self.by_invite.len();
        tables + self.deadlines.len() + self.events.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn next(&mut self) -> SessionKey {
        self.last += 1;
        SessionKey(self.last)
    }

    fn insert(&mut self, key: SessionKey, session: Session, invite: Option<ServerToken>) {
        let names = session.names();
        self.by_dialog.insert(names.clone(), key);
        self.by_invite.extend(invite.map(|token| (token, key)));
        let entry = Entry {
            session: Box::new(session),
            names,
            invite,
        };
        self.all.insert(key, entry);
        self.settle(key);
    }

    fn find(&self, request: &Request, tag: String) -> Option<SessionKey> {
        let names = (request.call_id().to_owned(), tag);
        self.by_dialog.get(&names).copied()
    }

    /// Collects what a session has to tell, and forgets it when it is over.
    fn settle(&mut self, key: SessionKey) {
        let Some(entry) = self.all.get_mut(&key) else {
            return;
        };
        let events = std::iter::from_fn(|| entry.session.poll_event());
        self.events.extend(events.map(|event| (key, event)));
        match entry.session.poll_timeout() {
            Some(at) => self.deadlines.set(key, at),
            None => self.deadlines.cancel(&key),
        }
        if entry.session.is_over()
            && let Some(entry) = self.all.remove(&key)
        {
            self.by_dialog.remove(&entry.names);
            if let Some(invite) = entry.invite {
                self.by_invite.remove(&invite);
            }
            self.deadlines.cancel(&key);
        }
    }
}

/// The tokens of a session name it, so that no table has to.
fn base(SessionKey(key): SessionKey) -> u64 {
    MARK | key << TOKEN_BITS
}

fn session_of(ClientToken(token): ClientToken) -> Option<SessionKey> {
    (token & MARK != 0).then_some(SessionKey((token & !MARK) >> TOKEN_BITS))
}

/// Set in the tokens of sessions, and in no other.
const MARK: u64 = 1 << 63;
/// Bits that number the transactions of one session.
pub(super) const TOKEN_BITS: u32 = 24;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Sessions {
        /// Any session there is.
        pub(in crate::sip::session) fn any(&self) -> Option<SessionKey> {
            self.all.keys().min().copied()
        }
    }

    /// The token of the first request of a session.
    pub(in crate::sip::session) fn first_token(key: SessionKey) -> u64 {
        base(key) | 1
    }

    #[test]
    fn tokens_name_their_session_and_no_other_token_does() {
        let key = SessionKey(77);
        assert_eq!(session_of(ClientToken(first_token(key))), Some(key));
        assert_eq!(session_of(ClientToken(77)), None);
    }
}
