//! What the core asks of the shell, and what it keeps across restarts.

use tandem_shared::account::Account;
use tandem_shared::address::Address;
use tandem_shared::bus::Envelope;

use crate::dns::Query;
use crate::fingerprint::Fingerprint;
use crate::last_number::LastNumber;
use crate::media::Command;
use crate::policy::Approval;
use crate::sip::Status;
use crate::sip::hop::{ConnectionId, Transmit};

/// One thing to do. Actions are carried out in order: what is stored before a send is on disk
/// before that send, and an envelope has left the process before a later transmit does.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a request or a response.
    Transmit(Transmit),
    /// End a connection that is dead; answered by `Core::handle_sip_closed`.
    Close(ConnectionId),
    /// Put an envelope on the bus.
    Publish(Box<Envelope>),
    /// Ask the name servers; answered by `Core::handle_dns`.
    Resolve(Query),
    /// Ask something of media.
    Media(Box<Command>),
    /// End the link of the bus and connect again.
    CloseBus,
    /// Remember until told to forget.
    Store(Record),
    /// Forget.
    Forget(Key),
}

/// Something that survives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A request from SIP that got its final response.
    Answered {
        /// Which request.
        request: Fingerprint,
        /// What it was answered.
        status: Status,
        /// When, in milliseconds since 1970.
        at: i64,
    },
    /// How a SIP user is spelled whose JID folds case.
    Spelling {
        /// `user@host` in lower case.
        folded: String,
        /// The user part as its owner writes it, unescaped.
        user: String,
    },
    /// A user's own account at a provider; sealed where it is stored.
    Account {
        /// Whose.
        user: Address,
        /// The account.
        account: Box<Account>,
    },
    /// Whether a user may reach numbers abroad.
    Approval(Box<Approval>),
    /// That a user was told of a spelling of a contact: the hash of both.
    Alias(u128),
    /// By which of a user's numbers a contact called or wrote last.
    LastNumber(LastNumber),
}

/// What [`Record`]s are forgotten by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Everything answered before this time, in milliseconds since 1970.
    AnsweredBefore(i64),
    /// A spelling, by its folded address.
    Spelling(String),
    /// A user's own account, by whose it is and its address.
    Account(Address, String),
    /// A user's own account that cannot be opened, by its row.
    LockedAccount(u128),
    /// An approval, by its id.
    Approval(u32),
    /// That a user was told of a spelling.
    Alias(u128),
    /// By which number a contact called last, by the hash of user and contact.
    LastNumber(u128),
}
