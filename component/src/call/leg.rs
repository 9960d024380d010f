//! The leg toward the user, as a machine: what was said on either side, and what is said next.
//!
//! A leg begins in one of three ways: the user proposes (`Proposed`), the user begins a session
//! outright (`Offered`), or SIP calls the user (`Choosing`). `tests.rs` holds the whole table.

use super::devices::Way;
use crate::jingle::Party;
use crate::jingle::reason::Reason;
use jid::Jid;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tandem_shared::call::{CallId, End, EndReason};
use tandem_shared::media::{Description, Media};

/// Where a leg stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The user proposed; SIP has not answered.
    Proposed,
    /// SIP answered and we said `proceed`; the user's session is awaited.
    Proceeded,
    /// SIP hung up before that session came; it will be told why.
    Lapsed,
    /// The user offers a session; SIP's answer is awaited.
    Offered(Way),
    /// SIP calls; what the user's devices can do is being asked.
    Choosing,
    /// We proposed; nobody has said anything.
    Proposing,
    /// We proposed; SIP was told that it rings.
    Rung,
    /// A device is to have the session; SIP's offer is awaited.
    Taken(Way),
    /// We offer a session; the device's answer is awaited.
    Initiated(Way),
    /// Both sides have answered.
    Active(Way),
    /// Over.
    Ended,
}

/// What a leg hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The user begins the session.
    Initiate,
    /// The user accepts the session.
    Accept,
    /// A device rings, or has the proposal.
    Ringing,
    /// A device takes the call.
    Proceed,
    /// A device does not want the call.
    Reject,
    /// The user gives up.
    Retract,
    /// The user says that the call is over.
    Finish,
    /// The user ends the session.
    Terminate,
    /// What we said last came back: nobody is there, or nobody knows of the call.
    Bounce,
    /// Which way the user's devices are called.
    Choose(Way),
    /// SIP: it rings.
    FarRinging,
    /// SIP: answered, or something is to be heard.
    FarReady,
    /// SIP: our offer for the user.
    FarOffer,
    /// SIP: our answer for the user.
    FarAnswer,
    /// SIP: over.
    FarEnd,
    /// It cannot go on: a time ran out, or a description makes no call.
    Fail,
}

/// What is to be said, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each says to the user, or publishes, what its name says"
)]
pub enum Output {
    SayPropose,
    SayRinging,
    SayProceed,
    SayInitiate,
    SayAccept,
    SayReject,
    SayRetract,
    SayFinish,
    SayTerminate,
    PublishRinging,
    PublishReady,
    PublishDescription,
    PublishEnd,
}

impl State {
    /// The state after `input`, with what is to be said appended to `out`.
    #[must_use]
    pub fn handle(self, input: Input, out: &mut Vec<Output>) -> Self {
        use Input as I;
        use Output as O;
        use Way::{Direct, Proposed};
        let (next, said): (Self, &[Output]) = match (self, input) {
            (Self::Ended, _) => return self,

            // The user calls.
            (Self::Proposed, I::FarRinging) => (self, &[O::SayRinging]),
            (Self::Proposed, I::FarReady) => (Self::Proceeded, &[O::SayProceed]),
            (Self::Proposed, I::Retract | I::Finish) => (Self::Ended, &[O::PublishEnd]),
            (Self::Proceeded, I::Initiate) => (Self::Offered(Proposed), &[O::PublishDescription]),
            (Self::Proceeded, I::Retract | I::Finish | I::Bounce) => {
                (Self::Ended, &[O::PublishEnd])
            }
            (Self::Proceeded, I::FarEnd) => (Self::Lapsed, &[O::SayFinish]),
            (Self::Lapsed, I::Initiate) => (Self::Ended, &[O::SayTerminate]),
            (Self::Lapsed, I::Retract | I::Finish | I::Bounce | I::Fail) => (Self::Ended, &[]),
            (Self::Lapsed, _) => (self, &[]),
            (Self::Offered(Direct), I::FarRinging) => (self, &[O::SayRinging]),
            (Self::Offered(way), I::FarAnswer) => (Self::Active(way), &[O::SayAccept]),
            (Self::Offered(Proposed), I::Retract) => (Self::Ended, &[O::SayFinish, O::PublishEnd]),

            // The user is called.
            (Self::Choosing, I::Choose(Proposed)) => (Self::Proposing, &[O::SayPropose]),
            (Self::Choosing, I::Choose(Direct)) => (Self::Taken(Direct), &[O::PublishReady]),
            (Self::Proposing, I::Ringing) => (Self::Rung, &[O::PublishRinging]),
            (Self::Proposing | Self::Rung, I::Proceed) => {
                (Self::Taken(Proposed), &[O::PublishReady])
            }
            (Self::Proposing | Self::Rung, I::Reject | I::Finish) => {
                (Self::Ended, &[O::PublishEnd])
            }
            (Self::Proposing | Self::Rung, I::Bounce) => {
                (Self::Ended, &[O::SayRetract, O::PublishEnd])
            }
            (Self::Taken(way), I::FarOffer) => (Self::Initiated(way), &[O::SayInitiate]),
            (Self::Taken(Proposed), I::Reject | I::Finish) => (Self::Ended, &[O::PublishEnd]),
            (Self::Initiated(Direct), I::Ringing) => (self, &[O::PublishRinging]),
            (Self::Initiated(way), I::Accept) => (Self::Active(way), &[O::PublishDescription]),

            // There is a session, and the user knows that it is over.
            (
                Self::Offered(Proposed) | Self::Initiated(Proposed) | Self::Active(Proposed),
                I::Terminate | I::Finish | I::Bounce,
            ) => (Self::Ended, &[O::SayFinish, O::PublishEnd]),
            (
                Self::Offered(Direct) | Self::Initiated(Direct) | Self::Active(Direct),
                I::Terminate | I::Finish | I::Bounce,
            ) => (Self::Ended, &[O::PublishEnd]),

            // The user does not know it yet.
            (_, I::FarEnd) => (Self::Ended, self.closers()),
            (_, I::Fail) => {
                out.extend(self.closers());
                (Self::Ended, &[O::PublishEnd])
            }
            _ => (self, &[]),
        };
        out.extend(said);
        next
    }

