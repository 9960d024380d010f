//! STUN bindings beside SIP on one UDP socket (RFC 8489 §5): how the other end sees us.
//!
//! A binding request of 20 bytes and its answers, nothing more; what cannot be read is `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use tandem_shared::mint::Mint;

/// Names a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId([u8; 12]);

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stun {
    /// Somebody wants to know how we see it.
    Request(TransactionId),
    /// How we are seen, if it says so.
    Success(TransactionId, Option<SocketAddr>),
    /// It does not want to say.
    Failure(TransactionId),
}

/// One binding request and its repeats (RFC 8489 §6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    id: TransactionId,
    sent: u32,
    rto: Duration,
}

impl TransactionId {
    /// One that nobody can guess.
    pub fn mint(mint: &mut Mint) -> Self {
        let mut id = [0; 12];
        for (byte, random) in id.iter_mut().zip(mint.number().to_le_bytes()) {
            *byte = random;
        }
        Self(id)
    }
}

impl Asking {
    /// A question not sent yet, to somebody as far away as `rto`.
    pub fn new(id: TransactionId, rto: Duration) -> Self {
        let sent = 0;
        Self { id, sent, rto }
    }

    /// Whether this is the answer to it.
    pub fn is(&self, id: TransactionId) -> bool {
        self.id == id
    }

    /// The request to send now, and how long to wait for an answer; `None` when there will be none.
    pub fn send(&mut self) -> Option<(Bytes, Duration)> {
        if self.sent >= REQUESTS {
            return None;
        }
        self.sent += 1;
        let pause = match self.sent {
            REQUESTS => self.rto * LAST,
            sent => self.rto * 2_u32.saturating_pow(sent - 1),
        };
        Some((request(self.id), pause))
    }
}

/// Whether a datagram is STUN rather than SIP (RFC 8489 §5).
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER
        && bytes.first().is_some_and(|first| first & 0xC0 == 0)
        && bytes.get(4..8) == Some(&COOKIE)
}

/// Reads a request for a binding, or the answer to one.
pub fn read(bytes: &[u8]) -> Option<Stun> {
    if !is_stun(bytes) {
        return None;
    }
    let length = usize::from(number(bytes.get(2..4)?)?);
    let attributes = bytes.get(HEADER..)?;
    if attributes.len() != length || !length.is_multiple_of(4) {
        return None;
    }
    let id = TransactionId(bytes.get(8..HEADER)?.try_into().ok()?);
    match number(bytes.get(..2)?)? {
        REQUEST => attributes_are_known(attributes).then_some(Stun::Request(id)),
        SUCCESS => Some(Stun::Success(id, mapped(attributes, id))),
        FAILURE => Some(Stun::Failure(id)),
        _ => None,
    }
}

/// A request without attributes.
pub fn request(id: TransactionId) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER);
    head(&mut bytes, REQUEST, 0, id);
    bytes.into()
}

/// Tells `peer` how we see it (RFC 8489 §14.2).
pub fn answer(id: TransactionId, peer: SocketAddr) -> Bytes {
    let address = match peer.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let family = if address.len() == 4 { IPV4 } else { IPV6 };
    let value = 4 + u16::try_from(address.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(64);
    head(&mut bytes, SUCCESS, 4 + value, id);
    bytes.extend(XOR_MAPPED_ADDRESS.to_be_bytes());
    bytes.extend(value.to_be_bytes());
    bytes.extend([0, family]);
    bytes.extend((peer.port() ^ PORT_MASK).to_be_bytes());
    bytes.extend(masked(&address, id));
    bytes.into()
}

fn head(bytes: &mut Vec<u8>, kind: u16, length: u16, id: TransactionId) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(COOKIE);
    bytes.extend(id.0);
}

/// RFC 8489 §6.3.1: what must be understood and is not makes a request void.
fn attributes_are_known(attributes: &[u8]) -> bool {
    iterate(attributes).all(|(kind, _)| kind >= OPTIONAL)
}

fn mapped(attributes: &[u8], id: TransactionId) -> Option<SocketAddr> {
    let mut found = iterate(attributes).filter(|(kind, _)| *kind == XOR_MAPPED_ADDRESS);
    let (_, value) = found.next()?;
    let port = number(value.get(2..4)?)? ^ PORT_MASK;
    let address = masked(value.get(4..)?, id);
    let ip = match *value.get(1)? {
        IPV4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        IPV6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    (port != 0 && !ip.is_unspecified()).then(|| SocketAddr::new(ip.to_canonical(), port))
}

fn masked(address: &[u8], id: TransactionId) -> Vec<u8> {
    let mask = COOKIE.into_iter().chain(id.0);
    address
        .iter()
        .zip(mask)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

/// Type and value of each attribute; ends at the first that does not fit.
fn iterate(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let kind = number(rest.get(..2)?)?;
        let length = usize::from(number(rest.get(2..4)?)?);
        let value = rest.get(4..4 + length)?;
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
        Some((kind, value))
    })
}

fn number(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const PORT_MASK: u16 = 0x2112;
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const FAILURE: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Attributes from here on may be passed over.
const OPTIONAL: u16 = 0x8000;
const IPV4: u8 = 1;
const IPV6: u8 = 2;
/// How often a request is sent at most, and for how many round trips the last one waits.
const REQUESTS: u32 = 7;
const LAST: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: TransactionId = TransactionId([
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ]);

    /// The sample IPv4 response of RFC 5769, without what protects it.
    const SAMPLE: &[u8] = &[
        0x01, 0x01, 0x00, 0x1c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6,
        0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76,
        0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1,
        0x12, 0xa6, 0x43,
    ];

    #[test]
    fn the_published_response_reads_as_published() {
        let seen = "192.0.2.1:32853".parse().unwrap();
        assert_eq!(read(SAMPLE), Some(Stun::Success(ID, Some(seen))));
        assert_eq!(read(&SAMPLE[..SAMPLE.len() - 1]), None);
    }

    #[test]
    fn what_we_write_reads_back() {
        assert_eq!(request(ID).len(), 20);
        assert_eq!(read(&request(ID)), Some(Stun::Request(ID)));
        for peer in ["192.0.2.1:5060", "[2001:db8::7]:40000"] {
            let peer = peer.parse().unwrap();
            let bytes = answer(ID, peer);
            assert_eq!(read(&bytes), Some(Stun::Success(ID, Some(peer))));
        }
    }

    #[test]
    fn sip_and_line_ends_are_no_stun() {
        for text in ["\r\n\r\n", "OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n", ""] {
            assert!(!is_stun(text.as_bytes()));
        }
        // A request whose attribute has to be understood.
        let mut bytes = request(ID).to_vec();
        bytes[3] = 4;
        bytes.extend([0, 0x06, 0, 0]);
        assert!(is_stun(&bytes) && read(&bytes).is_none());
    }

    #[test]
    fn a_question_is_repeated_seven_times_in_all() {
        let mut asking = Asking::new(ID, Duration::from_millis(500));
        let pauses = std::iter::from_fn(|| asking.send());
        let pauses: Vec<u128> = pauses.map(|(_, pause)| pause.as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 8000]);
        assert_eq!(pauses.iter().sum::<u128>(), 39_500);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(kind in 0..0x0200_u16, rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = Vec::new();
            head(&mut bytes, kind, u16::try_from(rest.len()).unwrap(), ID);
            bytes.extend(&rest);
            let _ = read(&bytes);
            let _ = read(&rest);
        }
    }
}
