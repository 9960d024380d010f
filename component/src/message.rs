//! Pager-mode messages as XMPP sees them (RFC 7572).
//!
//! [`outbox`] holds messages on their way to SIP until their outcome is final, [`inbox`] those from
//! SIP until the server has them; [`translate`] turns stanzas into messages and back.

pub mod degrade;
pub mod inbox;
pub mod numbering;
pub mod outbox;
pub mod recent;
pub mod translate;
