//! What the core asks of media and what it hears back. Packets never pass through the core.
//!
//! An [`AnchorId`] names the two media endpoints of one call: one toward the XMPP leg (ICE and
//! DTLS-SRTP), one toward the SIP leg (RTP, SRTP with keys in SDP, or DTLS-SRTP). The core
//! negotiates, that is, it decides codecs, payload types, directions and keys; media does as told,
//! relays packets where both legs agreed on one codec and transcodes where they did not.
//!
//! Every command is answered by at most one event of the same name; the others come by themselves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tandem_shared::media::{Candidate, Codec, Direction, Dtls, IceCredentials, Setup};

/// Names the media of a call; chosen by the core, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnchorId(pub u64);

/// One of the two legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Toward the XMPP user.
    Xmpp,
    /// Toward the SIP user.
    Sip,
}

/// What the core wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Reserve both endpoints; answered by [`Event::Opened`] or [`Event::NotOpened`].
    Open {
        /// The new anchor.
        anchor: AnchorId,
        /// The SIP leg's address, as its trunk says; it chooses the interface.
        sip: IpAddr,
    },
    /// What the XMPP leg's other end said. Again with other credentials: ICE starts anew.
    ConnectXmpp {
        /// Which.
        anchor: AnchorId,
        /// How it is reached.
        peer: Box<XmppPeer>,
        /// What flows.
        flow: Box<Flow>,
    },
    /// Candidates of the XMPP leg's other end, found later. Those of an unknown `ufrag` wait for it.
    Candidates {
        /// Which.
        anchor: AnchorId,
        /// Whose, if it was said.
        ufrag: Option<String>,
        /// The candidates.
        candidates: Vec<Candidate>,
    },
    /// New local ICE credentials for the XMPP leg; answered by [`Event::Restarted`].
    Restart {
        /// Which.
        anchor: AnchorId,
    },
    /// What the SIP leg's other end said. Again: its address, codecs or keys changed.
    ConnectSip {
        /// Which.
        anchor: AnchorId,
        /// How it is reached.
        peer: Box<SipPeer>,
        /// What flows.
        flow: Box<Flow>,
    },
    /// Press a key toward a leg (RFC 4733).
    Dtmf {
        /// Which.
        anchor: AnchorId,
        /// Toward whom.
        leg: Leg,
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// For how long.
        duration: Duration,
    },
    /// Give everything back; answered by [`Event::Released`].
    Release {
        /// Which.
        anchor: AnchorId,
    },
}

/// What media tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Both endpoints are reserved.
    Opened {
        /// Which.
        anchor: AnchorId,
        /// The XMPP leg's endpoint.
        xmpp: Box<XmppLocal>,
        /// The SIP leg's endpoint.
        sip: Box<SipLocal>,
    },
    /// There is no port or no memory left.
    NotOpened {
        /// Which.
        anchor: AnchorId,
    },
    /// The XMPP leg's new credentials.
    Restarted {
        /// Which.
        anchor: AnchorId,
        /// Credentials and candidates.
        xmpp: Box<XmppLocal>,
    },
    /// Local candidates of the XMPP leg found later (server reflexive).
    Candidates {
        /// Which.
        anchor: AnchorId,
        /// The candidates.
        candidates: Vec<Candidate>,
    },
    /// A leg can carry media: ICE and DTLS are done, or the SIP leg's first packet came.
    Connected {
        /// Which.
        anchor: AnchorId,
        /// Whose.
        leg: Leg,
    },
    /// A leg cannot carry media, or no longer.
    Failed {
        /// Which.
        anchor: AnchorId,
        /// Whose.
        leg: Leg,
        /// Why.
        failure: Failure,
    },
    /// A key was pressed on a leg; it was already played toward the other leg if that one agreed on
    /// telephone events (`relayed`).
    Dtmf {
        /// Which.
        anchor: AnchorId,
        /// Whose.
        leg: Leg,
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// How long it was held.
        duration: Duration,
        /// Whether the other leg already heard it as RTP.
        relayed: bool,
    },
    /// Everything was given back.
    Released {
        /// Which.
        anchor: AnchorId,
        /// What was measured.
        report: Box<Report>,
    },
}

