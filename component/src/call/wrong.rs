//! What is wrong with a Jingle request, as an error that says so (XEP-0166 §10).

use super::translate::Fault;
use crate::context::Context;
use crate::refusal::to_xmpp;
use crate::stanza::Frame;
use crate::xml;
use minidom::Element;
use tandem_shared::call::EndReason;
use tandem_shared::refusal::{Reason, Refusal};

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// No such session, or not with these two.
    UnknownSession,
    /// Not now in this session.
    OutOfOrder,
    /// Both sides asked for the same, and the other one wins.
    TieBreak,
    /// Nothing is known of what is told.
    UnsupportedInfo,
    /// For a reason that has nothing to do with Jingle.
    Refused(Refusal),
}

impl Wrong {
    /// The error that answers `frame`.
    #[must_use]
    pub fn answer(&self, frame: &Frame, context: &Context) -> Element {
        let (refusal, condition) = match self {
            Self::UnknownSession => (Refusal::new(Reason::ItemNotFound), Some("unknown-session")),
            Self::OutOfOrder => (
                Refusal::new(Reason::UnexpectedRequest),
                Some("out-of-order"),
            ),
            Self::TieBreak => (Refusal::new(Reason::Conflict), Some("tie-break")),
            Self::UnsupportedInfo => (
                Refusal::new(Reason::FeatureNotImplemented),
                Some("unsupported-info"),
            ),
            Self::Refused(refusal) => (refusal.clone(), None),
        };
        let mut answer = frame.refuse(&to_xmpp(&refusal, context.mapping));
        if let Some(condition) = condition
            && let Some(error) = answer.get_child_mut("error", xml::COMPONENT)
        {
            error.append_child(Element::bare(condition, xml::JINGLE_ERRORS));
        }
        answer
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Fault {
    /// The condition of the `session-terminate` that answers a session with this fault; nothing
    /// where it is answered by an error.
    #[must_use]
    pub fn condition(self) -> Option<&'static str> {
        match self {
            Self::Malformed => None,
            Self::Application => Some("unsupported-applications"),
            Self::Transport => Some("unsupported-transports"),
            Self::Insecure => Some("security-error"),
        }
    }

    /// What SIP hears.
    #[must_use]
    pub fn end(self) -> EndReason {
        match self {
            Self::Malformed => EndReason::BadRequest,
            Self::Application | Self::Transport => EndReason::UnsupportedMedia,
            Self::Insecure => EndReason::Security,
        }
    }
}
