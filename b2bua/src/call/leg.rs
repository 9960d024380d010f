//! What is known of the two legs of a call.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tandem_shared::media::{Codec, Description, Direction};

use super::Call;
use super::negotiate::{Encoding, sip, xmpp};
use crate::body::sdp::Sdp;
use crate::media::{SipLocal, XmppLocal};
use crate::sip::session::{Fork, SessionKey};

/// The SIP leg.
#[derive(Debug)]
pub(super) struct SipLeg {
    /// Its session, once there is one.
    pub(super) session: Option<SessionKey>,
    /// Whether SIP called.
    pub(super) is_called: bool,
    /// Our endpoint, once media has it.
    pub(super) local: Option<SipLocal>,
    /// Names it in our descriptions.
    pub(super) name: u64,
    /// Where its signalling comes from.
    pub(super) signalling: IpAddr,
    /// What was agreed.
    pub(super) agreed: Option<sip::Agreed>,
    /// What we described last.
    pub(super) sent: Option<Sdp>,
    /// What they offered first, until it is answered.
    pub(super) offered: Option<Sdp>,
    /// What parties of a forked call answered early.
    pub(super) early: BTreeMap<Fork, Sdp>,
    /// Whether the component was told that they hold the call.
    pub(super) told_hold: bool,
    /// How long their INVITE may wait for its answer, if they said so.
    pub(super) patience: Option<Duration>,
}

/// The XMPP leg.
#[derive(Debug, Default)]
pub(super) struct XmppLeg {
    /// Our endpoint, once media has it.
    pub(super) local: Option<XmppLocal>,
    /// What was agreed.
    pub(super) agreed: Option<xmpp::Agreed>,
    /// Their offer that we have not answered.
    pub(super) offered: Option<Description>,
    /// Our offer that they have not answered.
    pub(super) sent: Option<Description>,
    /// Whether they hold the call by a word of their own (XEP-0167 §8.2).
    pub(super) holds: bool,
}

impl SipLeg {
    /// A leg of which nothing is known but where its signalling is.
    pub(super) fn new(name: u64, signalling: IpAddr) -> Self {
        Self {
            session: None,
            is_called: false,
            local: None,
            // Some read it as a signed number.
            name: name >> 1,
            signalling,
            agreed: None,
            sent: None,
            offered: None,
            early: BTreeMap::new(),
            told_hold: false,
            patience: None,
        }
    }
}

impl Call {
    /// What the SIP leg negotiates from; nothing before media has its ports.
    pub(super) fn sip_terms(&self) -> Option<sip::Terms<'_>> {
        Some(sip::Terms {
            local: self.sip.local.as_ref()?,
            policy: &self.policy,
            session: self.sip.name,
            signalling: self.sip.signalling,
            direction: self.direction_to_sip(),
            other: match (&self.xmpp.agreed, &self.xmpp.offered) {
                (Some(agreed), _) => std::slice::from_ref(&agreed.flow.send),
                (None, Some(offered)) => xmpp::codecs(offered),
                (None, None) => &[],
            },
            now: self.sip.agreed.as_ref(),
            sent: self.sip.sent.as_ref(),
        })
    }

    /// What the XMPP leg negotiates from, with the codecs of the SIP leg's open offer.
    pub(super) fn xmpp_terms<'a>(&'a self, offered: &'a [Codec]) -> Option<xmpp::Terms<'a>> {
        Some(xmpp::Terms {
            local: self.xmpp.local.as_ref()?,
            // What the trunk wants is for the SIP leg: whatever else clients speak is transcoded.
            codecs: &Encoding::ALL,
            direction: Direction::Both,
            other: match &self.sip.agreed {
                Some(agreed) => std::slice::from_ref(&agreed.flow.send),
                None => offered,
            },
            now: self.xmpp.agreed.as_ref(),
        })
    }

    /// The codecs of the SIP leg's open offer.
    pub(super) fn offered_codecs(&self) -> Vec<Codec> {
        let offered = self.sip.offered.as_ref();
        offered.map_or(Vec::new(), |sdp| sip::codecs(sdp, &self.policy))
    }

    /// Which way sound may flow on the SIP leg: what the XMPP user sends we send, what it hears we
    /// receive.
    pub(super) fn direction_to_sip(&self) -> Direction {
        let agreed = self.xmpp.agreed.as_ref();
        let flows = agreed.map_or(Direction::Both, |agreed| agreed.flow.direction.reversed());
        match self.xmpp.holds {
            true => flows.and(Direction::Send),
            false => flows,
        }
    }
}
