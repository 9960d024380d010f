//! Messages on their way to SIP, from the commit of their row to their final outcome.
//!
//! A row is stored before the bus sees the message and forgotten only when SIP has said 2xx or when
//! the server has the error stanza that says why not. Until then the message is sent again to every
//! new run of the SIP side, which knows it by its id.

use crate::action::{Action, Key, Record};
use crate::confirm::Written;
use crate::context::Context;
use crate::refusal::to_xmpp;
use crate::stanza::{Frame, Kind};
use jid::Jid;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tandem_shared::event::MessageOutcome;
use tandem_shared::message::{Message, MessageId};
use tandem_shared::refusal::{Reason, Refusal};
use tandem_shared::timers::Timers;

/// A message and what is needed to answer its sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The message itself.
    pub message: Message,
    /// The sender's full JID.
    pub from: Jid,
    /// The contact exactly as the sender addressed it: clients match errors by it.
    pub to: Jid,
}

#[derive(Debug)]
struct Held {
    row: Row,
    /// Whether the store has it.
    stored: bool,
    /// Its place among all that are held.
    place: u64,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Waits for the bus.
    Queued,
    /// On the bus, no outcome yet.
    Sent,
    /// Refused; the error stanza is not known to be with the server.
    Refused(Box<Refusal>),
}

/// All messages on their way.
#[derive(Debug)]
pub struct Outbox {
    max: usize,
    patience: Duration,
    held: HashMap<MessageId, Held>,
    queued: VecDeque<MessageId>,
    deadlines: Timers<MessageId>,
    places: u64,
    /// Refused since the owner asked last.
    refused: Vec<Row>,
}

impl Outbox {
    /// An outbox for `max` messages, each of which is given up `patience` after it came.
    #[must_use]
    pub fn new(max: usize, patience: Duration) -> Self {
        Self {
            max,
            patience,
            held: HashMap::new(),
            queued: VecDeque::new(),
            deadlines: Timers::default(),
            places: 0,
            refused: Vec::new(),
        }
    }

    /// How many messages are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none are held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes a row the store held.
    pub fn restore(&mut self, row: Row, now: Instant) {
        self.hold(row, true, now);
    }

    /// Takes a new message; `store` says whether it may be written to disk.
    ///
    /// # Errors
    /// `resource-constraint` when full.
    pub fn accept(&mut self, row: Row, store: bool, context: &mut Context) -> Result<(), Refusal> {
        if self.held.len() >= self.max {
            return Err(Refusal::new(Reason::ResourceConstraint)
                .with_text("The gateway has too many messages on their way. Try again later."));
        }
        if store {
            let record = Record::Message(Box::new(row.clone()));
            context.actions.push_back(Action::Store(record));
        }
        self.hold(row, store, context.now);
        Ok(())
    }

    /// The next message for the bus.
    pub fn poll_queued(&mut self) -> Option<&Message> {
        while let Some(id) = self.queued.pop_front() {
            let queued = self
                .held
                .get_mut(&id)
                .filter(|held| held.state == State::Queued);
            if let Some(held) = queued {
                held.state = State::Sent;
                // Looked up again: a borrow from inside the loop would last too long.
                return self.held.get(&id).map(|held| &held.row.message);
            }
        }
        None
    }

    /// The SIP side can be reached (again): everything without an outcome is to be sent, in order.
    pub fn handle_up(&mut self) {
        let mut open: Vec<(u64, MessageId)> = self
            .held
            .iter_mut()
            .filter(|(_, held)| !matches!(held.state, State::Refused(_)))
            .map(|(id, held)| {
                held.state = State::Queued;
                (held.place, id.clone())
            })
            .collect();
        open.sort_unstable();
        self.queued = open.into_iter().map(|(_, id)| id).collect();
    }

    /// The SIP side said how a message ended. Returns false for one that is not held.
    pub fn handle_outcome(&mut self, outcome: MessageOutcome, context: &mut Context) -> bool {
        match outcome.refusal {
            Some(refusal) => self.refuse(&outcome.id, refusal, context),
            None => self.finish(&outcome.id, context.actions),
        }
    }

    /// The XMPP stream is open: errors nobody confirmed are sent (again).
    pub fn handle_stream_opened(&mut self, context: &mut Context) {
        let mut refused: Vec<(u64, &Held)> = self
            .held
            .values()
            .filter(|held| matches!(held.state, State::Refused(_)))
            .map(|held| (held.place, held))
            .collect();
        refused.sort_unstable_by_key(|(place, _)| *place);
        for (_, held) in refused {
            if let State::Refused(refusal) = &held.state {
                send_error(&held.row, refusal, context);
            }
        }
    }

    /// The server has the error stanza of `id`.
    pub fn handle_error_confirmed(&mut self, id: &MessageId, out: &mut VecDeque<Action>) {
        self.finish(id, out);
    }

    /// Gives up what the SIP side never gave an outcome for.
    pub fn handle_timeout(&mut self, context: &mut Context) {
        while let Some(id) = self.deadlines.pop(context.now) {
            let Some(held) = self.held.get(&id) else {
                continue;
            };
            let refusal = match held.state {
                State::Refused(_) => continue,
                State::Sent => Refusal::new(Reason::InDoubt).with_text(
                    "This message may not have been delivered: the SIP side never said.",
                ),
                State::Queued => Refusal::new(Reason::RemoteServerTimeout)
                    .with_text("Not delivered: the SIP side of the gateway could not be reached."),
            };
            tracing::warn!(id = %id, "a message was given up without an outcome");
            self.refuse(&id, refusal, context);
        }
    }

    /// What was refused since this was asked last.
    pub fn take_refused(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.refused)
    }

    /// When [`Outbox::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn hold(&mut self, row: Row, stored: bool, now: Instant) {
        self.places += 1;
        let id = row.message.id.clone();
        self.deadlines.set(id.clone(), now + self.patience);
        self.queued.push_back(id.clone());
        let held = Held {
            row,
            stored,
            place: self.places,
            state: State::Queued,
        };
        self.held.insert(id, held);
    }

    fn refuse(&mut self, id: &MessageId, refusal: Refusal, context: &mut Context) -> bool {
        let Some(held) = self.held.get_mut(id) else {
            return false;
        };
        if matches!(held.state, State::Refused(_)) {
            return true;
        }
        self.deadlines.cancel(id);
        send_error(&held.row, &refusal, context);
        self.refused.push(held.row.clone());
        held.state = State::Refused(Box::new(refusal));
        true
    }

    fn finish(&mut self, id: &MessageId, out: &mut VecDeque<Action>) -> bool {
        let Some(held) = self.held.remove(id) else {
            return false;
        };
        self.deadlines.cancel(id);
        if held.stored {
            out.push_back(Action::Forget(Key::Message(id.clone())));
        }
        true
    }
}

/// Sends the error stanza; while the stream is down it waits for the next one.
fn send_error(row: &Row, refusal: &Refusal, context: &mut Context) {
    let frame = Frame {
        kind: Kind::Message,
        from: row.from.clone(),
        to: row.to.clone(),
        form: String::new(),
        id: row.message.wire_id.clone(),
    };
    let error = frame.refuse(&to_xmpp(refusal, context.mapping));
    context.send_confirmed(error, Written::Error(row.message.id.clone()));
}