/// Why a leg carries nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No pair of candidates worked in time.
    Ice,
    /// The handshake failed.
    Dtls,
    /// The certificate is not the one that was announced.
    Fingerprint,
    /// Nothing came for longer than is allowed.
    Silent,
    /// A socket failed.
    Socket,
}

/// The gateway's endpoint toward the XMPP leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmppLocal {
    /// ICE credentials.
    pub ice: IceCredentials,
    /// Digest of the certificate; the role is the core's choice.
    pub fingerprint: Fingerprint,
    /// Where it is reached.
    pub candidates: Vec<Candidate>,
    /// The source it sends with.
    pub ssrc: u32,
    /// The canonical name that goes with it (RFC 7022).
    pub cname: String,
}

/// A certificate's digest: `sha-256` and upper-case hexadecimal with colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The digest's name.
    pub hash: String,
    /// The digest.
    pub value: String,
}

/// The gateway's endpoint toward the SIP leg.
#[derive(Clone, PartialEq, Eq)]
pub struct SipLocal {
    /// Where RTP is received, as the other side is to be told.
    pub rtp: SocketAddr,
    /// Where RTCP is received without rtcp-mux.
    pub rtcp: SocketAddr,
    /// A fresh key for each suite media knows (RFC 4568), best first.
    pub keys: Vec<Key>,
    /// Digest of the certificate, for DTLS-SRTP.
    pub fingerprint: Fingerprint,
    /// The source it sends with.
    pub ssrc: u32,
}

impl std::fmt::Debug for SipLocal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SipLocal({}, {})", self.rtp, self.rtcp)
    }
}

/// A master key and salt with their suite (RFC 4568 §6.1); never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The suite's name: `AES_CM_128_HMAC_SHA1_80`.
    pub suite: String,
    /// Key and salt, one after the other.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.suite)
    }
}

/// The other end of the XMPP leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmppPeer {
    /// Its ICE credentials.
    pub ice: IceCredentials,
    /// Its certificate and the role it takes: `Active` or `Passive`, already settled.
    pub dtls: Dtls,
    /// Whether we control (RFC 8445 §6.1.1): we made the first offer.
    pub controlling: bool,
    /// Its candidates so far.
    pub candidates: Vec<Candidate>,
}

/// The other end of the SIP leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipPeer {
    /// Where its description says it receives RTP; nothing when it gave no usable address.
    pub rtp: Option<SocketAddr>,
    /// Where it receives RTCP; the same as `rtp` with rtcp-mux.
    pub rtcp: Option<SocketAddr>,
    /// The address its signalling came from: RTP from there may be latched on to (specs T12).
    pub signalling: IpAddr,
    /// Protection of the packets.
    pub protection: Protection,
}

/// How packets of the SIP leg are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// Not at all (RTP/AVP).
    Plain,
    /// Keys from the description (RFC 4568).
    Sdes {
        /// Ours, one of [`SipLocal::keys`].
        ours: Key,
        /// The other side's.
        theirs: Key,
    },
    /// DTLS-SRTP (RFC 5763).
    Dtls {
        /// The other side's certificate.
        fingerprint: Fingerprint,
        /// The other side's role, settled: `Active` or `Passive`.
        setup: Setup,
    },
}

/// What flows on a leg, as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Which way, as the gateway sees it: `Send` plays toward the leg only.
    pub direction: Direction,
    /// What we send: its `id` is what the other side wants to see.
    pub send: Codec,
    /// What we may receive, `send` first; packets of other payload types are dropped.
    pub receive: Vec<Codec>,
    /// Telephone events as we send them, if agreed; its clock is that of `send`.
    pub events: Option<Codec>,
    /// Milliseconds of sound in a packet we send.
    pub ptime: u16,
}

/// What was measured on a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Toward and from the XMPP leg.
    pub xmpp: Measured,
    /// Toward and from the SIP leg.
    pub sip: Measured,
    /// `relayed opus`, or `transcoded opus to PCMU`; empty when nothing flowed.
    pub path: String,
}

/// What was measured on a leg.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Packets received and understood.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets that never came, by sequence numbers (RFC 3550 §6.4.1).
    pub lost: u64,
    /// Packets dropped: unknown payload type, wrong source, failed authentication.
    pub dropped: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// Round-trip time by receiver reports, if one came.
    pub round_trip: Option<Duration>,
    /// How packets were protected: `DTLS 1.3`, `SDES`, or `none`.
    pub protection: &'static str,
}
