//! What the core asks of the shell, and what it keeps across restarts.

use crate::call::closing::{Open, OpenKey};
use crate::message::outbox::Row;
use crate::presence::Pair;
use minidom::Element;
use tandem_shared::bus::Envelope;
use tandem_shared::message::MessageId;

/// One thing to do. Actions are carried out in order: what is stored before a send is on disk
/// before that send.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Write a stanza to the XMPP server.
    Send(Box<Element>),
    /// Put an envelope on the bus.
    Publish(Box<Envelope>),
    /// Remember until told to forget.
    Store(Record),
    /// Forget.
    Forget(Key),
    /// End the XMPP stream and connect again: the server does not answer.
    CloseStream,
    /// End the link of the bus and connect again.
    CloseBus,
}

/// Something that survives a restart.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A message of the outbox.
    Message(Box<Row>),
    /// Somebody who sees the presence of a contact.
    Pair(Pair),
    /// A call whose id is open toward a user.
    Call(Box<Open>),
}

/// What a [`Record`] is forgotten by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A message of the outbox.
    Message(MessageId),
    /// Somebody who saw the presence of a contact.
    Pair(Pair),
    /// A call whose id was open.
    Call(OpenKey),
}
