//! What a session tells its owner, and the words both use.

use bytes::Bytes;

use crate::sip::address::NameAddr;
use crate::sip::digest::Credential;
use crate::sip::endpoint::{Failure, ServerToken};
use crate::sip::grammar;
use crate::sip::header::{Headers, Name, Reason};
use crate::sip::hop::Target;
use crate::sip::message::{Request, Response};
use crate::sip::status::Status;
use crate::sip::uri::Uri;

use super::refresh::Wish;

/// What we are in a call.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where we are reached: the Contact of every request and answer that needs one.
    pub contact: NameAddr,
    /// Who we are to a peer that asks.
    pub credential: Option<Credential>,
    /// Whether provisional answers are reliable wherever the peer can (RFC 3262), not only where
    /// it insists.
    pub reliable: bool,
    /// Session timers.
    pub timer: Wish,
}

/// A call to be made.
pub struct Outgoing {
    /// The Request-URI.
    pub uri: Uri,
    /// Who calls; gets a tag.
    pub from: NameAddr,
    /// Who is called.
    pub to: NameAddr,
    /// The Call-ID, unless it may be anything.
    pub call_id: Option<String>,
    /// Hops it may still pass.
    pub max_forwards: u8,
    /// Where the INVITE goes.
    pub target: Target,
    /// Further header fields: identity, privacy, Replaces.
    pub headers: Headers,
    /// The offer; without one, the far side makes it.
    pub offer: Option<Body>,
}

/// A session description, in wire form.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// Its Content-Type.
    pub kind: Box<str>,
    /// The text.
    pub bytes: Bytes,
}

/// A body of a kind we do not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsupported;

impl Body {
    /// An SDP description.
    pub fn sdp(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: SDP.into(),
            bytes: bytes.into(),
        }
    }

    /// The description in a request or response; none where there is no body, or one that may be
    /// ignored.
    pub(super) fn read(headers: &Headers, bytes: &Bytes) -> Result<Option<Self>, Unsupported> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let kind = headers.get(Name::ContentType).unwrap_or_default();
        let essence = grammar::trim(kind.split(';').next().unwrap_or_default());
        let is_description = essence.eq_ignore_ascii_case(SDP)
            || essence
                .get(.."multipart/".len())
                .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
        let is_plain = headers
            .get(Name::ContentEncoding)
            .is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
        let disposition = headers.get(Name::ContentDisposition).unwrap_or_default();
        match is_description && is_plain {
            true => Ok(Some(Self {
                kind: kind.into(),
                bytes: bytes.clone(),
            })),
            false if disposition.contains("handling=optional") => Ok(None),
            false => Err(Unsupported),
        }
    }

    pub(super) fn attach(&self, headers: &mut Headers, bytes: &mut Bytes) {
        headers.set(Name::ContentType, &self.kind);
        *bytes = self.bytes.clone();
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// Names one offer of theirs until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OfferToken(pub(super) u32);

/// Names one request of ours within the dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestToken(pub(super) u64);

/// Names one of several parties that an INVITE of ours reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fork(pub u16);

/// What happened.
///
/// Every session has exactly one of `Redirected`, `Refused`, `Failed` and `Ended`, and nothing
/// after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// They call. Answer with `ring`, `answer` or `reject`.
    Invited {
        /// Their offer; without one, the offer is ours, in `answer`.
        offer: Option<Body>,
    },
    /// A provisional response to our INVITE.
    Progress {
        /// 100 says that somebody is there, 180 is ringing.
        status: Status,
        /// Whose.
        fork: Fork,
    },
    /// There may be something to hear before the answer.
    EarlyAnswer {
        /// Whose.
        fork: Fork,
        /// The answer to our offer.
        body: Body,
        /// Whether it is final; an unreliable one is, but for the words of the 2xx.
        reliable: bool,
    },
    /// Our INVITE was accepted.
    Answered {
        /// By whom; every other fork is over.
        fork: Fork,
        /// The answer to our offer, unless it was told early in the same words. If the offer is
        /// theirs, it follows as `Offer`.
        answer: Option<Body>,
    },
    /// They acknowledged our answer to their INVITE.
    Established,
    /// They offer; answer with `respond_offer`.
    Offer {
        /// For the answer.
        token: OfferToken,
        /// What they offer.
        body: Body,
    },
    /// They want an offer of ours; make it with `respond_offer`.
    OfferWanted {
        /// For the offer.
        token: OfferToken,
    },
    /// Their offer, or wish for one, is withdrawn.
    OfferWithdrawn {
        /// Which.
        token: OfferToken,
    },
    /// They answered our offer.
    Answer {
        /// The answer.
        body: Body,
        /// Whether the offer was only repeated to refresh the session.
        refresh: bool,
    },
    /// They did not take our offer; what was agreed before holds.
    OfferRefused {
        /// Why.
        status: Status,
    },
    /// A request the session itself has no answer for: INFO, REFER, OPTIONS. Answer it with
    /// `Endpoint::respond`.
    Request {
        /// For the answer.
        token: ServerToken,
        /// The request.
        request: Box<Request>,
    },
    /// What became of a request of ours, if the call is still up.
    Response {
        /// Which.
        token: RequestToken,
        /// Its status; none when no response came.
        status: Option<Status>,
    },
    /// Our INVITE leads elsewhere; the call is over.
    Redirected {
        /// With at least one Contact, most likely.
        response: Box<Response>,
    },
    /// Our INVITE was refused; the call is over. A 487 we did not ask for: it rang longer than
    /// Timer C, three minutes after the last sign of life.
    Refused {
        /// How; its `reasons()` may say more.
        response: Box<Response>,
    },
    /// Our INVITE has no response; the call is over.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// The call is over.
    Ended {
        /// Who ended it, and how.
        end: End,
        /// What they said about it.
        reasons: Vec<Reason>,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// We hung up, or cancelled.
    Ours,
    /// They hung up.
    Theirs,
    /// They cancelled their INVITE.
    Cancelled,
    /// They never acknowledged what they must.
    NoAck,
    /// They no longer know the dialog, or no longer answer.
    Gone,
    /// Nobody refreshed the session.
    Expired,
    /// They never made the answer, or the offer, that was theirs to make.
    NoDescription,
}

const SDP: &str = "application/sdp";
