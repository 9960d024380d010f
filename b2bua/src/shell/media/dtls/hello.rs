//! Which version of DTLS a ClientHello asks for (RFC 9147 §5.3).
//!
//! Only looked at, never believed: the handshake itself decides. What is unclear, such as a hello whose
//! first fragment ends before the versions, is taken for 1.2, which every client of these days knows.

/// Whether this datagram begins with a ClientHello that offers 1.3.
pub(super) fn offers_thirteen(datagram: &[u8]) -> bool {
    versions(datagram).is_some_and(|versions| versions.chunks_exact(2).any(|it| it == THIRTEEN))
}

/// The list of `supported_versions`.
fn versions(datagram: &[u8]) -> Option<&[u8]> {
    // Record: type, version, epoch and number, length. Handshake: type, length, sequence, fragment.
    let mut rest = Reader(datagram);
    if rest.take(1)? != [HANDSHAKE] {
        return None;
    }
    rest.take(10)?;
    let length = rest.number(2)?;
    let mut rest = Reader(rest.0.get(..length.min(rest.0.len()))?);
    if rest.take(1)? != [CLIENT_HELLO] {
        return None;
    }
    rest.take(5)?;
    if rest.number(3)? != 0 {
        return None;
    }
    rest.take(3)?;
    // Version and random; session, cookie, suites, compressions; extensions.
    rest.take(34)?;
    for octets in [1, 1, 2, 1] {
        let length = rest.number(octets)?;
        rest.take(length)?;
    }
    rest.take(2)?;
    loop {
        let (kind, length) = (rest.number(2)?, rest.number(2)?);
        let mut body = Reader(rest.take(length)?);
        if kind == SUPPORTED_VERSIONS {
            let length = body.number(1)?;
            return body.take(length);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, octets: usize) -> Option<usize> {
        let bytes = self.take(octets)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SUPPORTED_VERSIONS: usize = 43;
const THIRTEEN: [u8; 2] = [0xfe, 0xfc];

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let length = (body.len() as u32).to_be_bytes();
        let mut message = vec![1];
        message.extend(&length[1..]);
        message.extend([0, 0, 0, 0, 0]);
        message.extend(&length[1..]);
        message.extend(body);
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend((message.len() as u16).to_be_bytes());
        record.extend(message);
        record
    }

    #[test]
    fn a_version_is_found_among_others() {
        let both = hello(&[0, 23, 0, 0, 0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd]);
        let old = hello(&[0, 23, 0, 0, 0, 43, 0, 3, 2, 0xfe, 0xfd]);
        assert!(offers_thirteen(&both));
        assert!(!offers_thirteen(&old));
        assert!(!offers_thirteen(&hello(&[0, 23, 0, 0])));
    }

    #[test]
    fn what_is_cut_off_or_spoiled_is_no_offer() {
        let whole = hello(&[0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd]);
        for length in 0..whole.len() {
            assert!(!offers_thirteen(&whole[..length]), "of {length} octets");
        }
        for place in 0..whole.len() {
            let mut spoiled = whole.clone();
            spoiled[place] = 255;
            // Whatever comes of it, nothing panics.
            let _ = offers_thirteen(&spoiled);
        }
        let mut second_fragment = whole.clone();
        second_fragment[21] = 1;
        assert!(!offers_thirteen(&second_fragment));
    }
}
