//! Protection of packets (RFC 3711 §3.3, RFC 7714), with `rtc-srtp` doing the work.
//!
//! Each source that sends to us gets a context of its own, kept only after a packet of it was
//! authentic: forged sources cannot fill memory.

use std::ops::Deref;

use bytes::{Bytes, BytesMut};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::providers::RingCrypto;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use super::packet::{Header, number32};
use crate::media::Key;

/// What packets of a leg go through.
pub(super) enum Guard {
    /// Nothing passes: the keys are not known yet.
    Closed,
    /// Everything passes as it is.
    Open,
    /// Both ways protected.
    Protected(Box<Protected>),
}

/// A packet without its protection.
#[derive(Debug)]
pub(super) enum Opened<'a> {
    /// It had none.
    AsItCame(&'a [u8]),
    /// What was in it.
    Taken(BytesMut),
}

/// Keys for both ways.
pub(super) struct Protected {
    outbound: Context,
    inbound: Master,
    rtp: Sources,
    rtcp: Sources,
}

/// A master key with its salt; never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Master {
    suite: Suite,
    key: Vec<u8>,
    salt: Vec<u8>,
}

/// A cipher with its authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suite {
    AesCm128Sha1Tag80,
    AesCm128Sha1Tag32,
    AesCm256Sha1Tag80,
    AesGcm128,
    AesGcm256,
}

/// Contexts by source, the latest last.
#[derive(Default)]
struct Sources(Vec<(u32, Context)>);

impl Guard {
    /// Keys for both ways; nothing if they do not fit their suites.
    pub(super) fn protected(ours: &Master, theirs: Master) -> Option<Self> {
        Some(Self::Protected(Box::new(Protected {
            outbound: ours.context()?,
            inbound: theirs,
            rtp: Sources::default(),
            rtcp: Sources::default(),
        })))
    }

    /// Whether packets can be sent.
    pub(super) fn is_ready(&self) -> bool {
        !matches!(self, Self::Closed)
    }

    /// Takes protection off an RTP packet.
    pub(super) fn open_rtp<'a>(&mut self, packet: &'a [u8]) -> Option<Opened<'a>> {
        match self {
            Self::Closed => None,
            Self::Open => Some(Opened::AsItCame(packet)),
            Self::Protected(keys) => {
                let ssrc = Header::read_protected(packet)?.ssrc;
                let Protected { rtp, inbound, .. } = &mut **keys;
                let open = |context: &mut Context| context.decrypt_rtp(packet).ok();
                rtp.open(ssrc, inbound, open).map(Opened::Taken)
            }
        }
    }

    /// Takes protection off a compound RTCP packet.
    pub(super) fn open_rtcp<'a>(&mut self, packet: &'a [u8]) -> Option<Opened<'a>> {
        match self {
            Self::Closed => None,
            Self::Open => Some(Opened::AsItCame(packet)),
            Self::Protected(keys) => {
                let ssrc = number32(packet, 4)?;
                let Protected { rtcp, inbound, .. } = &mut **keys;
                let open = |context: &mut Context| context.decrypt_rtcp(packet).ok();
                rtcp.open(ssrc, inbound, open).map(Opened::Taken)
            }
        }
    }

    /// Protects an RTP packet.
    pub(super) fn seal_rtp(&mut self, packet: BytesMut) -> Option<Bytes> {
        match self {
            Self::Closed => None,
            Self::Open => Some(packet.freeze()),
            Self::Protected(keys) => keys
                .outbound
                .encrypt_rtp(&packet)
                .ok()
                .map(BytesMut::freeze),
        }
    }

    /// Protects a compound RTCP packet.
    pub(super) fn seal_rtcp(&mut self, packet: BytesMut) -> Option<Bytes> {
        match self {
            Self::Closed => None,
            Self::Open => Some(packet.freeze()),
            Self::Protected(keys) => keys
                .outbound
                .encrypt_rtcp(&packet)
                .ok()
                .map(BytesMut::freeze),
        }
    }
}

impl Deref for Opened<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::AsItCame(bytes) => bytes,
            Self::Taken(bytes) => bytes,
        }
    }
}

#[cfg(test)]
impl<T: Deref<Target = [u8]>> PartialEq<T> for Opened<'_> {
    fn eq(&self, other: &T) -> bool {
        **self == **other
    }
}

impl Sources {
    fn open(
        &mut self,
        ssrc: u32,
        master: &Master,
        open: impl FnOnce(&mut Context) -> Option<BytesMut>,
    ) -> Option<BytesMut> {
        if let Some((_, context)) = self.0.iter_mut().rev().find(|(known, _)| *known == ssrc) {
            return open(context);
        }
        let mut context = master.context()?;
        let packet = open(&mut context)?;
        if self.0.len() >= SOURCES {
            self.0.remove(0);
        }
        self.0.push((ssrc, context));
        Some(packet)
    }
}

