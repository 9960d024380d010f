//! What is known of one registration.

use std::time::Instant;

use tandem_shared::mint::Mint;

use crate::sip::digest::Rounds;
use crate::sip::endpoint::ClientToken;
use crate::sip::hop::ConnectionId;
use crate::sip::uri::SipUri;
use crate::sip::{Hop, Request};
use crate::trunk::{FlowId, Register, Ways};

/// One flow of an account at one trunk.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) stage: Stage,
    pub(super) call_id: String,
    pub(super) tag: String,
    pub(super) cseq: u32,
    /// Seconds asked for.
    pub(super) expires: u32,
    pub(super) outbound: bool,
    pub(super) ways: Ways,
    pub(super) hop: Option<Hop>,
    /// The stream it was made on; its end is the registration's end.
    pub(super) connection: Option<ConnectionId>,
    pub(super) sent: Option<Request>,
    pub(super) rounds: Rounds,
    /// Failures in a row.
    pub(super) failures: u32,
    /// What was wrong with the way tried last.
    pub(super) trouble: Option<&'static str>,
    /// Whether the registrar has us.
    pub(super) held: bool,
    /// The Contact it is asked to take, and the one it took.
    pub(super) contact: Option<SipUri>,
    pub(super) bound: Option<SipUri>,
    /// Whether it keeps the flow, so that a new Contact takes the place of the old one.
    pub(super) kept: bool,
    /// It saw us elsewhere than we said, and was told again; once.
    pub(super) corrected: bool,
    /// It was said that the registrar keeps no flows, so that there is only this one.
    pub(super) alone: bool,
    /// Nobody wants it any more; it ends once the registrar was told.
    pub(super) leaving: bool,
    /// It wanted a longer registration, and was asked for one; once for each try.
    pub(super) raised: bool,
    /// When it took us last.
    pub(super) since: Option<Instant>,
    /// When it is to be asked again.
    pub(super) due: Option<Instant>,
    /// Streams in a row that ended shortly after it took us.
    pub(super) brief: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits until the first flow shows that the registrar keeps several.
    Waiting,
    /// A name is being asked for.
    Locating,
    /// A REGISTER is under way.
    Asking(ClientToken),
    /// To be refreshed, or tried again, at its time.
    Resting,
    /// The process ends: the last REGISTER is under way.
    Leaving(ClientToken),
}

impl Registration {
    pub(super) fn new(id: FlowId, register: Option<&Register>, mint: &mut Mint) -> Self {
        Self {
            stage: Stage::Waiting,
            call_id: mint.token(),
            tag: mint.token(),
            cseq: 0,
            expires: register.map_or(0, |register| register.expires),
            outbound: register.is_some_and(|register| register.outbound),
            ways: Ways::by(id.trunk),
            hop: None,
            connection: None,
            sent: None,
            rounds: Rounds::default(),
            failures: 0,
            trouble: None,
            held: false,
            contact: None,
            bound: None,
            kept: false,
            corrected: false,
            alone: false,
            leaving: false,
            raised: false,
            since: None,
            due: None,
            brief: 0,
        }
    }
}
