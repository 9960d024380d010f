//! What makes a request from SIP a repeat: source, Request-URI, Call-ID, CSeq, From tag and body.
//!
//! The hash is keyed with the stored installation key, so that it is the same after a restart and
//! cannot be aimed at by a peer.

use std::net::IpAddr;

use tandem_shared::address::Address;
use tandem_shared::message::MessageId;
use tandem_shared::mint;

use crate::sip::header::Name;
use crate::sip::message::Request;

/// Names one request, across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The fingerprint of a request that came from `source`.
    #[must_use]
    pub fn of(key: &[u8; 16], source: IpAddr, request: &Request) -> Self {
        let from = request.headers.get(Name::From).unwrap_or_default();
        let tag = from.rsplit_once("tag=").map_or("", |(_, tag)| tag);
        let source = match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self(mint::hash(
            key,
            &[
                &source.octets(),
                // A forked request differs from its twin in nothing else.
                request.uri.to_string().as_bytes(),
                request.call_id().as_bytes(),
                request
                    .headers
                    .get(Name::CSeq)
                    .unwrap_or_default()
                    .as_bytes(),
                tag.as_bytes(),
                &request.body,
            ],
        ))
    }

    /// The name of the message it carries.
    #[must_use]
    pub fn message_id(self) -> MessageId {
        MessageId(mint::base32(self.0))
    }

    /// The name of the same message to `user`, one of several it is for.
    #[must_use]
    pub fn share_id(self, user: &Address) -> MessageId {
        let hash = mint::hash(&[0; 16], &[user.user.as_bytes(), user.host.as_bytes()]);
        let whole = mint::base32(hash);
        let share = whole.get(..SHARE_LEN).unwrap_or_default();
        MessageId(format!("{}-{share}", mint::base32(self.0)))
    }

    /// The fingerprint a message of SIP origin is named after, whoever it is to.
    #[must_use]
    pub fn from_message_id(id: &MessageId) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'a'..=b'z' => Some(u128::from(byte - b'a')),
            b'2'..=b'7' => Some(u128::from(byte - b'2') + 26),
            _ => None,
        };
        let text = match id.0.split_once('-') {
            Some((text, share)) if share.len() == SHARE_LEN => text.as_bytes(),
            Some(_) => return None,
            None => id.0.as_bytes(),
        };
        if text.len() != 26 {
            return None;
        }
        let mut number: u128 = 0;
        for (at, &byte) in text.iter().enumerate() {
            number |= digit(byte)?.checked_shl(u32::try_from(at * 5).ok()?)?;
        }
        Some(Self(number))
    }
}

/// How much of its hash tells a user from others who have the same number.
const SHARE_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Uri};

    #[test]
    fn a_message_id_leads_back_to_its_fingerprint() {
        for number in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let fingerprint = Fingerprint(number);
            assert_eq!(
                Fingerprint::from_message_id(&fingerprint.message_id()),
                Some(fingerprint)
            );
            let shares = ["juliet", "romeo"].map(|user| {
                let id = fingerprint.share_id(&Address::new(user, "example.com").unwrap());
                assert_eq!(Fingerprint::from_message_id(&id), Some(fingerprint));
                id
            });
            assert_ne!(shares[0], shares[1]);
        }
        assert_eq!(
            Fingerprint::from_message_id(&MessageId("ü".repeat(13))),
            None
        );
    }

    #[test]
    fn the_same_text_in_a_new_request_is_no_repeat() {
        let request = |cseq: &str| {
            let mut request = Request::new(Method::Message, Uri::parse("sip:a@b").unwrap());
            request.headers.push(Name::CSeq, cseq);
            request.headers.push(Name::From, "<sip:x@y>;tag=1");
            request
        };
        let of = |cseq| Fingerprint::of(&[1; 16], IpAddr::from([192, 0, 2, 1]), &request(cseq));
        assert_eq!(of("1 MESSAGE"), of("1 MESSAGE"));
        assert_ne!(of("1 MESSAGE"), of("2 MESSAGE"));
    }

    #[test]
    fn the_branches_of_a_forked_request_are_not_repeats() {
        let of = |uri| {
            let mut request = Request::new(Method::Message, Uri::parse(uri).unwrap());
            request.headers.push(Name::CSeq, "1 MESSAGE");
            Fingerprint::of(&[1; 16], IpAddr::from([192, 0, 2, 1]), &request)
        };
        assert_ne!(of("sip:a@b"), of("sip:c@b"));
    }
}