impl Master {
    pub(super) fn new(suite: Suite, key: &[u8], salt: &[u8]) -> Self {
        Self {
            suite,
            key: key.to_vec(),
            salt: salt.to_vec(),
        }
    }

    /// A key of SDP, if its suite is known and its length is right.
    pub(super) fn from_sdp(key: &Key) -> Option<Self> {
        let suite = Suite::of(&key.suite)?;
        let (length, salt) = suite.lengths();
        if key.bytes.len() != length + salt {
            return None;
        }
        let (key, salt) = key.bytes.split_at(length);
        Some(Self::new(suite, key, salt))
    }

    fn context(&self) -> Option<Context> {
        Context::new(
            &self.key,
            &self.salt,
            self.suite.profile(),
            Some(srtp_replay_protection(REPLAY_WINDOW)),
            Some(srtcp_replay_protection(REPLAY_WINDOW)),
            &RingCrypto,
        )
        .ok()
    }
}

impl Suite {
    /// What is offered in SDP, best first.
    pub(super) const OFFERED: [Self; 4] = [
        Self::AesGcm128,
        Self::AesCm256Sha1Tag80,
        Self::AesCm128Sha1Tag80,
        Self::AesCm128Sha1Tag32,
    ];

    /// By its name in SDP (RFC 4568, RFC 6188, RFC 7714).
    pub(super) fn of(name: &str) -> Option<Self> {
        let all = [Self::OFFERED.as_slice(), &[Self::AesGcm256]].concat();
        all.into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AesCm128Sha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128Sha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256Sha1Tag80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesGcm128 => "AEAD_AES_128_GCM",
            Self::AesGcm256 => "AEAD_AES_256_GCM",
        }
    }

    /// Lengths of key and salt.
    pub(super) fn lengths(self) -> (usize, usize) {
        let profile = self.profile();
        (profile.key_len(), profile.salt_len())
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128Sha1Tag80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128Sha1Tag32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AesCm256Sha1Tag80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Self::AesGcm128 => ProtectionProfile::AeadAes128Gcm,
            Self::AesGcm256 => ProtectionProfile::AeadAes256Gcm,
        }
    }
}

/// Sources of one sender that are remembered: a transfer behind the same keys changes them.
const SOURCES: usize = 4;
/// Packets that may come late and are told from repeated ones.
const REPLAY_WINDOW: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16) -> BytesMut {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: 1,
            ssrc,
            payload: 0..0,
        };
        header.packet(b"sound", &mut BytesMut::new())
    }

    fn pair(suite: Suite) -> (Guard, Guard) {
        let (key, salt) = suite.lengths();
        let a = Master::new(suite, &vec![1; key], &vec![2; salt]);
        let b = Master::new(suite, &vec![3; key], &vec![4; salt]);
        let first = Guard::protected(&a, b.clone()).unwrap();
        (first, Guard::protected(&b, a).unwrap())
    }

    #[test]
    fn what_one_end_seals_the_other_opens_once() {
        for suite in Suite::OFFERED {
            let (mut a, mut b) = pair(suite);
            let sealed = a.seal_rtp(packet(5, 65_535)).unwrap();
            assert!(!sealed.windows(5).any(|part| part == b"sound"));
            assert_eq!(b.open_rtp(&sealed).unwrap(), packet(5, 65_535));
            assert_eq!(b.open_rtp(&sealed), None, "{suite:?} took a repeat");
            let next = a.seal_rtp(packet(5, 0)).unwrap();
            assert_eq!(
                b.open_rtp(&next).unwrap(),
                packet(5, 0),
                "{suite:?} wrapped"
            );
        }
    }

    #[test]
    fn reports_are_protected_too() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let (mut a, mut b) = pair(Suite::AesCm128Sha1Tag32);
        let sealed = a.seal_rtcp(BytesMut::from(&report[..])).unwrap();
        assert_eq!(*b.open_rtcp(&sealed).unwrap(), report);
        assert_eq!(b.open_rtcp(&sealed), None);
    }

    #[test]
    fn forged_sources_leave_nothing_behind() {
        let (mut a, mut b) = pair(Suite::AesGcm128);
        for ssrc in 0..100 {
            let mut sealed = a.seal_rtp(packet(ssrc, 1)).unwrap().to_vec();
            *sealed.last_mut().unwrap() ^= 1;
            assert_eq!(b.open_rtp(&sealed), None);
        }
        let Guard::Protected(keys) = &b else {
            panic!("no keys");
        };
        assert!(keys.rtp.0.is_empty());
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        let key = |suite: &str, length| Key {
            suite: suite.into(),
            bytes: vec![0; length],
        };
        assert!(Master::from_sdp(&key("AES_CM_128_HMAC_SHA1_80", 30)).is_some());
        assert!(Master::from_sdp(&key("AES_CM_128_HMAC_SHA1_80", 29)).is_none());
        assert!(Master::from_sdp(&key("AEAD_AES_128_GCM", 28)).is_some());
        assert!(Master::from_sdp(&key("F8_128_HMAC_SHA1_80", 30)).is_none());
    }
}