    /// What tells the user in this state that the call is over. Every id that was opened is closed
    /// by one of these, or phones ring for dead calls after they catch up (XEP-0353 §3.7).
    #[must_use]
    pub fn closers(self) -> &'static [Output] {
        match self {
            Self::Proposed => &[Output::SayReject],
            Self::Proceeded => &[Output::SayFinish],
            Self::Proposing | Self::Rung => &[Output::SayRetract],
            // The device that took the call needs the one, all the others the other.
            Self::Taken(Way::Proposed) => &[Output::SayRetract, Output::SayFinish],
            Self::Offered(Way::Proposed)
            | Self::Initiated(Way::Proposed)
            | Self::Active(Way::Proposed) => &[Output::SayTerminate, Output::SayFinish],
            Self::Offered(Way::Direct)
            | Self::Initiated(Way::Direct)
            | Self::Active(Way::Direct) => &[Output::SayTerminate],
            Self::Lapsed | Self::Choosing | Self::Taken(Way::Direct) | Self::Ended => &[],
        }
    }

    /// Whether there is a session that Jingle can speak about.
    #[must_use]
    pub fn has_session(self) -> bool {
        matches!(
            self,
            Self::Offered(_) | Self::Initiated(_) | Self::Active(_)
        )
    }

    /// Whether both sides have answered.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active(_))
    }

    /// How a call ends that stays in this state for too long.
    #[must_use]
    pub fn expiry(self) -> EndReason {
        match self {
            Self::Proposed
            | Self::Offered(_)
            | Self::Proposing
            | Self::Rung
            | Self::Initiated(Way::Direct) => EndReason::NoAnswer,
            Self::Proceeded => EndReason::Unreachable,
            Self::Initiated(Way::Proposed) => EndReason::Connectivity,
            Self::Lapsed | Self::Choosing | Self::Taken(_) | Self::Active(_) | Self::Ended => {
                EndReason::Failed
            }
        }
    }
}

/// A change of a session that SIP has not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The user has new ICE credentials and awaits ours.
    Restart,
    /// The user changed who sends.
    Senders,
}

/// A leg with all that is known of it.
#[derive(Debug)]
pub struct Leg {
    /// Its call.
    pub call: CallId,
    /// Its id toward the user, of the proposal and of the session.
    pub sid: String,
    /// Where it stands.
    pub state: State,
    /// Which of the two we are in the session.
    pub role: Party,
    /// Our JID in it, exactly as the user knows it.
    pub contact: Jid,
    /// The user: full as soon as a device is known.
    pub user: Jid,
    /// The contact's name as the SIP side told it for this call.
    pub name: Option<String>,
    /// What was proposed.
    pub media: Vec<Media>,
    /// When it began.
    pub since: Instant,
    /// What we told the user of our media.
    pub ours: Option<Description>,
    /// What the user told of its own.
    pub theirs: Option<Description>,
    /// The change that waits for SIP's answer.
    pub change: Option<Change>,
    /// Another that came meanwhile.
    pub next_change: Option<Change>,
    /// The stanza id of the user's `session-initiate`.
    pub initiated: Option<String>,
    /// The stanza id of a proposal that asked for a receipt.
    pub receipt: Option<String>,
    /// Whether the user said that it goes on in another session, which has not come yet.
    pub moves: bool,
    /// Why SIP hung up, where the user is yet to be told.
    pub over: Option<End>,
    /// Whom the contact's presence was shown for this call, who would not see it otherwise.
    pub shown: Option<Jid>,
    /// Whether ringing was told, to whichever side is to know.
    pub rung: bool,
    /// What the store says of it.
    pub stored: Option<State>,
    /// How many iqs were sent in it.
    pub asked: u32,
}

impl Leg {
    /// A leg in its first state, on which nothing was said.
    #[must_use]
    pub fn new(
        (call, sid): (CallId, String),
        (state, role): (State, Party),
        (contact, user): (Jid, Jid),
        now: Instant,
    ) -> Self {
        Self {
            call,
            sid,
            state,
            role,
            contact,
            user,
            name: None,
            media: Vec::new(),
            since: now,
            ours: None,
            theirs: None,
            change: None,
            next_change: None,
            initiated: None,
            receipt: None,
            moves: false,
            over: None,
            shown: None,
            rung: false,
            stored: None,
            asked: 0,
        }
    }

    /// What it means to SIP that the user ends the call, for `reason` or `without` any.
    #[must_use]
    pub fn ended_by_user(&self, reason: Option<&Reason>, without: EndReason) -> EndReason {
        match (self.state, self.role, reason) {
            (State::Active(_), _, Some(reason)) => reason.after_answer(),
            (State::Active(_), _, None) => EndReason::Success,
            (_, Party::Responder, _) => EndReason::Cancelled,
            (_, Party::Initiator, Some(reason)) => reason.before_answer(),
            (_, Party::Initiator, None) => without,
        }
    }

    /// The other of the two.
    #[must_use]
    pub fn their_role(&self) -> Party {
        match self.role {
            Party::Initiator => Party::Responder,
            Party::Responder => Party::Initiator,
        }
    }
}

#[cfg(test)]
mod tests;
